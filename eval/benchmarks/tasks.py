"""One question of a benchmark, in one form for all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from drive_vqa.errors import RecordError
from eval.answers import Parsed

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Task:
    """A question with its true answer.

    Attributes:
        task_id: the benchmark's own id, which predictions give as `qa_id`.
        question: as the benchmark words it, without images.
        answer_type: one of `eval.parse.ANSWER_TYPES`, or what the benchmark's module reads itself.
        truth: the true answer.
        cluster: what questions that resemble each other share, such as the image; drawn for intervals.
        options: of a multiple choice, in the order shown.
        slices: the benchmark's own categories, by dimension.
        group: what several questions are about that are scored together.
        boxes_px: true boxes (left, top, right, bottom) in pixels of the original image.
        boxes_s: the second of the video that each box is of; none for images.
    """

    task_id: str
    question: str
    answer_type: str
    truth: Parsed
    cluster: str
    options: tuple[str, ...] = ()
    slices: Mapping[str, str] = field(default_factory=dict)
    group: str = ""
    boxes_px: tuple[Box, ...] = ()
    boxes_s: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check what must hold of every question.

        Raises:
            ValueError: it does not.
        """
        if not self.task_id or not self.cluster:
            raise ValueError("its id is empty")
        if self.answer_type == "choice" and self.truth.choice not in self.options:
            raise ValueError(f"the true answer {self.truth.choice!r} is not among its options")
        for left, top, right, bottom in self.boxes_px:
            if not (all(map(math.isfinite, (left, top, right, bottom))) and left < right and top < bottom):
                raise ValueError(f"box {[left, top, right, bottom]} has no area")
        if self.boxes_s and len(self.boxes_s) != len(self.boxes_px):
            raise ValueError("not every box has its second")


def checked(tasks: Sequence[Task], path: Path) -> list[Task]:
    """The questions of a benchmark, which must be some and have an id each.

    Raises:
        RecordError: there are none, or two have one id.
    """
    if not tasks:
        raise RecordError(f"{path} holds no questions: give the benchmark's file or folder")
    seen: set[str] = set()
    for task in tasks:
        if task.task_id in seen:
            raise RecordError(f"{path} has question {task.task_id!r} twice: leave one of them out")
        seen.add(task.task_id)
    return list(tasks)
