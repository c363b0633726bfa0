"""The recipes of the tiny model say what they promise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from drive_vqa.vlm import FAMILIES, load_vlm
from finetune.adapter import prepare
from finetune.config import FinetuneConfig, load_recipe
from finetune.guards.trained import trained_modules
from finetune.tiny import TEXT
from qa_gen.catalogue import TYPES


@pytest.fixture(scope="module", params=["tiny", "tiny_base"])
def recipe(request: pytest.FixtureRequest) -> FinetuneConfig:
    """As it is shipped."""
    return load_recipe(request.param)


def test_the_recipe_asks_for_question_types_that_exist(recipe: FinetuneConfig) -> None:
    assert recipe.types
    assert set(recipe.types) <= set(TYPES)


def test_lessons_to_see_and_to_look_come_before_questions() -> None:
    recipe = load_recipe("tiny_base")
    assert recipe.dense_pretraining.steps > 0
    assert recipe.dense_pretraining.look_steps > 0


def test_questions_leave_what_the_base_was_taught_as_it_is(base: Path) -> None:
    """The vision tower, the embeddings and the layers that see and look; the last two are trained."""
    trained = _trained("tiny_base", base)
    assert _layers(trained) == {4, 5}
    assert all(re.search(r"layers\.[45]\.|language_model\.norm$|lm_head$", name) for name in trained)
    assert any(name.endswith("lm_head") for name in trained)


def test_tuning_trains_all_of_the_language_model_but_its_embeddings(base: Path) -> None:
    trained = _trained("tiny", base)
    assert _layers(trained) == set(range(TEXT["num_hidden_layers"]))
    assert not any("embed_tokens" in name or "visual" in name for name in trained)


def _trained(recipe: str, base: Path) -> list[str]:
    """Names of the modules that a shipped recipe trains."""
    return list(
        trained_modules(prepare(load_vlm(base, device="cpu").model, FAMILIES["qwen2_5_vl"], load_recipe(recipe), base))
    )


def _layers(trained: list[str]) -> set[int]:
    return {int(found[1]) for name in trained if (found := re.search(r"layers\.(\d+)\.", name))}
