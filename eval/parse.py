"""Read a model's text as a typed answer, or say why it is none: `Parsed | ParseFailure`, never a stand-in, never an exception.

What counts as an answer:
- a number with a unit of the asked kind; numbers that name regions, times or list items are not answers;
- equal values in two units are one answer (`7.2 meters (23.6 feet)`), different values are `several_values`;
- a number without its unit is `missing_unit`, with what it would have meant kept for a parsed-only line;
- "to the right" makes a bearing negative, since left is positive;
- of several choices, one must be named.

Work is bounded: text over `eval.plaintext.MAX_CHARACTERS` (after the part in `<answer>` tags is taken) is `too_long`.
"""

from __future__ import annotations

import builtins
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from eval.choices import NamedChoice, name_bool, name_choice
from eval.directions import signed_bearing_deg
from eval.mentions import is_label, is_refusal
from eval.plaintext import MAX_CHARACTERS, answer_part, concluded, plain
from eval.units import Dimension, Quantity, find_quantities

Reason = Literal[
    "empty",
    "too_long",
    "refusal",
    "no_answer",
    "missing_unit",
    "wrong_unit",
    "several_values",
    "out_of_range",
    "not_a_number",
    "incomplete",
    "contradiction",
]

SAME_VALUE_SHARE = 0.02
"""Two values that differ by less are one value said twice, in two units or roundings."""

MAX_DISTANCE_M = 1e6
MAX_SPEED_MPS = 1e3
MAX_COUNT = 10_000
MAX_TURN_DEG = 360.0
_WHOLE_HOUR = re.compile(r"\b([0-9]{1,2}):00\b")
_GIVES_WAY_TO_REFUSAL = frozenset({"no_answer", "wrong_unit", "missing_unit"})


@dataclass(frozen=True)
class Parsed:
    """A typed answer; the fields are those of `drive_vqa.schema.TRUTH`, null where not asked for.

    Attributes:
        distance_m: metres, 0 or more.
        bearing_deg: degrees, left positive, (-180, 180].
        speed_mps: metres a second, 0 or more.
        clock_hour: 1 to 12.
        choice: one of the options, as it was given.
        bool: yes or no.
        count: 0 or more.
    """

    distance_m: float | None = None
    bearing_deg: float | None = None
    speed_mps: float | None = None
    clock_hour: int | None = None
    choice: str | None = None
    bool: builtins.bool | None = None
    count: int | None = None

    def as_truth(self) -> dict[str, Any]:
        """As a value of the Arrow struct `TRUTH`."""
        return dict(vars(self))


@dataclass(frozen=True)
class ParseFailure:
    """Why a text is not an answer.

    Attributes:
        reason: one of a few, for counting.
        detail: what was seen, in a few words.
        value_range: least and greatest value named, where the reason is `several_values`; in units of the asked field.
        kept: what the text would have meant, where the reason is `missing_unit` or `incomplete`.
    """

    reason: Reason
    detail: str = ""
    value_range: tuple[float, float] | None = None
    kept: Parsed | None = None


def parse(text: str, answer_type: str, options: Sequence[str] = ()) -> Parsed | ParseFailure:
    """Read an answer.

    Args:
        text: what the model said; anything at all, of any length.
        answer_type: see `drive_vqa.schema.QUESTIONS`.
        options: the choices, for `choice` and `bool`.

    Raises:
        ValueError: `answer_type` is not known (a mistake of the caller; no text raises).
    """
    if answer_type not in _READERS:
        raise ValueError(f"answer type {answer_type!r} is not one of {', '.join(_READERS)}")
    said = answer_part(text)
    if len(said) > MAX_CHARACTERS:
        return ParseFailure("too_long", f"{len(said)} characters")
    said = concluded(plain(said))
    if len(said) > MAX_CHARACTERS:
        return ParseFailure("too_long", "it unfolds to a long text")
    if not any(character.isalnum() for character in said):
        return ParseFailure("empty")
    answer = _READERS[answer_type](said, options)
    if isinstance(answer, ParseFailure) and answer.reason in _GIVES_WAY_TO_REFUSAL and is_refusal(said):
        return ParseFailure("refusal", said[:80])
    return answer


