"""Loading a model: weights come from safetensors files only, and no code of a model folder is ever run."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer

from drive_vqa.errors import ModelError
from drive_vqa.vlm.adapter import with_adapter
from drive_vqa.vlm.family import Family
from drive_vqa.vlm.model import Vlm
from drive_vqa.vlm.processor import ChatProcessor
from drive_vqa.vlm.source import UNUSABLE, family_of, model_folder, one_line
from drive_vqa.vlm.tuned import RUN_FILE, TUNED_FILE, Tuned, read_tuned
from drive_vqa.vlm.weights import load_weights, torch_device
from drive_vqa.weights_digest import weights_digest


def load_vlm(
    base: Path | str, adapter: Path | None = None, device: str | None = None, *, quantized: bool = False
) -> Vlm:
    """Load a model folder, with an adapter folder over it where given.

    Args:
        base: local checkpoint (config.json, safetensors weights, tokenizer and preprocessor_config.json), or its name on the
            hub; a folder that exists wins.
        adapter: PEFT adapter folder.
        device: torch device; default: CUDA (in bfloat16) where there is one, else the CPU (in float32).
        quantized: the language model in 4 bits, for training over it.

    Raises:
        ConfigError: there is no such folder, or 4 bits are asked for where they cannot be had.
        ModelError: a folder is of another family, incomplete, or the adapter is of another base.
    """
    place = torch_device(device)
    folder = model_folder(base)
    family = family_of(folder)
    processor = load_processor(folder)
    model: Any = load_weights(folder, family, place, quantized=quantized)
    if adapter is not None:
        model = with_adapter(model, adapter, folder).to(place).eval()
    if not (folder / TUNED_FILE).is_file():
        return Vlm(model, processor)
    tuned = read_tuned(folder / TUNED_FILE)
    return Vlm(model, processor, tuned.image_size_px, tuned.regions, tuned.answer_tokens)


def load_run(run: Path, base: Path | str | None = None, device: str | None = None) -> Vlm:
    """Load what `drive-vqa finetune` left in its output folder: an adapter over its base, or a whole model.

    Args:
        run: holds run.json, and adapter/ or model/.
        base: the base model, where it is no longer where run.json says.
        device: as for `load_vlm`.

    Raises:
        ConfigError: its base is gone.
        ModelError: the run is not complete, or its base is another one.
    """
    tuned = read_tuned(run / RUN_FILE)
    if tuned.whole:
        vlm = load_vlm(run / "model", device=device)
    else:
        vlm = load_vlm(base_of_run(run, tuned, base), run / "adapter", device)
    return Vlm(vlm.model, vlm.processor, tuned.image_size_px, tuned.regions, tuned.answer_tokens)


def base_of_run(run: Path, tuned: Tuned, base: Path | str | None = None) -> Path:
    """The folder of the model that a run's adapter lies over; see `load_run`."""
    recorded = run / tuned.base if (run / tuned.base).exists() else tuned.base  # a folder, or a name on the hub
    folder = model_folder(recorded if base is None else base)
    family_of(folder)  # says what is wrong with a folder that is no model
    if tuned.base_digest is not None and weights_digest(folder) != tuned.base_digest:
        raise ModelError(f"{folder} is not the model that {run} was trained on: give that one as --model")
    return folder


def load_processor(base: Path) -> ChatProcessor:
    """The tokenizer and image processor of a model folder.

    Raises:
        ConfigError: there is no such folder.
        ModelError: they are absent, or do not know the tokens of the family.
    """
    family = family_of(base)
    if not ((base / "tokenizer.json").is_file() or (base / "vocab.json").is_file()):
        raise ModelError(f"{base} has no tokenizer.json: copy the whole checkpoint")
    module, name = family.image_processor
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(base), local_files_only=True, trust_remote_code=False)
        image_processor = getattr(importlib.import_module(module), name).from_pretrained(
            str(base), local_files_only=True
        )
        cell_px = family.cell_px(AutoConfig.from_pretrained(str(base), local_files_only=True, trust_remote_code=False))
    except UNUSABLE as error:
        message = f"{base} has no usable tokenizer and preprocessor_config.json ({one_line(error)}): copy the whole checkpoint"
        raise ModelError(message) from error
    _check_tokenizer(tokenizer, family, base)
    return ChatProcessor(tokenizer, image_processor, family, cell_px)


def _check_tokenizer(tokenizer: Any, family: Family, base: Path) -> None:
    if tokenizer.chat_template is None:
        tokenizer.chat_template = _old_chat_template(base)
    known = tokenizer.get_vocab()
    missing = [token for token in family.named_tokens if token not in known]
    if missing or tokenizer.chat_template is None:
        what = f"token {missing[0]}" if missing else "chat template"
        raise ModelError(f"the tokenizer of {base} has no {what}: use an instruct checkpoint of {family.name}")


def _old_chat_template(base: Path) -> str | None:
    """From chat_template.json, where processors of before 2025 keep it."""
    path = base / "chat_template.json"
    if not path.is_file():
        return None
    try:
        template = json.loads(path.read_text(encoding="utf-8"))["chat_template"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} holds no chat template: copy the checkpoint again") from error
    return template if isinstance(template, str) else None
