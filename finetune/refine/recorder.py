"""Where the numbers of a refinement go: MLflow, RUN/log.jsonl, and a line for people."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState

from drive_vqa.tracking import Run
from finetune.training_log import TrainingLog

logger = logging.getLogger(__name__)

HELD_OUT = "eval_"
"""Before the names of what TRL says of held-out questions."""
LEFT_OUT = frozenset({"epoch", "total_flos", "step"})


class Recorder(TrainerCallback):  # type: ignore[misc]
    """Takes what TRL logs; a resumed run goes on where its checkpoint was."""

    def __init__(self, run: Run, log: Path) -> None:
        """Prepare.

        Args:
            run: of MLflow.
            log: JSON lines.
        """
        self._run = run
        self._log = TrainingLog(log)

    def on_train_begin(self, _args: Any, state: TrainerState, _control: TrainerControl, **_more: Any) -> None:
        """Drop what will be recorded again."""
        if state.is_world_process_zero:
            self._log.keep_until(state.global_step or -1)  # from the start there is nothing to keep

    def on_log(
        self, _args: Any, state: TrainerState, _control: Any, logs: dict[str, Any] | None = None, **_more: Any
    ) -> None:
        """Record a step, or a look at held-out questions."""
        if not state.is_world_process_zero or not logs or "train_runtime" in logs:
            return
        numbers = {_named(name): float(value) for name, value in logs.items() if _is_kept(name, value)}
        self._run.log_metrics(numbers, step=state.global_step)
        self._log.write(state.global_step, numbers)
        logger.info("step %d/%d  %s", state.global_step, state.max_steps, _line(numbers))


def _is_kept(name: str, value: Any) -> bool:
    return name not in LEFT_OUT and isinstance(value, int | float)


def _named(name: str) -> str:
    """TRL's names, with a folder for held-out questions as for all else that MLflow groups."""
    return f"held_out/{name.removeprefix(HELD_OUT)}" if name.startswith(HELD_OUT) else name


def _line(numbers: Mapping[str, float]) -> str:
    shown = ("reward", "held_out/reward", "kl", "completions/mean_length", "step_time", "time/generation_s")
    return "  ".join(f"{name} {numbers[name]:.3g}" for name in shown if name in numbers)
