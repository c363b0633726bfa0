"""Which questions of a store a predictions file answers, and with which samples; what is made of it must not take its place."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from drive_vqa.errors import ConfigError, PredictionError
from drive_vqa.store import Store
from eval.cases import splits_of_questions


def splits_answered(store: Store, told: pd.DataFrame, predictions: Path) -> list[str]:
    """The splits of all questions that are answered, sorted.

    Args:
        store: with the questions.
        told: see `eval.predictions.read_predictions`.
        predictions: the file that it was read from.

    Raises:
        PredictionError: the store does not have one of them.
    """
    splits = splits_of_questions(store, told["qa_id"].unique().tolist())
    unknown = set(told["qa_id"]) - set(splits.index)
    if unknown:
        raise PredictionError(
            f"{predictions} answers question {min(unknown)!r}, which {store.root} does not have: predict again with this store"
        )
    return sorted(splits.unique())


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
    """Number and text of the samples of each question, in the order of their numbers; argument as for `splits_answered`."""
    samples: dict[str, list[tuple[int, str]]] = {}
    ordered = told.sort_values("sample", kind="stable")
    for qa_id, sample, text in zip(
        ordered["qa_id"].tolist(), ordered["sample"].tolist(), ordered["text"].tolist(), strict=True
    ):
        samples.setdefault(qa_id, []).append((sample, text))
    return samples
