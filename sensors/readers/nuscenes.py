"""Reader of the nuScenes v1.0 format: one log a scene, its keyframes; on request the captures between them.

    SOURCE/v1.0-mini/*.json      tables; SOURCE may have several versions (v1.0-trainval, v1.0-test ...)
    SOURCE/samples/CHANNEL/...   images and point clouds of keyframes, referenced
    SOURCE/sweeps/CHANNEL/...    those between

A frame is a sample, in order of time. Its ego pose is that of its LIDAR_TOP capture, as in nuscenes-devkit; every sensor row has
the ego pose of its own capture. The ego frame is the data set's: x forward, y left, z up, origin on the ground below the rear
axle. Microseconds become nanoseconds, and sizes (width, length, height) become length, width, height. A test split has no boxes.

The JSON is read once and kept as Arrow files (sensors.readers.nuscenes_cache).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from drive_vqa.errors import LogFormatError, StoreError
from drive_vqa.schema import TABLES
from sensors.driving_log import DrivingLog, LogHandle, check_increasing, ego_motion, yaws_from_quaternions
from sensors.readers.nuscenes_cache import CacheDamagedError, NuscenesCache, open_cache
from sensors.readers.nuscenes_layout import REFERENCE, pose_column, pose_values
from sensors.readers.nuscenes_small import unit_quaternions
from sensors.readers.nuscenes_tables import AGAIN

FORMAT = "nuscenes"

CATEGORY_OF_PREFIX = {
    "animal": "animal",
    "human.pedestrian.stroller": "other",
    "human.pedestrian": "pedestrian",
    "movable_object.barrier": "barrier",
    "movable_object.trafficcone": "traffic_cone",
    "vehicle.bicycle": "bicycle",
    "vehicle.bus": "bus",
    "vehicle.car": "car",
    "vehicle.construction": "construction_vehicle",
    "vehicle.emergency": "emergency_vehicle",
    "vehicle.motorcycle": "motorcycle",
    "vehicle.trailer": "trailer",
    "vehicle.truck": "truck",
}
"""Our category of the names that are this or begin with this and a dot; the first that fits, else `other`."""


Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class _Version:
    """A version's cache, and columns that are the same for all its scenes.

    Attributes:
        cache: the tables.
        scene_of_name: place of each scene.
        problems: why a scene (False), or its sweeps (True), cannot be read.
        calibrations: by column.
        track_id: of each instance.
        category: of each instance, ours.
        source_category: of each instance.
    """

    cache: NuscenesCache
    scene_of_name: dict[str, int]
    problems: dict[tuple[int, bool], str]
    calibrations: dict[str, pa.Array]
    track_id: pa.Array
    category: pa.Array
    source_category: pa.Array

    @classmethod
    def of(cls, cache: NuscenesCache) -> _Version:
        instances = cache.whole["instances"].combine_chunks()
        named = pc.dictionary_encode(instances["category"].combine_chunks())
        ours = pa.array(
            [None if name is None else _category(name) for name in named.dictionary.to_pylist()], pa.string()
        )
        problems = cache.whole["problems"].to_pylist()
        calibrations = cache.whole["calibrations"]
        return cls(
            cache=cache,
            scene_of_name={name: place for place, name in enumerate(cache.whole["scenes"]["name"].to_pylist())},
            problems={(problem["scene"], problem["sweep"]): problem["message"] for problem in problems},
            calibrations={name: calibrations[name].combine_chunks() for name in calibrations.column_names},
            track_id=instances["token"].combine_chunks(),
            category=ours.take(named.indices),
            source_category=instances["category"].combine_chunks(),
        )


def list_logs(source: Path, version: str | None = None) -> list[LogHandle]:
    """One handle a scene of the versions of a data root.

    Args:
        source: the data root.
        version: the one to list, such as `v1.0-mini`; default all that are there.

    Raises:
        LogFormatError: there is no such version folder, two versions have a scene of the same name, or a table is missing, cut
            off or not a list of records.
        StoreError: there is no place for the Arrow files.
    """
    versions = sorted(path.parent.name for path in source.glob("v1.0-*/scene.json"))
    if not versions:
        hint = (
            "give its parent"
            if (source / "scene.json").is_file()
            else "give the data root that has v1.0-mini or the like"
        )
        raise LogFormatError(f"{source} has no folder v1.0-*/ with a scene.json: {hint}")
    if version is not None and version not in versions:
        raise LogFormatError(f"{source} has no version {version!r}: give --version {' or '.join(versions)}")
    handles: dict[str, LogHandle] = {}
    for name in versions if version is None else [version]:
        for handle in _list_version(source, name):
            _check_new(source, handles.get(handle.log_id), handle)
            handles[handle.log_id] = handle
    return list(handles.values())


def read_log(handle: LogHandle) -> DrivingLog:
    """The tables of one scene.

    Raises:
        LogFormatError: a table or a record that the scene needs is missing or wrong.
    """
    return _with_version(handle, lambda version: _read(version, handle))


def read_sweeps(handle: LogHandle, frame: int) -> list[dict[str, Any]]:
    """Lidar and radar captures after the keyframe before `frame` and before that of `frame`, sorted by channel and time.

    Before the first keyframe of a channel there may be some too.

    Returns:
        Rows as in `sensor_data`, each with its own time and ego pose; `frame` is that asked for.

    Raises:
        LogFormatError: the scene has no such frame, or a record that is needed is wrong.
    """
    return _with_version(handle, lambda version: _read_sweeps(version, handle, frame))


def _list_version(source: Path, version: str) -> list[LogHandle]:
    cache = open_cache(source / version)
    names = cache.whole["scenes"]["name"].to_pylist()
    return [LogHandle(name, FORMAT, source, cache.digest, version) for name in names]


def _check_new(source: Path, first: LogHandle | None, second: LogHandle) -> None:
    if first is None:
        return
    mend = (
        f"rename one of them in {second.version}/scene.json"
        if first.version == second.version
        else f"choose with --version {first.version} or --version {second.version}"
    )
    raise LogFormatError(f"{source} has more than one log named {second.log_id!r}: {mend}")


def _with_version(handle: LogHandle, read: Callable[[_Version], Result]) -> Result:
    """Read from the version's tables, which are made anew once where they turn out damaged."""
    version = _version_or_error(handle.root, handle.version, handle.digest)
    if isinstance(version, LogFormatError):
        raise LogFormatError(str(version)) from version
    try:
        return read(version)
    except CacheDamagedError:
        _version_or_error.cache_clear()
        open_cache(handle.root / handle.version, damaged=version.cache.folder)
    version = _version_or_error(handle.root, handle.version, handle.digest)
    try:
        if isinstance(version, LogFormatError):
            raise LogFormatError(str(version)) from version
        return read(version)
    except CacheDamagedError as error:
        raise StoreError(f"{error}, made anew just now: look after that disk, or set XDG_CACHE_HOME") from error


