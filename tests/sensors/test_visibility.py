from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from drive_vqa.geometry import SE3
from sensors import visibility
from sensors.camera import OrientedBoxes, PinholeCamera, image_boxes
from sensors.visibility import visible_fractions

WIDTH, HEIGHT, FOCAL = 1600, 900, 1250.0
CAMERA = PinholeCamera(
    "CAM", np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]]), WIDTH, HEIGHT, SE3.identity()
)

Spec = tuple[tuple[float, float, float], tuple[float, float, float], float]
"""Centre in the camera frame, size along its x, y and z, turn about the vertical."""


def boxes(*specs: Spec) -> OrientedBoxes:
    centre, size, turn = (np.array(values, dtype=np.float64) for values in zip(*specs, strict=True))
    return OrientedBoxes(centre, Rotation.from_rotvec(np.outer(turn, [0.0, 1.0, 0.0])).as_matrix(), 0.5 * size)


def fractions(*specs: Spec) -> np.ndarray:
    found = boxes(*specs)
    return visible_fractions(CAMERA, found, image_boxes(CAMERA, found))


def test_a_box_alone_is_seen_whole() -> None:
    assert fractions(((2, 0.5, 20), (2, 1.6, 4.5), 0.4)) == pytest.approx([1.0])


def test_no_boxes() -> None:
    empty = OrientedBoxes(np.empty((0, 3)), np.empty((0, 3, 3)), np.empty((0, 3)))
    assert visible_fractions(CAMERA, empty, image_boxes(CAMERA, empty)).shape == (0,)


def test_a_box_half_out_of_the_image_is_half_seen() -> None:
    border_x_m = 20 * (WIDTH / 2) / FOCAL
    assert fractions(((border_x_m, 0, 20), (2, 1.6, 0.01), 0.0)) == pytest.approx([0.5], abs=0.02)


def test_a_box_behind_the_camera_is_not_seen() -> None:
    assert fractions(((0, 0, -20), (2, 1.6, 4), 0.0)) == pytest.approx([0.0])


def test_a_box_around_the_camera_is_not_seen_and_hides_nothing() -> None:
    around, ahead = fractions(((0, 0, 1), (4, 4, 4), 0.0), ((0, 0, 20), (2, 1.6, 4), 0.0))
    assert around == 0.0
    assert ahead == 1.0


def test_a_box_behind_a_larger_one_is_hidden() -> None:
    van, child = fractions(((0, 0, 10), (2.5, 3, 5), 0.1), ((0.2, 0.4, 20), (0.5, 1.1, 0.5), 0.0))
    assert van == 1.0
    assert child == 0.0


@pytest.mark.parametrize("near_x_m", [-1.0, 1.0])
def test_a_box_half_covered_is_half_seen(near_x_m: float) -> None:
    """The near board covers one side of the far one, up to the middle."""
    near, far = fractions(((near_x_m, 0, 10), (2, 2, 0.01), 0.0), ((0, 0, 20), (3, 1.5, 0.01), 0.0))
    assert near == 1.0
    assert far == pytest.approx(0.5, abs=0.01)


def test_two_hiders_do_not_count_twice() -> None:
    both = fractions(
        ((-1, 0, 10), (2, 2, 0.01), 0.0), ((-0.9, 0, 8), (1.8, 2, 0.01), 0.0), ((0, 0, 20), (3, 1.5, 0.01), 0.0)
    )
    assert both[2] == pytest.approx(0.5, abs=0.01)


def test_boxes_side_by_side_do_not_hide_each_other() -> None:
    assert fractions(((-2, 0, 20), (1.8, 1.6, 4), 0.0), ((2, 0, 20), (1.8, 1.6, 4), 0.0)) == pytest.approx([1.0, 1.0])


def test_a_box_that_touches_another_hides_what_lies_behind_not_its_face() -> None:
    """Trailer behind its tractor, flush: the camera ahead sees neither more nor less of the tractor."""
    tractor, trailer = fractions(((0, 0, 20), (2.5, 3, 6), 0.0), ((0, 0, 29), (2.5, 3, 12), 0.0))
    assert tractor == 1.0
    assert trailer == pytest.approx(
        1.0
    )  # its front face touches the tractor's rear face: see the rule of the docstring


def test_labels_that_run_into_each_other_do_not_hide_each_other() -> None:
    bicycle, rider = fractions(((0, 0.4, 15), (0.6, 1.2, 1.8), 0.5), ((0, 0.0, 15), (0.5, 1.7, 0.6), 0.5))
    assert bicycle > 0.4
    assert rider == pytest.approx(1.0, abs=0.05)


