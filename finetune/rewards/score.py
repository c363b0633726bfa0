"""Rewards of a batch, each by itself and as a weighted sum; what a trainer calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from drive_vqa.looks import Look
from finetune.rewards.completion import Completion, read_text
from finetune.rewards.presets import Preset
from finetune.rewards.truth import Truth


def read_completion(
    preset: Preset, text: str, truth: Truth, *, looks: Sequence[Look] = (), finished: bool = True
) -> Completion:
    """A model's text as a preset reads it; no text raises."""
    trace = read_text(text, preset.dialect, first_s=truth.evidence.first_s)
    return Completion(text, trace, tuple(looks), finished)


def score_completions(
    preset: Preset, completions: Sequence[Completion], truths: Sequence[Truth], progress: float
) -> dict[str, list[float | None]]:
    """Every reward of every completion.

    Args:
        preset: which rewards.
        completions: of any questions.
        truths: of the question of each.
        progress: share of the training that is done, 0 to 1.

    Returns:
        By the name of the reward; None where a question has nothing to judge by it.
    """
    pairs = list(zip(completions, truths, strict=True))
    return {one.name: [one.reward(said, truth, progress) for said, truth in pairs] for one in preset.rewards}


def totals(preset: Preset, scores: Mapping[str, Sequence[float | None]]) -> list[float]:
    """Weighted sums of what `score_completions` gives; None adds nothing, as in TRL."""
    weights = preset.weights
    rows = zip(*(scores[name] for name in weights), strict=True)
    return [
        sum(weight * value for weight, value in zip(weights.values(), row, strict=True) if value is not None)
        for row in rows
    ]
