"""Cut a model's text at the tags that hold its parts: thoughts, the answer, and looks at the image with what is shown then.

    text     = { turn } [ thought ] answer ;            (blanks and chat markers may stand between all of these)
    turn     = [ thought ] look { look } ;
    thought  = "<think>" … "</think>" ;
    answer   = "<answer>" … "</answer>" ;
    look     = "<tool_call>" … "</tool_call>" | "<tool_response>" … "</tool_response>" | "<observation>" … "</observation>" ;

A direct answer has no thought. What is in a look is never read: a call asks for a crop and the rest is said by the environment,
so neither is a claim of the model. A look inside a thought parts it in two. Tags are exact: lower case, without blanks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from eval.reasoning.trace import Fault

Kind = Literal["think", "answer", "look", "outside"]

_LOOKS = frozenset({"tool_call", "tool_response", "observation"})
_TAG = re.compile(rf"<(?P<slash>/?)(?P<name>think|answer|{'|'.join(sorted(_LOOKS))})>")
_CHAT_MARKERS = re.compile(r"(?:\s++|<\|[a-z_]{1,20}\|>|(?:assistant|user|tool)\b)*+")


@dataclass(frozen=True)
class Part:
    """What stands between two tags.

    Attributes:
        kind: which tags; `outside`: none.
        text: without the tags.
        closed: the tag that ends it is there.
    """

    kind: Kind
    text: str
    closed: bool = True


@dataclass(frozen=True)
class Parts:
    """A text in parts.

    Attributes:
        parts: in order, without what is blank or a chat marker outside.
        faults: of the tags that hold parts.
    """

    parts: tuple[Part, ...]
    faults: frozenset[Fault]

    @property
    def thoughts(self) -> list[str]:
        """What was thought, in order."""
        return [part.text for part in self.parts if part.kind == "think"]

    @property
    def has_looks(self) -> bool:
        """Whether this is a dialogue with tools."""
        return any(part.kind == "look" for part in self.parts)

    @property
    def answer(self) -> str | None:
        """The answer, stripped; None where there is not exactly one with a text."""
        answers = [part for part in self.parts if part.kind == "answer"]
        return answers[0].text.strip() or None if len(answers) == 1 and answers[0].closed else None


def split_parts(text: str, *, may_start_in_thought: bool) -> Parts:
    """Cut a text into parts, in time linear in its length.

    Args:
        text: anything.
        may_start_in_thought: a thought that is closed first of all needs no tag that opens it: some systems' prompts end in it.
    """
    cutter = _Cutter(text, may_start_in_thought)
    for tag in _TAG.finditer(text):
        cutter.take(tag)
    cutter.finish()
    return Parts(tuple(cutter.parts), frozenset(cutter.faults | _faults(cutter.parts)))


class _Cutter:
    """Goes from tag to tag and knows which one is open."""

    def __init__(self, text: str, may_start_in_thought: bool) -> None:
        self.parts: list[Part] = []
        self.faults: set[Fault] = set()
        self._text = text
        self._may_start_in_thought = may_start_in_thought
        self._start = 0
        self._open_tag = ""
        self._thought_waits = False

    def take(self, tag: re.Match[str]) -> None:
        name, closes = tag["name"], bool(tag["slash"])
        if self._open_tag in _LOOKS and not (closes and name == self._open_tag):
            return
        if closes:
            self._close(name, tag)
        else:
            self._open(name, tag)

    def finish(self) -> None:
        if self._open_tag:
            self.faults.add("unclosed_tag")
        self._add(len(self._text), closed=False)

    def _open(self, name: str, tag: re.Match[str]) -> None:
        self._thought_waits = self._open_tag == "think" and name in _LOOKS
        if self._open_tag and not self._thought_waits:
            self.faults.add("unclosed_tag")
        self._add(tag.start(), closed=self._thought_waits)
        self._start, self._open_tag = tag.end(), name

    def _close(self, name: str, tag: re.Match[str]) -> None:
        if name == "think" and not self._open_tag and not self.parts:
            self._open_tag = name
            if not self._may_start_in_thought:
                self.faults.add("unopened_tag")
        if name != self._open_tag:
            self.faults.add("unopened_tag")
            return
        self._add(tag.start(), closed=True)
        self._start, self._open_tag = tag.end(), "think" if self._thought_waits else ""
        self._thought_waits = False

    def _add(self, end: int, *, closed: bool) -> None:
        text = self._text[self._start : end]
        if self._open_tag in _LOOKS:
            self.parts.append(Part("look", text, closed))
        elif self._open_tag == "think":
            self.parts.append(Part("think", text, closed))
        elif self._open_tag == "answer":
            self.parts.append(Part("answer", text, closed))
        elif not _CHAT_MARKERS.fullmatch(text):
            self.parts.append(Part("outside", text))


def _faults(parts: Sequence[Part]) -> set[Fault]:
    """What is wrong with the number and the order of parts."""
    found: set[Fault] = set()
    kinds = [part.kind for part in parts]
    answers = kinds.count("answer")
    if not any(part.kind == "answer" and part.closed and part.text.strip() for part in parts):
        found.add("no_answer")
    if answers > 1:
        found.add("several_answers")
    if answers and {"think", "look"} & set(kinds[kinds.index("answer") :]):
        found.add("wrong_order")
    if any(pair == ("think", "think") for pair in pairwise(kinds)):
        found.add("several_thoughts")
    if "outside" in kinds:
        found.add("text_outside")
    return found
