"""The experiment: rows of `experiment_rows`, each command line run by itself as a user would run it.

    OUT/NAME[-SEED]/commands.json   which of the row's command lines are done, and how long each took
    OUT/NAME[-SEED]/log.txt         what they said
    OUT/made_with.json              the base and the recipes that the rows are of

A command line that is done is not run again; the first that is not, or that differs, is, and all behind it. What was cut goes on
as the command itself does. To make a row anew, delete its folder and those of the rows after it.
"""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drive_vqa.cli.experiment_rows import ROWS, Row
from drive_vqa.cli.made_with import hold_made_with
from drive_vqa.errors import ConfigError, DriveVqaError, StoreError
from drive_vqa.locks import hold
from drive_vqa.store import read_json_object, write_json

logger = logging.getLogger(__name__)

DONE, LOG, LOCK = "commands.json", "log.txt", ".lock"
FIRST_SEED = 0
"""Rows without seeds are made from what has this one."""


@dataclass(frozen=True)
class Places:
    """What stands for the names in command lines.

    Attributes:
        bench: folder of the bench.
        out: folder of the experiment.
        real: folder with recorded driving, where it is at hand.
    """

    bench: Path
    out: Path
    real: Path | None = None

    def words(self, command: str, seed: int) -> list[str]:
        """A command line as the words of a process."""
        named = {"bench": self.bench, "out": self.out, "train": self.out / "train" / "store", "real": self.real}
        return [word.format(**named, seed=seed) for word in shlex.split(command)]


@dataclass(frozen=True)
class Job:
    """A row, with one seed."""

    row: Row
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.row.name}-{self.seed}" if self.row.has_seeds else self.row.name


def experiment(places: Places, rows: Sequence[str], seeds: Sequence[int]) -> int:
    """Make rows, and what they are made from.

    Args:
        places: what stands for the names in command lines.
        rows: by name; none: all.
        seeds: of the rows that have seeds.

    Returns:
        1 where a row could not be made, else 0.

    Raises:
        ConfigError: there is no such row, no bench, recorded driving is needed, or rows are there that were made otherwise.
    """
    jobs = jobs_of(rows, seeds, has_real=places.real is not None)
    if not (places.bench / "bench.json").is_file():
        raise ConfigError(f"{places.bench} holds no bench: run `drive-vqa bench --out {places.bench}`")
    hold_made_with(places.out)
    failed: set[str] = set()
    for number, job in enumerate(jobs, 1):
        lacks = sorted(one.name for one in _made_from(job) if one.name in failed)
        logger.info("[%d/%d] %s", number, len(jobs), job.name)
        try:
            if lacks:
                raise DriveVqaError(f"{job.name} needs {', '.join(lacks)}, which failed")
            make(job, places)
        except DriveVqaError as error:
            logger.warning("%s", error)
            failed.add(job.name)
    logger.info("experiment: %d rows made, %d failed", len(jobs) - len(failed), len(failed))
    return 1 if failed else 0


def jobs_of(names: Sequence[str], seeds: Sequence[int], *, has_real: bool) -> list[Job]:
    """The rows of these names and all that they are made from, in order.

    Raises:
        ConfigError: there is no such row, or it needs recorded driving.
    """
    known = {row.name: row for row in ROWS}
    for name in names:
        if name not in known:
            raise ConfigError(f"there is no row {name!r}: choose from {', '.join(known)}")
        if known[name].needs_real and not has_real:
            raise ConfigError(f"row {name} needs recorded driving: give its folder as --real")
    chosen = [known[name] for name in names] or [row for row in ROWS if has_real or not row.needs_real]
    wanted = {
        job
        for row in chosen
        for seed in (seeds if row.has_seeds else (FIRST_SEED,))
        for job in _closure(Job(row, seed))
    }
    places = {row.name: place for place, row in enumerate(ROWS)}
    return sorted(wanted, key=lambda job: (places[job.row.name], job.seed))


def _closure(job: Job) -> set[Job]:
    return {job}.union(*(_closure(one) for one in _made_from(job)))


def _made_from(job: Job) -> list[Job]:
    """The jobs that a job needs at once."""
    rows = [row for row in ROWS if row.name in job.row.after]
    return [Job(row, job.seed if row.has_seeds else FIRST_SEED) for row in rows]


