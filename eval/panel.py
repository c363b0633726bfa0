"""All metrics of one answerer: stable dotted names, each with the cases it is taken over.

    accuracy, coverage                        all questions; the share that has an answer
    family.F.accuracy, form.F.accuracy        families and forms
    type.T.<measure>                          question types
    localization.*, speed.sr.*                success in place and speed, and its consistency in time (eval.localization)
    prediction.*                              errors in metres over 1, 2, 3 s (eval.trajectory)
    grounding.tiou, grounding.miou            mean temporal IoU of intervals, mean IoU of boxes; no answer counts 0
    safety.*                                  dangerous mistakes (eval.safety), by class and range bin too
    parse.*                                   answers that could not be read
    slice.DIMENSION.VALUE.<metric>            the headline metrics over a part of the targets
    slice.difficulty|relation.VALUE.accuracy  all questions of that slice

In success rates a missing, unread or refused answer fails; names in `_parsed_only` leave it out. A horizon that was not asked of
a target fails too and shows in the coverage; names in `_asked_only` leave it out, so that perfect answers make them 1. Errors and
safety rates are taken over the answers that were read, as n says. A metric over no cases has value null and n = 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from drive_vqa.geometry import wrap_deg
from eval import safety, scoring, trajectory
from eval.baselines import CLOSING, RECEDING
from eval.cases import Targets, find_targets
from eval.localization import HORIZONS_S, consistent
from eval.parse import Reason
from eval.statistics import Estimate, estimate_mean, estimate_median

SLICED_BY = ("category", "moving", "ttc_bin", "range", "visible", "difficulty", "relation")
ACCURACY_BY = ("difficulty", "relation")
SPEEDS = {"ego": "ego_speed", "target": "target_speed"}
"""Name of a speed's metrics, and what the types that ask for it are called before `_t`."""

DIRECTIONS = ("bearing_deg", "yaw_deg")
OFFSETS = ("x_m", "y_m")
RELATIVE_FROM = 0.5
"""Relative errors leave out truths below this (metres, metres a second): a share of nearly nothing says nothing."""

RELATIVE = {"distance_m": "distance", "speed_mps": "speed"}
VISIBLE_HALF = 0.5


@dataclass(frozen=True, eq=False)
class Answered:
    """The questions, what was answered, and what became of it; all row by row.

    Attributes:
        cases: see `eval.cases.read_cases`; index 0 … n-1.
        answers: typed answers, with `answered` (there was a text) and `failure` (why it was not read, or None).
        verdicts: see `eval.scoring.judge`.
    """

    cases: pd.DataFrame
    answers: pd.DataFrame
    verdicts: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Sample:
    """What a metric is taken over.

    Attributes:
        values: one a case.
        rows: the row in `cases` that each belongs to, for its log and frame.
        statistic: how values become one number.
    """

    values: Float[np.ndarray, "n"]
    rows: Int[np.ndarray, "n"]
    statistic: Literal["mean", "median"] = "mean"


def estimates(samples: Mapping[str, Sample], cases: pd.DataFrame) -> dict[str, Estimate]:
    """Value, n and interval of every sample."""
    logs, frames = cases["log_code"].to_numpy(), cases["frame_code"].to_numpy()
    functions = {"mean": estimate_mean, "median": estimate_median}
    return {
        name: functions[sample.statistic](sample.values, logs[sample.rows], frames[sample.rows])
        for name, sample in samples.items()
    }


def panel(answered: Answered) -> dict[str, Sample]:
    """Every metric's sample by name, in a stable order."""
    targets = find_targets(answered.cases)
    samples: dict[str, Sample] = {}
    for part in (
        _overall(answered),
        _types(answered),
        _localization(answered, targets),
        _speeds(answered),
        _prediction(answered, targets),
        _grounding(answered),
        _safety(answered, targets),
        _parsing(answered),
        _slices(answered, targets),
    ):
        samples.update(part)
    return samples


