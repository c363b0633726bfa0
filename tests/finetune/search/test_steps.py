"""What a teacher says, read: what is a step, what is an answer, and what is neither."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.search.steps import FoundAnswer, GroundedStep, read_proposal

GROUP: dict[str, Any] = {
    "group_id": "g",
    "context": [
        {"offset_s": -0.5, "camera": "front", "width": 160, "height": 96},
        {"offset_s": 0.0, "camera": "front", "width": 160, "height": 96},
    ],
    "marks": [{"mark": 1, "regions": [{"context": 1}]}],
}


@pytest.mark.parametrize(
    ("text", "thought", "point_px", "context"),
    [
        ("The car is left (40, 50)", "The car is left", (40, 50), 1),
        ("The car is left (40, 50).", "The car is left", (40, 50), 1),
        ("  2) The car is left ( 40.4 ,49.6 ) \nAnd more (1, 1)", "The car is left", (40, 50), 1),
        ("<think>\n- The car is left (40,50)\n</think>", "The car is left", (40, 50), 1),
        ("Step 3: Region 1, 0.5 seconds ago, was at (0, 0)", "Region 1, 0.5 seconds ago, was at", (0, 0), 0),
        ("0.5 seconds ago it was here (1, 2)", "0.5 seconds ago it was here, 0.5 seconds ago,", (1, 2), 0),
        ("Then, 0.4 seconds ago, Region 1 (1, 2)", "Then, 0.4 seconds ago, Region 1", (1, 2), 0),
        ("Now (9, 9), and, 0.5 seconds ago, it was (1, 2)", "Now (9, 9), and, 0.5 seconds ago, it was", (1, 2), 0),
        (
            "It was, 0.5 seconds ago, there (9, 9), now here (1, 2)",
            "It was, 0.5 seconds ago, there (9, 9), now here",
            (1, 2),
            1,
        ),
        ("It is (3, 4) m away, on the left (40, 50)", "It is (3, 4) m away, on the left", (40, 50), 1),
        ("From (10, 10) I go on to (159, 95)", "From (10, 10) I go on to", (159, 95), 1),
        ("2.5 m beside it stands a tree (7, 7)", "2.5 m beside it stands a tree", (7, 7), 1),
    ],
)
def test_steps(text: str, thought: str, point_px: tuple[int, int], context: int) -> None:
    assert read_proposal(text, GROUP) == GroundedStep(thought, point_px, context)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<answer>left</answer>", "left"),
        ("The car is left (40, 50)\n</think>\n<answer> 12.4\nmeters </answer>", "12.4 meters"),
        ("<think></think><answer>[1, 2, 3, 4]</answer>", "[1, 2, 3, 4]"),
    ],
)
def test_answers(text: str, answer: str) -> None:
    assert read_proposal(text, GROUP) == FoundAnswer(answer)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("<think> \n </think>", "empty"),
        ("The car is left", "no_point"),
        ("The car (40, 50) is left", "no_point"),
        ("(40, 50)", "no_point"),
        ("It drives to (3, 4) m", "no_point"),
        ("The car is left (160, 50)", "outside"),
        ("The car is left (-1, 50)", "outside"),
        ("The car is left (999999, 50)", "outside"),
        ("The car is left (nan, 50)", "no_point"),
        ("The <b>car</b> is left (40, 50)", "tags"),
        ("x" * 700 + " (40, 50)", "too_long"),
        ("<answer>left", "no_answer"),
        ("<answer></answer>", "no_answer"),
        ("<answer>left</answer><answer>right</answer>", "no_answer"),
        ("<answer>a<b</answer>", "no_answer"),
        ("<answer>" + "9" * 500 + "</answer>", "too_long"),
        ("a (1, 1)" * 200_000, "too_long"),
    ],
)
def test_what_is_neither(text: str, reason: str) -> None:
    assert read_proposal(text, GROUP) == reason


@given(
    st.text(st.characters(), max_size=60), st.sampled_from(["", " (4, 5)", "<answer>", "</answer>", "\ud800 (1, 1)"])
)
def test_no_text_raises(text: str, end: str) -> None:
    said = read_proposal(text + end, GROUP)
    if isinstance(said, GroundedStep):
        said.line.encode()
        assert len(said.line.splitlines()) == 1


@pytest.mark.parametrize(
    "piece", ["(", "(1", "(1,", "( 1 ,", "<think>", "1.", "<answer>", "((((1, 2)", " ", "seconds ago "]
)
def test_time_is_linear(piece: str) -> None:
    text = piece * (19_000 // len(piece))
    started = time.perf_counter()
    read_proposal(text, GROUP)
    assert time.perf_counter() - started < 0.5
