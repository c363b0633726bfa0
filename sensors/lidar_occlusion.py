"""What lidar says of the points of a box that a camera looks at: covered by something without a box, or open to view.

Walls, trees and unlabelled things hide objects, and a box hides more than the object in it: one sees past the bonnet of a car
and between the wheels of a bicycle. A lidar return is a piece of surface whose place is known, so seen from the camera it
covers what lies behind it, wherever the lidar stands. Each point of a box is judged by the returns nearest to it in the image:

    covered  most of them lie clearly before the point, above the foot of the box, and in no box
    open     the nearest one lies on the box or behind the point, and none of them on another box before it

The second rule asks all neighbours because of parallax: the lidar, higher up, hits things behind a car that the camera does not
see, but it also hits that car. Returns from close to the camera (the ego itself) count for nothing, and neither rule is used for
a box that fewer than two returns have been near: there boxes alone decide.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree

from drive_vqa.errors import LogFormatError, StoreError
from drive_vqa.schema import pose_from_struct
from drive_vqa.store import Store
from sensors.camera import OrientedBoxes, PinholeCamera, slab_crossings

logger = logging.getLogger(__name__)

NEIGHBOURS = 3
REACH_RAD = np.radians(0.8)
"""Returns further than this from a point, seen from the camera, say nothing of it: 32 beams over 41° are 1.3° apart."""
CLEAR_M = 0.5
"""A return closer than this to a point's distance is not before it: labels are not tight, poses and times not exact."""
LABEL_SLACK_M = 0.15
"""Returns this near to a box belong to it."""
FOOT_M = 0.3
"""Returns lower than this above the foot of a box are taken for the road that it stands on."""
NEAREST_M = 2.0
LEAST_RETURNS = 2


@dataclass(frozen=True, eq=False)
class LidarEvidence:
    """What lidar says of points on boxes.

    Attributes:
        covered: something that has no box lies before the point.
        open: nothing that lidar hits lies before the point.
    """

    covered: Bool[np.ndarray, "n k"]
    open: Bool[np.ndarray, "n k"]


def lidar_evidence(
    camera: PinholeCamera,
    cam_boxes: OrientedBoxes,
    points_m: Float[np.ndarray, "n k 3"],
    cam_returns_m: Float[np.ndarray, "r 3"],
) -> LidarEvidence:
    """Judge points on the surfaces of boxes; all in the camera's frame at its own time.

    Args:
        camera: that looks.
        cam_boxes: all that touch its view.
        points_m: k points on each of them.
        cam_returns_m: of the lidar.
    """
    nothing = np.zeros(points_m.shape[:2], dtype=bool)
    returns_m = cam_returns_m[cam_returns_m[:, 2] > NEAREST_M]
    returns_m = returns_m[camera.in_view(returns_m)]
    if not len(returns_m) or not nothing.size:
        return LidarEvidence(nothing, nothing)
    nearest, found = _nearest(points_m, returns_m)
    local_m = np.einsum("nij,nkli->nklj", cam_boxes.rotation, returns_m[nearest] - cam_boxes.centre_m[:, None, None])
    half_m = cam_boxes.half_m[:, None, None]
    own = (np.abs(local_m) <= half_m + LABEL_SLACK_M).all(axis=-1)
    labelled = _in_any_box(cam_boxes, returns_m)[nearest]
    depth_m, return_depth_m = np.linalg.norm(points_m, axis=-1)[..., None], np.linalg.norm(returns_m, axis=1)[nearest]
    before = found & (return_depth_m < depth_m - CLEAR_M)
    free = before & ~labelled & (local_m[..., 2] + half_m[..., 2] > FOOT_M)
    other_box = found & labelled & ~own & (return_depth_m < depth_m)
    enough = (_crossing_count(cam_boxes, nearest, found, local_m) >= LEAST_RETURNS)[:, None]
    covered = 2 * free.sum(axis=-1) > NEIGHBOURS
    open_view = found[..., 0] & ~before[..., 0] & ~other_box.any(axis=-1)
    return LidarEvidence(covered & enough, open_view & enough)


def _nearest(
    points_m: Float[np.ndarray, "n k 3"], returns_m: Float[np.ndarray, "r 3"]
) -> tuple[Int[np.ndarray, "n k m"], Bool[np.ndarray, "n k m"]]:
    """The returns nearest to each point as the camera sees them, nearest first, and whether each is near enough to count."""
    rays = points_m / np.maximum(np.linalg.norm(points_m, axis=-1, keepdims=True), 1e-9)
    tree = cKDTree(returns_m / np.linalg.norm(returns_m, axis=1, keepdims=True))
    _, index = tree.query(rays, k=NEIGHBOURS, distance_upper_bound=REACH_RAD)
    found = index < len(returns_m)
    return np.where(found, index, 0), found


