"""Writes one scene's sensor files and table rows, and puts the rows of all scenes together as a nuScenes v1.0 data set."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt16
from PIL import Image

from drive_vqa.errors import ConfigError, LogFormatError
from drive_vqa.geometry import SE3
from drive_vqa.store import replacing
from sensors.synth.map_mask import drivable_mask
from sensors.synth.rig import Rig
from sensors.synth.scene import Actor, Scene, Town
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

EPOCH_US = 1_767_225_600_000_000
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


@dataclass(frozen=True)
class Identity:
    """What a scene is called in the tables, and when it was.

    Attributes:
        log_name: of the sensor files; part of every token.
        recording: `logfile` of the row of `log`: scenes of one recording share it.
        location: of the row of `log`.
        vehicle: of the row of `log`.
        start_us: time stamp of the scene's time 0.
        seed: of tokens (the first number) and noise.
        sample_tokens: of keyframes that have one already.
    """

    log_name: str
    recording: str
    location: str
    vehicle: str
    start_us: int
    seed: tuple[int, int]
    sample_tokens: Mapping[int, str] = field(default_factory=dict)


def synthetic_identity(scene: Scene, index: int, seed: int) -> Identity:
    """Of a simulated scene: scenes follow one another in time."""
    start_us = EPOCH_US + index * (int(scene.times_s[-1]) + 60) * 1_000_000
    name = f"synth-{scene.town.name}-{seed}-{index:04d}"
    return Identity(name, name, scene.town.name, "synthetic", start_us, (seed, index))


@dataclass
class SceneRows:
    """Collects the rows of one scene; `write_scene` ends it.

    Attributes:
        root: the data set's folder.
        scene: what is written.
        identity: names, times and tokens.
        origin_m: subtracted from all positions of the scene, see `map_mask`.
    """

    root: Path
    scene: Scene
    identity: Identity
    rig: Rig
    origin_m: Float[np.ndarray, "3"]
    rows: Tables = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rows = {name: [] for name in (*TABLES, BOX_TABLE)}
        self._log_and_calibration()

    def key(self, *parts: str | int) -> str:
        """A token of this scene."""
        return token(self.identity.seed[0], self.identity.log_name, *parts)

    def sample_key(self, keyframe: int) -> str:
        """Token of a keyframe."""
        return self.identity.sample_tokens.get(keyframe) or self.key("sample", keyframe)

    def instance_key(self, actor: Actor) -> str:
        """Token of an actor."""
        return actor.token or self.key("instance", actor.actor_id)

    def timestamp_us(self, at_s: float) -> int:
        """Of an instant of the scene."""
        return self.identity.start_us + round(at_s * 1e6)

    def _log_and_calibration(self) -> None:
        log = {
            "token": self.key("log"),
            "logfile": self.identity.recording,
            "vehicle": self.identity.vehicle,
            "date_captured": "2026-01-01",
        }
        self.rows["log"].append({**log, "location": self.identity.location})
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
        row = {"token": self.sample_key(keyframe), "timestamp": self.timestamp_us(at_s), "prev": "", "next": ""}
        self.rows["sample"].append({**row, "scene_token": scene_token})

    def add_data(
        self, keyframe: int, channel: str, at_s: float, global_SE3_ego: SE3, content: bytes, kind: str
    ) -> None:
        """Write one sensor file and its rows; `kind` is `jpg`, `pcd.bin` or `pcd`."""
        time_us = self.timestamp_us(at_s)
        name = f"samples/{channel}/{self.identity.log_name}__{channel}__{time_us}.{kind}"
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
                "sample_token": self.sample_key(keyframe),
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
        return [float(value) for value in xyz_m - self.origin_m]

    def add_annotation(self, keyframe: int, label: Label) -> None:
        """The box of one actor at one keyframe."""
        actor, pose = label.posed.actor, label.posed.global_SE3_actor
        length, width, height = actor.size_lwh_m
        self.rows["sample_annotation"].append(
            {
                "token": self.key("annotation", keyframe, actor.actor_id),
                "sample_token": self.sample_key(keyframe),
                "instance_token": self.instance_key(actor),
                "visibility_token": str(label.visibility),
                "attribute_tokens": [attribute_token(name) for name in label.attribute.split(",")]
                if label.attribute
                else [],
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
        self, keyframe: int, channel: str, actor: Actor, bbox_px: tuple[int, int, int, int], visible_fraction: float
    ) -> None:
        """The exact 2D box of an annotated actor in one image."""
        row: Row = {
            "sample_data_token": self.key("data", channel, keyframe),
            "instance_token": self.instance_key(actor),
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
        annotations: dict[str, list[str]] = {}
        for row in self.rows["sample_annotation"]:
            annotations.setdefault(row["instance_token"], []).append(row["token"])
        for actor in self.scene.actors:
            mine = annotations.get(self.instance_key(actor), [])
            if mine:
                instance = {
                    "token": self.instance_key(actor),
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


def claim(out: Path, work: str, settings: Mapping[str, object]) -> None:
    """Note the settings in a data set's work folder, or compare with those noted there.

    Raises:
        ConfigError: `out` was made with other settings, or holds something else.
    """
    path = out / work / "settings.json"
    noted = dump(settings)
    if not path.exists():
        if out.exists() and any(out.iterdir()):
            raise ConfigError(f"{out}: not empty and not a synthetic data set; choose a new folder")
        write_bytes(path, noted.encode())
    elif path.read_text(encoding="utf-8") != noted:
        raise ConfigError(
            f"{out}: made with other settings ({path.read_text(encoding='utf-8')}); choose a new folder or delete it"
        )


def write_dataset(root: Path, parts: Sequence[Path], rig: Rig, towns: Sequence[Town], seed: int) -> None:
    """Put the rows of all scenes together; the version folder appears when everything in it is there.

    Raises:
        LogFormatError: two scenes share the token of a keyframe or of an instance.
    """
    tables: Tables = {**{name: [] for name in (*TABLES, BOX_TABLE)}, **fixed_tables(rig)}
    for part in parts:
        for name, rows in json.loads(part.read_text(encoding="utf-8")).items():
            tables[name].extend(rows)
    for name in ("sample", "instance"):
        tokens = Counter(row["token"] for row in tables[name])
        twice = next((key for key, count in tokens.items() if count > 1), None)
        if twice is not None:
            raise LogFormatError(
                f"{root}: two logs have a {name} named {twice!r}; replay them into folders of their own"
            )
    tables["map"] += [_write_map(root, town, tables["log"], seed) for town in towns]
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
