"""The scene of a log of tracks: the ego and everyone annotated, at the log's own instants, in a frame around the ego's start.

Nothing is smoothed or moved: at a frame's instant every box is exactly the annotated one. In between, poses are interpolated; an
object counts as there for half a step around each of its frames, and is carried straight on where the next box is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float, Int
from scipy.spatial.transform import Rotation

from drive_vqa.errors import LogFormatError
from drive_vqa.geometry import angle_rad
from sensors.driving_log import DrivingLog, check_increasing
from sensors.synth.replay_actors import choose_model, nuscenes_category, paint
from sensors.synth.scene import Actor, Trajectory
from sensors.synth.tables import ATTRIBUTE_NAMES

_SIZES_M = (0.01, 100.0)
_FARTHEST_M = 1000.0
_LONGEST_M = 20_000.0
_STANDING_M = 0.5
_TOKEN_DIGITS = 32
_STILL_S = 0.1
_GREATEST_M = 1e8
_UPRIGHT_RAD = 1e-9


@dataclass(frozen=True, eq=False)
class Drive:
    """The moving half of a replayed scene.

    Attributes:
        frames: frame numbers of the log, in order of time.
        start_ns: time stamp of the first frame.
        times_s: of the instants since then, one a frame; a log of one frame has a second instant.
        offset_m: position of the scene's origin in the log's global frame, whole metres; the axes are the same.
        ego, actors: as in `Scene`; actors are annotated where `present`.
    """

    frames: Int[np.ndarray, "f"]
    start_ns: int
    times_s: Float[np.ndarray, "t"]
    offset_m: Float[np.ndarray, "3"]
    ego: Trajectory
    actors: tuple[Actor, ...]


@dataclass(frozen=True, eq=False)
class _Boxes:
    """All boxes of a log, or those of one track, in order of time.

    Attributes:
        instant: place of its frame.
        xyz_m, yaw_rad, tilt_rad: pose in the scene's frame, as in `Trajectory`; the yaw is not yet unwrapped.
        attribute: of nuScenes.
    """

    instant: Int[np.ndarray, "k"]
    xyz_m: Float[np.ndarray, "k 3"]
    yaw_rad: Float[np.ndarray, "k"]
    tilt_rad: Float[np.ndarray, "k 3"]
    size_lwh_m: Float[np.ndarray, "k 3"]
    attribute: tuple[str | None, ...]


def read_drive(log: DrivingLog, log_id: str, seed: int) -> Drive:
    """Ego and actors of a log.

    Args:
        log: frames with ego poses, and annotations.
        log_id: for messages, and drawn from with the seed.
        seed: of colours.

    Raises:
        LogFormatError: there is no frame, a frame has no ego pose, or a number cannot be one of a street scene.
    """
    table = log.frames.sort_by("timestamp_ns")
    if table.num_rows == 0:
        raise LogFormatError(f"{log_id}: it has no frames, so there is nothing to replay: leave it out")
    frames, stamps = (np.array(table[name].to_pylist(), dtype=np.int64) for name in ("frame", "timestamp_ns"))
    check_increasing(stamps, log_id)
    xyz, rotation = _poses(table["global_SE3_ego"], [f"{log_id}, frame {frame}: its ego pose" for frame in frames])
    offset = np.floor(xyz[0])
    xyz = xyz - offset
    if np.abs(xyz).max() > _LONGEST_M:
        raise LogFormatError(f"{log_id}: the ego is more than 20 km from where it starts: mend its poses")
    times = (stamps - stamps[0]) * 1e-9
    tracks = _tracks(log.annotations, frames, xyz, rotation, log_id)
    if len(times) == 1:  # a moment: it stands still for a tenth of a second
        times, xyz, rotation = np.array([0.0, _STILL_S]), np.repeat(xyz, 2, axis=0), np.repeat(rotation, 2, axis=0)
    ego = _trajectory(times, _Boxes(np.arange(len(times)), xyz, *_yaw_and_tilt(rotation), np.ones_like(xyz), ()))
    actors = [_actor(number, *track, times, seed, log_id) for number, track in enumerate(tracks, 1)]
    return Drive(frames, int(stamps[0]), times, offset, replace(ego, present=None, size_lwh_m=None), tuple(actors))


def _poses(
    column: pa.ChunkedArray, where: Sequence[str]
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3 3"]]:
    """Translations and rotations of a column of `POSE`; quaternions need not have unit norm."""
    names = ("qw", "qx", "qy", "qz", "tx_m", "ty_m", "tz_m")
    struct = column.combine_chunks()
    values = [pc.struct_field(struct, name).to_numpy(zero_copy_only=False).astype(np.float64) for name in names]
    table = np.stack(values, axis=-1) if len(column) else np.zeros((0, 7))
    norm = np.linalg.norm(table[:, :4], axis=1)
    usable = np.isfinite(table).all(axis=1) & (norm > 1e-6) & (np.abs(table[:, 4:]) < _GREATEST_M).all(axis=1)
    if not usable.all():
        raise LogFormatError(
            f"{where[int(np.argmin(usable))]} is missing, not finite or not a pose: mend it, or leave the log out"
        )
    rotation = Rotation.from_quat(table[:, [1, 2, 3, 0]]).as_matrix() if len(table) else np.zeros((0, 3, 3))
    return table[:, 4:], rotation


def _yaw_and_tilt(rotation: Float[np.ndarray, "n 3 3"]) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n 3"]]:
    """The turn about z that points x where the rotation does, and the rotation vector to be applied before it."""
    if not len(rotation):
        return np.zeros(0), np.zeros((0, 3))
    yaw = angle_rad(rotation[:, 1, 0], rotation[:, 0, 0])
    return yaw, (Rotation.from_euler("z", -yaw[:, None]) * Rotation.from_matrix(rotation)).as_rotvec()


def _tracks(
    table: pa.Table,
    frames: Int[np.ndarray, "t"],
    ego_xyz_m: Float[np.ndarray, "t 3"],
    ego_rotation: Float[np.ndarray, "t 3 3"],
    log_id: str,
) -> list[tuple[str, str, str | None, _Boxes]]:
    """Name, category, source's category and boxes of each track, sorted by name."""
    instant_of = {int(frame): place for place, frame in enumerate(frames)}
    rows = [place for place, frame in enumerate(table["frame"].to_pylist()) if frame in instant_of]
    table = table.take(pa.array(rows, type=pa.int64()))
    names = table["track_id"].to_pylist()
    instant = np.array([instant_of[frame] for frame in table["frame"].to_pylist()], dtype=np.int64)
    where = [f"{log_id}, frame {frames[at]}, track {name!r}: its box" for at, name in zip(instant, names, strict=True)]
    xyz, rotation = _poses(table["ego_SE3_box"], where)
    size = np.array([table[name].to_pylist() for name in ("length_m", "width_m", "height_m")], dtype=np.float64).T
    fits = ((size >= _SIZES_M[0]) & (size <= _SIZES_M[1])).all(axis=1) & (np.abs(xyz) <= _FARTHEST_M).all(axis=1)
    if not fits.all():
        raise LogFormatError(
            f"{where[int(np.argmin(fits))]} must be 0.01 to 100 m long, wide and high, and within 1 km: mend it"
        )
    boxes = _Boxes(
        instant,
        (ego_rotation[instant] @ xyz[:, :, None])[:, :, 0] + ego_xyz_m[instant],
        *_yaw_and_tilt(ego_rotation[instant] @ rotation),
        size,
        tuple(_attribute(value) for value in table["attribute"].to_pylist()),
    )
    return _by_track(boxes, names, table["category"].to_pylist(), table["source_category"].to_pylist(), where)


