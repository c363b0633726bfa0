"""One picture of a moment from above: the ego in the centre, pointing up."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont

from drive_vqa.boxes import footprint
from drive_vqa.errors import LogFormatError, StoreError
from sensors.view.log_view import LogView, Row
from sensors.view.palette import (
    EGO_RGB,
    FAINT_RGB,
    GROUND_RGB,
    MAP_RGB,
    POINT_RGB,
    RGB,
    RING_RGB,
    TEXT_RGB,
    blend,
    class_rgb,
)

FINE = 2
"""Drawn this many times larger and shrunk, since PIL draws lines without smoothing."""
RING_STEP_M = 10.0
TRAIL_S = 3.0
SWEEP_S = 0.5
DENSE_POINTS = 6
"""Lidar points a pixel that make it as bright as it gets."""
EGO_SIZE_M = (4.5, 1.9)
"""The ego is drawn as a car of this size around its origin: logs do not say how large it is."""
MIN_BOX_M = 0.5
"""Smaller objects are drawn this large, or a pedestrian would be two pixels."""
MIN_ARROW_MPS = 0.3
LABEL_CHARACTERS = 5


@dataclass(frozen=True)
class BirdsEye:
    """How to draw.

    Attributes:
        size_px: of the square picture.
        reach_m: from the ego to the picture's edge.
        labels: write ids beside objects.
    """

    size_px: int = 720
    reach_m: float = 45.0
    labels: bool = True
    scale: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", FINE * self.size_px / (2.0 * self.reach_m))

    def pixels(self, ego_xy_m: Float[np.ndarray, "*n 2"]) -> list[tuple[float, float]]:
        """Places on the large picture: forward is up, left is left."""
        centre = FINE * self.size_px / 2.0
        u_px = centre - self.scale * ego_xy_m[..., 1]
        v_px = centre - self.scale * ego_xy_m[..., 0]
        return list(zip(u_px.tolist(), v_px.tolist(), strict=True))

    def draw(self, view: LogView, index: int) -> Image.Image:
        """The picture of the frame at `index` of `view.frames`."""
        side = FINE * self.size_px
        picture = Image.new("RGB", (side, side), GROUND_RGB)
        self._points(picture, view, index)
        canvas = ImageDraw.Draw(picture)
        self._map(canvas, view, index)
        self._rings(canvas)
        rows = view.tracks.get(int(view.frames[index]), [])
        self._trails(canvas, view, index, {row["track_id"]: class_rgb(row["category"]) for row in rows})
        self._ego(canvas)
        for row in rows:
            self._track(canvas, row)
        picture = picture.reduce(FINE)
        self._texts(ImageDraw.Draw(picture), view, index, rows)
        return picture

    def _points(self, picture: Image.Image, view: LogView, index: int) -> None:
        """The lidar, the brighter the more points fall on a pixel."""
        ego_xyz_m = newest_points(view, index)
        side = picture.width // FINE
        places = np.floor(side / 2.0 - self.scale / FINE * ego_xyz_m[:, 1::-1]).astype(np.int64)
        u, v = places[((places >= 0) & (places < side)).all(axis=1)].T
        count = np.bincount(v * side + u, minlength=side * side).reshape(side, side)
        share = np.minimum(count / DENSE_POINTS, 1.0)[..., None]
        colours = (np.array(GROUND_RGB) + share * (np.array(POINT_RGB) - GROUND_RGB)).astype(np.uint8)
        picture.paste(Image.fromarray(colours).resize(picture.size, Image.Resampling.NEAREST))

    def _map(self, canvas: ImageDraw.ImageDraw, view: LogView, index: int) -> None:
        if view.global_SE3_ego is None:
            return
        ego_SE3_global = view.global_SE3_ego[int(view.frames[index])].inverse()
        for line in view.map_lines:
            ego_xy_m = (ego_SE3_global @ line.global_xyz_m)[:, :2]
            if (ego_xy_m.max(axis=0) < -self.reach_m).any() or (ego_xy_m.min(axis=0) > self.reach_m).any():
                continue
            colour, points = MAP_RGB.get(line.kind, RING_RGB), self.pixels(ego_xy_m)
            if line.closed and len(points) > 2 and line.kind in ("crosswalk", "intersection"):
                canvas.polygon(points, fill=blend(colour, GROUND_RGB, 0.75))
            canvas.line([*points, points[0]] if line.closed else points, fill=colour, width=FINE)

    def _rings(self, canvas: ImageDraw.ImageDraw) -> None:
        centre = FINE * self.size_px / 2.0
        for ring_m in np.arange(RING_STEP_M, self.reach_m * 1.45, RING_STEP_M):
            radius = self.scale * float(ring_m)
            canvas.ellipse(
                (centre - radius, centre - radius, centre + radius, centre + radius), outline=RING_RGB, width=FINE
            )

    def _ego(self, canvas: ImageDraw.ImageDraw) -> None:
        half_m, side_m = EGO_SIZE_M[0] / 2.0, EGO_SIZE_M[1] / 2.0
        hull = np.array(
            [[half_m, 0], [half_m - 1.2, side_m], [-half_m, side_m], [-half_m, -side_m], [half_m - 1.2, -side_m]]
        )
        canvas.polygon(self.pixels(hull), fill=EGO_RGB)

    def _trails(self, canvas: ImageDraw.ImageDraw, view: LogView, index: int, colours: Mapping[str, RGB]) -> None:
        for track_id, trail_m in trails(view, index, colours, TRAIL_S).items():
            colour = blend(colours[track_id], GROUND_RGB, 0.5)
            canvas.line(self.pixels(trail_m[:, :2]), fill=colour, width=FINE)

    def _track(self, canvas: ImageDraw.ImageDraw, row: Row) -> None:
        colour = class_rgb(row["category"])
        size_m = np.maximum([row["length_m"], row["width_m"]], MIN_BOX_M)
        corners = footprint(np.array([row["x_m"], row["y_m"], *size_m, row["yaw_rad"]]))
        points = self.pixels(corners)
        observed = row["observed"] is not False
        canvas.polygon(points, fill=blend(colour, GROUND_RGB, 0.55) if observed else None)
        canvas.line([*points, points[0]], fill=colour, width=2 * FINE if observed else FINE, joint="curve")
        nose = np.stack([corners[0], 0.5 * (corners[0] + corners[3]) * 0.55 + 0.45 * corners.mean(axis=0), corners[3]])
        canvas.line(self.pixels(nose), fill=colour, width=FINE)
        if row["vx_mps"] is not None and row["vy_mps"] is not None:
            self._arrow(canvas, np.array([row["x_m"], row["y_m"]]), np.array([row["vx_mps"], row["vy_mps"]]), colour)

    def _arrow(self, canvas: ImageDraw.ImageDraw, from_m: np.ndarray, velocity_mps: np.ndarray, colour: RGB) -> None:
        """As long as the way of one second."""
        speed_mps = float(np.hypot(*velocity_mps))
        if not MIN_ARROW_MPS < speed_mps < 1e3:
            return
        along = velocity_mps / speed_mps
        tip, head_m = from_m + velocity_mps, min(1.2, 0.4 * speed_mps)
        left = tip - head_m * along + 0.5 * head_m * np.array([-along[1], along[0]])
        right = tip - head_m * along - 0.5 * head_m * np.array([-along[1], along[0]])
        bright = blend(colour, EGO_RGB, 0.4)
        canvas.line(self.pixels(np.stack([from_m, tip])), fill=bright, width=FINE)
        canvas.polygon(self.pixels(np.stack([tip, left, right])), fill=bright)

    def _texts(self, canvas: ImageDraw.ImageDraw, view: LogView, index: int, rows: Sequence[Row]) -> None:
        centre = self.size_px / 2.0
        for ring_m in np.arange(RING_STEP_M, self.reach_m, RING_STEP_M):
            place = centre + float(ring_m) * self.scale / FINE * np.sqrt(0.5)
            canvas.text((place, place), f"{ring_m:.0f} m", fill=FAINT_RGB, font=font(11), anchor="mm")
        for row in rows if self.labels else ():
            self._label(canvas, row)
        time_s = (int(view.timestamps_ns[index]) - int(view.timestamps_ns[0])) * 1e-9
        speed_mps = view.speeds_mps[index]
        speed = f"{speed_mps:.1f} m/s" if np.isfinite(speed_mps) else "speed not known"
        canvas.text((10, 8), f"{view.log_id}", fill=TEXT_RGB, font=font(15))
        canvas.text((10, 28), f"{time_s:.1f} s   {speed}   {len(rows)} objects", fill=TEXT_RGB, font=font(15))
        self._legend(canvas, sorted({row["category"] for row in rows if row["category"]}))

    def _label(self, canvas: ImageDraw.ImageDraw, row: Row) -> None:
        u_px, v_px = (value / FINE for value in self.pixels(np.array([[row["x_m"], row["y_m"]]]))[0])
        if 0 <= u_px < self.size_px and 0 <= v_px < self.size_px:
            aside = 4 + 0.5 * min(row["width_m"], row["length_m"]) * self.scale / FINE
            text = short_id(row["track_id"])
            canvas.text(
                (u_px + aside, v_px),
                text,
                fill=blend(class_rgb(row["category"]), EGO_RGB, 0.3),
                font=font(10),
                anchor="lm",
            )

    def _legend(self, canvas: ImageDraw.ImageDraw, categories: Sequence[str]) -> None:
        for line, category in enumerate(reversed(categories)):
            v_px = self.size_px - 18 - 16 * line
            canvas.rectangle((10, v_px, 20, v_px + 10), fill=class_rgb(category))
            canvas.text((26, v_px + 5), category.replace("_", " "), fill=TEXT_RGB, font=font(12), anchor="lm")


def newest_points(view: LogView, index: int) -> Float[np.ndarray, "n 3"]:
    """The newest lidar points not older than `SWEEP_S`, in the ego frame of now; without ego poses, those of this frame."""
    now_ns = int(view.timestamps_ns[index])
    for at in range(index, -1, -1):
        if now_ns - int(view.timestamps_ns[at]) > SWEEP_S * 1e9 or (at < index and view.global_SE3_ego is None):
            break
        ego_xyz_m = _sweeps(view, int(view.frames[at]))
        if ego_xyz_m is not None and view.global_SE3_ego is not None:
            now, then = (view.global_SE3_ego[int(view.frames[one])] for one in (index, at))
            return now.inverse() @ then @ ego_xyz_m
        if ego_xyz_m is not None:
            return ego_xyz_m
    return np.empty((0, 3))


@lru_cache(maxsize=8)
def _sweeps(view: LogView, frame: int) -> Float[np.ndarray, "n 3"] | None:
    """Points of all lidars at a frame, in its ego frame; None where there are none.

    Files that cannot be read are left out: a film of the rest is worth more than none.
    """
    parts = []
    for row in view.files(frame, "lidar"):
        with contextlib.suppress(LogFormatError, StoreError):
            parts.append(view.sweep(row))
    return np.concatenate(parts) if parts else None


def trails(view: LogView, index: int, shown: Collection[str], last_s: float) -> dict[str, Float[np.ndarray, "n 3"]]:
    """Past places of the tracks `shown` in the ego frame of now, oldest first; those with one place are left out.

    Over ground where the log has poses; without, where they were relative to the ego then.
    """
    first = int(np.searchsorted(view.timestamps_ns, view.timestamps_ns[index] - round(last_s * 1e9)))
    found: dict[str, list[Float[np.ndarray, "3"]]] = {}
    for past in range(first, index + 1):
        rows = [row for row in view.tracks.get(int(view.frames[past]), []) if row["track_id"] in shown]
        xyz_m = np.array([[row["x_m"], row["y_m"], row["z_m"]] for row in rows]).reshape(-1, 3)
        if view.global_SE3_ego is not None:
            now, then = (view.global_SE3_ego[int(view.frames[at])] for at in (index, past))
            xyz_m = now.inverse() @ then @ xyz_m
        for row, place_m in zip(rows, xyz_m, strict=True):
            found.setdefault(row["track_id"], []).append(place_m)
    return {track_id: np.stack(places_m) for track_id, places_m in found.items() if len(places_m) > 1}


def short_id(track_id: str) -> str:
    """The first characters of a track's name: enough to follow it, and a token has 32."""
    return track_id[:LABEL_CHARACTERS]


@lru_cache(maxsize=8)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font."""
    return ImageFont.load_default(size)
