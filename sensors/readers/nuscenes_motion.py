"""All labelled tracks of a nuScenes version at once, with velocities: for statistics over a whole data set.

`drive-vqa fuse` makes the track table log by log; this does the same sums for all logs together, without cameras, in a second or
two for v1.0-trainval.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from drive_vqa.errors import LogFormatError
from drive_vqa.geometry import angle_rad
from sensors.kinematics import estimate_motions
from sensors.readers.nuscenes_cache import CacheDamagedError, NuscenesCache, open_cache
from sensors.readers.nuscenes_layout import REFERENCE, pose_values

INTERVAL_S = 0.5
"""nuScenes' keyframes are this far apart."""


def all_tracks(version: Path) -> pa.Table:
    """Every labelled box of a version with its motion, sorted by track and time.

    Args:
        version: folder of its JSON tables.

    Returns:
        `scene` (its place in scene.json), `frame`, `timestamp_ns`, `track_id`, `source_category`; the box in the ego frame of its
        frame (`x_m y_m z_m yaw_rad length_m width_m height_m`); its motion over ground, in ego axes (`vx_mps vy_mps vz_mps
        speed_mps yaw_rate_radps accel_mps2`), NaN where unknown.

    Raises:
        LogFormatError: a scene cannot be read; `read_log` reads the others.
        StoreError: there is no place for the Arrow files.
    """
    cache = open_cache(version)
    try:
        return _tracks(cache)
    except CacheDamagedError:
        return _tracks(open_cache(version, damaged=cache.folder))


def _tracks(cache: NuscenesCache) -> pa.Table:
    for problem in cache.whole["problems"].to_pylist():
        if not problem["sweep"]:
            raise LogFormatError(problem["message"])
    scenes = range(cache.whole["scenes"].num_rows)
    samples, captures, boxes = (
        [cache.rows(name, scene) for scene in scenes] for name in ("samples", "keyframes", "boxes")
    )
    box_scene = np.repeat(np.arange(len(scenes)), [len(of_scene) for of_scene in boxes])
    first_frame = np.cumsum([0, *(len(of_scene) for of_scene in samples)])
    rows = pa.Table.from_batches(boxes).combine_chunks()
    instance, scene_frame = rows["instance"].to_numpy(), rows["frame"].to_numpy()
    order = np.lexsort((scene_frame, instance))
    frame = (first_frame[box_scene] + scene_frame)[order]
    rows = rows.take(pa.array(order))
    timestamp_ns = pa.Table.from_batches(samples)["timestamp_ns"].to_numpy()[frame]
    columns = {
        "scene": box_scene[order],
        "frame": rows["frame"],
        "timestamp_ns": timestamp_ns,
        "track_id": cache.whole["instances"]["token"].take(rows["instance"]),
        "source_category": cache.whole["instances"]["category"].take(rows["instance"]),
        **_motion(_frame_poses(cache, captures), frame, instance[order], timestamp_ns, _values(rows["global_SE3_box"])),
        **{name: rows[name] for name in ("length_m", "width_m", "height_m", "lidar_points", "radar_points")},
    }
    return pa.table(columns)


def _values(column: pa.ChunkedArray) -> Float[np.ndarray, "n 7"]:
    return pose_values(column.combine_chunks())


def _frame_poses(cache: NuscenesCache, captures: list[pa.RecordBatch]) -> Float[np.ndarray, "frames 7"]:
    """`global_SE3_ego` of all frames: those of the reference channel's captures, which are sorted by scene and frame."""
    rows = pa.Table.from_batches(captures).select(["calibration", "global_SE3_ego"])
    of_reference = pc.equal(cache.whole["calibrations"]["channel"].combine_chunks(), REFERENCE)
    return _values(rows["global_SE3_ego"].filter(of_reference.take(rows["calibration"].combine_chunks())))


def _motion(
    global_SE3_ego: Float[np.ndarray, "frames 7"],
    frame: Int[np.ndarray, "n"],
    track: Int[np.ndarray, "n"],
    timestamp_ns: Int[np.ndarray, "n"],
    global_SE3_box: Float[np.ndarray, "n 7"],
) -> dict[str, np.ndarray]:
    """Place and motion of boxes in the ego frames of their frames, by column."""
    w, x, y, z, *global_xyz_m = global_SE3_box.T
    forward = np.stack([1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y)], axis=1)
    global_xyz_m = np.stack(global_xyz_m, axis=1)
    motion = estimate_motions(track, timestamp_ns, global_xyz_m, angle_rad(forward[:, 1], forward[:, 0]), INTERVAL_S)
    global_R_ego = Rotation.from_quat(global_SE3_ego[:, [1, 2, 3, 0]]).as_matrix()
    offset_m, place, heading, velocity = global_xyz_m - global_SE3_ego[frame, 4:], {}, {}, {}
    for axis, name in enumerate("xyz"):
        global_axis = global_R_ego[:, :, axis][frame]  # of the ego, for each box
        place[f"{name}_m"] = np.einsum("nj,nj->n", global_axis, offset_m)
        heading[name] = np.einsum("nj,nj->n", global_axis, forward)
        velocity[f"v{name}_mps"] = np.einsum("nj,nj->n", global_axis, motion.velocity_mps)
    return {
        **place,
        "yaw_rad": angle_rad(heading["y"], heading["x"]),
        **velocity,
        "speed_mps": np.hypot(velocity["vx_mps"], velocity["vy_mps"]),
        "yaw_rate_radps": motion.yaw_rate_radps,
        "accel_mps2": motion.accel_mps2,
    }
