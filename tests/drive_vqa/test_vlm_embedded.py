"""The model that comes with this package."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from drive_vqa.vlm import TINY, TUNED_FILE, load_vlm, model_folder

MOST_BYTES = 15_000_000
MOST_WEIGHTS = 10_000_000


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """As they are stored."""
    return load_file(model_folder(TINY) / "model.safetensors")


def test_it_is_small_and_in_bf16(weights: dict[str, torch.Tensor]) -> None:
    assert (model_folder(TINY) / "model.safetensors").stat().st_size < MOST_BYTES
    assert sum(one.numel() for one in weights.values()) < MOST_WEIGHTS
    assert {one.dtype for one in weights.values()} == {torch.bfloat16}


def test_it_says_how_to_ask_it() -> None:
    assert (model_folder(TINY) / "README.md").read_text(encoding="utf-8").startswith("---\n")
    assert (model_folder(TINY) / TUNED_FILE).is_file()
    assert load_vlm(TINY, device="cpu").image_size_px == (224, 112)


def test_a_folder_of_that_name_needs_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny").mkdir()
    monkeypatch.chdir(tmp_path)
    assert model_folder(TINY).is_absolute()
    assert model_folder("./tiny") == Path("tiny")
