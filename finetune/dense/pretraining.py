"""The dense lessons of a whole model: to see, to look from a number to its mark, and to look from an answer to the number."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from drive_vqa.errors import ConfigError, ModelError
from drive_vqa.tracking import Run
from drive_vqa.vlm import Vlm
from finetune.config import FinetuneConfig
from finetune.dense.cells import CellHead, cell_loss, cell_targets
from finetune.dense.numbers import FARTHEST, NumberHead, digit_ids, every_number, number_loss, number_targets
from finetune.dense.pictures import NUMBERS, MarkedPicture, Picture, batches
from finetune.dense.questions import Wording, look_loss, name_marks
from finetune.dense.rows import FramesPrefix, Offsets, after_layers, rows_behind
from finetune.muon import MuonWithAdamW

logger = logging.getLogger(__name__)

FIRST, SECOND = slice(0, 1), slice(1, 2)

LOOKED_AT = 4
"""Of so many pictures in a step to see, one is in a step to look, where many questions are asked about each."""

SLOWER = "lower dense_pretraining.learning_rate and dense_pretraining.muon_learning_rate"

Trained = list[tuple[str, torch.nn.Parameter]]


def pretrain(
    vlm: Vlm,
    pictures: Sequence[Picture],
    wordings: Sequence[Wording],
    offsets_s: Sequence[Offsets],
    config: FinetuneConfig,
    run: Run,
) -> None:
    """Give the dense lessons.

    First the vision tower, the token embeddings and the first layer of the language model learn together. Its other layers then
    begin as copies of the first ("progressive stacking", Gong et al. 2019, PMLR 97:2337), and the second learns alone.

    Args:
        vlm: all of whose weights may change.
        pictures: what is looked at; all of one size.
        wordings: how marks are asked about.
        offsets_s: how frames follow each other in questions.
        config: `dense_pretraining` and seed.
        run: where losses go.

    Raises:
        ConfigError: the model is of another kind, or writes a digit in several tokens.
        ModelError: a loss is not finite.
    """
    settings = config.dense_pretraining
    torch.manual_seed(config.seed)  # for the heads
    lessons = DenseLessons(vlm, pictures[0].image, offsets_s, wordings)
    see = Lesson("see", lessons.see, lessons.trained_to_see(), settings.steps, settings.batch_size)
    _give(see, pictures, config, run)
    first, *others = lessons.language.layers
    for layer in others:
        layer.load_state_dict(first.state_dict())
    few = max(1, settings.batch_size // LOOKED_AT)
    look = Lesson("look", lessons.look, lessons.trained_to_look(), settings.look_steps, few)
    _give(look, pictures, config, run)


@dataclass(frozen=True, eq=False)
class Lesson:
    """One of the dense lessons.

    Attributes:
        name: of its loss.
        loss: of some pictures.
        trained: what learns, by name.
        steps: of it.
        batch_size: pictures a step.
    """

    name: str
    loss: Callable[[Sequence[MarkedPicture], np.random.Generator], torch.Tensor]
    trained: Trained
    steps: int
    batch_size: int


class DenseLessons:
    """What is trained, with the heads that read it."""

    def __init__(self, vlm: Vlm, image: Image.Image, offsets_s: Sequence[Offsets], wordings: Sequence[Wording]) -> None:
        """Prepare.

        Args:
            vlm: the model.
            image: any of its pictures.
            offsets_s: how frames follow each other.
            wordings: how marks are asked about.

        Raises:
            ConfigError: the model is not of Qwen's kind, or writes a digit in several tokens.
        """
        self.processor, self.wordings = vlm.processor, wordings
        self.visual, self.language = part_named(vlm.model, "visual"), part_named(vlm.model, "language_model")
        self.embeddings = vlm.model.get_input_embeddings()
        self.digits = digit_ids(vlm.processor)
        self.prefixes = [FramesPrefix.of(vlm.processor, image, offsets) for offsets in offsets_s]
        digits = self.embeddings.weight[self.digits]
        self.cell_head = CellHead(digits).to(vlm.device)
        self.number_head = NumberHead(digits.shape[1]).to(vlm.device)

    def trained_to_see(self) -> Trained:
        """What the first lesson trains, by name."""
        parts = {
            "visual": self.visual,
            "embed_tokens": self.embeddings,
            "layer": self.language.layers[0],
            "cell_head": self.cell_head,
            "number_head": self.number_head,
        }
        return [(f"{part}.{name}", one) for part, module in parts.items() for name, one in module.named_parameters()]

    def trained_to_look(self) -> Trained:
        """What the second lesson trains, by name."""
        return list(self.language.layers[1].named_parameters())

    def see(self, batch: Sequence[MarkedPicture], rng: np.random.Generator) -> torch.Tensor:
        """Loss of the cells, and of the first layer at every number, at random distances behind the frames."""
        cells, (high, wide) = self._cells(batch)
        shown = torch.stack([cell_targets(picture.marked, high, wide) for picture in batch]).to(cells.device)
        prefix = self._prefix(rng)
        packed = every_number(prefix, self.digits)
        shift = torch.zeros(len(batch), len(packed.input_ids), dtype=torch.long)
        shift[:, -NUMBERS:] = torch.from_numpy(rng.integers(0, FARTHEST + 1, (len(batch), NUMBERS)))
        rows = rows_behind(prefix, [packed] * len(batch), cells, self.embeddings, shift)
        hidden = after_layers(self.language, rows, rows.embedded, FIRST)[:, -NUMBERS:]
        asked = number_targets(batch).to(cells.device)
        return cell_loss(self.cell_head(cells), shown, wide) + number_loss(self.number_head(hidden.float()), asked)

    def look(self, batch: Sequence[MarkedPicture], rng: np.random.Generator) -> torch.Tensor:
        """Loss of the second layer behind the numbers that questions name; all before it stays as it is."""
        prefix = self._prefix(rng)
        named = name_marks(batch, self.wordings, prefix, self.digits, rng)
        with torch.no_grad():
            cells, _ = self._cells(batch)
            rows = rows_behind(prefix, named.texts, cells, self.embeddings)
            first = after_layers(self.language, rows, rows.embedded, FIRST)
        second = after_layers(self.language, rows, first, SECOND)
        hidden = second[named.picture.to(first.device), named.token.to(first.device)].float()
        digits = self.embeddings.weight[self.digits].detach().float()
        return look_loss(hidden, self.number_head, digits, named)

    def _cells(self, batch: Sequence[MarkedPicture]) -> tuple[torch.Tensor, tuple[int, int]]:
        """What the vision tower makes of each picture, and how many cells are above and beside each other."""
        inputs = self.processor.images([picture.image for picture in batch]).inputs
        grid, device = inputs["image_grid_thw"], self.embeddings.weight.device
        output = self.visual(inputs["pixel_values"].to(device), grid_thw=grid.to(device))
        high, wide = (int(value) // self.processor.merge_size for value in grid[0, 1:])
        return output.pooler_output.float().unflatten(0, (len(batch), -1)), (high, wide)

    def _prefix(self, rng: np.random.Generator) -> FramesPrefix:
        return self.prefixes[int(rng.integers(len(self.prefixes)))]


def part_named(model: Any, name: str) -> Any:
    """A part of a model, whatever is around it.

    Raises:
        ConfigError: it has none of this name, so it is not of Qwen's kind.
    """
    for path, module in model.named_modules():
        if path.rpartition(".")[2] == name:
            return module
    raise ConfigError("dense_pretraining knows Qwen's models alone: set dense_pretraining.steps=0")


def _give(lesson: Lesson, pictures: Sequence[Picture], config: FinetuneConfig, run: Run) -> None:
    settings = config.dense_pretraining
    rng = np.random.default_rng([config.seed, *lesson.name.encode()])
    optimizer = MuonWithAdamW(
        lesson.trained,
        learning_rate=settings.learning_rate,
        muon_learning_rate=settings.muon_learning_rate,
        weight_decay=settings.weight_decay,
    )
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, lesson.steps))
    shown = batches(pictures, steps=lesson.steps, batch_size=lesson.batch_size, most_marks=settings.most_marks, rng=rng)
    for step, batch in enumerate(shown, start=1):
        loss = lesson.loss(batch, rng)
        if not torch.isfinite(loss):
            raise ModelError(f"step {step} of the dense lesson to {lesson.name} has a loss of {loss.item()}: {SLOWER}")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_([parameter for _, parameter in lesson.trained], config.max_grad_norm)
        optimizer.step()
        scheduler.step()
        if step % config.log_steps == 0:
            run.log_metrics({f"dense/{lesson.name}": loss.item()}, step=step)
            logger.info("dense lesson to %s, step %d/%d  loss %.4f", lesson.name, step, lesson.steps, loss.item())


def _rate(step: int, steps: int) -> float:
    """Learning rate as a share of its peak: 5 % rising, then a cosine to 0."""
    rising = max(1, round(0.05 * steps))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))
