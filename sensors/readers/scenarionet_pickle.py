"""A ScenarioNet pickle as checked arrays: the tracks of a scenario on one time grid, and its map.

`read_scenario` is the only way in. It takes nothing from a file but numbers of sensible size and short text; see
`sensors.readers.restricted_pickle` for why reading it runs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from drive_vqa.errors import LogFormatError
from sensors.readers.restricted_pickle import AGAIN, ARRAY_NAMES, Array, Holder, Name, array_of, load

MAX_BYTES = 256 * 1024 * 1024
"""Greatest size of a file; a scene of 20 s has 1 to 4 MB."""
MAX_STEPS = 100_000
MAX_STATES = 4_000_000
"""Tracks times steps: one stored array may be named by any number of tracks."""
MAX_POINTS = 4_000_000
"""Points of the map, all lines and areas together."""
RECORDING = ("log_name", "log_token", "log")
"""Keys of `metadata` that name the recording."""
LIMIT_M = 1e7
"""No coordinate is greater."""
LIMIT_SIZE_M = 1e3
"""No box is longer."""


class _DefaultDict(Holder):
    """Stands for the counts in a summary, of which nothing is needed."""

    __slots__ = ()

    def __setitem__(self, key: Any, value: Any) -> None:
        """Forgets the item."""


NAMES: dict[str, type[Holder]] = {
    **ARRAY_NAMES,
    "builtins.int": Name,
    "collections.defaultdict": _DefaultDict,
}
"""All names that a file may use, and the holder that stands for each."""


@dataclass(frozen=True, eq=False)
class Track:
    """One object at every step; values are checked only where it is valid.

    Attributes:
        track_id: key in the file.
        source_category: nuScenes category, or the type in ScenarioNet's own words.
        valid: where the object is known.
        centre_m: of the box, global frame.
        heading_rad: of the box's length, global frame.
        size_lwh_m: length, width, height.
    """

    track_id: str
    source_category: str
    valid: Bool[np.ndarray, "t"]
    centre_m: Float[np.ndarray, "t 3"]
    heading_rad: Float[np.ndarray, "t"]
    size_lwh_m: Float[np.ndarray, "t 3"]


@dataclass(frozen=True, eq=False)
class MapFeature:
    """A line or an area of the map, global frame.

    Attributes:
        feature_id: key in the file.
        kind: ScenarioNet's type.
        polyline: columns x, y and, as the data set has it, z (Waymo) or the direction (nuScenes lanes); null without one.
        polygon: columns x, y and perhaps z; null without one.
    """

    feature_id: str
    kind: str
    polyline: Float[np.ndarray, "n c"] | None
    polygon: Float[np.ndarray, "m d"] | None


@dataclass(frozen=True, eq=False)
class Scenario:
    """What a file holds.

    Attributes:
        scenario_id: `metadata.scenario_id`, or `id` where that is absent.
        recording: the drive that it was cut from, as nuPlan names it; null where the file does not tell.
        dataset: `nuscenes`, `waymo` ...
        location: name of the map, null where there is none.
        step_s: nominal time step, null where time stamps are real.
        timestamps_ns: of each step, strictly increasing.
        ego: the track of the recording car.
        others: all other tracks.
        features: the map.
    """

    scenario_id: str
    recording: str | None
    dataset: str
    location: str | None
    step_s: float | None
    timestamps_ns: Int[np.ndarray, "t"]
    ego: Track
    others: list[Track]
    features: list[MapFeature]


def read_scenario(path: Path) -> Scenario:
    """Read a pickle without running anything of it.

    Raises:
        LogFormatError: the file is missing, damaged or too large, uses a forbidden name, or is not a scenario.
    """
    content = load(_bytes(path), NAMES, path, "a plain scenario")
    try:
        return _scenario(content)
    except LogFormatError as error:
        raise LogFormatError(f"{path}: {error}: {AGAIN}") from error
    except Exception as error:  # a hostile state can be of any shape
        raise LogFormatError(f"{path} is not a scenario ({type(error).__name__}): {AGAIN}") from error


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise LogFormatError(f"{path} cannot be read ({error.strerror}): {AGAIN}") from error
    if len(data) > MAX_BYTES:
        raise LogFormatError(f"{path} has more than {MAX_BYTES} bytes and is not opened: {AGAIN}")
    return data


def _scenario(content: Any) -> Scenario:
    metadata, tracks = _mapping(content, "metadata"), _mapping(content, "tracks")
    timestamps_ns = _timestamps_ns(metadata)
    if len(tracks) * len(timestamps_ns) > MAX_STATES:
        raise LogFormatError(f"{len(tracks)} tracks of {len(timestamps_ns)} steps are more than {MAX_STATES} states")
    if content.get("length") != len(timestamps_ns):
        raise LogFormatError(f"it has {len(timestamps_ns)} time stamps for a length of {content.get('length')!r:.20}")
    read = {key: _track(key, value, len(timestamps_ns)) for key, value in tracks.items()}
    ego_id = _text(metadata, "sdc_id")
    if ego_id not in read:
        raise LogFormatError(f"metadata.sdc_id {ego_id!r} is no track")
    if not read[ego_id].valid.all():
        raise LogFormatError(f"the ego, track {ego_id!r}, is not valid at step {int(np.argmin(read[ego_id].valid))}")
    dataset = _text(metadata, "dataset")
    return Scenario(
        scenario_id=_text(metadata if "scenario_id" in metadata else content, "scenario_id", "id"),
        recording=_text(metadata, *RECORDING) if any(key in metadata for key in RECORDING) else None,
        dataset=dataset,
        location=_text(metadata, "map") if "map" in metadata else None,
        step_s=_step_s(metadata) if dataset == "nuscenes" else None,
        timestamps_ns=timestamps_ns,
        ego=read[ego_id],
        others=[track for key, track in read.items() if key != ego_id],
        features=list(_features(_mapping(content, "map_features"))),
    )


def _mapping(holder: Any, key: str) -> Mapping[Any, Any]:
    value = holder[key] if type(holder) is dict and key in holder else None
    if type(value) is not dict:
        raise LogFormatError(f"{key!r} is missing or no dictionary")
    return value


def _text(holder: Mapping[Any, Any], *keys: str) -> str:
    """The first of the keys that is there: short, printable text."""
    value = next((holder[key] for key in keys if key in holder), None)
    if type(value) is not str or not 0 < len(value) <= 200 or not value.isprintable():
        raise LogFormatError(f"{keys[0]!r} is missing or no short text")
    return value


def _timestamps_ns(metadata: Mapping[Any, Any]) -> Int[np.ndarray, "t"]:
    """Whole microseconds: Waymo's stamps are seconds of 32 bits, good for that much and no more."""
    time_s = _numbers(metadata.get("ts"), "metadata.ts", LIMIT_M)
    if time_s.ndim != 1 or not 0 < len(time_s) <= MAX_STEPS:
        raise LogFormatError(f"metadata.ts must hold 1 to {MAX_STEPS} time stamps")
    timestamps_ns = np.asarray(np.round(time_s * 1e6).astype(np.int64) * 1000)
    late = np.flatnonzero(np.diff(timestamps_ns) <= 0)
    if late.size:
        raise LogFormatError(f"metadata.ts: step {int(late[0]) + 1} is not later than the one before it")
    return timestamps_ns


