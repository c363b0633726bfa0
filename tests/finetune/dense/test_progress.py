"""What is left of dense lessons that were killed, where it is something else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from drive_vqa.errors import ConfigError
from finetune.config import FinetuneConfig
from finetune.dense.progress import Progress


@pytest.mark.parametrize("kept", [[1], {"step": 3}, {"settings": "", "step": 3, "lesson": "", "optimizer": {}}])
def test_another_file_is_refused(kept: object, tmp_path: Path) -> None:
    path = tmp_path / "kept.pt"
    torch.save(kept, path)
    with pytest.raises(ConfigError, match="is no state of dense lessons: remove it to begin anew"):
        Progress.of(path, torch.nn.Linear(2, 2), FinetuneConfig(), "")


def test_lessons_that_go_on_from_none_are_refused() -> None:
    """They would be left out in silence."""
    from finetune.config import DensePretraining

    for name in ("look_steps", "move_steps"):
        with pytest.raises(ValueError, match="go on from steps"):
            DensePretraining(steps=0, **{name: 5})
