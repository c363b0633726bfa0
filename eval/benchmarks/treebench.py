"""TreeBench: multiple choice about small things in crowded images, with the boxes that an answer rests on (arXiv 2507.07999).

    grounding.miou_recall       mean over questions of the mean over true boxes of the best IoU with a told box: as published
    grounding.miou_precision    the same over told boxes: what listing boxes costs
    grounding.miou_matched      one-to-one assignment, divided by the greater of both counts

Data: `TreeBench.tsv`, parted by tabs, a row a question. Taken are `index` (the id), `question`, `answer` (a letter), `category`
(`Perception/Attributes`), `target_instances` (`[[left, top, right, bottom], …]`, pixels of the original image) and the options,
in columns `A`, `B`, … or else listed in `multi-choice options` or in the question; `image` (base64) is skipped.

Told boxes are those in `<box>[…]</box>` in the thought, or before the answer where no thought is marked, in pixels of the
original image: a model that sees a resized image must have its boxes scaled back. Published code takes boxes without blanks and
with whole numbers alone, and drops those without area; here they count as told.

Layout and metrics as in TreeVGR's `inference_treebench.py` and VLMEvalKit's `TreeBench`. Not verified on the published file:
which of the places for options it fills.
"""

from __future__ import annotations

from pathlib import Path
from string import ascii_uppercase

import numpy as np

from eval.answers import Parsed
from eval.benchmarks.options import option_of_letter, options_in_text
from eval.benchmarks.records import Record, read_tsv
from eval.benchmarks.scored import Metrics, Scored, overall, sliced
from eval.benchmarks.tasks import Task, checked
from eval.evidence.boxes import matched_of, pairwise_iou, precision_of, recall_of
from eval.panel.answered import share_at
from eval.reasoning.read import read_trace

NEEDED = ("index", "question", "answer", "category", "target_instances")
LISTED = "multi-choice options"
FIGURES = {"miou_recall": recall_of, "miou_precision": precision_of, "miou_matched": matched_of}


def read(path: Path) -> list[Task]:
    """The questions of `TreeBench.tsv`.

    Raises:
        RecordError: the file cannot be read or does not have the layout.
    """
    return checked([_task(record) for record in read_tsv(path, NEEDED, (LISTED, *ascii_uppercase))], path)


def metrics(scored: Scored) -> Metrics:
    """Accuracy and the agreement of boxes, over all questions and by category."""
    yield from overall(scored)
    ious = [_iou(task, text) for task, text in zip(scored.tasks, scored.texts, strict=True)]
    for name, figure in FIGURES.items():
        values = np.array([figure(iou) for iou in ious])
        yield f"grounding.{name}", share_at(values, scored.rows)
        yield from sliced(name, scored, values)


def _task(record: Record) -> Task:
    options = _options(record)
    category = record.text("category")
    boxes_px = record.boxes("target_instances")
    if not boxes_px:
        raise record.error("'target_instances' is empty")
    with record.making():
        return Task(
            record.text("index"),
            record.text("question"),
            "choice",
            Parsed(choice=option_of_letter(record, "answer", options)),
            record.text("index"),
            options,
            {"area": category.partition("/")[0], "category": category},
            boxes_px=boxes_px,
        )


def _options(record: Record) -> tuple[str, ...]:
    in_columns = [record.values.get(letter) or "" for letter in ascii_uppercase]
    filled = tuple(option for option in in_columns if option.strip())
    if filled:
        return filled
    for name in (LISTED, "question"):
        listed = options_in_text(record.values.get(name) or "")
        if listed:
            return listed
    raise record.error("it has no options")


def _iou(task: Task, text: str | None) -> np.ndarray:
    """IoU of true and told boxes."""
    told = [] if text is None else [claim.box_px for claim in read_trace(_with_thought(text), "treevgr").seen]
    return pairwise_iou(np.array(task.boxes_px), np.array(told, dtype=np.float64).reshape(-1, 4))


def _with_thought(text: str) -> str:
    """The text with its thought marked."""
    return text if "<think>" in text or "</think>" in text else f"<think>{text}"
