"""RUN/answers: sampled answers as people and programs read them, each `show_steps` steps.

step-000025.parquet   one row an answer: question, text, each reward, weighted sum, advantage, frames as JPEG
step-000025.html      the same by question, claimed boxes drawn on the frames; one file, works offline
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from transformers import TrainerCallback, TrainerControl, TrainerState

from drive_vqa.errors import StoreError
from drive_vqa.store import replacing
from finetune.refine.answer_page import answer_page
from finetune.refine.frames import image_of
from finetune.refine.prompts import Prompts
from finetune.refine.sampled import SampledAnswer
from finetune.rewards.presets import Preset
from finetune.rewards.score import read_completion
from finetune.rewards.trl import said_text

JPEG_QUALITY = 85


class AnswerPages(TrainerCallback):  # type: ignore[misc]
    """Writes the answers of a step."""

    def __init__(self, trainer: Any, prompts: Prompts, preset: Preset, folder: Path, steps: int) -> None:
        """Prepare.

        Args:
            trainer: of TRL, whose records of the last batch are read.
            prompts: of the questions.
            preset: by which answers are read.
            folder: where to; made when it is needed.
            steps: optimizer steps between two pages; 0: none.
        """
        self._trainer = trainer
        self._prompts = prompts
        self._preset = preset
        self._folder = folder
        self._steps = steps

    def on_step_end(self, _args: Any, state: TrainerState, _control: TrainerControl, **_more: Any) -> None:
        """Write, at the first step and each `steps`; a step that is made again is written again.

        Raises:
            StoreError: the disk is full, or the folder cannot be written.
        """
        due = self._steps and (state.global_step == 1 or state.global_step % self._steps == 0)
        if not due or not state.is_world_process_zero:
            return
        answers = _read(self._trainer, self._prompts, self._preset)
        place = self._folder / f"step-{state.global_step:06d}"
        try:
            _write(answers, place, state.global_step, _weights(self._trainer))
        except OSError as error:
            why = error.strerror or error
            raise StoreError(f"{place} cannot be written ({why}): free some space, then go on with --resume") from error


def _write(answers: Sequence[SampledAnswer], place: Path, step: int, weights: Mapping[str, float]) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with replacing(place.with_suffix(".parquet")) as temporary:
        pq.write_table(_table(answers), temporary, compression="zstd")
    with replacing(place.with_suffix(".html")) as temporary:
        temporary.write_text(answer_page(answers, step=step, weights=weights), encoding="utf-8")


def _read(trainer: Any, prompts: Prompts, preset: Preset) -> list[SampledAnswer]:
    """The last batch of all processes, as TRL records it."""
    logs, weights = trainer._logs, _weights(trainer)
    names = list(weights)
    rows = zip(*(logs["rewards"][name] for name in names), strict=True)
    answers = []
    for said, qa_id, row, advantage, shown in zip(
        logs["completion"], logs["extra"]["qa_id"], rows, logs["advantages"], logs["images"], strict=True
    ):
        rewards = {name: None if math.isnan(value) else value for name, value in zip(names, row, strict=True)}
        total = sum(weights[name] * value for name, value in rewards.items() if value is not None)
        asked, text = prompts.known[qa_id], prompts.in_pixels(said_text(said), qa_id)
        trace = read_completion(preset, text, asked.truth).trace
        images = [image_of(one) for one in shown or ()]
        answers.append(SampledAnswer(asked, text, trace, rewards, total, advantage, images))
    return answers


def _weights(trainer: Any) -> dict[str, float]:
    """Of each reward by its name, free of what 32 bits add."""
    weights = (round(weight, 6) for weight in trainer.reward_weights.tolist())
    return dict(zip(trainer.reward_func_names, weights, strict=True))


def _table(answers: Sequence[SampledAnswer]) -> pa.Table:
    rows = [
        {
            "qa_id": one.asked.question["qa_id"],
            "question": one.asked.question["question"],
            "truth": one.asked.question["answer"],
            "text": one.text.encode("utf-8", "replace").decode(),
            "rewards": one.rewards,
            "total": one.total,
            "advantage": one.advantage,
            "images": [_jpeg(image) for image in one.images],
        }
        for one in answers
    ]
    return pa.Table.from_pylist(rows)


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
