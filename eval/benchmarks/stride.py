"""STRIDE-QA-Bench: where a marked object is now and in 1, 2 and 3 s, and how fast (arXiv 2508.10427).

    localization.lsr.tN, .mlsr, .tlc, .tlc.kN    as in `eval.localization`, over groups
    localization.sr_distance, .sr_bearing        parts of the success
    localization.coverage                        share of groups and horizons with all their answers
    speed.sr.ego, .target, and .tN               speeds
    slice.relation.VALUE.localization.*          by how target and ego move, where the sheet tells it

Data: the folder with `annotation_files/` (or that one), in which `strideqa_bench_t0.json` to `_t3.json` are lists of records
with `question_id` (the id), `group_id`, `question`, `qa_category`, `gt_value` (`distance` in metres, `direction` in degrees,
left positive, `velocity` in m/s) and `images`; `annotation_sheet.csv` tells `relation` of a `group_id` and may be missing.
`drive-vqa export --to stride-bench` writes the same layout.

Now, distance and bearing are two questions, later one. A group that lacks a horizon fails there. Groups that share the current
image, the last of `images`, are one cluster. Source: https://github.com/turingmotors/STRIDE-QA-Dataset and its scorer, from
which these numbers differ for distances below 0.4 m (there only an exact 0 passes at 0) and for answers that its parser
misreads.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from drive_vqa.errors import RecordError
from eval.answers import Parsed
from eval.benchmarks.records import Record, read_json
from eval.benchmarks.scored import Metrics, Scored, overall
from eval.benchmarks.tasks import Task, checked
from eval.cases import Targets
from eval.localization import HORIZONS_S
from eval.panel.answered import share_at
from eval.panel.located import Located, headline, localization

FOLDER, SHEET = "annotation_files", "annotation_sheet.csv"


@dataclass(frozen=True)
class Kind:
    """What a category of the bench asks: how it is answered, and of what time."""

    answer_type: str
    horizon_s: int


KINDS = {
    "ego_distance_data": Kind("distance", 0),
    "target_bearing_angle_data": Kind("bearing", 0),
    "ego_speed_data": Kind("speed", 0),
    "target_speed_data": Kind("speed", 0),
    **{f"ego_distance_data_4d_t{horizon_s}": Kind("localization", horizon_s) for horizon_s in HORIZONS_S[1:]},
    **{f"ego_speed_data_4d_t{horizon_s}": Kind("speed", horizon_s) for horizon_s in HORIZONS_S[1:]},
    **{f"target_speed_data_4d_t{horizon_s}": Kind("speed", horizon_s) for horizon_s in HORIZONS_S[1:]},
}
"""The bench's thirteen categories. Distances are the target's from the ego."""

SPEEDS = {"ego": "ego_speed_data", "target": "target_speed_data"}
"""What the categories of a speed begin with."""

PLACED = {"distance_ok": ("distance", "localization"), "bearing_ok": ("bearing", "localization")}
"""Parts of a place, and the answer types that give each."""

VALUES = {
    "distance": ("distance",),
    "bearing": ("direction",),
    "localization": ("distance", "direction"),
    "speed": ("velocity",),
}
"""What `gt_value` holds for each answer type."""


def read(path: Path) -> list[Task]:
    """The questions of the bench.

    Raises:
        RecordError: a file cannot be read or does not have the layout.
    """
    folder = path / FOLDER if (path / FOLDER).is_dir() else path
    relations = _relations(folder / SHEET)
    files = [folder / f"strideqa_bench_t{horizon_s}.json" for horizon_s in HORIZONS_S]
    return checked([_task(record, relations) for file in files for record in read_json(file)], path)


def metrics(scored: Scored) -> Metrics:
    """Success in place and speed, and its consistency in time."""
    yield from overall(scored)
    located = _locate(scored)
    yield from localization(located)
    yield from _speeds(scored)
    for relation, groups in scored.parts("relation").take(located.anchors):
        yield from headline(located.take(groups), f"slice.relation.{relation}.localization")


def _task(record: Record, relations: dict[str, str]) -> Task:
    category = record.text("qa_category")
    if category not in KINDS:
        raise record.error(f"'qa_category' is {category!r}, which is none of the bench's")
    kind, truth = KINDS[category], record.inner("gt_value")
    values = {name: truth.number(name) for name in VALUES[kind.answer_type]}
    images, group = record.texts("images"), record.text("group_id")
    if not images:
        raise record.error("'images' is empty")
    with record.making():
        return Task(
            record.text("question_id"),
            record.text("question"),
            kind.answer_type,
            Parsed(
                distance_m=values.get("distance"), bearing_deg=values.get("direction"), speed_mps=values.get("velocity")
            ),
            images[-1],
            slices={"qa_category": category, "relation": relations.get(group, "")},
            group=group,
        )


def _relations(sheet: Path) -> dict[str, str]:
    """The relation of each group; of none where there is no sheet."""
    if not sheet.exists():
        return {}
    try:
        with sheet.open(encoding="utf-8-sig", newline="") as file:
            return {row["group_id"]: row["relation"] or "" for row in csv.DictReader(file)}
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
        raise RecordError(
            f"{sheet} is not a table with group_id and relation ({error!r:.120}): get the file again, or leave it out"
        ) from error


def _kinds(scored: Scored) -> list[Kind]:
    return [KINDS[task.slices["qa_category"]] for task in scored.tasks]


def _locate(scored: Scored) -> Located:
    """What became of each group at each horizon, by its answers for distance and for bearing, which may be one."""
    distances, bearings = _targets(scored)
    asked, present, read = (
        np.logical_and(*(np.asarray(part.values(values, missing=False), dtype=bool) for part in (distances, bearings)))
        for values in (np.ones_like(scored.present), scored.present, scored.read)
    )
    distance_ok, bearing_ok = (
        np.asarray(part.values(scored.verdicts[name], missing=False), dtype=bool)
        for name, part in zip(PLACED, (distances, bearings), strict=True)
    )
    success = distance_ok & bearing_ok
    return Located(distances.anchors, distances.rows, asked, present, read, success, distance_ok, bearing_ok)


def _targets(scored: Scored) -> list[Targets]:
    """The groups with the question for each part of the place at each horizon."""
    kinds = _kinds(scored)
    placing = [row for row, kind in enumerate(kinds) if kind.answer_type != "speed"]
    codes, groups = pd.factorize(np.array([scored.tasks[row].group for row in placing], dtype=object))
    rows = {part: np.full((len(groups), len(HORIZONS_S)), -1, dtype=np.int64) for part in PLACED}
    anchors = np.zeros(len(groups), dtype=np.int64)
    for row, code in zip(placing, codes, strict=True):
        anchors[code] = row
        for part, types in PLACED.items():
            if kinds[row].answer_type in types:
                rows[part][code, kinds[row].horizon_s] = row
    return [Targets(one, anchors) for one in rows.values()]


def _speeds(scored: Scored) -> Metrics:
    horizons_s = np.array([kind.horizon_s for kind in _kinds(scored)])
    for name, prefix in SPEEDS.items():
        own = np.array([task.slices["qa_category"].startswith(prefix) for task in scored.tasks])
        yield f"speed.sr.{name}", share_at(scored.success, np.flatnonzero(own))
        for horizon_s in HORIZONS_S:
            yield (
                f"speed.sr.{name}.t{horizon_s}",
                share_at(scored.success, np.flatnonzero(own & (horizons_s == horizon_s))),
            )
