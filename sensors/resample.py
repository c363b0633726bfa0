"""A log at another rate: `resample`.

Frames lie on an even grid from the first frame to the last. A grid time that is within `SAME_NS` of a frame of the log *is* that
frame: it has its time stamp, pose, boxes and `source_frame` as they are, so resampling to the log's own rate changes nothing.
Elsewhere the ego's pose and the boxes are interpolated on SE(3), turn by slerp and shift linearly.

A box is interpolated between two labelled frames that follow each other and both have its track: where an object was not
labelled it is not made up. Boxes are interpolated in the global frame, where a standing car stands while the ego turns, or in the
ego frame where the log has no poses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from drive_vqa.errors import ConfigError, LogFormatError
from drive_vqa.schema import ANNOTATIONS, FRAMES, POSE, SENSOR_DATA
from sensors.driving_log import DrivingLog, check_increasing, ego_motion, yaws_from_quaternions
from sensors.pose_path import Poses, between, poses_at, poses_of, structs_of

SAME_NS = 1_000_000
"""A grid time this close to a frame is that frame (but no more than a quarter of a step)."""
GAP_NS = 1_500_000_000
"""Boxes are not interpolated between labels that are further apart."""
MAX_RATE_HZ = 1000.0
MAX_FRAMES = 1_000_000


@dataclass(frozen=True, eq=False)
class _Grid:
    """The new frames.

    Attributes:
        times_ns: of each, strictly increasing.
        source: the frame of the log that it is, or -1.
        step_ns: of the even grid.
        old_ns: times of the log's frames.
    """

    times_ns: Int[np.ndarray, "g"]
    source: Int[np.ndarray, "g"]
    step_ns: float
    old_ns: Int[np.ndarray, "n"]

    @property
    def new_of_old(self) -> Int[np.ndarray, "n"]:
        """Where each frame of the log went, or -1."""
        places = np.full(len(self.old_ns), -1)
        kept = self.source >= 0
        places[self.source[kept]] = np.flatnonzero(kept)
        return places


def resample(log: DrivingLog, rate_hz: float) -> DrivingLog:
    """The log at an even rate, lower or higher than its own.

    Ego motion is worked out again. Sizes are interpolated linearly; category and attribute are those of the nearer label; point
    counts of interpolated boxes are null and `observed` is false. The captures of a sensor and frame go to the nearest new frame
    within half a step, with their own time, pose and file; a new frame takes the nearest of each sensor.

    Args:
        log: of any reader.
        rate_hz: frames a second.

    Raises:
        ConfigError: the rate is not in (0, 1000], or gives too many frames.
        LogFormatError: the log's frames are not in time order or not numbered 0, 1, 2 ...
    """
    if not 0 < rate_hz <= MAX_RATE_HZ:
        raise ConfigError(f"cannot resample to {rate_hz} Hz: choose a rate above 0 and up to {MAX_RATE_HZ:g}")
    if not log.frames.num_rows:
        return log
    _check_numbers(log)
    grid = _grid(log.frames["timestamp_ns"].to_numpy(), 1e9 / rate_hz, log.frames["log_id"][0].as_py())
    if np.array_equal(grid.source, np.arange(log.frames.num_rows)):
        return log
    old_poses = poses_of(log.frames["global_SE3_ego"])
    new_poses = None if old_poses is None else poses_at(grid.old_ns, old_poses, grid.times_ns)
    return DrivingLog(
        logs=log.logs,
        frames=_frames(log.frames, grid, new_poses),
        sensor_data=_sensor_data(log.sensor_data, grid),
        annotations=_annotations(log.annotations, grid, old_poses, new_poses),
        map_elements=log.map_elements,
    )


def _check_numbers(log: DrivingLog) -> None:
    count = log.frames.num_rows
    for name in ("frames", "sensor_data", "annotations"):
        numbers = getattr(log, name)["frame"].to_numpy()
        if ((numbers < 0) | (numbers >= count)).any() or (name == "frames" and (np.diff(numbers) != 1).any()):
            raise LogFormatError(f"{log.frames['log_id'][0]}: its {name} are not numbered 0, 1, 2 ...: mend the reader")


def _grid(old_ns: Int[np.ndarray, "n"], step_ns: float, log_id: str) -> _Grid:
    check_increasing(old_ns, log_id)
    same_ns = min(SAME_NS, step_ns / 4)
    steps = int((int(old_ns[-1]) - int(old_ns[0]) + same_ns) // step_ns) + 1
    if steps > MAX_FRAMES:
        raise ConfigError(f"{log_id} would have {steps} frames: choose a lower rate")
    even_ns = old_ns[0] + np.round(np.arange(steps) * step_ns).astype(np.int64)
    after = np.clip(np.searchsorted(old_ns, even_ns), 0, len(old_ns) - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(even_ns - old_ns[before] <= np.abs(old_ns[after] - even_ns), before, after)
    same = np.abs(old_ns[nearest] - even_ns) <= same_ns
    return _Grid(np.where(same, old_ns[nearest], even_ns), np.where(same, nearest, -1), step_ns, old_ns)


def _frames(frames: pa.Table, grid: _Grid, poses: Poses | None) -> pa.Table:
    count = len(grid.times_ns)
    named = frames["source_frame"].to_pylist()
    columns = {
        "log_id": pa.repeat(frames["log_id"][0], count),
        "frame": pa.array(np.arange(count), pa.int32()),
        "timestamp_ns": pa.array(grid.times_ns),
        "source_frame": pa.array([named[old] if old >= 0 else None for old in grid.source], pa.string()),
        "global_SE3_ego": pa.nulls(count, POSE) if poses is None else structs_of(poses),
    }
    if poses is not None:
        motion = ego_motion(grid.times_ns, poses.translations_m, yaws_from_quaternions(poses.quaternions_wxyz))
        columns |= {name: pa.array([row[name] for row in motion], pa.float64()) for name in motion[0]}
    return _table(columns, count, FRAMES)


def _table(columns: Mapping[str, pa.Array | pa.ChunkedArray], count: int, schema: pa.Schema) -> pa.Table:
    """A table of the schema; what is not given is null."""
    filled = [columns.get(field.name, pa.nulls(count, field.type)) for field in schema]
    return pa.table(filled, schema=schema)


def _with_column(table: pa.Table, name: str, values: np.ndarray) -> pa.Table:
    place = table.schema.get_field_index(name)
    return table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type))


def _sensor_data(captures: pa.Table, grid: _Grid) -> pa.Table:
    """Each new frame takes, of each sensor, the captures of the nearest frame that has some.

    Frames are compared, not captures: a camera that fires 50 ms before its frame's time stamp still belongs to that frame.
    """
    if not captures.num_rows:
        return captures
    frames, sensors = captures["frame"].to_numpy(), captures["sensor"].to_pylist()
    _, sensor = np.unique(np.array(sensors, dtype=object).astype(str), return_inverse=True)
    groups, of_row = np.unique(np.stack([sensor, frames], axis=-1), axis=0, return_inverse=True)
    time_ns = grid.old_ns[groups[:, 1]]
    place, off_ns = _nearest(grid.times_ns, time_ns)
    order = np.lexsort((off_ns, place, groups[:, 0]))
    ahead = order[:-1], order[1:]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (place[ahead[0]] != place[ahead[1]]) | (groups[ahead[0], 0] != groups[ahead[1], 0])
    taken = np.full(len(groups), -1)
    chosen = order[first]
    taken[chosen] = np.where(off_ns[chosen] <= grid.step_ns / 2, place[chosen], -1)
    new_frame = taken[of_row.reshape(-1)]
    rows = np.flatnonzero(new_frame >= 0)
    rows = rows[np.argsort(new_frame[rows], kind="stable")]
    return _with_column(captures.take(rows), "frame", new_frame[rows]).cast(SENSOR_DATA)


def _nearest(
    times_ns: Int[np.ndarray, "g"], at_ns: Int[np.ndarray, "m"]
) -> tuple[Int[np.ndarray, "m"], Int[np.ndarray, "m"]]:
    """Place of the nearest time, the earlier of two, and how far off it is."""
    after = np.clip(np.searchsorted(times_ns, at_ns), 0, len(times_ns) - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(at_ns - times_ns[before] <= np.abs(times_ns[after] - at_ns), before, after)
    return nearest, np.abs(times_ns[nearest] - at_ns)


def _annotations(boxes: pa.Table, grid: _Grid, old_poses: Poses | None, new_poses: Poses | None) -> pa.Table:
    if not boxes.num_rows:
        return boxes
    frames = boxes["frame"].to_numpy()
    to = grid.new_of_old[frames]
    kept = np.flatnonzero(to >= 0)
    copied = _with_column(boxes.take(kept), "frame", to[kept])
    pairs = _pairs(boxes, frames, grid)
    made = _interpolated(boxes, frames, pairs, grid, old_poses, new_poses)
    table = pa.concat_tables([copied, made])
    order = np.lexsort((np.concatenate([kept, pairs.start]), np.concatenate([to[kept], pairs.new])))
    return table.take(order).combine_chunks().cast(ANNOTATIONS)


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Rows to interpolate between: one for each new box.

    Attributes:
        start: row of the label before.
        end: row of the label after.
        new: new frame.
    """

    start: Int[np.ndarray, "m"]
    end: Int[np.ndarray, "m"]
    new: Int[np.ndarray, "m"]


