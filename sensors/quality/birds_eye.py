"""Bird's-eye pictures of where tracks went wrong: the worst moments, and the worst drives from above."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection

from drive_vqa.boxes import box_corners
from drive_vqa.geometry import SE3
from sensors.quality.charts import PALETTE, SERIES, figure, to_svg
from sensors.quality.label_quality import LabelQuality
from sensors.quality.track_boxes import TrackBoxes

REACH_M = 55.0
SWITCH_WEIGHT = 3.0
APART_STEPS = 5
"""Two moments of one drive are at least so many compared frames apart."""
MAX_LABELS = 6
MAX_ID = 10
GROUND = [0, 1, 5, 4]
"""Of the eight corners of a box, one for each corner of its outline, in order round it."""

Poses = Mapping[tuple[str, int], SE3]
"""`global_SE3_ego` by log and frame."""


@dataclass(frozen=True)
class Picture:
    """A drawing with what it shows.

    Attributes:
        title: the log, and the frame where it is one moment.
        caption: what went wrong, in numbers.
        svg: the drawing.
    """

    title: str
    caption: str
    svg: Markup


@dataclass(frozen=True)
class _Outcome:
    """What became of every box.

    Attributes:
        found: truth boxes with a match.
        used: fused boxes with one.
        switched: truth boxes matched by another track than before.
    """

    found: Bool[np.ndarray, "t"]
    used: Bool[np.ndarray, "f"]
    switched: Bool[np.ndarray, "t"]

    @classmethod
    def of(cls, quality: LabelQuality) -> _Outcome:
        pairs, switch = quality.matches.pairs, quality.matches.switch
        found = np.zeros(len(quality.comparison.truth), dtype=bool)
        used = np.zeros(len(quality.comparison.fused), dtype=bool)
        switched = np.zeros(len(found), dtype=bool)
        found[pairs.truth], used[pairs.tracked], switched[pairs.truth[switch]] = True, True, True
        return cls(found, used, switched)

    def badness(self, quality: LabelQuality) -> tuple[Float[np.ndarray, "t"], Float[np.ndarray, "f"]]:
        """How much each truth and fused box adds to the badness of its moment; doubtful false alarms add less."""
        missed_or_switched = np.where(self.switched, SWITCH_WEIGHT, np.where(self.found, 0.0, 1.0))
        return missed_or_switched, np.where(self.used, 0.0, np.clip(quality.comparison.fused.score, 0.0, 1.0))


def worst_moments(quality: LabelQuality, count: int) -> list[Picture]:
    """Pictures of the frames with the most switches, misses and sure false alarms, worst first."""
    outcome, comparison = _Outcome.of(quality), quality.comparison
    instants = np.concatenate([comparison.truth.instant, comparison.fused.instant])
    steps = np.concatenate([comparison.truth.step, comparison.fused.step])
    logs = np.concatenate([comparison.truth.log, comparison.fused.log])
    names, first, code = np.unique(instants, return_index=True, return_inverse=True)
    badness = np.bincount(code, weights=np.concatenate(outcome.badness(quality)), minlength=len(names))
    chosen: list[int] = []
    for place in np.argsort(-badness, kind="stable").tolist():
        row = first[place]
        near = any(logs[first[c]] == logs[row] and abs(steps[first[c]] - steps[row]) < APART_STEPS for c in chosen)
        if len(chosen) < count and badness[place] > 0 and not near:
            chosen.append(place)
    return [_moment(quality, outcome, int(names[place])) for place in chosen]


def _moment(quality: LabelQuality, outcome: _Outcome, instant: int) -> Picture:
    truth, fused = quality.comparison.truth, quality.comparison.fused
    t, f = np.flatnonzero(truth.instant == instant), np.flatnonzero(fused.instant == instant)
    name = quality.comparison.log_ids[int((truth.log[t] if len(t) else fused.log[f])[0])]
    frame = int((truth.frame[t] if len(t) else fused.frame[f])[0])
    missed, switched, false = t[~outcome.found[t]], t[outcome.switched[t]], f[~outcome.used[f]]
    with figure(f"moment-{name}-{frame}", 420) as (drawing, axes):
        _outlines(axes, fused, f[outcome.used[f]], "series-0", "track", fill=0.3)
        _outlines(axes, fused, false, "wrong", "false alarm", fill=0.3, fade=True)
        _outlines(axes, truth, t[outcome.found[t]], "ink", "truth")
        _outlines(axes, truth, missed, "danger", "missed", fill=0.15)
        _switches(axes, quality, switched)
        axes.plot(0, 0, "^", color=PALETTE["ink"], markersize=9)
        axes.set(xlim=(-REACH_M, REACH_M), ylim=(-REACH_M, REACH_M), aspect="equal")
        _metres(axes)
        drawing.legend(loc="outside upper left", ncols=3, handlelength=1.0, columnspacing=1.0, handletextpad=0.4)
        svg = to_svg(drawing, f"Bird's-eye view of {name}, frame {frame}")
    caption = f"{len(t)} objects, {len(missed)} missed, {len(false)} false alarms, {_plural(len(switched), 'switch', 'switches')}"
    return Picture(f"{name}, frame {frame}", caption, svg)


def _outlines(
    axes: Axes,
    boxes: TrackBoxes,
    rows: Int[np.ndarray, "n"],
    color: str,
    label: str,
    fill: float = 0.0,
    fade: bool = False,
) -> None:
    """Ground outlines in the ego frame, forward up; `fade`: doubtful ones are paler."""
    title = f"{label} ({len(rows)})"
    if not len(rows):
        axes.plot([], [], "-", color=PALETTE[color], label=title)
        return
    corners = box_corners(boxes.xyz_m[rows], boxes.lwh_m[rows], boxes.yaw_rad[rows])[:, GROUND, :2]
    polygons = np.stack([-corners[..., 1], corners[..., 0]], axis=-1)
    strength = np.clip(boxes.score[rows], 0.15, 1.0) if fade else np.ones(len(rows))
    if fill:
        axes.add_collection(PolyCollection(polygons, facecolors=PALETTE[color], alpha=fill * strength))
    edges = PolyCollection(polygons, facecolors="none", edgecolors=PALETTE[color], alpha=strength, linewidths=1.2)
    axes.add_collection(edges)
    axes.plot([], [], "-", color=PALETTE[color], label=title)


def _switches(axes: Axes, quality: LabelQuality, rows: Int[np.ndarray, "n"]) -> None:
    """A cross where an object changed its track, with the new track's name for the first few."""
    truth, pairs = quality.comparison.truth, quality.matches.pairs
    axes.plot(-truth.xyz_m[rows, 1], truth.xyz_m[rows, 0], "x", color=PALETTE["danger"], markersize=9, label="switch")
    for row in rows[:MAX_LABELS].tolist():
        taken = pairs.tracked[np.flatnonzero(pairs.truth == row)[0]]
        text = f"→ {quality.comparison.fused.track_id[taken]}"[: MAX_ID + 2]
        place = (-truth.xyz_m[row, 1], truth.xyz_m[row, 0])
        axes.annotate(
            text, place, (6, 4), textcoords="offset points", color=PALETTE["danger"], fontsize=10, clip_on=True
        )


