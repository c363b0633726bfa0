"""Texts that no honest model writes, to try parsers and rewards with.

A text is a trace as it should be with pieces cut out, doubled, swapped or replaced, or a string of fragments of tags, numbers and
odd characters, or a few fragments over and over. A flood is one piece over and over, for a million characters; the pieces are
such as make a careless pattern slow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from drive_vqa.traces import DIALECTS, Place, Point, Seen, Trace, render

HONEST = Trace(
    (
        (
            "In the image of my front camera, ",
            Seen("Region 3", (412, 300, 480, 372), -1.5),
            " was at ",
            Place(12.4, -8.0),
            ".",
        ),
        (Seen("Region 12", (0, 302, 490, 377), 0.0), " is at ", Place(103.0, 180.0), "."),
        ("It moves at (1.2, -0.3) m/s.",),
        ("So the answer is Region 12 ", Point(245, 339), "."),
    ),
    "Region 12",
    first_s=-1.5,
)
"""What is spoiled."""

_LOOK = '<tool_call>{"name": "zoom", "arguments": {"coordinate": [4, 5]}}</tool_call><observation>crop</observation>'
_PARTS = ("think", "answer", "tool_call", "tool_response", "observation", "Think")
_EVIDENCE = ("obj", "box", "t", "point", "pos", "b")
FRAGMENTS = (
    *(f"<{name}>" for name in (*_PARTS, *_EVIDENCE)),
    *(f"</{name}>" for name in (*_PARTS, *_EVIDENCE)),
    *("[1,2,3,4]", "[1, 2.5, -3, +4 ]", "(1,2)", "( 1.5 , 2 )", "12.4 m, -8°", ", 0.5 seconds ago,", "at", "s"),
    *("<", ">", "/", "</", "<>", "(", "[", ",", ".", "-", "+", "°", "1", "9" * 400, "1e309", "nan"),
    *("\t", " ", "\n", "\r\n", "\u2028", "\x00", "\ud800", "\udfff", "\u202e", "\ufeff", "\u0663", "\uff11\uff12"),
    *("é", "²", "\u6f22", "\U0001f600", "user", "<|im_end|>", _LOOK),
)
"""What the others are made of."""

FLOODED = (
    *("<think>", "</think>", "<think>a</think>", "<answer>", "<tool_call>", "</tool_call>", "assistant", "<|a|>"),
    *("<box>", "</box>", "<box>[1,2,3,4]</box>", "<box>[1,2,3,4,</box>", "<obj>a", "<obj>a</obj>", "<t>1</t>"),
    *("<point>(1,2)</point>", "<pos>1 m, 2°</pos>", "<b>", "<", ">", "<a", "<>", "</", "<\n", "a\n", "\n", " ", "\t"),
    *("(", "(1,", "(1,2)\n", "( ", "[", "1", "1 ", "1 m, ", "1 m, 2°", ", 1 seconds ago", ", 1 seconds ago,"),
    *("\0", "\ud800", "\u202e", "\uff11", f"<obj>a</obj>{' ' * 999}", "x (1, 2) <box>[1,2,3,4]</box>\n"),
)
"""What floods are made of."""

_FLOOD_CHARACTERS = 1_000_000
_MOST_CHANGES = 6
_MOST_FRAGMENTS = 60
_LONGEST_CHARACTERS = 100_000
_REPEATED_SHARE = 0.002
_USUAL_SPAN = 12


def floods() -> Iterator[str]:
    """Each piece from the start, and in a thought."""
    for piece in FLOODED:
        for lead in ("", "<think>"):
            yield lead + piece * (_FLOOD_CHARACTERS // len(piece))


def make_text(random: Random) -> str:
    """One hostile text."""
    kind = random.random()
    if kind < _REPEATED_SHARE:
        lead = random.choice(("", "<think>", "<think>a</think><answer>"))
        piece = "".join(random.choices(FRAGMENTS, k=random.randint(1, 3)))
        return lead + piece * random.randint(1, _LONGEST_CHARACTERS // len(piece))
    if kind < 1 / 3:
        return "".join(random.choices(FRAGMENTS, k=random.randint(0, _MOST_FRAGMENTS)))
    text = render(HONEST, random.choice(DIALECTS))
    for _ in range(random.randint(0, _MOST_CHANGES)):
        text = random.choice(_CHANGES)(text, random)
    return text


def _span(text: str, random: Random) -> tuple[int, int]:
    start = random.randint(0, len(text))
    return start, min(len(text), start + int(random.expovariate(1 / _USUAL_SPAN)))


def _cut(text: str, random: Random) -> str:
    start, end = _span(text, random)
    return text[:start] + text[end:]


def _double(text: str, random: Random) -> str:
    start, end = _span(text, random)
    return text[:end] + text[start:end] * random.randint(1, 3) + text[end:]


def _put(text: str, random: Random) -> str:
    """A fragment between two characters or in the place of some."""
    start, end = _span(text, random)
    return text[:start] + random.choice(FRAGMENTS) + text[random.choice((start, end)) :]


def _swap(text: str, random: Random) -> str:
    (start, end), (then, last) = sorted((_span(text, random), _span(text, random)))
    return text[:start] + text[then:last] + text[end:then] + text[start:end] + text[last:] if end <= then else text


_CHANGES: tuple[Callable[[str, Random], str], ...] = (_cut, _double, _put, _swap)
