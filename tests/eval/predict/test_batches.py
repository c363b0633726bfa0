"""Batches keep groups whole, so that their frames are read once."""

from __future__ import annotations

import pytest

from drive_vqa.errors import ModelError
from eval.predict import Answer, PromptedQuestion, in_batches


def questions(store, groups: dict[str, int]):
    return [
        PromptedQuestion(store, {"log_id": "a", "group_id": name}, {"qa_id": f"{name}-{number}"})
        for name, count in groups.items()
        for number in range(count)
    ]


def batches(asked, size):
    seen = []

    def answer(batch):
        seen.append([one.question["qa_id"] for one in batch])
        return [Answer(one.question["qa_id"]) for one in batch]

    told = [(one.question["qa_id"], said.text) for one, said in in_batches(answer, size)(iter(asked))]
    assert told == [(one.question["qa_id"],) * 2 for one in asked]
    return [len(batch) for batch in seen]


@pytest.mark.parametrize(
    ("groups", "size", "expected"),
    [
        ({"g": 13, "h": 13}, 16, [13, 13]),
        ({"g": 5, "h": 5, "i": 7}, 10, [10, 7]),
        ({"g": 3, "h": 12, "i": 3}, 16, [15, 3]),
        ({"g": 40}, 16, [16, 16, 8]),
        ({"g": 17, "h": 15}, 16, [16, 16]),
        ({}, 16, []),
    ],
)
def test_a_group_that_fits_is_not_divided(world, groups, size, expected):
    assert batches(questions(world, groups), size) == expected


def test_each_question_needs_an_answer(world):
    with pytest.raises(ModelError, match="0 answers to 2 questions"):
        list(in_batches(lambda batch: [], 4)(questions(world, {"g": 2})))
