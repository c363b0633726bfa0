"""Success of every answer type, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_vqa.schema import TRUTH
from eval.cases import answer_columns
from eval.parse import ANSWER_TYPES
from eval.scoring import box_iou, interval_iou, judge

BOX = ("u0_px", "v0_px", "u1_px", "v1_px")


def box(*values):
    return dict(zip(BOX, map(float, values), strict=True))


def interval(start_s, end_s):
    return {"start_s": start_s, "end_s": end_s}


def position(x_m, y_m):
    return {"x_m": x_m, "y_m": y_m}


JUDGED = [
    ("turn", {"yaw_deg": 30.0}, {"yaw_deg": 40.0}, True),
    ("turn", {"yaw_deg": 30.0}, {"yaw_deg": 40.1}, False),
    ("turn", {"yaw_deg": 175.0}, {"yaw_deg": -175.0}, True),
    ("turn", {"yaw_deg": 30.0}, {"bearing_deg": 30.0}, False),
    ("lateral", {"y_m": -4.0}, {"y_m": -5.0}, True),
    ("lateral", {"y_m": -4.0}, {"y_m": -5.01}, False),
    ("lateral", {"y_m": 1.0}, {"y_m": 1.5}, True),
    ("lateral", {"y_m": 1.0}, {"y_m": 1.51}, False),
    ("lateral", {"y_m": 0.2}, {"y_m": -0.3}, True),
    ("lateral", {"y_m": 4.0}, {"y_m": -4.0}, False),
    ("longitudinal", {"x_m": -20.0}, {"x_m": -25.0}, True),
    ("longitudinal", {"x_m": -20.0}, {"x_m": -14.9}, False),
    ("longitudinal", {"x_m": -20.0}, {"y_m": -20.0}, False),
    ("time", {"time_s": 2.0}, {"time_s": 2.5}, True),
    ("time", {"time_s": 2.0}, {"time_s": 2.51}, False),
    ("time", {"time_s": 0.4}, {"time_s": 0.65}, True),
    ("time", {"time_s": 0.4}, {"time_s": 0.66}, False),
    ("position", position(12.0, 16.0), position(15.0, 20.0), True),  # 20 m away, 5 m off
    ("position", position(12.0, 16.0), position(15.0, 20.1), False),
    ("position", position(0.3, 0.4), position(0.3, 0.9), True),
    ("position", position(0.3, 0.4), position(0.3, 0.91), False),
    ("motion", {"distance_m": 10.0, "yaw_deg": 5.0}, {"distance_m": 12.5, "yaw_deg": -5.0}, True),
    ("motion", {"distance_m": 10.0, "yaw_deg": 5.0}, {"distance_m": 12.6, "yaw_deg": 5.0}, False),
    ("motion", {"distance_m": 10.0, "yaw_deg": 5.0}, {"distance_m": 10.0, "yaw_deg": -5.1}, False),
    ("motion", {"distance_m": 0.0, "yaw_deg": 0.0}, {"distance_m": 0.1, "yaw_deg": 0.0}, True),
    ("distance", {"distance_m": 10.0}, {"distance_m": 12.5}, True),
    ("distance", {"distance_m": 10.0}, {"distance_m": 12.6}, False),
    ("localization", {"distance_m": 10.0, "bearing_deg": 5.0}, {"distance_m": 10.0, "bearing_deg": 16.0}, False),
    ("bearing", {"bearing_deg": 5.0}, {"bearing_deg": 15.0}, True),
    ("speed", {"speed_mps": 10.0}, {"speed_mps": 12.0}, True),
    ("speed", {"speed_mps": 10.0}, {"speed_mps": 12.1}, False),
    ("ranking", {"marks": [2, 0, 4]}, {"marks": (2, 0, 4)}, True),
    ("ranking", {"marks": [2, 0, 4]}, {"marks": (2, 4, 0)}, False),
    ("ranking", {"marks": [2, 0, 4]}, {"marks": (2, 0)}, False),
    ("regions", {"marks": [0, 3]}, {"marks": (0, 3)}, True),
    ("regions", {"marks": [0, 3]}, {"marks": (0,)}, False),
    ("regions", {"marks": []}, {"marks": ()}, True),
    ("regions", {"marks": []}, {"marks": (1,)}, False),
    ("interval", interval(-2.0, 0.0), interval(-1.0, 0.0), True),  # 1 of 2 s
    ("interval", interval(-2.0, 0.0), interval(-0.9, 0.0), False),
    ("interval", interval(-2.0, -1.0), interval(-1.5, -0.5), False),  # 0.5 of 1.5 s
    ("interval", interval(-2.0, -2.0), interval(-2.0, -2.0), True),
    ("interval", interval(-2.0, -2.0), interval(-2.5, -2.0), False),
    ("box", box(0, 0, 10, 10), box(0, 0, 10, 5), True),
    ("box", box(0, 0, 10, 10), box(0, 0, 10, 4), False),
    ("box", box(0, 0, 10, 10), box(20, 20, 30, 30), False),
    ("interval_box", interval(-2.0, 0.0) | box(0, 0, 10, 10), interval(-2.0, 0.0) | box(0, 0, 10, 9), True),
    ("interval_box", interval(-2.0, 0.0) | box(0, 0, 10, 10), interval(-0.5, 0.0) | box(0, 0, 10, 9), False),
    ("interval_box", interval(-2.0, 0.0) | box(0, 0, 10, 10), interval(-2.0, 0.0) | box(0, 0, 10, 2), False),
    ("undetermined", {"undetermined": True}, {"undetermined": True}, True),
    ("undetermined", {"undetermined": True}, {"undetermined": False}, False),
    ("choice", {"choice": "left"}, {"choice": "left"}, True),
    ("choice", {"choice": "left"}, {"choice": "right"}, False),
    ("bool", {"bool": False}, {"bool": False}, True),
    ("bool", {"bool": False}, {"bool": True}, False),
    ("clock", {"clock_hour": 12}, {"clock_hour": 12}, True),
    ("clock", {"clock_hour": 12}, {"clock_hour": 1}, False),
    ("count", {"count": 0}, {"count": 0}, True),
    ("count", {"count": 0}, {"count": 1}, False),
]


def judged(rows):
    """Verdicts over (answer type, truth, answer or None)."""
    nothing = dict.fromkeys(TRUTH.names)
    cases = answer_columns([nothing | truth for _, truth, _ in rows]).add_prefix("truth_")
    cases.insert(0, "answer_type", [kind for kind, _, _ in rows])
    return judge(cases, answer_columns([None if answer is None else nothing | answer for _, _, answer in rows]))


def test_every_type_by_hand():
    """All in one table, so that one type cannot spoil another."""
    success = judged([row[:3] for row in JUDGED])["success"]
    assert dict(enumerate(success)) == {index: row[3] for index, row in enumerate(JUDGED)}
    assert {row[0] for row in JUDGED} == set(ANSWER_TYPES)


def test_no_answer_fails_every_type():
    rows = [(kind, truth, None) for kind, truth, _, _ in JUDGED]
    assert not judged(rows)["success"].any()


def test_parts_are_told_where_they_are_asked():
    verdicts = judged(
        [
            ("localization", {"distance_m": 10.0, "bearing_deg": 5.0}, {"distance_m": 10.0, "bearing_deg": 50.0}),
            ("motion", {"distance_m": 10.0, "yaw_deg": 5.0}, {"distance_m": 10.0, "yaw_deg": 50.0}),
            ("turn", {"yaw_deg": 5.0}, {"yaw_deg": 5.0}),
            ("speed", {"speed_mps": 5.0}, None),
        ]
    )
    assert verdicts["distance_ok"].tolist() == [True, True, None, None]
    assert verdicts["bearing_ok"].tolist() == [False, None, None, None]
    assert verdicts["speed_ok"].tolist() == [None, None, None, False]


def test_no_questions_have_no_verdicts():
    assert judged([]).empty


def test_shares_of_boxes_and_intervals_by_hand():
    truth = np.array([[0.0, 0.0, 10.0, 10.0]] * 4)
    answer = np.array([[5.0, 5.0, 15.0, 15.0], [0.0, 0.0, 10.0, 10.0], [10.0, 0.0, 20.0, 10.0], [np.nan] * 4])
    assert box_iou(truth, answer) == pytest.approx([25 / 175, 1.0, 0.0, np.nan], nan_ok=True)
    times = np.array([[-2.0, 0.0]] * 4)
    told = np.array([[-3.0, -1.0], [-2.0, 0.0], [0.0, 1.0], [np.nan, np.nan]])
    assert interval_iou(times, told) == pytest.approx([1 / 3, 1.0, 0.0, np.nan], nan_ok=True)


@settings(deadline=None, max_examples=60)
@given(
    truth=st.tuples(*[st.integers(0, 12)] * 4),
    answer=st.tuples(*[st.integers(0, 12)] * 4),
)
def test_shares_are_those_of_counted_pixels(truth, answer):
    """Boxes on a grid: the share of unit squares."""
    boxes = [(u, v, u + width + 1, v + height + 1) for u, v, width, height in (truth, answer)]
    pixels = [{(u, v) for u in range(a, c) for v in range(b, d)} for a, b, c, d in boxes]
    expected = len(pixels[0] & pixels[1]) / len(pixels[0] | pixels[1])
    arrays = [np.array([corners], dtype=np.float64) for corners in boxes]
    assert box_iou(*arrays)[0] == pytest.approx(expected)
    rows = [set(range(corners[0], corners[2])) for corners in boxes]
    assert interval_iou(arrays[0][:, [0, 2]], arrays[1][:, [0, 2]])[0] == pytest.approx(
        len(rows[0] & rows[1]) / len(rows[0] | rows[1])
    )


def test_the_index_of_a_table_does_not_matter():
    rows = [row[:3] for row in JUDGED]
    nothing = dict.fromkeys(TRUTH.names)
    cases = answer_columns([nothing | truth for _, truth, _ in rows]).add_prefix("truth_")
    cases.insert(0, "answer_type", [kind for kind, _, _ in rows])
    answers = answer_columns([nothing | answer for _, _, answer in rows])
    cases.index, answers.index = pd.RangeIndex(100, 100 + len(rows)), pd.RangeIndex(7, 7 + len(rows))
    assert judge(cases, answers)["success"].tolist() == [row[3] for row in JUDGED]
