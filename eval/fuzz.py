"""Try the parser of answers with hostile texts: `python -m eval.fuzz [--count N] [--seed S]`.

Each text (see `eval.hostile_answers`) is read as one answer type, the types taking turns, by the parser and as part of a column;
both must give the same. Printed are how often each failure was found, how many texts raised or were read in two ways, and the
slowest in processor time. The exit status is 1 if a text raised, was read in two ways or took over 50 ms.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from random import Random

import numpy as np
import pandas as pd

from eval.cases import answer_columns
from eval.hostile_answers import OPTIONS, make_answer
from eval.parse import ANSWER_TYPES, Parsed, ParseFailure, parse
from eval.read_answers import read_answers

LIMIT_MS = 50.0
TEXTS_AT_ONCE = 20_000
_SHOWN_CHARACTERS = 80
_MOST_SHOWN = 5

Asked = tuple[str, str, tuple[str, ...]]
"""Text, answer type and options."""

Parse = Callable[[str, str, Sequence[str]], Parsed | ParseFailure]


@dataclass
class Fuzzed:
    """What a run found.

    Attributes:
        reads: texts.
        outcomes: how often each reason of a failure was found, and `read`.
        raised: texts that raised.
        differing: texts that a column reads otherwise.
        slowest_s: processor time of the slowest text.
        slowest: which that is.
        shown: the first texts that raised or differed.
    """

    reads: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    raised: int = 0
    differing: int = 0
    slowest_s: float = 0.0
    slowest: str = ""
    shown: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether nothing raised, differed or took too long."""
        return not self.raised and not self.differing and 1000 * self.slowest_s <= LIMIT_MS

    def add(self, batch: Sequence[Asked], one: Parse) -> None:
        """Read some texts both ways and count."""
        answers = [self._read(asked, one) for asked in batch]
        good = [index for index, answer in enumerate(answers) if answer is not None]
        read = [answer for answer in answers if answer is not None]
        texts, kinds, options = zip(*(batch[index] for index in good), strict=True) if good else ((), (), ())
        differs = differing(read_answers(texts, kinds, options), read)
        self.reads += len(batch)
        self.outcomes.update(answer.reason if isinstance(answer, ParseFailure) else "read" for answer in read)
        self.differing += int(differs.sum())
        self._show("read in two ways", [batch[good[index]] for index in np.flatnonzero(differs)])

    def _read(self, asked: Asked, one: Parse) -> Parsed | ParseFailure | None:
        try:
            answer, took_s = _timed(asked, one)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            self.raised += 1
            self._show(f"raised {error!r}", [asked])
            return None
        if took_s > self.slowest_s:
            took_s = min(
                took_s, *(_timed(asked, one)[1] for _ in range(2))
            )  # once it was something else that took long
            if took_s > self.slowest_s:
                self.slowest_s, self.slowest = took_s, _named(asked)
        return answer

    def _show(self, what: str, batch: Sequence[Asked]) -> None:
        self.shown += [f"{what}: {_named(asked)}" for asked in batch[: max(_MOST_SHOWN - len(self.shown), 0)]]


def _timed(asked: Asked, one: Parse) -> tuple[Parsed | ParseFailure, float]:
    """What a text is read as, and the processor time."""
    started = time.process_time()
    answer = one(*asked)
    return answer, time.process_time() - started


def _named(asked: Asked) -> str:
    text, answer_type, options = asked
    return f"{answer_type} {options}, {len(text):,} characters, {text[:_SHOWN_CHARACTERS]!r}"


def differing(column: pd.DataFrame, answers: Sequence[Parsed | ParseFailure]) -> np.ndarray:
    """Which rows of a column of answers are not what the parser gave for them."""
    typed = answer_columns([None if isinstance(one, ParseFailure) else one.as_truth() for one in answers])
    failures = [one.reason if isinstance(one, ParseFailure) else None for one in answers]
    expected = typed.assign(failure=pd.Series(failures, dtype=object))
    differs = np.zeros(len(answers), dtype=bool)
    for name in expected.columns:
        one, other = expected[name].to_numpy(), column[name].to_numpy()
        both_missing = pd.isna(one) & pd.isna(other)
        differs |= ~(both_missing | np.fromiter(map(_equal, one, other), dtype=bool, count=len(answers)))
    return differs


def _equal(one: object, other: object) -> bool:
    return bool(type(one) is type(other) and one == other)


def fuzz(texts: Iterable[Asked], one: Parse = parse) -> Fuzzed:
    """Read texts both ways."""
    found, texts = Fuzzed(), iter(texts)
    while batch := list(islice(texts, TEXTS_AT_ONCE)):
        found.add(batch, one)
    return found


def hostile(count: int, seed: int) -> Iterable[Asked]:
    """So many texts, each with its answer type and options."""
    random = Random(seed)  # noqa: S311
    return (
        (make_answer(random), ANSWER_TYPES[index % len(ANSWER_TYPES)], random.choice(OPTIONS)) for index in range(count)
    )


def main() -> None:
    """Print what was found."""
    parser = argparse.ArgumentParser(prog="python -m eval.fuzz", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    found = fuzz(hostile(arguments.count, arguments.seed))
    lines = [f"{found.reads:,} reads, {found.raised:,} raised, {found.differing:,} read otherwise as a column"]
    lines += [f"{count:>12,} {outcome}" for outcome, count in found.outcomes.most_common()]
    lines += [f"slowest {1000 * found.slowest_s:.1f} ms: {found.slowest}", *found.shown]
    print("\n".join(lines))  # noqa: T201
    sys.exit(not found.is_good)


if __name__ == "__main__":
    main()
