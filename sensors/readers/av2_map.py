"""The map of an Argoverse 2 log (`log_map_archive_*.json`) as rows of `map_elements`, city frame.

A lane is given by its two boundaries; its centre line is the mean of both at equal fractions of their lengths. A painted boundary
is a lane line, once although two lanes share it; the mark type `NONE` is no line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from drive_vqa.errors import LogFormatError
from sensors.readers.restricted_pickle import AGAIN

MAX_BYTES = 64 * 1024 * 1024
MAX_POINTS = 1_000_000
CENTRE_POINTS = 10
"""A centre line has at least this many points, as in av2-api."""
LIMIT_M = 1e7


def map_rows(path: Path) -> list[dict[str, Any]]:
    """Lanes, painted lines, crosswalks and drivable areas.

    Raises:
        LogFormatError: the file cannot be read or does not follow the format.
    """
    content = _json(path)
    rows = [
        row
        for group, read in (
            ("lane_segments", _lane),
            ("pedestrian_crossings", _crossing),
            ("drivable_areas", _area),
        )
        for name, element in _elements(content, group, path)
        for row in read(name, element, f"{path}, {group} {name}")
    ]
    if sum(len(row["x_m"]) for row in rows) > MAX_POINTS:
        raise LogFormatError(f"{path} has more than {MAX_POINTS} points: {AGAIN}")
    return _without_shared_lines(rows)


def _json(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        content = json.loads(data) if len(data) <= MAX_BYTES else None
    except (OSError, ValueError, RecursionError) as error:
        raise LogFormatError(f"{path} is not complete JSON ({str(error)[:80]}): {AGAIN}") from error
    if not isinstance(content, dict):
        raise LogFormatError(f"{path} must hold a map of at most {MAX_BYTES} bytes: {AGAIN}")
    return content


def _elements(content: Mapping[str, Any], group: str, path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    elements = content.get(group, {})
    if not isinstance(elements, dict):
        raise LogFormatError(f"{path}: {group} must be a dictionary: {AGAIN}")
    for name, element in elements.items():
        if not isinstance(element, dict) or not name.isprintable():
            raise LogFormatError(f"{path}: an element of {group} is no dictionary with a readable name: {AGAIN}")
        yield name, element


def _lane(name: str, lane: Mapping[str, Any], where: str) -> Iterator[dict[str, Any]]:
    sides = {side: _points(lane, f"{side}_lane_boundary", where) for side in ("left", "right")}
    count = max(CENTRE_POINTS, *(len(points_m) for points_m in sides.values()))
    centre_m = 0.5 * (_resampled(sides["left"], count) + _resampled(sides["right"], count))
    yield _row(f"lane-{name}", "lane", _text(lane, "lane_type", where), centre_m)
    for side, points_m in sides.items():
        mark = _text(lane, f"{side}_lane_mark_type", where)
        if mark != "NONE":
            yield _row(f"lane-{name}-{side}", "lane_line", mark, points_m)


def _crossing(name: str, crossing: Mapping[str, Any], where: str) -> Iterator[dict[str, Any]]:
    """Both edges run the same way, so the ring goes back along the second."""
    edges_m = [_points(crossing, edge, where) for edge in ("edge1", "edge2")]
    yield _row(f"crossing-{name}", "crosswalk", "PEDESTRIAN_CROSSING", np.concatenate([edges_m[0], edges_m[1][::-1]]))


def _area(name: str, area: Mapping[str, Any], where: str) -> Iterator[dict[str, Any]]:
    ring_m = _points(area, "area_boundary", where)
    if len(ring_m) > 3 and (ring_m[0] == ring_m[-1]).all():
        ring_m = ring_m[:-1]
    if len(ring_m) < 3:
        raise LogFormatError(f"{where}: its boundary has less than three points: {AGAIN}")
    yield _row(f"area-{name}", "drivable_area", "DRIVABLE_AREA", ring_m)


def _points(element: Mapping[str, Any], key: str, where: str) -> Float[np.ndarray, "n 3"]:
    points = element.get(key)
    if not isinstance(points, list) or not 2 <= len(points) <= MAX_POINTS:
        raise LogFormatError(f"{where}: {key} must be a list of at least two points: {AGAIN}")
    rows: list[list[Any]] = [
        [point.get(axis) for axis in "xyz"] if isinstance(point, dict) else [None] for point in points
    ]
    if not all(type(value) in (int, float) and -LIMIT_M < value < LIMIT_M for row in rows for value in row):
        raise LogFormatError(f"{where}: a point of {key} is not x, y and z in finite metres: {AGAIN}")
    return np.array(rows, dtype=np.float64)


def _text(element: Mapping[str, Any], key: str, where: str) -> str:
    value = element.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= 200 or not value.isprintable():
        raise LogFormatError(f"{where}: {key} must be short text: {AGAIN}")
    return value


def _resampled(points_m: Float[np.ndarray, "n 3"], count: int) -> Float[np.ndarray, "count 3"]:
    """Points at equal steps along a line."""
    along_m = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points_m, axis=0), axis=1))])
    at_m = np.linspace(0.0, along_m[-1], count)
    return np.stack([np.interp(at_m, along_m, points_m[:, axis]) for axis in range(3)], axis=-1)


def _row(name: str, kind: str, source_kind: str, points_m: Float[np.ndarray, "n 3"]) -> dict[str, Any]:
    axes = dict(zip(("x_m", "y_m", "z_m"), points_m.T.tolist(), strict=True))
    closed = kind in ("crosswalk", "drivable_area")
    return {"element_id": name, "kind": kind, "source_kind": source_kind, "closed": closed, **axes}


def _without_shared_lines(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Neighbours list the same line, one perhaps from its other end: the first of each stays."""
    seen: set[tuple[tuple[float, float], ...]] = set()
    kept = []
    for row in rows:
        line = tuple(zip(row["x_m"], row["y_m"], strict=True))
        if row["kind"] == "lane_line":
            if line in seen or line[::-1] in seen:
                continue
            seen.add(line)
        kept.append(row)
    return kept
