"""The big tables of a nuScenes version: captures with their poses and boxes, joined, checked and sorted by scene."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int

from drive_vqa.errors import LogFormatError
from sensors.driving_log import relative_path
from sensors.readers.nuscenes_json import Piece, read_pieces
from sensors.readers.nuscenes_layout import BY_SCENE, REFERENCE, pose_column
from sensors.readers.nuscenes_small import Named, Problems, Samples, unit_quaternions
from sensors.readers.nuscenes_tables import AGAIN, FILES, EgoPose, SampleAnnotation, SampleData

_PLAIN_PATH = r"^([A-Za-z0-9_+=@-][^/\\]*/)*[A-Za-z0-9_+=@-][^/\\]*$"
"""File names that need no further look."""


@dataclass(frozen=True, eq=False)
class _Rows:
    """A big table, or a piece of it: columns of text, columns of numbers, and what is wrong with a row."""

    text: dict[str, pa.Array]
    number: dict[str, np.ndarray]
    faults: dict[int, str]


def captures_by_scene(
    folder: Path, samples: Samples, calibrations: Named, scenes: int, problems: Problems
) -> tuple[Iterator[pa.RecordBatch], Iterator[pa.RecordBatch]]:
    """Keyframes and sweeps, one batch a scene each.

    Raises:
        LogFormatError: a table as a whole is wrong.
    """
    file = folder / f"{FILES[SampleData]}.json"
    rows = _joined(read_pieces(folder, SampleData, lambda piece: _capture_rows(piece, samples, calibrations)))
    _check_unique(file, rows.text["token"])
    sample, calibration, keyframe = (rows.number[name] for name in ("sample", "calibration", "is_key_frame"))
    scene, tokens = samples.scene[sample], rows.text["token"]

    def note(wrong: Any, message: Callable[[int], str]) -> None:
        problems.add_rows(np.asarray(wrong, dtype=np.int64), scene, message, ~keyframe)

    note(sorted(rows.faults), rows.faults.__getitem__)
    poses = _poses(folder, rows, file, note)
    unusable = np.array([wrong is not None for wrong in calibrations.faults] + [False])
    note(np.flatnonzero(unusable[calibration]), lambda row: str(calibrations.faults[calibration[row]]))
    is_camera = np.array([name == "camera" for name in calibrations.rows["modality"].to_pylist()] + [False])[
        calibration
    ]
    sizeless = is_camera & ((rows.number["width"] == 0) | (rows.number["height"] == 0))
    note(
        np.flatnonzero(sizeless),
        lambda row: (
            f"{file}, token {tokens[row].as_py()!r}: a camera's width and height must be above 0: mend that record"
        ),
    )
    paths = _paths(rows, file, note)
    channel = _channels(calibrations)[calibration]
    note(*_channel_twice(file, rows, samples, channel))
    _note_missing_reference(file, samples, sample[keyframe & (channel == _reference(calibrations))], problems)
    columns = {
        **rows.number,
        "scene": scene,
        "frame": samples.frame[sample],
        "channel": channel,
        "is_camera": is_camera,
    }
    by_frame = _sorted_rows(columns, keyframe, ("scene", "frame", "channel"))
    by_channel = _sorted_rows(columns, ~keyframe, ("scene", "channel", "timestamp"))
    return tuple(_capture_batches(columns, paths, poses, order, scenes) for order in (by_frame, by_channel))  # type: ignore[return-value]


def boxes_by_scene(
    folder: Path, samples: Samples, instances: Named, attributes: Named, scenes: int, problems: Problems
) -> tuple[pa.Array, Iterator[pa.RecordBatch]]:
    """Names of attributes, and boxes, one batch a scene.

    Raises:
        LogFormatError: the table as a whole is wrong.
    """
    file = folder / f"{FILES[SampleAnnotation]}.json"
    rows = _joined(
        read_pieces(folder, SampleAnnotation, lambda piece: _box_rows(piece, samples, instances, attributes))
    )
    _check_unique(file, rows.text["token"])
    sample, instance = rows.number["sample"], rows.number["instance"]
    scene, tokens = samples.scene[sample], rows.text["token"]
    problems.add_rows(np.array(sorted(rows.faults), dtype=np.int64), scene, rows.faults.__getitem__)
    unusable = np.array([wrong is not None for wrong in instances.faults] + [False])
    problems.add_rows(np.flatnonzero(unusable[instance]), scene, lambda row: str(instances.faults[instance[row]]))
    twice = _second_of(sample.astype(np.int64) * (len(instances.faults) + 1) + instance)
    problems.add_rows(
        twice,
        scene,
        lambda row: f"{file}, token {tokens[row].as_py()!r}: its instance has another box in that sample: {AGAIN}",
    )
    encoded = rows.text["attribute"].dictionary_encode()
    columns = {**rows.number, "scene": scene, "frame": samples.frame[sample]}
    order = np.lexsort((columns["frame"], scene))
    return encoded.dictionary.cast(pa.string()), _box_batches(columns, encoded.indices, order, scenes)


def _capture_rows(piece: Piece, samples: Samples, calibrations: Named) -> _Rows:
    columns, faults = piece.columns, dict(piece.faults)
    calibration = _places(piece, "calibrated_sensor_token", calibrations, faults)
    number = {
        "sample": _sample_ranks(piece, samples),
        "calibration": calibration,
        "timestamp": columns["timestamp"].to_numpy(),
        **{name: columns[name].to_numpy().astype(np.int32) for name in ("width", "height")},
        "is_key_frame": columns["is_key_frame"].to_numpy(zero_copy_only=False),
    }
    names = ("token", "ego_pose_token", "filename")
    return _Rows({name: columns[name] for name in names}, number, faults)


def _box_rows(piece: Piece, samples: Samples, instances: Named, attributes: Named) -> _Rows:
    columns, faults = piece.columns, dict(piece.faults)
    number = {
        "sample": _sample_ranks(piece, samples),
        "instance": _places(piece, "instance_token", instances, faults),
        "pose": np.hstack([unit_quaternions(columns["rotation"]), columns["translation"]]),
        "size": columns["size"],
        **{name: columns[name].to_numpy().astype(np.int32) for name in ("num_lidar_pts", "num_radar_pts")},
    }
    text = {"token": columns["token"], "attribute": _attributes(piece, attributes, faults)}
    return _Rows(text, number, faults)


def _attributes(piece: Piece, attributes: Named, faults: dict[int, str]) -> pa.Array:
    """Names of each box's attributes joined by commas; null where there are none."""
    lists = piece.columns["attribute_tokens"]
    places = pc.index_in(lists.flatten(), value_set=attributes.tokens)
    usable = pa.array([wrong is None for wrong in attributes.faults], pa.bool_())
    wrong = pc.invert(pc.fill_null(usable.take(places), False)).to_numpy(zero_copy_only=False)
    boxes = pc.list_parent_indices(lists).to_numpy()
    for entry in np.flatnonzero(wrong).tolist():
        place, token = places[entry].as_py(), lists.flatten()[entry].as_py()
        where = f"{piece.file}, token {piece.columns['token'][int(boxes[entry])].as_py()!r}"
        said = attributes.missing(token, where) if place is None else str(attributes.faults[place])
        faults.setdefault(int(boxes[entry]), said)
    names = pc.fill_null(attributes.rows["names"].combine_chunks().take(places), "")
    joined = pc.binary_join(pa.ListArray.from_arrays(lists.offsets, names), ",")
    return pc.replace_with_mask(joined, pc.equal(pc.list_value_length(lists), 0), pa.scalar(None, pa.string()))


