"""How good fused tracks are as labels: tracking scores and errors of place, velocity, direction and size, against annotations.

Two operating points are told apart. `delivered` uses every track of the table, as everything built on it does; `best` uses the
threshold on the tracks' scores with the greatest MOTA, as tracking benchmarks do. Errors are those of the delivered matches.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from drive_vqa.categories import CATEGORIES
from sensors.quality.box_errors import RANGE_NAMES, BoxErrors
from sensors.quality.centre_mot import CentreScores, ClearMot, Matches, score_centres
from sensors.quality.intervals import Mean
from sensors.quality.track_boxes import CATEGORY_NAMES, Comparison

COUNTS = ("objects", "matches", "id_switches", "misses", "false_positives", "fragments")
RATIOS = ("mota", "motp_m", "recall", "precision")


@dataclass(frozen=True)
class GroupErrors:
    """Mean errors of a category or a group of categories.

    Attributes:
        everywhere: by the name of the error.
        by_range: by the name of the range bin, then of the error; only bins with a match.
    """

    everywhere: dict[str, Mean]
    by_range: dict[str, dict[str, Mean]]


@dataclass(frozen=True)
class LabelQuality:
    """The whole judgement.

    Attributes:
        logs: how many were compared.
        instants: frames compared, over all logs.
        scores: tracking scores by category.
        delivered: counts over all categories, all tracks.
        best: counts over the categories that the truth holds, each at its best threshold.
        errors: by category, and of the groups `all` and `vehicle`.
        comparison: what was compared.
        matches: of all tracks.
    """

    logs: int
    instants: int
    scores: dict[str, CentreScores]
    delivered: ClearMot
    best: ClearMot
    errors: dict[str, GroupErrors]
    comparison: Comparison
    matches: Matches

    @property
    def amota(self) -> float:
        """Mean over the categories that the truth holds; NaN without any."""
        return _mean([score.amota for score in self.scores.values()])

    @property
    def amotp_m(self) -> float:
        """Mean over the categories that the truth holds; NaN without any."""
        return _mean([score.amotp_m for score in self.scores.values()])

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Every number under a stable dotted name, as `{"value", "n", "low", "high"}`; null where there is none."""
        return {name: _plain(mean) for name, mean in self._named()}

    def numbers(self) -> dict[str, float]:
        """The values that are finite, by dotted name."""
        return {name: mean.value for name, mean in self._named() if math.isfinite(mean.value)}

    def _named(self) -> Iterator[tuple[str, Mean]]:
        yield "all.amota", Mean(self.amota, self.delivered.objects)
        yield "all.amotp_m", Mean(self.amotp_m, self.delivered.objects)
        yield from _clear_mot("all.best", self.best)
        yield from _clear_mot("all.delivered", self.delivered)
        for category, score in self.scores.items():
            yield f"{category}.amota", Mean(score.amota, score.delivered.objects)
            yield f"{category}.amotp_m", Mean(score.amotp_m, score.delivered.objects)
            yield from _clear_mot(f"{category}.best", score.best)
            yield f"{category}.best.threshold", Mean(score.best.threshold, score.best.objects)
            yield from _clear_mot(f"{category}.delivered", score.delivered)
        for group, errors in self.errors.items():
            for name, mean in errors.everywhere.items():
                yield f"{group}.error.{name}", mean
            for place, means in errors.by_range.items():
                for name, mean in means.items():
                    yield f"{group}.error.{place}.{name}", mean


def label_quality(truth: pa.Table, fused: pa.Table, max_range_m: float = float("inf")) -> LabelQuality:
    """Judge fused tracks by annotated ones.

    Args:
        truth: table `tracks`, annotated rows of one or more logs; only frames with an observed row are compared.
        fused: table `tracks` of the same logs and frames.
        max_range_m: leave out what is further from the ego.

    Raises:
        StoreError: a table is not usable.
    """
    comparison = Comparison.of(truth, fused, max_range_m)
    scores, matches = score_centres(comparison)
    return LabelQuality(
        logs=len(comparison.log_ids),
        instants=comparison.instants,
        scores=scores,
        delivered=_total([score.delivered for score in scores.values()]),
        best=_total([score.best for score in scores.values() if score.best.objects]),
        errors=_errors(BoxErrors.of(comparison, matches)),
        comparison=comparison,
        matches=matches,
    )


def _errors(errors: BoxErrors) -> dict[str, GroupErrors]:
    vehicle = [place for place, name in enumerate(CATEGORY_NAMES) if CATEGORIES[name].vehicle]
    groups = {"all": errors, "vehicle": errors.only(np.isin(errors.category, vehicle))}
    for place in np.unique(errors.category).tolist():
        groups[CATEGORY_NAMES[place]] = errors.only(errors.category == place)
    return {name: _group(group) for name, group in groups.items()}


def _group(errors: BoxErrors) -> GroupErrors:
    ranges = {name: errors.in_range(place) for place, name in enumerate(RANGE_NAMES)}
    return GroupErrors(
        everywhere=errors.means(),
        by_range={name: part.means() for name, part in ranges.items() if len(part.log)},
    )


def _total(counts: list[ClearMot]) -> ClearMot:
    sums = {name: sum(getattr(count, name) for count in counts) for name in COUNTS}
    found = [count for count in counts if count.matches + count.id_switches]
    weights = [count.matches + count.id_switches for count in found]
    distance_m = sum(count.motp_m * weight for count, weight in zip(found, weights, strict=True))
    return ClearMot(threshold=-math.inf, motp_m=distance_m / sum(weights) if weights else float("nan"), **sums)


def _clear_mot(prefix: str, counts: ClearMot) -> Iterator[tuple[str, Mean]]:
    for name in (*RATIOS, *COUNTS):
        yield f"{prefix}.{name}", Mean(float(getattr(counts, name)), counts.objects)


def _mean(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else float("nan")


def _plain(mean: Mean) -> dict[str, Any]:
    def finite(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return {"value": finite(mean.value), "n": mean.n, "low": finite(mean.low), "high": finite(mean.high)}
