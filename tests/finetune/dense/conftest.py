"""A painted drive whose objects have places, and moments of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from drive_vqa.vlm import ChatProcessor
from finetune.config import DensePretraining, FinetuneConfig, LearningRates
from finetune.dataset import LessonDataset, read_index
from finetune.dense.moments import Moment, SeenObject, read_moments
from finetune.lesson import Row
from tests.painted_store import LOG, write_painted_store

TAKEN_PX = (336, 224)
SIZE_PX = (168, 112)
TIMES_S = (0.0, 0.5, 1.0, 1.59, 2.0, 2.5, 3.12, 3.5, 4.0)
SHOWN = {1: range(9), 2: range(2, 9), 3: range(2)}
"""Mark number → frames that show it."""
UNTRACKED = (2, 5)
"""Mark and frame."""
NO_EGO_SPEED = 2
GROUPS = (("single", (0,)), ("single", (3,)), ("sequence", (0, 1)), ("sequence", (1, 2)), ("sequence", (0, 1, 2, 3)))
CLIP = ("clip", (0, 1, 2, 3, 4))


@pytest.fixture(scope="session")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Nine frames, about two a second; the first mark's object drives away, the second stands, the third is lost."""
    store = write_painted_store(tmp_path_factory.mktemp("drive"), len(GROUPS) + 1, _group, _questions)
    store.write("tracks", LOG, table_from_rows("tracks", _tracks()), "test")
    frames = [
        {
            "log_id": LOG,
            "frame": frame,
            "timestamp_ns": round(time_s * 1e9),
            "speed_mps": None if frame == NO_EGO_SPEED else float(frame),
        }
        for frame, time_s in enumerate(TIMES_S)
    ]
    store.write("frames", LOG, table_from_rows("frames", frames), "test")
    return store


@pytest.fixture(scope="session")
def groups(drive: Store, processor: ChatProcessor) -> list[Row]:
    """All of the drive."""
    config = FinetuneConfig(image_size_px=SIZE_PX, tokens_per_row=400, workers=0)
    return sorted(
        LessonDataset(drive, read_index(drive, config, processor), config).groups(), key=lambda group: group["group_id"]
    )


@pytest.fixture(scope="session")
def moments(drive: Store, groups: list[Row]) -> list[Moment]:
    """All of the drive, in the order of `GROUPS`."""
    return read_moments(drive, groups, SIZE_PX)


@pytest.fixture(scope="session")
def full() -> FinetuneConfig:
    """Of short dense lessons, after which only the language model is trained."""
    return FinetuneConfig(
        image_size_px=SIZE_PX,
        log_steps=1,
        method="full",
        learning_rates=LearningRates(1e-3),
        dense_pretraining=DensePretraining(steps=12, look_steps=4, move_steps=4, batch_size=4),
    )


def standing(
    box: tuple[float, float, float, float], place: tuple[float, float] = (0.0, 0.0), frames: int = 1
) -> SeenObject:
    """An object that always is where it is.

    Args:
        box: as shares of the picture.
        place: ln(distance / 20 m) and bearing / 45°.
        frames: that show it.
    """
    return SeenObject(np.tile(box, (frames, 1)), np.tile(place, (frames, 1)), np.tile(place, (4, 1)), np.zeros(4))


def box_px(mark: int, frame: int) -> tuple[float, float, float, float]:
    """Where a frame shows a mark."""
    u0, v0 = 20.0 + 100 * (mark - 1), 40.0 + 10 * frame
    return (u0, v0, u0 + 60, v0 + 50)


def _tracks() -> list[Row]:
    rows = []
    for frame in range(len(TIMES_S)):
        for mark, (x_m, y_m, speed_mps) in {
            1: (10.0 + frame, 2.0, 2.0),
            2: (20.0, -5.0, None),
            3: (30.0, 0.0, 0.0),
        }.items():
            state = {"x_m": x_m, "y_m": y_m, "speed_mps": speed_mps}
            if (mark, frame) != UNTRACKED:
                rows.append({"log_id": LOG, "frame": frame, "track_id": f"track-{mark}", **state})
    return rows


def _group(source: Path, number: int, _: np.random.Generator) -> Row:
    kind, frames = (*GROUPS, CLIP)[number]
    corners = ("u0_px", "v0_px", "u1_px", "v1_px")
    marks = [
        {
            "mark": mark,
            "track_id": f"track-{mark}",
            "category": "car",
            "regions": [
                {"context": context, "visible_fraction": 1.0, **dict(zip(corners, box_px(mark, frame), strict=True))}
                for context, frame in enumerate(frames)
                if frame in shown
            ],
        }
        for mark, shown in SHOWN.items()
    ]
    return {
        "group_id": f"group-{number}",
        "kind": kind,
        "log_id": LOG,
        "frame": frames[-1],
        "timestamp_ns": round(TIMES_S[frames[-1]] * 1e9),
        "split": "train",
        "context": [_view(source, frame, 0.5 * (frame - frames[-1])) for frame in frames],
        "marks": [mark for mark in marks if mark["regions"]],
    }


def _view(source: Path, frame: int, offset_s: float) -> dict[str, Any]:
    image = Image.new("RGB", TAKEN_PX, (40, 40, 40))
    for mark, shown in SHOWN.items():
        if frame in shown:
            ImageDraw.Draw(image).rectangle(box_px(mark, frame), fill=(90 + 40 * mark, 120, 10 * frame))
    image.save(source / f"{frame}.png")
    view = {"frame": frame, "offset_s": offset_s, "camera": "front", "path": f"{frame}.png"}
    return {**view, "width": TAKEN_PX[0], "height": TAKEN_PX[1]}


def _questions(group: Row) -> list[Row]:
    asked = []
    for mark in (mark["mark"] for mark in group["marks"]):
        asked += [
            _question(group, "distance", f"How far away is Region {mark}?", f"{10 * mark} m"),
            _question(group, "side", f"On which side is Region {mark}?", "left", options=["left", "right"]),
            _question(group, "bearing", f"At what bearing is Region {mark}?", "10 degrees"),
            _question(group, "speed", f"How fast is Region {mark}?", "2 m/s", split="val"),
        ]
    return asked


def _question(
    group: Row, kind: str, question: str, answer: str, options: list[str] | None = None, split: str = "train"
) -> Row:
    return {
        "qa_id": f"{group['group_id']}/{question}",
        "group_id": group["group_id"],
        "log_id": LOG,
        "frame": group["frame"],
        "family": "ego",
        "type": kind,
        "answer_type": "distance" if options is None else "choice",
        "form": "open" if options is None else "choice",
        "question": question,
        "options": options,
        "answer": answer,
        "horizon_s": 0.0,
        "split": split,
    }
