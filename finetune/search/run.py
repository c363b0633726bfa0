"""Search the questions of a split for chains that a cold start can learn."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from drive_vqa.errors import ConfigError, DriveVqaError, ModelError
from drive_vqa.progress import track
from drive_vqa.store import Store, replacing
from drive_vqa.traces import Point, Trace, render
from eval.predict import PromptedQuestion, questions_to_ask
from finetune.search.linearize import Chain, chains_of
from finetune.search.records import Records, begin_records, only_search, write_records
from finetune.search.reward import answer_is_right
from finetune.search.steps import Proposal, read_proposal
from finetune.search.teacher import Teacher
from finetune.search.tree import Request, SearchSettings, SearchTree
from finetune.search.verify import check_points

logger = logging.getLogger(__name__)

AT_ONCE = 8
"""Questions between two writings of the file, unless there are more workers."""

MOST_FAILURES_IN_A_ROW = 8
"""With so many the teacher is gone rather than the questions bad."""

TRUTH_COLUMNS = ("qa_id", "answer_type", "options", "truth")
ERRORS = ".errors.jsonl"


@dataclass(frozen=True)
class Harvest:
    """Which chains are kept.

    Attributes:
        most_chains: of each style and question.
        only_verified: leave out chains with a point that is not on what it speaks of.
    """

    most_chains: int = 8
    only_verified: bool = False


@dataclass(frozen=True)
class SearchSummary:
    """What a run did.

    Attributes:
        searched: questions searched now.
        skipped: questions that were done before.
        chains: in the file, all in all.
        solved: questions with a chain in the file.
        failed: qa_id → why it could not be searched.
        refused: why proposals could not be read → how many, of the questions searched now.
    """

    searched: int
    skipped: int
    chains: int
    solved: int
    failed: Mapping[str, str]
    refused: Mapping[str, int]

    @property
    def exit_status(self) -> int:
        """1 where questions failed."""
        return 1 if self.failed else 0


@dataclass(frozen=True)
class Searched:
    """What the search of one question gave.

    Attributes:
        rows: of its chains.
        refused: why proposals could not be read → how many.
    """

    rows: list[dict[str, Any]]
    refused: Counter[str]


def search(
    store: Store,
    split: str,
    teacher: Teacher,
    out: Path,
    *,
    settings: SearchSettings,
    harvest: Harvest | None = None,
    limit: int | None = None,
    workers: int = 1,
) -> SearchSummary:
    """Search the questions of a split; those that `out` says are done are not asked again.

    Args:
        store: with questions and images; no tracks are needed.
        split: such as train.
        teacher: proposes steps.
        out: the file of chains, see `records`; what failed is listed beside it, in FILE.errors.jsonl.
        settings: of each search.
        harvest: which chains are kept; None: the usual.
        limit: only so many questions, drawn evenly from all logs by the seed; a greater one draws more.
        workers: questions searched side by side; above 1 for servers only.

    Raises:
        ConfigError: the split has no questions, `out` was searched otherwise, or another search is at work on it.
        ModelError: the teacher fails at one question after the other; what is done is kept.
    """
    with only_search(out):
        return _search(store, split, teacher, out, settings, harvest or Harvest(), limit, workers)


def _search(
    store: Store,
    split: str,
    teacher: Teacher,
    out: Path,
    settings: SearchSettings,
    kept: Harvest,
    limit: int | None,
    workers: int,
) -> SearchSummary:
    asked_for = {"teacher": teacher.name, **teacher.settings, "split": split, **asdict(settings), **asdict(kept)}
    begun = begin_records(out, asked_for)
    asked = sorted(questions_to_ask(store, split), key=lambda one: _draw(one, settings.seed))[:limit]
    if not asked:
        raise ConfigError(f"split {split!r} of {store.root} has no questions to search: name another --split")
    logger.info("questions: %d, at most %d requests each", len(asked), settings.calls)
    done = set(begun.searched)
    waiting = [one for one in asked if one.question["qa_id"] not in done]
    truths = _truths(store, waiting)

    def find(one: PromptedQuestion) -> Found:
        try:
            return search_question(one, truths[one.question["qa_id"]], teacher, settings, kept)
        except DriveVqaError as error:
            return str(error)

    file = _File(out, begun)
    for batch, found in _in_batches(find, waiting, workers, f"search ({split})"):
        file.add(batch, found)
    chains = file.records.chains
    solved = len(set(chains["qa_id"].to_pylist()))
    searched, skipped = len(waiting) - len(file.failed), len(asked) - len(waiting)
    return SearchSummary(searched, skipped, chains.num_rows, solved, file.failed, file.refused)


def search_question(
    asked: PromptedQuestion, truth: Mapping[str, Any], teacher: Teacher, settings: SearchSettings, harvest: Harvest
) -> Searched:
    """Search one question.

    Args:
        asked: the question as the teacher sees it.
        truth: `answer_type`, `options` and `truth` of its row.
        teacher: proposes steps.
        settings: of the search.
        harvest: which chains are kept.

    Raises:
        ModelError: the teacher cannot be asked.
        StoreError: the question cannot be shown.
    """
    ask, group = teacher.about(asked), asked.group
    own = replace(settings, seed=question_seed(asked.question["qa_id"], settings.seed))
    refused: Counter[str] = Counter()

    def propose(request: Request) -> list[Proposal]:
        read = [read_proposal(text, group) for text in ask(request)[: request.count]]
        refused.update(said for said in read if isinstance(said, str))
        return [said for said in read if not isinstance(said, str)]

    tree = SearchTree(propose, lambda text: float(answer_is_right(truth, text)), own).search()
    chains = chains_of(tree.root, harvest.most_chains)
    rows = [_row(chain, asked, truth, teacher.name, settings.seed) for chain in chains]
    kept = [row for row in rows if not harvest.only_verified or row["points_inside"] == row["points_checked"]]
    return Searched(kept, refused)


def question_seed(qa_id: str, seed: int) -> int:
    """The seed of a question's search: independent of which other questions are asked. 31 bits, less what requests add."""
    return int.from_bytes(hashlib.sha256(f"{seed} {qa_id}".encode()).digest()[:4], "big") >> 2


