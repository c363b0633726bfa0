"""What is learned, as numbers: where in a store the questions of each lesson are, and how many tokens they take.

Millions of questions fit, since no question is kept: 4 bytes each, and 29 bytes a lesson, of which there are some thirty times
fewer. An index of 16 million questions takes about 80 MB in each process.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int

from drive_vqa.errors import ConfigError, StoreError
from drive_vqa.prompt import question_content
from drive_vqa.store import Store, file_sha256
from drive_vqa.vlm import ChatProcessor
from finetune.config import FinetuneConfig
from finetune.lesson import PLAIN_COLUMNS, AnswerWriter, LogReader, LogTables, Row, as_asked
from finetune.token_counts import TokenCounter, check_digits
from finetune.zoom.cold_start import token_texts
from finetune.zoom.crops import PRESETS as ZOOMS

logger = logging.getLogger(__name__)

READ_TOGETHER = 2048
"""Questions that are Python objects at a time."""


@dataclass(frozen=True, eq=False)
class LessonIndex:
    """Lessons by number, in the order of logs and groups in the store.

    Attributes:
        log_ids: logs that have lessons.
        kinds: kinds of groups.
        log: of each lesson, as a place in `log_ids`.
        kind: of each lesson, as a place in `kinds`.
        group: row of its group in the log's `groups` table.
        start: its first question, as a place in `question`.
        stop: the place behind its last question.
        tokens: its length in a row; at most, as questions that begin alike share their beginning.
        question: rows of questions in their log's `questions` table.
    """

    log_ids: tuple[str, ...]
    kinds: tuple[str, ...]
    log: Int[np.ndarray, " lessons"]
    kind: Int[np.ndarray, " lessons"]
    group: Int[np.ndarray, " lessons"]
    start: Int[np.ndarray, " lessons"]
    stop: Int[np.ndarray, " lessons"]
    tokens: Int[np.ndarray, " lessons"]
    question: Int[np.ndarray, " questions"]

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def questions(self) -> int:
        """How many questions there are."""
        return int((self.stop - self.start).sum())

    def is_of(self, kinds: Sequence[str]) -> Bool[np.ndarray, " lessons"]:
        """Which lessons are about groups of these kinds."""
        return np.isin(self.kind, [place for place, kind in enumerate(self.kinds) if kind in kinds])

    def take(self, lessons: Int[np.ndarray, " chosen"]) -> LessonIndex:
        """Some of the lessons."""
        chosen = {name: getattr(self, name)[lessons] for name in ("log", "kind", "group", "start", "stop", "tokens")}
        return replace(self, **chosen)

    def sample(self, questions: int, seed: int) -> LessonIndex:
        """Lessons drawn at random, in order, with at most so many questions; at least one lesson."""
        order = np.random.default_rng(seed).permutation(len(self))
        fitting = np.cumsum((self.stop - self.start)[order]) <= questions
        return self.take(np.sort(order[: max(1, int(fitting.sum()))]))


@dataclass(frozen=True)
class _Choice:
    """What is learned of a store, and how it is asked."""

    store: Store
    config: FinetuneConfig
    split: str
    writer: AnswerWriter | None

    def asked(self, log_id: str) -> Iterator[list[_Asked]]:
        """The chosen questions of a log, group after group, some at a time."""
        reader = LogReader(self.store, PLAIN_COLUMNS if self.writer is None else None)
        tables = reader.tables(log_id)
        rows, group_rows = self._chosen(log_id, tables)
        for start in range(0, len(rows), READ_TOGETHER):
            own, of = rows[start : start + READ_TOGETHER], group_rows[start : start + READ_TOGETHER]
            groups = {int(row): _with_images(reader.group(log_id, int(row))) for row in np.unique(of)}
            questions = reader.questions(log_id, own)
            yield [
                _Asked(row, of_row, groups[of_row], self._turned(log_id, question, groups[of_row]))
                for row, of_row, question in zip(own.tolist(), of.tolist(), questions, strict=True)
            ]

    def _chosen(self, log_id: str, tables: LogTables) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        """Rows of questions, and those of their groups."""
        questions, groups = tables
        mask = pc.equal(questions["split"], self.split)
        for column, names in (("family", self.config.families), ("type", self.config.types)):
            if names:
                mask = pc.and_(mask, pc.is_in(questions[column], value_set=pa.array(names, pa.string())))
        rows = np.flatnonzero(pc.fill_null(mask, False).to_numpy())
        group = _group_rows(log_id, questions["group_id"].take(pa.array(rows)), groups)
        if self.config.kinds:
            wanted = pc.is_in(groups["kind"], value_set=pa.array(self.config.kinds, pa.string())).to_numpy()
            rows, group = rows[wanted[group]], group[wanted[group]]
        order = np.argsort(group, kind="stable")
        return rows[order], group[order]

    def _turned(self, log_id: str, question: Row, group: Row) -> Row | None:
        for name in ("question", "answer"):
            if question[name] is None:
                raise StoreError(
                    f"{question['qa_id']} of log {log_id} has no {name}, so it cannot be learned from: "
                    "run `drive-vqa generate` again"
                )
        if self.writer is None:
            return as_asked(question, group, self.config.regions)
        answer = self.writer(self.store, log_id, group, question)
        return None if answer is None else as_asked(question, group, self.config.regions, answer)


class _Asked(NamedTuple):
    """A question with its group; `question` is None where it cannot be asked."""

    row: int
    group_row: int
    group: Row
    question: Row | None


def read_index(
    store: Store,
    config: FinetuneConfig,
    processor: ChatProcessor,
    *,
    split: str | None = None,
    writer: AnswerWriter | None = None,
) -> LessonIndex:
    """Find what is to be learned and count its tokens.

    A group whose images and questions do not fit into a row becomes several lessons. Questions that cannot be asked as the recipe
    says (`regions`), or that the writer has nothing for, are left out, and their number is logged.

    Args:
        store: with groups and questions.
        config: a recipe.
        processor: of the model.
        split: which questions; None: the recipe's.
        writer: of what is learned in the place of plain answers; None: plain answers.

    Raises:
        StoreError: there is nothing to learn, a question has no answer or names a group that is not there, or a group has no
            images.
        ConfigError: an answer writer is missing, or a question does not fit into a row.
    """
    if (config.answers == "plain") != (writer is None):
        raise ConfigError(f"answers={config.answers} {'needs a' if writer is None else 'takes no'} writer of answers")
    if config.renumber_marks:
        check_digits(processor)
    choice = _Choice(store, config, split or config.split, writer)
    zoom = None if config.zoom is None else ZOOMS[config.zoom]
    counter, kinds = TokenCounter(processor, config.image_size_px, zoom), _Codes()
    parts, left_out = [], 0
    for log_id in store.log_ids("questions"):
        part, missing = _index_log(choice, log_id, counter, kinds)
        left_out += missing
        parts += [(log_id, part)] if part is not None else []
    if not parts:
        raise StoreError(_nothing(store, config, choice.split, left_out))
    index = _joined(parts, tuple(kinds.codes))
    logger.info(
        "%d questions in %d lessons of %d logs%s", index.questions, len(index), len(parts), _told(left_out, config)
    )
    return index


def lesson_texts(store: Store, config: FinetuneConfig, writer: AnswerWriter | None = None) -> Iterator[str]:
    """Every question as it is asked, with its options, and every answer; of a dialogue each turn and what is observed."""
    choice = _Choice(store, config, config.split, writer)
    for log_id in store.log_ids("questions"):
        for asked in itertools.chain.from_iterable(choice.asked(log_id)):
            if asked.question is not None:
                yield question_content(asked.question)[0]["text"]
                yield from token_texts(asked.question["answer"])


def data_digest(store: Store, index: LessonIndex, config: FinetuneConfig) -> str:
    """SHA-256 of what is learned: the digests of the files it is read from, and how it is chosen and asked.

    Digests are those of the store's manifest; files that it does not know are read.
    """
    tables = store.manifest().get("tables", {})
    files = {
        f"{table}/{log_id}": tables.get(table, {}).get(log_id, {}).get("sha256") or store.digest(table, log_id)
        for table in ("questions", "groups")
        for log_id in index.log_ids
    }
    chosen = {name: sorted(getattr(config, name)) for name in ("families", "types", "kinds")}
    asked = {name: getattr(config, name) for name in ("split", "regions", "answers", "dialect")}
    if config.zoom is not None:
        asked["zoom"] = config.zoom
    if config.records is not None:
        asked["records"] = file_sha256(Path(config.records))
    content = json.dumps({"files": files, **chosen, **asked}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True)
class _Group:
    """What is kept of a group while its log is read; `tokens` are those that its questions share."""

    group_id: str
    kind: str | None
    tokens: int


class _Codes:
    """Numbers for names, in the order of their first appearance."""

    def __init__(self) -> None:
        self.codes: dict[str, int] = {}

    def of(self, name: str | None) -> int:
        return self.codes.setdefault(name or "", len(self.codes))


@dataclass(frozen=True, eq=False)
class _Part:
    """The lessons of one log."""

    kind: Int[np.ndarray, " lessons"]
    group: Int[np.ndarray, " lessons"]
    start: Int[np.ndarray, " lessons"]
    stop: Int[np.ndarray, " lessons"]
    tokens: Int[np.ndarray, " lessons"]
    question: Int[np.ndarray, " questions"]


def _index_log(choice: _Choice, log_id: str, counter: TokenCounter, kinds: _Codes) -> tuple[_Part | None, int]:
    """The lessons of a log, and how many questions were left out."""
    rows, group_rows, own, left_out = [], [], [], 0
    groups: dict[int, _Group] = {}
    for asked in choice.asked(log_id):
        kept = [(one, one.question) for one in asked if one.question is not None]
        left_out += len(asked) - len(kept)
        own += counter.question_tokens([question for _, question in kept], [one.group for one, _ in kept])
        rows += [one.row for one, _ in kept]
        group_rows += [one.group_row for one, _ in kept]
        for one, _ in kept:
            if one.group_row not in groups:
                groups[one.group_row] = _Group(
                    one.group["group_id"], one.group.get("kind"), counter.frame_tokens(one.group)
                )
    if not rows:
        return None, left_out
    return _cut(
        np.array(rows), np.array(group_rows), np.array(own), groups, choice.config.tokens_per_row, kinds
    ), left_out


def _cut(
    rows: Int[np.ndarray, " n"],
    group_rows: Int[np.ndarray, " n"],
    own: Int[np.ndarray, " n"],
    groups: Mapping[int, _Group],
    limit: int,
    kinds: _Codes,
) -> _Part:
    """Lessons of questions that lie group after group."""
    bounds = [0, *(np.flatnonzero(np.diff(group_rows)) + 1).tolist(), len(rows)]
    found: list[tuple[int, int, int, int, int]] = []
    for first, end in itertools.pairwise(bounds):
        group = groups[int(group_rows[first])]
        for start, stop, tokens in _pieces(own[first:end], group, limit):
            found.append((kinds.of(group.kind), int(group_rows[first]), first + start, first + stop, tokens))
    kind, group_row, starts, stops, tokens_of = np.array(found, np.int64).T
    return _Part(kind, group_row, starts, stops, tokens_of, rows.astype(np.int32))


def _pieces(own: Int[np.ndarray, " n"], group: _Group, limit: int) -> Iterator[tuple[int, int, int]]:
    """Start, stop and tokens of as few parts as hold a group's questions in order."""
    sums = np.concatenate([[0], np.cumsum(own)])
    start = 0
    while start < len(own):
        stop = int(np.searchsorted(sums, sums[start] + limit - group.tokens, side="right")) - 1
        if stop <= start:
            needed = group.tokens + int(own[start])
            raise ConfigError(
                f"a question of group {group.group_id} takes {needed} tokens with its images, and a row {limit}: raise "
                "tokens_per_row, or use a smaller image_size_px"
            )
        yield start, stop, group.tokens + int(sums[stop] - sums[start])
        start = stop


