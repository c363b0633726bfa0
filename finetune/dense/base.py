"""The model after its dense lessons, as a folder like any other: what questions are then learned on, and resumed on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState

from drive_vqa.errors import ConfigError
from drive_vqa.tracking import Run
from drive_vqa.vlm import ChatProcessor, load_vlm
from drive_vqa.weights_digest import weights_digest
from finetune.adapter import check_frozen_names, save_model
from finetune.checkpoint_record import check_dense
from finetune.dataset import LessonDataset
from finetune.dense.pictures import read_pictures
from finetune.dense.pretraining import pretrain
from finetune.dense.questions import read_wordings
from finetune.dense.rows import is_of_one_camera, shown_offsets
from finetune.first_process import in_first_process
from finetune.lesson import Row
from finetune.patch_embedding import multiply_patches
from finetune.task import Task

DENSE = "dense"
LESSONS_WORDED = 500
"""Lessons among which wordings are looked for."""
MOST_LAYERS = 8
WITHOUT = "set dense_pretraining.steps=0 and frozen=null, with learning_rates for vision and projector"


def dense_base(task: Task, run: Run, state: PartialState, checkpoint: Path | None) -> Path:
    """Give the dense lessons, in the first process, or see that they were given.

    Args:
        task: what is learned, and on which base.
        run: where losses go.
        state: of this process.
        checkpoint: that is gone on from, if any: it was made on the folder that is there.

    Returns:
        RUN/dense; the folder appears only when complete.

    Raises:
        ConfigError: the model is of another kind, nothing of these questions can be seen, none names exactly one region, or the
            folder is not what the checkpoint was made on.
        ModelError: the lessons diverged.
    """
    folder = task.out / DENSE
    in_first_process(lambda: _make(task, run, state, folder) if checkpoint is None else _check(folder, checkpoint))
    return folder


def _check(folder: Path, checkpoint: Path) -> None:
    if not folder.is_dir():
        raise ConfigError(f"{folder} is gone, and {checkpoint} was made on it: put it back, or give --out a new folder")
    check_dense(checkpoint, folder, weights_digest(folder))


def _make(task: Task, run: Run, state: PartialState, folder: Path) -> None:
    config, dataset = task.config, task.dataset(task.index)
    vlm = load_vlm(task.base, device=str(state.device))
    check_model(vlm.model, task.processor, task.base)
    check_frozen_names(vlm.model, config, task.base)
    groups = [group for group in dataset.groups() if is_of_one_camera(group)]
    pictures = read_pictures(task.store, groups, config.image_size_px)
    if not pictures:
        raise ConfigError(f"the frames of this split show no marked object to learn from: {WITHOUT}")
    asked = _some_questions(dataset, config.seed) if config.dense_pretraining.look_steps else None
    wordings = [] if asked is None else read_wordings(asked, task.processor, pictures[0].image)
    vlm.model.float().config.dtype = torch.float32
    if state.device.type == "cpu":
        multiply_patches(vlm.model)
    pretrain(vlm, pictures, wordings, shown_offsets(groups), config, run)
    save_model(vlm.model, task.processor, folder)


def check_model(model: Any, processor: ChatProcessor, base: Path) -> None:
    """Refuse a model that the lessons would not teach, or would destroy: all layers become copies of the first.

    Raises:
        ConfigError: it is not a small Qwen2.5-VL.
    """
    layers = int(model.config.get_text_config().num_hidden_layers)
    if processor.family.model_type != "qwen2_5_vl" or not 2 <= layers <= MOST_LAYERS:
        raise ConfigError(
            f"dense_pretraining is for a Qwen2.5-VL with random weights and 2 to {MOST_LAYERS} layers, and {base.name} is a "
            f"{processor.family.model_type} with {layers}: {WITHOUT}"
        )


def _some_questions(dataset: LessonDataset, seed: int) -> Iterator[Row]:
    lessons = np.random.default_rng(seed).permutation(len(dataset))[:LESSONS_WORDED]
    return itertools.chain.from_iterable(dataset.lesson(int(lesson)).questions for lesson in lessons)
