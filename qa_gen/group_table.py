"""Rows of the `groups` table."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from drive_vqa.categories import CATEGORIES
from drive_vqa.schema import GROUPS
from qa_gen.drive import REGION_COLUMNS, Drive
from qa_gen.groups import SPLITS, Groups

_CONTEXT = GROUPS.field("context").type
_MARKS = GROUPS.field("marks").type
_REGIONS = _MARKS.value_type.field("regions").type


def group_ids(drive: Drive, groups: Groups) -> list[str]:
    """Names of the groups."""
    places = zip(drive.log[groups.present].tolist(), drive.frame[groups.present].tolist(), strict=True)
    return [f"{drive.log_ids[log]}-{frame:05d}-{groups.kind}" for log, frame in places]


def group_table(drive: Drive, groups: Groups, descriptions: np.ndarray) -> pa.Table:
    """Groups of one kind as rows of the `groups` table.

    Args:
        drive: the logs.
        groups: of these logs.
        descriptions: text or None for each mark, (groups, marks).
    """
    length = len(groups)
    ego_mps = drive.ego_speed_mps[groups.present]
    columns = {
        "group_id": pa.array(group_ids(drive, groups), pa.string()),
        "kind": pa.array([groups.kind] * length, pa.string()),
        "log_id": pa.array(drive.log_ids, pa.string()).take(pa.array(drive.log[groups.present])),
        "frame": pa.array(drive.frame[groups.present], pa.int32()),
        "timestamp_ns": pa.array(drive.timestamp_ns[groups.present]),
        "split": pa.array([SPLITS[code] for code in groups.split.tolist()], pa.string()),
        "context": _context(drive, groups),
        "marks": _marks(drive, groups, descriptions),
        "ego_speed_mps": pa.array(ego_mps, mask=np.isnan(ego_mps)),
    }
    return pa.table([columns[name] for name in GROUPS.names], schema=GROUPS)


def _context(drive: Drive, groups: Groups) -> pa.ListArray:
    length, images = groups.context.shape
    paths = [
        drive.pictures[camera].path[frame] if camera else None
        for row in groups.context.tolist()
        for frame, camera in zip(row, groups.context_cameras, strict=True)
    ]
    pictures = [drive.pictures[camera] if camera else None for camera in groups.context_cameras]
    columns = {
        "frame": pa.array(drive.frame[groups.context.ravel()], pa.int32()),
        "offset_s": pa.array(np.tile(groups.offsets_s, length), pa.float64()),
        "camera": pa.array(list(groups.context_cameras) * length, pa.string()),
        "path": pa.array(paths, pa.string()),
        "width": pa.array([picture and picture.width for picture in pictures] * length, pa.int32()),
        "height": pa.array([picture and picture.height for picture in pictures] * length, pa.int32()),
    }
    return _lists(columns, np.full(length, images), _CONTEXT)


def _marks(drive: Drive, groups: Groups, descriptions: np.ndarray) -> pa.ListArray:
    there = groups.tracks >= 0
    rows = drive.row_of(groups.present[:, None], groups.tracks)[there]
    shown = np.isfinite(groups.regions[..., 0]) & there[..., None]
    context = np.nonzero(shown)[2]
    values = groups.regions[shown]
    regions = {"context": pa.array(context, pa.int32())} | {
        name: pa.array(values[:, column]) for column, name in enumerate(REGION_COLUMNS)
    }
    columns = {
        "mark": pa.array(groups.numbers[there], pa.int32()),
        "track_id": pa.array(drive.track_ids, pa.string()).take(pa.array(groups.tracks[there])),
        "category": pa.array(list(CATEGORIES), pa.string()).take(pa.array(drive.category[rows])),
        "description": pa.array(descriptions[there], pa.string()),
        "regions": _lists(regions, shown.sum(axis=-1)[there], _REGIONS),
    }
    return _lists(columns, there.sum(axis=-1), _MARKS)


def _lists(columns: dict[str, pa.Array], lengths: np.ndarray, kind: pa.ListType) -> pa.ListArray:
    """Lists of structs from flat columns and the length of each list."""
    fields = list(kind.value_type)
    values = pa.StructArray.from_arrays([columns[field.name] for field in fields], fields=fields)
    return list_column(values, lengths, kind)


def list_column(values: pa.Array, lengths: np.ndarray, kind: pa.ListType) -> pa.ListArray:
    """Lists from flat values and the length of each list."""
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, values.cast(kind.value_type), type=kind)
