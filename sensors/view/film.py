"""`write_birds_eye`: a log as a film, from above and through its cameras, in real time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from drive_vqa.errors import ConfigError, DependencyError
from drive_vqa.store import Store, replacing
from sensors.view.birds_eye import BirdsEye
from sensors.view.camera_panel import CameraPanel
from sensors.view.log_view import LogView
from sensors.view.palette import PANEL_RGB

SIZE_PX = 720
PANEL_WIDTH_PX = 768
GIF_COLOURS = 255
LEAST_GIF_FRAME_S = 0.02
"""Browsers slow down GIFs with a shorter time a frame."""


def write_birds_eye(store: Store, log_id: str, out: Path, *, reach_m: float = 45.0, size_px: int = SIZE_PX) -> int:
    """Write a film of a log: boxes, ids, trails and map from above; beside it the camera images, if there are any.

    Args:
        store: with the tracks of the log.
        log_id: its name.
        out: `.gif` or `.mp4`.
        reach_m: from the ego to the edge of the picture.
        size_px: height of the film.

    Returns:
        The number of frames.

    Raises:
        ConfigError: `out` is neither, or a size is unusable.
        StoreError: the log has no tracks.
        DependencyError: OpenCV is absent or has no MPEG-4 encoder, for `.mp4`.
    """
    writers: dict[str, Callable[[Path, Iterator[Image.Image], LogView], None]] = {
        ".gif": _write_gif,
        ".mp4": _write_mp4,
    }
    if out.suffix.lower() not in writers:
        raise ConfigError(f"{out}: a film is a .gif or an .mp4; give --out such a name")
    if not (reach_m >= 1.0 and 64 <= size_px <= 4096):
        raise ConfigError(f"a film reaches 1 m or more and is 64 to 4096 pixels high, got {reach_m} m and {size_px}")
    view = LogView.read(store, log_id)
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as temporary:
        writers[out.suffix.lower()](temporary, pictures(view, BirdsEye(size_px, reach_m)), view)
    return len(view.frames)


def pictures(view: LogView, birds_eye: BirdsEye) -> Iterator[Image.Image]:
    """The film's pictures, one a frame of the log."""
    height = birds_eye.size_px
    panel_width = height * PANEL_WIDTH_PX // SIZE_PX if view.cameras() else 0
    panel = CameraPanel(view, panel_width, height) if panel_width else None
    for index in range(len(view.frames)):
        picture = Image.new("RGB", (height + panel_width, height), PANEL_RGB)
        picture.paste(birds_eye.draw(view, index), (0, 0))
        if panel is not None:
            picture.paste(panel.draw(index), (height, 0))
        yield picture


def _write_gif(path: Path, frames: Iterator[Image.Image], view: LogView) -> None:
    """Each picture stays until the next frame's time, the last for the usual interval."""
    steps_s = [*(np.diff(view.timestamps_ns) * 1e-9).tolist(), view.interval_s]
    duration_ms = [round(1000 * max(step_s, LEAST_GIF_FRAME_S)) for step_s in steps_s]
    octree, plain = Image.Quantize.FASTOCTREE, Image.Dither.NONE  # forty times as fast as Pillow's default
    paletted = (frame.quantize(GIF_COLOURS, method=octree, dither=plain) for frame in frames)
    first = next(paletted)
    first.save(path, format="GIF", save_all=True, append_images=paletted, duration=duration_ms, loop=0, optimize=True)


def _write_mp4(path: Path, frames: Iterator[Image.Image], view: LogView) -> None:
    """At the log's usual frame rate; MPEG-4 part 2, the encoder that OpenCV brings along."""
    try:
        import cv2
    except ImportError as error:
        raise DependencyError(
            "an .mp4 needs OpenCV: run `pip install opencv-python-headless`, or write a .gif"
        ) from error
    named = path.with_name(f"{path.name}.mp4")  # OpenCV tells the container by the name
    first = next(frames)
    size = first.width // 2 * 2, first.height // 2 * 2
    fourcc = cv2.VideoWriter.fourcc(*"mp4v")
    video = cv2.VideoWriter(str(named), fourcc, 1.0 / view.interval_s, size)
    try:
        if not video.isOpened():
            raise DependencyError("this OpenCV has no MPEG-4 encoder: install opencv-python-headless, or write a .gif")
        for frame in (first, *frames):
            video.write(np.ascontiguousarray(np.asarray(frame)[: size[1], : size[0], ::-1]))
        video.release()
        named.replace(path)
    finally:
        video.release()
        named.unlink(missing_ok=True)
