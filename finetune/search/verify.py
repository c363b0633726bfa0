"""Are the points of a chain on what it speaks of? Told for every chain where there are boxes; ViGoRL never checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drive_vqa.marks import regions_at
from drive_vqa.region_forms import NAME
from finetune.search.steps import GroundedStep


@dataclass(frozen=True)
class PointCheck:
    """Points of a chain against true boxes.

    Attributes:
        checked: points in images that have boxes.
        inside: those of them that lie in a box that they may lie in.
    """

    checked: int
    inside: int

    @property
    def all_inside(self) -> bool:
        """Whether no point is known to be wrong."""
        return self.inside == self.checked


def check_points(steps: Sequence[GroundedStep], group: Mapping[str, Any]) -> PointCheck:
    """Check the points of a chain.

    A step that names regions points into the box of one of them in the image of its point; any other step into the box of any
    mark there. A region that this image does not show cannot be pointed at in it. Points in images without boxes are not checked.

    Args:
        steps: of the chain.
        group: the row of the `groups` table that was shown.
    """
    verdicts = [_is_on_target(step, group) for step in steps if regions_at(group, step.context)]
    return PointCheck(len(verdicts), sum(verdicts))


def _is_on_target(step: GroundedStep, group: Mapping[str, Any]) -> bool:
    boxes_px = regions_at(group, step.context)
    named = {int(number) for number in NAME.findall(step.thought)}
    u_px, v_px = step.point_px
    allowed = [box for mark, box in boxes_px.items() if not named or mark in named]
    return any(u0 <= u_px <= u1 and v0 <= v_px <= v1 for u0, v0, u1, v1 in allowed)
