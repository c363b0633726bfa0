"""Pinhole cameras, and where oriented 3D boxes lie in their images.

What a camera sees of a box is the intersection of two convex bodies, the box and the view frustum. Its extreme points are
ends of edges of the one clipped by the other, so both sets of edges are clipped (Cyrus-Beck against planes, slabs against
boxes) and projected. That is exact at the image border and for boxes that reach behind the camera, where dividing by depth
would turn corners upside down.

Camera frame: x right, y down, z forward, metres. Image: u right and v down in pixels, from 0 to the width and height.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from drive_vqa.boxes import CORNER_SIGNS, EDGES
from drive_vqa.errors import CalibrationError
from drive_vqa.geometry import SE3
from drive_vqa.schema import pose_from_struct

NEAR_M = 0.1
"""Depth of the near plane: nothing closer to a camera is in its image."""
FAR_M = 1e6
EDGE_START, EDGE_END = (np.array(ends) for ends in zip(*EDGES, strict=True))


@dataclass(frozen=True, eq=False)
class PinholeCamera:
    """A camera without lens distortion.

    Attributes:
        name: the sensor's name.
        intrinsics: 3×3 camera matrix, pixels.
        width: of the image, pixels.
        height: of the image, pixels.
        ego_SE3_cam: where the camera is mounted.
        distortion: coefficients of the lens; only rectified images (empty, or all 0) are supported.

    Raises:
        CalibrationError: a value is missing or unusable, or the images are not rectified.
    """

    name: str
    intrinsics: Float[np.ndarray, "3 3"]
    width: int
    height: int
    ego_SE3_cam: SE3
    distortion: tuple[float, ...] = field(default=())

    def __post_init__(self) -> None:
        intrinsics = np.array(self.intrinsics, dtype=np.float64)
        if intrinsics.shape != (3, 3) or not np.isfinite(intrinsics).all():
            raise CalibrationError("intrinsics must be 3×3 finite numbers")
        if min(intrinsics[0, 0], intrinsics[1, 1]) <= 0 or np.any(
            np.delete(intrinsics.ravel(), [0, 1, 2, 4, 5]) != [0, 0, 0, 1]
        ):
            raise CalibrationError("intrinsics must read [f s c; 0 f c; 0 0 1] with f > 0")
        if min(self.width, self.height) <= 0:
            raise CalibrationError(f"image size {self.width}×{self.height} must be positive")
        if any(coefficient != 0.0 for coefficient in self.distortion):
            raise CalibrationError(
                f"camera {self.name}: distorted images are not supported, rectify them before ingest"
            )
        intrinsics.setflags(write=False)
        object.__setattr__(self, "intrinsics", intrinsics)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> PinholeCamera:
        """The camera of a `sensor_data` row.

        Raises:
            CalibrationError: the row lacks what a camera needs, or holds what cannot be used; names log and camera.
        """
        where = f"log {row['log_id']}, frame {row['frame']}, camera {row['sensor']}"
        missing = [key for key in ("width", "height", "intrinsics", "ego_SE3_sensor") if row[key] is None]
        if missing:
            raise CalibrationError(f"{where}: no {missing[0]} is given, correct it in the source")
        try:
            return cls(
                name=row["sensor"],
                intrinsics=np.array(row["intrinsics"], dtype=np.float64).reshape(3, 3),
                width=row["width"],
                height=row["height"],
                ego_SE3_cam=pose_from_struct(row["ego_SE3_sensor"]),
                distortion=tuple(row["distortion"] or ()),
            )
        except CalibrationError as error:
            raise CalibrationError(f"{where}: {error}") from error

    def project(
        self, cam_xyz_m: Float[np.ndarray, "*n 3"]
    ) -> tuple[Float[np.ndarray, "*n 2"], Float[np.ndarray, "*n"]]:
        """Image positions of points in the camera frame.

        Returns:
            uv_px: pixels, also outside the image; NaN where the point is not in front of the camera.
            depth_m: along the optical axis.
        """
        image = np.einsum("ij,...j->...i", self.intrinsics, cam_xyz_m)
        depth_m = np.asarray(image[..., 2])
        with np.errstate(divide="ignore", invalid="ignore"):
            uv_px = np.where(depth_m[..., None] > 0.0, image[..., :2] / depth_m[..., None], np.nan)
        return uv_px, depth_m

    @property
    def frustum(self) -> tuple[Float[np.ndarray, "5 3"], Float[np.ndarray, "5"]]:
        """Planes (a, b) of the view: a point in the camera frame is in view where a·x + b ≥ 0 for left, right, top, bottom, near.

        A pixel u = k·x / z lies in [0, width] where k·x ≥ 0 and width·z - k·x ≥ 0, which needs no division.
        """
        u, v, z = self.intrinsics
        normals = np.stack([u, self.width * z - u, v, self.height * z - v, z])
        lengths = np.linalg.norm(normals, axis=1)
        return normals / lengths[:, None], np.array([0.0, 0.0, 0.0, 0.0, -NEAR_M])

    def in_view(self, cam_xyz_m: Float[np.ndarray, "*n 3"]) -> Bool[np.ndarray, "*n"]:
        """Which points in the camera frame lie in the image and beyond the near plane."""
        normals, offsets = self.frustum
        values = np.einsum("pj,...j->...p", normals, cam_xyz_m) + offsets
        return np.asarray((values >= 0.0).all(axis=-1))


@dataclass(frozen=True, eq=False)
class OrientedBoxes:
    """Boxes with a full 3D orientation, all in one frame.

    Attributes:
        centre_m: box centres.
        rotation: frame_R_box of each box; its columns are the box's forward, left and up.
        half_m: half length, width and height.
    """

    centre_m: Float[np.ndarray, "n 3"]
    rotation: Float[np.ndarray, "n 3 3"]
    half_m: Float[np.ndarray, "n 3"]

    @property
    def radius_m(self) -> Float[np.ndarray, "n"]:
        """From the centre to a corner."""
        return np.asarray(np.linalg.norm(self.half_m, axis=1))

    def corners(self) -> Float[np.ndarray, "n 8 3"]:
        """The eight corners, in the order of `drive_vqa.boxes.CORNER_SIGNS`."""
        local = CORNER_SIGNS[None] * self.half_m[:, None]
        return np.asarray(np.einsum("nij,nkj->nki", self.rotation, local) + self.centre_m[:, None])

    def take(self, index: Int[np.ndarray, "m"] | Bool[np.ndarray, "n"]) -> OrientedBoxes:
        """Some of the boxes."""
        return OrientedBoxes(self.centre_m[index], self.rotation[index], self.half_m[index])

    def moved(self, dst_SE3_src: SE3) -> OrientedBoxes:
        """The same boxes in another frame; einsum, so that bytes do not depend on the threads of a BLAS."""
        centre_m = np.einsum("ij,nj->ni", dst_SE3_src.rotation, self.centre_m) + dst_SE3_src.translation_m
        return OrientedBoxes(centre_m, np.einsum("ij,njk->nik", dst_SE3_src.rotation, self.rotation), self.half_m)

    def local(self, points_m: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "n k 3"]:
        """Points in each box's own axes, from its centre."""
        return np.asarray(np.einsum("nij,nki->nkj", self.rotation, points_m[None] - self.centre_m[:, None]))


