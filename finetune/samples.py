"""What the tuned model answers to some held-out questions, as a table for people."""

from __future__ import annotations

from collections.abc import Iterator

from drive_vqa.prompt import build_messages
from drive_vqa.vlm import Vlm
from finetune.config import FinetuneConfig
from finetune.dataset import LessonDataset, Row, ShownLesson

Columns = dict[str, list[str]]


def answered_samples(vlm: Vlm, dataset: LessonDataset, config: FinetuneConfig) -> Columns:
    """Questions with the truth and the model's greedy answers, one question of each lesson in turn.

    Args:
        vlm: tuned.
        dataset: held-out lessons.
        config: how many, and how regions are named.
    """
    columns: Columns = {"qa_id": [], "question": [], "truth": [], "answer": []}
    for shown, question in _chosen(dataset, config.evaluation.samples):
        columns["qa_id"].append(question["qa_id"])
        columns["question"].append(question["question"])
        columns["truth"].append(question["answer"])
        columns["answer"].append(_answer(vlm, shown, question, config))
    return columns


def _chosen(dataset: LessonDataset, count: int) -> Iterator[tuple[ShownLesson, Row]]:
    """Evenly over the lessons, each with another of its questions."""
    lessons = min(count, len(dataset))
    for turn in range(lessons):
        shown = dataset.shown(turn * len(dataset) // lessons)
        questions = shown.lesson.questions
        yield shown, questions[turn % len(questions)]


def _answer(vlm: Vlm, shown: ShownLesson, question: Row, config: FinetuneConfig) -> str:
    group, size_px = shown.lesson.group, config.image_size_px
    # regions are named already as the recipe says
    messages = vlm.processor.to_model_messages(build_messages(group, question), group, size_px)
    text = vlm.generate([messages], [shown.frames])[0]
    return vlm.processor.from_model_text(text, group, size_px, asked=question["question"])
