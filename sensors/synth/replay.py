"""`replay`: take pictures, sweeps and echoes of recorded traffic, and write them as a nuScenes v1.0 data set.

    log of tracks ──▶ ego path, boxes, map ──▶ land, terrain, houses ──▶ six cameras, lidar, five radars at 2 Hz

The boxes are the log's own: category, size and global pose at a keyframe are those of its frame, and every box of a keyframe is
annotated, seen or not. Track names of 32 hexadecimal digits stay the instance tokens (others become `log_id/track`), names of
frames that the log has stay the sample tokens, and the scene has the log's name, so that a store of the replay can be joined to
one of the log.

Boxes do not stand at one height: a log may have a level ego path although the street slopes, and labels are off by some
decimetres. An actor is always drawn inside its box, so the ground is bent to meet the undersides of the boxes (`terrain`). What
is left over shows as a wheel in the air or in the ground; the box stays true.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from zlib import crc32

import numpy as np
from jaxtyping import Float

from drive_vqa._version import __version__
from drive_vqa.errors import ConfigError, DriveVqaError
from drive_vqa.executor import map_logs
from sensors.driving_log import DrivingLog, LogHandle
from sensors.synth.calibration import read_rig
from sensors.synth.camera_render import Stopwatch
from sensors.synth.capture import Recorder, record_keyframe
from sensors.synth.global_mask import mask_png
from sensors.synth.nuscenes_writer import (
    EPOCH_US,
    Identity,
    SceneRows,
    claim,
    dump,
    write_bytes,
    write_dataset,
)
from sensors.synth.posed import pose_actors
from sensors.synth.replay_land import Land, build_land
from sensors.synth.replay_scene import Drive, read_drive
from sensors.synth.replay_world import build_level_world, keyframe_terrain
from sensors.synth.rig import Rig, make_rig
from sensors.synth.scene import Scene, Town, Weather
from sensors.synth.scenery import draw_scenery
from sensors.synth.sky import make_light
from sensors.synth.tables import VERSION, Tables, token

logger = logging.getLogger(__name__)

WORK = ".synth-work"
_STEP_S = 0.5
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,119}")
_REAL_DATE_NS = 10**17
"""Earlier time stamps count from the start of the log, not from 1970; such logs are put on the date of the synthetic ones."""


@dataclass(frozen=True)
class Settings:
    """What pictures are made with; two runs with the same settings give the same bytes."""

    seed: int
    calibration: str | None
    """SHA-256 of the calibration file."""
    weather: str
    width_px: int | None
    azimuths: int
    ground_truth_images: bool
    code_version: str = __version__


@dataclass(frozen=True)
class ReplayHandle:
    """One log to be replayed, small enough to send to a worker."""

    root: Path
    index: int
    log: LogHandle
    read_log: Callable[[LogHandle], DrivingLog]
    rig: Rig
    settings: Settings

    @property
    def log_id(self) -> str:
        """The log's name."""
        return self.log.log_id

    @property
    def part(self) -> Path:
        """Where its rows are kept until all logs are there."""
        return self.root / WORK / f"{self.log_id}.json"


def replay(
    out: Path,
    logs: Sequence[LogHandle],
    *,
    read_log: Callable[[LogHandle], DrivingLog],
    calibration: Path | None = None,
    seed: int = 0,
    weather: str = "sun",
    workers: int | None = None,
    width_px: int | None = None,
    azimuths: int = 1080,
    ground_truth_images: bool = False,
) -> None:
    """Write a nuScenes v1.0 data set of the sensor data that a vehicle would have taken in the given logs.

    Keyframes are the frames nearest to each half second. A log that a killed run had finished is not made again; the version
    folder appears when the set is complete. The bytes do not depend on `workers`.

    Args:
        out: folder of the data set; new, or of an earlier run with the same logs and settings.
        logs: what to replay, each with ego poses and annotations; names must differ.
        read_log: reads one of them; picklable.
        calibration: JSON file of the vehicle's sensors, see `sensors.synth.calibration`; None is the synthetic vehicle's rig.
        seed: of colours, houses and trees, noise and tokens.
        weather: `sun`, `dusk`, `night` or `fog`.
        workers: processes; default one a core.
        width_px: of all images; None is as in the calibration, or 800.
        azimuths: lidar firings a turn.
        ground_truth_images: also write instance masks and depth under `out/synth`.

    Raises:
        ConfigError: a setting is out of range, or `out` holds a data set with other settings.
        CalibrationError: the calibration file is not usable.
        DriveVqaError: a log failed; the message is that of the first.
    """
    _check(logs, seed, width_px, azimuths)
    rig = _rig(calibration, width_px, azimuths)
    digest = None if calibration is None else sha256(calibration.read_bytes()).hexdigest()
    settings = Settings(seed, digest, weather, width_px, azimuths, ground_truth_images)
    make_light(_weather(weather))  # refuses an unknown name before any work is done
    claim(out, WORK, {**asdict(settings), "logs": {log.log_id: log.digest for log in logs}})
    if (out / VERSION).is_dir():
        logger.info("%s is complete", out)
        return
    handles = [ReplayHandle(out, index, log, read_log, rig, settings) for index, log in enumerate(logs)]
    summary = map_logs(replay_log, handles, step="replay", workers=workers)
    if summary.failures:
        raise DriveVqaError(f"{out}: log {summary.failures[0].log_id} failed: {summary.failures[0].message}")
    write_dataset(out, [handle.part for handle in handles], rig, [], seed)


