"""One moment with a few agents, all of them marked, as the columns that question types read; nothing is read from a store."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qa_gen.asked import Asked
from qa_gen.config import GenerateConfig
from qa_gen.drive import BOX_COLUMNS, CATEGORY_CODES, Drive, Lanes, Picture
from qa_gen.groups import Groups
from qa_gen.question_type import QuestionType, Truth

NUMBERS = (1, 3, 4, 6, 8, 9)
"""Numbers of the marks, in the order of the agents."""


@dataclass(frozen=True)
class Thing:
    """An agent at the present, ego frame; `views` are (u0, v0, u1, v1, visible fraction) by camera."""

    x_m: float = 10.0
    y_m: float = 0.0
    yaw_deg: float = 0.0
    size_m: tuple[float, float, float] = (4.4, 1.8, 1.5)
    z_m: float = 0.8
    category: str = "car"
    views: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[float, ...]:
        """In the order of BOX_COLUMNS, standing still."""
        return (self.x_m, self.y_m, self.z_m, *self.size_m, float(np.radians(self.yaw_deg)), 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Scene:
    """Where the ego is, what it sees with, and the map."""

    things: Sequence[Thing]
    kind: str = "single"
    cameras: tuple[str, ...] = ("CAM_FRONT",)
    width: int | None = 1600
    height: int | None = 900
    ego_x_m: float = 0.0
    ego_y_m: float = 0.0
    ego_yaw_deg: float = 0.0
    lanes: Sequence[Sequence[tuple[float, float]]] | None = None

    def asked(self, roles: Sequence[int] = (), parameter: int = 0, empty_places: int = 1) -> Asked:
        """One subject: the things that play the roles a, b, c; marks have `empty_places` at their end."""
        count = len(self.things)
        tracks = np.array([[*range(count), *(-1,) * empty_places]])
        numbers = np.array([[*NUMBERS[:count], *(-1,) * empty_places]])
        drive = self._drive()
        regions = np.full((1, count + empty_places, len(self.cameras), 5), np.nan)
        for column, camera in enumerate(self.cameras):
            shown = drive.regions[camera][:-1]
            regions[0, :count, column] = np.where(shown[:, 4:] >= 0.25, shown, np.nan)
        groups = Groups(
            kind=self.kind,
            offsets_s=(0.0,) * len(self.cameras),
            context_cameras=self.cameras,
            context_sizes=np.full((len(self.cameras), 2), [float(self.width or np.nan), float(self.height or np.nan)]),
            present=np.array([0]),
            context=np.zeros((1, len(self.cameras)), dtype=np.int64),
            tracks=tracks,
            numbers=numbers,
            regions=regions,
            fresh=tracks >= 0,
            ego_fresh=np.array([True]),
            split=np.array([0]),
            front=self.cameras[0],
        )
        slots = np.array([list(roles)], dtype=np.int64).reshape(1, len(roles))
        return Asked(drive, groups, GenerateConfig(), np.array([0]), slots, np.array([parameter]))

    def _drive(self) -> Drive:
        count = len(self.things)
        columns = np.array([thing.columns for thing in self.things] + [(np.nan,) * len(BOX_COLUMNS)])
        turn_rad = np.radians(self.ego_yaw_deg)
        cos, sin = np.cos(turn_rad), np.sin(turn_rad)
        turned = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        codes = [CATEGORY_CODES.get(thing.category, -1) for thing in self.things]
        return Drive(
            log_ids=("by-hand",),
            log=np.array([0, -1]),
            frame=np.array([0, -1]),
            timestamp_ns=np.array([10**15]),
            time_ns=np.array([10**15]),
            moment_hash=np.zeros(2, dtype=np.uint64),
            track_hash=np.arange(count + 1, dtype=np.uint64),
            ego_speed_mps=np.array([5.0, np.nan]),
            global_R_ego=np.stack([turned, np.full((3, 3), np.nan)]),
            global_xyz_ego_m=np.array([[self.ego_x_m, self.ego_y_m, 2.0], [np.nan] * 3]),
            boxes={name: columns[:, place] for place, name in enumerate(BOX_COLUMNS)},
            category=np.array([*codes, -1]),
            row_frame=np.zeros(count, dtype=np.int64),
            row_track=np.arange(count),
            first_row=np.array([0, count]),
            track_ids=tuple(f"track-{place}" for place in range(count)),
            pictures={name: Picture(name, ("image.jpg",), self.width, self.height) for name in self.cameras},
            regions={camera: self._shown(camera) for camera in self.cameras},
            in_view=np.array([1] * count + [-1]),
            lanes=(None if self.lanes is None else lanes_of(self.lanes),),
        )

    def _shown(self, camera: str) -> np.ndarray:
        nothing = (np.nan,) * 5
        return np.array([tuple(thing.views.get(camera, nothing)) for thing in self.things] + [nothing], dtype=float)


def lanes_of(lines: Sequence[Sequence[tuple[float, float]]]) -> Lanes:
    """Lanes from their centre lines."""
    pairs = [(start, end, lane) for lane, line in enumerate(lines) for start, end in itertools.pairwise(line)]
    start, end, lane = zip(*pairs, strict=True) if pairs else ((), (), ())
    as_points = [np.array(points, dtype=float).reshape(-1, 2) for points in (start, end)]
    return Lanes(*as_points, np.array(lane, dtype=np.int64))


def answer(kind: QuestionType, truth: Truth) -> Any:
    """What a type answers about the only subject, as a person would write it; None where it does not ask."""
    if not truth.get("asked", np.array([True]))[0] or truth.get("parameter", np.array([0]))[0] < 0:
        return None
    if "marks" in truth:
        return [int(number) for number in truth["marks"][0] if number >= 0]
    (name,) = set(truth) - {"asked", "parameter", "options"}
    value = truth[name][0]
    if np.isnan(value) or (value < 0 and truth[name].dtype.kind != "f"):
        return None
    if name == "choice":
        return kind.choices[value]
    return bool(value) if name == "bool" else float(value) if truth[name].dtype.kind == "f" else int(value)
