"""A closer look that was taken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from finetune.zoom.crops import BoxPx, PointPx

DISTINCT_PX = 10.0
"""Looks that are nearer to an earlier one show nothing new (ViGoRL, arXiv 2505.23678, multi-turn reward)."""


@dataclass(frozen=True)
class Look:
    """A closer look at a context frame.

    Attributes:
        context: place of the frame in the group's context, from 0.
        box_px: what was cropped, in pixels of the original frame.
        point_px: where the model pointed, likewise; None where it gave a box.
    """

    context: int
    box_px: BoxPx
    point_px: PointPx | None

    @property
    def at_px(self) -> PointPx:
        """The point, or the middle of the crop."""
        u0, v0, u1, v1 = self.box_px
        return self.point_px or ((u0 + u1) / 2, (v0 + v1) / 2)


def is_new(look: Look, before: Sequence[Look]) -> bool:
    """Whether no earlier look at the same frame lies within `DISTINCT_PX`."""
    return all(look.context != other.context or math.dist(look.at_px, other.at_px) >= DISTINCT_PX for other in before)


def distinct(looks: Sequence[Look]) -> tuple[Look, ...]:
    """The looks that were new when they were taken."""
    return tuple(look for place, look in enumerate(looks) if is_new(look, looks[:place]))
