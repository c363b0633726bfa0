"""2D boxes of an ONNX detector that the user brings: YOLO-like and RT-DETR-like models, described by a small YAML.

    model: yolo11m.onnx            # beside the YAML; no model comes with this package
    input: images                  # name of the input: float32, 1 × 3 × height × width, RGB in 0 to 1
    width: 640
    height: 640
    boxes: boxes                   # output 1 × n × 4
    scores: scores                 # output 1 × n × classes, already in 0 to 1 …
    box_format: xyxy               # or cxcywh; pixels of the input, or shares of it where `normalized` is true
    normalized: false
    classes: [pedestrian, bicycle, car, motorcycle, "", bus, "", truck]    # by class number; empty: not wanted
    min_score: 0.25
    max_overlap: 0.6               # of two boxes of one class that overlap more (IoU) the worse goes

A model with one output of n × (4 + classes) or (4 + classes) × n (YOLO v8 and later) names it as `boxes` and leaves `scores`
empty. The image is stretched to the input size, and boxes go back to pixels of the original image.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from drive_vqa.boxes import image_iou
from drive_vqa.config import load_config, strict_config
from drive_vqa.errors import ConfigError, DependencyError, LogFormatError, ModelError
from sensors.detection.camera_file import EDGES, CameraBox


@strict_config
@dataclass(frozen=True)
class CameraModelConfig:
    """What the YAML says; see the module.

    Raises:
        ConfigError: a value is out of range.
    """

    model: str = ""
    input: str = "images"
    width: int = 640
    height: int = 640
    boxes: str = "boxes"
    scores: str = ""
    box_format: str = "xyxy"
    normalized: bool = False
    classes: list[str] = field(default_factory=list)
    min_score: float = 0.25
    max_overlap: float = 0.6

    def __post_init__(self) -> None:
        if not self.model or not any(self.classes):
            raise ConfigError("a camera model needs `model` (an .onnx file) and `classes` (names by class number)")
        if self.box_format not in ("xyxy", "cxcywh"):
            raise ConfigError(f"box_format must be xyxy or cxcywh, got {self.box_format!r}")
        if min(self.width, self.height) < 1 or not 0 <= self.min_score <= 1 or not 0 <= self.max_overlap <= 1:
            raise ConfigError("a camera model needs width and height above 0, min_score and max_overlap in [0, 1]")


@dataclass(frozen=True, eq=False)
class CameraModel:
    """A model that is ready to run; `session` is an `onnxruntime.InferenceSession`."""

    config: CameraModelConfig
    session: Any


@lru_cache(maxsize=1)
def load_model(path: Path) -> CameraModel:
    """Open the model that a YAML describes; a process keeps the last one.

    Raises:
        ConfigError: the YAML is wrong.
        DependencyError: onnxruntime is not installed.
        ModelError: the model cannot be opened or lacks a named input or output.
    """
    config = load_config(CameraModelConfig, path)
    try:
        onnxruntime = import_module("onnxruntime")  # an extra that type checkers need not have
    except ImportError as error:
        raise DependencyError("camera models need onnxruntime: pip install onnxruntime") from error
    file = path.parent / config.model
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # logs are the unit of parallel work, and sums keep their order
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a class of its own for each failure
        raise ModelError(f"{file} cannot be opened as an ONNX model ({str(error)[:120]}): export it again") from error
    inputs, outputs = ({one.name for one in part} for part in (session.get_inputs(), session.get_outputs()))
    lacking = {config.input} - inputs | ({config.boxes, config.scores} - {""}) - outputs
    if lacking:
        raise ModelError(
            f"{file} has no {sorted(lacking)[0]!r}; inputs: {', '.join(sorted(inputs))}; "
            f"outputs: {', '.join(sorted(outputs))}: mend {path}"
        )
    return CameraModel(config, session)


def detect_image(model: CameraModel, path: Path, frame: int, camera: str) -> list[CameraBox]:
    """Boxes in one image, best first.

    Args:
        model: from `load_model`.
        path: image file.
        frame: of the image, for the boxes.
        camera: name of the sensor, for the boxes.

    Raises:
        LogFormatError: the image cannot be read.
        ModelError: the model fails or its outputs have not the shape that the YAML says.
    """
    pixels, size_px = _read(path, model.config)
    names = [name for name in (model.config.boxes, model.config.scores) if name]
    try:
        outputs = model.session.run(names, {model.config.input: pixels})
    except Exception as error:
        raise ModelError(f"{model.config.model} fails on {path} ({str(error)[:120]}): check width, height") from error
    boxes_px, scores = decode(outputs, model.config)
    return _boxes(boxes_px, scores, size_px, model.config, frame, camera)


def _read(path: Path, config: CameraModelConfig) -> tuple[Float[np.ndarray, "1 3 h w"], tuple[int, int]]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            size_px = image.size
            small = image.convert("RGB").resize((config.width, config.height), Image.Resampling.BILINEAR)
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise LogFormatError(f"{path} is not a readable image: copy it again") from error
    pixels = np.asarray(small, dtype=np.float32).transpose(2, 0, 1)[None] / np.float32(255.0)
    return np.ascontiguousarray(pixels), size_px


def decode(
    outputs: list[np.ndarray], config: CameraModelConfig
) -> tuple[Float[np.ndarray, "n 4"], Float[np.ndarray, "n classes"]]:
    """Boxes (u0, v0, u1, v1) as shares of the image and scores of each class, from the raw outputs.

    Raises:
        ModelError: the outputs have another shape.
    """
    count = len(config.classes)
    parts = [np.asarray(output, dtype=np.float64).reshape(np.shape(output)[-2:]) for output in outputs]
    if len(parts) == 1:
        both = parts[0].T if parts[0].shape[0] == 4 + count and parts[0].shape[1] != 4 + count else parts[0]
        parts = [both[:, :4], both[:, 4:]]
    boxes, scores = parts
    if boxes.shape[1:] != (4,) or scores.shape != (len(boxes), count):
        raise ModelError(
            f"{config.model} gives boxes {boxes.shape} and scores {scores.shape}; the YAML has {count} classes: mend it"
        )
    if config.box_format == "cxcywh":
        boxes = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)
    return boxes / (1.0 if config.normalized else np.tile([config.width, config.height], 2)), scores


def _boxes(
    shares: Float[np.ndarray, "n 4"],
    scores: Float[np.ndarray, "n classes"],
    size_px: tuple[int, int],
    config: CameraModelConfig,
    frame: int,
    camera: str,
) -> list[CameraBox]:
    """Wanted classes, above the least score, without doubles, clipped to the image."""
    wanted = np.array([bool(name) for name in config.classes])
    kind = np.where(wanted, scores, -np.inf).argmax(axis=1) if len(scores) else np.zeros(0, dtype=np.int64)
    score = scores[np.arange(len(scores)), kind]
    edges = np.clip(shares, 0.0, 1.0) * np.tile(size_px, 2)
    usable = np.isfinite(edges).all(axis=1) & (score >= config.min_score) & (edges[:, 2:] - edges[:, :2] >= 1.0).all(1)
    order = np.flatnonzero(usable)[np.argsort(-score[usable], kind="stable")]
    return [
        CameraBox(
            frame,
            camera,
            **dict(zip(EDGES, edges[one].tolist(), strict=True)),
            category=config.classes[kind[one]],
            score=float(score[one]),
        )
        for one in _without_doubles(edges, kind, order, config.max_overlap).tolist()
    ]


def _without_doubles(
    edges: Float[np.ndarray, "n 4"], kind: Int[np.ndarray, "n"], order: Int[np.ndarray, "k"], max_overlap: float
) -> Int[np.ndarray, "m"]:
    """Best first, those of one class that overlap a better one too much left out."""
    same = kind[order][:, None] == kind[order][None]
    clash = same & (image_iou(edges[order], edges[order]) > max_overlap)
    kept: list[int] = []
    for place in range(len(order)):
        if not clash[place, kept].any():
            kept.append(place)
    return order[kept]
