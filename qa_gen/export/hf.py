"""A Hugging Face data-set folder: `datasets.load_dataset(OUT)`.

    OUT/README.md                           card: counts, licences, biases; and what `datasets` reads first
    OUT/data/<split>/<log_id>.parquet       one group a row: its images (`datasets.Image`, embedded), marks and questions
    OUT/questions/<split>/<log_id>.parquet  config `questions`: one question a row with its typed truth, no images

A group's questions share its images, dozens of questions a group, so a row is a group and each image is stored once. One file
a log and split. See https://huggingface.co/docs/datasets/repository_structure and .../docs/hub/datasets-cards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from drive_vqa.marks import marked_frames
from drive_vqa.store import replacing
from qa_gen.export.images import jpeg
from qa_gen.export.job import LogJob
from qa_gen.export.records import CORNERS, LogQuestions, exported_box

GROUPS, QUESTIONS = "data", "questions"
GROUPS_A_BATCH = 16
"""Groups whose images are in memory at once, and that make a row group."""

ASKED = ("qa_id", "family", "type", "form", "answer_type", "marks", "question", "options", "answer")
LOAD = """
```python
from datasets import load_dataset

groups = load_dataset("THIS_FOLDER")                 # a moment a row: images, marks, and all questions about it
flat = load_dataset("THIS_FOLDER", "questions")      # a question a row with its typed truth, without images
```

A group's questions are asked about its `images`, oldest first. The numbers of `marks` are drawn on them. `box_px` is left,
top, right, bottom.
"""

Row = dict[str, Any]


def write_log(log: LogJob, questions: LogQuestions) -> None:
    """Write the shards of one log."""
    for split in log.splits:
        rows = questions.table.filter(pc.equal(questions.table["split"], split))
        if rows.num_rows == 0:
            continue  # `datasets` cannot read a file without rows
        _write(log, QUESTIONS, split, rows.schema, iter([rows]))
        asked: dict[str, list[Row]] = {}
        for question in rows.select([*ASKED, "group_id"]).to_pylist():
            asked.setdefault(question.pop("group_id"), []).append(question)
        groups = [group for name, group in questions.groups.items() if name in asked]
        _write(log, GROUPS, split, _features().arrow_schema, _batches(log, groups, asked))


def front_matter(splits: Sequence[str]) -> dict[str, Any]:
    """What `datasets` reads: which files are which split of which config.

    Args:
        splits: that have questions.
    """
    configs = []
    for name, folder in (("default", GROUPS), ("questions", QUESTIONS)):
        files = [{"split": split, "path": f"{folder}/{split}/*.parquet"} for split in splits]
        configs.append({"config_name": name, "data_files": files})
    return {"configs": configs}


def _write(log: LogJob, folder: str, split: str, schema: pa.Schema, batches: Iterator[pa.Table]) -> None:
    path = log.shard(folder, split)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_table(batch)


def _batches(log: LogJob, groups: Sequence[Row], asked: Mapping[str, list[Row]]) -> Iterator[pa.Table]:
    for start in range(0, len(groups), GROUPS_A_BATCH):
        rows = [_row(log, group, asked[group["group_id"]]) for group in groups[start : start + GROUPS_A_BATCH]]
        yield pa.Table.from_pylist(rows, _features().arrow_schema)


def _row(log: LogJob, group: Row, questions: list[Row]) -> Row:
    views = group["context"]
    images = [jpeg(image) for image in marked_frames(log.job.store, group, log.job.size_px)]
    return {
        **{name: group[name] for name in ("group_id", "kind", "log_id", "frame")},
        "images": [{"bytes": image, "path": f"{context}.jpg"} for context, image in enumerate(images)],
        "offsets_s": [view["offset_s"] for view in views],
        "cameras": [view["camera"] for view in views],
        "marks": [_mark(mark, views, log.job.size_px) for mark in group["marks"]],
        "questions": questions,
    }


def _mark(mark: Row, views: Sequence[Row], size_px: tuple[int, int] | None) -> Row:
    boxes = [
        {
            "image": region["context"],
            "box_px": list(exported_box([region[corner] for corner in CORNERS], views[region["context"]], size_px)),
            "visible_fraction": region["visible_fraction"],
        }
        for region in mark["regions"]
    ]
    return {**{name: mark[name] for name in ("mark", "category", "description")}, "boxes": boxes}


@cache
def _features() -> Any:
    """Columns of the default config, as `datasets` knows them."""
    from datasets import Features, Image, List, Value

    text, number, real = Value("string"), Value("int32"), Value("float64")
    box = {"image": number, "box_px": List(number), "visible_fraction": real}
    asked = {**dict.fromkeys(ASKED, text), "marks": List(number), "options": List(text)}
    return Features(
        {
            **dict.fromkeys(("group_id", "kind", "log_id"), text),
            "frame": number,
            "images": List(Image()),
            "offsets_s": List(real),
            "cameras": List(text),
            "marks": List({"mark": number, "category": text, "description": text, "boxes": List(box)}),
            "questions": List(asked),
        }
    )
