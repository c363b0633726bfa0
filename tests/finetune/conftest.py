"""A tiny store of painted drives, and a tiny model: built once a session."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from drive_vqa.store import Store
from drive_vqa.vlm import ChatProcessor, Vlm, load_processor, load_vlm
from finetune.config import FinetuneConfig
from finetune.dataset import LessonDataset, read_index
from finetune.tiny import make_tiny_base
from tests.finetune.tiny_families import make_tiny_family
from tests.painted_store import LOG, write_painted_store

SIZE_PX = (168, 112)
GROUPS = 3
FRAMES = 2
MARKS = (1, 2)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Three groups of two frames and two marks in one log, all in the split `train`."""
    return write_painted_store(tmp_path_factory.mktemp("painted"), GROUPS, _group, _questions)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model."""
    return make_tiny_base(tmp_path_factory.mktemp("models") / "base", seed=0)


@pytest.fixture
def vlm(base: Path) -> Vlm:
    """A tiny model of one's own."""
    return load_vlm(base, device="cpu")


@pytest.fixture(scope="session")
def processor(base: Path) -> ChatProcessor:
    """Of the tiny model."""
    return load_processor(base)


@pytest.fixture(scope="session")
def family_vlm(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Vlm]:
    """The tiny model of a family by its model type; each is made once, so nobody may change its weights."""

    @cache
    def load(model_type: str) -> Vlm:
        return load_vlm(make_tiny_family(model_type, tmp_path_factory.mktemp(model_type) / "base"), device="cpu")

    return load


@pytest.fixture(scope="session")
def config() -> FinetuneConfig:
    """Fits the store."""
    return FinetuneConfig(image_size_px=SIZE_PX, tokens_per_row=400, workers=0)


@pytest.fixture(scope="session")
def dataset(store: Store, config: FinetuneConfig, processor: ChatProcessor) -> LessonDataset:
    """All lessons of the store."""
    return LessonDataset(store, read_index(store, config, processor), config)


def _group(source: Path, number: int, rng: np.random.Generator) -> dict[str, Any]:
    boxes = {mark: _box(rng) for mark in MARKS}
    context = [_view(source, number, frame, boxes, rng) for frame in range(FRAMES)]
    marks = [
        {
            "mark": mark,
            "track_id": f"track-{mark}",
            "category": "car",
            "regions": [_region(frame, boxes[mark]) for frame in range(FRAMES)],
        }
        for mark in MARKS
    ]
    return {
        "group_id": f"group-{number}",
        "kind": ("single", "sequence", "clip")[number % 3],
        "log_id": LOG,
        "frame": number,
        "timestamp_ns": number,
        "split": "train",
        "context": context,
        "marks": marks,
    }


def _box(rng: np.random.Generator) -> tuple[float, float, float, float]:
    u, v = rng.uniform(0, 120), rng.uniform(0, 70)
    return (u, v, u + 40, v + 30)


def _region(context: int, box: tuple[float, float, float, float]) -> dict[str, Any]:
    return {
        "context": context,
        **dict(zip(("u0_px", "v0_px", "u1_px", "v1_px"), box, strict=True)),
        "visible_fraction": 1.0,
    }


def _view(
    source: Path, number: int, frame: int, boxes: dict[int, tuple[float, float, float, float]], rng: np.random.Generator
) -> dict[str, Any]:
    image = Image.fromarray(rng.integers(0, 255, (SIZE_PX[1], SIZE_PX[0], 3), dtype=np.uint8))
    for box in boxes.values():
        ImageDraw.Draw(image).rectangle(box, fill=(90, 90, 90))
    path = f"{number}-{frame}.png"
    image.save(source / path)
    view = {"frame": number, "offset_s": 0.5 * (frame + 1 - FRAMES), "camera": "front", "path": path}
    return {**view, "width": SIZE_PX[0], "height": SIZE_PX[1]}


def _questions(group: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for mark in group["marks"]:
        box = mark["regions"][0]
        side = "left" if box["u0_px"] < 60 else "right"
        rows += [
            _question(group, f"How far away is Region {mark['mark']}?", f"{200 / box['v0_px']:.1f} meters", None),
            _question(group, f"On which side is Region {mark['mark']}?", side, ["left", "right"]),
        ]
    return rows


def _question(group: dict[str, Any], question: str, answer: str, options: list[str] | None) -> dict[str, Any]:
    return {
        "qa_id": f"{group['group_id']}/{question}",
        "group_id": group["group_id"],
        "log_id": LOG,
        "frame": group["frame"],
        "family": "ego",
        "type": "painted",
        "answer_type": "distance" if options is None else "choice",
        "form": "open" if options is None else "choice",
        "question": question,
        "options": options,
        "answer": answer,
        "split": "train",
    }