def _pairs(boxes: pa.Table, frames: Int[np.ndarray, "n"], grid: _Grid) -> _Pairs:
    """Labels of a track in labelled frames that follow each other, with each new frame between them."""
    labelled, rank = np.unique(frames, return_inverse=True)
    rank = rank.reshape(-1)
    _, track = np.unique(np.array(boxes["track_id"].to_pylist(), dtype=object).astype(str), return_inverse=True)
    order = np.lexsort((rank, track.reshape(-1)))
    start, end = order[:-1], order[1:]
    time_ns = grid.old_ns[frames]
    follow = (track[start] == track[end]) & (rank[start] + 1 == rank[end]) & (time_ns[end] - time_ns[start] <= GAP_NS)
    start, end = start[follow], end[follow]
    free = _between_labels(grid, labelled)
    new_frames = np.flatnonzero(free >= 0)
    first = np.searchsorted(free[new_frames], rank[start], side="left")
    count = np.searchsorted(free[new_frames], rank[start], side="right") - first
    which = np.repeat(np.arange(len(start)), count)
    step = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    return _Pairs(start[which], end[which], new_frames[first[which] + step])


def _between_labels(grid: _Grid, labelled: Int[np.ndarray, "k"]) -> Int[np.ndarray, "g"]:
    """Of each new frame the rank of the labelled frame before it; -1 where it is one itself, or there is none around it."""
    times_ns = grid.old_ns[labelled]
    after = np.searchsorted(times_ns, grid.times_ns)
    inside = (after > 0) & (after < len(times_ns))
    inside &= times_ns[np.minimum(after, len(times_ns) - 1)] != grid.times_ns
    return np.where(inside, after - 1, -1)