def _draw(asked: PromptedQuestion, seed: int) -> tuple[int, str]:
    """What questions are sorted by: as good as at random."""
    qa_id = asked.question["qa_id"]
    return question_seed(qa_id, seed), qa_id


def _row(chain: Chain, asked: PromptedQuestion, truth: Mapping[str, Any], teacher: str, seed: int) -> dict[str, Any]:
    check = check_points(chain.steps, asked.group)
    trace = Trace(tuple((f"{step.thought} ", Point(*step.point_px)) for step in chain.steps), chain.answer)
    text = render(trace, "vigorl")
    is_now = all(asked.group["context"][step.context]["offset_s"] == 0 for step in chain.steps)
    return {
        **{name: asked.question[name] for name in ("qa_id", "group_id", "log_id")},
        "style": chain.style,
        "text": text,
        "drive_text": render(trace, "drive") if is_now else None,
        "answer": chain.answer,
        "answer_right": answer_is_right(truth, text),
        "points": len(chain.steps),
        "points_checked": check.checked,
        "points_inside": check.inside,
        "teacher": teacher,
        "seed": seed,
    }


Found = Searched | str
"""What was found, or why a question could not be searched."""


@dataclass(eq=False)
class _File:
    """The file as it grows, and what failed.

    Attributes:
        path: of the file.
        records: what is in it.
        failed: qa_id → why.
        refused: why proposals could not be read → how many.
        failed_in_a_row: questions since the last one that was searched.
    """

    path: Path
    records: Records
    failed: dict[str, str] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    failed_in_a_row: int = 0

    def add(self, batch: Sequence[PromptedQuestion], found: Sequence[Found]) -> None:
        """Write what was found to some questions.

        Raises:
            ModelError: the teacher seems to be gone.
        """
        rows: list[dict[str, Any]] = []
        searched: list[str] = []
        for one, outcome in zip(batch, found, strict=True):
            qa_id = one.question["qa_id"]
            if isinstance(outcome, str):
                self.failed[qa_id] = outcome
                self.failed_in_a_row += 1
            else:
                rows += outcome.rows
                self.refused += outcome.refused
                searched.append(qa_id)
                self.failed_in_a_row = 0
        self.records = self.records.with_more(rows, searched)
        write_records(self.path, self.records)
        self._write_failures()
        if self.failed_in_a_row >= MOST_FAILURES_IN_A_ROW:
            last = list(self.failed.values())[-1]
            raise ModelError(f"{self.failed_in_a_row} questions failed one after the other, the last one so: {last}")

    def _write_failures(self) -> None:
        """One line a question that failed; no file where none did."""
        path = self.path.with_suffix(ERRORS)
        if not self.failed:
            path.unlink(missing_ok=True)
            return
        lines = [json.dumps({"qa_id": qa_id, "error": why}, ensure_ascii=False) for qa_id, why in self.failed.items()]
        with replacing(path) as temporary:
            temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _in_batches(
    find: Callable[[PromptedQuestion], Found], waiting: Sequence[PromptedQuestion], workers: int, description: str
) -> Iterator[tuple[Sequence[PromptedQuestion], list[Found]]]:
    """Batches of questions with what was found; in order, whoever is ready first."""
    at_once = max(AT_ONCE, workers)
    batches = [waiting[start : start + at_once] for start in range(0, len(waiting), at_once)]
    with ThreadPoolExecutor(workers) as pool:
        for batch in track(batches, total=len(batches), description=f"{description}, batches of {at_once}"):
            yield batch, list(pool.map(find, batch))


def _truths(store: Store, waiting: Sequence[PromptedQuestion]) -> dict[str, dict[str, Any]]:
    """What answers are judged by, by qa_id."""
    wanted = {one.question["qa_id"] for one in waiting}
    truths = {}
    for log_id in sorted({one.question["log_id"] for one in waiting}):
        for row in store.read("questions", log_id, TRUTH_COLUMNS).to_pylist():
            if row["qa_id"] in wanted:
                truths[row["qa_id"]] = row
    return truths
