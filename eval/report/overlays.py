"""Boxes on images: all cameras of one moment with the tracks drawn on them, and the same tracks from above.

If boxes lie on the cars in every camera, then calibration, poses, time stamps and tracks agree. A corner goes from the ego frame
of the track's time to the image as

    u ~ K · cam_SE3_ego(capture) · ego(capture)_SE3_global · global_SE3_ego(track) · corner

with the box first moved by its velocity to the time of capture. Lens distortion is not modelled: where a camera has it, only the
stored image boxes are drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc
from jaxtyping import Float
from markupsafe import Markup
from PIL import Image, ImageDraw, ImageFont

from drive_vqa.boxes import EDGES, box_corners, footprint
from drive_vqa.categories import CATEGORIES
from drive_vqa.data_uri import jpeg_uri
from drive_vqa.errors import DriveVqaError
from drive_vqa.geometry import SE3, wrap_deg
from drive_vqa.marks import open_image
from drive_vqa.schema import pose_from_struct
from drive_vqa.store import Store
from eval.report.plots import PALETTE, ego_and_rings, figure, to_svg

PANEL_WIDTH_PX = 560
SUPERSAMPLING = 2
NEAR_M = 0.3
LEAST_VISIBLE = 0.15
FARTHEST_M = 75.0
LABELLED_M = 25.0
VIEW_M = 55.0
AHEAD_DEG = 75.0
"""A camera whose axis is turned less than this looks ahead."""

KIND_RGB = {"vehicle": (64, 196, 255), "vulnerable": (255, 176, 32), "static": (120, 230, 150)}
KIND_SERIES = {"vehicle": "series-0", "vulnerable": "series-1", "static": "series-2"}
KIND_TITLES = {"vehicle": "vehicles", "vulnerable": "people and two-wheelers", "static": "other objects"}


@dataclass(frozen=True)
class View:
    """One camera of a moment: a data URI, or a sentence why there is no image."""

    camera: str
    image: str
    missing: str
    boxes: int


@dataclass(frozen=True)
class Moment:
    """All cameras of one frame, front row first, each row from left to right, and the tracks from above."""

    log_id: str
    frame: int
    views: tuple[View, ...]
    birds_eye: Markup
    tracks: int


def moment(store: Store, log_id: str, frame: int) -> Moment | None:
    """Draw one moment; None where the log has no cameras or tracks there.

    Raises:
        StoreError: a table is missing.
    """
    tracks = _rows(store, "tracks", log_id, frame)
    captures = [row for row in _rows(store, "sensor_data", log_id, frame) if row["modality"] == "camera"]
    frames = _rows(store, "frames", log_id, frame)
    if not tracks or not captures or not frames:
        return None
    global_SE3_ego = pose_from_struct(frames[0]["global_SE3_ego"])
    views = tuple(_view(store, capture, tracks, global_SE3_ego) for capture in _panel_order(captures))
    return Moment(log_id, frame, views, _birds_eye(tracks, captures, f"tracks-{log_id}-{frame}"), len(tracks))


def best_moments(store: Store, candidates: Sequence[tuple[str, int]], count: int) -> list[tuple[str, int]]:
    """Moments worth showing: one a log first, those with most cameras and most boxes on images.

    Args:
        store: where the logs are.
        candidates: (log, frame) pairs that questions ask about.
        count: how many to choose.
    """
    ranked: list[tuple[int, tuple[int, int], str, int]] = []
    for log_id in sorted({log_id for log_id, _ in candidates}):
        frames = sorted({frame for candidate, frame in candidates if candidate == log_id})
        richness = _richness(store, log_id)
        chosen = _spread(sorted(frames, key=lambda frame: richness.get(frame, (0, 0)))[-max(count * 3, 1) :], count)
        for place, frame in enumerate(chosen):
            cameras, boxes = richness.get(frame, (0, 0))
            ranked.append((place, (-cameras, -boxes), log_id, frame))
    return [(log_id, frame) for _, _, log_id, frame in sorted(ranked)[:count]]


def _spread(frames: list[int], count: int) -> list[int]:
    """`count` frames far apart in time, the richest (last) first."""
    chosen = frames[-1:]
    while frames and len(chosen) < min(count, len(frames)):
        chosen.append(max(frames, key=lambda frame: min(abs(frame - other) for other in chosen)))
    return chosen


def _richness(store: Store, log_id: str) -> dict[int, tuple[int, int]]:
    """Frame → number of cameras and of boxes on their images."""
    captures = store.read("sensor_data", log_id, ["frame", "modality"])
    cameras = captures.filter(pc.equal(captures["modality"], "camera"))["frame"].to_pylist()
    tracks = store.read("tracks", log_id, ["frame", "cameras"])
    boxes = pc.fill_null(pc.list_value_length(tracks["cameras"]), 0)
    richness: dict[int, tuple[int, int]] = {frame: (cameras.count(frame), 0) for frame in set(cameras)}
    for frame, number in zip(tracks["frame"].to_pylist(), boxes.to_pylist(), strict=True):
        if frame in richness:
            richness[frame] = (richness[frame][0], richness[frame][1] + number)
    return richness


def _rows(store: Store, table: str, log_id: str, frame: int) -> list[dict[str, Any]]:
    data = store.read(table, log_id)
    rows: list[dict[str, Any]] = data.filter(pc.equal(data["frame"], frame)).to_pylist()
    return rows


def _panel_order(captures: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Cameras that look ahead from left to right, then the others from left round the back to right."""
    by_name = sorted(captures, key=lambda row: str(row["sensor"]))
    front = [row for row in by_name if abs(_axis_bearing_deg(row)) < AHEAD_DEG]
    back = [row for row in by_name if abs(_axis_bearing_deg(row)) >= AHEAD_DEG]
    front.sort(key=_axis_bearing_deg, reverse=True)
    back.sort(key=lambda row: _axis_bearing_deg(row) % 360.0)
    return front + back


