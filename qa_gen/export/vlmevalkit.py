"""VLMEvalKit: one TSV a split with multiple-choice and yes/no questions, images inside.

    OUT/drive_vqa_<split>.tsv    index, image, image_path, question, A, B, …, answer, category, l2-category, split, qa_id

Put the file in `$LMUData` and give `--data drive_vqa_<split>`: VLMEvalKit takes a file of this shape as a multiple-choice
data set (`vlmeval/dataset/image_mcq.py`, `CustomMCQDataset`). Images are base64; several are a list, written as Python
writes it. They stand in the first row of their group; the others hold the index of that row instead, as VLMEvalKit allows.
A yes/no question has the options "yes" and "no". Bare numbers among the options stand in quotes, since pandas would turn 3
into 3.0. VLMEvalKit puts the images before the text, so the text says what they are. Files above 1 GB it unpacks in a way
that does not know rows that point at others: export a smaller `--size`, or fewer logs.
"""

from __future__ import annotations

import base64
import csv
import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from drive_vqa.errors import StoreError
from drive_vqa.marks import marked_frames
from qa_gen.export.chat import letter, text_after_images
from qa_gen.export.images import jpeg
from qa_gen.export.job import Job, LogJob
from qa_gen.export.lines import join_pieces, write_pieces
from qa_gen.export.records import AGAIN, LogQuestions

logger = logging.getLogger(__name__)

FORMS = ("choice", "yes_no")
YES_NO = ("yes", "no")
OPTIONS = 26
ROWS_A_LOG = 10_000_000
"""Indices of log number n start at n times this."""

NOT_TEXT = frozenset(
    (
        "",
        "#N/A",
        "#N/A N/A",
        "#NA",
        "-1.#IND",
        "-1.#QNAN",
        "-NaN",
        "-nan",
        "1.#IND",
        "1.#QNAN",
        "<NA>",
        "N/A",
        "NA",
        "NULL",
    )
) | frozenset(("NaN", "None", "n/a", "nan", "null", "True", "False", "TRUE", "FALSE", "true", "false"))
"""What pandas, which reads the file, takes for something else than text: https://pandas.pydata.org/docs/reference/api/pandas.read_csv.html"""

UNPACKED_BYTES = 1_000_000_000
COLUMNS = (
    ("index", "image", "image_path", "question"),
    tuple(letter(place) for place in range(OPTIONS)),
    ("answer", "category", "l2-category", "split", "qa_id"),
)
LOAD = """
```
LMUData=THIS_FOLDER python run.py --data drive_vqa_test --model …
```

VLMEvalKit unpacks the images into this folder. Its accuracy is by `split`, `category` (our type) and `l2-category` (our
family). Questions with free answers are not in these files.
"""

Row = Mapping[str, Any]


def choose(questions: pa.Table, _groups: Mapping[str, Any], _job: Job) -> pa.Table:
    """Questions with options."""
    return questions.filter(pc.is_in(questions["form"], pa.array(FORMS)))


def write_log(log: LogJob, questions: LogQuestions) -> None:
    """Write the rows of one log.

    Raises:
        StoreError: a question has no right option, or more options than letters.
    """
    write_pieces(log, _rows(log, questions))


def finish(job: Job, logs: Sequence[LogJob]) -> None:
    """Join the rows of all logs."""
    for split in job.splits:
        path = job.out / f"drive_vqa_{split}.tsv"
        join_pieces(logs, path, head=_tsv([name for names in COLUMNS for name in names]))
        if path.exists() and path.stat().st_size > UNPACKED_BYTES:
            logger.warning(
                "%s is above 1 GB, which VLMEvalKit cannot unpack: export a smaller --size or fewer logs", path
            )


def _rows(log: LogJob, questions: LogQuestions) -> Iterator[tuple[str, str]]:
    start = log.number * ROWS_A_LOG
    for split in log.job.splits:
        first: dict[str, int] = {}
        for group, question in questions.rows(split):
            name = group["group_id"]
            image = str(first[name]) if name in first else _images(log, group)
            first.setdefault(name, start)
            cells = [str(start), image, _paths(group), *_asked(group, question), split, question["qa_id"]]
            yield f"drive_vqa_{split}.tsv", _tsv(cells)
            start += 1


def _asked(group: Row, question: Row) -> list[str]:
    """Question, options, answer and categories."""
    options = question["options"] if question["form"] == "choice" else YES_NO
    if not options or len(options) > OPTIONS or question["answer"] not in options:
        raise StoreError(
            f"question {question['qa_id']} has no right one among its {len(options or ())} options: {AGAIN}"
        )
    text = text_after_images(group, {**question, "options": None})
    right = letter(list(options).index(question["answer"]))
    shown = [_as_text(option) for option in options]
    return [text, *shown, *[""] * (OPTIONS - len(shown)), right, question["type"], question["family"]]


def _as_text(option: str) -> str:
    """An option that stays what it is in a column of numbers and gaps: "3" would be read as 3.0."""
    try:
        float(option)
    except ValueError:
        return f'"{option}"' if option in NOT_TEXT else option
    return f'"{option}"'


def _images(log: LogJob, group: Row) -> str:
    texts = [
        base64.b64encode(jpeg(image)).decode("ascii") for image in marked_frames(log.job.store, group, log.job.size_px)
    ]
    return texts[0] if len(texts) == 1 else repr(texts)


def _paths(group: Row) -> str:
    """What VLMEvalKit shall call the images when it unpacks them: once a group, not once a question."""
    paths = [f"{group['group_id']}-{context}.jpg" for context in range(len(group["context"]))]
    return paths[0] if len(paths) == 1 else repr(paths)


def _tsv(cells: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter="\t", lineterminator="\n").writerow(cells)
    return buffer.getvalue()
