"""What an answer found by search is worth: 1 if it is right, else 0. The parser and the bands are those of the scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from eval.cases import answer_columns
from eval.parse import ParseFailure, parse
from eval.scoring import judge


def answer_is_right(question: Mapping[str, Any], text: str) -> bool:
    """Whether a text answers a question rightly, see `eval.scoring`.

    Args:
        question: a row of the `questions` table; `answer_type`, `options` and `truth` are read.
        text: anything at all.
    """
    parsed = parse(text, question["answer_type"], question["options"] or ())
    if isinstance(parsed, ParseFailure):
        return False
    truth = answer_columns([question["truth"]]).add_prefix("truth_")
    case = pd.concat([pd.DataFrame({"answer_type": [question["answer_type"]]}), truth], axis=1)
    return bool(judge(case, answer_columns([parsed.as_truth()]))["success"].iloc[0])
