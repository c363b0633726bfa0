"""What must not change does not: checksums of all frozen tensors, before training and after.

A checksum is over at most SAMPLED elements of a tensor, evenly spread; smaller tensors are taken whole. An optimizer, a weight
decay or a broken merge moves all elements of a tensor, so the sample shows it; that one single element of a large tensor was
changed it may miss. A model of 7 billion parameters takes well under a second this way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch

from drive_vqa.errors import ModelError
from finetune.guards.trained import plain_name

SAMPLED = 4096


@dataclass(frozen=True)
class FrozenRecord:
    """Checksums of what must not change, by the tensor's name without wrappers."""

    checksums: Mapping[str, str]

    @property
    def digest(self) -> str:
        """One checksum over all; equal for the same frozen weights, e.g. before and after a resume."""
        lines = "\n".join(f"{name} {checksum}" for name, checksum in sorted(self.checksums.items()))
        return hashlib.blake2b(lines.encode(), digest_size=16).hexdigest()


def record_frozen(model: torch.nn.Module) -> FrozenRecord:
    """Take the checksums of all parameters that need no gradient and of all buffers.

    Call it when everything is in place (adapter added, checkpoint loaded, model wrapped), and compare with the same wrapping:
    under FSDP a process sees its own shards.
    """
    return FrozenRecord({name: _checksum(tensor) for name, tensor in _frozen(model)})


def check_frozen(model: torch.nn.Module, record: FrozenRecord, step: int) -> None:
    """Compare with the record.

    Args:
        model: as it was recorded, or wrapped differently by DDP.
        record: from before training.
        step: optimizer steps so far, for the message.

    Raises:
        ModelError: a frozen tensor has changed, gone or been made trainable.
    """
    now = dict(_frozen(model))
    gone = [name for name in record.checksums if name not in now]
    if gone:
        raise ModelError(
            f"after step {step} {gone[0]} is no longer frozen ({_more(gone)}): something made it trainable during training, "
            "so start again from the base model"
        )
    changed = [name for name, checksum in record.checksums.items() if _checksum(now[name]) != checksum]
    if changed:
        raise ModelError(
            f"after step {step} the frozen {changed[0]} is not what it was ({_more(changed)}): the adapter would not fit its "
            "base model, so start again and look for what writes to frozen weights"
        )


def _frozen(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            yield plain_name(name), parameter
    for name, buffer in model.named_buffers():
        yield plain_name(name), buffer


def _checksum(tensor: torch.Tensor) -> str:
    local = tensor.to_local() if hasattr(tensor, "to_local") else tensor  # a shard under FSDP
    flat = local.detach().reshape(-1)
    step = max(1, -(-flat.numel() // SAMPLED))
    sample = flat[::step].contiguous().cpu()
    content = sample.view(torch.uint8).numpy().tobytes() if sample.numel() else b""
    head = f"{tuple(tensor.shape)} {tensor.dtype}".encode()
    return hashlib.blake2b(head + content, digest_size=8).hexdigest()


def _more(names: list[str]) -> str:
    return "alone" if len(names) == 1 else f"and {len(names) - 1} more"
