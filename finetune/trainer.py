"""The library's trainer with our rows, our loss and our looks at held-out questions."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import EarlyStoppingCallback, Trainer, TrainerCallback, TrainerControl
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from drive_vqa.vlm import ChatProcessor
from finetune.adapter import count_trainable
from finetune.checkpoints import AtomicCheckpoints
from finetune.config import FinetuneConfig
from finetune.guards.batch_images import check_batch_images
from finetune.guards.finite import check_gradient_norm, check_loss
from finetune.loss import Batch, answer_loss
from finetune.meter import Meter
from finetune.optimizers import build_optimizer, describe_groups
from finetune.plan import Plan
from finetune.validation import Validation
from finetune.watch import Watch

logger = logging.getLogger(__name__)


class PackedTrainer(AtomicCheckpoints, Trainer):  # type: ignore[misc]
    """Trains on the rows of a plan, which is the whole training in one pass."""

    def __init__(
        self,
        *,
        config: FinetuneConfig,
        plan: Plan,
        processor: ChatProcessor,
        meter: Meter,
        watch: Watch,
        validation: Validation | None,
        **options: Any,
    ) -> None:
        """Prepare.

        Args:
            config: a recipe.
            plan: which lessons each step holds.
            processor: of the model.
            meter: told what each batch held.
            watch: of this training.
            validation: held-out rows, where the recipe looks at some.
            options: of `transformers.Trainer`.
        """
        held_out = None if validation is None else validation.dataset  # the library wants to see one
        super().__init__(callbacks=[meter, watch, *_patience(config)], eval_dataset=held_out, **options)
        for callback in (PrinterCallback, ProgressCallback):
            self.remove_callback(callback)
        watch.attach(self)
        self.meter = meter
        self._watch = watch
        self._config = config
        self._plan = plan
        self._processor = processor
        self._validation = validation
        # so that the trainer hands over the number of answer tokens of a whole step
        self.model_accepts_loss_kwargs = True

    def get_train_dataloader(self) -> DataLoader:
        """All batches of the training, each process its own."""
        loader = DataLoader(
            self.train_dataset,
            batch_sampler=self._plan,
            collate_fn=self.data_collator,
            num_workers=self._config.workers,
            pin_memory=self.args.dataloader_pin_memory,
            persistent_workers=self._config.workers > 0,
        )
        prepared: DataLoader = self.accelerator.prepare(loader)
        return prepared

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Mean negative log-likelihood of the answer tokens of a whole step, in nats.

        Raises:
            ModelError: it is not a finite number.
        """
        del return_outputs  # looks at held-out questions have a way of their own
        self.meter.count(inputs)
        check_batch_images(inputs, self._processor)
        total, count = answer_loss(model, inputs)
        loss = total / (count if num_items_in_batch is None else num_items_in_batch)
        check_loss(loss, self.model, inputs, self.state.global_step + 1)
        # gradients are averaged over processes, and this is a share of a sum
        return loss * self.accelerator.num_processes if self.args.average_tokens_across_devices else loss

    def evaluate(self, *_: Any, **_more: Any) -> dict[str, float]:
        """Mean negative log-likelihood of the held-out answers, as `eval_loss`."""
        assert self._validation is not None, "the recipe asks for no looks"
        loss = self._validation.loss(self)
        logger.info("step %d/%d  held-out loss %.4f", self.state.global_step, self.state.max_steps, loss)
        metrics = {"eval_loss": loss}
        self.log(metrics)
        self.meter.record(self.state.global_step, {"eval/loss": loss})
        self.control: TrainerControl = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _clip_grad_norm(self, model: torch.nn.Module) -> torch.Tensor | float:
        """Clip gradients, which must be finite.

        Raises:
            ModelError: they are not.
        """
        norm: torch.Tensor | float = super()._clip_grad_norm(model)
        check_gradient_norm(norm, self.model, self.state.global_step + 1)
        return norm

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        """Keep the lowest loss at once: where looks are more frequent than checkpoints, no checkpoint would hold it."""
        is_lowest: bool = super()._determine_best_metric(metrics, trial)
        if is_lowest:
            self.control.should_save = True
        return is_lowest

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        """Write a checkpoint of a model whose frozen weights have not moved."""
        self._watch.check_frozen(self.state.global_step)
        super()._save_checkpoint(model, trial)

    def last_losses(self) -> dict[str, float]:
        """The last recorded loss of the training, and the lowest on held-out questions."""
        recorded = [entry["loss"] for entry in self.state.log_history if "loss" in entry]
        losses = {"train/loss": float(recorded[-1])} if recorded else {}
        return losses if self.state.best_metric is None else {**losses, "eval/loss": float(self.state.best_metric)}

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """The optimizer that the recipe asks for, each part of the model with its own rate."""
        self.optimizer = build_optimizer(self.model if model is None else model, self._config)
        logger.info("%s parameters are trained", f"{count_trainable(self.model):,}")
        for line in describe_groups(self.optimizer):
            logger.debug("%s", line)
        return self.optimizer


def _patience(config: FinetuneConfig) -> list[TrainerCallback]:
    looks = config.evaluation.patience
    return [EarlyStoppingCallback(early_stopping_patience=looks)] if looks else []
