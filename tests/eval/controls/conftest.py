"""Two drives of painted frames: each frame is a gradient of its own colour, with a white post that says where its mark is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store

WIDTH, HEIGHT = 160, 96
POST_PX = 8
FRAMES = 3
TINTS = {"a": ((200, 60, 60), (60, 200, 60), (60, 60, 200)), "b": ((200, 200, 60), (60, 200, 200), (200, 60, 200))}
PLACES_M = {1: (20.0, 5.0), 2: (10.0, -4.0)}
"""Mark → x and y at every time."""


def post_u_px(x_m: float, y_m: float) -> int:
    """Where a place stands in the image: a pinhole of 100 px that looks ahead."""
    return round(WIDTH / 2 - 100 * y_m / x_m)


def paint(path: Path, tint: tuple[int, int, int]) -> None:
    """Dark on the left, bright on the right; a post at each mark."""
    ramp = np.linspace(0.3, 1.0, WIDTH)[None, :, None]
    pixels = np.broadcast_to(ramp * np.array(tint), (HEIGHT, WIDTH, 3)).astype(np.uint8).copy()
    for x_m, y_m in PLACES_M.values():
        u = post_u_px(x_m, y_m)
        pixels[HEIGHT // 3 :, u - POST_PX // 2 : u + POST_PX // 2] = 255
    Image.fromarray(pixels).save(path)


def region(mark: int, context: int) -> dict[str, Any]:
    u = post_u_px(*PLACES_M[mark])
    box = {"u0_px": u - POST_PX / 2, "v0_px": HEIGHT / 3, "u1_px": u + POST_PX / 2, "v1_px": float(HEIGHT)}
    return {"context": context, **box, "visible_fraction": 1.0}


def group(log_id: str, frames: int) -> dict[str, Any]:
    context = [
        {"frame": k, "offset_s": 0.5 * (k - frames + 1), "camera": "front", "path": f"{log_id}{k}.png"}
        | {"width": WIDTH, "height": HEIGHT}
        for k in range(frames)
    ]
    marks = [
        {"mark": mark, "track_id": f"t{mark}", "category": "car"}
        | {"regions": [region(mark, c) for c in range(frames)]}
        for mark in PLACES_M
    ]
    row = {"group_id": f"{log_id}{frames}", "kind": "sequence" if frames > 1 else "single", "log_id": log_id}
    return row | {"frame": frames - 1, "split": "test", "context": context, "marks": marks}


ASKED: dict[str, dict[str, Any]] = {
    "bearing": {"marks": [1], "question": "At what bearing is Region 1, positive to the left?", "answer": "14 degrees"}
    | {"truth": {"bearing_deg": 14.036}, "answer_type": "bearing"},
    "pair_distance": {"marks": [1, 2], "question": "How far apart are Region 1 and Region 2, in meters?"}
    | {"answer": "13.5 meters", "truth": {"distance_m": 13.454}, "answer_type": "distance"},
    "side": {"marks": [2], "question": "Is Region 2 to my left or to my right?", "options": ["right", "left"]}
    | {"answer": "right", "truth": {"choice": "right"}, "answer_type": "choice", "form": "choice"},
}


def questions(log_id: str, frames: int, answers: bool) -> list[dict[str, Any]]:
    shared = {"group_id": f"{log_id}{frames}", "log_id": log_id, "frame": frames - 1, "split": "test", "family": "ego"}
    rows = []
    for kind, row in ASKED.items():
        evidence = [{"mark": mark, "context": 0} for mark in row["marks"]]
        told = {"form": "open", "options": [], **row, "qa_id": f"{log_id}{frames}-{kind}", "type": kind}
        if not answers:
            told |= {"answer": "unlike", "truth": {"distance_m": 99.0}}
        rows.append(shared | told | {"evidence": evidence})
    return rows


def tracks(log_id: str, length_m: float) -> list[dict[str, Any]]:
    place = {"z_m": 0.0, "length_m": length_m, "width_m": 1.9, "height_m": None, "yaw_rad": 0.5}
    return [
        {"log_id": log_id, "frame": frame, "track_id": f"t{mark}", "x_m": x_m, "y_m": y_m, **place}
        for frame in range(FRAMES)
        for mark, (x_m, y_m) in PLACES_M.items()
        if (frame, mark) != (0, 2)
    ]


def write_drives(
    root: Path, *, answers: bool = True, length_m: float = 4.5, logs: tuple[str, ...] = ("a", "b")
) -> Store:
    """A store of drives whose frames are painted; without answers all truths are others."""
    (root / "source").mkdir(parents=True)
    store = Store.create(root / "store")
    for log_id in logs:
        for frame in range(FRAMES):
            paint(root / f"source/{log_id}{frame}.png", TINTS[log_id][frame])
        tables = {
            "logs": [{"log_id": log_id, "source_root": "../source"}],
            "groups": [group(log_id, 1), group(log_id, FRAMES)],
            "questions": [row for frames in (1, FRAMES) for row in questions(log_id, frames, answers)],
            "tracks": tracks(log_id, length_m),
        }
        for name, rows in tables.items():
            store.write(name, log_id, table_from_rows(name, rows), "painted")
    return store


@pytest.fixture(scope="session")
def drives(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Not to be written to."""
    return write_drives(tmp_path_factory.mktemp("drives"))
