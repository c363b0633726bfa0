"""Reader of the nuScenes v1.0 format: one log a scene, its keyframes.

    SOURCE/v1.0-mini/*.json      tables; SOURCE may have several versions (v1.0-trainval, v1.0-test ...)
    SOURCE/samples/CHANNEL/...   images and point clouds, referenced

A frame is a sample, in order of time. Its ego pose is that of its LIDAR_TOP capture, as in nuscenes-devkit; every sensor row has
the ego pose of its own capture. The ego frame is the data set's: x forward, y left, z up, origin on the ground below the rear
axle. Microseconds become nanoseconds, and sizes (width, length, height) become length, width, height.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from drive_vqa.errors import LogFormatError
from sensors.driving_log import (
    DrivingLog,
    LogHandle,
    check_increasing,
    ego_motion,
    pose_rows,
    relative_path,
    yaws_from_quaternions,
)
from sensors.nuscenes_tables import (
    AGAIN,
    FILES,
    Attribute,
    CalibratedSensor,
    Category,
    EgoPose,
    Instance,
    Log,
    Sample,
    SampleAnnotation,
    SampleData,
    Scene,
    Sensor,
    Table,
    Token,
    group_by,
)

FORMAT = "nuscenes"
REFERENCE = "LIDAR_TOP"
BIG = (SampleData, EgoPose, SampleAnnotation)
"""Tables of millions of rows: listing only looks whether their end is there."""

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


@dataclass(frozen=True, eq=False)
class _Version:
    """The tables of a version, and which records belong together."""

    scene_of_name: dict[str, Scene]
    log: Table[Log]
    ego_pose: Table[EgoPose]
    calibrated_sensor: Table[CalibratedSensor]
    sensor: Table[Sensor]
    instance: Table[Instance]
    category: Table[Category]
    attribute: Table[Attribute]
    sample: Table[Sample]
    sample_data: Table[SampleData]
    sample_annotation: Table[SampleAnnotation]
    samples_of_scene: dict[Token, list[Sample]]
    captures_of_sample: dict[Token, list[SampleData]]
    annotations_of_sample: dict[Token, list[SampleAnnotation]]


def list_logs(source: Path) -> list[LogHandle]:
    """One handle a scene of every version of a data root.

    Raises:
        LogFormatError: there is no version folder, or a table is missing, cut off or not a list of records.
    """
    versions = sorted(path.parent.name for path in source.glob("v1.0-*/scene.json"))
    if not versions:
        hint = (
            "give its parent"
            if (source / "scene.json").is_file()
            else "give the data root that has v1.0-mini or the like"
        )
        raise LogFormatError(f"{source} has no folder v1.0-*/ with a scene.json: {hint}")
    return [handle for version in versions for handle in _list_version(source, version)]


def read_log(handle: LogHandle) -> DrivingLog:
    """The tables of one scene; a version's JSON is read once a process.

    Raises:
        LogFormatError: a table or a record that the scene needs is missing or wrong.
    """
    version = _load_or_error(handle.root, handle.version, handle.digest)
    if isinstance(version, LogFormatError):
        raise LogFormatError(str(version)) from version
    scene = version.scene_of_name[handle.log_id]
    where = f"scene {handle.log_id}"
    samples = version.samples_of_scene[scene.token]
    if not samples:
        raise LogFormatError(f"{where} has no record in {version.sample.file}: {AGAIN}")
    version.sample.check(samples)
    samples = sorted(samples, key=lambda sample: sample.timestamp)
    timestamps_ns = np.array([sample.timestamp * 1000 for sample in samples], dtype=np.int64)
    check_increasing(timestamps_ns, f"{version.sample.file}, {where}")
    (log,) = version.log.pick([scene.log_token], where)
    captures = [_captures(version, sample) for sample in samples]
    return DrivingLog.from_rows(
        {"log_id": handle.log_id, "source_format": FORMAT, "location": log.location, "description": scene.description},
        _frame_rows(version, samples, captures, timestamps_ns),
        [row for frame, of_sample in enumerate(captures) for row in _sensor_rows(version, frame, of_sample)],
        _annotation_rows(version, samples, timestamps_ns),
    )


def _list_version(source: Path, version: str) -> list[LogHandle]:
    folder = source / version
    for kind in BIG:
        _check_end(folder / f"{FILES[kind]}.json")
    for kind in FILES:
        if kind not in BIG and kind is not Scene:
            Table.read(folder, kind)
    scenes = Table.read(folder, Scene)
    scenes.check(scenes.rows.values())
    digest = _digest(folder)
    return [LogHandle(scene.name, FORMAT, source, digest, version) for scene in scenes.rows.values()]


def _digest(folder: Path) -> str:
    """SHA-256 over the tables that are read."""
    total = hashlib.sha256()
    for name in sorted(FILES.values()):
        with (folder / f"{name}.json").open("rb") as file:
            total.update(f"{name} {hashlib.file_digest(file, 'sha256').hexdigest()} ".encode())
    return total.hexdigest()


def _check_end(file: Path) -> None:
    """A cheap look at a big table: it must be there and end like a list."""
    try:
        with file.open("rb") as content:
            content.seek(max(file.stat().st_size - 64, 0))
            complete = content.read().rstrip().endswith(b"]")
    except FileNotFoundError as error:
        raise LogFormatError(f"{file} is missing: copy all tables of the version") from error
    if not complete:
        raise LogFormatError(f"{file} is cut off or not a JSON list: {AGAIN}")


@lru_cache(maxsize=1)
def _load_or_error(root: Path, version: str, digest: str) -> _Version | LogFormatError:
    """The version, or why it cannot be read: failures too are worked out once and not again for each of 850 scenes.

    `digest` is part of the key, so that changed files are read anew.
    """
    del digest
    try:
        return _load(root / version)
    except LogFormatError as error:
        return error


def _load(folder: Path) -> _Version:
    scene, sample = Table.read(folder, Scene), Table.read(folder, Sample)
    sample_data = Table.read(folder, SampleData, lambda record: record.get("is_key_frame") is not False)
    wanted = {record.ego_pose_token for record in sample_data.rows.values()}
    sample_annotation = Table.read(folder, SampleAnnotation)
    return _Version(
        scene_of_name={record.name: record for record in scene.rows.values()},
        log=Table.read(folder, Log),
        ego_pose=Table.read(
            folder, EgoPose, lambda record: not isinstance(record.get("token"), str) or record["token"] in wanted
        ),
        calibrated_sensor=Table.read(folder, CalibratedSensor),
        sensor=Table.read(folder, Sensor),
        instance=Table.read(folder, Instance),
        category=Table.read(folder, Category),
        attribute=Table.read(folder, Attribute),
        sample=sample,
        sample_data=sample_data,
        sample_annotation=sample_annotation,
        samples_of_scene=group_by(sample, "scene_token", scene),
        captures_of_sample=group_by(sample_data, "sample_token", sample),
        annotations_of_sample=group_by(sample_annotation, "sample_token", sample),
    )


def _captures(version: _Version, sample: Sample) -> dict[str, tuple[SampleData, CalibratedSensor, Sensor]]:
    """Captures of a keyframe with calibration and sensor, by channel."""
    captures = version.captures_of_sample[sample.token]
    version.sample_data.check(captures)
    where = f"sample {sample.token} in {version.sample_data.file}"
    calibrations = version.calibrated_sensor.pick((capture.calibrated_sensor_token for capture in captures), where)
    sensors = version.sensor.pick((calibration.sensor_token for calibration in calibrations), where)
    by_channel = {parts[2].channel: parts for parts in zip(captures, calibrations, sensors, strict=True)}
    if len(by_channel) < len(captures):
        raise LogFormatError(f"{where} has two captures of one channel: {AGAIN}")
    if REFERENCE not in by_channel:
        raise LogFormatError(f"{where} has no {REFERENCE} capture, whose pose is the frame's: {AGAIN}")
    return dict(sorted(by_channel.items()))


def _frame_rows(
    version: _Version,
    samples: list[Sample],
    captures: list[dict[str, tuple[SampleData, CalibratedSensor, Sensor]]],
    timestamps_ns: np.ndarray,
) -> list[dict[str, Any]]:
    tokens = [of_sample[REFERENCE][0].ego_pose_token for of_sample in captures]
    poses = version.ego_pose.pick(tokens, str(version.sample_data.file))
    quaternions = np.array([pose.rotation for pose in poses], dtype=np.float64)
    translations_m = np.array([pose.translation for pose in poses], dtype=np.float64)
    motion = ego_motion(timestamps_ns, translations_m, yaws_from_quaternions(quaternions))
    structs = pose_rows(quaternions, translations_m, str(version.ego_pose.file))
    return [
        {"frame": frame, "timestamp_ns": int(timestamps_ns[frame]), "global_SE3_ego": structs[frame], **motion[frame]}
        for frame in range(len(samples))
    ]


def _sensor_rows(
    version: _Version, frame: int, captures: dict[str, tuple[SampleData, CalibratedSensor, Sensor]]
) -> list[dict[str, Any]]:
    tokens = [capture.ego_pose_token for capture, _, _ in captures.values()]
    poses = version.ego_pose.pick(tokens, str(version.sample_data.file))
    global_SE3_ego = _structs(poses, version.ego_pose.file)
    ego_SE3_sensor = _structs([calibration for _, calibration, _ in captures.values()], version.calibrated_sensor.file)
    rows = []
    for place, (capture, calibration, sensor) in enumerate(captures.values()):
        where = f"{version.sample_data.file}, token {capture.token!r}"
        row = {
            "frame": frame,
            "sensor": sensor.channel,
            "modality": sensor.modality,
            "timestamp_ns": capture.timestamp * 1000,
            "path": relative_path(capture.filename, where),
            "distortion": [],
            "ego_SE3_sensor": ego_SE3_sensor[place],
            "global_SE3_ego": global_SE3_ego[place],
        }
        rows.append(row | (_camera(capture, calibration, where) if sensor.modality == "camera" else {}))
    return rows


def _structs(records: list[Any], file: Path) -> list[dict[str, float]]:
    quaternions = np.array([record.rotation for record in records], dtype=np.float64).reshape(-1, 4)
    translations_m = np.array([record.translation for record in records], dtype=np.float64).reshape(-1, 3)
    return pose_rows(quaternions, translations_m, str(file))


def _camera(capture: SampleData, calibration: CalibratedSensor, where: str) -> dict[str, Any]:
    matrix = [float(value) for row in calibration.camera_intrinsic for value in row]
    if not matrix or matrix[0] <= 0 or matrix[4] <= 0 or matrix[6:] != [0.0, 0.0, 1.0]:
        raise LogFormatError(
            f"{where}: its camera_intrinsic must be a pinhole matrix with focal lengths above 0: mend calibrated_sensor"
        )
    if not capture.width or not capture.height:
        raise LogFormatError(f"{where}: a camera's width and height must be above 0: mend that record")
    return {"width": capture.width, "height": capture.height, "intrinsics": matrix}


def _annotation_rows(version: _Version, samples: list[Sample], timestamps_ns: np.ndarray) -> list[dict[str, Any]]:
    boxes = [
        (frame, box) for frame, sample in enumerate(samples) for box in version.annotations_of_sample[sample.token]
    ]
    records = [box for _, box in boxes]
    version.sample_annotation.check(records)
    file = str(version.sample_annotation.file)
    instances = version.instance.pick((box.instance_token for box in records), file)
    categories = version.category.pick((instance.category_token for instance in instances), str(version.instance.file))
    poses = _structs(records, version.sample_annotation.file)
    rows: list[dict[str, Any]] = []
    seen: set[tuple[int, str]] = set()
    for (frame, box), category, pose in zip(boxes, categories, poses, strict=True):
        if (frame, box.instance_token) in seen:
            raise LogFormatError(f"{file}, token {box.token!r}: its instance has another box in that sample: {AGAIN}")
        seen.add((frame, box.instance_token))
        attributes = version.attribute.pick(box.attribute_tokens, f"{file}, token {box.token!r}")
        width_m, length_m, height_m = (float(value) for value in box.size)
        rows.append(
            {
                "frame": frame,
                "timestamp_ns": int(timestamps_ns[frame]),
                "track_id": box.instance_token,
                "category": _category(category.name),
                "source_category": category.name,
                "attribute": ",".join(attribute.name for attribute in attributes) or None,
                "global_SE3_box": pose,
                "length_m": length_m,
                "width_m": width_m,
                "height_m": height_m,
                "lidar_points": box.num_lidar_pts,
                "radar_points": box.num_radar_pts,
            }
        )
    return rows


def _category(name: str) -> str:
    fitting = (own for prefix, own in CATEGORY_OF_PREFIX.items() if name == prefix or name.startswith(f"{prefix}."))
    return next(fitting, "other")
