"""Triangles of a polygon cover exactly the polygon."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from sensors.synth.polygons import dashes, triangulate
from sensors.synth.town import TOWNS, build_town


def areas(outline: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = (outline[triangles[:, i]] for i in range(3))
    return 0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])


@pytest.mark.parametrize("turn", [1, -1])
def test_a_concave_polygon(turn: int) -> None:
    outline = np.array([[0, 0], [4, 0], [4, 3], [2, 1], [1, 3], [0, 3]], dtype=float)[::turn]
    triangles = triangulate(outline)
    assert len(triangles) == len(outline) - 2
    found = areas(outline, triangles)
    assert (found > 0).all()
    x, y = outline.T
    assert found.sum() == pytest.approx(abs(0.5 * (x @ np.roll(y, -1) - y @ np.roll(x, -1))))


@pytest.mark.parametrize("name", TOWNS)
def test_every_surface_of_every_town(name: str) -> None:
    for surface in build_town(name).surfaces:
        found = areas(surface.outline_xy_m, triangulate(surface.outline_xy_m))
        x, y = (surface.outline_xy_m - surface.outline_xy_m.mean(axis=0)).T
        assert found.sum() == pytest.approx(abs(0.5 * (x @ np.roll(y, -1) - y @ np.roll(x, -1))), rel=1e-6)
        assert found.min() > -1e-6


def test_dashes_are_three_metres_with_gaps() -> None:
    pieces = dashes(np.array([[0.0, 0.0], [20.0, 0.0]]))
    assert [float(piece[-1, 0] - piece[0, 0]) for piece in pieces] == pytest.approx([3.0] * len(pieces))
    assert [float(late[0, 0] - early[0, 0]) for early, late in pairwise(pieces)] == pytest.approx([7.5])