def _check(logs: Sequence[LogHandle], seed: int, width_px: int | None, azimuths: int) -> None:
    if not logs:
        raise ConfigError("logs: there is nothing to replay; give at least one log")
    for name, count in Counter(log.log_id for log in logs).items():
        if count > 1:
            raise ConfigError(f"logs: {count} are named {name!r}; rename them or replay them into folders of their own")
        if not _NAME.fullmatch(name):
            raise ConfigError(f"logs: {name!r} cannot be part of a file name; use letters, digits and . _ + -")
    if seed < 0 or azimuths < 8 or (width_px is not None and not 32 <= width_px <= 8192):
        raise ConfigError("seed must be 0 or more, azimuths 8 or more, and width_px 32 to 8192")


def _rig(calibration: Path | None, width_px: int | None, azimuths: int) -> Rig:
    if calibration is not None:
        return read_rig(calibration, width_px, azimuths)
    width = 800 if width_px is None else width_px
    return make_rig(width, max(round(width * 9 / 16), 1), azimuths)


def replay_log(handle: ReplayHandle) -> bool:
    """Write the sensor files and the rows of one log; False where a run before did.

    Raises:
        LogFormatError: the log cannot be replayed.
    """
    if handle.part.exists():
        return False
    log = handle.read_log(handle.log)
    drive = read_drive(log, handle.log_id, handle.settings.seed)
    land = build_land(drive, log.map_elements)
    rows = SceneRows(
        handle.root, _scene(handle, log, drive), _identity(handle, log, drive), handle.rig, -drive.offset_m
    )
    rng = np.random.default_rng([handle.settings.seed, crc32(handle.log_id.encode())])
    level, light = build_level_world(land, draw_scenery(drive, land, rng)), make_light(rows.scene.weather)
    for keyframe, instant in enumerate(keyframe_instants(drive.times_s[: len(drive.frames)])):
        at_s, ego_xyz = float(drive.times_s[instant]), drive.ego.xyz_m[instant]
        terrain = keyframe_terrain(level, ego_xyz, pose_actors(rows.scene, at_s, ego_xyz[:2], np.inf))
        truth = handle.settings.ground_truth_images
        record_keyframe(Recorder(rows, level.laid_over(terrain), light, truth, Stopwatch(), True), keyframe, at_s)
    tables = rows.finish()
    tables["map"] = [_write_map(handle, drive, land, tables)]
    write_bytes(handle.part, dump(tables).encode())
    return True


def keyframe_instants(times_s: Float[np.ndarray, "t"]) -> list[int]:
    """Places of the instants nearest to each half second; all where the log is that slow itself."""
    if len(times_s) < 2 or float(np.median(np.diff(times_s))) > 0.7 * _STEP_S:
        return list(range(len(times_s)))
    grid = np.arange(0.0, float(times_s[-1]) + 1e-9, _STEP_S)
    late = np.clip(np.searchsorted(times_s, grid), 1, len(times_s) - 1)
    nearest = np.where(grid - times_s[late - 1] <= times_s[late] - grid, late - 1, late)
    near = np.abs(times_s[nearest] - grid) < 0.5 * _STEP_S
    return sorted({int(place) for place in nearest[near]})


def _weather(name: str) -> Weather:
    heights_deg = {"sun": 48.0, "dusk": 5.0, "fog": 30.0}
    return Weather(name, 2.1, float(np.radians(heights_deg.get(name, -15.0))), 100.0 if name == "fog" else 2500.0)


def _scene(handle: ReplayHandle, log: DrivingLog, drive: Drive) -> Scene:
    (row,) = log.logs.to_pylist()
    told = f": {row['description']}" if row["description"] else ""
    words = f"Replayed from {handle.log.source_format} log {handle.log_id}, drawn{told}"
    town = Town(handle.log_id, (), (), (), (), ())
    return Scene(handle.log_id, words, town, _weather(handle.settings.weather), drive.times_s, drive.ego, drive.actors)


def _identity(handle: ReplayHandle, log: DrivingLog, drive: Drive) -> Identity:
    (row,) = log.logs.to_pylist()
    start_us = drive.start_ns // 1000 + (0 if drive.start_ns > _REAL_DATE_NS else EPOCH_US)
    names = dict(zip(log.frames["frame"].to_pylist(), log.frames["source_frame"].to_pylist(), strict=True))
    chosen = drive.frames[keyframe_instants(drive.times_s[: len(drive.frames)])]
    tokens = {keyframe: names[int(frame)] for keyframe, frame in enumerate(chosen) if names[int(frame)]}
    seed = (handle.settings.seed, crc32(handle.log_id.encode()))
    recording, location = row["recording"] or handle.log_id, row["location"] or "unknown"
    return Identity(handle.log_id, recording, location, "replayed", start_us, seed, tokens)


def _write_map(handle: ReplayHandle, drive: Drive, land: Land, tables: Tables) -> dict[str, object]:
    key = token("map", handle.settings.seed, handle.log_id)
    name = f"maps/{key}.png"
    write_bytes(handle.root / name, mask_png(land.road, drive.offset_m))
    logs = [row["token"] for row in tables["log"]]
    return {"category": "semantic_prior", "token": key, "filename": name, "log_tokens": logs}
