"""The ScenarioNet reader on small files of its own, what hostile pickles do, and damage of every kind."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_vqa.errors import LogFormatError
from drive_vqa.geometry import wrap_rad
from drive_vqa.schema import pose_from_struct
from sensors.readers import scenarionet, scenarionet_pickle
from sensors.readers.scenarionet import list_logs, read_log
from tests.sensors.pandaset_files import called, name, plain
from tests.sensors.scenarionet_files import (
    NUSCENES_FILE,
    STEPS,
    WAYMO_FILE,
    nuscenes_scenario,
    waymo_scenario,
    write,
)


def read(path: Path) -> Any:
    (handle,) = list_logs(path)
    return read_log(handle)


@pytest.fixture
def nuscenes(tmp_path: Path) -> Any:
    return read(write(tmp_path / NUSCENES_FILE, nuscenes_scenario()))


@pytest.fixture
def waymo(tmp_path: Path) -> Any:
    return read(write(tmp_path / WAYMO_FILE, waymo_scenario()))


def test_a_folder_and_its_files_are_the_same_logs(tmp_path: Path) -> None:
    for file, scenario in ((NUSCENES_FILE, nuscenes_scenario()), (WAYMO_FILE, waymo_scenario())):
        write(tmp_path / "set" / file, scenario)
    write(tmp_path / "set" / "dataset_summary.pkl", Runs(os.system, "false"))
    handles = list_logs(tmp_path / "set")
    assert [handle.log_id for handle in handles] == ["scene-0103", "waymo-ab12"]
    assert [list_logs(tmp_path / "set" / handle.version) for handle in handles] == [[handle] for handle in handles]
    before = handles[1].digest
    write(tmp_path / "set" / WAYMO_FILE, nuscenes_scenario())
    assert list_logs(tmp_path / "set")[1].digest != before


def test_every_step_is_a_frame_with_the_pose_of_the_ego(nuscenes: Any) -> None:
    frames = nuscenes.frames.to_pylist()
    assert [row["timestamp_ns"] for row in frames] == [step * 100_000_000 for step in range(STEPS)]
    for step, row in enumerate(frames):
        pose = pose_from_struct(row["global_SE3_ego"])
        np.testing.assert_allclose(pose.translation_m, [100 + step, 200 + 0.1 * step**2, 0.0])
        assert pose.yaw_rad == pytest.approx(wrap_rad(3.0 + 0.05 * step))
        assert row["yaw_rate_radps"] == pytest.approx(0.5)
    assert frames[5]["speed_mps"] == pytest.approx(10 * np.hypot(1.0, 1.0))
    assert nuscenes.sensor_data.num_rows == 0


def test_boxes_lie_where_the_file_has_them(nuscenes: Any) -> None:
    poses = [pose_from_struct(row["global_SE3_ego"]) for row in nuscenes.frames.to_pylist()]
    tracks = nuscenes_scenario()["tracks"]
    rows = nuscenes.annotations.to_pylist()
    for row in rows:
        state, step = tracks[row["track_id"]]["state"], row["frame"]
        box = poses[step] @ pose_from_struct(row["ego_SE3_box"])
        np.testing.assert_allclose(box.translation_m, state["position"][step], atol=1e-9)
        assert box.yaw_rad == pytest.approx(state["heading"][step])
        assert row["timestamp_ns"] == step * 100_000_000
        assert (row["lidar_points"], row["radar_points"], row["attribute"]) == (None, None, None)
    parked = rows[0]
    assert (parked["length_m"], parked["width_m"], parked["height_m"]) == (5.1, 2.2, 1.9)
    assert {(row["track_id"], row["category"]) for row in rows} == {
        ("parked", "emergency_vehicle"),
        ("walker", "pedestrian"),
    }


def test_only_valid_steps_have_boxes_and_only_keyframes_are_observed(nuscenes: Any) -> None:
    rows = nuscenes.annotations.to_pylist()
    assert [row["frame"] for row in rows if row["track_id"] == "walker"] == [3, 4, 5, 6, 7, 8]
    assert [row["frame"] for row in rows if row["track_id"] == "parked"] == list(range(STEPS))
    assert {row["frame"] for row in rows if row["observed"]} == {0, 5, 10}
    assert [row["frame"] for row in rows] == sorted(row["frame"] for row in rows)


def test_what_is_not_valid_is_never_read(tmp_path: Path) -> None:
    scenario = nuscenes_scenario()
    state = scenario["tracks"]["walker"]["state"]
    for column in ("position", "heading", "length", "velocity"):
        state[column][0] = np.nan
    rows = read(write(tmp_path / NUSCENES_FILE, scenario)).annotations.to_pylist()
    assert [row["frame"] for row in rows if row["track_id"] == "walker"] == [3, 4, 5, 6, 7, 8]


def test_the_shifted_ego_is_told(tmp_path: Path, nuscenes: Any) -> None:
    scenario = nuscenes_scenario()
    scenario["metadata"]["scenario_id"] = "scene-0061"
    (shifted,) = read(write(tmp_path / "sd_nuscenes_v1.0-mini_scene-0061.pkl", scenario)).logs.to_pylist()
    assert "CAN bus" in shifted["description"]
    (straight,) = nuscenes.logs.to_pylist()
    assert "CAN bus" not in straight["description"]
    assert (straight["log_id"], straight["location"]) == ("scene-0103", "boston-seaport")


def test_the_recording_is_the_log_that_the_file_names_or_the_scenario(tmp_path: Path, nuscenes: Any) -> None:
    assert nuscenes.logs["recording"].to_pylist() == ["scene-0103"]
    scenario = nuscenes_scenario()
    scenario["metadata"]["log_name"] = "2021.05.12"
    path = write(tmp_path / NUSCENES_FILE, scenario)
    assert read(path).logs["recording"].to_pylist() == ["2021.05.12"]
    scenario["metadata"]["log_name"] = 7
    with pytest.raises(LogFormatError, match="'log_name' is missing or no short text"):
        read(write(path, scenario))


def test_waymo_has_real_time_and_a_box_as_ego(waymo: Any) -> None:
    frames, rows = waymo.frames.to_pylist(), waymo.annotations.to_pylist()
    assert frames[3]["timestamp_ns"] == 300_010_000
    assert frames[0]["global_SE3_ego"]["tz_m"] == pytest.approx(5.0 - 1.56 / 2)
    assert all(row["observed"] for row in rows)
    assert {(row["track_id"], row["category"]) for row in rows} == {("0", "bicycle"), ("2", "pedestrian")}
    box = pose_from_struct(frames[4]["global_SE3_ego"]) @ pose_from_struct(rows[4 + 1]["ego_SE3_box"])
    assert rows[5]["frame"] == 4
    np.testing.assert_allclose(box.translation_m, [110.0, 205.0, 0.8], atol=1e-4)
    assert waymo.logs.to_pylist()[0]["log_id"] == "waymo-ab12"


def test_the_map_is_lines_and_open_rings(nuscenes: Any) -> None:
    rows = {row["element_id"]: row for row in nuscenes.map_elements.to_pylist()}
    kinds = {key: (row["kind"], row["closed"]) for key, row in rows.items()}
    assert kinds == {
        "boundary_0": ("road_edge", False),
        "line": ("lane_line", False),
        "lane": ("lane", False),
        "lane/area": ("drivable_area", True),
        "walk": ("sidewalk", True),
        "zebra": ("crosswalk", True),
    }
    assert (rows["lane"]["x_m"], rows["lane"]["y_m"], rows["lane"]["z_m"]) == ([0, 0, 0], [0, 1, 2], None)
    assert (rows["lane/area"]["x_m"], rows["lane/area"]["source_kind"]) == ([-1, 1, 1, -1], "LANE_SURFACE_STREET")
    assert (rows["walk"]["x_m"], rows["line"]["y_m"]) == ([0, 1, 1], [1, 3])


def test_waymos_map_has_heights_and_signs_are_left_out(waymo: Any) -> None:
    rows = {row["element_id"]: row for row in waymo.map_elements.to_pylist()}
    assert {key: row["kind"] for key, row in rows.items()} == {"7": "lane", "9": "drivable_area", "10": "road_edge"}
    assert rows["7"]["z_m"] == [2, 5, 8]


def edit(change: Callable[[dict[str, Any]], Any]) -> Callable[[], dict[str, Any]]:
    def apply() -> dict[str, Any]:
        scenario = nuscenes_scenario()
        change(scenario)
        return scenario

    return apply


def put(*keys: Any) -> Callable[[], dict[str, Any]]:
    """Set the value, last of `keys`, at the place that the others name; rows of arrays too."""

    def change(scenario: Any) -> None:
        for key in keys[:-2]:
            scenario = scenario[key]
        scenario[keys[-2]] = keys[-1]

    return edit(change)


PARKED = ("tracks", "parked", "state")


@pytest.mark.parametrize(
    ("scenario", "message"),
    [
        (put(*PARKED, "position", 4, np.nan), "'parked', position: a value is not a finite"),
        (put(*PARKED, "position", 4, 1e9), "'parked', position: a value is not a finite"),
        (put(*PARKED, "heading", 4, np.inf), "'parked', heading: a value is not a finite"),
        (put(*PARKED, "length", 4, 0.0), "'parked' has a length, width or height that is not above 0"),
        (put(*PARKED, "width", 4, -1.0), "'parked' has a length, width or height that is not above 0"),
        (put(*PARKED, "height", 4, 1e5), "'parked', height: a value"),
        (put(*PARKED, "valid", 4, 0.5), "'parked', valid: 11 values of 0 or 1"),
        (put(*PARKED, "valid", np.ones(3)), "'parked', valid: 11 values of 0 or 1"),
        (put(*PARKED, "position", np.zeros((STEPS, 2))), "do not have 11 steps"),
        (put(*PARKED, "heading", np.zeros(STEPS - 1)), "heading: 11 steps expected"),
        (put(*PARKED, "length", np.ones((STEPS, 2))), "do not have 11 steps"),
        (put(*PARKED, "length", [1.0] * STEPS), "length: an array of numbers expected"),
        (put(*PARKED, "heading", np.array([None] * STEPS)), "heading: an array of numbers expected"),
        (edit(lambda scenario: scenario["tracks"]["parked"]["state"].pop("heading")), "heading: an array"),
        (put("tracks", "parked", None), "'state' is missing"),
        (put("tracks", "parked", "metadata", "type", "a\nb"), "'type' is missing or no short text"),
        (put("tracks", "\udc80", nuscenes_scenario()["tracks"]["parked"]), "'track' is missing or no short text"),
        (put("tracks", 7, nuscenes_scenario()["tracks"]["parked"]), "'track' is missing or no short text"),
        (put("tracks", "ego", "state", "valid", 6, 0.0), "the ego, track 'ego', is not valid at step 6"),
        (put("tracks", {}), "metadata.sdc_id 'ego' is no track"),
        (put("metadata", "sdc_id", "nobody"), "metadata.sdc_id 'nobody' is no track"),
        (put("metadata", "ts", np.zeros(STEPS)), "step 1 is not later"),
        (put("metadata", "ts", 4, 0.3), "step 4 is not later"),
        (put("metadata", "ts", 4, np.nan), "metadata.ts: a value"),
        (put("metadata", "ts", np.zeros(0)), "metadata.ts must hold"),
        (put("metadata", "ts", np.arange(12) * 0.1), "12 time stamps for a length of 11"),
        (put("metadata", "sample_rate", 0), "sample_rate must be"),
        (put("metadata", "sample_rate", "0.1"), "sample_rate must be"),
        (put("metadata", "map", 3), "'map' is missing or no short text"),
        (put("metadata", None), "'metadata' is missing"),
        (put("map_features", "lane", "polyline", 1, np.nan), "'lane': a value is not a finite"),
        (
            put("map_features", "lane", "polyline", np.frombuffer(b"\x01\x00\xa0\x7f" * 4, "<f4").reshape(2, 2)),
            "finite",
        ),
        (put("map_features", "lane", "polyline", [(1, 2), (3, 4, 5)]), "'lane': points of two or three numbers"),
        (put("map_features", "lane", "polyline", [(1, 2), ("3", 4)]), "'lane': a point is not two or three numbers"),
        (put("map_features", "lane", "polyline", [(1,), (3,)]), "'lane': points of two or three numbers"),
        (put("map_features", "lane", "type", None), "'type' is missing"),
        (put("map_features", "lane", 4), "'lane' is no dictionary"),
        (put("metadata", "scenario_id", "scene-0553"), "holds 'scene-0553', which is not in its name"),
        (list, "'metadata' is missing"),
    ],
)
def test_a_wrong_scenario_is_refused_with_its_file(tmp_path: Path, scenario: Callable[[], Any], message: str) -> None:
    path = write(tmp_path / NUSCENES_FILE, scenario())
    with pytest.raises(LogFormatError, match=message) as refused:
        read(path)
    assert NUSCENES_FILE in str(refused.value)


def test_what_one_stored_array_could_blow_up_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / NUSCENES_FILE, nuscenes_scenario())
    for limit in ("MAX_STATES", "MAX_POINTS", "MAX_BYTES"):
        with monkeypatch.context() as patch, pytest.raises(LogFormatError, match="more than 10 "):
            patch.setattr(scenarionet_pickle, limit, 10)
            read(path)


def test_names_and_places(tmp_path: Path) -> None:
    with pytest.raises(LogFormatError, match=r"no file sd_\*.pkl"):
        list_logs(tmp_path)
    with pytest.raises(LogFormatError, match="its name is not sd_DATASET_VERSION_ID.pkl"):
        list_logs(write(tmp_path / "scene.pkl", nuscenes_scenario()))
    with pytest.raises(LogFormatError, match="its name is not"):
        list_logs(write(tmp_path / "sd_nuscenes_v1_\udc80.pkl", nuscenes_scenario()))


class Runs:
    """Pickles as the call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("function", [os.system, eval, exec, getattr, __import__, subprocess.Popen, np.load])
