"""What is shown to a model together: moments of a log, their images, and the agents marked on them; all as columns.

    single     the front image at the present
    surround   the images of all cameras at the present
    sequence   front images at -1.5, -1, -0.5 and 0 s
    clip       front images at -3.5, -3, … 0 s
    target     a sequence with one marked agent, for the `bench` split

An agent keeps its number in all images of a group. Numbers are dealt at random from 0 to 9, so that a number says nothing about
where its region is, nor whether it is there at all.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from drive_vqa.categories import CATEGORIES
from drive_vqa.errors import ConfigError
from drive_vqa.geometry import bearing_deg, wrap_deg
from qa_gen.config import GenerateConfig
from qa_gen.drive import Drive
from qa_gen.hashing import below, mix, text_hash
from qa_gen.split import TIME_WITHIN_LOG, start_of_test_ns

SPLITS = ("train", "val", "test", "bench")
NUMBERS = 10
"""Marks are numbered from 0 to 9."""

MOVING_MPS = 0.5
"""Above this speed an agent counts as moving where marks are chosen and in slices."""

_SHARES = 1000
_MOST_PRIORITY = 3
"""Above that of any agent that moves and is vulnerable."""
DISTANCE_TOLERANCE, BEARING_TOLERANCE_DEG = 0.25, 10.0
"""Within which a place counts as right (METRICS: LSR)."""

UNSEEN_BEARING_DEG = 35.0
"""In a log without cameras, agents this far to either side of straight ahead can be marked."""

_MOVABLE = np.array([category.movable for category in CATEGORIES.values()] + [False])
_VULNERABLE = np.array([category.vulnerable for category in CATEGORIES.values()] + [False])


@dataclass(frozen=True, eq=False)
class Groups:
    """All groups of one kind in a log, in time order.

    Attributes:
        kind: see `qa_gen.config.KINDS`.
        offsets_s: nominal time of each context image relative to the present.
        context_cameras: its camera; None for a log without cameras.
        context_sizes: its width and height in pixels; NaN where unknown.
        present: index of each group's present frame.
        context: index of the frame of each context image.
        tracks: index of each mark's track; -1 in empty places.
        numbers: the mark's number; -1 in empty places. Marks of a group stand in rising order of their numbers.
        regions: what each context image shows of each mark (u0, v0, u1, v1 in px, visible fraction); NaN where it shows too
            little to be marked.
        fresh: whether a mark has changed since it was last asked about, see `_fresh`.
        ego_fresh: the same for the ego.
        split: code of each group's split, see SPLITS.
        front: name of the front camera; None for a log without cameras.
    """

    kind: str
    offsets_s: tuple[float, ...]
    context_cameras: tuple[str | None, ...]
    context_sizes: Float[np.ndarray, "c 2"]
    present: Int[np.ndarray, "g"]
    context: Int[np.ndarray, "g c"]
    tracks: Int[np.ndarray, "g k"]
    numbers: Int[np.ndarray, "g k"]
    regions: Float[np.ndarray, "g k c 5"]
    fresh: Bool[np.ndarray, "g k"]
    ego_fresh: Bool[np.ndarray, "g"]
    split: Int[np.ndarray, "g"]
    front: str | None

    def __len__(self) -> int:
        """How many groups there are."""
        return len(self.present)

    def shown(self, context: int, group: Int[np.ndarray, "n"], slot: Int[np.ndarray, "n"]) -> Float[np.ndarray, "n 5"]:
        """Regions of marks in a context image; NaN where it does not show them."""
        return np.asarray(self.regions[group, slot, context])


def make_groups(
    drive: Drive,
    kind: str,
    keyframes: Int[np.ndarray, "g"],
    log_splits: Sequence[str],
    config: GenerateConfig,
    *,
    bench_groups: int = 0,
) -> Groups:
    """All groups of one kind.

    Args:
        drive: the logs.
        kind: see `qa_gen.config.KINDS`.
        keyframes: frames that may be a group's present, see `keyframes_of`.
        log_splits: of each log, or "time-within-log".
        config: which keyframes, which marks.
        bench_groups: how many groups of kind `target` each log is to give.

    Raises:
        ConfigError: there are images, but none of a camera that the config knows as a front camera.
    """
    front = _front_camera(drive, config)
    cameras, offsets_s = _context_of(drive, kind, front, config)
    present = keyframes if cameras else keyframes[:0]
    times = [drive.frame_after(present, offset_s, config.time_tolerance_s) for offset_s in offsets_s]
    context = np.stack(times, axis=-1) if times else np.zeros((0, 0), np.int64)
    futures = np.stack([drive.frame_after(present, at, config.time_tolerance_s) for at in _horizons(kind, config)], -1)
    usable = (context >= 0).all(axis=-1) & (futures >= 0).all(axis=-1) & _has_images(drive, context, cameras, config)
    present, context, futures = present[usable], context[usable], futures[usable]
    tracks = _choose_marks(drive, kind, present, futures, cameras, config)
    held = (tracks >= 0).any(axis=-1)
    present, context, tracks = present[held], context[held], tracks[held]
    numbers, tracks = _deal_numbers(drive, kind, present, tracks, config)
    split = _splits(drive, kind, present, log_splits)
    fresh, ego_fresh = _fresh(drive, present, tracks, config)
    groups = Groups(
        kind, offsets_s, cameras, _sizes(drive, cameras), present, context, tracks, numbers,
        _regions(drive, context, tracks, cameras, config), fresh, ego_fresh, split, front,
    )  # fmt: skip
    return _bench(drive, groups, bench_groups, config) if kind == "target" else groups


def take_groups(groups: Groups, chosen: Bool[np.ndarray, "g"] | Int[np.ndarray, "n"]) -> Groups:
    """Some of the groups."""
    return Groups(
        groups.kind, groups.offsets_s, groups.context_cameras, groups.context_sizes, groups.present[chosen],
        groups.context[chosen], groups.tracks[chosen], groups.numbers[chosen], groups.regions[chosen],
        groups.fresh[chosen], groups.ego_fresh[chosen], groups.split[chosen], groups.front,
    )  # fmt: skip


def _front_camera(drive: Drive, config: GenerateConfig) -> str | None:
    """None for a log without cameras."""
    pictured = [
        name
        for name, picture in drive.pictures.items()
        if any(picture.path) or (picture.width is not None and not config.need_images)
    ]
    front = next((name for name in config.cameras if name in pictured), None)
    if front is None and pictured:
        named = f"no images of a camera named {' or '.join(config.cameras)} (it has {', '.join(pictured)})"
        likely = next((name for name in pictured if "front" in name.lower()), pictured[0])
        raise ConfigError(f"log {drive.log_ids[0]} has {named}: set cameras=[{likely}]")
    if front is None and config.need_images:
        raise ConfigError(
            f"log {drive.log_ids[0]} has no images to ask about: render some with `drive-vqa synth --replay`, "
            "or ask about tracks alone with need_images=false"
        )
    return front


def _context_of(
    drive: Drive, kind: str, front: str | None, config: GenerateConfig
) -> tuple[tuple[str | None, ...], tuple[float, ...]]:
    """Camera and time of each context image; nothing where the log cannot have such groups."""
    if kind == "surround":
        others = [name for name, picture in drive.pictures.items() if name != front and any(picture.path)]
        return ((front, *others), (0.0,) * (1 + len(others))) if others else ((), ())
    offsets_s = {
        "single": (0.0,),
        "sequence": config.context_offsets_s,
        "target": config.context_offsets_s,
        "clip": tuple(-config.clip_step_s * back for back in range(config.clip_images - 1, -1, -1)),
    }[kind]
    return (front,) * len(offsets_s), tuple(float(offset_s) + 0.0 for offset_s in offsets_s)


def _horizons(kind: str, config: GenerateConfig) -> tuple[int, ...]:
    return config.horizons_s if kind in ("sequence", "target") else (0,)


def keyframes_of(drive: Drive, step_s: float) -> Int[np.ndarray, "g"]:
    """Indices of frames about `step_s` apart: from each, the next is the one nearest to a step later."""
    times_ns = drive.time_ns
    chosen: list[int] = []
    wanted_ns = -np.inf
    for index, time_ns in enumerate(times_ns.tolist()):
        later = times_ns[index + 1] if index + 1 < len(times_ns) else np.inf
        if abs(time_ns - wanted_ns) <= abs(later - wanted_ns) or not chosen:
            chosen.append(index)
            wanted_ns = time_ns + step_s * 1e9
    return np.array(chosen, dtype=np.int64)


def _has_images(
    drive: Drive, context: np.ndarray, cameras: tuple[str | None, ...], config: GenerateConfig
) -> Bool[np.ndarray, "g"]:
    if not config.need_images:
        return np.ones(len(context), dtype=bool)
    there = np.ones(len(context), dtype=bool)
    for column, camera in enumerate(cameras):
        has = np.array([path is not None for path in drive.pictures[camera].path] + [False]) if camera else None
        there &= has[context[:, column]] if has is not None else False
    return there


def _choose_marks(
    drive: Drive,
    kind: str,
    present: np.ndarray,
    futures: np.ndarray,
    cameras: tuple[str | None, ...],
    config: GenerateConfig,
) -> Int[np.ndarray, "g k"]:
    """Tracks of the agents most worth asking about in each group; -1 in empty places.

    First those that move or are vulnerable, then those that are large in the image. Only those tracked at all horizons: a
    target that is asked about at some of them could never count as consistent.
    """
    group, rows = _rows_in(drive, present)
    area_px2, can = _markable(drive, rows, cameras, config)
    tracks = drive.row_track[rows]
    later = drive.row_of(futures[group], tracks[:, None])
    can &= (later >= 0).all(axis=-1)
    group, rows, tracks, area_px2, later = group[can], rows[can], tracks[can], area_px2[can], later[can]
    category = drive.category[rows]
    priority = (drive.boxes["speed_mps"][rows] > MOVING_MPS).astype(np.int64) + _VULNERABLE[category]
    if kind == "target":  # any agent of the highest priority, not always the largest
        drawn = below(_hash(drive, "leaving", config, present[group]), _SHARES)
        wanted = drawn < round(_SHARES * config.bench_leaving_share)
        priority += _MOST_PRIORITY * (wanted & _leaves(drive, rows, later[:, int(np.argmax(config.horizons_s))]))
        area_px2 = _hash(drive, "target", config, present[group], drive.track_hash[tracks]).astype(np.float64)
    order = np.lexsort((tracks, -area_px2, -priority, group))
    rank = rank_in_run(group[order])
    limit = 1 if kind == "target" else config.max_marks
    chosen = order[rank < limit]
    marks = np.full((len(present), limit), -1, dtype=np.int64)
    marks[group[chosen], rank[rank < limit]] = tracks[chosen]
    return marks


def _leaves(drive: Drive, now: Int[np.ndarray, "n"], later: Int[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
    """Whether an agent's place, seen from the ego at the time, changes by more than a place may be off that counts as right."""
    x_m, y_m = (np.stack([drive.boxes[axis][rows] for rows in (now, later)]) for axis in ("x_m", "y_m"))
    distance_m, bearing = np.hypot(x_m, y_m), bearing_deg(x_m, y_m)
    turned_deg = np.abs(wrap_deg(bearing[1] - bearing[0]))
    moved = np.abs(distance_m[1] - distance_m[0]) > DISTANCE_TOLERANCE * distance_m[0]
    return np.asarray(moved | (turned_deg > BEARING_TOLERANCE_DEG))