def _interpolated(
    boxes: pa.Table,
    frames: Int[np.ndarray, "n"],
    pairs: _Pairs,
    grid: _Grid,
    old_poses: Poses | None,
    new_poses: Poses | None,
) -> pa.Table:
    start_ns, end_ns = grid.old_ns[frames[pairs.start]], grid.old_ns[frames[pairs.end]]
    fraction = (grid.times_ns[pairs.new] - start_ns) / np.maximum(end_ns - start_ns, 1)
    local = poses_of(boxes["ego_SE3_box"])
    if local is None:
        raise LogFormatError("a box has no pose: mend the reader")
    start, end = local.take(pairs.start), local.take(pairs.end)
    if old_poses is None or new_poses is None:
        poses = between(start, end, fraction)
    else:
        start = old_poses.take(frames[pairs.start]).then(start)
        end = old_poses.take(frames[pairs.end]).then(end)
        poses = new_poses.take(pairs.new).inverse().then(between(start, end, fraction))
    nearer = boxes.take(np.where(fraction <= 0.5, pairs.start, pairs.end))
    columns = {name: nearer[name] for name in ("log_id", "track_id", "category", "source_category", "attribute")}
    columns |= {
        "frame": pa.array(pairs.new, pa.int32()),
        "timestamp_ns": pa.array(grid.times_ns[pairs.new]),
        "ego_SE3_box": structs_of(poses),
        "observed": pa.array(np.zeros(len(pairs.new), dtype=bool)),
    }
    for name in ("length_m", "width_m", "height_m"):
        size_m = boxes[name].to_numpy()
        columns[name] = pa.array((1.0 - fraction) * size_m[pairs.start] + fraction * size_m[pairs.end])
    return _table(columns, len(pairs.new), ANNOTATIONS)
