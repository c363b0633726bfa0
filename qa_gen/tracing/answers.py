"""What a model is taught to say when it is to reason: a trace in the place of each short answer, written while training reads."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from drive_vqa.errors import StoreError
from drive_vqa.store import Store
from qa_gen.export.trace_settings import TraceSettings
from qa_gen.tracing.scene import LogStates, read_states
from qa_gen.tracing.write import write_trace

LOGS_KEPT = 8
"""Logs whose tracks stay in memory; lessons of one log often come together."""

_BROKEN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What tables that contradict each other may lead to."""


@dataclass
class TraceAnswers:
    """Writes the traces of a store; picklable, so that workers do it.

    Attributes:
        settings: which traces, in which dialect.
    """

    settings: TraceSettings
    _states: OrderedDict[str, LogStates] = field(default_factory=OrderedDict, repr=False)

    def __call__(self, store: Store, log_id: str, group: Mapping[str, Any], question: Mapping[str, Any]) -> str:
        """The trace that ends in the question's answer.

        Raises:
            StoreError: a table is missing or does not go with the question, which is named.
        """
        try:
            return write_trace(
                question,
                group,
                self._states_of(store, log_id),
                style=self.settings.style(question["qa_id"]),
                seed=self.settings.seed,
                dialect=self.settings.dialect,
                config=self.settings.config,
            )
        except _BROKEN as error:
            why = " ".join(str(error).split())[:200]
            raise StoreError(
                f"question {question['qa_id']} of log {log_id} cannot be written as a trace "
                f"({type(error).__name__}: {why}): run `drive-vqa generate` again"
            ) from error

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self.settings, "_states": OrderedDict()}

    def _states_of(self, store: Store, log_id: str) -> LogStates:
        if log_id not in self._states:
            self._states[log_id] = read_states(store, log_id)
        self._states.move_to_end(log_id)
        if len(self._states) > LOGS_KEPT:
            self._states.popitem(last=False)
        return self._states[log_id]
