"""Drives through one scene and takes everything the rig sees at each keyframe."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from jaxtyping import Float

from sensors.synth.camera_render import Seen, Shot, Stopwatch, render
from sensors.synth.lidar import sweep
from sensors.synth.nuscenes_writer import SceneRows, jpeg_bytes, png_bytes, write_bytes
from sensors.synth.posed import Posed, ego_pose, pose_actors, sample, velocity_mps
from sensors.synth.radar import pcd_bytes, scan
from sensors.synth.rig import Camera
from sensors.synth.sky import Light
from sensors.synth.truth import label_actors
from sensors.synth.world import World

KEYFRAME_STEP_S = 0.5
_FIRST_KEYFRAME_S = 0.05
"""Cameras fire up to 45 ms before the keyframe, and the scene starts at 0."""
_RANGE_M = 130.0


@dataclass(frozen=True)
class Recorder:
    """What stays the same over a scene.

    Attributes:
        out: rows and files go there.
        ground_truth_images: also write instance and depth images.
        annotate_all: also those whom no sensor meets, however far they are.
    """

    out: SceneRows
    world: World
    light: Light
    ground_truth_images: bool
    watch: Stopwatch
    annotate_all: bool = False


def keyframe_times_s(duration_s: float) -> Float[np.ndarray, "k"]:
    """Times of the lidar, every half second."""
    return np.arange(_FIRST_KEYFRAME_S, duration_s + 1e-9, KEYFRAME_STEP_S)


def record_keyframe(recorder: Recorder, keyframe: int, at_s: float) -> None:
    """All sensors of one keyframe and the annotations at the time of the lidar."""
    out = recorder.out
    out.add_sample(keyframe, at_s)
    seen: list[tuple[str, Seen]] = []
    for camera in out.rig.cameras:
        shot = _photograph(recorder, keyframe, camera, at_s + camera.delay_s)
        seen += [(camera.channel, one) for one in shot.seen]
    posed = _actors(recorder, at_s)
    lidar_m = _scan_lidar(recorder, keyframe, at_s, posed)
    radar_m = _scan_radars(recorder, keyframe, at_s)
    recorder.watch.start()
    ego_xy = ego_pose(out.scene, at_s).translation_m[:2]
    labels = label_actors(posed, ego_xy, lidar_m, radar_m, [one for _, one in seen], recorder.annotate_all)
    for label in labels:
        out.add_annotation(keyframe, label)
    annotated = {label.posed.index: label.posed.actor for label in labels}
    for channel, one in seen:
        if one.bbox_px is not None and one.actor_index in annotated:
            out.add_box(
                keyframe, channel, annotated[one.actor_index], one.bbox_px, one.visible_px / max(one.alone_px, 1)
            )
    recorder.watch.lap("label")


def _actors(recorder: Recorder, at_s: float) -> list[Posed]:
    centre = ego_pose(recorder.out.scene, at_s).translation_m[:2]
    return pose_actors(recorder.out.scene, at_s, centre, math.inf if recorder.annotate_all else _RANGE_M)


def _rng(recorder: Recorder, channel: str, keyframe: int) -> np.random.Generator:
    return np.random.default_rng([*recorder.out.identity.seed, crc32(channel.encode()), keyframe])


def _photograph(recorder: Recorder, keyframe: int, camera: Camera, at_s: float) -> Shot:
    out = recorder.out
    global_SE3_ego = ego_pose(out.scene, at_s)
    recorder.watch.start()
    posed = _actors(recorder, at_s)
    recorder.watch.lap("pose")
    seed = (*out.identity.seed, crc32(camera.channel.encode()), keyframe)
    shot = render(recorder.world, camera, global_SE3_ego, posed, recorder.light, seed, recorder.watch)
    recorder.watch.start()
    out.add_data(keyframe, camera.channel, at_s, global_SE3_ego, jpeg_bytes(shot.rgb), "jpg")
    if recorder.ground_truth_images:
        _write_truth(out.root, Path(out.rows["sample_data"][-1]["filename"]).stem, camera.channel, shot)
    recorder.watch.lap("encode")
    return shot


def _write_truth(root: Path, stem: str, channel: str, shot: Shot) -> None:
    """Instance mask (0 nobody, else 1 + place in the scene's list of actors) and depth (cm, 0 sky)."""
    centimetres = np.where(np.isfinite(shot.depth_m), np.clip(shot.depth_m * 100.0, 1, 65535), 0).astype(np.uint16)
    write_bytes(root / "synth" / "instance" / channel / f"{stem}.png", png_bytes(shot.instance))
    write_bytes(root / "synth" / "depth" / channel / f"{stem}.png", png_bytes(centimetres))


def _scan_lidar(recorder: Recorder, keyframe: int, at_s: float, posed: list[Posed]) -> Float[np.ndarray, "n 3"]:
    """Write the sweep; return its points as stored, in the global frame."""
    out, lidar = recorder.out, recorder.out.rig.lidar
    recorder.watch.start()
    global_SE3_ego = ego_pose(out.scene, at_s)
    points = sweep(
        recorder.world, lidar, global_SE3_ego, posed, recorder.light.haze_per_m, _rng(recorder, lidar.channel, keyframe)
    ).points
    out.add_data(keyframe, lidar.channel, at_s, global_SE3_ego, points.astype("<f4").tobytes(), "pcd.bin")
    recorder.watch.lap("lidar")
    return global_SE3_ego @ lidar.ego_SE3_lidar @ points[:, :3]


def _scan_radars(recorder: Recorder, keyframe: int, at_s: float) -> Float[np.ndarray, "n 3"]:
    """Write all radars; return their points in the global frame, each by its own ego pose."""
    out = recorder.out
    recorder.watch.start()
    found = [np.zeros((0, 3))]
    for radar in out.rig.radars:
        time_s = at_s + radar.delay_s
        global_SE3_ego = ego_pose(out.scene, time_s)
        velocity = velocity_mps(out.scene.ego, out.scene.times_s, time_s)
        early, late = (sample(out.scene.ego, out.scene.times_s, time_s + step)[1] for step in (-0.05, 0.05))
        rng = _rng(recorder, radar.channel, keyframe)
        points = scan(
            recorder.world, radar, global_SE3_ego, velocity, (late - early) / 0.1, _actors(recorder, time_s), rng
        )
        out.add_data(keyframe, radar.channel, time_s, global_SE3_ego, pcd_bytes(points), "pcd")
        xyz = np.stack([points["x"], points["y"], points["z"]], axis=-1)
        found.append(global_SE3_ego @ radar.ego_SE3_radar @ xyz)
    recorder.watch.lap("radar")
    return np.concatenate(found)
