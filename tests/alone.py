"""The command line in a process of its own."""

from __future__ import annotations

import subprocess
import sys


def run_alone(*arguments: object) -> None:
    """Without the run-time type checks, which make drawing, reading and asking several times slower."""
    command = [sys.executable, "-m", "drive_vqa.cli", *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
