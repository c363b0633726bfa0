"""How far the dense lessons are, kept in a file so that a run which was killed goes on as if it had not been."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from drive_vqa.errors import ConfigError
from drive_vqa.store import replacing
from finetune.config import FinetuneConfig


@dataclass
class Progress:
    """What goes on where it ended.

    Attributes:
        path: of the file.
        learned: everything that may change but for the optimizer.
        settings: of the run, as text; another run's file is refused.
        step: the last that was taken.
        optimizer: its state after that step, and whether it was that of the second lesson.
    """

    path: Path
    learned: torch.nn.Module
    settings: str
    step: int = 0
    optimizer: tuple[bool, dict[str, object]] | None = None

    @classmethod
    def of(cls, path: Path, learned: torch.nn.Module, config: FinetuneConfig) -> Progress:
        """From the file where there is one, else from the beginning.

        Raises:
            ConfigError: it was left by a run with other settings.
        """
        progress = cls(path, learned, json.dumps(asdict(config), sort_keys=True))
        if path.is_file():
            kept = torch.load(path, map_location="cpu", weights_only=True)
            if kept["settings"] != progress.settings:
                raise ConfigError(f"{path} is left of a run with other settings: give --out a new folder")
            learned.load_state_dict(kept["learned"])
            progress.step, progress.optimizer = kept["step"], (kept["looking"], kept["optimizer"])
        return progress

    def restore(self, optimizer: torch.optim.Optimizer, *, looking: bool) -> None:
        """Give an optimizer its state back, if it is the one that was kept."""
        if self.optimizer is not None and self.optimizer[0] == looking:
            optimizer.load_state_dict(self.optimizer[1])

    def keep(self, optimizer: torch.optim.Optimizer, *, looking: bool) -> None:
        """Write down where the run is."""
        kept = {"settings": self.settings, "step": self.step, "looking": looking, "optimizer": optimizer.state_dict()}
        with replacing(self.path) as temporary:
            torch.save({**kept, "learned": self.learned.state_dict()}, temporary)
