"""A log as a row of moments: at each frame the agents around the ego, what the front camera shows of them, and the ego's speed.

Everything about an agent is in the ego frame of its own moment, so a question about the future reads the later moment.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float

from drive_vqa.errors import ConfigError, StoreError
from drive_vqa.geometry import bearing_deg
from drive_vqa.store import Store

MOVING_MPS = 0.5
"""Above this speed an object counts as moving."""

AGENT_COLUMNS = (
    "track_id", "category", "x_m", "y_m", "length_m", "width_m", "height_m", "yaw_rad", "vx_mps", "vy_mps", "speed_mps"
)  # fmt: skip


@dataclass(frozen=True)
class Region:
    """Where the front camera shows an agent, pixels of the original image."""

    u0_px: float
    v0_px: float
    u1_px: float
    v1_px: float
    visible_fraction: float

    @property
    def shorter_side_px(self) -> float:
        """The lesser of width and height."""
        return min(self.u1_px - self.u0_px, self.v1_px - self.v0_px)

    @property
    def area_px2(self) -> float:
        """Area of the box."""
        return (self.u1_px - self.u0_px) * (self.v1_px - self.v0_px)


@dataclass(frozen=True)
class Agent:
    """A tracked object at one moment, in the ego frame of that moment; what is not known is None."""

    track_id: str
    category: str
    x_m: float
    y_m: float
    length_m: float
    width_m: float
    height_m: float
    yaw_rad: float
    vx_mps: float | None
    vy_mps: float | None
    speed_mps: float | None
    region: Region | None

    @property
    def distance_m(self) -> float:
        """From the ego origin to the box centre, on the ground plane."""
        return float(np.hypot(self.x_m, self.y_m))

    @property
    def bearing_deg(self) -> float:
        """Where the box centre is: 0 forward, left positive, (-180, 180]."""
        return float(bearing_deg(self.x_m, self.y_m))

    @property
    def volume_m3(self) -> float:
        """Of the box."""
        return self.length_m * self.width_m * self.height_m

    @property
    def ground_box(self) -> Float[np.ndarray, "5"]:
        """Its footprint `(x_m, y_m, length_m, width_m, yaw_rad)`."""
        return np.array([self.x_m, self.y_m, self.length_m, self.width_m, self.yaw_rad])

    @property
    def moving(self) -> bool | None:
        """Whether it moves over ground; None where its speed is not known."""
        return None if self.speed_mps is None else self.speed_mps > MOVING_MPS


@dataclass(frozen=True)
class Image:
    """The front camera's picture at a moment; the path is relative to the log's source folder."""

    camera: str
    path: str
    width: int
    height: int


@dataclass(frozen=True)
class Moment:
    """One frame of a log."""

    frame: int
    timestamp_ns: int
    ego_speed_mps: float | None
    image: Image | None
    agents: Mapping[str, Agent]
    """By track id."""


@dataclass(frozen=True)
class Drive:
    """All moments of a log, in time order."""

    log_id: str
    moments: tuple[Moment, ...]

    def at(self, moment: Moment, offset_s: float, tolerance_s: float) -> Moment | None:
        """The moment nearest to `offset_s` after `moment`, the earlier of two as near; None where none is near enough."""
        wanted_ns = moment.timestamp_ns + round(offset_s * 1e9)
        after = bisect_left(self.moments, wanted_ns, key=lambda other: other.timestamp_ns)
        near = self.moments[max(after - 1, 0) : after + 1]
        best = min(near, key=lambda other: abs(other.timestamp_ns - wanted_ns), default=None)
        in_reach = best is not None and abs(best.timestamp_ns - wanted_ns) <= tolerance_s * 1e9
        return best if in_reach else None


def read_drive(store: Store, log_id: str, cameras: Sequence[str]) -> Drive:
    """Read the moments of a log.

    Args:
        store: where its tables are.
        log_id: the log.
        cameras: names of the front camera; the first that the log has is used.

    Raises:
        StoreError: a table is missing, or an object appears twice in a frame.
        ConfigError: the log has none of the cameras.
    """
    images = _images(store, log_id, cameras)
    camera = next(iter(images.values())).camera
    agents = _agents(store, log_id, camera)
    frames = store.read("frames", log_id, ["frame", "timestamp_ns", "speed_mps"])
    moments = [
        Moment(frame, timestamp_ns, ego_speed_mps, images.get(frame), agents.get(frame, {}))
        for frame, timestamp_ns, ego_speed_mps in _rows(frames)
    ]
    return Drive(log_id, tuple(sorted(moments, key=lambda moment: moment.timestamp_ns)))


def _images(store: Store, log_id: str, cameras: Sequence[str]) -> dict[int, Image]:
    """Pictures of the front camera by frame; at least one."""
    columns = ["frame", "sensor", "modality", "path", "width", "height"]
    table = store.read("sensor_data", log_id, columns)
    table = table.filter(pc.and_(pc.equal(table["modality"], "camera"), pc.is_valid(table["path"])))
    present = sorted(set(table["sensor"].to_pylist()))
    camera = next((name for name in cameras if name in present), None)
    if camera is None:
        if not present:
            raise ConfigError(f"log {log_id} has no images to ask about: render some with `drive-vqa synth --replay`")
        named = f"no images of a camera named {' or '.join(cameras)} (it has {', '.join(present)})"
        raise ConfigError(f"log {log_id} has {named}: set cameras=[{present[0]}]")
    table = table.filter(pc.equal(table["sensor"], camera))
    return {frame: Image(name, path, width, height) for frame, name, _, path, width, height in _rows(table)}


def _agents(store: Store, log_id: str, camera: str) -> dict[int, dict[str, Agent]]:
    """Agents by frame and track id."""
    table = store.read("tracks", log_id, ["frame", *AGENT_COLUMNS, "cameras"])
    regions = _regions(table["cameras"].combine_chunks(), camera)
    agents: dict[int, dict[str, Agent]] = defaultdict(dict)
    for row, (frame, *values) in enumerate(_rows(table.drop_columns("cameras"))):
        agent = Agent(*[*values, regions.get(row)])
        if agent.track_id in agents[frame]:
            raise StoreError(
                f"log {log_id} has track {agent.track_id} twice in frame {frame}: run `drive-vqa fuse` again"
            )
        agents[frame][agent.track_id] = agent
    return agents


def _regions(views: pa.ListArray, camera: str) -> dict[int, Region]:
    """What one camera shows, by row of the track table; parts of no size are left out."""
    parent, view = pc.list_parent_indices(views), pc.list_flatten(views)
    seen = pc.and_(
        pc.equal(pc.struct_field(view, "camera"), camera), pc.greater(pc.struct_field(view, "visible_fraction"), 0)
    )
    rows = parent.filter(seen).to_pylist()
    view = view.filter(seen)
    columns = [pc.struct_field(view, name).to_pylist() for name in Region.__dataclass_fields__]
    regions = {row: Region(*values) for row, *values in zip(rows, *columns, strict=True)}
    return {row: region for row, region in regions.items() if region.shorter_side_px > 0}


def _rows(table: pa.Table) -> list[tuple[Any, ...]]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))
