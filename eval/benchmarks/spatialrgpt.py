"""SpatialRGPT-Bench: relations and sizes of regions in one image (arXiv 2406.01584).

    qualitative.accuracy                      yes or no, or which region
    quantitative.accuracy                     lengths within 25 % of the truth, directions within one hour of the clock
    quantitative.KIND.mean_abs_relative_error lengths, over the answers that could be read
    quantitative.direction.mean_abs_error_deg likewise, 30° an hour
    quantitative.direction.exact_hour         share of directions that name the very hour
    slice.kind.VALUE.accuracy                 the twelve columns of the published table: below_above, …, direction

Data: `SpatialRGPT-Bench_v1.json`, a list of records with `id`, `image_info` (`file_path`), `text_q` (the question, regions as
`Region [0]`), `qa_info` (`type` and `category`) and `conversations` (the question, then the true answer, as sentences). Lengths
are in any unit, in words: 3.2 feet. Directions are hours of the clock.

The published scorer is a language model; here sentences are read by `eval.parse`. Openers that the benchmark's true answers
have are yes and no too: "indeed", and "in fact" and "actually", which it uses for no alone. A band of 25 % alone means that
lengths near 0 allow no error, unlike in `eval.localization`. Records whose true answer cannot be read are left out, and told of
in the log.

Source: https://github.com/AnjieCheng/SpatialRGPT (`llava/eval/eval_spatial.py`,
`scripts/srgpt/eval/evaluate_spatial_with_gpt4.py`, the templates in `dataset_pipeline`); the published file was not at hand.
Its Parquet form, with texts for objects, is not read.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np

from drive_vqa.geometry import hours_apart
from eval.answers import Parsed, ParseFailure
from eval.benchmarks.records import Record, read_json
from eval.benchmarks.scored import Metrics, Scored, overall
from eval.benchmarks.tasks import Task, checked
from eval.localization import RELATIVE_DISTANCE, ROUNDING
from eval.panel.answered import share_at, share_of
from eval.parse import parse
from eval.plaintext import MAX_CHARACTERS, answer_part, plain
from eval.statistics import Sample

logger = logging.getLogger(__name__)

DIRECTION = "direction"
QUANTITIES = {
    "distance_data": "direct_distance",
    "horizontal_distance_data": "horizontal_distance",
    "vertical_distance_data": "vertical_distance",
    "width_data": "width",
    "height_data": "height",
    DIRECTION: DIRECTION,
}
"""Categories of quantities, and what the published table calls them."""

RELATIONS = {
    **dict.fromkeys(("below", "above"), "below_above"),
    **dict.fromkeys(("left", "right"), "left_right"),
    **dict.fromkeys(("big", "small"), "big_small"),
    **dict.fromkeys(("tall", "short"), "tall_short"),
    **dict.fromkeys(("wide", "thin"), "wide_thin"),
    **dict.fromkeys(("behind", "front"), "behind_front"),
}
"""First words of the other categories (`left_predicate`, `left_choice`), and their columns."""

DEG_AN_HOUR = 30.0
_REGION = re.compile(r"Region \[[0-9]{1,3}\]")
_OPENER = re.compile(r"(?P<yes>indeed)\b|(?P<no>in fact|actually)\b")


def read(path: Path) -> list[Task]:
    """The questions of the file.

    Raises:
        RecordError: the file cannot be read or does not have the layout.
    """
    records = read_json(path)
    tasks = [task for record in records if (task := _task(record)) is not None]
    if len(tasks) < len(records):
        logger.warning(
            "%d of %d records are left out, whose answer cannot be read", len(records) - len(tasks), len(records)
        )
    return checked(tasks, path)


def judge(task: Task, text: str) -> tuple[Parsed | ParseFailure, bool]:
    """What a sentence says, and whether that is right within the benchmark's own bands."""
    answer = _read(text, task.answer_type, task.options)
    return answer, isinstance(answer, Parsed) and _is_right(task.truth, answer)


