"""Agents on explicit paths, as the tables that question generation reads, and the subjects that are asked about.

A path is a function of seconds from the present that gives global x, y, yaw (degrees) and speed; None where it is not tracked.
Complex numbers turn the global frame into the ego's, so that nothing is shared with what is tested.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from drive_vqa.geometry import SE3
from drive_vqa.schema import pose_to_struct, table_from_rows
from drive_vqa.store import Store
from qa_gen.asked import Asked
from qa_gen.config import GenerateConfig
from qa_gen.drive import read_drive
from qa_gen.groups import Groups

State = tuple[float, float, float, float | None]
Course = Callable[[float], State | None]


def straight(x_m: float, y_m: float, yaw_deg: float = 0.0, speed_mps: float = 0.0, accel_mps2: float = 0.0) -> Course:
    """A straight line; where the agent is at the present."""

    def at(time_s: float) -> State:
        moved = cmath.rect(speed_mps * time_s + 0.5 * accel_mps2 * time_s**2, math.radians(yaw_deg))
        return x_m + moved.real, y_m + moved.imag, yaw_deg, abs(speed_mps + accel_mps2 * time_s)

    return at


def circle(x_m: float, y_m: float, yaw_deg: float, speed_mps: float, turn_dps: float) -> Course:
    """A circle at constant speed; where the agent is at the present."""
    radius_m = speed_mps / math.radians(turn_dps)

    def at(time_s: float) -> State:
        now, then = math.radians(yaw_deg), math.radians(yaw_deg + turn_dps * time_s)
        x, y = math.sin(then) - math.sin(now), math.cos(now) - math.cos(then)
        return x_m + radius_m * x, y_m + radius_m * y, yaw_deg + turn_dps * time_s, speed_mps

    return at


def shifting(course: Course, shift_m: float, over_s: float = 3.0) -> Course:
    """A course on which the agent moves evenly to the left of its heading, without turning, from the present on."""

    def at(time_s: float) -> State | None:
        state = course(time_s)
        assert state is not None
        share = min(max(time_s / over_s, 0.0), 1.0)
        aside = cmath.rect(shift_m * share, math.radians(state[2] + 90.0))
        return state[0] + aside.real, state[1] + aside.imag, state[2], state[3]

    return at


STANDING = straight(0.0, 0.0)


@dataclass(frozen=True)
class Agent:
    """One thing on a course; `fractions`: visible share by seconds from now, where a camera sees it."""

    course: Course
    category: str = "car"
    size_m: tuple[float, float, float] = (4.0, 2.0, 1.5)
    fractions: Mapping[float, float] = field(default_factory=dict)


def write_paths(
    root: Path,
    agents: Mapping[str, Agent],
    ego: Course = STANDING,
    times_s: Sequence[float] = tuple(0.5 * k - 2.0 for k in range(11)),
    *,
    poses: bool = True,
    heading_deg: float = 0.0,
) -> Store:
    """A store with the log "log"; `heading_deg` turns the whole scene in the global frame, which changes no answer."""
    store = Store.create(root)
    frames, captures, tracks = [], [], []
    for number, time_s in enumerate(times_s):
        stamp = {"log_id": "log", "frame": number, "timestamp_ns": 10**15 + round(time_s * 1e9)}
        ego_state = ego(time_s)
        assert ego_state is not None
        place = complex(*ego_state[:2]) * cmath.rect(1, math.radians(heading_deg)) + (300 - 70j)
        pose = SE3.from_yaw(math.radians(ego_state[2] + heading_deg), [place.real, place.imag, 5.0])
        frames.append({**stamp, "global_SE3_ego": pose_to_struct(pose) if poses else None, "speed_mps": ego_state[3]})
        view = {"sensor": "CAM_FRONT", "modality": "camera", "path": f"{number}.jpg", "width": 1600, "height": 900}
        captures.append({**stamp, **view})
        for name, agent in agents.items():
            state = agent.course(time_s)
            if state is not None:
                tracks.append({**stamp, "track_id": name, **_track(agent, state, ego_state, time_s)})
    for table, rows in (("frames", frames), ("sensor_data", captures), ("tracks", tracks)):
        store.write(table, "log", table_from_rows(table, rows), "paths")
    return store


def subjects(store: Store, *roles: Sequence[str], present_s: float = 0.0) -> Asked:
    """One subject for each entry of `roles`, the agents in the roles a, b, …, asked about at one moment of the log."""
    drive = read_drive(store, "log")
    present = int(np.argmin(np.abs(drive.time_ns - drive.time_ns[0] + 1e9 * _start_s(store) - present_s * 1e9)))
    tracks = np.array([[drive.track_ids.index(name) for name in names] for names in roles]).reshape(len(roles), -1)
    count = len(drive.track_ids)
    groups = Groups(
        kind="sequence",
        offsets_s=(0.0,),
        context_cameras=("CAM_FRONT",),
        context_sizes=np.array([[1600.0, 900.0]]),
        present=np.array([present]),
        context=np.array([[present]]),
        tracks=np.arange(count)[None],
        numbers=np.arange(count)[None],
        regions=np.full((1, count, 1, 5), np.nan),
        fresh=np.ones((1, count), dtype=bool),
        ego_fresh=np.ones(1, dtype=bool),
        split=np.zeros(1, dtype=np.int64),
        front="CAM_FRONT",
    )
    zeros = np.zeros(len(roles), dtype=np.int64)
    return Asked(drive, groups, GenerateConfig(), zeros, tracks.astype(np.int64), zeros)


def _start_s(store: Store) -> float:
    first_ns = store.read("frames", "log", ["timestamp_ns"])["timestamp_ns"].to_pylist()[0]
    return float(first_ns - 10**15) / 1e9


def _track(agent: Agent, state: State, ego: State, time_s: float) -> dict[str, Any]:
    back = cmath.rect(1, -math.radians(ego[2]))
    place = complex(state[0] - ego[0], state[1] - ego[1]) * back
    yaw_deg = math.remainder(state[2] - ego[2], 360.0)
    velocity = cmath.rect(state[3], math.radians(yaw_deg)) if state[3] is not None else None
    box = {"u0_px": 100.0, "v0_px": 100.0, "u1_px": 300.0, "v1_px": 250.0}
    fraction = agent.fractions.get(time_s)
    return {
        "category": agent.category,
        **{"x_m": place.real, "y_m": place.imag, "z_m": 0.8, "yaw_rad": math.radians(yaw_deg)},
        **dict(zip(("length_m", "width_m", "height_m"), agent.size_m, strict=True)),
        "vx_mps": velocity.real if velocity is not None else None,
        "vy_mps": velocity.imag if velocity is not None else None,
        "speed_mps": state[3],
        "cameras": [{"camera": "CAM_FRONT", **box, "visible_fraction": fraction}] if fraction is not None else [],
    }
