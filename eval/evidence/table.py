"""The metrics of grounded evidence of a predictions file, for models that were asked to reason: `drive-vqa evaluate --traces …`.

Evidence is judged only where a dialect is given: without it nobody asked for traces, and a short answer is no failure. With it,
every question counts whose evidence an image shows. One without a prediction, and a text that reasons nothing, tell nothing:
boxes and times count 0 there, as a missing answer fails. Names in `_traced_only` leave these out, and `grounding.traced` says how
many texts do reason. What a dialect cannot say is left out: `vigorl` has no boxes, and neither it nor `treevgr` says "now".

    grounding.traced, .well_formed                    share of the answered questions whose text has a step; follows the grammar
    grounding.accuracy                                share of these questions whose answer is right: what hiding evidence lowers
    grounding.miou_recall, .miou_precision, .miou_matched   told boxes
    grounding.key_time_recall, .key_time_precision    told times
    grounding.temporal_iou, .visual_iou               V-STaR's T and S, over the times of images
    grounding.am, .lgm                                V-STaR's AM and LGM of A, T and S over these questions, not in hundredths
    grounding.mam, .mlgm                              the same as means of two chains, see `eval.evidence.event_chains`
    grounding.points_in_box, .places_in_band          over the questions whose text has some

`eval.evidence.judge` says what each is. AM and LGM take a trace for one chain that tells what, when and where at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from drive_vqa.errors import StoreError
from drive_vqa.store import Store
from drive_vqa.traces import Dialect
from eval.evidence.chains import arithmetic_mean, log_geometric_mean
from eval.evidence.event_chains import event_chains
from eval.evidence.judge import EvidenceFigures, judge_evidence
from eval.evidence.truth import TrueEvidence, read_evidence
from eval.panel import Answered, Sample, estimates
from eval.reasoning.read import read_trace
from eval.reasoning.trace import ReadTrace
from eval.statistics import Estimate, estimate_of_means

BOXES = {"miou_recall": "iou_recall", "miou_precision": "iou_precision", "miou_matched": "iou_matched"}
TIMES = {name: name for name in ("key_time_recall", "key_time_precision", "temporal_iou")}
BOTH = {"visual_iou": "visual_iou"}
TOLD_ONLY = {name: name for name in ("points_in_box", "places_in_band")}
"""Name of each metric and of its figure, by what a dialect must be able to say."""

SAYS: dict[Dialect, dict[str, str]] = {
    "drive": BOXES | TIMES | BOTH,
    "open_o3": BOXES | TIMES | BOTH,
    "treevgr": BOXES,
    "vigorl": {},
}
NO_TRACE = ReadTrace((), (), (), (), None, ("no_answer",))


@dataclass(frozen=True, eq=False)
class JudgedTrace:
    """One question.

    Attributes:
        row: of the case.
        answered: whether there is a text.
        trace: as read; of no text an empty one.
        figures: see `eval.evidence.judge`.
    """

    row: int
    answered: bool
    trace: ReadTrace
    figures: EvidenceFigures


def evidence_metrics(store: Store, answered: Answered, told: pd.DataFrame, dialect: Dialect) -> dict[str, Estimate]:
    """The metrics above, with intervals from a bootstrap over logs.

    Args:
        store: with `groups`, `questions` and `tracks`.
        answered: the cases, and whether their answers are right.
        told: predictions, columns `qa_id`, `sample` and `text`; of repeated answers the first sample counts.
        dialect: that the texts are written in.

    Raises:
        StoreError: a table is missing, or lacks a group.
    """
    judged = list(_judged(store, answered.cases, _first_texts(told), dialect))
    found = estimates(_samples(judged, answered, dialect), answered.cases)
    return found | (_chain(judged, answered) if BOTH.items() <= SAYS[dialect].items() else {})


def evidence_samples(store: Store, answered: Answered, told: pd.DataFrame, dialect: Dialect) -> dict[str, Sample]:
    """The cases of the same metrics but AM, LGM and their like; arguments as for `evidence_metrics`."""
    return _samples(list(_judged(store, answered.cases, _first_texts(told), dialect)), answered, dialect)


def _first_texts(told: pd.DataFrame) -> Mapping[str, str]:
    first = told.sort_values("sample", kind="stable").drop_duplicates("qa_id")
    return dict(zip(first["qa_id"], first["text"], strict=True))


def _judged(store: Store, cases: pd.DataFrame, texts: Mapping[str, str], dialect: Dialect) -> Iterator[JudgedTrace]:
    for log_id, own in cases.groupby("log_id", sort=False):
        row_of = dict(zip(own["qa_id"].tolist(), own.index.tolist(), strict=True))
        for qa_id, evidence in _evidence(store, str(log_id), list(row_of)):
            text = texts.get(qa_id)
            trace = NO_TRACE if text is None else read_trace(text, dialect, first_s=evidence.first_s)
            yield JudgedTrace(row_of[qa_id], text is not None, trace, judge_evidence(trace, evidence))


def _evidence(store: Store, log_id: str, qa_ids: list[str]) -> Iterator[tuple[str, TrueEvidence]]:
    """The truth of some questions of a log."""
    evidence_of = read_evidence(store, log_id)
    groups = {group["group_id"]: group for group in store.read("groups", log_id).to_pylist()}
    questions = store.read("questions", log_id, ["qa_id", "group_id", "evidence"])
    asked = questions.filter(pc.is_in(questions["qa_id"], value_set=pa.array(qa_ids, pa.string())))
    for question in asked.to_pylist():
        if question["group_id"] not in groups:
            named = f"question {question['qa_id']} is about the group {question['group_id']}"
            raise StoreError(f"{named}, which log {log_id} of {store.root} lacks: run `drive-vqa generate` again")
        yield question["qa_id"], evidence_of(question, groups[question["group_id"]])


def _samples(judged: list[JudgedTrace], answered: Answered, dialect: Dialect) -> dict[str, Sample]:
    return {**dict(_of_figures(judged, SAYS[dialect])), "grounding.accuracy": _right(judged, answered)}


def _of_figures(judged: list[JudgedTrace], said: dict[str, str]) -> Iterator[tuple[str, Sample]]:
    texts = [one for one in judged if one.answered]
    yield "grounding.traced", _sample([(one.row, float(bool(one.trace.steps))) for one in texts])
    yield "grounding.well_formed", _sample([(one.row, float(one.trace.well_formed)) for one in texts])
    for name, figure in (said | TOLD_ONLY).items():
        yield f"grounding.{name}", _sample(_values(judged, figure))
        if figure not in TOLD_ONLY:
            traced = [one for one in judged if one.trace.steps]
            yield f"grounding.{name}_traced_only", _sample(_values(traced, figure))


def _values(judged: list[JudgedTrace], figure: str) -> list[tuple[int, float]]:
    """Row and value where the figure applies."""
    values = ((one.row, getattr(one.figures, figure)) for one in judged)
    return [(row, value) for row, value in values if value is not None]


def _sample(values: list[tuple[int, float]]) -> Sample:
    rows = np.array([row for row, _ in values], dtype=np.int64)
    return Sample(np.array([value for _, value in values], dtype=np.float64), rows, "share")


def _right(judged: list[JudgedTrace], answered: Answered) -> Sample:
    """Whether the answer is right, over the questions that have evidence."""
    rows = np.array([row for row, _ in _values(judged, "iou_recall")], dtype=np.int64)
    return Sample(answered.verdicts["success"].to_numpy()[rows].astype(np.float64), rows, "share")


def _chain(judged: list[JudgedTrace], answered: Answered) -> dict[str, Estimate]:
    """AM and LGM of the means of A, T and S over the questions that have evidence, and of V-STaR's chains among them."""
    times, boxes = _sample(_values(judged, "temporal_iou")), _sample(_values(judged, "visual_iou"))
    parts = np.stack([_right(judged, answered).values, times.values, boxes.values], axis=1)
    logs, frames = (answered.cases[name].to_numpy()[times.rows] for name in ("log_code", "frame_code"))
    return {
        "grounding.am": estimate_of_means(parts, logs, frames, arithmetic_mean),
        "grounding.lgm": estimate_of_means(parts, logs, frames, log_geometric_mean),
        **event_chains(answered, times.rows, times.values, boxes.values),
    }
