"""The Argoverse 2 reader on a small log in the real layout, and what hostile logs and files do."""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import feather as arrow_feather

from drive_vqa.categories import CATEGORIES
from drive_vqa.errors import LogFormatError
from drive_vqa.schema import pose_from_struct
from sensors.readers import av2, av2_map, feather
from sensors.readers.av2 import list_logs, read_log, read_sweep
from sensors.readers.feather import read_feather
from tests.sensors.av2_files import (
    CAMERAS,
    FRAMES_NS,
    LIDARS,
    LOG,
    boxes,
    ego,
    points,
    world_map,
    write_log,
    write_sweep,
    write_table,
)

MAP = f"map/log_map_archive_{LOG}____PIT_city_47896.json"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_log(tmp_path / "set" / LOG).parent


def read(source: Path) -> Any:
    (handle,) = list_logs(source)
    return read_log(handle)


def test_a_log_and_the_folder_above_it_are_the_same_log(source: Path) -> None:
    assert list_logs(source) == list_logs(source / LOG)
    assert [handle.log_id for handle in list_logs(source)] == [f"av2-{LOG}"]
    (row,) = read(source).logs.to_pylist()
    assert (row["log_id"], row["location"], row["description"]) == (f"av2-{LOG}", "PIT", "Argoverse 2")
    assert row["recording"] == LOG


def test_frames_are_the_labelled_times_with_poses_between_the_given_ones(source: Path) -> None:
    frames = read(source).frames.to_pylist()
    assert [row["timestamp_ns"] for row in frames] == FRAMES_NS
    for row in frames:
        place_m, turn = ego(row["timestamp_ns"])
        pose = pose_from_struct(row["global_SE3_ego"])
        np.testing.assert_allclose(pose.translation_m, place_m, atol=1e-6)
        np.testing.assert_allclose(pose.rotation, turn.as_matrix(), atol=1e-8)
        assert row["speed_mps"] == pytest.approx(np.hypot(7.0, 1.0), rel=1e-5)


def test_boxes_are_in_order_of_time_and_as_in_the_file(source: Path) -> None:
    rows = read(source).annotations.to_pylist()
    assert [(row["frame"], row["track_id"], row["category"], row["lidar_points"]) for row in rows] == [
        (0, "walker", "pedestrian", 1),
        (0, "car", "car", 2),
        (1, "walker", "pedestrian", 1),
        (1, "car", "car", 2),
        (2, "car", "car", 2),
        (3, "car", "car", 2),
    ]
    box = pose_from_struct(rows[1]["ego_SE3_box"])
    np.testing.assert_allclose(box.translation_m, [10.0, 2.0, 0.5])
    assert box.yaw_rad == pytest.approx(0.25)
    assert (rows[1]["length_m"], rows[1]["width_m"], rows[1]["height_m"]) == (4.5, 2.0, 1.6)
    assert {(row["observed"], row["radar_points"], row["attribute"]) for row in rows} == {(True, None, None)}


def test_the_ego_is_no_annotation(source: Path) -> None:
    log = source / LOG
    own = [{**row, "track_uuid": "ego", "category": "EGO_VEHICLE"} for row in boxes()[2:]]
    (log / "annotations.feather").unlink()
    write_table(log / "annotations_with_ego.feather", [*boxes(), *own])
    assert set(read(source).annotations["track_id"].to_pylist()) == {"walker", "car"}


def test_counted_points_lie_in_the_boxes(source: Path) -> None:
    log = read(source)
    sweeps = [row for row in log.sensor_data.to_pylist() if row["sensor"] == "lidar"]
    assert [(row["frame"], row["timestamp_ns"]) for row in sweeps] == [(1, FRAMES_NS[1]), (2, FRAMES_NS[2])]
    points_m = read_sweep(source / LOG / sweeps[0]["path"])
    np.testing.assert_array_equal(points_m, points().astype(np.float64))
    for row in log.annotations.to_pylist():
        local_m = np.abs(pose_from_struct(row["ego_SE3_box"]).inverse() @ points_m)
        half_m = 0.5 * np.array([row["length_m"], row["width_m"], row["height_m"]])
        assert row["lidar_points"] == int((local_m <= half_m).all(axis=1).sum())