def _step_s(metadata: Mapping[Any, Any]) -> float:
    value: Any = metadata.get("sample_rate")
    if type(value) not in (int, float) or not 1e-3 <= value <= 10:
        raise LogFormatError("metadata.sample_rate must be a step of 0.001 to 10 seconds")
    return float(value)


def _track(key: Any, value: Any, steps: int) -> Track:
    track_id = _text({"track": key}, "track")
    where = f"track {track_id!r}"
    state = _mapping(value, "state")
    metadata = value.get("metadata")
    known = type(metadata) is dict and "type" in metadata
    valid = _numbers(state.get("valid"), f"{where}, valid", 2.0)
    if valid.shape != (steps,) or not np.isin(valid, (0.0, 1.0)).all():
        raise LogFormatError(f"{where}, valid: {steps} values of 0 or 1 expected")
    valid = valid == 1.0
    sizes_m = [
        _masked(state, name, where, valid, LIMIT_SIZE_M).reshape(steps, -1) for name in ("length", "width", "height")
    ]
    size_lwh_m = np.concatenate(sizes_m, axis=1)
    centre_m = _masked(state, "position", where, valid, LIMIT_M)
    heading_rad = _masked(state, "heading", where, valid, 1e3)
    if (centre_m.shape, heading_rad.shape, size_lwh_m.shape) != ((steps, 3), (steps,), (steps, 3)):
        raise LogFormatError(f"{where}: its position, heading or sizes do not have {steps} steps")
    if not (size_lwh_m[valid] > 0).all():
        raise LogFormatError(f"{where} has a length, width or height that is not above 0")
    return Track(track_id, _text(metadata if known else value, "type"), valid, centre_m, heading_rad, size_lwh_m)


