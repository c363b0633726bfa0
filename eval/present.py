"""Where the first mark of each question is at t = 0, and how it and the ego move."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from drive_vqa.store import Store

STATE = ("x_m", "y_m", "vx_mps", "vy_mps", "speed_mps")


def present_state(store: Store, cases: pd.DataFrame) -> pd.DataFrame:
    """Place and velocity of the first mark at t = 0 in the ego frame, and the ego's speed, row by row to the cases.

    Columns x_m, y_m, vx_mps, vy_mps, speed_mps (NaN without a mark) and ego_speed_mps.
    """
    parts = []
    for log_id, asked in cases.groupby("log_id", sort=False):
        tracks, frames = tracks_and_frames(store, str(log_id), asked["frame"])
        rows = asked[["frame", "track_id"]].reset_index()
        rows = rows.merge(tracks.drop_duplicates(["frame", "track_id"]), on=["frame", "track_id"], how="left")
        rows = rows.merge(frames, on="frame", how="left")
        parts.append(rows.set_index("index"))
    if not parts:
        return pd.DataFrame(columns=[*STATE, "ego_speed_mps"], dtype=np.float64)
    return pd.concat(parts).loc[cases.index, [*STATE, "ego_speed_mps"]].astype(np.float64)


def tracks_and_frames(store: Store, log_id: str, frames: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Of some frames of a log: the state of every track, and the ego's speed (frame, ego_speed_mps)."""
    wanted = pc.field("frame").isin(sorted(frames.unique().tolist()))
    tracks = store.read("tracks", log_id, ("frame", "track_id", *STATE)).filter(wanted).to_pandas()
    ego = store.read("frames", log_id, ("frame", "speed_mps")).filter(wanted).to_pandas()
    return tracks, ego.rename(columns={"speed_mps": "ego_speed_mps"})
