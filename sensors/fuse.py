"""Annotated boxes → the ego-frame track table: `drive-vqa fuse STORE`.

For each labelled box of a log: its pose in the ego frame of its frame, its motion over ground in ego axes, and for each
camera that sees at least a part of it (2 px or more each way, not wholly hidden) the image box and the visible share.
Cameras fire some milliseconds before or after the labels' time. The ego's motion between the two is taken in, since each
capture has its own ego pose; that of the object is not, as in nuScenes.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float, Int
from scipy.spatial.transform import Rotation

from drive_vqa.errors import CalibrationError, ConfigError, LogFormatError
from drive_vqa.executor import Summary, map_logs, write_errors
from drive_vqa.geometry import SE3
from drive_vqa.schema import POSE, TABLES, pose_from_struct
from drive_vqa.store import Store, fingerprint
from sensors.camera import OrientedBoxes, PinholeCamera, image_boxes, may_be_in_view
from sensors.kinematics import SPARSE_INTERVAL_S, estimate_motion
from sensors.visibility import visible_fractions

logger = logging.getLogger(__name__)

SOURCES = ("annotations",)
MIN_BOX_PX = 2.0
"""A box whose part in the image is narrower or lower than this is not in view of that camera."""
EGO_REACH_M = 3.0
"""A box around the ego's origin, its centre less than this above or below it, is the ego itself."""
COPIED = ("log_id", "frame", "timestamp_ns", "track_id", "category", "source_category", "attribute")
COUNTED = ("lidar_points", "radar_points")


@dataclass(frozen=True)
class FuseJob:
    """One log to fuse."""

    store: Store
    log_id: str
    source: str


@dataclass(frozen=True, eq=False)
class LabelledBoxes:
    """The annotations of one log as columns, sorted by frame and track.

    Attributes:
        rows: the annotation table in that order.
        frame: frame of each box.
        timestamp_ns: of the label.
        track_id: of the object.
        global_boxes: in the global frame.
    """

    rows: pa.Table
    frame: Int[np.ndarray, "n"]
    timestamp_ns: Int[np.ndarray, "n"]
    track_id: np.ndarray
    global_boxes: OrientedBoxes


@dataclass(frozen=True, eq=False)
class Views:
    """Boxes as cameras see them, one entry a box and camera.

    Attributes:
        row: index of the box.
        camera: the camera's name.
        box_px: (u0, v0, u1, v1) in its image.
        visible_fraction: in (0, 1].
    """

    row: Int[np.ndarray, "m"]
    camera: np.ndarray
    box_px: Float[np.ndarray, "m 4"]
    visible_fraction: Float[np.ndarray, "m"]


def fuse(store: Store, *, source: str = "annotations", workers: int | None = None) -> Summary:
    """Write the `tracks` table of every log in a store.

    A log whose table is there and was made from the same inputs is skipped. Failures go to STORE/errors-fuse.jsonl.

    Args:
        store: with `frames`, `sensor_data` and `annotations`.
        source: what tracks are made from; `annotations`: the labelled boxes.
        workers: processes; default the number of cores.

    Raises:
        ConfigError: there is no such source.
    """
    if source not in SOURCES:
        raise ConfigError(f"tracks cannot be made from {source!r}: use --from {'|'.join(SOURCES)}")
    jobs = [FuseJob(store, log_id, source) for log_id in store.log_ids()]
    summary = map_logs(fuse_log, jobs, step="fuse", workers=workers)
    write_errors(store.root / "errors-fuse.jsonl", summary)
    store.write_manifest("fuse", {"source": source})
    return summary


def fuse_log(job: FuseJob) -> bool:
    """Write the tracks of one log.

    Returns:
        False where they were there already.

    Raises:
        LogFormatError: the log has no annotations, or they contradict each other.
        CalibrationError: a pose, a camera or a box is unusable.
    """
    store, log_id = job.store, job.log_id
    if not store.path("annotations", log_id).exists():
        raise LogFormatError(f"log {log_id} of {store.root} has no annotations: ingest a source with labelled boxes")
    inputs = {table: store.digest(table, log_id) for table in ("frames", "sensor_data", "annotations")}
    key = fingerprint("fuse", {"source": job.source}, inputs)
    if store.is_current("tracks", log_id, key):
        return False
    tables = [store.read(table, log_id) for table in ("annotations", "frames", "sensor_data")]
    store.write("tracks", log_id, fuse_annotations(*tables), key)
    return True


