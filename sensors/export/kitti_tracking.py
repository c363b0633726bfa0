"""Tracks → KITTI tracking result files, one `NNNN.txt` a log.

    frame id type truncated occluded alpha x1 y1 x2 y2 h w l x y z rotation_y score

Boxes are in the rectified camera frame with their bottom centre. `truncated` and `occluded` are -1 (not estimated). The 2D box is
the projection of the part of the 3D box in front of the camera, within the image (KITTI's nominal 1242×375 where its size is not
known); boxes out of the image are left out, since KITTI looks at nothing else. KITTI scores cars, pedestrians and cyclists; other
tracks are left out, labelled vans and sitting persons too, which its evaluation ignores.

The score of annotated tracks is 1, that of fused ones their log-odds rounded to 1/1024: the mean over a track, by which KITTI's
3D evaluation drops tracks, is then exact, and the same however often it is taken.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from drive_vqa.boxes import CORNER_SIGNS, EDGES
from drive_vqa.errors import CalibrationError, StoreError
from drive_vqa.geometry import angle_rad, wrap_rad
from drive_vqa.store import Store, replacing
from sensors.readers.kitti import CATEGORY_OF_TYPE, FORMAT, PREFIX
from sensors.readers.kitti_boxes import bottoms_to_rect, box_rotations, yaws_to_rect
from sensors.readers.kitti_calibration import RectCamera, rect_camera

logger = logging.getLogger(__name__)

TYPE_OF_CATEGORY = {"car": "Car", "pedestrian": "Pedestrian", "bicycle": "Cyclist"}
NEAR_M = 0.1
NOMINAL_PX = (1242, 375)
SCORE_STEPS, MAX_LOG_ODDS = 1024, 30.0
NO_BOX = -1.0
COLUMNS = ("frame", "track_id", "category", "source_category", "score")
BOX = ("x_m", "y_m", "z_m", "length_m", "width_m", "height_m", "yaw_rad")


def export_kitti_tracking(store: Store, out: Path) -> list[Path]:
    """Write the result file of every log of a store that was read from KITTI and has tracks.

    Args:
        store: with `tracks`.
        out: folder, made where absent.

    Returns:
        The files, in log order; each lists frames in order and tracks in order of their ids within.

    Raises:
        StoreError: there is no such log.
        CalibrationError: a log has no camera, or a track has no box.
    """
    log_ids = [log_id for log_id in store.log_ids() if store.read("logs", log_id)["source_format"][0].as_py() == FORMAT]
    ready = [log_id for log_id in log_ids if store.path("tracks", log_id).exists()]
    if not ready:
        raise StoreError(
            f"{store.root} has no KITTI log with tracks: run `drive-vqa fuse STORE` on a KITTI store first"
        )
    if len(ready) < len(log_ids):
        logger.warning("not exported, without tracks: %s", ", ".join(sorted(set(log_ids) - set(ready))))
    out.mkdir(parents=True, exist_ok=True)
    return [_export_log(store, log_id, out) for log_id in ready]


def _export_log(store: Store, log_id: str, out: Path) -> Path:
    path = out / f"{log_id.removeprefix(PREFIX)}.txt"
    camera = rect_camera(store.read("sensor_data", log_id))
    tracks = store.read("tracks", log_id, [*COLUMNS, *BOX])
    with replacing(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in result_lines(tracks, camera)), encoding="ascii")
    return path


def result_lines(tracks: pa.Table, camera: RectCamera) -> list[str]:
    """The lines of one log's result file.

    Args:
        tracks: with the columns of a log's table `tracks` that say what and where an object is.
        camera: of that log.

    Raises:
        CalibrationError: a track has a box that is not finite.
    """
    ids = np.array(_whole_ids(tracks), dtype=np.int64)
    kinds = [_type(*names) for names in zip(*(tracks[name].to_pylist() for name in COLUMNS[2:4]), strict=True)]
    keep = np.array([kind is not None for kind in kinds], dtype=bool)
    frame, box = tracks["frame"].to_numpy(), np.stack([tracks[name].to_numpy() for name in BOX], axis=-1)
    if not np.isfinite(box[keep]).all():
        raise CalibrationError("a track has a box that is not finite: run `drive-vqa fuse` again")
    numbers = _numbers(box, camera)
    keep &= numbers[:, 3] > NO_BOX
    score = _log_odds(tracks["score"].to_numpy())
    order = np.lexsort((ids, frame))
    return [
        f"{frame[row]} {ids[row]} {kinds[row]} -1 -1 {' '.join(f'{value:.6f}' for value in numbers[row])} {score[row]:.10f}"
        for row in order[keep[order]].tolist()
    ]


def _log_odds(score: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """On a grid that sums and means keep exactly; 1 where there is no score."""
    with np.errstate(divide="ignore"):
        odds = np.clip(np.log(score) - np.log1p(-score), -MAX_LOG_ODDS, MAX_LOG_ODDS)
    return np.where(np.isnan(score), 1.0, np.round(SCORE_STEPS * odds) / SCORE_STEPS)


def _type(category: str | None, source_category: str | None) -> str | None:
    """KITTI's name of an object; None where it is not scored."""
    if source_category in CATEGORY_OF_TYPE and source_category not in TYPE_OF_CATEGORY.values():
        return None
    return TYPE_OF_CATEGORY.get(category or "")


