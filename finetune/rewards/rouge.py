"""ROUGE of free text (Lin 2004): the mean F of ROUGE-1, ROUGE-2 and ROUGE-L, as in Open-o3 Video's reward; in [0, 1].

Words are runs of letters and digits in lower case. Open-o3 also takes off English endings (Porter's stemmer); here words are left
as they are. Of each text the first 512 words count, so that the table of ROUGE-L stays small.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice

MAX_WORDS = 512
_WORD = re.compile(r"[^\W_]+")


def rouge(reference: str, said: str) -> float:
    """Mean F of ROUGE-1, ROUGE-2 and ROUGE-L; 0 where either text has no words."""
    true_words, words = _words(reference), _words(said)
    overlap = (_shared(true_words, words, 1), _shared(true_words, words, 2), _longest_common(true_words, words))
    sizes = ((len(true_words), len(words)), (len(true_words) - 1, len(words) - 1), (len(true_words), len(words)))
    return sum(2 * shared / max(sum(size), 1) for shared, size in zip(overlap, sizes, strict=True)) / len(overlap)


def _words(text: str) -> list[str]:
    return [match[0].lower() for match in islice(_WORD.finditer(text), MAX_WORDS)]


def _shared(true_words: Sequence[str], words: Sequence[str], length: int) -> int:
    """Runs of so many words that both have, with repeats."""
    counts = [Counter(zip(*(text[k:] for k in range(length)), strict=False)) for text in (true_words, words)]
    return (counts[0] & counts[1]).total()


def _longest_common(true_words: Sequence[str], words: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    best = [0] * (len(words) + 1)
    for true_word in true_words:
        before = best
        best = [0]
        for index, word in enumerate(words):
            best.append(before[index] + 1 if word == true_word else max(before[index + 1], best[index]))
    return best[-1]
