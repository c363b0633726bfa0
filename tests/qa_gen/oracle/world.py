"""Random but plausible traffic as the tables that question generation reads; a log takes less than a tenth of a second.

A curving road with two lanes each way and a cross street. Agents keep to it by the distance along the road and to its left;
they follow, stop, start, overtake, change lanes, turn off, cross and park. Nothing here uses `qa_gen`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from drive_vqa.schema import TABLES
from drive_vqa.store import Store

LANE_M = 3.5
SIZES_M = {
    "car": (4.5, 1.85, 1.55),
    "truck": (8.5, 2.5, 3.2),
    "bus": (11.5, 2.6, 3.3),
    "motorcycle": (2.2, 0.8, 1.5),
    "bicycle": (1.8, 0.6, 1.7),
    "pedestrian": (0.6, 0.6, 1.75),
    "traffic_cone": (0.4, 0.4, 0.8),
}
CAMERAS = {
    "CAM_FRONT": 0.0,
    "CAM_FRONT_LEFT": 55.0,
    "CAM_FRONT_RIGHT": -55.0,
    "CAM_BACK": 180.0,
    "CAM_BACK_LEFT": 110.0,
    "CAM_BACK_RIGHT": -110.0,
}
"""Name → where it looks, degrees."""
WIDTH, HEIGHT, FOCAL_PX, CAMERA_HEIGHT_M = 1600, 900, 1000.0, 1.5
LEAST_PX = 2.0


@dataclass(frozen=True, eq=False)
class Motion:
    """Something that moves: one entry a frame, global frame."""

    x_m: np.ndarray
    y_m: np.ndarray
    heading_rad: np.ndarray
    speed_mps: np.ndarray
    """Along the heading; negative when the world is played backwards."""

    def turned(self, angle_rad: float, shift: complex) -> Motion:
        place = (self.x_m + 1j * self.y_m) * np.exp(1j * angle_rad) + shift
        return replace(self, x_m=place.real, y_m=place.imag, heading_rad=self.heading_rad + angle_rad)

    def mirrored(self) -> Motion:
        return replace(self, y_m=-self.y_m, heading_rad=-self.heading_rad)

    def reversed(self) -> Motion:
        return Motion(self.x_m[::-1], self.y_m[::-1], self.heading_rad[::-1], -self.speed_mps[::-1])


def constant(places: Sequence[complex], heading_rad: float, speed_mps: float) -> Motion:
    """Through these places, one a frame."""
    place = np.array(places, dtype=np.complex128)
    return Motion(place.real, place.imag, np.full(len(place), heading_rad), np.full(len(place), speed_mps))


@dataclass(frozen=True, eq=False)
class Actor:
    """An agent: `there` tells in which frames it is tracked."""

    name: str
    category: str
    size_m: tuple[float, float, float]
    z_m: float
    motion: Motion
    there: np.ndarray


@dataclass(frozen=True, eq=False)
class Traffic:
    """A drive: the ego, all agents and the lanes' centre lines."""

    time_s: np.ndarray
    ego: Motion
    actors: tuple[Actor, ...]
    lanes: tuple[np.ndarray, ...]

    def turned(self, angle_rad: float, shift: complex = 70.0 - 400.0j) -> Traffic:
        """The same seen from another global frame."""
        lanes = tuple(_columns((line[:, 0] + 1j * line[:, 1]) * np.exp(1j * angle_rad) + shift) for line in self.lanes)
        actors = tuple(replace(actor, motion=actor.motion.turned(angle_rad, shift)) for actor in self.actors)
        return replace(self, ego=self.ego.turned(angle_rad, shift), actors=actors, lanes=lanes)

    def mirrored(self) -> Traffic:
        """Left and right exchanged."""
        lanes = tuple(line * [1.0, -1.0] for line in self.lanes)
        actors = tuple(replace(actor, motion=actor.motion.mirrored()) for actor in self.actors)
        return replace(self, ego=self.ego.mirrored(), actors=actors, lanes=lanes)

    def reversed(self) -> Traffic:
        """Played backwards: all drive in reverse."""
        actors = tuple(replace(actor, motion=actor.motion.reversed(), there=actor.there[::-1]) for actor in self.actors)
        return replace(self, ego=self.ego.reversed(), actors=actors)

    def renamed(self, names: Mapping[str, str]) -> Traffic:
        """Other track ids."""
        return replace(self, actors=tuple(replace(actor, name=names[actor.name]) for actor in self.actors))


