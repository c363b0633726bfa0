"""Find the option that a text is, for a column of texts: an option itself, or its letter in the list shown.

As `eval.choices.name_choice` reads them; what is not one option or one letter and nothing more, is left to it.
"""

from __future__ import annotations

from string import ascii_lowercase

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

_SIMPLE = r"^[a-z0-9](?:[a-z0-9.,°'/-]| [a-z0-9-])*$"
"""What is plain as it stands, as an option and as an answer."""

_LETTER = r"^[(]?[a-z][)]?[.:]?$"
BEGINS_WITH_LETTER = r"^(?:option|choice)? ?[(\[]?[a-z](?:[.:)\]]|$)"
"""Of a text that may name an option by its letter."""

_ANSWERS = "answer|conclusion"


def chosen_offers(said: pa.Array, options: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which rows name an option in so few words, and that option.

    Args:
        said: plain texts.
        options: those shown with each, as tuples.
    """
    codes, distinct = pd.factorize(options)
    offers = pa.array([list(one) for one in distinct], pa.large_list(pa.large_string()))
    names = pc.ascii_lower(offers.flatten())
    starts, counts = offers.offsets.to_numpy()[:-1][codes], np.diff(offers.offsets.to_numpy())[codes]
    are_simple = _all_simple(names, offers.offsets.to_numpy())[codes]
    named = np.where(are_simple, _same(said, names, starts, counts), -1)
    lettered = np.where(are_simple & (named < 0), _letter(said, counts), -1)
    place = np.maximum(named, lettered)
    fits = np.flatnonzero(place >= 0)
    flat = offers.flatten().take(pa.array(starts[fits] + place[fits]))
    return fits, flat.to_numpy(zero_copy_only=False)


def _all_simple(names: pa.Array, offsets: np.ndarray) -> np.ndarray:
    """Whether all options of a list are plain as they stand."""
    simple = pc.and_not(pc.match_substring_regex(names, _SIMPLE), pc.match_substring_regex(names, _ANSWERS))
    counted = np.concatenate([[0], np.cumsum(simple.to_numpy(zero_copy_only=False))])
    return np.asarray(np.diff(counted[offsets]) == np.diff(offsets))


def _same(said: pa.Array, names: pa.Array, starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Place of the first option that a text is, with or without a full stop; -1 for none."""
    told = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(told)) - np.repeat(np.cumsum(counts) - counts, counts)
    offered = names.take(pa.array(starts[told] + place))
    bare = pc.if_else(
        pc.match_substring_regex(said, BEGINS_WITH_LETTER), said, pc.replace_substring_regex(said, "[.]$", "")
    )
    result = np.full(len(counts), -1)
    for text in (bare, said):
        equal = np.flatnonzero(pc.equal(text.take(pa.array(told)), offered).to_numpy(zero_copy_only=False))[::-1]
        result[told[equal]] = place[equal]
    return result


def _letter(said: pa.Array, counts: np.ndarray) -> np.ndarray:
    """Place of the option whose letter a text is; -1 for none."""
    is_letter = np.flatnonzero(pc.match_substring_regex(said, _LETTER).to_numpy(zero_copy_only=False))
    letters = pc.utf8_trim(said.take(pa.array(is_letter)), "().:")
    place = np.full(len(counts), -1)
    place[is_letter] = pc.index_in(letters, pa.array(list(ascii_lowercase), letters.type)).to_numpy()
    return np.where(place < counts, place, -1)
