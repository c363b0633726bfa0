"""Read a model's text as a typed answer, or say why it is none: `Parsed | ParseFailure`, never a stand-in, never an exception.

What counts as an answer:
- a number with a unit of the asked kind; numbers that name regions, times or list items are not answers;
- equal values in two units are one answer (`7.2 meters (23.6 feet)`), different values are `several_values`;
- a number without its unit is `missing_unit`, with what it would have meant kept for a parsed-only line;
- "to the right" makes a bearing, a turn or a lateral offset negative, since left is positive; "behind" likewise;
- of several choices, one must be named;
- a refusal is a failure, unless the question is one that cannot be answered: there it is the answer, and every other readable
  text is a wrong one. Who refuses and gives a measure all the same has not refused.

Work is bounded: text over `eval.plaintext.MAX_CHARACTERS` (after the part in `<answer>` tags is taken) is `too_long`, and so is
one with over `eval.numbers.MAX_NUMBERS` numbers where a number is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from eval.answers import Parsed, ParseFailure, Reason
from eval.choices import NamedChoice, name_bool, name_choice
from eval.image_boxes import read_box, read_interval_box
from eval.intervals import read_interval
from eval.mentions import is_refusal, says_none, without_unknowing
from eval.numbers import MAX_NUMBERS, TooManyNumbersError
from eval.places import read_position
from eval.plaintext import MAX_CHARACTERS, answer_part, concluded, plain
from eval.region_lists import NO_REGIONS, read_ranking, read_regions
from eval.units import Quantity
from eval.values import (
    ANGLE,
    COUNT,
    HOUR,
    LATERAL,
    LENGTH,
    LONGITUDINAL,
    SPEED,
    TIME,
    Measure,
    agreed,
    answers,
    bare_numbers,
    one_value,
)

__all__ = ["ANSWER_TYPES", "ParseFailure", "Parsed", "Reason", "parse", "read_said", "said_in"]

_WHOLE_HOUR = re.compile(r"\b([0-9]{1,2}):00\b")
_NONE_FIRST = re.compile(r"(?:[^\s,]+[\s,]+){0,2}(?:no|none|nothing)(?![^\s,.!])")
_NEXT = re.compile(r"\bnext (?:about )?$")
_GIVES_WAY_TO_REFUSAL = frozenset({"no_answer", "wrong_unit", "missing_unit"})
_MEASURED = frozenset({"length", "angle", "speed", "hour"})
_LOOK_BACK = 16

Reader = Callable[[str, Sequence[str]], Parsed | ParseFailure]


def parse(text: str, answer_type: str, options: Sequence[str] = ()) -> Parsed | ParseFailure:
    """Read an answer.

    Args:
        text: what the model said; anything at all, of any length.
        answer_type: see `drive_vqa.schema.TRUTH`.
        options: the choices, for `choice` and `bool`.

    Raises:
        ValueError: `answer_type` is not known (a mistake of the caller; no text raises).
    """
    if answer_type not in _READERS:
        raise ValueError(f"answer type {answer_type!r} is not one of {', '.join(_READERS)}")
    said = said_in(text)
    return said if isinstance(said, ParseFailure) else read_said(said, answer_type, options)


def said_in(text: str) -> str | ParseFailure:
    """The part of a text that holds the answer, in plain form."""
    said = answer_part(text)
    if len(said) > MAX_CHARACTERS:
        return ParseFailure("too_long", f"{len(said)} characters")
    said = concluded(plain(said))
    if len(said) > MAX_CHARACTERS:
        return ParseFailure("too_long", "it unfolds to a long text")
    return said


def read_said(
    said: str, answer_type: str, options: Sequence[str] = (), *, refuses: bool | None = None
) -> Parsed | ParseFailure:
    """Read what `said_in` gave; `refuses` where it is known already whether it is a refusal (`eval.mentions.is_refusal`)."""
    is_empty_list = answer_type == "regions" and said == NO_REGIONS
    if not is_empty_list and not any(map(str.isalnum, said)):
        return ParseFailure("empty")
    try:
        answer = _READERS[answer_type](said, options)
    except TooManyNumbersError:
        return ParseFailure("too_long", f"more than {MAX_NUMBERS} numbers")
    if not isinstance(answer, ParseFailure) or answer.reason not in _GIVES_WAY_TO_REFUSAL:
        return answer
    if is_refusal(said) if refuses is None else refuses:
        return ParseFailure("refusal", said[:80])
    return answer


def _pair(said: str, make: Callable[[float | None, float | None], Parsed]) -> Parsed | ParseFailure:
    """A length and an angle, each with its unit; without any unit, the first number is the length."""
    quantities = answers(said)
    distance, angle = one_value(said, quantities, LENGTH), one_value(said, quantities, ANGLE)
    if isinstance(distance, float) and isinstance(angle, float):
        return make(distance, angle)
    for part in (distance, angle):
        if isinstance(part, ParseFailure) and part.reason not in ("no_answer", "missing_unit", "wrong_unit"):
            return part
    bare = bare_numbers(quantities)
    known = isinstance(distance, float) or isinstance(angle, float)
    if len(bare) == (1 if known else 2):
        kept_m = distance if isinstance(distance, float) else LENGTH.read(said, bare[0])
        kept_deg = angle if isinstance(angle, float) else ANGLE.read(said, bare[-1])
        both = isinstance(kept_m, float) and isinstance(kept_deg, float)
        return _missing_unit(bare, make(_number(kept_m), _number(kept_deg)) if both else None)
    if isinstance(distance, float):
        return ParseFailure("incomplete", "no angle", kept=make(distance, None))
    if isinstance(angle, float):
        return ParseFailure("incomplete", "no distance", kept=make(None, angle))
    return distance


def _number(value: float | ParseFailure) -> float | None:
    return value if isinstance(value, float) else None


def _localization(said: str, _options: Sequence[str]) -> Parsed | ParseFailure:
    return _pair(said, lambda distance_m, angle_deg: Parsed(distance_m=distance_m, bearing_deg=angle_deg))


def _motion(said: str, _options: Sequence[str]) -> Parsed | ParseFailure:
    return _pair(said, lambda distance_m, angle_deg: Parsed(distance_m=distance_m, yaw_deg=angle_deg))


def _missing_unit(bare: Sequence[Quantity], kept: Parsed | None) -> ParseFailure:
    return ParseFailure("missing_unit", ", ".join(f"{quantity.value:g}" for quantity in bare), kept=kept)


def _quantity(measure: Measure, make: Callable[[float], Parsed]) -> Reader:
    """A reader of one number with its unit."""

    def read(said: str, _options: Sequence[str]) -> Parsed | ParseFailure:
        quantities = answers(said, never_label="time" if measure.dimension == "time" else None)
        if measure.dimension == "time":
            quantities = _without_reach(said, quantities)
        value = one_value(said, quantities, measure)
        if isinstance(value, float):
            return make(value)
        if value.reason != "missing_unit":
            return value
        bare = bare_numbers(quantities)
        kept = agreed(said, bare, measure)
        return _missing_unit(bare, make(kept)) if isinstance(kept, float) else kept

    return read


def _without_reach(said: str, quantities: Sequence[Quantity]) -> list[Quantity]:
    """Leave out "over the next 3 seconds" where another time is told."""
    rest = [one for one in quantities if not _NEXT.search(said[max(one.start - _LOOK_BACK, 0) : one.start])]
    return rest if any(one.dimension == "time" for one in rest) else list(quantities)


def _clock(said: str, _options: Sequence[str]) -> Parsed | ParseFailure:
    """An hour; "o'clock" may be left out where one number alone is said."""
    said = _WHOLE_HOUR.sub(r"\1", said) if ":00" in said else said
    quantities = answers(said, bare_one=True)
    hours = [quantity for quantity in quantities if quantity.dimension == "hour"] or bare_numbers(quantities)
    value = agreed(said, hours, HOUR)
    return Parsed(clock_hour=int(value)) if isinstance(value, float) else value


def _count(said: str, _options: Sequence[str]) -> Parsed | ParseFailure:
    said = without_unknowing(said)
    counts = bare_numbers(answers(said, bare_one=True))
    if not counts and _NONE_FIRST.match(said) and says_none(said):
        return Parsed(count=0)
    value = agreed(said, counts, COUNT)
    return Parsed(count=int(value)) if isinstance(value, float) else value


def _choice(said: str, options: Sequence[str]) -> Parsed | ParseFailure:
    named = name_choice(said, tuple(options))
    return Parsed(choice=named) if isinstance(named, str) else _not_chosen(named)


def _bool(said: str, options: Sequence[str]) -> Parsed | ParseFailure:
    named = name_bool(said, tuple(options))
    return Parsed(bool=named) if isinstance(named, bool) else _not_chosen(named)


def _not_chosen(named: NamedChoice) -> ParseFailure:
    return ParseFailure("several_values" if named.several else "no_answer", named.detail[:80])


def _undetermined(said: str, _options: Sequence[str]) -> Parsed | ParseFailure:
    refuses = is_refusal(said)
    return Parsed(undetermined=refuses and not any(quantity.dimension in _MEASURED for quantity in answers(said)))


_READERS: dict[str, Reader] = {
    "distance": _quantity(LENGTH, lambda value: Parsed(distance_m=value)),
    "bearing": _quantity(ANGLE, lambda value: Parsed(bearing_deg=value)),
    "turn": _quantity(ANGLE, lambda value: Parsed(yaw_deg=value)),
    "speed": _quantity(SPEED, lambda value: Parsed(speed_mps=value)),
    "longitudinal": _quantity(LONGITUDINAL, lambda value: Parsed(x_m=value)),
    "lateral": _quantity(LATERAL, lambda value: Parsed(y_m=value)),
    "time": _quantity(TIME, lambda value: Parsed(time_s=value)),
    "localization": _localization,
    "position": read_position,
    "motion": _motion,
    "clock": _clock,
    "count": _count,
    "choice": _choice,
    "bool": _bool,
    "ranking": read_ranking,
    "regions": read_regions,
    "interval": read_interval,
    "box": read_box,
    "interval_box": read_interval_box,
    "undetermined": _undetermined,
}

ANSWER_TYPES = tuple(_READERS)
"""Every answer type that is known."""
