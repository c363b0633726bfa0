"""Reader of ScenarioNet: one log a pickle, tracks and map without sensors.

    SOURCE/sd_DATASET_VERSION_ID.pkl      SOURCE is such a folder or one such file; `dataset_summary.pkl` and the like are left

Every step is a frame. The ego pose is the ego's own track: it turns about z only (the real car tilts by a degree or two), and the
ego is no annotation. Boxes are centres in the global frame, and become boxes in the ego frame.

nuScenes: the ego's origin is that of nuScenes, on the ground. Time is nominal, `step × sample_rate` from 0: real keyframes are
every 0.5 s only on average. What is not a keyframe was interpolated by ScenarioNet, hence `observed` false. The third column of
its lanes is the direction of driving, not a height. Lines named `boundary_*` are outlines of the road surface although their type
says white line.

Waymo: time stamps are real and every step is observed. The ego's track is a box centre; its origin here is below it, on the
ground, as in other data sets.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from drive_vqa.errors import LogFormatError
from sensors.driving_log import DrivingLog, LogHandle, ego_motion, pose_rows
from sensors.readers.nuscenes import CATEGORY_OF_PREFIX
from sensors.readers.restricted_pickle import AGAIN
from sensors.readers.scenarionet_pickle import MapFeature, Scenario, Track, read_scenario

FORMAT = "scenarionet"
FILE = re.compile(r"sd_([A-Za-z0-9]+)_(?:.*_)?([A-Za-z0-9.+-]{1,120})\.pkl")
"""File names, as ScenarioNet writes them: data set and scenario."""

KEYFRAME_S = 0.5
"""nuScenes labels are this far apart."""

SHIFTED_EGO = {"scene-0061"}
NOTE_SHIFTED = "the ego path is from the CAN bus and lies 0 to 1.8 m off along the road against the boxes"

CATEGORY_OF_TYPE = {
    "VEHICLE": "car",
    "PEDESTRIAN": "pedestrian",
    "CYCLIST": "bicycle",
    "TRAFFIC_CONE": "traffic_cone",
    "TRAFFIC_BARRIER": "barrier",
}
"""Our category of ScenarioNet's own types; all others are `other`."""

KIND_OF_PREFIX = {
    "LANE": "lane",
    "ROAD_LINE": "lane_line",
    "ROAD_EDGE_SIDEWALK": "sidewalk",
    "ROAD_EDGE": "road_edge",
    "CROSSWALK": "crosswalk",
    "SIDEWALK": "sidewalk",
    "DRIVEWAY": "drivable_area",
}
"""Kind of the map features whose type begins with this; the first that fits. Others, as stop signs, are left out."""


def list_logs(source: Path) -> list[LogHandle]:
    """One handle a scenario, named after its file: `scene-0103` for nuScenes, else `DATASET-ID`.

    Raises:
        LogFormatError: there is no such file.
    """
    files = [source] if source.is_file() else sorted(path for path in source.glob("sd_*.pkl") if path.is_file())
    if not files:
        raise LogFormatError(f"{source} has no file sd_*.pkl: give the folder that ScenarioNet wrote")
    return [LogHandle(_log_id(path), FORMAT, path.parent, _digest(path), path.name) for path in files]


def read_log(handle: LogHandle) -> DrivingLog:
    """The tables of one scenario; every step is a row of `frames`.

    Raises:
        LogFormatError: the file does not follow the format, or is not the scenario that its name says.
    """
    path = handle.root / handle.version
    scenario = read_scenario(path)
    log_id = name_of(scenario.dataset, scenario.scenario_id)
    if log_id != handle.log_id:
        raise LogFormatError(f"{path} holds {log_id!r}, which is not in its name: give it back the name that it had")
    description = f"ScenarioNet, {scenario.dataset}: tracks and map, no sensors"
    return DrivingLog.from_rows(
        {
            "log_id": log_id,
            "recording": scenario.recording or scenario.scenario_id,
            "source_format": FORMAT,
            "location": scenario.location,
            "description": f"{description}; {NOTE_SHIFTED}" if log_id in SHIFTED_EGO else description,
        },
        _frame_rows(scenario, str(path)),
        [],
        _annotation_rows(scenario, str(path)),
        [row for feature in scenario.features for row in _map_rows(feature, scenario.dataset)],
    )


def name_of(dataset: str, scenario_id: str) -> str:
    """The log's name in a store."""
    return scenario_id if dataset == "nuscenes" else f"{dataset}-{scenario_id}"


def _log_id(path: Path) -> str:
    match = FILE.fullmatch(path.name)
    if match is None:
        raise LogFormatError(f"{path}: its name is not sd_DATASET_VERSION_ID.pkl: give it back the name that it had")
    return name_of(match[1], match[2])


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise LogFormatError(f"{path} cannot be read ({error.strerror}): {AGAIN}") from error


