"""2D boxes of a camera detector, from a file.

One record a box, as JSON lines (`.jsonl`) or Parquet (`.parquet`), with the columns

    log_id    name of the log in the store
    frame     number of the frame
    camera    name of the sensor as in `sensor_data`, e.g. CAM_FRONT
    u0_px v0_px u1_px v1_px    left, top, right, bottom, pixels of the original image
    category  a key of `drive_vqa.categories.CATEGORIES`, or any other name: kept as `source_category`, category null
    score     greater is surer

More columns are let alone. A box is clipped to nothing here: what reaches out of the image stays.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from drive_vqa.errors import LogFormatError
from drive_vqa.schema import IMAGE_BOX

EDGES = tuple(name for name, _ in IMAGE_BOX)
COLUMNS = ("log_id", "frame", "camera", *EDGES, "category", "score")
MAX_BOXES = 50_000_000
LIMIT_PX = 1e5


@dataclass(frozen=True)
class CameraBox:
    """A 2D box in the image of a camera.

    Raises:
        LogFormatError: edges are not finite or cross, or the score is not finite.
    """

    frame: int
    camera: str
    u0_px: float
    v0_px: float
    u1_px: float
    v1_px: float
    category: str
    score: float

    def __post_init__(self) -> None:
        edges = (self.u0_px, self.v0_px, self.u1_px, self.v1_px)
        if not all(abs(edge) < LIMIT_PX for edge in edges) or not abs(self.score) < float("inf"):
            raise LogFormatError("an edge or the score is not a finite number of sensible size")
        if not (self.u0_px < self.u1_px and self.v0_px < self.v1_px):
            raise LogFormatError("u0_px must be less than u1_px, and v0_px less than v1_px")


def read_camera_boxes(path: Path, log_id: str) -> list[CameraBox]:
    """Boxes of one log, in the order of frames, cameras and the file.

    Raises:
        LogFormatError: the file is missing, damaged, or a record is wrong.
    """
    boxes = [
        _box(record, f"{path}, record {place}")
        for place, record in _records(path)
        if _column(record, "log_id", f"{path}, record {place}") == log_id
    ]
    return sorted(boxes, key=lambda box: (box.frame, box.camera))


def _records(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if not path.is_file():
        raise LogFormatError(f"{path} is missing: give a .jsonl or .parquet file of camera boxes")
    if path.suffix == ".parquet":
        yield from _parquet_records(path)
    elif path.suffix == ".jsonl":
        yield from _json_records(path)
    else:
        raise LogFormatError(f"{path} must end in .jsonl or .parquet: rename it, or write it in one of the two forms")


def _json_records(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open("rb") as lines:
        for place, line in enumerate(lines):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise LogFormatError(f"{path}, record {place} is not JSON ({str(error)[:80]}): mend it") from error
            if not isinstance(record, dict):
                raise LogFormatError(f"{path}, record {place} must be an object with {', '.join(COLUMNS)}: mend it")
            yield place, record


def _parquet_records(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        file = pq.ParquetFile(path)
        if file.metadata.num_rows > MAX_BOXES:
            raise LogFormatError(f"{path} has more than {MAX_BOXES} boxes: split it by logs")
        missing = sorted(set(COLUMNS) - set(file.schema_arrow.names))
        if missing:
            raise LogFormatError(f"{path} has no column {missing[0]!r}: add it")
        place = 0
        for batch in file.iter_batches(columns=list(COLUMNS)):
            for record in batch.to_pylist():
                yield place, record
                place += 1
    except (pa.ArrowException, OSError) as error:
        raise LogFormatError(f"{path} is not a readable Parquet file ({str(error)[:80]}): write it again") from error


def _column(record: Mapping[str, Any], name: str, where: str) -> Any:
    if name not in record:
        raise LogFormatError(f"{where} has no {name!r}: add it")
    return record[name]


def _box(record: Mapping[str, Any], where: str) -> CameraBox:
    values = {name: _column(record, name, where) for name in COLUMNS if name != "log_id"}
    numbers = {name: values[name] for name in (*EDGES, "score")}
    if not all(type(value) in (int, float) for value in numbers.values()):
        raise LogFormatError(f"{where}: edges and score must be numbers: mend it")
    if type(values["frame"]) is not int or not 0 <= values["frame"] < 2**31:
        raise LogFormatError(f"{where}: frame must be a whole number from 0: mend it")
    if not isinstance(values["camera"], str) or not isinstance(values["category"], str):
        raise LogFormatError(f"{where}: camera and category must be text: mend it")
    try:
        edges = {name: float(value) for name, value in numbers.items()}
        return CameraBox(values["frame"], values["camera"], category=values["category"], **edges)
    except (LogFormatError, OverflowError) as error:
        raise LogFormatError(f"{where}: {error}: mend it") from error