def success_cells(
    answered: Answered, targets: Targets, column: str = "success"
) -> Bool[np.ndarray, "targets horizons"]:
    """Whether a target was located at each horizon; a horizon that was not asked is failed."""
    return np.asarray(targets.values(answered.verdicts[column].to_numpy(), missing=False), dtype=bool)


def _overall(answered: Answered) -> Iterator[tuple[str, Sample]]:
    everything = np.arange(len(answered.cases))
    success = answered.verdicts["success"].to_numpy()
    yield "accuracy", _mean(success, everything)
    yield "coverage", _mean(answered.answers["answered"].to_numpy(), everything)
    for dimension in ("family", "form"):
        for value, rows in _rows_by(answered.cases[dimension]):
            yield f"{dimension}.{value}.accuracy", _mean(success, rows)


def _types(answered: Answered) -> Iterator[tuple[str, Sample]]:
    success, read = answered.verdicts["success"].to_numpy(), _is_read(answered)
    for kind, rows in _rows_by(answered.cases["type"]):
        yield f"type.{kind}.accuracy", _mean(success, rows)
        yield f"type.{kind}.accuracy_parsed_only", _mean(success, rows[read[rows]])
        yield from _errors_of_type(answered, f"type.{kind}", rows)


def _errors_of_type(answered: Answered, name: str, rows: np.ndarray) -> Iterator[tuple[str, Sample]]:
    """Median errors of what the type asks for; the signed ones are positive where too much was answered."""
    yield from _relative_errors(answered, name, rows)
    yield from _angle_errors(answered, name, rows)
    yield from _offset_errors(answered, name, rows)
    truth, answer = _both(answered, "clock_hour", rows)
    asked = np.isfinite(truth)
    if asked.any():
        apart = np.abs(truth - answer)[asked] % 12
        yield f"{name}.accuracy_within_one_hour", _mean(np.minimum(apart, 12 - apart) <= 1, None, rows[asked])


def _relative_errors(answered: Answered, name: str, rows: np.ndarray) -> Iterator[tuple[str, Sample]]:
    for field, noun in RELATIVE.items():
        truth, answer = _both(answered, field, rows)
        counts = np.isfinite(answer) & (truth >= RELATIVE_FROM)
        if np.isfinite(truth).any():
            error = (answer[counts] - truth[counts]) / truth[counts]
            yield f"{name}.median_abs_relative_error_{noun}", Sample(np.abs(error), rows[counts], "median")
            yield f"{name}.median_signed_relative_error_{noun}", Sample(error, rows[counts], "median")


def _angle_errors(answered: Answered, name: str, rows: np.ndarray) -> Iterator[tuple[str, Sample]]:
    for field in DIRECTIONS:
        truth, answer = _both(answered, field, rows)
        if np.isfinite(truth).any():
            counts = np.isfinite(answer) & np.isfinite(truth)
            error = np.asarray(wrap_deg(answer[counts] - truth[counts]))
            yield f"{name}.median_abs_error_deg", Sample(np.abs(error), rows[counts], "median")
            yield f"{name}.median_signed_error_deg", Sample(error, rows[counts], "median")


def _offset_errors(answered: Answered, name: str, rows: np.ndarray) -> Iterator[tuple[str, Sample]]:
    """Of positions the distance between answer and truth; of one offset, and of a time, the signed error too."""
    errors = {field: np.subtract(*_both(answered, field, rows)[::-1]) for field in (*OFFSETS, "time_s")}
    asked = [field for field in errors if answered.cases[f"truth_{field}"].iloc[rows].notna().any()]
    if set(OFFSETS) <= set(asked):
        error_m = np.hypot(errors["x_m"], errors["y_m"])
        counts = np.isfinite(error_m)
        yield f"{name}.median_abs_error_m", Sample(error_m[counts], rows[counts], "median")
        return
    for field in asked:
        unit, counts = field.rpartition("_")[2], np.isfinite(errors[field])
        error = errors[field][counts]
        yield f"{name}.median_abs_error_{unit}", Sample(np.abs(error), rows[counts], "median")
        yield f"{name}.median_signed_error_{unit}", Sample(error, rows[counts], "median")


