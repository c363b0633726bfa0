"""The camera images of a moment with their boxes: the front one large, the others small below it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

from drive_vqa.errors import StoreError
from drive_vqa.schema import pose_from_struct
from sensors.view.birds_eye import font, short_id
from sensors.view.log_view import LogView, Row
from sensors.view.palette import FAINT_RGB, PANEL_RGB, TEXT_RGB, blend, class_rgb

MAX_COLUMNS = 4
SIDE_DEG = 100.0
"""A camera that looks further to the side than this goes to the lower lines, with those that look back."""
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning)
"""What Pillow raises for a file that is not a whole image, or one of absurd size."""


@dataclass(frozen=True)
class Place:
    """Where the image of a camera goes on the panel, pixels."""

    camera: str
    left: int
    top: int
    width: int
    height: int


@dataclass(eq=False)
class CameraPanel:
    """Draws the newest image of each camera, with the boxes of the frame that it belongs to.

    Cameras that are not read in every frame keep their last image. Give frames in order: drawn images are kept.

    Attributes:
        view: the log.
        width_px, height_px: of the panel.
    """

    view: LogView
    width_px: int
    height_px: int
    places: tuple[Place, ...] = field(init=False)
    _shown: dict[str, Image.Image] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.places = layout(_bearings_deg(self.view), self.width_px, self.height_px)

    def draw(self, index: int) -> Image.Image:
        """The panel at the frame `index` of `view.frames`."""
        frame = int(self.view.frames[index])
        rows = {row["sensor"]: row for row in self.view.captures.get(frame, []) if row["path"] is not None}
        panel = Image.new("RGB", (self.width_px, self.height_px), PANEL_RGB)
        for place in self.places:
            if place.camera in rows:
                self._shown[place.camera] = self._image(rows[place.camera], place)
            if place.camera in self._shown:
                panel.paste(self._shown[place.camera], (place.left, place.top))
        return panel

    def _image(self, row: Row, place: Place) -> Image.Image:
        """One image with its boxes, fitted into its place."""
        cell = Image.new("RGB", (place.width, place.height), PANEL_RGB)
        canvas = ImageDraw.Draw(cell)
        try:
            photo, scale = _read(self.view, row, (place.width, place.height))
        except (StoreError, *UNREADABLE):  # a film of the rest is worth more than none
            canvas.text((place.width // 2, place.height // 2), "no image", fill=FAINT_RGB, font=font(13), anchor="mm")
            return cell
        left, top = (place.width - photo.width) // 2, (place.height - photo.height) // 2
        cell.paste(photo, (left, top))
        for track in self.view.tracks.get(row["frame"], []):
            for seen in track["cameras"] or ():
                if seen["camera"] == place.camera:
                    _draw_box(canvas, track, seen, scale, (left, top), labels=place.width >= 400)
        canvas.text(
            (left + 5, top + 3), place.camera, fill=TEXT_RGB, font=font(12), stroke_width=2, stroke_fill=PANEL_RGB
        )
        return cell


def layout(bearings_deg: Mapping[str, float], width: int, height: int) -> tuple[Place, ...]:
    """Places of cameras: the front one large, below it those that look ahead or aside from left to right, then those behind.

    Args:
        bearings_deg: of the optical axes in the ego frame.
        width, height: of the panel, pixels.
    """
    if not bearings_deg:
        return ()
    front = min(bearings_deg, key=lambda name: (abs(bearings_deg[name]), name))
    others = {name: angle for name, angle in bearings_deg.items() if name != front}
    if not others:
        return (Place(front, 0, 0, width, height),)
    ahead = sorted((name for name in others if abs(others[name]) <= SIDE_DEG), key=lambda name: -others[name])
    behind = sorted((name for name in others if abs(others[name]) > SIDE_DEG), key=lambda name: others[name] % 360.0)
    lines = [line for names in (ahead, behind) for line in _lines(names)]
    columns = max(3, *map(len, lines))
    large = height * 3 // 5 if len(lines) < 3 else height // 2
    cell_width, cell_height = width // columns, min((height - large) // len(lines), height // 5)
    places = [Place(front, 0, 0, width, large)]
    for line, names in enumerate(lines):
        lefts = np.linspace(0, width - cell_width, len(names)) if len(names) > 1 else [0.5 * (width - cell_width)]
        top = large + line * cell_height
        places += [
            Place(name, round(left), top, cell_width, cell_height) for name, left in zip(names, lefts, strict=True)
        ]
    return tuple(places)


def _lines(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[start : start + MAX_COLUMNS] for start in range(0, len(names), MAX_COLUMNS)]


def _bearings_deg(view: LogView) -> dict[str, float]:
    """Where each camera with images looks, by its first row."""
    found: dict[str, float] = {}
    for rows in view.captures.values():
        for row in rows:
            if row["modality"] == "camera" and row["path"] is not None and row["sensor"] not in found:
                forward = pose_from_struct(row["ego_SE3_sensor"]).rotation[:, 2]
                found[row["sensor"]] = float(np.degrees(np.arctan2(forward[1], forward[0])))
    return found


def _read(view: LogView, row: Row, within: tuple[int, int]) -> tuple[Image.Image, float]:
    """The image of a capture made small, and the factor."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(view.store.media_path(view.log_id, row["path"])) as file:
            scale = min(within[0] / file.width, within[1] / file.height)
            size = max(1, round(scale * file.width)), max(1, round(scale * file.height))
            file.draft("RGB", size)  # a JPEG decodes faster at a half, a quarter or an eighth
            return file.convert("RGB").resize(size, Image.Resampling.BILINEAR), scale


def _draw_box(
    canvas: ImageDraw.ImageDraw, track: Row, seen: Row, scale: float, corner: tuple[int, int], *, labels: bool
) -> None:
    """A box around an object, the fainter the less of it is visible."""
    values = [seen[name] for name in ("u0_px", "v0_px", "u1_px", "v1_px")]
    if not np.isfinite(values).all():
        return
    u0, v0, u1, v1 = (scale * value + corner[index % 2] for index, value in enumerate(values))
    colour = blend(class_rgb(track["category"]), PANEL_RGB, 0.6 * (1.0 - (seen["visible_fraction"] or 0.0)))
    canvas.rectangle((u0, v0, max(u0, u1), max(v0, v1)), outline=colour, width=2 if labels else 1)
    if labels and v1 - v0 > 12:
        canvas.text((u0, v0 - 1), short_id(track["track_id"]), fill=colour, font=font(10), anchor="lb")
