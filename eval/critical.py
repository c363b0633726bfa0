"""Critical targets: those that matter within three seconds, whether they were located, and which others were made critical.

    in path       the footprint shares area with the ego corridor (|y| ≤ 1.8 m, 0 < x ≤ 60 m) at 0, 1, 2 or 3 s, each in the ego
                  frame of that time
    critical      in path, and: time to collision from now under 3 s, or the gap from surface to surface under 2 m at 0, 1, 2
                  or 3 s
    critical_recall            share of critical targets that are located at 0, 1, 2 and 3 s        [0, 1], higher is better
    critical_false_alarm_rate  share of targets that are not critical which the answers make so     [0, 1], lower is better

Time to collision is that of `drive_vqa.time_to_collision`, by box overlap at constant velocity. Boxes, velocities and the ego's
speed are the tracks'; the ego's size and place are those that the questions were made with, from the store's manifest.

Answers have no velocity. A target as answered is its true box moved to the answered places, and its velocity relative to the ego
is (p(1 s) - p(0)) / 1 s of those. Exact answers must raise no alarm, so the rate is over targets that are critical neither by the
tracks nor by their true places judged in this way, and were answered at all four times.

A target is critical as soon as what is known says so. It is not critical only where all is known: its velocity, the ego's speed,
and its box at all four times; else it is left out. A time that was not asked counts as not located, as in TLC; the name in
`_asked_only` leaves such targets out. A store that does not say how large the ego is has no such numbers: n = 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from jaxtyping import Bool, Float, Int

from drive_vqa.errors import StoreError
from drive_vqa.ground_boxes import gap_m, overlap
from drive_vqa.store import Store
from drive_vqa.time_to_collision import time_to_collision_s
from eval.cases import Targets, find_targets
from eval.localization import HORIZONS_S, consistent
from eval.panel import Answered, Sample, success_cells
from eval.panel.answered import judged_share, share_of
from eval.safety import CORRIDOR_HALF_WIDTH_M, CORRIDOR_LENGTH_M, Judged

CRITICAL_TTC_S = 3.0
CRITICAL_GAP_M = 2.0
CORRIDOR = np.array([[0.5 * CORRIDOR_LENGTH_M, 0.0, CORRIDOR_LENGTH_M, 2.0 * CORRIDOR_HALF_WIDTH_M, 0.0]])
"""The ego's path as a ground-plane box."""

BOX = ("x_m", "y_m", "length_m", "width_m", "yaw_rad")
VELOCITY = ("vx_mps", "vy_mps")
OWN_SIZE = ("ego_length_m", "ego_width_m")


@dataclass(frozen=True, eq=False)
class TargetMotion:
    """How targets really move; NaN where not known.

    Attributes:
        ego_box: `(x_m, y_m, length_m, width_m, yaw_rad)` of the own vehicle, ego frame.
        boxes: of each target at each horizon, in the ego frame of that time.
        velocity_mps: over ground at t = 0, ego axes.
        ego_speed_mps: at t = 0.
    """

    ego_box: Float[np.ndarray, "5"]
    boxes: Float[np.ndarray, "targets horizons 5"]
    velocity_mps: Float[np.ndarray, "targets 2"]
    ego_speed_mps: Float[np.ndarray, "targets"]


def critical_samples(store: Store, answered: Answered) -> dict[str, Sample]:
    """The metrics above.

    Args:
        store: with the tracks and frames of the cases' logs.
        answered: what was answered.

    Raises:
        StoreError: a table is missing, or the manifest's size of the ego is none.
    """
    targets = find_targets(answered.cases)
    motion = read_motion(store, answered.cases, targets)
    critical = critical_targets(motion)
    is_critical, asked = critical == 1, (targets.rows >= 0).all(axis=1)
    located = consistent(success_cells(answered, targets))
    alarm = false_alarm(motion, critical, answered.places_m(targets)[1])
    return {
        "safety.critical_recall": share_of(located[is_critical], targets.anchors[is_critical]),
        "safety.critical_recall_asked_only": share_of(
            located[is_critical & asked], targets.anchors[is_critical & asked]
        ),
        "safety.critical_false_alarm_rate": judged_share(alarm, targets.anchors),
    }


def critical_targets(motion: TargetMotion) -> Int[np.ndarray, "targets"]:
    """1 for a critical target, 0 for one that is not, -1 where that is not known."""
    ttc_s = time_to_collision_s(motion.ego_box, motion.ego_speed_mps, motion.boxes[:, 0], *motion.velocity_mps.T)
    known = np.isfinite(motion.boxes).all(axis=(1, 2)) & ~np.isnan(ttc_s)
    return np.where(_is_critical(motion.ego_box, motion.boxes, ttc_s), 1, known - 1)


