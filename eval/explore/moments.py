"""One moment of a log: each camera with the boxes of the tracks, the tracks from above, and the map around.

Corners of boxes are told in the frame of the camera at its time of capture, see `eval.report.overlays.project_box`; the page cuts
them off before the camera and multiplies with the intrinsics. Where lens distortion is left in the images, only the stored
image boxes are told.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow.compute as pc

from drive_vqa.errors import CalibrationError
from drive_vqa.geometry import SE3, bearing_deg
from drive_vqa.prompt import camera_words
from drive_vqa.schema import IMAGE_BOX, pose_from_struct
from drive_vqa.store import Store
from eval.explore.drives import KEPT, Drive, Row, open_drive, stamp
from eval.report.overlays import AHEAD_DEG, kind, project_box

MAP_M = 80.0
"""Elements of the map with a point nearer than this are told."""

BOX_FIELDS = ("x_m", "y_m", "z_m", "length_m", "width_m", "height_m", "yaw_rad")
TRACK_FIELDS = (
    "x_m", "y_m", "length_m", "width_m", "height_m", "yaw_rad", "vx_mps", "vy_mps", "speed_mps", "attribute", "occlusion",
    "source", "score", "observed", "lidar_points", "radar_points",
)  # fmt: skip


def moment(store: Store, log_id: str, frame: int) -> Row:
    """Everything to be drawn of one frame.

    Raises:
        StoreError: there is no such log or frame.
    """
    drive = open_drive(store, log_id)
    row = drive.frame(frame)
    pose = row["global_SE3_ego"]
    global_SE3_ego = None if pose is None else pose_from_struct(pose)
    tracks = drive.tracks_at(frame)
    cameras = [_camera(capture, tracks, global_SE3_ego) for capture in drive.captures(frame)]
    return {
        "log": log_id,
        "frame": frame,
        "ego": {name: row[name] for name in ("speed_mps", "accel_mps2", "yaw_rate_radps")},
        "cameras": sorted(cameras, key=_place),
        "tracks": [_track(track) for track in tracks],
        "map": [] if global_SE3_ego is None else _map_around(store, drive, global_SE3_ego),
    }


def _place(camera: Row) -> tuple[bool, float, str]:
    """Cameras that look ahead from left to right, then the others from left round the back to right."""
    turned_deg = camera["bearing_deg"]
    if camera["ahead"]:
        return False, -turned_deg, camera["camera"]
    return True, turned_deg % 360.0, camera["camera"]


def _camera(capture: Row, tracks: list[Row], global_SE3_ego: SE3 | None) -> Row:
    mounted = capture["ego_SE3_sensor"]
    axis_deg = 0.0 if mounted is None else float(bearing_deg(*pose_from_struct(mounted).rotation[:2, 2]))
    boxes = [_box(track, capture, global_SE3_ego) for track in tracks]
    return {
        "camera": capture["sensor"],
        "title": camera_words(capture["sensor"]),
        "bearing_deg": axis_deg,
        "ahead": abs(axis_deg) < AHEAD_DEG,
        "has_image": capture["path"] is not None,
        "width": capture["width"],
        "height": capture["height"],
        "intrinsics": capture["intrinsics"],
        "distorted": bool(capture["distortion"]),
        "boxes": [box for box in boxes if box is not None],
    }


def _box(track: Row, capture: Row, global_SE3_ego: SE3 | None) -> Row | None:
    """The image box of a track in a camera, and its corners in space; None where the camera does not see it."""
    seen = next((seen for seen in track["cameras"] or [] if seen["camera"] == capture["sensor"]), None)
    if seen is None:
        return None
    box_px = [seen[name] for name, _ in IMAGE_BOX]
    corners = None
    if _has_geometry(track, capture) and global_SE3_ego is not None:
        corners = _corners_cam_m(track, capture, global_SE3_ego)
    return {
        "track": track["track_id"],
        "box_px": box_px,
        "visible": seen["visible_fraction"],
        "corners_cam_m": corners,
    }


def _has_geometry(track: Row, capture: Row) -> bool:
    poses = capture["global_SE3_ego"] is not None and capture["ego_SE3_sensor"] is not None
    calibrated = poses and capture["intrinsics"] and not capture["distortion"]
    return bool(calibrated and all(track[name] is not None for name in BOX_FIELDS))


def _corners_cam_m(track: Row, capture: Row, global_SE3_ego: SE3) -> list[list[float]] | None:
    try:
        corners: list[list[float]] = project_box(track, capture, global_SE3_ego).tolist()
    except CalibrationError:
        return None
    return corners


def _track(track: Mapping[str, Any]) -> Row:
    category = track["category"] or "other"
    told = {"track": track["track_id"], "category": category, "kind": kind(category)}
    place = {"distance_m": float(np.hypot(track["x_m"], track["y_m"]))}
    place["bearing_deg"] = float(bearing_deg(track["x_m"], track["y_m"]))
    return {**told, **place, **{name: track[name] for name in TRACK_FIELDS}}


def _map_around(store: Store, drive: Drive, global_SE3_ego: SE3) -> list[Row]:
    """Lines and areas near the ego, in its frame."""
    if not store.path("map_elements", drive.log_id).exists():
        return []
    kinds, closed, starts, points_m = _map_points(store, drive.log_id, stamp(store, drive.log_id))
    height_m = np.array([0.0, 0.0, global_SE3_ego.translation_m[2]])
    level_m = points_m + height_m  # maps are flat: take them at the height of the ego
    ego_m = (global_SE3_ego.inverse() @ level_m)[:, :2]
    near = np.hypot(ego_m[:, 0], ego_m[:, 1]) < MAP_M
    found = []
    for kind_of_map, is_closed, start, end in zip(kinds, closed, starts[:-1], starts[1:], strict=True):
        if near[start:end].any():
            line = {"kind": kind_of_map, "closed": is_closed, "points_m": ego_m[start:end].round(2).tolist()}
            found.append(line)
    return found


@lru_cache(maxsize=KEPT)
def _map_points(
    store: Store, log_id: str, _stamp: tuple[int, ...]
) -> tuple[list[str], list[bool], np.ndarray, np.ndarray]:
    """Kind and whether closed of each element, where its points start, and all points in the global frame, metres, z = 0."""
    table = store.read("map_elements", log_id, ["kind", "closed", "x_m", "y_m"]).combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(table["x_m"]), 0).to_numpy()
    x_m, y_m = (pc.list_flatten(table[name]).to_numpy() for name in ("x_m", "y_m"))
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return table["kind"].to_pylist(), table["closed"].to_pylist(), starts, np.stack([x_m, y_m, 0.0 * x_m], axis=1)
