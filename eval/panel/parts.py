"""Cases by the value of a column: each value's name in a metric, and the rows that have it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Int

MOST_SMALL_CODES = 2**15
"""So many codes fit two bytes, which numpy sorts by counting."""


@dataclass(frozen=True, eq=False)
class Parts:
    """Which value each row has.

    Attributes:
        names: of the values, sorted.
        codes: index into `names` of each row; -1 where the value is not known.
    """

    names: tuple[str, ...]
    codes: Int[np.ndarray, "n"]

    def take(self, rows: np.ndarray) -> Parts:
        """Of some rows, by mask or index."""
        return Parts(self.names, self.codes[rows])

    def code_of(self, name: str) -> int:
        """Code of a value; that of no row where no row has it."""
        return self.names.index(name) if name in self.names else len(self.names)

    def __iter__(self) -> Iterator[tuple[str, Int[np.ndarray, "k"]]]:
        """Every value that occurs, in order of its name, with the rows that have it, in order."""
        codes = self.codes.astype(np.int16) if len(self.names) < MOST_SMALL_CODES else self.codes
        order = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(self.codes + 1, minlength=len(self.names) + 1))
        for code, name in enumerate(self.names):
            if ends[code + 1] > ends[code]:
                yield name, order[ends[code] : ends[code + 1]]


def parts_of(values: pd.Series | np.ndarray) -> Parts:
    """Rows by the slug of their value; None, NaN and "" are not known."""
    codes, found = pd.factorize(values)
    slugs = np.array(["" if value == "" else slug(value) for value in found], dtype=object)
    names, name_of = np.unique(slugs[slugs != ""], return_inverse=True)
    renamed = np.full(len(found) + 1, -1)  # the last stands for code -1
    renamed[np.flatnonzero(slugs != "")] = name_of
    return Parts(tuple(names), renamed[codes])


def slug(value: object) -> str:
    """A value as a part of a metric's name: no dots, nothing that MLflow refuses; `<0.95` is `under_0_95`."""
    text = str(value).lower() if isinstance(value, (bool, np.bool_)) else str(value)
    return re.sub(r"[^A-Za-z0-9_-]", "_", text.replace("<", "under_").replace(">", "over_"))
