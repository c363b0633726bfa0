"""Stores of a world so simple that every answer is known by hand: all move straight at constant velocity."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from eval import bootstrap

EGO_MPS = 5.0
# track → category, x, y, vx, vy at frame 0 in ego axes; the ego drives along x and does not turn
OBJECTS = {
    "lead": ("car", 20.0, 0.5, 3.0, 0.0),
    "oncoming": ("truck", 45.0, 6.0, -4.0, 0.0),
    "crossing": ("pedestrian", 25.0, -8.0, 0.0, 1.5),
    "parked": ("car", 30.0, -4.0, 0.0, 0.0),
}
IDENTITY = {"qw": 1.0, "qx": 0.0, "qy": 0.0, "qz": 0.0, "tx_m": 0.0, "ty_m": 0.0, "tz_m": 0.0}


def place(track: str, time_s: float) -> tuple[float, float]:
    """Ego-frame position at that time."""
    _, x_m, y_m, vx_mps, vy_mps = OBJECTS[track]
    return x_m + (vx_mps - EGO_MPS) * time_s, y_m + vy_mps * time_s


def polar(x_m: float, y_m: float) -> dict[str, float]:
    return {"distance_m": math.hypot(x_m, y_m), "bearing_deg": math.degrees(math.atan2(y_m, x_m))}


def _frames(log_id: str, frames: int) -> list[dict[str, Any]]:
    return [
        {
            "log_id": log_id,
            "frame": frame,
            "timestamp_ns": frame * 10**9,
            "global_SE3_ego": {**IDENTITY, "tx_m": EGO_MPS * frame},
            "speed_mps": EGO_MPS,
        }
        for frame in range(frames)
    ]


def _tracks(log_id: str, frames: int) -> list[dict[str, Any]]:
    rows = []
    for frame in range(frames):
        for track, (category, _, _, vx_mps, vy_mps) in OBJECTS.items():
            x_m, y_m = place(track, frame)
            row = {"log_id": log_id, "frame": frame, "timestamp_ns": frame * 10**9, "track_id": track}
            row |= {"category": category, "x_m": x_m, "y_m": y_m, "z_m": 0.0, "vx_mps": vx_mps, "vy_mps": vy_mps}
            rows.append(row | {"speed_mps": math.hypot(vx_mps, vy_mps), "yaw_rad": 0.0, "source": "annotated"})
    return rows


def _question(
    log_id: str, frame: int, split: str, kind: str, mark: int | None, truth: dict[str, Any], **fields: Any
) -> dict[str, Any]:
    tracks = [list(OBJECTS)[mark]] if mark is not None else []
    slices = {}
    if mark is not None:
        distance_m = polar(*place(tracks[0], frame))["distance_m"]
        slices = {"category": OBJECTS[tracks[0]][0], "distance_m": distance_m, "visible_fraction": 1.0}
        slices |= {"moving": tracks[0] != "parked", "in_view_at_t": True, "ttc_bin": "<0.95" if mark == 0 else "none"}
        slices |= {"difficulty": "easy" if mark else "hard", "relation": "keeping_station" if mark == 0 else None}
    return {
        "qa_id": f"{log_id}-{frame}-{kind}-{mark}",
        "group_id": f"{log_id}-{frame}",
        "log_id": log_id,
        "frame": frame,
        "truth_frame": frame,
        "type": kind,
        "form": "open",
        "marks": [mark] if mark is not None else [],
        "track_ids": tracks,
        "question": f"{kind} of {mark}?",
        "options": [],
        "truth": truth,
        "horizon_s": 0.0,
        "split": split,
        "slices": slices,
        **fields,
    }


def _questions(log_id: str, frame: int, split: str) -> list[dict[str, Any]]:
    rows = []

    def ask(kind: str, mark: int | None, truth: dict[str, Any], **fields: Any) -> None:
        rows.append(_question(log_id, frame, split, kind, mark, truth, **fields))

    for time_s in (0, 1, 2, 3):
        speed = {"speed_mps": EGO_MPS}
        future = {"family": "future", "horizon_s": float(time_s)}
        ask(f"ego_speed_t{time_s}", None, speed, answer_type="speed", answer=f"{EGO_MPS} m/s", **future)
        for mark, track in enumerate(OBJECTS):
            truth = polar(*place(track, frame + time_s))
            answer = f"{truth['distance_m']:.1f} meters, {truth['bearing_deg']:.0f} degrees"
            ask(f"localization_t{time_s}", mark, truth, answer_type="localization", answer=answer, **future)
    for mark, track in enumerate(OBJECTS):
        truth, later = polar(*place(track, frame)), polar(*place(track, frame + 1))
        bearing = {"answer_type": "bearing", "family": "ego", "answer": f"{truth['bearing_deg']:.0f} degrees"}
        ask("bearing", mark, {"bearing_deg": truth["bearing_deg"]}, **bearing)
        hour = round(-truth["bearing_deg"] / 30) % 12 or 12
        ask("clock", mark, {"clock_hour": hour}, answer_type="clock", family="ego", answer=f"{hour} o'clock")
        ahead = abs(place(track, frame)[1]) < 1.8
        yes_no = {"answer_type": "bool", "family": "ego", "form": "yes_no", "answer": "yes" if ahead else "no"}
        ask("in_my_path", mark, {"bool": ahead}, **yes_no)
        change_m = later["distance_m"] - truth["distance_m"]
        word = "keeping its distance" if abs(change_m) < 0.5 else "closing" if change_m < 0 else "receding"
        approach = {"answer_type": "choice", "family": "future", "form": "choice", "horizon_s": 1.0, "answer": word}
        options = ["closing", "receding", "keeping its distance"] if mark else sorted({word, "receding"})
        ask("approach_t1", mark, {"choice": word}, options=options, **approach)
    ask("people", None, {"count": 1}, answer_type="count", family="object", answer="1")
    return rows


def write_world(root: Path, logs: dict[str, str], frames: int = 3) -> Store:
    """A store with one log for each entry `log_id: split`."""
    store = Store.create(root)
    for log_id, split in logs.items():
        asked = [row for frame in range(frames) for row in _questions(log_id, frame, split)]
        view = {"frame": 0, "offset_s": 0.0, "camera": "front", "path": "front.png", "width": 64, "height": 48}
        groups = [
            {
                "group_id": f"{log_id}-{frame}",
                "kind": "sequence",
                "log_id": log_id,
                "frame": frame,
                "split": split,
                "context": [view],
                "marks": [],
            }
            for frame in range(frames)
        ]
        tables = {
            "logs": [{"log_id": log_id, "recording": log_id, "source_format": "test", "source_root": "../source"}],
            "frames": _frames(log_id, frames + 4),
            "tracks": _tracks(log_id, frames + 4),
            "groups": groups,
            "questions": asked,
        }
        for table, rows in tables.items():
            store.write(table, log_id, table_from_rows(table, rows), "made by hand")
    store.write_manifest("generate", {"split": {"rule": "whole-logs"}})
    return store


@pytest.fixture(autouse=True, scope="session")
def fewer_draws() -> Iterator[None]:
    """Of the bootstrap, which is most of an evaluation of a small store; test_statistics has all of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "DRAWS", 500)
        yield


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Three test logs and two training logs; not to be written to."""
    return write_world(
        tmp_path_factory.mktemp("world") / "store", {"a": "test", "b": "test", "c": "test", "d": "train", "e": "train"}
    )


@pytest.fixture
def write_store():
    """How to make another world."""
    return write_world
