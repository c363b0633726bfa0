"""The sides that the speed benchmark compares: our training, packed or plain, with a clock on it that other trainers take too."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import TrainerCallback

from drive_vqa.store import Store
from drive_vqa.vlm import ChatProcessor
from finetune.adapter import prepare
from finetune.arguments import training_arguments
from finetune.benchmark_models import Shape, build_model
from finetune.checkpoint_record import Origin
from finetune.collate import Collator
from finetune.config import FinetuneConfig
from finetune.dataset import Lesson, LessonDataset, read_index
from finetune.flops import model_flops
from finetune.gpu_peaks import peak_flops
from finetune.meter import Meter
from finetune.plan import Plan
from finetune.trainer import PackedTrainer
from finetune.watch import Watch

SLOW_RECORDS = 2
"""Memory is claimed and kernels are chosen in these."""


@dataclass(frozen=True, eq=False)
class Bench:
    """What all sides have in common.

    Attributes:
        store: painted.
        processor: of the model.
        config: a recipe; every step holds equally many questions.
        shape: of the model.
        device: that trains.
        folder: for what is written.
    """

    store: Store
    processor: ChatProcessor
    config: FinetuneConfig
    shape: Shape
    device: torch.device
    folder: Path

    def model(self) -> Any:
        """The model with its adapter; the same weights at each call."""
        model = build_model(self.shape, self.processor.tokenizer, self.device)
        torch.manual_seed(self.config.seed)
        return prepare(model, self.processor.family, self.config, self.folder)

    def dataset(self) -> LessonDataset:
        """What is learned."""
        return LessonDataset(self.store, read_index(self.store, self.config, self.processor), self.config)

    def plan(self) -> Plan:
        """Which lessons each step holds."""
        return Plan.make(read_index(self.store, self.config, self.processor), self.config)

    def steps(self) -> list[list[Lesson]]:
        """The lessons of each step, in order."""
        dataset, plan = self.dataset(), self.plan()
        rows = [row for batch in plan for row in batch]
        size = plan.rows_per_step
        parts = [rows[start : start + size] for start in range(0, len(rows), size)]
        return [[dataset.lesson(*visit) for row in part for visit in row] for part in parts]


class Clock(TrainerCallback):  # type: ignore[misc]
    """Notes when each step has ended, on the device too, and how much this process has computed until then."""

    def __init__(self) -> None:
        self.ended: list[float] = []
        self.computed: list[float] = []

    def on_step_end(self, *_: Any, **_more: Any) -> None:
        """Wait for the device and take the time."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ended.append(time.monotonic())
        self.computed.append(time.process_time())


@dataclass(frozen=True, eq=False)
class Course:
    """How a training went.

    Attributes:
        step_s: seconds of each step but the first, waiting for data included.
        cpu_s: seconds of processors that this process took for them.
        losses: of each step, mean over answer tokens.
        speed: last of the meter's records; empty for other trainers.
    """

    step_s: np.ndarray
    cpu_s: np.ndarray
    losses: np.ndarray
    speed: Mapping[str, float]

    @classmethod
    def of(cls, trainer: Any, clock: Clock, speed: Mapping[str, float]) -> Course:
        """What a trainer and its clock have seen."""
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        return cls(np.diff(clock.ended), np.diff(clock.computed), np.array(losses), speed)


class Records:
    """A run that keeps the meter's numbers."""

    def __init__(self) -> None:
        self.kept: list[dict[str, float]] = []

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Keep them."""
        self.kept.append({"step": float(step or 0), **metrics})

    def medians(self) -> dict[str, float]:
        """The median of each speed after the slow first records."""
        rows = [row for row in self.kept if "speed/questions_per_s" in row][SLOW_RECORDS:]
        names = [name for name in (rows[-1] if rows else {}) if name.startswith("speed/")]
        return {name: float(np.median([row[name] for row in rows])) for name in names}


def train_ours(bench: Bench, name: str, callbacks: tuple[TrainerCallback, ...] = ()) -> Course:
    """Train as `drive-vqa finetune` does, without MLflow."""
    clock, records, plan = Clock(), Records(), bench.plan()
    trainer = _trainer(bench, plan, records, bench.folder / name)
    for callback in (clock, *callbacks):
        trainer.add_callback(callback)
    trainer.train()
    return Course.of(trainer, clock, records.medians())


def _trainer(bench: Bench, plan: Plan, records: Records, out: Path) -> PackedTrainer:
    config, processor, dataset = bench.config, bench.processor, bench.dataset()
    arguments = training_arguments(config, out / "checkpoints", bench.device, plan.steps)
    model = bench.model()
    longest = int(model.config.get_text_config().max_position_embeddings)
    collator = Collator(processor, config.pack, longest, config.image_size_px)
    peak = peak_flops(bench.device, arguments.bf16)
    out.mkdir(parents=True, exist_ok=True)
    return PackedTrainer(
        config=config,
        plan=plan,
        processor=processor,
        origin=Origin({}, "", "", 1, bench.device.type),
        meter=Meter(records, None, log=out / "log.jsonl", flops=model_flops(model), peak_flops=peak),
        watch=Watch(config, processor, dataset, collator, plan, out / "samples.md"),
        validation=None,
        model=model,
        args=arguments,
        train_dataset=dataset,
        data_collator=collator,
    )
