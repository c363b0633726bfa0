"""The values that a question asks for, in words: truth, reading of the answer, their difference, and whether it is tolerable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from drive_vqa.geometry import wrap_deg
from drive_vqa.prompt import time_line


@dataclass(frozen=True)
class Quantity:
    """One value: truth, answer, their difference and whether it is within tolerance (None: not judged)."""

    name: str
    truth: str
    answer: str
    error: str
    ok: bool | None


def quantities(row: Mapping[str, Any]) -> tuple[Quantity, ...]:
    """Truth, reading and error of each value that the question asks for."""
    found = []
    for field, name, write in VALUES:
        truth, parsed = row[f"truth_{field}"], row[f"parsed_{field}"]
        if _absent(truth):
            continue
        answer = "–" if _absent(parsed) else write(parsed)
        error, ok = "", None if _absent(parsed) else bool(parsed == truth)
        if field in ERRORS:
            error = "" if _absent(parsed) else ERRORS[field](float(parsed), float(truth))
            ok = _within_tolerance(row, name)
        found.append(Quantity(name, write(truth), answer, error, ok))
    return tuple(found)


def _within_tolerance(row: Mapping[str, Any], name: str) -> bool | None:
    """The verdict on one number; where the answer was judged as a whole that of the whole, None where it is mixed."""
    judged = row.get(f"{name}_ok")
    if not _absent(judged):
        return bool(judged)
    alone = all(_absent(row.get(f"{part}_ok")) for part in ("distance", "bearing", "speed"))
    return bool(row["success"]) if alone and not isinstance(row["failure"], str) else None


def _absent(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not np.isfinite(value))


def _distance(value: float) -> str:
    return f"{value:.1f} m"


def _bearing(value: float) -> str:
    side = "left" if value > 0 else "right"
    return "0° ahead" if round(value) == 0 else f"{abs(value):.0f}° {side}"


def _distance_error(answer: float, truth: float) -> str:
    percent = f" ({100 * (answer - truth) / truth:+.0f} %)" if truth > 0.4 else ""
    return f"{answer - truth:+.1f} m{percent}"


def _speed_error(answer: float, truth: float) -> str:
    return f"{answer - truth:+.1f} m/s"


def _bearing_error(answer: float, truth: float) -> str:
    return f"{wrap_deg(answer - truth):+.0f}°"


def _metres_error(answer: float, truth: float) -> str:
    return f"{answer - truth:+.1f} m"


def _seconds_error(answer: float, truth: float) -> str:
    return f"{answer - truth:+.1f} s"


def _pixels_error(answer: float, truth: float) -> str:
    return f"{answer - truth:+.0f} px"


def _metres(value: float) -> str:
    return f"{value:+.1f} m"


def _pixels(value: float) -> str:
    return f"{value:.0f} px"


def _moment(value: float) -> str:
    return time_line(value).rstrip(":").lower() if value <= 0 else f"in {value:.1f} seconds"


def _regions(value: tuple[int, ...]) -> str:
    return ", ".join(map(str, value)) or "none"


VALUES = (
    ("distance_m", "distance", _distance),
    ("bearing_deg", "bearing", _bearing),
    ("yaw_deg", "turn", _bearing),
    ("speed_mps", "speed", lambda value: f"{value:.1f} m/s"),
    ("x_m", "ahead", _metres),
    ("y_m", "to the left", _metres),
    ("time_s", "time", lambda value: f"{value:.1f} s"),
    ("clock_hour", "clock", lambda value: f"{value:.0f} o'clock"),
    ("count", "count", lambda value: f"{value:.0f}"),
    ("choice", "choice", str),
    ("bool", "yes or no", lambda value: "yes" if value else "no"),
    ("marks", "regions", _regions),
    ("start_s", "from", _moment),
    ("end_s", "to", _moment),
    ("u0_px", "left edge", _pixels),
    ("v0_px", "upper edge", _pixels),
    ("u1_px", "right edge", _pixels),
    ("v1_px", "lower edge", _pixels),
    ("undetermined", "answer", lambda value: "cannot be determined" if value else "something else"),
)
ERRORS = {
    "distance_m": _distance_error,
    "bearing_deg": _bearing_error,
    "yaw_deg": _bearing_error,
    "speed_mps": _speed_error,
    **dict.fromkeys(("x_m", "y_m"), _metres_error),
    **dict.fromkeys(("time_s", "start_s", "end_s"), _seconds_error),
    **dict.fromkeys(("u0_px", "v0_px", "u1_px", "v1_px"), _pixels_error),
}
