"""What the benchmarks stand on; their figures are no tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from finetune.benchmark_data import Painted, paint_store
from finetune.benchmark_models import build_model
from finetune.flops import model_flops
from finetune.tiny_tokenizer import build_tokenizer


@pytest.mark.parametrize(("shape", "billions", "language"), [("3b", 3.755, 2.775), ("7b", 8.292, 6.525)])
def test_shapes_are_the_published_ones(shape: Any, billions: float, language: float) -> None:
    """Parameters of Qwen2.5-VL-3B and -7B, with the vision tower; of them the matrices of the language model's layers."""
    model = build_model(shape, build_tokenizer(), torch.device("meta"))
    assert sum(parameter.numel() for parameter in model.parameters()) / 1e9 == pytest.approx(billions, abs=5e-4)
    flops = model_flops(model)
    assert flops is not None
    assert flops.components["language"].parameters / 1e9 == pytest.approx(language, abs=1e-3)
    assert flops.components["vision"].parameters == 32 * (4 * 1280**2 + 3 * 1280 * 3420) + 1176 * 1280


def test_painted_groups_have_as_many_questions_as_asked_for(tmp_path: Path) -> None:
    store = paint_store(tmp_path / "some", Painted(groups=2, questions=60, frames=2))
    questions, groups = store.read_all("questions").to_pylist(), store.read_all("groups").to_pylist()
    assert len(questions) == len({(row["group_id"], row["question"]) for row in questions}) == 120
    assert [len(group["context"]) for group in groups] == [2, 2]
    again = paint_store(tmp_path / "again", Painted(groups=2, questions=60, frames=2))
    assert again.read_all("questions").equals(store.read_all("questions"))
