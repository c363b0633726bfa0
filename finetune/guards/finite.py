"""Numbers that are not finite stop the run, and the message says where they were seen first."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch

from drive_vqa.errors import ModelError
from finetune.guards.batch_images import PIXELS
from finetune.guards.trained import plain_name


def check_loss(loss: torch.Tensor, model: torch.nn.Module, batch: dict[str, Any], step: int) -> None:
    """Refuse a loss that is not finite; it costs one wait for the device.

    Args:
        loss: a number.
        model: that made it.
        batch: that it was made of.
        step: the optimizer step that it belongs to, from 1.

    Raises:
        ModelError: NaN or infinite.
    """
    if torch.isfinite(loss).all():
        return
    raise ModelError(f"the loss of step {step} is {loss.item()}: {_cause(model, batch)}")


def check_gradient_norm(norm: torch.Tensor | float, model: torch.nn.Module, step: int) -> None:
    """Refuse gradients that are not finite, before the optimizer spreads them over all weights.

    Args:
        norm: over all gradients, as clipping returns it.
        model: whose gradients they are.
        step: the optimizer step, from 1.

    Raises:
        ModelError: NaN or infinite.
    """
    value = float(norm)
    if math.isfinite(value):
        return
    gradients = ((name, parameter.grad) for name, parameter in model.named_parameters() if parameter.grad is not None)
    first = first_not_finite(gradients)
    what = (
        f"the gradient of {first} is not finite"
        if first
        else "each gradient is finite and their sum is too large for a float"
    )
    raise ModelError(
        f"the gradient norm of step {step} is {value}: {what}; lower learning_rates, or set precision=fp32"
    )


def first_not_finite(tensors: Iterable[tuple[str, torch.Tensor]]) -> str | None:
    """Name of the first tensor that holds a NaN or an infinity, without wrappers' prefixes."""
    for name, tensor in tensors:
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            return plain_name(name)
    return None


def _cause(model: torch.nn.Module, batch: dict[str, Any]) -> str:
    """Why a loss is not finite, and the mend."""
    parameter = first_not_finite((name, parameter.detach()) for name, parameter in model.named_parameters())
    if parameter is not None:
        return f"{parameter} is not finite, so training has diverged; lower learning_rates and resume from an older checkpoint"
    pixels = batch.get(PIXELS)
    if torch.is_tensor(pixels) and first_not_finite([(PIXELS, pixels)]):
        return "the images of the batch are not finite, so look at its frames"
    return "all weights and images are finite, so a layer overflows; set precision=fp32, or lower learning_rates"