def may_be_in_view(camera: PinholeCamera, cam_boxes: OrientedBoxes) -> Bool[np.ndarray, "n"]:
    """Which boxes' bounding spheres touch the view: a quick test that drops no box in view."""
    normals, offsets = camera.frustum
    distance_m = np.einsum("pj,nj->np", normals, cam_boxes.centre_m) + offsets
    return np.asarray((distance_m >= -cam_boxes.radius_m[:, None]).all(axis=1))


def image_boxes(camera: PinholeCamera, cam_boxes: OrientedBoxes) -> Float[np.ndarray, "n 4"]:
    """The smallest image boxes around what of 3D boxes is in view, whether hidden by others or not.

    Args:
        camera: whose image.
        cam_boxes: in that camera's frame.

    Returns:
        Rows (u0_px, v0_px, u1_px, v1_px), within the image; NaN where nothing of the box is in view.
    """
    points_m = np.concatenate([_box_edges_in_view(camera, cam_boxes), _view_edges_in_box(camera, cam_boxes)], axis=1)
    if not len(points_m):
        return np.empty((0, 4))
    uv_px, _ = camera.project(points_m)
    uv_px = np.clip(uv_px, 0.0, [camera.width, camera.height])  # NaN stays NaN
    low = np.where(np.isnan(uv_px), np.inf, uv_px).min(axis=1)
    high = np.where(np.isnan(uv_px), -np.inf, uv_px).max(axis=1)
    boxes = np.concatenate([low, high], axis=1)
    return np.where((low <= high).all(axis=1)[:, None], boxes, np.nan)


