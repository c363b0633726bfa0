"""ms-swift: its standard lines, in its grounding form where the answer is a box.

    OUT/<split>.jsonl              {"messages": [{"role": "user", "content": "…<image>…"}, …], "images": […]}
    OUT/<split>_grounding.jsonl    the same with "objects": answers that are boxes

Where the answer is a box, the region asked about is a `<ref-object>`, the box a `<bbox>`, and `objects` holds what fills
them: `ref`, `bbox` in pixels of the exported image, and `image_id`, the image that the box lies in. ms-swift turns boxes
into what its model wants. They have a file of their own, because `datasets` wants the same columns in all lines of a file.
See https://swift.readthedocs.io/en/latest/Customization/Custom-dataset.html#grounding.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qa_gen.export.chat import tagged_turns
from qa_gen.export.images import draw_images
from qa_gen.export.job import Job, LogJob
from qa_gen.export.lines import join_pieces, json_line, write_pieces
from qa_gen.export.records import BOX_TYPES, LogQuestions, box_of, context_of_box, with_box_as

GROUNDING = "_grounding"
REF, BBOX = "<ref-object>", "<bbox>"

LOAD = """
```
cd THIS_FOLDER && swift sft … --dataset train.jsonl train_grounding.jsonl --val_dataset val.jsonl
```

Image paths are relative to this folder, so run it here. Answers of `…_grounding.jsonl` are boxes, in the pixels of the images.
"""


def write_log(log: LogJob, questions: LogQuestions) -> None:
    """Write the images and lines of one log."""
    images = {name: draw_images(log, group, log.job.out) for name, group in questions.groups.items()}
    write_pieces(log, _lines(log, questions, images))


def finish(job: Job, logs: Sequence[LogJob]) -> None:
    """Join the lines of all logs."""
    for split in job.splits:
        for name in (f"{split}.jsonl", f"{split}{GROUNDING}.jsonl"):
            join_pieces(logs, job.out / name)


def _lines(log: LogJob, questions: LogQuestions, images: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    for group, question in questions.rows(also=("truth", "evidence")):
        user, assistant = tagged_turns(group, question)
        kind = ""
        extra: dict[str, Any] = {}
        if question["answer_type"] in BOX_TYPES:
            kind = GROUNDING
            user, assistant, extra = _grounded(log, group, question, user)
        turns = [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}]
        content = {"messages": turns, "images": images[question["group_id"]], **extra, "qa_id": question["qa_id"]}
        yield f"{question['split']}{kind}.jsonl", json_line(content)


def _grounded(
    log: LogJob, group: Mapping[str, Any], question: Mapping[str, Any], user: str
) -> tuple[str, str, dict[str, Any]]:
    """Both turns with places to fill, and what fills them."""
    box = box_of(question)
    names = "|".join(rf"\bRegion {mark}\b" for mark in question["marks"] or ()) or r"(?!)"
    objects = {
        "ref": re.findall(names, user),
        "bbox": [box],
        "image_id": [context_of_box(group, question, box, log.job.size_px)],
    }
    return re.sub(names, REF, user), with_box_as(question, BBOX), {"objects": objects}
