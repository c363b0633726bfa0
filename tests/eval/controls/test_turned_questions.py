"""Questions asked in another way: what is asked, and what is made of the answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from eval.controls.asking import asked_under, can_ask
from eval.controls.by_name import control_of
from eval.controls.swap_roles import COMPARED, NEGATED, OPPOSED, SAME, SECOND_AND_THIRD, SWAPPABLE
from eval.parse import parse
from eval.predict import Answer, PromptedQuestion, Unanswered, questions_to_ask
from qa_gen.catalogue import TYPES
from tests.eval.controls.conftest import write_drives

SEEN_FROM_ONE = {"front_behind", "left_right_own", "pair_clock", "pair_bearing"}
"""By the heading of the first region: exchanged, they ask something else."""


def asked(store, qa_id):
    return next(one for one in questions_to_ask(store, "test") if one.question["qa_id"] == qa_id)


def made(**question):
    """A question by itself, as no store has it."""
    return PromptedQuestion(
        Store(Path("nowhere")), {"context": []}, {"qa_id": "q", "options": [], "log_id": "a", **question}
    )


def test_boxes_stand_before_the_question_at_the_time_of_each_frame(drives):
    question = control_of("boxes_as_text").turn(asked(drives, "a3-bearing")).question
    legend, *lines, last = question["question"].split("\n")
    assert "meters ahead" in legend
    assert "positive to the left" in legend
    first = "x 20.0 meters, y 5.0 meters, heading 29 degrees, length 4.5 meters, width 1.9 meters"
    second = "x 10.0 meters, y -4.0 meters, heading 29 degrees, length 4.5 meters, width 1.9 meters"
    assert lines == [
        f"Region 1, 1.0 seconds ago: {first}",
        f"Region 1, 0.5 seconds ago: {first}",
        f"Region 1, now: {first}",
        f"Region 2, 0.5 seconds ago: {second}",  # is not tracked before, and its height is not known
        f"Region 2, now: {second}",
    ]
    assert last == "At what bearing is Region 1, positive to the left?"


def test_boxes_that_round_to_nothing_have_no_sign(tmp_path):
    store = write_drives(tmp_path)
    rows = [{**row, "y_m": -0.04, "yaw_rad": -0.001} for row in store.read("tracks", "a").to_pylist()]
    store.write("tracks", "a", table_from_rows("tracks", rows), "changed")
    text = control_of("boxes_as_text").turn(asked(store, "a1-bearing")).question["question"]
    assert "y 0.0 meters, heading 0 degrees" in text


def test_regions_without_numbers_cannot_be_told_about():
    by_box = made(marks=[1], type="bearing", question="At what bearing is the car at [1, 2, 3, 4]?")
    for name in ("boxes_as_text", "mirror", "swap_roles"):
        assert not can_ask(control_of(name), by_box)


@pytest.mark.parametrize(
    ("kind", "marks", "question", "swapped"),
    [
        ("pair_distance", [3, 5], "Between Region 3 and Region 5?", "Between Region 5 and Region 3?"),
        ("taller", [1, 2], "Region 2 or Region 1? Region 1!", "Region 1 or Region 2? Region 2!"),
        ("between", [1, 2, 3], "Region 3 between Region 1 and Region 2?", "Region 3 between Region 2 and Region 1?"),
        ("closer_to", [1, 2, 3], "To Region 1: Region 2 or Region 3?", "To Region 1: Region 3 or Region 2?"),
    ],
)
def test_two_regions_change_places(kind, marks, question, swapped):
    turned = control_of("swap_roles").turn(made(type=kind, marks=marks, question=question)).question
    assert turned["question"] == swapped
    assert sorted(turned["marks"]) == marks
    assert turned["qa_id"] == "q"


def test_offsets_are_swapped_in_open_questions_only(tmp_path):
    store = write_drives(tmp_path)
    rows = store.read("questions", "a").to_pylist()
    pair = next(row for row in rows if row["qa_id"] == "a1-pair_distance")
    rows += [{**pair, "qa_id": form, "type": "pair_lateral", "form": form} for form in ("open", "choice", "yes_no")]
    store.write("questions", "a", table_from_rows("questions", rows), "changed")
    can = {form: can_ask(control_of("swap_roles"), asked(store, form)) for form in ("open", "choice", "yes_no")}
    assert can == {"open": True, "choice": False, "yes_no": False}


def test_every_type_about_several_regions_is_known():
    several = {name for name, kind in TYPES.items() if kind.roles > 1}
    assert several == SWAPPABLE | SEEN_FROM_ONE
    assert len(SAME) + len(COMPARED) + len(OPPOSED) + len(NEGATED) == len(SWAPPABLE)
    assert {name: TYPES[name].choices for name in OPPOSED} == OPPOSED
    assert all(TYPES[name].choices == ("{a}", "{b}") for name in COMPARED - SECOND_AND_THIRD)
    assert all(TYPES[name].choices == ("{b}", "{c}") for name in SECOND_AND_THIRD)
    assert {TYPES[name].answer_type for name in NEGATED} == {"lateral", "longitudinal", "turn"}
    assert not any("left" in text or "right" in text for name in SAME for text in TYPES[name].choices)


def test_a_letter_is_read_in_the_list_that_was_shown(drives):
    control, stored = control_of("option_order"), asked(drives, "a3-side")
    turned = control.turn(stored)
    assert (stored.question["options"], turned.question["options"]) == (["right", "left"], ["left", "right"])
    for said, meant in (
        ("A", "left"),
        ("B.", "right"),
        ("b) right", "right"),
        ("left", "left"),
        ("<think>\nA is out.\n</think>\n<answer>A</answer>", "left"),
        ("<answer>B", "right"),
        ("<think>\nA\n</think>\nA", "left"),
        ("A\nA", None),
        ("I cannot tell.", None),
        ("", None),
        ("\ud800", None),
    ):
        told = control.told(stored, turned, said)
        read = parse(told, "choice", stored.question["options"])
        assert getattr(read, "choice", None) == meant, said
    kept = control.told(stored, turned, "<think>\nA is out.\n</think>\n<answer>A</answer>")
    assert kept == "<think>\nA is out.\n</think>\n<answer>left</answer>"
    assert control.told(stored, turned, "It is on the left.") == "It is on the left."


def test_options_without_choice_keep_their_order(drives):
    control = control_of("option_order")
    assert not can_ask(control, asked(drives, "a3-bearing"))
    assert not can_ask(control, made(options=["only"]))


def test_options_are_the_same_in_another_order_for_each_question():
    control = control_of("option_order")
    options = ["one", "two", "three", "four"]
    orders = {tuple(control.turn(made(qa_id=str(n), options=options)).question["options"]) for n in range(200)}
    assert len(orders) == 9
    assert all(sorted(order) == sorted(options) for order in orders)
    assert all(one != other for order in orders for one, other in zip(order, options, strict=True))


def test_a_question_is_asked_in_the_words_that_are_given(drives):
    control = control_of("paraphrase", reword=lambda row: "In words." if row["type"] == "side" else None)
    assert control.turn(asked(drives, "a3-side")).question["question"] == "In words."
    assert not can_ask(control, asked(drives, "a3-bearing"))


def test_direct_answers_begin_with_the_tag(drives):
    control = control_of("without_reasoning")
    assert control.begun == "<answer>"
    assert control.turn(asked(drives, "a3-side")).question == asked(drives, "a3-side").question


def test_answers_come_back_to_the_questions_of_the_store(drives):
    """In any order, with several samples, failures too; what cannot be asked is passed over."""
    seen = []

    def answering(questions):
        batch = list(questions)
        seen.extend(one.question["options"] for one in batch)
        for one in reversed(batch):
            failed = one.question["qa_id"].startswith("b")
            yield one, Unanswered("no") if failed else Answer("A", latency_s=0.5)

    stored = list(questions_to_ask(drives, "test"))
    told = list(asked_under(control_of("option_order"), answering)(stored))
    assert seen == [["left", "right"]] * 4
    assert {one.question["qa_id"] for one, _ in told} == {f"{log}{n}-side" for log in "ab" for n in (1, 3)}
    assert all(any(one is other for other in stored) for one, _ in told)
    for one, answer in told:
        expected = Unanswered("no") if one.question["log_id"] == "b" else Answer("<answer>left</answer>", latency_s=0.5)
        assert answer == expected


def test_who_answers_is_closed_with_who_asks(drives):
    closed = []

    def answering(questions):
        try:
            for one in questions:
                yield one, Answer("yes")
        finally:
            closed.append(True)

    asking = asked_under(control_of("blank"), answering)(questions_to_ask(drives, "test"))
    next(asking)
    asking.close()
    assert closed == [True]
