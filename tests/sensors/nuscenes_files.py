"""A tiny hand-made nuScenes v1.0 data set: two scenes, a tilted turning ego, two cameras, a lidar and a radar."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

Tables = dict[str, list[dict[str, Any]]]
START_US = 1_533_151_603_512_404
STEP_US = 500_123
SCENES = {"scene-0001": 4, "scene-0002": 3}
MOUNTS = {  # channel: modality, microseconds before the keyframe, xyz in metres, intrinsic euler angles zyx in degrees
    "LIDAR_TOP": ("lidar", 0, (0.94, 0.01, 1.84), (-90.0, 0.7, -1.1)),
    "CAM_FRONT": ("camera", 37_512, (1.70, 0.02, 1.51), (-90.3, 0.4, -90.6)),
    "CAM_BACK": ("camera", 12_833, (0.03, -0.01, 1.57), (89.6, -0.2, -89.1)),
    "RADAR_FRONT": ("radar", 21_007, (3.41, 0.0, 0.50), (0.4, 0.0, 0.0)),
}
SIZES_WLH = {"car": (1.9, 4.6, 1.6), "walker": (0.7, 0.6, 1.8)}
CATEGORIES = {"car": "vehicle.car", "walker": "human.pedestrian.adult"}


def make_tables() -> Tables:
    """All thirteen tables; scenes differ in where they lie and how fast they go."""
    tables: Tables = {
        "log": [
            {"token": "log", "logfile": "n1", "vehicle": "n1", "date_captured": "2018-08-01", "location": "tiny-town"}
        ],
        "map": [{"token": "map", "log_tokens": ["log"], "category": "semantic_prior", "filename": "maps/tiny.png"}],
        "visibility": [{"token": "4", "level": "v80-100", "description": "whole"}],
        "attribute": [{"token": "moving", "name": "vehicle.moving", "description": ""}],
        "category": [
            {"token": f"c-{key}", "name": name, "description": "", "index": 1} for key, name in CATEGORIES.items()
        ],
        "sensor": [{"token": f"s-{name}", "channel": name, "modality": mount[0]} for name, mount in MOUNTS.items()],
        "calibrated_sensor": [_calibration(name) for name in MOUNTS],
        **{name: [] for name in ("scene", "sample", "sample_data", "ego_pose", "instance", "sample_annotation")},
    }
    for place, (name, count) in enumerate(SCENES.items()):
        _add_scene(tables, name, count, START_US + place * 60_000_000)
    return tables


def write_tables(root: Path, tables: Tables, version: str = "v1.0-mini") -> Path:
    """Write the JSON files; the images and point clouds that they name are not made."""
    (root / version).mkdir(parents=True)
    (root / "maps").mkdir(exist_ok=True)
    Image.new("L", (4, 4)).save(root / "maps" / "tiny.png")
    for name, rows in tables.items():
        (root / version / f"{name}.json").write_text(json.dumps(rows), encoding="utf-8")
    return root


def _calibration(name: str) -> dict[str, Any]:
    modality, _, xyz_m, angles_deg = MOUNTS[name]
    return {
        "token": f"k-{name}",
        "sensor_token": f"s-{name}",
        "translation": list(xyz_m),
        "rotation": _wxyz(Rotation.from_euler("ZYX", angles_deg, degrees=True)),
        "camera_intrinsic": [[1266.4, 0.0, 816.3], [0.0, 1265.9, 491.5], [0.0, 0.0, 1.0]]
        if modality == "camera"
        else [],
    }


def _add_scene(tables: Tables, name: str, count: int, start_us: int) -> None:
    samples = [f"{name}-{frame}" for frame in range(count)]
    ends = {"first_sample_token": samples[0], "last_sample_token": samples[-1], "nbr_samples": count}
    tables["scene"].append({"token": name, "log_token": "log", "name": name, "description": f"drive {name}", **ends})
    tables["instance"] += [_instance(name, key, count) for key in CATEGORIES]
    for frame, sample in enumerate(samples):
        links = {"prev": samples[frame - 1] if frame else "", "next": samples[frame + 1] if frame + 1 < count else ""}
        time_us = start_us + frame * STEP_US
        tables["sample"].append({"token": sample, "scene_token": name, "timestamp": time_us, **links})
        for channel in MOUNTS:
            _add_capture(tables, sample, channel, time_us, start_us)
        tables["sample_annotation"] += [_box(name, key, frame, count) for key in CATEGORIES]


def _add_capture(tables: Tables, sample: str, channel: str, keyframe_us: int, start_us: int) -> None:
    modality, before_us, _, _ = MOUNTS[channel]
    for key, time_us in ((True, keyframe_us - before_us), (False, keyframe_us - before_us - 50_000)):
        token = f"{sample}-{channel}-{'key' if key else 'sweep'}"
        ending = {"camera": "jpg", "lidar": "pcd.bin", "radar": "pcd"}[modality]
        size = {"width": 1600, "height": 900} if modality == "camera" else {"width": 0, "height": 0}
        references = {"sample_token": sample, "ego_pose_token": f"e-{token}", "calibrated_sensor_token": f"k-{channel}"}
        folder = "samples" if key else "sweeps"
        file = {"filename": f"{folder}/{channel}/{token}.{ending}", "fileformat": ending, "is_key_frame": key, **size}
        tables["sample_data"].append(
            {"token": token, "timestamp": time_us, "prev": "", "next": "", **references, **file}
        )
        tables["ego_pose"].append({"token": f"e-{token}", "timestamp": time_us, **_ego(time_us, start_us)})


def _ego(time_us: int, start_us: int) -> dict[str, list[float]]:
    """A drive that turns, climbs and rolls; far from the global origin as in the real sets."""
    seconds = (time_us - start_us) * 1e-6
    yaw, pitch, roll = 40.0 + 8.0 * seconds, 2.0 + 0.5 * seconds, -1.5 + 0.3 * seconds
    position = [601.0 + 7.0 * seconds, 1647.0 + 5.0 * seconds + 0.4 * seconds**2, 0.2 * seconds]
    return {"translation": position, "rotation": _wxyz(Rotation.from_euler("ZYX", [yaw, pitch, roll], degrees=True))}


def _instance(scene: str, key: str, count: int) -> dict[str, Any]:
    ends = {"first_annotation_token": f"{scene}-{key}-0", "last_annotation_token": f"{scene}-{key}-{count - 1}"}
    return {"token": f"{scene}-{key}", "category_token": f"c-{key}", "nbr_annotations": count, **ends}


def _box(scene: str, key: str, frame: int, count: int) -> dict[str, Any]:
    ahead_m, yaw_deg = (18.0, 65.0) if key == "car" else (9.0, -140.0)
    return {
        "token": f"{scene}-{key}-{frame}",
        "sample_token": f"{scene}-{frame}",
        "instance_token": f"{scene}-{key}",
        "visibility_token": "4",
        "attribute_tokens": ["moving"] if key == "car" else [],
        "translation": [601.0 + ahead_m * np.cos(0.8) + 2.0 * frame, 1647.0 + ahead_m * np.sin(0.8) + frame, 0.9],
        "size": list(SIZES_WLH[key]),
        "rotation": _wxyz(Rotation.from_euler("z", yaw_deg + 3.0 * frame, degrees=True)),
        "prev": f"{scene}-{key}-{frame - 1}" if frame else "",
        "next": f"{scene}-{key}-{frame + 1}" if frame + 1 < count else "",
        "num_lidar_pts": 11 + frame,
        "num_radar_pts": frame,
    }


def _wxyz(rotation: Rotation) -> list[float]:
    x, y, z, w = rotation.as_quat()
    return [float(w), float(x), float(y), float(z)]
