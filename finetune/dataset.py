"""What is learned: the questions of a split, one group of them an item, with their frames decoded and marked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image
from torch.utils.data import Dataset

from drive_vqa.errors import StoreError
from drive_vqa.marks import marked_frames
from drive_vqa.prompt import question_content
from drive_vqa.store import Store

Row = dict[str, Any]
QUESTION_COLUMNS = ("qa_id", "group_id", "family", "question", "options", "answer", "split")


@dataclass(frozen=True)
class Lesson:
    """Questions about one group that are learned in one go."""

    group: Row
    questions: tuple[Row, ...]


@dataclass(frozen=True)
class ShownLesson:
    """A lesson and the frames that it is about, oldest first, marks drawn."""

    lesson: Lesson
    frames: tuple[Image.Image, ...]


class LessonDataset(Dataset[ShownLesson]):
    """Lessons by number; frames are read when asked for, so workers do it."""

    def __init__(
        self, store: Store, lessons: Sequence[Lesson], size_px: tuple[int, int], *, cache_images: bool = False
    ) -> None:
        self.store = store
        self.lessons = lessons
        self.size_px = size_px
        self._frames: dict[str, tuple[Image.Image, ...]] | None = {} if cache_images else None

    def __len__(self) -> int:
        return len(self.lessons)

    def __getitem__(self, index: int) -> ShownLesson:
        lesson = self.lessons[index]
        return ShownLesson(lesson, self._shown(lesson.group))

    def _shown(self, group: Row) -> tuple[Image.Image, ...]:
        if self._frames is None:
            return tuple(marked_frames(self.store, group, self.size_px))
        group_id = group["group_id"]
        if group_id not in self._frames:
            self._frames[group_id] = tuple(marked_frames(self.store, group, self.size_px))
        return self._frames[group_id]


def read_lessons(
    store: Store, split: str, families: Sequence[str] = (), questions_per_lesson: int = 32
) -> list[Lesson]:
    """The lessons of a split, in the order of logs, groups and questions in the store.

    Args:
        store: with groups and questions.
        split: name of the split.
        families: question families; empty: all.
        questions_per_lesson: a group with more questions becomes several lessons.

    Raises:
        StoreError: there is nothing to learn, or a question names a group that is not there.
    """
    lessons = [
        lesson
        for log_id in store.log_ids("questions")
        for lesson in _lessons_of(store, log_id, split, families, questions_per_lesson)
    ]
    if not lessons:
        of = f" of the families {', '.join(families)}" if families else ""
        raise StoreError(
            f"{store.root} has no questions{of} in split {split!r}: run `drive-vqa generate` or name another split"
        )
    return lessons


def lessons_digest(lessons: Iterable[Lesson]) -> str:
    """SHA-256 over the sorted ids of the questions: what was learned, whatever the order."""
    ids = sorted(question["qa_id"] for lesson in lessons for question in lesson.questions)
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()


def lesson_texts(lessons: Iterable[Lesson]) -> Iterator[str]:
    """Every question as it is asked, with its options, and every answer."""
    for lesson in lessons:
        for question in lesson.questions:
            yield from (part["text"] for part in question_content(question))
            yield question["answer"]


def _lessons_of(store: Store, log_id: str, split: str, families: Sequence[str], size: int) -> list[Lesson]:
    questions = store.read("questions", log_id, QUESTION_COLUMNS)
    chosen = pc.equal(questions["split"], split)
    if families:
        chosen = pc.and_(chosen, pc.is_in(questions["family"], value_set=pa.array(list(families), pa.string())))
    by_group: dict[str, list[Row]] = {}
    for question in questions.filter(chosen).to_pylist():
        by_group.setdefault(question["group_id"], []).append(question)
    if not by_group:
        return []
    groups = {group["group_id"]: group for group in store.read("groups", log_id).to_pylist()}
    lost = sorted(set(by_group) - set(groups))
    if lost:
        about = f"log {log_id} has questions about the group {lost[0]}"
        raise StoreError(f"{about}, which is not there: run `drive-vqa generate` again")
    return [
        Lesson(groups[group_id], tuple(asked[start : start + size]))
        for group_id, asked in by_group.items()
        for start in range(0, len(asked), size)
    ]