def _sample_ranks(piece: Piece, samples: Samples) -> Int[np.ndarray, "n"]:
    tokens = piece.columns["sample_token"]
    places = pc.index_in(tokens, value_set=samples.tokens)
    if places.null_count:
        row = int(np.flatnonzero(places.is_null().to_numpy(zero_copy_only=False))[0])
        token, sample = piece.columns["token"][row].as_py(), tokens[row].as_py()
        raise LogFormatError(f"{piece.file}, token {token!r}: sample_token {sample!r} is not in sample.json: {AGAIN}")
    return np.asarray(samples.rank[places.to_numpy()].astype(np.int32))


def _places(piece: Piece, name: str, named: Named, faults: dict[int, str]) -> Int[np.ndarray, "n"]:
    """Rows that references point to; -1 where there is none, which is a fault of the row."""
    tokens = piece.columns[name]
    places = pc.fill_null(pc.index_in(tokens, value_set=named.tokens), -1).to_numpy()
    for row in np.flatnonzero(places < 0).tolist():
        faults.setdefault(row, named.missing(tokens[row].as_py(), str(piece.file)))
    return np.asarray(places)


def _joined(parts: list[_Rows]) -> _Rows:
    counts = [len(part.text["token"]) for part in parts]
    starts = np.cumsum([0, *counts]).tolist()
    faults = {
        start + row: text for start, part in zip(starts, parts, strict=False) for row, text in part.faults.items()
    }
    text = {
        name: pa.concat_arrays([part.text[name].cast(pa.large_string()) for part in parts]) for name in parts[0].text
    }
    number = {name: np.concatenate([part.number[name] for part in parts]) for name in parts[0].number}
    return _Rows(text, number, faults)


