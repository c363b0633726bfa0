"""The dense lessons."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from drive_vqa.errors import ConfigError, ModelError
from drive_vqa.vlm import Vlm, load_vlm
from finetune.config import FinetuneConfig
from finetune.dataset import LessonDataset
from finetune.dense.base import _some_questions
from finetune.dense.pictures import Picture, mark
from finetune.dense.pretraining import DenseLessons, part_named, pretrain
from finetune.dense.questions import Wording, read_wordings

OFFSETS_S = [(-0.5, 0.0), (0.0,)]


class Losses:
    """Keeps what would go to MLflow."""

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = {}

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        for name, value in metrics.items():
            self.values.setdefault(name, []).append(value)

    def log_artifact(self, path: Path) -> None: ...

    def set_tags(self, tags: dict[str, str]) -> None: ...


@pytest.fixture(scope="module")
def wordings(dataset: LessonDataset, pictures: list[Picture], base: Path) -> list[Wording]:
    """Of all questions of the painted store."""
    return read_wordings(_some_questions(dataset, seed=0), load_vlm(base, device="cpu").processor, pictures[0].image)


def _learned(
    vlm: Vlm, pictures: list[Picture], wordings: list[Wording], config: FinetuneConfig
) -> dict[str, list[float]]:
    losses = Losses()
    pretrain(vlm, pictures, wordings, OFFSETS_S, config, losses)
    return losses.values


def _with_steps(config: FinetuneConfig, steps: int, look_steps: int) -> FinetuneConfig:
    return replace(config, dense_pretraining=replace(config.dense_pretraining, steps=steps, look_steps=look_steps))


def test_both_lessons_are_given(
    vlm: Vlm, pictures: list[Picture], wordings: list[Wording], full: FinetuneConfig
) -> None:
    before = {name: value.clone() for name, value in vlm.model.state_dict().items()}
    losses = _learned(vlm, pictures, wordings, full)
    assert {name: len(values) for name, values in losses.items()} == {"dense/see": 12, "dense/look": 12}
    assert sum(losses["dense/see"][-3:]) < 0.9 * sum(losses["dense/see"][:3])
    same = {name for name, value in vlm.model.state_dict().items() if torch.equal(value, before[name])}
    assert not any(".visual." in name or ".embed_tokens." in name for name in same)
    assert any(name.endswith("language_model.norm.weight") for name in same)


def test_looking_is_learned_by_the_second_layer(vlm: Vlm, pictures: list[Picture], wordings: list[Wording]) -> None:
    """One batch, again and again."""
    lessons = DenseLessons(vlm, pictures[0].image, OFFSETS_S, wordings)
    batch = [mark(picture, 2, np.random.default_rng(0)) for picture in pictures[:3]]
    optimizer = torch.optim.Adam([parameter for _, parameter in lessons.trained_to_look()], lr=3e-3)
    losses = []
    for _ in range(12):
        loss = lessons.look(batch, np.random.default_rng(0))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_layers_begin_as_copies_of_the_first_and_the_second_alone_learns_to_look(
    vlm: Vlm, pictures: list[Picture], wordings: list[Wording], full: FinetuneConfig, base: Path
) -> None:
    seeing = load_vlm(base, device="cpu")
    _learned(seeing, pictures, wordings, _with_steps(full, 2, 0))
    _learned(vlm, pictures, wordings, _with_steps(full, 2, 1))
    changed = {
        name
        for name, value in vlm.model.state_dict().items()
        if not torch.equal(value, seeing.model.state_dict()[name])
    }
    assert changed
    assert all(".layers.1." in name for name in changed)
    first, *others = part_named(seeing.model, "language_model").layers
    assert others
    for layer in others:
        for one, other in zip(first.parameters(), layer.parameters(), strict=True):
            assert torch.equal(one, other)
            assert one.data_ptr() != other.data_ptr()


def test_the_same_seed_gives_the_same_model(
    pictures: list[Picture], wordings: list[Wording], full: FinetuneConfig, base: Path
) -> None:
    short = _with_steps(full, 2, 2)
    runs = [_learned(load_vlm(base, device="cpu"), pictures, wordings, short) for _ in range(2)]
    assert runs[0] == runs[1]
    assert _learned(load_vlm(base, device="cpu"), pictures, wordings, replace(short, seed=1)) != runs[0]


def test_a_loss_that_is_no_number_is_refused(
    vlm: Vlm, pictures: list[Picture], wordings: list[Wording], full: FinetuneConfig
) -> None:
    dense = replace(full.dense_pretraining, learning_rate=1e30, muon_learning_rate=1e30)
    with pytest.raises(
        ModelError, match=r"dense lesson to see has a loss of .*: lower dense_pretraining\.learning_rate"
    ):
        _learned(vlm, pictures, wordings, replace(full, dense_pretraining=dense))


def test_numbers_stand_at_various_distances_behind_various_frames(
    vlm: Vlm, pictures: list[Picture], wordings: list[Wording]
) -> None:
    """Nothing else of the loss of a batch depends on the random numbers."""
    lessons = DenseLessons(vlm, pictures[0].image, OFFSETS_S, wordings)
    batch = [mark(picture, 2, np.random.default_rng(0)) for picture in pictures[:3]]
    assert {prefix.frames for prefix in lessons.prefixes} == {1, 2}
    with torch.no_grad():
        losses = {round(lessons.see(batch, np.random.default_rng(seed)).item(), 6) for seed in range(6)}
        lessons.prefixes = lessons.prefixes[:1]
        same_frames = {round(lessons.see(batch, np.random.default_rng(seed)).item(), 6) for seed in range(6)}
    assert len(losses) == 6
    assert len(same_frames) == 6
    assert losses != same_frames


def test_a_model_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="Qwen"):
        part_named(torch.nn.Linear(2, 2), "visual")


def test_an_adapter_is_refused(full: FinetuneConfig) -> None:
    with pytest.raises(ValueError, match="method=full"):
        replace(full, method="lora")


@pytest.mark.parametrize("most_marks", [0, 11])
def test_there_are_ten_numbers(full: FinetuneConfig, most_marks: int) -> None:
    with pytest.raises(ValueError, match="most_marks from 1 to 10"):
        replace(full.dense_pretraining, most_marks=most_marks)


def test_marks_must_be_drawn(full: FinetuneConfig) -> None:
    with pytest.raises(ValueError, match="regions=marks"):
        replace(full, regions="boxes")
