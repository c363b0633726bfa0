"""The page `errors.md`: tables with their counts, and the pictures; no date or path, so the same input gives the same bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from eval.error_analysis.causes import CAUSES, KINDS, Codes, kind_codes
from eval.error_analysis.examples import EXAMPLES
from eval.error_analysis.sizes import (
    Median,
    bearing_error_deg,
    median_of,
    medians_by_part,
    relative_error,
)
from eval.error_analysis.slices import DISTANCE_BINS_M, METRICS, binned
from eval.error_analysis.target_answers import TargetAnswers
from eval.localization import HORIZONS_S, lsr, mlsr, tlc
from eval.report.inputs import Number
from eval.results.cells import NOTHING, one, table
from eval.statistics import Estimate

TIMES = [f"{horizon_s} s" for horizon_s in HORIZONS_S]
DISTANCES_PNG = "distances.png"

INTRODUCTION = """\
# Errors of {model}

{targets:,} targets that were asked for at 0, 1, 2 and 3 s{left_out}. A place is right within 25 % of the distance and 10°.
Shares are in per cent, with counts in parentheses; brackets are 95 % intervals by a bootstrap over drives.
"""
CAUSES_WORDS = """\
Each wrong answer has one cause, the first that holds. *Present wrong*: the answer about the same target at 0 s is wrong
already. *Hardly predictable*: constant velocity from the true state at 0 s is wrong there as well. *Bearing alone*: the
distance is right. *Wrong way*, *too little*, *too much*: how the said distance changes from 0 s on, with less than half or
more than one and a half times the true change as the limits (0.5 m are always allowed). *Rest*: it changes about as it
should. Per cent of the wrong answers at that time.
"""
SIGNED_WORDS = """\
Median of (said - true) / true, by the true distance at the time asked about: above 0 the target is said to be too far. Who
is unsure and stays near the usual distance says near targets too far and far ones too near.
"""
FLOOR_WORDS = """\
Scored as if a model had told them: the places of the annotations, each the nearest of its class within 2 m of the track that
the stored answer comes from, and the stored answers read back from their text. A track without such
an annotation counts as failed. What these rows lack to 100 no model can be blamed for. Beside them the median differences
from the stored truth, over the answers compared.
"""
SAME_WORDS = """\
The tracks of this store were made from its annotations, so both tell the same places: what is left is rounding.
"""
CASES_WORDS = """\
Of each kind the case whose true distance at 0 s is the middle one of that kind. Shaded is where an answer is right.
"""


@dataclass(frozen=True, eq=False)
class Findings:
    """What the page tells.

    Attributes:
        model: its name.
        answers: of the model.
        predicted: of constant velocity from the true state, to the same questions.
        causes: see `eval.error_analysis.causes.cause_codes`.
        slices: see `eval.error_analysis.slices.slice_estimates`.
        floor: what the labels allow, by words for the row.
        examples: see `eval.error_analysis.examples.choose_examples`.
        annotated_tracks: whether the store's tracks were made from its annotations.
    """

    model: str
    answers: TargetAnswers
    predicted: TargetAnswers
    causes: Codes
    slices: Mapping[tuple[str, str], Mapping[str, Estimate]]
    floor: Mapping[str, TargetAnswers]
    examples: Mapping[str, int]
    annotated_tracks: bool


def page(found: Findings) -> str:
    """The whole page."""
    answers = found.answers
    left_out = f"; {answers.left_out:,} others were not, and are left out" if answers.left_out else ""
    lines = [INTRODUCTION.format(model=found.model, targets=len(answers), left_out=left_out)]
    lines += ["## Where the errors come from", "", *kind_table(answers), *unread_table(answers)]
    lines += [*present_table(answers, found.predicted), CAUSES_WORDS, *cause_table(found.causes)]
    lines += ["## Parts of the targets", "", *slice_table(found.slices)]
    lines += ["## How far off", "", *size_table(answers), SIGNED_WORDS, *signed_table(answers)]
    lines += [f"![Said against true distance]({DISTANCES_PNG})", ""]
    lines += ["## What the labels allow", "", FLOOR_WORDS, *([SAME_WORDS] if found.annotated_tracks else [])]
    lines += [*floor_table(found.floor), "## Cases", "", CASES_WORDS]
    for name, words in EXAMPLES.items():
        none = [f"None is {words}.", ""]
        lines += example_part(answers, found.examples[name], name, words) if name in found.examples else none
    return "\n".join(lines).rstrip() + "\n"


def kind_table(answers: TargetAnswers) -> list[str]:
    """How many answers are right at each time, and what is wrong with the others."""
    kinds = kind_codes(answers.located)
    right = ["right", *(_share(kinds[:, at] == -1) for at in range(len(TIMES)))]
    rows = [[name, *(_share(kinds[:, at] == code) for at in range(len(TIMES)))] for code, name in enumerate(KINDS)]
    counts = ["n", *[f"{len(answers):,}"] * len(TIMES)]
    return table(["of all answers", *TIMES], [right, *([f"wrong: {name}", *cells] for name, *cells in rows), counts])


def unread_table(answers: TargetAnswers) -> list[str]:
    """Why answers could not be read, the most frequent reason first; nothing where all were read."""
    failures = answers.answered.answers["failure"].fillna("no answer").to_numpy()[answers.located.rows]
    failures[answers.located.read] = ""
    counts = pd.Series(failures[failures != ""]).value_counts()
    rows = [
        [str(reason).replace("_", " "), *(f"{count:,}" for count in (failures == reason).sum(axis=0))]
        for reason in sorted(counts.index, key=lambda reason: (-counts[reason], reason))
    ]
    return table(["not readable", *TIMES], rows)


def present_table(answers: TargetAnswers, predicted: TargetAnswers) -> list[str]:
    """How much of the future is right where the present is, and for constant velocity."""
    now = answers.located.success[:, 0]
    rows = {
        "model, where it is right at 0 s": answers.located.success[now],
        "model, where it is wrong at 0 s": answers.located.success[~now],
        "constant velocity from the true state": predicted.located.success,
    }
    cells = [
        [name, *(_share(success[:, at]) for at in range(1, len(TIMES))), f"{len(success):,}"]
        for name, success in rows.items()
    ]
    return table(["share right", *TIMES[1:], "targets"], cells)


def cause_table(causes: Codes) -> list[str]:
    """The causes of what is wrong from 1 s on."""
    wrong = [*(causes[:, at][causes[:, at] >= 0] for at in range(1, len(TIMES))), causes[causes >= 0]]
    rows = [[name, *(_share(cells == code) for cells in wrong)] for code, name in enumerate(CAUSES)]
    return table(["of wrong answers", *TIMES[1:], "all"], [*rows, ["n", *(f"{len(cells):,}" for cells in wrong)]])


def slice_table(slices: Mapping[tuple[str, str], Mapping[str, Estimate]]) -> list[str]:
    """LSR@0, MLSR and TLC of every part."""
    rows = [
        [dimension, value, *(_interval(numbers[name]) for name in METRICS), f"{numbers['tlc'].n:,}"]
        for (dimension, value), numbers in slices.items()
    ]
    return table(["", "part", "LSR@0", "MLSR", "TLC", "targets"], rows)


def size_table(answers: TargetAnswers) -> list[str]:
    """Median errors at each time."""
    distance, bearing = np.abs(relative_error(answers)), bearing_error_deg(answers)
    rows = [
        ["distance, of the true one", *(_percent(median_of(distance[:, at])) for at in range(len(TIMES)))],
        ["bearing", *(_number(median_of(bearing[:, at]), "°") for at in range(len(TIMES)))],
    ]
    return table(["median absolute error", *TIMES], rows)


def signed_table(answers: TargetAnswers) -> list[str]:
    """Which way distances are wrong, near and far."""
    parts = binned(answers.truth_m.ravel(), DISTANCE_BINS_M, "m")
    medians = medians_by_part(relative_error(answers), parts)
    rows = [[name, *(_percent(cell, signed=True) for cell in cells)] for name, cells in medians.items()]
    return table(["true distance", *TIMES], rows)


def floor_table(floor: Mapping[str, TargetAnswers]) -> list[str]:
    """Success of what the labels tell, and how far it is off the stored truth."""
    heads = ["", *(f"LSR@{horizon_s}" for horizon_s in HORIZONS_S), "MLSR", "TLC", "targets"]
    heads += ["distance off", "bearing off", "compared"]
    return table(heads, [_floor_row(name, told) for name, told in floor.items()])


def example_part(answers: TargetAnswers, target: int, name: str, words: str) -> list[str]:
    """A picture with its numbers."""
    question = answers.answered.cases.iloc[answers.located.anchors[target]]
    title = f"{words[0].upper()}{words[1:]}: Region {question['mark']} of {question['group_id']}"
    truth, said = (
        [_place(*place) for place in zip(distances_m, bearings_deg, strict=True)]
        for distances_m, bearings_deg in (
            (answers.truth_m[target], answers.truth_deg[target]),
            (answers.said_m[target], answers.said_deg[target]),
        )
    )
    right = ["yes" if success else "no" for success in answers.located.success[target]]
    rows = [list(row) for row in zip(TIMES, truth, said, right, strict=True)]
    return [f"### {title}", "", f"![{words}]({name}.png)", "", *table(["", "true", "said", "right"], rows)]


def _floor_row(name: str, told: TargetAnswers) -> list[str]:
    success = told.located.success
    shares = [*lsr(success).tolist(), mlsr(success), tlc(success)]
    off_m, off_deg = median_of(np.abs(told.said_m - told.truth_m)), median_of(bearing_error_deg(told))
    cells = [NOTHING if math.isnan(share) else f"{100 * share:.1f}" for share in shares]
    return [name, *cells, f"{len(told):,}", _off(off_m, " m"), _off(off_deg, "°"), f"{off_m.n:,}"]


def _share(chosen: np.ndarray) -> str:
    """Per cent, and how many of how many."""
    return f"{100 * chosen.mean():.1f} ({chosen.sum():,})" if chosen.size else NOTHING


def _interval(estimate: Estimate) -> str:
    return one(Number(**estimate.as_json()))


def _percent(median: Median, *, signed: bool = False) -> str:
    return (
        NOTHING
        if not median.n
        else f"{100 * median.value:{'+' if signed else ''}.0f} % ({median.n:,})".replace("-", "\u2212")
    )


def _number(median: Median, unit: str) -> str:
    return NOTHING if not median.n else f"{median.value:.1f}{unit} ({median.n:,})"


def _off(median: Median, unit: str) -> str:
    return NOTHING if not median.n else f"{median.value:.2f}{unit}"


def _place(distance_m: float, bearing_deg: float) -> str:
    return NOTHING if math.isnan(distance_m) else f"{distance_m:.1f} m, {bearing_deg:.0f}°".replace("-", "\u2212")
