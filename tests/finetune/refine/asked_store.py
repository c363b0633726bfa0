"""A painted store whose questions have truths and evidence, and a run that was tuned on nothing, for refining."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from tests.painted_store import LOG, write_painted_store

SIZE_PX = (168, 112)
GROUPS, FRAMES = 6, 2
HELD_OUT = (4, 5)


def write_asked_store(root: Path) -> Store:
    """Six groups of two frames and two marks, two questions about each mark; the last two groups are in `val`."""
    store = write_painted_store(root, GROUPS, _group, _questions)
    rows = [
        {
            "log_id": LOG,
            "frame": 10 * group + frame,
            "track_id": f"track-{mark}",
            "x_m": 8.0 * mark,
            "y_m": float(frame),
        }
        for group in range(GROUPS)
        for frame in range(FRAMES)
        for mark in (1, 2)
    ]
    store.write("tracks", LOG, table_from_rows("tracks", rows), "test")
    return store


def write_tuned_run(run: Path, base: Path, **changed: Any) -> Path:
    """What a full tuning of no steps would leave."""
    run.mkdir()
    shutil.copytree(base, run / "model")
    record = {
        "base": "base",
        "method": "full",
        "regions": "marks",
        "answers": "mixed",
        "dialect": "drive",
        "image_size_px": list(SIZE_PX),
        **changed,
    }
    (run / "run.json").write_text(json.dumps(record))
    return run


def _group(source: Path, number: int, rng: np.random.Generator) -> dict[str, Any]:
    boxes = {
        mark: (10.0 + 60 * (mark - 1), 20.0 + 5 * number, 60.0 + 60 * (mark - 1), 60.0 + 5 * number) for mark in (1, 2)
    }
    context = [_view(source, number, frame, boxes, rng) for frame in range(FRAMES)]
    regions = {
        mark: [
            {
                "context": frame,
                **dict(zip(("u0_px", "v0_px", "u1_px", "v1_px"), box, strict=True)),
                "visible_fraction": 1.0,
            }
            for frame in range(FRAMES)
        ]
        for mark, box in boxes.items()
    }
    marks = [
        {"mark": mark, "track_id": f"track-{mark}", "category": "car", "regions": own} for mark, own in regions.items()
    ]
    return {
        "group_id": f"group-{number}",
        "kind": "sequence",
        "log_id": LOG,
        "frame": 10 * number + FRAMES - 1,
        "timestamp_ns": number,
        "split": "val" if number in HELD_OUT else "train",
        "context": context,
        "marks": marks,
    }


def _view(source: Path, number: int, frame: int, boxes: dict[int, Any], rng: np.random.Generator) -> dict[str, Any]:
    image = Image.fromarray(rng.integers(0, 255, (SIZE_PX[1], SIZE_PX[0], 3), dtype=np.uint8))
    for box in boxes.values():
        ImageDraw.Draw(image).rectangle(box, fill=(90, 90, 90))
    path = f"{number}-{frame}.png"
    image.save(source / path)
    view = {"frame": 10 * number + frame, "offset_s": 0.5 * (frame + 1 - FRAMES), "camera": "front", "path": path}
    return {**view, "width": SIZE_PX[0], "height": SIZE_PX[1]}


def _questions(group: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        question
        for mark in group["marks"]
        for question in (
            _question(
                group, mark["mark"], "distance", {"distance_m": 8.0 * mark["mark"]}, f"{8 * mark['mark']}.0 meters"
            ),
            _question(group, mark["mark"], "bearing", {"bearing_deg": 5.0}, "5 degrees"),
        )
    ]


def _question(group: dict[str, Any], mark: int, kind: str, truth: dict[str, float], answer: str) -> dict[str, Any]:
    return {
        "qa_id": f"{group['group_id']}/{mark}/{kind}",
        "group_id": group["group_id"],
        "log_id": LOG,
        "frame": group["frame"],
        "family": "ego",
        "type": kind,
        "form": "open",
        "answer_type": kind,
        "marks": [mark],
        "question": f"What is the {kind} of Region {mark}?",
        "answer": answer,
        "truth": truth,
        "evidence": [{"mark": mark, "context": frame} for frame in range(FRAMES)],
        "split": group["split"],
        "slices": {"category": "car", "distance_m": 8.0 * mark},
    }
