"""How fast training runs, and how it goes: throughput of real tokens, use of the GPU, time spent waiting for data, losses."""

from __future__ import annotations

import logging
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState

from drive_vqa.tracking import Run
from finetune.flops import ModelFlops
from finetune.training_log import TrainingLog
from finetune.work import Work, count_language

logger = logging.getLogger(__name__)

GIB = 2**30
TRAINING_NAMES = {"loss": "train/loss", "grad_norm": "train/grad_norm", "learning_rate": "train/learning_rate"}


class Meter(TrainerCallback):  # type: ignore[misc]
    """Counts what went through all processes since the last record.

    Rates are sums over processes. A second of training is one in which steps are made or batches waited for: evaluation,
    checkpoints and what runs inside `paused` do not count. The share of data loading is the time that the host waited for
    batches, which a GPU may have used to finish its last step: it is never too low.
    """

    def __init__(
        self,
        run: Run,
        max_seconds: float | None,
        *,
        log: Path | None = None,
        flops: ModelFlops | None = None,
        peak_flops: float | None = None,
        steps_per_epoch: float | None = None,
    ) -> None:
        """Prepare.

        Args:
            run: where numbers go.
            max_seconds: training stops at the first step that ends later.
            log: JSON lines where numbers go too.
            flops: what the model costs.
            peak_flops: FLOPs a second of a device; without it or `flops` no utilization is recorded.
            steps_per_epoch: what makes an epoch; default: what the trainer takes for one.
        """
        self._run = run
        self._max_seconds = max_seconds
        self._log = None if log is None else TrainingLog(log)
        self._flops = flops
        self._peak_flops = peak_flops
        self._steps_per_epoch = steps_per_epoch
        self._started = self._window = self._mark = time.monotonic()
        self._waiting_s = self._paused_s = 0.0
        self._work: torch.Tensor | None = None

    def count(self, batch: Mapping[str, torch.Tensor]) -> None:
        """Take note of a batch of the training; nothing waits for the device."""
        counts = count_language(batch)
        if self._flops is not None:
            counts = torch.cat([counts, self._flops.count_vision(batch)])
        self._work = counts if self._work is None else self._work + counts

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time inside is no training."""
        began = time.monotonic()
        try:
            yield
        finally:
            spent_s = time.monotonic() - began
            self._paused_s += spent_s
            self._mark += spent_s

    def record(self, step: int, metrics: Mapping[str, float]) -> None:
        """Record other numbers of a step, such as the loss of an evaluation; for every process to call."""
        if _rank() > 0:
            return
        self._run.log_metrics(metrics, step=step)
        if self._log is not None:
            self._log.write(step, {_short(name): value for name, value in metrics.items()})

    def on_train_begin(self, _args: Any, state: TrainerState, _control: TrainerControl, **_more: Any) -> None:
        """Start the clocks; what the log says about steps that will be made again is dropped."""
        if self._log is not None and _rank() == 0:
            self._log.keep_until(state.global_step)
        self._started = self._window = self._mark = time.monotonic()

    def on_epoch_begin(self, *_: Any, **_more: Any) -> None:
        """What came before the first step, such as checks of the model, was no training."""
        if self._work is None:
            self._window = self._mark = time.monotonic()
            self._paused_s = 0.0

    def on_step_begin(self, *_: Any, **_more: Any) -> None:
        """The batches of the step are there: all time since the last step was spent waiting for them."""
        self._waiting_s += time.monotonic() - self._mark

    def on_step_end(self, _args: Any, state: TrainerState, control: TrainerControl, **_more: Any) -> None:
        """Stop where the time is up, in all processes at once."""
        self._mark = time.monotonic()
        if self._max_seconds is None:
            return
        late = _over_processes(torch.tensor([float(self._mark - self._started > self._max_seconds)]))
        if late.item():
            logger.info("max_seconds=%g is over: stopped after step %d", self._max_seconds, state.global_step)
            control.should_training_stop = True
            control.should_log = True

    def on_evaluate(self, *_: Any, **_more: Any) -> None:
        """A look at held-out questions has ended."""
        self._leave_out()

    def on_save(self, *_: Any, **_more: Any) -> None:
        """A checkpoint has been written."""
        self._leave_out()

    def on_log(
        self, _args: Any, state: TrainerState, _control: Any, logs: dict[str, float] | None = None, **_more: Any
    ) -> None:
        """Record losses and throughput."""
        if not logs or "loss" not in logs:
            return
        speed = self._speed()
        metrics = {TRAINING_NAMES[name]: float(value) for name, value in logs.items() if name in TRAINING_NAMES}
        self.record(state.global_step, {**metrics, "train/epoch": self._epoch(state), **speed})
        step, rate = f"step {state.global_step}/{state.max_steps}", speed["speed/questions_per_s"]
        logger.info("%s  loss %.4f  %.0f questions/s", step, logs["loss"], rate)

    def _epoch(self, state: TrainerState) -> float:
        return float(state.epoch or 0) if self._steps_per_epoch is None else state.global_step / self._steps_per_epoch

    def _leave_out(self) -> None:
        """The time since the last mark was no training."""
        now = time.monotonic()
        self._paused_s += now - self._mark
        self._mark = now

    def _speed(self) -> dict[str, float]:
        now = time.monotonic()
        times = torch.tensor([now - self._window - self._paused_s, self._waiting_s, 1.0], dtype=torch.float64)
        elapsed_s, waiting_s, processes, *counts = _over_processes(torch.cat([times, self._counts()])).tolist()
        self._window, self._waiting_s, self._paused_s, self._work = now, 0.0, 0.0, None
        work = Work(*(int(count) for count in counts))
        per_process_s = max(elapsed_s / processes, 1e-9)
        return {
            "speed/questions_per_s": work.questions / per_process_s,
            "speed/tokens_per_s": work.tokens / per_process_s,
            "speed/answer_tokens_per_s": work.answer_tokens / per_process_s,
            "speed/padding_share": 1 - work.tokens / max(work.places, 1),
            "speed/data_loading_share": min(1.0, waiting_s / max(elapsed_s, 1e-9)),
            "speed/peak_memory_gib": _over_processes(torch.tensor([peak_memory_bytes()]), "max").item() / GIB,
            **self._utilization(work, max(elapsed_s, 1e-9)),
        }

    def _counts(self) -> torch.Tensor:
        return torch.zeros(7, dtype=torch.float64) if self._work is None else self._work.cpu().double()

    def _utilization(self, work: Work, elapsed_s: float) -> dict[str, float]:
        """Shares of the peak of all devices over their time; see finetune.flops for what is counted."""
        if self._flops is None or self._peak_flops is None:
            return {}
        flops, possible = self._flops.of(work), self._peak_flops * elapsed_s
        return {
            "speed/mfu": (flops.vision + flops.language) / possible,
            "speed/mfu_vision": flops.vision / possible,
            "speed/mfu_language": flops.language / possible,
            "speed/mfu_attention": flops.attention / possible,
        }


def peak_memory_bytes() -> float:
    """The most memory that this process has held: of the GPU where there is one, else of the machine."""
    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated())
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def _over_processes(values: torch.Tensor, how: Literal["sum", "max"] = "sum") -> torch.Tensor:
    """The sum or the greatest over the processes of a distributed training."""
    if not _distributed():
        return values
    reduced = values.to("cuda" if torch.distributed.get_backend() == "nccl" else "cpu")
    operation = torch.distributed.ReduceOp.SUM if how == "sum" else torch.distributed.ReduceOp.MAX
    torch.distributed.all_reduce(reduced, op=operation)
    return reduced.cpu()


def _rank() -> int:
    return torch.distributed.get_rank() if _distributed() else 0


def _distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _short(name: str) -> str:
    return name.removeprefix("train/").removeprefix("speed/")
