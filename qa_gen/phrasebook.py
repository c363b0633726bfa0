"""All texts that questions are made of, cut into pieces once, so that a million questions are one string join.

A template is a wording with its parameter, or a carrier with a claim and its threshold, filled in; only the regions' names are
left open. Names, options and parameters are entries of one vocabulary; its first ten are "Region 0" to "Region 9".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int

from qa_gen.catalogue import TYPES
from qa_gen.groups import NUMBERS
from qa_gen.question_type import CARRIERS, QuestionType

ROLES = ("a", "b", "c")
_SLOT = re.compile(r"\{([abc])\}")
UNIT = {
    "distance": "meters", "lateral": "meters", "longitudinal": "meters", "bearing": "degrees", "turn": "degrees",
    "speed": "m/s", "time": "seconds",
}  # fmt: skip
"""Of the threshold of a claim."""


@dataclass(frozen=True, eq=False)
class Phrasebook:
    """Templates and vocabulary of a catalogue.

    Attributes:
        pieces: text before the first name, between names, and after the last, by template; "" where there is none.
        slots: which role's name stands after each piece, by template; -1: none.
        own: first template of each type's own wordings.
        claims: first template of each type's claims; -1: it has none.
        vocabulary: texts of names, choices and parameters.
        word_of: place of a text in the vocabulary.
    """

    pieces: tuple[pa.StringArray, ...]
    slots: Int[np.ndarray, "templates slots"]
    own: Int[np.ndarray, "types"]
    claims: Int[np.ndarray, "types"]
    vocabulary: pa.StringArray
    word_of: dict[str, int]

    def join(self, template: Int[np.ndarray, "n"], numbers: Int[np.ndarray, "n roles"]) -> pa.StringArray:
        """Questions as texts.

        Args:
            template: of each.
            numbers: of the marks in the roles a, b, c; anything where a template names none.
        """
        names = (self.slots >= 0).sum(axis=-1)[template]
        texts, rows = [], []
        for count in np.unique(names).tolist():
            here = np.flatnonzero(names == count)
            texts.append(self._join(template[here], numbers[here], count))
            rows.append(here)
        place = np.empty(len(template), dtype=np.int64)
        place[np.concatenate(rows)] = np.arange(len(template))
        return pa.concat_arrays(texts).take(pa.array(place))

    def _join(self, template: np.ndarray, numbers: np.ndarray, names: int) -> pa.StringArray:
        """Questions that hold so many names."""
        parts, at, own = [], pa.array(template), np.arange(len(template))
        for place in range(names):
            parts.append(self.pieces[place].take(at))
            parts.append(self.vocabulary.take(pa.array(numbers[own, self.slots[template, place]])))
        return pc.binary_join_element_wise(*parts, self.pieces[names].take(at), "")

    def choice_words(self, kind: QuestionType) -> Int[np.ndarray, "choices"]:
        """Words of a type's choices; "{a}" is -2, "{b}" -3, "{c}" -4."""
        return np.array([_role_word(choice, self.word_of) for choice in kind.choices], dtype=np.int64)

    def parameter_words(self, kind: QuestionType) -> Int[np.ndarray, "parameters"]:
        """Words of a type's parameters."""
        return np.array([self.word_of[parameter] for parameter in kind.parameters], dtype=np.int64)

    def claim_words(self, kind: QuestionType) -> Int[np.ndarray, "claims"]:
        """Words of what a type's claims are about: choices or thresholds."""
        return self.choice_words(kind) if kind.answer_type == "choice" else self.threshold_words(kind)

    def threshold_words(self, kind: QuestionType) -> Int[np.ndarray, "thresholds"]:
        """Words of a type's thresholds."""
        texts = (threshold_text(kind, threshold) for threshold in kind.thresholds)
        return np.array([self.word_of[text] for text in texts], dtype=np.int64)


def _role_word(choice: str, word_of: dict[str, int]) -> int:
    match = _SLOT.fullmatch(choice)
    return -2 - ROLES.index(match[1]) if match else word_of[choice]


@cache
def phrasebook() -> Phrasebook:
    """Of all types; made once a process."""
    texts: list[str] = []
    own, claims = np.full(len(TYPES), -1), np.full(len(TYPES), -1)
    for index, kind in enumerate(TYPES.values()):
        own[index] = len(texts)
        texts += _own_texts(kind)
        if kind.claims:
            claims[index] = len(texts)
            texts += _claim_texts(kind)
    pieces, slots = _cut(texts)
    words = list(dict.fromkeys(_words()))
    return Phrasebook(pieces, slots, own, claims, pa.array(words), {word: place for place, word in enumerate(words)})


def claim_wordings(kind: QuestionType) -> int:
    """How many ways there are to ask about one claim of a type."""
    return len(CARRIERS) * (1 if kind.answer_type == "choice" else len(kind.claims))


def threshold_text(kind: QuestionType, threshold: float) -> str:
    """A threshold with its unit, such as "20 meters" or "1 second"."""
    unit = UNIT[kind.answer_type]
    return f"{threshold:g} {unit.removesuffix('s') if abs(threshold) == 1.0 and unit != 'm/s' else unit}"


def _own_texts(kind: QuestionType) -> list[str]:
    return [wording.replace("{p}", parameter) for parameter in kind.parameters or ("",) for wording in kind.wordings]


def _claim_texts(kind: QuestionType) -> list[str]:
    """Claim after claim; for numbers threshold after threshold, each in all phrasings."""
    if kind.answer_type == "choice":
        return [_carry(carrier, claim) for claim in kind.claims for carrier in CARRIERS]
    return [
        _carry(carrier, claim.replace("{v}", threshold_text(kind, threshold)))
        for threshold in kind.thresholds
        for claim in kind.claims
        for carrier in CARRIERS
    ]


def _carry(carrier: str, claim: str) -> str:
    return carrier.replace("{claim}", claim).replace("{Claim}", claim[0].upper() + claim[1:])


def _cut(texts: Sequence[str]) -> tuple[tuple[pa.StringArray, ...], np.ndarray]:
    cut = [_SLOT.split(text) for text in texts]  # piece, role, piece, role, …, piece
    most = max(len(parts) for parts in cut) // 2
    slots = np.full((len(texts), most), -1, dtype=np.int64)
    for row, parts in enumerate(cut):
        slots[row, : len(parts) // 2] = [ROLES.index(role) for role in parts[1::2]]
    pieces = (
        pa.array([parts[2 * place] if 2 * place < len(parts) else "" for parts in cut]) for place in range(most + 1)
    )
    return tuple(pieces), slots


def _words() -> Iterator[str]:
    yield from (f"Region {number}" for number in range(NUMBERS))
    yield ""
    for kind in TYPES.values():
        yield from kind.choices
        yield from kind.parameters
        yield from (threshold_text(kind, threshold) for threshold in kind.thresholds)
