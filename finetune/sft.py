"""Supervised LoRA fine-tuning of a local Qwen2.5-VL on the questions of a store.

    RUN/base/          the tiny model, where `--model tiny` asked for it
    RUN/adapter/       PEFT adapter; appears only when training has ended
    RUN/checkpoints/   what --resume goes on from
    RUN/config.yaml    resolved settings
    RUN/run.json       base, digest of the questions, what was trained: what prediction needs

Everything appears under its final name only when complete.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from drive_vqa._version import __version__
from drive_vqa.config import flatten, save_config, to_dict
from drive_vqa.errors import ConfigError
from drive_vqa.store import Store, write_json
from drive_vqa.tracking import Run, mlflow_run
from drive_vqa.vlm import RUN_FILE, Vlm, load_vlm
from finetune.adapter import add_adapter
from finetune.collate import Collator
from finetune.config import FinetuneConfig
from finetune.dataset import Lesson, LessonDataset, lesson_texts, lessons_digest, read_lessons
from finetune.dense_pretraining import pretrain_vision
from finetune.meter import Meter
from finetune.tiny import make_tiny_base
from finetune.trainer import PackedTrainer, count_trainable

logger = logging.getLogger(__name__)

TINY = "tiny"
CHECKPOINTS_KEPT = 2


def finetune(
    store: Store,
    config: FinetuneConfig,
    *,
    model: str,
    out: Path,
    resume: bool = False,
    tracking_uri: str | None = None,
) -> Path:
    """Train an adapter.

    Args:
        store: with groups and questions.
        config: a recipe.
        model: `tiny`, or the path of a local Qwen2.5-VL checkpoint.
        out: run folder; new or empty unless `resume`.
        resume: go on from the last checkpoint in `out`; from the start where there is none.
        tracking_uri: MLflow store; default: in `out`.

    Returns:
        `out`.

    Raises:
        ConfigError: `out` holds something already.
        StoreError: nothing to learn.
        ModelError: the model cannot be loaded, does not fit the questions, or training diverged.
    """
    _prepare_folder(out, resume=resume)
    lessons = read_lessons(store, config.split, config.families, config.questions_per_sequence)
    base = make_tiny_base(out / "base", config.seed, lesson_texts(lessons)) if model == TINY else Path(model)
    save_config(config, out / "config.yaml")
    digest = lessons_digest(lessons)
    tags = {"code_version": __version__, "dataset_digest": digest, "base": base.name}
    params = flatten(to_dict(config))
    with mlflow_run(out, "finetune", tracking_uri=tracking_uri, params=params, tags=tags) as run:
        vlm = load_vlm(base)
        torch.manual_seed(config.seed)  # for the adapter's random half
        adapted = Vlm(add_adapter(vlm.model, config.lora, base), vlm.processor, config.image_size_px)
        _train(adapted, store, lessons, config, out, run, resume=resume)
        _finish(adapted, config, base, digest, lessons, out)
        run.log_artifact(out / "adapter")
        run.log_artifact(out / "config.yaml")
        run.log_artifact(out / RUN_FILE)
    return out


def _train(
    vlm: Vlm, store: Store, lessons: Sequence[Lesson], config: FinetuneConfig, out: Path, run: Run, *, resume: bool
) -> None:
    dataset = LessonDataset(store, lessons, config.image_size_px, cache_images=config.cache_images)
    checkpoint = last_checkpoint(out / "checkpoints") if resume else None
    if checkpoint is not None:
        logger.info("going on from %s", checkpoint)
    elif config.dense_pretraining.steps:
        pretrain_vision(vlm, store, lessons, config, run)
    trainer = build_trainer(vlm, dataset, config, out / "checkpoints", run)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))


def build_trainer(
    vlm: Vlm, dataset: LessonDataset, config: FinetuneConfig, checkpoints: Path, run: Run
) -> PackedTrainer:
    """The trainer of a run.

    Args:
        vlm: with an adapter to train.
        dataset: what to learn.
        config: a recipe.
        checkpoints: folder for checkpoints.
        run: where numbers go.
    """
    meter = Meter(run, config.max_seconds)
    trainer = PackedTrainer(
        config=config,
        meter=meter,
        image_token_id=vlm.processor.image_token_id,
        model=vlm.model,
        args=training_arguments(config, checkpoints, vlm.device),
        train_dataset=dataset,
        data_collator=Collator(vlm.processor, config.pack, _longest(vlm)),
        callbacks=[meter],
    )
    for callback in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(callback)
    return trainer


def training_arguments(config: FinetuneConfig, checkpoints: Path, device: torch.device) -> TrainingArguments:
    """Our settings in the words of the library."""
    bf16 = config.precision == "bf16" or (config.precision == "auto" and device.type == "cuda")
    return TrainingArguments(
        output_dir=str(checkpoints),
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        num_train_epochs=config.epochs,
        max_steps=config.max_steps or -1,
        learning_rate=config.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=config.warmup_fraction,
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        bf16=bf16,
        use_cpu=device.type == "cpu",
        logging_steps=config.log_steps,
        logging_nan_inf_filter=False,
        save_steps=config.checkpoint_steps,
        save_total_limit=CHECKPOINTS_KEPT,
        dataloader_num_workers=config.workers,
        dataloader_pin_memory=device.type == "cuda",
        dataloader_persistent_workers=config.workers > 0,
        remove_unused_columns=False,
        label_names=["labels"],
        report_to="none",
        disable_tqdm=True,
        seed=config.seed,
        data_seed=config.seed,
        **_recomputation(enabled=config.gradient_checkpointing),
    )


def _recomputation(*, enabled: bool) -> dict[str, bool]:
    """Gradient checkpointing, which transformers 5.23 renamed."""
    names = {field.name for field in fields(TrainingArguments)}
    name = "activation_checkpointing" if "activation_checkpointing" in names else "gradient_checkpointing"
    return {name: True} if enabled else {}


def last_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint; its state file is written last."""
    complete = [path for path in folder.glob("checkpoint-*") if (path / "trainer_state.json").is_file()]
    return max(complete, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def _prepare_folder(out: Path, *, resume: bool) -> None:
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file: give --out a new folder")
    if not resume and any((out / name).exists() for name in ("adapter", "checkpoints", RUN_FILE)):
        raise ConfigError(f"{out} holds a run already: give --out a new folder, or --resume to go on with it")
    out.mkdir(parents=True, exist_ok=True)


def _longest(vlm: Vlm) -> int:
    return int(vlm.model.config.text_config.max_position_embeddings)


def _finish(vlm: Vlm, config: FinetuneConfig, base: Path, digest: str, lessons: Sequence[Lesson], out: Path) -> None:
    """Put the adapter and the record in place, complete or not at all."""
    partial = out / f".adapter.{os.getpid()}.tmp"
    try:
        vlm.model.peft_config[
            "default"
        ].base_model_name_or_path = base.name  # no path of this machine in what is shared
        vlm.model.save_pretrained(str(partial), save_embedding_layers=False)  # saved already where they were trained
        (partial / "README.md").unlink(missing_ok=True)  # the library's model card is an empty form
        shutil.rmtree(out / "adapter", ignore_errors=True)
        partial.replace(out / "adapter")
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    record: dict[str, Any] = {
        "base": Path(os.path.relpath(base.resolve(), out.resolve())).as_posix(),
        "code_version": __version__,
        "dataset_digest": digest,
        "questions": sum(len(lesson.questions) for lesson in lessons),
        "image_size_px": list(config.image_size_px),
        "trainable_parameters": count_trainable(vlm.model),
    }
    write_json(out / RUN_FILE, record)
