"""What a question type reads to find its answers: all subjects of a log at once, as columns.

A subject is what one question is about: a group alone, or one, two or three of its marks in the roles a, b, c. All arrays have
one entry a subject; NaN and -1 mean "not known" or "not there".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int, UInt64

from drive_vqa.geometry import angle_rad, bearing_deg
from qa_gen.config import GenerateConfig
from qa_gen.drive import Drive
from qa_gen.groups import Groups
from qa_gen.hashing import mix, text_hash

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Agents:
    """Agents, each at one moment and in the ego frame of that moment; columns are gathered when asked for.

    Attributes:
        drive: the log.
        rows: row of each agent; -1: it is not tracked at that moment, all its values are NaN.
    """

    drive: Drive
    rows: Int[np.ndarray, "*n"]

    def _column(self, name: str) -> np.ndarray:
        return np.asarray(self.drive.boxes[name][self.rows])

    @property
    def present(self) -> Bool[np.ndarray, "*n"]:
        """Whether it is tracked at that moment."""
        return np.asarray(self.rows >= 0)

    @cached_property
    def category(self) -> Int[np.ndarray, "*n"]:
        """Code of the category, see `qa_gen.drive.CATEGORY_CODES`."""
        return np.asarray(self.drive.category[self.rows])

    @cached_property
    def x_m(self) -> Float[np.ndarray, "*n"]:
        """Box centre, ahead of the ego origin."""
        return self._column("x_m")

    @cached_property
    def y_m(self) -> Float[np.ndarray, "*n"]:
        """Box centre, to the left of the ego origin."""
        return self._column("y_m")

    @cached_property
    def z_m(self) -> Float[np.ndarray, "*n"]:
        """Box centre, above the ego origin."""
        return self._column("z_m")

    @cached_property
    def length_m(self) -> Float[np.ndarray, "*n"]:
        """Extent along its own heading."""
        return self._column("length_m")

    @cached_property
    def width_m(self) -> Float[np.ndarray, "*n"]:
        """Extent across its own heading."""
        return self._column("width_m")

    @cached_property
    def height_m(self) -> Float[np.ndarray, "*n"]:
        """Vertical extent."""
        return self._column("height_m")

    @cached_property
    def yaw_rad(self) -> Float[np.ndarray, "*n"]:
        """Where it points, ego frame."""
        return self._column("yaw_rad")

    @cached_property
    def vx_mps(self) -> Float[np.ndarray, "*n"]:
        """Velocity over ground along the ego's x."""
        return self._column("vx_mps")

    @cached_property
    def vy_mps(self) -> Float[np.ndarray, "*n"]:
        """Velocity over ground along the ego's y."""
        return self._column("vy_mps")

    @cached_property
    def speed_mps(self) -> Float[np.ndarray, "*n"]:
        """Speed over ground."""
        return self._column("speed_mps")

    @cached_property
    def distance_m(self) -> Float[np.ndarray, "*n"]:
        """From the ego origin to the box centre, on the ground plane."""
        return np.hypot(self.x_m, self.y_m)

    @cached_property
    def bearing_deg(self) -> Float[np.ndarray, "*n"]:
        """Where the box centre is: 0 forward, left positive, (-180, 180]."""
        return np.asarray(bearing_deg(self.x_m, self.y_m))

    @cached_property
    def ground_box(self) -> Float[np.ndarray, "*n 5"]:
        """Footprints `(x_m, y_m, length_m, width_m, yaw_rad)`."""
        return np.stack([self.x_m, self.y_m, self.length_m, self.width_m, self.yaw_rad], axis=-1)


