"""What a step may record."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

Record = dict[str, Any]
Cell = str | int | float | bool | None
PARAM_LENGTH = 6000
"""MLflow refuses longer parameter values."""


@runtime_checkable
class Run(Protocol):
    """An open run, for those who only have numbers."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Record numbers; those that are not finite are left out."""


class TrackedRun:
    """An open run of `mlflow_run`. No method waits for a server."""

    def __init__(self, record: Callable[[Record], None], last_steps: Mapping[str, int] | None = None) -> None:
        """Prepare.

        Args:
            record: takes JSON-ready records.
            last_steps: of each metric that the run had when it was taken up again; up to there it is not recorded twice.
        """
        self._record = record
        self._last_steps = dict(last_steps or {})

    def last_step(self, prefix: str) -> int | None:
        """The last step at which a metric of these names was recorded before the run was taken up again."""
        return max((step for name, step in self._last_steps.items() if name.startswith(prefix)), default=None)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Record numbers; those that are not finite are left out."""
        fresh = {name: value for name, value in metrics.items() if self._is_new(name, step)}
        if numbers := _finite(fresh):
            self._record({"kind": "metrics", "metrics": numbers, "step": step or 0, "timestamp_ms": now_ms()})

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record flat settings."""
        if params:
            texts = {name: str(value)[:PARAM_LENGTH] for name, value in params.items()}
            self._record({"kind": "params", "params": texts})

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Label the run."""
        if tags:
            self._record({"kind": "tags", "tags": dict(tags)})

    def log_artifact(self, path: Path) -> None:
        """Keep a file or folder with the run; it has to stay where it is until the run ends."""
        self._record({"kind": "artifact", "path": str(path.resolve())})

    def log_input(self, name: str, digest: str, source: str, *, context: str = "training") -> None:
        """Name the data set. Nothing of it is read, so this takes no time however large it is.

        Args:
            name: e.g. the store's folder.
            digest: of its manifest; MLflow shows the first 36 letters, the whole one is in the data set's profile.
            source: where it is, best relative: it is only written down.
            context: what it is used for.
        """
        self._record({"kind": "input", "name": name, "digest": digest, "source": source, "context": context})

    def log_table(self, name: str, columns: Mapping[str, Sequence[Cell]]) -> None:
        """Keep a table, e.g. of sample predictions, as the artifact NAME.json, which MLflow shows and `mlflow.load_table` reads.

        Raises:
            ValueError: the columns are not of one length.
        """
        rows = [[_cell(value) for value in row] for row in zip(*columns.values(), strict=True)]
        self._record({"kind": "table", "name": name, "columns": list(columns), "rows": rows})

    def log_model(
        self,
        name: str,
        folder: Path,
        *,
        metrics: Mapping[str, float] | None = None,
        step: int | None = None,
    ) -> None:
        """Keep a folder as a model of its own (MLflow's LoggedModel), listed with the run.

        Args:
            name: of the model.
            folder: stays where it is until the run ends; MLflow can load it where it holds a file `MLmodel`.
            metrics: how good this model is; linked to it and to the run.
            step: at which it was taken.
        """
        self._record(
            {
                "kind": "model",
                "name": name,
                "path": str(folder.resolve()),
                "metrics": _finite(metrics or {}),
                "step": step or 0,
                "timestamp_ms": now_ms(),
            }
        )

    def _is_new(self, name: str, step: int | None) -> bool:
        return step is None or step > self._last_steps.get(name, -1)


def now_ms() -> int:
    """MLflow's clock."""
    return time.time_ns() // 1_000_000


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items() if math.isfinite(value)}


def _cell(value: Cell) -> Cell:
    return None if isinstance(value, float) and not math.isfinite(value) else value
