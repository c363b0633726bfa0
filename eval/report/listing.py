"""All answered questions, for the list of the page: what is shown of each, and what the list is filtered and ordered by.

The questions stand in the order of `eval.report.severity`, the worst first. The index is small and held by the browser at once:
for each filter the titles of its values and the place of each question's value among them. What is shown of a question is in
parts (`eval.report.parts`): question, truth, answer, what it was read as, and the prompt as the model got it, where `[image]`
stands for an image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from drive_vqa.time_to_collision import BIN_NAMES
from eval.report.answered import cut, facts, verdict
from eval.report.inputs import Evaluation
from eval.report.numbers import natural, plain
from eval.report.parts import ROWS_OF_PART, Part, pack, pack_rows
from eval.report.prompts import prompts
from eval.report.quantities import quantities
from eval.report.severity import OUTCOMES, worst_first
from eval.report.slices import type_title, value_order, value_title
from eval.safety import range_bin

MOST_QUESTIONS = 100_000
"""Listed, the worst ones; all are in scores.parquet."""

TEXT_CHARACTERS, LEAST_TEXT, MOST_TEXT = 30_000_000, 300, 4_000
"""Of all answers together, and the limits of one: where there are many, less is kept of each."""

FIELDS = ("qa_id", "question", "options", "prompt", "truth", "text", "verdict", "quantities", "facts")
INDEX, ROWS = "question-index", "questions"


@dataclass(frozen=True)
class Listing:
    """The list of questions, packed.

    Attributes:
        parts: the index, then the rows.
        listed: how many questions it has.
        answered: how many there are.
        text_limit: characters kept of an answer.
    """

    parts: tuple[Part, ...]
    listed: int
    answered: int
    text_limit: int


def listing(evaluation: Evaluation) -> Listing:
    """The list of all answered questions of an evaluation."""
    answered = len(evaluation.answers)
    answers = worst_first(evaluation.answers).head(MOST_QUESTIONS)
    limit = int(np.clip(TEXT_CHARACTERS // len(answers), LEAST_TEXT, MOST_TEXT))
    rows = _rows(answers, prompts(evaluation, answers), limit)
    return Listing((pack(INDEX, index(answers)), *pack_rows(ROWS, FIELDS, rows)), len(answers), answered, limit)


def index(answers: pd.DataFrame) -> dict[str, Any]:
    """What the browser filters and orders by: a title and codes for each filter, and the frame of each question."""
    ranges = pd.Series(range_bin(answers["slice_distance_m"].to_numpy(np.float64)), answers.index)
    filters = [
        _filter("outcome", "Outcome", answers["outcome"], list(OUTCOMES), OUTCOMES.get),
        _filter("family", "Family", answers["family"], None, plain),
        _filter("type", "Type", answers["type"], None, type_title),
        _filter("class", "Kind of object", answers["slice_category"], None, plain),
        _filter("range", "Distance now (m)", ranges, None, value_title),
        _filter("ttc", "Time to collision (s)", answers["slice_ttc_bin"], BIN_NAMES, _ttc_title),
        _filter("log", "Log", answers["log_id"], None, str),
    ]
    return {
        "count": len(answers),
        "rows_of_part": ROWS_OF_PART,
        "filters": filters,
        "frames": answers["frame"].tolist(),
    }


def _ttc_title(name: str) -> str:
    return "no conflict" if name == "none" else name


def _filter(name: str, title: str, values: pd.Series, order: Sequence[str] | None, say: Any) -> dict[str, Any]:
    """Values in their order, "not known" last, with the place of each question's own."""
    known = values.where(values.notna() & (values != ""), None)
    present = set(known.dropna().unique())
    names = [one for one in order if one in present] if order else []
    names += sorted(present.difference(names), key=value_order if name != "log" else natural)
    unknown = ["not known"] if known.isna().any() else []
    place = {one: number for number, one in enumerate(names)}
    codes = known.map(place).fillna(len(names)).astype(int).tolist()
    titles = [say(one) for one in names] + unknown
    return {"name": name, "title": title, "keys": names + unknown, "values": titles, "codes": codes}


def _rows(answers: pd.DataFrame, prompt_of: Mapping[str, str], limit: int) -> Iterator[list[Any]]:
    for start in range(0, len(answers), ROWS_OF_PART):
        for row in answers.iloc[start : start + ROWS_OF_PART].to_dict("records"):
            told = {str(name): value for name, value in row.items()}
            values = [[one.name, one.truth, one.answer, one.error, one.ok] for one in quantities(told)]
            yield [
                row["qa_id"], row["question"], list(row["options"] if row["options"] is not None else ()),
                prompt_of.get(row["qa_id"], ""), row["answer"], cut(row["text"], limit), verdict(told), values, facts(told),
            ]  # fmt: skip
