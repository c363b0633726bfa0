"""Question cards: the marked frames that the model saw, the question, truth, what the model said and how it was read.

The worst dangerous mistakes come first: those that put a target far beyond where it is, the nearer the target the worse, and
those that take a target in the path, or one that comes nearer, for harmless. Then other failures and right answers of each type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from drive_vqa.data_uri import jpeg_uri
from drive_vqa.errors import DriveVqaError
from drive_vqa.geometry import wrap_deg
from drive_vqa.marks import marked_frames
from drive_vqa.prompt import time_line
from eval.report.claims import Reasoning, reasonings
from eval.report.inputs import Evaluation
from eval.report.numbers import type_title

FRAME_WIDTH_PX = 480
TEXT_LIMIT = 600
"""A model may answer without end; a card shows the beginning."""

FAR_RATIO = 1.25
REFERENCE_M = 15.0
"""A distance mistake counts half at this true distance."""

MISSED_APPROACH = ("closing", "receding")
"""(truth, answer) that takes a target that comes nearer for one that goes away."""

PATH_TYPE = "in_my_path"

OUTCOMES = {"dangerous": "Dangerous", "wrong": "Wrong", "unreadable": "Unreadable", "right": "Right"}


@dataclass(frozen=True)
class Frame:
    """One context image as a data URI and when it was taken."""

    image: str
    when: str
    alt: str


@dataclass(frozen=True)
class Quantity:
    """One value: truth, answer, their difference and whether it is within tolerance (None: not judged)."""

    name: str
    truth: str
    answer: str
    error: str
    ok: bool | None


@dataclass(frozen=True)
class Card:
    """One answered question."""

    qa_id: str
    family: str
    type_title: str
    outcome: str
    verdict: str
    question: str
    options: tuple[str, ...]
    truth: str
    text: str
    quantities: tuple[Quantity, ...]
    facts: tuple[str, ...]
    frames: tuple[Frame, ...]
    missing: str
    reasoning: Reasoning | None


def danger(row: Mapping[str, Any]) -> float:
    """How dangerous a mistake is: 0 for none, larger is worse.

    A distance answered more than 25 % too far counts 2 log(answer / truth), halved at 15 m; taking a target in the path for one
    that is not, or one that comes nearer for one that goes away, counts 1.
    """
    if too_far(row):
        truth_m, answer_m = row["truth_distance_m"] + 0.1, row["parsed_distance_m"] + 0.1
        return float(np.log(answer_m / truth_m) * 2.0 * REFERENCE_M / (REFERENCE_M + truth_m))
    missed_path = row["type"] == PATH_TYPE and row["truth_bool"] is True and row["parsed_bool"] is False
    missed_approach = (row["truth_choice"], row["parsed_choice"]) == MISSED_APPROACH
    return 1.0 if missed_path or missed_approach else 0.0


def too_far(row: Mapping[str, Any]) -> bool:
    """Whether a target is put more than 25 % farther from the own car than it is; other lengths do not count."""
    truth_m, answer_m = row["truth_distance_m"], row["parsed_distance_m"]
    known = row["from_ego"] and np.isfinite(truth_m) and np.isfinite(answer_m)
    return bool(known and answer_m > FAR_RATIO * truth_m and not row["distance_ok"])


def outcome(row: Mapping[str, Any]) -> str:
    """One of `OUTCOMES`."""
    if isinstance(row["failure"], str):
        return "unreadable"
    if row["success"] is True or row["success"] == 1:
        return "right"
    return "dangerous" if danger(row) > 0 else "wrong"


def choose(answers: pd.DataFrame, count: int) -> pd.DataFrame:
    """Rows for the gallery: dangerous ones first, then the other outcomes, each spread over types and moments."""
    records = _records(answers)
    rows = answers.assign(
        danger=[danger(row) for row in records], outcome=[outcome(row) for row in records]
    ).sort_values("danger", ascending=False, kind="stable")
    quota = {"dangerous": count // 2, "wrong": count // 4, "right": count // 6, "unreadable": count // 12}
    chosen: list[int] = []
    for name, most in quota.items():
        chosen += _varied(rows[rows["outcome"] == name])[:most]
    rest = [index for index in _varied(rows) if index not in set(chosen)]
    chosen += rest[: count - len(chosen)]
    order = {name: place for place, name in enumerate(OUTCOMES)}
    picked = rows.loc[chosen].assign(place=lambda frame: frame["outcome"].map(order))
    return picked.sort_values(["place", "danger", "qa_id"], ascending=[True, False, True], kind="stable")


def _varied(rows: pd.DataFrame) -> list[int]:
    """Row labels reordered so that types and moments alternate, each first with its worst."""
    turn = rows.groupby(["type"], sort=False).cumcount() + rows.groupby(["group_id"], sort=False).cumcount()
    return list(rows.assign(turn=turn).sort_values("turn", kind="stable").index)


def cards(evaluation: Evaluation, count: int) -> list[Card]:
    """The cards of the gallery; images of a moment are drawn once, however many cards show it."""
    rows = _records(choose(evaluation.answers, count))
    groups = {(row["log_id"], row["group_id"]): row for row in rows}
    frames = {group: _frames(evaluation, row) for group, row in groups.items()}
    reached = reasonings(evaluation, rows)
    return [_card(row, *frames[row["log_id"], row["group_id"]], reached.get(row["qa_id"])) for row in rows]


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def _card(row: Mapping[str, Any], frames: tuple[Frame, ...], missing: str, reasoning: Reasoning | None) -> Card:
    text = row["text"] if reasoning is None or reasoning.answer is None else reasoning.answer
    return Card(
        qa_id=row["qa_id"],
        family=row["family"],
        type_title=type_title(row["type"]),
        outcome=row["outcome"],
        verdict=_verdict(row),
        question=row["question"],
        options=tuple(row["options"]) if row["options"] is not None else (),
        truth=row["answer"],
        text=_shorten(text),
        quantities=quantities(row),
        facts=_facts(row),
        frames=frames,
        missing=missing,
        reasoning=reasoning,
    )


def _frames(evaluation: Evaluation, row: Mapping[str, Any]) -> tuple[tuple[Frame, ...], str]:
    try:
        group = evaluation.group(row["log_id"], row["group_id"])
        if not all(view["path"] and view["width"] and view["height"] for view in group["context"]):
            return (), "This question is asked without images."
        first = group["context"][-1]
        size_px = (FRAME_WIDTH_PX, max(1, round(FRAME_WIDTH_PX * first["height"] / first["width"])))
        images = marked_frames(evaluation.store, group, size_px)
    except DriveVqaError:
        return (), f"The images of log {row['log_id']}, frame {row['frame']} are missing or cannot be read."
    marks = ", ".join(f"{mark['mark']} ({mark['category']})" for mark in group["marks"]) or "none"
    shown, several = [], len({view["camera"] for view in group["context"]}) > 1
    for view, image in zip(group["context"], images, strict=True):
        when = time_line(view["offset_s"]).rstrip(":")
        title = f"{view['camera']}, {when.lower()}"
        shown.append(Frame(jpeg_uri(image), title if several else when, f"{title}; marks: {marks}"))
    return tuple(shown), ""


def quantities(row: Mapping[str, Any]) -> tuple[Quantity, ...]:
    """Truth, reading and error of each value that the question asks for."""
    found = []
    for field, name, write in VALUES:
        truth, parsed = row[f"truth_{field}"], row[f"parsed_{field}"]
        if _absent(truth):
            continue
        answer = "–" if _absent(parsed) else write(parsed)
        error, ok = "", None if _absent(parsed) else bool(parsed == truth)
        if field in ERRORS:
            error = "" if _absent(parsed) else ERRORS[field](float(parsed), float(truth))
            ok = _within_tolerance(row, name)
        found.append(Quantity(name, write(truth), answer, error, ok))
    return tuple(found)


def _within_tolerance(row: Mapping[str, Any], name: str) -> bool | None:
    """The verdict on one number; where the answer was judged as a whole that of the whole, None where it is mixed."""
    judged = row.get(f"{name}_ok")
    if not _absent(judged):
        return bool(judged)
    alone = all(_absent(row.get(f"{part}_ok")) for part in ("distance", "bearing", "speed"))
    return bool(row["success"]) if alone and not isinstance(row["failure"], str) else None


def _absent(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not np.isfinite(value))


def _distance(value: float) -> str:
    return f"{value:.1f} m"


def _bearing(value: float) -> str:
    side = "left" if value > 0 else "right"
    return "0° ahead" if round(value) == 0 else f"{abs(value):.0f}° {side}"


def _distance_error(answer: float, truth: float) -> str:
    percent = f" ({100 * (answer - truth) / truth:+.0f} %)" if truth > 0.4 else ""
    return f"{answer - truth:+.1f} m{percent}"


def _speed_error(answer: float, truth: float) -> str:
    return f"{answer - truth:+.1f} m/s"


def _bearing_error(answer: float, truth: float) -> str:
    return f"{wrap_deg(answer - truth):+.0f}°"


def _metres_error(answer: float, truth: float) -> str:
    return f"{answer - truth:+.1f} m"


def _seconds_error(answer: float, truth: float) -> str:
    return f"{answer - truth:+.1f} s"


def _pixels_error(answer: float, truth: float) -> str:
    return f"{answer - truth:+.0f} px"


def _metres(value: float) -> str:
    return f"{value:+.1f} m"


def _pixels(value: float) -> str:
    return f"{value:.0f} px"


def _moment(value: float) -> str:
    return time_line(value).rstrip(":").lower() if value <= 0 else f"in {value:.1f} seconds"


def _regions(value: tuple[int, ...]) -> str:
    return ", ".join(map(str, value)) or "none"


VALUES = (
    ("distance_m", "distance", _distance),
    ("bearing_deg", "bearing", _bearing),
    ("yaw_deg", "turn", _bearing),
    ("speed_mps", "speed", lambda value: f"{value:.1f} m/s"),
    ("x_m", "ahead", _metres),
    ("y_m", "to the left", _metres),
    ("time_s", "time", lambda value: f"{value:.1f} s"),
    ("clock_hour", "clock", lambda value: f"{value:.0f} o'clock"),
    ("count", "count", lambda value: f"{value:.0f}"),
    ("choice", "choice", str),
    ("bool", "yes or no", lambda value: "yes" if value else "no"),
    ("marks", "regions", _regions),
    ("start_s", "from", _moment),
    ("end_s", "to", _moment),
    ("u0_px", "left edge", _pixels),
    ("v0_px", "upper edge", _pixels),
    ("u1_px", "right edge", _pixels),
    ("v1_px", "lower edge", _pixels),
    ("undetermined", "answer", lambda value: "cannot be determined" if value else "something else"),
)
ERRORS = {
    "distance_m": _distance_error,
    "bearing_deg": _bearing_error,
    "yaw_deg": _bearing_error,
    "speed_mps": _speed_error,
    **dict.fromkeys(("x_m", "y_m"), _metres_error),
    **dict.fromkeys(("time_s", "start_s", "end_s"), _seconds_error),
    **dict.fromkeys(("u0_px", "v0_px", "u1_px", "v1_px"), _pixels_error),
}
EXACT = ("choice", "bool", "clock", "count", "ranking", "regions", "undetermined")
"""Answer types that have no tolerance."""


def _verdict(row: Mapping[str, Any]) -> str:
    name = row["outcome"]
    if name == "unreadable":
        return f"No usable answer: {row['failure'].replace('_', ' ')}"
    if name == "right":
        return "Correct" if row["answer_type"] in EXACT else "Within tolerance"
    if name == "wrong" and row["answer_type"] == "undetermined":
        return "Answers what cannot be known from what is shown"
    if name == "wrong":
        return "Not correct" if row["answer_type"] in EXACT else "Outside tolerance"
    truth_m, answer_m = row["truth_distance_m"], row["parsed_distance_m"]
    if too_far(row):
        times = (
            f"{answer_m / truth_m:.1f} times as far as it is"
            if truth_m > 0.4
            else f"{answer_m:.1f} m away, and it is here"
        )
        return f"Puts the target {times}"
    return (
        "Says it is not in the path, and it is"
        if row["truth_bool"] is True
        else "Says it goes away, and it comes nearer"
    )


def _facts(row: Mapping[str, Any]) -> tuple[str, ...]:
    facts = [f"log {row['log_id']}", f"frame {row['frame']}"]
    if isinstance(row["slice_category"], str):
        facts.append(row["slice_category"].replace("_", " "))
    if np.isfinite(row["slice_distance_m"]):
        facts.append(f"{row['slice_distance_m']:.0f} m away now")
    if isinstance(row["slice_ttc_bin"], str):
        facts.append("no conflict" if row["slice_ttc_bin"] == "none" else f"TTC {row['slice_ttc_bin']} s")
    return tuple(facts)


def _shorten(text: str | None) -> str:
    if not isinstance(text, str):
        return ""
    return text if len(text) <= TEXT_LIMIT else f"{text[:TEXT_LIMIT]} … ({len(text):,} characters)"
