"""Evaluations of answers that are made by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from drive_vqa.store import Store
from eval.evaluate import evaluate


def true_answers(store: Store) -> dict[str, str]:
    """The right answer to each question of the test split."""
    rows = store.read_all("questions", ["qa_id", "answer", "split"]).to_pylist()
    return {row["qa_id"]: row["answer"] for row in rows if row["split"] == "test"}


def scored(store: Store, folder: Path, answers: Mapping[str, str], model: str = "model") -> Path:
    """Evaluate answers; the folder of the evaluation."""
    path = folder.with_suffix(".jsonl")
    lines = [{"qa_id": key, "text": text, "model": model} for key, text in answers.items()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("drive_vqa.tracking.session.find_spec", lambda name: None)
        evaluate(store, path, folder)
    return folder
