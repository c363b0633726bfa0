"""Rewards as TRL's GRPOTrainer (1.16) takes them: `reward_funcs`, one function a reward, each logged under its own name.

    functions = reward_functions(PRESETS["drive"], truths, end_tokens={processor.end_id})
    GRPOTrainer(reward_funcs=functions, args=GRPOConfig(reward_weights=list(preset.weights.values()), …), …)

The data set needs a column `qa_id`. The share of the training that is done is `trainer_state.global_step / max_steps`. Looks are
those of the environments (`finetune.zoom.environment`), where there are any.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from drive_vqa.errors import ConfigError
from finetune.rewards.completion import Completion
from finetune.rewards.presets import Preset
from finetune.rewards.reward import NamedReward
from finetune.rewards.score import read_completion
from finetune.rewards.truth import Truth
from finetune.zoom.dialogue import one_trace
from finetune.zoom.session import forced_prefix

RewardFunction = Callable[..., list[float | None]]
Said = str | Sequence[Mapping[str, Any]]
"""A completion as TRL has it: text, or the messages of a dialogue."""

InPixels = Callable[[str, str], str]
"""From a model's text and the question's id to the same text with boxes and points in pixels of the original images."""


def reward_functions(
    preset: Preset,
    truths: Mapping[str, Truth],
    *,
    end_tokens: Collection[int] = (),
    in_pixels: InPixels | None = None,
) -> list[RewardFunction]:
    """Functions for `reward_funcs`, in the order of `preset.rewards`; their weights are `preset.weights`.

    Args:
        preset: which rewards.
        truths: by qa_id, of all questions of the data set.
        end_tokens: ids that end a completion; one that does not end in them was cut. None given: all count as ended.
        in_pixels: turns a model's own units, see `ChatProcessor.from_model_text`; None: it speaks of original pixels.
    """
    batch = _Batch(preset, truths, frozenset(end_tokens), in_pixels or _as_it_is)
    return [_function(one, batch) for one in preset.rewards]


def said_text(said: Said) -> str:
    """What the model itself said in a completion as one trace; tool calls and what tools answered are left out."""
    return said if isinstance(said, str) else one_trace(_turns(said))


def _turns(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The model's turns, each with what it was begun with, whether or not it was read together with that."""
    before: Mapping[str, Any] = {}
    for message in messages:
        if message["role"] == "assistant":
            forced = before.get("role") == "tool" and not isinstance(before["content"], str)
            begun, text = forced_prefix([before]) if forced else "", _text(message.get("content") or "")
            yield text if text.startswith(begun) else begun + text
        before = message


def _text(content: str | Sequence[Mapping[str, Any]]) -> str:
    return content if isinstance(content, str) else "".join(str(part.get("text") or "") for part in content)


class _Batch:
    """Reads the completions of a step once for all rewards: TRL passes the same list to each."""

    def __init__(
        self, preset: Preset, truths: Mapping[str, Truth], end_tokens: frozenset[int], in_pixels: InPixels
    ) -> None:
        self._preset = preset
        self._truths = truths
        self._end_tokens = end_tokens
        self._in_pixels = in_pixels
        self._of: object = None
        self._read: list[tuple[Completion, Truth]] = []

    def read(self, completions: Sequence[Said], columns: Mapping[str, Any]) -> list[tuple[Completion, Truth]]:
        if completions is not self._of:
            nothing = [None] * len(completions)
            environments, ids = (columns.get(name) or nothing for name in ("environments", "completion_ids"))
            rows = zip(completions, columns["qa_id"], environments, ids, strict=True)
            self._read = [self._one(*row) for row in rows]
            self._of = completions
        return self._read

    def _one(self, said: Said, qa_id: str, environment: Any, ids: Sequence[int] | None) -> tuple[Completion, Truth]:
        truth = self._truths.get(qa_id)
        if truth is None:
            raise ConfigError(
                f"question {qa_id} has no truth to be rewarded by: read those of its log as well (`truths_of`)"
            )
        text = self._in_pixels(said_text(said), qa_id)
        looks = () if environment is None else environment.looks
        return read_completion(self._preset, text, truth, looks=looks, finished=self._is_finished(said, ids)), truth

    def _is_finished(self, said: Said, ids: Sequence[int] | None) -> bool:
        """Its last word is the model's, no call, and not cut."""
        last = said[-1] if said and not isinstance(said, str) else {}
        answers = last.get("role", "assistant") == "assistant" and not last.get("tool_calls")
        return answers and (not self._end_tokens or ids is None or (len(ids) > 0 and ids[-1] in self._end_tokens))


def _as_it_is(text: str, qa_id: str) -> str:
    del qa_id
    return text


def _function(named: NamedReward, batch: _Batch) -> RewardFunction:
    def reward(completions: Sequence[Said], trainer_state: Any = None, **columns: Any) -> list[float | None]:
        progress = _progress(trainer_state)
        return [named.reward(completion, truth, progress) for completion, truth in batch.read(completions, columns)]

    reward.__name__ = named.name
    return reward


def _progress(trainer_state: Any) -> float:
    """Share of the training that is done; 0 where it has no end."""
    steps = 0 if trainer_state is None else trainer_state.max_steps
    return min(float(trainer_state.global_step) / steps, 1.0) if steps > 0 else 0.0
