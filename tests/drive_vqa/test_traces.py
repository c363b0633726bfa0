"""Writing traces: every dialect's form, and what cannot be written."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drive_vqa.traces import DIALECTS, Place, Point, Seen, Trace, decimal, render, whole

EARLY = Seen("Region 3", (412, 300, 480, 372), -1.5)
LATE = Seen("Region 3", (420, 302, 490, 377), 0.0)
TRACE = Trace(
    (
        (EARLY, " was at ", Place(12.44, -7.6), "."),
        (LATE, " is at ", Place(10.0, -0.3), "."),
        ("It comes closer.",),
        ("So the answer is Region 3 ", Point(455, 339), "."),
    ),
    "Region 3",
    first_s=-1.5,
)
SEEN = r"<obj>[^<>]+</obj><box>\[-?\d+,-?\d+,-?\d+,-?\d+\]</box>at<t>-?\d+\.\d</t>s"
PIECE = rf"(?:{SEEN}|<point>\(-?\d+,-?\d+\)</point>|<pos>\d+\.\d m, -?\d+°</pos>|[^<>\n]+)"
GRAMMAR = re.compile(rf"(?:<think>\n(?:{PIECE}+\n)+</think>\n)?<answer>[^<>\n]+</answer>")


def test_the_drive_dialect():
    assert render(TRACE) == (
        "<think>\n"
        "<obj>Region 3</obj><box>[412,300,480,372]</box>at<t>-1.5</t>s was at <pos>12.4 m, -8°</pos>.\n"
        "<obj>Region 3</obj><box>[420,302,490,377]</box>at<t>0.0</t>s is at <pos>10.0 m, 0°</pos>.\n"
        "It comes closer.\n"
        "So the answer is Region 3 <point>(455,339)</point>.\n"
        "</think>\n"
        "<answer>Region 3</answer>"
    )


def test_open_o3_counts_time_from_the_first_image_and_has_no_other_tags():
    lines = render(TRACE, "open_o3").splitlines()
    assert lines[1] == "<obj>Region 3</obj><box>[412,300,480,372]</box>at<t>0.0</t>s was at 12.4 m, -8°."
    assert "at<t>1.5</t>s" in lines[2]
    assert set(re.findall(r"</?(\w+)>", "\n".join(lines))) == {"think", "answer", "obj", "box", "t"}


def test_treevgr_has_boxes_alone():
    text = render(TRACE, "treevgr")
    assert text.splitlines()[1] == "Region 3 <box>[412,300,480,372]</box>, 1.5 seconds ago, was at 12.4 m, -8°."
    assert set(re.findall(r"</?(\w+)>", text)) == {"think", "answer", "box"}


def test_every_step_of_vigorl_ends_in_a_point():
    lines = render(TRACE, "vigorl").splitlines()
    assert lines[1] == "Region 3, 1.5 seconds ago, was at 12.4 m, -8° (446, 336)"
    assert lines[3] == "It comes closer (455, 339)"
    assert all(re.search(r"\(\d+, \d+\)$", line) for line in lines[1:5])
    assert set(re.findall(r"</?(\w+)>", "\n".join(lines))) == {"think", "answer"}


def test_several_points_in_a_step_of_vigorl():
    other = Seen("Region 4", (0, 0, 10, 10), 0.0)
    trace = Trace((("It is ", EARLY, " before ", other, "."),), "yes")
    assert (
        render(trace, "vigorl").splitlines()[1] == "It is Region 3, 1.5 seconds ago, (446, 336) before Region 4 (5, 5)"
    )


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_answer_without_steps(dialect):
    assert render(Trace((), "12.4 meters"), dialect) == "<answer>12.4 meters</answer>"


@pytest.mark.parametrize("text", ["", " ", "a\nb", "<box>", "</answer>", "a\u2028b"])
def test_texts_that_a_reader_would_take_for_something_else(text):
    with pytest.raises(ValueError, match="one line"):
        Trace((), text)
    with pytest.raises(ValueError, match="one line"):
        Seen(text, (0, 0, 1, 1), 0.0)


@pytest.mark.parametrize("step", [(), ("",), ("  ",), ("a\nb",), ("a<b",)])
def test_steps_that_cannot_be_written(step):
    with pytest.raises(ValueError, match="trace"):
        Trace((step,), "yes")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Seen("Region 1", (5, 0, 5, 9), 0.0),
        lambda: Seen("Region 1", (0, 9, 5, 9), 0.0),
        lambda: Seen("Region 1", (0, 0, 5, 9), 0.5),
        lambda: Seen("Region 1", (0, 0, 5, 9), float("nan")),
        lambda: Place(float("nan"), 0.0),
        lambda: Place(1.0, float("inf")),
    ],
)
def test_evidence_that_says_nothing(make):
    with pytest.raises(ValueError, match="Region 1|finite"):
        make()


def test_numbers_have_no_negative_zero():
    assert [decimal(value) for value in (-0.04, 0.05, -0.06, 12.25, 0.35)] == ["0.0", "0.0", "-0.1", "12.2", "0.4"]
    assert [whole(value) for value in (-0.4, 0.5, -179.6, 180.0, -179.4)] == ["0", "0", "180", "180", "-179"]


TEXTS = st.text(st.characters(exclude_characters="<>", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1).filter(
    str.strip
)
BOXES = st.tuples(*[st.integers(0, 4000)] * 2, *[st.integers(1, 4000)] * 2).map(
    lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
)
PIECES = st.one_of(
    TEXTS,
    st.builds(Seen, TEXTS, BOXES, st.floats(-60, 0)),
    st.builds(Place, st.floats(0, 500), st.floats(-180, 180)),
    st.builds(Point, st.integers(0, 4000), st.integers(0, 4000)),
)


@given(st.lists(st.lists(PIECES, min_size=1, max_size=4).map(tuple), max_size=4).map(tuple), TEXTS)
def test_whatever_is_written_is_of_the_grammar(steps, answer):
    text = render(Trace(steps, answer))
    assert GRAMMAR.fullmatch(text)
    assert text.count("\n") == (len(steps) + 2 if steps else 0)
