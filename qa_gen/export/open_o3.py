"""Open-o3 Video: grounded reasoning with key frames and what they show, see `drive_vqa.key_frames`.

    OUT/open_o3_<split>.json    a list of records; paths are relative to OUT, boxes are in pixels of the images there

Reasoning is always a chain in the dialect `open_o3`. As in their data a box that covers more than 80 % of its image is not told,
a record has one to five key frames (of more, the first, the last and others evenly between), and each shows one to three objects,
those asked about first. The chain tells of these alone. Left out are questions without such a box, and groups whose images share
a time (surround views), differ in size or have none that is known: a box is known by its time and counted in one size. There are
no corrected chains, since what they tell at first is not true.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from drive_vqa.errors import StoreError
from drive_vqa.key_frames import Box, KeyFrame, KeyFrameRecord
from drive_vqa.schema import QUESTIONS
from drive_vqa.traces import decimal
from qa_gen.export.chat import question_text
from qa_gen.export.images import draw_images
from qa_gen.export.job import Job, LogJob
from qa_gen.export.lines import join_pieces, json_item, write_pieces
from qa_gen.export.records import AGAIN, LogQuestions, Row
from qa_gen.export.spoken import as_exported, spoken

TASK = "temporal-spatial free-form QA"
"""Their name of questions whose reasoning tells objects, boxes and times."""

MOST_SHARE = 0.8
MOST_FRAMES = 5
MOST_OBJECTS = 3
BETWEEN = ",\n"

LOAD = """
```python
import json

records = json.load(open("open_o3_train.json"))
```

`idx` of a key frame is its place in `images`, `times` are seconds from the first image. Boxes are in pixels of `image_size`;
divide by width and height for the shares that the released data has.
"""


def choose(questions: pa.Table, groups: Mapping[str, Row], _job: Job) -> pa.Table:
    """Questions with something to tell; of their evidence what a record holds."""
    rows = questions.select(["group_id", "marks", "evidence"]).to_pylist()
    told = [key_evidence(row, groups[row["group_id"]]) for row in rows]
    place = questions.schema.get_field_index("evidence")
    questions = questions.set_column(place, "evidence", pa.array(told, QUESTIONS.field("evidence").type))
    return questions.filter(pa.array([bool(evidence) for evidence in told], pa.bool_()))


def write_log(log: LogJob, questions: LogQuestions) -> None:
    """Write the images and records of one log."""
    images = {name: draw_images(log, group, log.job.out) for name, group in questions.groups.items()}
    write_pieces(log, _items(log, questions, images), BETWEEN)


def finish(job: Job, logs: Sequence[LogJob]) -> None:
    """Join the records of all logs."""
    for split in job.splits:
        join_pieces(logs, job.out / f"open_o3_{split}.json", head="[\n", between=BETWEEN, tail="\n]\n")


def key_evidence(question: Mapping[str, Any], group: Mapping[str, Any]) -> list[dict[str, int]]:
    """The entries of a question's evidence that a record tells of, in order of time; none where it cannot tell any.

    Args:
        question: with `marks` and `evidence`.
        group: that it belongs to, boxes and sizes of the same image.
    """
    views = group["context"]
    sizes = {(view["width"], view["height"]) for view in views}
    if len(set(_times_s(views))) < len(views) or len(sizes) > 1 or any(None in size for size in sizes):
        return []
    can_tell = {
        (mark["mark"], region["context"])
        for mark in group["marks"]
        for region in mark["regions"]
        if _may_be_told(region, views[region["context"]])
    }
    order = {mark: place for place, mark in enumerate(question["marks"])}
    entries = {(entry["mark"], entry["context"]) for entry in question["evidence"] or ()} & can_tell
    shown: dict[int, list[int]] = {}
    for mark, context in sorted(entries, key=lambda entry: (entry[1], order.get(entry[0], len(order)), entry[0])):
        shown.setdefault(context, []).append(mark)
    return [
        {"mark": mark, "context": context} for context in _spread(list(shown)) for mark in shown[context][:MOST_OBJECTS]
    ]


def _may_be_told(region: Mapping[str, float], view: Mapping[str, Any]) -> bool:
    """A box with an area in whole pixels that does not fill the image."""
    u0, v0, u1, v1 = _whole(region)
    share = (u1 - u0) * (v1 - v0) / (view["width"] * view["height"])
    return u1 > u0 and v1 > v0 and share <= MOST_SHARE


def _whole(region: Mapping[str, float]) -> tuple[int, int, int, int]:
    """The box as traces tell it."""
    return round(region["u0_px"]), round(region["v0_px"]), round(region["u1_px"]), round(region["v1_px"])


def _spread(contexts: list[int]) -> list[int]:
    """All, or so many that a record may have: the first, the last, and others between."""
    if len(contexts) <= MOST_FRAMES:
        return contexts
    step = (len(contexts) - 1) / (MOST_FRAMES - 1)
    return [contexts[round(place * step)] for place in range(MOST_FRAMES)]


def _times_s(views: Sequence[Mapping[str, Any]]) -> list[float]:
    """Of the images from the first, to a tenth as traces tell them."""
    return [float(decimal(view["offset_s"] - views[0]["offset_s"])) for view in views]


def _items(log: LogJob, questions: LogQuestions, images: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    shown = {name: as_exported(group, log.job.size_px) for name, group in questions.groups.items()}
    for _, question, said in spoken(log, questions):
        record = _record(shown[question["group_id"]], question, said, images[question["group_id"]])
        content = {**record.as_json(), "group_id": question["group_id"], "type": question["type"]}
        yield f"open_o3_{question['split']}.json", json_item(content)


def _record(group: Row, question: Row, said: str, images: Sequence[str]) -> KeyFrameRecord:
    """A question whose group has its boxes in pixels of the exported images."""
    times_s, view = _times_s(group["context"]), group["context"][0]
    thought, _, _ = said.removeprefix("<think>\n").partition("\n</think>\n")
    contexts = sorted({entry["context"] for entry in question["evidence"]})
    try:
        return KeyFrameRecord(
            record_id=question["qa_id"],
            task=TASK,
            question=question_text(group, question),
            answer=question["answer"],
            reasoning=thought,
            key_frames=tuple(KeyFrame(context, times_s[context]) for context in contexts),
            key_items={context: _key_items(group, question, context) for context in contexts},
            images=tuple(images),
            times_s=tuple(times_s),
            size_px=(view["width"], view["height"]),
        )
    except ValueError as error:
        raise StoreError(f"question {question['qa_id']} cannot be a record ({error}): {AGAIN}") from error


def _key_items(group: Row, question: Row, context: int) -> dict[str, tuple[Box, ...]]:
    """What the key frame shows, in the order in which it is told."""
    shown = {
        mark["mark"]: _whole(region)
        for mark in group["marks"]
        for region in mark["regions"]
        if region["context"] == context
    }
    told = [entry["mark"] for entry in question["evidence"] if entry["context"] == context]
    return {f"Region {mark}": (shown[mark],) for mark in told}
