"""Other numbers, the same objects: seen by putting tracks in the place of numbers."""

from __future__ import annotations

import re
from typing import Any

import pytest

from finetune.dataset import Lesson
from finetune.renumber import NUMBERS, renumber

TRACKS = {2: "bus", 5: "car", 8: "dog"}
GROUP: dict[str, Any] = {
    "group_id": "g",
    "marks": [{"mark": number, "track_id": track, "regions": []} for number, track in TRACKS.items()],
}


def _asked(question: str, answer: str, answer_type: str, **more: Any) -> dict[str, Any]:
    return {"question": question, "answer": answer, "answer_type": answer_type, "options": None, **more}


QUESTIONS = (
    _asked("How far away is Region 5?", "12.5 meters", "distance", marks=[5], truth={"distance_m": 12.5}),
    _asked(
        "Which is closer, Region 2 or Region 8?",
        "Region 8",
        "choice",
        options=["Region 2", "Region 8"],
        marks=[2, 8],
        truth={"choice": "Region 8"},
        evidence=[{"mark": 2, "context": 0}, {"mark": 8, "context": 0}],
    ),
    _asked("Rank them.", "Region 8, Region 2, Region 5", "ranking", marks=[2, 5, 8], truth={"marks": [8, 2, 5]}),
    _asked("Which are within 20 meters?", "Region 2, Region 5", "regions", marks=[], truth={"marks": [2, 5]}),
    _asked("Which are within 1 meters?", "none", "regions", marks=[], truth={"marks": []}),
    _asked("How many lie within 8 meters of Region 2?", "2", "count", marks=[2], truth={"count": 2}),
    _asked("How fast is Region 3?", "cannot be determined", "undetermined", marks=[3], truth={"undetermined": True}),
)
LESSON = Lesson(GROUP, QUESTIONS)


@pytest.mark.parametrize("visit", range(12))
def test_same_objects_under_other_numbers(visit: int) -> None:
    dealt = renumber(LESSON, 0, visit)
    tracks = {mark["mark"]: mark["track_id"] for mark in dealt.group["marks"]}
    assert sorted(tracks.values()) == sorted(TRACKS.values())
    assert set(tracks) < set(range(NUMBERS))
    for before, after in zip(QUESTIONS, dealt.questions, strict=True):
        for name in ("question", "options"):
            assert _with_tracks(after[name], tracks) == _with_tracks(before[name], TRACKS)
        if before["answer_type"] != "regions":
            assert _with_tracks(after["answer"], tracks) == _with_tracks(before["answer"], TRACKS)
            assert _truth(after, tracks) == _truth(before, TRACKS)
        assert [tracks.get(mark) for mark in after["marks"]] == [TRACKS.get(mark) for mark in before["marks"]]


def test_answers_follow_their_truth() -> None:
    """Sets are told by rising numbers, orders as they are."""
    for visit in range(12):
        _, choice, ranking, regions, none, count, _ = renumber(LESSON, 0, visit).questions
        told = {name: [int(found) for found in re.findall(r"\d", row["answer"])] for name, row in
                {"ranking": ranking, "regions": regions}.items()}  # fmt: skip
        assert told["ranking"] == ranking["truth"]["marks"]
        assert told["regions"] == regions["truth"]["marks"] == sorted(told["regions"])
        assert choice["answer"] == choice["truth"]["choice"] == choice["options"][1]
        assert (none["answer"], count["answer"]) == ("none", "2")


def test_numbers_of_no_mark_stay_of_no_mark() -> None:
    for visit in range(12):
        dealt = renumber(LESSON, 0, visit)
        absent = int(re.findall(r"\d", dealt.questions[-1]["question"])[0])
        assert absent not in {mark["mark"] for mark in dealt.group["marks"]}


def test_every_number_gets_every_place() -> None:
    found = {renumber(LESSON, 0, visit).group["marks"][0]["mark"] for visit in range(100)}
    assert len({tuple(m["mark"] for m in renumber(LESSON, 0, visit).group["marks"]) for visit in range(20)}) > 10
    bus = {next(m["mark"] for m in renumber(LESSON, 0, v).group["marks"] if m["track_id"] == "bus") for v in range(100)}
    assert bus == set(range(NUMBERS))
    assert found < set(range(NUMBERS))


def test_same_seed_and_visit_same_numbers() -> None:
    assert renumber(LESSON, 1, 2) == renumber(LESSON, 1, 2)
    assert renumber(LESSON, 1, 2) != renumber(LESSON, 2, 2)


def test_what_is_given_stays_as_it_was() -> None:
    before = repr(LESSON)
    renumber(LESSON, 0, 1)
    assert repr(LESSON) == before


def test_traces_follow() -> None:
    trace = "<think>\nRegion 2 is near, and so is Region 5.\n</think>\n<answer>Region 2, Region 5</answer>"
    lesson = Lesson(GROUP, ({**QUESTIONS[3], "answer": trace},))
    for visit in range(12):
        dealt = renumber(lesson, 0, visit)
        tracks = {mark["track_id"]: mark["mark"] for mark in dealt.group["marks"]}
        low, high = sorted((tracks["bus"], tracks["car"]))
        told = f"Region {tracks['bus']} is near, and so is Region {tracks['car']}."
        assert (
            dealt.questions[0]["answer"] == f"<think>\n{told}\n</think>\n<answer>Region {low}, Region {high}</answer>"
        )


@pytest.mark.parametrize(
    "odd",
    [
        {**QUESTIONS[0], "question": "How far away is region #5?"},
        {**QUESTIONS[0], "question": "How far away are Region 5 and mark 2?"},
        {**QUESTIONS[0], "question": "How far away is Region 12?"},
    ],
)
def test_group_is_left_alone_where_numbers_stand_otherwise(odd: dict[str, Any]) -> None:
    lesson = Lesson(GROUP, (*QUESTIONS, odd))
    assert renumber(lesson, 0, 1) is lesson


def _with_tracks(text: Any, tracks: dict[int, str]) -> Any:
    if not isinstance(text, str):
        return None if text is None else [_with_tracks(one, tracks) for one in text]
    return re.sub(r"Region (\d)", lambda match: f"<{tracks.get(int(match[1]))}>", text)


def _truth(question: dict[str, Any], tracks: dict[int, str]) -> dict[str, Any]:
    truth = {
        name: _with_tracks(value, tracks) if name == "choice" else value for name, value in question["truth"].items()
    }
    marks = truth.get("marks")
    return truth if marks is None else {**truth, "marks": [tracks[mark] for mark in marks]}
