"""Which lessons each row, batch and optimizer step of a training holds: a pure function of token counts, seed and recipe.

    training   steps, one after another
    step       batch_size × gradient_accumulation × processes rows of like length
    row        lessons, up to `tokens_per_row` tokens
    pass       all lessons (of the chapter of the curriculum), shuffled, each once

Rows of a pass follow those of the pass before without a gap, so that no lesson is dropped: the last step is filled from the next
pass. What a step holds does not depend on how it is split into batches and processes: its rows are cut into batches in a fixed
order, and of n processes each takes every n-th batch (as accelerate's BatchSamplerShard deals them).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Int
from torch.utils.data import Sampler

from drive_vqa.errors import ConfigError
from finetune.config import FinetuneConfig
from finetune.lesson import Visit, Visits
from finetune.lesson_index import LessonIndex

FILLED_TOGETHER = 4096
"""Lessons, of those next to each other in a pass, among which a row finds what fills it."""

LIKE_STEPS = 16
"""Steps next to each other whose rows are sorted by length; more would make neighbours alike."""


@dataclass(frozen=True, eq=False)
class RowList:
    """Rows as arrays: the lessons of row n are those from stop n-1 to stop n."""

    lesson: Int[np.ndarray, " entries"]
    visit: Int[np.ndarray, " entries"]
    stop: Int[np.ndarray, " rows"]

    def __len__(self) -> int:
        return len(self.stop)

    def take(self, rows: Int[np.ndarray, " chosen"]) -> RowList:
        """Some of the rows, in the order given."""
        start = np.concatenate([[0], self.stop[:-1]])[rows] if len(self) else self.stop[rows]
        sizes = self.stop[rows] - start
        stop = np.cumsum(sizes)
        entries = np.arange(int(sizes.sum())) + np.repeat(start - (stop - sizes), sizes)
        return RowList(self.lesson[entries], self.visit[entries], stop)

    def lengths(self, tokens: Int[np.ndarray, " lessons"]) -> Int[np.ndarray, " rows"]:
        """Tokens of each row."""
        sums = np.concatenate([[0], np.cumsum(tokens[self.lesson], dtype=np.int64)])
        return np.diff(sums[np.concatenate([[0], self.stop])])

    def visits(self, start: int, stop: int) -> list[Visits]:
        """Rows start to stop - 1 as data sets take them."""
        first = int(self.stop[start - 1]) if start else 0
        ends = (self.stop[start:stop] - first).tolist()
        last = first + (ends[-1] if ends else 0)
        entries = list(map(Visit, self.lesson[first:last].tolist(), self.visit[first:last].tolist()))
        return [tuple(entries[low:high]) for low, high in zip([0, *ends[:-1]], ends, strict=True)]


@dataclass(frozen=True, eq=False)
class Plan(Sampler[list[Visits]]):
    """A batch sampler: one pass over it is the whole training, the batches of all processes in turn.

    Attributes:
        rows: of all steps in order.
        batch_size: rows a batch; every batch has so many.
        rows_per_step: over all batches and processes.
        rows_per_pass: of the first pass over all lessons.
        filled: rows of the last step that are more than was asked for.
    """

    rows: RowList
    batch_size: int
    rows_per_step: int
    rows_per_pass: int
    filled: int = 0
    drop_last = True
    """Nothing is ever dropped, since all batches are whole; this keeps accelerate from adding any."""

    @classmethod
    def make(cls, index: LessonIndex, config: FinetuneConfig, *, processes: int = 1) -> Plan:
        """Plan a training.

        Args:
            index: what is learned.
            config: a recipe.
            processes: that share a step.

        Raises:
            ConfigError: a chapter of the curriculum has no lesson.
        """
        per_step = config.batch_size * config.gradient_accumulation * processes
        deck = _Deck(index.tokens, config.tokens_per_row, config.seed)
        wanted = _wanted_rows(deck, config, per_step)
        steps = math.ceil(wanted / per_step)
        parts, passes = [], 0
        for lessons, count in _chapters(index, config, steps):
            part, passes = deck.draw(lessons, count * per_step, passes)
            parts.append(_alike(part, index.tokens, per_step, config.seed))
        return cls(_joined(parts), config.batch_size, per_step, len(deck.whole(0)), steps * per_step - wanted)

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole training."""
        return len(self.rows) // self.rows_per_step

    @property
    def steps_per_epoch(self) -> float:
        """Optimizer steps in which each lesson comes once."""
        return self.rows_per_pass / self.rows_per_step

    def __len__(self) -> int:
        """Batches of all processes together."""
        return len(self.rows) // self.batch_size

    def __iter__(self) -> Iterator[list[Visits]]:
        chunk = max(1, 1024 // self.batch_size) * self.batch_size
        for start in range(0, len(self.rows), chunk):
            rows = self.rows.visits(start, min(start + chunk, len(self.rows)))
            yield from (rows[first : first + self.batch_size] for first in range(0, len(rows), self.batch_size))

    def after(self, steps: int) -> Plan:
        """What is left after some steps."""
        return replace(self, rows=self.rows.take(np.arange(steps * self.rows_per_step, len(self.rows))))

    def describe(self) -> str:
        """One line about it."""
        shares = (
            f"{self.steps} steps of {self.rows_per_step} rows, {self.steps_per_epoch:.2f} steps a pass over the data"
        )
        return f"{shares}; the last step is filled with {self.filled} rows of the next pass" if self.filled else shares


def evaluation_rows(index: LessonIndex, tokens_per_row: int) -> list[Visits]:
    """Rows that hold every lesson once, longest first."""
    rows = _filled(np.arange(len(index)), index.tokens, tokens_per_row, 0)
    rows = rows.take(np.argsort(-rows.lengths(index.tokens), kind="stable"))
    return rows.visits(0, len(rows))


@dataclass(frozen=True, eq=False)
class _Deck:
    """Deals rows of lessons, pass after pass."""

    tokens: Int[np.ndarray, " lessons"]
    tokens_per_row: int
    seed: int
    _whole: dict[int, RowList] = field(default_factory=dict)

    def whole(self, number: int) -> RowList:
        """The rows of a pass over all lessons."""
        if number not in self._whole:
            self._whole[number] = self._rows(np.arange(len(self.tokens)), number)
        return self._whole[number]

    def draw(self, lessons: Int[np.ndarray, " chosen"] | None, count: int, number: int) -> tuple[RowList, int]:
        """So many rows of these lessons (None: all), from pass `number` on, and the number of the next pass."""
        chosen = np.arange(len(self.tokens)) if lessons is None else lessons
        parts: list[RowList] = []
        while (missing := count - sum(map(len, parts))) > 0:
            known = self._whole.get(number) if lessons is None else None
            parts.append(known or self._rows(chosen, number, missing))
            number += 1
        return _joined(parts).take(np.arange(count)), number

    def _rows(self, lessons: Int[np.ndarray, " chosen"], number: int, needed: int | None = None) -> RowList:
        """Rows of a pass, shuffled: all, or at least as many as needed."""
        random = np.random.default_rng([self.seed, number])
        rows = _filled(random.permutation(lessons), self.tokens, self.tokens_per_row, number, needed)
        return rows.take(random.permutation(len(rows)))


def _wanted_rows(deck: _Deck, config: FinetuneConfig, per_step: int) -> int:
    """Rows that the recipe asks for: of its steps, or of its passes over all lessons."""
    if config.max_steps is not None:
        return config.max_steps * per_step
    whole = math.floor(config.epochs)
    counts = [len(deck.whole(number)) for number in range(math.ceil(config.epochs))]
    part = math.ceil((config.epochs - whole) * counts[-1]) if whole < config.epochs else 0
    return max(1, sum(counts[:whole]) + part)


def _chapters(
    index: LessonIndex, config: FinetuneConfig, steps: int
) -> Iterator[tuple[Int[np.ndarray, " chosen"] | None, int]]:
    """Lessons and steps of each chapter of the curriculum; None, all lessons, for the last one."""
    done = 0
    for chapter in config.curriculum:
        lessons = np.flatnonzero(index.is_of(chapter.kinds))
        if not len(lessons):
            raise ConfigError(
                f"the curriculum has a chapter of {', '.join(chapter.kinds)}, but no question is of these kinds"
            )
        until = max(done, round(chapter.until * steps))
        yield lessons, until - done
        done = until
    yield None, steps - done


def _filled(
    order: Int[np.ndarray, " n"],
    tokens: Int[np.ndarray, " lessons"],
    limit: int,
    visit: int,
    needed: int | None = None,
) -> RowList:
    """Rows of lessons: those near each other in `order`, the longest first, each into the row with the least room that takes it.

    That is best fit decreasing, at most 11/9 of the least possible number of rows and one more (Johnson 1974).
    """
    lessons, sizes = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for start in range(0, len(order), FILLED_TOGETHER):
        if needed is not None and sum(map(len, sizes)) >= needed:
            break
        some = order[start : start + FILLED_TOGETHER]
        some = some[np.argsort(-tokens[some], kind="stable")]
        own = _best_fit(tokens[some].tolist(), limit)
        lessons.append(some[np.argsort(own, kind="stable")])
        sizes.append(np.bincount(own))
    entries = np.concatenate(lessons).astype(np.int32)
    return RowList(entries, np.full(len(entries), visit, np.int32), np.cumsum(np.concatenate(sizes)))


def _best_fit(sizes: Sequence[int], limit: int) -> Int[np.ndarray, " n"]:
    """Row of each lesson; a lesson longer than the limit has a row of its own.

    Rows with room n are found by bit n of one integer.
    """
    own: list[int] = []
    rows_with: dict[int, list[int]] = {}
    count = room = 0
    for size in sizes:
        fitting = room >> size
        if fitting:
            space = size + (fitting & -fitting).bit_length() - 1
            row = rows_with[space].pop()
            if not rows_with[space]:
                room ^= 1 << space
        else:
            row, space, count = count, limit, count + 1
        left = space - size
        if left > 0:
            rows_with.setdefault(left, []).append(row)
            room |= 1 << left
        own.append(row)
    return np.array(own, np.int64)


def _alike(rows: RowList, tokens: Int[np.ndarray, " lessons"], per_step: int, seed: int) -> RowList:
    """The same rows, those of a step of like length and longest first, so that batches need little padding."""
    lengths = rows.lengths(tokens)
    order, window = [], LIKE_STEPS * per_step
    for start in range(0, len(rows), window):
        some = np.arange(start, min(start + window, len(rows)))
        some = some[np.argsort(-lengths[some], kind="stable")].reshape(-1, per_step)
        order.append(np.random.default_rng([seed, start, 1]).permutation(some).reshape(-1))
    return rows.take(np.concatenate(order)) if order else rows


def _joined(parts: Sequence[RowList]) -> RowList:
    ends = np.cumsum([0, *(len(part.lesson) for part in parts)])
    stops = [part.stop + end for part, end in zip(parts, ends, strict=False)]
    empty = np.zeros(0, np.int32)
    return RowList(
        np.concatenate([empty, *(part.lesson for part in parts)]),
        np.concatenate([empty, *(part.visit for part in parts)]),
        np.concatenate([np.zeros(0, np.int64), *stops]),
    )
