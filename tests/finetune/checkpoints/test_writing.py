"""A checkpoint is whole or not there, also where the process or the disk ends in the middle of one."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drive_vqa.errors import ModelError
from finetune.checkpoints import last_checkpoint
from tests.finetune.checkpoints.small_trainer import ORIGIN, SmallTrainer, names, patch_part, stopping, train, trainer


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
                    patch_part(patch, part, killed)
                    patch.setattr("finetune.checkpoints.shutil.rmtree", lambda *_, **__: None)
                super()._save_checkpoint(*arguments)

    with pytest.raises(KilledError):
        train(tmp_path, kind=Dying)
    assert names(tmp_path) == [".checkpoint-4.tmp", "checkpoint-2"]
    assert last_checkpoint(tmp_path, ORIGIN) == tmp_path / "checkpoint-2"
    assert names(tmp_path) == ["checkpoint-2"], "leftovers are removed"


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
    train(small_disk, kind=stopping(4))
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

    train(tmp_path, kind=stopping(4))
    made = trainer(tmp_path)
    patch_part(monkeypatch, part, full)
    with pytest.raises(ModelError, match=f"a checkpoint cannot be written in {tmp_path}, where .* MB are free"):
        made.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    assert names(tmp_path) == ["checkpoint-2", "checkpoint-4"]


def test_other_errors_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug while writing is no full disk."""

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug")

    patch_part(monkeypatch, "optimizer", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        train(tmp_path)
    assert names(tmp_path) == []


def _fill(path: Path, spare_bytes: int) -> None:
    free = shutil.disk_usage(path.parent).free
    path.write_bytes(b"x" * max(free - spare_bytes, 0))
