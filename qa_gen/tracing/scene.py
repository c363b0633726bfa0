"""One question as a trace writer sees it: its group, its marks, and the true states of everything, read from the log's tracks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow.compute as pc

from drive_vqa.boxes import gap_m
from drive_vqa.categories import CATEGORIES
from drive_vqa.errors import StoreError
from drive_vqa.geometry import SE3, bearing_deg
from drive_vqa.prompt import camera_words
from drive_vqa.schema import pose_from_struct
from drive_vqa.store import Store
from drive_vqa.traces import ImageBox, Place, Seen
from qa_gen.config import GenerateConfig

_COLUMNS = ("x_m", "y_m", "z_m", "length_m", "width_m", "height_m", "yaw_rad", "vx_mps", "vy_mps", "speed_mps")


@dataclass(frozen=True)
class MarkState:
    """An agent in one frame, in the ego frame of that frame; None: not known."""

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

    @property
    def distance_m(self) -> float:
        """From the ego origin to the box centre, on the ground plane."""
        return float(np.hypot(self.x_m, self.y_m))

    @property
    def bearing_deg(self) -> float:
        """0 ahead, positive to the left."""
        return float(bearing_deg(self.x_m, self.y_m))

    @property
    def yaw_deg(self) -> float:
        """Where it points, (-180, 180]."""
        return float(bearing_deg(np.cos(self.yaw_rad), np.sin(self.yaw_rad)))

    @property
    def place(self) -> Place:
        """For a trace."""
        return Place(self.distance_m, self.bearing_deg)

    @property
    def ground_box(self) -> np.ndarray:
        """`(x_m, y_m, length_m, width_m, yaw_rad)`."""
        return np.array([self.x_m, self.y_m, self.length_m, self.width_m, self.yaw_rad])

    @property
    def noun(self) -> str:
        """What it is."""
        return CATEGORIES[self.category].noun

    def gap_m(self, other: np.ndarray) -> float:
        """From surface to surface of another ground-plane box."""
        return gap_m(self.ground_box, other)


@dataclass(frozen=True, eq=False)
class LogStates:
    """All that the traces of one log are written from.

    Attributes:
        log_id: the log.
        agents: by frame number and track.
        time_ns: of each frame, in time order.
        ego_speed_mps: by frame, where known.
        global_SE3_ego: likewise.
    """

    log_id: str
    agents: Mapping[tuple[int, str], MarkState]
    time_ns: Mapping[int, int]
    ego_speed_mps: Mapping[int, float]
    global_SE3_ego: Mapping[int, SE3]

    @cached_property
    def _order(self) -> tuple[list[int], list[int]]:
        return list(self.time_ns), list(self.time_ns.values())

    def frame_after(self, frame: int, offset_s: float, tolerance_s: float) -> int | None:
        """The frame nearest to `offset_s` after a frame, the earlier of two as near; None where none is near enough."""
        frames, times_ns = self._order
        wanted_ns = self.time_ns[frame] + round(offset_s * 1e9)
        after = min(bisect_left(times_ns, wanted_ns), len(times_ns) - 1)
        near = min((max(after - 1, 0), after), key=lambda index: abs(times_ns[index] - wanted_ns))
        return frames[near] if abs(times_ns[near] - wanted_ns) <= tolerance_s * 1e9 else None

    def frames_between(self, first: int, last: int) -> list[int]:
        """Frames from one to another, both included."""
        frames, _ = self._order
        return frames[frames.index(first) : frames.index(last) + 1]


def read_states(store: Store, log_id: str) -> LogStates:
    """Read the states of a log, once for all its traces.

    Raises:
        StoreError: a table is missing.
    """
    frames = store.read("frames", log_id, ["frame", "timestamp_ns", "speed_mps", "global_SE3_ego"])
    frames = frames.sort_by([("timestamp_ns", "ascending"), ("frame", "ascending")])
    numbers = frames["frame"].to_pylist()
    poses, speeds = frames["global_SE3_ego"].to_pylist(), frames["speed_mps"].to_pylist()
    tracks = store.read("tracks", log_id, ["frame", "track_id", "category", *_COLUMNS])
    tracks = tracks.filter(pc.is_in(tracks["category"], value_set=_names()))
    keys = zip(tracks["frame"].to_pylist(), tracks["track_id"].to_pylist(), strict=True)
    values = zip(*(tracks[name].to_pylist() for name in ("category", *_COLUMNS)), strict=True)
    return LogStates(
        log_id,
        {key: MarkState(*state) for key, state in zip(keys, values, strict=True)},
        dict(zip(numbers, frames["timestamp_ns"].to_pylist(), strict=True)),
        {frame: speed for frame, speed in zip(numbers, speeds, strict=True) if speed is not None},
        {frame: pose_from_struct(pose) for frame, pose in zip(numbers, poses, strict=True) if pose is not None},
    )


def _names() -> Any:
    import pyarrow as pa

    return pa.array(list(CATEGORIES), pa.string())


@dataclass(frozen=True, eq=False)
class Scene:
    """A question with its group and the states of its log.

    Attributes:
        question: a row of the `questions` table.
        group: the row of the `groups` table that it belongs to.
        states: of the log.
        config: what the questions were generated with.
    """

    question: Mapping[str, Any]
    group: Mapping[str, Any]
    states: LogStates
    config: GenerateConfig

    @cached_property
    def names(self) -> list[str]:
        """What the asked marks are called, by role; those that are not there as well."""
        return [f"Region {number}" for number in self.question["marks"]]

    @cached_property
    def roles(self) -> list[str | None]:
        """Tracks of the asked marks, by role; None for one that is not there."""
        return list(self.question["track_ids"])

    @cached_property
    def offsets_s(self) -> list[float]:
        """Of the context images, oldest first."""
        return [view["offset_s"] for view in self.group["context"]]

    @cached_property
    def marks(self) -> dict[int, Mapping[str, Any]]:
        """All marks of the group, by number."""
        return {mark["mark"]: mark for mark in self.group["marks"]}

    @property
    def frame(self) -> int:
        """The present."""
        return int(self.question["frame"])

    def name_of(self, mark: int) -> str:
        """What a mark is called."""
        return f"Region {mark}"

    def state(self, frame: int | None, track_id: str | None) -> MarkState | None:
        """None where it is not tracked."""
        return None if frame is None or track_id is None else self.states.agents.get((frame, track_id))

    def now(self, role: int = 0) -> MarkState:
        """The agent in a role at the present.

        Raises:
            StoreError: the log does not track it there: it has changed since the questions were made.
        """
        return self.there(self.frame, self.roles[role])

    def then(self, offset_s: float, role: int = 0) -> MarkState | None:
        """The agent in a role at another time, in the ego frame of that time."""
        return self.state(self.frame_at(offset_s), self.roles[role])

    def frame_at(self, offset_s: float) -> int | None:
        """The frame so many seconds from now."""
        return self.states.frame_after(self.frame, offset_s, self.config.time_tolerance_s)

    def in_context(self) -> list[tuple[float, MarkState]]:
        """Time and state of the first agent in each context image's frame in which it is tracked, oldest first."""
        found = ((view["offset_s"], self.state(view["frame"], self.roles[0])) for view in self.group["context"])
        return [(offset_s, state) for offset_s, state in found if state is not None]

    def all_marks(self, *, without_roles: bool = False) -> list[tuple[str, MarkState]]:
        """Name and present state of the marks of the group, by number."""
        asked = set(self.question["marks"]) if without_roles else set()
        return [
            (self.name_of(number), self.there(self.frame, mark["track_id"]))
            for number, mark in sorted(self.marks.items())
            if number not in asked
        ]

    def regions(self, mark: int) -> dict[int, ImageBox]:
        """Box of a mark in each context image that shows it, whole pixels; boxes thinner than that are left out."""
        return self._regions.get(mark, {})

    @cached_property
    def _regions(self) -> dict[int, dict[int, ImageBox]]:
        found: dict[int, dict[int, ImageBox]] = {}
        for number, mark in self.marks.items():
            found[number] = {}
            for region in mark["regions"]:
                u0, v0, u1, v1 = (round(region[name]) for name in ("u0_px", "v0_px", "u1_px", "v1_px"))
                if u1 > u0 and v1 > v0:
                    found[number][region["context"]] = (u0, v0, u1, v1)
        return found

    def camera(self, context: int) -> str:
        """What the camera of a context image is called."""
        name = self.group["context"][context]["camera"]
        return f"my {camera_words(name)}" if name else f"camera {context + 1}"

    def seen(self, mark: int, context: int) -> Seen:
        """The claim that a context image shows a mark where it does."""
        return Seen(self.name_of(mark), self.regions(mark)[context], self.offsets_s[context])

    def ego_speed_mps(self, offset_s: float = 0.0) -> float | None:
        """Speed of the ego; None where not known."""
        frame = self.frame_at(offset_s)
        return None if frame is None else self.states.ego_speed_mps.get(frame)

    def now_SE3_then(self, offset_s: float) -> SE3 | None:
        """Pose of the ego at another time in the ego frame of now; None where not known."""
        frame, poses = self.frame_at(offset_s), self.states.global_SE3_ego
        if frame is None or frame not in poses or self.frame not in poses:
            return None
        return poses[self.frame].inverse() @ poses[frame]

    def there(self, frame: int, track_id: str | None) -> MarkState:
        """An agent in a frame.

        Raises:
            StoreError: as for `now`.
        """
        state = self.state(frame, track_id)
        if state is None:
            named = f"question {self.question['qa_id']} names track {track_id} in frame {frame}"
            raise StoreError(f"{named}, which log {self.states.log_id} does not hold: run `drive-vqa generate` again")
        return state
