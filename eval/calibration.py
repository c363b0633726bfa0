"""Calibration: whether repeated answers to a question vary as much as they are wrong.

    calibration.coverage.p50|p80|p90   share of true values inside the central interval of the answers; should be .5, .8, .9
    calibration.ece                    expected calibration error of "this will be located", [0, 1], lower is better
    calibration.aurc                   area under the risk-coverage curve, [0, 1], lower is better

Intervals are of distances, speeds and bearings, pooled and by kind (`….p80.bearing`). With n answers to a question, sorted, the
central interval of level p reaches from place h to place n + 1 - h, h = (1 - p)(n + 1) / 2, between two places in proportion
(Weibull's quantiles; Hyndman & Fan 1996, type 6). If truth and answers came from the same distribution it would hold the truth
with probability p, for any n with h ≥ 1. That needs 3, 9 and 19 answers; questions with fewer are left out. Bearings are taken as
angles from their circular mean.

Confidence is that of the first answer to a localization question: the share of the other answers that agree with it, which they
do where it would count as located if they were judged with it as the truth (eval.localization). Answers that were not read
disagree; questions whose first answer was not read are left out.

    ECE    Σ over ten equal bins of confidence of |located - confident|, sums of a bin over all n      (Guo et al., ICML 2017)
    risk   share not located among the most confident; AURC = ∫ risk d(coverage) over [0, 1]           (Geifman & El-Yaniv 2017)

Questions of equal confidence enter the curve together, as evenly mixed. A question needs two answers; where all have one there
are no numbers, and the curves say why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from drive_vqa.geometry import wrap_deg
from eval.localization import ROUNDING, bearing_ok, distance_ok
from eval.statistics import NOTHING, Estimate, estimate_mean, estimate_of_means

LEVELS = (0.5, 0.8, 0.9)
KINDS = {"distance": "distance_m", "speed": "speed_mps", "bearing": "bearing_deg"}
"""Kinds of numbers, and their field."""

BINS = 10
ONE_ANSWER = "every question has one answer: ask for several samples of each"
NO_LOCALIZATION = "no localization question has a first answer that was read and another one"


@dataclass(frozen=True)
class Calibration:
    """How well spread tells error.

    Attributes:
        metrics: by dotted name.
        curves: plain data: `risk_coverage`, `reliability` (by bin) and `intervals` (by level, all kinds); `note` says why
            there are none, or is None.
    """

    metrics: dict[str, Estimate]
    curves: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Confidence:
    """What was expected of the first answers to localization questions, and what came of it.

    Attributes:
        rows: of the questions.
        share: of the other answers that agree, [0, 1].
        located: whether the first is right.
    """

    rows: Int[np.ndarray, "n"]
    share: Float[np.ndarray, "n"]
    located: Bool[np.ndarray, "n"]


def calibrate(cases: pd.DataFrame, read: pd.DataFrame) -> Calibration:
    """Metrics and curves of repeated answers.

    Args:
        cases: see `eval.cases.read_cases`; index 0 … n-1.
        read: one row an answer: `qa_id`, `sample`, and the fields of a typed answer, null where it was not read.
    """
    told = _repeated(cases, read)
    intervals = _intervals(cases, told)
    confidence = _confidence(cases, told)
    metrics = {f"calibration.{name}": one for name, one in intervals.items()}
    metrics |= {"calibration.ece": NOTHING, "calibration.aurc": NOTHING}
    if len(confidence.rows):
        metrics |= {"calibration.ece": _ece(cases, confidence), "calibration.aurc": _aurc(cases, confidence)}
    note = None if len(confidence.rows) else NO_LOCALIZATION if len(told) else ONE_ANSWER
    return Calibration(metrics, _curves(confidence, intervals, note))


def _repeated(cases: pd.DataFrame, read: pd.DataFrame) -> pd.DataFrame:
    """Sample and numbers of the answers to questions that have several, by `row` of the cases and sample."""
    row = pd.Index(cases["qa_id"]).get_indexer(read["qa_id"])
    told = read[["sample", *KINDS.values()]].assign(row=row)
    told = told[(row >= 0) & told["row"].duplicated(keep=False)]
    return pd.DataFrame(told.sort_values(["row", "sample"], kind="stable").reset_index(drop=True))


def covers(
    values: Float[np.ndarray, "answers"],
    rows: Int[np.ndarray, "answers"],
    truth: Float[np.ndarray, "questions"],
    level: float,
) -> tuple[Bool[np.ndarray, "k"], Int[np.ndarray, "k"]]:
    """Whether the central interval of a question's answers holds the truth, and the questions that have enough of them.

    Args:
        values: finite.
        rows: the question of each.
        truth: of all questions.
        level: of the interval, between 0 and 1.
    """
    order = np.lexsort((values, rows))
    asked, first, counts = np.unique(rows[order], return_index=True, return_counts=True)
    place = 0.5 * (1.0 - level) * (counts + 1)
    enough = place >= 1.0 - ROUNDING
    first, counts, place, asked = first[enough], counts[enough], place[enough], asked[enough]
    low, high = (_at(values[order], first, counts, at) for at in (place, counts + 1 - place))
    holds = (truth[asked] >= low - ROUNDING) & (truth[asked] <= high + ROUNDING)
    return np.asarray(holds), asked


def _at(ordered: np.ndarray, first: np.ndarray, counts: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Values at places from 1 to the count of each question, between two in proportion."""
    below = np.clip(np.floor(place + ROUNDING).astype(np.int64), 1, counts)
    above = np.minimum(below + 1, counts)
    share = np.clip(place - below, 0.0, 1.0)
    return np.asarray((1.0 - share) * ordered[first + below - 1] + share * ordered[first + above - 1])