def test_every_calibrated_sensor_has_a_row_and_only_files_have_a_path(source: Path) -> None:
    rows = read(source).sensor_data.to_pylist()
    assert len(rows) == 4 * (len(CAMERAS) + len(LIDARS)) + 2
    paths = {(row["frame"], row["sensor"]): row["path"] for row in rows if row["path"] and row["sensor"] != "lidar"}
    near_ns = FRAMES_NS[0] + 20_000_000  # the one 30 ms before it is further off, that at 60 ms belongs to no frame
    last_ns = FRAMES_NS[2] + 60_000_000
    assert paths == {
        (0, "ring_front_center"): f"sensors/cameras/ring_front_center/{near_ns}.jpg",
        (3, "ring_front_center"): f"sensors/cameras/ring_front_center/{last_ns}.jpg",  # 40 ms before the last frame
    }
    front = next(row for row in rows if row["sensor"] == "ring_front_center")
    assert (front["width"], front["height"], front["distortion"]) == (1550, 2048, [])
    assert front["intrinsics"] == [1776.0, 0.0, 777.0, 0.0, 1775.0, 1013.0, 0.0, 0.0, 1.0]
    place_m, _ = ego(near_ns)  # the ego's pose is that of the image, not of the frame
    np.testing.assert_allclose(pose_from_struct(front["global_SE3_ego"]).translation_m, place_m, atol=1e-6)
    assert front["timestamp_ns"] == near_ns
    assert pose_from_struct(front["ego_SE3_sensor"]).translation_m.tolist() == [1.5, 0.0, 1.4]
    up = next(row for row in rows if row["sensor"] == "up_lidar")
    assert (up["modality"], up["path"], up["width"], up["intrinsics"]) == ("lidar", None, None, None)


def test_a_log_of_poses_and_boxes_alone_is_a_log(source: Path) -> None:
    for folder in ("calibration", "sensors/lidar", "sensors/cameras/ring_front_center", "map"):
        for path in (source / LOG / folder).iterdir():
            path.unlink()
        (source / LOG / folder).rmdir()
    log = read(source)
    assert (log.frames.num_rows, log.annotations.num_rows) == (4, 6)
    assert log.sensor_data.num_rows == log.map_elements.num_rows == 0
    (row,) = log.logs.to_pylist()
    assert row["description"] == "Argoverse 2, without calibration, images, lidar sweeps, map"


def test_a_log_without_labels_has_the_frames_of_its_sweeps(source: Path) -> None:
    (source / LOG / "annotations.feather").unlink()
    log = read(source)
    assert log.frames["timestamp_ns"].to_pylist() == FRAMES_NS[1:3]
    assert log.annotations.num_rows == 0


def test_the_map(source: Path) -> None:
    rows = {row["element_id"]: row for row in read(source).map_elements.to_pylist()}
    assert {key: (row["kind"], row["source_kind"], row["closed"]) for key, row in rows.items()} == {
        "lane-1": ("lane", "VEHICLE", False),
        "lane-1-left": ("lane_line", "SOLID_YELLOW", False),
        "lane-1-right": ("lane_line", "DASHED_WHITE", False),  # lane 2 has the same, from its other end
        "lane-2": ("lane", "VEHICLE", False),
        "lane-2-left": ("lane_line", "SOLID_YELLOW", False),
        "lane-3": ("lane", "VEHICLE", False),
        "crossing-4": ("crosswalk", "PEDESTRIAN_CROSSING", True),
        "area-5": ("drivable_area", "DRIVABLE_AREA", True),
    }
    centre = rows["lane-1"]
    np.testing.assert_allclose(centre["x_m"], np.linspace(0, 10, 10))
    assert (set(centre["y_m"]), set(centre["z_m"])) == ({0.0}, {60.0})
    assert (rows["lane-2"]["x_m"][0], rows["lane-2"]["x_m"][-1], rows["lane-2"]["y_m"][0]) == (9.5, 0.0, -4.0)
    assert (rows["crossing-4"]["x_m"], rows["crossing-4"]["y_m"]) == ([0, 0, 2, 2], [0, 4, 4, 0])
    assert rows["area-5"]["x_m"] == [0, 9, 9]


def test_labels_are_thirty_and_known() -> None:
    assert len(av2.CATEGORY_OF_LABEL) == 30
    assert set(av2.CATEGORY_OF_LABEL.values()) <= set(CATEGORIES)


def test_changes_of_content_change_the_digest(source: Path) -> None:
    digests = [list_logs(source)[0].digest]
    for change in (
        lambda log: next((log / "sensors" / "cameras" / "ring_front_center").iterdir()).unlink(),
        lambda log: write_table(log / "annotations.feather", boxes()[1:]),
        lambda log: (log / MAP).write_text("{}"),
    ):
        change(source / LOG)
        digests.append(list_logs(source)[0].digest)
    assert len(set(digests)) == 4


def column(file: str, name: str, value: Any, row: int = 1) -> Callable[[Path], None]:
    """Set one field of a table, or with `...` leave the column out."""

    def change(log: Path) -> None:
        table = arrow_feather.read_table(log / file)
        rows = table.to_pylist()
        if value is ...:
            arrow_feather.write_feather(table.drop_columns([name]), log / file)
            return
        rows[row][name] = value
        arrow_feather.write_feather(pa.Table.from_pylist(rows), log / file)

    return change


