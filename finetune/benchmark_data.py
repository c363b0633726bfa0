"""What the benchmarks learn: painted streets with boxes, and questions about where the boxes are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store

LOG = "painted"
SOURCE_PX = (640, 384)
MARKS = 6

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Painted:
    """How much is painted.

    Attributes:
        groups: sets of frames.
        questions: about each group.
        frames: of each group, half a second apart.
        seed: of all of it.
    """

    groups: int
    questions: int
    frames: int
    seed: int = 0


def paint_store(root: Path, painted: Painted) -> Store:
    """A store of one log with its JPEG files beside it; all is in the split `train`."""
    source, store = root / "source", Store.create(root / "store")
    source.mkdir(parents=True)
    rng = np.random.default_rng(painted.seed)
    groups = [_group(source, number, painted.frames, rng) for number in range(painted.groups)]
    questions = [question for group in groups for question in _questions(group, painted.questions)]
    log = {"log_id": LOG, "source_format": "painted", "source_root": "../source"}
    for table, rows in {"logs": [log], "groups": groups, "questions": questions}.items():
        store.write(table, LOG, table_from_rows(table, rows), "benchmark")
    return store


def _group(source: Path, number: int, frames: int, rng: np.random.Generator) -> dict[str, Any]:
    tracks = [_track(frames, rng) for _ in range(MARKS)]
    context = [_view(source, number, frame, [track[frame] for track in tracks], frames, rng) for frame in range(frames)]
    marks = [
        {"mark": mark, "track_id": f"track-{mark}", "category": "car", "regions": _regions(track)}
        for mark, track in enumerate(tracks)
    ]
    return {
        "group_id": f"group-{number:06d}",
        "kind": "single" if frames == 1 else "sequence",
        "log_id": LOG,
        "frame": number,
        "timestamp_ns": number,
        "split": "train",
        "context": context,
        "marks": marks,
    }


def _track(frames: int, rng: np.random.Generator) -> list[Box]:
    """A box that moves along."""
    u, v = rng.uniform(20, SOURCE_PX[0] - 140), rng.uniform(80, SOURCE_PX[1] - 110)
    width, step = rng.uniform(30, 110), rng.uniform(-10, 10)
    return [(u + step * frame, v, u + step * frame + width, v + 0.8 * width) for frame in range(frames)]


def _regions(track: list[Box]) -> list[dict[str, Any]]:
    names = ("u0_px", "v0_px", "u1_px", "v1_px")
    return [
        {"context": frame, **dict(zip(names, box, strict=True)), "visible_fraction": 1.0}
        for frame, box in enumerate(track)
    ]


def _view(
    source: Path, number: int, frame: int, boxes: list[Box], frames: int, rng: np.random.Generator
) -> dict[str, Any]:
    image = Image.fromarray(rng.integers(90, 160, (12, 20, 3), dtype=np.uint8)).resize(SOURCE_PX)
    for box in boxes:
        ImageDraw.Draw(image).rectangle(box, fill=(60, 60, 70))
    path = f"{number}-{frame}.jpg"
    image.save(source / path, quality=90)
    view = {"frame": number, "offset_s": 0.5 * (frame + 1 - frames), "camera": "front", "path": path}
    return {**view, "width": SOURCE_PX[0], "height": SOURCE_PX[1]}


def _questions(group: dict[str, Any], count: int) -> list[dict[str, Any]]:
    pairs = [pair for mark in group["marks"] for pair in _asked(mark["mark"], mark["regions"][-1])]
    pairs = sorted(pairs, key=lambda pair: pair[0][::-1])  # so that few questions are about several marks
    if count > len(pairs):
        raise ValueError(f"at most {len(pairs)} questions a group are painted")
    return [
        {
            "qa_id": f"{group['group_id']}/{number:03d}",
            "group_id": group["group_id"],
            "log_id": LOG,
            "frame": group["frame"],
            "family": "object",
            "type": "painted",
            "question": question,
            "answer": answer,
            "split": "train",
        }
        for number, (question, answer) in enumerate(pairs[:count])
    ]


def _asked(mark: int, box: dict[str, float]) -> Iterator[tuple[str, str]]:
    """Ten questions about a mark."""
    distance_m, bearing_deg = 3000 / (box["v1_px"] - 40), (SOURCE_PX[0] / 2 - box["u0_px"]) / 8
    width_m = (box["u1_px"] - box["u0_px"]) * distance_m / 500
    for when, scale in {"now": 1.0, "in 1 second": 0.95, "in 2 seconds": 0.9, "in 3 seconds": 0.85}.items():
        yield f"How far away is Region {mark} {when}?", f"{distance_m * scale:.1f} meters"
        yield f"What is the bearing of Region {mark} {when}, in degrees?", f"{bearing_deg / scale:.0f} degrees"
    yield f"How wide is Region {mark}?", f"{width_m:.1f} meters"
    yield f"Is Region {mark} to the left of the image's middle?", "yes" if bearing_deg > 0 else "no"