def _by_track(
    boxes: _Boxes, names: list[str], categories: list[str], sources: list[str | None], where: list[str]
) -> list[tuple[str, str, str | None, _Boxes]]:
    order = sorted(range(len(names)), key=lambda row: (names[row], boxes.instant[row]))
    tracks = []
    for name, group in groupby(order, key=lambda row: names[row]):
        rows = np.array(list(group))
        own = replace(
            boxes,
            instant=boxes.instant[rows],
            xyz_m=boxes.xyz_m[rows],
            yaw_rad=boxes.yaw_rad[rows],
            tilt_rad=boxes.tilt_rad[rows],
            size_lwh_m=boxes.size_lwh_m[rows],
            attribute=tuple(boxes.attribute[row] for row in rows),
        )
        twice = np.flatnonzero(np.diff(own.instant) == 0)
        if len(twice):
            raise LogFormatError(f"{where[rows[twice[0]]]} is not its only one in that frame: remove one of them")
        tracks.append((name, categories[rows[0]], sources[rows[0]], own))
    return tracks


def _attribute(names: str | None) -> str | None:
    known = [name for name in (names or "").split(",") if name in ATTRIBUTE_NAMES]
    return ",".join(known) or None


def _actor(
    number: int,
    name: str,
    kind: str,
    source_kind: str | None,
    boxes: _Boxes,
    times_s: Float[np.ndarray, "t"],
    seed: int,
    log_id: str,
) -> Actor:
    moves = bool(np.ptp(boxes.xyz_m[:, :2], axis=0).max() > _STANDING_M)
    category = nuscenes_category(kind, source_kind)
    model = choose_model(kind, np.median(boxes.size_lwh_m, axis=0), moves)
    rng = np.random.default_rng([seed, crc32(f"{log_id}/{name}".encode())])
    length, width, height = boxes.size_lwh_m[0].tolist()
    own = len(name) == _TOKEN_DIGITS and set(name) <= set("0123456789abcdef")
    return Actor(
        actor_id=number,
        category=category,
        model=model,
        size_lwh_m=(length, width, height),
        color_rgb=paint(kind, category, model, rng),
        trajectory=_trajectory(times_s, boxes),
        parked=not moves,
        token=name if own else f"{log_id}/{name}",
    )


