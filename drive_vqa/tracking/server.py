"""An MLflow store from our side: opens a run, and writes each kind of record so that writing it twice does no harm."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from drive_vqa.errors import ConfigError
from drive_vqa.tracking.failures import NotThereYetError, redacted
from drive_vqa.tracking.names import EXPERIMENT
from drive_vqa.tracking.one_maker import one_maker
from drive_vqa.tracking.patience import for_files
from drive_vqa.tracking.run import Record

METRICS_A_REQUEST = 1000
SETTINGS_A_REQUEST = 100
DIGEST_LENGTH = 36
"""MLflow's limits."""
RUN_KEY = "drive_vqa.run"
"""Tag with our own name of a run: it is known before a server has answered, and finds the run again."""


class Server:
    """A tracking URI.

    Attributes:
        uri: as given.
    """

    def __init__(self, uri: str) -> None:
        """Prepare; nothing is sent yet.

        Raises:
            ConfigError: this is no tracking URI.
        """
        if not _is_address(uri):
            raise ConfigError(
                f"{redacted(uri)!r} is no MLflow tracking URI: give sqlite:///FILE.db or http://HOST:PORT"
            )
        self.uri = uri

    @property
    def is_local(self) -> bool:
        """A file of this machine: it does not come back by itself."""
        return self.uri.startswith(("sqlite:", "file:"))

    @cached_property
    def client(self) -> Any:
        """MLflow's client, which makes the tables of a new SQLite store."""
        from mlflow import MlflowClient

        with nullcontext() if self._folder is None else one_maker(self._folder):
            return MlflowClient(tracking_uri=self.uri)

    def open_run(self, header: Record) -> str:
        """The id of the run of this key, made where there is none.

        Args:
            header: `key`, `name`, `started_ms`, and `parent`: the key of the run that this one is part of, or None.

        Raises:
            NotThereYetError: the parent is not in the store.
        """
        experiment_id = self._experiment_id()
        found = self._find(experiment_id, header["key"])
        if found is not None:
            self.client.update_run(found, status="RUNNING")
            return found
        tags = {RUN_KEY: header["key"], **self._parent_tag(experiment_id, header)}
        run = self.client.create_run(experiment_id, header["started_ms"], _with_context(tags), header["name"])
        return str(run.info.run_id)

    def last_steps(self, run_id: str) -> dict[str, int]:
        """The last step of each metric of a run."""
        metrics = self.client.get_run(run_id).data._metric_objs
        return {metric.key: int(metric.step) for metric in metrics}

    def write(self, run_id: str, records: list[Record]) -> None:
        """Write records of one kind."""
        kind = records[0]["kind"]
        if kind == "metrics":
            self._write_metrics(run_id, records)
            return
        writers: dict[str, Callable[[str, Record], None]] = {
            "params": self._write_params,
            "tags": self._write_tags,
            "artifact": self._write_artifact,
            "input": self._write_input,
            "table": self._write_table,
            "model": self._write_model,
            "end": self._write_end,
        }
        for record in records:
            if kind in writers:  # the header has been dealt with when the run was opened
                writers[kind](run_id, record)

    def _experiment_id(self) -> str:
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(EXPERIMENT)
        if found is None:
            try:
                return str(self.client.create_experiment(EXPERIMENT, artifact_location=self._artifact_location()))
            except MlflowException as error:  # another run was first
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = self.client.get_experiment_by_name(EXPERIMENT)
        return str(found.experiment_id)

    def _artifact_location(self) -> str | None:
        """A local SQLite store keeps its artifacts beside it, not in the current folder."""
        return None if self._folder is None else (self._folder / "mlartifacts").as_uri()

    @property
    def _folder(self) -> Path | None:
        """Of a SQLite store."""
        if not self.uri.startswith("sqlite:"):
            return None
        return Path(self.uri.removeprefix("sqlite:///")).parent.resolve()

    def _find(self, experiment_id: str, key: str) -> str | None:
        runs = self.client.search_runs([experiment_id], f"tags.`{RUN_KEY}` = '{key}'", max_results=1)
        return str(runs[0].info.run_id) if runs else None

    def _parent_tag(self, experiment_id: str, header: Record) -> dict[str, str]:
        if header.get("parent") is None:
            return {}
        parent = self._find(experiment_id, header["parent"])
        if parent is None:
            raise NotThereYetError("the run that this one is part of has not arrived yet")
        return {"mlflow.parentRunId": parent}

    def _write_metrics(self, run_id: str, records: list[Record]) -> None:
        self.client.log_batch(run_id, metrics=[metric for record in records for metric in _metrics(record)])

    def _write_params(self, run_id: str, record: Record) -> None:
        """Settings are written once in MLflow; those that another setting replaced when a run was taken up become tags."""
        from mlflow.entities import Param

        known = self.client.get_run(run_id).data.params
        new = [Param(name, value) for name, value in record["params"].items() if name not in known]
        for start in range(0, len(new), SETTINGS_A_REQUEST):
            self.client.log_batch(run_id, params=new[start : start + SETTINGS_A_REQUEST])
        changed = {name: value for name, value in record["params"].items() if known.get(name, value) != value}
        self._write_tags(run_id, {"tags": {f"resumed.{name}": value for name, value in changed.items()}})

    def _write_tags(self, run_id: str, record: Record) -> None:
        from mlflow.entities import RunTag

        tags = [RunTag(name, str(value)) for name, value in record["tags"].items()]
        for start in range(0, len(tags), SETTINGS_A_REQUEST):
            self.client.log_batch(run_id, tags=tags[start : start + SETTINGS_A_REQUEST])

    def _write_artifact(self, run_id: str, record: Record) -> None:
        path = Path(record["path"])
        self.client.get_run(run_id)  # a dead server is noticed now, not after the long wait that large files are given
        with for_files():
            if path.is_dir():
                self.client.log_artifacts(run_id, str(path), artifact_path=path.name)
            else:
                self.client.log_artifact(run_id, str(path))

    def _write_input(self, run_id: str, record: Record) -> None:
        """MLflow's own ways to log a data set read and hash it, which takes minutes: this names it by the digest it has."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(
            name=record["name"],
            digest=record["digest"][:DIGEST_LENGTH],
            source_type="local",
            source=json.dumps({"uri": record["source"]}),
            profile=json.dumps({"digest": record["digest"]}),
        )
        tags = [InputTag("mlflow.data.context", record.get("context", "training"))]
        self.client.log_inputs(run_id, datasets=[DatasetInput(dataset, tags=tags)])

    def _write_table(self, run_id: str, record: Record) -> None:
        """As `mlflow.log_table` writes it, which would add the rows again at a second try."""
        name = f"{record['name']}.json"
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / name
            file.write_text(json.dumps({"columns": record["columns"], "data": record["rows"]}), encoding="utf-8")
            self.client.log_artifact(run_id, str(file))
        tables = json.loads(self.client.get_run(run_id).data.tags.get("mlflow.loggedArtifacts", "[]"))
        entry = {"path": name, "type": "table"}
        if entry not in tables:
            self.client.set_tag(run_id, "mlflow.loggedArtifacts", json.dumps([*tables, entry]))

    def _write_model(self, run_id: str, record: Record) -> None:
        from mlflow.entities import LoggedModelOutput

        model_id = self._model_id(run_id, record)
        with for_files():
            self.client.log_model_artifacts(model_id, record["path"])
        self.client.finalize_logged_model(model_id, "READY")
        self.client.log_outputs(run_id, [LoggedModelOutput(model_id, record["step"])])
        self.client.log_batch(run_id, metrics=_metrics(record, model_id))

    def _model_id(self, run_id: str, record: Record) -> str:
        """The model of this name, as an earlier try made it, or a new one."""
        run = self.client.get_run(run_id)
        experiment_id = run.info.experiment_id
        made = self.client.search_logged_models([experiment_id], f"source_run_id = '{run_id}'")
        for model in made:
            if model.name == record["name"] and model.creation_timestamp >= record["timestamp_ms"]:
                return str(model.model_id)
        model = self.client.create_logged_model(experiment_id, record["name"], source_run_id=run_id)
        return str(model.model_id)

    def _write_end(self, run_id: str, record: Record) -> None:
        self.client.set_terminated(run_id, record["status"], record["timestamp_ms"])


def _is_address(uri: str) -> bool:
    """MLflow would take a bare word for a folder and make it."""
    if uri.startswith("databricks"):
        return True
    try:
        parts = urlsplit(uri)
        is_named = bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", uri)
    except ValueError:  # a port that is none
        return False
    return is_named if parts.scheme in ("http", "https") else "://" in uri


def _metrics(record: Record, model_id: str | None = None) -> list[Any]:
    from mlflow.entities import Metric

    when, step = record["timestamp_ms"], record["step"]
    return [Metric(name, value, when, step, model_id=model_id) for name, value in record["metrics"].items()]


def _with_context(tags: dict[str, str]) -> dict[str, str]:
    """With what MLflow adds to every run: user, program and commit."""
    from mlflow.tracking.context import registry

    return dict(registry.resolve_tags(tags))
