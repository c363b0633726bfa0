from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nuscenes.nuscenes import NuScenes

from drive_vqa.errors import LogFormatError
from sensors.kinematics import Motion, estimate_motions, unordered_row

START_US = 1_532_402_927_612_460


def estimate_motion(timestamp_ns: np.ndarray, xyz_m: np.ndarray, yaw_rad: np.ndarray, interval_s: float) -> Motion:
    """Of one track."""
    return estimate_motions(np.zeros(len(timestamp_ns), dtype=np.int64), timestamp_ns, xyz_m, yaw_rad, interval_s)


def devkit_velocity(timestamp_us: np.ndarray, xyz_m: np.ndarray) -> np.ndarray:
    """`NuScenes.box_velocity` of every label of one track, run on the devkit's own record layout."""
    last = len(xyz_m) - 1
    tables = {
        ("sample_annotation", str(i)): {
            "prev": str(i - 1) if i else "",
            "next": str(i + 1) if i < last else "",
            "translation": xyz.tolist(),
            "sample_token": str(i),
        }
        for i, xyz in enumerate(xyz_m)
    } | {("sample", str(i)): {"timestamp": int(us)} for i, us in enumerate(timestamp_us)}
    nusc = SimpleNamespace(get=lambda table, token: tables[table, token])
    return np.array([NuScenes.box_velocity(nusc, str(i)) for i in range(len(xyz_m))])


def motion_of(time_s: np.ndarray, xy_m: np.ndarray, yaw_rad: np.ndarray | None = None) -> Motion:
    timestamp_ns = START_US * 1000 + np.round(time_s * 1e9).astype(np.int64)
    xyz_m = np.column_stack([xy_m, np.zeros(len(xy_m))])
    yaw_rad = np.zeros(len(xy_m)) if yaw_rad is None else yaw_rad
    interval_s = float(np.median(np.diff(time_s))) if len(time_s) > 1 else 0.5
    return estimate_motion(timestamp_ns, xyz_m, yaw_rad, interval_s)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 12))
def test_velocity_is_the_devkits(seed: int, count: int) -> None:
    """Jittered 2 Hz key frames with missing labels, so that all gaps from 0.3 s to beyond the 3 s limit occur."""
    rng = np.random.default_rng(seed)
    steps_us = rng.integers(300_000, 700_000, count) * rng.choice([1, 1, 1, 2, 3, 6], count)
    timestamp_us = START_US + np.cumsum(steps_us)
    xyz_m = np.array([1500.0, 900.0, 1.0]) + np.cumsum(rng.normal(0, 15, (count, 3)), axis=0)
    ours = estimate_motion(timestamp_us * 1000, xyz_m, np.zeros(count), 0.5).velocity_mps
    np.testing.assert_allclose(ours, devkit_velocity(timestamp_us, xyz_m), atol=1e-9)


@pytest.mark.parametrize(("rate_hz", "count"), [(2, 9), (10, 45), (10, 6), (20, 31), (2, 2)])
def test_constant_velocity_is_recovered(rate_hz: int, count: int) -> None:
    time_s = np.arange(count) / rate_hz
    motion = motion_of(time_s, np.array([300.0, 40.0]) + np.outer(time_s, [12.0, -5.0]))
    np.testing.assert_allclose(motion.velocity_mps, np.tile([12.0, -5.0, 0.0], (count, 1)), atol=1e-5)
    np.testing.assert_array_equal(motion.yaw_rate_radps, 0.0)
    known = np.isfinite(motion.accel_mps2)
    np.testing.assert_allclose(motion.accel_mps2[known], 0.0, atol=1e-4)
    assert known.all() == (count > 6)


