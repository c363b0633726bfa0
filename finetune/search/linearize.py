"""A searched tree told as chains that end in the right answer.

    direct      the steps of a path from the root to a right answer
    corrected   the same path, with a turn into a branch that found only wrong answers; a sentence notices it, and the last step
                that both share is said again, or where they share none the first right step follows

The sentence stands in front of a step, so every step still ends in the point that it is about.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from finetune.search.steps import FoundAnswer, GroundedStep
from finetune.search.tree import Node

ChainStyle = Literal["direct", "corrected"]

GO_BACK = (
    "Wait, that does not lead to the answer, so back to this:",
    "That was the wrong way to go on; once more from here:",
    "No, this does not settle it. Back to what I saw before:",
)
START_AGAIN = (
    "Wait, that does not lead to the answer, so I start again.",
    "That was the wrong place to begin with.",
    "No, this does not settle it; once more from the beginning.",
)


@dataclass(frozen=True)
class Chain:
    """Reasoning in a line.

    Attributes:
        style: see above.
        steps: at least one.
        answer: that was found right.
    """

    style: ChainStyle
    steps: tuple[GroundedStep, ...]
    answer: str


def chains_of(root: Node, most: int) -> list[Chain]:
    """The chains of a tree: at most so many of each style, the shortest first, each once.

    Args:
        root: of a searched tree.
        most: of each style.
    """
    styles = (direct_chains(root), corrected_chains(root))
    return [chain for style in styles for chain in sorted(dict.fromkeys(style), key=lambda one: len(one.steps))[:most]]


def direct_chains(root: Node) -> Iterator[Chain]:
    """One for each right answer."""
    return (Chain("direct", leaf.steps(), _text(leaf)) for leaf in root.leaves() if _is_right(leaf))


def corrected_chains(root: Node) -> Iterator[Chain]:
    """One for each right answer and each branch beside its path in which only wrong answers were found."""
    for leaf in root.leaves():
        if _is_right(leaf):
            path = (root, *leaf.path())
            for above, below in itertools.pairwise(path):
                yield from (_corrected(above, wrong, leaf) for wrong in _wrong_branches(above, below))


def _wrong_branches(above: Node, right: Node) -> Iterator[Node]:
    """The first wrong answer of each such branch that begins with a step."""
    for child in above.children:
        leaves = list(child.leaves())
        if child is not right and not child.is_answer and leaves and not any(map(_is_right, leaves)):
            yield leaves[0]


def _corrected(above: Node, wrong: Node, right: Node) -> Chain:
    shared = above.steps()
    detour, rest = wrong.steps(), right.steps()[len(shared) :]
    variant = zlib.crc32(detour[-1].line.encode()) % len(GO_BACK)
    words, way = (GO_BACK, (shared[-1], *rest)) if shared else (START_AGAIN, rest)
    turned = replace(way[0], thought=f"{words[variant]} {way[0].thought}")
    return Chain("corrected", (*detour, turned, *way[1:]), _text(right))


def _is_right(leaf: Node) -> bool:
    return leaf.value > 0


def _text(leaf: Node) -> str:
    assert isinstance(leaf.said, FoundAnswer)
    return leaf.said.text
