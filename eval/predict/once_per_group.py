"""What is made once for all questions of a group, such as its frames: they come one after another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Generic, TypeVar

from eval.predict.asked import PromptedQuestion

Made = TypeVar("Made")

KEPT_GROUPS = 8
"""Groups whose things are kept."""


class OncePerGroup(Generic[Made]):
    """Keeps what was made for the last groups; any number of threads may ask, whoever comes first makes it.

    Args:
        make: makes it from any question of a group; what it raises goes to all who wait.
        per_question: it is another thing for each question.
    """

    def __init__(self, make: Callable[[PromptedQuestion], Made], *, per_question: bool = False) -> None:
        self._make, self._per_question = make, per_question
        self._kept: dict[tuple[Path, str, str, str], Future[Made]] = {}
        self._lock = threading.Lock()

    def of(self, asked: PromptedQuestion) -> Made:
        """What belongs to a question."""
        own = asked.question["qa_id"] if self._per_question else ""
        key = (asked.store.root, asked.group["log_id"], asked.group["group_id"], own)
        with self._lock:
            known = self._kept.get(key)
            made = known or self._kept.setdefault(key, Future())
            if len(self._kept) > KEPT_GROUPS:
                self._kept.pop(next(iter(self._kept)))
        if known is None:
            try:
                made.set_result(self._make(asked))
            except Exception as error:  # noqa: BLE001 - whoever waits for it must be told
                made.set_exception(error)
        return made.result()