@dataclass(frozen=True)
class Looks:
    """Which cameras a log has, and whether it has images.

    Attributes:
        cameras: names from CAMERAS; none: a log without cameras.
        images: give every capture the path of an image (there are no files).
    """

    cameras: tuple[str, ...] = ("CAM_FRONT",)
    images: bool = True


# --- traffic --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Road:
    """A curving reference line: heading by distance along it."""

    s_m: np.ndarray
    place: np.ndarray
    heading_rad: np.ndarray

    def at(self, s_m: np.ndarray, left_m: np.ndarray) -> np.ndarray:
        heading = np.interp(s_m, self.s_m, self.heading_rad)
        return (
            np.interp(s_m, self.s_m, self.place.real)
            + 1j * np.interp(s_m, self.s_m, self.place.imag)
            + (1j * left_m * np.exp(1j * heading))
        )


def _road(random: np.random.Generator) -> _Road:
    s_m = np.arange(-200.0, 700.0, 0.5)
    curvature = np.interp(s_m, np.arange(-200.0, 701.0, 60.0), random.uniform(-0.012, 0.012, 16))
    heading = random.uniform(-np.pi, np.pi) + np.cumsum(curvature) * 0.5
    place = np.cumsum(0.5 * np.exp(1j * heading)) + complex(*random.uniform(-500, 500, 2))
    return _Road(s_m, place, heading)


def _smooth(time_s: np.ndarray, knots: np.ndarray, start: float = -1.0, end: float = 60.0) -> np.ndarray:
    return np.interp(time_s, np.linspace(start, end, len(knots)), knots)


def _path(fine_s: np.ndarray, place: np.ndarray, step: int, heading: np.ndarray | None = None) -> Motion:
    """Sampled from a path by hundredths of a second; who stands keeps the heading."""
    velocity = np.gradient(place, fine_s)
    speed = np.abs(velocity)
    if heading is None:
        moving = np.flatnonzero(speed > 0.05)
        last = moving[np.maximum(np.searchsorted(moving, np.arange(len(place)), side="right") - 1, 0)]
        heading = np.unwrap(np.angle(velocity[last]))
    return Motion(place.real[::step], place.imag[::step], heading[::step], np.where(speed > 0.05, speed, 0.0)[::step])


def make_traffic(
    seed: int, *, seconds: float = 20.0, rate_hz: float = 2.0, agents: int = 26, straight: bool = False
) -> Traffic:
    """A random drive.

    Args:
        seed: chooses all.
        seconds: how long.
        rate_hz: frames a second; 100 must be a multiple of it.
        agents: how many.
        straight: everything keeps its velocity.
    """
    random = np.random.default_rng(seed)
    step = round(100 / rate_hz)
    fine_s = np.arange(0.0, seconds + 0.005, 0.01)
    road = _road(random)
    ego_v = _speeds(random, fine_s, "constant" if straight else random.choice(["constant", "stop", "vary", "vary"]))
    ego_s = np.cumsum(ego_v) * 0.01
    if straight:
        course = np.exp(1j * random.uniform(-np.pi, np.pi))
        ego = _path(fine_s, course * ego_s, step, np.full(len(fine_s), np.angle(course)))
        actors = [_straight_actor(random, n, fine_s, course, ego_s, step) for n in range(agents)]
        return Traffic(fine_s[::step], ego, tuple(actors), (np.array([[-10.0, 0.0], [10.0, 0.0]]),))
    ego = _path(fine_s, road.at(ego_s, np.full(len(fine_s), -0.5 * LANE_M)), step)
    cross_s = float(random.uniform(40.0, 140.0))
    actors = [_actor(random, number, fine_s, road, ego_s, cross_s, step) for number in range(agents)]
    return Traffic(fine_s[::step], ego, tuple(actors), _lanes(road, cross_s))