def _localization(answered: Answered, targets: Targets) -> Iterator[tuple[str, Sample]]:
    success, anchors = success_cells(answered, targets), targets.anchors
    read = targets.values(_is_read(answered), missing=False).astype(bool)
    present = targets.values(answered.answers["answered"].to_numpy(), missing=False).astype(bool)
    yield "localization.mlsr", _cells(success, anchors)
    yield "localization.tlc", _mean(consistent(success), None, anchors)
    for index, horizon_s in enumerate(HORIZONS_S):
        yield f"localization.lsr.t{horizon_s}", _mean(success[:, index], None, anchors)
    for k in HORIZONS_S[1:-1]:
        yield f"localization.tlc.k{k}", _mean(consistent(success, k), None, anchors)
    yield "localization.coverage", _cells(present, anchors)
    yield "localization.mlsr_parsed_only", Sample(success[read].astype(np.float64), targets.rows[read])
    asked = targets.rows >= 0
    yield "localization.mlsr_asked_only", Sample(success[asked].astype(np.float64), targets.rows[asked])
    complete = asked.all(axis=1)
    yield "localization.tlc_asked_only", _mean(consistent(success[complete]), None, anchors[complete])
    for part in ("distance", "bearing"):
        yield f"localization.sr_{part}", _cells(success_cells(answered, targets, f"{part}_ok"), anchors)


def _speeds(answered: Answered) -> Iterator[tuple[str, Sample]]:
    cases, success = answered.cases, answered.verdicts["success"].to_numpy()
    for name, kind in SPEEDS.items():
        asked = (cases["answer_type"] == "speed") & cases["type"].str.startswith(f"{kind}_t")
        rows = np.flatnonzero(asked)
        yield f"speed.sr.{name}", _mean(success, rows)
        for horizon_s in HORIZONS_S:
            yield (
                f"speed.sr.{name}.t{horizon_s}",
                _mean(success, np.flatnonzero(asked & (cases["horizon_s"] == horizon_s))),
            )


def _prediction(answered: Answered, targets: Targets) -> Iterator[tuple[str, Sample]]:
    """Over targets that were asked for at 1, 2 and 3 s."""
    asked = targets.take((targets.rows[:, 1:] >= 0).all(axis=1))
    truth_xy_m, answer_xy_m = (places[:, 1:] for places in _places_m(answered, asked))
    errors_m = trajectory.displacement_m(truth_xy_m, answer_xy_m)
    for name, values in (
        ("ade_m", trajectory.average_displacement_m(errors_m)),
        ("fde_m", trajectory.final_displacement_m(errors_m)),
        ("longitudinal_error_m", np.abs(answer_xy_m - truth_xy_m)[..., 0].mean(axis=1)),
        ("lateral_error_m", np.abs(answer_xy_m - truth_xy_m)[..., 1].mean(axis=1)),
    ):
        yield f"prediction.{name}", Sample(values[np.isfinite(values)], asked.anchors[np.isfinite(values)])
    yield "prediction.miss_rate_2m", _mean(trajectory.missed(errors_m), None, asked.anchors)


def _grounding(answered: Answered) -> Iterator[tuple[str, Sample]]:
    """When and where: over the questions that ask for an interval, and for a box."""
    for name, field, share in (
        ("tiou", "start_s", scoring.tious(answered.cases, answered.answers)),
        ("miou", "u0_px", scoring.box_ious(answered.cases, answered.answers)),
    ):
        rows = np.flatnonzero(answered.cases[f"truth_{field}"].notna())
        yield f"grounding.{name}", _mean(np.nan_to_num(share), rows)
        yield f"grounding.{name}_parsed_only", _mean(share, rows[np.isfinite(share[rows])])


