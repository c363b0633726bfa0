"""LLaMA-Factory: multi-modal data in its sharegpt form, and the description that it looks data sets up in.

    OUT/dataset_info.json          drive_vqa_<split>: which file, which columns
    OUT/drive_vqa_<split>.json     [{"conversations": [{"from": "human", "value": "…<image>…"}, …], "images": […]}, …]

Both `dataset_dir` and `media_dir` are OUT. See https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md: there are
as many `<image>` tags as images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from drive_vqa.store import write_json
from qa_gen.export.chat import tagged_turns
from qa_gen.export.images import draw_images
from qa_gen.export.job import Job, LogJob
from qa_gen.export.lines import join_pieces, json_item, write_pieces
from qa_gen.export.records import LogQuestions
from qa_gen.export.spoken import spoken

BETWEEN = ",\n"

LOAD = """
```
llamafactory-cli train … --dataset drive_vqa_train --dataset_dir THIS_FOLDER --media_dir THIS_FOLDER
```
"""


def write_log(log: LogJob, questions: LogQuestions) -> None:
    """Write the images and conversations of one log."""
    images = {name: draw_images(log, group, log.job.out) for name, group in questions.groups.items()}
    write_pieces(log, _items(log, questions, images), BETWEEN)


def finish(job: Job, logs: Sequence[LogJob]) -> None:
    """Join the conversations of all logs and describe the files."""
    columns = {"messages": "conversations", "images": "images"}
    info = {}
    for split in job.splits:
        name = f"drive_vqa_{split}"
        if join_pieces(logs, job.out / f"{name}.json", head="[\n", between=BETWEEN, tail="\n]\n"):
            info[name] = {"file_name": f"{name}.json", "formatting": "sharegpt", "columns": columns}
    write_json(job.out / "dataset_info.json", info)


def _items(log: LogJob, questions: LogQuestions, images: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    for group, question, said in spoken(log, questions):
        user, assistant = tagged_turns(group, question, said)
        turns = [{"from": "human", "value": user}, {"from": "gpt", "value": assistant}]
        content = {"conversations": turns, "images": images[question["group_id"]], "qa_id": question["qa_id"]}
        yield f"drive_vqa_{question['split']}.json", json_item(content)
