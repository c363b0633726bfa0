"""V*Bench: multiple choice about details of large images (arXiv 2312.14135).

Data: the folder of craigwu/vstar_bench, or its `test_questions.jsonl`. A line has `image` (`direct_attributes/sa_1.jpg`),
`text` (the question, the options as `(A) …` a line each, and an instruction), `label` (a letter) and `category`
(`direct_attributes` or `relative_position`). The id is the path of the image without its suffix, since `question_id` starts
anew in every category.

In the JSON files beside the images the first option is the true one; models are shown the order of `test_questions.jsonl`, so
that alone is read. Source: the listing of the data set and code that reads it; the published file itself was not at hand. The
paper picks the likeliest option of a model; here, as elsewhere since, the option that an answer names.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from eval.answers import Parsed
from eval.benchmarks.options import option_of_letter, options_in_text
from eval.benchmarks.records import Record, read_json_lines
from eval.benchmarks.tasks import Task, checked

FILE = "test_questions.jsonl"


def read(path: Path) -> list[Task]:
    """The questions of the folder or file.

    Raises:
        RecordError: it cannot be read or does not have the layout.
    """
    file = path / FILE if path.is_dir() else path
    return checked([_task(record) for record in read_json_lines(file)], file)


def _task(record: Record) -> Task:
    text = record.text("text")
    options = options_in_text(text)
    if not options:
        raise record.error("'text' lists no options")
    image = PurePosixPath(record.text("image"))
    with record.making():
        return Task(
            image.with_suffix("").as_posix(),
            text,
            "choice",
            Parsed(choice=option_of_letter(record, "label", options)),
            image.as_posix(),
            options,
            {"category": record.text("category")},
        )
