"""How a reasoned answer is written: steps with evidence, then the answer. The one place that writes tags.

Grammar of the dialect `drive` (EBNF; one step a line, NL is a line feed):

    trace    = [ "<think>" NL step NL { step NL } "</think>" NL ] "<answer>" text "</answer>" ;
    step     = piece { piece } ;
    piece    = text | seen | point | place ;
    seen     = "<obj>" text "</obj><box>[" int "," int "," int "," int "]</box>at<t>" decimal "</t>s" ;
    point    = "<point>(" int "," int ")</point>" ;
    place    = "<pos>" decimal " m, " int "°</pos>" ;
    text     = character { character } ;       (any but "<", ">" and line breaks)
    int      = [ "-" ] digit { digit } ;
    decimal  = [ "-" ] digit { digit } "." digit ;

Two texts never stand next to each other. A step has at least one character that is not blank. Boxes are left, top, right, bottom
and points (u, v), in whole pixels of the original image; times are seconds from now, 0.0 or negative; a place is the distance on
the ground and the bearing (0 ahead, positive to the left) in the ego frame of the time that the step speaks of: of the `seen`
before it, or of now. "-0" is not written.

The other dialects carry the same steps in the forms of published systems, so that their models can be scored or tuned:

    vigorl    no tags; what is seen is a name with a point `(u, v)`; every step ends in the point of what was seen last
    treevgr   boxes `<box>[u0,v0,u1,v1]</box>` alone; times and places are plain words
    open_o3   `<obj>…</obj><box>[…]</box>at<t>…</t>s`, times counted from the first image; places are plain words
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

Dialect = Literal["drive", "vigorl", "treevgr", "open_o3"]
DIALECTS: tuple[Dialect, ...] = get_args(Dialect)
ImageBox = tuple[int, int, int, int]


@dataclass(frozen=True)
class Seen:
    """A claim: an object is in this box of the image taken at this time.

    Attributes:
        name: what it is called, such as "Region 3".
        box_px: left, top, right, bottom in whole pixels of the original image.
        offset_s: when, from now.

    Raises:
        ValueError: the box is empty, the time is not a number or lies ahead, or the name cannot be written.
    """

    name: str
    box_px: ImageBox
    offset_s: float

    def __post_init__(self) -> None:
        u0, v0, u1, v1 = self.box_px
        if u1 <= u0 or v1 <= v0:
            raise ValueError(f"the box {list(self.box_px)} of {self.name} has no area")
        if not -math.inf < self.offset_s <= 0:
            raise ValueError(f"{self.name} cannot have been seen {self.offset_s} s from now")
        _checked(self.name)

    @property
    def centre_px(self) -> tuple[int, int]:
        """A pixel in the middle of the box."""
        u0, v0, u1, v1 = self.box_px
        return (u0 + u1) // 2, (v0 + v1) // 2


@dataclass(frozen=True)
class Point:
    """A pixel of the original image that what is said is about."""

    u_px: int
    v_px: int


@dataclass(frozen=True)
class Place:
    """Where something is on the ground, in an ego frame.

    Attributes:
        distance_m: from the ego origin.
        bearing_deg: 0 ahead, positive to the left.
    """

    distance_m: float
    bearing_deg: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.distance_m) and math.isfinite(self.bearing_deg)):
            raise ValueError(f"a place needs finite numbers, got {self.distance_m} m, {self.bearing_deg}°")


Piece = str | Seen | Point | Place
Step = tuple[Piece, ...]


@dataclass(frozen=True)
class Trace:
    """A reasoned answer.

    Attributes:
        steps: may be none: a direct answer.
        answer: the text that is judged.
        first_s: time of the first image that was shown.

    Raises:
        ValueError: a text holds "<", ">" or a line break, or there is nothing in a step or in the answer.
    """

    steps: tuple[Step, ...]
    answer: str
    first_s: float = 0.0

    def __post_init__(self) -> None:
        _checked(self.answer)
        for step in self.steps:
            if not any(not isinstance(piece, str) or piece.strip() for piece in step):
                raise ValueError("a step of a trace says nothing")
            for piece in step:
                if isinstance(piece, str):
                    _checked(piece, may_be_blank=True)


def render(trace: Trace, dialect: Dialect = "drive") -> str:
    """A trace as text, see the grammar above."""
    lines = _WRITERS[dialect](trace)
    thought = "".join(f"{line}\n" for line in lines)
    return (f"<think>\n{thought}</think>\n" if lines else "") + f"<answer>{trace.answer}</answer>"


def box_text(box_px: ImageBox) -> str:
    """A box with its tags."""
    return f"<box>[{','.join(map(str, box_px))}]</box>"


def place_text(place: Place) -> str:
    """A place without tags, such as "12.4 m, -8°"."""
    return f"{decimal(place.distance_m)} m, {whole(place.bearing_deg)}°"


def decimal(value: float) -> str:
    """A number to a tenth, ties to even tenths, never "-0.0"."""
    return f"{round(value * 10) / 10 + 0.0:.1f}"


def whole(value_deg: float) -> str:
    """An angle to a degree, never "-0" nor "-180"."""
    return str(180 if round(value_deg) == -180 else round(value_deg))


def _drive(trace: Trace) -> list[str]:
    def write(piece: Piece) -> str:
        if isinstance(piece, Seen):
            return f"<obj>{piece.name}</obj>{box_text(piece.box_px)}at<t>{decimal(piece.offset_s)}</t>s"
        if isinstance(piece, Point):
            return f"<point>({piece.u_px},{piece.v_px})</point>"
        return piece if isinstance(piece, str) else f"<pos>{place_text(piece)}</pos>"

    return ["".join(map(write, step)) for step in trace.steps]


def _open_o3(trace: Trace) -> list[str]:
    def write(piece: Piece) -> str:
        if isinstance(piece, Seen):
            shown_s = decimal(piece.offset_s - trace.first_s)
            return f"<obj>{piece.name}</obj>{box_text(piece.box_px)}at<t>{shown_s}</t>s"
        return _plain(piece)

    return ["".join(map(write, step)).strip() for step in trace.steps]


def _treevgr(trace: Trace) -> list[str]:
    def write(piece: Piece) -> str:
        if isinstance(piece, Seen):
            return f"{piece.name} {box_text(piece.box_px)}{_ago(piece.offset_s)}"
        return _plain(piece)

    return ["".join(map(write, step)).strip() for step in trace.steps]


def _vigorl(trace: Trace) -> list[str]:
    """What is seen last in a step is pointed at where the step ends, all else where it is named."""
    lines, last = [], ""
    for step in trace.steps:
        own = [index for index, piece in enumerate(step) if isinstance(piece, Seen | Point)]
        words = ""
        for index, piece in enumerate(step):
            at = _point(piece)
            last = at or last
            words += f"{piece.name}{_ago(piece.offset_s)}" if isinstance(piece, Seen) else _plain(piece)
            words += f" {at}" if at and index != own[-1] else ""
        lines.append(f"{words.strip().rstrip('.')} {last}" if last else words.strip())
    return lines


def _point(piece: Piece) -> str:
    if isinstance(piece, Point):
        return f"({piece.u_px}, {piece.v_px})"
    return f"({piece.centre_px[0]}, {piece.centre_px[1]})" if isinstance(piece, Seen) else ""


def _plain(piece: Piece) -> str:
    """Words; a point has no words."""
    if isinstance(piece, Place):
        return place_text(piece)
    return piece if isinstance(piece, str) else ""


def _ago(offset_s: float) -> str:
    return f", {decimal(-offset_s)} seconds ago," if offset_s else ""


def _checked(text: str, *, may_be_blank: bool = False) -> None:
    """A line that a reader cannot take for a tag."""
    if set(text) & set("<>") or len(text.splitlines()) != 1 or not (may_be_blank or text.strip()):
        raise ValueError(f"a text of a trace must be one line without < and >, got {text[:80]!r}")


_WRITERS: dict[Dialect, Callable[[Trace], list[str]]] = {
    "drive": _drive,
    "vigorl": _vigorl,
    "treevgr": _treevgr,
    "open_o3": _open_o3,
}
