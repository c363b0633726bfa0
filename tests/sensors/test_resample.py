"""Resampling, against a world that can be asked for any time, and what must not be made up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_vqa.errors import ConfigError, LogFormatError
from drive_vqa.geometry import SE3
from drive_vqa.schema import pose_from_struct, pose_to_struct
from sensors.driving_log import DrivingLog, ego_motion
from sensors.resample import resample

START_NS = 1_700_000_000_000_000_000
TURN = {"ego": 0.2, "turning": -0.35, "parked": 0.0}
"""Yaw rates; all velocities are constant too."""


def even_ns(count: int, rate_hz: float) -> np.ndarray:
    return START_NS + np.round(np.arange(count) * 1e9 / rate_hz).astype(np.int64)


def pose(name: str, time_ns: int) -> SE3:
    """Where something is at a time, global frame: every velocity and every turn is constant."""
    time_s = (time_ns - START_NS) * 1e-9
    tilt = SE3.from_quaternion([1.0, 0.02, -0.03, 0.0], np.zeros(3))
    place_m = {"ego": [5.0 + 8 * time_s, -3.0 * time_s, 0.1 * time_s], "turning": [20.0 - 2 * time_s, time_s, 1.0]}
    return SE3.from_yaw(0.5 + TURN[name] * time_s, place_m.get(name, [30.0, 4.0, 0.8])) @ tilt


def world(times_ns: np.ndarray, *, poses: bool = True, moved: SE3 | None = None, missing: Any = ()) -> DrivingLog:
    """The same world, seen at some times; `missing` are (frame, track) without a label."""
    shift = SE3.identity() if moved is None else moved
    egos = [shift @ pose("ego", time) for time in times_ns.tolist()]
    places_m = np.stack([ego.translation_m for ego in egos])
    motion = ego_motion(times_ns, places_m, np.array([ego.yaw_rad for ego in egos]))
    frames, boxes, captures = [], [], []
    for frame, (time, ego) in enumerate(zip(times_ns.tolist(), egos, strict=True)):
        here = {"frame": frame, "timestamp_ns": time}
        known = {"global_SE3_ego": pose_to_struct(ego), **motion[frame]} if poses else {}
        frames.append({**here, "source_frame": f"token {time}", **known})
        for track in ("turning", "parked"):
            if (frame, track) not in missing:
                box = ego.inverse() @ shift @ pose(track, time)
                sizes = {"length_m": 4.0 + 0.1 * frame, "width_m": 2.0, "height_m": 1.5}
                text = {"category": "car", "source_category": f"label {frame}", "attribute": f"attribute {frame}"}
                seen = {"lidar_points": 7, "radar_points": 1, "observed": True}
                boxes.append({**here, "track_id": track, "ego_SE3_box": pose_to_struct(box), **sizes, **text, **seen})
        for camera, early_ns in (("front", 0), ("rear", 90_000_000)):
            capture = {"frame": frame, "timestamp_ns": time - early_ns, "path": f"{camera}/{time}.jpg"}
            mounting = pose_to_struct(SE3.identity())
            captures.append({**capture, "sensor": camera, "modality": "camera", "ego_SE3_sensor": mounting})
    elements = [{"element_id": "a", "kind": "lane", "closed": False, "x_m": [0.0, 1.0], "y_m": [0.0, 1.0]}]
    return DrivingLog.from_rows({"log_id": "made", "source_format": "made"}, frames, captures, boxes, elements)


def assert_close(found: pa.Table, expected: pa.Table, *columns: str) -> None:
    assert found.num_rows == expected.num_rows
    for column in columns:
        for one, other in zip(found[column].to_pylist(), expected[column].to_pylist(), strict=True):
            if isinstance(one, dict):
                here, there = pose_from_struct(one), pose_from_struct(other)
                np.testing.assert_allclose(here.matrix, there.matrix, atol=1e-8)
            elif isinstance(one, float):
                assert one == pytest.approx(other, abs=1e-6)
            else:
                assert one == other


@pytest.mark.parametrize("rate_hz", [2.0, 10.0, 12.5, 30.0])
@pytest.mark.parametrize("count", [1, 2, 20])
def test_a_logs_own_rate_changes_nothing(rate_hz: float, count: int) -> None:
    jitter_ns = np.random.default_rng(0).integers(0, 400_000, count)
    jitter_ns[0] = 0
    log = world(even_ns(count, rate_hz) + jitter_ns, missing={(1, "parked")})
    same = resample(log, rate_hz)
    for table in ("logs", "frames", "sensor_data", "annotations", "map_elements"):
        assert getattr(same, table).equals(getattr(log, table)), table


@pytest.mark.parametrize(("given_hz", "rate_hz"), [(2, 10), (2, 7.3), (10, 2), (10, 3), (10, 10.1), (10, 40), (12, 2)])
def test_constant_velocities_are_exact_at_any_rate(given_hz: float, rate_hz: float) -> None:
    log = world(even_ns(int(given_hz * 2) + 1, given_hz))
    found = resample(log, rate_hz)
    times_ns = found.frames["timestamp_ns"].to_numpy()
    assert np.abs(times_ns - even_ns(len(times_ns), rate_hz)).max() <= 1_000_000
    assert len(times_ns) == int(2 * rate_hz + 1e-9) + 1
    expected = world(times_ns)
    assert_close(found.frames, expected.frames, "frame", "timestamp_ns", "global_SE3_ego")
    assert_close(found.annotations, expected.annotations, "frame", "timestamp_ns", "track_id", "ego_SE3_box")
    speeds = np.array(found.frames["speed_mps"].to_pylist())
    np.testing.assert_allclose(speeds, np.hypot(8.0, 3.0), rtol=1e-5)
    np.testing.assert_allclose(found.frames["yaw_rate_radps"].to_pylist(), TURN["ego"], rtol=0.01)


def test_moving_the_world_moves_the_poses_and_no_box() -> None:
    moved = SE3.from_quaternion([0.4, 0.1, -0.2, 0.8], [900.0, -20.0, 3.0])
    here = resample(world(even_ns(9, 2)), 7)
    there = resample(world(even_ns(9, 2), moved=moved), 7)
    assert_close(there.annotations, here.annotations, "frame", "track_id", "ego_SE3_box", "length_m", "observed")
    for row, other in zip(here.frames.to_pylist(), there.frames.to_pylist(), strict=True):
        both = moved @ pose_from_struct(row["global_SE3_ego"]), pose_from_struct(other["global_SE3_ego"])
        np.testing.assert_allclose(both[0].matrix, both[1].matrix, atol=1e-8)


def test_what_is_a_label_and_what_is_not() -> None:
    log = world(even_ns(3, 2))
    found = resample(log, 10)
    rows = [row for row in found.annotations.to_pylist() if row["track_id"] == "parked"]
    original = [row for row in log.annotations.to_pylist() if row["track_id"] == "parked"]
    assert [row["observed"] for row in rows] == [frame % 5 == 0 for frame in range(11)]
    for number, row in enumerate(original):
        assert {**rows[5 * number], "frame": row["frame"]} == row  # a label is as it was
    assert {(row["lidar_points"], row["radar_points"]) for row in rows if not row["observed"]} == {(None, None)}
    assert [row["source_category"] for row in rows[:6]] == ["label 0"] * 3 + ["label 1"] * 3
    assert [row["attribute"] for row in rows[:6]] == ["attribute 0"] * 3 + ["attribute 1"] * 3
    np.testing.assert_allclose([row["length_m"] for row in rows[:6]], 4.0 + 0.02 * np.arange(6))
    names = found.frames["source_frame"].to_pylist()
    assert [number for number, name in enumerate(names) if name] == [0, 5, 10]
    assert names[5] == log.frames["source_frame"][1].as_py()


def test_an_object_is_not_made_up_where_it_was_not_labelled() -> None:
    found = resample(world(even_ns(5, 2), missing={(2, "parked"), (4, "turning")}), 4)
    frames = {
        track: [row["frame"] for row in found.annotations.to_pylist() if row["track_id"] == track]
        for track in ("parked", "turning")
    }
    assert frames == {"parked": [0, 1, 2, 6, 7, 8], "turning": [0, 1, 2, 3, 4, 5, 6]}


def test_labels_far_apart_are_not_joined() -> None:
    times_ns = START_NS + np.array([0, 1_500_000_000, 3_100_000_000])
    rows = resample(world(times_ns), 2).annotations.to_pylist()
    assert sorted({row["frame"] for row in rows}) == [0, 1, 2, 3]
    unlabelled = {(frame, track) for frame in (1, 3) for track in ("parked", "turning")}
    rows = resample(world(even_ns(5, 2), missing=unlabelled), 4).annotations.to_pylist()
    assert sorted({row["frame"] for row in rows}) == list(range(9))  # no frame between was looked at by a labeller


def test_without_poses_boxes_move_in_the_ego_frame() -> None:
    log = world(even_ns(3, 2), poses=False)
    found = resample(log, 4)
    assert found.frames["global_SE3_ego"].null_count == found.frames["speed_mps"].null_count == 5
    poses = [row["ego_SE3_box"] for row in found.annotations.to_pylist() if row["track_id"] == "turning"]
    first, half, second = poses[:3]
    for axis in ("tx_m", "ty_m", "tz_m"):
        assert half[axis] == pytest.approx(0.5 * (first[axis] + second[axis]))


def test_a_standing_box_stands_though_the_ego_turns() -> None:
    found = resample(world(even_ns(3, 1)), 10)
    for row in found.annotations.to_pylist():
        if row["track_id"] == "parked":
            ego = pose_from_struct(found.frames["global_SE3_ego"][row["frame"]].as_py())
            np.testing.assert_allclose((ego @ pose_from_struct(row["ego_SE3_box"])).translation_m, [30.0, 4.0, 0.8])


def test_captures_go_to_the_nearest_frame_once_and_stay_as_they_are() -> None:
    log = world(even_ns(11, 10))
    own = {row["path"]: row for row in log.sensor_data.to_pylist()}
    for rate_hz, taken in ((2, [0, 5, 10]), (3, [0, 3, 7, 10]), (20, list(range(11)))):
        rows = resample(log, rate_hz).sensor_data.to_pylist()
        assert [row["path"] for row in rows if row["sensor"] == "rear"] == [
            f"rear/{START_NS + number * 100_000_000}.jpg" for number in taken
        ]
        assert all({**row, "frame": own[row["path"]]["frame"]} == own[row["path"]] for row in rows)
        assert [row["frame"] for row in rows] == sorted(row["frame"] for row in rows)
        assert len({(row["frame"], row["sensor"]) for row in rows}) == len(rows) == 2 * len(taken)


def test_captures_beyond_half_a_step_go() -> None:
    times_ns = START_NS + np.array([0, 40_000_000, 500_000_000])
    rows = resample(world(times_ns), 20).sensor_data.to_pylist()
    assert [(row["frame"], row["sensor"]) for row in rows][::2] == [(0, "front"), (1, "front"), (10, "front")]
    rows = resample(world(times_ns), 2).sensor_data.to_pylist()
    assert [row["path"].split("/")[1] for row in rows][::2] == [f"{START_NS}.jpg", f"{times_ns[2]}.jpg"]


@settings(deadline=None, max_examples=30)
@given(
    steps_ns=st.lists(st.integers(1_000, 500_000_000), min_size=0, max_size=4),
    rate_hz=st.floats(0.1, 40.0),
)
def test_any_times_give_an_even_grid(steps_ns: list[int], rate_hz: float) -> None:
    times_ns = START_NS + np.cumsum([0, *steps_ns])
    log = world(times_ns)
    found = resample(log, rate_hz)
    new_ns = found.frames["timestamp_ns"].to_numpy()
    assert (np.diff(new_ns) > 0).all()
    assert new_ns[0] == times_ns[0]
    assert new_ns[-1] <= times_ns[-1] < new_ns[-1] + 1e9 / rate_hz + 2e6
    assert found.frames["frame"].to_pylist() == list(range(len(new_ns)))
    rows = found.annotations.to_pylist()
    assert all(row["timestamp_ns"] == new_ns[row["frame"]] for row in rows)
    assert len({(row["frame"], row["track_id"]) for row in rows}) == len(rows)
    assert all(row["observed"] == (row["timestamp_ns"] in times_ns) for row in rows)
    assert_close(found.annotations, world(new_ns).annotations.filter(_in(world(new_ns), rows)), "ego_SE3_box")


def _in(log: DrivingLog, rows: list[dict[str, Any]]) -> pa.Array:
    wanted = {(row["frame"], row["track_id"]) for row in rows}
    frames, tracks = log.annotations["frame"].to_pylist(), log.annotations["track_id"].to_pylist()
    return pa.array([key in wanted for key in zip(frames, tracks, strict=True)])


@pytest.mark.parametrize("rate_hz", [0.0, -1.0, float("nan"), float("inf"), 1001.0])
def test_senseless_rates_are_refused(rate_hz: float) -> None:
    with pytest.raises(ConfigError, match="choose a rate above 0"):
        resample(world(even_ns(2, 2)), rate_hz)


def test_too_many_frames_and_clocks_that_jump_are_refused() -> None:
    with pytest.raises(ConfigError, match="choose a lower rate"):
        resample(world(START_NS + np.array([0, 10**15])), 10)
    with pytest.raises(LogFormatError, match="made: frame 2 is not later"):
        resample(
            DrivingLog.from_rows(
                {"log_id": "made"}, [{"frame": f, "timestamp_ns": t} for f, t in enumerate((0, 9, 5))], [], []
            ),
            2,
        )


def test_frames_that_are_not_numbered_from_0_are_refused() -> None:
    frames = [{"frame": 3 + number, "timestamp_ns": number} for number in range(2)]
    with pytest.raises(LogFormatError, match="made: its frames are not numbered"):
        resample(DrivingLog.from_rows({"log_id": "made"}, frames, [], []), 2)


def test_a_log_without_anything_stays_empty() -> None:
    empty = DrivingLog.from_rows({"log_id": "made"}, [], [], [])
    assert resample(empty, 2) is empty
    times = [{"frame": 0, "timestamp_ns": 0}, {"frame": 1, "timestamp_ns": 10**9}]
    found = resample(DrivingLog.from_rows({"log_id": "made"}, times, [], []), 4)
    assert (found.frames.num_rows, found.annotations.num_rows, found.sensor_data.num_rows) == (5, 0, 0)
