"""The weights of a model: whole, from safetensors files, in the precision of the device."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import torch
import transformers
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from drive_vqa.errors import ConfigError, ModelError
from drive_vqa.vlm.family import Family
from drive_vqa.vlm.source import UNUSABLE, one_line, read_config

LENGTH_BYTES = 8
USABLE_DTYPES = frozenset({"F64", "F32", "F16", "BF16", "I64", "BOOL"})
"""Integers are buffers; weights in 8 bits or fewer need a code of their own."""


def torch_device(name: str | None) -> torch.device:
    """The device of that name; by default CUDA where there is one, else the CPU.

    Raises:
        ModelError: there is no such device.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ModelError(f"{name!r} is not a device: use cpu or cuda") from error
    if device.type not in ("cpu", "cuda"):
        raise ModelError(f"{name!r} is not a device that is supported: use cpu or cuda")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ModelError("CUDA was asked for and this machine has none: use --device cpu")
    if device.index is not None and device.type == "cuda" and device.index >= torch.cuda.device_count():
        raise ModelError(f"{name} was asked for and this machine has {torch.cuda.device_count()}: use cuda:0")
    return device


def load_weights(base: Path, family: Family, device: torch.device, *, quantized: bool) -> PreTrainedModel:
    """The model on its device, in evaluation mode: in bfloat16 on CUDA, else in float32.

    Args:
        base: model folder.
        family: of it.
        device: where it goes.
        quantized: the language model in 4 bits (nf4, arXiv 2305.14314); CUDA only.

    Raises:
        ConfigError: 4 bits are asked for where they cannot be had.
        ModelError: weights are missing, damaged or in a type that is not known; the library would fill what is missing at random.
    """
    options = _four_bits(family, device) if quantized else {}
    _check_dtypes(base)
    transformers_logging.disable_progress_bar()  # loading takes a moment and would bury our own lines
    try:
        model, report = getattr(transformers, family.model_class).from_pretrained(
            str(base),
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.bfloat16 if device.type == "cuda" else torch.float32,
            attn_implementation="sdpa",
            output_loading_info=True,
            **options,
        )
    except UNUSABLE as error:
        raise ModelError(
            f"the weights of {base} cannot be loaded ({one_line(error)}): it needs safetensors files"
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(f"{base} lacks {len(missing)} weights, the first is {missing[0]}: copy the whole checkpoint")
    placed = model if quantized else model.to(device)
    return cast(PreTrainedModel, placed.eval())


def _four_bits(family: Family, device: torch.device) -> dict[str, Any]:
    """Options of the library. Vision tower, projector and head stay as they are: they are small and lose most."""
    if device.type != "cuda":
        raise ConfigError("a model in 4 bits needs CUDA: leave out 4 bits, or use a machine with a GPU")
    if find_spec("bitsandbytes") is None:
        raise ConfigError("a model in 4 bits needs bitsandbytes: pip install bitsandbytes, or leave out 4 bits")
    settings = transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=list(family.kept_precise),
    )
    return {"quantization_config": settings, "device_map": {"": device}}


def _check_dtypes(base: Path) -> None:
    """Refuse checkpoints that hold other numbers than their model computes with."""
    if "quantization_config" in read_config(base):
        raise ModelError(f"{base} is quantized already: give the checkpoint with weights in 16 or 32 bits")
    for path in sorted(base.glob("*.safetensors")):
        for name, entry in _header(path).items():
            dtype = entry.get("dtype") if isinstance(entry, dict) else None
            if name != "__metadata__" and dtype not in USABLE_DTYPES:
                raise ModelError(
                    f"{name} in {path} is of type {dtype}: give a checkpoint with weights in 16 or 32 bits"
                )


def _header(path: Path) -> dict[str, Any]:
    """Names, types and shapes of the tensors in a safetensors file."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        if length > path.stat().st_size - LENGTH_BYTES:
            raise ModelError(f"{path} is not a whole safetensors file: copy it again")
        try:
            header = json.loads(file.read(length))
        except ValueError as error:
            raise ModelError(f"{path} is not a safetensors file: copy it again") from error
    if not isinstance(header, dict):
        raise ModelError(f"{path} is not a safetensors file: copy it again")
    return header
