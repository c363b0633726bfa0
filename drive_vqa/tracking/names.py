"""Names that runs are found by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

EXPERIMENT = "drive-vqa"
URI_VARIABLE = "MLFLOW_TRACKING_URI"


def default_uri(output: Path) -> str:
    """The SQLite store of an output folder."""
    return f"sqlite:///{output.resolve() / 'mlflow.db'}"


def config_digest(settings: Mapping[str, Any]) -> str:
    """SHA-256 of resolved settings in hex: equal for equal settings, in whatever order they were written."""
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
