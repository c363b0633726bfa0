"""One answered question in words: what became of it, and facts about its moment and target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

EXACT = ("choice", "bool", "clock", "count", "ranking", "regions", "undetermined")
"""Answer types that have no tolerance."""

HERE_M = 0.4
"""A target nearer than this is not said to be so many times too far."""


def verdict(row: Mapping[str, Any]) -> str:
    """What became of an answer, in a few words.

    Args:
        row: of `eval.report.severity.worst_first`.
    """
    name = row["outcome"]
    if name == "unreadable":
        return f"No usable answer: {row['failure'].replace('_', ' ')}"
    if name == "right":
        return "Correct" if row["answer_type"] in EXACT else "Within tolerance"
    if name == "dangerous":
        return _danger(row)
    if row["answer_type"] == "undetermined":
        return "Answers what cannot be known from what is shown"
    return "Not correct" if row["answer_type"] in EXACT else "Outside tolerance"


def _danger(row: Mapping[str, Any]) -> str:
    if row["mistake"] == "out_of_path":
        return "Says it is not in the path, and it is"
    if row["mistake"] == "going_away":
        return "Says it goes away, and it comes nearer"
    truth_m, answer_m = row["truth_distance_m"], row["parsed_distance_m"]
    if truth_m <= HERE_M:
        return f"Puts the target {answer_m:.1f} m away, and it is here"
    return f"Puts the target {answer_m / truth_m:.1f} times as far as it is"


def facts(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Log, frame, kind of target, how far it is and how soon it could be hit."""
    told = [f"log {row['log_id']}", f"frame {row['frame']}"]
    if isinstance(row["slice_category"], str):
        told.append(row["slice_category"].replace("_", " "))
    if np.isfinite(row["slice_distance_m"]):
        told.append(f"{row['slice_distance_m']:.0f} m away now")
    if isinstance(row["slice_ttc_bin"], str):
        told.append("no conflict" if row["slice_ttc_bin"] == "none" else f"TTC {row['slice_ttc_bin']} s")
    return tuple(told)


def cut(text: object, limit: int) -> str:
    """A text of at most so many characters, with its length where it is longer; "" where there is none."""
    if not isinstance(text, str):
        return ""
    return text if len(text) <= limit else f"{text[:limit]} … ({len(text):,} characters)"