@lru_cache(maxsize=2)
def _version_or_error(root: Path, version: str, digest: str) -> _Version | LogFormatError:
    """The version, or why it cannot be read: failures too are worked out once and not again for each of 850 scenes."""
    try:
        cache = open_cache(root / version)
    except LogFormatError as error:
        return error
    if cache.digest != digest:
        return LogFormatError(f"{root / version} has changed since its logs were listed: run the command again")
    return _Version.of(cache)


def _scene(version: _Version, handle: LogHandle) -> int:
    """Place of a scene that can be read."""
    scene = version.scene_of_name[handle.log_id]
    if (scene, False) in version.problems:
        raise LogFormatError(version.problems[scene, False])
    return scene


def _read(version: _Version, handle: LogHandle) -> DrivingLog:
    scene, log_id = _scene(version, handle), handle.log_id
    samples, keyframes, boxes = (version.cache.rows(table, scene) for table in ("samples", "keyframes", "boxes"))
    where = f"{handle.root / handle.version / 'sample.json'}, scene {log_id}"
    if samples.num_rows == 0:
        raise LogFormatError(f"{where} has no record: {AGAIN}")
    check_increasing(samples["timestamp_ns"].to_numpy(), where)
    frames = _frames(version, log_id, samples, keyframes)
    columns = version.cache.whole["scenes"].slice(scene, 1).to_pylist()[0]
    told = {name: columns[name] for name in ("recording", "location", "description")}
    return DrivingLog(
        logs=pa.Table.from_pylist([{"log_id": log_id, "source_format": FORMAT, **told}], TABLES["logs"]),
        frames=frames,
        sensor_data=_sensor_data(version, log_id, keyframes, keyframes["frame"]),
        annotations=_annotations(version, log_id, boxes, frames),
        map_elements=TABLES["map_elements"].empty_table(),
    )


def _frames(version: _Version, log_id: str, samples: pa.RecordBatch, keyframes: pa.RecordBatch) -> pa.Table:
    """Keyframes are sorted by frame, and each has one capture of the reference channel, so its poses are those of the frames."""
    channel = version.calibrations["channel"].take(keyframes["calibration"])
    pose = keyframes["global_SE3_ego"].filter(pc.equal(channel, REFERENCE))
    values, timestamp_ns = pose_values(pose), samples["timestamp_ns"]
    motion = ego_motion(timestamp_ns.to_numpy(), values[:, 4:], yaws_from_quaternions(values[:, :4]))
    return pa.table(
        [
            pa.repeat(log_id, samples.num_rows),
            pa.array(np.arange(samples.num_rows), pa.int32()),
            timestamp_ns,
            samples["token"],
            pose,
            *(
                pa.array([row[name] for row in motion], pa.float64())
                for name in ("speed_mps", "accel_mps2", "yaw_rate_radps")
            ),
        ],
        schema=TABLES["frames"],
    )