def _speeds(random: np.random.Generator, fine_s: np.ndarray, manner: str) -> np.ndarray:
    cruise = random.uniform(3.0, 13.0)
    if manner == "constant":
        return np.full(len(fine_s), cruise)
    if manner == "vary":
        return _smooth(fine_s, np.clip(cruise + random.uniform(-4.0, 4.0, 14), 0.5, 18.0))
    if manner == "stand":
        return np.zeros(len(fine_s))
    at = random.uniform(1.0, min(9.0, 0.5 * float(fine_s[-1])))
    pause = random.uniform(2.0, 6.0)
    knots = [0.0, at, at + 2.5, at + 2.5 + pause, at + 5.0 + pause]
    if manner == "stop":
        return np.interp(fine_s, knots, [cruise, cruise, 0.0, 0.0, cruise])
    return np.interp(fine_s, knots, [0.0, 0.0, cruise, cruise, 0.0])


ROLES = (
    "with", "across", "with", "oncoming", "with", "parked", "walker", "across", "with", "parked", "oncoming", "cyclist",
    "turner", "parked", "walker", "cone", "across",
)  # fmt: skip


def _actor(
    random: np.random.Generator,
    number: int,
    fine_s: np.ndarray,
    road: _Road,
    ego_s: np.ndarray,
    cross_s: float,
    step: int,
) -> Actor:
    role = ROLES[number % len(ROLES)]
    category, place, heading = _course(random, role, fine_s, road, ego_s, cross_s)
    path = _path(fine_s, place, step, heading)
    size = tuple(float(value) for value in np.array(SIZES_M[category]) * random.uniform(0.85, 1.2, 3))
    frames = len(path.x_m)
    there = np.ones(frames, dtype=bool)
    if random.random() < 0.3:
        first, last = sorted(random.integers(0, frames + 1, 2))
        there = (np.arange(frames) >= first) & (np.arange(frames) < last)
    return Actor(f"{role}-{number:02d}", category, size, float(random.uniform(-0.6, 0.6) + 0.5 * size[2]), path, there)


def _course(
    random: np.random.Generator, role: str, fine_s: np.ndarray, road: _Road, ego_s: np.ndarray, cross_s: float
) -> tuple[str, np.ndarray, np.ndarray | None]:
    vehicle = str(random.choice(["car", "car", "car", "truck", "bus", "motorcycle"]))
    if role == "with":
        manner = str(random.choice(["constant", "vary", "stop", "start", "stop"]))
        s = random.uniform(-30.0, 60.0) + np.cumsum(_speeds(random, fine_s, manner)) * 0.01
        lanes = random.choice([-0.5, -1.5], 2) * LANE_M
        at = random.uniform(0.0, 15.0)
        share = np.clip((fine_s - at) / 3.0, 0.0, 1.0)
        left = lanes[0] + (lanes[1] - lanes[0]) * share**2 * (3 - 2 * share)
        return vehicle, road.at(s, left), None
    if role == "oncoming":
        s = random.uniform(30.0, 220.0) - np.cumsum(_speeds(random, fine_s, "vary")) * 0.01
        return vehicle, road.at(s, np.full(len(fine_s), random.choice([0.5, 1.5]) * LANE_M)), None
    if role in ("parked", "cone"):
        s = np.full(len(fine_s), random.uniform(-10.0, 160.0))
        side = random.choice([-1.0, 1.0])
        turn = float(np.interp(s[0], road.s_m, road.heading_rad)) + random.choice([0.0, 0.0, np.pi, 0.5 * np.pi, 0.7])
        place = road.at(s, np.full(len(fine_s), side * random.uniform(7.5, 9.0)))
        return ("traffic_cone" if role == "cone" else vehicle), place, np.full(len(fine_s), turn)
    if role == "across":
        way = np.cumsum(_speeds(random, fine_s, str(random.choice(["constant", "vary"])))) * 0.01
        meets = min(int(np.searchsorted(ego_s, cross_s)) + random.integers(-280, 280), len(fine_s) - 1)
        left = -0.5 * LANE_M + random.choice([-1.0, 1.0]) * (way[max(meets, 0)] - way)
        return vehicle, road.at(np.full(len(fine_s), cross_s + random.uniform(-4, 4)), left), None
    if role == "turner":
        s = np.minimum(random.uniform(-20.0, 30.0) + np.cumsum(_speeds(random, fine_s, "vary")) * 0.01, 690.0)
        over = np.maximum(s - cross_s + 8.0, 0.0)
        side = random.choice([-1.0, 1.0])
        bend = np.minimum(over / 16.0, 1.0)
        left = -0.5 * LANE_M + side * np.where(over > 0, over * bend * 0.9, 0.0)
        return vehicle, road.at(np.minimum(s, cross_s - 8.0 + 14.0 * np.tanh(over / 14.0)), left), None
    if role == "walker":
        s0, speed = random.uniform(0.0, 120.0), random.uniform(0.8, 1.8) * random.choice([-1.0, 1.0])
        if random.random() < 0.5:
            return "pedestrian", road.at(s0 + speed * fine_s, np.full(len(fine_s), random.choice([-9.5, 9.5]))), None
        wait = np.maximum(fine_s - random.uniform(0.0, min(12.0, 0.5 * float(fine_s[-1]))), 0.0)
        return "pedestrian", road.at(np.full(len(fine_s), s0), -math.copysign(9.0, speed) + speed * wait), None
    s = random.uniform(0.0, 60.0) + np.cumsum(_speeds(random, fine_s, "vary")) * 0.005
    return "bicycle", road.at(s, np.full(len(fine_s), random.choice([-6.2, 6.2]))), None