def fuse_annotations(annotations: pa.Table, frames: pa.Table, sensor_data: pa.Table) -> pa.Table:
    """The track table of one log, sorted by frame and track.

    Args:
        annotations: labelled boxes; those around the ego's own origin are the ego and left out.
        frames: the ego's pose at each frame.
        sensor_data: captures; those of cameras are used.

    Raises:
        LogFormatError: no annotations, a frame without a pose, or two labels of one track in a frame.
        CalibrationError: a pose, a camera or a box is unusable.
    """
    boxes = _labelled_boxes(annotations)
    ego_poses = _ego_poses(frames, boxes)
    boxes, ego_boxes, ego_index = _without_ego(boxes, ego_poses)
    velocity_mps, yaw_rate_radps, accel_mps2 = _motion(boxes, _frame_interval_s(frames))
    rotations = np.stack([pose.rotation for pose in ego_poses.values()])[ego_index]
    ego_velocity_mps = np.einsum("nji,nj->ni", rotations, velocity_mps)
    views = _views(boxes, sensor_data)
    columns = {
        **{name: boxes.rows[name] for name in (*COPIED, *COUNTED)},
        **dict(zip(("x_m", "y_m", "z_m"), ego_boxes.centre_m.T, strict=True)),
        **dict(zip(("length_m", "width_m", "height_m"), 2.0 * ego_boxes.half_m.T, strict=True)),
        "yaw_rad": np.arctan2(ego_boxes.rotation[:, 1, 0], ego_boxes.rotation[:, 0, 0]),
        "vx_mps": ego_velocity_mps[:, 0],
        "vy_mps": ego_velocity_mps[:, 1],
        "speed_mps": np.hypot(ego_velocity_mps[:, 0], ego_velocity_mps[:, 1]),
        "yaw_rate_radps": yaw_rate_radps,
        "accel_mps2": accel_mps2,
        "occlusion": _occlusion(views, len(boxes.frame)),
        "cameras": _camera_column(views, len(boxes.frame)),
        "source": np.full(len(boxes.frame), "annotated", dtype=object),
        "observed": np.ones(len(boxes.frame), dtype=bool),
    }
    return _table(columns, len(boxes.frame))


def _labelled_boxes(annotations: pa.Table) -> LabelledBoxes:
    if annotations.num_rows == 0:
        raise LogFormatError("the log has no annotated boxes: ingest a source with labelled boxes")
    rows = annotations.sort_by([("frame", "ascending"), ("track_id", "ascending")]).combine_chunks()
    frame, track_id = rows["frame"].to_numpy(), rows["track_id"].to_numpy()
    twice = np.nonzero((frame[1:] == frame[:-1]) & (track_id[1:] == track_id[:-1]))[0]
    if len(twice):
        raise LogFormatError(
            f"{_where(rows, int(twice[0]))} is labelled twice in this frame: one label a track and frame"
        )
    return LabelledBoxes(rows, frame, rows["timestamp_ns"].to_numpy(), track_id, _global_boxes(rows))


def _global_boxes(rows: pa.Table) -> OrientedBoxes:
    pose = rows["global_SE3_box"].combine_chunks()
    values = {name: pose.field(name).to_numpy(zero_copy_only=False) for name in (field.name for field in POSE)}
    quaternion = np.stack([values[name] for name in ("qx", "qy", "qz", "qw")], axis=1)
    centre_m = np.stack([values[name] for name in ("tx_m", "ty_m", "tz_m")], axis=1)
    size_m = np.stack([rows[name].to_numpy() for name in ("length_m", "width_m", "height_m")], axis=1)
    norm = np.linalg.norm(quaternion, axis=1)
    usable = (norm > 1e-6) & np.isfinite(norm) & np.isfinite(centre_m).all(axis=1) & (size_m > 0).all(axis=1)
    broken = np.nonzero(~(usable & np.isfinite(size_m).all(axis=1)))[0]
    if len(broken):
        raise CalibrationError(
            f"{_where(rows, int(broken[0]))} has a box that is not finite or has no volume: correct it in the source"
        )
    return OrientedBoxes(centre_m, Rotation.from_quat(quaternion / norm[:, None]).as_matrix(), 0.5 * size_m)


