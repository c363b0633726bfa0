"""The loss on held-out questions while training, the same ones at every look."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader

from drive_vqa.errors import ModelError
from finetune.collate import Collator
from finetune.dataset import LessonDataset, Visits
from finetune.guards.undisturbed import undisturbed
from finetune.loss import Batch, answer_loss


class Validation:
    """Rows of held-out lessons, shared among processes."""

    def __init__(self, dataset: LessonDataset, collator: Collator, rows: Sequence[Visits], workers: int) -> None:
        """Prepare.

        Args:
            dataset: the lessons.
            collator: of the training.
            rows: which lessons go together in a row.
            workers: processes that decode images.
        """
        self.dataset = dataset
        self._collator = collator
        self._rows = rows
        self._workers = workers

    def loss(self, trainer: Any) -> float:
        """Mean negative log-likelihood of all answer tokens, in nats; takes no random numbers and leaves no gradients.

        Raises:
            ModelError: it is not a finite number.
        """
        total = torch.zeros(2, dtype=torch.float64, device=trainer.args.device)
        with undisturbed(trainer.model):
            for batch, weight in self._batches(trainer):
                with trainer.compute_loss_context_manager():
                    summed, count = answer_loss(trainer.model, batch)
                total += weight * torch.stack([summed.double(), count.double()])
        gathered = trainer.accelerator.reduce(total, reduction="sum")
        loss = float(gathered[0] / gathered[1])
        if not math.isfinite(loss):
            raise ModelError(f"the held-out loss is {loss}: lower learning_rates, or set precision=fp32")
        return loss

    def _batches(self, trainer: Any) -> Iterator[tuple[Batch, float]]:
        """The rows of this process; every process gets equally many, since all must run the model together.

        The last ones may be repeated ones, of weight 0.
        """
        processes, own = trainer.accelerator.num_processes, trainer.accelerator.process_index
        rounds = -(-len(self._rows) // processes)
        numbers = [turn * processes + own for turn in range(rounds)]
        rows = [[self._rows[number % len(self._rows)]] for number in numbers]
        loader = DataLoader(self.dataset, batch_sampler=rows, collate_fn=self._collator, num_workers=self._workers)
        for number, batch in zip(numbers, loader, strict=True):
            yield trainer._prepare_inputs(batch), float(number < len(self._rows))
