"""A small kinematic world, written as the tables that question generation reads.

Everything moves on circles or straight lines with constant acceleration, in a global frame. Nothing here uses `qa_gen`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from drive_vqa.geometry import SE3
from drive_vqa.schema import pose_to_struct, table_from_rows
from drive_vqa.store import Store

WIDTH, HEIGHT, FOCAL_PX, CAMERA_HEIGHT_M = 1600, 900, 1000.0, 1.5
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Actor:
    """Something that moves; `heading_rad` and `turn_radps` about the global z axis."""

    track_id: str
    category: str
    x_m: float
    y_m: float
    heading_rad: float
    speed_mps: float
    accel_mps2: float = 0.0
    turn_radps: float = 0.0
    size_m: tuple[float, float, float] = (4.4, 1.8, 1.5)
    until_s: float = math.inf

    def state(self, time_s: float) -> tuple[float, float, float, float]:
        """Global x, y, heading and speed, by 10 ms steps so that no closed form can be shared with what is tested."""
        x_m, y_m, steps = self.x_m, self.y_m, round(time_s * 100)
        for step in range(steps):
            middle_s = (step + 0.5) / 100
            heading_rad = self.heading_rad + self.turn_radps * middle_s
            speed_mps = self.speed_mps + self.accel_mps2 * middle_s
            x_m += 0.01 * speed_mps * math.cos(heading_rad)
            y_m += 0.01 * speed_mps * math.sin(heading_rad)
        return x_m, y_m, self.heading_rad + self.turn_radps * time_s, self.speed_mps + self.accel_mps2 * time_s


@dataclass(frozen=True)
class World:
    """An ego, what is around it, and how it is sampled."""

    ego: Actor
    actors: tuple[Actor, ...]
    frames: int = 17
    step_s: float = 0.5
    ego_z_m: float = 3.0

    def turned(self, angle_rad: float) -> World:
        """The same seen from a global frame that is turned the other way."""
        cos, sin = math.cos(angle_rad), math.sin(angle_rad)

        def turn(actor: Actor) -> Actor:
            x_m, y_m = cos * actor.x_m - sin * actor.y_m + 70.0, sin * actor.x_m + cos * actor.y_m - 400.0
            return replace(actor, x_m=x_m, y_m=y_m, heading_rad=actor.heading_rad + angle_rad)

        return replace(self, ego=turn(self.ego), actors=tuple(map(turn, self.actors)))

    def mirrored(self) -> World:
        """Left and right exchanged."""

        def mirror(actor: Actor) -> Actor:
            return replace(actor, y_m=-actor.y_m, heading_rad=-actor.heading_rad, turn_radps=-actor.turn_radps)

        return replace(self, ego=mirror(self.ego), actors=tuple(map(mirror, self.actors)))


STREET = World(
    ego=Actor("ego", "car", 100.0, 50.0, 0.4, 8.0, accel_mps2=-0.3, turn_radps=0.03),
    actors=(
        Actor("lead", "car", 118.0, 58.5, 0.41, 7.0, turn_radps=0.02),
        Actor("braking-lead", "bus", 133.0, 66.0, 0.45, 6.0, accel_mps2=-0.7, size_m=(11.0, 2.6, 3.2)),
        Actor("oncoming", "truck", 150.0, 75.0, 0.4 + math.pi, 9.0, size_m=(8.0, 2.5, 3.0)),
        Actor("crossing", "pedestrian", 124.0, 55.0, 2.0, 1.3, size_m=(0.6, 0.6, 1.75)),
        Actor("parked", "car", 127.0, 56.0, 0.5, 0.0),
        Actor("parked-far", "car", 146.0, 60.0, 1.5, 0.0, size_m=(4.6, 1.9, 1.6)),
        Actor("cyclist", "bicycle", 112.0, 60.0, 0.6, 4.0, size_m=(1.8, 0.6, 1.7)),
        Actor("leaves", "motorcycle", 116.0, 52.0, 0.4, 9.5, size_m=(2.2, 0.8, 1.5), until_s=5.0),
        Actor("cone", "traffic_cone", 111.0, 53.5, 0.0, 0.0, size_m=(0.4, 0.4, 0.8)),
    ),
)


def write_world(store: Store, log_id: str, world: World, *, camera: str = "CAM_FRONT", reverse: bool = False) -> None:
    """Write the tables of one log; `reverse` plays it backwards."""
    frames: Rows = []
    captures: Rows = []
    tracks: Rows = []
    for frame in range(world.frames):
        at_s = world.step_s * (world.frames - 1 - frame if reverse else frame)
        stamp = {"log_id": log_id, "frame": frame, "timestamp_ns": 10**15 + round(frame * world.step_s * 1e9)}
        ego = world.ego.state(at_s)
        pose = pose_to_struct(SE3.from_yaw(ego[2], [ego[0], ego[1], world.ego_z_m]))
        frames.append({**stamp, "global_SE3_ego": pose, "speed_mps": ego[3]})
        captures.append({**stamp, **_capture(camera, frame)})
        seen = [actor for actor in world.actors if at_s <= actor.until_s]
        tracks += [{**stamp, **_track(actor, at_s, ego, camera, -1.0 if reverse else 1.0)} for actor in seen]
    log = {"log_id": log_id, "source_format": "nuscenes", "source_root": "../images"}
    for table, rows in (("logs", [log]), ("frames", frames), ("sensor_data", captures), ("tracks", tracks)):
        store.write(table, log_id, table_from_rows(table, rows), f"world-{table}")


def make_store(root: Path, worlds: dict[str, World], **options: Any) -> Store:
    """A store with one log a world."""
    store = Store.create(root)
    for log_id, world in worlds.items():
        write_world(store, log_id, world, **options)
    return store


def _capture(camera: str, frame: int) -> dict[str, Any]:
    path = f"images/{camera}/{frame:03d}.jpg"
    return {"sensor": camera, "modality": "camera", "path": path, "width": WIDTH, "height": HEIGHT}


def _track(
    actor: Actor, at_s: float, ego: tuple[float, float, float, float], camera: str, along: float
) -> dict[str, Any]:
    x_m, y_m, heading_rad, speed_mps = actor.state(at_s)
    to_ego = complex(math.cos(ego[2]), -math.sin(ego[2]))
    place = complex(x_m - ego[0], y_m - ego[1]) * to_ego
    velocity = along * speed_mps * complex(math.cos(heading_rad), math.sin(heading_rad)) * to_ego
    yaw_rad = math.remainder(heading_rad - ego[2], 2 * math.pi)
    length_m, width_m, height_m = actor.size_m
    view = _view(place, yaw_rad, actor.size_m)
    return {
        "track_id": actor.track_id,
        "category": actor.category,
        "x_m": place.real,
        "y_m": place.imag,
        "z_m": 0.5 * height_m,
        "length_m": length_m,
        "width_m": width_m,
        "height_m": height_m,
        "yaw_rad": yaw_rad,
        "vx_mps": velocity.real,
        "vy_mps": velocity.imag,
        "speed_mps": abs(speed_mps),
        "cameras": [{"camera": camera, **view}] if view else [],
        "source": "annotated",
        "observed": True,
    }


def _view(place: complex, yaw_rad: float, size_m: tuple[float, float, float]) -> dict[str, float] | None:
    """Image box of a camera at the ego origin that looks forward; None where the box is not wholly ahead or out of view."""
    length_m, width_m, height_m = size_m
    turn = complex(math.cos(yaw_rad), math.sin(yaw_rad))
    ground = [place + turn * complex(sl * length_m / 2, sw * width_m / 2) for sl in (1, -1) for sw in (1, -1)]
    if min(point.real for point in ground) < 0.5:
        return None
    us_px = [WIDTH / 2 - FOCAL_PX * point.imag / point.real for point in ground]
    vs_px = [
        HEIGHT / 2 + FOCAL_PX * (CAMERA_HEIGHT_M - z_m) / point.real for point in ground for z_m in (0.0, height_m)
    ]
    whole = (max(us_px) - min(us_px)) * (max(vs_px) - min(vs_px))
    u0_px, u1_px = (min(max(value, 0.0), WIDTH) for value in (min(us_px), max(us_px)))
    v0_px, v1_px = (min(max(value, 0.0), HEIGHT) for value in (min(vs_px), max(vs_px)))
    fraction = (u1_px - u0_px) * (v1_px - v0_px) / whole
    box = {"u0_px": u0_px, "v0_px": v0_px, "u1_px": u1_px, "v1_px": v1_px}
    return {**box, "visible_fraction": fraction} if fraction > 0 else None
