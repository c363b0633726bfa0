"""ScreenSpot and ScreenSpot-v2: point at the element of a screen that an instruction means (SeeClick, arXiv 2401.10935).

    accuracy                              share of points in the true box, edges included
    slice.platform_type.mobile_text.…     the six columns of the published table

Data: `screenspot_{mobile,desktop,web}.json`, or `…_v2.json`, or a folder of them. A file is a list of records with
`img_filename`, `bbox` (left, top, width, height in pixels of the image), `instruction`, `data_type` (`text` or `icon`) and
`data_source`. They have no ids: a question's id is the file's name without suffix and the place in the list, from 0, such as
`screenspot_mobile/0`.

An answer is one point, or one box whose middle is the point, in pixels of the original image: files do not tell the images'
sizes, so shares of the image cannot be scored and must be scaled by who predicts. Source:
https://github.com/njucckevin/SeeClick (`pretrain/screenspot_test.py`) and VLMEvalKit's reader of v2.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from drive_vqa.errors import RecordError
from eval.answers import Parsed, ParseFailure
from eval.benchmarks.records import Record, read_json
from eval.benchmarks.tasks import Task, checked
from eval.evidence.points import inside
from eval.parse import parse
from eval.plaintext import answer_part, concluded, plain
from eval.scoring import BOX

PLATFORMS = ("mobile", "desktop", "web")
_N = r"([-+]?[0-9]{1,6}(?:\.[0-9]{1,9})?)(?: ?px)?"
_POINT = re.compile(
    rf"[(\[] ?{_N} ?[,;] ?{_N} ?[)\]]|(?<![a-z0-9])[\"']?x[\"']? ?[:=] ?{_N} ?[,;]? ?[\"']?y[\"']? ?[:=] ?{_N}"
)
_BARE = re.compile(rf"{_N}(?: ?[,;] ?| ){_N}\.?")


def read(path: Path) -> list[Task]:
    """The questions of a file or of all files of a folder.

    Raises:
        RecordError: a file cannot be read or does not have the layout.
    """
    files = sorted(path.glob("screenspot_*.json")) if path.is_dir() else [path]
    return checked(
        [_task(record, file, number) for file in files for number, record in enumerate(read_json(file))], path
    )


def judge(task: Task, text: str) -> tuple[Parsed | ParseFailure, bool]:
    """The point, and whether it lies in the true box."""
    answer = read_point(text)
    if isinstance(answer, ParseFailure):
        return answer, False
    return answer, bool(inside(np.array([_corners(answer)[:2]]), np.array(task.boxes_px)).any())


def read_point(text: str) -> Parsed | ParseFailure:
    """The one point of a text, as a box without extent; of a box its middle."""
    box = parse(text, "box")
    if isinstance(box, ParseFailure) and box.reason in ("empty", "too_long"):
        return box
    said = concluded(plain(answer_part(text)))
    matches = [*_POINT.finditer(said)] or [*filter(None, [_BARE.fullmatch(said)])]
    points = {tuple(float(number) for number in match.groups() if number) for match in matches}
    if len(points) == 1:
        return _point(*points.pop())
    if len(points) > 2:
        return ParseFailure("several_values", f"{len(points)} points")
    if isinstance(box, ParseFailure):
        return box
    left, top, right, bottom = _corners(box)
    return _point((left + right) / 2, (top + bottom) / 2)


def _task(record: Record, file: Path, number: int) -> Task:
    left, top, width, height = record.numbers("bbox", 4)
    platforms = [platform for platform in PLATFORMS if platform in file.stem]
    if len(platforms) != 1:
        raise RecordError(f"{file} is not named after one of {', '.join(PLATFORMS)}: keep the published name")
    kind = record.text("data_type")
    slices = {"platform_type": f"{platforms[0]}_{kind}", "data_type": kind, "data_source": record.text("data_source")}
    with record.making():
        return Task(
            f"{file.stem}/{number}",
            record.text("instruction"),
            "point",
            Parsed(),
            record.text("img_filename"),
            slices=slices,
            boxes_px=((left, top, left + width, top + height),),
        )


def _point(u_px: float, v_px: float) -> Parsed:
    return Parsed(u0_px=u_px, v0_px=v_px, u1_px=u_px, v1_px=v_px)


def _corners(box: Parsed) -> list[float]:
    return [float(getattr(box, name)) for name in BOX]
