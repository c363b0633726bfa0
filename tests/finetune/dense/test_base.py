"""A training that begins with the dense lessons, through the function that the command line calls."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from drive_vqa.errors import ConfigError
from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from drive_vqa.tracking import TrackedRun
from drive_vqa.vlm import ChatProcessor, Vlm
from finetune import sft
from finetune.checkpoints import TRAINED
from finetune.config import FinetuneConfig
from finetune.dataset import read_index
from finetune.dense import base as dense_base
from finetune.dense.base import _some_questions, check_model
from finetune.dense.progress import KEPT
from finetune.sft import finetune
from finetune.task import Task
from tests.painted_store import LOG


@pytest.fixture(scope="module")
def short(full: FinetuneConfig) -> FinetuneConfig:
    """Both dense lessons, then four steps of questions."""
    dense = replace(full.dense_pretraining, steps=2, look_steps=2, move_steps=2)
    return replace(
        full,
        dense_pretraining=dense,
        tokens_per_row=300,
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


@pytest.fixture(scope="module")
def whole(drive: Store, base: Path, short: FinetuneConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody stops."""
    run = tmp_path_factory.mktemp("whole") / "run"
    finetune(drive, short, model=str(base), out=run)
    return run


@pytest.fixture(scope="module")
def killed(drive: Store, base: Path, short: FinetuneConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was killed between the dense lessons."""

    def kill(_: TrackedRun, metrics: Mapping[str, float], step: int | None = None) -> None:
        if "dense/look" in metrics:
            raise KeyboardInterrupt

    run = tmp_path_factory.mktemp("killed") / "run"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TrackedRun, "log_metrics", kill)
        finetune(drive, short, model=str(base), out=run)
    return run


@pytest.fixture(scope="module")
def twice_stopped(
    drive: Store, base: Path, short: FinetuneConfig, killed: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The same, resumed, and stopped after its second step of questions."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    run = tmp_path_factory.mktemp("stopped") / "run"
    shutil.copytree(killed, run)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(sft, "finish", stop)
        finetune(drive, short, model=str(base), out=run, resume=True)
    shutil.rmtree(run / "checkpoints" / "checkpoint-4")
    return run


@pytest.fixture
def stopped(twice_stopped: Path, tmp_path: Path) -> Path:
    """A copy of one's own."""
    return Path(shutil.copytree(twice_stopped, tmp_path / "run"))


def test_questions_are_learned_on_what_the_lessons_left(base: Path, whole: Path) -> None:
    before, dense, after = (_weights(folder) for folder in (base, whole / "dense", whole / "model"))
    frozen = [name for name in before if "visual" in name]
    assert frozen
    assert not any(torch.equal(before[name], dense[name]) for name in frozen)
    assert all(torch.equal(dense[name], after[name]) for name in frozen)
    assert not all(torch.equal(dense[name], after[name]) for name in before)


def test_killed_in_the_dense_lessons_is_uninterrupted(whole: Path, killed: Path, stopped: Path) -> None:
    assert (killed / KEPT).is_file()
    assert not (killed / "dense").exists()
    one, other = _weights(whole / "dense"), _weights(stopped / "dense")
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not (whole / KEPT).exists()
    assert (stopped / KEPT).exists()


def test_resumed_is_uninterrupted(
    drive: Store, base: Path, short: FinetuneConfig, whole: Path, stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint holds what questions train; what the dense lessons trained comes from their folder, and is not redone."""
    assert not any("visual" in name for name in load_file(stopped / "checkpoints" / "checkpoint-2" / TRAINED))
    monkeypatch.setattr(dense_base, "pretrain", None)
    finetune(drive, short, model=str(base), out=stopped, resume=True)
    assert not (stopped / KEPT).exists()
    one, other = _weights(whole / "model"), _weights(stopped / "model")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_another_model_in_the_place_of_the_lessons_is_refused(
    drive: Store, base: Path, short: FinetuneConfig, stopped: Path
) -> None:
    shutil.copy(base / "model.safetensors", stopped / "dense" / "model.safetensors")
    with pytest.raises(ConfigError, match="dense is not what .*checkpoint-2 was made on"):
        finetune(drive, short, model=str(base), out=stopped, resume=True)
    shutil.rmtree(stopped / "dense")
    with pytest.raises(ConfigError, match="dense is gone, and .*checkpoint-2 was made on it"):
        finetune(drive, short, model=str(base), out=stopped, resume=True)
    assert not (stopped / "model").exists()


def test_wordings_are_of_all_open_questions_of_the_split(
    drive: Store, base: Path, short: FinetuneConfig, tmp_path: Path, processor: ChatProcessor
) -> None:
    """Not only of those that the recipe asks; those of another split, and with options, are left out."""
    config = replace(short, types=("distance",))
    task = Task(drive, config, tmp_path, base, None, processor, read_index(drive, config, processor), None)
    asked = {question["question"] for question in _some_questions(task)}
    kinds = ("How far away is Region {}?", "At what bearing is Region {}?")
    assert asked == {kind.format(number) for kind in kinds for number in (1, 2, 3)}


def test_no_more_questions_are_looked_at_than_are_needed(
    drive: Store, base: Path, short: FinetuneConfig, tmp_path: Path, processor: ChatProcessor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(dense_base, "QUESTIONS_WORDED", 5)
    task = Task(drive, short, tmp_path, base, None, processor, read_index(drive, short, processor), None)
    some, again = ([question["question"] for question in _some_questions(task)] for _ in range(2))
    assert len(some) == 5
    assert some == again


def test_a_pretrained_model_is_not_destroyed(vlm: Vlm, base: Path) -> None:
    check_model(vlm.model, vlm.processor, base)
    vlm.model.config.get_text_config().num_hidden_layers = 28
    with pytest.raises(
        ConfigError, match=r"4 to 8 layers, and base is a qwen2_5_vl with 28: set dense_pretraining\.steps=0"
    ):
        check_model(vlm.model, vlm.processor, base)


@pytest.mark.parametrize(("layers", "fits"), [(3, False), (4, True), (8, True), (9, False)])
def test_there_must_be_a_fourth_layer_and_few_behind(vlm: Vlm, base: Path, layers: int, fits: bool) -> None:
    vlm.model.config.get_text_config().num_hidden_layers = layers
    with nullcontext() if fits else pytest.raises(ConfigError, match=f"4 to 8 layers, and base .* with {layers}:"):
        check_model(vlm.model, vlm.processor, base)


@pytest.mark.parametrize("model_type", ["qwen3_vl", "idefics3"])
def test_models_of_other_families_are_refused(family_vlm: Callable[[str], Vlm], model_type: str) -> None:
    vlm = family_vlm(model_type)
    with pytest.raises(ConfigError, match=f"is a {model_type}"):
        check_model(vlm.model, vlm.processor, Path("base"))


def test_a_wrong_name_is_refused_before_the_lessons(
    drive: Store, base: Path, short: FinetuneConfig, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="frozen='nothing' is the name of no weight of base"):
        finetune(drive, replace(short, frozen="nothing"), model=str(base), out=tmp_path / "run")
    assert not (tmp_path / "run" / "dense").exists()


def test_nothing_to_see_is_refused(drive: Store, base: Path, short: FinetuneConfig, tmp_path: Path) -> None:
    elsewhere = [{"log_id": LOG, "frame": 99, "track_id": "track-1", "x_m": 1.0, "y_m": 1.0}]
    before = drive.read("tracks", LOG)
    drive.write("tracks", LOG, table_from_rows("tracks", elsewhere), "test")
    try:
        with pytest.raises(
            ConfigError, match="no marked object to learn from: set dense_pretraining.steps=0 and frozen=null"
        ):
            finetune(drive, short, model=str(base), out=tmp_path / "run")
    finally:
        drive.write("tracks", LOG, before, "test")
    assert not (tmp_path / "run" / "dense").exists()
