"""Training once for every combination of some settings.

    RUN/sweep.json     which children there are, what became of them, and the best: what --resume goes on from
    RUN/sweep.csv      the same as a table
    RUN/<name>/        a child's own run folder

In MLflow the children are nested in one run of the sweep.
"""

from __future__ import annotations

import csv
import gc
import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Literal

from drive_vqa._version import __version__
from drive_vqa.config import to_dict
from drive_vqa.errors import ConfigError, DriveVqaError
from drive_vqa.store import replacing, write_json
from drive_vqa.tracking import TrackedRun, config_digest, mlflow_run
from finetune.config import FinetuneConfig, load_recipe

logger = logging.getLogger(__name__)

JSON_FILE, CSV_FILE = "sweep.json", "sweep.csv"
LOSSES = ("eval/loss", "train/loss")
"""What children are compared by: the first of these that all finished ones have."""
NAME_LENGTH = 100

Train = Callable[[FinetuneConfig, Path, bool], Mapping[str, float]]
"""(settings, run folder, whether to resume) → last losses."""


@dataclass(frozen=True)
class Axis:
    """A setting and the values to try, both as on the command line."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """A child and what became of it.

    Attributes:
        name: its folder in the sweep's.
        overrides: what sets it apart, as `key=value`.
        config_hash: of all its settings.
        metrics: last losses; empty unless finished.
        error: why it failed.
    """

    name: str
    overrides: tuple[str, ...]
    config_hash: str
    status: Literal["waiting", "finished", "failed"] = "waiting"
    metrics: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True)
class SweepResult:
    """All children, in the order of their combinations."""

    rows: tuple[Row, ...]

    @property
    def failed(self) -> int:
        """How many could not be trained."""
        return sum(row.status == "failed" for row in self.rows)

    @property
    def compared_by(self) -> str | None:
        """The loss that all finished children have."""
        finished = [row for row in self.rows if row.status == "finished"]
        return next((name for name in LOSSES if finished and all(name in row.metrics for row in finished)), None)

    @property
    def best(self) -> str | None:
        """The finished child of the lowest loss."""
        loss = self.compared_by
        finished = [row for row in self.rows if row.status == "finished"]
        return None if loss is None else min(finished, key=lambda row: row.metrics[loss]).name


@dataclass(frozen=True)
class _Child:
    config: FinetuneConfig
    row: Row


def parse_axes(texts: Iterable[str]) -> tuple[Axis, ...]:
    """`key.sub=a,b,c` each; commas in brackets do not part values.

    Raises:
        ConfigError: one is of another form, has a value twice, or names a setting that another one names.
    """
    axes = tuple(_parse_axis(text) for text in texts)
    keys = [axis.key for axis in axes]
    if len(set(keys)) < len(keys):
        raise ConfigError(
            f"--sweep names {next(key for key in keys if keys.count(key) > 1)} twice: give all values in one"
        )
    return axes


def sweep(
    recipe: str,
    overrides: Sequence[str],
    axes: Sequence[Axis],
    *,
    out: Path,
    train: Train,
    resume: bool = False,
    tracking_uri: str | None = None,
) -> SweepResult:
    """Train once for every combination, one after another; one that fails does not stop the others.

    Args:
        recipe: name or file.
        overrides: for all children.
        axes: what to try.
        out: folder of the sweep; new unless `resume`.
        train: trains one child; an MLflow run that it opens is nested in the sweep's.
        resume: leave out children that are finished, and go on with one that was broken off.
        tracking_uri: MLflow store; default: in `out`.

    Raises:
        ConfigError: a combination is no valid config (before any is trained), or `out` holds another sweep.
    """
    children = _children(recipe, overrides, axes)
    rows = _begin(out, children, resume=resume)
    settings = {
        **{axis.key: ",".join(axis.values) for axis in axes},
        "recipe": recipe,
        "overrides": " ".join(overrides),
    }
    with mlflow_run(
        out, "sweep", tracking_uri=tracking_uri, params=settings, tags={"code_version": __version__}, resume=resume
    ) as run:
        for index, child in enumerate(children):
            if rows[index].status != "finished":
                logger.info("%d of %d: %s", index + 1, len(children), child.row.name)
                rows[index] = _train_child(child, out / child.row.name, train, resume=resume)
                _save(SweepResult(tuple(rows)), out)
        result = SweepResult(tuple(rows))
        _log(result, run, out)
    return result


def _parse_axis(text: str) -> Axis:
    key, equals, rest = text.partition("=")
    values = tuple(value.strip() for value in re.split(r",(?![^\[{]*[\]}])", rest))
    if not key or not equals or not all(values):
        raise ConfigError(f"--sweep {text!r} must have the form key.sub=value,value")
    if len(set(values)) < len(values):
        raise ConfigError(f"--sweep {text!r} has a value twice: each is trained once")
    return Axis(key.strip(), values)


def _children(recipe: str, overrides: Sequence[str], axes: Sequence[Axis]) -> list[_Child]:
    """All combinations as checked configs."""
    children = []
    for values in product(*(axis.values for axis in axes)):
        own = tuple(f"{axis.key}={value}" for axis, value in zip(axes, values, strict=True))
        config = load_recipe(recipe, [*overrides, *own])
        children.append(_Child(config, Row(_name(own), own, config_digest(to_dict(config)))))
    names = [child.row.name for child in children]
    if len(set(names)) < len(names):
        raise ConfigError(
            f"two children of the sweep would have the name {max(names, key=names.count)}: use fewer axes"
        )
    return children


def _name(overrides: Sequence[str]) -> str:
    """A folder's name that says what sets a child apart, e.g. `rank=8,language=1e-5`."""
    parts = []
    for override in overrides:
        key, _, value = override.partition("=")
        parts.append(f"{key.rpartition('.')[2]}={value}")
    name = re.sub(r"[^\w.,=+-]+", "_", ",".join(parts)).strip(".")
    digest = config_digest({"overrides": list(overrides)})[:8]
    return name if len(name) <= NAME_LENGTH else f"{name[:NAME_LENGTH]}-{digest}"


