"""How fast training runs, and how it goes: throughput of real tokens, share of time spent waiting for data, losses to MLflow."""

from __future__ import annotations

import logging
import time
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState

from drive_vqa.tracking import Run
from finetune.packing import IGNORED

logger = logging.getLogger(__name__)


class Meter(TrainerCallback):  # type: ignore[misc]
    """Counts what went through since the last record."""

    def __init__(self, run: Run, max_seconds: float | None) -> None:
        """Prepare.

        Args:
            run: where numbers go.
            max_seconds: training stops at the first step that ends later.
        """
        self._run = run
        self._max_seconds = max_seconds
        self._started = self._window = self._step_ended = time.monotonic()
        self._waiting_s = 0.0
        self._questions = self._tokens = self._answer_tokens = 0

    def count(self, batch: dict[str, torch.Tensor]) -> None:
        """Take note of a batch; padding does not count."""
        self._questions += int(batch["segment"].amax(dim=1).sum())
        self._tokens += int((batch["segment"] >= 0).sum())
        self._answer_tokens += int((batch["labels"] != IGNORED).sum())

    def on_train_begin(self, *_: Any, **_more: Any) -> None:
        """Start the clocks."""
        self._started = self._window = self._step_ended = time.monotonic()

    def on_step_begin(self, *_: Any, **_more: Any) -> None:
        """The batches of the step are there: all time since the last step was spent waiting for them."""
        self._waiting_s += time.monotonic() - self._step_ended

    def on_step_end(self, _args: Any, _state: TrainerState, control: TrainerControl, **_more: Any) -> None:
        """Stop where the time is up."""
        self._step_ended = time.monotonic()
        if self._max_seconds is not None and self._step_ended - self._started > self._max_seconds:
            control.should_training_stop = True
            control.should_log = True

    def on_log(
        self, _args: Any, state: TrainerState, _control: Any, logs: dict[str, float] | None = None, **_more: Any
    ) -> None:
        """Record losses and throughput."""
        if not logs or "loss" not in logs:
            return
        speed = self._speed()
        names = {"loss": "train/loss", "grad_norm": "train/grad_norm", "learning_rate": "train/learning_rate"}
        metrics = {names[name]: float(value) for name, value in logs.items() if name in names}
        self._run.log_metrics({**metrics, "train/epoch": float(state.epoch or 0), **speed}, step=state.global_step)
        step, rate = f"step {state.global_step}/{state.max_steps}", speed["speed/questions_per_s"]
        logger.info("%s  loss %.4f  %.0f questions/s", step, logs["loss"], rate)

    def _speed(self) -> dict[str, float]:
        now = time.monotonic()
        elapsed_s = max(now - self._window, 1e-9)
        speed = {
            "speed/questions_per_s": self._questions / elapsed_s,
            "speed/tokens_per_s": self._tokens / elapsed_s,
            "speed/answer_tokens_per_s": self._answer_tokens / elapsed_s,
            "speed/data_loading_share": min(1.0, self._waiting_s / elapsed_s),
        }
        self._window, self._waiting_s = now, 0.0
        self._questions = self._tokens = self._answer_tokens = 0
        return speed
