"""Which questions of a store a predictions file was asked: what it leaves out of them counts as failed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from drive_vqa.errors import PredictionError
from drive_vqa.store import Store
from eval.cases import read_cases, splits_of_questions
from eval.predict.questions import asked_ids
from eval.predict.selection import Selection, left_out_of, selection_of
from eval.predictions import read_predictions


@dataclass(frozen=True, eq=False)
class AskedQuestions:
    """A file of answers, and the questions that were asked for it.

    Attributes:
        told: see `eval.predictions.read_predictions`.
        cases: the questions, see `eval.cases.read_cases`.
        splits: that they are of.
        selection: by which they were chosen; None: all of these splits.
        questions_of_split: how many there are to choose from.
    """

    told: pd.DataFrame
    cases: pd.DataFrame
    splits: list[str]
    selection: Selection | None
    questions_of_split: int


def asked_questions(
    store: Store, predictions: Path, split: str | None = None, selection: Selection | None = None
) -> AskedQuestions:
    """The answers and the questions that they are to; every answered question must be the store's.

    Args:
        store: with the questions.
        predictions: see `eval.predictions.read_predictions`.
        split: alone; None: all that are answered.
        selection: alone; None: what the file says that it was asked, all of the splits where it does not say.

    Raises:
        PredictionError: the file cannot be read, answers other questions than the store's or than it says, or none of `split`.
    """
    told = read_predictions(predictions)
    splits = _splits(store, told, predictions, split)
    chosen, selection = selection is not None, selection or selection_of(predictions)
    if selection is None or [selection.split] != splits:
        cases = read_cases(store, splits)
        return AskedQuestions(told, cases, splits, None, len(cases))
    cases = read_cases(store, splits, selected_ids(store, selection, predictions))
    if not chosen:
        _refuse_others(told, cases, predictions)
    return AskedQuestions(told, cases, splits, selection, len(asked_ids(store, Selection(selection.split))))


def selected_ids(store: Store, selection: Selection, predictions: Path) -> pa.StringArray:
    """The selected questions but those that could not be asked so."""
    asked = asked_ids(store, selection)
    return asked.filter(pc.invert(pc.is_in(asked, value_set=pa.array(left_out_of(predictions), pa.string()))))


def splits_answered(store: Store, told: pd.DataFrame, predictions: Path) -> list[str]:
    """The splits of all questions that are answered, sorted.

    Args:
        store: with the questions.
        told: see `eval.predictions.read_predictions`.
        predictions: the file that it was read from.

    Raises:
        PredictionError: the store does not have one of them.
    """
    known = splits_of_questions(store, told["qa_id"].unique().tolist())
    unknown = told["qa_id"][~told["qa_id"].isin(known.index)].tolist()
    if unknown:
        others = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise PredictionError(
            f"{predictions} answers question {unknown[0]!r}{others}, which {store.root} does not have: "
            "predict again with this store"
        )
    return sorted(known.unique())


def _splits(store: Store, told: pd.DataFrame, predictions: Path, split: str | None) -> list[str]:
    touched = splits_answered(store, told, predictions)
    if split is None:
        return touched
    if split not in touched:
        raise PredictionError(f"{predictions} answers no question of split {split!r}, only of {', '.join(touched)}")
    return [split]


def _refuse_others(told: pd.DataFrame, cases: pd.DataFrame, predictions: Path) -> None:
    """Answers to questions that the file says were not asked would go unscored, the wrong ones too."""
    others = told["qa_id"][~told["qa_id"].isin(cases["qa_id"])]
    if len(others):
        raise PredictionError(
            f"{predictions} answers question {others.iloc[0]!r} and says that it was not asked: predict again"
        )
