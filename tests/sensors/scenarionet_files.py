"""Small ScenarioNet pickles, written by pickle itself as ScenarioNet does."""

from __future__ import annotations

import pickle
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

STEPS = 11
NUSCENES_FILE = "sd_nuscenes_v1.0-mini_scene-0103.pkl"
WAYMO_FILE = "sd_waymo_v1.2_ab12.pkl"


def track(
    kind: str, source: str, x_m: Any, y_m: Any, heading_rad: Any, valid: Any = 1.0, size: Any = (4, 2, 1)
) -> dict:
    """A track in nuScenes' way: float64, sizes (T, 1), and zeros where it is not valid."""
    valid = np.broadcast_to(np.asarray(valid, dtype=float), STEPS).copy()
    columns = [np.broadcast_to(np.asarray(value, dtype=float), STEPS) for value in (x_m, y_m, 0.8)]
    state = {
        "position": np.stack(columns, axis=-1) * valid[:, None],
        "heading": np.broadcast_to(np.asarray(heading_rad, dtype=float), STEPS) * valid,
        "velocity": np.zeros((STEPS, 2)),
        "valid": valid,
    }
    for name, value in zip(("length", "width", "height"), size, strict=True):
        state[name] = np.full((STEPS, 1), float(value)) * valid[:, None]
    return {"type": kind, "state": state, "metadata": {"type": source, "track_length": STEPS}}


def nuscenes_scenario() -> dict[str, Any]:
    """An ego that drives and turns, a parked car, and a walker who is there for some steps."""
    step = np.arange(STEPS)
    here = (step >= 3) & (step < 9)
    ego = track("VEHICLE", "vehicle.car", 100 + step, 200 + 0.1 * step**2, 3.0 + 0.05 * step, size=(1.73, 4.08, 1.56))
    ego["state"]["position"][:, 2] = 0.0
    counts: dict[str, int] = defaultdict(int, VEHICLE=1)
    return {
        "id": "scene-0103",
        "version": "nuscenesv1.0-mini",
        "length": STEPS,
        "tracks": {
            "parked": track("VEHICLE", "vehicle.emergency.police", 110.0, 205.0, -1.2, size=(5.1, 2.2, 1.9)),
            "ego": ego,
            "walker": track("PEDESTRIAN", "human.pedestrian.adult", 90 + 0.1 * step, 195.0, 0.0, here, (0.7, 0.6, 1.8)),
        },
        "dynamic_map_states": {},
        "map_features": {
            "boundary_0": {"type": "ROAD_LINE_SOLID_SINGLE_WHITE", "polyline": np.eye(4, 2)},
            "line": {"type": "ROAD_LINE_BROKEN_SINGLE_WHITE", "polyline": [(0.0, 1.0), (2.0, 3)]},
            "lane": {
                "type": "LANE_SURFACE_STREET",
                "polyline": np.array([[0.0, 0.0, 1.57], [0.0, 1.0, 1.57], [0.0, 2.0, 1.57]]),  # x, y, direction
                "polygon": np.array([[-1.0, 0.0], [1.0, 0.0], [1.0, 2.0], [-1.0, 2.0], [-1.0, 0.0]]),
                "exit_lanes": ["other"],
            },
            "walk": {"type": "ROAD_EDGE_SIDEWALK", "polygon": [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 0.0)]},
            "zebra": {"type": "CROSSWALK", "polygon": np.eye(3, 2)},
            "point": {"type": "LANE_SURFACE_UNSTRUCTURE", "polyline": np.zeros((1, 3))},
        },
        "metadata": {
            "dataset": "nuscenes",
            "map": "boston-seaport",
            "scenario_id": "scene-0103",
            "sample_rate": 0.1,
            "ts": np.arange(STEPS) * 0.1,
            "sdc_id": "ego",
            "number_summary": {"object_types": {"VEHICLE", "PEDESTRIAN"}, "each": counts, "map_height_diff": -np.inf},
        },
    }


def waymo_scenario() -> dict[str, Any]:
    """In Waymo's way: float32, flat sizes, booleans, real time stamps, heights in the map; the ego is a box like all others."""
    base = nuscenes_scenario()
    tracks = {}
    for number, (key, value) in enumerate(base["tracks"].items()):
        state = {name: values.astype(np.float32) for name, values in value["state"].items()}
        state |= {name: state[name].reshape(-1) for name in ("length", "width", "height")}
        state["valid"] = state["valid"] > 0
        kind = {"parked": "CYCLIST", "ego": "VEHICLE", "walker": "PEDESTRIAN"}[key]
        tracks[str(number)] = {"type": kind, "state": state, "metadata": {"type": kind, "dataset": "waymo"}}
    tracks["1"]["state"]["position"][:, 2] = 5.0
    features = {
        "7": {"type": "LANE_FREEWAY", "polyline": np.arange(9, dtype=np.float32).reshape(3, 3)},
        "8": {"type": "STOP_SIGN", "lane": [7], "position": np.zeros(3, dtype=np.float32)},
        "9": {"type": "DRIVEWAY", "polygon": np.arange(12, dtype=np.float32).reshape(4, 3)},
        "10": {"type": "ROAD_EDGE_MEDIAN", "polyline": np.arange(6, dtype=np.float32).reshape(2, 3)},
    }
    metadata = {
        "id": "ab12",
        "dataset": "waymo",
        "scenario_id": "ab12",
        "sdc_id": "1",
        "ts": (np.arange(STEPS) * 0.1 + 1e-5).astype(np.float32),
    }
    return {
        "id": "ab12",
        "version": "v1.2",
        "length": STEPS,
        "tracks": tracks,
        "map_features": features,
        "metadata": metadata,
    }


def write(path: Path, scenario: Any, protocol: int = 4) -> Path:
    """A file in a folder that is made where absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(scenario, protocol))
    return path
