"""Ask a model all questions of a split and write its answers as a predictions file."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from drive_vqa.errors import ConfigError, ModelError
from drive_vqa.looks import look_to_struct
from drive_vqa.progress import track
from drive_vqa.region_forms import RegionForm
from drive_vqa.schema import SCHEMA_VERSION, table_from_rows
from drive_vqa.store import VERSION_KEY, Store, replacing
from eval.predict.asked import Answerer, PromptedQuestion, questions_to_ask
from eval.predictions import storable

logger = logging.getLogger(__name__)


def predict(
    store: Store,
    split: str,
    answer: Answerer,
    out: Path,
    *,
    model_name: str,
    batch_size: int,
    limit: int | None = None,
    regions: RegionForm = "marks",
    samples: int = 1,
) -> Path:
    """Write the answers to all questions of a split.

    Args:
        store: with questions.
        split: train, val, test or bench.
        answer: gives one answer to each question of a batch.
        out: Parquet file with the schema of table `predictions`; appears when all is done.
        model_name: written beside every answer.
        batch_size: answers asked for at once.
        limit: only the first so many questions.
        regions: how questions name regions; what cannot be asked or scored so is left out.
        samples: answers to each question, asked for one after another; above 1 for who draws them.

    Raises:
        ConfigError: the split has no questions, or `out` is not a .parquet file.
        ModelError: the answerer gave another number of answers than it was asked for.
    """
    if out.suffix != ".parquet":
        raise ConfigError(f"{out} must end in .parquet: predictions are written as Parquet")
    questions = questions_to_ask(store, split, regions)[:limit]
    if not questions:
        found = ", ".join(sorted(set(store.read_all("questions", ["split"])["split"].to_pylist()))) or "none"
        raise ConfigError(f"split {split!r} of {store.root} has no questions to ask; splits with questions: {found}")
    logger.info("%d questions with regions=%s", len(questions), regions)
    asked = [(question, sample) for question in questions for sample in range(samples)]
    batches = [asked[start : start + batch_size] for start in range(0, len(asked), batch_size)]
    rows: list[dict[str, Any]] = []
    for batch in track(batches, total=len(batches), description=f"predict ({split}, batches of {batch_size})"):
        rows += _answer_batch(batch, answer, model_name)
    out.parent.mkdir(parents=True, exist_ok=True)
    data = table_from_rows("predictions", rows).replace_schema_metadata({VERSION_KEY: SCHEMA_VERSION.encode()})
    with replacing(out) as temporary:
        pq.write_table(data, temporary, compression="zstd")
    return out


def _answer_batch(
    batch: Sequence[tuple[PromptedQuestion, int]], answer: Answerer, model_name: str
) -> list[dict[str, Any]]:
    started = time.perf_counter()
    answers = answer([asked for asked, _ in batch])
    latency_s = (time.perf_counter() - started) / len(batch)
    if len(answers) != len(batch):
        raise ModelError(f"the model gave {len(answers)} answers to {len(batch)} questions: one is needed for each")
    return [
        {
            "qa_id": asked.question["qa_id"],
            "model": model_name,
            "sample": sample,
            "text": storable(one.text),
            "latency_s": latency_s,
            "looks": None if one.looks is None else [look_to_struct(look) for look in one.looks],
        }
        for (asked, sample), one in zip(batch, answers, strict=True)
    ]
