"""What a model claimed before it answered, step by step: the words of each step, and the frames it speaks of beside the truth.

On a frame true boxes of the evidence are solid and green, claimed boxes and points dashed and orange (`eval.evidence.drawing`).
What a model says is cut: it may reason without end.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from drive_vqa.data_uri import jpeg_uri
from drive_vqa.errors import DriveVqaError
from drive_vqa.marks import marked_frame
from drive_vqa.prompt import time_line
from drive_vqa.store import Store
from drive_vqa.traces import DIALECTS, Dialect
from eval.evidence.drawing import draw_claims
from eval.evidence.judge import TIME_TOLERANCE_S
from eval.evidence.placing import ClaimedFrame, JudgedClaim, claimed_frames
from eval.evidence.truth import TrueEvidence, read_evidence
from eval.reasoning.read import read_trace
from eval.reasoning.trace import PointClaim, ReadTrace, SeenClaim
from eval.report.inputs import Evaluation
from eval.scoring import LEAST_IOU

WIDTH_PX = 420
MOST_STEPS, MOST_FRAMES = 12, 8
"""Of one answer; its claims beyond are counted, and not drawn."""

MOST_CLAIMS = 6
"""Told in words of one frame."""

STEP_LIMIT, TEXT_LIMIT, NAME_LIMIT = 400, 1200, 40
"""In characters."""

TAG = re.compile(r"</?(?:think|obj|box|point|t|pos)>")
BEFORE_STOP = re.compile(r" (?=[.,;:])")


@dataclass(frozen=True)
class ClaimPicture:
    """A frame with what is true and claimed; `verdicts` are words about each claim and whether it is good (None: not known)."""

    image: str
    when: str
    verdicts: tuple[tuple[str, bool | None], ...]
    alt: str


@dataclass(frozen=True)
class Step:
    """One step; `text` is without tags."""

    text: str
    pictures: tuple[ClaimPicture, ...]


@dataclass(frozen=True)
class Reasoning:
    """How an answer was reached.

    Attributes:
        summary: in a few words.
        answer: what the model answers at last; None where it does not say.
        steps: the first ones.
        left_out: what is not shown, a sentence, or nothing.
        faults: what is malformed.
        raw: the text with its tags, where it is malformed.
    """

    summary: str
    answer: str | None
    steps: tuple[Step, ...]
    left_out: str
    faults: str
    raw: str


def reasonings(evaluation: Evaluation, rows: Sequence[Mapping[str, Any]]) -> dict[str, Reasoning]:
    """How each of some answers was reached, by qa_id; none where the evaluation was not told that there are traces.

    Args:
        evaluation: that the answers are of.
        rows: of `Evaluation.answers`.
    """
    dialect = next((name for name in DIALECTS if name == evaluation.config.get("traces")), None)
    if dialect is None:
        return {}
    return {row["qa_id"]: one for log_rows in _by_log(rows) for row, one in _of_log(evaluation, log_rows, dialect)}


Row = Mapping[str, Any]


def _by_log(rows: Sequence[Row]) -> list[list[Row]]:
    logs: dict[str, list[Row]] = {}
    for row in rows:
        logs.setdefault(row["log_id"], []).append(row)
    return list(logs.values())


def _of_log(evaluation: Evaluation, rows: Sequence[Row], dialect: Dialect) -> Iterator[tuple[Row, Reasoning]]:
    """Steps are told without frames where the truth about them cannot be read."""
    shown: Mapping[str, Shown] = {}
    with contextlib.suppress(DriveVqaError):
        shown = _shown(evaluation, rows)
    for row in rows:
        one = shown.get(row["qa_id"])
        text = row["text"] if isinstance(row["text"], str) else ""
        yield row, _reasoning(text, read_trace(text, dialect, first_s=one.evidence.first_s if one else 0.0), one)


@dataclass(frozen=True, eq=False)
class Shown:
    """A question's frames and what is true in them."""

    store: Store
    group: Row
    evidence: TrueEvidence


def _shown(evaluation: Evaluation, rows: Sequence[Row]) -> dict[str, Shown]:
    """By question; those asked without images are left out.

    Raises:
        StoreError: the store lacks tracks, questions or a group.
    """
    store, log_id = evaluation.store, rows[0]["log_id"]
    evidence_of = read_evidence(store, log_id)
    table = store.read("questions", log_id, ["qa_id", "group_id", "evidence"])
    wanted = pa.array([row["qa_id"] for row in rows], pa.string())
    found = {}
    for question in table.filter(pc.is_in(table["qa_id"], value_set=wanted)).to_pylist():
        group = evaluation.group(log_id, question["group_id"])
        if group["context"] and all(view["path"] and view["width"] and view["height"] for view in group["context"]):
            found[question["qa_id"]] = Shown(store, group, evidence_of(question, group))
    return found


