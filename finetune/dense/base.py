"""The model after its dense lessons, as a folder like any other: what questions are then learned on, and resumed on."""

from __future__ import annotations

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
from finetune.dataset import data_digest
from finetune.dense.moments import read_moments
from finetune.dense.pretraining import pretrain
from finetune.dense.progress import KEPT
from finetune.dense.questions import read_wordings
from finetune.dense.rows import is_of_one_camera, shown_offsets
from finetune.first_process import in_first_process
from finetune.lesson import Row
from finetune.patch_embedding import multiply_patches
from finetune.task import Task

DENSE = "dense"
LOGS_WORDED = 32
QUESTIONS_WORDED = 4000
"""Among so many questions of so many logs wordings are looked for."""
LAYERS = range(4, 9)
"""Two see, a third looks, a fourth knows what is asked."""
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
    moments = read_moments(task.store, groups, config.image_size_px)
    if not moments:
        raise ConfigError(f"the frames of this split show no marked object to learn from: {WITHOUT}")
    looks = config.dense_pretraining.look_steps + config.dense_pretraining.move_steps
    asked = _some_questions(task) if looks else None
    wordings = [] if asked is None else read_wordings(asked, task.processor, moments[0].images[0])
    vlm.model.float().config.dtype = torch.float32
    if state.device.type == "cpu":
        multiply_patches(vlm.model)
    made_of = f"{data_digest(task.store, task.index, config)} {weights_digest(task.base)}"
    pretrain(vlm, moments, wordings, shown_offsets(groups), config, run, folder.with_name(KEPT), made_of)
    save_model(vlm.model, task.processor, folder)


def check_model(model: Any, processor: ChatProcessor, base: Path) -> None:
    """Refuse a model that the lessons would not teach, or would destroy: later layers become copies of the second.

    Raises:
        ConfigError: it is not a small Qwen2.5-VL.
    """
    layers = int(model.config.get_text_config().num_hidden_layers)
    if processor.family.model_type != "qwen2_5_vl" or layers not in LAYERS:
        raise ConfigError(
            f"dense_pretraining is for a Qwen2.5-VL with random weights and {LAYERS[0]} to {LAYERS[-1]} layers, and "
            f"{base.name} is a {processor.family.model_type} with {layers}: {WITHOUT}"
        )


def _some_questions(task: Task) -> list[Row]:
    """Of the split that is learned from, whatever they ask: the lessons are about marks, not about what is said of them."""
    columns = ["type", "question", "options", "answer", "form", "horizon_s", "split"]
    questions: list[Row] = []
    for log_id in task.index.log_ids[:LOGS_WORDED]:
        rows = task.store.read("questions", log_id, columns).to_pylist()
        questions += [row for row in rows if row["split"] == task.config.split and row["form"] == "open"]
    chosen = np.random.default_rng(task.config.seed).permutation(len(questions))[:QUESTIONS_WORDED]
    return [questions[index] for index in sorted(chosen)]
