"""The vehicle's sensors: where they sit, what they see and when they fire.

Poses follow the nuScenes vehicle: ego frame x forward, y left, z up, origin under the rear axle on the ground;
cameras x right, y down, z forward; the lidar x right, y forward; radars x forward, y left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from drive_vqa.geometry import SE3


@dataclass(frozen=True)
class Camera:
    """A pinhole without distortion.

    Attributes:
        ego_SE3_cam: x right, y down, z forward.
        delay_s: from the keyframe (lidar time) to its shutter; negative is before.
    """

    channel: str
    width_px: int
    height_px: int
    field_of_view_deg: float
    ego_SE3_cam: SE3
    delay_s: float

    @property
    def focal_px(self) -> float:
        """Same for both axes."""
        return float(0.5 * self.width_px / np.tan(np.radians(0.5 * self.field_of_view_deg)))

    @property
    def intrinsics(self) -> Float[np.ndarray, "3 3"]:
        """Pixels of the image; the principal point is its middle."""
        return np.array([[self.focal_px, 0, self.width_px / 2], [0, self.focal_px, self.height_px / 2], [0, 0, 1.0]])

    def pixel_centres(self) -> Float32[np.ndarray, "n 2"]:
        """All pixels, row by row."""
        u, v = np.meshgrid(np.arange(self.width_px) + 0.5, np.arange(self.height_px) + 0.5)
        return np.asarray(np.stack([u.ravel(), v.ravel()], axis=-1).astype(np.float32))

    def directions(self, uv_px: Float32[np.ndarray, "n 2"]) -> Float32[np.ndarray, "3 n"]:
        """Rays of depth 1 (their parameter is the depth) through image points, in the camera frame, as columns."""
        out = np.ones((3, len(uv_px)), dtype=np.float32)
        out[0] = (uv_px[:, 0] - np.float32(self.width_px / 2)) / np.float32(self.focal_px)
        out[1] = (uv_px[:, 1] - np.float32(self.height_px / 2)) / np.float32(self.focal_px)
        return out


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


def make_rig(width_px: int = 800, height_px: int = 450, azimuths: int = 1080) -> Rig:
    """The rig of the synthetic vehicle, with images and sweeps of the given size."""
    forward_SE3_cam = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    cameras = tuple(
        Camera(channel, width_px, height_px, fov, _mounted(bearing, (x, y, z), forward_SE3_cam), delay)
        for channel, fov, bearing, x, y, z, delay in _CAMERA_MOUNTS
    )
    radars = tuple(
        Radar(channel, _mounted(bearing, (x, y, z), np.eye(3)), delay, 60.0, 100.0)
        for channel, bearing, x, y, z, delay in _RADAR_MOUNTS
    )
    lidar = Lidar(
        "LIDAR_TOP", _mounted(-90.0, (0.94, 0.0, 1.84), np.eye(3)), np.linspace(-30.67, 10.67, 32), azimuths, 90.0, 0.02
    )
    return Rig(cameras, lidar, radars)


def _mounted(bearing_deg: float, xyz_m: tuple[float, float, float], base: Float[np.ndarray, "3 3"]) -> SE3:
    turned = SE3.from_yaw(float(np.radians(bearing_deg)), xyz_m)
    return SE3(turned.rotation @ base, turned.translation_m)
