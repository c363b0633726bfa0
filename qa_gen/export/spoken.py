"""What the assistant says in an export: the short answer of each question, or how it is reasoned out.

Traces are written log by log from the log's tracks, so memory does not grow with the store. Boxes and points in them are in
whole pixels of the exported image, as those in answers are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from drive_vqa.errors import StoreError
from qa_gen.export.job import LogJob
from qa_gen.export.records import AGAIN, CORNERS, LogQuestions, Row, exported_box
from qa_gen.export.trace_settings import TraceSettings
from qa_gen.tracing.scene import LogStates, read_states
from qa_gen.tracing.write import write_trace

_NEEDED = ("frame", "track_ids", "horizon_s", "evidence", "truth", "slices")
"""Columns of `questions` that a trace is written from besides those that a prompt is made of."""

_BROKEN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What tables that contradict each other may lead to."""


def spoken(log: LogJob, questions: LogQuestions) -> Iterator[tuple[Row, Row, str]]:
    """Each question with its group and what is said to it, in the order of the store.

    Args:
        log: whose questions they are; its job tells whether traces are wanted.
        questions: as `records.read_log` gives them.

    Raises:
        StoreError: a table that traces are written from is missing, or does not go with a question, which is named.
    """
    settings = log.job.traces
    if settings is None:
        for group, question in questions.rows():
            yield group, question, question["answer"]
        return
    states = read_states(log.job.store, log.log_id)
    shown = {name: as_exported(group, log.job.size_px) for name, group in questions.groups.items()}
    for group, question in questions.rows(also=_NEEDED):
        yield group, question, _trace(question, shown[question["group_id"]], states, settings)


def _trace(question: Row, group: Mapping[str, Any], states: LogStates, settings: TraceSettings) -> str:
    try:
        return write_trace(
            question,
            group,
            states,
            style=settings.style(question["qa_id"]),
            seed=settings.seed,
            dialect=settings.dialect,
            config=settings.config,
        )
    except _BROKEN as error:
        named, why = f"question {question['qa_id']} of log {states.log_id}", " ".join(str(error).split())[:200]
        raise StoreError(f"{named} cannot be written as a trace ({type(error).__name__}: {why}): {AGAIN}") from error


def as_exported(group: Row, size_px: tuple[int, int] | None) -> Row:
    """A group with sizes and regions in pixels of the exported images."""
    if size_px is None:
        return group
    views = group["context"]
    sides = {"width": size_px[0], "height": size_px[1]}
    marks = [
        {**mark, "regions": [_scaled(region, views, size_px) for region in mark["regions"]]} for mark in group["marks"]
    ]
    return {**group, "context": [{**view, **sides} for view in views], "marks": marks}


def _scaled(region: Row, views: Sequence[Row], size_px: tuple[int, int]) -> Row:
    box = exported_box([region[corner] for corner in CORNERS], views[region["context"]], size_px)
    return {**region, **dict(zip(CORNERS, box, strict=True))}
