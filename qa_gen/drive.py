"""Logs as columns: frames in time order, the boxes of all agents, and where each camera shows them.

Several logs are one long drive, one after another with so much time between them that nothing finds its way from one to the next.
What has to be done a question is then done for all of them at once. Each log keeps its own global frame.

Row and frame numbers are indices into these columns; -1 means "none" and picks the padding entry that every column has at its
end: NaN for numbers, -1 for codes. So a chain of lookups needs no masks, and what is not known stays NaN to the end.
Everything about an agent is in the ego frame of its own frame: a question about the future reads the later row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float, Int, UInt64
from scipy.spatial.transform import Rotation

from drive_vqa.categories import CATEGORIES
from drive_vqa.errors import StoreError
from drive_vqa.store import Store
from qa_gen.hashing import mix, text_hash

CATEGORY_CODES = {name: code for code, name in enumerate(CATEGORIES)}
"""Category names as numbers, in the order of CATEGORIES."""

BOX_COLUMNS = (
    *("x_m", "y_m", "z_m", "length_m", "width_m", "height_m", "yaw_rad"),
    *("vx_mps", "vy_mps", "speed_mps"),
)
LONGEST_NS = 7 * 86_400 * 10**9
BETWEEN_LOGS_NS = 10**12
MOST_CELLS = 200_000_000
LEAST_QUATERNION = 1e-6
MOST_PX = 1e5
BELIEVABLE = {
    **dict.fromkeys(("x_m", "y_m", "z_m"), (-1e5, 1e5)),
    **dict.fromkeys(("length_m", "width_m", "height_m"), (0.0, 200.0)),
    **dict.fromkeys(("vx_mps", "vy_mps"), (-150.0, 150.0)),
    "yaw_rad": (-1e4, 1e4),
    "speed_mps": (0.0, 150.0),
}
"""Between what a value must lie; a speed may be 0."""

REGION_COLUMNS = ("u0_px", "v0_px", "u1_px", "v1_px", "visible_fraction")


@dataclass(frozen=True, eq=False)
class Picture:
    """A camera's images in a log.

    Attributes:
        camera: its name.
        path: by frame index; None where there is no file.
        width: pixels.
        height: pixels.
    """

    camera: str
    path: Sequence[str | None]
    width: int | None
    height: int | None


@dataclass(frozen=True, eq=False)
class Lanes:
    """Centre lines of the map's lanes in the global frame, as segments in driving direction.

    Attributes:
        start_xy_m: where each segment begins.
        end_xy_m: where it ends.
        lane: number of the lane that it belongs to.
    """

    start_xy_m: Float[np.ndarray, "s 2"]
    end_xy_m: Float[np.ndarray, "s 2"]
    lane: Int[np.ndarray, "s"]


@dataclass(frozen=True, eq=False)
class Drive:
    """All that questions need of one or several logs.

    Attributes:
        log_ids: the logs, in order.
        log: index of each frame's log; -1 at the end.
        frame: the store's frame number of each frame index; -1 at the end.
        timestamp_ns: when, on the log's own clock.
        time_ns: the same, on a clock of which the logs follow each other; rising.
        moment_hash: 64 random bits for each frame of each log.
        track_hash: 64 random bits for each track's name.
        ego_speed_mps: NaN where unknown.
        global_R_ego: rotation of the ego's pose; NaN for a log without poses.
        global_xyz_ego_m: position of the ego origin in the log's global frame; likewise.
        boxes: the columns of BOX_COLUMNS, one entry a row of the track table.
        category: code of each row's category.
        row_frame: frame index of each row; rows are sorted by it, then by track.
        row_track: index of each row's track in `track_ids`.
        first_row: index of the first row of each frame, with the end after the last.
        track_ids: names, sorted within each log.
        pictures: cameras that have images or at least a calibration, by name.
        regions: by camera: for each row the box that this camera shows of it and its visible share; NaN where none.
        in_view: 1 where a camera's image holds a part of the box, hidden or not; 0 not; -1 not known.
        lanes: of each log; None where it has no map.
    """

    log_ids: tuple[str, ...]
    log: Int[np.ndarray, "f1"]
    frame: Int[np.ndarray, "f1"]
    timestamp_ns: Int[np.ndarray, "f"]
    time_ns: Int[np.ndarray, "f"]
    moment_hash: UInt64[np.ndarray, "f1"]
    track_hash: UInt64[np.ndarray, "t1"]
    ego_speed_mps: Float[np.ndarray, "f1"]
    global_R_ego: Float[np.ndarray, "f1 3 3"]
    global_xyz_ego_m: Float[np.ndarray, "f1 3"]
    boxes: Mapping[str, Float[np.ndarray, "r1"]]
    category: Int[np.ndarray, "r1"]
    row_frame: Int[np.ndarray, "r"]
    row_track: Int[np.ndarray, "r"]
    first_row: Int[np.ndarray, "f1"]
    track_ids: tuple[str, ...]
    pictures: Mapping[str, Picture]
    regions: Mapping[str, Float[np.ndarray, "r1 5"]]
    in_view: Int[np.ndarray, "r1"]
    lanes: tuple[Lanes | None, ...]
    _first_cell: Int[np.ndarray, "f1"] = field(init=False)
    _row_in_cell: Int[np.ndarray, "cells"] = field(init=False)
    """A cell for each frame and each track of its log: the row, or -1; a frame's cells begin at `_first_cell` plus the track."""

    def __post_init__(self) -> None:
        first_cell, cells = _cells(self.log, self.row_frame, self.row_track)
        row_in_cell = np.full(cells, -1, dtype=np.int64)
        row_in_cell[first_cell[self.row_frame] + self.row_track] = np.arange(len(self.row_frame))
        object.__setattr__(self, "_first_cell", first_cell)
        object.__setattr__(self, "_row_in_cell", row_in_cell)

    def frame_after(self, frame: Int[np.ndarray, "*n"], offset_s: float, tolerance_s: float) -> Int[np.ndarray, "*n"]:
        """Index of the frame nearest to `offset_s` after each frame, the earlier of two as near; -1 where none is near enough."""
        if not len(self.time_ns):
            return np.full_like(frame, -1)
        wanted_ns = self.time_ns[frame] + round(offset_s * 1e9)
        after = np.minimum(np.searchsorted(self.time_ns, wanted_ns), len(self.time_ns) - 1)
        before = np.maximum(after - 1, 0)
        nearer = np.where(wanted_ns - self.time_ns[before] <= self.time_ns[after] - wanted_ns, before, after)
        near = np.abs(self.time_ns[nearer] - wanted_ns) <= tolerance_s * 1e9
        return np.asarray(np.where(near & (frame >= 0), nearer, -1))

    def row_of(self, frame: Int[np.ndarray, "..."], track: Int[np.ndarray, "..."]) -> Int[np.ndarray, "..."]:
        """Row of a track in a frame of its log; -1 where it is not there."""
        there = (frame >= 0) & (track >= 0)
        return np.asarray(np.where(there, self._row_in_cell[np.where(there, self._first_cell[frame] + track, 0)], -1))


