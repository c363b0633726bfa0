"""Supervised fine-tuning of a vision-language model on the questions of a store.

    RUN/base/          the tiny model, where `--model scratch` asked for it
    RUN/dense/         the model after its dense lesson, where the recipe has one: what questions are learned on
    RUN/dense.partial.pt   how far that lesson is, until training has ended
    RUN/adapter/       PEFT adapter; RUN/model/ after full tuning; appears only when training has ended
    RUN/checkpoints/   what --resume goes on from
    RUN/config.yaml    resolved settings
    RUN/log.jsonl      losses and speed, one line a record
    RUN/samples.md     what the model is shown and what carries loss, to be read by a person
    RUN/run.json       base, digest of the questions, what was trained: what prediction needs

Everything appears under its final name only when complete. Several processes (`torchrun`, `accelerate launch`) run the same
function; the first one alone writes.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from drive_vqa._version import __version__
from drive_vqa.config import flatten, save_config, to_dict
from drive_vqa.errors import ConfigError
from drive_vqa.region_forms import style_of
from drive_vqa.store import Store
from drive_vqa.tracking import TrackedRun, config_digest, mlflow_run
from drive_vqa.vlm import load_vlm, torch_device
from drive_vqa.weights_digest import weights_digest
from finetune.adapter import check_method, prepare
from finetune.arguments import training_arguments
from finetune.attention import FLEX, use_flex_attention
from finetune.checkpoint_record import Origin
from finetune.checkpoints import last_checkpoint
from finetune.collate import Collator
from finetune.config import FinetuneConfig
from finetune.dataset import AnswerWriter, LessonIndex, data_digest, read_index
from finetune.dense.base import dense_base
from finetune.dense.progress import KEPT
from finetune.finish import Trained, finish
from finetune.flops import model_flops
from finetune.gpu_peaks import peak_flops
from finetune.guards.trained import check_trained_modules, listed_modules
from finetune.meter import Meter
from finetune.patch_embedding import multiply_patches
from finetune.plan import Plan, evaluation_rows
from finetune.run_folder import only_run, prepare_folder
from finetune.task import Task, make_task
from finetune.trainer import PackedTrainer
from finetune.validation import Validation
from finetune.watch import Watch
from finetune.zoom.collate import ZoomCollator
from finetune.zoom.crops import PRESETS as ZOOMS

logger = logging.getLogger(__name__)


def finetune(
    store: Store,
    config: FinetuneConfig,
    *,
    model: str,
    out: Path,
    resume: bool = False,
    device: str | None = None,
    tracking_uri: str | None = None,
    answers: AnswerWriter | None = None,
) -> Trained:
    """Train an adapter, or a whole small model.

    Args:
        store: with groups and questions.
        config: a recipe.
        model: `tiny`, `scratch`, the folder of a checkpoint, or its name on the hub.
        out: run folder; new or empty unless `resume`.
        resume: go on from the last checkpoint in `out`; from the start where there is none.
        device: cpu or cuda; default: CUDA where there is one.
        tracking_uri: MLflow store; default: in `out`.
        answers: writes the traces that `config.answers` asks for.

    Raises:
        ConfigError: `out` holds something already, or the settings do not fit the model or what is resumed.
        StoreError: nothing to learn.
        ModelError: the model cannot be loaded, does not fit the questions, or training diverged.
    """
    state = _start(device, config)
    check_method(config)
    prepare_folder(out, resume=resume)
    with only_run(out, is_main_process=state.is_main_process):
        task = make_task(store, config, model, out, answers, state)
        return _run(task, state, resume=resume, tracking_uri=tracking_uri)


def _run(task: Task, state: PartialState, *, resume: bool, tracking_uri: str | None) -> Trained:
    store, config, out = task.store, task.config, task.out
    plan = Plan.make(task.index, config, processes=state.num_processes)
    digest, base_digest = data_digest(store, task.index, config), weights_digest(task.base)
    settings = flatten(to_dict(config))
    origin = Origin(settings, digest, base_digest, state.num_processes, state.device.type)
    checkpoint = last_checkpoint(out / "checkpoints", origin) if resume else None
    if state.is_main_process:
        save_config(config, out / "config.yaml")
    tags = {
        "code_version": __version__,
        "config_hash": config_digest(to_dict(config)),
        "dataset_digest": digest,
        "base": task.base_name or task.base.name,
    }
    held_out = _held_out(task)
    with mlflow_run(
        out,
        f"finetune {out.name}",
        tracking_uri=tracking_uri,
        params=settings,
        tags=tags,
        resume=resume,
        system_metrics=True,
    ) as run:
        run.log_input(store.root.name, digest, source="drive-vqa store")
        logger.info("%s", plan.describe())
        start = task.base
        if config.dense_pretraining.steps:
            start = dense_base(task, run, state, checkpoint)
            origin = replace(origin, dense_digest=weights_digest(start))
        trainer = _trainer(replace(task, base=start), plan, origin, held_out, run, state)
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        trained = finish(task, trainer, run, origin)
        (out / KEPT).unlink(missing_ok=True)
        return trained


def _start(device: str | None, config: FinetuneConfig) -> PartialState:
    """Join the other processes, where there are some."""
    place = torch_device(device)
    if os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true":
        if place.type != "cuda":
            raise ConfigError("FSDP needs CUDA (on the CPU accelerate would run without it, unasked): leave it out")
        if config.optimizer == "muon":
            raise ConfigError("optimizer=muon needs whole matrices and FSDP shards them: use adamw, or leave FSDP out")
    return PartialState(cpu=place.type == "cpu")


def _trainer(
    task: Task, plan: Plan, origin: Origin, held_out: LessonIndex | None, run: TrackedRun, state: PartialState
) -> PackedTrainer:
    config, out = task.config, task.out
    arguments = training_arguments(config, out / "checkpoints", state.device, plan.steps)
    model = _prepared_model(task, arguments.device)
    meter = Meter(
        run,
        config.max_seconds,
        log=out / "log.jsonl",
        flops=model_flops(model),
        peak_flops=peak_flops(arguments.device, arguments.bf16),
        steps_per_epoch=plan.steps_per_epoch,
    )
    collator = _collator(task, _longest(model))
    dataset = task.dataset(task.index)
    return PackedTrainer(
        config=config,
        plan=plan,
        processor=task.processor,
        origin=origin,
        meter=meter,
        watch=Watch(config, task.processor, dataset, collator, plan, out / "samples.md"),
        validation=None if held_out is None else _validation(task, held_out, collator),
        model=model,
        args=arguments,
        train_dataset=dataset,
        data_collator=collator,
    )


def _collator(task: Task, longest: int) -> Collator:
    config = task.config
    if config.zoom is None:
        return Collator.of(task.processor, config, longest)
    preset, style = ZOOMS[config.zoom], style_of(config.regions)
    return ZoomCollator(task.processor, config.pack, longest, config.image_size_px, task.store, preset, style)


def _prepared_model(task: Task, device: torch.device) -> Any:
    """The model with exactly what the recipe names trainable."""
    config = task.config
    loaded = load_vlm(task.base, device=str(device), quantized=config.method == "qlora")
    if device.type == "cpu":
        multiply_patches(loaded.model)
    if config.attention == FLEX:
        use_flex_attention(loaded.model, device)
    family = task.processor.family
    listed = listed_modules(loaded.model, family, config)
    torch.manual_seed(config.seed)  # for the adapter's random half
    model = prepare(loaded.model, family, config, task.base)
    check_trained_modules(model, listed)
    return model


def _held_out(task: Task) -> LessonIndex | None:
    """The held-out lessons, where the recipe looks at some."""
    evaluation, config = task.config.evaluation, task.config
    if not evaluation.steps:
        return None
    index = read_index(task.store, config, task.processor, split=evaluation.split, writer=task.answers)
    return index.sample(evaluation.questions, config.seed)


def _validation(task: Task, held_out: LessonIndex, collator: Collator) -> Validation:
    rows = evaluation_rows(held_out, task.config.tokens_per_row)
    return Validation(task.dataset(held_out), collator, rows, task.config.workers)


def _longest(model: Any) -> int:
    text = model.config.get_text_config()
    return int(text.max_position_embeddings)
