"""The model after its dense lessons, as a folder like any other: what questions are then learned on, and resumed on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from accelerate import PartialState

from drive_vqa.errors import ConfigError
from drive_vqa.tracking import Run
from drive_vqa.vlm import load_vlm
from finetune.adapter import save_model
from finetune.dataset import LessonDataset
from finetune.dense.pictures import read_pictures
from finetune.dense.pretraining import pretrain
from finetune.dense.questions import read_wordings
from finetune.dense.rows import shown_offsets
from finetune.lesson import Row
from finetune.patch_embedding import multiply_patches
from finetune.task import Task

DENSE = "dense"
LESSONS_WORDED = 500
"""Lessons among which wordings are looked for."""


def dense_base(task: Task, run: Run, state: PartialState, *, redo: bool) -> Path:
    """Give the dense lessons, in the first process.

    Args:
        task: what is learned, and on which base.
        run: where losses go.
        state: of this process.
        redo: give the lessons; else the folder is there, since a checkpoint was made on it.

    Returns:
        RUN/dense; the folder appears only when complete.

    Raises:
        ConfigError: the model is of another kind, nothing of these questions can be seen, or none names exactly one region.
    """
    folder = task.out / DENSE
    if redo and state.is_main_process:
        _make(task, run, state, folder)
    state.wait_for_everyone()
    return folder


def _make(task: Task, run: Run, state: PartialState, folder: Path) -> None:
    dataset = task.dataset(task.index)
    groups = dataset.groups()
    pictures = read_pictures(task.store, groups, task.config.image_size_px)
    if not pictures:
        raise ConfigError("dense_pretraining found no marked object in the frames of this split: set steps=0")
    wordings = read_wordings(_some_questions(dataset, task.config.seed), task.processor, pictures[0].image)
    vlm = load_vlm(task.base, device=str(state.device))
    if state.device.type == "cpu":
        multiply_patches(vlm.model)
    pretrain(vlm, pictures, wordings, shown_offsets(groups), task.config, run)
    save_model(vlm.model, task.processor, folder)


def _some_questions(dataset: LessonDataset, seed: int) -> Iterator[Row]:
    lessons = np.random.default_rng(seed).permutation(len(dataset))[:LESSONS_WORDED]
    return itertools.chain.from_iterable(dataset.lesson(int(lesson)).questions for lesson in lessons)
