"""The state at t = 0 as tracks fused from measurements tell it, for a baseline that is given no truth but which object is meant.

Tracks of two stores have names of their own: an asked object is the fused track whose centre is nearest to it in the same frame,
within 2 m (the distance at which nuScenes matches detections for its errors of state). Where there is none, nothing is known.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from drive_vqa.errors import ConfigError
from drive_vqa.store import Store
from eval.present import STATE, tracks_and_frames

SAME_OBJECT_M = 2.0
OBJECT = ["log_id", "frame", "track_id"]


def fused_state(fused: Store, cases: pd.DataFrame, state: pd.DataFrame) -> pd.DataFrame:
    """As `eval.present.present_state`, from another store.

    Args:
        fused: holds the same logs and frames with fused tracks; logs that it lacks are not known.
        cases: see `eval.cases.read_cases`.
        state: the true one, row by row to the cases, to find the objects by.
    """
    source = fused.manifest().get("steps", {}).get("fuse", {}).get("source")
    if source == "annotations":
        raise ConfigError(f"{fused.root} has tracks fused from annotations: run `drive-vqa fuse STORE --from sensors`")
    asked = pd.concat([cases[OBJECT], state[["x_m", "y_m"]]], axis=1).drop_duplicates(OBJECT)
    known = set(fused.log_ids("tracks"))
    if not known & set(asked["log_id"]):
        raise ConfigError(f"{fused.root} has none of the logs that are evaluated: ingest the same logs, then fuse them")
    parts = [
        _of_log(fused, str(log_id), objects)
        for log_id, objects in asked.groupby("log_id", sort=False)
        if log_id in known
    ]
    nothing = pd.DataFrame(columns=[*OBJECT, *STATE, "ego_speed_mps"])
    found = cases[OBJECT].merge(pd.concat([nothing, *parts]) if parts else nothing, on=OBJECT, how="left")
    return found[[*STATE, "ego_speed_mps"]].astype(np.float64).set_axis(cases.index)


def _of_log(fused: Store, log_id: str, objects: pd.DataFrame) -> pd.DataFrame:
    """The objects of a log with the state of the nearest fused track, NaN where none is near."""
    tracks, frames = tracks_and_frames(fused, log_id, objects["frame"])
    renamed = tracks.rename(columns={"track_id": "fused_id"})
    pairs = objects.dropna(subset=["x_m", "y_m"]).merge(renamed, on="frame", suffixes=("_asked", ""))
    apart_m = np.hypot(pairs["x_m"] - pairs["x_m_asked"], pairs["y_m"] - pairs["y_m_asked"])
    near = pairs.assign(apart_m=apart_m)[apart_m <= SAME_OBJECT_M]
    nearest = near.sort_values(["apart_m", "fused_id"], kind="stable").drop_duplicates(OBJECT)
    return (
        objects[OBJECT].merge(nearest[[*OBJECT, *STATE]], on=OBJECT, how="left").merge(frames, on="frame", how="left")
    )
