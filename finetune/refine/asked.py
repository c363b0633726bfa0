"""The questions of a refinement: chosen once by the seed, with their groups and truths; frames are read when they are shown."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from drive_vqa.errors import StoreError
from drive_vqa.region_forms import RegionForm, in_form
from drive_vqa.store import Store
from eval.evidence.truth import read_evidence
from finetune.refine.config import RefineConfig
from finetune.rewards.truth import Truth, truth_of

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class AskedQuestion:
    """A question with what it is about and what is true.

    Attributes:
        store: where it is from.
        question: row of the `questions` table as it is asked.
        group: row of the `groups` table.
        truth: what answers are judged by.
    """

    store: Store
    question: Row
    group: Row
    truth: Truth


@dataclass(frozen=True, eq=False)
class Asked:
    """Questions in the order in which they were chosen.

    Attributes:
        store: where they are from.
        questions: at least one.
    """

    store: Store
    questions: tuple[AskedQuestion, ...]

    def __len__(self) -> int:
        return len(self.questions)

    @cached_property
    def by_id(self) -> Mapping[str, AskedQuestion]:
        """By qa_id."""
        return {str(one.question["qa_id"]): one for one in self.questions}

    def digest(self) -> str:
        """SHA-256 of the questions and of the digests of the tables that say what is true."""
        tables = self.store.manifest().get("tables", {})
        logs = sorted({one.group["log_id"] for one in self.questions})
        parts = [f"{one.question['qa_id']}\n" for one in self.questions]
        for table in ("questions", "groups", "tracks"):
            known = tables.get(table, {})
            parts += [
                f"{table}/{log}:{known.get(log, {}).get('sha256') or self.store.digest(table, log)}\n" for log in logs
            ]
        return hashlib.sha256("".join(parts).encode()).hexdigest()


def choose_questions(store: Store, config: RefineConfig, regions: RegionForm, *, split: str, most: int) -> Asked:
    """Draw questions at random, the same in every process.

    Args:
        store: with groups, questions and tracks.
        config: families, types, kinds and seed.
        regions: how questions name regions.
        split: which questions.
        most: at most so many.

    Raises:
        StoreError: nothing of the store is asked for, or an image of it is missing from its log.
    """
    found = [(log_id, row) for log_id in store.log_ids("questions") for row in _rows(store, log_id, config, split)]
    order = np.random.default_rng([config.seed, *split.encode()]).permutation(len(found))
    chosen: dict[str, dict[int, int]] = {}
    for place, index in enumerate(order[:most].tolist()):
        log_id, row = found[index]
        chosen.setdefault(log_id, {})[row] = place
    asked = [pair for log_id, rows in chosen.items() for pair in _asked(store, log_id, rows, regions)]
    if not asked:
        raise StoreError(
            f"split {split!r} of {store.root} has no question with images of these families, types and kinds: generate some, or "
            "ask for others"
        )
    return Asked(store, tuple(one for _, one in sorted(asked, key=lambda pair: pair[0])))


def _rows(store: Store, log_id: str, config: RefineConfig, split: str) -> Sequence[int]:
    """Of the questions of a log those that are asked for."""
    table = store.read("questions", log_id, ["split", "family", "type", "group_id"])
    mask = pc.equal(table["split"], split)
    for column, names in (("family", config.families), ("type", config.types)):
        if names:
            mask = pc.and_(mask, pc.is_in(table[column], value_set=pa.array(names, pa.string())))
    groups = store.read("groups", log_id, ["group_id", "kind", "context"])
    mask = pc.and_(mask, pc.is_in(table["group_id"], value_set=_shown(groups, config.kinds)))
    rows: list[int] = np.flatnonzero(pc.fill_null(mask, False).to_numpy()).tolist()
    return rows


def _shown(groups: pa.Table, kinds: Sequence[str]) -> pa.Array:
    """Groups of these kinds, all of whose images there are."""
    rows = zip(*(groups[name].to_pylist() for name in ("group_id", "kind", "context")), strict=True)
    found = [
        group_id
        for group_id, kind, context in rows
        if (not kinds or kind in kinds) and context and all(view["path"] and view["width"] for view in context)
    ]
    return pa.array(found, pa.string())


def _asked(
    store: Store, log_id: str, places: Mapping[int, int], regions: RegionForm
) -> Iterator[tuple[int, AskedQuestion]]:
    """Questions of a log by their rows, each with its place in the choice; those without a wording in this form are left out."""
    rows = sorted(places)
    questions = store.read("questions", log_id).take(pa.array(rows, pa.int64())).to_pylist()
    wanted = {question["group_id"] for question in questions}
    groups = {group["group_id"]: group for group in _groups(store, log_id, wanted)}
    evidence_of = read_evidence(store, log_id)
    for row, question in zip(rows, questions, strict=True):
        group = groups[question["group_id"]]
        turned = in_form(question, group, regions)
        if turned is not None:
            yield places[row], AskedQuestion(store, turned, group, truth_of(turned, evidence_of(question, group)))


def _groups(store: Store, log_id: str, wanted: set[str]) -> list[Row]:
    table = store.read("groups", log_id)
    rows: list[Row] = table.filter(pc.is_in(table["group_id"], value_set=pa.array(sorted(wanted)))).to_pylist()
    return rows
