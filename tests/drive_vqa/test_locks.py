"""A lock holds until its file is closed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from drive_vqa.errors import ConfigError
from drive_vqa.locks import hold


def test_one_holds_a_file_at_a_time(tmp_path: Path) -> None:
    first, second = (os.open(tmp_path / "lock", os.O_WRONLY | os.O_CREAT) for _ in range(2))
    hold(first, "busy")
    with pytest.raises(ConfigError, match="^busy$"):
        hold(second, "busy")
    os.close(first)
    hold(second, "busy")
    os.close(second)