def test_a_call_is_refused_and_not_made(tmp_path: Path, function: Any, protocol: int) -> None:
    witness = tmp_path / "witness"
    hostile = Runs(function, f"touch {witness}" if function is os.system else f"open({str(witness)!r}, 'w')")
    scenario = nuscenes_scenario()
    scenario["metadata"]["extra"] = hostile
    for content in (hostile, scenario):
        with pytest.raises(LogFormatError, match="forbidden" if protocol else "forbidden|not a readable"):
            read(write(tmp_path / NUSCENES_FILE, content, protocol))
    assert not witness.exists()


def test_the_names_are_the_five_that_the_data_needs() -> None:
    assert set(scenarionet_pickle.NAMES) == {
        "numpy.core.multiarray._reconstruct",
        "numpy.ndarray",
        "numpy.dtype",
        "builtins.int",
        "collections.defaultdict",
    }


DEEP = b")" + b"\x85" * 300_000  # a tuple in a tuple in a tuple ...


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04}" + DEEP + b"Ns.",  # hashing such a key overflows the stack
        b"\x80\x04}(" + DEEP + b"Nu.",
        b"\x80\x04\x8f(" + DEEP + b"\x90.",
        b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b".",  # a buffer of a terabyte
        b"\x80\x04\x8a\x08" + b"\x7f" * 8 + b".",
        b"\x80\x04\x82\x01.",
        b"\x80\x04Pname\n.",
        b"\x80\x04(i__main__\nf\n.",
        b"\x80\x04" + name("collections", "defaultdict") + plain({"__getitem__": 1}) + b"b.",  # set on the class
        b"\x80\x04" + called(name("builtins", "int"), plain("7" * 100_000)) + b".",
        b"\x80\x04" + called(name("collections", "defaultdict"), name("builtins", "int")) + plain({"x": 1}) + b"b.",
        b"",
        b".",
    ],
)
def test_side_doors_are_shut(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / NUSCENES_FILE
    path.write_bytes(content)
    with pytest.raises(LogFormatError, match=NUSCENES_FILE):
        read(path)
    assert not hasattr(scenarionet_pickle.NAMES["collections.defaultdict"], "__getitem__")


def test_references_that_unfold_without_end_are_not_followed(tmp_path: Path) -> None:
    laughs: Any = ["ha"]
    for _ in range(60):
        laughs = [laughs] * 10
    scenario = nuscenes_scenario()
    scenario["metadata"]["laughs"] = scenario["tracks"]["parked"]["metadata"]["laughs"] = laughs
    scenario["map_features"]["self"] = scenario["map_features"]
    with pytest.raises(LogFormatError, match="'type' is missing"):
        read(write(tmp_path / NUSCENES_FILE, scenario))


CONTENT = pickle.dumps(nuscenes_scenario(), 4)


@settings(deadline=None, max_examples=120)
@given(
    flips=st.lists(st.tuples(st.integers(0, len(CONTENT) - 1), st.integers(1, 255)), max_size=4),
    cut=st.one_of(st.just(0), st.integers(0, len(CONTENT))),
)
def test_damage_is_an_error_or_a_clean_log(
    tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[int, int]], cut: int
) -> None:
    content = bytearray(CONTENT)
    for place, bits in flips:
        content[place] ^= bits
    path = tmp_path_factory.getbasetemp() / NUSCENES_FILE
    path.write_bytes(content[: len(content) - cut])
    with contextlib.suppress(LogFormatError):  # anything else that is raised fails the test
        log = read(path)
        assert log.frames.num_rows == STEPS
        for row in log.annotations.to_pylist():
            assert np.isfinite(list(row["ego_SE3_box"].values())).all()
            assert min(row["length_m"], row["width_m"], row["height_m"]) > 0
        assert (np.diff(log.frames["timestamp_ns"].to_numpy()) > 0).all()


def test_categories_of_both_vocabularies() -> None:
    names = ("vehicle.car", "vehicle.bus.rigid", "VEHICLE", "TRAFFIC_CONE", "movable_object.debris", "OTHER")
    expected = ["car", "bus", "car", "traffic_cone", "other", "other"]
    assert [scenarionet._category(name) for name in names] == expected
