"""Where two paths cross.

Paths are polylines on the ground; segments meet where `a0 + s·a = b0 + t·b` with s and t in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int


@dataclass(frozen=True, eq=False)
class Crossing:
    """The first crossing along the path a, of each pair of paths.

    Attributes:
        found: whether they cross.
        segment_a: which segment of a; 0 where they do not cross, as all that follows is then without meaning.
        share_a: how far along it, 0 to 1.
        segment_b: which segment of b.
        share_b: how far along it, 0 to 1.
        angle_deg: acute angle between both segments, 0 to 90.
    """

    found: Bool[np.ndarray, "n"]
    segment_a: Int[np.ndarray, "n"]
    share_a: Float[np.ndarray, "n"]
    segment_b: Int[np.ndarray, "n"]
    share_b: Float[np.ndarray, "n"]
    angle_deg: Float[np.ndarray, "n"]


def first_crossing(a_xy_m: Float[np.ndarray, "p n 2"], b_xy_m: Float[np.ndarray, "q n 2"]) -> Crossing:
    """Find where paths cross; parallel segments never do, nor do paths with NaN.

    Args:
        a_xy_m: points of the paths a, all first points first.
        b_xy_m: points of the paths b.
    """
    crossing = Crossing(*(np.zeros(a_xy_m.shape[1], dtype) for dtype in (bool, int, float, int, float, float)))
    near = np.flatnonzero(_near(a_xy_m, b_xy_m))
    meetings = _meetings(a_xy_m[:, near].swapaxes(0, 1), b_xy_m[:, near].swapaxes(0, 1))
    rows, pairs = meetings[0].shape[1:]
    share_a, share_b, sine, cosine = (values.reshape(len(near), rows * pairs) for values in meetings)
    meets = (share_a >= 0.0) & (share_a <= 1.0) & (share_b >= 0.0) & (share_b <= 1.0)
    along = np.where(meets, np.arange(rows).repeat(pairs) + share_a, np.inf)
    best, each = along.argmin(axis=1), np.arange(len(near))
    found = np.isfinite(along[each, best])
    best, each, near = best[found], each[found], near[found]
    crossing.found[near] = True
    crossing.segment_a[near], crossing.segment_b[near] = best // pairs, best % pairs
    crossing.share_a[near], crossing.share_b[near] = share_a[each, best], share_b[each, best]
    crossing.angle_deg[near] = np.degrees(np.arctan2(np.abs(sine[each, best]), np.abs(cosine[each, best])))
    return crossing


def _near(a_xy_m: np.ndarray, b_xy_m: np.ndarray) -> np.ndarray:
    """Whether the upright rectangles around both paths meet: most paths never come near each other."""
    reaches = (a_xy_m.max(axis=0) >= b_xy_m.min(axis=0)) & (b_xy_m.max(axis=0) >= a_xy_m.min(axis=0))
    return np.asarray(reaches[:, 0] & reaches[:, 1])


def _meetings(a_xy_m: np.ndarray, b_xy_m: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Shares s and t of all pairs of segments, NaN where parallel, and cross and dot product of the segments."""
    a, b = np.diff(a_xy_m, axis=1)[:, :, None], np.diff(b_xy_m, axis=1)[:, None]
    between = b_xy_m[:, None, :-1] - a_xy_m[:, :-1, None]
    sine = _cross(a, b)
    by = np.where(sine == 0.0, np.nan, sine)
    return _cross(between, b) / by, _cross(between, a) / by, sine, (a * b).sum(axis=-1)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])
