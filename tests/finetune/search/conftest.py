"""Painted questions with truths, and teachers that say what a script has for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from drive_vqa.store import Store
from finetune.search.tree import Request
from tests.painted_store import LOG, write_painted_store

SIZE_PX = (160, 96)
BOXES_PX = {1: (20.0, 30.0, 60.0, 70.0), 2: (100.0, 30.0, 140.0, 70.0)}
GROUPS = 3
Script = Callable[[str, Request], Sequence[str]]


class ScriptedTeacher:
    """Says what the script has for a question and the steps so far; remembers what it was asked."""

    name = "script"
    settings: Mapping[str, Any] = {"size_px": [160, 96]}

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[tuple[str, Request]] = []

    def about(self, asked: Any) -> Callable[[Request], list[str]]:
        assert not {"truth", "answer"} & set(asked.question)

        def ask(request: Request) -> list[str]:
            self.requests.append((asked.question["qa_id"], request))
            return list(self.script(asked.question["qa_id"], request))

        return ask


def by_steps(table: Mapping[tuple[str, ...], Sequence[str]]) -> Script:
    """A script by the thoughts so far; of what it does not have nothing is said."""
    return lambda _, request: table.get(tuple(step.thought for step in request.steps), ())


LEFT_OR_RIGHT = by_steps(
    {
        (): ["Region 2 is there (120, 50)", "1. Region 1 is here (40.2,50)", "There is a tree (5, 5)"],
        ("Region 2 is there",): ["<answer>right</answer>"],
        ("Region 1 is here",): ["<answer>left</answer>"],
        ("There is a tree",): ["No point at all"],
    }
)
"""One branch is wrong, one right, one ends nowhere."""


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Three groups of two images; a choice (left) and a distance (10 m) about each; no tracks."""
    return write_painted_store(tmp_path_factory.mktemp("searched"), GROUPS, _group, _questions)


def _group(source: Path, number: int, draw: np.random.Generator) -> dict[str, Any]:
    views = []
    for context, offset_s in enumerate((-0.5, 0.0)):
        path = f"{number}-{context}.png"
        Image.fromarray(draw.integers(0, 255, (SIZE_PX[1], SIZE_PX[0], 3), dtype=np.uint8)).save(source / path)
        where = {"frame": number, "offset_s": offset_s, "camera": "front", "path": path}
        views.append({**where, "width": SIZE_PX[0], "height": SIZE_PX[1]})
    regions = {
        mark: [{"context": 1, **dict(zip(("u0_px", "v0_px", "u1_px", "v1_px"), box, strict=True))}]
        for mark, box in BOXES_PX.items()
    }
    marks = [{"mark": mark, "track_id": str(mark), "category": "car", "regions": own} for mark, own in regions.items()]
    where = {"group_id": f"group-{number}", "kind": "sequence", "log_id": LOG, "frame": number, "split": "train"}
    return {**where, "timestamp_ns": number, "context": views, "marks": marks}


def _questions(group: dict[str, Any]) -> list[dict[str, Any]]:
    where = {name: group[name] for name in ("group_id", "log_id", "frame", "split")} | {"marks": [1], "family": "ego"}
    side = {
        "type": "side",
        "form": "choice",
        "answer_type": "choice",
        "question": "On which side is Region 1?",
        "options": ["left", "right"],
        "answer": "left",
        "truth": {"choice": "left"},
    }
    distance = {
        "type": "distance",
        "form": "open",
        "answer_type": "distance",
        "question": "How far away is Region 1?",
        "options": [],
        "answer": "10.0 meters",
        "truth": {"distance_m": 10.0},
    }
    return [{**where, **one, "qa_id": f"{group['group_id']}-{one['type']}"} for one in (side, distance)]


@pytest.fixture(scope="session")
def group(store: Store) -> dict[str, Any]:
    """The first group."""
    first: dict[str, Any] = store.read("groups", LOG).to_pylist()[0]
    return first
