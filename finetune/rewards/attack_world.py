"""Three questions about one hand-made moment, to try rewards with: what is true, and how an honest model answers.

A car, Region 3, comes nearer at an even 4 m/s, 3 m to the right of the ego; Region 5 is another one. Four frames of 1600 by 900
pixels show both. Widths of the boxes are multiples of 4, so that a quarter of them is whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drive_vqa.looks import Look
from drive_vqa.schema import TRUTH
from drive_vqa.traces import ImageBox, Place, Seen, Step, Trace
from eval.evidence.truth import TrueBox, TrueEvidence, TrueFrame
from finetune.rewards.truth import Truth

SIZE_PX = (1600, 900)
TIMES_S = (-1.5, -1.0, -0.5, 0.0)
MARK, OTHER = 3, 5
NAME = f"Region {MARK}"
BOXES_PX: Mapping[int, tuple[ImageBox, ...]] = {
    MARK: ((860, 420, 940, 480), (868, 420, 956, 486), (876, 420, 976, 494), (888, 420, 1000, 504)),
    OTHER: ((300, 400, 400, 500), (310, 400, 410, 500), (320, 400, 420, 500), (330, 400, 430, 500)),
}
RATE_MPS, SIDE_M, NOW_M = -4.0, -3.0, 24.0
HORIZON_S = 2.0


@dataclass(frozen=True)
class Example:
    """A question.

    Attributes:
        prompt: what is asked, with the boxes of the regions in words.
        truth: of it.
        honest: a right answer that shows what it rests on.
        wrong: an answer that is not right.
    """

    prompt: str
    truth: Truth
    honest: Trace
    wrong: str

    @property
    def looks(self) -> tuple[Look, ...]:
        """Into the middle of each true box."""
        return tuple(look_at(box.context, box.box_px) for box in self.truth.evidence.boxes)


def examples() -> tuple[Example, ...]:
    """A question for numbers, one for a choice, and one for a box."""
    return _localization(), _approach(), _where_closest()


def look_at(context: int, box_px: tuple[float, float, float, float]) -> Look:
    """A look at the middle of a box."""
    u0, v0, u1, v1 = box_px
    return Look(context, box_px, ((u0 + u1) / 2, (v0 + v1) / 2))


def seen(context: int, mark: int = MARK) -> Seen:
    """The true claim that an image shows a mark."""
    return Seen(f"Region {mark}", BOXES_PX[mark][context], TIMES_S[context])


def place_at(time_s: float) -> Place:
    """Where Region 3 is."""
    x_m = NOW_M + RATE_MPS * time_s
    return Place(math.hypot(x_m, SIDE_M), math.degrees(math.atan2(SIDE_M, x_m)))


def shown_steps() -> tuple[Step, ...]:
    """What each image shows, and where that is."""
    return tuple(
        (seen(context), " was at " if time_s else " is at ", place_at(time_s), ".")
        for context, time_s in enumerate(TIMES_S)
    )


def _localization() -> Example:
    then = place_at(HORIZON_S)
    x_m = NOW_M + RATE_MPS * HORIZON_S
    away = f"{then.distance_m:.1f} m"
    moved = (
        f"Seen from me, {NAME} has moved by (-6.00, 0.00) m ahead and to the left in 1.5 s, that is (-4.00, 0.00) m/s."
    )
    leads = f"In 2 seconds this would lead to ({x_m:.2f}, {SIDE_M:.2f}) m, which is {away} at {then.bearing_deg:.0f}°."
    expected = f"So I expect {NAME} at ({x_m:.2f}, {SIDE_M:.2f}) m, {away} away at {then.bearing_deg:.0f}°."
    answer = f"{then.distance_m:.1f} meters, {then.bearing_deg:.0f} degrees"
    truth = {"distance_m": then.distance_m, "bearing_deg": then.bearing_deg}
    asked = f"How far away, and at which bearing, will {NAME} be in 2 seconds?"
    return _example(
        "localization_t2", "localization", asked, truth, (moved, leads, expected), answer, "45.0 meters, 20 degrees"
    )


def _approach() -> Example:
    options = ("closer", "farther", "less than half a meter")
    said = ("Its distance has gone from 30.15 m to 24.19 m in 1.5 s, -3.97 m/s.", "I expect it to come closer.")
    asked = f"In 2 seconds, will {NAME} be closer to me or farther away: {', '.join(options)}?"
    return _example("approach_t2", "choice", asked, {"choice": "closer"}, said, "closer", "farther", options)


def _where_closest() -> Example:
    box_px = BOXES_PX[MARK][-1]
    truth = dict(zip(("u0_px", "v0_px", "u1_px", "v1_px"), map(float, box_px), strict=True))
    said = ("The least distance is that of now.",)
    asked = f"Where is {NAME} in the frame in which it is closest?"
    return _example("where_closest", "box", asked, truth, said, str(list(box_px)), "[20, 20, 60, 60]")


def _example(
    kind: str,
    answer_type: str,
    asked: str,
    answer: Mapping[str, Any],
    said: tuple[str, ...],
    right: str,
    wrong: str,
    options: tuple[str, ...] = (),
) -> Example:
    truth = Truth(
        qa_id=kind,
        family="when_where" if answer_type == "box" else "future",
        question_type=kind,
        answer_type=answer_type,
        answer={**dict.fromkeys(TRUTH.names), **answer},
        options=options,
        marks=(MARK,),
        horizon_s=None if answer_type == "box" else HORIZON_S,
        slices={"ttc_bin": "1.5-3", "distance_m": place_at(0.0).distance_m},
        evidence=_evidence(),
    )
    prompt = f"{NAME} is the car at {list(BOXES_PX[MARK][0])} in image 1. {asked}"
    steps = (*shown_steps(), *((sentence,) for sentence in said), (f"So the answer is {right}.",))
    return Example(prompt, truth, Trace(steps, right, TIMES_S[0]), wrong)


def _evidence() -> TrueEvidence:
    frames = tuple(TrueFrame(time_s, *SIZE_PX) for time_s in TIMES_S)
    return TrueEvidence(frames, _true_boxes(MARK), _true_boxes(OTHER))


def _true_boxes(mark: int) -> tuple[TrueBox, ...]:
    found = []
    for context, (time_s, (u0, v0, u1, v1)) in enumerate(zip(TIMES_S, BOXES_PX[mark], strict=True)):
        place = place_at(time_s) if mark == MARK else Place(40.0, 30.0)
        box_px = (float(u0), float(v0), float(u1), float(v1))
        found.append(TrueBox(mark, context, time_s, box_px, place.distance_m, place.bearing_deg))
    return tuple(found)
