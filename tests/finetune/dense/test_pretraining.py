"""The dense lessons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from drive_vqa.errors import ConfigError, ModelError
from drive_vqa.vlm import ChatProcessor, Vlm, load_vlm
from finetune.config import FinetuneConfig
from finetune.dense import pretraining
from finetune.dense.cells import CellTargets
from finetune.dense.moments import MarkedMoment, Moment, mark
from finetune.dense.pretraining import LOOK, MOVE, SEE, DenseLessons, part_named, pretrain
from finetune.dense.questions import Wording, read_wordings

OFFSETS_S = [(-1.5, -1.0, -0.5, 0.0), (-1.0, 0.0), (-0.5, 0.0), (0.0,)]
Weights = Mapping[str, torch.Tensor]


class Losses:
    """Keeps what would go to MLflow, and kills the run at a step."""

    def __init__(self, killed_at: int | None = None) -> None:
        self.steps: dict[str, list[int]] = {}
        self.values: dict[str, list[float]] = {}
        self.killed_at = killed_at

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if step == self.killed_at:
            raise KeyboardInterrupt
        for name, value in metrics.items():
            self.steps.setdefault(name, []).append(step or 0)
            self.values.setdefault(name, []).append(value)


@pytest.fixture(scope="module")
def wordings(moments: list[Moment], processor: ChatProcessor) -> list[Wording]:
    """Of two questions."""
    texts = ("How far away is Region 1?", "Region 2: at what bearing is it?")
    asked = [
        {"type": "distance", "question": text, "answer": "10", "options": None, "horizon_s": 1.0 * horizon_s}
        for horizon_s, text in enumerate(texts)
    ]
    return read_wordings(asked, processor, moments[0].images[0])


class Teacher:
    """Gives lessons to models of one's own."""

    def __init__(self, base: Path, moments: list[Moment], wordings: list[Wording], folder: Path) -> None:
        self.base, self.moments, self.wordings, self.kept = base, moments, wordings, folder / "kept.pt"

    def teach(self, config: FinetuneConfig, losses: Losses | None = None) -> Weights:
        """The weights of a new model after its lessons."""
        vlm = load_vlm(self.base, device="cpu")
        pretrain(vlm, self.moments, self.wordings, OFFSETS_S, config, losses or Losses(), self.kept, "these")
        return {name: value.clone() for name, value in vlm.model.state_dict().items()}


@pytest.fixture
def teacher(base: Path, moments: list[Moment], wordings: list[Wording], tmp_path: Path) -> Teacher:
    """With a folder of its own."""
    return Teacher(base, moments, wordings, tmp_path)


@pytest.fixture
def lessons(vlm: Vlm, moments: list[Moment], wordings: list[Wording]) -> DenseLessons:
    """On a model of one's own."""
    torch.manual_seed(0)
    return DenseLessons(vlm, moments[0].images[0], OFFSETS_S, wordings)


@pytest.fixture(scope="module")
def batch(moments: list[Moment]) -> list[MarkedMoment]:
    """Two moments of two frames."""
    return [mark(moment, 2, np.random.default_rng(0)) for moment in moments if len(moment.images) == 2]


def _with_steps(config: FinetuneConfig, steps: int, look_steps: int, move_steps: int = 0) -> FinetuneConfig:
    dense = replace(config.dense_pretraining, steps=steps, look_steps=look_steps, move_steps=move_steps)
    return replace(config, dense_pretraining=dense)


def _layers(weights: Weights) -> list[dict[str, torch.Tensor]]:
    """The weights of each layer of the language model."""
    found: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in weights.items():
        if "language_model.layers." in name:
            number, _, rest = name.partition(".layers.")[2].partition(".")
            found.setdefault(int(number), {})[rest] = value
    return [found[number] for number in sorted(found)]


