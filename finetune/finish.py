"""The end of a training: weights and record in place, complete or not at all, and in MLflow."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drive_vqa._version import __version__
from drive_vqa.errors import StoreError
from drive_vqa.store import write_json
from drive_vqa.tracking import TrackedRun
from drive_vqa.vlm import RUN_FILE, Vlm
from drive_vqa.vlm.tuned import read_tuned
from finetune.adapter import count_trainable, save_trained
from finetune.checkpoint_record import Origin
from finetune.dataset import read_index
from finetune.logged_adapter import write_mlmodel
from finetune.samples import answered_samples
from finetune.task import Task
from finetune.trainer import PackedTrainer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """What a training has left.

    Attributes:
        weights: folder of the adapter, or of the model after full tuning.
        metrics: last losses, such as `train/loss` and `eval/loss`.
    """

    weights: Path
    metrics: Mapping[str, float]


def finish(task: Task, trainer: PackedTrainer, run: TrackedRun, origin: Origin) -> Trained:
    """Keep what was trained.

    Args:
        task: that was worked on.
        trainer: that has ended.
        run: of MLflow.
        origin: digests of data and base.
    """
    model = trainer.accelerator.unwrap_model(trainer.model)
    trained = Trained(task.out / ("model" if task.config.method == "full" else "adapter"), trainer.last_losses())
    sharded = trainer.is_fsdp_enabled
    weights = trainer.accelerator.get_state_dict(trainer.model) if sharded else None  # all processes take part
    if trainer.is_world_process_zero():
        save_trained(model, task.processor, task.out, task.base_name or task.base.name, weights)
        write_json(task.out / RUN_FILE, _record(task, model, origin))
        _log_files(task, trained, origin, run, step=trainer.state.global_step)
        if not sharded:  # answering would need all processes at every token
            _log_samples(task, _as_tuned(task, model), run)
    trainer.accelerator.wait_for_everyone()
    return trained


def _as_tuned(task: Task, model: Any) -> Vlm:
    """The model as prediction will load it."""
    tuned = read_tuned(task.out / RUN_FILE)
    return Vlm(model, task.processor, tuned.image_size_px, tuned.regions, tuned.answer_tokens)


def _record(task: Task, model: Any, origin: Origin) -> dict[str, Any]:
    config = task.config
    folder = Path(os.path.relpath(task.base.resolve(), task.out.resolve())).as_posix()
    return {
        "base": task.base_name or folder,
        "base_digest": origin.base_digest,
        "code_version": __version__,
        "dataset_digest": origin.dataset_digest,
        "method": config.method,
        "regions": config.regions,
        "answers": config.answers,
        "dialect": config.dialect,
        "zoom": config.zoom,
        "questions": task.index.questions,
        "image_size_px": list(config.image_size_px),
        "trainable_parameters": count_trainable(model),
    }


def _log_files(task: Task, trained: Trained, origin: Origin, run: TrackedRun, step: int) -> None:
    for name in ("config.yaml", RUN_FILE, "samples.md"):
        if (task.out / name).is_file():
            run.log_artifact(task.out / name)
    if task.config.method != "full":
        write_mlmodel(trained.weights, base=task.base, base_digest=origin.base_digest)
    run.log_model(trained.weights.name, trained.weights, metrics=trained.metrics, step=step)


def _log_samples(task: Task, vlm: Vlm, run: TrackedRun) -> None:
    """Answers to held-out questions, where there are some."""
    try:
        index = read_index(
            task.store, task.config, task.processor, split=task.config.evaluation.split, writer=task.answers
        )
    except StoreError:
        logger.info("split %r has no questions: no sample answers are recorded", task.config.evaluation.split)
        return
    run.log_table("sample_answers", answered_samples(vlm, task.dataset(index), task.config))
