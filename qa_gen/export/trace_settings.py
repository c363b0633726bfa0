"""Which reasoning traces an export writes in the place of short answers, see `qa_gen.tracing.write`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, cast, get_args

from pydantic import TypeAdapter, ValidationError

from drive_vqa.errors import ConfigError, StoreError
from drive_vqa.store import Store
from drive_vqa.traces import DIALECTS, Dialect
from qa_gen.config import GenerateConfig
from qa_gen.tracing.write import STYLES, Style, style_of

Traces = Literal["chain", "corrected", "direct", "mixed"]
TRACES: tuple[Traces, ...] = get_args(Traces)
NO_TRACES = "none"


@dataclass(frozen=True)
class TraceSettings:
    """How traces are written.

    Attributes:
        traces: a style that all have, or mixed: the style follows from the question's id.
        dialect: how they are written down, see `drive_vqa.traces`.
        seed: chooses the styles of a mixed set, and what goes wrong in a corrected trace.
        config: what the questions were generated with.
    """

    traces: Traces
    dialect: Dialect = "drive"
    seed: int = 0
    config: GenerateConfig = field(default_factory=GenerateConfig)

    def style(self, qa_id: str) -> Style:
        """The style that the trace of a question has."""
        return style_of(qa_id, self.seed) if self.traces == "mixed" else self.traces

    @property
    def styles(self) -> tuple[Style, ...]:
        """All that occur."""
        return STYLES if self.traces == "mixed" else (self.traces,)


def trace_settings(store: Store, traces: str, dialect: str, seed: int) -> TraceSettings:
    """What was asked for, for the questions of a store.

    Raises:
        ConfigError: there are no such traces, or there is no such dialect.
        StoreError: see `generated_with`.
    """
    for option, value, known in (("--traces", traces, TRACES), ("--trace-dialect", dialect, DIALECTS)):
        if value not in known:
            raise ConfigError(f"{option} {value}: choose one of {', '.join(known)}")
    return TraceSettings(cast("Traces", traces), cast("Dialect", dialect), seed, generated_with(store))


def generated_with(store: Store) -> GenerateConfig:
    """The settings that the questions of a store were made with; what the store does not tell is as usual.

    Raises:
        StoreError: the store names settings that cannot be.
    """
    steps = store.manifest().get("steps")
    told = steps.get("generate") if isinstance(steps, Mapping) else None
    if not isinstance(told, Mapping):
        return GenerateConfig()
    known = {entry.name for entry in fields(GenerateConfig)}
    settings: dict[str, Any] = {name: value for name, value in told.items() if name in known}
    try:
        return TypeAdapter(GenerateConfig).validate_python(settings)
    except ValidationError as error:
        first = error.errors()[0]
        named = ".".join(map(str, first["loc"])) or "its settings"
        raise StoreError(
            f"the manifest of {store.root} says of the step generate: {named}: {first['msg']}; run `drive-vqa generate` again"
        ) from error
