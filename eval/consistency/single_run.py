"""What one run tells against itself: motion that no agent makes, and answers about one thing that contradict each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from eval.cases import Targets, find_targets
from eval.consistency.kinematics import implied_acceleration_mps2, implied_speed_mps, limits_of
from eval.localization import HORIZONS_S, bearing_ok, distance_ok
from eval.panel.answered import Answered, judged_share, share_of
from eval.safety import Judged
from eval.statistics import Sample
from eval.trajectory import positions_m

Codes = Int[np.ndarray, "cases"]
"""The group of each question, as a number."""

HOURS, DEGREES_PER_HOUR = 12, 30.0


def consistency_samples(model: Answered) -> dict[str, Sample]:
    """All that needs one run only, by name; see `eval.consistency`."""
    groups = model.cases["group_id"].factorize()[0]
    samples = dict(_plausibility(model, groups))
    samples |= dict(_joint_and_single(model, groups))
    samples["consistency.clock_degrees"] = _clock_and_degrees(model, groups)
    return samples


def clock_hours(bearing_deg: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """The nearest hour, 1 to 12: 12 is ahead, 3 to the right; NaN stays."""
    hour = np.floor(0.5 - bearing_deg / DEGREES_PER_HOUR) % HOURS
    return np.asarray(np.where(hour == 0, HOURS, hour))


def _plausibility(model: Answered, groups: Codes) -> Iterator[tuple[str, Sample]]:
    """Over the steps, and the pairs of steps, of targets whose places and the ego's speeds were answered."""
    targets = find_targets(model.cases)
    polar = (np.asarray(targets.values(model.answer(name), missing=np.nan)) for name in ("distance_m", "bearing_deg"))
    places_m = positions_m(*polar)
    ego_mps = _ego_speed_mps(model, groups, targets)
    speed_mps, acceleration_mps2 = limits_of(model.cases["slice_category"].to_numpy(dtype=object)[targets.anchors])
    for name, implied, limit in (
        ("speed", implied_speed_mps(places_m, ego_mps), speed_mps),
        ("acceleration", implied_acceleration_mps2(places_m, ego_mps), acceleration_mps2),
    ):
        judged = Judged(implied > limit[:, None], np.isfinite(implied))
        yield f"consistency.implausible_{name}_rate", judged_share(judged, targets.anchors)


def _ego_speed_mps(model: Answered, groups: Codes, targets: Targets) -> Float[np.ndarray, "targets horizons"]:
    """The ego's speed as it was answered for the group of each target; NaN where it was not."""
    cases = model.cases
    speeds_mps = np.full((groups.max(initial=-1) + 1, len(HORIZONS_S)), np.nan)
    for place, horizon_s in enumerate(HORIZONS_S):
        rows = np.flatnonzero((cases["type"] == f"ego_speed_t{horizon_s}") & (cases["answer_type"] == "speed"))
        speeds_mps[groups[rows], place] = model.answer("speed_mps")[rows]
    return np.asarray(speeds_mps[groups[targets.anchors]])


def _joint_and_single(model: Answered, groups: Codes) -> Iterator[tuple[str, Sample]]:
    """A place against the distance or bearing of the same mark at the same time, asked alone."""
    cases = model.cases
    is_future = (cases["family"] == "future") & (cases["form"] == "open")
    places = np.flatnonzero(is_future & (cases["answer_type"] == "localization"))
    for noun, field, ok in (("distance", "distance_m", distance_ok), ("bearing", "bearing_deg", bearing_ok)):
        kinds = [f"{noun}_t{horizon_s}" for horizon_s in HORIZONS_S]
        singles = np.flatnonzero(is_future & cases["type"].isin(kinds))
        joint, single = _about_the_same(model, groups, places, singles)
        answers = model.answer(field)
        yield f"consistency.joint_single.{noun}", share_of(ok(answers[joint], answers[single]), joint)


def _clock_and_degrees(model: Answered, groups: Codes) -> Sample:
    """Hours against bearings of the same mark; both are asked of the present, as seen by the ego."""
    cases = model.cases
    is_open = (cases["family"] == "ego") & (cases["form"] == "open")
    hours, bearings = (np.flatnonzero(is_open & (cases["type"] == kind)) for kind in ("clock", "bearing"))
    hours, bearings = _about_the_same(model, groups, hours, bearings)
    told = model.answer("clock_hour")[hours]
    return share_of(told == clock_hours(model.answer("bearing_deg")[bearings]), hours)


def _about_the_same(
    model: Answered, groups: Codes, one: Int[np.ndarray, "n"], other: Int[np.ndarray, "m"]
) -> tuple[Int[np.ndarray, "k"], Int[np.ndarray, "k"]]:
    """Pairs of answers that were read, one row of each kind, about the same mark of a group at the same time."""
    one, other = one[model.read[one]], other[model.read[other]]
    rows = np.concatenate([one, other])
    key = groups[rows].astype(np.int64)
    for column in ("mark", "horizon_s"):
        codes, names = pd.factorize(model.cases[column].to_numpy()[rows])
        key = key * (len(names) + 1) + codes + 1
    known, first = np.unique(key[len(one) :], return_index=True)
    place = pd.Index(known).get_indexer(pd.Index(key[: len(one)]))
    return one[place >= 0], other[first[place[place >= 0]]]