def _axis_bearing_deg(capture: Mapping[str, Any]) -> float:
    x, y, _ = pose_from_struct(capture["ego_SE3_sensor"]).rotation[:, 2]
    return float(wrap_deg(np.degrees(np.arctan2(y, x))))


def _view(store: Store, capture: Mapping[str, Any], tracks: list[dict[str, Any]], global_SE3_ego: SE3) -> View:
    title = capture["sensor"]
    try:
        path = store.media_path(capture["log_id"], capture["path"])
        image = open_image(path, (capture["width"], capture["height"]))
    except DriveVqaError:
        return View(title, "", f"The image {capture['path']} is missing or cannot be read.", 0)
    drawn = image.resize(_panel_size(image), Image.Resampling.BILINEAR, reducing_gap=2.0)
    scale = drawn.width / image.width
    pen = ImageDraw.Draw(drawn, "RGBA")
    boxes = 0
    for track in sorted(tracks, key=lambda row: -float(np.hypot(row["x_m"], row["y_m"]))):
        seen = next((seen for seen in track["cameras"] or [] if seen["camera"] == title), None)
        if (
            seen is None
            or seen["visible_fraction"] < LEAST_VISIBLE
            or np.hypot(track["x_m"], track["y_m"]) > FARTHEST_M
        ):
            continue
        _draw_track(pen, track, seen, capture, global_SE3_ego, scale)
        boxes += 1
    small = drawn.resize((drawn.width // SUPERSAMPLING, drawn.height // SUPERSAMPLING), Image.Resampling.BOX)
    return View(title, jpeg_uri(small), "", boxes)


def _panel_size(image: Image.Image) -> tuple[int, int]:
    width = PANEL_WIDTH_PX * SUPERSAMPLING
    return width, max(SUPERSAMPLING, round(image.height * width / image.width))


def _draw_track(
    pen: ImageDraw.ImageDraw,
    track: Mapping[str, Any],
    seen: Mapping[str, Any],
    capture: Mapping[str, Any],
    global_SE3_ego: SE3,
    scale: float,
) -> None:
    color = KIND_RGB[kind(track["category"])]
    box = [seen[name] * scale for name in ("u0_px", "v0_px", "u1_px", "v1_px")]
    pen.rectangle(box, outline=(*color, 90), width=SUPERSAMPLING)
    if not capture["distortion"]:
        corners = project_box(track, capture, global_SE3_ego)
        _draw_wireframe(pen, corners, np.array(capture["intrinsics"]).reshape(3, 3), color, scale)
    distance_m = float(np.hypot(track["x_m"], track["y_m"]))
    if distance_m < LABELLED_M and box[2] - box[0] > 34 * SUPERSAMPLING:
        _draw_label(pen, f"{distance_m:.0f} m", (box[0], box[1]), color)


def project_box(track: Mapping[str, Any], capture: Mapping[str, Any], global_SE3_ego: SE3) -> Float[np.ndarray, "8 3"]:
    """Corners of a track's box in the camera frame at the time of capture, metres.

    Args:
        track: a row of the `tracks` table, in the ego frame of its time.
        capture: a camera row of the `sensor_data` table.
        global_SE3_ego: ego pose at the time of the track.
    """
    ahead_s = (capture["timestamp_ns"] - track["timestamp_ns"]) * 1e-9
    shift = np.array([(track["vx_mps"] or 0.0) * ahead_s, (track["vy_mps"] or 0.0) * ahead_s, 0.0])
    centre = np.array([[track["x_m"], track["y_m"], track["z_m"]]]) + shift
    size = np.array([[track["length_m"], track["width_m"], track["height_m"]]])
    corners = box_corners(centre, size, np.array([track["yaw_rad"]]))[0]
    global_SE3_cam = pose_from_struct(capture["global_SE3_ego"]) @ pose_from_struct(capture["ego_SE3_sensor"])
    return np.asarray(global_SE3_cam.inverse() @ (global_SE3_ego @ corners))


def _draw_wireframe(
    pen: ImageDraw.ImageDraw,
    corners_cam_m: Float[np.ndarray, "8 3"],
    intrinsics: Float[np.ndarray, "3 3"],
    color: tuple[int, int, int],
    scale: float,
) -> None:
    line_px = SUPERSAMPLING * (2 if corners_cam_m[:, 2].mean() < LABELLED_M else 1)
    if (corners_cam_m[:4, 2] > NEAR_M).all():
        front = _to_pixels(corners_cam_m[:4], intrinsics) * scale
        if np.abs(front).max() < 10 * PANEL_WIDTH_PX:
            pen.polygon([tuple(point) for point in front], fill=(*color, 60))
    for start, end in EDGES:
        segment = _in_front(corners_cam_m[[start, end]])
        if segment is not None:
            ends = _to_pixels(segment, intrinsics) * scale
            pen.line([tuple(point) for point in np.clip(ends, -1e5, 1e5)], fill=(*color, 255), width=line_px)


def _in_front(segment: Float[np.ndarray, "2 3"]) -> Float[np.ndarray, "2 3"] | None:
    """The part of a line that lies before the near plane."""
    depth = segment[:, 2]
    if (depth <= NEAR_M).all():
        return None
    if (depth > NEAR_M).all():
        return segment
    cut = segment[0] + (NEAR_M - depth[0]) / (depth[1] - depth[0]) * (segment[1] - segment[0])
    return np.asarray(np.stack([segment[int(depth[1] > depth[0])], cut]))


def _to_pixels(
    points_cam_m: Float[np.ndarray, "n 3"], intrinsics: Float[np.ndarray, "3 3"]
) -> Float[np.ndarray, "n 2"]:
    homogeneous = points_cam_m @ intrinsics.T
    return np.asarray(homogeneous[:, :2] / homogeneous[:, 2:])


def _draw_label(pen: ImageDraw.ImageDraw, text: str, at: tuple[float, float], color: tuple[int, int, int]) -> None:
    font = ImageFont.load_default(size=11 * SUPERSAMPLING)
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    u, v = max(at[0], 0), max(at[1] - (bottom - top) - 8, 0)
    pen.rectangle((u, v, u + right - left + 10, v + bottom - top + 8), fill=(*color, 235))
    pen.text((u + 5 - left, v + 4 - top), text, fill=(0, 0, 0, 255), font=font)


def kind(category: str) -> str:
    """Vehicle, vulnerable or static: what a colour stands for."""
    known = CATEGORIES.get(category)
    if known is None or not known.movable:
        return "static"
    return "vulnerable" if known.vulnerable else "vehicle"


def _birds_eye(tracks: list[dict[str, Any]], captures: list[dict[str, Any]], name: str) -> Markup:
    """Footprints, velocities and camera axes from above, ahead is up and left is left."""
    with figure(name, 420) as (drawing, axes):
        for capture in captures:
            angle = np.radians(_axis_bearing_deg(capture))
            axes.plot(
                [-4 * np.sin(angle), -9 * np.sin(angle)], [4 * np.cos(angle), 9 * np.cos(angle)], color=PALETTE["muted"]
            )
        shown: set[str] = set()
        for track in tracks:
            group = kind(track["category"])
            label = None if group in shown else KIND_TITLES[group]
            shown.add(group)
            box = np.array([track[field] for field in ("x_m", "y_m", "length_m", "width_m", "yaw_rad")])
            corners, color = footprint(box), PALETTE[KIND_SERIES[group]]
            axes.fill(
                -corners[:, 1], corners[:, 0], facecolor=color, edgecolor=color, alpha=0.8, linewidth=1, label=label
            )
            if (track["speed_mps"] or 0.0) > 0.5:
                head = [track["x_m"] + track["vx_mps"], track["y_m"] + track["vy_mps"]]
                axes.plot([-track["y_m"], -head[1]], [track["x_m"], head[0]], color=color, linewidth=1.6)
        ego_and_rings(axes, VIEW_M)
        axes.set(xlim=(-VIEW_M, VIEW_M), ylim=(-VIEW_M, VIEW_M), aspect="equal")
        axes.set_axis_off()
        drawing.legend(loc="outside lower center", ncols=3, handlelength=1.0, columnspacing=1.0, handletextpad=0.4)
        return to_svg(
            drawing, f"The {len(tracks)} tracks of this moment from above, own car in the middle, ahead is up"
        )