def _check_unique(file: Path, tokens: pa.Array) -> None:
    """Refuse a table in which a token stands twice."""
    if len(pc.unique(tokens)) < len(tokens):
        counts = pc.value_counts(tokens)
        token = counts[pc.index(pc.greater(counts.field("counts"), 1), True).as_py()]["values"].as_py()
        raise LogFormatError(f"{file}: token {token!r} stands twice: {AGAIN}")


def _poses(folder: Path, rows: _Rows, file: Path, note: Callable[[Any, Callable[[int], str]], None]) -> np.ndarray:
    """`global_SE3_ego` of each capture as quaternion and metres, shape (n, 7)."""
    poses = _joined(read_pieces(folder, EgoPose, _pose_rows))
    tokens, asked = poses.text["token"], rows.text.pop("ego_pose_token")
    ego_file = folder / f"{FILES[EgoPose]}.json"
    _check_unique(ego_file, tokens)
    same = tokens.equals(asked)  # as in the real data set, and much faster
    places = np.arange(len(tokens)) if same else pc.fill_null(pc.index_in(asked, value_set=tokens), -1).to_numpy()
    note(
        np.flatnonzero(places < 0),
        lambda row: f"{file} names token {asked[row].as_py()!r}, which {ego_file} does not have: {AGAIN}",
    )
    unusable = np.zeros(len(tokens) + 1, dtype=bool)
    unusable[list(poses.faults)] = True
    note(np.flatnonzero(unusable[places]), lambda row: poses.faults[int(places[row])])
    values = poses.number["pose"]
    return np.asarray(values[places] if len(values) else np.zeros((len(places), 7)))


def _pose_rows(piece: Piece) -> _Rows:
    columns = piece.columns
    pose = np.hstack([unit_quaternions(columns["rotation"]), columns["translation"]])
    return _Rows({"token": columns["token"]}, {"pose": pose}, piece.faults)


def _paths(rows: _Rows, file: Path, note: Callable[[Any, Callable[[int], str]], None]) -> pa.Array:
    """File names, checked; those that are not plain are looked at one by one."""
    paths = rows.text.pop("filename")
    odd = pc.invert(pc.match_substring_regex(paths, _PLAIN_PATH)).to_numpy(zero_copy_only=False)
    mended, faults = {}, {}
    for row in np.flatnonzero(odd).tolist():
        try:
            mended[row] = relative_path(paths[row].as_py(), f"{file}, token {rows.text['token'][row].as_py()!r}")
        except LogFormatError as error:
            mended[row], faults[row] = "", str(error)
    note(sorted(faults), faults.__getitem__)
    values = pa.array([mended[row] for row in sorted(mended)], paths.type)
    return pc.replace_with_mask(paths, pa.array(odd), values) if mended else paths


def _channels(calibrations: Named) -> Int[np.ndarray, "n"]:
    """Rank of each calibration's channel by name, and -1 for the one that is not there."""
    names = [name or "" for name in calibrations.rows["channel"].to_pylist()]
    rank = {name: place for place, name in enumerate(sorted(set(names)))}
    return np.array([rank[name] for name in names] + [-1], dtype=np.int32)


