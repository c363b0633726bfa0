"""A typed answer as a text, in the wording of the question types; read again it is the same answer, to rounding."""

from __future__ import annotations

from collections.abc import Callable

from eval.answers import Parsed
from eval.voting.vote import DECIMALS

UNDETERMINED = "cannot be determined"
DETERMINED = "known"
NO_REGIONS = "none"


def answer_text(answer: Parsed, answer_type: str) -> str:
    """The text.

    Args:
        answer: of this type; numbers in thousandths at most.
        answer_type: see `drive_vqa.schema.TRUTH`.

    Raises:
        ValueError: the answer lacks a field of the type, or the type is not known.
    """
    if answer_type not in _WRITERS:
        raise ValueError(f"answer type {answer_type!r} is not one of {', '.join(_WRITERS)}")
    return _WRITERS[answer_type](answer)


def _number(value: float | None) -> str:
    """As short as it can be, never "-0"."""
    if value is None:
        raise ValueError("an answer without one of its numbers cannot be written")
    return f"{value + 0.0:.{DECIMALS}f}".rstrip("0").rstrip(".")


def _length(value_m: float | None) -> str:
    return f"{_number(value_m)} meters"


def _angle(value_deg: float | None) -> str:
    return f"{_number(value_deg)} degrees"


def _marks(answer: Parsed) -> str:
    return ", ".join(f"Region {mark}" for mark in answer.marks or ()) or NO_REGIONS


def _interval(answer: Parsed) -> str:
    """In the past as questions tell it; one that reaches ahead with signs."""
    start_s, end_s = answer.start_s, answer.end_s
    if start_s is not None and end_s is not None and start_s <= 0 and end_s <= 0:
        return f"from {_number(-start_s)} to {_number(-end_s)} seconds ago"
    return f"from {_number(start_s)} seconds to {_number(end_s)} seconds"


def _box(answer: Parsed) -> str:
    return f"[{', '.join(_number(edge) for edge in (answer.u0_px, answer.v0_px, answer.u1_px, answer.v1_px))}]"


def _choice(answer: Parsed) -> str:
    if answer.choice is None:
        raise ValueError("an answer without its choice cannot be written")
    return answer.choice


_WRITERS: dict[str, Callable[[Parsed], str]] = {
    "distance": lambda answer: _length(answer.distance_m),
    "bearing": lambda answer: _angle(answer.bearing_deg),
    "turn": lambda answer: _angle(answer.yaw_deg),
    "speed": lambda answer: f"{_number(answer.speed_mps)} m/s",
    "longitudinal": lambda answer: _length(answer.x_m),
    "lateral": lambda answer: _length(answer.y_m),
    "time": lambda answer: f"{_number(answer.time_s)} seconds",
    "localization": lambda answer: f"{_length(answer.distance_m)}, {_angle(answer.bearing_deg)}",
    "motion": lambda answer: f"{_length(answer.distance_m)}, {_angle(answer.yaw_deg)}",
    "position": lambda answer: f"x {_length(answer.x_m)}, y {_length(answer.y_m)}",
    "clock": lambda answer: f"{_number(answer.clock_hour)} o'clock",
    "count": lambda answer: _number(answer.count),
    "choice": _choice,
    "bool": lambda answer: "yes" if answer.bool else "no",
    "ranking": _marks,
    "regions": _marks,
    "interval": _interval,
    "box": _box,
    "interval_box": lambda answer: f"{_interval(answer)}, {_box(answer)}",
    "undetermined": lambda answer: UNDETERMINED if answer.undetermined else DETERMINED,
}
