"""The layout of STRIDE-QA-Bench, so that its loader and scorer run on groups of our own.

    OUT/annotation_files/strideqa_bench_t{0..3}.json    lists of questions
    OUT/annotation_files/annotation_sheet.csv           group_id, object_type, relation; and our own name of the group
    OUT/images/<camera>/<log_id>-<frame>.jpg            bare images: the loader draws the mask and the number itself

See https://github.com/turingmotors/STRIDE-QA-Dataset (benchmarks/STRIDE-QA-Bench). Of a target's 14 questions 13 are
exported: the bench has no joint question for now, it joins distance and bearing itself. `rle` has a mask for each of the
four images, so groups whose target is not marked in all four are left out: the loader would put the number in the middle of
a frame without a mask. Masks are the boxes of the regions, since tracks know boxes only. The wording of questions is ours.
"""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from drive_vqa.categories import CATEGORIES
from drive_vqa.errors import StoreError
from drive_vqa.marks import marked_frame
from qa_gen.export.chat import text_after_images
from qa_gen.export.images import FOLDER, jpeg, write_image
from qa_gen.export.job import Job, LogJob
from qa_gen.export.lines import join_pieces, json_item, write_pieces
from qa_gen.export.records import AGAIN, CORNERS, LogQuestions, exported_box
from qa_gen.export.rle import box_rle

logger = logging.getLogger(__name__)

KIND = "target"
HORIZONS = (0, 1, 2, 3)
BETWEEN = ",\n"
BUCKETS = ("prev_3", "prev_2", "prev_1", "current")
SHEET, SHEET_COLUMNS = "annotation_sheet.csv", ("group_id", "object_type", "relation", "source_group_id")
GROUPS_A_LOG = 100_000
"""Numbers of the groups of log number n start at n times this."""

QUESTIONS_A_GROUP = 100

DISTANCE, DIRECTION, SPEED = (
    ("distance", "distance_m", "m"),
    ("direction", "bearing_deg", "degrees"),
    ("velocity", "speed_mps", "m/s"),
)
"""What the bench calls a value, our column of it, and its unit."""

RELATIONS = {
    "oncoming_pass": "Oncoming_Pass",
    "overtaking_me": "Overtake",
    "being_overtaken_by_me": "Overtake",
    "keeping_station": "Maintain_State",
    "pulling_away": "Other_Pulling_Away_From_Ego",
    "diverging_at_a_junction": "Path_Divergence_at_Intersection",
}
OTHER_RELATION = "Minor_Relations"
LOAD = """
`--annotation-dir THIS_FOLDER/annotation_files --image-folder THIS_FOLDER` of the bench's inference scripts, and
`--annotation-dir` of its scorer. A question's images and masks are of 1.5, 1.0, 0.5 and 0 seconds ago. Masks are boxes.
"""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """What the bench calls one of our question types, and the values that it scores."""

    category: str
    values: tuple[tuple[str, str, str], ...]
    horizon: int


KINDS: dict[str, Kind] = {
    "distance_t0": Kind("ego_distance_data", (DISTANCE,), 0),
    "bearing_t0": Kind("target_bearing_angle_data", (DIRECTION,), 0),
    "ego_speed_t0": Kind("ego_speed_data", (SPEED,), 0),
    "target_speed_t0": Kind("target_speed_data", (SPEED,), 0),
    **{f"localization_t{h}": Kind(f"ego_distance_data_4d_t{h}", (DISTANCE, DIRECTION), h) for h in HORIZONS[1:]},
    **{f"ego_speed_t{h}": Kind(f"ego_speed_data_4d_t{h}", (SPEED,), h) for h in HORIZONS[1:]},
    **{f"target_speed_t{h}": Kind(f"target_speed_data_4d_t{h}", (SPEED,), h) for h in HORIZONS[1:]},
}
"""Our type → theirs."""


def choose(questions: pa.Table, groups: Mapping[str, Row], job: Job) -> pa.Table:
    """Open questions of the thirteen types, about targets that are marked in all four images."""
    known = pc.is_in(questions["type"], pa.array(list(KINDS)))
    questions = questions.filter(pc.and_(known, pc.equal(questions["form"], "open")))
    fitting = [name for name, group in groups.items() if _fits(group, job.size_px)]
    left_out = set(questions["group_id"].to_pylist()) - set(fitting)
    if left_out:
        logger.info(
            "%d groups are left out, whose target is not marked in all four images, such as %s",
            len(left_out),
            min(left_out),
        )
    return questions.filter(pc.is_in(questions["group_id"], pa.array(fitting, pa.string())))


