"""Samples in, one voted answer a question out.

    VOTED.parquet                          by confidence where there are confidences, else by majority
    VOTED.single.parquet                   the first sample
    VOTED.majority.parquet                 of the first N samples
    VOTED.majority_equal_compute.parquet   of as many samples as voting by confidence took requests
    VOTED.json                             all of them compared, see `compare.comparison`

All but the last are predictions files that `drive-vqa evaluate` scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from drive_vqa.errors import ConfigError, PredictionError
from drive_vqa.schema import SCHEMA_VERSION, table_from_rows
from drive_vqa.store import VERSION_KEY, Store, replacing, write_json
from eval.asked import splits_answered
from eval.cases import read_cases
from eval.predict.selection import asked_metadata
from eval.predictions import read_predictions
from eval.voting.asked import keep_inputs, sample_digest, samples_by_question
from eval.voting.compare import CONFIDENCE, MAJORITY, METHODS, Samples, Voted, comparison, methods_of
from eval.voting.confidence import read_confidences

SAMPLES = 8
"""N of Open-o3 Video."""


def vote_predictions(
    store: Store, predictions: Path, out: Path, *, count: int = SAMPLES, confidence: Path | None = None
) -> dict[str, Any]:
    """Vote about every question that a predictions file answers.

    Args:
        store: with the questions.
        predictions: several samples a question; more than `count` are used for the comparison at equal compute only.
        out: where the voted answers go, see above.
        count: samples that vote.
        confidence: what `drive-vqa confidence` wrote about these samples.

    Returns:
        The comparison.

    Raises:
        ConfigError: `out` is not a .parquet file, or something that is read would be overwritten.
        PredictionError: a file cannot be read, the store does not have a question, or the confidences are about other samples.
    """
    if out.suffix != ".parquet":
        raise ConfigError(f"{out} must end in .parquet: voted answers are written as Parquet")
    keep_inputs([predictions, confidence], [out, *(_beside(out, name) for name in METHODS)])
    told = read_predictions(predictions)
    confidences = None if confidence is None else read_confidences(confidence)
    cases = _cases(store, told, predictions)
    by_id = samples_by_question(told)
    if confidences is not None:
        _check_confidences(confidences, by_id, count, f"{confidence} says nothing about {{}} as {predictions} has it")
    made = [
        methods_of(
            _samples(qa_id, by_id[qa_id], confidences or {}),
            count,
            kind,
            options,
            with_confidence=confidences is not None,
        )
        for qa_id, kind, options in cases[["qa_id", "answer_type", "options"]].itertuples(index=False)
    ]
    voted = {name: [methods[name] for methods in made] for name in made[0]}
    model = str(told["model"].iloc[0])
    chosen = CONFIDENCE if confidences is not None else MAJORITY
    out.parent.mkdir(parents=True, exist_ok=True)
    asked = asked_metadata(predictions)
    for name, outcomes in voted.items():
        path = out if name == chosen else _beside(out, name)
        _write(path, cases["qa_id"].tolist(), outcomes, f"{model}+{name}", asked)
    short = sum(len(by_id[qa_id]) < count for qa_id in cases["qa_id"])
    counts = {"questions": len(cases), "samples": count, "questions_with_fewer_samples": short}
    compared = {**counts, "methods": comparison(cases, voted)}
    write_json(out.with_suffix(".json"), compared)
    return compared


def _cases(store: Store, told: pd.DataFrame, predictions: Path) -> pd.DataFrame:
    """The questions that are answered."""
    cases = read_cases(store, splits_answered(store, told, predictions))
    return cases[cases["qa_id"].isin(told["qa_id"])].reset_index(drop=True)


def _beside(out: Path, method: str) -> Path:
    """Where the answers of a method go that is not the chosen one."""
    return out.with_suffix(f".{method}.parquet")


def _check_confidences(
    confidences: Mapping[tuple[str, int], Mapping[str, Any]],
    by_id: Mapping[str, Sequence[tuple[int, str]]],
    count: int,
    says: str,
) -> None:
    """Every sample that votes was asked about: with a file about others all would count alike, and nobody would see it.

    Raises:
        PredictionError: one was not; `says` has a place for which one.
    """
    for qa_id, told in by_id.items():
        for sample, text in told[:count]:
            if confidences.get((qa_id, sample), {}).get("sample_digest") != sample_digest(text):
                which = says.format(f"sample {sample} of question {qa_id}")
                raise PredictionError(f"{which}: ask about these samples with `drive-vqa confidence`")


def _samples(
    qa_id: str, told: Sequence[tuple[int, str]], confidences: Mapping[tuple[str, int], Mapping[str, Any]]
) -> Samples:
    """Samples of a question; one that does not vote by confidence may have none."""
    found = [confidences.get((qa_id, sample), {}) for sample, _ in told]
    said = [one.get("confidence") for one in found]
    return Samples([text for _, text in told], [one.get("text") for one in found], said)


def _write(
    path: Path, qa_ids: Sequence[str], outcomes: Sequence[Voted], model: str, asked: Mapping[bytes, bytes]
) -> None:
    rows = [
        {"qa_id": qa_id, "model": model, "sample": 0, "text": one.text}
        for qa_id, one in zip(qa_ids, outcomes, strict=True)
    ]
    metadata = {VERSION_KEY: SCHEMA_VERSION.encode(), **asked}
    data = table_from_rows("predictions", rows).replace_schema_metadata(metadata)
    with replacing(path) as temporary:
        pq.write_table(data, temporary, compression="zstd")