def metrics(scored: Scored) -> Metrics:
    """Accuracy of relations and of quantities, and errors of quantities."""
    yield from overall(scored)
    measured = np.array([task.slices["kind"] in QUANTITIES.values() for task in scored.tasks])
    yield "qualitative.accuracy", share_at(scored.success, np.flatnonzero(~measured))
    yield "quantitative.accuracy", share_at(scored.success, np.flatnonzero(measured))
    for kind, rows in scored.parts("kind"):
        if kind == DIRECTION:
            yield from _direction_errors(scored, rows)
        elif kind in QUANTITIES.values():
            truth_m, answer_m = _values(scored, rows, "distance_m")
            counts = np.isfinite(answer_m) & (truth_m > 0)
            error = np.abs(answer_m - truth_m)[counts] / truth_m[counts]
            yield f"quantitative.{kind}.mean_abs_relative_error", Sample(error, rows[counts])


def _task(record: Record) -> Task | None:
    """The question; None where its true answer cannot be read."""
    category, question = record.inner("qa_info").text("category"), record.text("text_q")
    turns = record.inners("conversations")
    if len(turns) != 2:
        raise record.error("'conversations' is not a question and its answer")
    answer_type, kind = _kind(record, category)
    options = tuple(dict.fromkeys(_REGION.findall(question))) if answer_type == "choice" else ()
    truth = _read(turns[1].text("value"), answer_type, options)
    if isinstance(truth, ParseFailure):
        return None
    image = record.inner("image_info").text("file_path")
    with record.making():
        return Task(_id(record), question, answer_type, truth, image, options, {"kind": kind, "category": category})


def _id(record: Record) -> str:
    value = record.values.get("id")
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else record.text("id")


def _kind(record: Record, category: str) -> tuple[str, str]:
    """Answer type and column of a category."""
    if category in QUANTITIES:
        return "clock" if category == DIRECTION else "distance", QUANTITIES[category]
    first, _, last = category.partition("_")
    if first not in RELATIONS or last not in ("predicate", "choice"):
        raise record.error(f"'category' is {category!r}, which is none of the benchmark's")
    return "bool" if last == "predicate" else "choice", RELATIONS[first]


def _read(text: str, answer_type: str, options: tuple[str, ...]) -> Parsed | ParseFailure:
    answer = parse(text, answer_type, options)
    if answer_type != "bool" or isinstance(answer, Parsed) or answer.reason != "no_answer":
        return answer
    opener = _OPENER.match(plain(answer_part(text)[:MAX_CHARACTERS]))
    return Parsed(bool=opener["yes"] is not None) if opener else answer


def _is_right(truth: Parsed, answer: Parsed) -> bool:
    if truth.distance_m is not None and answer.distance_m is not None:
        return abs(answer.distance_m - truth.distance_m) <= RELATIVE_DISTANCE * truth.distance_m + ROUNDING
    if truth.clock_hour is not None and answer.clock_hour is not None:
        return bool(hours_apart(truth.clock_hour, answer.clock_hour) <= 1)
    return answer == truth


def _direction_errors(scored: Scored, rows: np.ndarray) -> Metrics:
    truth, answer = _values(scored, rows, "clock_hour")
    yield "quantitative.direction.exact_hour", share_of(truth == answer, rows)
    counts = np.isfinite(answer)
    error_deg = DEG_AN_HOUR * hours_apart(truth[counts], answer[counts])
    yield "quantitative.direction.mean_abs_error_deg", Sample(error_deg, rows[counts])


def _values(scored: Scored, rows: np.ndarray, field: str) -> tuple[np.ndarray, np.ndarray]:
    """True and answered values; NaN where there is none."""
    truth = [getattr(scored.tasks[row].truth, field) for row in rows]
    answer = [getattr(scored.answers[row], field, None) for row in rows]
    return np.array(truth, dtype=np.float64), np.array(answer, dtype=np.float64)
