"""Control `boxes_as_text`: the true boxes of all marks stand before the question. An oracle: the only control that tells truth.

    Region 3, 0.5 seconds ago: x 21.4 meters, y -1.2 meters, heading 2 degrees, length 4.5 meters, width 1.9 meters, …

What is still answered wrongly with the boxes at hand is no fault of seeing: the question was not understood, or not computed.

Boxes are those of the tracks at the time of each context frame, in the ego frame of that time; what is not tracked then is left
out. Only questions that name regions by number, or none, can be asked so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from drive_vqa.prompt import time_line
from drive_vqa.store import Store
from eval.controls.named_regions import names_regions_by_number
from eval.predict.asked import PromptedQuestion
from eval.predict.shown import Control

Row = Mapping[str, Any]
BOX = ("x_m", "y_m", "yaw_rad", "length_m", "width_m", "height_m")
LEGEND = (
    "Measured boxes of the marked regions: x is meters ahead of my car and y meters to its left, to the center of the box; the "
    "heading is in degrees, 0 where my car faces, positive to the left; each as seen from my car at that time."
)


def boxes_as_text() -> Control:
    """The boxes of all marks of the group as lines before the question."""
    return Control("boxes_as_text", turn=_told)


def _told(asked: PromptedQuestion) -> PromptedQuestion | None:
    if not names_regions_by_number(asked.question):
        return None
    lines = [line for mark in asked.group["marks"] for line in _lines(asked, mark)]
    text = "\n".join([LEGEND, *lines, asked.question["question"]] if lines else [asked.question["question"]])
    return replace(asked, question={**asked.question, "question": text})


def _lines(asked: PromptedQuestion, mark: Row) -> list[str]:
    boxes = _boxes(asked.store, asked.group["log_id"])
    times = {view["frame"]: view["offset_s"] for view in asked.group["context"]}
    return [
        f"Region {mark['mark']}, {time_line(offset_s).lower()} {_text(boxes[frame, mark['track_id']])}"
        for frame, offset_s in times.items()
        if (frame, mark["track_id"]) in boxes
    ]


def _text(box: Row) -> str:
    """What is known of a box."""
    told = {
        "x": _meters(box["x_m"]),
        "y": _meters(box["y_m"]),
        "heading": None if box["yaw_rad"] is None else f"{round(math.degrees(box['yaw_rad']))} degrees",
        "length": _meters(box["length_m"]),
        "width": _meters(box["width_m"]),
        "height": _meters(box["height_m"]),
    }
    return ", ".join(f"{name} {value}" for name, value in told.items() if value is not None)


def _meters(value_m: float | None) -> str | None:
    return None if value_m is None else f"{round(value_m, 1) + 0.0:.1f} meters"


@lru_cache(maxsize=2)
def _boxes(store: Store, log_id: str) -> dict[tuple[int, str], Row]:
    """By frame and track; questions come log by log."""
    rows = store.read("tracks", log_id, ("frame", "track_id", *BOX)).to_pylist()
    return {(row["frame"], row["track_id"]): row for row in rows}
