"""Writes one scene's sensor files and table rows, and puts the rows of all scenes together as a nuScenes v1.0 data set."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt16
from PIL import Image

from drive_vqa.geometry import SE3
from drive_vqa.store import replacing
from sensors.synth.map_mask import drivable_mask
from sensors.synth.rig import Rig
from sensors.synth.scene import Scene, Town
from sensors.synth.tables import (
    BOX_TABLE,
    TABLES,
    VERSION,
    Row,
    Tables,
    attribute_token,
    category_token,
    fixed_tables,
    sensor_token,
    token,
)
from sensors.synth.truth import Label

_EPOCH_US = 1_767_225_600_000_000
"""2026-01-01 00:00 UTC: scenes follow one another from here."""
_JPEG_QUALITY = 87


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file that is whole or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def jpeg_bytes(rgb: np.ndarray) -> bytes:
    """An image as JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


def png_bytes(values: UInt16[np.ndarray, "h w"]) -> bytes:
    """16-bit grey values as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


@dataclass
class SceneRows:
    """Collects the rows of one scene; `write_scene` ends it.

    Attributes:
        root: the data set's folder.
        scene: what is written.
        index: place of the scene in the data set; keeps times apart.
        seed: of the data set; part of every token.
        origin_m: subtracted from all global positions, see `map_mask`.
    """

    root: Path
    scene: Scene
    index: int
    seed: int
    rig: Rig
    origin_m: Float[np.ndarray, "2"]
    rows: Tables = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rows = {name: [] for name in (*TABLES, BOX_TABLE)}
        self.log_name = f"synth-{self.scene.town.name}-{self.seed}-{self.index:04d}"
        self.start_us = _EPOCH_US + self.index * (int(self.scene.times_s[-1]) + 60) * 1_000_000
        self._log_and_calibration()

    def key(self, *parts: str | int) -> str:
        """A token of this scene."""
        return token(self.seed, self.log_name, *parts)

    def timestamp_us(self, at_s: float) -> int:
        """Of an instant of the scene."""
        return self.start_us + round(at_s * 1e6)

    def _log_and_calibration(self) -> None:
        log = {
            "token": self.key("log"),
            "logfile": self.log_name,
            "vehicle": "synthetic",
            "date_captured": "2026-01-01",
        }
        self.rows["log"].append({**log, "location": self.scene.town.name})
        for camera in self.rig.cameras:
            self._calibrate(camera.channel, camera.ego_SE3_cam, camera.intrinsics.tolist())
        self._calibrate(self.rig.lidar.channel, self.rig.lidar.ego_SE3_lidar, [])
        for radar in self.rig.radars:
            self._calibrate(radar.channel, radar.ego_SE3_radar, [])

    def _calibrate(self, channel: str, ego_SE3_sensor: SE3, intrinsics: list[list[float]]) -> None:
        pose = {
            "translation": ego_SE3_sensor.translation_m.tolist(),
            "rotation": ego_SE3_sensor.quaternion_wxyz.tolist(),
        }
        row = {
            "token": self.key("calibration", channel),
            "sensor_token": sensor_token(channel),
            **pose,
            "camera_intrinsic": intrinsics,
        }
        self.rows["calibrated_sensor"].append(row)

    def add_sample(self, keyframe: int, at_s: float) -> None:
        """One keyframe; links to its neighbours are set by `finish`."""
        scene_token = self.key("scene")
        row = {"token": self.key("sample", keyframe), "timestamp": self.timestamp_us(at_s), "prev": "", "next": ""}
        self.rows["sample"].append({**row, "scene_token": scene_token})

    def add_data(
        self, keyframe: int, channel: str, at_s: float, global_SE3_ego: SE3, content: bytes, kind: str
    ) -> None:
        """Write one sensor file and its rows; `kind` is `jpg`, `pcd.bin` or `pcd`."""
        time_us = self.timestamp_us(at_s)
        name = f"samples/{channel}/{self.log_name}__{channel}__{time_us}.{kind}"
        write_bytes(self.root / name, content)
        data = self.key("data", channel, keyframe)
        image = kind == "jpg"
        camera = next((camera for camera in self.rig.cameras if camera.channel == channel), None)
        self.rows["ego_pose"].append(
            {
                "token": data,
                "timestamp": time_us,
                "rotation": global_SE3_ego.quaternion_wxyz.tolist(),
                "translation": self.shifted(global_SE3_ego.translation_m),
            }
        )
        self.rows["sample_data"].append(
            {
                "token": data,
                "sample_token": self.key("sample", keyframe),
                "ego_pose_token": data,
                "calibrated_sensor_token": self.key("calibration", channel),
                "timestamp": time_us,
                "fileformat": "jpg" if image else "pcd",
                "is_key_frame": True,
                "height": camera.height_px if camera else 0,
                "width": camera.width_px if camera else 0,
                "filename": name,
                "prev": "",
                "next": "",
            }
        )

    def shifted(self, xyz_m: Float[np.ndarray, "3"]) -> list[float]:
        """A global position as the data set has it."""
        return [float(xyz_m[0] - self.origin_m[0]), float(xyz_m[1] - self.origin_m[1]), float(xyz_m[2])]

    def add_annotation(self, keyframe: int, label: Label) -> None:
        """The box of one actor at one keyframe."""
        actor, pose = label.posed.actor, label.posed.global_SE3_actor
        length, width, height = actor.size_lwh_m
        self.rows["sample_annotation"].append(
            {
                "token": self.key("annotation", keyframe, actor.actor_id),
                "sample_token": self.key("sample", keyframe),
                "instance_token": self.key("instance", actor.actor_id),
                "visibility_token": str(label.visibility),
                "attribute_tokens": [attribute_token(label.attribute)] if label.attribute else [],
                "translation": self.shifted(pose.translation_m),
                "size": [width, length, height],
                "rotation": pose.quaternion_wxyz.tolist(),
                "prev": "",
                "next": "",
                "num_lidar_pts": label.lidar_points,
                "num_radar_pts": label.radar_points,
            }
        )

    def add_box(
        self, keyframe: int, channel: str, actor_id: int, bbox_px: tuple[int, int, int, int], visible_fraction: float
    ) -> None:
        """The exact 2D box of an annotated actor in one image."""
        row: Row = {
            "sample_data_token": self.key("data", channel, keyframe),
            "instance_token": self.key("instance", actor_id),
        }
        self.rows[BOX_TABLE].append({**row, "bbox": list(bbox_px), "visible_fraction": round(visible_fraction, 4)})

    def finish(self) -> Tables:
        """Link rows to their neighbours in time and add the scene and its instances."""
        _link(self.rows["sample"], itemgetter("scene_token"))
        _link(self.rows["sample_data"], itemgetter("calibrated_sensor_token"))
        _link(self.rows["sample_annotation"], itemgetter("instance_token"))
        samples = self.rows["sample"]
        scene = {"token": self.key("scene"), "log_token": self.key("log"), "nbr_samples": len(samples)}
        ends = {"first_sample_token": samples[0]["token"], "last_sample_token": samples[-1]["token"]}
        self.rows["scene"].append({**scene, **ends, "name": self.scene.name, "description": self.scene.description})
        for actor in self.scene.actors:
            mine = [
                row["token"]
                for row in self.rows["sample_annotation"]
                if row["instance_token"] == self.key("instance", actor.actor_id)
            ]
            if mine:
                instance = {
                    "token": self.key("instance", actor.actor_id),
                    "category_token": category_token(actor.category),
                }
                ends = {"first_annotation_token": mine[0], "last_annotation_token": mine[-1]}
                self.rows["instance"].append({**instance, "nbr_annotations": len(mine), **ends})
        return self.rows


def _link(rows: list[Row], group: Callable[[Row], str]) -> None:
    """Fill `prev` and `next` among rows of one group, which are in order of time."""
    last: dict[str, Row] = {}
    for row in rows:
        name = group(row)
        if name in last:
            row["prev"], last[name]["next"] = last[name]["token"], row["token"]
        last[name] = row


def write_dataset(root: Path, parts: Sequence[Path], rig: Rig, towns: Sequence[Town], seed: int) -> None:
    """Put the rows of all scenes together; the version folder appears when everything in it is there."""
    tables: Tables = {**{name: [] for name in (*TABLES, BOX_TABLE)}, **fixed_tables(rig)}
    for part in parts:
        for name, rows in json.loads(part.read_text(encoding="utf-8")).items():
            tables[name].extend(rows)
    tables["map"] = [_write_map(root, town, tables["log"], seed) for town in towns]
    _sweep_leftovers(root)
    building = root / f".{VERSION}.{os.getpid()}.tmp"
    building.mkdir()
    for name, rows in tables.items():
        (building / f"{name}.json").write_text(dump(rows), encoding="utf-8")
    building.rename(root / VERSION)


def _sweep_leftovers(root: Path) -> None:
    """Remove what killed runs were writing."""
    for path in root.rglob(".*.tmp"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _write_map(root: Path, town: Town, logs: list[Row], seed: int) -> Row:
    name = f"maps/{token('map', town.name)}.png"
    buffer = io.BytesIO()
    drivable_mask(town).save(buffer, "PNG")
    write_bytes(root / name, buffer.getvalue())
    tokens = [log["token"] for log in logs if log["location"] == town.name]
    return {
        "category": "semantic_prior",
        "token": token(seed, "map", town.name),
        "filename": name,
        "log_tokens": tokens,
    }


def dump(content: Mapping[str, object] | Sequence[object]) -> str:
    """Compact JSON, NaN refused."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False)
