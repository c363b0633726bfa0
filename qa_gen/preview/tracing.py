"""The traces that the page shows: a chain for each question, with a mistake in some, as a mixed set has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from drive_vqa.errors import StoreError
from drive_vqa.store import Store
from qa_gen.tracing.scene import read_states
from qa_gen.tracing.write import style_of, write_trace

Row = Mapping[str, Any]


def tracer(store: Store, log_id: str) -> Callable[[Row, Row], str]:
    """The writer of a log's traces, for `write_preview`; a trace that cannot be written says why in its place.

    Raises:
        StoreError: a table is missing.
    """
    states = read_states(store, log_id)

    def write(question: Row, group: Row) -> str:
        style = style_of(question["qa_id"])
        try:
            return write_trace(question, group, states, style="chain" if style == "direct" else style)
        except StoreError as error:
            return f"(no trace: {error})"

    return write
