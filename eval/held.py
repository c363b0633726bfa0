"""What a model says of the present, held for the next seconds: what its answers about the future add to that.

    answer at t = answer at 0      (the same question about the same mark of the same group)

The present of a target is what was answered to `localization_t0`, which LSR@0 scores; distance, bearing, place and speed that
are asked for alone are each held by themselves. At t = 0 the row is the model itself. Where the answer at 0 is missing or could
not be read there is none at any t, and all fail. What was not asked at 0 is left out.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Int

from eval.baselines import ABOUT
from eval.judged import judge_typed
from eval.panel import Answered

OWN_PRESENT = "own_present"


def own_present(model: Answered) -> Answered:
    """The model's answers about the present as answers about every time.

    Args:
        model: answers to all questions.

    Returns:
        To the open questions of family `future` whose counterpart at t = 0 was asked.
    """
    present = present_rows(model.cases)
    is_held = present >= 0
    cases = model.cases[is_held].reset_index(drop=True)
    answers = model.answers.iloc[present[is_held]].reset_index(drop=True)
    return judge_typed(cases, answers.assign(answered=model.read[present[is_held]]))


def present_rows(cases: pd.DataFrame) -> Int[np.ndarray, "n"]:
    """For each question the row of the same one about t = 0; -1 where that was not asked.

    Args:
        cases: see `eval.cases.read_cases`.
    """
    about = cases["type"].str.extract(ABOUT)[0]
    held = (about.notna() & (cases["family"] == "future") & (cases["form"] == "open")).to_numpy()
    asked = pd.MultiIndex.from_arrays([cases["group_id"], cases["mark"], about.fillna("")])
    now = np.flatnonzero(held & (cases["horizon_s"] == 0).to_numpy())
    found = asked[now].get_indexer(asked) if len(now) else np.full(len(cases), -1)
    return np.asarray(np.where(held & (found >= 0), np.append(now, -1)[found], -1))
