"""MLflow runs: where numbers, settings and files of a step are kept.

The default is a SQLite store in the output folder, which needs no server; any tracking URI takes its place.
Where mlflow is not installed the step still runs, and says once that nothing is tracked.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from drive_vqa.errors import ConfigError

logger = logging.getLogger(__name__)

EXPERIMENT = "drive-vqa"
URI_VARIABLE = "MLFLOW_TRACKING_URI"
PARAM_LENGTH = 6000
"""MLflow refuses longer parameter values."""


@runtime_checkable
class Run(Protocol):
    """An open run."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Record numbers; those that are not finite are left out."""

    def log_artifact(self, path: Path) -> None:
        """Keep a file or folder with the run."""

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Label the run."""


@contextmanager
def mlflow_run(
    output: Path,
    name: str,
    *,
    tracking_uri: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> Iterator[Run]:
    """Open a run; it ends as FINISHED, or as FAILED when the block raises.

    Args:
        output: the step's output folder; holds the default SQLite store.
        name: of the run.
        tracking_uri: any MLflow tracking URI; default: `MLFLOW_TRACKING_URI`, else `sqlite:///OUTPUT/mlflow.db`.
        params: flat settings.
        tags: labels, e.g. the data set's digest.
    """
    if find_spec("mlflow") is None:
        logger.warning("mlflow is not installed: nothing is tracked (pip install mlflow)")
        yield _Untracked()
        return
    import mlflow

    uri = tracking_uri or os.environ.get(URI_VARIABLE) or default_uri(output)
    for library in ("mlflow", "alembic"):  # after the import, which sets them to INFO
        logging.getLogger(library).setLevel(logging.WARNING)
    with _tracking_to(uri), mlflow.start_run(experiment_id=_experiment(uri), run_name=name, tags=dict(tags or {})):
        mlflow.log_params({key: str(value)[:PARAM_LENGTH] for key, value in (params or {}).items()})
        yield _Tracked()


def default_uri(output: Path) -> str:
    """The SQLite store of an output folder."""
    return f"sqlite:///{output.resolve() / 'mlflow.db'}"


@contextmanager
def _tracking_to(uri: str) -> Iterator[None]:
    """MLflow keeps its store in an environment variable too: put that back, or the next run would go to this one's store."""
    import mlflow

    before = os.environ.get(URI_VARIABLE)
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before or "")
        os.environ.pop(URI_VARIABLE, None)
        if before is not None:
            os.environ[URI_VARIABLE] = before


class _Tracked:
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        import math

        import mlflow

        mlflow.log_metrics({key: float(value) for key, value in metrics.items() if math.isfinite(value)}, step=step)

    def log_artifact(self, path: Path) -> None:
        import mlflow

        if path.is_dir():
            mlflow.log_artifacts(str(path), artifact_path=path.name)
        else:
            mlflow.log_artifact(str(path))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        import mlflow

        mlflow.set_tags(dict(tags))


class _Untracked:
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        pass

    def log_artifact(self, path: Path) -> None:
        pass

    def set_tags(self, tags: Mapping[str, str]) -> None:
        pass


def _experiment(uri: str) -> str:
    """The experiment's id; a local SQLite store keeps its artifacts beside it, not in the current folder."""
    import mlflow
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        found = mlflow.get_experiment_by_name(EXPERIMENT)
    except (MlflowException, SQLAlchemyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"{uri} is no usable MLflow store ({reason}): move it away or name another one") from error
    if found is not None:
        return str(found.experiment_id)
    location = None
    if uri.startswith("sqlite:"):
        location = (Path(uri.removeprefix("sqlite:///")).parent / "mlartifacts").resolve().as_uri()
    return str(mlflow.create_experiment(EXPERIMENT, artifact_location=location))