def _straight_actor(
    random: np.random.Generator, number: int, fine_s: np.ndarray, course: complex, ego_s: np.ndarray, step: int
) -> Actor:
    category = str(random.choice(list(SIZES_M)[:6]))
    speed = random.choice([0.0, random.uniform(1.5, 14.0)])
    turn = random.choice([0.0, np.pi, random.uniform(-np.pi, np.pi)])
    middle = ego_s[len(ego_s) // 2] + random.uniform(-30.0, 60.0) + 1j * random.uniform(-15.0, 15.0)
    velocity = speed * np.exp(1j * turn)
    place = course * (middle + velocity * (fine_s - fine_s[len(fine_s) // 2]))
    path = _path(fine_s, place, step, np.full(len(fine_s), np.angle(course) + turn))
    return Actor(f"agent-{number:02d}", category, SIZES_M[category], 0.5, path, np.ones(len(path.x_m), dtype=bool))


def _columns(line: np.ndarray) -> np.ndarray:
    return np.stack([line.real, line.imag], axis=-1)


def _lanes(road: _Road, cross_s: float) -> tuple[np.ndarray, ...]:
    """Four lanes of the road, cut in pieces of 150 m, and two of the cross street; all in driving direction."""
    lanes = []
    for left in (-1.5, -0.5, 0.5, 1.5):
        for start in range(-150, 600, 150):
            s = np.arange(start, start + 151.0, 5.0)
            line = road.at(s, np.full(len(s), left * LANE_M))
            lanes.append(_columns(line if left < 0 else line[::-1]))
    across = np.arange(-60.0, 61.0, 5.0)
    for shift in (-0.5, 0.5):
        line = road.at(np.full(len(across), cross_s + shift * LANE_M), across)
        lanes.append(_columns(line if shift > 0 else line[::-1]))
    return tuple(lanes)


# --- tables ---------------------------------------------------------------------------------------------------------


def write_traffic(store: Store, log_id: str, traffic: Traffic, looks: Looks | None = None) -> None:
    """Write the tables of one log."""
    looks = looks or Looks()
    frames = len(traffic.time_s)
    time_ns = 10**15 + np.round(traffic.time_s * 1e9).astype(np.int64)
    tables = {
        "logs": _table("logs", 1, log_id=[log_id], source_format=["nuscenes"], source_root=["../images"]),
        "frames": _table(
            "frames", frames, log_id=[log_id] * frames, frame=np.arange(frames), timestamp_ns=time_ns,
            global_SE3_ego=_poses(traffic.ego), speed_mps=np.abs(traffic.ego.speed_mps),
        ),
        "sensor_data": _captures(log_id, time_ns, looks),
        "map_elements": _map(log_id, traffic.lanes),
        "tracks": _tracks(log_id, time_ns, traffic, looks),
    }  # fmt: skip
    for name, table in tables.items():
        store.write(name, log_id, table, f"traffic-{name}")


def _table(name: str, rows: int, **columns: Any) -> pa.Table:
    schema = TABLES[name]
    arrays = [
        pa.array(columns[field.name], type=field.type, from_pandas=True)
        if field.name in columns
        else pa.nulls(rows, field.type)
        for field in schema
    ]
    return pa.table(arrays, schema=schema)


def _poses(ego: Motion) -> list[dict[str, float]]:
    half = 0.5 * ego.heading_rad
    return [
        {"qw": math.cos(h), "qx": 0.0, "qy": 0.0, "qz": math.sin(h), "tx_m": x, "ty_m": y, "tz_m": 3.0}
        for h, x, y in zip(half.tolist(), ego.x_m.tolist(), ego.y_m.tolist(), strict=True)
    ]


def _captures(log_id: str, time_ns: np.ndarray, looks: Looks) -> pa.Table:
    pairs = [(frame, camera) for frame in range(len(time_ns)) for camera in looks.cameras]
    return _table(
        "sensor_data", len(pairs),
        log_id=[log_id] * len(pairs), frame=[frame for frame, _ in pairs], sensor=[camera for _, camera in pairs],
        modality=["camera"] * len(pairs), timestamp_ns=[int(time_ns[frame]) for frame, _ in pairs],
        path=[f"images/{camera}/{frame:04d}.jpg" if looks.images else None for frame, camera in pairs],
        width=[WIDTH] * len(pairs), height=[HEIGHT] * len(pairs), distortion=[[]] * len(pairs),
    )  # fmt: skip


def _map(log_id: str, lanes: tuple[np.ndarray, ...]) -> pa.Table:
    count = len(lanes)
    return _table(
        "map_elements", count,
        log_id=[log_id] * count, element_id=[f"lane-{number}" for number in range(count)], kind=["lane"] * count,
        closed=[False] * count, x_m=[line[:, 0].tolist() for line in lanes], y_m=[line[:, 1].tolist() for line in lanes],
    )  # fmt: skip


def _tracks(log_id: str, time_ns: np.ndarray, traffic: Traffic, looks: Looks) -> pa.Table:
    """Rows by frame, then agent."""
    ego, actors = traffic.ego, traffic.actors
    there = np.stack([actor.there for actor in actors], axis=1)
    frame, agent = np.nonzero(there)

    def gather(name: str) -> np.ndarray:
        return np.stack([getattr(actor.motion, name) for actor in actors], axis=1)[frame, agent]

    back = np.exp(-1j * ego.heading_rad[frame])
    place = (gather("x_m") + 1j * gather("y_m") - ego.x_m[frame] - 1j * ego.y_m[frame]) * back
    velocity = gather("speed_mps") * np.exp(1j * gather("heading_rad")) * back
    yaw = np.angle(np.exp(1j * gather("heading_rad")) * back)
    size = np.array([actor.size_m for actor in actors])[agent]
    z_m = np.array([actor.z_m for actor in actors])[agent]
    views, in_view = _views(frame, place, z_m, yaw, size, looks)
    greatest = [max((view["visible_fraction"] for view in row), default=0.0) for row in views]
    has_cameras = bool(looks.cameras)
    return _table(
        "tracks", len(frame),
        log_id=[log_id] * len(frame), frame=frame, timestamp_ns=time_ns[frame],
        track_id=[actors[k].name for k in agent], category=[actors[k].category for k in agent],
        x_m=place.real, y_m=place.imag, z_m=z_m, length_m=size[:, 0], width_m=size[:, 1], height_m=size[:, 2],
        yaw_rad=yaw, vx_mps=velocity.real, vy_mps=velocity.imag, speed_mps=np.abs(velocity), cameras=views,
        in_view=in_view.tolist() if has_cameras else [None] * len(frame),
        occlusion=[1 - best if seen else None for best, seen in zip(greatest, in_view, strict=True)],
        source=["annotated"] * len(frame), observed=[True] * len(frame),
    )  # fmt: skip


def _views(
    frame: np.ndarray, place: np.ndarray, z_m: np.ndarray, yaw: np.ndarray, size: np.ndarray, looks: Looks
) -> tuple[list[list[dict[str, Any]]], np.ndarray]:
    """What each camera shows of each row, and whether a camera's image holds a part of it."""
    views: list[list[dict[str, Any]]] = [[] for _ in frame]
    in_view = np.zeros(len(frame), dtype=bool)
    for camera in looks.cameras:
        box, whole, shown = _image_boxes(place, z_m, yaw, size, CAMERAS[camera])
        in_view |= shown
        fraction = _visible(frame, np.abs(place), box, whole, shown)
        for row in np.flatnonzero(shown & (fraction > 0)):
            u0, v0, u1, v1 = box[row].tolist()
            views[row].append(
                {
                    "camera": camera,
                    "u0_px": u0,
                    "v0_px": v0,
                    "u1_px": u1,
                    "v1_px": v1,
                    "visible_fraction": float(fraction[row]),
                }
            )
    return views, in_view


def _image_boxes(
    place: np.ndarray, z_m: np.ndarray, yaw: np.ndarray, size: np.ndarray, looks_deg: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image box, area before it was cut at the border, and whether it is in the image, of boxes wholly ahead of the camera."""
    turn = np.exp(1j * yaw)
    signs = [(a, b) for a in (0.5, -0.5) for b in (0.5, -0.5)]
    corners = np.stack([place + turn * (a * size[:, 0] + 1j * b * size[:, 1]) for a, b in signs], axis=1)
    corners = corners * np.exp(-1j * math.radians(looks_deg))
    ahead = corners.real.min(axis=1) > 0.5
    depth = np.maximum(corners.real, 0.5)
    us = WIDTH / 2 - FOCAL_PX * corners.imag / depth
    low, high = z_m - 0.5 * size[:, 2], z_m + 0.5 * size[:, 2]
    vs = np.concatenate([HEIGHT / 2 + FOCAL_PX * (CAMERA_HEIGHT_M - z[:, None]) / depth for z in (low, high)], axis=1)
    box = np.stack([us.min(1), vs.min(1), us.max(1), vs.max(1)], axis=1)
    whole = (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
    box = np.clip(box, 0.0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
    shown = ahead & (box[:, 2] - box[:, 0] >= LEAST_PX) & (box[:, 3] - box[:, 1] >= LEAST_PX)
    return box, whole, shown


def _visible(
    frame: np.ndarray, distance_m: np.ndarray, box: np.ndarray, whole: np.ndarray, shown: np.ndarray
) -> np.ndarray:
    """Share of a box inside the image and not behind the one nearer box that hides most of it."""
    area = (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
    free = np.ones(len(frame))
    for at in np.unique(frame):
        rows = np.flatnonzero((frame == at) & shown)
        b = box[rows]
        width = np.minimum(b[:, None, 2], b[None, :, 2]) - np.maximum(b[:, None, 0], b[None, :, 0])
        height = np.minimum(b[:, None, 3], b[None, :, 3]) - np.maximum(b[:, None, 1], b[None, :, 1])
        shared = np.clip(width, 0, None) * np.clip(height, 0, None) / area[rows][:, None]
        nearer = distance_m[rows][None, :] < distance_m[rows][:, None]
        free[rows] = 1 - np.where(nearer, shared, 0.0).max(axis=1, initial=0.0)
    return free * area / np.maximum(whole, 1e-9)
