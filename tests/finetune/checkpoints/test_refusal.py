"""What is no checkpoint of this training is passed over or refused."""

from __future__ import annotations

import json
import logging
import os
import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from drive_vqa.errors import ConfigError, ModelError
from finetune.checkpoint_record import RECORD, Origin
from finetune.checkpoints import TRAINED, last_checkpoint
from tests.finetune.checkpoints.small_trainer import ORIGIN, SETTINGS, names, train, trainer


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
        (
            replace(ORIGIN, dataset_digest="other"),
            "dataset_digest=data, and this run has dataset_digest=other: put back the q",
        ),
        (replace(ORIGIN, base_digest="other"), "base_digest=base, .*: put back the model"),
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


def _change(checkpoint: Path, **values: Any) -> None:
    content = json.loads((checkpoint / RECORD).read_text())
    (checkpoint / RECORD).write_text(json.dumps({**content, **values}))
