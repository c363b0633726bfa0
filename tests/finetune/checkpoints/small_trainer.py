"""A trainer of a few numbers, so that each training takes milliseconds; real models are trained in tests/acceptance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import Trainer, TrainingArguments

from finetune.checkpoint_record import Origin
from finetune.checkpoints import AtomicCheckpoints
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


def stopping(step: int) -> type[SmallTrainer]:
    """A trainer that ends after so many steps of its full plan, as a killed one does."""

    class Stopping(SmallTrainer):
        def _save_checkpoint(self, *arguments: Any) -> None:
            super()._save_checkpoint(*arguments)
            self.control.should_training_stop = self.state.global_step >= step

    return Stopping


def history(made: Any) -> list[tuple[Any, ...]]:
    return [
        (log["step"], log["loss"], log["grad_norm"], log["learning_rate"])
        for log in made.state.log_history
        if "loss" in log
    ]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def patch_part(patch: pytest.MonkeyPatch, part: str, action: Callable[..., Any]) -> None:
    target = {
        "optimizer": "torch.save",
        "weights": "finetune.checkpoints.save_file",
        "random numbers": "numpy.random.get_state",
        "state": "transformers.trainer_callback.TrainerState.save_to_json",
        "record": "finetune.checkpoints.write_record",
    }
    patch.setattr(target[part], action)
