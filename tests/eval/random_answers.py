"""Questions about a random world, answered at random: a table of cases, typed answers and their verdicts.

Everything that decides a metric occurs: horizons that were not asked, questions without an answer, answers that were not read,
and values on both sides of every limit.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from drive_vqa.schema import QUESTIONS, TRUTH
from eval.panel import Answered
from eval.scoring import judge

OBJECTS = ("choice", "bool", "marks", "undetermined")
NUMBERS = [name for name in TRUTH.names if name not in OBJECTS]
SLICES = [field.name for field in QUESTIONS.field("slices").type]
REASONS = ("refusal", "missing_unit", "several_values", "empty")
WORDS = ("closing", "receding", "keeping its distance")
CATEGORIES = ("car", "pedestrian", "truck", "bicycle")
TTC_BINS = ("<0.95", "0.95-1.5", "1.5-3", "3-6", ">6", "none", None)
FUTURE = [f"localization_t{t}" for t in range(4)]
ANSWER_TYPES = {
    **dict.fromkeys(FUTURE, ("future", "localization")),
    **{f"{who}_speed_t{t}": ("future", "speed") for who in ("ego", "target") for t in range(4)},
    "bearing": ("ego", "bearing"),
    "distance": ("ego", "distance"),
    "clock": ("ego", "clock"),
    "heading": ("ego", "turn"),
    "lateral_offset": ("ego", "lateral"),
    "position_t1": ("future", "position"),
    "approach_t1": ("future", "choice"),
    "width": ("object", "distance"),
    "absent_distance": ("unanswerable", "undetermined"),
    "when": ("when_where", "interval"),
    "where": ("when_where", "box"),
}
"""Type of question → family and answer type."""

ALL_TYPES = tuple(ANSWER_TYPES)


def random_answered(groups: int, seed: int, *, marks: int = 3, logs: int = 4) -> Answered:
    """So many groups, with about twenty-five questions about each of their marks."""
    random = np.random.default_rng(seed)
    targets = groups * marks
    kinds = np.tile(np.arange(len(ALL_TYPES)), targets)
    target = np.repeat(np.arange(targets), len(ALL_TYPES))
    asked = random.random(len(kinds)) < 0.97
    kinds, target = kinds[asked], target[asked]
    cases = _cases(random, kinds, target, marks, logs)
    answers = _answers(random, cases)
    return Answered(cases, answers, judge(cases, answers))


def _cases(random, kinds, target, marks, logs):
    count, targets = len(kinds), int(target.max()) + 1
    group = target // marks
    types = np.array(ALL_TYPES, dtype=object)[kinds]
    log = group * logs // (int(group.max()) + 1)
    cases = pd.DataFrame(
        {
            "qa_id": [f"q{row}" for row in range(count)],
            "group_id": np.array([f"g{number}" for number in range(targets // marks + 1)], dtype=object)[group],
            "log_id": np.array([f"log-{number}" for number in range(logs)], dtype=object)[log],
            "frame": group,
            "type": types,
            "family": np.array([ANSWER_TYPES[kind][0] for kind in ALL_TYPES], dtype=object)[kinds],
            "answer_type": np.array([ANSWER_TYPES[kind][1] for kind in ALL_TYPES], dtype=object)[kinds],
            "form": np.where(types == "approach_t1", "choice", "open").astype(object),
            "mark": target % marks,
            "mark_count": 1,
            "horizon_s": np.array([float(kind[-1]) if kind[-1].isdigit() else 0.0 for kind in ALL_TYPES])[kinds],
            "log_code": log,
            "frame_code": group,
        }
    )
    return pd.concat([cases, _truths(random, cases, target), _slices(random, target)], axis=1)


def _truths(random, cases, target):
    """A target moves straight; its distance at t = 0 lies between 0.1 and 90 m."""
    targets = int(target.max()) + 1
    start = random.uniform((-20, -8), (70, 8), (targets, 2))
    start[::9] = random.uniform(-0.4, 0.4, (len(start[::9]), 2))
    velocity = random.normal(0.0, 5.0, (targets, 2))
    speed_mps = np.where(random.random(targets) < 0.3, random.uniform(0, 0.6, targets), random.uniform(0, 20, targets))
    x_m, y_m = (start[target] + cases["horizon_s"].to_numpy()[:, None] * velocity[target]).T
    bearing_deg = np.degrees(np.arctan2(y_m, x_m))
    values = {
        "distance_m": (("localization", "distance"), np.hypot(x_m, y_m)),
        "bearing_deg": (("localization", "bearing"), bearing_deg),
        "yaw_deg": (("turn",), np.degrees(random.uniform(-np.pi, np.pi, targets))[target]),
        "speed_mps": (("speed",), speed_mps[target]),
        "x_m": (("position",), x_m),
        "y_m": (("position", "lateral"), y_m),
        "clock_hour": (("clock",), np.round(-bearing_deg / 30.0) % 12),
        "start_s": (("interval",), random.uniform(0, 2, targets)[target]),
        "end_s": (("interval",), random.uniform(2, 4, targets)[target]),
        "u0_px": (("box",), random.uniform(0, 50, targets)[target]),
        "v0_px": (("box",), random.uniform(0, 50, targets)[target]),
        "u1_px": (("box",), random.uniform(60, 120, targets)[target]),
        "v1_px": (("box",), random.uniform(60, 120, targets)[target]),
    }
    kinds = cases["answer_type"].to_numpy()
    table = {f"truth_{name}": np.full(len(cases), np.nan) for name in NUMBERS}
    table |= {f"truth_{name}": np.full(len(cases), None, dtype=object) for name in OBJECTS}
    for name, (types, column) in values.items():
        table[f"truth_{name}"] = np.where(np.isin(kinds, types), column, np.nan)
    table["truth_clock_hour"][table["truth_clock_hour"] == 0] = 12.0
    table["truth_choice"][kinds == "choice"] = np.array(WORDS, dtype=object)[target[kinds == "choice"] % 3]
    table["truth_undetermined"][kinds == "undetermined"] = True
    return pd.DataFrame({name: _column(values) for name, values in table.items()})


def _slices(random, target):
    targets = int(target.max()) + 1

    def one_of(values):
        return np.array(values, dtype=object)[random.integers(len(values), size=targets)][target]

    table = {
        "category": one_of(CATEGORIES),
        "distance_m": random.uniform(0, 100, targets)[target],
        "visible_fraction": np.where(random.random(targets) < 0.1, np.nan, random.random(targets))[target],
        "moving": one_of((True, False, None)),
        "in_view_at_t": np.array([True, False, None], dtype=object)[random.integers(3, size=len(target))],
        "ttc_bin": one_of(TTC_BINS),
        "difficulty": one_of(("easy", "moderate", "hard")),
        "relation": one_of(("overtaking", "keeping_station", None)),
    }
    assert set(table) == set(SLICES)
    return pd.DataFrame({f"slice_{name}": _column(values) for name, values in table.items()})


def _answers(random, cases):
    """The truth with errors of all sizes, small ones in some groups; some have no answer, some answers were not read."""
    count = len(cases)
    answered = random.random(count) < 0.95
    read = answered & (random.random(count) < 0.92)
    skilled = (random.random(int(cases["frame_code"].max()) + 1) < 0.4)[cases["frame_code"].to_numpy()]
    stretch = np.where(skilled, 1.1, random.choice([1.0, 1.1, 1.24, 1.26, 0.8, 0.5, 2.0], count))
    shift = np.where(skilled, 3.0, random.choice([0.0, 3.0, -9.0, 30.0], count))
    flips = ~skilled & (random.random(count) < 0.1)
    kinds = cases["answer_type"].to_numpy()
    table = {}
    for name in NUMBERS:
        truth = cases[f"truth_{name}"].to_numpy()
        angle = (truth + np.where(flips, -2 * truth, shift) + 180.0) % 360.0 - 180.0
        hour = (truth - 1 + random.integers(-2, 3, count)) % 12 + 1
        value = angle if name.endswith("_deg") else hour if name == "clock_hour" else truth * stretch
        table[name] = np.where(read, value, np.nan)
    words = np.array(WORDS, dtype=object)[random.integers(3, size=count)]
    table["choice"] = np.where(read & (kinds == "choice"), words, None)
    table["undetermined"] = np.where(read & (kinds == "undetermined"), random.random(count) < 0.6, None)
    table |= {name: np.full(count, None, dtype=object) for name in ("bool", "marks")}
    failure = np.where(read, None, np.array(REASONS, dtype=object)[random.integers(len(REASONS), size=count)])
    table |= {"answered": answered, "failure": np.where(answered, failure, None)}
    return pd.DataFrame({name: _column(values) for name, values in table.items()})


def _column(values):
    return pd.Series(values, dtype=object) if values.dtype == object else pd.Series(values)