def read_drive(store: Store, log_id: str) -> Drive:
    """Read a log's columns.

    Raises:
        StoreError: a table is missing, an object appears twice in a frame, or in a frame that is not there.
    """
    frames = store.read("frames", log_id, ["frame", "timestamp_ns", "speed_mps", "global_SE3_ego"])
    if frames["timestamp_ns"].null_count or frames["frame"].null_count:
        raise StoreError(f"log {log_id} has a frame without a number or a time: ingest it again")
    frames = frames.sort_by([("timestamp_ns", "ascending"), ("frame", "ascending")])
    frame = frames["frame"].to_numpy().astype(np.int64)
    columns = ["frame", "track_id", "category", "in_view", *BOX_COLUMNS, "cameras"]
    tracks = store.read("tracks", log_id, columns)
    if tracks["track_id"].null_count or tracks["frame"].null_count:
        raise StoreError(f"log {log_id} has a track without a name or a frame: run `drive-vqa fuse` again")
    order, row_frame, row_track, track_ids = _sorted_rows(tracks, frame, log_id)
    rotation, xyz_m = _poses(frames["global_SE3_ego"].combine_chunks())
    pictures = _pictures(store, log_id, frame)
    timestamp_ns = frames["timestamp_ns"].to_numpy()
    time_ns = timestamp_ns - timestamp_ns[:1]
    if (time_ns > LONGEST_NS).any():
        raise StoreError(f"log {log_id} lasts more than a week: its timestamps are broken, ingest it again")
    return Drive(
        log_ids=(log_id,),
        log=np.append(np.zeros(len(frame), np.int64), -1),
        frame=np.append(frame, -1),
        timestamp_ns=timestamp_ns,
        time_ns=time_ns,
        moment_hash=mix(text_hash(log_id), np.append(frame, -1)),
        track_hash=np.array([*(text_hash(name) for name in track_ids), 0], dtype=np.uint64),
        ego_speed_mps=_padded(_believable("speed_mps", _floats(frames["speed_mps"]))),
        global_R_ego=rotation,
        global_xyz_ego_m=xyz_m,
        boxes={name: _padded(_believable(name, _floats(tracks[name])[order])) for name in BOX_COLUMNS},
        category=np.append(_codes(tracks["category"], CATEGORY_CODES)[order], -1),
        row_frame=row_frame,
        row_track=row_track,
        first_row=np.searchsorted(row_frame, np.arange(len(frame) + 1)),
        track_ids=track_ids,
        pictures=pictures,
        regions=_regions(tracks["cameras"].combine_chunks(), order, set(pictures)),
        in_view=np.append(pc.fill_null(tracks["in_view"].cast(pa.int64()), -1).to_numpy()[order], -1),
        lanes=(_lanes(store, log_id),),
    )


