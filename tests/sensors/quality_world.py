"""A small made-up world: annotated tracks, and fused ones with every kind of fault."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from drive_vqa.schema import table_from_rows

STEP_S = 0.5
CATEGORIES = ("car", "pedestrian", "truck")


def box(log_id: str, frame: int, track_id: str, x_m: float, y_m: float, **more: Any) -> dict[str, Any]:
    """A row of the table `tracks`: a car that stands, annotated and observed, unless said otherwise."""
    row = {
        "log_id": log_id,
        "frame": frame,
        "timestamp_ns": round(frame * STEP_S * 1e9),
        "track_id": track_id,
        "category": "car",
        "source_category": "car",
        "x_m": x_m,
        "y_m": y_m,
        "z_m": 0.0,
        "length_m": 4.0,
        "width_m": 2.0,
        "height_m": 1.5,
        "yaw_rad": 0.0,
        "vx_mps": 0.0,
        "vy_mps": 0.0,
        "source": "annotated",
        "observed": True,
    }
    return {**row, **more}


def tables(truth: list[dict[str, Any]], fused: list[dict[str, Any]]) -> tuple[pa.Table, pa.Table]:
    """Truth and fused rows as tables."""
    return table_from_rows("tracks", truth), table_from_rows("tracks", [{**row, "source": "fused"} for row in fused])


def faulty_world(seed: int = 7, logs: int = 2, frames: int = 10, objects: int = 14) -> tuple[pa.Table, pa.Table]:
    """Truth and fused tracks: noise, gaps, ids that change or are swapped, false alarms; all within 35 m."""
    random = np.random.RandomState(seed)  # its stream never changes, as the recorded figures need
    truth: list[dict[str, Any]] = []
    fused: list[dict[str, Any]] = []
    for log in range(logs):
        log_id = f"log{log}"
        category = [CATEGORIES[i] for i in random.randint(0, 3, objects)]
        start_m, velocity_mps = random.uniform(-20, 20, (objects, 2)), random.normal(0, 0.5, (objects, 2))
        score, names, fresh = random.uniform(0.2, 1.0, objects), list(range(objects)), objects
        for frame in range(frames):
            for i in range(objects):
                x_m, y_m = start_m[i] + velocity_mps[i] * frame * STEP_S
                kind = {"category": category[i], "vx_mps": velocity_mps[i, 0], "vy_mps": velocity_mps[i, 1]}
                truth.append(box(log_id, frame, f"t{i}", x_m, y_m, **kind))
                chance, (dx_m, dy_m), doubt = random.rand(3), random.normal(0, 0.5, 2), random.normal(0, 0.05)
                if chance[0] < 0.04:
                    names[i], fresh = fresh, fresh + 1
                if chance[1] < 0.03:
                    names[i], names[i - 1] = names[i - 1], names[i]
                if chance[2] < 0.85:
                    confidence = {"score": float(np.clip(score[i] + doubt, 0.0, 1.0))}
                    fused.append(box(log_id, frame, f"f{names[i]}", x_m + dx_m, y_m + dy_m, **kind, **confidence))
            for place_m in random.uniform(-20, 20, (3, 2)):
                kind = {"category": CATEGORIES[random.randint(0, 3)], "score": float(random.uniform(0.0, 0.6))}
                fused.append(box(log_id, frame, f"x{fresh}", *place_m, **kind))
                fresh += 1
    names_seen = set()
    unique = [
        r for r in fused if (k := (r["log_id"], r["frame"], r["track_id"])) not in names_seen and not names_seen.add(k)
    ]
    return tables(truth, unique)