def _in_any_box(cam_boxes: OrientedBoxes, returns_m: Float[np.ndarray, "r 3"]) -> Bool[np.ndarray, "r"]:
    inside = np.zeros(len(returns_m), dtype=bool)
    around = cKDTree(returns_m).query_ball_point(cam_boxes.centre_m, cam_boxes.radius_m + 2.0 * LABEL_SLACK_M)
    for box, near in enumerate(around):
        local_m = (returns_m[near] - cam_boxes.centre_m[box]) @ cam_boxes.rotation[box]
        inside[near] |= (np.abs(local_m) <= cam_boxes.half_m[box] + LABEL_SLACK_M).all(axis=1)
    return inside


def _crossing_count(
    cam_boxes: OrientedBoxes,
    nearest: Int[np.ndarray, "n k m"],
    found: Bool[np.ndarray, "n k m"],
    local_m: Float[np.ndarray, "n k m 3"],
) -> Int[np.ndarray, "n"]:
    """How many different returns the camera sees within the outline of each box."""
    camera_local_m = cam_boxes.local(np.zeros((1, 3)))[:, :, None]
    enter, leave = slab_crossings(camera_local_m, local_m - camera_local_m, cam_boxes.half_m[:, None, None])
    within = found & (enter < leave) & (leave > 0.0)
    index = np.sort(np.where(within, nearest, -1).reshape(len(nearest), -1), axis=1)
    fresh = np.concatenate([np.ones((len(index), 1), dtype=bool), index[:, 1:] != index[:, :-1]], axis=1)
    return np.asarray((fresh & (index >= 0)).sum(axis=1))


@dataclass(eq=False)
class LidarReturns:
    """The lidar of a log as its cameras see it.

    Attributes:
        store: that the log is in.
        log_id: its name.
        source_format: where the log came from; one without a lidar loader has no returns.
    """

    store: Store
    log_id: str
    source_format: str = field(init=False)
    _rows: dict[int, list[dict[str, Any]]] = field(init=False, default_factory=dict)
    _loaded: tuple[int, Float[np.ndarray, "r 3"] | None] = field(init=False, default=(-1, None))

    def __post_init__(self) -> None:
        self.source_format = str(self.store.read("logs", self.log_id)["source_format"][0].as_py())
        for row in self.store.read("sensor_data", self.log_id).to_pylist():
            if row["modality"] == "lidar" and row["path"] is not None:
                self._rows.setdefault(row["frame"], []).append(row)

    def in_camera(self, capture: Mapping[str, Any]) -> Float[np.ndarray, "r 3"] | None:
        """Returns of the frame's sweeps in the frame of a camera at its own time, metres; None where there is no sweep.

        A file that is missing or damaged counts as absent: lidar only betters what boxes say. The last frame is kept, so ask
        for the cameras of a frame one after the other.

        Args:
            capture: row of a camera in `sensor_data`.

        Raises:
            CalibrationError: a pose is unusable.
        """
        frame = int(capture["frame"])
        if self._loaded[0] != frame:
            self._loaded = (frame, self._load(frame))
        world_m = self._loaded[1]
        if world_m is None:
            return None
        world_SE3_cam = pose_from_struct(capture["ego_SE3_sensor"])
        if capture["global_SE3_ego"] is not None:
            world_SE3_cam = pose_from_struct(capture["global_SE3_ego"]) @ world_SE3_cam
        return np.asarray(np.einsum("ji,nj->ni", world_SE3_cam.rotation, world_m - world_SE3_cam.translation_m))

    def _load(self, frame: int) -> Float[np.ndarray, "r 3"] | None:
        """Of all sweeps of a frame, in the global frame, or without poses in the ego frame."""
        from sensors.detection.sweeps import LIDAR_LOADERS, load_sweep

        parts = []
        for row in self._rows.get(frame, []) if self.source_format in LIDAR_LOADERS else ():
            pose = None if row["global_SE3_ego"] is None else pose_from_struct(row["global_SE3_ego"])
            try:
                path = self.store.media_path(self.log_id, row["path"])
                ego_m = load_sweep(self.source_format, path, pose_from_struct(row["ego_SE3_sensor"]), pose)
            except (LogFormatError, StoreError, OSError) as error:
                logger.warning("log %s, frame %d: no lidar for visibility: %s", self.log_id, frame, error)
                continue
            parts.append(ego_m if pose is None else np.einsum("ij,nj->ni", pose.rotation, ego_m) + pose.translation_m)
        return np.concatenate(parts) if parts else None
