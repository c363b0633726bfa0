"""What a run earns on held-out questions: one answer each, with looks where the run knows them, judged by a preset."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from drive_vqa.looks import Look
from drive_vqa.prompt import build_messages
from drive_vqa.region_forms import style_of
from drive_vqa.vlm import Sampling, Vlm, load_run
from eval.controls.by_name import control_of
from eval.predict import FramesOf, PromptedQuestion
from eval.statistics import Estimate, estimate_mean
from finetune.refine.asked import Asked, AskedQuestion
from finetune.rewards.completion import Completion
from finetune.rewards.presets import Preset
from finetune.rewards.score import read_completion, score_completions, totals
from finetune.zoom.answerer import dialogue_holder, tuned_zoom
from finetune.zoom.crops import CropPreset

BATCH = 32
RIGHT = 1.0
"""Accuracy of a right answer; wrong ones have at most half."""


def judge_run(
    run: Path,
    asked: Asked,
    preset: Preset,
    *,
    sampling: Sampling | None = None,
    blank: bool = False,
    device: str | None = None,
) -> pd.DataFrame:
    """One row a question.

    Args:
        run: output folder of `finetune` or `refine`.
        asked: questions.
        preset: of rewards.
        sampling: how answers are drawn; None: greedy.
        blank: show grey images in the place of frames, also where it looks.
        device: where the model runs.

    Returns:
        `qa_id`, `log` and `frame` as numbers, `text`, `right` (0 or 1), `total`, and each reward by its name (NaN where it does
        not apply).
    """
    vlm = load_run(run, device=device)
    completions = list(_answers(vlm, run, asked.questions, preset, sampling, blank=blank))
    truths = [one.truth for one in asked.questions]
    scores = score_completions(preset, completions, truths, progress=1.0)
    frame = pd.DataFrame({name: np.array(values, dtype=np.float64) for name, values in scores.items()})
    logs = [one.group["log_id"] for one in asked.questions]
    frames = [f"{one.group['log_id']}/{one.group['frame']}" for one in asked.questions]
    return frame.assign(
        qa_id=[one.question["qa_id"] for one in asked.questions],
        log=pd.factorize(np.array(logs))[0],
        frame=pd.factorize(np.array(frames))[0],
        text=[one.text for one in completions],
        right=(frame["accuracy"] >= RIGHT).astype(np.float64),
        total=totals(preset, scores),
    )


def estimate(judged: pd.DataFrame, column: str) -> Estimate:
    """Mean of a column with a 95 % interval by bootstrap over logs; questions that it does not apply to are left out."""
    told = judged[judged[column].notna()]
    return estimate_mean(told[column].to_numpy(), told["log"].to_numpy(), told["frame"].to_numpy())


def _answers(
    vlm: Vlm, run: Path, questions: Sequence[AskedQuestion], preset: Preset, sampling: Sampling | None, *, blank: bool
) -> Iterator[Completion]:
    answer = _answering(vlm, tuned_zoom(run), sampling, blank=blank)
    for start in range(0, len(questions), BATCH):
        some = questions[start : start + BATCH]
        for one, (text, looks, finished) in zip(some, answer(some), strict=True):
            said = vlm.processor.from_model_text(text, one.group, vlm.image_size_px, asked=one.question["question"])
            yield read_completion(preset, said, one.truth, looks=looks, finished=finished)


Told = tuple[str, tuple[Look, ...], bool]
"""What was said, where it was looked, and whether it came to its end."""


def _answering(
    vlm: Vlm, zoom: CropPreset | None, sampling: Sampling | None, *, blank: bool
) -> Callable[[Sequence[AskedQuestion]], list[Told]]:
    control = control_of("blank" if blank else None)
    if zoom is None:
        speak = _single_turns(vlm, control.frames, sampling)
        return lambda some: [(text, (), True) for text in speak(some)]
    holder = dialogue_holder(vlm, zoom, control=control, sampling=sampling)
    return lambda some: [(one.text, one.looks, one.finished) for one in holder(list(map(_prompted, some)))]


def _single_turns(
    vlm: Vlm, frames_of: FramesOf, sampling: Sampling | None
) -> Callable[[Sequence[AskedQuestion]], list[str]]:
    style, size_px = style_of(vlm.regions), vlm.image_size_px
    numbers = itertools.count()

    def speak(some: Sequence[AskedQuestion]) -> list[str]:
        frames = [frames_of(_prompted(one), size_px, style) for one in some]
        ours = [build_messages(one.group, {**one.question, "answer": None}) for one in some]
        groups = [one.group for one in some]
        messages = [vlm.processor.to_model_messages(*pair, size_px) for pair in zip(ours, groups, strict=True)]
        drawn = None if sampling is None else replace(sampling, seed=sampling.seed + next(numbers))
        return vlm.generate(messages, frames, sampling=drawn)

    return speak


def _prompted(one: AskedQuestion) -> PromptedQuestion:
    return PromptedQuestion(one.store, one.group, one.question)