def _whole_ids(tracks: pa.Table) -> list[int]:
    """A whole number for each row's track: its own where all are such, else counted in order of first frame and name."""
    names: list[str] = tracks["track_id"].to_pylist()
    if all(name.isascii() and name.isdigit() and len(name) < 10 and str(int(name)) == name for name in names):
        return [int(name) for name in names]
    first: dict[str, int] = {}
    for frame, name in zip(tracks["frame"].to_pylist(), names, strict=True):
        first[name] = min(frame, first.get(name, frame))
    number = {name: place for place, name in enumerate(sorted(first, key=lambda name: (first[name], name)))}
    return [number[name] for name in names]


def _numbers(box: Float[np.ndarray, "n 7"], camera: RectCamera) -> Float[np.ndarray, "n 12"]:
    """alpha, 2D box, h, w, l, x, y, z, rotation_y."""
    length_m, width_m, height_m = box[:, 3:6].T
    bottom_m = bottoms_to_rect(box[:, :3], height_m, camera.rect_SE3_ego)
    rotation_y_rad = yaws_to_rect(box[:, 6], camera.rect_SE3_ego)
    alpha_rad = wrap_rad(rotation_y_rad - angle_rad(bottom_m[:, 0], bottom_m[:, 2]))
    size_lwh_m = box[:, 3:6]
    box_px = project_boxes(bottom_m, size_lwh_m, rotation_y_rad, camera)
    return np.column_stack([alpha_rad, box_px, height_m, width_m, length_m, bottom_m, rotation_y_rad])


def project_boxes(
    rect_bottom_m: Float[np.ndarray, "n 3"],
    size_lwh_m: Float[np.ndarray, "n 3"],
    rotation_y_rad: Float[np.ndarray, "n"],
    camera: RectCamera,
) -> Float[np.ndarray, "n 4"]:
    """2D boxes around the projection of 3D boxes, pixels of the left colour image; -1 where there is none.

    Args:
        rect_bottom_m: bottom centres, rectified camera frame.
        size_lwh_m: length, width and height.
        rotation_y_rad: KITTI's.
        camera: whose image; its size limits the boxes.
    """
    centre_m = rect_bottom_m - [0.0, 0.5, 0.0] * size_lwh_m[:, [2, 2, 2]]
    local_m = 0.5 * CORNER_SIGNS[None] * size_lwh_m[:, None]
    corners_m = np.einsum("nij,nkj->nki", box_rotations(rotation_y_rad), local_m) + centre_m[:, None]
    image = np.einsum("ij,nkj->nki", camera.projection[:, :3], corners_m) + camera.projection[:, 3]
    ends = _in_front(image)
    uv_px = ends[..., :2] / ends[..., 2:]
    with np.errstate(invalid="ignore"):
        low = np.where(np.isnan(uv_px), np.inf, uv_px).min(axis=1)
        high = np.where(np.isnan(uv_px), -np.inf, uv_px).max(axis=1)
    last_px = np.array([camera.width or NOMINAL_PX[0], camera.height or NOMINAL_PX[1]]) - 1.0
    seen = ((high >= 0.0) & (low <= last_px) & (low <= high)).all(axis=1)
    low, high = np.clip(low, 0.0, last_px), np.clip(high, 0.0, last_px)
    return np.where(seen[:, None], np.concatenate([low, high], axis=1), NO_BOX)


def _in_front(image: Float[np.ndarray, "n 8 3"]) -> Float[np.ndarray, "n 24 3"]:
    """Ends of the twelve edges after clipping them to the near plane, homogeneous pixels; NaN where an edge is behind it."""
    first, second = (image[:, list(ends)] for ends in zip(*EDGES, strict=True))
    depth_a, depth_b = first[..., 2] - NEAR_M, second[..., 2] - NEAR_M
    with np.errstate(divide="ignore", invalid="ignore"):
        cut = first + (depth_a / (depth_a - depth_b))[..., None] * (second - first)
    behind = ((depth_a < 0) & (depth_b < 0))[..., None]
    start = np.where((depth_a < 0)[..., None], cut, first)
    end = np.where((depth_b < 0)[..., None], cut, second)
    return np.concatenate([np.where(behind, np.nan, start), np.where(behind, np.nan, end)], axis=1)
