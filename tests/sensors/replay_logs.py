"""A short recorded drive as a reader would give it, for the tests of the replay; picklable functions for its workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from scipy.spatial.transform import Rotation

from sensors.driving_log import DrivingLog, LogHandle

STEP_S = 0.1
FRAMES = 11
EAST_M, NORTH_M = 812.25, 344.5
"""Where the ego starts in the global frame."""

OBJECTS = (
    # token, category, source's name, x, y ahead of the ego's start, yaw, speed, size, underside, frames
    ("a" * 32, "car", "vehicle.car", 16.0, 0.5, 0.05, 6.0, (4.5, 1.9, 1.6), 0.10, range(FRAMES)),
    ("b" * 32, "car", "vehicle.car", 30.0, 3.5, np.pi, 9.0, (4.8, 2.0, 1.8), -0.15, range(FRAMES)),
    ("c" * 32, "truck", "vehicle.truck", -14.0, 3.4, 0.0, 4.0, (9.1, 2.6, 3.5), 0.05, range(2, FRAMES)),
    ("d" * 32, "pedestrian", "human.pedestrian.child", 9.0, -6.5, 1.6, 1.2, (0.6, 0.6, 1.3), 0.25, range(FRAMES)),
    ("walker 5", "pedestrian", "PEDESTRIAN", 4.0, 8.0, 0.0, 0.0, (0.7, 0.7, 1.7), 0.0, range(0, 6)),
    ("f" * 32, "barrier", "movable_object.barrier", 12.0, -4.0, 0.3, 0.0, (0.5, 2.4, 1.0), 0.1, range(FRAMES)),
    ("0" * 32, "bicycle", "vehicle.bicycle", 7.0, 4.6, 0.2, 0.0, (1.7, 0.6, 1.1), 0.0, (0, 5, 6, 10)),
    ("e" * 32, "other", "BOX", -6.0, -5.0, 0.9, 0.0, (1.2, 0.8, 0.9), 0.0, range(FRAMES)),
)


def pose(xyz_m: np.ndarray, rotation: Rotation) -> dict[str, float]:
    x, y, z, w = rotation.as_quat(canonical=True)
    names = ("qw", "qx", "qy", "qz", "tx_m", "ty_m", "tz_m")
    return {name: float(value) for name, value in zip(names, (w, x, y, z, *xyz_m), strict=True)}


def name_of(number: str, log_id: str) -> str:
    """What a track is called in a log: 32 hexadecimal digits, or a name that only holds inside the log."""
    return number if " " in number else f"{number[:28]}{crc32(log_id.encode()) % 65536:04x}"


def rows(
    log_id: str = "x", tilt_rad: float = 0.02
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Frames, annotations and map of a drive at 7 m/s that bends to the left; boxes stand upright in the global frame."""
    frames, annotations = [], []
    for frame in range(FRAMES):
        time_s = STEP_S * frame
        xyz = np.array([EAST_M + 7.0 * time_s, NORTH_M + 0.3 * time_s**2, 0.4])
        turn = Rotation.from_euler("ZYX", [0.6 * time_s / 7.0, tilt_rad, 0.5 * tilt_rad])
        stamp = 1_532_402_927_000_000_000 + round(time_s * 1e9)
        token = name_of(f"{frame:032x}"[::-1], log_id) if frame % 5 == 0 else None
        frames.append({"frame": frame, "timestamp_ns": stamp, "source_frame": token, "global_SE3_ego": pose(xyz, turn)})
        for name, category, source, x, y, yaw, speed, size, low, there in OBJECTS:
            if frame not in there:
                continue
            heading = np.array([np.cos(yaw), np.sin(yaw), 0.0])
            middle = np.array([EAST_M + x, NORTH_M + y, 0.4 + low + 0.5 * size[2]]) + speed * time_s * heading
            box = pose(turn.inv().apply(middle - xyz), turn.inv() * Rotation.from_euler("z", yaw))
            measures = dict(zip(("length_m", "width_m", "height_m"), size, strict=True))
            annotations.append(
                {
                    "frame": frame,
                    "timestamp_ns": stamp,
                    "track_id": name_of(name, log_id),
                    "category": category,
                    "source_category": source,
                    "ego_SE3_box": box,
                    "observed": frame % 5 == 0,
                    **measures,
                }
            )
    return frames, annotations, map_rows()


def map_rows() -> list[dict[str, Any]]:
    def element(name: str, kind: str, source: str, points: list[tuple[float, float]], closed: bool) -> dict[str, Any]:
        x, y = np.add(points, [EAST_M, NORTH_M]).T.tolist()
        return {"element_id": name, "kind": kind, "source_kind": source, "closed": closed, "x_m": x, "y_m": y}

    return [
        element("1", "lane", "LANE", [(-60, 0), (0, 0), (60, 4), (90, 6)], False),
        element("2", "drivable_area", "LANE", [(-60, 1.5), (90, 1.5), (90, 6), (-60, 6)], True),
        element("3", "lane_line", "ROAD_LINE_BROKEN_SINGLE_WHITE", [(-60, 1.7), (90, 1.7)], False),
        element("4", "lane_line", "ROAD_LINE_SOLID_DOUBLE_YELLOW", [(-60, -1.7), (90, -1.7)], False),
        element("5", "crosswalk", "CROSSWALK", [(20, -4), (24, -4), (24, 6), (20, 6)], True),
        element("6", "sidewalk", "ROAD_EDGE_SIDEWALK", [(-60, 7), (90, 7), (90, 11), (-60, 11)], True),
    ]


def make_log(log_id: str, *, with_map: bool = True, tilt_rad: float = 0.02) -> DrivingLog:
    frames, annotations, map_elements = rows(log_id, tilt_rad)
    if log_id == "single":
        frames, annotations = frames[:1], [row for row in annotations if row["frame"] == 0]
    row = {"log_id": log_id, "recording": f"drive of {log_id}", "source_format": "test", "location": "nowhere"}
    row["description"] = "a bend"
    return DrivingLog.from_rows(row, frames, [], annotations, map_elements if with_map else ())


def handle(log_id: str) -> LogHandle:
    return LogHandle(log_id, "test", Path(), f"digest of {log_id}")


def read_log(named: LogHandle) -> DrivingLog:
    """The log of a handle; what it has is in its name."""
    return make_log(
        named.log_id, with_map="bare" not in named.log_id, tilt_rad=0.0 if "level" in named.log_id else 0.02
    )