def in_map(*keys: Any) -> Callable[[Path], None]:
    def change(log: Path) -> None:
        content = place = world_map()
        for key in keys[:-2]:
            place = place[key]
        place[keys[-2]] = keys[-1]
        (log / MAP).write_text(json.dumps(content))

    return change


POSES, BOXES = "city_SE3_egovehicle.feather", "annotations.feather"
MOUNTING, INTRINSICS = "calibration/egovehicle_SE3_sensor.feather", "calibration/intrinsics.feather"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (column(POSES, "timestamp_ns", 5), f"{POSES}: row 1 is not later"),
        (column(POSES, "qw", ...), f"{POSES} has no column 'qw' of type float"),
        (column(POSES, "tx_m", float("nan")), f"{POSES}: column 'tx_m' holds a value"),
        (column(POSES, "tx_m", None), f"{POSES}: column 'tx_m' has empty fields"),
        (
            lambda log: write_table(log / POSES, arrow_feather.read_table(log / POSES).to_pylist()[:30]),
            "no pose around",
        ),
        (
            lambda log: write_table(log / POSES, arrow_feather.read_table(log / POSES).to_pylist()[::22]),
            "no pose around",
        ),
        (lambda log: (log / POSES).write_bytes(b"ARROW1\0\0"), "not a complete Feather|has no column"),
        (lambda log: (log / POSES).write_bytes(b"FEA1" * 10), "not a Feather file of version 2"),
        (column(BOXES, "tx_m", 1e9), f"{BOXES}: column 'tx_m' holds a value"),
        (column(BOXES, "length_m", 0.0), f"{BOXES} has a length, width or height"),
        (column(BOXES, "num_interior_pts", -1), f"{BOXES}: num_interior_pts"),
        (column(BOXES, "num_interior_pts", 2**40), f"{BOXES}: num_interior_pts"),
        (column(BOXES, "timestamp_ns", FRAMES_NS[0]), f"{BOXES} has two boxes of one track at one time"),
        (column(BOXES, "timestamp_ns", 2**62), "has no pose around"),
        (column(BOXES, "track_uuid", ""), "not short, readable text"),
        (column(BOXES, "category", "x\ty"), "not short, readable text"),
        (column(BOXES, "category", ...), "no column 'category' of type text"),
        (lambda log: write_table(log / BOXES, [{**row, "tx_m": "10"} for row in boxes()]), "'tx_m' of type float"),
        (
            lambda log: [(log / BOXES).unlink(), *(path.unlink() for path in (log / "sensors/lidar").iterdir())],
            "has 0 time",
        ),
        (column(MOUNTING, "sensor_name", "../../x"), "sensor names must be"),
        (column(MOUNTING, "sensor_name", "ring_front_center"), "sensor names must be"),
        (column(MOUNTING, "sensor_name", "other"), "has a camera that egovehicle_SE3_sensor.feather has not"),
        (lambda log: (log / INTRINSICS).unlink(), "intrinsics.feather is missing"),
        (column(INTRINSICS, "fx_px", 0.0), "row 1 has a focal length"),
        (column(INTRINSICS, "width_px", 0), "row 1 has a focal length or an image size"),
        (lambda log: write_sweep(log / "sensors/lidar/late.feather", points()), "not named by a time stamp"),
        (lambda log: write_sweep(log / "sensors/lidar/99999999999999999999.feather", points()), "not named by a time"),
        (lambda log: write_sweep(log / "sensors/lidar/7.feather", points()), "no pose around 7 ns"),
        (lambda log: (log / MAP).write_text("[" * 100_000), "not complete JSON"),
        (lambda log: (log / MAP).write_text("[]"), "must hold a map"),
        (in_map("lane_segments", []), "lane_segments must be a dictionary"),
        (in_map("lane_segments", "1", None), "is no dictionary"),
        (in_map("lane_segments", "1", "lane_type", 5), "lane_segments 1: lane_type must be short text"),
        (in_map("lane_segments", "1", "left_lane_boundary", [{"x": 1, "y": 2, "z": 3}]), "at least two points"),
        (in_map("lane_segments", "1", "left_lane_boundary", 0, {"x": 1, "y": 2}), "not x, y and z"),
        (in_map("lane_segments", "1", "left_lane_boundary", 0, "x", float("nan")), "not x, y and z"),
        (in_map("lane_segments", "1", "left_lane_boundary", 0, "x", 1e300), "not x, y and z"),
        (in_map("drivable_areas", "5", "area_boundary", [{"x": 1, "y": 2, "z": 3}] * 2), "less than three points"),
    ],
)
def test_a_wrong_log_is_refused(source: Path, change: Callable[[Path], Any], message: str) -> None:
    change(source / LOG)
    with pytest.raises(LogFormatError, match=message) as refused:
        read(source)
    assert LOG in str(refused.value)


