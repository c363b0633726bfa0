"""What a question's answer is judged by: its typed truth and the evidence that the tracks give for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drive_vqa.store import Store
from eval.evidence.truth import TrueEvidence, read_evidence

TEXT = "text"
"""Answer type of free text, which no question of a store has; its truth is in the field of the same name."""


@dataclass(frozen=True)
class Truth:
    """The truth about one question.

    Attributes:
        qa_id: of the question.
        family: likewise, as in table `questions`.
        question_type: likewise.
        answer_type: see `drive_vqa.schema.TRUTH`, or `TEXT`.
        answer: typed; of the fields of `drive_vqa.schema.TRUTH` those that the type has, at least.
        options: the choices.
        marks: asked about.
        horizon_s: how far ahead is asked; None: not about a time.
        slices: facts about the first mark, such as `ttc_bin` and `distance_m`.
        evidence: what a trace may rightly claim to see.
    """

    qa_id: str
    family: str
    question_type: str
    answer_type: str
    answer: Mapping[str, Any]
    options: tuple[str, ...]
    marks: tuple[int, ...]
    horizon_s: float | None
    slices: Mapping[str, Any]
    evidence: TrueEvidence


def truth_of(question: Mapping[str, Any], evidence: TrueEvidence) -> Truth:
    """The truth of a row of `questions`."""
    return Truth(
        qa_id=question["qa_id"],
        family=question["family"],
        question_type=question["type"],
        answer_type=question["answer_type"],
        answer=question["truth"],
        options=tuple(question["options"] or ()),
        marks=tuple(question["marks"] or ()),
        horizon_s=question["horizon_s"],
        slices=question["slices"] or {},
        evidence=evidence,
    )


def truths_of(store: Store, log_id: str) -> dict[str, Truth]:
    """Truths of all questions of a log by qa_id, in the order of the table.

    Raises:
        StoreError: the log has no questions, groups or tracks.
    """
    groups = {row["group_id"]: row for row in store.read("groups", log_id).to_pylist()}
    evidence_of = read_evidence(store, log_id)
    questions = store.read("questions", log_id).to_pylist()
    return {row["qa_id"]: truth_of(row, evidence_of(row, groups[row["group_id"]])) for row in questions}