@pytest.mark.parametrize("rate_hz", [2, 10])
@pytest.mark.parametrize("accel_mps2", [1.5, -3.0])
def test_constant_acceleration_is_recovered_up_to_the_ends(rate_hz: int, accel_mps2: float) -> None:
    time_s = np.arange(4 * rate_hz) / rate_hz
    x_m = 15.0 * time_s + 0.5 * accel_mps2 * time_s**2
    motion = motion_of(time_s, np.column_stack([x_m, np.zeros_like(x_m)]))
    np.testing.assert_allclose(motion.accel_mps2, accel_mps2, atol=1e-4)
    inner = slice(rate_hz // 2, -(rate_hz // 2))
    np.testing.assert_allclose(motion.velocity_mps[inner, 0], 15.0 + accel_mps2 * time_s[inner], atol=1e-5)


@pytest.mark.parametrize("rate_hz", [2, 10])
@pytest.mark.parametrize("turn_radps", [0.3, -0.4])
def test_constant_turn_is_recovered(rate_hz: int, turn_radps: float) -> None:
    """A full circle and more, so that yaw wraps; the chord over one second is shorter than the arc by 1 % at most."""
    time_s = np.arange(25 * rate_hz) / rate_hz
    yaw_rad = 2.0 + turn_radps * time_s
    radius_m = 8.0 / turn_radps
    motion = motion_of(
        time_s, radius_m * np.column_stack([np.sin(yaw_rad), -np.cos(yaw_rad)]), np.angle(np.exp(1j * yaw_rad))
    )
    np.testing.assert_allclose(motion.yaw_rate_radps, turn_radps, atol=1e-5)
    inner = slice(rate_hz // 2, -(rate_hz // 2))
    direction = np.arctan2(motion.velocity_mps[inner, 1], motion.velocity_mps[inner, 0])
    np.testing.assert_allclose(np.angle(np.exp(1j * (direction - yaw_rad[inner]))), 0.0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(motion.velocity_mps, axis=1), 8.0, rtol=0.01)
    np.testing.assert_allclose(motion.accel_mps2[2 * inner.start : -2 * inner.start], 0.0, atol=1e-5)
    np.testing.assert_allclose(motion.accel_mps2, 0.0, atol=0.2)  # at the ends, chords over 0.5 s meet chords over 1 s


def test_labels_too_far_apart_say_nothing() -> None:
    motion = motion_of(np.array([0.0, 2.0]), np.array([[0.0, 0.0], [10.0, 0.0]]))
    assert np.isnan(motion.velocity_mps).all()
    assert np.isnan(motion.yaw_rate_radps).all()
    middle = motion_of(np.array([0.0, 1.4, 2.8]), np.array([[0.0, 0.0], [14.0, 0.0], [28.0, 0.0]]))
    np.testing.assert_allclose(middle.velocity_mps[:, 0], 10.0, atol=1e-5)


def test_one_label_has_no_motion() -> None:
    motion = motion_of(np.array([0.0]), np.array([[1.0, 2.0]]))
    for values in (motion.velocity_mps, motion.yaw_rate_radps, motion.accel_mps2):
        assert np.isnan(values).all()


def test_two_labels_have_no_acceleration() -> None:
    assert np.isnan(motion_of(np.array([0.0, 0.5]), np.array([[0.0, 0.0], [5.0, 0.0]])).accel_mps2).all()


def test_ten_hertz_labels_are_smoothed_over_about_a_second() -> None:
    """Labels scatter by 5 cm: neighbours 0.1 s apart would make 0.35 m/s of it, a second apart 0.07."""
    time_s = np.arange(400) / 10
    noise_m = np.random.default_rng(3).normal(0, 0.05, (400, 2))
    motion = motion_of(time_s, np.outer(time_s, [7.0, 0.0]) + noise_m)
    inner = motion.velocity_mps[5:-5, 0]
    assert np.std(inner) == pytest.approx(0.05 * np.sqrt(2) / 1.0, rel=0.2)
    assert abs(np.mean(inner) - 7.0) < 0.02


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), dense=st.booleans())
def test_time_run_backwards_turns_motion_round(seed: int, dense: bool) -> None:
    rng = np.random.default_rng(seed)
    time_s = np.cumsum(rng.uniform(0.08, 0.12, 30) if dense else rng.uniform(0.4, 0.6, 30))
    xy_m, yaw_rad = np.cumsum(rng.normal(0, 1, (30, 2)), axis=0), np.cumsum(rng.normal(0, 0.1, 30))
    forth, back = motion_of(time_s, xy_m, yaw_rad), motion_of(20.0 - time_s[::-1], xy_m[::-1], yaw_rad[::-1])
    np.testing.assert_allclose(back.velocity_mps[::-1], -forth.velocity_mps, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(back.yaw_rate_radps[::-1], -forth.yaw_rate_radps, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(back.accel_mps2[::-1], -forth.accel_mps2, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("times", [[0, 5, 5], [0, 5, 4]])
def test_times_must_rise(times: list[int]) -> None:
    with pytest.raises(LogFormatError, match="same time or are out of order"):
        estimate_motion(np.array(times) * 10**8, np.zeros((3, 3)), np.zeros(3), 0.5)


NAMES = ("velocity_mps", "yaw_rate_radps", "accel_mps2")


def random_tracks(rng: np.random.Generator, dense: bool) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    tracks = []
    for _ in range(int(rng.integers(1, 12))):
        count = int(rng.integers(1, 25))
        steps_ms = rng.integers(80, 200, count) if dense else rng.integers(300, 1_300, count)
        timestamp_ns = START_US * 1000 + np.cumsum(steps_ms) * 1_000_000
        tracks.append(
            (timestamp_ns, np.cumsum(rng.normal(0, 2, (count, 3)), axis=0), rng.uniform(-np.pi, np.pi, count))
        )
    return tracks


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), dense=st.booleans())
def test_many_tracks_at_once_are_each_alone(seed: int, dense: bool) -> None:
    rng = np.random.default_rng(seed)
    tracks, interval_s = random_tracks(rng, dense), 0.1 if dense else 0.5
    index = np.repeat(rng.permutation(len(tracks)), [len(track[0]) for track in tracks])
    together = estimate_motions(index, *(np.concatenate(parts) for parts in zip(*tracks, strict=True)), interval_s)
    alone = [estimate_motion(*track, interval_s) for track in tracks]
    for name in NAMES:
        expected = np.concatenate([getattr(motion, name) for motion in alone])
        np.testing.assert_allclose(getattr(together, name), expected, rtol=0, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_neighbours_in_a_dense_track_are_those_nearest_to_half_a_second(seed: int) -> None:
    rng = np.random.default_rng(seed)
    time_ns = START_US * 1000 + np.cumsum(rng.integers(30, 300, 30)) * 1_000_000
    position = rng.normal(0, 1, (30, 3))
    found = estimate_motion(time_ns, position, np.zeros(30), 0.1).velocity_mps
    time_s = 1e-6 * (time_ns // 1000)
    for i in range(30):
        first = min(range(i), key=lambda j: (abs(time_s[j] - (time_s[i] - 0.5)), -j), default=i)
        last = min(range(i + 1, 30), key=lambda j: (abs(time_s[j] - (time_s[i] + 0.5)), j), default=i)
        expected = (position[last] - position[first]) / (time_s[last] - time_s[first])
        np.testing.assert_allclose(found[i], expected, atol=1e-6)


def test_a_broken_box_says_nothing_about_other_tracks() -> None:
    index, timestamp_ns = np.repeat([7, 3], 5), np.tile(np.arange(5) * 500_000_000, 2)
    xyz_m, yaw_rad = np.outer(np.arange(10), [1.0, 0, 0]), np.linspace(0, 1, 10)
    whole = estimate_motions(index, timestamp_ns, xyz_m, yaw_rad, 0.5)
    xyz_m[2], yaw_rad[2] = np.nan, np.nan
    broken = estimate_motions(index, timestamp_ns, xyz_m, yaw_rad, 0.5)
    for name in NAMES:
        np.testing.assert_allclose(getattr(broken, name)[5:], getattr(whole, name)[5:])
        assert np.isnan(getattr(broken, name)[1:4]).any()


def test_no_tracks() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    motion = estimate_motions(nothing, nothing, np.zeros((0, 3)), np.zeros(0), 0.5)
    assert [getattr(motion, name).shape for name in NAMES] == [(0, 3), (0,), (0,)]


def test_the_label_out_of_order_is_named() -> None:
    index, timestamp_ns = np.array([0, 0, 1, 1, 1]), np.array([5, 6, 1, 3, 2])
    assert unordered_row(index, timestamp_ns) == 4
    assert unordered_row(index[:4], timestamp_ns[:4]) is None
    with pytest.raises(LogFormatError, match="label 4: two labels"):
        estimate_motions(index, timestamp_ns, np.zeros((5, 3)), np.zeros(5), 0.5)


def test_labels_of_a_track_stand_together() -> None:
    with pytest.raises(LogFormatError, match="stand apart"):
        estimate_motions(np.array([0, 1, 0]), np.array([1, 1, 2]), np.zeros((3, 3)), np.zeros(3), 0.5)
