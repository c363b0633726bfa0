"""Questions a second, memory and bytes, from cached tracks: `python -m qa_gen.benchmark STORE [--questions N] [--plot FILE]`.

The logs of a store that has tracks (a nuScenes folder's, or that of `drive-vqa demo`) are copied under new names until there are
enough of them. Names decide what is drawn, so every copy gets other marks, wordings and options.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from drive_vqa.store import Store
from qa_gen.ask import ask
from qa_gen.config import GenerateConfig
from qa_gen.drive import Drive, join_drives, read_drive
from qa_gen.generate import BATCH_LOGS, by_log
from qa_gen.hashing import mix, text_hash

COPIED = ("logs", "frames", "sensor_data", "tracks", "map_elements")
SIZES = 4
REPEATS = 5


@dataclass(frozen=True)
class Run:
    """One call of `drive-vqa generate`."""

    logs: int
    workers: int
    questions: int
    seconds: float
    bytes_each: float
    memory_mb: float
    """Greatest resident set of the largest process, times the number of processes."""


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--questions", type=float, default=1e6, help="of the largest run (STRIDE-QA has 16.4e6)")
    parser.add_argument("--plot", type=Path, help="PNG of time against logs")
    arguments = parser.parse_args()
    source = Store.open(arguments.store)
    per_log = _one_core(source)
    most = max(SIZES, round(arguments.questions / per_log))
    runs = []
    with tempfile.TemporaryDirectory(dir=arguments.store.parent) as folder:
        root = Path(folder) / "store"
        _copy(source, root, 0, most // SIZES)
        _print(_run(source, root, most // SIZES, workers=1))
        for size in range(1, SIZES + 1):
            _copy(source, root, most * (size - 1) // SIZES, most * size // SIZES)
            runs.append(_run(source, root, most * size // SIZES, workers=2))
            _print(runs[-1])
    print(f"time per log: {', '.join(f'{1000 * run.seconds / run.logs:.1f}' for run in runs)} ms")
    if arguments.plot:
        _plot(runs, arguments.plot)


def _one_core(source: Store) -> float:
    """Questions a second of one process that has the tracks in memory, Parquet written; returns questions a log."""
    drives = [read_drive(source, log_id) for log_id in source.log_ids("tracks")]
    drives = [drive for drive in drives if drive.pictures.keys() == drives[0].pictures.keys()]
    batch = [_renamed(drives[number % len(drives)], number) for number in range(BATCH_LOGS)]
    config = GenerateConfig(need_images=_has_images(drives[0]))
    seconds, count = [], 0
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(REPEATS):
            started = time.perf_counter()
            count = _ask_and_write(batch, config, Path(folder))
            seconds.append(time.perf_counter() - started)
    best, middle = min(seconds), sorted(seconds)[REPEATS // 2]
    print(
        f"one core, tracks in memory, Parquet written: {count:,} questions of {BATCH_LOGS} logs, "
        f"{count / middle:,.0f} a second (best of {REPEATS}: {count / best:,.0f})"
    )
    return count / BATCH_LOGS


def _ask_and_write(batch: Sequence[Drive], config: GenerateConfig, folder: Path) -> int:
    drive = join_drives(batch)
    groups, questions = ask(drive, ["train"] * len(batch), config)
    store = Store(folder)
    for name, table in (("groups", groups), ("questions", questions)):
        for log_id, own in by_log(table).items():
            store.write(name, log_id, own, "benchmark")
    return int(questions.num_rows)


def _renamed(drive: Drive, number: int) -> Drive:
    log_id = f"{drive.log_ids[0]}-{number}"
    return replace(drive, log_ids=(log_id,), moment_hash=mix(text_hash(log_id), drive.frame))


def _has_images(drive: Drive) -> bool:
    return any(path is not None for picture in drive.pictures.values() for path in picture.path)


def _run(source: Store, root: Path, logs: int, workers: int) -> Run:
    store = Store(root)
    command = [sys.executable, "-m", "drive_vqa.cli", "generate", str(root), "--workers", str(workers)]
    started = time.perf_counter()
    subprocess.run([*command, f"need_images={_wants_images(source)}"], check=True, stderr=subprocess.DEVNULL)  # noqa: S603
    seconds = time.perf_counter() - started
    memory_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    files = [store.path("questions", log_id) for log_id in store.log_ids("questions")]
    questions = sum(pq.read_metadata(path).num_rows for path in files)
    bytes_each = sum(path.stat().st_size for path in files) / questions
    for table in ("groups", "questions"):
        shutil.rmtree(root / table)
    return Run(logs, workers, questions, seconds, bytes_each, memory_mb)


def _wants_images(source: Store) -> str:
    drive = read_drive(source, source.log_ids("tracks")[0])
    return str(_has_images(drive)).lower()


def _copy(source: Store, root: Path, first: int, end: int) -> None:
    """Copies of logs with the numbers from `first` up to `end`."""
    store = Store.create(root)
    names = source.log_ids("tracks")
    tables = {name: list(_tables(source, name)) for name in names}
    for number in range(first, end):
        for table, data in tables[names[number % len(names)]]:
            log_id = f"copy-{number:05d}"
            index = data.schema.get_field_index("log_id")
            ids = pa.array([log_id] * data.num_rows, pa.string())
            store.write(table, log_id, data.set_column(index, data.schema.field(index), ids), "benchmark")


def _tables(source: Store, log_id: str) -> Iterator[tuple[str, pa.Table]]:
    for table in COPIED:
        if source.path(table, log_id).exists():
            yield table, source.read(table, log_id)


def _print(run: Run) -> None:
    print(
        f"{run.logs:>6,} logs, {run.workers} workers: {run.questions:>11,} questions in {run.seconds:6.1f} s, "
        f"{run.questions / run.seconds:>9,.0f} a second, {run.bytes_each:.1f} bytes each, "
        f"largest process {run.memory_mb:,.0f} MB",
        flush=True,
    )


def _plot(runs: Sequence[Run], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4))
    axes.plot([run.logs for run in runs], [run.seconds for run in runs], "o-")
    axes.set(xlabel="logs", ylabel="seconds, two workers", xlim=(0, None), ylim=(0, None))
    figure.savefig(path, dpi=150, bbox_inches="tight")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
