"""Checkpoints: whole or not there, and training goes on from them as if it had never stopped.

The model is a few numbers, so that each training takes milliseconds; real models are trained in tests/acceptance.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import pickle
import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import EarlyStoppingCallback, Trainer, TrainingArguments

from drive_vqa.errors import ConfigError, ModelError
from finetune.checkpoint_record import RECORD, Origin, read_record
from finetune.checkpoints import TRAINED, AtomicCheckpoints, last_checkpoint, step_of
from finetune.muon import MuonWithAdamW

SETTINGS = {
    "seed": 0,
    "learning_rates.language": 1e-2,
    "curriculum": [],
    "batch_size": 2,
    "gradient_accumulation": 2,
    "workers": 0,
}
ORIGIN = Origin(SETTINGS, "data", "base", processes=1, device="cpu")
STEPS = 10


class Numbers(torch.utils.data.Dataset):
    """Twelve samples: a pass takes three steps of two batches of two, so training crosses passes."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"x": torch.randn(4, generator=torch.Generator().manual_seed(index))}


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.frozen = torch.nn.Linear(4, 4).requires_grad_(False)
        self.matrix = torch.nn.Linear(4, 4)
        self.dropout = torch.nn.Dropout(0.3)


class SmallTrainer(AtomicCheckpoints, Trainer):
    """Its losses draw random numbers.

    Not Python's own: beartype, which checks types in the test run, draws from these.
    """

    muon = False

    def compute_loss(self, model: Any, inputs: Any, *_: Any, **__: Any) -> torch.Tensor:
        noise = np.random.rand()
        return (model.dropout(model.matrix(model.frozen(inputs["x"]))) - noise).pow(2).mean()

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        if not self.muon:
            return super().create_optimizer(model)
        named = [(name, value) for name, value in self.model.named_parameters() if value.requires_grad]
        options = {"learning_rate": 1e-2, "muon_learning_rate": 1e-2, "weight_decay": 0.1}
        self.optimizer = MuonWithAdamW(named, **options)
        return self.optimizer

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Lowest at step 4."""
        metrics = {"eval_loss": float(abs(self.state.global_step - 4))}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


def trainer(folder: Path, *, kind: type[SmallTrainer] = SmallTrainer, origin: Origin = ORIGIN, **options: Any) -> Any:
    defaults: dict[str, Any] = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 2,
        "max_steps": STEPS,
        "learning_rate": 1e-2,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 2,
        "logging_steps": 3,
        "save_steps": 2,
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "dataloader_pin_memory": False,
    }
    arguments = TrainingArguments(**{**defaults, **options})
    return kind(origin=origin, model=Model(), args=arguments, train_dataset=Numbers(), eval_dataset=Numbers())


def train(folder: Path, checkpoint: Path | None = None, **options: Any) -> Any:
    made = trainer(folder, **options)
    made.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    return made


def history(made: Any) -> list[tuple[Any, ...]]:
    return [
        (log["step"], log["loss"], log["grad_norm"], log["learning_rate"])
        for log in made.state.log_history
        if "loss" in log
    ]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module", autouse=True)
def synced() -> Iterator[list[str]]:
    """Nothing waits for the disk; what would have been waited for is listed."""
    done: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "finetune.checkpoints.os.fsync", lambda number: done.append(str(Path(f"/proc/self/fd/{number}").readlink()))
        )
        yield done


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    train(folder)
    return folder


@pytest.fixture
def checkpoints(finished: Path, tmp_path: Path) -> Path:
    """Two checkpoints, of the steps 8 and 10, to be damaged."""
    return Path(shutil.copytree(finished, tmp_path / "checkpoints"))


@pytest.mark.parametrize(("step", "muon"), [(1, False), (4, False), (4, True), (6, False), (9, False)])
def test_resumed_is_uninterrupted(tmp_path: Path, step: int, muon: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped within a pass, at its end (6) and between two records (1, 4): weights, losses and rates are equal, bit by bit."""
    monkeypatch.setattr(SmallTrainer, "muon", muon)
    whole = train(tmp_path / "whole")
    train(tmp_path / "stopped", kind=_stopping(step), save_steps=step)
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
    train(tmp_path / "stopped", kind=_stopping(4))
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
    train(tmp_path, kind=_stopping(2))
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


