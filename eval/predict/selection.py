"""Which questions of a store are asked: told by names, and kept beside the answers, so that no other question is scored.

split, families, types, forms    as the columns of the table `questions`; nothing named: all
kinds                            of groups: single, sequence and so on
regions                          how questions name regions; what cannot be asked so is left out
limit                            at most so many, see `eval.predict.questions`
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from drive_vqa.config import strict_config, to_dict
from drive_vqa.errors import ConfigError, PredictionError
from drive_vqa.region_forms import RegionForm
from drive_vqa.store import Store

SELECTION_KEY = b"drive_vqa.selection"
LEFT_OUT_KEY = b"drive_vqa.left_out"
ASKED_KEY = b"drive_vqa.asked"
"""Of the metadata of a predictions file."""

NAMED = {
    "families": ("questions", "family"),
    "types": ("questions", "type"),
    "forms": ("questions", "form"),
    "kinds": ("groups", "kind"),
}
"""What can be chosen by name: the table and the column that holds the names."""


@strict_config
@dataclass(frozen=True)
class Selection:
    """Questions to ask.

    Attributes:
        split: train, val, test or bench.
        families: of questions; empty: all.
        types: likewise.
        kinds: of groups, likewise.
        forms: open, choice, yes_no, likewise.
        limit: at most so many questions; None: all.
        regions: how they name regions.

    Raises:
        ConfigError: the limit is below 1.
    """

    split: str
    families: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    forms: tuple[str, ...] = ()
    limit: int | None = None
    regions: RegionForm = "marks"

    def __post_init__(self) -> None:
        for name in NAMED:  # one selection has one way to be written
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"limit must be at least 1, is {self.limit}")

    def as_json(self) -> str:
        """As it is kept beside answers."""
        return json.dumps(to_dict(self), sort_keys=True)

    def check_names(self, store: Store) -> None:
        """See that the store has what is named.

        Raises:
            ConfigError: a name is nowhere in it.
        """
        for name, (table, column) in NAMED.items():
            chosen = getattr(self, name)
            known = _names(store, table, column) if chosen else []
            for one in chosen:
                if one not in known:
                    raise ConfigError(f"{store.root} has no questions of {name} {one!r}: {_instead(one, known)}")


def selection_of(path: Path) -> Selection | None:
    """Which questions were asked for a predictions file; None: it does not say, as one of other tools.

    Raises:
        PredictionError: the file cannot be read, or what it says is damaged.
    """
    told: Selection | None = _told(path, SELECTION_KEY, Selection)
    return told


def left_out_of(path: Path) -> list[str]:
    """The `qa_id` of selected questions that could not be asked under the control of a predictions file; errors as above."""
    told: list[str] | None = _told(path, LEFT_OUT_KEY, list[str])
    return told or []


def control_asked(path: Path) -> str | None:
    """Name of the control that a predictions file was asked under, "" for none; None: it does not say; errors as above."""
    told: dict[str, Any] | None = _told(path, ASKED_KEY, dict[str, Any])
    name = ((told or {}).get("settings") or {}).get("control")
    return name if isinstance(name, str) else None


def asked_metadata(path: Path) -> dict[bytes, bytes]:
    """What a predictions file says of which questions were asked, for answers that are made from its answers; errors as above."""
    selection, left_out = selection_of(path), left_out_of(path)
    if selection is None:
        return {}
    return {SELECTION_KEY: selection.as_json().encode(), LEFT_OUT_KEY: json.dumps(left_out).encode()}


def _told(path: Path, key: bytes, kind: Any) -> Any:
    """What the metadata of a predictions file hold under a key; None where they do not."""
    if path.suffix != ".parquet":
        return None
    try:
        told = (pq.read_schema(path).metadata or {}).get(key)
        return None if told is None else TypeAdapter(kind).validate_json(told)
    except (OSError, pa.ArrowException, ValidationError, ConfigError) as error:
        why = " ".join(str(error).split())[:200]
        raise PredictionError(f"{path} does not say which questions were asked ({why}): predict again") from error


def _names(store: Store, table: str, column: str) -> list[str]:
    """All names that a column holds, sorted."""
    found: set[str] = set()
    for log_id in store.log_ids(table):
        found.update(pc.unique(store.read(table, log_id, [column])[column]).to_pylist())
    return sorted(found - {None})


def _instead(wrong: str, known: list[str]) -> str:
    near = difflib.get_close_matches(wrong, known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known) or 'none'}"
