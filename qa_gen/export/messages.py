"""transformers and TRL: chat messages and image paths, one question a line.

    OUT/<split>.jsonl    {"messages": […], "images": ["images/<group_id>/0.jpg"], "qa_id", "group_id", "family", "type", "form"}

Messages have the form of chat templates: a list of pieces a turn, `{"type": "image"}` where an image stands. See
https://huggingface.co/docs/trl/dataset_formats (vision datasets). Paths are relative to OUT.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from drive_vqa.prompt import build_messages
from qa_gen.export.images import draw_images
from qa_gen.export.job import Job, LogJob
from qa_gen.export.lines import join_pieces, json_line, write_pieces
from qa_gen.export.records import LogQuestions
from qa_gen.export.spoken import spoken

NAMES = ("qa_id", "group_id", "family", "type", "form")

LOAD = """
```python
from datasets import Image, List, load_dataset

data = load_dataset("json", data_files="train.jsonl", split="train").cast_column("images", List(Image()))
```

Run it in this folder: image paths are relative to it. `data` is what `trl.SFTTrainer` takes for a vision model; `messages`
go through `processor.apply_chat_template`.
"""


def write_log(log: LogJob, questions: LogQuestions) -> None:
    """Write the images and lines of one log."""
    images = {name: draw_images(log, group, log.job.out) for name, group in questions.groups.items()}
    write_pieces(log, _lines(log, questions, images))


def finish(job: Job, logs: Sequence[LogJob]) -> None:
    """Join the lines of all logs."""
    for split in job.splits:
        join_pieces(logs, job.out / f"{split}.jsonl")


def _lines(log: LogJob, questions: LogQuestions, images: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    for group, question, said in spoken(log, questions):
        content: dict[str, Any] = {
            "messages": build_messages(group, question, said),
            "images": images[question["group_id"]],
            **{name: question[name] for name in NAMES},
        }
        yield f"{question['split']}.jsonl", json_line(content)
