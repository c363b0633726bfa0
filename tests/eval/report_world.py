"""A small drive with painted images, hostile names everywhere, and its evaluation by the real evaluator."""

from __future__ import annotations

import math
import shutil
from functools import cache

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

from drive_vqa.geometry import SE3
from drive_vqa.schema import pose_to_struct, table_from_rows
from drive_vqa.store import Store
from eval.evaluate import evaluate

LOG = "drive-1"
SCRIPT = "<script>window.hacked=1;alert(1)</script>"
IMAGE = '"><img src=x onerror="window.hacked=1">'
WIDTH, HEIGHT, FOCAL = 320, 180, 200.0
INTRINSICS = [FOCAL, 0.0, WIDTH / 2, 0.0, FOCAL, HEIGHT / 2, 0.0, 0.0, 1.0]
EGO_MPS = 5.0
CAM_HEIGHT_M = 1.6
FRAMES = 8
OBJECTS = {
    "lead": ("car", 15.0, 0.0, 5.0, 0.0),
    "walker": (SCRIPT, 25.0, 4.0, 0.0, -1.0),
    "behind": ("truck", -12.0, 0.5, 5.0, 0.0),
}
"""track → category, x and y at frame 0 in ego axes, velocity over ground."""

SIZE_M = (4.0, 2.0, 1.6)
CAMERAS = {"front": 1.0, f"back {IMAGE}": -1.0}
"""camera → +1 looks ahead, -1 looks back."""


def camera_pose(sign: float) -> SE3:
    """`ego_SE3_cam` of a level camera at the ego origin, 1.6 m up: z along ±x of the ego, x to its right, y down."""
    return SE3(np.array([[0.0, 0.0, sign], [-sign, 0.0, 0.0], [0.0, -1.0, 0.0]]), np.array([0.0, 0.0, CAM_HEIGHT_M]))


def place(track: str, time_s: float) -> tuple[float, float]:
    _, x_m, y_m, vx_mps, vy_mps = OBJECTS[track]
    return x_m + (vx_mps - EGO_MPS) * time_s, y_m + vy_mps * time_s


def image_box(track: str, time_s: float, sign: float) -> dict[str, float] | None:
    """Where the object is seen, worked out without the project's geometry; None where it is behind the camera."""
    x_m, y_m = place(track, time_s)
    length_m, width_m, height_m = SIZE_M
    us, vs = [], []
    for dx in (-length_m / 2, length_m / 2):
        for dy in (-width_m / 2, width_m / 2):
            for z_m in (0.0, height_m):
                depth_m = sign * (x_m + dx)
                if depth_m <= 0.5:
                    return None
                us.append(WIDTH / 2 - sign * FOCAL * (y_m + dy) / depth_m)
                vs.append(HEIGHT / 2 + FOCAL * (CAM_HEIGHT_M - z_m) / depth_m)
    box = {"u0_px": max(min(us), 0.0), "v0_px": max(min(vs), 0.0)}
    box |= {"u1_px": min(max(us), float(WIDTH)), "v1_px": min(max(vs), float(HEIGHT))}
    return box if box["u0_px"] < box["u1_px"] and box["v0_px"] < box["v1_px"] else None


def _paint(path, time_s, sign):
    image = Image.new("RGB", (WIDTH, HEIGHT), (140, 180, 220))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, HEIGHT / 2, WIDTH, HEIGHT), fill=(90, 90, 95))
    for track in OBJECTS:
        if box := image_box(track, time_s, sign):
            pen.rectangle([box[name] for name in ("u0_px", "v0_px", "u1_px", "v1_px")], fill=(150, 30, 40))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def _sensor_row(frame, camera, sign, path, ego):
    row = {"log_id": LOG, "frame": frame, "sensor": camera, "modality": "camera", "timestamp_ns": frame * 10**9}
    row |= {"path": path, "width": WIDTH, "height": HEIGHT, "intrinsics": INTRINSICS, "distortion": []}
    return row | {"ego_SE3_sensor": pose_to_struct(camera_pose(sign)), "global_SE3_ego": pose_to_struct(ego)}


def _track_row(frame, track):
    category, _, _, vx_mps, vy_mps = OBJECTS[track]
    x_m, y_m = place(track, frame)
    seen = [(camera, image_box(track, frame, sign)) for camera, sign in CAMERAS.items()]
    row = {"log_id": LOG, "frame": frame, "timestamp_ns": frame * 10**9, "track_id": track, "category": category}
    row |= {"x_m": x_m, "y_m": y_m, "z_m": SIZE_M[2] / 2, "yaw_rad": 0.0, "vx_mps": vx_mps, "vy_mps": vy_mps}
    row |= dict(zip(("length_m", "width_m", "height_m"), SIZE_M, strict=True))
    row |= {"speed_mps": math.hypot(vx_mps, vy_mps), "source": "annotated", "observed": True}
    return row | {"cameras": [{"camera": camera, **box, "visible_fraction": 1.0} for camera, box in seen if box]}


