"""mAM and mLGM of questions that ask when and where, by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from eval.evidence.chains import Chain, mean_am, mean_lgm
from eval.evidence.event_chains import event_chains
from eval.panel import Answered
from eval.statistics import NOTHING

FIELDS = ("start_s", "end_s", "u0_px", "v0_px", "u1_px", "v1_px")
NO_TIME, NO_BOX = (math.nan,) * 2, (math.nan,) * 4
TIME, HALF_TIME = (-2.0, -1.0), (-2.0, -1.5)
BOX, FIFTH_BOX = (0.0, 0.0, 10.0, 10.0), (0.0, 0.0, 2.0, 10.0)


def answered(rows):
    """Rows of truth (time, box), answer (time, box), success and log."""
    truth = pd.DataFrame([(*time, *box) for (time, box), *_ in rows], columns=[f"truth_{name}" for name in FIELDS])
    answers = pd.DataFrame([(*time, *box) for _, (time, box), *_ in rows], columns=list(FIELDS))
    logs = np.array([log for *_, log in rows])
    cases = truth.assign(log_code=logs, frame_code=np.arange(len(rows)))
    return Answered(cases, answers, pd.DataFrame({"success": np.array([row[2] for row in rows], dtype=object)}))


WHEN = ((TIME, NO_BOX), (HALF_TIME, NO_BOX), True, 0)
WHEN_UNREAD = ((TIME, NO_BOX), (NO_TIME, NO_BOX), False, 1)
WHERE = ((NO_TIME, BOX), (NO_TIME, FIFTH_BOX), False, 0)
BOTH = ((TIME, BOX), (TIME, BOX), True, 1)
OTHER = ((NO_TIME, NO_BOX), (NO_TIME, NO_BOX), True, 1)


def chains_of(rows, temporal, visual, used=None):
    places = np.arange(len(rows)) if used is None else np.array(used)
    return event_chains(answered(rows), places, np.array(temporal), np.array(visual))


def test_answers_count_where_they_are_asked_for_and_traces_elsewhere():
    found = chains_of([WHEN, WHERE, OTHER], [0.9, 0.4, 0.0], [0.3, 0.9, 0.0])
    chains = [Chain(1.0, 0.5, 0.3), Chain(0.0, 0.4, 0.2)]
    assert 100 * found["grounding.mam"].value == pytest.approx(mean_am(chains))
    assert 100 * found["grounding.mlgm"].value == pytest.approx(mean_lgm(chains))
    assert found["grounding.mam"].n == 2


def test_who_asks_for_both_is_in_both_chains_and_what_is_not_read_counts_nothing():
    found = chains_of([WHEN, WHEN_UNREAD, WHERE, BOTH], [0.0, 0.6, 0.4, 0.0], [0.3, 0.6, 0.0, 0.0])
    chains = [Chain(2 / 3, 1.5 / 3, 1.9 / 3), Chain(0.5, 1.4 / 2, 1.2 / 2)]
    assert 100 * found["grounding.mam"].value == pytest.approx(mean_am(chains))
    assert 100 * found["grounding.mlgm"].value == pytest.approx(mean_lgm(chains))
    assert (found["grounding.mam"].n, found["grounding.mam"].clusters) == (4, 2)
    assert found["grounding.mam"].low <= found["grounding.mam"].value <= found["grounding.mam"].high


def test_only_questions_with_evidence_count():
    whole = chains_of([WHEN, WHERE], [0.0, 0.4], [0.3, 0.0])
    assert chains_of([WHEN_UNREAD, WHEN, WHERE], [0.0, 0.4], [0.3, 0.0], used=[1, 2]) == whole


@pytest.mark.parametrize("rows", [[], [OTHER], [WHEN], [WHERE, OTHER]])
def test_without_a_chain_there_is_no_number(rows):
    told = [0.5] * len(rows)
    found = chains_of(rows, told, told, used=np.arange(len(rows), dtype=np.int64))
    assert found == {"grounding.mam": NOTHING, "grounding.mlgm": NOTHING}


def test_logs_that_ask_one_chain_only_give_no_interval():
    """Some draws of logs hold no question of the other."""
    found = chains_of([WHEN, (*WHERE[:3], 1)], [0.0, 0.4], [0.3, 0.0])["grounding.mam"]
    assert found.value is not None
    assert (found.low, found.high) == (None, None)
