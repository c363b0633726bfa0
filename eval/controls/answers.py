"""Columns of typed answers, turned as a probe turns them; missing answers stay missing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from jaxtyping import Bool

from eval.cases import object_column


def renamed(choices: pd.Series, name: Callable[[str], str], where: Bool[np.ndarray, "n"]) -> pd.Series:
    """Choices with other names; few are distinct, so each is turned once.

    Args:
        choices: names, or None.
        name: gives the other name.
        where: rows that are turned.
    """
    codes, known = pd.factorize(choices.to_numpy(dtype=object))
    others = np.array([*map(name, known), None], dtype=object)
    return object_column(np.where(where, others[codes], choices.to_numpy(dtype=object)))


def contrary_where(answers: pd.Series, where: Bool[np.ndarray, "n"]) -> pd.Series:
    """Yes and no exchanged in some rows."""
    turned = answers.to_numpy(dtype=object, copy=True)
    rows = np.flatnonzero(where & answers.notna().to_numpy())
    turned[rows] = ~turned[rows].astype(bool)
    return object_column(turned)
