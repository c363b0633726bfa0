"""Evaluations in MLflow: numbers with their step and data set, answers, and what is made from them later.

MLflow's own pages compare evaluations: each is a run. Slices stay in metrics.json. The data set's digest covers the questions and
which of them were asked, so that numbers about different questions are told apart.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drive_vqa.config import flatten
from drive_vqa.errors import ConfigError
from drive_vqa.store import Store
from drive_vqa.tracking import default_uri, mlflow_run
from drive_vqa.tracking.failures import redacted
from drive_vqa.tracking.names import URI_VARIABLE
from eval.statistics import Estimate

logger = logging.getLogger(__name__)

FILES = ("metrics.json", "config.yaml", "calibration.json", "scores.parquet")
COMPARISON = ("comparison.", "flips.")
OPENED = "mlflow.json"
"""Which run an evaluation is, see `drive_vqa.tracking`."""


def track_evaluation(
    store: Store,
    out: Path,
    config: Mapping[str, Any],
    metrics: Mapping[str, Estimate],
    headline: str,
    *,
    step: int | None,
    tracking_uri: str | None,
) -> None:
    """Record an evaluation that is written as a run of its own, nested in one that is open.

    Args:
        store: that was asked about.
        out: folder of the evaluation.
        config: content of config.yaml.
        metrics: by dotted name.
        headline: in words.
        step: of training; None: 0.
        tracking_uri: see `drive_vqa.tracking.mlflow_run`.
    """
    values = {name: one.value for name, one in metrics.items() if one.value is not None and "slice." not in name}
    digest = data_digest(store, config)
    tags = {"headline": headline, "data_digest": digest}
    with mlflow_run(
        out, f"evaluate {config['model']}", tracking_uri=tracking_uri, params=flatten(config), tags=tags
    ) as run:
        run.log_input(f"{config['split']} of {store.root.name}", digest, str(config["store"]), context="evaluation")
        run.log_metrics(values, step)
        for name in FILES:
            run.log_artifact(out / name)


def track_comparison(out: Path, told: str, *, tracking_uri: str | None) -> None:
    """Record a comparison that is written: all of its files, and the verdict in words.

    Args:
        out: its folder.
        told: the verdict.
        tracking_uri: see `drive_vqa.tracking.mlflow_run`.
    """
    files = sorted(path for path in out.iterdir() if path.name.startswith(COMPARISON))
    with mlflow_run(out, "compare", tracking_uri=tracking_uri, tags={"headline": told}) as run:
        for path in files:
            run.log_artifact(path)


def keep_with_evaluation(out: Path, files: list[Path], tags: Mapping[str, str] | None = None) -> None:
    """Add files and labels to the run of an evaluation, where it has one: its report, the verdict of a gate.

    Args:
        out: folder of the evaluation.
        files: to keep as artifacts.
        tags: labels.
    """
    uri = _uri_of(out)
    if uri is None:
        return
    try:
        with mlflow_run(out, "evaluate", tracking_uri=uri, tags=tags, resume=True) as run:
            for path in files:
                run.log_artifact(path)
    except ConfigError as error:
        logger.warning("not kept in MLflow: %s", error)


def _uri_of(out: Path) -> str | None:
    """The store that holds the run; a default one is found beside the evaluation, also where that was moved."""
    default = default_uri(out)
    if Path(default.removeprefix("sqlite:///")).is_file():
        return default
    try:
        uri = json.loads((out / OPENED).read_text(encoding="utf-8"))["tracking_uri"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return uri if isinstance(uri, str) and _is_trusted(uri) else None


def _is_trusted(uri: str) -> bool:
    """A folder that came from elsewhere must not choose who gets the files and the user's MLflow token, nor where one is made."""
    if uri.startswith("sqlite:"):
        return Path(uri.removeprefix("sqlite:///")).is_file()
    return uri == redacted(os.environ.get(URI_VARIABLE, ""))


def data_digest(store: Store, config: Mapping[str, Any]) -> str:
    """Of the questions of the store and of which were asked: SHA-256 over their files' digests and the selection."""
    files = {log_id: store.digest("questions", log_id) for log_id in store.log_ids("questions")}
    content = json.dumps([files, config["questions_sha256"], config["selection"].get("regions")], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
