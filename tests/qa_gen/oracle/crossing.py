"""Where two paths cross, segment by segment, with complex numbers."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from tests.qa_gen.oracle.case import EDGE, OnTheEdge

Path = list[complex]


@dataclass(frozen=True)
class Crossing:
    """Places along both paths, counted in segments, and the acute angle between the segments."""

    first: float
    second: float
    angle_deg: float


def first_crossing(one: Path, other: Path) -> Crossing | None:
    """The first crossing along `one`.

    Raises:
        OnTheEdge: segments meet, or just miss each other, at an end.
    """
    found = []
    for i, (start, end) in enumerate(itertools.pairwise(one)):
        for j, (begin, finish) in enumerate(itertools.pairwise(other)):
            crossing = _meet(start, end - start, begin, finish - begin)
            if crossing is not None:
                s, t, angle_deg = crossing
                found.append(Crossing(i + s, j + t, angle_deg))
    return min(found, key=lambda crossing: crossing.first, default=None)


def _meet(e: complex, u: complex, p: complex, w: complex) -> tuple[float, float, float] | None:
    """Shares of both segments and the angle."""
    across = (u.conjugate() * w).imag
    if min(abs(u), abs(w)) < 1e-6 or abs(across) < 1e-9 * abs(u) * abs(w):
        return None  # hardly a segment, or parallel
    s = ((p - e).conjugate() * w).imag / across
    t = ((p - e).conjugate() * u).imag / across
    near = [-EDGE <= share <= 1 + EDGE for share in (s, t)]
    inside = [EDGE <= share <= 1 - EDGE for share in (s, t)]
    if all(near) and not all(inside):
        raise OnTheEdge
    if not all(inside):
        return None
    return s, t, math.degrees(math.atan2(abs(across), abs((u.conjugate() * w).real)))