def _are_equal(one: Weights, other: Weights) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_first_two_lessons_are_given_in_one_schedule_and_the_last_in_its_own(
    teacher: Teacher, vlm: Vlm, full: FinetuneConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses, before, rate, asked = Losses(), vlm.model.state_dict(), pretraining._rate, []

    def listening(step: int, steps: int) -> float:
        asked.append((step, steps))
        return rate(step, steps)

    monkeypatch.setattr(pretraining, "_rate", listening)
    after = teacher.teach(full, losses)
    steps = list(dict.fromkeys(asked))
    assert steps == [*((step, 16) for step in range(16)), *((step, 4) for step in range(4))]
    assert losses.steps == {
        "dense/see": [*range(1, 13)],
        "dense/look": [*range(13, 17)],
        "dense/move": [*range(17, 21)],
    }
    assert sum(losses.values["dense/see"][-3:]) < 0.9 * sum(losses.values["dense/see"][:3])
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert same == {name for name in before if name.endswith("language_model.norm.weight") or "lm_head" in name}


def test_learning_rates_rise_at_once_and_fall_to_nothing() -> None:
    rates = [pretraining._rate(step, 200) for step in range(200)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert rates[102] == pytest.approx(0.5)
    assert 0 < rates[-1] < 1e-3


def test_all_that_is_taught_is_learned_from_one_batch(lessons: DenseLessons, batch: list[MarkedMoment]) -> None:
    """The same, again and again."""
    optimizer = torch.optim.Adam([parameter for _, parameter in lessons.trained(MOVE)], lr=3e-3)
    losses = []
    for _ in range(12):
        loss = lessons.loss(batch, np.random.default_rng(0), MOVE)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize(("lesson", "layers"), [(SEE, 2), (LOOK, 3), (MOVE, 4)])
def test_a_lesson_trains_what_it_needs_and_all_of_that(
    lessons: DenseLessons, batch: list[MarkedMoment], lesson: str, layers: int
) -> None:
    lessons.loss(batch, np.random.default_rng(0), lesson).backward()  # type: ignore[no-untyped-call]
    trained = dict(lessons.trained(lesson))
    assert {name for name, one in lessons.learned().named_parameters() if one.grad is not None} == {
        name for name, one in lessons.learned().named_parameters() if any(one is other for other in trained.values())
    }
    assert {name.split(".")[1] for name in trained if name.startswith("layers.")} == set(map(str, range(layers)))


@pytest.mark.parametrize(
    ("name", "layers"),
    [("tower_loss", 0), ("place_loss", 1), ("number_loss", 2), ("look_loss", 3), ("asked_loss", 4)],
)
def test_each_head_reads_behind_a_layer_of_its_own(
    lessons: DenseLessons, batch: list[MarkedMoment], monkeypatch: pytest.MonkeyPatch, name: str, layers: int
) -> None:
    """What it reads teaches all layers up to there, and the vision tower."""
    for other in {"tower_loss", "place_loss", "number_loss", "look_loss", "change_loss", "asked_loss"} - {name}:
        monkeypatch.setattr(pretraining, other, lambda *_, **__: torch.zeros(()))
    lessons.loss(batch, np.random.default_rng(0), MOVE).backward()  # type: ignore[no-untyped-call]
    taught = [any(one.grad is not None for one in layer.parameters()) for layer in lessons.language.layers]
    assert taught == [number < layers for number in range(6)]
    assert all(one.grad is not None for one in lessons.visual.parameters())
    assert [any(one.grad is not None for one in head.parameters()) for head in lessons.heads] == [
        number == layers for number in range(5)
    ]


def test_layers_behind_the_second_begin_as_its_copies(teacher: Teacher, full: FinetuneConfig) -> None:
    first, second, *others = _layers(teacher.teach(_with_steps(full, 2, 0)))
    assert len(others) == 4
    assert not _are_equal(first, second)
    assert all(_are_equal(second, other) for other in others)
    assert not {value.data_ptr() for value in second.values()} & {value.data_ptr() for value in others[0].values()}


def test_looking_teaches_the_third_layer_and_goes_on_with_those_before(teacher: Teacher, full: FinetuneConfig) -> None:
    _, second, third, fourth, *_, last = _layers(teacher.teach(_with_steps(full, 2, 1)))
    assert _are_equal(fourth, last)
    for learned in (second, third):
        assert not any(torch.equal(learned[name], fourth[name]) for name in fourth)


def test_how_things_move_counts_in_the_last_lesson(
    lessons: DenseLessons, batch: list[MarkedMoment], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changes of what is read behind the second layer and of what is foreseen behind the third."""
    for other in ("tower_loss", "place_loss", "number_loss", "look_loss", "asked_loss"):
        monkeypatch.setattr(pretraining, other, lambda *_, **__: torch.zeros(()))
    lessons.loss(batch, np.random.default_rng(0), MOVE).backward()  # type: ignore[no-untyped-call]
    assert [any(one.grad is not None for one in head.parameters()) for head in lessons.heads] == [
        *(False, False, True, True, False)
    ]


@pytest.mark.parametrize(
    ("killed_at", "goes_on_with"),
    [(1, [1, 2, 3, 4, 5]), (2, [2, 3, 4, 5]), (3, [3, 4, 5]), (4, [4, 5]), (5, [5])],
    ids=["kept nothing", "in the first lesson", "before the second", "in the second", "before the last"],
)
def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(
    teacher: Teacher, full: FinetuneConfig, whole: Weights, killed_at: int, goes_on_with: list[int]
) -> None:
    config, losses = _often_kept(full), Losses()
    with pytest.raises(KeyboardInterrupt):
        teacher.teach(config, Losses(killed_at))
    resumed = teacher.teach(config, losses)
    assert sorted(step for steps in losses.steps.values() for step in steps) == goes_on_with
    assert _are_equal(resumed, whole)
    assert [path.name for path in teacher.kept.parent.iterdir()] == ["kept.pt"]


@pytest.fixture(scope="module")
def whole(
    base: Path,
    moments: list[Moment],
    wordings: list[Wording],
    full: FinetuneConfig,
    tmp_path_factory: pytest.TempPathFactory,
) -> Weights:
    """What comes of a run that nobody kills."""
    return Teacher(base, moments, wordings, tmp_path_factory.mktemp("whole")).teach(_often_kept(full))


def _often_kept(full: FinetuneConfig) -> FinetuneConfig:
    return replace(_with_steps(full, 2, 2, 1), checkpoint_steps=1)


def test_another_seed_gives_another_model(teacher: Teacher, full: FinetuneConfig) -> None:
    one, other = (teacher.teach(replace(_with_steps(full, 1, 0), seed=seed)) for seed in (0, 1))
    assert not _are_equal(one, other)


def test_what_another_run_left_is_refused(teacher: Teacher, full: FinetuneConfig) -> None:
    with pytest.raises(KeyboardInterrupt):
        teacher.teach(_often_kept(full), Losses(killed_at=2))
    left = teacher.kept.read_bytes()
    with pytest.raises(
        ConfigError, match=r"kept\.pt is left of a run with other settings or data: give --out a new folder"
    ):
        teacher.teach(replace(_often_kept(full), seed=1))
    assert teacher.kept.read_bytes() == left


def test_a_loss_that_is_no_number_is_refused(teacher: Teacher, full: FinetuneConfig) -> None:
    dense = replace(full.dense_pretraining, learning_rate=1e30, muon_learning_rate=1e30)
    with pytest.raises(
        ModelError, match=r"dense lesson to see has a loss of .*: lower dense_pretraining\.learning_rate"
    ):
        teacher.teach(replace(full, dense_pretraining=dense))


def test_numbers_stand_at_various_distances_behind_frames_of_various_times(
    lessons: DenseLessons, batch: list[MarkedMoment], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else of the loss of a batch depends on the random numbers; two frames follow each other in two ways."""
    whole_prefixes = lessons.prefixes
    lessons.prefixes = whole_prefixes[1:2]
    assert len(_losses(lessons, batch)) == 6
    monkeypatch.setattr(pretraining, "FARTHEST", 0)
    assert len(_losses(lessons, batch)) == 1
    lessons.prefixes = whole_prefixes
    assert len(_losses(lessons, batch)) == 2


def _losses(lessons: DenseLessons, batch: Sequence[MarkedMoment]) -> set[float]:
    with torch.no_grad():
        return {round(lessons.loss(batch, np.random.default_rng(seed), SEE).item(), 6) for seed in range(6)}


def test_what_is_read_belongs_to_the_frame_that_it_is_compared_with(
    lessons: DenseLessons, batch: list[MarkedMoment], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another picture as the first frame of the second moment changes what is seen there, and what is heard there and behind."""
    readings: dict[str, list[torch.Tensor]] = {"tower_loss": [], "place_loss": []}
    truths: list[CellTargets] = []

    def keep(name: str) -> None:
        def loss(reading: torch.Tensor, true: CellTargets) -> torch.Tensor:
            readings[name].append(getattr(reading, "presence", reading))
            truths.append(true)
            return torch.zeros(())

        monkeypatch.setattr(pretraining, name, loss)

    for name in readings:
        keep(name)
    one, other = batch
    changed = replace(other, images=(one.images[0], other.images[1]))
    with torch.no_grad():
        for pictures in ([one, other], [one, changed]):
            lessons.loss(pictures, np.random.default_rng(0), SEE)
    differ = {
        name: (before - after).abs().amax(dim=(1, 2)).gt(1e-6).tolist() for name, (before, after) in readings.items()
    }
    assert differ == {"tower_loss": [False, False, True, False], "place_loss": [False, False, True, True]}
    shown = [set(moment.shown(frame)) for moment in batch for frame in range(2)]
    for true in truths:
        assert [set(marks.any(dim=0).nonzero().flatten().tolist()) for marks in true.present] == shown
    assert shown[2] != shown[3]


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
