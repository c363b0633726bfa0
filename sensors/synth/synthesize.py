"""`synthesize`: simulate scenes, take their sensor data and write a nuScenes v1.0 data set.

One scene is one unit of work and of resume.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from zlib import crc32

import numpy as np

from drive_vqa._version import __version__
from drive_vqa.errors import ConfigError, DriveVqaError
from drive_vqa.executor import map_logs
from sensors.synth.camera_render import Stopwatch
from sensors.synth.capture import Recorder, keyframe_times_s, record_keyframe
from sensors.synth.map_mask import map_origin_m
from sensors.synth.nuscenes_writer import SceneRows, claim, dump, synthetic_identity, write_bytes, write_dataset
from sensors.synth.rig import SIZES, Rig, RigName, make_rig
from sensors.synth.scene import Scene
from sensors.synth.sky import make_light
from sensors.synth.tables import VERSION, Tables
from sensors.synth.town import TOWNS, build_town
from sensors.synth.traffic import simulate_scene
from sensors.synth.weather import WEATHER_SHARES
from sensors.synth.world import World, build_world

logger = logging.getLogger(__name__)

DEFAULT_TOWN = "harbour"
_WORK = ".synth-work"


@dataclass(frozen=True)
class Settings:
    """What a data set is made from; two runs with the same settings give the same bytes."""

    seed: int
    town: str
    duration_s: float
    width_px: int
    height_px: int
    azimuths: int
    ground_truth_images: bool
    rig_name: RigName = "full"
    camera_height_m: tuple[float, float] | None = None
    weather_shares: Mapping[str, float] = field(default_factory=lambda: dict(WEATHER_SHARES))
    code_version: str = __version__

    def rig(self) -> Rig:
        """The sensors, as they are usually mounted."""
        return make_rig(self.width_px, self.height_px, self.azimuths, self.rig_name)

    def rig_of(self, scene: int) -> Rig:
        """The sensors of one drive: vehicles differ in how high their cameras are."""
        if self.camera_height_m is None:
            return self.rig()
        rng = np.random.default_rng([self.seed, scene, crc32(b"camera height")])
        return self.rig().with_cameras_at(float(rng.uniform(*self.camera_height_m)))


@dataclass(frozen=True)
class SceneHandle:
    """One scene to be made, small enough to send to a worker."""

    root: Path
    index: int
    settings: Settings

    @property
    def log_id(self) -> str:
        """The scene's name in the data set."""
        return f"scene-{self.index:04d}"

    @property
    def part(self) -> Path:
        """Where its rows are kept until all scenes are there."""
        return self.root / _WORK / f"{self.log_id}.json"


def synthesize(
    out: Path,
    *,
    scenes: int,
    seed: int,
    town: str = DEFAULT_TOWN,
    duration_s: float = 20.0,
    workers: int | None = None,
    first_scene: int = 0,
    rig: RigName = "full",
    width_px: int | None = None,
    height_px: int | None = None,
    azimuths: int | None = None,
    ground_truth_images: bool = False,
    camera_height_m: tuple[float, float] | None = None,
    weather_shares: Mapping[str, float] = WEATHER_SHARES,
) -> None:
    """Write a nuScenes v1.0 data set of a synthetic town at `out`, with the version folder `v1.0-mini`.

    A scene that a killed run had finished is not made again; the version folder appears when the set is complete. The bytes do
    not depend on `workers`.

    Args:
        out: folder of the data set; new, or of an earlier run with the same settings.
        scenes: how many drives.
        seed: of traffic, noise and tokens.
        town: one of `TOWNS`.
        duration_s: of each drive; keyframes are half a second apart.
        workers: processes; default one a core.
        first_scene: number of the first drive; data sets that shall lie in one store need different numbers.
        rig: `full`, or `front`: the front camera alone and a sparse lidar, for much data in little time.
        width_px, height_px: of the images; default: what is usual for the rig (`rig.SIZES`).
        azimuths: lidar firings a turn; likewise.
        ground_truth_images: also write instance masks and depth under `out/synth`.
        camera_height_m: least and greatest height of the front camera over the ground, drawn for each drive; the others move with
            it. Default: always that of the rig.
        weather_shares: how likely `sun`, `dusk`, `night` and `fog` are, in shares that add up to 1; one not named does not occur.

    Raises:
        ConfigError: If a setting is out of range, or `out` holds a data set with other settings.
        DriveVqaError: If a scene failed.
    """
    width, height, firings = SIZES[rig]
    settings = Settings(
        seed,
        town,
        duration_s,
        width if width_px is None else width_px,
        height if height_px is None else height_px,
        firings if azimuths is None else azimuths,
        ground_truth_images,
        rig,
        camera_height_m,
        dict(weather_shares),
    )
    _check(settings, scenes, first_scene)
    claim(out, _WORK, {**asdict(settings), "scenes": scenes, "first_scene": first_scene})
    handles = [SceneHandle(out, first_scene + index, settings) for index in range(scenes)]
    if (out / VERSION).is_dir():
        logger.info("%s is complete", out)
        return
    summary = map_logs(make_scene, handles, step="synthesize", workers=workers)
    if summary.failures:
        raise DriveVqaError(f"{out}: scene {summary.failures[0].log_id} failed: {summary.failures[0].message}")
    write_dataset(out, [handle.part for handle in handles], settings.rig(), [build_town(town)], seed)


