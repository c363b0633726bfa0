"""Rows of the `tracks` table as columns that metrics can work with, truth and fused tracks side by side."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int

from drive_vqa.categories import CATEGORIES
from drive_vqa.errors import StoreError

CATEGORY_NAMES = tuple(CATEGORIES)
MAX_FRAME = 1 << 31


@dataclass(frozen=True)
class TrackBoxes:
    """Boxes in order of track and time, one entry a box in every column; ego frame of each box's own frame.

    Attributes:
        log: place of the log in the comparison's `log_ids`.
        frame: of its log.
        step: place of the frame among the evaluated frames of its log.
        track: from 0, unique over logs.
        track_id: its name in its log.
        category: place in `CATEGORY_NAMES`.
        xyz_m: centre.
        lwh_m: size.
        yaw_rad: where it points.
        velocity_mps: over ground, ego axes; NaN where unknown.
        score: mean over the evaluated boxes of the track; 1 where the table has none.
    """

    log: Int[np.ndarray, "n"]
    frame: Int[np.ndarray, "n"]
    step: Int[np.ndarray, "n"]
    track: Int[np.ndarray, "n"]
    track_id: np.ndarray
    category: Int[np.ndarray, "n"]
    xyz_m: Float[np.ndarray, "n 3"]
    lwh_m: Float[np.ndarray, "n 3"]
    yaw_rad: Float[np.ndarray, "n"]
    velocity_mps: Float[np.ndarray, "n 2"]
    score: Float[np.ndarray, "n"]

    def __post_init__(self) -> None:
        for column in fields(self):
            if len(getattr(self, column.name)) != len(self.log):
                raise StoreError(f"column {column.name!r} has not one entry a box: give every column its length")

    def __len__(self) -> int:
        return len(self.log)

    @property
    def instant(self) -> Int[np.ndarray, "n"]:
        """Names log and frame together."""
        return np.asarray(self.log * MAX_FRAME + self.frame)

    @property
    def range_m(self) -> Float[np.ndarray, "n"]:
        """Distance of the centre from the ego, ground plane."""
        return np.asarray(np.hypot(self.xyz_m[:, 0], self.xyz_m[:, 1]))


@dataclass(frozen=True)
class Comparison:
    """Truth and fused tracks of the same logs at the instants that are compared.

    Attributes:
        truth: annotated boxes.
        fused: boxes to judge.
        log_ids: names of the logs.
        instants: how many frames of all logs are compared.
    """

    truth: TrackBoxes
    fused: TrackBoxes
    log_ids: tuple[str, ...]
    instants: int

    @classmethod
    def of(cls, truth: pa.Table, fused: pa.Table, max_range_m: float = float("inf")) -> Comparison:
        """Bring two tables together.

        Compared are the frames in which at least one annotated row was observed (the others hold interpolated truth only).
        As in nuScenes' evaluation, an object counts from the first to the last frame in which any point fell on it, where
        the table knows the number of points.

        Args:
            truth: table `tracks` with annotated rows of one or more logs.
            fused: table `tracks` to judge; logs that `truth` has not are not looked at.
            max_range_m: boxes further from the ego than this, in truth or fused, are left out.

        Raises:
            StoreError: a track comes twice in a frame, a category is not known, or a box is not finite.
        """
        log_ids = tuple(sorted(set(truth["log_id"].to_pylist())))
        instants = _observed_instants(truth, log_ids)
        compared = _boxes(truth, log_ids, instants, "truth", max_range_m, seen=_seen(truth))
        return cls(compared, _boxes(fused, log_ids, instants, "fused", max_range_m), log_ids, len(instants))


def _observed_instants(truth: pa.Table, log_ids: tuple[str, ...]) -> Int[np.ndarray, "i"]:
    observed = truth["observed"].to_numpy().astype(bool)
    return np.asarray(np.unique(_instants(truth, log_ids)[observed]))


def _instants(table: pa.Table, log_ids: tuple[str, ...]) -> Int[np.ndarray, "n"]:
    """Log and frame as one number; negative for logs that are not in `log_ids`."""
    place = {name: i for i, name in enumerate(log_ids)}
    log = np.array([place.get(name, -1) for name in table["log_id"].to_pylist()], dtype=np.int64)
    return np.where(log < 0, -1, log * MAX_FRAME + table["frame"].to_numpy().astype(np.int64))


def _seen(truth: pa.Table) -> Bool[np.ndarray, "n"]:
    """Boxes on which a lidar or radar point fell; all where no number of points is known."""
    lidar, radar = _numbers(truth, "lidar_points"), _numbers(truth, "radar_points")
    known = ~(np.isnan(lidar) & np.isnan(radar))
    return np.asarray(~known | (np.nan_to_num(lidar) + np.nan_to_num(radar) > 0))


def _boxes(
    table: pa.Table,
    log_ids: tuple[str, ...],
    instants: Int[np.ndarray, "i"],
    name: str,
    max_range_m: float,
    seen: Bool[np.ndarray, "n"] | None = None,
) -> TrackBoxes:
    instant = _instants(table, log_ids)
    near = ~(
        np.hypot(_numbers(table, "x_m"), _numbers(table, "y_m")) > max_range_m
    )  # what is not finite is refused below
    keep = np.flatnonzero(np.isin(instant, instants) & near)
    log, track_id = instant[keep] // MAX_FRAME, np.array(table["track_id"].to_pylist(), dtype=np.str_)[keep]
    _, log_track = np.unique(np.char.add(np.char.add(log.astype(np.str_), ":"), track_id), return_inverse=True)
    order = np.lexsort((instant[keep], log_track))
    keep, log_track = keep[order], log_track[order].astype(np.int64)
    if seen is not None:
        lasting = _between_sightings(log_track, seen[keep])
        keep, log_track = keep[lasting], np.unique(log_track[lasting], return_inverse=True)[1].astype(np.int64)
    _check_unique(log_track, instant[keep], name)
    rows = table.take(pa.array(keep))
    return _columns(rows, instant[keep], instants, log_track, name)


def _columns(
    rows: pa.Table,
    instant: Int[np.ndarray, "n"],
    instants: Int[np.ndarray, "i"],
    track: Int[np.ndarray, "n"],
    name: str,
) -> TrackBoxes:
    log = instant // MAX_FRAME
    step = np.searchsorted(instants, instant) - np.searchsorted(instants, log * MAX_FRAME)
    geometry = _stack(rows, ("x_m", "y_m", "z_m", "length_m", "width_m", "height_m", "yaw_rad"))
    usable = np.isfinite(geometry).all(-1)
    if not usable.all():
        raise StoreError(f"{name} tracks: row {int(np.argmin(usable))} has a box that is not finite: make them again")
    return TrackBoxes(
        log=log,
        frame=instant % MAX_FRAME,
        step=step.astype(np.int64),
        track=track,
        track_id=np.array(rows["track_id"].to_pylist(), dtype=np.str_),
        category=_categories(rows, name),
        xyz_m=geometry[:, :3],
        lwh_m=geometry[:, 3:6],
        yaw_rad=geometry[:, 6],
        velocity_mps=_stack(rows, ("vx_mps", "vy_mps")),
        score=_mean_scores(_numbers(rows, "score"), track),
    )


def _categories(rows: pa.Table, name: str) -> Int[np.ndarray, "n"]:
    place = {category: i for i, category in enumerate(CATEGORY_NAMES)}
    categories = rows["category"].to_pylist()
    unknown = sorted({str(category) for category in categories} - set(place))
    if unknown:
        raise StoreError(f"{name} tracks have the category {unknown[0]!r}, which drive_vqa.categories does not know")
    return np.array([place[category] for category in categories], dtype=np.int64)


def _mean_scores(score: Float[np.ndarray, "n"], track: Int[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    filled = np.where(np.isnan(score), 1.0, score)
    mean = np.bincount(track, weights=filled) / np.maximum(np.bincount(track), 1)
    return np.asarray(mean[track])


def _between_sightings(track: Int[np.ndarray, "n"], seen: Bool[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
    """Boxes from the first to the last one seen of their track; boxes are in order of track and time."""
    place = np.arange(len(track))
    count = int(track.max(initial=-1)) + 1
    first, last = np.full(count, len(track)), np.full(count, -1)
    np.minimum.at(first, track[seen], place[seen])
    np.maximum.at(last, track[seen], place[seen])
    return np.asarray((place >= first[track]) & (place <= last[track]))


def _check_unique(track: Int[np.ndarray, "n"], instant: Int[np.ndarray, "n"], name: str) -> None:
    twice = (np.diff(track) == 0) & (np.diff(instant) == 0)
    if twice.any():
        frame = int(instant[int(np.argmax(twice))] % MAX_FRAME)
        raise StoreError(f"{name} tracks: a track comes twice in frame {frame}: make them again")


def _numbers(table: pa.Table, name: str) -> Float[np.ndarray, "n"]:
    """A column as numbers, NaN where null."""
    return np.asarray(table[name].cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _stack(table: pa.Table, names: tuple[str, ...]) -> Float[np.ndarray, "n k"]:
    return np.stack([_numbers(table, name) for name in names], axis=-1)
