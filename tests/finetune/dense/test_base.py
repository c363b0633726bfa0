"""A training that begins with the dense lessons, through the function that the command line calls."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from drive_vqa.errors import ConfigError
from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from drive_vqa.vlm import Vlm
from finetune import sft
from finetune.checkpoints import TRAINED
from finetune.config import FinetuneConfig
from finetune.dense import base as dense_base
from finetune.dense.base import check_model
from finetune.sft import finetune
from tests.painted_store import LOG


@pytest.fixture
def short(full: FinetuneConfig) -> FinetuneConfig:
    """Both dense lessons, then four steps of questions."""
    dense = replace(full.dense_pretraining, steps=2, look_steps=2)
    return replace(
        full,
        dense_pretraining=dense,
        tokens_per_row=200,
        batch_size=3,
        gradient_accumulation=1,
        max_steps=4,
        checkpoint_steps=2,
        probe_steps=0,
        precision="fp32",
        workers=0,
    )


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = load_file(folder / "model.safetensors")
    return weights


def test_questions_are_learned_on_what_the_lessons_left(
    tracked: Store, base: Path, short: FinetuneConfig, tmp_path: Path
) -> None:
    finetune(tracked, short, model=str(base), out=tmp_path / "run")
    before, dense, after = (
        _weights(folder) for folder in (base, tmp_path / "run" / "dense", tmp_path / "run" / "model")
    )
    frozen = [name for name in before if "visual" in name]
    assert frozen
    assert not any(torch.equal(before[name], dense[name]) for name in frozen)
    assert all(torch.equal(dense[name], after[name]) for name in frozen)
    assert not all(torch.equal(dense[name], after[name]) for name in before)


@pytest.fixture
def stopped(tracked: Store, base: Path, short: FinetuneConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that was stopped after its second step of questions."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(sft, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            finetune(tracked, short, model=str(base), out=run)
    (run / "checkpoints" / "checkpoint-4").rename(tmp_path / "gone")
    return run


def test_resumed_is_uninterrupted(
    tracked: Store, base: Path, short: FinetuneConfig, stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint holds what questions train; what the dense lessons trained comes from their folder, and is not redone."""
    finetune(tracked, short, model=str(base), out=tmp_path / "whole")
    assert not any("visual" in name for name in load_file(stopped / "checkpoints" / "checkpoint-2" / TRAINED))
    monkeypatch.setattr(dense_base, "pretrain", None)
    finetune(tracked, short, model=str(base), out=stopped, resume=True)
    one, other = _weights(tmp_path / "whole" / "model"), _weights(stopped / "model")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_another_model_in_the_place_of_the_lessons_is_refused(
    tracked: Store, base: Path, short: FinetuneConfig, stopped: Path
) -> None:
    shutil.copy(base / "model.safetensors", stopped / "dense" / "model.safetensors")
    with pytest.raises(ConfigError, match="dense is not what .*checkpoint-2 was made on"):
        finetune(tracked, short, model=str(base), out=stopped, resume=True)
    shutil.rmtree(stopped / "dense")
    with pytest.raises(ConfigError, match="dense is gone, and .*checkpoint-2 was made on it"):
        finetune(tracked, short, model=str(base), out=stopped, resume=True)
    assert not (stopped / "model").exists()


def test_a_pretrained_model_is_not_destroyed(vlm: Vlm, base: Path) -> None:
    check_model(vlm.model, vlm.processor, base)
    vlm.model.config.get_text_config().num_hidden_layers = 28
    with pytest.raises(ConfigError, match="with 28: set dense_pretraining.steps=0"):
        check_model(vlm.model, vlm.processor, base)


@pytest.mark.parametrize("model_type", ["qwen3_vl", "idefics3"])
def test_models_of_other_families_are_refused(family_vlm: Callable[[str], Vlm], model_type: str) -> None:
    vlm = family_vlm(model_type)
    with pytest.raises(ConfigError, match=f"is a {model_type}"):
        check_model(vlm.model, vlm.processor, Path("base"))


def test_a_wrong_name_is_refused_before_the_lessons(
    tracked: Store, base: Path, short: FinetuneConfig, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="frozen='nothing' is the name of no weight of base"):
        finetune(tracked, replace(short, frozen="nothing"), model=str(base), out=tmp_path / "run")
    assert not (tmp_path / "run" / "dense").exists()


def test_nothing_to_see_is_refused(tracked: Store, base: Path, short: FinetuneConfig, tmp_path: Path) -> None:
    elsewhere = [{"log_id": LOG, "frame": 99, "track_id": "track-1", "x_m": 1.0, "y_m": 1.0}]
    before = tracked.read("tracks", LOG)
    tracked.write("tracks", LOG, table_from_rows("tracks", elsewhere), "test")
    try:
        with pytest.raises(
            ConfigError, match="no marked object to learn from: set dense_pretraining.steps=0 and frozen=null"
        ):
            finetune(tracked, short, model=str(base), out=tmp_path / "run")
    finally:
        tracked.write("tracks", LOG, before, "test")
    assert not (tmp_path / "run" / "dense").exists()
