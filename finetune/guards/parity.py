"""Packed rows are worth what the plain model says: a few questions both ways, before training.

Packing rests on masks and positions that we make and a library that obeys them. Whether it does depends on the family, the
attention implementation and the library's version: an implementation that drops a mask trains on answers that it can see, and
nothing else shows it. So each of a few questions is scored in its packed row and by the library alone: one sequence, no mask and
no positions of ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from drive_vqa.errors import ModelError
from drive_vqa.vlm import ChatProcessor
from finetune.dataset import ShownLesson
from finetune.guards.batch_images import Batch, image_tensors
from finetune.guards.undisturbed import undisturbed
from finetune.loss import answer_loss
from finetune.packing import IGNORED

Collate = Callable[[Sequence[tuple[ShownLesson, ...]]], Batch]

TOLERANCE = {torch.float32: 5e-4, torch.float16: 3e-2, torch.bfloat16: 2e-1}
"""Nats an answer token. The two ways add the same numbers in another order: random models of two to four layers were 1e-6 apart
in float32 and 4e-3 in bfloat16, where a leak moved the loss by 0.2 or more and positions off by one by 3e-3 or more. In a large
model logits near 30 are written in steps of 0.125 in bfloat16, so there this sees leaks and not small shifts of positions."""


@dataclass(frozen=True)
class Parity:
    """Mean loss an answer token of each question, in nats.

    Attributes:
        packed: in its row, behind our masks and positions.
        plain: alone, by the library's own.
        tolerance: greatest difference that rounding explains.
    """

    packed: tuple[float, ...]
    plain: tuple[float, ...]
    tolerance: float

    def __post_init__(self) -> None:
        if not self.packed or len(self.packed) != len(self.plain):
            raise ValueError("parity needs at least one question, and two losses of each")

    @property
    def difference(self) -> float:
        """The greatest of all questions; NaN where a loss is."""
        return max((abs(one - other) for one, other in zip(self.packed, self.plain, strict=True)), key=_nan_last)


def check_parity(
    model: torch.nn.Module,
    processor: ChatProcessor,
    collate: Collate,
    row: Sequence[ShownLesson],
    device: torch.device,
    questions: int = 3,
) -> Parity:
    """Score a few questions of a row both ways; see `undisturbed` for what the model keeps of it.

    It costs two forward passes a question. Under FSDP all processes must call it, with the same row.

    Args:
        model: with its adapter.
        processor: of the model.
        collate: lessons of rows → batch, packing.
        row: lessons that are packed into one row.
        device: of the model.
        questions: so many, spread over the row; the last one, which has most to see that it should not, is always among them.

    Raises:
        ModelError: a question's losses differ by more than rounding.
    """
    together = _moved(collate([tuple(row)]), device)
    places = [(lesson, number) for lesson, shown in enumerate(row) for number in range(len(shown.lesson.questions))]
    with undisturbed(model):
        pairs = [
            (
                _packed_loss(model, together, lesson, number + 1),
                _plain_loss(model, processor, collate, row[lesson], number, device),
            )
            for lesson, number in _spread(places, questions)
        ]
    packed, plain = zip(*pairs, strict=True)
    parity = Parity(packed, plain, tolerance_of(model))
    _refuse(parity)
    return parity


def _refuse(parity: Parity) -> None:
    if parity.difference <= parity.tolerance:
        return
    if not all(map(math.isfinite, parity.plain)):
        raise ModelError(
            "before training the model gives a question a loss that is not finite: its weights are damaged, or overflow in this "
            "precision, so copy the checkpoint again or set precision=fp32"
        )
    worst = max(range(len(parity.packed)), key=lambda index: _nan_last(abs(parity.packed[index] - parity.plain[index])))
    raise ModelError(
        f"a question has the loss {parity.packed[worst]:.6f} in its packed row and {parity.plain[worst]:.6f} alone, more than "
        f"{parity.tolerance:g} apart: this version of the library or its attention does not keep packed questions apart, "
        "so set pack=false"
    )


def _packed_loss(model: torch.nn.Module, batch: Batch, lesson: int, segment: int) -> float:
    """Of one question in its row, whose other labels are taken away."""
    own = (batch["lesson"] == lesson) & (batch["segment"] == segment)
    total, count = answer_loss(model, {**batch, "labels": batch["labels"].masked_fill(~own, IGNORED)})
    return (total / count).item()


def _plain_loss(
    model: torch.nn.Module,
    processor: ChatProcessor,
    collate: Collate,
    shown: ShownLesson,
    number: int,
    device: torch.device,
) -> float:
    """Of one question as the library computes it from tokens and images, labels shifted by the library too."""
    alone = replace(shown.lesson, questions=shown.lesson.questions[number : number + 1])
    batch = _moved(collate([(replace(shown, lesson=alone),)]), device)
    inputs = {
        "input_ids": batch["input_ids"],
        "attention_mask": torch.ones_like(batch["input_ids"]),
        **image_tensors(batch),
    }
    if processor.family.typed_tokens:
        inputs["mm_token_type_ids"] = (batch["input_ids"] == processor.image_token_id).int()
    logits = model(**inputs, use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(logits[0, :-1].float(), batch["labels"][0, 1:], ignore_index=IGNORED)
    return loss.item()


def _moved(batch: Batch, device: torch.device) -> Batch:
    return {name: value.to(device) for name, value in batch.items()}


def _spread(places: Sequence[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    """So many places, evenly over all, the last one among them."""
    chosen = min(count, len(places))
    return [places[len(places) * (index + 1) // chosen - 1] for index in range(chosen)]


def tolerance_of(model: torch.nn.Module) -> float:
    """Nats a token that rounding explains: of the coarsest float type among the weights, or of autocast where it is on."""
    types = {parameter.dtype for parameter in model.parameters()}
    if any(not dtype.is_floating_point for dtype in types):
        types.add(torch.bfloat16)  # weights in 4 bits are computed with in bfloat16
    device_type = next(model.parameters()).device.type
    if torch.is_autocast_enabled(device_type):
        types.add(torch.get_autocast_dtype(device_type))
    return max(TOLERANCE.get(dtype, TOLERANCE[torch.float32]) for dtype in types if dtype.is_floating_point)


def _nan_last(value: float) -> float:
    return math.inf if math.isnan(value) else value
