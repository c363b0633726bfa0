"""How evidence is written in each dialect, as a reader takes it.

The writer's forms are in `drive_vqa.traces`. Read besides, in every dialect: blanks inside tags and between them, decimals for
whole numbers, a plus sign. Numbers have ASCII digits, at most nine before and nine after the point, and no exponent.

    drive     `<obj>name</obj><box>[u0,v0,u1,v1]</box>at<t>seconds</t>s`, `<point>(u,v)</point>`, `<pos>d m, θ°</pos>`. The words
              "at" and "s" may be missing, the three tags of what is seen may not. A step is a line.
    open_o3   the first of these alone, with times from the first image. One name and one time may go with several boxes in a
              row, as its published reward reads it. A time without a box is no fault: its models tell intervals so.
    treevgr   `<box>[u0,v0,u1,v1]</box>`, which has no name: words do not name it. "N seconds ago" right after it is its time.
    vigorl    `(u, v)` in words; ", N seconds ago," between the point before and it is its time. Metric coordinates, known by
              their unit, `(x, y) m`, are no points. A line ends in a point, which punctuation may follow.

In the three published dialects a place is plain words, `d m, θ°`. Their models think in one paragraph or in several: a step is a
line that is not blank, and sentences are not told apart. Their prompts may open the thought, so that the text only closes it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from drive_vqa.traces import Dialect

_GAP = r"[ \t]*+"
_NUMBER = r"[-+]?[0-9]{1,9}+(?:\.[0-9]{0,9}+)?+"
_TOLD = rf"\s*+({_NUMBER})\s*+"
_AGO = rf"(?P<ago>{_NUMBER}){_GAP}seconds?+ ago"
_BOXES = rf"(?P<boxes>(?:<box>[^<>]*+</box>{_GAP})++)"
_LABEL = rf"<obj>(?P<label>[^<>]*+)</obj>{_GAP}"
_AT = rf"(?:at)?+{_GAP}<t>(?P<at>[^<>]*+)</t>"

_SEEN = rf"(?P<seen>(?:{_LABEL})?+{_BOXES}(?:{_AT})?+)"
_SEEN_AGO = rf"(?P<seen>{_BOXES}(?:,?+{_GAP}{_AGO})?+)"
_NAME = r"(?P<name><obj>[^<>]*+</obj>)"
_TIME = r"(?P<time><t>(?P<clock>[^<>]*+)</t>)"
_WHEN = rf"(?P<when>,{_GAP}{_AGO}{_GAP},)"
_POINT = r"(?P<point><point>(?P<pixel>[^<>]*+)</point>)"
_POINT_IN_WORDS = rf"(?P<point>(?P<pixel>\({_GAP}{_NUMBER}{_GAP},{_GAP}{_NUMBER}{_GAP}\))(?!{_GAP}k?m\b))"
_PLACE = r"(?P<place><pos>(?P<ground>[^<>]*+)</pos>)"
_PLACE_IN_WORDS = rf"(?P<place>(?<![A-Za-z0-9_.+-])(?P<ground>{_NUMBER}{_GAP}m,{_GAP}{_NUMBER}{_GAP}°))"
_TAG = r"(?P<tag><(?P<slash>/?)(?P<tag_name>[A-Za-z][A-Za-z_]{0,30}+)>)"
_BRACKETS = r"(?P<brackets>(?:>|<(?!/?[A-Za-z]))++|<)"

BOX = re.compile(r"<box>([^<>]*+)</box>")
FOUR_NUMBERS = re.compile(rf"\s*+\[{','.join([_TOLD] * 4)}\]\s*+")
TWO_NUMBERS = re.compile(rf"\s*+\({_TOLD},{_TOLD}\)\s*+")
DISTANCE_AND_BEARING = re.compile(rf"{_TOLD}m\s*+,{_TOLD}°\s*+")
ONE_NUMBER = re.compile(_TOLD)


@dataclass(frozen=True)
class Form:
    """What a dialect has.

    Attributes:
        evidence: finds in a line all that is evidence or a tag; the last group that matched names what it is.
        tags: names of the tags that a thought may hold.
        wants_name: a box needs a name.
        wants_time: a box needs a time.
        lone_times: a time may stand without a box.
        from_first_image: times are counted from there, not from now.
        ends_in_point: every step does.
        strict: blank lines, lone brackets and a thought that is not opened are faults.
    """

    evidence: re.Pattern[str]
    tags: frozenset[str]
    wants_name: bool = False
    wants_time: bool = False
    lone_times: bool = False
    from_first_image: bool = False
    ends_in_point: bool = False
    strict: bool = False


def _any_of(*forms: str) -> re.Pattern[str]:
    return re.compile("|".join(forms))


FORMS: dict[Dialect, Form] = {
    "drive": Form(
        _any_of(_SEEN, _NAME, _TIME, _POINT, _PLACE, _TAG, _BRACKETS),
        frozenset({"obj", "box", "t", "point", "pos"}),
        wants_name=True,
        wants_time=True,
        strict=True,
    ),
    "open_o3": Form(
        _any_of(_SEEN, _NAME, _TIME, _PLACE_IN_WORDS, _TAG),
        frozenset({"obj", "box", "t"}),
        wants_name=True,
        wants_time=True,
        lone_times=True,
        from_first_image=True,
    ),
    "treevgr": Form(_any_of(_SEEN_AGO, _PLACE_IN_WORDS, _TAG), frozenset({"box"})),
    "vigorl": Form(_any_of(_POINT_IN_WORDS, _WHEN, _PLACE_IN_WORDS, _TAG), frozenset(), ends_in_point=True),
}
"""By dialect."""