def _where(rows: pa.Table, index: int) -> str:
    row = rows.slice(index, 1).to_pylist()[0]
    return f"log {row['log_id']}, frame {row['frame']}: track {row['track_id']}"


def _ego_poses(frames: pa.Table, boxes: LabelledBoxes) -> dict[int, SE3]:
    """`global_SE3_ego` of each frame that has labels, in frame order."""
    by_frame = dict(zip(frames["frame"].to_pylist(), frames["global_SE3_ego"].to_pylist(), strict=True))
    poses: dict[int, SE3] = {}
    for frame in np.unique(boxes.frame).tolist():
        if by_frame.get(frame) is None:
            first = int(np.searchsorted(boxes.frame, frame))
            raise LogFormatError(
                f"{_where(boxes.rows, first)} is labelled, but the frame has no ego pose: ingest the log again"
            )
        poses[frame] = _pose(by_frame[frame], f"log {boxes.rows['log_id'][0]}, frame {frame}: the ego's pose")
    return poses


def _pose(struct: dict[str, float] | None, where: str) -> SE3:
    if struct is None:
        raise CalibrationError(f"{where} is missing: ingest the log again")
    try:
        return pose_from_struct(struct)
    except (CalibrationError, TypeError) as error:
        raise CalibrationError(f"{where} is unusable, correct it in the source: {error}") from error


def _without_ego(
    boxes: LabelledBoxes, ego_poses: dict[int, SE3]
) -> tuple[LabelledBoxes, OrientedBoxes, Int[np.ndarray, "n"]]:
    """The boxes of others; the same in the ego frame of each one's frame; index of that frame's pose."""
    ego_index = np.searchsorted(np.array(list(ego_poses)), boxes.frame)
    rotation = np.stack([pose.rotation for pose in ego_poses.values()])[ego_index]
    origin_m = np.stack([pose.translation_m for pose in ego_poses.values()])[ego_index]
    ego_boxes = OrientedBoxes(
        np.einsum("nji,nj->ni", rotation, boxes.global_boxes.centre_m - origin_m),
        np.einsum("nji,njk->nik", rotation, boxes.global_boxes.rotation),
        boxes.global_boxes.half_m,
    )
    other = ~_is_ego(ego_boxes, boxes.track_id)
    kept = LabelledBoxes(
        boxes.rows.filter(pa.array(other)),
        boxes.frame[other],
        boxes.timestamp_ns[other],
        boxes.track_id[other],
        boxes.global_boxes.take(other),
    )
    return kept, ego_boxes.take(other), ego_index[other]


def _is_ego(ego_boxes: OrientedBoxes, track_id: np.ndarray) -> Bool[np.ndarray, "n"]:
    """Boxes of tracks around the ego's origin in all their frames: some data sets label the ego, under various names."""
    origin = np.einsum("nij,ni->nj", ego_boxes.rotation, -ego_boxes.centre_m)
    around = (np.abs(origin[:, :2]) <= ego_boxes.half_m[:, :2]).all(axis=1)
    around &= np.abs(ego_boxes.centre_m[:, 2]) < EGO_REACH_M
    elsewhere = np.unique(track_id[~around])
    ego = ~np.isin(track_id, elsewhere)
    if ego.any():
        logger.info("left out as the ego itself: %s", ", ".join(np.unique(track_id[ego]).tolist()))
    return np.asarray(ego)


def _frame_interval_s(frames: pa.Table) -> float:
    timestamp_ns = np.sort(frames["timestamp_ns"].to_numpy())
    return float(np.median(np.diff(timestamp_ns))) * 1e-9 if len(timestamp_ns) > 1 else 2.0 * SPARSE_INTERVAL_S


