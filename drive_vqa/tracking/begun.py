"""Which run was begun in an output folder: OUTPUT/mlflow.json."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path

from drive_vqa.errors import ConfigError
from drive_vqa.store import write_json
from drive_vqa.tracking.failures import redacted
from drive_vqa.tracking.names import EXPERIMENT

logger = logging.getLogger(__name__)

FILE = "mlflow.json"


@dataclass(frozen=True)
class Begun:
    """A run.

    Attributes:
        output: its folder.
        uri: its store.
        key: our own name of it, known before a server has answered.
        run_id: MLflow's; None until it is known.
    """

    output: Path
    uri: str
    key: str
    run_id: str | None = None

    @property
    def journal(self) -> Path:
        """Where its records wait."""
        return self.output / f"mlflow-{self.key[:8]}.jsonl"

    def save(self) -> None:
        """Write the file; a password in the URI is left out."""
        content = {"key": self.key, "run_id": self.run_id, "experiment": EXPERIMENT}
        write_json(self.output / FILE, {**content, "tracking_uri": redacted(self.uri)})

    def opened(self, run_id: str) -> None:
        """The store has answered."""
        if self.run_id not in (None, run_id):
            logger.warning("MLflow run %s is not in %s: a new one goes on", self.run_id, redacted(self.uri))
        replace(self, run_id=run_id).save()


def read_begun(output: Path, uri: str) -> Begun | None:
    """The run that was begun in a folder; None where none was.

    Raises:
        ConfigError: the file is damaged.
    """
    file = output / FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        key, run_id = content["key"], content["run_id"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file} cannot be read ({error}): delete it to begin a new MLflow run") from error
    if not isinstance(key, str) or not key.isalnum():
        raise ConfigError(f"{file} names no run: delete it to begin a new MLflow run")
    return Begun(output, uri, key, None if run_id is None else str(run_id))