def _trajectory(times_s: Float[np.ndarray, "t"], boxes: _Boxes) -> Trajectory:
    """Samples at all instants; those without a box only serve to interpolate and to carry on."""
    count = len(times_s)
    present = np.zeros(count, dtype=bool)
    present[boxes.instant] = True
    filled = _carried_on(times_s, present, np.column_stack([boxes.xyz_m, np.unwrap(boxes.yaw_rad), boxes.tilt_rad]))
    last = np.clip(np.searchsorted(boxes.instant, np.arange(count), side="right") - 1, 0, None)
    return Trajectory(
        xyz_m=filled[:, :3],
        yaw_rad=filled[:, 3],
        speed_mps=_speed(times_s, present, filled[:, :3]),
        tilt_rad=filled[:, 4:] if np.abs(boxes.tilt_rad).max() > _UPRIGHT_RAD else None,
        present=present,
        size_lwh_m=boxes.size_lwh_m[last],
        attributes=tuple(boxes.attribute[place] for place in last) if any(boxes.attribute) else None,
    )


def _carried_on(
    times_s: Float[np.ndarray, "t"], present: Bool[np.ndarray, "t"], known: Float[np.ndarray, "k c"]
) -> Float[np.ndarray, "t c"]:
    """Values at all instants: interpolated in gaps, and beside each stretch a step further as in its last step."""
    at = np.flatnonzero(present)
    out = np.stack([np.interp(times_s, times_s[at], column) for column in known.T], axis=-1)
    out[at] = known
    for step in (-1, 1):
        here = at[(at + step >= 0) & (at + step < len(times_s)) & (at - step >= 0) & (at - step < len(times_s))]
        here = here[~present[here + step] & present[here - step]]
        share = (times_s[here + step] - times_s[here]) / (times_s[here] - times_s[here - step])
        out[here + step] = out[here] + share[:, None] * (out[here] - out[here - step])
    return out


def _speed(
    times_s: Float[np.ndarray, "t"], present: Bool[np.ndarray, "t"], xyz_m: Float[np.ndarray, "t 3"]
) -> Float[np.ndarray, "t"]:
    """Over ground; 0 for what is seen only once."""
    if present.sum() < 2:
        return np.zeros(len(times_s))
    velocity = np.gradient(xyz_m[:, :2], times_s, axis=0)
    speed = np.hypot(velocity[:, 0], velocity[:, 1])
    return np.where(speed < 1e-6, 0.0, speed)
