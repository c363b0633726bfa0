"""Whether a long training keeps its size: resident memory and open files over the steps."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from transformers import TrainerCallback, TrainerState

from finetune.benchmark_training import Bench, train_ours

SETTLED_STEPS = 200
"""Before, allocators and caches still grow."""

MIB = 2**20


class Footprint(TrainerCallback):  # type: ignore[misc]
    """Reads the size of this process after each step, where the system tells it (Linux)."""

    def __init__(self) -> None:
        self.resident_mib: list[float] = []
        self.open_files: list[int] = []

    def on_step_end(self, _args: Any, state: TrainerState, _control: Any, **_more: Any) -> None:
        """Take the figures, and print some."""
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        self.resident_mib.append(pages * os.sysconf("SC_PAGESIZE") / MIB)
        self.open_files.append(len(list(Path("/proc/self/fd").iterdir())))
        if state.global_step % 100 == 0:
            print(f"step {state.global_step:5}  {self.resident_mib[-1]:8.1f} MiB  {self.open_files[-1]} open files")

    def growth_kib_per_step(self) -> float:
        """Slope of a line through the resident memory, after it has settled."""
        settled = np.array(self.resident_mib[SETTLED_STEPS:])
        return float(np.polyfit(np.arange(len(settled)), settled, 1)[0] * 1024)


def print_memory(bench: Bench) -> None:
    """Train, and say how the size of the process changed."""
    footprint = Footprint()
    train_ours(bench, "memory", (footprint,))
    grown = footprint.resident_mib[-1] - footprint.resident_mib[SETTLED_STEPS]
    print(
        f"memory after step {SETTLED_STEPS}: {footprint.growth_kib_per_step():+.2f} KiB a step, {grown:+.1f} MiB in all"
    )
    files = footprint.open_files
    print(f"open files: {files[0]} after the first step, {max(files)} at most, {files[-1]} after the last")
