"""The recipe `tiny` says what docs/tiny.md promises of it."""

from __future__ import annotations

import re
from pathlib import Path

from drive_vqa.vlm import FAMILIES, load_vlm
from finetune.adapter import prepare
from finetune.config import load_recipe
from finetune.guards.trained import trained_modules
from qa_gen.catalogue import TYPES


def test_the_recipe_asks_for_question_types_that_exist() -> None:
    assert set(load_recipe("tiny").types) <= set(TYPES)


def test_lessons_to_see_and_to_look_come_before_questions() -> None:
    recipe = load_recipe("tiny")
    assert recipe.method == "full"
    assert recipe.dense_pretraining.steps > 0
    assert recipe.dense_pretraining.look_steps > 0


def test_questions_leave_what_the_lessons_taught_as_it_is(base: Path) -> None:
    model = load_vlm(base, device="cpu").model
    recipe = load_recipe("tiny")
    prepared = prepare(model, FAMILIES["qwen2_5_vl"], recipe, base)
    trained = trained_modules(prepared)
    assert trained
    assert all(re.search(r"layers\.[23]\.|language_model\.norm$|lm_head$", name) for name in trained)
