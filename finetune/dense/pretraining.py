"""The dense lessons of a whole model: to see, to look from a number to its mark and from an answer to the number, and ahead."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

from drive_vqa.errors import ConfigError, ModelError
from drive_vqa.tracking import Run
from drive_vqa.vlm import Vlm
from finetune.config import FinetuneConfig
from finetune.dense.cells import PlaceHead, TowerHead, cell_targets, place_loss, tower_loss
from finetune.dense.moments import NUMBERS, MarkedMoment, Moment, draw_batch
from finetune.dense.numbers import FARTHEST, NumberHead, digit_ids, every_number, number_loss, number_targets
from finetune.dense.progress import Progress
from finetune.dense.questions import AskedHead, ForesightHead, Wording, asked_loss, change_loss, look_loss, name_marks
from finetune.dense.rows import FramesPrefix, Offsets, after_layers, rows_behind
from finetune.muon import MuonWithAdamW

logger = logging.getLogger(__name__)

FIRST, SECOND, THIRD, FOURTH = (slice(layer, layer + 1) for layer in range(4))
SEE, LOOK, MOVE = "see", "look", "move"
TRAINED_LAYERS = {SEE: 2, LOOK: 3, MOVE: 4}
"""Of the language model, that a lesson trains."""
PEAKS = {SEE: 1.0, LOOK: 1.0, MOVE: 0.35}
"""Share of the peak learning rates: the last lesson should not undo what the first two have taught."""
PLACE = slice(4, 6)
"""Among the targets of a mark."""
SLOWER = "lower dense_pretraining.learning_rate and dense_pretraining.muon_learning_rate"

Trained = list[tuple[str, torch.nn.Parameter]]


def pretrain(
    vlm: Vlm,
    moments: Sequence[Moment],
    wordings: Sequence[Wording],
    offsets_s: Sequence[Offsets],
    config: FinetuneConfig,
    run: Run,
    kept: Path,
    made_of: str,
) -> None:
    """Give the dense lessons.

    First the vision tower, the token embeddings and the first two layers of the language model learn together to see. The other
    layers then begin as copies of the second ("progressive stacking", Gong et al. 2019, PMLR 97:2337), and the third learns to
    look and to foresee while all that was learned before is learned on. At last, in rounds with a schedule each ("warm restarts",
    Loshchilov and Hutter 2017, arXiv 1608.03983), how things move counts beside where they are, and the fourth learns what is
    asked.

    Args:
        vlm: all of whose weights may change.
        moments: what is looked at; all pictures of one size.
        wordings: how marks are asked about.
        offsets_s: how frames follow each other in questions.
        config: `dense_pretraining` and seed.
        run: where losses go.
        kept: file that a run which was killed goes on from.
        made_of: digest of what is learned from and on.

    Raises:
        ConfigError: the model is of another kind, or writes a digit in several tokens, or `kept` is of another run.
        ModelError: a loss is not finite.
    """
    settings = config.dense_pretraining
    torch.manual_seed(config.seed)  # for the heads
    lessons = DenseLessons(vlm, moments[0].images[0], offsets_s, wordings)
    progress = Progress.of(kept, lessons.learned(), config, made_of)
    looked = settings.steps + settings.look_steps
    _give(lessons, moments, config, run, progress, SEE, range(settings.steps), range(looked))
    if progress.step <= settings.steps:
        lessons.copy_layers()
    _give(lessons, moments, config, run, progress, LOOK, range(settings.steps, looked), range(looked))
    for number in range(settings.move_rounds):
        moved = range(looked + number * settings.move_steps, looked + (number + 1) * settings.move_steps)
        _give(lessons, moments, config, run, progress, MOVE, moved, moved)


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
        self.processor = vlm.processor
        self.wordings = {
            name: list(own) for name, own in itertools.groupby(sorted(wordings, key=_type_of), key=_type_of)
        }
        self.visual, self.language = part_named(vlm.model, "visual"), part_named(vlm.model, "language_model")
        self.embeddings = vlm.model.get_input_embeddings()
        self.digits = digit_ids(vlm.processor)
        self.prefixes = [FramesPrefix.of(vlm.processor, image, offsets) for offsets in offsets_s]
        digits = self.embeddings.weight[self.digits]
        width = digits.shape[1]
        self.tower, self.place, self.number = TowerHead(digits), PlaceHead(width), NumberHead(width)
        self.foresight, self.asked = ForesightHead(width), AskedHead(width, len(self.wordings))
        heads = [self.tower, self.place, self.number, self.foresight, self.asked]
        self.heads = torch.nn.ModuleList(heads).to(vlm.device)

    def learned(self) -> torch.nn.ModuleDict:
        """All that the lessons may change, as one."""
        parts = {"visual": self.visual, "language": self.language, "heads": self.heads}
        return torch.nn.ModuleDict(parts)

    def trained(self, lesson: str) -> Trained:
        """What a lesson trains, by name."""
        count = TRAINED_LAYERS[lesson]
        layers, heads = self.language.layers[:count], self.heads[: count + 1]
        parts = {"visual": self.visual, "embed_tokens": self.embeddings, "layers": layers, "heads": heads}
        return [(f"{part}.{name}", one) for part, module in parts.items() for name, one in module.named_parameters()]

    def copy_layers(self) -> None:
        """Make the third layer and all behind it copies of the second."""
        for layer in self.language.layers[2:]:
            layer.load_state_dict(self.language.layers[1].state_dict())

    def loss(self, batch: Sequence[MarkedMoment], rng: np.random.Generator, lesson: str) -> torch.Tensor:
        """Of a lesson and all before it."""
        cells, cells_high, cells_wide = self._cells(batch)
        prefix = self._prefix(len(batch[0].images), rng)
        shown = [moment.shown(frame) for moment in batch for frame in range(prefix.frames)]
        true = cell_targets(shown, cells_high, cells_wide).to(cells.device)
        loss = tower_loss(self.tower(cells), true)
        of_moments = cells.reshape(len(batch), -1, cells.shape[-1])
        packed = every_number(prefix, self.digits)
        shift = torch.zeros(len(batch), len(packed.input_ids), dtype=torch.long)
        shift[:, -NUMBERS:] = torch.from_numpy(rng.integers(0, FARTHEST + 1, (len(batch), NUMBERS)))
        rows = rows_behind(prefix, [packed] * len(batch), of_moments, self.embeddings, shift)
        first = after_layers(self.language, rows, rows.embedded, FIRST)
        heard = first[:, : len(prefix.ids)][:, prefix.is_cell].reshape(cells.shape)
        loss = loss + place_loss(self.place(heard.float()), true)
        second = after_layers(self.language, rows, first, SECOND)[:, -NUMBERS:]
        reading, places = self.number(second.float()), number_targets(batch).to(cells.device)
        loss = loss + number_loss(reading, places)
        if lesson == MOVE:
            loss = loss + change_loss(reading[..., PLACE], places[..., PLACE], now=-1)
        return loss if lesson == SEE else loss + self._look_loss(batch, prefix, of_moments, rng, lesson)

    def _look_loss(
        self, batch: Sequence[MarkedMoment], prefix: FramesPrefix, cells: Float[torch.Tensor, "moments cells width"],
        rng: np.random.Generator, lesson: str,
    ) -> torch.Tensor:  # fmt: skip
        named = name_marks(batch, self.wordings, prefix, self.digits, rng)
        rows = rows_behind(prefix, named.texts, cells, self.embeddings)
        third = after_layers(self.language, rows, rows.embedded, slice(0, THIRD.stop))
        at = named.moment.to(third.device), named.token.to(third.device)
        digits = self.embeddings.weight[self.digits].detach().float()
        loss = look_loss(third[at].float(), self.foresight, digits, named)
        if lesson != MOVE:
            return loss
        foreseen = self.foresight(third[at].float())[..., :2]
        loss = loss + change_loss(foreseen, named.foreseen[..., :2].to(third.device), now=0)
        fourth = after_layers(self.language, rows, third, FOURTH)
        return loss + asked_loss(fourth[at].float(), self.asked, named)

    def _cells(self, batch: Sequence[MarkedMoment]) -> tuple[Float[torch.Tensor, "pictures cells width"], int, int]:
        """What the vision tower makes of each picture, and how many cells are above and beside each other."""
        images = [image for moment in batch for image in moment.images]
        inputs = self.processor.images(images).inputs
        grid, device = inputs["image_grid_thw"], self.embeddings.weight.device
        output = self.visual(inputs["pixel_values"].to(device), grid_thw=grid.to(device))
        cells_high, cells_wide = (int(value) // self.processor.merge_size for value in grid[0, 1:])
        return output.pooler_output.float().unflatten(0, (len(images), -1)), cells_high, cells_wide

    def _prefix(self, frames: int, rng: np.random.Generator) -> FramesPrefix:
        fitting = [prefix for prefix in self.prefixes if prefix.frames == frames]
        return fitting[int(rng.integers(len(fitting)))]


def part_named(model: Any, name: str) -> Any:
    """A part of a model, whatever is around it.

    Raises:
        ConfigError: it has none of this name, so it is not of Qwen's kind.
    """
    for path, module in model.named_modules():
        if path.rpartition(".")[2] == name:
            return module
    raise ConfigError("dense_pretraining knows Qwen's models alone: set dense_pretraining.steps=0")


def _type_of(wording: Wording) -> str:
    return wording.type


def _give(
    lessons: DenseLessons, moments: Sequence[Moment], config: FinetuneConfig, run: Run, progress: Progress,
    lesson: str, steps: range, schedule: range,
) -> None:  # fmt: skip
    settings, trained = config.dense_pretraining, lessons.trained(lesson)
    optimizer = MuonWithAdamW(
        trained,
        learning_rate=settings.learning_rate,
        muon_learning_rate=settings.muon_learning_rate,
        weight_decay=settings.weight_decay,
    )
    peaks = [PEAKS[lesson] * group["lr"] for group in optimizer.param_groups]
    name = f"{lesson} from {schedule.start}"
    progress.restore(optimizer, name)
    for step in range(max(progress.step, steps.start) + 1, steps.stop + 1):
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * _rate(step - 1 - schedule.start, len(schedule))
        rng = np.random.default_rng([config.seed, step])
        batch = draw_batch(moments, pictures=settings.batch_size, most_marks=settings.most_marks, rng=rng)
        loss = lessons.loss(batch, rng, lesson)
        if not torch.isfinite(loss):
            raise ModelError(f"step {step} of the dense lesson to {lesson} has a loss of {loss.item()}: {SLOWER}")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_([parameter for _, parameter in trained], config.max_grad_norm)
        optimizer.step()
        progress.step = step
        if step % config.log_steps == 0:
            run.log_metrics({f"dense/{lesson}": loss.item()}, step=step)
            logger.info("dense lesson to %s, step %d/%d  loss %.4f", lesson, step, schedule.stop, loss.item())
        if step % config.checkpoint_steps == 0:
            progress.keep(optimizer, name)


def _rate(step: int, steps: int) -> float:
    """Learning rate as a share of its peak: 2 % rising, then a cosine to 0."""
    rising = max(1, round(0.02 * steps))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))