def _sensor_data(version: _Version, log_id: str, captures: pa.RecordBatch, frame: pa.Array) -> pa.Table:
    count, calibration = captures.num_rows, captures["calibration"]
    columns = {
        "log_id": pa.repeat(log_id, count),
        "frame": frame,
        "sensor": version.calibrations["channel"].take(calibration),
        "distortion": pa.ListArray.from_arrays(np.zeros(count + 1, dtype=np.int32), pa.array([], pa.float64())),
        **{name: version.calibrations[name].take(calibration) for name in ("modality", "intrinsics", "ego_SE3_sensor")},
        **{name: captures[name] for name in ("timestamp_ns", "path", "width", "height", "global_SE3_ego")},
    }
    schema = TABLES["sensor_data"]
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _annotations(version: _Version, log_id: str, boxes: pa.RecordBatch, frames: pa.Table) -> pa.Table:
    count, frame, instance = boxes.num_rows, boxes["frame"], boxes["instance"]
    global_SE3_ego = pose_values(frames["global_SE3_ego"].combine_chunks())
    names = version.cache.whole["attributes"]["names"].combine_chunks()
    columns = {
        "log_id": pa.repeat(log_id, count),
        "timestamp_ns": frames["timestamp_ns"].combine_chunks().take(frame),
        "track_id": version.track_id.take(instance),
        "category": version.category.take(instance),
        "source_category": version.source_category.take(instance),
        "attribute": names.take(boxes["attribute"]),
        "ego_SE3_box": _in_ego(global_SE3_ego, frame.to_numpy(), pose_values(boxes["global_SE3_box"])),
        "observed": pa.repeat(True, count),
        **{name: boxes[name] for name in ("frame", "length_m", "width_m", "height_m", "lidar_points", "radar_points")},
    }
    schema = TABLES["annotations"]
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _in_ego(
    global_SE3_ego: Float[np.ndarray, "frames 7"], frame: Int[np.ndarray, "n"], global_SE3_box: Float[np.ndarray, "n 7"]
) -> pa.StructArray:
    """`ego_SE3_box` of each box, given the ego's pose at each frame and the frame of each box."""
    global_R_ego = Rotation.from_quat(global_SE3_ego[:, [1, 2, 3, 0]]).as_matrix()[frame]
    moved_m = np.einsum("nji,nj->ni", global_R_ego, global_SE3_box[:, 4:] - global_SE3_ego[frame, 4:])
    turned = _conjugate_times(global_SE3_ego[frame, :4], global_SE3_box[:, :4])
    return pose_column(np.hstack([unit_quaternions(turned), moved_m]))


def _conjugate_times(first: Float[np.ndarray, "n 4"], second: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
    """Quaternions `first⁻¹ · second` of unit quaternions (w, x, y, z); scipy's `Rotation` takes twenty times as long."""
    w, x, y, z = first.T
    a, b, c, d = second.T
    parts = (w * a + x * b + y * c + z * d, w * b - x * a - y * d + z * c, w * c + x * d - y * a - z * b)
    return np.stack([*parts, w * d - x * c + y * b - z * a], axis=1)


def _read_sweeps(version: _Version, handle: LogHandle, frame: int) -> list[dict[str, Any]]:
    scene = _scene(version, handle)
    if (scene, True) in version.problems:
        raise LogFormatError(version.problems[scene, True])
    keyframes, sweeps = (version.cache.rows(table, scene) for table in ("keyframes", "sweeps"))
    frames = version.cache.rows("samples", scene).num_rows
    if not 0 <= frame < frames:
        raise LogFormatError(f"scene {handle.log_id} has no frame {frame}: give one from 0 to {frames - 1}")
    wanted = np.zeros(sweeps.num_rows, dtype=bool)
    channels, times_ns = version.calibrations["channel"], sweeps["timestamp_ns"].to_numpy()
    own = channels.take(keyframes["calibration"]).to_numpy(zero_copy_only=False)
    of_sweeps = channels.take(sweeps["calibration"]).to_numpy(zero_copy_only=False)
    modality = version.calibrations["modality"].take(sweeps["calibration"]).to_numpy(zero_copy_only=False)
    for channel in np.unique(of_sweeps[np.isin(modality, ("lidar", "radar"))].astype(str)):
        of_channel = keyframes.filter(pa.array(own == channel))
        start_ns, end_ns = _between(of_channel["frame"].to_numpy(), of_channel["timestamp_ns"].to_numpy(), frame)
        wanted |= (of_sweeps == channel) & (times_ns > start_ns) & (times_ns < end_ns)
    chosen = sweeps.filter(pa.array(wanted))
    rows: list[dict[str, Any]] = _sensor_data(
        version, handle.log_id, chosen, pa.array(np.full(chosen.num_rows, frame), pa.int32())
    ).to_pylist()
    return rows


def _between(frames: Int[np.ndarray, "n"], times_ns: Int[np.ndarray, "n"], frame: int) -> tuple[int, int]:
    """Times of a channel's last keyframe before `frame` and of that of `frame`; an empty span where it has none there."""
    at, before = times_ns[frames == frame], times_ns[frames < frame]
    return (int(before[-1]) if len(before) else -1), (int(at[0]) if len(at) else -1)


def _category(name: str) -> str:
    fitting = (own for prefix, own in CATEGORY_OF_PREFIX.items() if name == prefix or name.startswith(f"{prefix}."))
    return next(fitting, "other")
