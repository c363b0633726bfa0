"""The marked frames of groups as data URIs, as large as the page's budget allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drive_vqa.data_uri import jpeg_uri
from drive_vqa.errors import DriveVqaError
from drive_vqa.marks import marked_frame
from drive_vqa.prompt import time_line
from drive_vqa.store import Store

Row = Mapping[str, Any]
WIDTHS_PX = (640, 200)
"""Greatest and least width of a frame."""

BUDGET_CHARACTERS = 13_000_000
"""For all frames of the page together."""

CHARACTERS_PER_PIXEL = 0.27
"""Of a JPEG of a street in base64, to begin with."""

JPEG_QUALITY = 72


@dataclass(frozen=True)
class Frame:
    """One context image; `missing` says why `image` is empty."""

    image: str
    title: str
    alt: str
    missing: str
    width: int
    height: int


def pictures(store: Store, groups: Sequence[Row]) -> list[tuple[Frame, ...]]:
    """The frames of each group; all at a width at which they fit the budget together, no wider than their originals."""
    sizes = [(view["width"], view["height"]) for group in groups for view in group["context"] if view["path"]]
    pixels_per_width2 = sum(height / width for width, height in sizes) or 1.0
    width_px = _bounded((BUDGET_CHARACTERS / (CHARACTERS_PER_PIXEL * pixels_per_width2)) ** 0.5)
    drawn = [_frames(store, group, width_px) for group in groups]
    total = sum(len(frame.image) for frames in drawn for frame in frames)
    if total <= BUDGET_CHARACTERS:
        return drawn
    smaller_px = _bounded(0.95 * width_px * (BUDGET_CHARACTERS / total) ** 0.5)
    return [_frames(store, group, smaller_px) for group in groups]


def _bounded(width_px: float) -> int:
    return int(min(max(width_px, WIDTHS_PX[1]), WIDTHS_PX[0]))


def _frames(store: Store, group: Row, width_px: int) -> tuple[Frame, ...]:
    return tuple(_drawn(store, group, width_px))


def _drawn(store: Store, group: Row, width_px: int) -> Iterator[Frame]:
    several = len({view["camera"] for view in group["context"]}) > 1
    for index, view in enumerate(group["context"]):
        if view["path"] is None:
            continue
        title = time_line(view["offset_s"], view["camera"] if several else None).rstrip(":")
        width = min(width_px, view["width"])
        size_px = (width, max(1, round(width * view["height"] / view["width"])))
        try:
            uri, missing = jpeg_uri(marked_frame(store, group, index, size_px), JPEG_QUALITY), ""
        except DriveVqaError:
            uri, missing = "", f"{view['path']} is missing or cannot be read."
        yield Frame(uri, title, f"Image {index + 1}, {title}, {view['camera']}", missing, *size_px)
