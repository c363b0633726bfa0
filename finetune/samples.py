"""What the tuned model answers to some held-out questions, as a table for people."""

from __future__ import annotations

from collections.abc import Iterator

from drive_vqa.prompt import build_messages
from drive_vqa.vlm import Vlm
from eval.predict import PromptedQuestion
from finetune.config import FinetuneConfig
from finetune.dataset import LessonDataset, Row, ShownLesson
from finetune.zoom.answerer import zoom_answerer
from finetune.zoom.crops import PRESETS as ZOOMS

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
        columns["answer"].append(_answer(vlm, dataset, shown, question))
    return columns


def _chosen(dataset: LessonDataset, count: int) -> Iterator[tuple[ShownLesson, Row]]:
    """Evenly over the lessons, each with another of its questions."""
    lessons = min(count, len(dataset))
    for turn in range(lessons):
        shown = dataset.shown(turn * len(dataset) // lessons)
        questions = shown.lesson.questions
        yield shown, questions[turn % len(questions)]


def _answer(vlm: Vlm, dataset: LessonDataset, shown: ShownLesson, question: Row) -> str:
    group, size_px, zoom = shown.lesson.group, dataset.config.image_size_px, dataset.config.zoom
    if zoom is not None:
        return zoom_answerer(vlm, ZOOMS[zoom])([PromptedQuestion(dataset.store, group, question)])[0].text
    # regions are named already as the recipe says
    messages = vlm.processor.to_model_messages(build_messages(group, question), group, size_px)
    text = vlm.generate([messages], [shown.frames])[0]
    return vlm.processor.from_model_text(text, group, size_px, asked=question["question"])
