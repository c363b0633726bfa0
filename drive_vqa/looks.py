"""Closer looks of a model at a part of a context frame: those that it took on the way to an answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PointPx = tuple[float, float]
"""(u, v) in pixels of the original frame."""
BoxPx = tuple[float, float, float, float]
"""(u0, v0, u1, v1) in pixels of the original frame."""
CORNERS, AIM = ("u0_px", "v0_px", "u1_px", "v1_px"), ("u_px", "v_px")


@dataclass(frozen=True)
class Look:
    """A closer look at a context frame.

    Attributes:
        context: place of the frame in the group's context, from 0.
        box_px: what was cropped, in pixels of the original frame.
        aim_px: the point that the model gave, or the middle of the box that it gave, likewise; near the border of a frame not the
            middle of the crop.
    """

    context: int
    box_px: BoxPx
    aim_px: PointPx


@dataclass(frozen=True)
class TracedLook(Look):
    """A look with its place in the reasoning.

    Attributes:
        step: how many steps the model had told by the end of the turn that called for the look, so it goes behind step number
            `step` counted from 1, and before all of them where it is 0.
    """

    step: int


def look_to_struct(look: TracedLook) -> dict[str, float]:
    """A look as the `LOOK` struct of `drive_vqa.schema`."""
    corners = dict(zip(CORNERS, look.box_px, strict=True))
    return {"context": look.context, **corners, **dict(zip(AIM, look.aim_px, strict=True)), "step": look.step}


def look_from_struct(struct: Mapping[str, Any] | None) -> TracedLook | None:
    """The look of a `LOOK` struct from anywhere; None where it lacks something, or its crop has no area.

    Whether its frame exists and holds the crop, only the group tells.
    """
    told = {name: value for name, value in (struct or {}).items() if value is not None}
    if not {"context", "step", *CORNERS, *AIM} <= told.keys():
        return None
    u0_px, v0_px, u1_px, v1_px = (told[name] for name in CORNERS)
    if not all(map(math.isfinite, told.values())) or min(told["context"], told["step"]) < 0:
        return None
    if u0_px >= u1_px or v0_px >= v1_px:
        return None
    return TracedLook(told["context"], (u0_px, v0_px, u1_px, v1_px), (told["u_px"], told["v_px"]), told["step"])
