"""The raw tables of one log as plain Python: bodies in the ego frame of their moment, and places through the global frame.

Nothing here comes from the code under test: Parquet is read with pyarrow, poses are turned with pyquaternion.
"""

from __future__ import annotations

import bisect
import cmath
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyquaternion import Quaternion
from shapely import Polygon

Row = dict[str, Any]
Point = tuple[float, float, float]

BODY_COLUMNS = (
    "track_id", "category", "x_m", "y_m", "z_m", "length_m", "width_m", "height_m", "yaw_rad", "vx_mps", "vy_mps",
    "speed_mps", "in_view",
)  # fmt: skip
TOLERANCE_NS = 100_000_000


@dataclass(frozen=True, slots=True)
class Body:
    """A track in one frame, as the table has it."""

    track_id: str
    category: str
    x_m: float
    y_m: float
    z_m: float
    length_m: float
    width_m: float
    height_m: float
    yaw_rad: float
    vx_mps: float | None
    vy_mps: float | None
    speed_mps: float | None
    in_view: bool | None
    views: dict[str, tuple[float, float, float, float, float]]
    """Camera → box and visible fraction."""


@dataclass(frozen=True, slots=True)
class Pose:
    """`global_SE3_ego` as rows of a rotation matrix and an origin."""

    rows: tuple[Point, Point, Point]
    origin: Point

    @classmethod
    def of(cls, struct: Row) -> Pose:
        turn = Quaternion(struct["qw"], struct["qx"], struct["qy"], struct["qz"]).unit.rotation_matrix
        rows = tuple(tuple(float(value) for value in row) for row in turn)
        return cls(rows, (struct["tx_m"], struct["ty_m"], struct["tz_m"]))

    def turned(self, v: Point) -> Point:
        a, b, c = self.rows
        return (
            a[0] * v[0] + a[1] * v[1] + a[2] * v[2],
            b[0] * v[0] + b[1] * v[1] + b[2] * v[2],
            c[0] * v[0] + c[1] * v[1] + c[2] * v[2],
        )

    def unturned(self, v: Point) -> Point:
        a, b, c = self.rows
        return (
            a[0] * v[0] + b[0] * v[1] + c[0] * v[2],
            a[1] * v[0] + b[1] * v[1] + c[1] * v[2],
            a[2] * v[0] + b[2] * v[1] + c[2] * v[2],
        )

    def to_global(self, p: Point) -> Point:
        v, o = self.turned(p), self.origin
        return v[0] + o[0], v[1] + o[1], v[2] + o[2]

    def to_ego(self, p: Point) -> Point:
        o = self.origin
        return self.unturned((p[0] - o[0], p[1] - o[1], p[2] - o[2]))


