"""A finished training with its checkpoints."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.finetune.checkpoints.small_trainer import train


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