def _reference(calibrations: Named) -> int:
    """Rank of the channel whose pose is the frame's; one that no row has where there is none."""
    names = sorted({name or "" for name in calibrations.rows["channel"].to_pylist()})
    return names.index(REFERENCE) if REFERENCE in names else -2


def _channel_twice(
    file: Path, rows: _Rows, samples: Samples, channel: Int[np.ndarray, "n"]
) -> tuple[Int[np.ndarray, "m"], Callable[[int], str]]:
    """Keyframe captures of a channel that its sample already has."""
    sample = rows.number["sample"]
    keyframes = np.flatnonzero(rows.number["is_key_frame"])
    twice = keyframes[
        _second_of(sample[keyframes].astype(np.int64) * (int(channel.max(initial=0)) + 2) + channel[keyframes])
    ]
    return (
        twice,
        lambda row: (
            f"sample {samples.sorted_tokens[int(sample[row])].as_py()} in {file} has two captures of one channel: {AGAIN}"
        ),
    )


def _note_missing_reference(file: Path, samples: Samples, present: Int[np.ndarray, "m"], problems: Problems) -> None:
    missing = np.ones(len(samples.scene), dtype=bool)
    missing[present] = False
    problems.add_rows(
        np.flatnonzero(missing),
        samples.scene,
        lambda row: (
            f"sample {samples.sorted_tokens[row].as_py()} in {file} has no {REFERENCE} capture, whose pose is the "
            f"frame's: {AGAIN}"
        ),
    )


def _second_of(keys: Int[np.ndarray, "n"]) -> Int[np.ndarray, "m"]:
    """Places of keys that stand further ahead already."""
    order = np.argsort(keys, kind="stable")
    return np.sort(order[1:][keys[order][1:] == keys[order][:-1]])


def _sorted_rows(columns: dict[str, np.ndarray], chosen: np.ndarray, keys: tuple[str, ...]) -> Int[np.ndarray, "m"]:
    rows = np.flatnonzero(chosen)
    return np.asarray(rows[np.lexsort([columns[name][rows] for name in reversed(keys)])])


def _scene_slices(scene: Int[np.ndarray, "n"], order: Int[np.ndarray, "m"], scenes: int) -> Iterator[np.ndarray]:
    bounds = np.searchsorted(scene[order], np.arange(scenes + 1)).tolist()
    for start, end in pairwise(bounds):
        yield order[start:end]


def _capture_batches(
    columns: dict[str, np.ndarray], paths: pa.Array, poses: np.ndarray, order: np.ndarray, scenes: int
) -> Iterator[pa.RecordBatch]:
    for rows in _scene_slices(columns["scene"], order, scenes):
        not_camera = ~columns["is_camera"][rows]
        yield pa.record_batch(
            [
                pa.array(columns["frame"][rows], pa.int32()),
                pa.array(columns["calibration"][rows], pa.int32()),
                pa.array(1000 * columns["timestamp"][rows], pa.int64()),
                paths.take(pa.array(rows)).cast(pa.string()),
                pa.array(columns["width"][rows], pa.int32(), mask=not_camera),
                pa.array(columns["height"][rows], pa.int32(), mask=not_camera),
                pose_column(poses[rows]),
            ],
            schema=BY_SCENE["keyframes"],
        )


def _box_batches(
    columns: dict[str, np.ndarray], attributes: pa.Array, order: np.ndarray, scenes: int
) -> Iterator[pa.RecordBatch]:
    for rows in _scene_slices(columns["scene"], order, scenes):
        width_m, length_m, height_m = columns["size"][rows].T
        yield pa.record_batch(
            [
                pa.array(columns["frame"][rows], pa.int32()),
                pa.array(columns["instance"][rows], pa.int32()),
                attributes.take(pa.array(rows)).cast(pa.int32()),
                pose_column(columns["pose"][rows]),
                *(pa.array(np.ascontiguousarray(size)) for size in (length_m, width_m, height_m)),
                pa.array(columns["num_lidar_pts"][rows]),
                pa.array(columns["num_radar_pts"][rows]),
            ],
            schema=BY_SCENE["boxes"],
        )