def _rows_in(drive: Drive, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All rows of the track table in some frames: which of the frames, and the row."""
    first, count = drive.first_row[frames], drive.first_row[frames + 1] - drive.first_row[frames]
    group = np.repeat(np.arange(len(frames)), count)
    within = np.arange(len(group)) - np.repeat(np.cumsum(count) - count, count)
    return group, first[group] + within


def rank_in_run(values: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """Place of each entry among equal neighbours, from 0; equal values must stand together."""
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]]) if len(values) else np.zeros(0, np.int64)
    lengths = np.diff(np.r_[starts, len(values)])
    return np.asarray(np.arange(len(values)) - np.repeat(starts, lengths))


def _markable(
    drive: Drive, rows: np.ndarray, cameras: tuple[str | None, ...], config: GenerateConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Greatest area in an image of the present, and whether an agent can be marked."""
    x_m, y_m = drive.boxes["x_m"][rows], drive.boxes["y_m"][rows]
    distance_m = np.hypot(x_m, y_m)
    can = _MOVABLE[drive.category[rows]] & (distance_m <= config.max_distance_m)
    shown = [drive.regions[camera][rows] for camera in dict.fromkeys(cameras) if camera is not None]
    if not shown:
        ahead = np.abs(np.degrees(np.arctan2(y_m, x_m))) <= UNSEEN_BEARING_DEG
        return -distance_m, can & ahead
    area_px2, enough = np.zeros(len(rows)), np.zeros(len(rows), dtype=bool)
    for region in shown:
        width_px, height_px = region[:, 2] - region[:, 0], region[:, 3] - region[:, 1]
        visible = (region[:, 4] >= config.min_visible_fraction) & (np.minimum(width_px, height_px) >= config.min_box_px)
        enough |= visible
        area_px2 = np.where(visible, np.fmax(area_px2, width_px * height_px), area_px2)
    return area_px2, can & enough


def _deal_numbers(
    drive: Drive, kind: str, present: np.ndarray, tracks: np.ndarray, config: GenerateConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Random numbers from 0 to 9 for the marks of each group; marks are put in rising order of their numbers."""
    draws = _hash(drive, f"numbers {kind}", config, present[:, None], np.arange(NUMBERS)[None])
    numbers = np.argsort(draws, axis=-1, kind="stable")[:, : tracks.shape[1]]
    numbers = np.where(tracks >= 0, numbers, NUMBERS)
    order = np.argsort(numbers, axis=-1, kind="stable")
    numbers, tracks = np.take_along_axis(numbers, order, -1), np.take_along_axis(tracks, order, -1)
    return np.where(tracks >= 0, numbers, -1), tracks


def _regions(
    drive: Drive, context: np.ndarray, tracks: np.ndarray, cameras: tuple[str | None, ...], config: GenerateConfig
) -> Float[np.ndarray, "g k c 5"]:
    regions = np.full((*tracks.shape, len(cameras), 5), np.nan)
    for column, camera in enumerate(cameras):
        if camera is not None:
            shown = drive.regions[camera][drive.row_of(context[:, column, None], tracks)]
            enough = shown[..., 4] >= config.min_visible_fraction
            regions[:, :, column] = np.where(enough[..., None], shown, np.nan)
    return regions


def _sizes(drive: Drive, cameras: tuple[str | None, ...]) -> Float[np.ndarray, "c 2"]:
    sizes = np.full((len(cameras), 2), np.nan)
    for column, camera in enumerate(cameras):
        if camera is not None:
            picture = drive.pictures[camera]
            sizes[column] = (picture.width or np.nan, picture.height or np.nan)
    return sizes


def _fresh(
    drive: Drive, present: np.ndarray, tracks: np.ndarray, config: GenerateConfig
) -> tuple[Bool[np.ndarray, "g k"], Bool[np.ndarray, "g"]]:
    """Whether a mark, and the ego, looks other than when it was last asked about.

    It does where its place in the ego frame, its speed or the ego's speed has changed, or some time has passed. What is not
    fresh is drawn but not asked about: a parked car seen from a standing ego gives the same picture and answer again and again.
    """
    rows = drive.row_of(present[:, None], tracks)
    own = [drive.boxes[name][rows] for name in ("x_m", "y_m", "speed_mps")]
    ego_mps = drive.ego_speed_mps[present]
    state = np.stack([*own, np.broadcast_to(ego_mps[:, None], rows.shape)], axis=-1)
    ego_state = np.concatenate([drive.global_xyz_ego_m[present], ego_mps[:, None]], axis=-1)
    ego = len(drive.track_ids) + drive.log[present]  # like one more track in each log
    fresh = _changed(drive, present, tracks, np.nan_to_num(state), config)
    ego_fresh = _changed(drive, present, ego[:, None], np.nan_to_num(ego_state)[:, None], config)[:, 0]
    return fresh & (tracks >= 0), ego_fresh


def _changed(
    drive: Drive, present: np.ndarray, tracks: np.ndarray, state: np.ndarray, config: GenerateConfig
) -> Bool[np.ndarray, "g k"]:
    """Whether a state differs from the last one that was kept of the same track; all logs step by step together."""
    last = np.full((len(drive.track_ids) + len(drive.log_ids) + 1, state.shape[-1]), np.inf)
    last_ns = np.full(len(last), -(2**62), dtype=np.int64)
    changed = np.zeros(tracks.shape, dtype=bool)
    step = rank_in_run(drive.log[present])
    for number in range(int(step.max(initial=-1)) + 1):
        here = np.flatnonzero(step == number)
        track, now_ns = tracks[here], np.broadcast_to(drive.time_ns[present[here], None], tracks[here].shape)
        moved = (np.abs(state[here] - last[track]) > config.least_change).any(axis=-1)
        now = moved | (now_ns - last_ns[track] >= config.repeat_after_s * 1e9)
        changed[here] = now
        last[track[now]], last_ns[track[now]] = state[here][now], now_ns[now]
    return changed


def _splits(drive: Drive, kind: str, present: np.ndarray, log_splits: Sequence[str]) -> Int[np.ndarray, "g"]:
    """Code of the split of each group; -1: in none."""
    by_time = np.array([split == TIME_WITHIN_LOG for split in log_splits])
    code_of_log = np.array([0 if split == TIME_WITHIN_LOG else SPLITS.index(split) for split in log_splits])
    log = drive.log[present]
    code = code_of_log[log]
    for number in np.flatnonzero(by_time).tolist():
        is_test = drive.time_ns[present] >= _start_of_test_ns(drive.time_ns[drive.log[:-1] == number])
        code = np.where((log == number) & is_test, SPLITS.index("test"), code)
    if kind == "target":
        return np.where(code == SPLITS.index("test"), SPLITS.index("bench"), -1)
    return np.asarray(code)


def _start_of_test_ns(time_ns: Int[np.ndarray, "f"]) -> int:
    """Counted over the middle of the log, where sequences can lie: they need a past and a future."""
    middle = time_ns[(time_ns >= time_ns[0] + 1_500_000_000) & (time_ns <= time_ns[-1] - 3_000_000_000)]
    return start_of_test_ns((middle if len(middle) else time_ns).tolist())


def _bench(drive: Drive, groups: Groups, count: int, config: GenerateConfig) -> Groups:
    """So many groups of the bench from each log, spread at random over it."""
    allowed = np.flatnonzero(groups.split >= 0)
    log = drive.log[groups.present[allowed]]
    order = np.lexsort((_hash(drive, "bench", config, groups.present[allowed]), log))
    return take_groups(groups, np.sort(allowed[order[rank_in_run(log[order]) < count]]))


def _hash(drive: Drive, purpose: str, config: GenerateConfig, present: np.ndarray, *columns: np.ndarray) -> np.ndarray:
    return mix(text_hash(f"{config.seed} {purpose}"), drive.moment_hash[present], *columns)


def choose_subsets(
    drive: Drive, groups: Groups, roles: int, limit: int, config: GenerateConfig
) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n roles"]]:
    """For each group up to `limit` sets of `roles` marks, in random order of roles; at least one of a set is fresh.

    Returns:
        The group of each subject, and the slots of its marks.
    """
    sets = np.array(list(itertools.combinations(range(groups.tracks.shape[1]), roles)), dtype=np.int64).reshape(
        -1, roles
    )
    there = (groups.tracks >= 0)[:, sets].all(axis=-1) & groups.fresh[:, sets].any(axis=-1)
    draws = _hash(drive, f"sets {groups.kind} {roles}", config, groups.present[:, None], np.arange(len(sets))[None])
    order = np.argsort(np.where(there, draws, np.uint64(2**64 - 1)), axis=-1, kind="stable")[:, :limit]
    group, place = np.nonzero(np.take_along_axis(there, order, -1))
    slots = sets[order[group, place]]
    turns = _hash(drive, f"order {groups.kind}", config, groups.present[group, None], slots)
    return group, np.take_along_axis(slots, np.argsort(turns, axis=-1, kind="stable"), -1)
