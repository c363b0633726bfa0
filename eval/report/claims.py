"""How a model came to its answer, step by step: its words, the frames that it speaks of beside the truth, where it looked closer.

On a frame true boxes of the evidence are solid and green, claimed boxes and points dashed and orange (`eval.evidence.drawing`).
What a model says is cut: it may reason without end.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from drive_vqa.data_uri import jpeg_uri
from drive_vqa.errors import DriveVqaError, StoreError
from drive_vqa.looks import TracedLook
from drive_vqa.traces import DIALECTS, Dialect
from eval.evidence.drawing import draw_claims
from eval.evidence.judge import TIME_TOLERANCE_S
from eval.evidence.placing import ClaimedFrame, JudgedClaim, claimed_frames
from eval.reasoning.read import read_trace
from eval.reasoning.trace import PointClaim, ReadTrace, SeenClaim
from eval.report.inputs import Evaluation
from eval.report.looks import LookPicture, look_picture
from eval.report.shown import WIDTH_PX, Row, Shown, shown_with
from eval.scoring import LEAST_IOU

MOST_STEPS, MOST_FRAMES, MOST_LOOKS = 12, 8, 6
"""Of one answer; what is beyond is counted, and not drawn."""

MOST_CLAIMS = 6
"""Told in words of one frame."""

STEP_LIMIT, TEXT_LIMIT, NAME_LIMIT = 400, 1200, 40
"""In characters."""

TAG = re.compile(r"</?(?:think|obj|box|point|t|pos)>")
BEFORE_STOP = re.compile(r" (?=[.,;:])")


Looks = Mapping[str, Sequence[TracedLook | None]]
"""By question; None for what is no look."""


@dataclass(frozen=True)
class ClaimPicture:
    """A frame with what is true and claimed; `verdicts` are words about each claim and whether it is good (None: not known)."""

    image: str
    when: str
    verdicts: tuple[tuple[str, bool | None], ...]
    alt: str


@dataclass(frozen=True)
class Step:
    """One step; `text` is without tags, `looks` were taken behind it."""

    text: str
    pictures: tuple[ClaimPicture, ...]
    looks: tuple[LookPicture, ...]


@dataclass(frozen=True)
class Reasoning:
    """How an answer was reached.

    Attributes:
        summary: in a few words.
        answer: what the model answers at last; None where it does not say.
        looks: that were taken before the first step.
        steps: the first ones.
        left_out: what is not shown, a sentence, or nothing.
        faults: what is malformed.
        raw: the text with its tags, where it is malformed.
    """

    summary: str
    answer: str | None
    looks: tuple[LookPicture, ...]
    steps: tuple[Step, ...]
    left_out: str
    faults: str
    raw: str

    @property
    def has_looks(self) -> bool:
        """Whether a look is shown."""
        return bool(self.looks) or any(step.looks for step in self.steps)


def reasonings(evaluation: Evaluation, rows: Sequence[Row]) -> dict[str, Reasoning]:
    """How each of some answers was reached, by qa_id; none where the evaluation was not told that there are traces.

    Args:
        evaluation: that the answers are of.
        rows: of `Evaluation.answers`.
    """
    dialect = next((name for name in DIALECTS if name == evaluation.config.get("traces")), None)
    if dialect is None:
        return {}
    looks: Looks = {}
    with contextlib.suppress(StoreError):  # an older evaluation has none
        looks = evaluation.looks([row["qa_id"] for row in rows])
    logs = _by_log(rows)
    return {row["qa_id"]: one for own in logs for row, one in _of_log(evaluation, own, dialect, looks)}


def _by_log(rows: Sequence[Row]) -> list[list[Row]]:
    logs: dict[str, list[Row]] = {}
    for row in rows:
        logs.setdefault(row["log_id"], []).append(row)
    return list(logs.values())


def _of_log(
    evaluation: Evaluation, rows: Sequence[Row], dialect: Dialect, looks: Looks
) -> Iterator[tuple[Row, Reasoning]]:
    """Steps are told without frames where the truth about them cannot be read."""
    shown: Mapping[str, Shown] = {}
    with contextlib.suppress(DriveVqaError):
        shown = shown_with(evaluation, rows)
    for row in rows:
        one = shown.get(row["qa_id"])
        text = row["text"] if isinstance(row["text"], str) else ""
        trace = read_trace(text, dialect, first_s=one.evidence.first_s if one else 0.0)
        yield row, _reasoning(text, trace, looks.get(row["qa_id"], ()), one)


def _reasoning(text: str, trace: ReadTrace, looks: Sequence[TracedLook | None], shown: Shown | None) -> Reasoning:
    frames = _claimed(trace, shown)
    pictures = [(number, _picture(frame, shown)) for number, frame in frames[:MOST_FRAMES] if shown is not None]
    looked = _looked(looks, trace, shown)
    steps = tuple(
        Step(_plain(words), tuple(one for own, one in pictures if own == number and one is not None), looks_then)
        for number, (words, looks_then) in enumerate(zip(trace.steps, looked[1:], strict=False))
    )
    more = {"step": len(trace.steps) - len(steps), "frame": len(frames) - len(pictures)}
    more["look"] = len(looks) - sum(map(len, looked))
    told = ", ".join(f"{count} more {noun}{'s' * (count > 1)}" for noun, count in more.items() if count)
    answer = None if trace.answer is None else _cut(trace.answer, TEXT_LIMIT)
    faults = ", ".join(trace.faults).replace("_", " ")
    raw = _cut(text, TEXT_LIMIT) if faults else ""
    left_out = f"Not shown: {told}." if told else ""
    return Reasoning(_summary(trace, len(looks), frames), answer, looked[0], steps, left_out, faults, raw)


def _looked(looks: Sequence[TracedLook | None], trace: ReadTrace, shown: Shown | None) -> list[tuple[LookPicture, ...]]:
    """The first looks: those before all steps, then those behind each that is shown."""
    behind: list[list[LookPicture]] = [[] for _ in range(min(len(trace.steps), MOST_STEPS) + 1)]
    for number, look in enumerate(looks[:MOST_LOOKS], start=1):
        if look is None or shown is None:
            continue
        step = min(look.step, len(trace.steps))
        picture = look_picture(number, look, shown) if step < len(behind) else None
        if picture is not None:
            behind[step].append(picture)
    return [tuple(own) for own in behind]


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
    """None where the image cannot be read."""
    image = shown.image(frame.context, WIDTH_PX)
    if image is None:
        return None
    when, offset_s = shown.when(frame.context), shown.group["context"][frame.context]["offset_s"]
    verdicts = [_verdict(judged, offset_s) for judged in frame.claims[:MOST_CLAIMS]]
    if len(frame.claims) > MOST_CLAIMS:
        verdicts.append((f"{len(frame.claims) - MOST_CLAIMS} more", None))
    alt = f"{when}; true boxes: {len(frame.true)}; claimed: {', '.join(words for words, _ in verdicts)}"
    drawn = draw_claims(image, shown.size_px(frame.context), frame)
    return ClaimPicture(jpeg_uri(drawn), when, tuple(verdicts), alt)


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


def _summary(trace: ReadTrace, looks: int, frames: Sequence[tuple[int, ClaimedFrame]]) -> str:
    """How many steps and looks, and how many of the claims are good."""
    steps = f"Reasoning: {len(trace.steps)} step{'' if len(trace.steps) == 1 else 's'}"
    steps += f", {looks} look{'' if looks == 1 else 's'}" if looks else ""
    agreements = [judged.agreement for _, frame in frames for judged in frame.claims if judged.agreement is not None]
    if not agreements:
        return steps
    return f"{steps}, {sum(one >= LEAST_IOU for one in agreements)} of {len(agreements)} claims on the evidence"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]} …"
