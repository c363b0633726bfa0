"""Chains that a search has found, as what is learned in the place of plain answers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from drive_vqa.errors import ConfigError
from drive_vqa.store import Store
from drive_vqa.traces import Dialect
from finetune.search.records import read_records

COLUMNS: dict[Dialect, str] = {"vigorl": "text", "drive": "drive_text"}
"""Where a file of chains has the traces of a dialect."""


@dataclass(eq=False)
class RecordedAnswers:
    """Writes a question's chain; picklable, so that workers do it. Questions without one are left out.

    Of several chains of a question one is taken, which follows from the seed and the question.

    Attributes:
        file: of chains, see `finetune.search.records`.
        dialect: vigorl or drive.
        seed: chooses among the chains of a question.

    Raises:
        ConfigError: chains are not written in this dialect.
    """

    file: Path
    dialect: Dialect
    seed: int = 0
    _texts: dict[str, list[str]] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.dialect not in COLUMNS:
            raise ConfigError(f"chains of a search are not in dialect={self.dialect}: choose {' or '.join(COLUMNS)}")

    def __call__(
        self, _store: Store, _log_id: str, _group: Mapping[str, Any], question: Mapping[str, Any]
    ) -> str | None:
        """The chain of a question; None where there is none.

        Raises:
            StoreError: the file cannot be read.
        """
        if self._texts is None:
            self._texts = self._read()
        texts = self._texts.get(question["qa_id"])
        if not texts:
            return None
        drawn = hashlib.sha256(f"{self.seed} {question['qa_id']} chain".encode()).digest()[:8]
        return texts[int.from_bytes(drawn, "big") % len(texts)]

    def __getstate__(self) -> dict[str, Any]:
        return {"file": self.file, "dialect": self.dialect, "seed": self.seed, "_texts": None}

    def _read(self) -> dict[str, list[str]]:
        """Texts by qa_id, in the order of the file."""
        column = COLUMNS[self.dialect]
        chains = read_records(self.file).chains
        kept = chains.filter(pc.and_(pc.fill_null(chains["answer_right"], False), pc.is_valid(chains[column])))
        texts: dict[str, list[str]] = {}
        for qa_id, text in zip(kept["qa_id"].to_pylist(), kept[column].to_pylist(), strict=True):
            texts.setdefault(qa_id, []).append(text)
        return texts