def _motion(
    boxes: LabelledBoxes, frame_interval_s: float
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Global velocity, yaw rate and acceleration of each box, from its track."""
    rotation = boxes.global_boxes.rotation
    yaw_rad = np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0])
    velocity_mps = np.full((len(yaw_rad), 3), np.nan)
    yaw_rate_radps, accel_mps2 = np.full(len(yaw_rad), np.nan), np.full(len(yaw_rad), np.nan)
    order = np.argsort(boxes.track_id, kind="stable")  # by track, and by frame within it
    starts = np.unique(boxes.track_id[order], return_index=True)[1][1:]
    for rows in np.split(order, starts) if len(order) else []:
        try:
            motion = estimate_motion(
                boxes.timestamp_ns[rows], boxes.global_boxes.centre_m[rows], yaw_rad[rows], frame_interval_s
            )
        except LogFormatError as error:
            raise LogFormatError(
                f"{_where(boxes.rows, int(rows[0]))}: {error}: correct the time stamps in the source"
            ) from error
        velocity_mps[rows] = motion.velocity_mps
        yaw_rate_radps[rows] = motion.yaw_rate_radps
        accel_mps2[rows] = motion.accel_mps2
    return velocity_mps, yaw_rate_radps, accel_mps2


def _views(boxes: LabelledBoxes, sensor_data: pa.Table) -> Views:
    """Every box in every camera that sees a part of it, sorted by box and camera."""
    captures = sensor_data.filter(pc.equal(sensor_data["modality"], "camera")).to_pylist()
    parts = [_views_of_capture(boxes, capture) for capture in captures]
    empty = Views(np.empty(0, dtype=np.int64), np.empty(0, dtype=object), np.empty((0, 4)), np.empty(0))
    row, camera, box_px, visible_fraction = (
        np.concatenate([getattr(part, name) for part in [empty, *parts]])
        for name in ("row", "camera", "box_px", "visible_fraction")
    )
    order = np.lexsort((camera.astype(str), row))
    return Views(row[order], camera[order], box_px[order], visible_fraction[order])


def _views_of_capture(boxes: LabelledBoxes, capture: dict[str, Any]) -> Views:
    camera = PinholeCamera.from_row(capture)
    where = f"log {capture['log_id']}, frame {capture['frame']}, camera {camera.name}: the ego's pose at capture"
    global_SE3_cam = _pose(capture["global_SE3_ego"], where) @ camera.ego_SE3_cam
    start, end = np.searchsorted(boxes.frame, [capture["frame"], capture["frame"] + 1])
    row = np.arange(start, end)
    cam_boxes = boxes.global_boxes.take(row).moved(global_SE3_cam.inverse())
    near = may_be_in_view(camera, cam_boxes)
    row, cam_boxes = row[near], cam_boxes.take(near)
    box_px = image_boxes(camera, cam_boxes)
    fraction = visible_fractions(camera, cam_boxes, box_px)
    seen = (fraction > 0.0) & (box_px[:, 2:] - box_px[:, :2] >= MIN_BOX_PX).all(axis=1)
    names = np.full(int(seen.sum()), camera.name, dtype=object)
    return Views(row[seen], names, box_px[seen], fraction[seen])


def _occlusion(views: Views, count: int) -> Float[np.ndarray, "n"]:
    """1 - greatest visible fraction; NaN where no camera sees the box."""
    greatest = np.full(count, -np.inf)
    np.maximum.at(greatest, views.row, views.visible_fraction)
    return np.where(np.isfinite(greatest), 1.0 - greatest, np.nan)


def _camera_column(views: Views, count: int) -> pa.Array:
    kind = TABLES["tracks"].field("cameras").type
    values = [views.camera, *views.box_px.T, views.visible_fraction]
    arrays = [pa.array(value, type=field.type) for value, field in zip(values, kind.value_type, strict=True)]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(views.row, minlength=count))]).astype(np.int32)
    entries = pa.StructArray.from_arrays(arrays, fields=list(kind.value_type))
    return pa.ListArray.from_arrays(pa.array(offsets), entries).cast(kind)


def _table(columns: dict[str, Any], count: int) -> pa.Table:
    """Columns as the tracks table; NaN and absent columns become null."""
    arrays = []
    for field in TABLES["tracks"]:
        values = columns.get(field.name)
        if values is None:
            values = pa.nulls(count, field.type)
        elif isinstance(values, np.ndarray):
            values = pa.array(np.ascontiguousarray(values), type=field.type, from_pandas=True)
        arrays.append(values)
    return pa.table(arrays, schema=TABLES["tracks"])
