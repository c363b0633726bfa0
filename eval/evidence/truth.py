"""What a trace about a question may rightly claim: which image shows which mark where, and where that is on the ground.

Boxes are those of the group in whole pixels of the original image, as traces and box answers state them; a box without area in
whole pixels is left out. Places come from the log's tracks. What cannot be claimed is left out without an error: marks that the
group lacks or an image does not show, images that are not in the context or have no file; of frames, those of unknown size too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from drive_vqa.geometry import bearing_deg
from drive_vqa.store import Store

Row = Mapping[str, Any]
BoxPx = tuple[float, float, float, float]
_CORNERS = ("u0_px", "v0_px", "u1_px", "v1_px")


@dataclass(frozen=True)
class TrueFrame:
    """An image that was shown.

    Attributes:
        offset_s: when it was taken, from now; 0 or negative.
        width_px: of the original image.
        height_px: likewise.
    """

    offset_s: float
    width_px: int
    height_px: int


@dataclass(frozen=True)
class TrueBox:
    """A mark where an image shows it.

    Attributes:
        mark: its number.
        context: the image's place in `group["context"]`.
        offset_s: when the image was taken, from now.
        box_px: left, top, right, bottom in pixels of the original image.
        distance_m: on the ground, in the ego frame of the image's frame; None: not tracked there.
        bearing_deg: 0 ahead, positive to the left, in that frame; None: not tracked there.
    """

    mark: int
    context: int
    offset_s: float
    box_px: BoxPx
    distance_m: float | None
    bearing_deg: float | None


@dataclass(frozen=True)
class TrueEvidence:
    """All that a trace about one question may rightly claim to see.

    Attributes:
        frames: images of known size, oldest first; none for a log without images. Surround views share a time.
        boxes: what the question's evidence names, oldest first.
        others: all other marked boxes of the group, oldest first.
    """

    frames: tuple[TrueFrame, ...]
    boxes: tuple[TrueBox, ...]
    others: tuple[TrueBox, ...]

    @property
    def key_times_s(self) -> tuple[float, ...]:
        """Times at which something shows what the answer rests on, ascending."""
        return tuple(sorted({box.offset_s for box in self.boxes}))

    @property
    def first_s(self) -> float:
        """Time of the first image, from which the dialect `open_o3` counts; 0 without images."""
        return self.frames[0].offset_s if self.frames else 0.0


EvidenceOf = Callable[[Row, Row], TrueEvidence]
"""From a row of `questions` and the row of `groups` that it belongs to."""


def read_evidence(store: Store, log_id: str) -> EvidenceOf:
    """The evidence of a log's questions; its tracks are read once, here.

    Raises:
        StoreError: the log has no tracks.
    """
    places = _read_places(store, log_id)

    def evidence_of(question: Row, group: Row) -> TrueEvidence:
        named = {(fact["mark"], fact["context"]) for fact in question["evidence"] or ()}
        shown = sorted(_boxes(group, places), key=lambda box: (box.offset_s, box.context, box.mark))
        boxes = tuple(box for box in shown if (box.mark, box.context) in named)
        others = tuple(box for box in shown if (box.mark, box.context) not in named)
        return TrueEvidence(_frames(group), boxes, others)

    return evidence_of


Places = Mapping[tuple[int, str], tuple[float, float]]
"""Distance and bearing by frame and track."""


def _read_places(store: Store, log_id: str) -> Places:
    table = store.read("tracks", log_id, ["frame", "track_id", "x_m", "y_m"])
    x_m, y_m = (table[name].to_numpy().astype(np.float64) for name in ("x_m", "y_m"))
    known = np.isfinite(x_m) & np.isfinite(y_m)
    rows = zip(table["frame"].to_pylist(), table["track_id"].to_pylist(), strict=True)
    values = zip(np.hypot(x_m, y_m).tolist(), np.asarray(bearing_deg(x_m, y_m)).tolist(), strict=True)
    return {row: value for row, value, use in zip(rows, values, known.tolist(), strict=True) if use}


def _frames(group: Row) -> tuple[TrueFrame, ...]:
    return tuple(
        TrueFrame(view["offset_s"], view["width"], view["height"])
        for view in group["context"]
        if view["path"] is not None and view["width"] is not None and view["height"] is not None
    )


def _boxes(group: Row, places: Places) -> Iterator[TrueBox]:
    """Every mark in every image that shows it."""
    views = dict(enumerate(group["context"]))
    for mark in group["marks"]:
        for region in mark["regions"]:
            box_px, view = _whole(region), views.get(region["context"])
            if box_px is None or view is None or view["path"] is None:
                continue
            place = places.get((view["frame"], mark["track_id"]), (None, None))
            yield TrueBox(mark["mark"], region["context"], view["offset_s"], box_px, *place)


def _whole(region: Row) -> BoxPx | None:
    """The box in whole pixels; None where it has no area."""
    corners = [region[name] for name in _CORNERS]
    if not all(corner is not None and math.isfinite(corner) for corner in corners):
        return None
    u0, v0, u1, v1 = (float(round(corner)) for corner in corners)
    return (u0, v0, u1, v1) if u1 > u0 and v1 > v0 else None
