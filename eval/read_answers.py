"""Read a column of answers: what `eval.parse.parse` gives for each, many at a time.

Texts are brought into plain form first; most stand in it already. Then whole columns are read by pattern: well-formed
answers (`eval.wordings`, `eval.offers`), texts without a number where one is asked for, texts with far too many. The parser
reads the rest one by one. Each way of reading gives what the parser gives, or nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from drive_vqa.schema import TRUTH
from eval.answers import Parsed, ParseFailure
from eval.cases import NUMBERS, object_column, objects
from eval.choices import NO, YES
from eval.mentions import REFUSAL
from eval.numbers import MAX_NUMBERS, WORDS_OF_NUMBERS
from eval.offers import BEGINS_WITH_LETTER, chosen_offers
from eval.parse import ANSWER_TYPES, read_said, said_in
from eval.plaintext import MAX_CHARACTERS
from eval.wordings import LISTED, WORDINGS

ROWS_AT_ONCE = 100_000
"""So many texts are in memory as columns."""

_INERT_LETTERS = "ぁ-ゖァ-ヺ一-龥가-힣а-я"
_AS_PLAIN = rf"[!-#%-)+-;=-\[\]-z~{_INERT_LETTERS}、。]"
_PLAIN = f"^{_AS_PLAIN}+(?: {_AS_PLAIN}+)*$"
"""A text that is plain but for its case: no odd blank, no dress, no tag, nothing to be folded."""

_CONCLUDES = "answer|conclusion"
_WORD = f"[a-z{_INERT_LETTERS}]"
_WORD_OR_DIGIT = f"[a-z0-9{_INERT_LETTERS}]"
_SPELLED = rf"(?:^|[^a-z])(?:{'|'.join(sorted(WORDS_OF_NUMBERS))})(?:[^a-z]|$)"
_SURE_NUMBER = r"[^a-z0-9_^.,:+(\[-][0-9]"
"""Each is a number of its own to the parser too; it may find more."""

_YES_OR_NO = rf"^(?:{'|'.join(sorted(YES | NO))})[.!]?$"
_YES = rf"^(?:{'|'.join(sorted(YES))})[.!]?$"
_NONE = "^(?:none|nothing)[.]?$"
_COUNTS_NUMBERS = frozenset(WORDINGS) - {"box", "interval_box"}
_YES_NO_OR_LETTER = rf"(?:^|[^a-z0-9])(?:{'|'.join(sorted(YES | NO))})(?:[^a-z0-9]|$)|{BEGINS_WITH_LETTER}"
_SAYS_WITHOUT_NUMBER = {
    "regions": "^(?:the answer is |there (?:are|is) )?(?:no|empty|null)",
    "count": "(?:^|[^a-z])(?:no|none|nothing)(?:[^a-z]|$)",
    "box": r"[\[(]",
    "interval_box": r"[\[(]",
    "bool": _YES_NO_OR_LETTER,
}
"""What may be an answer of a type without a number, or tell why it is none."""


def read_answers(texts: Iterable[str], answer_types: Iterable[str], options: Iterable[tuple[str, ...]]) -> pd.DataFrame:
    """Typed answers of a column of texts.

    Args:
        texts: what the model said; anything at all.
        answer_types: of each text, see `drive_vqa.schema.TRUTH`.
        options: the choices shown with each question, none for most.

    Returns:
        Columns as of `eval.cases.answer_columns`, and `failure`: why a text is no answer (`eval.answers.Reason`), None for
        one that was read.

    Raises:
        ValueError: an answer type is not known.
    """
    told, offers = objects(texts), objects(options)
    kinds, names = pd.factorize(objects(answer_types))
    for name in names:
        if name not in ANSWER_TYPES:
            raise ValueError(f"answer type {name!r} is not one of {', '.join(ANSWER_TYPES)}")
    found = _Found(len(told))
    for start in range(0, len(told), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        _read_part(found, start, told[part], names[kinds[part]], offers[part])
    return found.table()


class _Found:
    """The columns to be filled."""

    def __init__(self, count: int) -> None:
        self._columns = {
            name: np.full(count, np.nan if name in NUMBERS else None, dtype=float if name in NUMBERS else object)
            for name in (*TRUTH.names, "failure")
        }
        self.done = np.zeros(count, dtype=bool)

    def put(self, rows: np.ndarray, values: Mapping[str, Any]) -> None:
        """Fill some rows; they are done then."""
        for name, column in values.items():
            self._columns[name][rows] = column
        self.done[rows] = True

    def put_one(self, row: int, answer: Parsed | ParseFailure) -> None:
        """Fill a row with what the parser gave."""
        if isinstance(answer, ParseFailure):
            self._columns["failure"][row] = answer.reason
        else:
            for name, value in vars(answer).items():
                if value is not None:
                    self._columns[name][row] = value
        self.done[row] = True

    def table(self) -> pd.DataFrame:
        """All columns."""
        return pd.DataFrame(
            {name: column if name in NUMBERS else object_column(column) for name, column in self._columns.items()}
        )


def _read_part(found: _Found, start: int, texts: np.ndarray, kinds: np.ndarray, options: np.ndarray) -> None:
    said, failures = _said(texts)
    for row, failure in failures.items():
        found.put_one(start + row, failure)
    for kind in pd.unique(kinds):
        rows = np.flatnonzero((kinds == kind) & ~found.done[start : start + len(texts)])
        _read_kind(found, start + rows, kind, said.take(pa.array(rows)), options[rows])
    _read_rest(found, start, said, kinds, options)


def _read_rest(found: _Found, start: int, said: pa.Array, kinds: np.ndarray, options: np.ndarray) -> None:
    """One by one, but for the words of refusal."""
    rows = np.flatnonzero(~found.done[start : start + len(said)])
    said = said.take(pa.array(rows))
    ascii_only = pc.string_is_ascii(said).to_pylist()
    refusing = pc.match_substring_regex(said, REFUSAL.pattern).to_pylist()
    for row, text, sure, refuses in zip(rows.tolist(), said.to_pylist(), ascii_only, refusing, strict=True):
        known = refuses if sure or not refuses else None
        found.put_one(start + row, read_said(text, kinds[row], options[row], refuses=known))


def _said(texts: np.ndarray) -> tuple[pa.Array, dict[int, ParseFailure]]:
    """The plain form of each text (`eval.parse.said_in`), null for those that have none, and why."""
    told = _as_arrow(texts)
    lower = pc.ascii_lower(told)
    is_plain = pc.and_(
        pc.less_equal(pc.utf8_length(told), MAX_CHARACTERS),
        pc.and_not(pc.match_substring_regex(told, _PLAIN), pc.match_substring_regex(lower, _CONCLUDES)),
    )
    is_plain = pc.fill_null(is_plain, False)
    rows = np.flatnonzero(~is_plain.to_numpy(zero_copy_only=False))
    read = [said_in(text) for text in texts[rows].tolist()]
    failures = {row: one for row, one in zip(rows.tolist(), read, strict=True) if isinstance(one, ParseFailure)}
    plain = pa.array([None if isinstance(one, ParseFailure) else one for one in read], pa.large_string())
    return pc.replace_with_mask(lower, pc.invert(is_plain), plain), failures


def _as_arrow(texts: np.ndarray) -> pa.Array:
    """Null where a text holds half a surrogate pair, which no encoding has."""
    try:
        return pa.array(texts, pa.large_string())
    except UnicodeEncodeError:
        return pa.array([text if _can_encode(text) else None for text in texts.tolist()], pa.large_string())


def _can_encode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _read_kind(found: _Found, rows: np.ndarray, kind: str, said: pa.Array, options: np.ndarray) -> None:
    """All that is read by pattern of the texts of one answer type."""
    for wording in WORDINGS.get(kind, ()):
        fits, fields = wording.read(said)
        found.put(rows[fits], fields)
    if kind in ("ranking", "regions"):
        _read_lists(found, rows, kind, said)
    if kind == "choice":
        fits, chosen = chosen_offers(said, options)
        found.put(rows[fits], {"choice": chosen})
    if kind == "bool":
        fits = _rows_where(pc.match_substring_regex(said, _YES_OR_NO))
        is_yes = pc.match_substring_regex(said, _YES).to_numpy(zero_copy_only=False)
        found.put(rows[fits], {"bool": is_yes[fits].astype(object)})
    if kind == "undetermined":
        answers = pc.and_not(
            pc.match_substring_regex(said, _WORD_OR_DIGIT), pc.match_substring_regex(said, REFUSAL.pattern)
        )
        found.put(rows[_rows_where(answers)], {"undetermined": False})
    _read_failures(found, rows, kind, said)


def _read_lists(found: _Found, rows: np.ndarray, kind: str, said: pa.Array) -> None:
    fits = _rows_where(pc.match_substring_regex(said, LISTED))
    numbers = pc.split_pattern(
        pc.utf8_trim(pc.replace_substring_regex(said.take(pa.array(fits)), "[^0-9]+", ","), ","), ","
    )
    marks, ends = pc.cast(numbers.flatten(), pa.int64()).to_pylist(), numbers.offsets.to_pylist()
    listed = [tuple(marks[a:b]) for a, b in pairwise(ends)]
    if kind == "regions":
        found.put(rows[fits], {"marks": objects([tuple(sorted(set(one))) for one in listed])})
        fits = _rows_where(pc.match_substring_regex(said, _NONE))
        found.put(rows[fits], {"marks": objects([()] * len(fits))})
    else:
        once = np.array([len(set(one)) == len(one) for one in listed], dtype=bool)
        found.put(rows[fits[once]], {"marks": objects(listed)[once]})


def _read_failures(found: _Found, rows: np.ndarray, kind: str, said: pa.Array) -> None:
    """Texts with far too many numbers, and texts without any where one is asked for."""
    left = np.flatnonzero(~found.done[rows])
    rows, said = rows[left], said.take(pa.array(left))
    if kind in _COUNTS_NUMBERS:
        long = _rows_where(pc.greater(pc.binary_length(said), 2 * MAX_NUMBERS))
        many = _rows_where(pc.greater(pc.count_substring_regex(said.take(pa.array(long)), _SURE_NUMBER), MAX_NUMBERS))
        found.put(rows[long[many]], {"failure": "too_long"})
    if kind != "choice":
        numberless = _rows_where(_is_numberless(said, kind))
        _read_numberless(found, rows[numberless], kind, said.take(pa.array(numberless)))


def _is_numberless(said: pa.Array, kind: str) -> pa.Array:
    """Which texts have words, but none that an answer of a type needs."""
    without = pc.and_not(pc.match_substring_regex(said, _WORD), pc.match_substring_regex(said, "[0-9]"))
    without = pc.and_not(without, pc.match_substring_regex(said, _SPELLED))
    if kind in _SAYS_WITHOUT_NUMBER:
        without = pc.and_not(without, pc.match_substring_regex(said, _SAYS_WITHOUT_NUMBER[kind]))
    return without


def _read_numberless(found: _Found, rows: np.ndarray, kind: str, said: pa.Array) -> None:
    """Refusals, or no answer; of words that touch letters beyond ASCII, the parser says what they are."""
    refuses = pc.match_substring_regex(said, REFUSAL.pattern)
    sure = _rows_where(pc.or_(pc.invert(refuses), pc.string_is_ascii(said)))
    refused = refuses.to_numpy(zero_copy_only=False)[sure]
    if kind == "undetermined":
        found.put(rows[sure], {"undetermined": refused.astype(object)})
    else:
        found.put(rows[sure], {"failure": np.where(refused, "refusal", "no_answer").astype(object)})


def _rows_where(mask: pa.Array) -> np.ndarray:
    return np.flatnonzero(pc.fill_null(mask, False).to_numpy(zero_copy_only=False))