def _group_row(frame):
    regions = {track: image_box(track, frame, 1.0) for track in OBJECTS}
    marks = [
        {
            "mark": number,
            "track_id": track,
            "category": OBJECTS[track][0],
            "description": f"the {track} {IMAGE}",
            "regions": [{"context": 1, **box, "visible_fraction": 1.0}],
        }
        for number, (track, box) in enumerate(regions.items())
        if box
    ]
    context = [
        {"frame": frame - 1, "offset_s": -1.0, "camera": "front", "path": f"0/{frame - 1}.png"},
        {"frame": frame, "offset_s": 0.0, "camera": "front", "path": f"0/{frame}.png"},
    ]
    context = [{**view, "width": WIDTH, "height": HEIGHT} for view in context]
    group = {
        "group_id": f"g{frame}",
        "kind": "sequence",
        "log_id": LOG,
        "frame": frame,
        "timestamp_ns": frame * 10**9,
        "split": "test",
    }
    return group | {"context": context, "marks": marks, "ego_speed_mps": EGO_MPS}


def _questions(frame):
    rows = []

    def ask(kind, family, answer_type, mark, truth, answer, horizon_s=0.0, options=()):
        row = {
            "qa_id": f"{kind}-{frame}-{mark}",
            "group_id": f"g{frame}",
            "log_id": LOG,
            "frame": frame,
            "split": "test",
        }
        row |= {"form": {"bool": "yes_no", "choice": "choice"}.get(answer_type, "open")}
        row |= {"truth_frame": frame, "family": family, "type": kind, "answer_type": answer_type, "marks": [mark]}
        row |= {"track_ids": [list(OBJECTS)[mark]], "question": f"{kind} of region {mark}? {SCRIPT}", "answer": answer}
        slices = {
            "category": OBJECTS[list(OBJECTS)[mark]][0],
            "distance_m": 15.0,
            "visible_fraction": 1.0,
            "ttc_bin": "0.95-1.5",
            "difficulty": "hard",
            "relation": "oncoming_pass",
        }
        slices |= {"moving": True, "in_view_at_t": True}
        rows.append(row | {"truth": truth, "horizon_s": horizon_s, "options": list(options), "slices": slices})

    for mark, track in enumerate(("lead", "walker")):
        for horizon_s in (0, 1, 2, 3):
            x_m, y_m = place(track, frame + horizon_s)
            truth = {"distance_m": math.hypot(x_m, y_m), "bearing_deg": math.degrees(math.atan2(y_m, x_m))}
            answer = f"{truth['distance_m']:.1f} meters, {truth['bearing_deg']:.0f} degrees"
            ask(f"localization_t{horizon_s}", "future", "localization", mark, truth, answer, float(horizon_s))
    ask("in_my_path", "ego", "bool", 0, {"bool": True}, "yes")
    ask("sign", "object", "choice", 1, {"choice": SCRIPT}, SCRIPT, options=[SCRIPT, "none"])
    return rows


def _answers(rows):
    """Some right, one dangerously far, one hostile, one empty: by place in the list, so that each is known."""
    texts = {"localization_t1-1-0": "80 meters, 0 degrees", "sign-1-1": SCRIPT, "sign-2-1": "", "in_my_path-2-0": "no"}
    texts["localization_t2-2-0"] = f"I cannot tell. {IMAGE}"
    return [
        {"qa_id": row["qa_id"], "model": f"model {SCRIPT}", "sample": 0, "text": texts.get(row["qa_id"], row["answer"])}
        for row in rows
    ]


@cache
def built_world(base):
    """The folder of the world below pytest's folder of this run: `store`, `source` and `evaluation`, made once."""
    root = base / "report-world"
    root.mkdir()
    write_world(root)
    return root


def write_world(root):
    """Images, store and evaluation below `root`."""
    source, store = root / "source", Store.create(root / "store")
    frames, sensor_data = [], []
    for frame in range(FRAMES):
        ego = SE3.from_yaw(0.0, [EGO_MPS * frame, 0.0, 0.0])
        frames.append({"log_id": LOG, "frame": frame, "timestamp_ns": frame * 10**9, "speed_mps": EGO_MPS})
        frames[-1]["global_SE3_ego"] = pose_to_struct(ego)
        for number, (camera, sign) in enumerate(CAMERAS.items()):
            _paint(source / f"{number}/{frame}.png", frame, sign)
            sensor_data.append(_sensor_row(frame, camera, sign, f"{number}/{frame}.png", ego))
    questions = [row for frame in (1, 2, 3) for row in _questions(frame)]
    tables = {
        "logs": [{"log_id": LOG, "recording": LOG, "source_format": "test", "source_root": "../source"}],
        "frames": frames,
        "sensor_data": sensor_data,
        "tracks": [_track_row(frame, track) for frame in range(FRAMES) for track in OBJECTS],
        "groups": [_group_row(frame) for frame in (1, 2, 3)],
        "questions": questions,
    }
    for table, rows in tables.items():
        store.write(table, LOG, table_from_rows(table, rows), "made by hand")
    store.write_manifest("generate", {"split": {"rule": "time-within-log"}, "note": IMAGE})
    pq.write_table(table_from_rows("predictions", _answers(questions)), root / "predictions.parquet")
    evaluate(store, root / "predictions.parquet", root / "evaluation", tracking_uri=f"sqlite:///{root / 'mlflow.db'}")


def world_with_evidence(tmp_path_factory, name):
    """A copy of the drawn world whose questions rest on their first mark in the second image; not evaluated yet."""
    root = shutil.copytree(built_world(tmp_path_factory.getbasetemp()), tmp_path_factory.mktemp(name) / "world")
    store = Store.open(root / "store")
    rows = store.read("questions", LOG).to_pylist()
    for row in rows:
        row["evidence"] = [{"mark": row["marks"][0], "context": 1}]
    store.write("questions", LOG, table_from_rows("questions", rows), "with evidence")
    shutil.rmtree(root / "evaluation")
    return root