def _begin(out: Path, children: Sequence[_Child], *, resume: bool) -> list[Row]:
    """The state of each child; what an earlier call has finished counts when it had the same settings."""
    known = _read(out)
    if known and not resume:
        raise ConfigError(f"{out} holds a sweep already: give --out a new folder, or --resume to go on with it")
    rows = []
    for child in children:
        before = known.get(child.row.name, child.row)
        if before.config_hash != child.row.config_hash:
            raise ConfigError(f"{out / before.name} was trained with other settings: give --out a new folder")
        rows.append(before if before.status == "finished" else child.row)
    return rows


def _read(out: Path) -> dict[str, Row]:
    file = out / JSON_FILE
    if not file.exists():
        return {}
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))["children"]
        return {row["name"]: Row(**{**row, "overrides": tuple(row["overrides"])}) for row in rows}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file} cannot be read ({error}): give --out a new folder") from error


def _train_child(child: _Child, out: Path, train: Train, *, resume: bool) -> Row:
    row = asdict(child.row)
    try:
        metrics = train(child.config, out, resume)
    except Exception as error:  # out of memory or a bug in one child must not cost the others
        reason = " ".join(str(error).split()) or type(error).__name__
        logger.error("%s failed: %s", child.row.name, reason, exc_info=not isinstance(error, DriveVqaError))
        return Row(**{**row, "status": "failed", "error": reason})
    finally:
        _free_memory()
    return Row(**{**row, "status": "finished", "metrics": dict(metrics)})


def _free_memory() -> None:
    """What a child held on the device goes before the next one needs it."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _save(result: SweepResult, out: Path) -> None:
    if os.environ.get("RANK", "0") != "0":
        return
    out.mkdir(parents=True, exist_ok=True)
    children = [asdict(row) for row in result.rows]
    write_json(out / JSON_FILE, {"best": result.best, "compared_by": result.compared_by, "children": children})
    columns = _columns(result)
    with replacing(out / CSV_FILE) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def _columns(result: SweepResult) -> dict[str, list[Any]]:
    """The table: what sets children apart, then what became of them."""
    pairs = [[override.partition("=")[::2] for override in row.overrides] for row in result.rows]
    metrics = sorted({name for row in result.rows for name in row.metrics})
    return {
        "name": [row.name for row in result.rows],
        **{key: [dict(pair)[key] for pair in pairs] for key, _ in pairs[0]},
        "status": [row.status for row in result.rows],
        **{name: [row.metrics.get(name) for row in result.rows] for name in metrics},
        "error": [row.error for row in result.rows],
    }


def _log(result: SweepResult, run: TrackedRun, out: Path) -> None:
    run.log_table("sweep", _columns(result))
    run.log_artifact(out / JSON_FILE)
    run.log_artifact(out / CSV_FILE)
    if result.best is not None and result.compared_by is not None:
        best = next(row for row in result.rows if row.name == result.best)
        run.set_tags({"best": best.name})
        run.log_metrics({f"best/{result.compared_by}": best.metrics[result.compared_by]})
    run.log_metrics({"children/finished": sum(row.status == "finished" for row in result.rows)})
    run.log_metrics({"children/failed": result.failed})
