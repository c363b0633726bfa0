"""Read records in the key-frame layout of Open-o3 Video, and take their evidence for the truth of rewards and scores."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from drive_vqa.errors import RecordError
from drive_vqa.key_frames import Box, KeyFrameRecord, record_from_json
from eval.evidence.truth import TrueBox, TrueEvidence, TrueFrame

_REGION = re.compile(r"Region ([0-9]{1,6})")
_KEPT_DECIMALS = 6


def read_records(path: Path) -> list[KeyFrameRecord]:
    """Read a JSON file that is a list of records, see `drive_vqa.key_frames`.

    Raises:
        RecordError: the file cannot be read, or a record does not hold together.
    """
    content = _content(path)
    if not isinstance(content, list):
        raise RecordError(f"{path} is not a list of records: give a file like those of `drive-vqa export --to open-o3`")
    return [_record(entry, number, path) for number, entry in enumerate(content, start=1)]


def record_evidence(record: KeyFrameRecord, size_px: tuple[int, int] | None = None) -> TrueEvidence:
    """The evidence of a record; nothing is known of other objects, nor of places on the ground.

    With size and times of its images, those are the frames, and now is the last of them. Without, there are no frames, and times
    stay as they are told, from the first image on. A region has its number as mark, any other object a negative one.

    Args:
        record: as read.
        size_px: width and height of the images, for a record that does not tell.

    Raises:
        RecordError: boxes are shares of an image whose size is not known.
    """
    size_px = record.size_px or size_px
    if record.in_shares and size_px is None:
        raise RecordError(f"record {record.record_id} has boxes in shares of the image: give it an image_size")
    times_s = record.times_s if size_px is not None else ()
    last_s = times_s[-1] if times_s else 0.0
    names = dict.fromkeys(name for _, name, _ in record.boxes())
    marks = {name: _mark(name, place) for place, name in enumerate(names)}
    boxes = [
        TrueBox(marks[name], frame.idx, _from_now_s(frame.time_s, last_s), _in_pixels(box, record, size_px), None, None)
        for frame, name, box in record.boxes()
    ]
    frames = [TrueFrame(_from_now_s(time_s, last_s), *size_px) for time_s in times_s if size_px is not None]
    return TrueEvidence(tuple(frames), tuple(sorted(boxes, key=_place)), ())


def _content(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise RecordError(f"{path} cannot be read ({error.strerror}): give a file of records") from error
    except (ValueError, RecursionError) as error:
        why = " ".join(str(error).split())[:200]
        raise RecordError(f"{path} is not JSON ({why}): give a file of records") from error


def _record(entry: Any, number: int, path: Path) -> KeyFrameRecord:
    try:
        return record_from_json(entry, str(number))
    except ValueError as error:
        raise RecordError(f"{path}: record {number}: {error}: mend the record or leave it out") from error


def _mark(name: str, place: int) -> int:
    region = _REGION.fullmatch(name.strip())
    return int(region[1]) if region else -1 - place


def _from_now_s(time_s: float, last_s: float) -> float:
    return round(time_s - last_s, _KEPT_DECIMALS) + 0.0


def _in_pixels(box: Box, record: KeyFrameRecord, size_px: tuple[int, int] | None) -> Box:
    if size_px is None or not record.in_shares:
        return box
    (u0, v0, u1, v1), (width, height) = box, size_px
    return u0 * width, v0 * height, u1 * width, v1 * height


def _place(box: TrueBox) -> tuple[float, int, int]:
    return box.offset_s, box.context, box.mark
