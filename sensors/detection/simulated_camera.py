"""2D boxes as a good camera detector would give them, made from truth: for ablations where no trained detector is at hand.

Stated faults: each edge is off by noise of a share of the box's size plus a few pixels, common to a frame and partly to a
whole track (detectors err alike from frame to frame); small and hidden objects are missed more often; false alarms appear at
random places; a few boxes carry a wrong class. Everything is drawn from the seed, log, frame and camera, so it does not
depend on the order of work.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from drive_vqa.errors import ConfigError

CLASSES = ("car", "truck", "bus", "pedestrian", "bicycle", "motorcycle")
CONFUSED = {"car": "truck", "truck": "bus", "bus": "truck", "pedestrian": "bicycle", "bicycle": "motorcycle"}


@dataclass(frozen=True)
class CameraFaults:
    """How a simulated camera detector errs.

    Attributes:
        edge_px: standard deviation of an edge, pixels.
        edge_share: the same as a share of the box's width or height, added in squares.
        lasting: share of the variance that stays the same for a track in a camera.
        miss: chance to miss a large, free object.
        half_size_px: a box of this height is found half as often.
        least_visible: objects less visible are never found.
        false_alarms: mean number an image.
        wrong_class: chance of a wrong class.

    Raises:
        ConfigError: a value is out of range.
    """

    edge_px: float = 1.5
    edge_share: float = 0.03
    lasting: float = 0.3
    miss: float = 0.05
    half_size_px: float = 14.0
    least_visible: float = 0.25
    false_alarms: float = 0.2
    wrong_class: float = 0.02

    def __post_init__(self) -> None:
        shares = (self.lasting, self.miss, self.least_visible, self.wrong_class)
        if not all(0 <= share <= 1 for share in shares):
            raise ConfigError("lasting, miss, least_visible and wrong_class of a simulated camera must lie in [0, 1]")
        if min(self.edge_px, self.edge_share, self.half_size_px, self.false_alarms) < 0:
            raise ConfigError("a simulated camera needs noise, size and false alarms of 0 or more")


def camera_boxes_from_truth(
    tracks: pa.Table, sensor_data: pa.Table, seed: int, faults: CameraFaults | None = None
) -> list[dict[str, Any]]:
    """Noisy 2D boxes of one log, as records of a camera box file (see `camera_file.py`).

    Args:
        tracks: table `tracks` made from annotations, with the boxes in each camera.
        sensor_data: of the same log: which images there are, and their sizes.
        seed: of all noise.
        faults: how the detector errs.
    """
    faults = faults or CameraFaults()
    images = {
        (row["frame"], row["sensor"]): row
        for row in sensor_data.to_pylist()
        if row["modality"] == "camera" and row["width"] and row["height"]
    }
    seen: dict[tuple[int, str], list[dict[str, Any]]] = {key: [] for key in sorted(images)}
    for row in tracks.select(["frame", "track_id", "category", "cameras"]).to_pylist():
        for box in row["cameras"] or ():
            if (row["frame"], box["camera"]) in seen and row["category"] in CLASSES:
                seen[row["frame"], box["camera"]].append({**box, "track": row["track_id"], "category": row["category"]})
    records: list[dict[str, Any]] = []
    for key, boxes in seen.items():
        records += _image_records(images[key], sorted(boxes, key=lambda box: str(box["track"])), seed, faults)
    return records


def _image_records(
    image: dict[str, Any], boxes: list[dict[str, Any]], seed: int, faults: CameraFaults
) -> list[dict[str, Any]]:
    """Detections in one image."""
    name = (seed, image["log_id"], image["sensor"])
    rng = _random(*name, "frame", image["frame"])
    found = []
    for box in boxes:
        edges = np.array([box[edge] for edge in ("u0_px", "v0_px", "u1_px", "v1_px")])
        size = edges[2:] - edges[:2]
        visible = float(box["visible_fraction"] or 0.0)
        now, luck, confusion, shade = rng.normal(size=4), rng.random(), rng.random(), rng.normal()
        chance = (1 - faults.miss) * size[1] / max(size[1] + faults.half_size_px, 1e-9) * min(visible / 0.5, 1.0)
        if visible < faults.least_visible or min(size) <= 1.0 or luck > chance:
            continue
        always = _random(*name, "track", box["track"]).normal(size=4)
        noise = np.sqrt(1 - faults.lasting) * now + np.sqrt(faults.lasting) * always
        edges = edges + noise * np.hypot(faults.edge_px, faults.edge_share * np.tile(size, 2))
        wrong = confusion < faults.wrong_class
        category = CONFUSED.get(box["category"], box["category"]) if wrong else box["category"]
        found.append((edges, category, float(1.0 / (1.0 + np.exp(-(1.5 * chance + 0.7 * shade + 0.5))))))
    found += [_false_alarm(image, rng) for _ in range(int(rng.poisson(faults.false_alarms)))]
    return [record for box in found if (record := _record(image, *box)) is not None]


def _false_alarm(image: dict[str, Any], rng: np.random.Generator) -> tuple[np.ndarray, str, float]:
    """A box of a usual shape around the horizon."""
    height = float(np.exp(rng.uniform(np.log(15.0), np.log(0.3 * image["height"]))))
    category = CLASSES[int(rng.integers(len(CLASSES)))]
    width = height * (0.4 if category == "pedestrian" else 1.3) * float(rng.uniform(0.8, 1.25))
    u, v = float(rng.uniform(0, image["width"])), float(rng.normal(0.55, 0.1)) * image["height"]
    edges = np.array([u - width / 2, v - height / 2, u + width / 2, v + height / 2])
    return edges, category, float(rng.uniform(0.2, 0.6))


def _record(image: dict[str, Any], edges: np.ndarray, category: str, score: float) -> dict[str, Any] | None:
    """Clipped to the image; none where nothing is left."""
    u0, v0, u1, v1 = np.clip(edges, 0.0, np.tile([image["width"], image["height"]], 2)).round(2).tolist()
    if u1 - u0 < 2.0 or v1 - v0 < 2.0:
        return None
    names = {"log_id": image["log_id"], "frame": image["frame"], "camera": image["sensor"]}
    box = {"u0_px": u0, "v0_px": v0, "u1_px": u1, "v1_px": v1}
    return names | box | {"category": category, "score": round(score, 4)}


def _random(*name: object) -> np.random.Generator:
    """A generator of its own for each name."""
    digest = hashlib.sha256(repr(name).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))
