"""Parts of the targets: what they are, how far, how large in the image, how fast, and in which light.

The state is that at 0 s. The height of a mark is that of its box in the last image, in pixels of the original image; it is cut
at its quartiles. Weather is what the description of a synthetic drive begins with; other logs do not tell it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from drive_vqa.store import Store
from eval.error_analysis.target_answers import TargetAnswers
from eval.panel import Sample, estimates
from eval.panel.answered import share_of
from eval.panel.located import headline
from eval.panel.parts import Parts
from eval.statistics import Estimate

DISTANCE_BINS_M = (0, 10, 20, 30)
EGO_SPEED_BINS_MPS = (0, 2, 6)
MOVING_MPS = 0.5
QUARTERS = (0.25, 0.5, 0.75)
WEATHER = r"^(Sunny day|Dusk|Night|Fog) in "
"""How the description of a synthetic drive begins."""

METRICS = ("lsr.t0", "mlsr", "tlc")


def slice_estimates(answers: TargetAnswers, parts: Mapping[str, Parts]) -> dict[tuple[str, str], dict[str, Estimate]]:
    """METRICS of every part, by dimension and value; for all targets by ("all", "all")."""
    everything = Parts(("all",), np.zeros(len(answers), dtype=np.int64))
    samples: dict[str, Sample] = {}
    found: list[tuple[str, str]] = []
    for dimension, values in {"all": everything, **parts}.items():
        for value, rows in values:
            samples |= dict(_samples(answers, rows, f"{len(found)}"))
            found.append((dimension, value))
    numbers = estimates(samples, answers.answered.cases)
    return {key: {name: numbers[f"{at}.{name}"] for name in METRICS} for at, key in enumerate(found)}


def target_parts(store: Store, answers: TargetAnswers, state: pd.DataFrame) -> dict[str, Parts]:
    """Dimension → the part that each target belongs to.

    Args:
        store: with the groups and logs of the questions.
        answers: the targets.
        state: see `eval.present.present_state`, row by row to the cases.
    """
    anchors = answers.located.anchors
    cases, now = answers.answered.cases.iloc[anchors], state.iloc[anchors]
    marks = seen_marks(store, cases)
    return {
        "class": named(cases["slice_category"]),
        "distance": binned(answers.truth_m[:, 0], DISTANCE_BINS_M, "m"),
        "height of the mark": quarters(marks["height_px"].to_numpy(dtype=np.float64), "px"),
        "marked in": named(marks["marked_in"]),
        "target": named(now["speed_mps"].map(_moves)),
        "ego speed": binned(now["ego_speed_mps"].to_numpy(), EGO_SPEED_BINS_MPS, "m/s"),
        "weather": named(weather_of(store, cases["log_id"])),
    }


def seen_marks(store: Store, cases: pd.DataFrame) -> pd.DataFrame:
    """Height of each case's mark in the last image (height_px, NaN where it is not there), and in how many images it is marked.

    Args:
        store: with the groups.
        cases: with log_id, group_id and mark.
    """
    wanted = set(cases["group_id"])
    rows = [row for log_id in sorted(set(cases["log_id"])) for row in _mark_rows(store, str(log_id), wanted)]
    columns = ["group_id", "mark", "height_px", "marked_in"]
    return cases[["group_id", "mark"]].merge(pd.DataFrame(rows, columns=columns), on=["group_id", "mark"], how="left")


def weather_of(store: Store, log_ids: pd.Series) -> pd.Series:
    """The weather of each log, None where it is not told."""
    logs = store.read_all("logs", ["log_id", "description"]).to_pandas().set_index("log_id")["description"]
    told = logs.fillna("").astype(str).str.extract(WEATHER)[0]
    return pd.Series(log_ids.map(told).to_numpy(dtype=object))


def named(values: pd.Series) -> Parts:
    """Parts by a column of names, sorted; None is not known."""
    codes, names = pd.factorize(values, sort=True)
    return Parts(tuple(map(str, names)), np.asarray(codes, dtype=np.int64))


def binned(values: Float[np.ndarray, "n"], edges: Sequence[float], unit: str) -> Parts:
    """Parts by bins that begin at the edges, the last without an end; a value at an edge belongs to the bin above."""
    names = [f"{low:.3g} to {high:.3g} {unit}" for low, high in pairwise(edges)] + [f"from {edges[-1]:.3g} {unit} on"]
    codes = np.searchsorted(np.asarray(edges[1:]), values, side="right")
    return Parts(tuple(names), np.where(np.isnan(values), -1, codes))


def quarters(values: Float[np.ndarray, "n"], unit: str) -> Parts:
    """Parts of about equal size, from the least values to the greatest."""
    known = values[np.isfinite(values)]
    if not known.size:
        return Parts((), np.full(len(values), -1))
    return binned(values, (float(known.min()), *np.quantile(known, QUARTERS).tolist()), unit)


def _moves(speed_mps: float) -> str | None:
    return None if np.isnan(speed_mps) else "moving" if speed_mps > MOVING_MPS else "standing"


def _samples(answers: TargetAnswers, rows: np.ndarray, name: str) -> Iterator[tuple[str, Sample]]:
    part = answers.located.take(rows)
    yield f"{name}.lsr.t0", share_of(part.success[:, 0], part.anchors)
    yield from headline(part, name)


def _mark_rows(store: Store, log_id: str, wanted: Collection[str]) -> Iterator[tuple[str, int, float, str]]:
    for group in store.read("groups", log_id, ["group_id", "context", "marks"]).to_pylist():
        if group["group_id"] in wanted:
            for mark in group["marks"]:
                yield (
                    group["group_id"],
                    mark["mark"],
                    _height_px(mark, len(group["context"]) - 1),
                    _marked_in(group, mark),
                )


def _height_px(mark: Mapping[str, Any], context: int) -> float:
    return next((one["v1_px"] - one["v0_px"] for one in mark["regions"] if one["context"] == context), float("nan"))


def _marked_in(group: Mapping[str, Any], mark: Mapping[str, Any]) -> str:
    images, marked = len(group["context"]), len({one["context"] for one in mark["regions"]})
    return f"all of {images} images" if marked == images else f"fewer than {images} images"
