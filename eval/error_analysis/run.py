"""A store and a predictions file in, `errors.md` and its pictures out."""

from __future__ import annotations

import html
from pathlib import Path

import pandas as pd

from drive_vqa.errors import ConfigError, PredictionError
from drive_vqa.store import Store, replacing
from eval.asked import asked_questions
from eval.baselines import answer_from_state
from eval.error_analysis.causes import cause_codes
from eval.error_analysis.examples import EXAMPLES, choose_examples
from eval.error_analysis.label_floor import annotated_answers, tracks_are_annotations
from eval.error_analysis.page import DISTANCES_PNG, Findings, page
from eval.error_analysis.pictures import draw_distances, draw_example
from eval.error_analysis.slices import slice_estimates, target_parts
from eval.error_analysis.target_answers import TargetAnswers, target_answers
from eval.judged import judge_predictions, judge_stored, judge_typed
from eval.present import present_state

PAGE = "errors.md"


def analyse_errors(store: Store, predictions: Path, out: Path) -> None:
    """Write the page and its pictures.

    Args:
        store: with the questions that were asked, their tracks and images.
        predictions: see `eval.predictions.read_predictions`; of repeated answers the first sample counts.
        out: folder.

    Raises:
        ConfigError: `out` is a file.
        PredictionError: the file cannot be read, answers other questions, or holds no targets.
        StoreError: a table or an image is missing.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file: give --out a folder")
    asked = asked_questions(store, predictions)
    cases = asked.cases[asked.cases["answer_type"] == "localization"].reset_index(drop=True)
    answers = target_answers(judge_predictions(cases, asked.told).answered)
    if not len(answers):
        raise PredictionError(
            f"{predictions} was asked no target at 0, 1, 2 and 3 s: ask the types localization_t0 to t3"
        )
    state = present_state(store, cases)
    predicted = target_answers(judge_typed(cases, answer_from_state(cases, state, moves=True)))
    causes = cause_codes(answers, predicted.located.success)
    found = Findings(
        html.escape(" ".join(str(asked.told["model"].iloc[0]).split())),
        answers,
        predicted,
        causes,
        slice_estimates(answers, target_parts(store, answers, state)),
        _floor(store, cases),
        choose_examples(answers, causes),
        tracks_are_annotations(store),
    )
    out.mkdir(parents=True, exist_ok=True)
    draw_distances(answers, out / DISTANCES_PNG)
    form = "marks" if asked.selection is None else asked.selection.regions
    for name, target in found.examples.items():
        draw_example(store, answers, target, EXAMPLES[name], out / f"{name}.png", form)
    with replacing(out / PAGE) as temporary:
        temporary.write_text(page(found), encoding="utf-8")


def _floor(store: Store, cases: pd.DataFrame) -> dict[str, TargetAnswers]:
    found = {"stored answers as text": target_answers(judge_stored(store, cases))}
    if store.log_ids("annotations"):
        found = {"annotated places": target_answers(annotated_answers(store, cases)), **found}
    return found
