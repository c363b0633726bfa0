"""Reads answer texts back to typed answers; its own grammar, strict."""

from __future__ import annotations

import math
import re
from typing import Any

N = r"(-?\d+\.\d)"
WHOLE = r"(-?\d+)"
LENGTH, ANGLE = rf"{N} meters", rf"{WHOLE} degrees?"
BOX = rf"\[{WHOLE}, {WHOLE}, {WHOLE}, {WHOLE}\]"
SPAN = r"from (\d+\.\d) to (\d+\.\d) seconds ago"

PATTERNS: dict[str, tuple[str, tuple[str, ...]]] = {
    "distance": (LENGTH, ("distance_m",)),
    "lateral": (LENGTH, ("y_m",)),
    "longitudinal": (LENGTH, ("x_m",)),
    "bearing": (ANGLE, ("bearing_deg",)),
    "turn": (ANGLE, ("yaw_deg",)),
    "speed": (rf"{N} m/s", ("speed_mps",)),
    "time": (rf"{N} seconds", ("time_s",)),
    "localization": (rf"{LENGTH}, {ANGLE}", ("distance_m", "bearing_deg")),
    "position": (rf"x {LENGTH}, y {LENGTH}", ("x_m", "y_m")),
    "motion": (rf"{LENGTH}, {ANGLE}", ("distance_m", "yaw_deg")),
    "clock": (rf"{WHOLE} o'clock", ("clock_hour",)),
    "count": (WHOLE, ("count",)),
    "interval": (SPAN, ("start_s", "end_s")),
    "box": (BOX, ("u0_px", "v0_px", "u1_px", "v1_px")),
    "interval_box": (f"{SPAN}, {BOX}", ("start_s", "end_s", "u0_px", "v0_px", "u1_px", "v1_px")),
}
"""Answer type → the whole text, and the field of each number in it."""

ANGLES = ("bearing_deg", "yaw_deg")
ROUNDING = {"bearing_deg": 0.5, "yaw_deg": 0.5, "start_s": 0.0, "end_s": 0.0, "clock_hour": 0.0, "count": 0.0}
"""How far a number in a text may be from the truth; pixels are whole in both, all others have one decimal."""


def parse(answer_type: str, text: str) -> dict[str, Any] | None:
    """The typed answer of a text; None where it does not follow the grammar."""
    if answer_type == "choice":
        return {"choice": text}
    if answer_type == "bool":
        return {"yes": {"bool": True}, "no": {"bool": False}}.get(text)
    if answer_type == "undetermined":
        return {"undetermined": True} if text == "cannot be determined" else None
    if answer_type in ("ranking", "regions"):
        return _regions(text)
    pattern, fields = PATTERNS[answer_type]
    found = re.fullmatch(pattern, text)
    if found is None or _ill_written(text):
        return None
    values = {name: float(value) for name, value in zip(fields, found.groups(), strict=True)}
    for name in ("start_s", "end_s"):
        if name in values:
            values[name] = -values[name]
    return values


def _ill_written(text: str) -> bool:
    """A negative zero, a bearing of -180 degrees, one degree in the plural or several in the singular."""
    singular = re.findall(r"(-?\d+) degree\b", text)
    return bool(
        re.search(r"(?<![\d.])-0(\.0)?(?![.\d])|-180 degrees|(?<!\d)1 degrees", text)
        or any(abs(int(number)) != 1 for number in singular)
    )


def _regions(text: str) -> dict[str, Any] | None:
    if text == "none":
        return {"marks": []}
    if re.fullmatch(r"Region \d+(, Region \d+)*", text) is None:
        return None
    return {"marks": [int(number) for number in re.findall(r"\d+", text)]}


def differs(name: str, first: Any, second: Any, tolerance: float) -> bool:
    """Whether two values of a field are apart by more than the tolerance; angles go round."""
    if isinstance(first, bool | str | list) or isinstance(second, bool | str | list):
        return bool(first != second)
    off = math.remainder(first - second, 360.0) if name in ANGLES else first - second
    return abs(off) > tolerance


def says(answer_type: str, text: str, truth: dict[str, Any]) -> bool:
    """Whether a text states these values, to its rounding."""
    stated = parse(answer_type, text)
    if stated is None or stated.keys() != truth.keys():
        return False
    return not any(
        differs(name, value, truth[name], ROUNDING.get(name, 0.0 if name.endswith("_px") else 0.05) + 2e-3)
        for name, value in stated.items()
    )
