"""A predictions file that is already there: no other call writes over it, and what is whole is not asked for again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from drive_vqa.errors import ConfigError
from eval.predict.binding import STORE, differences
from eval.predict.outcome import Outcome
from eval.predict.selection import ASKED_KEY, SELECTION_KEY


def read_finished(out: Path, binding: Mapping[str, Any]) -> Outcome | None:
    """What became of the questions of a predictions file, all answers counted as from before; None: there is no such file.

    Args:
        out: the predictions file.
        binding: what its answers must depend on, as JSON can hold it.

    Raises:
        ConfigError: it holds answers of another call, or something else.
    """
    if not out.exists():
        return None
    found, outcome = _read(out)
    if unlike := differences(found, json.loads(json.dumps(binding))):
        raise ConfigError(f"{out} holds answers of another call ({unlike}): give another --out, or delete it")
    return outcome


def _read(out: Path) -> tuple[dict[str, Any], Outcome]:
    """The binding that a predictions file was asked with, and what became of its questions."""
    try:
        metadata = pq.read_schema(out).metadata or {}
        selection, asked = (json.loads(metadata[key]) for key in (SELECTION_KEY, ASKED_KEY))
        binding = {"selection": selection, **{name: asked[name] for name in ("model", "samples", "settings", STORE)}}
        counts = {name: int(asked[name]) for name in ("answered", "failed", "prompt_tokens", "completion_tokens")}
        cost = None if asked["cost"] is None else float(asked["cost"])
        return binding, Outcome(out, resumed=counts["answered"], cost=cost, **counts)
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ConfigError(
            f"{out} is no predictions file of `drive-vqa predict`: give another --out, or delete it"
        ) from error