def _localization(said: str, _options: Sequence[str]) -> Parsed | ParseFailure:
    """Distance and bearing, each with its unit; without any unit, the first number is the distance and the second the bearing."""
    quantities = _answers(said)
    distance = _one_value(said, quantities, "length")
    bearing = _one_value(said, quantities, "angle")
    if isinstance(distance, float) and isinstance(bearing, float):
        return Parsed(distance_m=distance, bearing_deg=bearing)
    for part in (distance, bearing):
        if isinstance(part, ParseFailure) and part.reason not in ("no_answer", "missing_unit", "wrong_unit"):
            return part
    bare = [quantity for quantity in quantities if quantity.dimension is None]
    if len(bare) == 2 and isinstance(distance, ParseFailure) and isinstance(bearing, ParseFailure):
        return _bare_pair(said, bare)
    if len(bare) == 1 and not (isinstance(distance, ParseFailure) and isinstance(bearing, ParseFailure)):
        kept_m = distance if isinstance(distance, float) else _checked_length(bare[0].value)
        kept_deg = bearing if isinstance(bearing, float) else signed_bearing_deg(said, bare[0])
        return _missing_unit(bare, _kept_pair(kept_m, kept_deg))
    if isinstance(distance, float):
        return ParseFailure("incomplete", "no bearing", kept=Parsed(distance_m=distance))
    if isinstance(bearing, float):
        return ParseFailure("incomplete", "no distance", kept=Parsed(bearing_deg=bearing))
    return distance


def _bare_pair(said: str, bare: Sequence[Quantity]) -> ParseFailure:
    kept = _kept_pair(_checked_length(bare[0].value), signed_bearing_deg(said, bare[1]))
    return _missing_unit(bare, kept)


def _kept_pair(distance: float | ParseFailure | None, bearing: float | None) -> Parsed | None:
    if not isinstance(distance, float) or bearing is None or not abs(bearing) <= MAX_TURN_DEG:
        return None
    return Parsed(distance_m=distance, bearing_deg=_wrapped(bearing))


def _missing_unit(bare: Sequence[Quantity], kept: Parsed | None) -> ParseFailure:
    return ParseFailure("missing_unit", ", ".join(f"{quantity.value:g}" for quantity in bare), kept=kept)


def _distance(said: str, _options: Sequence[str]) -> Parsed | ParseFailure:
    return _quantity(said, "length", lambda value: Parsed(distance_m=value))


def _bearing(said: str, _options: Sequence[str]) -> Parsed | ParseFailure:
    return _quantity(said, "angle", lambda value: Parsed(bearing_deg=value))


def _speed(said: str, _options: Sequence[str]) -> Parsed | ParseFailure:
    return _quantity(said, "speed", lambda value: Parsed(speed_mps=value))


def _quantity(said: str, dimension: Dimension, make: Callable[[float], Parsed]) -> Parsed | ParseFailure:
    """One number with its unit."""
    quantities = _answers(said)
    value = _one_value(said, quantities, dimension)
    if isinstance(value, float):
        return make(value)
    if value.reason != "missing_unit":
        return value
    bare = [quantity for quantity in quantities if quantity.dimension is None]
    kept = _agreed(said, bare, dimension)
    return _missing_unit(bare, make(kept)) if isinstance(kept, float) else kept


def _clock(said: str, _options: Sequence[str]) -> Parsed | ParseFailure:
    """An hour; "o'clock" may be left out where one number alone is said."""
    said = _WHOLE_HOUR.sub(r"\1", said)
    quantities = _answers(said, bare_one=True)
    hours = [quantity for quantity in quantities if quantity.dimension == "hour"]
    hours = hours or [quantity for quantity in quantities if quantity.dimension is None]
    value = _agreed(said, hours, "hour")
    return Parsed(clock_hour=int(value)) if isinstance(value, float) else value


def _count(said: str, _options: Sequence[str]) -> Parsed | ParseFailure:
    counts = [quantity for quantity in _answers(said, bare_one=True) if quantity.dimension is None]
    if not counts and any(word in ("no", "none", "nothing") for word in said.replace(",", " ").split()[:3]):
        return Parsed(count=0)
    value = _agreed(said, counts, None)
    return Parsed(count=int(value)) if isinstance(value, float) else value


def _choice(said: str, options: Sequence[str]) -> Parsed | ParseFailure:
    named = name_choice(said, tuple(options))
    return Parsed(choice=named) if isinstance(named, str) else _not_chosen(named)


