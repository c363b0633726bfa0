"""A training that begins with the dense lessons, through the function that the command line calls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from drive_vqa.errors import ConfigError
from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from finetune.checkpoints import TRAINED
from finetune.config import FinetuneConfig
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


def test_resumed_is_uninterrupted(
    tracked: Store, base: Path, short: FinetuneConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint holds what questions train; what the dense lessons trained comes from their folder."""
    finetune(tracked, short, model=str(base), out=tmp_path / "whole")
    import finetune.sft as sft

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sft, "finish", stopped)
        with pytest.raises(KeyboardInterrupt):
            finetune(tracked, short, model=str(base), out=tmp_path / "run")
    for checkpoint in (tmp_path / "run" / "checkpoints").glob("checkpoint-4*"):
        checkpoint.rename(tmp_path / "gone")
    assert not any("visual" in name for name in load_file(tmp_path / "run" / "checkpoints" / "checkpoint-2" / TRAINED))
    finetune(tracked, short, model=str(base), out=tmp_path / "run", resume=True)
    one, other = _weights(tmp_path / "whole" / "model"), _weights(tmp_path / "run" / "model")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_nothing_to_see_is_refused(tracked: Store, base: Path, short: FinetuneConfig, tmp_path: Path) -> None:
    elsewhere = [{"log_id": LOG, "frame": 99, "track_id": "track-1", "x_m": 1.0, "y_m": 1.0}]
    before = tracked.read("tracks", LOG)
    tracked.write("tracks", LOG, table_from_rows("tracks", elsewhere), "test")
    try:
        with pytest.raises(ConfigError, match="no marked object"):
            finetune(tracked, short, model=str(base), out=tmp_path / "run")
    finally:
        tracked.write("tracks", LOG, before, "test")
    assert not (tmp_path / "run" / "dense").exists()