@pytest.mark.parametrize("part", ["optimizer", "weights", "random numbers", "state", "record"])
def test_killed_while_writing_leaves_the_last_whole_one(
    tmp_path: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before anything can be cleared away, in whatever part of the write."""

    class KilledError(BaseException):
        pass

    def killed(*_: Any, **__: Any) -> None:
        raise KilledError

    class Dying(SmallTrainer):
        def _save_checkpoint(self, *arguments: Any) -> None:
            with monkeypatch.context() as patch:
                if self.state.global_step == 4:
                    _patch_part(patch, part, killed)
                    patch.setattr("finetune.checkpoints.shutil.rmtree", lambda *_, **__: None)
                super()._save_checkpoint(*arguments)

    with pytest.raises(KilledError):
        train(tmp_path, kind=Dying)
    assert names(tmp_path) == [".checkpoint-4.tmp", "checkpoint-2"]
    assert last_checkpoint(tmp_path, ORIGIN) == tmp_path / "checkpoint-2"
    assert names(tmp_path) == ["checkpoint-2"], "leftovers are removed"


def test_no_checkpoint_is_a_start(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path / "nothing", ORIGIN) is None
    (tmp_path / ".checkpoint-4.tmp" / "checkpoint-4").mkdir(parents=True)
    (tmp_path / "checkpoint-of-mine").mkdir()
    assert last_checkpoint(tmp_path, ORIGIN) is None


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "truncated": (lambda folder: _truncate(folder / "optimizer.pt"), r"optimizer\.pt has \d+ bytes instead of \d+"),
    "flipped": (lambda folder: _flip(folder / TRAINED), "trained.safetensors has other contents"),
    "missing": (lambda folder: (folder / "rng_state.pth").unlink(), r"rng_state\.pth is missing"),
    "no record": (lambda folder: (folder / RECORD).unlink(), "no checkpoint.json"),
    "half a record": (lambda folder: _truncate(folder / RECORD), "checkpoint.json cannot be read"),
    "no mapping": (lambda folder: (folder / RECORD).write_text("[1]"), "checkpoint.json cannot be read"),
    "renamed": (lambda folder: _change(folder, step=7), "that of step 7"),
    "outside": (lambda folder: _change(folder, files={"../x": {"bytes": 1, "sha256": ""}}), "strange file"),
    "no origin": (lambda folder: _change(folder, origin={}), "cannot be read"),
    "empty": (lambda folder: [path.unlink() for path in folder.iterdir()], "no checkpoint.json"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_one_is_passed_over_with_a_warning(
    checkpoints: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    harm, message = DAMAGE[damage]
    harm(checkpoints / "checkpoint-10")
    with caplog.at_level(logging.WARNING):
        assert last_checkpoint(checkpoints, ORIGIN) == checkpoints / "checkpoint-8"
    (warning,) = [record.getMessage() for record in caplog.records if record.name.startswith("finetune")]
    assert "checkpoint-10 is damaged" in warning
    assert "going on from checkpoint-8" in warning
    assert re.search(message, warning), warning


def test_damaged_one_is_replaced_when_training_gets_there(checkpoints: Path) -> None:
    (checkpoints / "checkpoint-10" / "optimizer.pt").unlink()
    train(checkpoints, checkpoints / "checkpoint-8")
    assert names(checkpoints) == ["checkpoint-10", "checkpoint-8"]
    assert last_checkpoint(checkpoints, ORIGIN) == checkpoints / "checkpoint-10"


def test_nothing_but_damage_is_an_error(checkpoints: Path) -> None:
    for checkpoint in checkpoints.iterdir():
        (checkpoint / "scheduler.pt").unlink()
    with pytest.raises(
        ModelError, match=r"checkpoint-10 is damaged: scheduler\.pt is missing.*delete .* to start anew"
    ):
        last_checkpoint(checkpoints)


@pytest.mark.parametrize(
    ("origin", "message"),
    [
        (
            replace(ORIGIN, settings={**SETTINGS, "learning_rates.language": 2e-2}),
            r"learning_rates\.language=0\.01, and",
        ),
        (replace(ORIGIN, settings={**SETTINGS, "curriculum": ["a"]}), r"curriculum=\[\]"),
        (replace(ORIGIN, settings={**SETTINGS, "new": 1}), "new=null"),
        (replace(ORIGIN, settings={**SETTINGS, "batch_size": 4}), "processes=4, and this run has .*=8"),
        (replace(ORIGIN, processes=2), "processes=4"),
        (replace(ORIGIN, dataset_digest="other"), "dataset_digest=data, and this run has dataset_digest=other"),
        (replace(ORIGIN, base_digest="other"), "base_digest=base"),
        (replace(ORIGIN, device="cuda"), "device=cpu"),
    ],
)
def test_another_training_is_refused(finished: Path, origin: Origin, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        last_checkpoint(finished, origin)


def test_what_changes_no_result_may_differ(finished: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = {**SETTINGS, "workers": 4, "log_steps": 1, "curriculum": ()}
    assert last_checkpoint(finished, replace(ORIGIN, settings=settings)) is not None
    assert not caplog.records
    split = replace(ORIGIN, settings={**SETTINGS, "batch_size": 1}, processes=2)
    assert last_checkpoint(finished, split) is not None
    assert "dropout differs" in caplog.text


def test_loss_window_of_more_processes_is_their_mean(checkpoints: Path) -> None:
    """A record is the mean over all processes; one process must go on with what two had."""
    checkpoint = checkpoints / "checkpoint-8"
    for rank, loss in enumerate((1.0, 2.0)):
        (checkpoint / f"loss_window_{rank}.json").write_text(json.dumps({"loss": loss, "last_record": 6}))
    made = trainer(checkpoints)
    made._load_loss_window(checkpoint)
    assert made._tr_loss.item() == 1.5
    assert made._globalstep_last_logged == 6


class Evil:
    """Unpickled, it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth"])
def test_nothing_is_unpickled(checkpoints: Path, tmp_path: Path, name: str) -> None:
    checkpoint = checkpoints / "checkpoint-8"
    torch.save({"state": Evil(tmp_path / "made")}, checkpoint / name, pickle_module=pickle)
    with pytest.raises(ModelError, match="cannot be loaded"):
        train(checkpoints, checkpoint)
    assert not (tmp_path / "made").exists()


def test_weights_of_another_model_are_refused(checkpoints: Path) -> None:
    made = trainer(checkpoints)
    made.model.frozen.requires_grad_(True)
    with pytest.raises(ModelError, match=r"trained\.safetensors does not fit the model, e\.g\. in frozen\.bias"):
        made.train(resume_from_checkpoint=str(checkpoints / "checkpoint-8"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 256 KiB, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_full_disk_is_one_clear_error(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The third write meets a full disk at a random place: one sentence, and the checkpoints before it are as they were."""
    train(small_disk, kind=_stopping(4))
    before = {path: path.read_bytes() for path in small_disk.rglob("*") if path.is_file()}
    for spare_bytes in (0, 8_192, 16_384):
        filler = small_disk / "filler"
        _fill(filler, spare_bytes)
        with pytest.raises(
            ModelError, match=f"cannot be written in {small_disk}, where 0 MB are free .*make room"
        ) as told:
            train(small_disk, last_checkpoint(small_disk))
        assert told.value.__cause__ is not None
        filler.unlink()
        assert {path: path.read_bytes() for path in small_disk.rglob("*") if path.is_file()} == before
    checkpoint = last_checkpoint(small_disk, ORIGIN)
    assert checkpoint == small_disk / "checkpoint-4"


TORCH_FULL = (
    "[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598"  # torch says no word about the disk
)
SAFETENSORS_FULL = "Error while serializing: I/O error: No space left on device (os error 28)"


@pytest.mark.parametrize("part", ["optimizer", "weights", "state", "record"])
def test_writers_errors_are_told_as_one(tmp_path: Path, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As above, where nothing can be mounted."""
    from safetensors import SafetensorError

    errors = {"optimizer": RuntimeError(TORCH_FULL), "weights": SafetensorError(SAFETENSORS_FULL)}

    def full(*_: Any, **__: Any) -> None:
        raise errors.get(part, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    train(tmp_path, kind=_stopping(4))
    made = trainer(tmp_path)
    _patch_part(monkeypatch, part, full)
    with pytest.raises(ModelError, match=f"a checkpoint cannot be written in {tmp_path}, where .* MB are free"):
        made.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    assert names(tmp_path) == ["checkpoint-2", "checkpoint-4"]


def test_other_errors_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug while writing is no full disk."""

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug")

    _patch_part(monkeypatch, "optimizer", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        train(tmp_path)
    assert names(tmp_path) == []


def scramble() -> None:
    """Random numbers of a new process."""
    random.seed(99)
    np.random.seed(99)
    torch.manual_seed(99)


def _stopping(step: int) -> type[SmallTrainer]:
    """A trainer that ends after so many steps of its full plan, as a killed one does."""

    class Stopping(SmallTrainer):
        def _save_checkpoint(self, *arguments: Any) -> None:
            super()._save_checkpoint(*arguments)
            self.control.should_training_stop = self.state.global_step >= step

    return Stopping


def _patch_part(patch: pytest.MonkeyPatch, part: str, action: Callable[..., Any]) -> None:
    target = {
        "optimizer": "torch.save",
        "weights": "finetune.checkpoints.save_file",
        "random numbers": "numpy.random.get_state",
        "state": "transformers.trainer_callback.TrainerState.save_to_json",
        "record": "finetune.checkpoints.write_record",
    }
    patch.setattr(target[part], action)


def _fill(path: Path, spare_bytes: int) -> None:
    free = shutil.disk_usage(path.parent).free
    path.write_bytes(b"x" * max(free - spare_bytes, 0))


def _change(checkpoint: Path, **values: Any) -> None:
    content = json.loads((checkpoint / RECORD).read_text())
    (checkpoint / RECORD).write_text(json.dumps({**content, **values}))