def _check(settings: Settings, scenes: int, first_scene: int) -> None:
    if settings.town not in TOWNS:
        raise ConfigError(f"town: no town is named {settings.town!r}; use one of {', '.join(TOWNS)}")
    if scenes < 1 or not 1.0 <= settings.duration_s < float("inf"):
        raise ConfigError(
            f"scenes and duration_s: at least one scene of 1 s is needed, got {scenes} of {settings.duration_s} s"
        )
    if min(settings.seed, first_scene) < 0:
        raise ConfigError(f"seed and first_scene: must be 0 or more, got {settings.seed} and {first_scene}")
    if min(settings.width_px, settings.height_px) < 32 or settings.azimuths < 8:
        raise ConfigError("width_px, height_px and azimuths: images need 32 pixels a side and sweeps 8 azimuths")
    _check_world(settings)


def _check_world(settings: Settings) -> None:
    low_m, high_m = settings.camera_height_m or (1.0, 1.0)
    if not 0.5 <= low_m <= high_m <= 4.0:
        raise ConfigError(
            f"camera_height_m: two rising heights from 0.5 to 4 m are needed, got {low_m:g} and {high_m:g}"
        )
    shares = settings.weather_shares
    unknown = sorted(set(shares) - set(WEATHER_SHARES))
    if unknown or not shares or min(shares.values()) < 0 or not math.isclose(sum(shares.values()), 1.0):
        raise ConfigError(
            f"weather_shares: give {', '.join(WEATHER_SHARES)} shares that are not negative and add up to 1, got {dict(shares)}"
        )


def make_scene(handle: SceneHandle) -> bool:
    """Write the sensor files and the rows of one scene; False where a run before did."""
    if handle.part.exists():
        return False
    rows = record_scene(handle, Stopwatch())
    write_bytes(handle.part, dump(rows).encode())
    return True


def record_scene(handle: SceneHandle, watch: Stopwatch) -> Tables:
    """Simulate and record one scene; returns its rows."""
    settings = handle.settings
    scene = simulate_scene(settings.town, handle.index, settings.seed, settings.duration_s, settings.weather_shares)
    return record(scene, handle, watch)


def record(scene: Scene, handle: SceneHandle, watch: Stopwatch) -> Tables:
    """Write the sensor files of a scene; returns its rows."""
    settings = handle.settings
    rows = SceneRows(
        handle.root,
        scene,
        synthetic_identity(scene, handle.index, settings.seed),
        settings.rig_of(handle.index),
        map_origin_m(scene.town),
    )
    recorder = Recorder(rows, _world(scene), make_light(scene.weather), settings.ground_truth_images, watch)
    for keyframe, at_s in enumerate(keyframe_times_s(settings.duration_s)):
        record_keyframe(recorder, keyframe, float(at_s))
    return rows.finish()


_worlds: dict[str, World] = {}


def _world(scene: Scene) -> World:
    """The meshes of the scene's town, kept for the next scene of this process."""
    if scene.town.name not in _worlds:
        _worlds.clear()
        _worlds[scene.town.name] = build_world(scene.town)
    return _worlds[scene.town.name]
