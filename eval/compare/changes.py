"""What became of each metric from the base to another run: difference, paired interval, p-value, verdict.

Three kinds of metrics are compared: the headline, the safety panel, and slices (of targets, families, forms and types of
questions; single logs are left out, they are few cases each). With many comparisons some differ by chance, so p-values are
corrected by Holm's method within each kind:

    regression, improvement   worse or better, corrected p below 0.05
    suspected                 worse, p below 0.05 before the correction only: a safety engineer wants to see these
    unclear                   any other change
    same                      no difference at all
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from eval.compare.pairing import Paired, Run
from eval.statistics import Difference, difference_each

Kind = Literal["headline", "safety", "slice"]
Verdict = Literal["regression", "suspected", "unclear", "same", "improvement"]

KINDS: dict[Kind, re.Pattern[str]] = {
    "headline": re.compile(
        r"accuracy|localization\.(mlsr|tlc|lsr\.t\d|sr_\w+)|speed\.sr\.\w+|prediction\.\w+|grounding\.\w+"
    ),
    "safety": re.compile(r"safety\.[^.]+(\.stated)?|safety\.[^.]+\.(class|range)\.[^.]+|parse\.failure_rate"),
    "slice": re.compile(
        r"slice\.(?!log\.)[^.]+\.[^.]+\.(accuracy|localization\.mlsr|localization\.tlc)|(family|form|type)\.[^.]+\.accuracy"
    ),
}
"""Names of the metrics of each kind."""

NO_PART = re.compile(r".*_(parsed|asked|traced)_only")
LOWER_IS_BETTER = re.compile(r"(safety|parse)\..*_rate(\..*)?|prediction\..*")
SURE = 0.05
ORDER: tuple[Verdict, ...] = get_args(Verdict)


@dataclass(frozen=True)
class Change:
    """A metric of the base and of another run; see `eval.compare` for the fields."""

    metric: str
    kind: Kind
    better: Literal["higher", "lower"]
    base: float | None
    other: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    n: int
    clusters: int
    cluster_kind: str | None
    verdict: Verdict

    @property
    def gain(self) -> float:
        """How much better the other run is; negative where it is worse, 0 where that is not known."""
        difference = self.difference or 0.0
        return difference if self.better == "higher" else -difference

    def as_json(self) -> dict[str, Any]:
        """Plain data for comparison.json."""
        return asdict(self)


def changes(paired: Paired, other: Run) -> list[Change]:
    """Every compared metric, regressions first, then by how much worse the other run is."""
    logs, frames = (paired.cases[name].to_numpy() for name in ("log_code", "frame_code"))
    found: list[Change] = []
    for kind, names in KINDS.items():
        chosen = {name: one for name, one in paired.base.samples.items() if names.fullmatch(name)}
        chosen = {name: one for name, one in chosen.items() if NO_PART.fullmatch(name) is None}
        differences = difference_each(chosen, other.samples, logs, frames)
        found += _corrected([_change(name, kind, one) for name, one in differences.items()])
    return sorted(found, key=lambda change: (ORDER.index(change.verdict), change.gain, change.metric))


def holm(p: Sequence[float]) -> Float[np.ndarray, "n"]:
    """p-values corrected for being so many (Holm 1979): the k-th smallest of n times n - k + 1, never decreasing, at most 1."""
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    corrected = np.empty(len(values))
    corrected[order] = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    return np.minimum(corrected, 1.0)


def _change(name: str, kind: Kind, found: Difference) -> Change:
    told = found.difference
    better: Literal["higher", "lower"] = "lower" if LOWER_IS_BETTER.fullmatch(name) else "higher"
    verdict: Verdict = "same" if told.value == 0 else "unclear"
    return Change(
        name, kind, better, found.base, found.other, told.value, told.low, told.high, found.p, None, told.n,
        told.clusters, told.cluster_kind, verdict,
    )  # fmt: skip


def _corrected(found: list[Change]) -> list[Change]:
    """With corrected p-values and the verdicts that follow; metrics that neither run has a case of are left out."""
    told = [change for change in found if change.base is not None or change.other is not None]
    tested = [change for change in told if change.p is not None]
    corrected = dict(
        zip((change.metric for change in tested), holm([change.p or 0.0 for change in tested]), strict=True)
    )
    return [_judged(change, corrected.get(change.metric)) for change in told]


def _judged(change: Change, p_holm: float | None) -> Change:
    if change.p is None or p_holm is None:
        return change
    verdict = change.verdict
    if change.gain:
        sure: Verdict = "regression" if change.gain < 0 else "improvement"
        verdict = sure if p_holm < SURE else "suspected" if change.p < SURE and change.gain < 0 else verdict
    return replace(change, p_holm=float(p_holm), verdict=verdict)
