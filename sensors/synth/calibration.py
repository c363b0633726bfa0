"""The rig of a real vehicle, from a JSON file:

    {"timestamp_s": 1532402927.647951,
     "lidar": {"name": "LIDAR_TOP", "ego_SE3_lidar": [[...], ...]},
     "cameras": [{"name": "CAM_FRONT", "width": 1600, "height": 900, "intrinsics": [[f, 0, c], [0, g, d], [0, 0, 1]],
                  "ego_SE3_cam": [[...], ...], "timestamp_s": 1532402927.61246}, ...]}

Matrices are 4x4 row-major, `A_SE3_B` takes a point of B to A; ego x forward, y left, z up; cameras x right, y down, z forward;
the lidar x right, y forward. `timestamp_s` of a camera less that of the file is how long after the lidar its shutter opens; where
either is missing they fire together. Other keys are ignored. The radars, and the lidar's beams, are those of the default rig.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from drive_vqa.errors import CalibrationError
from drive_vqa.geometry import SE3
from sensors.synth.rig import Camera, Rig, make_rig

_MOST_BYTES = 10_000_000
_MOST_PIXELS = 50_000_000
_MOST_DELAY_S = 0.25


def read_rig(path: Path, width_px: int | None = None, azimuths: int = 1080) -> Rig:
    """The sensors that a calibration file describes.

    Args:
        path: of the JSON file.
        width_px: of all images; heights and intrinsics follow. None: as in the file.
        azimuths: lidar firings a turn.

    Raises:
        CalibrationError: the file is missing, or a value is missing, not finite or out of range; the message names it.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise CalibrationError(f"{path} is greater than 10 MB: give a calibration file")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CalibrationError(f"{path} cannot be read as JSON ({error}): give a calibration file") from error
    if not isinstance(content, dict) or not isinstance(content.get("cameras"), list) or not content["cameras"]:
        raise CalibrationError(f"{path} has no list 'cameras': give a calibration file")
    cameras = tuple(_camera(path, row, content.get("timestamp_s")) for row in content["cameras"])
    names = [camera.channel for camera in cameras]
    if len(set(names)) < len(names):
        raise CalibrationError(f"{path}: two cameras have one name: rename one of them")
    rig = make_rig(azimuths=azimuths)
    lidar = content.get("lidar")
    if isinstance(lidar, dict):
        ego_SE3_lidar = _pose(f"{path}, lidar", lidar.get("ego_SE3_lidar"))
        rig = replace(rig, lidar=replace(rig.lidar, ego_SE3_lidar=ego_SE3_lidar))
    return replace(rig, cameras=cameras if width_px is None else tuple(one.resized(width_px) for one in cameras))


def _camera(path: Path, row: Any, timestamp_s: Any) -> Camera:
    if not isinstance(row, dict) or not isinstance(row.get("name"), str) or not row["name"].replace("_", "").isalnum():
        raise CalibrationError(f"{path}: a camera has no 'name' of letters, digits and '_': mend that record")
    where = f"{path}, camera {row['name']}"
    width_px: Any = row.get("width")
    height_px: Any = row.get("height")
    whole = isinstance(width_px, int) and isinstance(height_px, int)
    if not whole or min(width_px, height_px) <= 0 or width_px * height_px > _MOST_PIXELS:
        raise CalibrationError(
            f"{where}: 'width' and 'height' must be whole numbers above 0 and below 50 million pixels: mend that record"
        )
    delay_s = 0.0
    if timestamp_s is not None and row.get("timestamp_s") is not None:
        delay_s = float(_numbers(where, "timestamp_s", [row["timestamp_s"], timestamp_s], (2,)) @ [1.0, -1.0])
    if abs(delay_s) > _MOST_DELAY_S:
        raise CalibrationError(f"{where}: it fires {delay_s:.3f} s after the lidar, 0.25 s at most: mend 'timestamp_s'")
    intrinsics = _numbers(where, "intrinsics", row.get("intrinsics"), (3, 3))
    return Camera(row["name"], width_px, height_px, intrinsics, _pose(where, row.get("ego_SE3_cam")), delay_s)


def _pose(where: str, values: Any) -> SE3:
    """A matrix of rounded numbers, with its rotation made exact."""
    matrix = _numbers(where, "ego_SE3_...", values, (4, 4))
    rotation = matrix[:3, :3]
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3) or np.linalg.det(rotation) < 0:
        raise CalibrationError(f"{where}: its pose is not a rotation and a translation: mend that matrix")
    return SE3(Rotation.from_matrix(rotation).as_matrix(), matrix[:3, 3])


def _numbers(where: str, name: str, values: Any, shape: tuple[int, ...]) -> Float[np.ndarray, "..."]:
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise CalibrationError(f"{where}: {name!r} is not made of numbers: mend that record") from error
    if numbers.shape != shape or not np.isfinite(numbers).all():
        raise CalibrationError(f"{where}: {name!r} must have shape {shape} and finite numbers: mend that record")
    return numbers
