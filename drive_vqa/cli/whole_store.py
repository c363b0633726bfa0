"""From a source to questions in one call: what `ingest`, `fuse` and `generate` do one after the other, with no log lost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drive_vqa.errors import DriveVqaError
from drive_vqa.executor import Summary
from drive_vqa.store import Store


def make_store(source: Path, source_format: str, out: Path, questions: Mapping[str, Any], workers: int | None) -> Store:
    """A store with tracks and questions; what is there and up to date stays.

    Args:
        source: see `sensors.ingest.ingest`.
        source_format: likewise.
        out: folder of the store.
        questions: settings of `qa_gen.config.GenerateConfig`.
        workers: processes; default: the number of cores.

    Raises:
        DriveVqaError: a log failed.
    """
    from qa_gen.config import GenerateConfig
    from qa_gen.generate import generate
    from sensors.fuse import fuse
    from sensors.ingest import ingest

    _complete(ingest(source, source_format, out, workers=workers))
    store = Store.open(out)
    _complete(fuse(store, workers=workers))
    _complete(generate(store, GenerateConfig(**questions), workers=workers))
    return store


def _complete(summary: Summary) -> None:
    """Logs that come with the installation, or that are chosen by name, must all pass."""
    if summary.failures:
        first = summary.failures[0]
        raise DriveVqaError(f"log {first.log_id} failed: {first.message} (run `drive-vqa doctor`)")
