"""Which cameras see which boxes: the image box and the visible share of every box in every camera image of a log.

Cameras fire some milliseconds before or after the time of their frame. The ego's motion between the two is taken in where the
log has poses, since each capture has its own; that of the object is not, as in nuScenes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float, Int

from drive_vqa.errors import CalibrationError
from drive_vqa.geometry import SE3
from drive_vqa.schema import TABLES, pose_from_struct
from sensors.camera import OrientedBoxes, PinholeCamera, image_boxes, may_be_in_view
from sensors.lidar_occlusion import LidarReturns
from sensors.visibility import visible_fractions

MIN_BOX_PX = 2.0
"""A box whose part in the image is narrower or lower than this is not in view of that camera."""


@dataclass(frozen=True, eq=False)
class Views:
    """Boxes in the images that show their place, one entry a box and camera, sorted by box and camera.

    Attributes:
        row: index of the box.
        camera: the camera's name.
        box_px: (u0, v0, u1, v1) in its image.
        visible_fraction: in [0, 1]; 0 where others hide it wholly.
    """

    row: Int[np.ndarray, "m"]
    camera: np.ndarray
    box_px: Float[np.ndarray, "m 4"]
    visible_fraction: Float[np.ndarray, "m"]

    def seen(self) -> Views:
        """Without the views of boxes that are wholly hidden."""
        keep = self.visible_fraction > 0.0
        return Views(self.row[keep], self.camera[keep], self.box_px[keep], self.visible_fraction[keep])


def ego_poses(frames: pa.Table) -> dict[int, SE3] | None:
    """`global_SE3_ego` of every frame; None for a log without poses.

    Raises:
        CalibrationError: a pose is unusable, or only some frames have one.
    """
    structs = dict(zip(frames["frame"].to_pylist(), frames["global_SE3_ego"].to_pylist(), strict=True))
    if all(struct is None for struct in structs.values()):
        return None
    log_id = frames["log_id"][0].as_py()
    return {
        frame: read_pose(struct, f"log {log_id}, frame {frame}: the ego's pose") for frame, struct in structs.items()
    }


def read_pose(struct: Mapping[str, float] | None, where: str) -> SE3:
    """The transform of a `POSE` struct.

    Raises:
        CalibrationError: it is null or not a pose; names `where`.
    """
    if struct is None:
        raise CalibrationError(f"{where} is missing: ingest the log again")
    try:
        return pose_from_struct(struct)
    except (CalibrationError, TypeError) as error:
        raise CalibrationError(f"{where} is unusable, correct it in the source: {error}") from error


def camera_views(
    frame: Int[np.ndarray, "n"],
    ego_boxes: OrientedBoxes,
    global_SE3_ego: Mapping[int, SE3] | None,
    sensor_data: pa.Table,
    lidar: LidarReturns | None = None,
) -> Views:
    """Every box in every camera that has a part of it in its image.

    Args:
        frame: of each box, rising.
        ego_boxes: in the ego frame of their frames.
        global_SE3_ego: by frame; None: the ego counts as standing while the captures of a frame are taken.
        sensor_data: captures of the log; those of cameras whose image size is known are used.
        lidar: sweeps of the log, for what hides a box and has none itself; None: only boxes hide each other.

    Raises:
        CalibrationError: a camera or a pose is unusable.
    """
    captures = sensor_data.filter(_usable_cameras(sensor_data)).to_pylist()
    captures.sort(key=lambda capture: (capture["frame"], capture["sensor"]))  # each sweep is read once
    parts = [_of_capture(frame, ego_boxes, global_SE3_ego, capture, lidar) for capture in captures]
    empty = Views(np.empty(0, dtype=np.int64), np.empty(0, dtype=object), np.empty((0, 4)), np.empty(0))
    row, camera, box_px, visible_fraction = (
        np.concatenate([getattr(part, name) for part in [empty, *parts]])
        for name in ("row", "camera", "box_px", "visible_fraction")
    )
    order = np.lexsort((camera.astype(str), row))
    return Views(row[order], camera[order], box_px[order], visible_fraction[order])


def _of_capture(
    frame: Int[np.ndarray, "n"],
    ego_boxes: OrientedBoxes,
    global_SE3_ego: Mapping[int, SE3] | None,
    capture: Mapping[str, Any],
    lidar: LidarReturns | None,
) -> Views:
    camera = PinholeCamera.from_row(capture)
    start, end = np.searchsorted(frame, [capture["frame"], capture["frame"] + 1])
    row = np.arange(start, end)
    cam_boxes = ego_boxes.take(row)
    if len(row):
        cam_boxes = cam_boxes.moved(_camera_from_ego(camera, capture, global_SE3_ego))
    near = may_be_in_view(camera, cam_boxes)
    row, cam_boxes = row[near], cam_boxes.take(near)
    box_px = image_boxes(camera, cam_boxes)
    returns_m = lidar.in_camera(capture) if lidar is not None and len(row) else None
    fraction = visible_fractions(camera, cam_boxes, box_px, returns_m)
    shown = (box_px[:, 2:] - box_px[:, :2] >= MIN_BOX_PX).all(axis=1)
    return Views(row[shown], np.full(int(shown.sum()), camera.name, dtype=object), box_px[shown], fraction[shown])


def _camera_from_ego(
    camera: PinholeCamera, capture: Mapping[str, Any], global_SE3_ego: Mapping[int, SE3] | None
) -> SE3:
    """From the ego frame of the capture's frame to the camera at its own time."""
    if global_SE3_ego is None:
        return camera.ego_SE3_cam.inverse()
    where = f"log {capture['log_id']}, frame {capture['frame']}, camera {camera.name}: the ego's pose at capture"
    global_SE3_cam = read_pose(capture["global_SE3_ego"], where) @ camera.ego_SE3_cam
    return global_SE3_cam.inverse() @ global_SE3_ego[capture["frame"]]


def view_columns(views: Views, count: int, *, has_cameras: bool) -> dict[str, Any]:
    """The columns `in_view`, `occlusion` and `cameras` of the track table.

    Args:
        views: of its rows.
        count: of rows.
        has_cameras: whether the log has any; without, all is null or empty.
    """
    in_view = np.zeros(count, dtype=bool)
    in_view[views.row] = True
    greatest = np.full(count, -np.inf)
    np.maximum.at(greatest, views.row, views.visible_fraction)
    return {
        "in_view": in_view if has_cameras else None,
        "occlusion": np.where(np.isfinite(greatest), 1.0 - greatest, np.nan),
        "cameras": _camera_column(views.seen(), count),
    }


def has_cameras(sensor_data: pa.Table) -> bool:
    """Whether any capture is a camera's that boxes can be projected into."""
    return bool(pc.any(_usable_cameras(sensor_data)).as_py())


def _usable_cameras(sensor_data: pa.Table) -> pa.ChunkedArray:
    """Camera captures, but for calibrations without an image whose size is not known either."""
    sized = pc.or_(pc.is_valid(sensor_data["width"]), pc.is_valid(sensor_data["path"]))
    return pc.and_(pc.equal(sensor_data["modality"], "camera"), sized)


def _camera_column(views: Views, count: int) -> pa.Array:
    kind = TABLES["tracks"].field("cameras").type
    values = [views.camera, *views.box_px.T, views.visible_fraction]
    arrays = [pa.array(value, type=field.type) for value, field in zip(values, kind.value_type, strict=True)]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(views.row, minlength=count))]).astype(np.int32)
    entries = pa.StructArray.from_arrays(arrays, fields=list(kind.value_type))
    return pa.ListArray.from_arrays(pa.array(offsets), entries).cast(kind)
