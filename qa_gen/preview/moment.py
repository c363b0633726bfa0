"""What is around the ego at a group's present, where its marked agents came from and where they go, in the ego frame of now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from drive_vqa.geometry import SE3
from drive_vqa.schema import pose_from_struct

Row = Mapping[str, Any]
AFTER_S = 3.1
"""Questions look this far ahead, a little more."""

BOX = ("x_m", "y_m", "length_m", "width_m", "yaw_rad")


@dataclass(frozen=True)
class Agent:
    """A tracked agent; `mark` is None for one that is not marked."""

    mark: int | None
    category: str
    box: tuple[float, float, float, float, float]
    """x, y, length, width (metres) and yaw (radians)."""


@dataclass(frozen=True)
class Path:
    """Where an agent, or the ego (mark None), is at other times: (seconds from now, x, y), in order of time."""

    mark: int | None
    points: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Around:
    """Agents and paths of one moment."""

    agents: tuple[Agent, ...]
    paths: tuple[Path, ...]


def around(group: Row, frames: pa.Table, tracks: pa.Table) -> Around:
    """The moment of a group.

    Args:
        group: a row of the `groups` table.
        frames: the log's table.
        tracks: the log's table.
    """
    mark_of = {mark["track_id"]: mark["mark"] for mark in group["marks"]}
    now = tracks.filter(pc.equal(tracks["frame"], group["frame"])).select(["track_id", "category", *BOX]).to_pylist()
    agents = tuple(
        Agent(mark_of.get(row["track_id"]), row["category"], (row["x_m"], row["y_m"], *(row[name] for name in BOX[2:])))
        for row in now
        if all(row[name] is not None and np.isfinite(row[name]) for name in BOX)
    )
    return Around(agents, _paths(group, frames, tracks, mark_of))


def _paths(group: Row, frames: pa.Table, tracks: pa.Table, mark_of: Mapping[str, int]) -> tuple[Path, ...]:
    """None for a group of one moment, or where the present has no pose."""
    offsets_s = {view["offset_s"] for view in group["context"]}
    reach_s = (min(offsets_s, default=0.0) - 0.1, AFTER_S if group["kind"] in ("sequence", "target") else 0.1)
    if group["kind"] in ("single", "surround"):
        return ()
    now_SE3_then = _poses_from(group, frames, reach_s)
    points: dict[int | None, list[tuple[float, float, float]]] = {
        None: [
            (at_s, float(pose.translation_m[0]), float(pose.translation_m[1])) for at_s, pose in now_SE3_then.values()
        ]
    }
    wanted = pc.and_(
        pc.is_in(tracks["track_id"], pa.array(list(mark_of), pa.string())),
        pc.is_in(tracks["frame"], pa.array(list(now_SE3_then), pa.int32())),
    )
    for row in tracks.filter(wanted).select(["frame", "track_id", "x_m", "y_m"]).to_pylist():
        at_s, pose = now_SE3_then[row["frame"]]
        x_m, y_m, _ = pose @ np.array([row["x_m"], row["y_m"], 0.0])
        points.setdefault(mark_of[row["track_id"]], []).append((at_s, float(x_m), float(y_m)))
    return tuple(Path(mark, tuple(sorted(found))) for mark, found in points.items() if len(found) > 1)


def _poses_from(group: Row, frames: pa.Table, reach_s: Sequence[float]) -> dict[int, tuple[float, SE3]]:
    """Frame → seconds from now and `now_SE3_then`, where poses are known."""
    rows = frames.select(["frame", "timestamp_ns", "global_SE3_ego"]).to_pylist()
    present = next((row["global_SE3_ego"] for row in rows if row["frame"] == group["frame"]), None)
    if present is None:
        return {}
    now_SE3_global = pose_from_struct(present).inverse()
    times = {row["frame"]: 1e-9 * (row["timestamp_ns"] - group["timestamp_ns"]) for row in rows}
    return {
        row["frame"]: (times[row["frame"]], now_SE3_global @ pose_from_struct(row["global_SE3_ego"]))
        for row in rows
        if row["global_SE3_ego"] is not None and reach_s[0] <= times[row["frame"]] <= reach_s[1]
    }
