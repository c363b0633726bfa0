"""A small world of moving boxes with known motion, and what an imperfect detector says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from drive_vqa.geometry import SE3
from drive_vqa.schema import pose_to_struct, table_from_rows

STEP_NS = 100_000_000
START_NS = 1_600_000_000_000_000_000
KINDS = {"car": (4.5, 1.9, 1.6), "pedestrian": (0.7, 0.7, 1.75), "bicycle": (1.8, 0.6, 1.7)}


@dataclass(frozen=True)
class Mover:
    """Constant speed and turn rate, global frame."""

    category: str
    x_m: float
    y_m: float
    yaw_rad: float
    speed_mps: float
    turn_radps: float = 0.0

    def at(self, time_s: float) -> tuple[float, float, float, float, float]:
        """x, y, yaw, vx, vy."""
        yaw = self.yaw_rad + self.turn_radps * time_s
        if self.turn_radps:
            radius = self.speed_mps / self.turn_radps
            x = self.x_m + radius * (np.sin(yaw) - np.sin(self.yaw_rad))
            y = self.y_m - radius * (np.cos(yaw) - np.cos(self.yaw_rad))
        else:
            x = self.x_m + self.speed_mps * time_s * np.cos(yaw)
            y = self.y_m + self.speed_mps * time_s * np.sin(yaw)
        return float(x), float(y), float(yaw), float(self.speed_mps * np.cos(yaw)), float(self.speed_mps * np.sin(yaw))


def movers(count: int, seed: int) -> list[Mover]:
    """Cars, pedestrians and bicycles, spread out so that they seldom meet."""
    random = np.random.default_rng(seed)
    out = []
    for number in range(count):
        category = list(KINDS)[number % 3]
        speed = {"car": 9.0, "pedestrian": 1.4, "bicycle": 4.0}[category] * random.uniform(0.0, 1.2)
        turn = random.uniform(-0.15, 0.15) if category == "car" else 0.0
        place = (float(25.0 * (number % 5) - 50.0), float(18.0 * (number // 5) - 30.0))
        out.append(Mover(category, *place, float(random.uniform(-3, 3)), float(speed), float(turn)))
    return out


def ego_at(time_s: float) -> SE3:
    """The ego drives a gentle bend."""
    yaw = 0.3 + 0.04 * time_s
    return SE3.from_yaw(yaw, [5.0 * time_s * np.cos(0.3), 5.0 * time_s * np.sin(0.3), 0.2])


def frame_table(count: int, world: SE3 | None = None, step_ns: int = STEP_NS) -> pa.Table:
    """Frames with ego poses, in a world that may be moved."""
    world = world or SE3.identity()
    rows = [
        {
            "log_id": "log",
            "frame": frame,
            "timestamp_ns": START_NS + frame * step_ns,
            "global_SE3_ego": pose_to_struct(world @ ego_at(frame * step_ns * 1e-9)),
        }
        for frame in range(count)
    ]
    return table_from_rows("frames", rows)


def truth(world: list[Mover], count: int, step_ns: int = STEP_NS) -> list[dict[str, Any]]:
    """Every mover at every frame, in the ego frame."""
    rows = []
    for frame in range(count):
        time_s = frame * step_ns * 1e-9
        ego_SE3_global = ego_at(time_s).inverse()
        for number, mover in enumerate(world):
            x, y, yaw, vx, vy = mover.at(time_s)
            place = ego_SE3_global @ np.array([x, y, 0.8])
            velocity = ego_SE3_global.rotate(np.array([vx, vy, 0.0]))
            length, width, height = KINDS[mover.category]
            rows.append(
                {
                    "mover": number,
                    "log_id": "log",
                    "frame": frame,
                    "timestamp_ns": START_NS + frame * step_ns,
                    "category": mover.category,
                    **dict(zip(("x_m", "y_m", "z_m"), place.tolist(), strict=True)),
                    "yaw_rad": yaw + ego_SE3_global.yaw_rad,
                    "length_m": length,
                    "width_m": width,
                    "height_m": height,
                    "vx_mps": float(velocity[0]),
                    "vy_mps": float(velocity[1]),
                }
            )
    return rows


def detections(
    rows: list[dict[str, Any]], seed: int, *, noise_m: float = 0.2, found: float = 0.9, false_alarms: float = 0.5
) -> pa.Table:
    """What a detector makes of the truth: noise, misses, boxes turned by half a turn, false alarms."""
    random = np.random.default_rng(seed)
    out = []
    frames = sorted({(row["frame"], row["timestamp_ns"]) for row in rows})
    for row in rows:
        if random.random() > found:
            continue
        seen = {key: value for key, value in row.items() if key not in ("mover", "vx_mps", "vy_mps")}
        seen |= {"kind": "box_3d", "score": float(random.uniform(0.5, 0.95))}
        seen["x_m"] += float(random.normal(0, noise_m))
        seen["y_m"] += float(random.normal(0, noise_m))
        seen["yaw_rad"] += float(random.normal(0, 0.1) + np.pi * (random.random() < 0.1))
        out.append(seen)
    for frame, time_ns in frames:
        for _ in range(random.poisson(false_alarms)):
            x, y = random.uniform(-60, 60, 2).tolist()
            size = dict(zip(("length_m", "width_m", "height_m"), KINDS["car"], strict=True))
            place = {"x_m": x, "y_m": y, "z_m": 0.8, "yaw_rad": float(random.uniform(-3, 3))}
            common = {"log_id": "log", "frame": frame, "timestamp_ns": time_ns, "category": "car"}
            out.append({**common, **size, **place, "kind": "box_3d", "score": float(random.uniform(0.05, 0.4))})
    return table_from_rows("detections", sorted(out, key=lambda row: row["frame"]))