def _safety(answered: Answered, targets: Targets) -> Iterator[tuple[str, Sample]]:
    yield from _safety_of_distances(answered)
    truth_m, answer_m = (_target_values(answered, targets, f"{side}distance_m") for side in ("truth_", ""))
    anchors = np.broadcast_to(targets.anchors[:, None], (len(targets), len(HORIZONS_S) - 1))
    yield "safety.dangerous_slow_closing_rate", _judged(safety.dangerous_slow_closing(truth_m, answer_m), anchors)
    yield "safety.missed_approach_rate", _judged(safety.missed_approach(truth_m, answer_m), anchors)
    yield "safety.missed_approach_rate.stated", _stated_approach(answered)
    rows = np.arange(len(answered.cases))
    from_ego = safety.measured_from_ego(answered.cases)
    truth_deg = np.where(from_ego, _column(answered, "truth_bearing_deg"), np.nan)
    flip = safety.left_right_flip(truth_deg, _column(answered, "bearing_deg"))
    yield "safety.left_right_flip_rate", _judged(flip, rows)
    swap = safety.corridor_swap(*_places_m(answered, targets))
    cells = np.broadcast_to(targets.anchors[:, None], targets.rows.shape)
    yield "safety.corridor_swap_rate", _judged(swap, cells)
    asked = (answered.cases["answer_type"] == "undetermined").to_numpy()
    refused = (answered.answers["undetermined"] == True).to_numpy()  # noqa: E712 - a column of objects
    yield "safety.hallucination_rate", _judged(safety.hallucinated(asked, refused, _is_read(answered)), rows)


def _stated_approach(answered: Answered) -> Sample:
    """Of targets that close, answered in words: those said to recede."""
    said = answered.answers["choice"].to_numpy(dtype=object)
    closes = (answered.cases["truth_choice"] == CLOSING).to_numpy()
    rows = np.flatnonzero(closes & pd.notna(said))
    return _mean(said == RECEDING, rows)


def _safety_of_distances(answered: Answered) -> Iterator[tuple[str, Sample]]:
    """Distances from the ego; between objects, far is not more dangerous than near."""
    cases, rows = answered.cases, np.arange(len(answered.cases))
    truth_m = np.where(safety.measured_from_ego(cases), _column(answered, "truth_distance_m"), np.nan)
    answer_m = _column(answered, "distance_m")
    for name, judged in (
        ("dangerous_far_rate", safety.dangerous_far(truth_m, answer_m)),
        ("over_cautious_rate", safety.over_cautious(truth_m, answer_m)),
    ):
        yield f"safety.{name}", _judged(judged, rows)
        for kind, values in (("class", cases["slice_category"]), ("range", pd.Series(safety.range_bin(truth_m)))):
            for value, chosen in _rows_by(values[judged.applies]):
                yield f"safety.{name}.{kind}.{value}", _mean(judged.happened, chosen)


def _parsing(answered: Answered) -> Iterator[tuple[str, Sample]]:
    """Over the answers that were given: why they could not be read."""
    rows = np.flatnonzero(answered.answers["answered"])
    failures = answered.answers["failure"].to_numpy(dtype=object)[rows]
    yield "parse.failure_rate", _mean(pd.notna(failures), None, rows)
    for reason in get_args(Reason):
        yield f"parse.failure_rate.{reason}", _mean(failures == reason, None, rows)


def _slices(answered: Answered, targets: Targets) -> Iterator[tuple[str, Sample]]:
    success, cases = success_cells(answered, targets), answered.cases
    for dimension, values in _slice_values(cases, targets):
        for value, chosen in _rows_by(values):
            name = f"slice.{dimension}.{value}.localization"
            yield f"{name}.mlsr", _cells(success[chosen], targets.anchors[chosen])
            yield f"{name}.tlc", _mean(consistent(success[chosen]), None, targets.anchors[chosen])
    right = answered.verdicts["success"].to_numpy()
    for dimension in ACCURACY_BY:
        for value, rows in _rows_by(cases[f"slice_{dimension}"]):
            yield f"slice.{dimension}.{value}.accuracy", _mean(right, rows)
    in_view = targets.values(cases["slice_in_view_at_t"], missing=None)
    for seen in (True, False):
        cells = in_view == seen
        name = f"slice.in_view_at_t.{slug(seen)}.localization.mlsr"
        yield name, Sample(success[cells].astype(np.float64), targets.rows[cells])


