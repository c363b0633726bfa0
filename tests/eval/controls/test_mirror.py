"""The mirror: which questions keep their sense in it, and what becomes of their answers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from drive_vqa.schema import TRUTH, table_from_rows
from eval.cases import answer_columns, read_cases
from eval.consistency.agreement import agree
from eval.controls.asking import can_ask
from eval.controls.by_name import control_of
from eval.controls.mirror import (
    BOXES,
    EITHER_SIDE,
    HORIZON,
    NOT_MIRRORED,
    SIDE,
    SIDED,
    SIGNED,
    mirrored_answers,
)
from eval.predict import questions_to_ask
from eval.scoring import judge
from qa_gen.catalogue import TYPES
from tests.eval.controls.conftest import PLACES_M, TINTS, WIDTH, write_drives

NOTHING = dict.fromkeys(TRUTH.names)
FROM_SIDE_TO_SIDE = {"width", "wider"}
"""Types whose claims name both sides and prefer none."""


def mirrored(truth, kind="any", form="open"):
    cases = pd.DataFrame({"type": [kind], "form": [form]})
    (row,) = mirrored_answers(cases, answer_columns([{**NOTHING, **truth}])).to_dict("records")
    return {name: value for name, value in row.items() if value is not None and value == value}


@pytest.mark.parametrize(
    ("truth", "there"),
    [
        ({"bearing_deg": 20.0}, {"bearing_deg": -20.0}),
        ({"bearing_deg": 180.0}, {"bearing_deg": 180.0}),
        ({"distance_m": 7.0, "bearing_deg": -3.0}, {"distance_m": 7.0, "bearing_deg": 3.0}),
        ({"distance_m": 7.0, "yaw_deg": -3.0}, {"distance_m": 7.0, "yaw_deg": 3.0}),
        ({"x_m": 4.0, "y_m": 1.5}, {"x_m": 4.0, "y_m": -1.5}),
        ({"clock_hour": 12}, {"clock_hour": 12}),
        ({"clock_hour": 1}, {"clock_hour": 11}),
        ({"clock_hour": 6}, {"clock_hour": 6}),
        ({"clock_hour": 9}, {"clock_hour": 3}),
        ({"choice": "turning left"}, {"choice": "turning right"}),
        ({"choice": "the lane to my right"}, {"choice": "the lane to my left"}),
        ({"choice": "closing"}, {"choice": "closing"}),
        ({"bool": True}, {"bool": True}),
        ({"speed_mps": 3.0}, {"speed_mps": 3.0}),
        ({"marks": [3, 1]}, {"marks": (3, 1)}),
        ({"start_s": -2.0, "end_s": -1.0}, {"start_s": -2.0, "end_s": -1.0}),
        ({}, {}),
    ],
)
def test_answers_in_the_mirror_and_back(truth, there):
    assert mirrored(truth) == there
    assert mirrored(there) == {name: tuple(value) if name == "marks" else value for name, value in truth.items()}


def test_a_claim_about_a_side_becomes_its_contrary():
    assert mirrored({"bool": True}, "side", "yes_no") == {"bool": False}
    assert mirrored({"bool": False}, "left_right", "yes_no") == {"bool": True}
    assert mirrored({"bool": True}, "distance", "yes_no") == {"bool": True}
    assert mirrored({}, "side", "yes_no") == {}


def test_every_type_that_knows_sides_is_known():
    for name, kind in TYPES.items():
        base = HORIZON.sub("", name)
        signed = {"bearing", "turn", "lateral", "clock", "localization", "position", "motion"}
        assert (base in SIGNED) == (kind.answer_type in signed), name
        assert (BOXES.fullmatch(base) is not None) == (kind.answer_type in ("box", "interval_box")), name
        if any(SIDE.search(text) for text in (*kind.choices, *kind.parameters)):
            assert base in EITHER_SIDE | SIDED | NOT_MIRRORED, name
        elif any(SIDE.search(claim) for claim in kind.claims):
            assert base in SIGNED | FROM_SIDE_TO_SIDE, name
    assert all(TYPES[name].choices == ("left", "right") for name in EITHER_SIDE)
    assert {HORIZON.sub("", name) for name in TYPES} >= EITHER_SIDE | SIDED | SIGNED | NOT_MIRRORED


QUESTIONS = {
    "bearing": ("open", [], True),
    "bearing choice": ("choice", ["10 degrees", "40 degrees"], False),
    "bearing claim": ("yes_no", [], False),
    "distance claim": ("yes_no", [], True),
    "distance choice": ("choice", ["3 meters", "9 meters"], True),
    "side": ("choice", ["left", "right"], True),
    "side claim": ("yes_no", [], True),
    "turning_t3": ("choice", ["turning left", "going straight"], False),
    "turning_t3 both": ("choice", ["turning left", "standing still", "turning right"], True),
    "turning_t3 claim": ("yes_no", [], False),
    "where_stops": ("open", [], False),
    "stops_when_where": ("open", [], False),
    "when_stops": ("open", [], True),
    "count_sector": ("open", [], False),
    "localization_t2": ("open", [], True),
}


def test_which_questions_keep_their_sense(tmp_path):
    store = write_drives(tmp_path)
    (row,) = (row for row in store.read("questions", "a").to_pylist() if row["qa_id"] == "a3-bearing")
    rows = [
        {**row, "qa_id": name, "type": name.split()[0], "form": form, "options": options}
        for name, (form, options, _) in QUESTIONS.items()
    ]
    store.write("questions", "a", table_from_rows("questions", rows), "changed")
    control = control_of("mirror")
    found = {one.question["qa_id"]: can_ask(control, one) for one in questions_to_ask(store, "test")}
    assert {name: found[name] for name in QUESTIONS} == {name: can for name, (_, _, can) in QUESTIONS.items()}


def test_several_cameras_are_not_mirrored(tmp_path):
    store = write_drives(tmp_path)
    groups = store.read("groups", "a").to_pylist()
    groups[1]["context"][0]["camera"] = "front left"
    store.write("groups", "a", table_from_rows("groups", groups), "changed")
    control = control_of("mirror")
    asked = {one.question["qa_id"]: can_ask(control, one) for one in questions_to_ask(store, "test")}
    assert (asked["a1-bearing"], asked["a3-bearing"]) == (True, False)


def see(image):
    """Where the white posts stand in a frame without marks, in pixels; from left to right."""
    row = np.asarray(image)[-1]
    white = (row == 255).all(axis=-1)
    (starts,) = np.flatnonzero(np.diff(white.astype(int), prepend=0) == 1)[None]
    (ends,) = np.flatnonzero(np.diff(white.astype(int), append=0) == -1)[None]
    return [(start + end + 1) / 2 for start, end in zip(starts, ends, strict=True)]


def look(control, asked):
    """An answerer that sees: the bearing of the post of its mark, told by how far away that is."""
    (last,) = control.frames(asked, None, "none")[-1:]
    flipped = control.name == "mirror"
    posts = sorted(see(last), reverse=flipped)  # region 1 stands left of region 2 on the unflipped frame
    (mark,) = asked.question["marks"]
    u_px = posts[0 if mark == 1 else 1]
    bearing_deg = np.degrees(np.arctan2(WIDTH / 2 - u_px, 100))
    if asked.question["type"] == "side":
        return {**NOTHING, "choice": "left" if bearing_deg > 0 else "right"}
    return {**NOTHING, "bearing_deg": float(bearing_deg)}


def test_who_sees_scores_in_the_mirror_as_without(drives):
    """Mirrored frames against mirrored truth, and mirrored answers against the truth: all alike."""
    assert set(PLACES_M) == {1, 2}
    assert set(TINTS) == {"a", "b"}
    cases = read_cases(drives, ["test"])
    cases = cases[cases["type"].isin(["bearing", "side"])].reset_index(drop=True)
    stored = {one.question["qa_id"]: one for one in questions_to_ask(drives, "test")}
    told = {}
    for name in (None, "mirror"):
        control = control_of(name)
        told[name] = answer_columns([look(control, control.turn(stored[qa_id])) for qa_id in cases["qa_id"]])
    truth = pd.DataFrame({name: cases[f"truth_{name}"] for name in TRUTH.names})
    there = mirrored_answers(cases, truth)
    mirrored_cases = cases.assign(**{f"truth_{name}": there[name] for name in TRUTH.names})
    assert judge(cases, told[None])["success"].tolist() == [True] * 8
    assert judge(mirrored_cases, told["mirror"])["success"].tolist() == [True] * 8
    assert judge(cases, mirrored_answers(cases, told["mirror"]))["success"].tolist() == [True] * 8
    assert judge(cases, told["mirror"])["success"].tolist() == [False] * 8
    assert agree(cases, told[None], mirrored_answers(cases, told["mirror"])).all()