def _box_edges_in_view(camera: PinholeCamera, cam_boxes: OrientedBoxes) -> Float[np.ndarray, "n 24 3"]:
    """Ends of the twelve edges after clipping them to the view; NaN where an edge is out of view."""
    normals, offsets = camera.frustum
    corners_m = cam_boxes.corners()
    values = np.einsum("pj,nkj->nkp", normals, corners_m) + offsets
    start, end = values[:, EDGE_START], values[:, EDGE_END]
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = start / (start - end)
    enter = np.where((start < 0) & (end >= 0), crossing, 0.0).max(axis=-1)
    leave = np.where((start >= 0) & (end < 0), crossing, 1.0).min(axis=-1)
    out = ((start < 0) & (end < 0)).any(axis=-1) | (enter > leave)
    along_m = corners_m[:, EDGE_END] - corners_m[:, EDGE_START]
    first = corners_m[:, EDGE_START] + enter[..., None] * along_m
    last = np.where(
        (leave == 1.0)[..., None], corners_m[:, EDGE_END], corners_m[:, EDGE_START] + leave[..., None] * along_m
    )
    ends = np.concatenate([first, last], axis=1)
    return np.where(np.concatenate([out, out], axis=1)[..., None], np.nan, ends)


def _view_edges_in_box(camera: PinholeCamera, cam_boxes: OrientedBoxes) -> Float[np.ndarray, "n 16 3"]:
    """Ends of the view's edges (four rays through the image's corners, four sides at the near plane) clipped to each box."""
    corners_px = np.array([[0, 0, 1], [camera.width, 0, 1], [camera.width, camera.height, 1], [0, camera.height, 1]])
    rays = np.linalg.solve(camera.intrinsics, corners_px.T.astype(np.float64)).T
    near_m = NEAR_M * rays
    start_m = np.concatenate([near_m, near_m])
    end_m = np.concatenate([FAR_M * rays, np.roll(near_m, -1, axis=0)])
    local_start = cam_boxes.local(start_m)
    enter, leave = slab_crossings(local_start, cam_boxes.local(end_m) - local_start, cam_boxes.half_m[:, None])
    enter, leave = np.maximum(enter, 0.0), np.minimum(leave, 1.0)
    along_m = (end_m - start_m)[None]
    ends = np.concatenate([start_m + enter[..., None] * along_m, start_m + leave[..., None] * along_m], axis=1)
    out = enter > leave
    return np.where(np.concatenate([out, out], axis=1)[..., None], np.nan, ends)


def slab_crossings(
    start_m: Float[np.ndarray, "*#n 3"], along_m: Float[np.ndarray, "*n 3"], half_m: Float[np.ndarray, "*#n 3"]
) -> tuple[Float[np.ndarray, "*n"], Float[np.ndarray, "*n"]]:
    """Where lines enter and leave boxes that are centred on the origin and aligned with the axes.

    Returns:
        Fractions of `along_m`; the line misses the box where the first is greater than the second.
    """
    enter, leave = np.full(along_m.shape[:-1], -np.inf), np.full(along_m.shape[:-1], np.inf)
    for axis in range(3):  # several times faster than reducing over a last axis of length 3
        along = np.where(np.abs(along_m[..., axis]) < 1e-12, 1e-12, along_m[..., axis])  # parallel: crosses far away
        middle, reach = -start_m[..., axis] / along, half_m[..., axis] / np.abs(along)
        np.maximum(enter, middle - reach, out=enter)
        np.minimum(leave, middle + reach, out=leave)
    return enter, leave
