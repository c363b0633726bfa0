"""The frames of a question as a zoom sees them: at original size with their marks, and the units that a model counts in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from PIL import Image

from drive_vqa.errors import StoreError
from drive_vqa.marks import Style, marked_frame
from drive_vqa.store import Store
from drive_vqa.vlm import ChatProcessor
from drive_vqa.vlm.coordinates import Scale


@dataclass(frozen=True, eq=False)
class Views:
    """What can be looked at.

    Attributes:
        scales: of each frame, oldest first: pixels of the original frame → the model's units.
        frame: place of a frame → the original frame, RGB, marks drawn at that size; asked only for frames that are looked at.
    """

    scales: tuple[Scale, ...]
    frame: Callable[[int], Image.Image]


def group_views(
    store: Store,
    group: Mapping[str, Any],
    processor: ChatProcessor,
    shown_px: tuple[int, int] | None,
    *,
    style: Style = "fill",
) -> Views:
    """The frames of a group of a store; read when they are looked at, each once.

    Args:
        store: where the log of the group lies.
        group: a row of the `groups` table; its marks are the ones that are drawn.
        processor: of the model.
        shown_px: (width, height) at which the frames themselves are shown to the model; None: as they are.
        style: how marks are drawn, as on the frames that are shown.

    Raises:
        StoreError: an image has no known size, so that nothing in it can be named.
    """
    scales = frame_scales(group, processor, shown_px)

    @lru_cache(maxsize=len(scales))
    def frame(context: int) -> Image.Image:
        return marked_frame(store, group, context, style=style)

    return Views(scales, frame)


def frame_scales(
    group: Mapping[str, Any], processor: ChatProcessor, shown_px: tuple[int, int] | None
) -> tuple[Scale, ...]:
    """Of each frame of a group: pixels of the original frame → the model's units; arguments as for `group_views`.

    Raises:
        StoreError: an image has no known size.
    """
    sizes = [(view["width"], view["height"]) for view in group["context"]]
    if not sizes or any(None in size for size in sizes):
        raise StoreError(f"group {group.get('group_id')} has an image of unknown size: leave its questions out")
    return _scales(processor, sizes, shown_px)


def image_views(
    frames: Sequence[Image.Image], processor: ChatProcessor, shown_px: tuple[int, int] | None = None
) -> Views:
    """Frames that are at hand.

    Args:
        frames: the original frames, marks drawn.
        processor: of the model.
        shown_px: see `group_views`.
    """
    kept = tuple(frames)
    return Views(_scales(processor, [frame.size for frame in kept], shown_px), kept.__getitem__)


def _scales(
    processor: ChatProcessor, sizes: Sequence[tuple[int, int]], shown_px: tuple[int, int] | None
) -> tuple[Scale, ...]:
    extent, image_processor = processor.family.extent, processor.image_processor
    return tuple(Scale(size, extent(image_processor, shown_px or size)) for size in sizes)
