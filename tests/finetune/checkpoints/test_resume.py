"""Training goes on from a checkpoint as if it had never stopped."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import EarlyStoppingCallback

from finetune.checkpoint_record import RECORD, read_record
from finetune.checkpoints import TRAINED, last_checkpoint, step_of
from tests.finetune.checkpoints.small_trainer import (
    ORIGIN,
    Model,
    SmallTrainer,
    history,
    names,
    stopping,
    train,
    trainer,
)


@pytest.mark.parametrize(("step", "muon"), [(1, False), (4, False), (4, True), (6, False), (9, False)])
def test_resumed_is_uninterrupted(tmp_path: Path, step: int, muon: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped within a pass, at its end (6) and between two records (1, 4): weights, losses and rates are equal, bit by bit."""
    monkeypatch.setattr(SmallTrainer, "muon", muon)
    whole = train(tmp_path / "whole")
    train(tmp_path / "stopped", kind=stopping(step), save_steps=step)
    scramble()
    resumed = train(tmp_path / "stopped", last_checkpoint(tmp_path / "stopped", ORIGIN))
    assert history(resumed) == history(whole)
    assert [log[0] for log in history(whole)] == [3, 6, 9]
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[name]), name


def test_noise_matters(tmp_path: Path) -> None:
    """The test above would see random numbers that are not put back."""

    class Forgetful(SmallTrainer):
        def _load_rng_state(self, checkpoint: str | None) -> None:
            self._load_loss_window(Path(str(checkpoint)))

    whole = train(tmp_path / "whole")
    train(tmp_path / "stopped", kind=stopping(4))
    scramble()
    resumed = train(tmp_path / "stopped", last_checkpoint(tmp_path / "stopped"), kind=Forgetful)
    assert history(resumed)[0] == history(whole)[0]
    assert history(resumed)[1:] != history(whole)[1:]


def test_random_numbers_of_all_kinds_are_put_back(checkpoints: Path) -> None:
    made, drawn = trainer(checkpoints), []
    for _ in range(2):
        scramble()
        made._load_rng_state(str(checkpoints / "checkpoint-8"))
        drawn.append((random.random(), np.random.rand(), torch.rand(1).item()))
    scramble()
    assert drawn[0] == drawn[1] != (random.random(), np.random.rand(), torch.rand(1).item())


def test_checkpoint_holds_what_was_trained_and_who_made_it(finished: Path) -> None:
    from safetensors.torch import load_file

    checkpoint = finished / "checkpoint-10"
    assert set(load_file(checkpoint / TRAINED)) == {"matrix.weight", "matrix.bias"}
    record = read_record(checkpoint)
    assert (record.step, step_of(checkpoint)) == (10, 10)
    assert set(record.files) == {path.name for path in checkpoint.iterdir()} - {RECORD}
    assert {"optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"} < set(record.files)


def test_everything_is_on_the_disk_before_it_has_its_name(tmp_path: Path, synced: list[str]) -> None:
    synced.clear()
    train(tmp_path, kind=stopping(2))
    written = f"{tmp_path}/.checkpoint-2.tmp/checkpoint-2"
    assert synced[-1] == str(tmp_path), "the new name, last of all"
    assert set(synced[:-1]) >= {written, *(f"{written}/{name}" for name in names(tmp_path / "checkpoint-2"))}


def test_newest_and_best_are_kept(tmp_path: Path) -> None:
    options = {
        "eval_strategy": "steps",
        "eval_steps": 2,
        "load_best_model_at_end": True,
        "metric_for_best_model": "loss",
        "greater_is_better": False,
    }
    made = train(tmp_path, **options)
    assert names(tmp_path) == ["checkpoint-10", "checkpoint-4", "checkpoint-8"]
    assert made.state.best_model_checkpoint == str(tmp_path / "checkpoint-4")
    in_file = json.loads((tmp_path / "checkpoint-4" / "trainer_state.json").read_text())
    assert in_file["best_model_checkpoint"] == str(tmp_path / "checkpoint-4")
    best = Model()
    from finetune.checkpoints import load_trained

    load_trained(best, tmp_path / "checkpoint-4")
    assert torch.equal(made.model.matrix.weight, best.matrix.weight)
    moved = tmp_path.rename(tmp_path.with_name(tmp_path.name + "-moved"))
    again = train(moved, moved / "checkpoint-8", **options)
    assert torch.equal(again.model.matrix.weight, best.matrix.weight), "the best one is found where the run lies now"


def test_patience_is_carried_over(tmp_path: Path) -> None:
    """The looks without a better loss before the stop count after it."""
    options = {
        "eval_strategy": "steps",
        "eval_steps": 1,
        "save_steps": 1,
        "load_best_model_at_end": True,
        "metric_for_best_model": "loss",
        "greater_is_better": False,
    }
    steps = []
    for checkpoint in (None, 6, 7):
        made = trainer(tmp_path, **options)
        made.add_callback(EarlyStoppingCallback(early_stopping_patience=3))
        made.train(resume_from_checkpoint=None if checkpoint is None else str(tmp_path / f"checkpoint-{checkpoint}"))
        steps.append(made.state.global_step)
    assert steps == [7, 7, 7], "also from the checkpoint at which patience had run out"


def test_loss_window_of_more_processes_is_their_mean(checkpoints: Path) -> None:
    """A record is the mean over all processes; one process must go on with what two had."""
    checkpoint = checkpoints / "checkpoint-8"
    for rank, loss in enumerate((1.0, 2.0)):
        (checkpoint / f"loss_window_{rank}.json").write_text(json.dumps({"loss": loss, "last_record": 6}))
    made = trainer(checkpoints)
    made._load_loss_window(checkpoint)
    assert made._tr_loss.item() == 1.5
    assert made._globalstep_last_logged == 6


def scramble() -> None:
    """Random numbers of a new process."""
    random.seed(99)
    np.random.seed(99)
    torch.manual_seed(99)
