"""Answers of an evaluation beside the questions of one log: what was said, how it was read, and what became of it.

An evaluation's scores are read once; questions are read log by log and joined with them by `qa_id`. A baseline is an answerer
like the model, asked the questions that it can answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from drive_vqa.errors import StoreError
from drive_vqa.schema import TRUTH
from drive_vqa.store import Store
from eval.cases import COLUMNS, flatten, no_answers, object_column, struct_columns
from eval.panel import Answered
from eval.report.inputs import Number, read_config, read_metrics, read_scores
from eval.report.numbers import other_title
from eval.report.severity import mistakes, outcomes
from eval.safety import measured_from_ego
from eval.scoring import judge

MODEL = "model"
"""Name of the answerer that an evaluation is about; the others are its baselines."""

NO_ANSWER = "no_answer"
"""Why a baseline's answer was not read: it has none."""

UNANSWERED = "unanswered"
KEPT = 8
"""Joined logs that are kept at once."""


@dataclass(frozen=True, eq=False)
class Answerer:
    """Who answered, and all that was said; the first sample of each question.

    Attributes:
        name: `model`, or that of a baseline.
        title: what it is called.
        splits: that it was asked; None where it was asked what it has a score for.
        scores: rows of table `scores`.
        row_of: qa_id of each row.
    """

    name: str
    title: str
    splits: tuple[str, ...] | None
    scores: pa.Table
    row_of: pd.Index


@dataclass(frozen=True, eq=False)
class Evaluated:
    """An evaluation to look at: its folder, its numbers, and its answerers by name."""

    root: Path
    metrics: dict[str, Number]
    answerers: dict[str, Answerer]

    def answerer(self, name: str) -> Answerer:
        """One of its answerers.

        Raises:
            StoreError: it has no such one.
        """
        if name not in self.answerers:
            raise StoreError(f"{self.root} has no answers of {name[:80]!r}: choose {', '.join(self.answerers)}")
        return self.answerers[name]


@dataclass(frozen=True, eq=False)
class LogAnswers:
    """The questions of one log that an answerer was asked, with its answers, row by row.

    Attributes:
        answered: as `eval.panel` takes it.
        rows: the row of each in the log's table of questions.
        texts: what was said; None for nothing.
        outcomes: one of `eval.report.severity.OUTCOMES`, or "unanswered".
    """

    answered: Answered
    rows: np.ndarray
    texts: np.ndarray
    outcomes: np.ndarray


def read_evaluated(store: Store, root: Path) -> Evaluated:
    """Read the numbers and scores of an evaluation of this store.

    Raises:
        StoreError: a file is missing or damaged, or another store was evaluated.
    """
    config = read_config(root / "config.yaml")
    evaluated = (root / str(config["store"])).resolve()
    if evaluated != store.root.resolve():
        raise StoreError(f"{root} is an evaluation of {evaluated}, not of {store.root}: give both of one store")
    scores, baselines = read_scores(root / "scores.parquet"), read_scores(root / "baseline_scores.parquet")
    splits = tuple(str(config.get("split", "")).split(", "))
    answerers = {MODEL: _answerer(MODEL, str(config.get("model") or root.name), splits, scores)}
    for name in sorted(pc.unique(baselines["model"]).to_pylist()):
        own = baselines.filter(pc.equal(baselines["model"], name))
        answerers[name] = _answerer(name, other_title(name), None, own)
    return Evaluated(root, read_metrics(root / "metrics.json"), answerers)


def _answerer(name: str, title: str, splits: tuple[str, ...] | None, scores: pa.Table) -> Answerer:
    ordered = scores.take(pc.sort_indices(scores, [("sample", "ascending")])).combine_chunks()
    ids = pd.Index(ordered["qa_id"].to_pandas())
    first = ~ids.duplicated()
    return Answerer(name, title, splits, ordered.filter(pa.array(first)), ids[first])


def answers_in(store: Store, answerer: Answerer, log_id: str) -> LogAnswers:
    """What an answerer was asked of a log, and its answers; kept as long as the log's questions are the same.

    Raises:
        StoreError: the log has no questions, or they are damaged.
    """
    path = store.path("questions", log_id)
    return _joined(store, answerer, log_id, path.stat().st_mtime_ns if path.exists() else 0)


@lru_cache(maxsize=KEPT)
def _joined(store: Store, answerer: Answerer, log_id: str, _written_ns: int) -> LogAnswers:
    table = store.read("questions", log_id, COLUMNS)
    found = answerer.row_of.get_indexer(table["qa_id"].to_pandas())
    asked = found >= 0 if answerer.splits is None else table["split"].to_pandas().isin(answerer.splits).to_numpy()
    rows = np.flatnonzero(asked)
    cases = flatten(table.take(pa.array(rows)))
    cases = cases.assign(log_code=0, frame_code=pd.factorize(cases["frame"])[0])
    scores = answerer.scores.take(pa.array(np.maximum(found[rows], 0))) if len(answerer.row_of) else None
    has = found[rows] >= 0
    answers, texts = _answers(scores, has)
    told = has if answerer.splits else has & (answers["failure"] != NO_ANSWER).to_numpy()
    answers = answers.assign(answered=told)
    answered = Answered(cases, answers, judge(cases, answers))
    joined = _join(answered)
    became = np.where(told, outcomes(joined, mistakes(joined)), UNANSWERED)
    return LogAnswers(answered, rows, texts, became)


def _answers(scores: pa.Table | None, has: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """Typed answers with `failure`, and the texts; nothing where `has` is False."""
    texts, failures = np.full(len(has), None), np.full(len(has), None)
    if scores is None:
        return no_answers(len(has)).assign(failure=object_column(failures)), texts
    columns = struct_columns(scores["parsed"], "")
    typed = {name: columns[name].where(has, None if columns[name].dtype == object else np.nan) for name in TRUTH.names}
    texts[has], failures[has] = (_objects(scores[name])[has] for name in ("text", "failure"))
    return pd.DataFrame({**typed, "failure": object_column(failures)}), texts


def _objects(column: pa.ChunkedArray) -> np.ndarray:
    return np.array(column.to_pylist(), dtype=object)


def joined_rows(answered: Answered, chosen: np.ndarray) -> list[dict[str, Any]]:
    """Question, answer and verdict of some cases in one row each, as `eval.report.quantities` takes them."""
    rows = _join(answered, chosen).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _join(answered: Answered, chosen: np.ndarray | slice = slice(None)) -> pd.DataFrame:
    """Cases, answers and verdicts side by side, as `eval.report.severity` takes them."""
    cases, verdicts = answered.cases.iloc[chosen], answered.verdicts.iloc[chosen]
    answers = answered.answers.iloc[chosen].add_prefix("parsed_").rename(columns={"parsed_failure": "failure"})
    return pd.concat([cases, answers, verdicts], axis=1).assign(from_ego=measured_from_ego(cases))
