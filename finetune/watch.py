"""Looks at a training from outside, so that nothing goes wrong in silence; each guard is a file of finetune.guards.

before the first step   what carries loss is what the answers say (RUN/samples.md), packed rows are worth what the plain model
says, exactly the listed modules are trained
in the first step       a gradient reaches everything that is trained
each `probe_steps`      swapped and blank images change the loss
each checkpoint, end    what is frozen has not moved
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState

from drive_vqa.errors import ConfigError
from drive_vqa.vlm import ChatProcessor
from finetune.collate import Collator
from finetune.config import FinetuneConfig
from finetune.dataset import LessonDataset
from finetune.guards.carried_loss import check_carried, decode_batch, write_samples
from finetune.guards.frozen import FrozenRecord, check_frozen, record_frozen
from finetune.guards.image_probe import ImageProbe, spread_lessons
from finetune.guards.parity import check_parity
from finetune.guards.trained import check_gradients_arrive
from finetune.plan import Plan

logger = logging.getLogger(__name__)


class Watch(TrainerCallback):  # type: ignore[misc]
    """Calls the guards at their times."""

    def __init__(
        self,
        config: FinetuneConfig,
        processor: ChatProcessor,
        dataset: LessonDataset,
        collator: Collator,
        plan: Plan,
        samples: Path,
    ) -> None:
        """Prepare.

        Args:
            config: a recipe.
            processor: of the model.
            dataset: what is learned.
            collator: of the training.
            plan: of the training.
            samples: file for what is shown and learned.
        """
        self._config = config
        self._processor = processor
        self._dataset = dataset
        self._collator = collator
        self._plan = plan
        self._samples = samples
        self._trainer: Any = None
        self._frozen: FrozenRecord | None = None
        self._probe: ImageProbe | None = None
        self._gradients_seen = False

    def attach(self, trainer: Any) -> None:
        """The trainer that is watched; it must be made with its callbacks, so this comes after."""
        self._trainer = trainer

    def on_train_begin(self, _args: Any, _state: TrainerState, _control: TrainerControl, **_more: Any) -> None:
        """The model is wrapped, and a checkpoint loaded where there is one."""
        rows = [self._dataset[row] for row in next(iter(self._plan))]
        if self._trainer.is_world_process_zero():
            self._check_carried(rows)
        if self._config.pack:
            with self._trainer.compute_loss_context_manager():
                check_parity(self._trainer.model, self._processor, self._collator, rows[0], self._trainer.args.device)
        self._frozen = record_frozen(self._trainer.model)
        self._probe = self._make_probe()

    def on_pre_optimizer_step(self, *_: Any, **_more: Any) -> None:
        """Gradients of the first step are there."""
        if not self._gradients_seen:
            check_gradients_arrive(self._trainer.model)
            self._gradients_seen = True

    def on_step_end(self, _args: Any, state: TrainerState, _control: TrainerControl, **_more: Any) -> None:
        """Look whether the images matter."""
        if self._probe is not None and state.global_step % self._config.probe_steps == 0:
            self._look(self._probe, state)

    def on_train_end(self, _args: Any, state: TrainerState, _control: TrainerControl, **_more: Any) -> None:
        """The weights are final."""
        self.check_frozen(state.global_step)

    def check_frozen(self, step: int) -> None:
        """Refuse a model whose frozen weights have moved.

        Raises:
            ModelError: one has.
        """
        if self._frozen is not None:
            check_frozen(self._trainer.model, self._frozen, step)

    def _check_carried(self, rows: list[Any]) -> None:
        batch = self._collator(rows)
        shown = [lesson for row in rows for lesson in row]
        carried = decode_batch(batch, self._processor)
        check_carried(carried, self._collator.taught(shown), self._processor)
        write_samples(carried, shown, self._samples)
        logger.info("what is shown and what carries loss: %s", self._samples)

    def _make_probe(self) -> ImageProbe | None:
        if not self._config.probe_steps:
            return None
        lessons = spread_lessons(len(self._dataset))
        try:
            return ImageProbe([self._collator([(self._dataset.shown(lesson),)]) for lesson in lessons])
        except ConfigError as error:
            logger.warning("%s", error)
            return None

    def _look(self, probe: ImageProbe, state: TrainerState) -> None:
        with self._trainer.meter.paused(), self._trainer.compute_loss_context_manager():
            result = probe.measure(self._trainer.model, self._trainer.args.device)
        self._trainer.meter.record(state.global_step, result.metrics())
        complaint = result.complaint(learned=state.global_step >= self._config.warmup_fraction * state.max_steps)
        if complaint is not None:
            logger.warning("step %d: %s", state.global_step, complaint)
