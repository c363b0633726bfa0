"""The record of a training is read without trust."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from drive_vqa.errors import ModelError
from drive_vqa.vlm.tuned import TRACE_TOKENS, read_tuned

RECORD = {"image_size_px": [532, 336], "regions": "marks", "answers": "mixed", "base": "../base", "method": "lora"}


def written(folder: Path, content: str | dict[str, Any]) -> Path:
    path = folder / "run.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_record(tmp_path: Path) -> None:
    tuned = read_tuned(written(tmp_path, RECORD))
    assert (tuned.image_size_px, tuned.answer_tokens, tuned.whole) == ((532, 336), TRACE_TOKENS, False)
    assert read_tuned(written(tmp_path, {**RECORD, "image_size_px": None})).image_size_px is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "[" * 100_000,
        {},
        *({**RECORD, "image_size_px": size} for size in ([0, 336], [532, -1], [10**9, 10**9], [532], "ab", 7)),
        {**RECORD, "regions": "nothing"},
        {**RECORD, "regions": 5},
    ],
)
def test_a_record_that_is_none(tmp_path: Path, content: str | dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"run\.json is missing or damaged: give the folder"):
        read_tuned(written(tmp_path, content))
