"""How long `drive-vqa --help` takes, beside an interpreter that does nothing: `python -m drive_vqa.cli.benchmark`."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 15


def _seconds(arguments: list[str]) -> list[float]:
    """Wall time of each run, after one that warms the file cache."""
    times_s = []
    for _ in range(RUNS + 1):
        started = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        times_s.append(time.perf_counter() - started)
    return times_s[1:]


def main() -> None:
    """Print median, quartiles and the ratio."""
    bare_s = _seconds(["-c", "pass"])
    for name, arguments in (
        ("--help", ["-m", "drive_vqa.cli", "--help"]),
        ("import drive_vqa", ["-c", "import drive_vqa"]),
    ):
        times_s = _seconds(arguments)
        low_s, middle_s, high_s = statistics.quantiles(times_s, n=4)
        ratio = middle_s / statistics.median(bare_s)
        print(f"{name:<18} {middle_s:.3f} s (quartiles {low_s:.3f} to {high_s:.3f}), {ratio:.1f}× a bare interpreter")


if __name__ == "__main__":
    main()