def join_drives(drives: Sequence[Drive]) -> Drive:
    """Several logs with the same cameras as one long drive; one alone is itself.

    Args:
        drives: at least one, each of a single log.
    """
    if len(drives) == 1:
        return drives[0]
    frames = np.cumsum([0, *(len(drive.time_ns) for drive in drives)])
    rows = np.cumsum([0, *(len(drive.row_frame) for drive in drives)])
    tracks = np.cumsum([0, *(len(drive.track_ids) for drive in drives)])
    spans_ns = np.cumsum([0, *(drive.time_ns.max(initial=0) + BETWEEN_LOGS_NS for drive in drives)])
    first = drives[0]
    return Drive(
        log_ids=tuple(log_id for drive in drives for log_id in drive.log_ids),
        log=_chained([drive.log[:-1] + number for number, drive in enumerate(drives)], -1),
        frame=_chained([drive.frame[:-1] for drive in drives], -1),
        timestamp_ns=np.concatenate([drive.timestamp_ns for drive in drives]),
        time_ns=np.concatenate([drive.time_ns + span_ns for drive, span_ns in zip(drives, spans_ns, strict=False)]),
        moment_hash=_chained([drive.moment_hash[:-1] for drive in drives], 0),
        track_hash=_chained([drive.track_hash[:-1] for drive in drives], 0),
        ego_speed_mps=_chained([drive.ego_speed_mps[:-1] for drive in drives], np.nan),
        global_R_ego=_chained([drive.global_R_ego[:-1] for drive in drives], np.full((3, 3), np.nan)),
        global_xyz_ego_m=_chained([drive.global_xyz_ego_m[:-1] for drive in drives], np.full(3, np.nan)),
        boxes={name: _chained([drive.boxes[name][:-1] for drive in drives], np.nan) for name in BOX_COLUMNS},
        category=_chained([drive.category[:-1] for drive in drives], -1),
        row_frame=np.concatenate([drive.row_frame + start for drive, start in zip(drives, frames, strict=False)]),
        row_track=np.concatenate([drive.row_track + start for drive, start in zip(drives, tracks, strict=False)]),
        first_row=_chained(
            [drive.first_row[:-1] + start for drive, start in zip(drives, rows, strict=False)], rows[-1]
        ),
        track_ids=tuple(name for drive in drives for name in drive.track_ids),
        pictures={
            camera: Picture(camera, [path for drive in drives for path in drive.pictures[camera].path], *size_px)
            for camera, *size_px, _ in cameras_of(first)
        },
        regions={
            camera: _chained([drive.regions[camera][:-1] for drive in drives], np.full(len(REGION_COLUMNS), np.nan))
            for camera in first.regions
        },
        in_view=_chained([drive.in_view[:-1] for drive in drives], -1),
        lanes=tuple(lanes for drive in drives for lanes in drive.lanes),
    )