def worst_drives(quality: LabelQuality, poses: Poses, count: int) -> list[Picture]:
    """Pictures of the logs with the most switches and misses, worst first; logs without poses are left out.

    Args:
        quality: the judgement.
        poses: of every compared frame.
        count: at most so many.
    """
    outcome, comparison = _Outcome.of(quality), quality.comparison
    badness = np.bincount(comparison.truth.log, weights=outcome.badness(quality)[0], minlength=len(comparison.log_ids))
    order = [log for log in np.argsort(-badness, kind="stable").tolist() if badness[log] > 0]
    drives = [_drive(quality, outcome, log, poses) for log in order[:count]]
    return [drive for drive in drives if drive is not None]


def _drive(quality: LabelQuality, outcome: _Outcome, log: int, poses: Poses) -> Picture | None:
    truth, pairs = quality.comparison.truth, quality.matches.pairs
    name = quality.comparison.log_ids[log]
    t = np.flatnonzero(truth.log == log)
    if any((name, frame) not in poses for frame in np.unique(truth.frame[t]).tolist()):
        return None
    by = np.full(len(truth), -1)
    by[pairs.truth] = quality.comparison.fused.track[pairs.tracked]
    xy_m, ego_m = _on_map(truth, t, name, poses)
    with figure(f"drive-{name}", 400) as (drawing, axes):
        _trails(axes, xy_m, truth.track[t], by[t])
        missed, switched = ~outcome.found[t], outcome.switched[t]
        axes.plot(*xy_m[missed].T, ".", color=PALETTE["wrong"], markersize=3, label=f"missed ({missed.sum()})")
        axes.plot(*xy_m[switched].T, "x", color=PALETTE["danger"], markersize=8, label=f"switch ({switched.sum()})")
        axes.plot(*ego_m.T, "--", color=PALETTE["ink"], linewidth=1.4, label="ego")
        axes.set_aspect("equal", adjustable="datalim")
        _metres(axes)
        drawing.legend(loc="outside upper left", ncols=3, handlelength=1.2, columnspacing=1.0, handletextpad=0.4)
        svg = to_svg(drawing, f"Tracks of {name} from above")
    caption = (
        f"{len(t):,} boxes of {len(np.unique(truth.track[t]))} objects, {missed.sum():,} missed, "
        f"{_plural(int(switched.sum()), 'switch', 'switches')}"
    )
    return Picture(name, caption, svg)


def _on_map(
    truth: TrackBoxes, rows: Int[np.ndarray, "n"], name: str, poses: Poses
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "f 2"]]:
    """Truth centres and the ego's path in axes turned so that the ego starts at 0 and looks up, metres."""
    frames, code = np.unique(truth.frame[rows], return_inverse=True)
    start_SE3_ego = [poses[name, int(frames[0])].inverse() @ poses[name, frame] for frame in frames.tolist()]
    rotation = np.stack([pose.rotation for pose in start_SE3_ego])[code]
    shift_m = np.stack([pose.translation_m for pose in start_SE3_ego])
    xyz_m = np.einsum("nij,nj->ni", rotation, truth.xyz_m[rows]) + shift_m[code]
    return np.stack([-xyz_m[:, 1], xyz_m[:, 0]], axis=-1), np.stack([-shift_m[:, 1], shift_m[:, 0]], axis=-1)


def _trails(
    axes: Axes, xy_m: Float[np.ndarray, "n 2"], track: Int[np.ndarray, "n"], tracked_by: Int[np.ndarray, "n"]
) -> None:
    """The path of each object, coloured by the track that follows it; grey where none does."""
    steps = np.flatnonzero(track[1:] == track[:-1])
    lines = np.stack([xy_m[steps], xy_m[steps + 1]], axis=1)
    by = np.where(tracked_by[steps] == tracked_by[steps + 1], tracked_by[steps], -1)
    colors = [PALETTE["muted"] if b < 0 else PALETTE[SERIES[b % len(SERIES)]] for b in by.tolist()]
    axes.add_collection(LineCollection(list(lines), colors=colors, linewidths=2.0, capstyle="round"))
    axes.autoscale_view()


def _metres(axes: Axes) -> None:
    axes.set(xlabel="← left · metres · right →", ylabel="ahead (m)")
    axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    axes.grid()
    axes.set_axisbelow(True)


def _plural(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