def _intervals(cases: pd.DataFrame, told: pd.DataFrame) -> dict[str, Estimate]:
    """`coverage.pNN` over all kinds, and of each."""
    found: dict[str, Estimate] = {}
    numbers = {kind: _numbers(cases, told, field) for kind, field in KINDS.items()}
    for level in LEVELS:
        name = _named(level)
        held = {kind: covers(*of_kind, level) for kind, of_kind in numbers.items()}
        found[name] = _mean(cases, *(np.concatenate(column) for column in zip(*held.values(), strict=True)))
        found |= {f"{name}.{kind}": _mean(cases, *one) for kind, one in held.items()}
    return found


def _numbers(cases: pd.DataFrame, told: pd.DataFrame, field: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Answered values of a field, the question of each, and all truths; angles as seen from the mean of the answers."""
    truth, rows = cases[f"truth_{field}"].to_numpy(dtype=np.float64), told["row"].to_numpy()
    values = told[field].to_numpy(dtype=np.float64)
    used = np.isfinite(values) & np.isfinite(truth[rows])
    values, rows = values[used], rows[used]
    if field != "bearing_deg":
        return values, rows, truth
    sine, cosine = (
        np.bincount(rows, weights=part, minlength=len(truth))
        for part in (np.sin(np.radians(values)), np.cos(np.radians(values)))
    )
    mean_deg = np.degrees(np.arctan2(sine, cosine))
    return np.asarray(wrap_deg(values - mean_deg[rows])), rows, np.asarray(wrap_deg(truth - mean_deg))


def _confidence(cases: pd.DataFrame, told: pd.DataFrame) -> Confidence:
    asked = (cases["answer_type"] == "localization").to_numpy()
    own = told[asked[told["row"].to_numpy()]]
    rows, first, of_answer, counts = np.unique(
        own["row"].to_numpy(), return_index=True, return_inverse=True, return_counts=True
    )
    distance_m, bearing_deg = (own[field].to_numpy(dtype=np.float64) for field in ("distance_m", "bearing_deg"))
    first_m, first_deg = distance_m[first], bearing_deg[first]
    agrees = distance_ok(first_m[of_answer], distance_m) & bearing_ok(first_deg[of_answer], bearing_deg)
    others = np.bincount(of_answer, weights=agrees, minlength=len(rows)) - 1.0  # the first agrees with itself
    kept = (counts > 1) & np.isfinite(first_m + first_deg)
    truth_m, truth_deg = (cases[f"truth_{field}"].to_numpy()[rows] for field in ("distance_m", "bearing_deg"))
    located = distance_ok(truth_m, first_m) & bearing_ok(truth_deg, first_deg)
    return Confidence(rows[kept], others[kept] / (counts[kept] - 1), located[kept])


def _ece(cases: pd.DataFrame, confidence: Confidence) -> Estimate:
    """A function of means: of located - confident in each bin, 0 for questions of other bins."""
    inside = _bin_of(confidence.share)[:, None] == np.arange(BINS)
    excess = inside * (confidence.located - confidence.share)[:, None]
    return estimate_of_means(excess, *_clusters(cases, confidence.rows), lambda means: np.abs(means).sum(axis=-1))


def _aurc(cases: pd.DataFrame, confidence: Confidence) -> Estimate:
    """A function of means: the shares of questions at each confidence, and of those not located, from the surest down."""
    levels, level_of = np.unique(-confidence.share, return_inverse=True)
    inside = (level_of[:, None] == np.arange(len(levels))).astype(np.float64)
    columns = np.concatenate([inside, inside * ~confidence.located[:, None]], axis=1)
    return estimate_of_means(columns, *_clusters(cases, confidence.rows), _area)


def _area(means: Float[np.ndarray, "*d k"]) -> Float[np.ndarray, "*d"]:
    """AURC. From coverage c₀ with errors e₀ to c₁, where a share r errs: ∫ (e₀ + (c - c₀) r) / c dc."""
    share, errors = np.split(means, 2, axis=-1)
    end, wrong = np.cumsum(share, axis=-1), np.cumsum(errors, axis=-1) - errors
    start = end - share
    rate = np.divide(errors, share, out=np.zeros_like(share), where=share > 0)
    growth = np.log(np.divide(end, start, out=np.ones_like(end), where=start > ROUNDING))
    return np.asarray((errors + (wrong - start * rate) * growth).sum(axis=-1))


def _curves(confidence: Confidence, intervals: dict[str, Estimate], note: str | None) -> dict[str, Any]:
    return {
        "note": note,
        "risk_coverage": _risk_coverage(confidence),
        "reliability": _reliability(confidence),
        "intervals": [_interval(level, intervals[_named(level)]) for level in LEVELS],
    }


def _interval(level: float, held: Estimate) -> dict[str, float | None]:
    return {"level": level, "coverage": held.value, "low": held.low, "high": held.high, "n": held.n}


def _named(level: float) -> str:
    return f"coverage.p{round(100 * level)}"


def _risk_coverage(confidence: Confidence) -> dict[str, list[float]]:
    """The curve where a confidence ends, from the surest down."""
    levels, level_of = np.unique(-confidence.share, return_inverse=True)
    counts = np.cumsum(np.bincount(level_of, minlength=len(levels)))
    errors = np.cumsum(np.bincount(level_of, weights=~confidence.located, minlength=len(levels)))
    return {
        "confidence": (-levels).tolist(),
        "coverage": (counts / max(len(level_of), 1)).tolist(),
        "risk": (errors / counts).tolist(),
    }


def _reliability(confidence: Confidence) -> list[dict[str, float]]:
    """Mean confidence and share located in each bin that holds a question."""
    bins = _bin_of(confidence.share)
    found = []
    for number in np.unique(bins).tolist():
        inside = bins == number
        means = {"confidence": confidence.share[inside].mean(), "accuracy": confidence.located[inside].mean()}
        bounds = {"low": number / BINS, "high": (number + 1) / BINS}
        found.append(bounds | {name: float(value) for name, value in means.items()} | {"n": int(inside.sum())})
    return found


def _bin_of(share: Float[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """A lower edge belongs to its bin, 1 to the last."""
    return np.asarray(np.minimum(np.floor(BINS * share + ROUNDING).astype(np.int64), BINS - 1))


def _mean(cases: pd.DataFrame, values: Bool[np.ndarray, "n"], rows: Int[np.ndarray, "n"]) -> Estimate:
    return estimate_mean(values.astype(np.float64), *_clusters(cases, rows), "share")


def _clusters(cases: pd.DataFrame, rows: Int[np.ndarray, "n"]) -> tuple[np.ndarray, np.ndarray]:
    return cases["log_code"].to_numpy()[rows], cases["frame_code"].to_numpy()[rows]
