"""Probe `mirror`: the frames flipped left to right, marks drawn after flipping, so that their numbers can be read.

What was 20 degrees to the left is then 20 degrees to the right, and as far away as before. So answers turn like this:

    bearing, heading, turn, lateral offset     the sign changes
    clock hour h                               12 - h, and 12 stays 12
    left, right                                change places
    all else (distance, speed, class, …)       stays

A mirrored street drives on the other side and its signs read backwards, so a model that was tuned on one side may fail in the
mirror though it sees well; the agreement says how much it relies on that.

Not asked in the mirror: what names a side in the question; claims and offered numbers that would have to be turned too; boxes in
pixels; several cameras, since the left one would have to become the right one.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from PIL import Image

from drive_vqa.geometry import wrap_deg
from drive_vqa.marks import Style, draw_marks, marked_frame, regions_at
from eval.controls.answers import contrary_where, renamed
from eval.controls.forms import form_of
from eval.controls.named_regions import names_regions_by_number
from eval.predict.asked import PromptedQuestion
from eval.predict.shown import Control

SIDES = {"left": "right", "right": "left"}
SIDE = re.compile(r"\b(?:left|right)\b")
HORIZON = re.compile(r"_t\d$")

EITHER_SIDE = frozenset({"side", "left_right", "left_right_own"})
"""Types that are answered by left or right and nothing else: of a claim about them, the mirror makes the contrary."""

SIGNED = frozenset(
    {
        *("bearing", "clock", "lateral", "heading", "pair_bearing", "pair_clock", "pair_lateral", "relative_heading"),
        *("ego_turn", "ego_motion", "localization", "position", "position_then", "position_now"),
    }
)
"""Types that ask for a number with a side; without the end that tells the horizon."""

SIDED = frozenset({"lane_relation", "turning", "ego_turning"})
"""Types with left and right among other answers."""

NOT_MIRRORED = frozenset({"best_camera", "count_sector", "count_sector_around"})
BOXES = re.compile(r"(?:where_\w+|\w+_when_where)")


def mirror() -> Control:
    """Flipped frames."""
    return Control("mirror", frames=_frames, turn=_mirrored)


def mirrored_answers(cases: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    """What typed answers become in the mirror; twice is once.

    Args:
        cases: with the columns type and form.
        answers: row by row to the cases, see `eval.cases.answer_columns`.
    """
    told = answers.copy(deep=False)
    for field in ("bearing_deg", "yaw_deg"):
        told[field] = wrap_deg(-answers[field].to_numpy(dtype=np.float64))
    told["y_m"] = -answers["y_m"]
    told["clock_hour"] = 12.0 - answers["clock_hour"] % 12.0
    told["choice"] = renamed(answers["choice"], _other_side, np.ones(len(cases), dtype=bool))
    contrary = cases["type"].isin(EITHER_SIDE) & (cases["form"] == "yes_no")
    told["bool"] = contrary_where(answers["bool"], contrary.to_numpy())
    return told


def _frames(asked: PromptedQuestion, size_px: tuple[int, int] | None, style: Style) -> list[Image.Image]:
    group = asked.group
    return [_frame(asked, context, size_px, style) for context in range(len(group["context"]))]


def _frame(asked: PromptedQuestion, context: int, size_px: tuple[int, int] | None, style: Style) -> Image.Image:
    image = marked_frame(asked.store, asked.group, context, size_px, style="none")
    flipped = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if style == "none":
        return flipped
    width_px, height_px = asked.group["context"][context]["width"], asked.group["context"][context]["height"]
    regions = {
        number: (width_px - u1, v0, width_px - u0, v1)
        for number, (u0, v0, u1, v1) in regions_at(asked.group, context).items()
    }
    return draw_marks(flipped, regions, (image.width / width_px, image.height / height_px), style=style)


def _mirrored(asked: PromptedQuestion) -> PromptedQuestion | None:
    """The question as it is, where its answer in the mirror follows from the one without."""
    question, kind = asked.question, HORIZON.sub("", asked.question["type"])
    if kind in NOT_MIRRORED or BOXES.fullmatch(kind) or not names_regions_by_number(question):
        return None
    if len({view["camera"] for view in asked.group["context"]}) > 1:
        return None
    options = set(question["options"] or ())
    if options != {_other_side(option) for option in options}:
        return None
    form = form_of(asked)
    sided = (kind in SIGNED and form != "open") or (kind in SIDED and form == "yes_no")
    return None if sided else asked


def _other_side(text: str) -> str:
    return SIDE.sub(lambda found: SIDES[found[0]], text)