def _reasoning(text: str, trace: ReadTrace, shown: Shown | None) -> Reasoning:
    frames = _claimed(trace, shown)
    pictures = [(number, _picture(frame, shown)) for number, frame in frames[:MOST_FRAMES] if shown is not None]
    steps = tuple(
        Step(_plain(words), tuple(one for own, one in pictures if own == number and one is not None))
        for number, words in enumerate(trace.steps[:MOST_STEPS])
    )
    more = {"steps": len(trace.steps) - len(steps), "frames": len(frames) - len(pictures)}
    told = ", ".join(f"{count} more {noun}" for noun, count in more.items() if count)
    answer = None if trace.answer is None else _cut(trace.answer, TEXT_LIMIT)
    faults = ", ".join(trace.faults).replace("_", " ")
    raw = _cut(text, TEXT_LIMIT) if faults else ""
    return Reasoning(_summary(trace, frames), answer, steps, f"Not shown: {told}." if told else "", faults, raw)


def _claimed(trace: ReadTrace, shown: Shown | None) -> list[tuple[int, ClaimedFrame]]:
    """Step by step, the frames in which it claims something that no step before it claims."""
    if shown is None:
        return []
    claimed: list[SeenClaim | PointClaim] = [*trace.seen, *trace.points]
    first: dict[SeenClaim | PointClaim, SeenClaim | PointClaim] = {}
    for claim in claimed:
        first.setdefault(replace(claim, step=0), claim)
    told: dict[int, list[SeenClaim | PointClaim]] = {}
    for claim in first.values():
        told.setdefault(claim.step, []).append(claim)
    return [
        (number, frame)
        for number, claims in sorted(told.items())
        for frame in claimed_frames(claims, shown.evidence, shown.group)
        if frame.claims
    ]


def _plain(words: str) -> str:
    """A step without tags."""
    return BEFORE_STOP.sub("", " ".join(TAG.sub(" ", _cut(words, STEP_LIMIT)).split()))


def _picture(frame: ClaimedFrame, shown: Shown) -> ClaimPicture | None:
    """Without marks, which would hide the boxes; None where the image cannot be read."""
    views = shown.group["context"]
    view = views[frame.context]
    size_px = (view["width"], view["height"])
    shown_px = (WIDTH_PX, max(1, round(WIDTH_PX * size_px[1] / size_px[0])))
    try:
        image = marked_frame(shown.store, shown.group, frame.context, shown_px, style="none")
    except DriveVqaError:
        return None
    several = len({other["camera"] for other in views}) > 1
    when = time_line(view["offset_s"], view["camera"] if several else None).rstrip(":")
    verdicts = [_verdict(judged, view["offset_s"]) for judged in frame.claims[:MOST_CLAIMS]]
    if len(frame.claims) > MOST_CLAIMS:
        verdicts.append((f"{len(frame.claims) - MOST_CLAIMS} more", None))
    alt = f"{when}; true boxes: {len(frame.true)}; claimed: {', '.join(words for words, _ in verdicts)}"
    return ClaimPicture(jpeg_uri(draw_claims(image, size_px, frame)), when, tuple(verdicts), alt)


def _verdict(judged: JudgedClaim, shown_s: float) -> tuple[str, bool | None]:
    """A claim in words, and whether it is good."""
    claim, agreement = judged.claim, judged.agreement
    is_box = isinstance(claim, SeenClaim)
    what = _cut(claim.name or "box", NAME_LIMIT) if isinstance(claim, SeenClaim) else "point"
    if claim.offset_s is not None and abs(claim.offset_s - shown_s) > TIME_TOLERANCE_S:
        what += f" at {claim.offset_s:.1f} s"
    if agreement is None:
        return f"{what}: no true box", None
    good = agreement >= LEAST_IOU
    return (f"{what}: IoU {agreement:.2f}" if is_box else f"{what}: {'inside' if good else 'outside'}"), good


def _summary(trace: ReadTrace, frames: Sequence[tuple[int, ClaimedFrame]]) -> str:
    """How many steps, and how many of the claims are good."""
    steps = f"Reasoning: {len(trace.steps)} step{'' if len(trace.steps) == 1 else 's'}"
    agreements = [judged.agreement for _, frame in frames for judged in frame.claims if judged.agreement is not None]
    if not agreements:
        return steps
    return f"{steps}, {sum(one >= LEAST_IOU for one in agreements)} of {len(agreements)} claims on the evidence"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]} …"
