"""Looking at a model in the middle of training without leaving a trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def undisturbed(model: torch.nn.Module) -> Iterator[None]:
    """No dropout, no gradients and no random number used inside; every module's mode is put back after.

    A run that looks at itself so gives, step for step, the losses of one that does not.
    """
    modes = [(module, module.training) for module in model.modules()]
    devices = {parameter.device for parameter in model.parameters() if parameter.device.type == "cuda"}
    model.eval()
    try:
        with torch.random.fork_rng(devices=sorted(device.index for device in devices)), torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