def cameras_of(drive: Drive) -> tuple[tuple[str, int | None, int | None, bool], ...]:
    """Name, width and height of a drive's cameras, and whether they have images: logs that agree in them can be joined."""
    pictures = drive.pictures.values()
    return tuple((picture.camera, picture.width, picture.height, any(picture.path)) for picture in pictures)


def _cells(log: np.ndarray, row_frame: np.ndarray, row_track: np.ndarray) -> tuple[np.ndarray, int]:
    """Where the cells of each frame begin, less its log's first track, and how many cells there are.

    Raises:
        StoreError: there are more than a memory of some gigabytes can hold.
    """
    logs = int(log.max(initial=-1)) + 1
    first_track, tracks = np.zeros(logs, np.int64), np.ones(logs, np.int64)
    log_of_row = log[row_frame]
    for number in range(logs):
        own = row_track[log_of_row == number]
        if len(own):
            first_track[number], tracks[number] = own.min(), own.max() - own.min() + 1
    width = tracks[log[:-1]]
    begin = np.append(np.cumsum(width) - width, 0)
    cells = int(width.sum()) if len(width) else 0
    if cells > MOST_CELLS:
        raise StoreError(f"{cells} combinations of frames and tracks are too many: split the log into shorter ones")
    begin[:-1] -= first_track[log[:-1]]
    return begin, max(cells, 1)


def _chained(parts: Sequence[np.ndarray], padding: Any) -> np.ndarray:
    return np.concatenate([*parts, np.asarray(padding, dtype=parts[0].dtype)[None]])


def _believable(name: str, values: np.ndarray) -> np.ndarray:
    """Values that a road has; others are as good as unknown."""
    least, most = BELIEVABLE[name]
    inside = (values > least) & (values < most)
    return np.where(inside | ((values == 0.0) & name.endswith("_mps")), values, np.nan)


