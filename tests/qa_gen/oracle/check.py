"""Checks every stored question of a log against the raw tables."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.qa_gen.oracle import (
    ego_truths,
    future_truths,
    object_truths,
    unanswerable_truths,
    when_where_truths,
)
from tests.qa_gen.oracle.answers import differs, parse, says
from tests.qa_gen.oracle.case import Case, NotAsked, OnTheEdge
from tests.qa_gen.oracle.forms import NUMERIC, expected_of_form
from tests.qa_gen.oracle.marks import group_faults
from tests.qa_gen.oracle.raw import RawLog, Row
from tests.qa_gen.oracle.reading import reading_faults
from tests.qa_gen.oracle.slices import slice_faults
from tests.qa_gen.oracle.texts import text_faults

FAMILIES = {
    "object": object_truths.TYPES,
    "ego": ego_truths.TYPES,
    "future": future_truths.TYPES,
    "when_where": when_where_truths.TYPES,
    "unanswerable": unanswerable_truths.TYPES,
}
CATALOGUE = {name: (family, *kind) for family, types in FAMILIES.items() for name, kind in types.items()}
"""Type → family, roles, answer type, truth."""

KINDS = {
    "object": ("single",),
    "ego": ("single", "surround"),
    "future": ("sequence", "target"),
    "when_where": ("clip",),
    "unanswerable": ("single", "sequence"),
}
STORED_TOLERANCE = 2e-3


@dataclass
class OracleResult:
    """What the oracle found.

    Attributes:
        counts: (type, form) → questions checked.
        edges: of those, how many lie on a limit, where every answer is allowed.
        mismatches: one line each, with both values.
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    edges: Counter[tuple[str, str]] = field(default_factory=Counter)
    mismatches: list[str] = field(default_factory=list)

    def add(self, other: OracleResult) -> None:
        """Take in another log's result."""
        self.counts += other.counts
        self.edges += other.edges
        self.mismatches += other.mismatches

    @property
    def types(self) -> set[str]:
        """All that occurred."""
        return {name for name, _ in self.counts}

    @property
    def total(self) -> int:
        """Questions checked."""
        return sum(self.counts.values())


def check_log(store: Any, log_id: str) -> OracleResult:
    """Check all groups and questions of one log.

    Args:
        store: a store, or anything with its folder as `root`.
        log_id: the log.
    """
    log = RawLog(Path(store.root), log_id)
    result = OracleResult()
    for group in log.groups.values():
        result.mismatches += [f"group {group['group_id']}: {fault}" for fault in group_faults(log, group)]
    for row in log.questions():
        key = (row["type"], row["form"])
        result.counts[key] += 1
        try:
            faults = list(question_faults(log, row))
        except OnTheEdge:
            result.edges[key] += 1
            continue
        result.mismatches += [
            f"{row['type']}/{row['form']} {row['group_id']} {row['qa_id']}: {fault}" for fault in faults
        ]
    return result


def question_faults(log: RawLog, row: Row) -> Iterable[str]:
    """What is wrong with a stored question.

    Raises:
        OnTheEdge: a value lies on a limit.
    """
    group = log.groups.get(row["group_id"])
    if group is None or row["type"] not in CATALOGUE:
        return [f"no such group or type ({row['group_id']}, {row['type']})"]
    family, roles, answer_type, truth = CATALOGUE[row["type"]]
    case = Case(log, group, row)
    faults = [*_row_faults(case, family, roles), *text_faults(case, answer_type), *reading_faults(case)]
    try:
        true = truth(case)
        if "camera" in true:
            true = {"choice": _camera_choice(true["camera"], row)}
        faults += _answer_faults(case, answer_type, true)
        faults += slice_faults(case)
    except NotAsked as reason:
        faults.append(f"asked though {reason}; stored answer {row['answer']!r}")
    return faults


def _offer_faults(case: Case, answer_type: str) -> Iterable[str]:
    """Whether the numbers on offer are true of other subjects in the same images."""
    key = ("offers", case.row["group_id"], case.row["type"])
    truths = case.log.remembered(key, lambda: list(_truths_of_all(case)))
    for option in case.row["options"]:
        if not any(says(answer_type, option, truth) for truth in truths):
            yield f"the option {option!r} is true of nothing here: {truths}"


