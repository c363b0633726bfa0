"""The record in a checkpoint: what the checkpoint was made from, and the size and digest of each of its files.

    CHECKPOINT/checkpoint.json
        step       optimizer steps done: the number of the next step in the plan of the training
        origin     settings, digests of data and base, processes, kind of device
        versions   of the programs that wrote it
        files      {path in the checkpoint: {bytes, sha256}}

It is written last, so a checkpoint with a record that its files agree with is whole.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from drive_vqa._version import __version__
from drive_vqa.config import flatten, to_dict
from drive_vqa.errors import ConfigError
from drive_vqa.store import file_sha256, write_json
from finetune.config import FinetuneConfig

logger = logging.getLogger(__name__)

RECORD = "checkpoint.json"
LIBRARIES = ("torch", "transformers", "peft")

FREE_SETTINGS = frozenset(
    {
        "workers",
        "cache_images",
        "gradient_checkpointing",
        "log_steps",
        "checkpoint_steps",
        "max_seconds",
        "probe_steps",
        "evaluation.samples",
        "show_steps",
    }
)
"""Settings that change how a training runs or is watched, and not what comes out of it.

The number of steps is not among them: the learning rate falls to 0 over all steps, and the plan of the data is made for them.
Nor is how often held-out questions are looked at, which decides which adapter is kept.
"""

SPLIT_OF_A_STEP = ("batch_size", "gradient_accumulation")
"""How the rows of a step are shared out, together with the number of processes: free as long as a step has as many rows."""


MENDS = {
    "dataset_digest": "put back the questions, groups and tracks that it began with",
    "base_digest": "put back the model or adapter that it began with",
    "device": "take the device that it began on",
}
"""What to do where other things than settings differ."""


class DamagedError(ValueError):
    """A checkpoint is not whole; the message says why."""


@dataclass(frozen=True)
class Origin:
    """What a training is made from: two trainings of equal origin take the same steps.

    Attributes:
        settings: all settings, flat, see `drive_vqa.config.flatten`.
        dataset_digest: of what is learned.
        base_digest: of the model's weights at the start.
        processes: that train together.
        device: kind of device, `cpu` or `cuda`; they round differently.
        dense_digest: of the weights after the dense lessons, where there were some.
    """

    settings: Mapping[str, Any]
    dataset_digest: str
    base_digest: str
    processes: int
    device: str
    dense_digest: str | None = None

    def __post_init__(self) -> None:
        if self.processes < 1:
            raise ValueError("processes must be at least 1")

    @property
    def rows_per_step(self) -> int:
        """Rows of one optimizer step, over all batches and processes."""
        rows = self.processes
        for name in SPLIT_OF_A_STEP:
            rows *= int(self.settings.get(name, 1))
        return rows


@dataclass(frozen=True)
class Record:
    """A record that has been read and parsed."""

    step: int
    origin: Mapping[str, Any]
    versions: Mapping[str, str]
    files: Mapping[str, Mapping[str, Any]]


def write_record(checkpoint: Path, step: int, origin: Origin) -> None:
    """Record all files of a checkpoint folder, in that folder.

    Args:
        checkpoint: folder, everything else in it written.
        step: optimizer steps done.
        origin: of the training.
    """
    paths = sorted(path for path in checkpoint.rglob("*") if path.is_file())
    with ThreadPoolExecutor() as threads:  # hashing lets other threads run
        digests = list(threads.map(file_sha256, paths))
    files = {
        path.relative_to(checkpoint).as_posix(): {"bytes": path.stat().st_size, "sha256": digest}
        for path, digest in zip(paths, digests, strict=True)
    }
    content = {"step": step, "origin": asdict(origin), "versions": _versions(), "files": files}
    write_json(checkpoint / RECORD, content)


def read_record(checkpoint: Path) -> Record:
    """The record of a checkpoint, after a look at whether its files agree with it.

    Raises:
        DamagedError: they do not, or there is no usable record.
    """
    record = _parsed(checkpoint / RECORD)
    with ThreadPoolExecutor() as threads:
        for complaint in threads.map(lambda item: _complaint(checkpoint, *item), record.files.items()):
            if complaint:
                raise DamagedError(complaint)
    return record


def check_origin(checkpoint: Path, record: Record, origin: Origin) -> None:
    """Refuse to go on from a checkpoint of another training; warn where only rounding can differ.

    Raises:
        ConfigError: names what differs.
    """
    for name, then, now in _differences(record.origin, origin):
        mend = MENDS.get(name, "--resume without settings goes on with those in config.yaml of the run")
        raise ConfigError(
            f"{checkpoint} was made with {name}={then}, and this run has {name}={now}: {mend}, and a new --out starts anew"
        )
    if record.origin["processes"] != origin.processes:
        was = f"{record.origin['processes']} process(es), and this run has {origin.processes}"
        logger.warning("%s was made by %s: the steps hold the same rows, but dropout differs", checkpoint, was)
    if record.versions != _versions():
        was = ", ".join(f"{name} {number}" for name, number in record.versions.items())
        logger.warning("%s was written by %s: with other versions losses can differ a little", checkpoint, was)


def check_dense(checkpoint: Path, dense: Path, digest: str) -> None:
    """Refuse to go on from a checkpoint on other weights than it was made on: it holds what questions have changed alone.

    Args:
        checkpoint: whole.
        dense: the model after the dense lessons.
        digest: of its weights.

    Raises:
        ConfigError: they are others.
    """
    if _parsed(checkpoint / RECORD).origin.get("dense_digest") != digest:
        raise ConfigError(f"{dense} is not what {checkpoint} was made on: put that back, or give --out a new folder")


def _differences(then: Mapping[str, Any], origin: Origin) -> Iterator[tuple[str, Any, Any]]:
    """(name, value then, value now) of all that must be equal and is not."""
    before = Origin(**then)
    usual = json.loads(json.dumps(flatten(to_dict(FinetuneConfig()))))  # of settings that an older version did not have
    now = json.loads(json.dumps(asdict(origin)))  # tuples become lists, as they did in the record
    for name in sorted(set(before.settings) | set(now["settings"])):
        one, other = before.settings.get(name, usual.get(name)), now["settings"].get(name, usual.get(name))
        if one != other and name not in FREE_SETTINGS and name not in SPLIT_OF_A_STEP:
            yield name, json.dumps(one), json.dumps(other)
    for name in ("dataset_digest", "base_digest", "device"):
        if then[name] != now[name]:
            yield name, then[name], now[name]
    if before.rows_per_step != origin.rows_per_step:
        product = "batch_size × gradient_accumulation × processes"
        yield product, before.rows_per_step, origin.rows_per_step


def _parsed(path: Path) -> Record:
    """Parse a record, which may come from anywhere."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        record = Record(**content)
        Origin(**record.origin)
        for name, entry in record.files.items():
            if Path(name).is_absolute() or ".." in Path(name).parts or set(entry) != {"bytes", "sha256"}:
                raise ValueError(f"strange file {name!r}")
    except FileNotFoundError as error:
        raise DamagedError(f"it has no {RECORD}") from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DamagedError(f"its {RECORD} cannot be read ({' '.join(str(error).split())[:200]})") from error
    if path.parent.name != f"checkpoint-{record.step}":
        raise DamagedError(f"its {RECORD} is that of step {record.step}")
    return record


def _complaint(checkpoint: Path, name: str, entry: Mapping[str, Any]) -> str | None:
    path = checkpoint / name
    if not path.is_file():
        return f"{name} is missing"
    size = path.stat().st_size
    if size != entry["bytes"]:
        return f"{name} has {size} bytes instead of {entry['bytes']}"
    return None if file_sha256(path) == entry["sha256"] else f"{name} has other contents than were written"


def _versions() -> dict[str, str]:
    return {"drive-vqa": __version__, **{name: version(name) for name in LIBRARIES}}