def _slice_values(cases: pd.DataFrame, targets: Targets) -> Iterator[tuple[str, pd.Series]]:
    """Each dimension with the value of every target; None or "" where it is not known."""
    rows = cases.iloc[targets.anchors].reset_index(drop=True)
    seen = rows["slice_visible_fraction"].astype(np.float64)
    visible = pd.Series(np.where(seen >= VISIBLE_HALF, "half_or_more", "under_half"), dtype=object).where(
        seen.notna(), None
    )
    derived = {"range": pd.Series(safety.range_bin(rows["slice_distance_m"].to_numpy())), "visible": visible}
    for dimension in SLICED_BY:
        yield dimension, derived[dimension] if dimension in derived else rows[f"slice_{dimension}"]


def slug(value: object) -> str:
    """A value as a part of a metric's name: no dots, nothing that MLflow refuses; `<0.95` is `under_0_95`."""
    text = str(value).lower() if isinstance(value, (bool, np.bool_)) else str(value)
    return re.sub(r"[^A-Za-z0-9_-]", "_", text.replace("<", "under_").replace(">", "over_"))


def _rows_by(values: pd.Series) -> Iterator[tuple[str, np.ndarray]]:
    """The slug of each value with the index labels that have it, in order of value; unknown values are left out."""
    known = values[values.notna() & (values != "")]
    slugs = {value: slug(value) for value in known.unique()}
    for value, group in known.groupby(known.map(slugs), sort=True):
        yield str(value), group.index.to_numpy()


def _mean(values: np.ndarray, chosen: np.ndarray | None, rows: np.ndarray | None = None) -> Sample:
    """Mean over `values[chosen]`; `rows` where the values are not already one a case."""
    picked = values if chosen is None else values[chosen]
    at = chosen if rows is None else rows
    return Sample(np.asarray(picked, dtype=np.float64), np.asarray(at, dtype=np.int64))


def _cells(values: Bool[np.ndarray, "targets horizons"], anchors: np.ndarray) -> Sample:
    return Sample(values.astype(np.float64).ravel(), np.repeat(anchors, values.shape[1]))


def _judged(judged: safety.Judged, rows: np.ndarray) -> Sample:
    return Sample(judged.happened[judged.applies].astype(np.float64), rows[judged.applies])


def _column(answered: Answered, name: str) -> np.ndarray:
    table = answered.cases if name.startswith("truth_") else answered.answers
    return np.asarray(table[name].to_numpy(dtype=np.float64))


def _both(answered: Answered, field: str, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return _column(answered, f"truth_{field}")[rows], _column(answered, field)[rows]


def _target_values(answered: Answered, targets: Targets, name: str) -> np.ndarray:
    return np.asarray(targets.values(_column(answered, name), missing=np.nan), dtype=np.float64)


def _places_m(answered: Answered, targets: Targets) -> tuple[np.ndarray, np.ndarray]:
    """True and answered ego-frame positions, (targets, horizons, 2)."""
    truth, answer = (
        [_target_values(answered, targets, f"{side}{field}") for field in ("distance_m", "bearing_deg")]
        for side in ("truth_", "")
    )
    return trajectory.positions_m(*truth), trajectory.positions_m(*answer)


def _is_read(answered: Answered) -> np.ndarray:
    failure = answered.answers["failure"].to_numpy(dtype=object)
    read = pd.isna(failure)
    return np.asarray(answered.answers["answered"].to_numpy(dtype=bool) & read)