def _truths_of_all(case: Case) -> Iterable[dict[str, Any]]:
    """What the same question is answered by for any marks of the group in its roles."""
    _, roles, _, truth = CATALOGUE[case.row["type"]]
    for marks in itertools.permutations(case.group["marks"], roles or 0):
        row = {
            **case.row,
            "marks": [mark["mark"] for mark in marks],
            "track_ids": [mark["track_id"] for mark in marks],
        }
        try:
            yield truth(Case(case.log, case.group, row))
        except (NotAsked, OnTheEdge):
            continue


def _camera_choice(camera: str, row: Row) -> str:
    """The text that names this camera."""
    texts = {*(row["options"] or []), *([row["parameter"]] if row["parameter"] else []), row["answer"]}
    words = ego_truths.camera_words(camera)
    return next((text for text in sorted(texts) if ego_truths.camera_words(text) == words), f"camera {camera}")


def _row_faults(case: Case, family: str, roles: int | None) -> Iterable[str]:
    """Whether the columns agree with the group."""
    row, group = case.row, case.group
    for name in ("log_id", "frame", "split"):
        if row[name] != group[name]:
            yield f"{name} is {row[name]}, of its group {group[name]}"
    if row["family"] != family or group["kind"] not in KINDS[family]:
        yield f"family {row['family']} in a group of kind {group['kind']}, expected {family}"
    if roles is not None and len(row["marks"]) != roles:
        yield f"{len(row['marks'])} marks instead of {roles}"
    tracks = {mark["mark"]: mark["track_id"] for mark in group["marks"]}
    if [tracks.get(mark) for mark in row["marks"]] != row["track_ids"]:
        yield f"tracks {row['track_ids']} are not those of marks {row['marks']}"
    if len(set(row["marks"])) != len(row["marks"]):
        yield f"one mark twice: {row['marks']}"
    if row["horizon_s"] != horizon_s(row["type"]):
        yield f"horizon {row['horizon_s']} s instead of {horizon_s(row['type'])} s"
    if has_horizon(row["type"]) and row["truth_frame"] != case.log.frame_after(case.now, horizon_s(row["type"])):
        yield f"truth_frame {row['truth_frame']} is not the frame {horizon_s(row['type'])} s after {case.now}"
    yield from _evidence_faults(case)


def horizon_s(name: str) -> float:
    """How far ahead a type asks, from its name."""
    return float(name[-1]) if has_horizon(name) else HORIZONS_S.get(name, 0.0)


def has_horizon(name: str) -> bool:
    """Whether the name of a type ends in one."""
    return re.search(r"_t\d$", name) is not None


HORIZONS_S = {"manoeuvre": 3.0, "closest_distance": 3.0, "closest_time": 3.0, "arrives_first": 3.0}


def _evidence_faults(case: Case) -> Iterable[str]:
    """Whether each piece of evidence is to be seen, and each mark that is asked about has one."""
    regions = {(mark["mark"], region["context"]) for mark in case.group["marks"] for region in mark["regions"]}
    pieces = {(piece["mark"], piece["context"]) for piece in case.row["evidence"] or ()}
    for mark, context in sorted(pieces - regions):
        yield f"evidence: region {mark} is not shown in context {context}"
    seen = {mark for mark, _ in regions} & set(case.row["marks"])
    for mark in sorted(seen - {mark for mark, _ in pieces}):
        yield f"region {mark} is shown, but is no evidence"


def _answer_faults(case: Case, answer_type: str, true: dict[str, Any]) -> Iterable[str]:
    """Whether stored truth, answer text and options say what is true."""
    row = case.row
    form_type, expected, faults = expected_of_form(case, answer_type, true)
    yield from faults
    if row["form"] == "choice" and answer_type in NUMERIC:
        yield from _offer_faults(case, answer_type)
    if row["answer_type"] != form_type:
        yield f"answer type {row['answer_type']} instead of {form_type}"
        return
    stored = {name: value for name, value in row["truth"].items() if value is not None}
    if stored.keys() != expected.keys():
        yield f"truth has {sorted(stored)} instead of {sorted(expected)}"
        return
    for name, value in expected.items():
        if differs(name, stored[name], value, STORED_TOLERANCE):
            yield f"{name} is stored as {stored[name]}, should be {value} (all: {true})"
    if not says(form_type, row["answer"], expected):
        yield f"the answer {row['answer']!r} reads {parse(form_type, row['answer'])}, should be {expected}"