def _sorted_rows(
    tracks: pa.Table, frame: np.ndarray, log_id: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
    """Order of the rows by frame index and track, and both in that order."""
    names = tracks["track_id"].combine_chunks().dictionary_encode()
    track_ids = np.array(names.dictionary.to_pylist(), dtype=object)
    rank = np.argsort(track_ids)
    code_of = np.empty(len(rank), dtype=np.int64)
    code_of[rank] = np.arange(len(rank))
    row_track = code_of[names.indices.to_numpy().astype(np.int64)] if len(names) else np.zeros(0, np.int64)
    by_number = np.argsort(frame, kind="stable")
    number = tracks["frame"].to_numpy().astype(np.int64)
    place = np.minimum(np.searchsorted(frame[by_number], number), max(len(frame) - 1, 0))
    known = frame[by_number][place] == number if len(frame) else np.zeros(len(number), dtype=bool)
    if not known.all():
        raise StoreError(f"log {log_id} has tracks in frame {number[~known][0]}, which is not there: ingest it again")
    row_frame = by_number[place] if len(number) else np.zeros(0, np.int64)
    order = np.lexsort((row_track, row_frame))
    row_frame, row_track = row_frame[order], row_track[order]
    twice = (np.diff(row_frame) == 0) & (np.diff(row_track) == 0)
    if twice.any():
        name = track_ids[rank][row_track[int(np.argmax(twice))]]
        raise StoreError(f"log {log_id} has track {name} twice in a frame: run `drive-vqa fuse` again")
    return order, row_frame, row_track, tuple(track_ids[rank])


def _poses(poses: pa.StructArray) -> tuple[np.ndarray, np.ndarray]:
    quaternion = np.stack([_floats(pc.struct_field(poses, name)) for name in ("qx", "qy", "qz", "qw")], axis=-1)
    xyz_m = np.stack([_floats(pc.struct_field(poses, name)) for name in ("tx_m", "ty_m", "tz_m")], axis=-1)
    known = np.isfinite(quaternion).all(axis=-1) & np.isfinite(xyz_m).all(axis=-1)
    known &= np.abs(np.nan_to_num(quaternion)).max(axis=-1, initial=0.0) > LEAST_QUATERNION
    rotation = np.full((len(poses) + 1, 3, 3), np.nan)
    if known.any():
        rotation[:-1][known] = Rotation.from_quat(quaternion[known]).as_matrix()
    return rotation, np.concatenate([np.where(known[:, None], xyz_m, np.nan), np.full((1, 3), np.nan)])


def _pictures(store: Store, log_id: str, frame: np.ndarray) -> dict[str, Picture]:
    columns = ["frame", "sensor", "modality", "path", "width", "height"]
    table = store.read("sensor_data", log_id, columns)
    table = table.filter(pc.and_(pc.equal(table["modality"], "camera"), pc.is_valid(table["sensor"])))
    index_of = {number: index for index, number in enumerate(frame.tolist())}
    paths: dict[str, list[str | None]] = {}
    sizes: dict[str, tuple[int | None, int | None]] = {}
    for number, camera, _, path, width, height in zip(*(column.to_pylist() for column in table.columns), strict=True):
        paths.setdefault(camera, [None] * len(frame))
        sizes.setdefault(camera, (width, height))
        if number in index_of:
            paths[camera][index_of[number]] = path
    return {camera: Picture(camera, paths[camera], *sizes[camera]) for camera in sorted(paths)}


def _regions(views: pa.ListArray, order: np.ndarray, cameras: set[str]) -> dict[str, np.ndarray]:
    """Parts of no size are left out."""
    view = pc.list_flatten(views)
    parent = pc.list_parent_indices(views).to_numpy(zero_copy_only=False)
    values = np.stack([_floats(pc.struct_field(view, name)) for name in REGION_COLUMNS], axis=-1)
    shown = (values[:, 4] > 0) & (values[:, 2] > values[:, 0]) & (values[:, 3] > values[:, 1])
    shown &= np.abs(values[:, :4]).max(axis=-1, initial=0.0) < MOST_PX
    codes = _codes(pc.struct_field(view, "camera"), {camera: code for code, camera in enumerate(sorted(cameras))})
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    regions = {}
    for code, camera in enumerate(sorted(cameras)):
        chosen = shown & (codes == code)
        regions[camera] = np.full((len(order) + 1, len(REGION_COLUMNS)), np.nan)
        regions[camera][place[parent[chosen]]] = values[chosen]
    return regions


def _lanes(store: Store, log_id: str) -> Lanes | None:
    if not store.path("map_elements", log_id).exists():
        return None
    table = store.read("map_elements", log_id, ["kind", "x_m", "y_m"])
    table = table.filter(pc.equal(table["kind"], "lane"))
    points = zip(table["x_m"].to_pylist(), table["y_m"].to_pylist(), strict=True)
    lines = [np.stack([x_m, y_m], axis=-1) for x_m, y_m in points if len(x_m) >= 2]
    if not lines:
        return None
    lane = np.concatenate([np.full(len(line) - 1, number) for number, line in enumerate(lines)])
    return Lanes(np.concatenate([line[:-1] for line in lines]), np.concatenate([line[1:] for line in lines]), lane)


def _codes(names: pa.Array | pa.ChunkedArray, code_of: Mapping[str, int]) -> np.ndarray:
    """Names as codes; unknown ones are -1."""
    array = names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names
    codes = pc.index_in(array, value_set=pa.array(list(code_of), pa.string()))
    return np.asarray(pc.fill_null(codes, -1).to_numpy(zero_copy_only=False).astype(np.int64))


def _floats(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    values = column.to_numpy() if isinstance(column, pa.ChunkedArray) else column.to_numpy(zero_copy_only=False)
    return np.array(values, dtype=np.float64)


def _padded(values: np.ndarray) -> np.ndarray:
    return np.append(values, np.nan)
