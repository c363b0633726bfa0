"""Evaluations on their common questions: the same rows in the same order, what each run answered, and every metric's sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from drive_vqa.errors import ConfigError, PredictionError
from drive_vqa.schema import TRUTH
from drive_vqa.traces import DIALECTS
from eval.cases import NUMBERS, object_column, read_cases, splits_of_questions
from eval.critical import critical_samples
from eval.evidence.table import evidence_samples
from eval.panel import Answered, Sample, panel
from eval.report.inputs import Evaluation, read_evaluation
from eval.scoring import judge


@dataclass(frozen=True, eq=False)
class Run:
    """One evaluation on the common questions.

    Attributes:
        name: what it is called in the comparison: its folder, with as many parents as tell it from the others.
        evaluation: its folder.
        config: its config.yaml.
        asked: questions that it was asked.
        unanswered: of the cases, those that it has no answer to, which is wrong.
        answers: row by row to the cases, see `eval.report.inputs.Evaluation.answers`.
        samples: of every metric.
    """

    name: str
    evaluation: Path
    config: dict[str, Any]
    asked: int
    unanswered: int
    answers: pd.DataFrame
    samples: dict[str, Sample]


@dataclass(frozen=True, eq=False)
class Paired:
    """Runs on the same questions; the first is the base."""

    cases: pd.DataFrame
    base: Run
    others: tuple[Run, ...]


def read_paired(roots: Sequence[Path]) -> Paired:
    """Read evaluations and keep what all of them were asked and any of them answered.

    Args:
        roots: evaluation folders, the base first.

    Raises:
        ConfigError: fewer than two, or one twice.
        StoreError: an evaluation or its store is missing or damaged.
        PredictionError: they have no question in common.
    """
    resolved = [root.resolve() for root in roots]
    if len(roots) < 2 or len(set(resolved)) < len(roots):
        raise ConfigError("a comparison needs two or more different evaluations: name the base first")
    evaluations = [read_evaluation(root) for root in roots]
    cases = _common_cases(evaluations)
    known = pd.concat([one.answers for one in evaluations]).drop_duplicates("qa_id").set_index("qa_id")
    runs = [_run(name, one, cases, known) for name, one in zip(run_names(resolved), evaluations, strict=True)]
    return Paired(cases, runs[0], tuple(runs[1:]))


def run_names(roots: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that differ."""
    for parts in range(1, max(len(root.parts) for root in roots) + 1):
        names = ["/".join(root.parts[-parts:]) for root in roots]
        if max(Counter(names).values()) == 1:
            break
    return names


def _common_cases(evaluations: Sequence[Evaluation]) -> pd.DataFrame:
    base = evaluations[0]
    common = _asked(base)
    for other in evaluations[1:]:
        common &= _asked(other)
        if not common:
            stores = f"{base.store.root} and {other.store.root}"
            raise PredictionError(
                f"{base.root} and {other.root} were asked no question in common (their stores: {stores}): "
                "compare evaluations of the same questions"
            )
    common &= set().union(*(one.answers["qa_id"] for one in evaluations))
    cases = read_cases(base.store, set(splits_of_questions(base.store, sorted(common))))
    cases = cases[cases["qa_id"].isin(common)].reset_index(drop=True)
    for other in evaluations[1:]:
        _refuse_other_truths(base, other, cases["log_id"].unique().tolist())
    return cases


def _asked(evaluation: Evaluation) -> set[str]:
    return {*evaluation.answers["qa_id"], *evaluation.unanswered}


def _refuse_other_truths(base: Evaluation, other: Evaluation, log_ids: Sequence[str]) -> None:
    for log_id in log_ids:
        if base.store.digest("questions", log_id) != other.store.digest("questions", log_id):
            raise PredictionError(
                f"{base.root} and {other.root} score other questions of log {log_id} ({base.store.root} and "
                f"{other.store.root} differ): evaluate both with one store"
            )


def _run(name: str, evaluation: Evaluation, cases: pd.DataFrame, known: pd.DataFrame) -> Run:
    own = evaluation.answers.set_index("qa_id")
    has = cases["qa_id"].isin(own.index).to_numpy()
    missing = _unanswered(known.loc[cases["qa_id"][~has]])
    answers = pd.concat([own, missing] if len(missing) else [own]).loc[cases["qa_id"]].reset_index()
    typed = pd.DataFrame({field: answers[f"parsed_{field}"] for field in TRUTH.names})
    failure = answers["failure"].to_numpy(dtype=object, copy=True)
    failure[pd.isna(failure)] = None
    typed = typed.assign(answered=has, failure=object_column(failure))
    answered = Answered(cases, typed, judge(cases, typed))
    samples = panel(answered) | critical_samples(evaluation.store, answered)
    if (dialect := evaluation.config.get("traces")) in DIALECTS:
        told = answers[answers["text"].notna()].assign(sample=0)
        samples |= evidence_samples(evaluation.store, answered, told, dialect)
    return Run(name, evaluation.root, evaluation.config, len(_asked(evaluation)), len(missing), answers, samples)


def _unanswered(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of another run's answers with nothing of what it answered."""
    nothing: dict[str, Any] = {
        f"parsed_{field}": np.nan if field in NUMBERS else object_column(np.full(len(rows), None)).set_axis(rows.index)
        for field in TRUTH.names
    }
    return rows.assign(**nothing, text=None, failure=None, success=False)
