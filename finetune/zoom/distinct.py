"""Which closer looks are distinct."""

from __future__ import annotations

import math
from collections.abc import Sequence

from drive_vqa.looks import Look

DISTINCT_PX = 10.0
"""Looks that are nearer to an earlier one show nothing new (ViGoRL, arXiv 2505.23678, multi-turn reward)."""


def is_new(look: Look, before: Sequence[Look]) -> bool:
    """Whether no earlier look at the same frame lies within `DISTINCT_PX`."""
    return all(look.context != other.context or math.dist(look.aim_px, other.aim_px) >= DISTINCT_PX for other in before)


def distinct(looks: Sequence[Look]) -> tuple[Look, ...]:
    """The looks that were new when they were taken."""
    return tuple(look for place, look in enumerate(looks) if is_new(look, looks[:place]))