def test_places_without_a_log(tmp_path: Path) -> None:
    with pytest.raises(LogFormatError, match="has no Argoverse 2 log"):
        list_logs(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(LogFormatError, match="has no Argoverse 2 log"):
        list_logs(tmp_path / "file")
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / POSES).write_bytes(b"")
    with pytest.raises(LogFormatError, match="a log's folder is named by"):
        list_logs(tmp_path)


def test_sizes_are_summed_before_anything_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "zeros.feather"
    for codec in ("lz4", "zstd", "uncompressed"):
        arrow_feather.write_feather(pa.table({"x": np.zeros(30_000)}), path, compression=codec)
        with monkeypatch.context() as patch, pytest.raises(LogFormatError, match="unpacks to more than 200000 bytes"):
            patch.setattr(feather, "MAX_UNPACKED", 200_000)
            read_feather(path, {"x": "float"})
        assert len(read_feather(path, {"x": "float"})["x"]) == 30_000
    arrow_feather.write_feather(pa.table({"x": np.zeros(30_000)}), path, compression="zstd")
    data = path.read_bytes()
    assert data.count(struct.pack("<q", 240_000)) == 1
    path.write_bytes(data.replace(struct.pack("<q", 240_000), struct.pack("<q", 1 << 45)))
    with pytest.raises(LogFormatError, match="unpacks to more than"):
        read_feather(path, {"x": "float"})
    with monkeypatch.context() as patch, pytest.raises(LogFormatError, match="more than 10 bytes and is not opened"):
        patch.setattr(feather, "MAX_BYTES", 10)
        read_feather(path, {"x": "float"})
    with monkeypatch.context() as patch, pytest.raises(LogFormatError, match="must hold a map of at most 10 bytes"):
        patch.setattr(av2_map, "MAX_BYTES", 10)
        (tmp_path / "map.json").write_text(json.dumps(world_map()))
        av2_map.map_rows(tmp_path / "map.json")


def test_only_plain_columns_are_read(tmp_path: Path) -> None:
    path = tmp_path / "t.feather"
    arrow_feather.write_feather(pa.table({"x": pa.array(["a", "b"]).dictionary_encode()}), path)
    with pytest.raises(LogFormatError, match="a dictionary is not expected"):
        read_feather(path, {"x": "text"})
    table = pa.table({"x": pa.array([1, 2**63], pa.uint64()), "y": [1.0, float("inf")], "z": [1, 2]})
    arrow_feather.write_feather(table, path)
    for name, kind in (("x", "int"), ("x", "float"), ("y", "float"), ("z", "text"), ("gone", "int")):
        with pytest.raises(LogFormatError, match=f"'{name}'"):
            read_feather(path, {name: kind})
    signalling = np.frombuffer(b"\x01\x00\xa0\x7f", dtype=np.float32)
    arrow_feather.write_feather(pa.table({"x": signalling}), path)
    with pytest.raises(LogFormatError, match="not a finite number"):
        read_feather(path, {"x": "float"})
    with pytest.raises(LogFormatError, match="gone.feather is missing"):
        read_feather(tmp_path / "gone.feather", {})


@pytest.fixture(scope="module")
def table_bytes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("tables")
    codecs = ("lz4", "zstd", "uncompressed")
    return {codec: write_table(folder / codec, boxes() * 3, compression=codec).read_bytes() for codec in codecs}


@settings(deadline=None, max_examples=250)
@given(
    codec=st.sampled_from(["lz4", "zstd", "uncompressed"]),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=4),
    kept=st.one_of(st.just(1.0), st.floats(0, 1)),
)
def test_damage_is_an_error_or_clean_columns(
    tmp_path_factory: pytest.TempPathFactory,
    table_bytes: dict[str, bytes],
    codec: str,
    flips: list[tuple[float, int]],
    kept: float,
) -> None:
    content = bytearray(table_bytes[codec])
    for place, bits in flips:
        content[int(place * len(content))] ^= bits
    path = tmp_path_factory.getbasetemp() / "fuzzed.feather"
    path.write_bytes(content[: int(kept * len(content))])
    kinds = {"timestamp_ns": "int", "track_uuid": "text", "tx_m": "float", "qw": "float"}
    with contextlib.suppress(LogFormatError):  # anything else that is raised fails the test
        columns = read_feather(path, kinds)
        assert len({len(values) for values in columns.values()}) == 1
        assert np.isfinite(columns["tx_m"]).all()
        assert all(text.isprintable() for text in columns["track_uuid"])