def false_alarm(
    motion: TargetMotion,
    critical: Int[np.ndarray, "targets"],
    answer_xy_m: Float[np.ndarray, "targets horizons 2"],
) -> Judged:
    """Targets that are not critical and that the answered places make so.

    Args:
        motion: of the targets.
        critical: see `critical_targets`.
        answer_xy_m: answered places, ego frame of each time; NaN where there is no answer.
    """
    calm = ~_critical_by_places(motion, motion.boxes[..., :2])
    applies = (critical == 0) & calm & np.isfinite(answer_xy_m).all(axis=(1, 2))
    return Judged(applies & _critical_by_places(motion, answer_xy_m), applies)


def _critical_by_places(
    motion: TargetMotion, xy_m: Float[np.ndarray, "targets horizons 2"]
) -> Bool[np.ndarray, "targets"]:
    """Whether targets at these places would be critical; false where nothing known says so."""
    boxes = np.concatenate([xy_m, motion.boxes[..., 2:]], axis=-1)
    velocity_mps = (xy_m[:, 1] - xy_m[:, 0]) / (HORIZONS_S[1] - HORIZONS_S[0])
    still = np.zeros(len(boxes))
    return _is_critical(motion.ego_box, boxes, time_to_collision_s(motion.ego_box, still, boxes[:, 0], *velocity_mps.T))


def _is_critical(
    ego_box: Float[np.ndarray, "5"], boxes: Float[np.ndarray, "targets horizons 5"], ttc_s: Float[np.ndarray, "targets"]
) -> Bool[np.ndarray, "targets"]:
    flat = boxes.reshape(-1, len(BOX))
    in_path = overlap(flat, CORRIDOR).reshape(boxes.shape[:2]).any(axis=1)
    near = (gap_m(flat, ego_box[None]) < CRITICAL_GAP_M).reshape(boxes.shape[:2]).any(axis=1)
    return np.asarray(in_path & (near | (ttc_s < CRITICAL_TTC_S)))


def read_motion(store: Store, cases: pd.DataFrame, targets: Targets) -> TargetMotion:
    """How the targets move, from the tracks; the frame of a horizon is that in which its question's truth was read.

    Raises:
        StoreError: a table is missing, or the manifest's size of the ego is none.
    """
    anchors = cases.iloc[targets.anchors]
    frames = np.asarray(targets.values(cases["truth_frame"].to_numpy(), missing=-1), dtype=np.int64)
    frames[:, 0] = anchors["frame"].to_numpy()
    boxes = np.full((*frames.shape, len(BOX)), np.nan)
    velocity_mps, speed_mps = np.full((len(frames), len(VELOCITY)), np.nan), np.full(len(frames), np.nan)
    for log_id, own in anchors.reset_index().groupby("log_id", sort=False).indices.items():
        tracks = _states(store, str(log_id), frames[own], anchors["track_id"].to_numpy(dtype=object)[own])
        boxes[own] = tracks[..., : len(BOX)]
        velocity_mps[own] = tracks[:, 0, len(BOX) :]
        speed_mps[own] = _ego_speeds_mps(store, str(log_id), frames[own, 0])
    return TargetMotion(ego_box(store), boxes, velocity_mps, speed_mps)


def _states(store: Store, log_id: str, frames: np.ndarray, track_ids: np.ndarray) -> np.ndarray:
    """Box and velocity of a track a row in several frames of a log, (targets, horizons, 7); NaN where it is not there."""
    wanted = pc.field("frame").isin(np.unique(frames).tolist())
    table = store.read("tracks", log_id, ("frame", "track_id", *BOX, *VELOCITY)).filter(wanted).to_pandas()
    known = table.drop_duplicates(["frame", "track_id"]).set_index(["frame", "track_id"])
    asked = pd.MultiIndex.from_arrays([frames.ravel(), np.repeat(track_ids, frames.shape[1])])
    found = known.reindex(asked).to_numpy(dtype=np.float64)
    return np.asarray(found.reshape(*frames.shape, -1))


def _ego_speeds_mps(store: Store, log_id: str, frames: np.ndarray) -> np.ndarray:
    table = store.read("frames", log_id, ("frame", "speed_mps")).to_pandas().drop_duplicates("frame")
    return np.asarray(table.set_index("frame")["speed_mps"].reindex(frames).to_numpy(dtype=np.float64))


def ego_box(store: Store) -> Float[np.ndarray, "5"]:
    """The own vehicle's ground-plane box in the ego frame; NaN where the store's manifest does not tell its size.

    Raises:
        StoreError: what it tells is no size.
    """
    told = store.manifest().get("steps", {}).get("generate", {})
    values = [told.get(name, math.nan) for name in (*OWN_SIZE, "ego_centre_x_m")]
    if not all(isinstance(value, (int, float)) for value in values) or min(values[:2]) <= 0:
        raise StoreError(
            f"the manifest of {store.root} has no length above 0 as {' or '.join(OWN_SIZE)}: run `drive-vqa generate` again"
        )
    length_m, width_m, centre_x_m = values
    return np.array([centre_x_m, 0.0, length_m, width_m, 0.0])
