"""Answers that no honest model writes, to try the parser of answers with.

A text is two answers cut anywhere and joined, an answer with words put in, words in a row, characters at random, a malformed text
as models write it, or one of the hostile texts that traces are tried with (`eval.reasoning.hostile`).
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from eval.reasoning.hostile import FRAGMENTS, make_text
from eval.scoring_benchmark_data import BLOCK, MALFORMED, Near, make_cases, well_formed

OPTIONS = (
    *((), ("yes", "no"), ("left", "right"), ("closing", "receding", "keeping its distance"), ("Region 1", "Region 12")),
    *(("12.4 meters", "4 meters", "2.4 meters"), ("-8 degrees", "8 degrees", "12 degrees"), ("2", "3", "12")),
    *(("b", "a"), ("A. left", "left."), ("", "no"), ("The answer is: left", "left")),
)
"""What may be on offer."""

_HONEST = (
    *well_formed(make_cases(20 * len(BLOCK), 0)),
    *(
        "B",
        "(b)",
        "B. right",
        "Yes, it is.",
        "no",
        "none",
        "left",
        "Region 12.",
        "12.4 m ahead, 3 m to the right",
        "about 5 m",
    ),
    *(
        "cannot be determined",
        "I cannot tell.",
        "no idea",
        "no one knows",
        "12' 3\"",
        "5 to 6 m",
        "In 2 seconds: 7.2 m",
    ),
    *(
        "for the last 1.5 seconds",
        "two and a half meters",
        "30 degrees to the left",
        "x1=1 y1=2 x2=3 y2=4",
        "1. 2\n2. 0",
    ),
)
_WORDS = (
    *(
        "1",
        "-2",
        "3.5",
        "1,200",
        "1e1",
        "1e999",
        "\u22127",
        "½",
        "²",
        "ten",
        "half a",
        "hundred",
        "thousand",
        "nan",
        "inf",
    ),
    *(
        "minus",
        "and",
        "to",
        "or",
        "-",
        "+",
        ",",
        ".",
        ":",
        ";",
        "(",
        ")",
        "[",
        "]",
        "'",
        '"',
        "°",
        "/",
        "^",
        "_",
        "%",
        "#",
        "~",
    ),
    *(
        "m",
        "meters",
        "km",
        "ft",
        "feet",
        "inches",
        "in",
        "m/s",
        "km/h",
        "degrees",
        "rad",
        "o'clock",
        "s",
        "seconds",
        "ms",
    ),
    *(
        "right",
        "left",
        "ahead",
        "behind",
        "now",
        "ago",
        "last",
        "next",
        "between",
        "region",
        "frame",
        "t=",
        "x",
        "y",
        "x1",
        "px",
    ),
    *(
        "answer is",
        "answer:",
        "conclusion",
        "yes",
        "no",
        "none",
        "not",
        "A",
        "B",
        "one",
        "no idea",
        "cannot",
        "point",
        "the",
    ),
    *(
        "<answer>",
        "</answer>",
        "</think>",
        "\\boxed{",
        "\\text{",
        "$",
        "*",
        "`",
        "|",
        "\n",
        "\t",
        " ",
        "\u00a0",
        "…",
        "車",
    ),
)
_MOST_WORDS = 16
_LOOP_SHARE = 0.01
_MOST_LOOPS = 400


def make_answer(random: Random) -> str:
    """One hostile text."""
    text = random.choice(_KINDS)(random)
    return text * random.randint(1, _MOST_LOOPS) if random.random() < _LOOP_SHARE else text


def _joined(random: Random) -> str:
    """The beginning of one answer and the end of another, which may be the same."""
    first, second = random.choice(_HONEST), random.choice(_HONEST)
    return first[: random.randint(0, len(first))] + second[random.randint(0, len(second)) :]


def _with_words(random: Random) -> str:
    text = random.choice((_joined, lambda random: random.choice(_HONEST)))(random)
    for _ in range(random.randint(1, 4)):
        place = random.randint(0, len(text))
        text = text[:place] + random.choice(("", " ")) + random.choice(_WORDS) + text[place:]
    return text


def _in_a_row(random: Random) -> str:
    return random.choice(("", " ")).join(random.choices(_WORDS, k=random.randint(0, _MOST_WORDS)))


def _malformed(random: Random) -> str:
    make = random.choice(tuple(MALFORMED.values()))
    return make(Near(round(random.uniform(0, 200), random.randint(0, 3)), random.choice(_HONEST), random))


def _characters(random: Random) -> str:
    ranges = random.choice(((32, 127), (0, 0x3000), (0, 0x110000)))
    return "".join(chr(random.randrange(*ranges)) for _ in range(random.randint(0, 60)))


def _fragments(random: Random) -> str:
    return "".join(random.choices(FRAGMENTS, k=random.randint(1, 8)))


_KINDS: tuple[Callable[[Random], str], ...] = (
    *[_joined, _with_words, _in_a_row] * 6,
    *[_characters, _fragments] * 3,
    *(_malformed, make_text),
)
"""Long texts are fewer, since the short ones find more in the same time."""
