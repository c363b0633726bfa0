"""A small Argoverse 2 log in the real layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import feather
from scipy.spatial.transform import Rotation

LOG = "7fab2350-7eaf"
START_NS = 315_966_253_660_357_000
FRAMES_NS = [START_NS + frame * 99_999_000 for frame in range(4)]
POSES_NS = [START_NS - 90_000_000 + step * 5_000_001 for step in range(100)]
CAMERAS = {"ring_front_center": (1550, 2048), "ring_rear_left": (2048, 1550)}
LIDARS = ("up_lidar", "down_lidar")


def ego(time_ns: int) -> tuple[np.ndarray, Rotation]:
    """Where the ego is: it drives and turns evenly."""
    time_s = (time_ns - START_NS) * 1e-9
    return np.array([5000.0 + 7 * time_s, 2400.0 - time_s, 60.0]), Rotation.from_euler("zy", [0.7 + 0.3 * time_s, 0.02])


def posed(rows: list[dict[str, Any]], places_m: list[Any], turns: list[Rotation]) -> list[dict[str, Any]]:
    names = ("qx", "qy", "qz", "qw", "tx_m", "ty_m", "tz_m")
    return [
        row | dict(zip(names, [*turn.as_quat(), *map(float, place_m)], strict=True))
        for row, place_m, turn in zip(rows, places_m, turns, strict=True)
    ]


def boxes() -> list[dict[str, Any]]:
    """A car in all frames, a walker in the first two; by class and not by time, as the data set has them."""
    size = {"length_m": 4.5, "width_m": 2.0, "height_m": 1.6}
    person = {"length_m": 0.7, "width_m": 0.6, "height_m": 1.8}
    rows = [
        {"timestamp_ns": time, "track_uuid": track, "category": category, **lwh, "num_interior_pts": points}
        for track, category, lwh, points, times in (
            ("walker", "PEDESTRIAN", person, 1, FRAMES_NS[:2]),
            ("car", "REGULAR_VEHICLE", size, 2, FRAMES_NS),
        )
        for time in times
    ]
    return posed(rows, [[10.0, 2.0, 0.5]] * len(rows), [Rotation.from_euler("z", 0.25)] * len(rows))


def points() -> np.ndarray:
    """Two points in the car, one of them in the walker too, and one in nothing; ego frame."""
    return np.array([[10.0, 2.0, 0.5], [11.5, 2.5, 0.5], [-20.0, 0.0, 0.0]], dtype=np.float16)


def world_map() -> dict[str, Any]:
    def line(*points: tuple[float, float]) -> list[dict[str, float]]:
        return [{"x": x, "y": y, "z": 60.0} for x, y in points]

    lane = {"lane_type": "VEHICLE", "is_intersection": False}
    left, right = "left_lane_boundary", "right_lane_boundary"
    marks = {"left_lane_mark_type": "SOLID_YELLOW", "right_lane_mark_type": "DASHED_WHITE"}
    return {
        "lane_segments": {
            "1": {**lane, **marks, left: line((0, 2), (10, 2)), right: line((0, -2), (3, -2), (10, -2))},
            "2": {**lane, **marks, left: line((9, -6), (0, -6)), right: line((10, -2), (3, -2), (0, -2))},
            "3": {
                **lane,
                **dict.fromkeys(marks, "NONE"),
                left: line((0, -9), (5, -9)),
                right: line((0, -8), (5, -8)),
            },
        },
        "pedestrian_crossings": {"4": {"edge1": line((0, 0), (0, 4)), "edge2": line((2, 0), (2, 4)), "id": 4}},
        "drivable_areas": {"5": {"area_boundary": line((0, 0), (9, 0), (9, 9), (0, 0)), "id": 5}},
    }


def write_table(path: Path, rows: list[dict[str, Any]], schema: pa.Schema | None = None, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    feather.write_feather(pa.Table.from_pylist(rows, schema=schema), path, **options)
    return path


def write_log(log: Path) -> Path:
    """With two sweeps and three images, one of which is of no frame."""
    egos = [ego(time) for time in POSES_NS]
    stamps = [{"timestamp_ns": time} for time in POSES_NS]
    write_table(
        log / "city_SE3_egovehicle.feather", posed(stamps, [place for place, _ in egos], [turn for _, turn in egos])
    )
    write_table(log / "annotations.feather", boxes())
    sensors = [{"sensor_name": name} for name in (*CAMERAS, *LIDARS)]
    places_m = [[1.5, 0.1 * number, 1.4] for number in range(len(sensors))]
    turns = [Rotation.from_euler("z", 0.1 * number) for number in range(len(sensors))]
    write_table(log / "calibration" / "egovehicle_SE3_sensor.feather", posed(sensors, places_m, turns))
    write_table(
        log / "calibration" / "intrinsics.feather",
        [
            {"sensor_name": name, "fx_px": 1776.0, "fy_px": 1775.0, "cx_px": 777.0, "cy_px": 1013.0}
            | {"k1": -0.24, "k2": -0.21, "k3": 0.33, "height_px": height, "width_px": width}
            for name, (width, height) in CAMERAS.items()
        ],
    )
    for time in FRAMES_NS[1:3]:
        write_sweep(log / "sensors" / "lidar" / f"{time}.feather", points())
    for time in (FRAMES_NS[0] - 30_000_000, FRAMES_NS[0] + 20_000_000, FRAMES_NS[2] + 60_000_000):
        image = log / "sensors" / "cameras" / "ring_front_center" / f"{time}.jpg"
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(b"an image")
    (log / "map").mkdir(exist_ok=True)
    (log / "map" / f"log_map_archive_{log.name}____PIT_city_47896.json").write_text(json.dumps(world_map()))
    return log


def write_sweep(path: Path, points_m: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {axis: pa.array(points_m[:, place]) for place, axis in enumerate("xyz")}
    feather.write_feather(pa.table({**columns, "intensity": pa.array([7] * len(points_m), pa.uint8())}), path)
    return path
