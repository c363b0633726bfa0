"""The samples of a predictions file; what is made of it must not take its place."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from drive_vqa.errors import ConfigError


def sample_digest(text: str) -> str:
    """What a sample is known by wherever its number alone could be that of another: the beginning of its SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def keep_inputs(inputs: Iterable[Path | None], written: Iterable[Path]) -> None:
    """See that nothing that is read will be written over: samples are dear.

    Raises:
        ConfigError: it would.
    """
    lost = {path.resolve() for path in inputs if path is not None} & {path.resolve() for path in written}
    if lost:
        raise ConfigError(f"{min(lost)} would be overwritten by what is made of it: give another --out")


def samples_by_question(told: pd.DataFrame) -> dict[str, list[tuple[int, str]]]:
    """Number and text of the samples of each question, in the order of their numbers; `told` as `read_predictions` gives it."""
    samples: dict[str, list[tuple[int, str]]] = {}
    ordered = told.sort_values("sample", kind="stable")
    for qa_id, sample, text in zip(
        ordered["qa_id"].tolist(), ordered["sample"].tolist(), ordered["text"].tolist(), strict=True
    ):
        samples.setdefault(qa_id, []).append((sample, text))
    return samples
