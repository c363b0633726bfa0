"""The recipe `tiny` says what docs/tiny.md promises of it."""

from __future__ import annotations

from finetune.config import load_recipe
from qa_gen.catalogue import TYPES


def test_the_recipe_asks_for_question_types_that_exist() -> None:
    assert set(load_recipe("tiny").types) <= set(TYPES)


def test_one_frame_comes_before_four() -> None:
    recipe = load_recipe("tiny")
    assert [chapter.kinds for chapter in recipe.curriculum] == [("single",), ("sequence",)]
    assert recipe.dense_pretraining.steps > 0
    assert recipe.method == "full"
