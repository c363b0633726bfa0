"""A store with groups and questions written by hand: one log with painted images, one without any."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from drive_vqa.geometry import SE3
from drive_vqa.schema import pose_to_struct, table_from_rows
from drive_vqa.store import Store

SCRIPT = "<script>window.hacked = 1</script>"
CAMERAS = ("CAM_FRONT", "CAM_FRONT_LEFT")
SIZE_PX = (400, 225)
FRAMES = 15
STEP_S = 0.5
PRESENT = 8
SPEED_MPS = 5.0
TRACKS = {
    "near": ("car", 12.0, 1.0),
    "far": ("truck", 40.0, -6.0),
    "walker": ("pedestrian", 15.0, 7.0),
    SCRIPT: ("bus", -9.0, 3.0),
}
NUMBERS = {"near": 3, "far": 0, "walker": 7}
KINDS = {
    "single": [(0.0, 0)],
    "surround": [(0.0, 0), (0.0, 1)],
    "sequence": [(-1.5, 0), (-1.0, 0), (-0.5, 0), (0.0, 0)],
    "clip": [(-0.5 * back, 0) for back in range(7, -1, -1)],
}
TYPES = [
    *(("object", f"object_type_{index}", "single") for index in range(4)),
    *(("ego", f"ego_type_{index}", "surround") for index in range(3)),
    *(("future", f"future_type_{index}", "sequence") for index in range(3)),
    ("when_where", "where_starts", "clip"),
]  # fmt: skip
FORMS = ("open", "choice", "yes_no")


def write_world(root: Path, logs: tuple[str, ...] = ("painted", "bare")) -> Store:
    """The store; the log `bare` has no images, and others have."""
    store = Store.create(root / "store")
    for log_id in logs:
        _write_log(store, root, log_id, images=log_id != "bare")
    return store


def _write_log(store: Store, root: Path, log_id: str, images: bool) -> None:
    frames, tracks = [], []
    for frame in range(FRAMES):
        stamp = {"log_id": log_id, "frame": frame, "timestamp_ns": round(frame * STEP_S * 1e9)}
        pose = pose_to_struct(SE3.from_yaw(0.3, [SPEED_MPS * STEP_S * frame, 2.0, 0.0]))
        frames.append({**stamp, "global_SE3_ego": pose, "speed_mps": SPEED_MPS})
        tracks += [{**stamp, **_track(name, frame)} for name in TRACKS]
        for index, camera in enumerate(CAMERAS if images else ()):
            _paint(root / "source" / log_id / f"{camera}-{frame}.jpg", 40 * index + 60)
    groups = [_group(log_id, kind, views, images) for kind, views in KINDS.items()]
    if not images:
        groups = [group for group in groups if group["kind"] != "surround"]
    kinds = {group["kind"] for group in groups}
    questions = [
        _question(log_id, family, name, kind, form, template)
        for family, name, kind in TYPES
        if kind in kinds
        for form in FORMS
        for template in range(2)
    ]
    log = {"log_id": log_id, "source_format": "painted", "source_root": f"../source/{log_id}"}
    tables = {"logs": [log], "frames": frames, "tracks": tracks, "groups": groups, "questions": questions}
    for table, rows in tables.items():
        store.write(table, log_id, table_from_rows(table, rows), "by hand")


def _paint(path: Path, shade: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(shade).integers(0, 30, (SIZE_PX[1], SIZE_PX[0], 3), dtype=np.uint8)
    image = Image.fromarray(noise + np.uint8(shade))
    ImageDraw.Draw(image).rectangle((120, 90, 190, 150), fill=(200, 30, 30))
    image.save(path, quality=85)


def _track(name: str, frame: int) -> dict:
    category, x_m, y_m = TRACKS[name]
    size = {"length_m": 4.5, "width_m": 1.9, "height_m": 1.6, "yaw_rad": 0.1}
    return {
        "track_id": name,
        "category": category,
        "x_m": x_m + 0.2 * (frame - PRESENT),
        "y_m": y_m,
        "z_m": 0.8,
        **size,
    }


def _group(log_id: str, kind: str, views: list[tuple[float, int]], images: bool) -> dict:
    context = [
        {
            "frame": PRESENT + round(offset_s / STEP_S),
            "offset_s": offset_s,
            "camera": CAMERAS[camera] if images else None,
            "path": f"{CAMERAS[camera]}-{PRESENT + round(offset_s / STEP_S)}.jpg" if images else None,
            "width": SIZE_PX[0] if images else None,
            "height": SIZE_PX[1] if images else None,
        }
        for offset_s, camera in views
    ]
    marks = [
        {
            "mark": number,
            "track_id": name,
            "category": TRACKS[name][0],
            "description": f"the only {TRACKS[name][0]}",
            "regions": _regions(number, len(context)) if images else [],
        }
        for name, number in NUMBERS.items()
    ]
    stamp = {"log_id": log_id, "frame": PRESENT, "timestamp_ns": round(PRESENT * STEP_S * 1e9), "split": "train"}
    name = f"{log_id}-{PRESENT:05d}-{kind}"
    return {"group_id": name, "kind": kind, **stamp, "context": context, "marks": marks, "ego_speed_mps": SPEED_MPS}


def _regions(number: int, images: int) -> list[dict]:
    left = 20.0 + 40 * number
    box = {"u0_px": left, "v0_px": 90.0, "u1_px": left + 60.4, "v1_px": 140.6, "visible_fraction": 0.9}
    return [{"context": context, **box} for context in range(images)]


def _question(log_id: str, family: str, name: str, kind: str, form: str, template: int) -> dict:
    text = f"Wording {template}: how is Region 3, {SCRIPT}?"
    answers = {"open": "12.1 meters", "choice": "Region 0", "yes_no": "yes"}
    truths = {"open": {"distance_m": 12.0831}, "choice": {"choice": "Region 0"}, "yes_no": {"bool": True}}
    return {
        "qa_id": f"{log_id}-{name}-{form}-{template}",
        "group_id": f"{log_id}-{PRESENT:05d}-{kind}",
        "log_id": log_id,
        "frame": PRESENT,
        "truth_frame": PRESENT,
        "family": family,
        "type": name,
        "form": form,
        "template": template,
        "template_version": 1,
        "answer_type": {"open": "distance", "choice": "choice", "yes_no": "bool"}[form],
        "marks": [3],
        "track_ids": ["near"],
        "question": text,
        "options": ["Region 7", "Region 0"] if form == "choice" else [],
        "answer": answers[form],
        "truth": truths[form],
        "horizon_s": 0.0,
        "evidence": [{"mark": 3, "context": len(KINDS[kind]) - 1}],
        "split": "train",
        "slices": {"category": "car", "distance_m": 12.04, "difficulty": "easy"},
    }
