"""How far the dense lessons are, kept in a file so that a run which was killed goes on as if it had not been."""

from __future__ import annotations

import json
import pickle
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from drive_vqa.errors import ConfigError
from drive_vqa.store import replacing
from finetune.config import FinetuneConfig

KEPT = "dense.partial.pt"
"""In the run's folder until all training has ended, since a run may be killed before the first checkpoint of questions."""

FIELDS = {"settings", "step", "lesson", "optimizer", "learned"}


@dataclass
class Progress:
    """What goes on where it ended.

    Attributes:
        path: of the file.
        learned: everything that may change but for the optimizer.
        settings: of the run, as text; another run's file is refused.
        step: the last that was taken.
        optimizer: its state after that step, and the lesson with the schedule that it was of.
    """

    path: Path
    learned: torch.nn.Module
    settings: str
    step: int = 0
    optimizer: tuple[str, dict[str, object]] | None = None

    @classmethod
    def of(cls, path: Path, learned: torch.nn.Module, config: FinetuneConfig, made_of: str) -> Progress:
        """From the file where there is one, else from the beginning.

        Args:
            path: of the file.
            learned: everything that may change but for the optimizer.
            config: of the run.
            made_of: digest of what is learned from and on.

        Raises:
            ConfigError: it was left by another run, or is damaged.
        """
        progress = cls(path, learned, json.dumps({**asdict(config), "made_of": made_of}, sort_keys=True))
        if path.is_file():
            kept = _read(path)
            if kept["settings"] != progress.settings:
                raise ConfigError(f"{path} is left of a run with other settings or data: give --out a new folder")
            learned.load_state_dict(kept["learned"])
            progress.step, progress.optimizer = kept["step"], (kept["lesson"], kept["optimizer"])
        return progress

    def restore(self, optimizer: torch.optim.Optimizer, lesson: str) -> None:
        """Give an optimizer its state back, if it is the one that was kept."""
        if self.optimizer is not None and self.optimizer[0] == lesson:
            optimizer.load_state_dict(self.optimizer[1])

    def keep(self, optimizer: torch.optim.Optimizer, lesson: str) -> None:
        """Write down where the run is."""
        kept = {"settings": self.settings, "step": self.step, "lesson": lesson, "optimizer": optimizer.state_dict()}
        with replacing(self.path) as temporary:
            torch.save({**kept, "learned": self.learned.state_dict()}, temporary)


def _read(path: Path) -> dict[str, Any]:
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise ConfigError(f"{path} cannot be read ({type(error).__name__}): remove it to begin anew") from error
    if not isinstance(kept, dict) or not kept.keys() >= FIELDS:
        raise ConfigError(f"{path} is no state of dense lessons: remove it to begin anew")
    return kept
