from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import linear_sum_assignment

from drive_vqa.errors import CalibrationError, ConfigError, LogFormatError
from drive_vqa.geometry import SE3, wrap_rad
from drive_vqa.schema import TABLES, table_from_rows
from sensors.tracking.association import DENSE, Pairs, assign, near_pairs
from sensors.tracking.fused_tracks import tracks_from_detections
from sensors.tracking.motion import TURN, YAW, Noise, predict, process_noise
from sensors.tracking.scans import read_scans
from sensors.tracking.settings import BoxNoise, TrackerSettings
from sensors.tracking.smoother import smooth
from sensors.tracking.tracker import run_filter
from tests.sensors.moving_boxes import detections, frame_table, movers, truth

COUNT = 40
STANDARD = TrackerSettings(box=BoxNoise(position_m=0.2, position_per_m=0.0))
NO_SENSORS = table_from_rows("sensor_data", [])


def tracked(found: pa.Table, frames: pa.Table, config: TrackerSettings = STANDARD) -> list[dict[str, Any]]:
    table = tracks_from_detections(found, frames, NO_SENSORS, config)
    assert table.schema.equals(TABLES["tracks"])
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def matched(rows: list[dict[str, Any]], real: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Truth and nearest track of its category within 2 m."""
    pairs = []
    for true in real:
        near = [
            (np.hypot(row["x_m"] - true["x_m"], row["y_m"] - true["y_m"]), row)
            for row in rows
            if row["frame"] == true["frame"] and row["category"] == true["category"]
        ]
        distance_m, row = min(near, key=lambda entry: entry[0], default=(np.inf, None))
        if row is not None and distance_m < 2.0:
            pairs.append((true, row))
    return pairs


def velocity_error_mps(pairs: list[tuple[dict[str, Any], dict[str, Any]]]) -> float:
    return float(np.mean([np.hypot(t["vx_mps"] - r["vx_mps"], t["vy_mps"] - r["vy_mps"]) for t, r in pairs]))


@pytest.fixture(scope="module")
def world() -> tuple[list[dict[str, Any]], pa.Table, pa.Table]:
    real = truth(movers(12, seed=1), COUNT)
    return real, detections(real, seed=2), frame_table(COUNT)


def test_every_object_is_one_track_and_false_alarms_are_none(world: tuple[Any, pa.Table, pa.Table]) -> None:
    real, found, frames = world
    rows = tracked(found, frames)
    pairs = matched(rows, real)
    assert len(pairs) > 0.97 * len(real)
    names = {number: {row["track_id"] for true, row in pairs if true["mover"] == number} for number in range(12)}
    assert all(len(of_mover) == 1 for of_mover in names.values())
    assert len({row["track_id"] for row in rows}) == 12
    assert {row["source"] for row in rows} == {"fused"}
    assert any(not row["observed"] for row in rows), "missed frames are filled in, and said to be"


def test_positions_velocities_and_headings_are_better_than_measured(world: tuple[Any, pa.Table, pa.Table]) -> None:
    real, found, frames = world
    pairs = matched(tracked(found, frames), real)
    error_m = np.mean([np.hypot(t["x_m"] - r["x_m"], t["y_m"] - r["y_m"]) for t, r in pairs])
    assert error_m < 0.6 * 0.25  # a single measurement is off by 0.25 m
    assert velocity_error_mps(pairs) < 0.35
    fast = [(t, r) for t, r in pairs if np.hypot(t["vx_mps"], t["vy_mps"]) > 1.0]
    assert np.mean([abs(wrap_rad(t["yaw_rad"] - r["yaw_rad"])) for t, r in fast]) < 0.1


def test_the_smoother_halves_the_velocity_error(world: tuple[Any, pa.Table, pa.Table]) -> None:
    real, found, frames = world
    raw = matched(tracked(found, frames, replace(STANDARD, smooth=False)), real)
    assert velocity_error_mps(matched(tracked(found, frames), real)) < 0.5 * velocity_error_mps(raw)


def test_innovations_are_as_large_as_their_covariances_say(world: tuple[Any, pa.Table, pa.Table]) -> None:
    """Normalized innovation squared of 2 numbers: chi-square with 2 degrees of freedom. Movers here keep their motion, so the
    filter, which allows for manoeuvres, may be a little too careful, never too sure."""
    _, found, frames = world
    steps = run_filter(read_scans(found, frames, NO_SENSORS, STANDARD.box), STANDARD, over_ground=True).steps()
    assert steps is not None
    settled = np.isfinite(steps.nis) & (steps.scan > 10)
    nis = steps.nis[settled]
    assert 1.2 < nis.mean() < 2.2
    assert np.mean(nis > stats.chi2(2).ppf(0.95)) < 0.07


def test_smoothed_covariances_cover_the_true_errors(world: tuple[Any, pa.Table, pa.Table]) -> None:
    """Normalized estimation error squared of x, y, vx, vy against the truth."""
    real, found, frames = world
    errors = []
    for true, row in matched(tracked(found, frames), real):
        miss = np.array([row[key] - true[key] for key in ("x_m", "y_m", "vx_mps", "vy_mps")])
        errors.append(miss @ np.linalg.solve(np.array(row["covariance"]).reshape(4, 4), miss))
    assert np.mean(errors) < 6.0  # 4 where the process noise is exactly that of the movers
    assert np.mean(np.array(errors) > stats.chi2(4).ppf(0.99)) < 0.05


def test_covariance_is_symmetric_and_positive(world: tuple[Any, pa.Table, pa.Table]) -> None:
    _, found, frames = world
    for row in tracked(found, frames):
        covariance = np.array(row["covariance"]).reshape(4, 4)
        np.testing.assert_allclose(covariance, covariance.T, atol=1e-9)
        assert np.linalg.eigvalsh(covariance).min() > 0.0


NUMBERS = ("x_m", "y_m", "z_m", "yaw_rad", "vx_mps", "vy_mps", "length_m", "score")


def same(a: list[dict[str, Any]], b: list[dict[str, Any]], tolerance: float = 1e-6) -> None:
    assert [(row["frame"], row["track_id"], row["category"]) for row in a] == [
        (row["frame"], row["track_id"], row["category"]) for row in b
    ]
    for name in NUMBERS:
        np.testing.assert_allclose([row[name] for row in a], [row[name] for row in b], atol=tolerance, err_msg=name)


@settings(max_examples=5, deadline=None)
@given(yaw_rad=st.floats(-3, 3), x_m=st.floats(-1e4, 1e4), y_m=st.floats(-1e4, 1e4))
def test_turning_and_shifting_the_world_changes_nothing(
    world: tuple[Any, pa.Table, pa.Table], yaw_rad: float, x_m: float, y_m: float
) -> None:
    _, found, frames = world
    moved = frame_table(COUNT, SE3.from_yaw(yaw_rad, [x_m, y_m, 12.0]))
    same(tracked(found, frames), tracked(found, moved))


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_order_of_detections_does_not_matter(world: tuple[Any, pa.Table, pa.Table], seed: int) -> None:
    _, found, frames = world
    mixed = found.take(pa.array(np.random.default_rng(seed).permutation(found.num_rows)))
    same(tracked(found, frames), tracked(mixed, frames), tolerance=0.0)


def test_running_time_backwards_turns_velocities_round() -> None:
    """The smoother knows both sides of every moment, so that only the ends, where tracks are born, may differ; with a wide
    gate, so that no measurement is taken in one direction and not in the other."""
    wide = replace(STANDARD, gate=100.0)
    real = truth(movers(6, seed=4), COUNT)
    found, frames = detections(real, seed=5, found=1.0, false_alarms=0.0), frame_table(COUNT)
    flip = {"frame": lambda frame: COUNT - 1 - frame, "timestamp_ns": lambda time: -time}
    turned = [{key: flip.get(key, lambda x: x)(value) for key, value in row.items()} for row in found.to_pylist()]
    poses = [{key: flip.get(key, lambda x: x)(value) for key, value in row.items()} for row in frames.to_pylist()]
    backwards = tracked(
        table_from_rows("detections", turned),
        table_from_rows("frames", sorted(poses, key=lambda row: row["frame"])),
        wide,
    )
    forwards = tracked(found, frames, wide)
    differences: dict[str, list[float]] = {"pedestrian": [], "bicycle": [], "car": []}
    for row in forwards:
        if 12 <= row["frame"] < COUNT - 12:  # the speed of a track that is born is a guess, which wears off
            near = [other for other in backwards if other["frame"] == COUNT - 1 - row["frame"]]
            other = min(near, key=lambda entry: np.hypot(entry["x_m"] - row["x_m"], entry["y_m"] - row["y_m"]))
            miss = np.hypot(row["vx_mps"] + other["vx_mps"], row["vy_mps"] + other["vy_mps"])
            differences[row["category"]].append(float(miss))
    assert max(differences["pedestrian"]) < 0.02
    assert np.mean(differences["bicycle"]) < 0.1


def test_a_log_without_poses_is_tracked_but_has_no_velocity_over_ground() -> None:
    real = truth(movers(3, seed=6), 20)
    frames = frame_table(20)
    index = frames.schema.get_field_index("global_SE3_ego")
    blind = frames.set_column(index, frames.schema.field(index), pa.nulls(20, frames.schema.field(index).type))
    rows = tracked(detections(real, seed=7, false_alarms=0.0), blind)
    assert len({row["track_id"] for row in rows}) == 3
    for row in rows:
        assert (row["vx_mps"], row["speed_mps"], row["accel_mps2"], row["yaw_rate_radps"]) == (None,) * 4
        assert row["covariance"][:2] != [None, None]
        assert row["covariance"][10] is None


def test_a_cyclist_who_is_also_taken_for_a_pedestrian_is_one_track() -> None:
    real = [row for row in truth(movers(3, seed=6), 20) if row["category"] == "bicycle"]
    doubled = [*real, *({**row, "category": "pedestrian", "length_m": 0.8} for row in real[:12])]
    found = detections(doubled, seed=3, false_alarms=0.0)
    assert {row["category"] for row in tracked(found, frame_table(20))} == {"bicycle"}


def test_nothing_detected_gives_no_tracks() -> None:
    assert tracked(table_from_rows("detections", []), frame_table(3)) == []


def test_ten_thousand_boxes_in_a_frame_are_answered_in_time() -> None:
    random = np.random.default_rng(0)
    places = random.uniform(-80, 80, (10_000, 2)).tolist()
    shape = {
        "z_m": 0.8,
        "yaw_rad": 0.0,
        "length_m": 4.5,
        "width_m": 1.9,
        "height_m": 1.6,
        "score": 0.9,
        "kind": "box_3d",
    }
    common = {"log_id": "log", "category": "car", **shape}
    rows = [
        {**common, "frame": frame, "timestamp_ns": int(frames_ns), "x_m": x, "y_m": y}
        for frame, frames_ns in enumerate(frame_table(3)["timestamp_ns"].to_pylist())
        for x, y in places
    ]
    tracked(table_from_rows("detections", rows), frame_table(3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_m": float("nan")}, "frame 0: a detection of kind box_3d has no finite x_m"),
        ({"yaw_rad": None}, "no finite yaw_rad"),
        ({"length_m": 0.0}, "a size that is not between 0 and 200 m"),
        ({"width_m": 1e9}, "a size that is not between 0 and 200 m"),
        ({"y_m": -1e300}, "a centre further than 100 km away"),
        ({"kind": "sonar"}, "unknown kind 'sonar'"),
        ({"category": "ufo"}, "unknown category 'ufo'"),
    ],
)
def test_unusable_detections_are_refused(change: dict[str, Any], message: str) -> None:
    rows = detections(truth(movers(1, seed=1), 2), seed=1, found=1.0, false_alarms=0.0).to_pylist()
    with pytest.raises(LogFormatError, match=message):
        tracked(table_from_rows("detections", [{**rows[0], **change}, *rows[1:]]), frame_table(2))


def test_a_clock_that_jumps_backwards_is_refused() -> None:
    rows = frame_table(4).to_pylist()
    rows[2]["timestamp_ns"] = rows[0]["timestamp_ns"]
    with pytest.raises(LogFormatError, match="frame 2 is not later than the one before it"):
        tracked(detections(truth(movers(1, seed=1), 4), seed=1), table_from_rows("frames", rows))


DAMAGE: dict[str, Any] = {
    "x_m": st.one_of(st.floats(), st.none()),
    "yaw_rad": st.one_of(st.floats(), st.none()),
    "height_m": st.one_of(st.floats(), st.none()),
    "vx_mps": st.one_of(st.floats(), st.none()),
    "score": st.one_of(st.floats(), st.none()),
    "timestamp_ns": st.integers(-(2**62), 2**62),
    "category": st.sampled_from(["car", "pedestrian", "ufo", "", None]),
    "kind": st.sampled_from(["box_3d", "box_2d", "radar", "", None]),
}


@settings(max_examples=60, deadline=None)
@given(
    damage=st.lists(st.tuples(st.integers(0, 59), st.sampled_from(sorted(DAMAGE))), max_size=4),
    emptied=st.sets(st.integers(0, 9)),
    data=st.data(),
)
def test_damaged_detections_give_a_clear_error_or_clean_tracks(
    damage: list[tuple[int, str]], emptied: set[int], data: st.DataObject
) -> None:
    rows = detections(truth(movers(6, seed=1), 10), seed=1, false_alarms=0.2).to_pylist()
    for index, column in damage:
        rows[index % len(rows)][column] = data.draw(DAMAGE[column])
    rows = [row for row in rows if row["frame"] not in emptied]
    try:
        found = tracked(table_from_rows("detections", [*rows, *rows[:3]]), frame_table(10))
    except (LogFormatError, CalibrationError):
        return
    for row in found:
        assert all(np.isfinite(row[name]) for name in (*NUMBERS, "speed_mps"))
        assert np.isfinite(row["covariance"]).all()
        assert 0.0 <= row["score"] <= 1.0


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="gate"):
        TrackerSettings(gate=0.0)


def noise(count: int) -> Noise:
    return Noise(np.full(count, 2.0), np.full(count, 0.05), np.full(count, 0.003))


@settings(max_examples=30, deadline=None)
@given(state=st.tuples(*[st.floats(-20, 20)] * 4, st.floats(-3, 3), st.floats(-1, 1)), step_s=st.floats(0.01, 0.6))
def test_the_jacobian_is_the_derivative_of_the_step(state: tuple[float, ...], step_s: float) -> None:
    mean = np.array([state])
    mean[0, TURN] += 1e-3  # not the straight special case
    _, _, jacobian = predict(mean, np.zeros((1, 6, 6)), step_s, noise(1))
    for column in range(6):
        ends = []
        for sign in (1, -1):
            moved = mean.copy()
            moved[0, column] += sign * 1e-5
            ends.append(predict(moved, np.zeros((1, 6, 6)), step_s, noise(1))[0][0])
        derivative = (ends[0] - ends[1]) / 2e-5
        np.testing.assert_allclose(jacobian[0, :, column], derivative, atol=5e-3)


@settings(max_examples=30, deadline=None)
@given(state=st.tuples(*[st.floats(-20, 20)] * 4, st.floats(-3, 3), st.floats(-1, 1)), step_s=st.floats(0.01, 1.0))
def test_two_half_steps_are_one_step(state: tuple[float, ...], step_s: float) -> None:
    mean, nothing = np.array([state]), np.zeros((1, 6, 6))
    half = predict(mean, nothing, step_s / 2, noise(1))[0]
    np.testing.assert_allclose(
        predict(half, nothing, step_s / 2, noise(1))[0], predict(mean, nothing, step_s, noise(1))[0], atol=1e-9
    )


def test_noise_of_two_half_steps_is_that_of_one() -> None:
    straight = np.zeros((1, 6))
    _, once, _ = predict(straight, np.zeros((1, 6, 6)), 1.0, noise(1))
    _, half, _ = predict(straight, np.zeros((1, 6, 6)), 0.5, noise(1))
    np.testing.assert_allclose(predict(straight, half, 0.5, noise(1))[1][0, :4, :4], once[0, :4, :4], atol=1e-12)
    assert process_noise(1.0, noise(1))[0, YAW, YAW] > 0


def test_the_smoother_is_the_least_squares_solution() -> None:
    """For a linear track the smoothed path solves one large weighted least-squares problem: done here with dense matrices."""
    config = replace(STANDARD, box=BoxNoise(position_m=0.3, position_per_m=0.0, yaw_rad=0.1))
    real = truth([mover for mover in movers(3, seed=8) if mover.category == "pedestrian"], 8)
    found, frames = detections(real, seed=9, found=1.0, false_alarms=0.0), frame_table(8)
    scans = read_scans(found, frames, NO_SENSORS, config.box)
    steps = run_filter(scans, config, over_ground=True).steps()
    assert steps is not None
    smoothed = smooth(steps)
    measured = np.stack([scan.boxes.xyz_m[0, :2] for scan in scans if scan.boxes is not None])
    first, dt_s, density = steps.cov[0][:4, :4], 0.1, 0.5
    step = np.eye(4)
    step[0, 2] = step[1, 3] = dt_s
    added = process_noise(dt_s, Noise(np.array([density]), np.zeros(1), np.zeros(1)))[0, :4, :4]
    count = len(measured)
    information, vector = np.zeros((4 * count, 4 * count)), np.zeros(4 * count)
    information[:4, :4] += np.linalg.inv(first)
    vector[:4] += np.linalg.solve(first, steps.mean[0, :4])
    for k in range(1, count):
        both = np.hstack([-step, np.eye(4)])
        information[4 * k - 4 : 4 * k + 4, 4 * k - 4 : 4 * k + 4] += both.T @ np.linalg.solve(added, both)
        information[4 * k : 4 * k + 2, 4 * k : 4 * k + 2] += np.eye(2) / 0.09
        vector[4 * k : 4 * k + 2] += measured[k] / 0.09
    path = np.linalg.solve(information, vector).reshape(count, 4)
    np.testing.assert_allclose(smoothed.mean[:, :4], path, atol=1e-6)
    covariance = np.linalg.inv(information)
    for k in range(count):
        np.testing.assert_allclose(smoothed.cov[k][:4, :4], covariance[4 * k : 4 * k + 4, 4 * k : 4 * k + 4], atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_solving_group_by_group_is_the_same_as_all_at_once(seed: int) -> None:
    random = np.random.default_rng(seed)
    tracks, boxes = random.uniform(0, 1500, (600, 2)), random.uniform(0, 1500, (700, 2))
    far = np.linalg.norm(tracks[:, None] - boxes[None], axis=2)
    row, column = np.nonzero(far < 30.0)
    cost = far[row, column] ** 2 / 50.0
    rows, columns = assign(Pairs(row, column), cost, np.zeros(len(row)), gate=16.0)
    dense = np.where(far**2 / 50.0 <= 16.0, far**2 / 50.0, 17.0)
    best_rows, best_columns = linear_sum_assignment(dense)
    assert len(tracks) * len(boxes) > DENSE
    assert np.minimum(dense, 17.0)[best_rows, best_columns].sum() == pytest.approx(
        (far[rows, columns] ** 2 / 50.0).sum() + 17.0 * (len(best_rows) - len(rows))
    )
    near = near_pairs(tracks, boxes, 30.0)
    assert set(zip(near.row.tolist(), near.column.tolist(), strict=True)) == set(
        zip(row.tolist(), column.tolist(), strict=True)
    )