def write_log(log: LogJob, questions: LogQuestions) -> None:
    """Write the images, questions and sheet rows of one log."""
    for group in questions.groups.values():
        for context, name in enumerate(_image_names(group)):
            _write_bare_image(log, group, context, name)
    numbers = {name: f"g{log.number * GROUPS_A_LOG + place:09d}" for place, name in enumerate(questions.groups)}
    write_pieces(log, _items(log, questions, numbers), BETWEEN)
    write_pieces(log, _sheet(questions, numbers))


def finish(job: Job, logs: Sequence[LogJob]) -> None:
    """Join the questions and sheet rows of all logs."""
    folder = job.out / "annotation_files"
    for horizon in HORIZONS:
        name = f"strideqa_bench_t{horizon}.json"
        join_pieces(logs, folder / name, head="[\n", between=BETWEEN, tail="\n]\n")
    join_pieces(logs, folder / SHEET, head=_csv(SHEET_COLUMNS))


def _fits(group: Row, size_px: tuple[int, int] | None) -> bool:
    """One mark, with a region that is not empty in each of four images."""
    views, marks = group["context"], group["marks"]
    if group["kind"] != KIND or len(views) != len(BUCKETS) or len(marks) != 1:
        return False
    boxes = {region["context"]: [region[corner] for corner in CORNERS] for region in marks[0]["regions"]}
    return all(
        context in boxes and _area(exported_box(boxes[context], views[context], size_px)) for context in range(4)
    )


def _area(box: Sequence[int]) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _image_names(group: Row) -> list[str]:
    """A frame has one name, whichever groups show it."""
    return [f"{FOLDER}/{_camera(view)}/{group['log_id']}-{view['frame']:05d}.jpg" for view in group["context"]]


def _camera(view: Row) -> str:
    return "".join(sign if sign.isascii() and sign.isalnum() else "_" for sign in view["camera"] or "camera")


def _write_bare_image(log: LogJob, group: Row, context: int, name: str) -> None:
    path = log.job.out / name
    if not path.exists():
        write_image(path, jpeg(marked_frame(log.job.store, group, context, log.job.size_px, style="none")))


def _items(log: LogJob, questions: LogQuestions, numbers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    shared = {name: _of_group(log, questions.groups[name]) for name in numbers}
    places = {name: place for place, name in enumerate(KINDS)}
    for group, question in questions.rows(also=("truth",)):
        name = group["group_id"]
        kind = KINDS[question["type"]]
        values = {theirs: question["truth"][ours] for theirs, ours, _ in kind.values}
        if None in values.values():
            raise StoreError(f"question {question['qa_id']} lacks a value that its type has: {AGAIN}")
        number = int(numbers[name][1:]) * QUESTIONS_A_GROUP + places[question["type"]]
        content = {
            "question_id": f"q{number:012d}_{numbers[name]}",
            "group_id": numbers[name],
            "question": text_after_images(group, question),
            "gt": question["answer"],
            "gt_value": values,
            "unit": {theirs: unit for theirs, _, unit in kind.values},
            "qa_category": kind.category,
            **shared[name],
            "qa_id": question["qa_id"],
        }
        yield f"strideqa_bench_t{kind.horizon}.json", json_item(content)


def _of_group(log: LogJob, group: Row) -> dict[str, Any]:
    """What all questions of a group share."""
    mark = group["marks"][0]
    views = group["context"]
    boxes = {region["context"]: [region[corner] for corner in CORNERS] for region in mark["regions"]}
    masks = {}
    for context, bucket in enumerate(BUCKETS):
        view = views[context]
        size_px = log.job.size_px or (view["width"], view["height"])
        masks[bucket] = box_rle(exported_box(boxes[context], view, log.job.size_px), size_px)
    noun = CATEGORIES[mark["category"]].noun if mark["category"] in CATEGORIES else mark["category"]
    return {"images": _image_names(group), "rle": masks, "region_id": mark["mark"], "object_class": noun}


def _sheet(questions: LogQuestions, numbers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    relations: dict[str, str | None] = {}
    for _, question in questions.rows(also=("slices",)):
        found = (question["slices"] or {}).get("relation") if question["marks"] else None
        relations[question["group_id"]] = relations.get(question["group_id"]) or found
    for name, number in numbers.items():
        category = questions.groups[name]["marks"][0]["category"]
        yield SHEET, _csv((number, category, RELATIONS.get(relations.get(name) or "", OTHER_RELATION), name))


def _csv(cells: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()
