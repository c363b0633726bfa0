"""The folder of a run: new, or one to go on in; and one training at a time in it, since two would mix checkpoints and logs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drive_vqa.errors import ConfigError
from drive_vqa.locks import hold
from drive_vqa.vlm import RUN_FILE
from finetune.adapter import ADAPTER, MODEL
from finetune.dense.progress import KEPT

LOCK = ".lock"

_held: set[int] = set()


def prepare_folder(out: Path, *, resume: bool) -> None:
    """Make the folder of a run.

    Args:
        out: the folder.
        resume: whether there may be a run in it.

    Raises:
        ConfigError: there is one, or `out` is a file.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file: give --out a new folder")
    used = any((out / name).exists() for name in (ADAPTER, MODEL, RUN_FILE, KEPT))
    if (used or any(out.glob("checkpoints/checkpoint-*"))) and not resume:
        raise ConfigError(f"{out} holds a run already: give --out a new folder, or --resume to go on with it")
    out.mkdir(parents=True, exist_ok=True)


@contextmanager
def only_run(out: Path, *, is_main_process: bool) -> Iterator[None]:
    """Hold a run folder; the system lets go of it when the process ends, however it does.

    Args:
        out: the folder, which exists.
        is_main_process: the others of a distributed training do not hold it.

    Raises:
        ConfigError: another process holds it.
    """
    if not is_main_process:
        yield
        return
    lock = os.open(out / LOCK, os.O_WRONLY | os.O_CREAT, 0o644)
    _held.add(lock)
    try:
        hold(lock, f"another training is at work in {out}: wait for its end, or give --out a new folder")
        _sweep(out)
        yield
    finally:
        _held.discard(lock)
        os.close(lock)


def _sweep(out: Path) -> None:
    """Drop what a killed training was writing."""
    for partial in [*out.glob(".*.tmp"), *out.glob("*/.*.tmp")]:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


def _let_go() -> None:
    """Workers that load data are forks, and those of a killed training live on for a while: they must not hold its folder."""
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_let_go)
