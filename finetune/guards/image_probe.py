"""Does the loss look at the images? A few fixed lessons, scored with their own images, with another lesson's and with none.

A model that has learned to answer from the wording alone has the loss of a good one, and only this shows it: with the images of
another lesson its loss stays what it was. Two different things are told apart:

- the images do not reach the loss at all: no lesson's loss changes, with swapped or with blank images. This is a fault of
  the wiring and is certain at any step, for random weights too, since any change of the input changes the output of any
  network that reads it;
- the images reach the loss but do not help: the right ones lower it by less than `HELPS`, the uncertainty over lessons
  included. Before anything is learned this is as it should be (a fresh LoRA adds nothing, and a random model knows
  nothing), so it is a fault only once the learning rate has risen.

Questions that need no image (text-only, or answered by what is usual) dilute the ratio; a recipe of such questions alone is
warned about, and rightly: nothing in it teaches the model to look.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from drive_vqa.errors import ConfigError
from finetune.guards.batch_images import Batch, blank_images, swappable, with_images_of
from finetune.guards.undisturbed import undisturbed
from finetune.loss import answer_loss

SWAPPED = "probe/swapped_image_loss_ratio"
BLANK = "probe/blank_image_loss_ratio"
HELPS = 0.01
"""Right images that help lower the loss by at least this part of it."""
LESSONS = 8
"""Scored three times at each look, forward only: 24 lessons, where 200 steps of 8 rows take 1,600 forward and backward."""
REACHES = 1e-6
"""A relative change of the loss below this is none: eight times the resolution of a 32-bit float."""


@dataclass(frozen=True)
class ProbeResult:
    """Mean answer loss a token, in nats, of each lesson.

    Attributes:
        right: with its own images.
        swapped: with those of another lesson; None where no other has images of the same shape.
        blank: with images of one mean colour.
    """

    right: tuple[float, ...]
    swapped: tuple[float | None, ...]
    blank: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.right or not len(self.right) == len(self.swapped) == len(self.blank):
            raise ValueError("a probe needs at least one lesson, and three losses of each")

    def metrics(self) -> dict[str, float]:
        """What to log: the loss, both ratios with their standard errors over lessons; what cannot be told is left out."""
        metrics = {"probe/loss": sum(self.right) / len(self.right)}
        for name, pairs in ((SWAPPED, self._swapped_pairs()), (BLANK, self._blank_pairs())):
            if pairs:
                ratio, error = ratio_of_means(pairs)
                metrics |= {name: ratio, f"{name}_se": error}
        return {name: value for name, value in metrics.items() if math.isfinite(value)}

    def complaint(self, *, learned: bool) -> str | None:
        """One sentence where the loss ignores the images, else None.

        Args:
            learned: the learning rate has reached its peak; before, a loss that gains nothing from the images is no fault.
        """
        every = [*self._swapped_pairs(), *self._blank_pairs()]
        if all(abs(other - right) <= REACHES * abs(right) for right, other in every):
            return (
                f"the images do not reach the loss: with other images and with blank ones it is the same in all "
                f"{len(self.right)} probed lessons, so check the image placeholders, the vision tower and the projector"
            )
        pairs = self._swapped_pairs() or self._blank_pairs()
        ratio, error = ratio_of_means(pairs)
        if not learned or not math.isfinite(error) or ratio + 2 * error >= 1 + HELPS:
            return None
        what = "another lesson's" if self._swapped_pairs() else "blank"
        return (
            f"the loss ignores the images: with {what} images it is {ratio:.3f} ± {2 * error:.3f} times that with the right ones "
            f"({len(pairs)} lessons); early in a training from random weights this is normal, else train the projector or the "
            "vision tower, or check that the questions need the images"
        )

    def _swapped_pairs(self) -> list[tuple[float, float]]:
        pairs = zip(self.right, self.swapped, strict=True)
        return [(right, other) for right, other in pairs if other is not None]

    def _blank_pairs(self) -> list[tuple[float, float]]:
        return list(zip(self.right, self.blank, strict=True))


class ImageProbe:
    """A fixed set of lessons to probe with."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        """Pair each lesson with another whose images have the same shape and differ.

        Args:
            batches: of one lesson each, as the collator makes them; kept where they are.

        Raises:
            ConfigError: no two lessons can swap their images.
        """
        self._batches = tuple(batches)
        self._partners = tuple(_partner(self._batches, index) for index in range(len(batches)))
        if all(partner is None for partner in self._partners):
            raise ConfigError(
                f"no two of the {len(batches)} lessons for the image probe have images of the same shape to swap: "
                "set probe_steps=0, or learn from more groups"
            )

    def measure(self, model: torch.nn.Module, device: torch.device) -> ProbeResult:
        """Score all lessons; see `undisturbed` for what the model keeps of it.

        Under DDP and FSDP all processes must call this at the same step, with the same lessons.

        Args:
            model: as it is trained.
            device: of the model.
        """
        with undisturbed(model):
            losses = list(self._losses(model, device))
        right, swapped, blank = zip(*losses, strict=True)
        return ProbeResult(right, swapped, blank)

    def _losses(self, model: torch.nn.Module, device: torch.device) -> Iterator[tuple[float, float | None, float]]:
        def score(batch: Batch) -> float:
            total, count = answer_loss(model, {name: value.to(device) for name, value in batch.items()})
            return (total / count).item()

        for batch, partner in zip(self._batches, self._partners, strict=True):
            swapped = None if partner is None else score(with_images_of(batch, self._batches[partner]))
            yield score(batch), swapped, score(blank_images(batch))


def ratio_of_means(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Mean of the second over mean of the first, and its standard error; NaN for a single pair.

    The error is the jackknife's over lessons, since the losses of a pair belong together (Efron, The Jackknife, 1982, chapter 3).
    """
    first, second = (sum(values) for values in zip(*pairs, strict=True))
    tiny = 1e-12  # a loss of 0 is learned by heart
    ratio = second / max(first, tiny)
    if len(pairs) < 2:
        return ratio, math.nan
    without = [(second - other) / max(first - right, tiny) for right, other in pairs]
    mean = sum(without) / len(without)
    spread = sum((value - mean) ** 2 for value in without) * (len(without) - 1) / len(without)
    return ratio, math.sqrt(spread)


def _partner(batches: Sequence[Batch], index: int) -> int | None:
    """The next lesson, going round, with images of the same shape that are not the same images."""
    own = batches[index]
    for step in range(1, len(batches)):
        other = (index + step) % len(batches)
        if swappable(own, batches[other]):
            return other
    return None


def spread_lessons(total: int) -> list[int]:
    """Numbers of LESSONS lessons, or of all, evenly spread over a data set: neighbours may show the same group."""
    chosen = min(LESSONS, total)
    return [total * index // chosen for index in range(chosen)]
