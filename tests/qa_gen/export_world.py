"""A small store with groups of every kind and questions of every answer type and form, written by hand.

Nothing here uses `qa_gen`. Two logs have images of plain noise; a third has tracks only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store

SIZE_PX = (96, 64)
OFFSETS_S = {
    "single": (0.0,),
    "surround": (0.0, 0.0, 0.0),
    "sequence": (-1.5, -1.0, -0.5, 0.0),
    "clip": tuple(-3.5 + 0.5 * k for k in range(8)),
    "target": (-1.5, -1.0, -0.5, 0.0),
}
CAMERAS = ("CAM_FRONT", "CAM_FRONT_LEFT", "CAM_BACK")
LOGS = {
    "alpha": ("nuscenes", "boston-seaport", "Parked cars <b>|</b> rain"),
    "beta": (
        "nuscenes",
        "harbour",
        "Night in harbour: ego drives straight on; 3 moving and 2 parked vehicles, 1 pedestrians.",
    ),
    "gamma": ("scenarionet", None, "ScenarioNet, waymo: tracks and map, no sensors"),
}
Row = dict[str, Any]


def _later(h: int) -> tuple[tuple[str, str, Row, str], ...]:
    place = {"distance_m": 12.4 - h, "bearing_deg": -8.0 - h}
    return (
        (f"localization_t{h}", "localization", place, f"{12.4 - h:.1f} meters, {-8 - h} degrees"),
        (f"ego_speed_t{h}", "speed", {"speed_mps": 5.2 + h}, f"{5.2 + h:.1f} m/s"),
        (f"target_speed_t{h}", "speed", {"speed_mps": 0.1 * h}, f"{0.1 * h:.1f} m/s"),
    )


BENCH = (
    ("distance_t0", "distance", {"distance_m": 12.4}, "12.4 meters"),
    ("bearing_t0", "bearing", {"bearing_deg": -8.0}, "-8 degrees"),
    ("localization_t0", "localization", {"distance_m": 12.4, "bearing_deg": -8.0}, "12.4 meters, -8 degrees"),
    ("ego_speed_t0", "speed", {"speed_mps": 5.2}, "5.2 m/s"),
    ("target_speed_t0", "speed", {"speed_mps": 0.1}, "0.1 m/s"),
    *(question for h in (1, 2, 3) for question in _later(h)),
)  # fmt: skip
"""Type, answer type, truth and answer of the fourteen questions about a target."""

OPEN = (
    ("object", "pair_distance", "distance", {"distance_m": 7.25}, "7.2 meters"),
    ("object", "relative_heading", "turn", {"yaw_deg": -95.0}, "-95 degrees"),
    ("object", "pair_lateral", "lateral", {"y_m": -2.3}, "-2.3 meters"),
    ("object", "pair_longitudinal", "longitudinal", {"x_m": 4.0}, "4.0 meters"),
    ("object", "pair_clock", "clock", {"clock_hour": 2}, "2 o'clock"),
    ("object", "count_within", "count", {"count": 3}, "3"),
    ("object", "order_from", "ranking", {"marks": [4, 7]}, "Region 4, Region 7"),
    ("ego", "marks_within", "regions", {"marks": []}, "none"),
    ("ego", "bearing", "bearing", {"bearing_deg": 1.0}, "1 degree"),
    ("future", "position_now_t2", "position", {"x_m": 12.4, "y_m": -3.1}, "x 12.4 meters, y -3.1 meters"),
    ("future", "ego_motion_t3", "motion", {"distance_m": 12.4, "yaw_deg": -4.0}, "12.4 meters, -4 degrees"),
    ("future", "closest_time", "time", {"time_s": 2.3}, "2.3 seconds"),
    ("unanswerable", "absent_mark", "undetermined", {"undetermined": True}, "cannot be determined"),
)
"""Family, type, answer type, truth and answer of open questions."""


def make_store(root: Path) -> Store:
    """The store; its images lie beside it."""
    store = Store.create(root / "store")
    for number, (log_id, (source, location, description)) in enumerate(LOGS.items()):
        groups = _groups(log_id, root / "source" / log_id, np.random.default_rng(number))
        log = {"log_id": log_id, "source_format": source, "source_root": f"../source/{log_id}"}
        rows = {
            "logs": [{**log, "location": location, "description": description}],
            "groups": groups,
            "questions": [question for group in groups for question in _questions(group)],
        }
        for table, content in rows.items():
            store.write(table, log_id, table_from_rows(table, content), f"world-{table}")
    return store


def _groups(log_id: str, source: Path, rng: np.random.Generator) -> list[Row]:
    kinds = {
        "alpha": ("single", "surround", "sequence", "clip"),
        "beta": ("single", "clip", "target"),
        "gamma": ("single",),
    }
    groups = [_group(log_id, kind, 20 + 8 * place, rng) for place, kind in enumerate(kinds[log_id])]
    if log_id == "beta":
        late = _group(log_id, "target", 60, rng)
        late["marks"][0]["regions"] = late["marks"][0]["regions"][2:]  # seen in the last two images only
        groups += [late, {**_group(log_id, "single", 4, rng), "split": "train"}]
    for group in groups if log_id != "gamma" else ():
        for view in group["context"]:
            _paint(source / view["path"], rng)
    return groups


def _group(log_id: str, kind: str, frame: int, rng: np.random.Generator) -> Row:
    offsets = OFFSETS_S[kind]
    bare = log_id == "gamma"
    context = []
    for place, offset_s in enumerate(offsets):
        at = frame + round(2 * offset_s)
        camera = CAMERAS[place] if kind == "surround" else CAMERAS[0]
        place_of = {"camera": None, "path": None} if bare else {"camera": camera, "path": f"{camera}/{at:03d}.png"}
        context.append({"frame": at, "offset_s": offset_s, "width": SIZE_PX[0], "height": SIZE_PX[1], **place_of})
    marks = [_mark(number, len(offsets), rng) for number in ((7,) if kind == "target" else (4, 7))]
    split = {"target": "bench"}.get(kind, "train" if log_id != "beta" else "test")
    place = {"group_id": f"{log_id}-{frame:05d}-{kind}", "kind": kind, "log_id": log_id, "frame": frame, "split": split}
    return {**place, "timestamp_ns": frame * 500_000_000, "context": context, "marks": marks, "ego_speed_mps": 5.2}


def _mark(number: int, views: int, rng: np.random.Generator) -> Row:
    left, top = rng.uniform(0, 40, size=2)
    v0_px, v1_px = top / 2, top / 2 + 17.6
    lefts = [left + 3 * k for k in range(views)]
    regions = [
        {"context": k, "u0_px": u_px, "v0_px": v0_px, "u1_px": u_px + 21.3, "v1_px": v1_px, "visible_fraction": 0.9}
        for k, u_px in enumerate(lefts)
    ]
    named = {"mark": number, "track_id": f"track-{number}", "category": "car" if number == 7 else "pedestrian"}
    return {**named, "description": "the nearest car" if number == 7 else None, "regions": regions}


def _questions(group: Row) -> list[Row]:
    if group["kind"] == "target":
        rows = [
            _question(group, "future", kind, answer_type, truth, answer, [7])
            for kind, answer_type, truth, answer in BENCH
        ]
        return [{**row, "slices": {"relation": "pulling_away", "moving": True}} for row in rows]
    if group["kind"] == "clip":
        return _event_questions(group)
    rows = [
        _question(group, family, kind, answer_type, truth, answer, [4, 7])
        for family, kind, answer_type, truth, answer in OPEN
        if (family == "future") == (group["kind"] == "sequence")
    ]
    return [*rows, *_closed_questions(group)]


def _closed_questions(group: Row) -> list[Row]:
    choices = (("left_right", ["left", "right"], "right"), ("category", ["car", "bus", "truck", "none", "3"], "bus"))
    facts = (("in_my_path", True), ("same_category", False))
    return [
        *(
            _question(group, "object", kind, "choice", {"choice": right}, right, [4], "choice", options)
            for kind, options, right in choices
        ),
        *(
            _question(group, "ego", kind, "bool", {"bool": fact}, "yes" if fact else "no", [4], "yes_no")
            for kind, fact in facts
        ),
    ]


def _event_questions(group: Row) -> list[Row]:
    """Answers are the box of mark 4 in the fourth image, and a span of time."""
    region = group["marks"][0]["regions"][3]
    box = {name: float(round(region[name])) for name in ("u0_px", "v0_px", "u1_px", "v1_px")}
    text = f"[{', '.join(str(round(value)) for value in box.values())}]"
    span, words = {"start_s": -1.5, "end_s": -0.5}, "from 1.5 to 0.5 seconds ago"
    rows = [
        _question(group, "when_where", "when_moving", "interval", span, words, [4]),
        _question(group, "when_where", "where_starts", "box", box, text, [4]),
        _question(group, "when_where", "starts_when_where", "interval_box", {**span, **box}, f"{words}, {text}", [4]),
    ]
    return [{**row, "evidence": [{"mark": 4, "context": 3}]} for row in rows]


def _question(
    group: Row,
    family: str,
    kind: str,
    answer_type: str,
    truth: Row,
    answer: str,
    marks: Sequence[int],
    form: str = "open",
    options: Sequence[str] | None = None,
) -> Row:
    regions = " and ".join(f"Region {mark}" for mark in marks)
    place = {name: group[name] for name in ("group_id", "log_id", "frame", "split")}
    return {
        **place,
        "qa_id": f"{group['group_id']}/{kind}/{form}",
        "family": family,
        "type": kind,
        "form": form,
        "answer_type": answer_type,
        "template": 0,
        "template_version": 1,
        "marks": list(marks),
        "track_ids": [f"track-{mark}" for mark in marks],
        "question": f"What of \"{kind}\" holds for {regions}?\tSay it;\nthen, say 'it' & <it> again.",
        "options": None if options is None else list(options),
        "answer": answer,
        "truth": truth,
        "slices": {"moving": False},
    }


def _paint(path: Path, rng: np.random.Generator) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        small = rng.integers(0, 255, size=(8, 12, 3), dtype=np.uint8)
        Image.fromarray(small).resize(SIZE_PX, Image.Resampling.BICUBIC).save(path)