def _bool(said: str, options: Sequence[str]) -> Parsed | ParseFailure:
    named = name_bool(said, tuple(options))
    return Parsed(bool=named) if isinstance(named, bool) else _not_chosen(named)


def _not_chosen(named: NamedChoice) -> ParseFailure:
    return ParseFailure("several_values" if named.several else "no_answer", named.detail[:80])


def _answers(said: str, *, bare_one: bool = False) -> list[Quantity]:
    """Quantities that may be an answer: no region numbers, no list numbers, and "one" only where a number is asked for."""
    answers: list[Quantity] = []
    previous: Quantity | None = None
    after_label = False
    for quantity in find_quantities(said):
        between = said[previous.end : quantity.start] if previous else ""
        after_label = is_label(said, quantity, between if after_label else None)
        previous = quantity
        pronoun = quantity.number.spelled and quantity.value == 1 and quantity.dimension is None
        if not after_label and (bare_one or not pronoun):
            answers.append(quantity)
    return answers


def _one_value(said: str, quantities: Sequence[Quantity], dimension: Dimension) -> float | ParseFailure:
    """The value that all quantities of a dimension agree on."""
    asked = [quantity for quantity in quantities if quantity.dimension == dimension]
    if asked:
        return _agreed(said, asked, dimension)
    if any(quantity.dimension is None for quantity in quantities):
        return ParseFailure("missing_unit")
    others = [quantity for quantity in quantities if quantity.dimension != "other"]
    return ParseFailure("wrong_unit", others[0].dimension or "") if others else ParseFailure("no_answer", said[:80])


def _agreed(said: str, quantities: Sequence[Quantity], dimension: Dimension | None) -> float | ParseFailure:
    if not quantities:
        return ParseFailure("no_answer", said[:80])
    values = [_read(said, quantity, dimension) for quantity in quantities]
    good = [value for value in values if isinstance(value, float)]
    if len(good) < len(values):
        return next(value for value in values if isinstance(value, ParseFailure))
    if all(_same(good[0], value, dimension) for value in good):
        return good[0]
    return ParseFailure("several_values", ", ".join(f"{v:g}" for v in good)[:80], (min(good), max(good)))


def _read(said: str, quantity: Quantity, dimension: Dimension | None) -> float | ParseFailure:
    """A quantity as a value of what is asked, checked for range."""
    written = said[quantity.start : quantity.end][:40]
    if not math.isfinite(quantity.value):
        return ParseFailure("not_a_number", written)
    if dimension == "length":
        return _checked_length(quantity.value)
    if dimension == "angle":
        bearing_deg = signed_bearing_deg(said, quantity)
        if bearing_deg is None:
            return ParseFailure("contradiction", f"{written} and the other side")
        in_range = abs(bearing_deg) <= MAX_TURN_DEG
        return _wrapped(bearing_deg) if in_range else ParseFailure("out_of_range", written)
    if dimension == "speed":
        return quantity.value if 0 <= quantity.value <= MAX_SPEED_MPS else ParseFailure("out_of_range", written)
    low, high = (1, 12) if dimension == "hour" else (0, MAX_COUNT)
    whole = quantity.value.is_integer() and low <= quantity.value <= high
    return quantity.value if whole else ParseFailure("out_of_range", written)


def _checked_length(value_m: float) -> float | ParseFailure:
    if math.isfinite(value_m) and 0 <= value_m <= MAX_DISTANCE_M:
        return value_m
    return ParseFailure("out_of_range" if math.isfinite(value_m) else "not_a_number", f"{value_m:g}")


def _same(first: float, second: float, dimension: Dimension | None) -> bool:
    if dimension == "angle":
        return abs(_wrapped(first - second)) <= 1.0
    return math.isclose(first, second, rel_tol=SAME_VALUE_SHARE if dimension in ("length", "speed") else 0.0)


def _wrapped(angle_deg: float) -> float:
    """Degrees in (-180, 180]; `drive_vqa.geometry.wrap_deg` without numpy, so that parsing stays light."""
    return 180.0 - (180.0 - angle_deg) % 360.0


_READERS: dict[str, Callable[[str, Sequence[str]], Parsed | ParseFailure]] = {
    "localization": _localization,
    "distance": _distance,
    "bearing": _bearing,
    "speed": _speed,
    "clock": _clock,
    "choice": _choice,
    "bool": _bool,
    "count": _count,
}