def _masked(
    state: Mapping[Any, Any], name: str, where: str, valid: Bool[np.ndarray, "t"], limit: float
) -> Float[np.ndarray, "t *n"]:
    """A column of a track: 0 where it is not valid, whatever the file says there."""
    values = _array(state.get(name), f"{where}, {name}")
    if values.shape[:1] != valid.shape:
        raise LogFormatError(f"{where}, {name}: {len(valid)} steps expected")
    return _checked(np.where(valid.reshape(-1, *[1] * (values.ndim - 1)), values, 0), f"{where}, {name}", limit)


def _features(features: Mapping[Any, Any]) -> Iterator[MapFeature]:
    points = 0
    for key, value in features.items():
        feature_id = _text({"map feature": key}, "map feature")
        if type(value) is not dict:
            raise LogFormatError(f"map feature {feature_id!r} is no dictionary")
        lines = [_line(value[name], f"map feature {feature_id!r}") if name in value else None for name in LINES]
        points += sum(len(line) for line in lines if line is not None)
        if points > MAX_POINTS:
            raise LogFormatError(f"its map has more than {MAX_POINTS} points")
        yield MapFeature(feature_id, _text(value, "type"), *lines)


LINES = ("polyline", "polygon")


def _line(value: Any, where: str) -> Float[np.ndarray, "n c"]:
    """Points of an array, or of a list of tuples."""
    points = _from_list(value, where) if type(value) is list else _array(value, where)
    if points.ndim != 2 or points.shape[1] not in (2, 3):
        raise LogFormatError(f"{where}: points of two or three numbers expected")
    return _checked(points, where, LIMIT_M)


def _from_list(points: list[Any], where: str) -> Float[np.ndarray, "n c"]:
    sizes = {len(point) if type(point) in (tuple, list) else 0 for point in points}
    if not sizes <= {2} and not sizes <= {3}:
        raise LogFormatError(f"{where}: points of two or three numbers expected")
    if not all(type(number) in (int, float) for point in points for number in point):
        raise LogFormatError(f"{where}: a point is not two or three numbers")
    return np.array(points, dtype=np.float64).reshape(len(points), *sizes or [2])


def _numbers(value: Any, where: str, limit: float) -> Float[np.ndarray, "*n"]:
    return _checked(_array(value, where), where, limit)


def _array(value: Any, where: str) -> np.ndarray:
    array = array_of(value) if type(value) is Array else None
    if array is None or array.dtype.kind not in "fib":
        raise LogFormatError(f"{where}: an array of numbers expected")
    return array


def _checked(values: np.ndarray, where: str, limit: float) -> Float[np.ndarray, "*n"]:
    with np.errstate(invalid="ignore"):  # a signalling NaN warns
        values = values.astype(np.float64)
    if not (np.abs(values) < limit).all():
        raise LogFormatError(f"{where}: a value is not a finite number of sensible size")
    return values
