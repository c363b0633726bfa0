"""Whether two answers to one question agree: the second would be right if the first were the truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Bool

from drive_vqa.schema import TRUTH
from eval.scoring import judge


def agree(cases: pd.DataFrame, first: pd.DataFrame, second: pd.DataFrame) -> Bool[np.ndarray, "n"]:
    """Row by row; False where either is missing.

    Args:
        cases: with the column answer_type.
        first: typed answers, see `eval.cases.answer_columns`.
        second: likewise; numbers within the success band of the type around the first, all else equal to it.
    """
    as_truth = {f"truth_{field}": first[field].to_numpy() for field in TRUTH.names}
    claimed = pd.DataFrame({"answer_type": cases["answer_type"].array, **as_truth}, copy=False)
    return np.asarray(judge(claimed, second)["success"].to_numpy(dtype=bool))