class RawLog:
    """The tables of one log, by key."""

    def __init__(self, root: Path, log_id: str) -> None:
        self.root, self.log_id = root, log_id
        frames = self._rows("frames", ("frame", "timestamp_ns", "global_SE3_ego", "speed_mps"))
        frames.sort(key=lambda row: row["timestamp_ns"])
        self.times_ns = [row["timestamp_ns"] for row in frames]
        self.order = [row["frame"] for row in frames]
        self.time_ns = dict(zip(self.order, self.times_ns, strict=True))
        self.ego_speed = {row["frame"]: row["speed_mps"] for row in frames}
        self.pose = {row["frame"]: Pose.of(row["global_SE3_ego"]) for row in frames if row["global_SE3_ego"]}
        self.bodies = self._read_bodies()
        self.frames_of: dict[str, list[int]] = {}
        for frame in self.order:
            for track_id in self.bodies[frame]:
                self.frames_of.setdefault(track_id, []).append(frame)
        self.cameras = {
            row["sensor"] for row in self._rows("sensor_data", ("sensor", "modality")) if row["modality"] == "camera"
        }
        self.groups = {row["group_id"]: row for row in self._rows("groups", None)}
        self._memory: dict[Any, Any] = {}

    def _rows(self, table: str, columns: tuple[str, ...] | None) -> list[Row]:
        path = self.root / table / f"{self.log_id}.parquet"
        if not path.is_file():
            return []
        return pq.ParquetFile(path).read(columns=None if columns is None else list(columns)).to_pylist()

    def _read_bodies(self) -> dict[int, dict[str, Body]]:
        found: dict[int, dict[str, Body]] = {frame: {} for frame in self.order}
        for row in self._rows("tracks", ("frame", *BODY_COLUMNS, "cameras")):
            views = {
                view["camera"]: (
                    view["u0_px"], view["v0_px"], view["u1_px"], view["v1_px"], view["visible_fraction"]
                )
                for view in row["cameras"] or ()
            }  # fmt: skip
            found[row["frame"]][row["track_id"]] = Body(*(row[name] for name in BODY_COLUMNS), views)
        return found

    def questions(self) -> list[Row]:
        return self._rows("questions", None)

    @property
    def lanes(self) -> list[tuple[str, list[Point | None]]]:
        if "lanes" not in self._memory:
            rows = self._rows("map_elements", ("element_id", "kind", "x_m", "y_m", "z_m"))
            self._memory["lanes"] = [
                (
                    row["element_id"],
                    list(zip(row["x_m"], row["y_m"], row["z_m"] or [None] * len(row["x_m"]), strict=True)),
                )
                for row in rows
                if row["kind"] == "lane"
            ]
        return self._memory["lanes"]

    def remembered(self, key: Any, make: Any) -> Any:
        """What `make()` returned the first time."""
        if key not in self._memory:
            self._memory[key] = make()
        return self._memory[key]

    def frame_after(self, frame: int, seconds: float) -> int | None:
        """The frame nearest to `seconds` later, the earlier of two as near; None where none is within 0.1 s."""
        key = ("after", frame, seconds)
        if key not in self._memory:
            self._memory[key] = self._nearest(self.time_ns[frame] + round(seconds * 1e9))
        return self._memory[key]

    def _nearest(self, wanted_ns: int) -> int | None:
        at = bisect.bisect_left(self.times_ns, wanted_ns)
        near = [(abs(self.times_ns[k] - wanted_ns), k) for k in (at - 1, at) if 0 <= k < len(self.times_ns)]
        off_ns, best = min(near)
        return self.order[best] if off_ns <= TOLERANCE_NS else None

    def frames_until(self, first: int, last: int) -> list[int]:
        """Frames from one to another, both included."""
        return self.order[self.order.index(first) : self.order.index(last) + 1]

    def seen(self, frame: int, track_id: str, from_frame: int | None = None) -> Point | None:
        """Centre of a track at `frame` in the ego frame of `from_frame` (default: the same), by way of the global frame."""
        key = ("seen", frame, track_id, from_frame)
        if key not in self._memory:
            self._memory[key] = self._seen(frame, track_id, frame if from_frame is None else from_frame)
        return self._memory[key]

    def _seen(self, frame: int, track_id: str, from_frame: int) -> Point | None:
        body = self.bodies[frame].get(track_id)
        if body is None:
            return None
        place = (body.x_m, body.y_m, body.z_m)
        if frame in self.pose and from_frame in self.pose:
            return self.pose[from_frame].to_ego(self.pose[frame].to_global(place))
        return place if frame == from_frame else None

    def heading(self, frame: int, track_id: str) -> float:
        """Yaw in the ego frame of its moment, radians, by way of the global frame."""
        yaw_rad = self.bodies[frame][track_id].yaw_rad
        if frame not in self.pose:
            return yaw_rad
        pose = self.pose[frame]
        x, y, _ = pose.unturned(pose.turned((math.cos(yaw_rad), math.sin(yaw_rad), 0.0)))
        return math.atan2(y, x)

    def ego_place(self, frame: int, from_frame: int) -> Point | None:
        """The ego origin at `frame` in the ego frame of `from_frame`."""
        if frame not in self.pose or from_frame not in self.pose:
            return (0.0, 0.0, 0.0) if frame == from_frame else None
        return self.pose[from_frame].to_ego(self.pose[frame].origin)

    def ego_turn(self, frame: int, from_frame: int) -> float | None:
        """Direction of the ego's front at `frame` in the ego frame of `from_frame`, radians."""
        if frame not in self.pose or from_frame not in self.pose:
            return 0.0 if frame == from_frame else None
        x, y, _ = self.pose[from_frame].unturned(self.pose[frame].turned((1.0, 0.0, 0.0)))
        return math.atan2(y, x)

    def ground(self, frame: int, track_id: str) -> Polygon:
        """Footprint in the ego frame of its moment."""
        key = ("ground", frame, track_id)
        if key not in self._memory:
            body, place = self.bodies[frame][track_id], self.seen(frame, track_id)
            centre, turn = complex(place[0], place[1]), cmath.rect(1.0, self.heading(frame, track_id))
            self._memory[key] = rectangle(centre, turn, body.length_m, body.width_m)
        return self._memory[key]


def rectangle(centre: complex, turn: complex, length_m: float, width_m: float) -> Polygon:
    """A box on the ground; `turn` is a unit complex number that points to its front."""
    corners = [
        centre + turn * complex(along * length_m / 2, left * width_m / 2)
        for along, left in ((1, 1), (-1, 1), (-1, -1), (1, -1))
    ]
    return Polygon([(corner.real, corner.imag) for corner in corners])


@lru_cache(maxsize=1)
def ego_box() -> Polygon:
    """4.6 m by 1.9 m, its centre 1.4 m ahead of the ego origin."""
    return rectangle(complex(1.4, 0.0), complex(1.0, 0.0), 4.6, 1.9)
