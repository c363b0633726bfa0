"""Questions and answers to time scoring with: a table of cases in memory, and texts of many kinds for it.

Each block of rows asks one target for its place at 0, 1, 2 and 3 s, and one question of every other answer type. Truths are drawn
at random; a well-formed answer tells the truth to three decimals, in the wording that questions ask for. Malformed texts hold a
number or a word of their own in each row, so that hardly two are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from drive_vqa.schema import TRUTH
from eval.answers import Parsed
from eval.cases import NUMBERS, object_column
from eval.localization import HORIZONS_S
from eval.voting.wording import answer_text

BLOCK = (
    *["localization"] * len(HORIZONS_S),
    *(
        "distance",
        "bearing",
        "turn",
        "speed",
        "longitudinal",
        "lateral",
        "time",
        "position",
        "motion",
        "clock",
        "count",
    ),
    *("choice", "bool", "ranking", "regions", "interval", "box", "interval_box", "undetermined"),
)
"""Answer types of one block of rows."""

OPTIONS = ("closing", "receding", "keeping its distance")
WHOLE = ("clock_hour", "count")
LOGS = 100
_SLICES = {
    **{"category": "car", "moving": True, "ttc_bin": "none", "in_view_at_t": True, "difficulty": "easy"},
    **{"relation": "crossing"},
}
BLOCKS_A_FRAME = 10
_FOLDED = str.maketrans("0123456789", "０１２３４５６７８９")
_FILLER = (
    "the",
    "car",
    "is",
    "near",
    "and",
    "quite",
    "visible",
    "on",
    "this",
    "road",
    "as",
    "shown",
    "so",
    "we",
    "wait",
)
_SCRIPTS = ("车辆", "在前方", "道路", "くるま", "автомобиль", "дорога", "자동차", "거리")
_PRINTABLE = "".join(map(chr, range(32, 127)))
_LONG = 2000

Draw = Callable[[np.random.Generator, int], Mapping[str, np.ndarray | list[tuple[int, ...]]]]


def _between(low: float, high: float, *names: str) -> Draw:
    return lambda random, count: {name: random.uniform(low, high, count).round(3) for name in names}


def _whole(low: int, high: int, name: str) -> Draw:
    return lambda random, count: {name: random.integers(low, high, count, endpoint=True).astype(np.float64)}


def _box(random: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    low, size = random.integers(0, 800, (2, count)), random.integers(10, 400, (2, count))
    edges = {"u0_px": low[0], "v0_px": low[1], "u1_px": low[0] + size[0], "v1_px": low[1] + size[1]}
    return {name: values.astype(np.float64) for name, values in edges.items()}


def _interval(random: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    ends = -np.sort(random.uniform(0, 8, (count, 2)).round(3), axis=1)
    return {"start_s": ends[:, 1], "end_s": ends[:, 0]}


def _marks(random: np.random.Generator, count: int) -> dict[str, list[tuple[int, ...]]]:
    first, step = random.integers(0, 400, count), random.integers(1, 200, count)
    return {"marks": [tuple(range(a, a + 3 * b, b)) for a, b in zip(first.tolist(), step.tolist(), strict=True)]}


_LENGTH, _ANGLE = _between(0.5, 100, "distance_m"), _between(-179, 180, "bearing_deg")
_TURN = _between(-179, 180, "yaw_deg")
_DRAWS: Mapping[str, Draw] = {
    "localization": lambda random, count: {**_LENGTH(random, count), **_ANGLE(random, count)},
    "motion": lambda random, count: {**_LENGTH(random, count), **_TURN(random, count)},
    "interval_box": lambda random, count: {**_interval(random, count), **_box(random, count)},
    **{"distance": _LENGTH, "bearing": _ANGLE, "turn": _TURN, "speed": _between(0, 40, "speed_mps")},
    **{"longitudinal": _between(-80, 80, "x_m"), "lateral": _between(-30, 30, "y_m"), "time": _between(0, 9, "time_s")},
    **{
        "position": _between(-80, 80, "x_m", "y_m"),
        "clock": _whole(1, 12, "clock_hour"),
        "count": _whole(0, 999, "count"),
    },
    **{"ranking": _marks, "regions": _marks, "interval": _interval, "box": _box},
    "choice": lambda random, count: {
        "choice": np.array(OPTIONS, dtype=object)[random.integers(0, len(OPTIONS), count)]
    },
    "bool": lambda random, count: {"bool": (random.random(count) < 0.5).astype(object)},
    "undetermined": lambda _random, count: {"undetermined": np.full(count, True, dtype=object)},
}
"""Truths of each answer type."""


def make_cases(count: int, seed: int) -> pd.DataFrame:
    """So many questions, with the columns that metrics need."""
    random, row = np.random.default_rng(seed), np.arange(count)
    block, place = np.divmod(row, len(BLOCK))
    kinds = np.array(BLOCK, dtype=object)[place]
    asks_place = kinds == "localization"
    cases = pd.DataFrame(_truths(random, kinds))
    cases["answer_type"], cases["type"] = kinds, kinds
    cases["family"] = np.where(asks_place, "future", "ego").astype(object)
    cases["form"] = "open"
    cases["group_id"], cases["mark"], cases["mark_count"] = block, 1, 1
    cases["horizon_s"] = np.where(asks_place, place, 0).astype(np.float64)
    options = np.fromiter([OPTIONS if kind == "choice" else () for kind in kinds], dtype=object, count=count)
    cases["options"] = object_column(options)
    cases["log_code"] = block // BLOCKS_A_FRAME % LOGS
    cases["frame_code"] = block // BLOCKS_A_FRAME
    cases["log_id"] = cases["log_code"].map(str).astype(object)
    for name, value in _SLICES.items():
        cases[f"slice_{name}"] = object_column(np.full(count, value, dtype=object))
    cases["slice_distance_m"], cases["slice_visible_fraction"] = cases["truth_distance_m"], 1.0
    return cases


def _truths(random: np.random.Generator, kinds: np.ndarray) -> dict[str, pd.Series]:
    columns = {name: np.full(len(kinds), np.nan if name in NUMBERS else None, object) for name in TRUTH.names}
    for kind in dict.fromkeys(BLOCK):
        rows = np.flatnonzero(kinds == kind)
        for name, values in _DRAWS[kind](random, len(rows)).items():
            columns[name][rows] = np.fromiter(values, dtype=object, count=len(rows))
    return {
        f"truth_{name}": pd.Series(column.astype(np.float64)) if name in NUMBERS else object_column(column)
        for name, column in columns.items()
    }


def well_formed(cases: pd.DataFrame) -> list[str]:
    """The true answer to each question."""
    columns = [cases[f"truth_{name}"].to_numpy() for name in TRUTH.names]
    rows = zip(cases["answer_type"], *columns, strict=True)
    return [answer_text(_typed(values), kind) for kind, *values in rows]


def _typed(values: Sequence[Any]) -> Parsed:
    """Values of all fields as an answer."""
    told: dict[str, Any] = dict(zip(TRUTH.names, values, strict=True))
    told |= {name: None for name in NUMBERS if np.isnan(told[name])}
    told |= {name: int(told[name]) for name in WHOLE if told[name] is not None}
    return Parsed(**told)


class Near(NamedTuple):
    """What a malformed text is made of: a length, the well-formed answer, and chance."""

    metres: float
    text: str
    random: Random


def _filled(lead: str, words: tuple[str, ...], random: Random) -> str:
    """Words at random after a lead, as long as an answer may be."""
    return f"{lead} {' '.join(random.choices(words, k=_LONG))}"[:_LONG]


MALFORMED: Mapping[str, Callable[[Near], str]] = {
    "in tags": lambda near: f"<think>Maybe {near.metres} m.</think><answer>{near.text}</answer>",
    "in markdown": lambda near: f"**Answer:** `{near.text}`",
    "full-width digits": lambda near: near.text.translate(_FOLDED),
    "without a unit": lambda near: f"{near.metres}",
    "rambling": lambda near: (
        f"Well, the car in Region 3 seems to be rather near to me in frame 2, so I would say that it is about "
        f"{near.metres} meters away, at a bearing of -30 degrees, and that it moves slowly."
    ),
    "several values": lambda near: f"It is between {near.metres} and {2 * near.metres} meters, or 3 to 4 degrees.",
    "a refusal": lambda near: f"I'm sorry, but I cannot tell this from image {near.random.getrandbits(32)}.",
    "no answer": lambda near: " ".join(near.random.choices(_FILLER, k=20)),
    "2,000 characters of words": lambda near: _filled("So", _FILLER, near.random),
    "2,000 characters of scripts": lambda near: _filled("", _SCRIPTS, near.random).strip(),
    "2,000 characters in a loop": lambda near: f"{near.metres} meters, " * (_LONG // 16),
    "2,000 characters and a value": lambda near: _filled(f"{near.metres} meters", _FILLER, near.random),
    "2,000 characters of any kind": lambda near: "".join(near.random.choices(_PRINTABLE, k=_LONG)),
    "over 2,048 characters": lambda near: f"{near.metres} meters " * 200,
}
"""What models write instead."""


def malformed(name: str, texts: list[str], seed: int) -> list[str]:
    """A malformed text in the place of each well-formed one."""
    random = Random(seed)  # noqa: S311
    return [MALFORMED[name](Near(round(random.uniform(1, 100), 3), text, random)) for text in texts]