def _with_images(group: Row) -> Row:
    if not group["context"] or any(view["path"] is None for view in group["context"]):
        raise StoreError(
            f"group {group['group_id']} of log {group['log_id']} has no images, so it cannot be learned from: take logs with "
            "images, or leave its kind or split out"
        )
    return group


def _group_rows(log_id: str, named: pa.ChunkedArray, groups: pa.Table) -> Int[np.ndarray, " n"]:
    """Row of the group of each question."""
    found = pc.index_in(named, value_set=groups["group_id"])
    if found.null_count:
        lost = named.filter(pc.is_null(found))[0].as_py()
        raise StoreError(
            f"log {log_id} has questions about the group {lost}, which is not there: run `drive-vqa generate` again"
        )
    return np.asarray(found.to_numpy(), np.int64)


def _nothing(store: Store, config: FinetuneConfig, split: str, left_out: int) -> str:
    filters = {"families": config.families, "types": config.types, "kinds": config.kinds}
    of = "".join(f" with {name} {', '.join(names)}" for name, names in filters.items() if names)
    what = f"{store.root} has no questions{of} in split {split!r}"
    if left_out:
        if config.records is not None:
            return f"{what} that {config.records} has a chain for: search that split"
        return f"{what} that can be asked with regions={config.regions}: use regions=marks"
    splits = sorted({name for name in store.read_all("questions", ["split"])["split"].unique().to_pylist() if name})
    if set(splits) <= {"test", "bench"}:
        return f"{what}: the store is for tests alone, train on another"
    return f"{what}; splits with questions: {', '.join(splits) or 'none'}: name one of these, or fewer filters"


def _told(left_out: int, config: FinetuneConfig) -> str:
    if not left_out:
        return ""
    chains = f" or have no chain in {config.records}" if config.records is not None else ""
    return f"; {left_out} cannot be asked with regions={config.regions}{chains} and are left out"


def _joined(parts: Sequence[tuple[str, _Part]], kinds: tuple[str, ...]) -> LessonIndex:
    ends = np.cumsum([0, *(len(part.question) for _, part in parts)])
    shifts = ends[:-1]

    def joined(name: str, dtype: Any) -> np.ndarray:
        return np.concatenate([getattr(part, name).astype(dtype) for _, part in parts])

    def shifted(name: str) -> np.ndarray:
        moved = [getattr(part, name) + shift for (_, part), shift in zip(parts, shifts, strict=True)]
        return np.concatenate(moved)

    log = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part.tokens) for _, part in parts])
    return LessonIndex(
        log_ids=tuple(log_id for log_id, _ in parts),
        kinds=kinds,
        log=log,
        kind=joined("kind", np.int8),
        group=joined("group", np.int32),
        start=shifted("start"),
        stop=shifted("stop"),
        tokens=joined("tokens", np.int32),
        question=joined("question", np.int32),
    )
