"""Logs of a store: the list, and one log with its frames, cameras, tracks and groups, kept in memory while it is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from drive_vqa.errors import StoreError
from drive_vqa.schema import TABLES
from drive_vqa.store import Store
from eval.report.overlays import kind

Row = dict[str, Any]

KEPT = 4
"""Logs that are kept at once."""

COUNTED = ("frames", "tracks", "questions")
LOG_TABLES = ("frames", "sensor_data", "tracks", "groups", "questions")


@dataclass(frozen=True, eq=False)
class Drive:
    """One log; tables that it lacks are empty, and `lacking` names them."""

    log_id: str
    frames: pa.Table
    sensor_data: pa.Table
    tracks: pa.Table
    groups: pa.Table
    asked: pa.Table
    lacking: tuple[str, ...]

    def captures(self, frame: int) -> list[Row]:
        """What its cameras took at a frame."""
        rows = self.sensor_data.filter(pc.equal(self.sensor_data["frame"], frame))
        taken: list[Row] = rows.filter(pc.equal(rows["modality"], "camera")).to_pylist()
        return taken

    def capture(self, frame: int, camera: str) -> Row | None:
        """What one camera took at a frame; None where it took nothing."""
        return next((row for row in self.captures(frame) if row["sensor"] == camera), None)

    def tracks_at(self, frame: int) -> list[Row]:
        """The tracks at a frame, nearest first."""
        rows: list[Row] = self.tracks.filter(pc.equal(self.tracks["frame"], frame)).to_pylist()
        return sorted(rows, key=lambda row: (float(np.hypot(row["x_m"], row["y_m"])), row["track_id"]))

    def frame(self, frame: int) -> Row:
        """The row of a frame.

        Raises:
            StoreError: there is none.
        """
        rows: list[Row] = self.frames.filter(pc.equal(self.frames["frame"], frame)).to_pylist()
        if not rows:
            raise StoreError(f"log {self.log_id} has no frame {frame}: choose one of its {self.frames.num_rows}")
        return rows[0]


def known_log(store: Store, log_id: str) -> str:
    """The name of a log, which must be one of the store's.

    Raises:
        StoreError: it is not.
    """
    if log_id not in store.log_ids():
        raise StoreError(f"{store.root} has no log {log_id[:80]!r}: choose one of the list")
    return log_id


def open_drive(store: Store, log_id: str) -> Drive:
    """Read a log, or take it from memory as long as its files are the same.

    Raises:
        StoreError: the store has no such log, or a table is damaged.
    """
    return _read_drive(store, known_log(store, log_id), stamp(store, log_id))


def stamp(store: Store, log_id: str) -> tuple[int, ...]:
    """When each table of a log was written, 0 for none: what is kept of a log is kept under this."""
    paths = [store.path(table, log_id) for table in (*LOG_TABLES, "map_elements")]
    return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in paths)


@lru_cache(maxsize=KEPT)
def _read_drive(store: Store, log_id: str, _stamp: tuple[int, ...]) -> Drive:
    tables = {"frames": None, "sensor_data": None, "tracks": None, "groups": None, "questions": ("frame",)}
    found = {table: _read_or_empty(store, table, log_id, columns) for table, columns in tables.items()}
    lacking = tuple(table for table in LOG_TABLES if not store.path(table, log_id).exists())
    asked = found.pop("questions")
    return Drive(log_id, **found, asked=asked, lacking=lacking)


def _read_or_empty(store: Store, table: str, log_id: str, columns: tuple[str, ...] | None) -> pa.Table:
    if store.path(table, log_id).exists():
        return store.read(table, log_id, columns)
    return TABLES[table].empty_table().select(list(columns or TABLES[table].names))


def read_group(store: Store, log_id: str, group_id: str) -> Row:
    """The row of a group.

    Raises:
        StoreError: there is none.
    """
    groups = open_drive(store, log_id).groups
    rows: list[Row] = groups.filter(pc.equal(groups["group_id"], group_id)).to_pylist()
    if not rows:
        raise StoreError(f"log {log_id} has no group {group_id[:80]!r}: run `drive-vqa generate STORE` again")
    return rows[0]


def list_logs(store: Store, search: str, start: int, count: int) -> Row:
    """A page of the logs whose name contains what is searched for, with the rows of their tables (null: no such table)."""
    named = [log_id for log_id in store.log_ids() if search.lower() in log_id.lower()]
    page = [{"log": log_id, **_counts(store, log_id)} for log_id in named[start : start + count]]
    return {"logs": page, "count": len(named), "next": start + count if start + count < len(named) else None}


def _counts(store: Store, log_id: str) -> Row:
    return {table: _rows(store, table, log_id) for table in COUNTED}


def _rows(store: Store, table: str, log_id: str) -> int | None:
    """From the foot of the file; None where there is none, or it is damaged, which shows when it is opened."""
    try:
        return int(pq.read_metadata(store.path(table, log_id)).num_rows)
    except (OSError, pa.ArrowException):
        return None


def overview(store: Store, log_id: str) -> Row:
    """A log: its frames with time, own speed and number of questions, its cameras and tracks, and what it lacks."""
    drive = open_drive(store, log_id)
    asked = drive.asked.group_by("frame").aggregate([([], "count_all")])
    questions = dict(zip(asked["frame"].to_pylist(), asked["count_all"].to_pylist(), strict=True))
    frames = drive.frames.select(["frame", "timestamp_ns", "speed_mps"]).sort_by("frame").to_pylist()
    start_ns = frames[0]["timestamp_ns"] if frames else 0
    times = [
        {
            "frame": row["frame"],
            "time_s": (row["timestamp_ns"] - start_ns) * 1e-9,
            "speed_mps": row["speed_mps"],
            "questions": questions.get(row["frame"], 0),
        }
        for row in frames
    ]
    about = store.read("logs", log_id).to_pylist()[0]
    told = {name: about[name] for name in ("recording", "source_format", "location", "description")}
    return {"log": log_id, **told, "frames": times, "tracks": _track_list(drive), "says": _says(drive)}


def _track_list(drive: Drive) -> list[Row]:
    """One row a track: when it is there and how near it comes."""
    range_m = pc.sqrt(pc.add(pc.power(drive.tracks["x_m"], 2), pc.power(drive.tracks["y_m"], 2)))
    table = drive.tracks.select(["track_id", "category", "frame"]).append_column("range_m", range_m)
    grouped = table.group_by(["track_id", "category"]).aggregate(
        [("frame", "min"), ("frame", "max"), ("frame", "count"), ("range_m", "min")]
    )
    return [_track_row(row) for row in grouped.sort_by("range_m_min").to_pylist()]


def _track_row(row: Mapping[str, Any]) -> Row:
    category = row["category"] or "other"
    told = {"track": row["track_id"], "category": category, "kind": kind(category), "nearest_m": row["range_m_min"]}
    return told | {"first": row["frame_min"], "last": row["frame_max"], "frames": row["frame_count"]}


def _says(drive: Drive) -> list[str]:
    """What a reader would look for in vain, and why."""
    cameras = pc.any(pc.equal(drive.sensor_data["modality"], "camera")).as_py()
    says = [] if cameras else ["This log has no cameras."]
    if "tracks" in drive.lacking:
        says.append("This log has no tracks yet: run `drive-vqa fuse STORE`.")
    if "questions" in drive.lacking:
        says.append("This log has no questions yet: run `drive-vqa generate STORE`.")
    return says
