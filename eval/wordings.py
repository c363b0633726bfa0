"""How a well-formed answer is worded: patterns of plain text, for whole columns at once.

A pattern fits a whole text and names the fields of the answer. It must read exactly what `eval.parse` reads, and leave alone what
it does not read so: a text that no pattern fits is no failure, only one for the parser. Patterns are in the syntax of RE2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float

from eval.values import MAX_SPEED_MPS, MAX_TIME_S, MAX_TURN_DEG

_UNSIGNED = r"[0-9]{1,5}(?:\.[0-9]{1,6})?"
_METRES = r" ?(?:meters?|metres?|m)"
_DEGREES = r" ?(?:degrees?|deg|°)"
_SECONDS = r" ?(?:seconds?|s)"
_END = r"[.!]?"

Fields = dict[str, Float[np.ndarray, "n"]]


def _number(name: str, *, signed: bool = False) -> str:
    return rf"(?P<{name}>{'-?' if signed else ''}{_UNSIGNED})"


_LENGTH_AND = _number("distance_m") + _METRES + "(?:,| and|, and| at) "
_FROM_TO = rf"from {_number('start_s')} to {_number('end_s')}{_SECONDS} ago"
_BOX = rf"\[{_number('u0_px')}, ?{_number('v0_px')}, ?{_number('u1_px')}, ?{_number('v1_px')}\]"


@dataclass(frozen=True)
class Wording:
    """A wording of an answer in numbers.

    Attributes:
        pattern: with one named group a field.
        worth: what a field's number is worth, where it is not taken as it is written.
        holds: whether numbers make an answer that the parser reads so; the others are left to it.
    """

    pattern: str
    worth: Mapping[str, Callable[[np.ndarray], np.ndarray]] = field(default_factory=dict)
    holds: Callable[[Fields], np.ndarray] | None = None

    def read(self, said: pa.Array) -> tuple[np.ndarray, Fields]:
        """Which texts it fits, and the fields of these."""
        groups = pc.extract_regex(said, f"^{self.pattern}{_END}$")
        rows = np.flatnonzero(groups.is_valid().to_numpy(zero_copy_only=False))
        groups = groups.take(pa.array(rows))
        fields = {one.name: _floats(groups.field(one.name)) for one in groups.type}
        fields = {name: self.worth[name](values) if name in self.worth else values for name, values in fields.items()}
        if self.holds is None:
            return rows, fields
        kept = self.holds(fields)
        return rows[kept], {name: values[kept] for name, values in fields.items()}


def _floats(numbers: pa.Array) -> Float[np.ndarray, "n"]:
    return np.asarray(pc.cast(numbers, pa.float64()).to_numpy(zero_copy_only=False))


def _wrapped(angle_deg: np.ndarray) -> np.ndarray:
    """As `eval.values.wrapped`, with angles beyond a turn as NaN."""
    return np.where(np.abs(angle_deg) <= MAX_TURN_DEG, 180.0 - (180.0 - angle_deg) % 360.0, np.nan)


def _ago(time_s: np.ndarray) -> np.ndarray:
    return np.where(time_s <= MAX_TIME_S, -time_s + 0.0, np.nan)


def _times(factor: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda values: values * factor


def _rising(fields: Fields) -> np.ndarray:
    """An interval from early to late; told the other way round, it is left to the parser."""
    return np.asarray(fields["start_s"] <= fields["end_s"])


def _with_area(fields: Fields) -> np.ndarray:
    return np.asarray((fields["u0_px"] < fields["u1_px"]) & (fields["v0_px"] < fields["v1_px"]))


def _finite(name: str) -> Callable[[Fields], np.ndarray]:
    return lambda fields: np.isfinite(fields[name])


def _at_most(name: str, greatest: float, least: float = 0.0) -> Callable[[Fields], np.ndarray]:
    return lambda fields: (fields[name] >= least) & (fields[name] <= greatest)


def _angle(name: str, before: str = "") -> Wording:
    return Wording(before + _number(name, signed=True) + _DEGREES, {name: _wrapped}, _finite(name))


def _speed(units: str, factor: float) -> Wording:
    return Wording(_number("speed_mps") + units, {"speed_mps": _times(factor)}, _at_most("speed_mps", MAX_SPEED_MPS))


WORDINGS: Mapping[str, tuple[Wording, ...]] = {
    "distance": (Wording(_number("distance_m") + _METRES),),
    "bearing": (_angle("bearing_deg"),),
    "turn": (_angle("yaw_deg"),),
    "speed": (
        _speed(r" ?(?:m/s|mps|meters per second|metres per second)", 1.0),
        _speed(" ?(?:km/h|kmh|kph)", 1 / 3.6),
        _speed(" ?mph", 0.44704),
    ),
    "longitudinal": (Wording(_number("x_m", signed=True) + _METRES),),
    "lateral": (Wording(_number("y_m", signed=True) + _METRES),),
    "time": (Wording(_number("time_s") + _SECONDS, {}, _at_most("time_s", MAX_TIME_S)),),
    "localization": (_angle("bearing_deg", _LENGTH_AND),),
    "motion": (_angle("yaw_deg", _LENGTH_AND),),
    "position": (Wording(f"x {_number('x_m', signed=True)}{_METRES}, y {_number('y_m', signed=True)}{_METRES}"),),
    "clock": (Wording("(?P<clock_hour>[0-9]{1,2}) ?o'?clock", {}, _at_most("clock_hour", 12.0, 1.0)),),
    "count": (Wording("(?P<count>[0-9]{1,4})"),),
    "interval": (Wording(_FROM_TO, {"start_s": _ago, "end_s": _ago}, _rising),),
    "box": (Wording(_BOX, {}, _with_area),),
    "interval_box": (
        Wording(
            f"{_FROM_TO}, {_BOX}",
            {"start_s": _ago, "end_s": _ago},
            lambda fields: _rising(fields) & _with_area(fields),
        ),
    ),
}
"""Of the answer types that are numbers."""

LISTED = r"^(?:regions? )?[0-9]{1,3}(?:(?:,| and|, and) (?:region )?[0-9]{1,3})*[.]?$"
"""A list of regions."""