def make(job: Job, places: Places) -> None:
    """Run what is not done of a row.

    Raises:
        DriveVqaError: a command ended with another status than 0.
        ConfigError: another process is at work on the row.
        StoreError: what is done cannot be read.
    """
    folder = places.out / job.name
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder) as lock:
        done = finished(job, places)
        for command in job.row.commands[len(done) :]:
            words = places.words(command, job.seed)
            logger.info("  drive-vqa %s", shlex.join(words))
            started = time.monotonic()
            status = _run(words, folder / LOG, lock)
            if status:
                raise DriveVqaError(
                    f"{job.name}: `drive-vqa {shlex.join(words)}` ended with status {status}; what it said is in {folder / LOG}: "
                    "mend that and run the same command again"
                )
            done.append({"command": shlex.join(words), "wall_s": round(time.monotonic() - started, 1)})
            write_json(folder / DONE, {"done": done})


def finished(job: Job, places: Places) -> list[dict[str, Any]]:
    """The command lines of a row that are done, from the first on.

    Raises:
        StoreError: the file that tells cannot be read.
    """
    told = _read_done(places.out / job.name / DONE)
    wanted = [shlex.join(places.words(command, job.seed)) for command in job.row.commands]
    same = [one["command"] == line for one, line in zip(told, wanted, strict=False)]
    return told[: same.index(False) if False in same else len(same)]


def _read_done(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    done = read_json_object(path).get("done")
    if not isinstance(done, list) or not all(
        isinstance(one, dict) and isinstance(one.get("command"), str) and isinstance(one.get("wall_s"), (int, float))
        for one in done
    ):
        raise StoreError(f"{path} does not tell what is done: delete it and run again")
    return done


@contextmanager
def _alone(folder: Path) -> Iterator[int]:
    """Hold the folder of a row; a command that outlives this process holds it too."""
    lock = os.open(folder / LOCK, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        hold(lock, f"another process is at work in {folder}: wait for its end")
        yield lock
    finally:
        os.close(lock)


def _run(words: Sequence[str], log: Path, lock: int) -> int:
    """Run one command; what it says is added to the log."""
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ drive-vqa {shlex.join(words)}\n")
        file.flush()
        process = [sys.executable, "-m", "drive_vqa.cli", *words]
        return subprocess.run(process, stdout=file, stderr=subprocess.STDOUT, pass_fds=(lock,), check=False).returncode  # noqa: S603 - our own command


def listed(places: Places, rows: Sequence[str], seeds: Sequence[int]) -> str:
    """The rows that would be made, what of them is done, and their command lines.

    Raises:
        ConfigError: see `jobs_of`.
    """
    lines = []
    for job in jobs_of(rows, seeds, has_real=places.real is not None):
        done = finished(job, places)
        minutes = sum(one["wall_s"] for one in done) / 60
        lines.append(f"{job.name}: {job.row.title}; {len(done)} of {len(job.row.commands)} done, {minutes:.1f} min")
        lines += [f"    {printed(command)}" for command in job.row.commands]
    return "\n".join(lines)


def printed(command: str) -> str:
    """A command line as people read it."""
    return "drive-vqa " + command.format(bench="BENCH", out="OUT", train="OUT/train/store", real="DATA", seed="SEED")


def write_page(places: Places, path: Path) -> None:
    """The page of results of what is there, of all seeds.

    Raises:
        StoreError: an evaluation or a comparison is damaged.
    """
    from eval.results import Entry, write_results

    entries = [
        Entry(row.name, row.part, row.title, tuple(map(printed, row.commands)), _folders(row, places.out))
        for row in ROWS
    ]
    write_results(entries, path)
    logger.info("results: %s", path)


def _folders(row: Row, out: Path) -> dict[str, Path]:
    """Of each seed that was begun, in order."""
    if not row.has_seeds:
        return {"": out / row.name}
    seeds = [path.name.removeprefix(f"{row.name}-") for path in out.glob(f"{row.name}-*")]
    return {seed: out / f"{row.name}-{seed}" for seed in sorted((one for one in seeds if one.isdecimal()), key=int)}
