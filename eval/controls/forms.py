"""The form in which a question is asked: open, choice or yes_no. Answerers are not told, but probes depend on it."""

from __future__ import annotations

from functools import lru_cache

from drive_vqa.store import Store
from eval.predict.asked import PromptedQuestion


def form_of(asked: PromptedQuestion) -> str:
    """As in the store.

    Raises:
        StoreError: the log has no questions.
    """
    return _forms(asked.store, asked.question["log_id"])[asked.question["qa_id"]]


@lru_cache(maxsize=2)
def _forms(store: Store, log_id: str) -> dict[str, str]:
    """By qa_id; questions come log by log."""
    table = store.read("questions", log_id, ("qa_id", "form"))
    return dict(zip(table["qa_id"].to_pylist(), table["form"].to_pylist(), strict=True))
