"""The vision tower's first lesson."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from drive_vqa.errors import ConfigError
from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from drive_vqa.vlm import Vlm
from finetune.adapter import prepare
from finetune.config import DensePretraining, FinetuneConfig, LearningRates, LoraSettings
from finetune.dataset import LessonDataset, Row
from finetune.dense_pretraining import (
    DISTANCE_SCALE_M,
    MarkedObject,
    Reading,
    _marked,
    _mirror,
    cell_places,
    cell_targets,
    dense_loss,
    pretrain_vision,
    read_pictures,
    vision_tower,
)

SIZE_PX = (168, 112)
SETTINGS = DensePretraining(steps=12, batch_size=4, learning_rate=3e-3, muon_learning_rate=0.02)
FULL = FinetuneConfig(
    image_size_px=SIZE_PX,
    log_steps=1,
    method="full",
    learning_rates=LearningRates(3e-3, 3e-3, 3e-3),
    dense_pretraining=SETTINGS,
)
LORA = replace(FULL, method="lora", learning_rates=LearningRates(3e-3), lora=LoraSettings(rank=2, dropout=0.0))
THING = MarkedObject((0.0, 0.0, 0.5, 0.5), 2 * DISTANCE_SCALE_M, 45.0)


class Losses:
    """Keeps what would go to MLflow."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.values.append(metrics["dense/loss"])

    def log_artifact(self, path: Path) -> None: ...

    def set_tags(self, tags: dict[str, str]) -> None: ...


@pytest.fixture(scope="module")
def tracked(store: Store) -> Store:
    """The painted store with places of its objects."""
    rows = [
        {"log_id": "painted", "frame": frame, "track_id": f"track-{mark}", "x_m": 10.0 * mark, "y_m": float(frame)}
        for frame in range(3)
        for mark in (1, 2)
    ]
    store.write("tracks", "painted", table_from_rows("tracks", rows), "test")
    return store


@pytest.fixture(scope="module")
def groups(dataset: LessonDataset) -> list[Row]:
    """All of the painted store."""
    return list(dataset.groups())


def test_targets_lie_where_the_mark_is() -> None:
    targets = cell_targets({3: THING}, 4, 6).unflatten(0, (4, 6))
    assert targets[:2, :3, 3, -1].all()
    assert targets[..., -1].sum() == 6
    assert targets[0, 0, 3].tolist() == pytest.approx([0, 0, 0.5, 0.5, math.log(2), 1.0, 1.0])


def test_a_mark_smaller_than_a_cell_is_not_lost() -> None:
    targets = cell_targets({1: MarkedObject((0.97, 0.01, 1.0, 0.03), 10.0, 0.0)}, 4, 6).unflatten(0, (4, 6))
    assert targets[..., -1].sum() == 1
    assert targets[0, 5, 1, -1] == 1


def test_perfect_answer_costs_nothing() -> None:
    targets = cell_targets({1: THING}, 4, 6)[None]
    perfect = Reading((targets[..., -1] - 0.5) * 100, targets[..., :-1], cell_places(4, 6)[None])
    assert dense_loss(perfect, targets, 6).item() < 1e-6
    for name in ("presence", "targets", "place"):
        assert dense_loss(replace(perfect, **{name: -getattr(perfect, name)}), targets, 6).item() > 1


def test_a_large_mark_does_not_drown_a_small_one() -> None:
    small = MarkedObject((0.9, 0.9, 1.0, 1.0), DISTANCE_SCALE_M, 0.0)
    targets = cell_targets({1: THING, 2: small}, 8, 16)[None]
    assert [targets[0, :, number, -1].sum().item() for number in (1, 2)] == [32, 2]
    losses = []
    for number in (1, 2):
        wrong = targets[..., :-1].clone()
        wrong[:, :, number] += 1
        losses.append(dense_loss(Reading((targets[..., -1] - 0.5) * 100, wrong, cell_places(8, 16)[None]), targets, 16))
    assert losses[0] / losses[1] == pytest.approx(math.sqrt(32 / 2), rel=1e-3)


def test_pictures_know_their_objects(tracked: Store, groups: list[Row]) -> None:
    pictures = read_pictures(tracked, groups, SIZE_PX)
    assert len(pictures) == 6
    assert {picture.image.size for picture in pictures} == {SIZE_PX}
    assert sorted(thing.distance_m for thing in pictures[2].objects) == pytest.approx(
        [math.hypot(10, 1), math.hypot(20, 1)]
    )


def test_mirror_image_has_mirrored_truth() -> None:
    mirrored = _mirror(MarkedObject((0.1, 0.2, 0.3, 0.4), 5.0, 20.0))
    assert mirrored.box == pytest.approx((0.7, 0.2, 0.9, 0.4))
    assert mirrored.bearing_deg == -20.0
    assert mirrored.distance_m == 5.0


def test_numbers_are_dealt_anew(tracked: Store, groups: list[Row]) -> None:
    picture = read_pictures(tracked, groups, SIZE_PX)[0]
    rng = np.random.default_rng(0)
    dealt = {tuple(sorted(_marked(picture, rng)[1])) for _ in range(20)}
    assert len(dealt) > 5


def test_tower_learns_and_nothing_else_changes(vlm: Vlm, base: Path, tracked: Store, groups: list[Row]) -> None:
    model = prepare(vlm.model, vlm.processor.family, FULL, base)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    losses = Losses()
    pretrain_vision(Vlm(model, vlm.processor), tracked, groups, FULL, losses)
    assert len(losses.values) == SETTINGS.steps
    assert sum(losses.values[-3:]) < 0.8 * sum(losses.values[:3])
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(".visual." in name for name in changed)


def test_tower_kept_beside_an_adapter_learns(vlm: Vlm, base: Path, tracked: Store, groups: list[Row]) -> None:
    lora = replace(LORA.lora, modules_to_save=("visual",))
    config = replace(LORA, lora=lora, learning_rates=LearningRates(3e-3, 3e-3, 3e-3))
    config = replace(config, dense_pretraining=replace(SETTINGS, steps=1))
    model = prepare(vlm.model, vlm.processor.family, config, base)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    pretrain_vision(Vlm(model, vlm.processor), tracked, groups, config, Losses())
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all("visual.modules_to_save" in name for name in changed)


def test_frozen_tower_is_refused(vlm: Vlm, base: Path, tracked: Store, groups: list[Row]) -> None:
    model = prepare(vlm.model, vlm.processor.family, LORA, base)
    with pytest.raises(ConfigError, match="modules_to_save"):
        pretrain_vision(Vlm(model, vlm.processor), tracked, groups, LORA, Losses())


def test_nothing_to_see_is_refused(vlm: Vlm, base: Path, tracked: Store, groups: list[Row]) -> None:
    model = prepare(vlm.model, vlm.processor.family, FULL, base)
    bare = [{**group, "marks": []} for group in groups]
    with pytest.raises(ConfigError, match="no marked object"):
        pretrain_vision(Vlm(model, vlm.processor), tracked, bare, FULL, Losses())


def test_a_tower_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="Qwen"):
        vision_tower(torch.nn.Linear(2, 2))