def first_hits(found: OrientedBoxes, step_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Which box each pixel shows (-1: none), and which boxes its ray meets: a rendering one ray, one box, one face at a time."""
    u_px, v_px = np.meshgrid(np.arange(step_px / 2, WIDTH, step_px), np.arange(step_px / 2, HEIGHT, step_px))
    rays = np.stack(
        [(u_px - WIDTH / 2 + 0.013) / FOCAL, (v_px - HEIGHT / 2 + 0.017) / FOCAL, np.ones_like(u_px)], -1
    ).reshape(-1, 3)
    depth = np.full((len(found.centre_m), len(rays)), np.inf)
    for index, (centre, rotation, half) in enumerate(zip(found.centre_m, found.rotation, found.half_m, strict=True)):
        for axis in range(3):
            for sign in (-1.0, 1.0):
                normal = sign * rotation[:, axis]
                reach = (normal @ (centre + half[axis] * normal)) / (rays @ normal)
                local = (reach[:, None] * rays - centre) @ rotation
                inside = (np.abs(np.delete(local, axis, axis=1)) <= np.delete(half, axis)).all(axis=1) & (reach > 0.1)
                depth[index] = np.minimum(depth[index], np.where(inside, reach, np.inf))
    return np.where(np.isfinite(depth).any(axis=0), depth.argmin(axis=0), -1), np.isfinite(depth)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_agrees_with_a_rendering(seed: int) -> None:
    """Five cars in view at different depths, so that labels do not overlap: share of their pixels that show them."""
    rng = np.random.default_rng(seed)
    depths = np.array([9.0, 16.0, 23.0, 30.0, 37.0])
    specs: list[Spec] = [
        (
            (float(rng.uniform(-0.25, 0.25) * z), float(rng.uniform(0.3, 1.0)), float(z)),
            (1.9, 1.6, 4.6),
            float(rng.uniform(0, 3)),
        )
        for z in depths
    ]
    found = boxes(*specs)
    shown, met = first_hits(found, 4)
    rendered = np.array([(shown == index).sum() / met[index].sum() for index in range(len(specs))])
    np.testing.assert_allclose(fractions(*specs), rendered, atol=0.07)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_mirrored_and_reordered_boxes_are_seen_alike(seed: int) -> None:
    rng = np.random.default_rng(seed)
    specs: list[Spec] = [
        (
            (float(rng.uniform(-8, 8)), float(rng.uniform(0, 1.5)), float(rng.uniform(-3, 40))),
            (1.9, 1.6, 4.6),
            float(rng.uniform(0, 3)),
        )
        for _ in range(8)
    ]
    plain = fractions(*specs)
    assume(plain.max() > 0)
    mirrored = [((-x, y, z), size, -turn) for (x, y, z), size, turn in specs]
    np.testing.assert_allclose(fractions(*mirrored), plain, atol=0.05)  # the lattice is not its own mirror image
    np.testing.assert_allclose(fractions(*specs[::-1])[::-1], plain, atol=1e-12)
    assert ((plain >= 0) & (plain <= 1)).all()


def test_thousands_of_boxes_in_one_place_take_seconds() -> None:
    """A broken log; millions of pairs may hide one another."""
    rng = np.random.default_rng(0)
    count = 3000
    centre = rng.uniform([-30, -1, 3], [30, 1, 60], (count, 3))
    turn = Rotation.from_rotvec(np.outer(rng.uniform(-3, 3, count), [0.0, 1.0, 0.0])).as_matrix()
    found = OrientedBoxes(centre, turn, np.full((count, 3), [0.9, 0.8, 2.2]))
    shares = visible_fractions(CAMERA, found, image_boxes(CAMERA, found))
    nearest = np.argsort(np.linalg.norm(centre, axis=1))
    assert (shares[nearest[-1500:]] == 0.0).mean() > 0.9
    assert shares.max() > 0.3


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("targets", "hiders"), [(256, 8), (7, 1), (1, 2)])
def test_portions_change_nothing(monkeypatch: pytest.MonkeyPatch, seed: int, targets: int, hiders: int) -> None:
    """As with all hiders of all boxes at once."""
    rng = np.random.default_rng(seed)
    specs: list[Spec] = [
        ((float(rng.uniform(-4, 4)), float(rng.uniform(-1, 1)), float(rng.uniform(5, 50))), (0.5, 0.6, 0.5), 0.3)
        for _ in range(80)
    ]
    monkeypatch.setattr(visibility, "TARGETS", targets)
    monkeypatch.setattr(visibility, "HIDERS", hiders)
    in_portions = fractions(*specs)
    monkeypatch.setattr(visibility, "TARGETS", 1000)
    monkeypatch.setattr(visibility, "HIDERS", 1000)
    np.testing.assert_array_equal(in_portions, fractions(*specs))
    assert 0.2 < in_portions.mean() < 0.95
