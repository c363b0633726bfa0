"""The vehicle's sensors: where they sit, what they see and when they fire.

Poses follow the nuScenes vehicle: ego frame x forward, y left, z up, origin under the rear axle on the ground;
cameras x right, y down, z forward; the lidar x right, y forward; radars x forward, y left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32

from drive_vqa.errors import CalibrationError
from drive_vqa.geometry import SE3


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole without distortion.

    Attributes:
        intrinsics: pixels of the image, no skew; image points are continuous, the middle of the first pixel is (0.5, 0.5).
        ego_SE3_cam: x right, y down, z forward.
        delay_s: from the keyframe (lidar time) to its shutter; negative is before.

    Raises:
        CalibrationError: the image has no size, or the intrinsics are not of a pinhole without skew.
    """

    channel: str
    width_px: int
    height_px: int
    intrinsics: Float[np.ndarray, "3 3"]
    ego_SE3_cam: SE3
    delay_s: float

    def __post_init__(self) -> None:
        (f, skew, _), (below, g, _), last = self.intrinsics
        pinhole = np.isfinite(self.intrinsics).all() and skew == below == 0 and last.tolist() == [0, 0, 1]
        if not pinhole or min(f, g, self.width_px, self.height_px) <= 0:
            raise CalibrationError(
                f"camera {self.channel}: its image needs a size, and its intrinsics the form [[f, 0, c], [0, g, d], [0, 0, 1]]"
                " with f and g above 0: mend the calibration"
            )

    @property
    def focal_px(self) -> float:
        """Along u."""
        return float(self.intrinsics[0, 0])

    def pixel_centres(self) -> Float32[np.ndarray, "n 2"]:
        """All pixels, row by row."""
        u, v = np.meshgrid(np.arange(self.width_px) + 0.5, np.arange(self.height_px) + 0.5)
        return np.asarray(np.stack([u.ravel(), v.ravel()], axis=-1).astype(np.float32))

    def directions(self, uv_px: Float32[np.ndarray, "n 2"]) -> Float32[np.ndarray, "3 n"]:
        """Rays of depth 1 (their parameter is the depth) through image points, in the camera frame, as columns."""
        out = np.ones((3, len(uv_px)), dtype=np.float32)
        for axis in (0, 1):
            middle, focal = self.intrinsics[axis, 2], self.intrinsics[axis, axis]
            out[axis] = (uv_px[:, axis] - np.float32(middle)) / np.float32(focal)
        return out

    def project(self, cam_xyz_m: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 2"]:
        """Image points (px) of points before the camera."""
        focal, middle = self.intrinsics[[0, 1], [0, 1]], self.intrinsics[:2, 2]
        return np.asarray(cam_xyz_m[:, :2] / cam_xyz_m[:, 2:] * focal + middle)

    def resized(self, width_px: int) -> Camera:
        """The same view in an image of another width; the height follows, rounded to whole pixels, and so do the intrinsics."""
        height_px = max(round(self.height_px * width_px / self.width_px), 1)
        scale = np.diag([width_px / self.width_px, height_px / self.height_px, 1.0])
        return replace(self, width_px=width_px, height_px=height_px, intrinsics=scale @ self.intrinsics)


@dataclass(frozen=True)
class Lidar:
    """A spinning 32-beam scanner.

    Attributes:
        ego_SE3_lidar: x right, y forward.
        noise_m: standard deviation of a range.
    """

    channel: str
    ego_SE3_lidar: SE3
    elevation_deg: Float[np.ndarray, "b"]
    azimuths: int
    range_m: float
    noise_m: float


@dataclass(frozen=True)
class Radar:
    """A flat-fan Doppler radar.

    Attributes:
        ego_SE3_radar: x forward along the beam, y left.
        delay_s: as of a camera.
        half_width_deg: half of the fan.
    """

    channel: str
    ego_SE3_radar: SE3
    delay_s: float
    half_width_deg: float
    range_m: float


@dataclass(frozen=True)
class Rig:
    """All sensors of a vehicle."""

    cameras: tuple[Camera, ...]
    lidar: Lidar
    radars: tuple[Radar, ...]

    def with_cameras_at(self, height_m: float) -> Rig:
        """The same with all cameras raised or lowered together, so that the first is so high over the ground."""
        up_m = np.array([0.0, 0.0, height_m - self.cameras[0].ego_SE3_cam.translation_m[2]])
        poses = [camera.ego_SE3_cam for camera in self.cameras]
        raised = [SE3(pose.rotation, pose.translation_m + up_m) for pose in poses]
        cameras = [replace(camera, ego_SE3_cam=pose) for camera, pose in zip(self.cameras, raised, strict=True)]
        return replace(self, cameras=tuple(cameras))


RigName = Literal["full", "front"]
"""Six cameras, five radars and the lidar; the front camera and the lidar."""

SIZES: dict[RigName, tuple[int, int, int]] = {"full": (800, 450, 1080), "front": (336, 189, 120)}
"""Width and height of the images in pixels and lidar firings a turn, where nothing else is asked for."""

_CAMERA_MOUNTS: tuple[tuple[str, float, float, float, float, float, float], ...] = (
    ("CAM_FRONT", 70.0, 0.0, 1.70, 0.016, 1.51, -0.035),
    ("CAM_FRONT_RIGHT", 70.0, -55.0, 1.55, -0.493, 1.50, -0.027),
    ("CAM_BACK_RIGHT", 70.0, -110.0, 1.01, -0.481, 1.56, -0.019),
    ("CAM_BACK", 110.0, 180.0, 0.03, 0.003, 1.58, -0.010),
    ("CAM_BACK_LEFT", 70.0, 110.0, 1.04, 0.485, 1.59, -0.002),
    ("CAM_FRONT_LEFT", 70.0, 55.0, 1.52, 0.495, 1.51, -0.043),
)
"""Channel, field of view and bearing in degrees, position in the ego frame in metres, delay in seconds."""

_RADAR_MOUNTS: tuple[tuple[str, float, float, float, float, float], ...] = (
    ("RADAR_FRONT", 0.0, 3.41, 0.0, 0.50, -0.012),
    ("RADAR_FRONT_LEFT", 90.0, 2.42, 0.80, 0.78, -0.030),
    ("RADAR_FRONT_RIGHT", -90.0, 2.42, -0.80, 0.78, -0.021),
    ("RADAR_BACK_LEFT", 165.0, -0.56, 0.63, 0.53, -0.038),
    ("RADAR_BACK_RIGHT", -165.0, -0.56, -0.63, 0.53, -0.007),
)


def make_rig(width_px: int = 800, height_px: int = 450, azimuths: int = 1080, name: RigName = "full") -> Rig:
    """The rig of the synthetic vehicle, with images and sweeps of the given size."""
    forward_SE3_cam = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    cameras = tuple(
        Camera(
            channel,
            width_px,
            height_px,
            centred_intrinsics(width_px, height_px, fov),
            _mounted(bearing, (x, y, z), forward_SE3_cam),
            delay,
        )
        for channel, fov, bearing, x, y, z, delay in _CAMERA_MOUNTS
    )
    radars = tuple(
        Radar(channel, _mounted(bearing, (x, y, z), np.eye(3)), delay, 60.0, 100.0)
        for channel, bearing, x, y, z, delay in _RADAR_MOUNTS
    )
    lidar = Lidar(
        "LIDAR_TOP", _mounted(-90.0, (0.94, 0.0, 1.84), np.eye(3)), np.linspace(-30.67, 10.67, 32), azimuths, 90.0, 0.02
    )
    return Rig(cameras, lidar, radars) if name == "full" else Rig(cameras[:1], lidar, ())


def centred_intrinsics(width_px: int, height_px: int, field_of_view_deg: float) -> Float[np.ndarray, "3 3"]:
    """Of an ideal lens: square pixels, the principal point in the middle; the field of view is that of the width."""
    focal_px = float(0.5 * width_px / np.tan(np.radians(0.5 * field_of_view_deg)))
    return np.array([[focal_px, 0, width_px / 2], [0, focal_px, height_px / 2], [0, 0, 1.0]])


def _mounted(bearing_deg: float, xyz_m: tuple[float, float, float], base: Float[np.ndarray, "3 3"]) -> SE3:
    turned = SE3.from_yaw(float(np.radians(bearing_deg)), xyz_m)
    return SE3(turned.rotation @ base, turned.translation_m)
