"""Answers joined with the questions and judged: those of a predictions file, those of baselines, and how two differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from drive_vqa.schema import TRUTH
from drive_vqa.store import Store
from eval.baselines import USUAL, baseline_answers
from eval.cases import NUMBERS, find_targets, no_answers, object_column, read_training
from eval.panel import Answered, Sample, success_cells
from eval.panel.answered import share_of
from eval.read_answers import read_answers
from eval.scoring import judge
from eval.statistics import Estimate, difference_each

NO_ANSWER = "no_answer"
COMPARED = ("localization.mlsr", "accuracy")
"""Metrics in which answerers are told apart, see `differences`."""


@dataclass(frozen=True, eq=False)
class Judged:
    """A predictions file.

    Attributes:
        answered: the first sample of each question, row by row to the cases.
        read: every answer with its typed fields, and why it was not read in `failure`.
        verdicts: see `eval.scoring.judge`, row by row to `read`.
    """

    answered: Answered
    read: pd.DataFrame
    verdicts: pd.DataFrame


def judge_predictions(cases: pd.DataFrame, told: pd.DataFrame) -> Judged:
    """Read and judge all answers.

    Args:
        cases: see `eval.cases.read_cases`; index 0 … n-1.
        told: see `eval.predictions.read_predictions`; answers to other questions are left out.
    """
    row = pd.Index(cases["qa_id"]).get_indexer(told["qa_id"])
    told, row = told[row >= 0].reset_index(drop=True), row[row >= 0]
    asked = cases.iloc[row].reset_index(drop=True)
    typed = read_answers(told["text"].to_list(), asked["answer_type"].to_list(), asked["options"].to_list())
    read = pd.concat([told, typed.assign(answered=True)], axis=1)
    verdicts = judge(asked, read)
    first = read.assign(row=row).sort_values("sample", kind="stable").drop_duplicates("row")
    return Judged(_by_cases(cases, first), read, verdicts)


def judge_stored(store: Store, cases: pd.DataFrame) -> Answered:
    """The stored answers, read back from their text: what rounding costs."""
    told = store.read_all("questions", ["qa_id", "answer"]).to_pandas().rename(columns={"answer": "text"})
    return judge_predictions(cases, told.assign(model="stored", sample=0, looks=None)).answered


def judge_baselines(
    store: Store, cases: pd.DataFrame, fused: Store | None = None, training: Store | None = None
) -> dict[str, Answered]:
    """Each baseline on the types and forms of questions that it has an answer to; there it fails where it has none.

    Args:
        store: with the tracks of the cases' logs.
        cases: see `eval.cases.read_cases`.
        fused: see `eval.baselines.baseline_answers`.
        training: whose `train` split tells what is usual; None: that of `store`.
    """
    found, asked = {}, pd.MultiIndex.from_frame(cases[["type", "form"]])
    taught = store if training is None else training
    own = taught.root.resolve() == store.root.resolve()
    learned = USUAL if own and (cases["split"] == "train").any() else ()
    for name, answers in baseline_answers(store, cases, read_training(taught), fused).items():
        if name in learned:
            continue  # they know the answers
        can = asked.isin(asked[answers["answered"]].unique())
        found[name] = judge_typed(cases[can].reset_index(drop=True), answers[can].reset_index(drop=True))
    return found


def judge_typed(cases: pd.DataFrame, answers: pd.DataFrame) -> Answered:
    """Judge answers that were not read from a text.

    Args:
        cases: see `eval.cases.read_cases`; index 0 … n-1.
        answers: typed answers with `answered`, row by row to the cases.
    """
    failure = np.array([NO_ANSWER, None], dtype=object)[answers["answered"].to_numpy(dtype=np.int64)]
    answers = answers.assign(failure=object_column(failure))
    return Answered(cases, answers, judge(cases, answers))


def differences(model: Answered, other: Answered) -> dict[str, Estimate]:
    """The model minus another answerer in COMPARED, paired, over the questions of the other.

    Args:
        model: answers to all questions.
        other: to some of them.
    """
    rows = pd.Index(model.cases["qa_id"]).get_indexer(other.cases["qa_id"])
    parts = (model.answers, model.verdicts)
    same = Answered(other.cases, *(part.iloc[rows].reset_index(drop=True) for part in parts))
    logs, frames = (other.cases[name].to_numpy() for name in ("log_code", "frame_code"))
    found = difference_each(_compared(other), _compared(same), logs, frames)
    return {name: one.difference for name, one in found.items()}


def _compared(answered: Answered) -> dict[str, Sample]:
    targets = find_targets(answered.cases)
    cells = success_cells(answered, targets)
    samples = (share_of(cells, targets.anchors), share_of(answered.success, np.arange(len(answered.cases))))
    return dict(zip(COMPARED, samples, strict=True))


def _by_cases(cases: pd.DataFrame, first: pd.DataFrame) -> Answered:
    """One answer a question, none where there is none: those fail."""
    has = np.zeros(len(cases), dtype=bool)
    has[first["row"]] = True
    answers = no_answers(len(cases)).assign(answered=has, failure=object_column(np.full(len(cases), None)))
    for name in (*TRUTH.names, "failure"):
        values = answers[name].to_numpy(copy=True)
        values[first["row"]] = first[name].to_numpy()
        answers[name] = values if name in NUMBERS else object_column(values)
    return Answered(cases, answers, judge(cases, answers))