@dataclass(frozen=True, eq=False)
class Asked:
    """All subjects of one kind of group and one number of roles.

    Attributes:
        drive: the log.
        groups: all groups of this kind.
        config: settings.
        group: number of each subject's group.
        slots: which of the group's marks plays each role.
        parameter: what else is asked, an index into `QuestionType.parameters`.
    """

    drive: Drive
    groups: Groups
    config: GenerateConfig
    group: Int[np.ndarray, "n"]
    slots: Int[np.ndarray, "n roles"]
    parameter: Int[np.ndarray, "n"]
    _made: dict[tuple[Any, ...], Any] = field(default_factory=dict)
    """What has been gathered; shared by all types that ask about these subjects."""

    def __len__(self) -> int:
        """How many subjects there are."""
        return len(self.group)

    @cached_property
    def frame(self) -> Int[np.ndarray, "n"]:
        """Index of the present frame."""
        return np.asarray(self.groups.present[self.group])

    @cached_property
    def numbers(self) -> Int[np.ndarray, "n roles"]:
        """The numbers drawn on the images, by role."""
        return np.asarray(self.groups.numbers[self.group[:, None], self.slots])

    @cached_property
    def tracks(self) -> Int[np.ndarray, "n roles"]:
        """Indices of the tracks, by role."""
        return np.asarray(self.groups.tracks[self.group[:, None], self.slots])

    @property
    def subject_hash(self) -> UInt64[np.ndarray, "n"]:
        """Random bits of each subject: the same for the same agents at the same moment of the same log."""
        salt = text_hash(f"{self.config.seed} {self.groups.kind}")
        drive = self.drive
        return self._once(("hash",), lambda: mix(salt, drive.moment_hash[self.frame], *drive.track_hash[self.tracks].T))

    def now(self, role: int = 0) -> Agents:
        """The agent in a role at the present."""
        return self.then(0.0, role)

    def then(self, offset_s: float, role: int = 0) -> Agents:
        """The agent in a role `offset_s` from now, in the ego frame of that time."""
        return self._once(("then", offset_s, role), lambda: self._agents(self.frame_at(offset_s), role))

    def in_context(self, context: int) -> Agents:
        """The first agent in a context image's frame."""
        frame = self.groups.context[self.group, context]
        return self._once(("context", context), lambda: self._agents(frame, 0))

    def region(self, context: int) -> Float[np.ndarray, "n 5"]:
        """What a context image shows of the first agent, enough to be marked or not: u0, v0, u1, v1 (px), visible fraction."""
        return self.groups.shown(context, self.group, self.slots[:, 0])

    def region_at(self, frame: Int[np.ndarray, "n"]) -> Float[np.ndarray, "n 5"]:
        """What the front camera shows of the first agent in any frame; NaN where nothing, and for a log without cameras."""
        rows = self.drive.row_of(frame, self.tracks[:, 0])
        front = self.groups.front
        return self.drive.regions[front][rows] if front else np.full((len(self), 5), np.nan)

    def marks(self) -> Agents:
        """All marks of each subject's group at the present, (n, marks); absent ones are NaN."""
        return self._once(
            ("marks",), lambda: Agents(self.drive, self.drive.row_of(self.frame[:, None], self.mark_tracks))
        )

    @cached_property
    def mark_tracks(self) -> Int[np.ndarray, "n marks"]:
        """Tracks of all marks of each subject's group; -1 in empty places."""
        return np.asarray(self.groups.tracks[self.group])

    @cached_property
    def mark_numbers(self) -> Int[np.ndarray, "n marks"]:
        """Numbers of all marks of each subject's group; -1 in empty places."""
        return np.asarray(self.groups.numbers[self.group])

    @cached_property
    def is_other(self) -> Bool[np.ndarray, "n marks"]:
        """Which marks of the group play no role in the question."""
        plays = (np.arange(self.mark_tracks.shape[1])[None, None] == self.slots[:, :, None]).any(axis=1)
        return np.asarray((self.mark_tracks >= 0) & ~plays)

    def frame_at(self, offset_s: float) -> Int[np.ndarray, "n"]:
        """Index of the frame `offset_s` from now; -1 where there is none."""
        return self._once(
            ("frame", offset_s), lambda: self.drive.frame_after(self.frame, offset_s, self.config.time_tolerance_s)
        )

    def ego_speed_mps(self, offset_s: float = 0.0) -> Float[np.ndarray, "n"]:
        """Speed of the ego `offset_s` from now."""
        return np.asarray(self.drive.ego_speed_mps[self.frame_at(offset_s)])

    def now_R_then(self, offset_s: float) -> Float[np.ndarray, "n 3 3"]:
        """Rotation of the ego frame `offset_s` from now, seen in the ego frame of now; NaN without poses."""
        return self._once(("R", offset_s), lambda: self._relative(self.frame_at(offset_s))[0])

    def now_xyz_then_m(self, offset_s: float) -> Float[np.ndarray, "n 3"]:
        """Position of the ego origin `offset_s` from now, in the ego frame of now; NaN without poses."""
        return self._once(("xyz", offset_s), lambda: self._relative(self.frame_at(offset_s))[1])

    def now_frame_xyz_m(self, offset_s: float, role: int = 0) -> Float[np.ndarray, "n 3"]:
        """Box centre of an agent `offset_s` from now, in the ego frame of now; NaN without poses."""
        agent = self.then(offset_s, role)
        place = np.stack([agent.x_m, agent.y_m, agent.z_m], axis=-1)
        return np.asarray(np.einsum("nij,nj->ni", self.now_R_then(offset_s), place) + self.now_xyz_then_m(offset_s))

    def ego_turn_deg(self, offset_s: float) -> Float[np.ndarray, "n"]:
        """How far the ego's heading turns until `offset_s` from now, left positive; NaN without poses."""
        rotation = self.now_R_then(offset_s)
        return np.asarray(np.degrees(angle_rad(rotation[:, 1, 0], rotation[:, 0, 0])))

    def _agents(self, frame: Int[np.ndarray, "n"], role: int) -> Agents:
        return Agents(self.drive, self.drive.row_of(frame, self.tracks[:, role]))

    def _relative(self, frame: Int[np.ndarray, "n"]) -> tuple[np.ndarray, np.ndarray]:
        ego_R_global = np.swapaxes(self.drive.global_R_ego[self.frame], -1, -2)
        offset_m = self.drive.global_xyz_ego_m[frame] - self.drive.global_xyz_ego_m[self.frame]
        return ego_R_global @ self.drive.global_R_ego[frame], np.einsum("nij,nj->ni", ego_R_global, offset_m)

    def _once(self, key: tuple[Any, ...], make: Callable[[], T]) -> T:
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made