def _ego_origin_m(scenario: Scenario) -> Float[np.ndarray, "t 3"]:
    """Where nuScenes has it, on the ground; for others below the centre of the ego's box."""
    if scenario.dataset == "nuscenes":
        return scenario.ego.centre_m
    return np.asarray(scenario.ego.centre_m - 0.5 * scenario.ego.size_lwh_m * [0.0, 0.0, 1.0])


def _frame_rows(scenario: Scenario, where: str) -> list[dict[str, Any]]:
    origin_m, heading_rad = _ego_origin_m(scenario), scenario.ego.heading_rad
    poses = pose_rows(_quaternions(heading_rad), origin_m, where)
    motion = ego_motion(scenario.timestamps_ns, origin_m, heading_rad)
    times_ns = scenario.timestamps_ns.tolist()
    return [
        {"frame": frame, "timestamp_ns": time, "global_SE3_ego": pose, **moves}
        for frame, (time, pose, moves) in enumerate(zip(times_ns, poses, motion, strict=True))
    ]


def _quaternions(yaw_rad: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n 4"]:
    """Of turns about z."""
    zero = np.zeros_like(yaw_rad)
    return np.stack([np.cos(0.5 * yaw_rad), zero, zero, np.sin(0.5 * yaw_rad)], axis=-1)


def _annotation_rows(scenario: Scenario, where: str) -> list[dict[str, Any]]:
    """In order of frames, and within a frame in the file's order."""
    steps = np.arange(len(scenario.timestamps_ns))
    every = 1 if scenario.step_s is None else max(round(KEYFRAME_S / scenario.step_s), 1)
    rows = [row for track in scenario.others for row in _track_rows(track, scenario, steps % every == 0, where)]
    return sorted(rows, key=lambda row: int(row["frame"]))


def _track_rows(track: Track, scenario: Scenario, observed: np.ndarray, where: str) -> list[dict[str, Any]]:
    frames = np.flatnonzero(track.valid)
    ego_yaw_rad = scenario.ego.heading_rad[frames]
    offset_m = track.centre_m[frames] - _ego_origin_m(scenario)[frames]
    cos, sin = np.cos(ego_yaw_rad), np.sin(ego_yaw_rad)
    x_m, y_m = cos * offset_m[:, 0] + sin * offset_m[:, 1], cos * offset_m[:, 1] - sin * offset_m[:, 0]
    yaw_rad = track.heading_rad[frames] - ego_yaw_rad
    poses = pose_rows(_quaternions(yaw_rad), np.stack([x_m, y_m, offset_m[:, 2]], axis=-1), where)
    same = {
        "track_id": track.track_id,
        "category": _category(track.source_category),
        "source_category": track.source_category,
    }
    columns = (frames, scenario.timestamps_ns[frames], *track.size_lwh_m[frames].T, observed[frames])
    names = ("frame", "timestamp_ns", "length_m", "width_m", "height_m", "observed")
    values = zip(*(column.tolist() for column in columns), strict=True)
    return [
        {**same, **dict(zip(names, row, strict=True)), "ego_SE3_box": pose}
        for row, pose in zip(values, poses, strict=True)
    ]


def _category(source_category: str) -> str:
    """Our category of a nuScenes category or of one of ScenarioNet's types."""
    for prefix, category in CATEGORY_OF_PREFIX.items():
        if source_category == prefix or source_category.startswith(f"{prefix}."):
            return category
    return CATEGORY_OF_TYPE.get(source_category, "other")


def _map_rows(feature: MapFeature, dataset: str) -> list[dict[str, Any]]:
    """The line of a feature, and its area: that of a lane is road surface."""
    kind = next((own for prefix, own in KIND_OF_PREFIX.items() if feature.kind.startswith(prefix)), None)
    if kind is None:
        return []
    rows = []
    if feature.polyline is not None and len(feature.polyline) > 1:
        outline = dataset == "nuscenes" and feature.feature_id.startswith("boundary_")
        points = feature.polyline[:, :2] if dataset == "nuscenes" else feature.polyline
        rows.append(_element(feature, feature.feature_id, "road_edge" if outline else kind, points, closed=False))
    if feature.polygon is not None and len(ring := _open(feature.polygon)) > 2:
        name = f"{feature.feature_id}/area" if rows else feature.feature_id
        rows.append(_element(feature, name, "drivable_area" if kind == "lane" else kind, ring, closed=True))
    return rows


def _open(ring: Float[np.ndarray, "n c"]) -> Float[np.ndarray, "m c"]:
    """A ring without the repeated last point."""
    return ring[:-1] if len(ring) > 1 and (ring[0] == ring[-1]).all() else ring


def _element(
    feature: MapFeature, name: str, kind: str, points_m: Float[np.ndarray, "n c"], *, closed: bool
) -> dict[str, Any]:
    axes = dict(zip(("x_m", "y_m", "z_m"), points_m.T.tolist(), strict=False))
    return {"element_id": name, "kind": kind, "source_kind": feature.kind, "closed": closed, **axes}
