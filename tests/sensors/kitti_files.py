"""Writes tiny KITTI tracking sequences in the real layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

FRAMES = 5
P2 = np.array([[700.0, 0.0, 600.0, 45.0], [0.0, 700.0, 170.0, 0.2], [0.0, 0.0, 1.0, 0.003]])
P3 = np.array([[700.0, 0.0, 600.0, -340.0], [0.0, 700.0, 170.0, 2.2], [0.0, 0.0, 1.0, 0.003]])
IMAGE_SIZE = (1242, 375)
LABEL = "{frame} {track} {kind} 0 {occluded} -1.5 296.7 161.7 455.2 292.3 2.0 1.8 4.4 {x} 1.8 13.4 {ry}\n"
START = (49.0, 8.4, 110.0)
SPEED_MPS = 10.0
"""Due north, nose ahead."""
YAW_RATE = 0.25


def matrix(rotation: np.ndarray, translation_m: tuple[float, float, float]) -> np.ndarray:
    """A homogeneous 4×4 matrix."""
    result = np.eye(4)
    result[:3, :3], result[:3, 3] = rotation, translation_m
    return result


CAM_OF_VELO = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
RECT = matrix(Rotation.from_euler("xyz", [0.02, -0.01, 0.015]).as_matrix(), (0, 0, 0))
VELO_TO_CAM = matrix(CAM_OF_VELO @ Rotation.from_euler("xyz", [0.01, 0.03, -0.02]).as_matrix(), (-0.01, -0.07, -0.27))
IMU_TO_VELO = matrix(Rotation.from_euler("xyz", [0.015, -0.002, 0.001]).as_matrix(), (-0.81, 0.32, -0.80))
RECT_FROM_EGO = RECT @ VELO_TO_CAM @ IMU_TO_VELO
"""rect_SE3_ego, from the matrices as KITTI's papers chain them."""


def calibration_text(spelling: str = "object", imu: bool = True) -> str:
    """`object`: keys of the object set; `tracking`: those of the tracking set, which has no colon after some."""
    keys = {
        "object": ("R0_rect:", "Tr_velo_to_cam:", "Tr_imu_to_velo:"),
        "tracking": ("R_rect", "Tr_velo_cam", "Tr_imu_velo"),
    }
    rect, velo, imu_key = keys[spelling]
    p0 = np.column_stack([P2[:, :3], np.zeros(3)])
    rows = {"P0:": p0, "P1:": p0, "P2:": P2, "P3:": P3, rect: RECT[:3, :3], velo: VELO_TO_CAM[:3]}
    if imu:
        rows[imu_key] = IMU_TO_VELO[:3]
    return "".join(f"{key} {' '.join(f'{value:.12e}' for value in row.ravel())}  \n" for key, row in rows.items())


def label(frame: int, track: int, kind: str = "Car", x: float = 2.0, ry: float = -1.4, occluded: int = 0) -> str:
    """A line of a label file."""
    return LABEL.format(frame=frame, track=track, kind=kind, x=x, ry=ry, occluded=occluded)


DONT_CARE = "{frame} -1 DontCare -1 -1 -10 219.3 188.4 245.5 218.5 -1000 -1000 -1000 -10 -1 -1 -1\n"


def oxts_row(frame: int) -> str:
    """GPS/IMU of a car that drives north, 1 m a frame, on a sphere."""
    latitude = START[0] + np.degrees(0.1 * SPEED_MPS * frame / 6_378_137.0)
    return (
        " ".join(
            str(value)
            for value in (
                latitude,
                START[1],
                START[2],
                0.02,
                -0.01,
                np.pi / 2,
                SPEED_MPS,
                *[0.0] * 15,
                YAW_RATE,
                *[0.0] * 7,
            )
        )
        + " \n"
    )


def detection(frame: int, kind: int = 2, x: float = -4.5, ry: float = -2.1, score: float = 8.25) -> str:
    """A row of a detection file."""
    return f"{frame},{kind},298.3,165.1,458.2,293.4,{score},1.9605,1.8137,4.7549,{x},1.8435,13.5308,{ry},-1.7867\n"


def put(path: Path, text: str) -> Path:
    """Write a file, its folders too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def write_sweep(path: Path, points: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    points.astype("<f4").tofile(path)
    return path


def write_sequence(root: Path, sequence: str = "0003") -> Path:
    """A sequence that has everything: labels, GPS/IMU, one image, sweeps of frames 0 and 3, detections."""
    training = root / "training"
    put(training / "calib" / f"{sequence}.txt", calibration_text())
    lines = [label(0, 7), label(0, 2, "Pedestrian", 5.0), DONT_CARE.format(frame=0), label(1, 7, "Car", 2.5)]
    put(training / "label_02" / f"{sequence}.txt", "".join(lines))
    put(training / "oxts" / f"{sequence}.txt", "".join(oxts_row(frame) for frame in range(FRAMES)))
    image = training / "image_02" / sequence / "000001.png"
    image.parent.mkdir(parents=True)
    Image.new("RGB", IMAGE_SIZE).save(image)
    for frame in (0, 3):
        write_sweep(training / "velodyne" / sequence / f"{frame:06d}.bin", sweep_points())
    put(root / "detections" / "pointrcnn_Car" / f"{sequence}.txt", detection(0) + detection(2, x=3.0))
    put(root / "detections" / "pointrcnn_Pedestrian" / f"{sequence}.txt", detection(0, 1, 6.0))
    return root


def sweep_points() -> np.ndarray:
    """Ten points inside the car of frame 0, on its long axis, and one far away; velodyne frame, with intensity."""
    forward = np.array([np.cos(-1.4), 0.0, -np.sin(-1.4)])
    rect = np.array([2.0, 1.8 - 1.0, 13.4]) + np.linspace(-2.1, 2.1, 10)[:, None] * forward
    rect = np.vstack([rect, [30.0, 0.0, 40.0]])
    velo = (np.linalg.inv(RECT @ VELO_TO_CAM) @ np.column_stack([rect, np.ones(len(rect))]).T).T[:, :3]
    return np.column_stack([velo, np.full(len(velo), 0.5)])
