"""What is learned, row by row: lessons read from the store when they are asked for, with their frames decoded and marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image
from torch.utils.data import Dataset

from drive_vqa.errors import LogFormatError, StoreError
from drive_vqa.marks import draw_marks, marked_frames, regions_at
from drive_vqa.region_forms import style_of
from drive_vqa.store import Store
from finetune.config import FinetuneConfig
from finetune.lesson import PLAIN_COLUMNS, AnswerWriter, Lesson, LogReader, Row, Visit, Visits, as_asked
from finetune.lesson_index import LessonIndex, data_digest, lesson_texts, read_index
from finetune.renumber import renumber

__all__ = [
    "AnswerWriter",
    "BrokenLessonError",
    "Lesson",
    "LessonDataset",
    "LessonIndex",
    "Row",
    "ShownLesson",
    "Visit",
    "Visits",
    "data_digest",
    "lesson_texts",
    "read_index",
]


class BrokenLessonError(StoreError):
    """A lesson whose images cannot be shown.

    torch passes an error of a worker on as its class, called with the text of the whole traceback; what is for people is its end.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message.strip().rpartition(f"{type(self).__name__}: ")[2])


@dataclass(frozen=True)
class ShownLesson:
    """A lesson and the frames that it is about, oldest first, marks drawn."""

    lesson: Lesson
    frames: tuple[Image.Image, ...]


class LessonDataset(Dataset[list[ShownLesson]]):
    """Rows of lessons; all is read when asked for, so workers do it, and no file stays open."""

    def __init__(
        self, store: Store, index: LessonIndex, config: FinetuneConfig, *, writer: AnswerWriter | None = None
    ) -> None:
        """Prepare.

        Args:
            store: that was indexed.
            index: its lessons.
            config: a recipe.
            writer: as for `read_index`.
        """
        self.store = store
        self.index = index
        self.config = config
        self._writer = writer
        self._reader = LogReader(store, PLAIN_COLUMNS if writer is None else None)
        self._renumbered = config.renumber_marks and config.regions == "marks"
        self._frames: dict[tuple[int, int], tuple[Image.Image, ...]] = {}

    def __len__(self) -> int:
        """Lessons."""
        return len(self.index)

    def __getitem__(self, row: Visits) -> list[ShownLesson]:
        """The lessons of a row, as a plan names it.

        Raises:
            BrokenLessonError: an image is missing, damaged, or not what its log states.
        """
        return [self.shown(lesson, visit) for lesson, visit in row]

    def shown(self, lesson: int, visit: int = 0) -> ShownLesson:
        """A lesson with its frames; for the errors see above."""
        what = self.lesson(lesson, visit)
        try:
            return ShownLesson(what, self._shown(lesson, what.group))
        except (StoreError, LogFormatError) as error:
            raise BrokenLessonError(f"group {what.group['group_id']} cannot be shown: {error}") from error

    def lesson(self, lesson: int, visit: int = 0) -> Lesson:
        """A lesson without its frames.

        Args:
            lesson: its number in the index.
            visit: pass over the data; mark numbers are dealt anew in each, where the recipe says so.

        Raises:
            StoreError: the store is not the one that was indexed.
        """
        index = self.index
        log_id = index.log_ids[index.log[lesson]]
        group = self._reader.group(log_id, int(index.group[lesson]))
        rows = index.question[index.start[lesson] : index.stop[lesson]]
        asked = tuple(self._asked(log_id, question, group) for question in self._reader.questions(log_id, rows))
        what = Lesson(group, asked)
        return renumber(what, self.config.seed, visit) if self._renumbered else what

    def groups(self) -> Sequence[Row]:
        """The groups of all lessons, each once, in order; without images, and all in memory: for small stores."""
        places = dict.fromkeys(zip(self.index.log.tolist(), self.index.group.tolist(), strict=True))
        return [self._reader.group(self.index.log_ids[log], group) for log, group in places]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_frames": {}}

    def _asked(self, log_id: str, question: Row, group: Row) -> Row:
        answer = None if self._writer is None else self._writer(self.store, log_id, group, question)
        left_out = self._writer is not None and answer is None
        asked = None if left_out else as_asked(question, group, self.config.regions, answer)
        if asked is None or question["group_id"] != group["group_id"]:
            raise StoreError(f"{self.store.root} has changed since it was indexed (log {log_id}): start again")
        return asked

    def _shown(self, lesson: int, group: Row) -> tuple[Image.Image, ...]:
        """Frames; where they are kept and numbers are dealt anew, the bare ones are kept."""
        size_px, style = self.config.image_size_px, style_of(self.config.regions)
        if not self.config.cache_images:
            return tuple(marked_frames(self.store, group, size_px, style=style))
        key = (int(self.index.log[lesson]), int(self.index.group[lesson]))
        if key not in self._frames:
            kept = "none" if self._renumbered else style
            self._frames[key] = tuple(marked_frames(self.store, group, size_px, style=kept))
        return self._drawn(self._frames[key], group) if self._renumbered else self._frames[key]

    def _drawn(self, frames: Sequence[Image.Image], group: Row) -> tuple[Image.Image, ...]:
        drawn = []
        for context, (frame, view) in enumerate(zip(frames, group["context"], strict=True)):
            scale = (frame.width / view["width"], frame.height / view["height"])
            drawn.append(draw_marks(frame, regions_at(group, context), scale, style="fill"))
        return tuple(drawn)
