"""What is trained, and how it is kept: LoRA over a frozen base, the same over a base in four bits, or whole parts of a model.

A model has three parts: language, vision and projector. Those with a learning rate are trained and no others, which is checked
after everything is set up, so that no setting freezes or frees anything unseen.

All that is trained is held in float32, whatever the base is in: in bfloat16 an update of less than 0.4 % of a weight is lost in
rounding, and at the learning rates of fine-tuning nearly all are. Under bf16 autocast (the default on CUDA) products are made in
bf16 all the same, so this costs memory for the trained weights only: 2 more bytes for each.
"""

from __future__ import annotations

import os
import re
import shutil
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training

from drive_vqa.errors import ConfigError
from drive_vqa.vlm import PARTS, ChatProcessor, Family, Part, without_library_deprecations
from finetune.config import FinetuneConfig, LearningRates, LoraSettings

ADAPTER, MODEL = "adapter", "model"
"""Where a run keeps what it trained: an adapter, or under method full a whole model."""


def rates_of(rates: LearningRates) -> dict[Part, float]:
    """The parts that are trained, each with its peak learning rate."""
    every: dict[Part, float | None] = {
        "language": rates.language,
        "vision": rates.vision,
        "projector": rates.projector,
    }
    return {part: rate for part, rate in every.items() if rate is not None}


def check_method(config: FinetuneConfig) -> None:
    """Refuse what this machine cannot do, before a model is loaded.

    Raises:
        ConfigError: qlora without CUDA or without bitsandbytes.
    """
    if config.method != "qlora":
        return
    if not torch.cuda.is_available():
        raise ConfigError("method=qlora needs a CUDA device, and this machine has none: use method=lora")
    from importlib.util import find_spec

    if find_spec("bitsandbytes") is None:
        raise ConfigError("method=qlora needs bitsandbytes: pip install bitsandbytes, or use method=lora")


def prepare(model: Any, family: Family, config: FinetuneConfig, base: Path) -> Any:
    """Freeze a model and make trainable what the recipe asks for.

    Args:
        model: as loaded; in 4 bits for method qlora. Seed torch before: half of an adapter starts at random.
        family: of the model.
        config: method, learning rates of the parts, adapter.
        base: folder of the model, named in errors.

    Returns:
        An adapter model, or under method full the model itself.

    Raises:
        ConfigError: the settings fit no layer or module of this model, or train something that has no learning rate, or a part
            that has one is not trained.
    """
    check_method(config)
    if config.method == "full":
        _unfreeze(model, family, config, base)
        prepared = model
    else:
        prepared = _with_adapter(_frozen(model, config, base), family, config, base)
    for _, parameter in _trainable(prepared):
        parameter.data = parameter.data.float()
    _check_parts(prepared, family, config, base)
    return prepared


def trainable_names(model: Any) -> list[str]:
    """Names of the parameters that training changes."""
    return [name for name, _ in _trainable(model)]


def count_trainable(model: Any) -> int:
    """Parameters that training changes; tied ones count once."""
    return sum(parameter.numel() for _, parameter in _trainable(model))


def save_trained(
    model: Any, processor: ChatProcessor, run: Path, base_name: str, weights: Mapping[str, torch.Tensor] | None = None
) -> Path:
    """Put what was trained into a run folder: RUN/adapter, or RUN/model under method full.

    Args:
        model: unwrapped; what `prepare` gave.
        processor: of the model.
        run: the run folder.
        base_name: what the base is called, without a path.
        weights: of the whole model, where this process holds only a share of them (FSDP): gathered by the caller.

    Returns:
        The folder written.
    """
    if isinstance(model, PeftModel):
        save_adapter(model, run / ADAPTER, base_name, weights)
        return run / ADAPTER
    save_model(model, processor, run / MODEL, weights)
    return run / MODEL


def save_adapter(
    model: PeftModel, out: Path, base_name: str, weights: Mapping[str, torch.Tensor] | None = None
) -> None:
    """Write an adapter folder, complete or not at all; one that is there is replaced.

    Args:
        model: with the adapter.
        out: folder.
        base_name: what the adapter's config says about its base: a name and no path, since folders are shared.
        weights: as for `save_trained`.
    """
    with replacing_folder(out) as partial:
        model.peft_config["default"].base_model_name_or_path = base_name
        given = {} if weights is None else {"state_dict": dict(weights)}
        model.save_pretrained(
            str(partial),
            save_embedding_layers=False,  # saved already where they were trained
            **given,
        )
        (partial / "README.md").unlink(missing_ok=True)  # the library's model card is an empty form


def save_model(
    model: Any, processor: ChatProcessor, out: Path, weights: Mapping[str, torch.Tensor] | None = None
) -> None:
    """Write a checkpoint folder as any other, complete or not at all; one that is there is replaced.

    Weights are written in the type that the base was loaded in.
    """
    dtype = loaded_dtype(model)
    weights = {
        name: value.to(dtype) if value.is_floating_point() else value for name, value in model.state_dict().items()
    }
    with replacing_folder(out) as partial:
        model.save_pretrained(str(partial), state_dict=weights)
        processor.save(partial)


def loaded_dtype(model: Any) -> torch.dtype:
    """The type of a model's weights as it was loaded, whatever training has made of some of them."""
    known = model.config.dtype
    return known if isinstance(known, torch.dtype) else torch.float32


@contextmanager
def replacing_folder(out: Path) -> Iterator[Path]:
    """A temporary folder beside `out` that takes its place when the block ends well, and is removed otherwise."""
    partial = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    shutil.rmtree(partial, ignore_errors=True)  # of a killed process of the same number
    partial.mkdir(parents=True)
    try:
        yield partial
        shutil.rmtree(out, ignore_errors=True)
        partial.replace(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _trainable(model: Any) -> list[tuple[str, torch.nn.Parameter]]:
    return [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]


def _frozen(model: Any, config: FinetuneConfig, base: Path) -> Any:
    is_4bit = bool(getattr(model, "is_loaded_in_4bit", False))
    if config.method == "qlora" and not is_4bit:
        raise ConfigError(f"method=qlora got {base.name} in full precision: load it in 4 bits")
    if config.method == "lora" and is_4bit:
        raise ConfigError(f"method=lora got {base.name} in 4 bits: use method=qlora")
    if not is_4bit:
        return model  # peft freezes it
    return prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)  # the trainer sees to that


def full_names(model: Any, family: Family, config: FinetuneConfig) -> set[str]:
    """Names of the parameters that method full trains: of the parts with a learning rate, but for those named in `frozen`."""
    parts = rates_of(config.learning_rates)
    names = [name for name, _ in model.named_parameters() if family.part_of(name) in parts]
    return {name for name in names if config.frozen is None or not re.fullmatch(config.frozen, name)}


def check_frozen_names(model: Any, config: FinetuneConfig, base: Path) -> None:
    """See that `frozen` names something.

    Raises:
        ConfigError: it does not.
    """
    if config.frozen is not None and not any(re.fullmatch(config.frozen, name) for name, _ in model.named_parameters()):
        raise ConfigError(
            f"frozen={config.frozen!r} is the name of no weight of {base.name}: change it or leave it out"
        )


def _unfreeze(model: Any, family: Family, config: FinetuneConfig, base: Path) -> None:
    check_frozen_names(model, config, base)
    trained = full_names(model, family, config)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trained)


def _with_adapter(model: Any, family: Family, config: FinetuneConfig, base: Path) -> PeftModel:
    _check_modules(model, config.lora)
    tied = "embed_tokens" in config.lora.modules_to_save and _has_tied_head(model)
    settings = LoraConfig(
        r=config.lora.rank,
        lora_alpha=config.lora.alpha,
        lora_dropout=config.lora.dropout,
        target_modules=config.lora.targets or _targets(family, config),
        modules_to_save=list(config.lora.modules_to_save) or None,
        ensure_weight_tying=tied,
        task_type="CAUSAL_LM",
    )
    try:
        with without_library_deprecations():
            return get_peft_model(model, settings)
    except (ValueError, re.error) as error:
        message = textwrap.shorten(str(error), 200, placeholder=" …")
        raise ConfigError(f"lora.targets fits no layer of {base.name}: {message}") from error


def _targets(family: Family, config: FinetuneConfig) -> str:
    """All linear layers of the parts that have a learning rate; what modules_to_save holds is left out by peft."""
    return "|".join(f"(?:{family.lora_targets[part]})" for part in rates_of(config.learning_rates))


def _has_tied_head(model: Any) -> bool:
    head = model.get_output_embeddings()
    return head is not None and head.weight is model.get_input_embeddings().weight


def _check_modules(model: Any, settings: LoraSettings) -> None:
    known = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    for module in settings.modules_to_save:
        if module not in known:
            raise ConfigError(f"lora.modules_to_save names {module!r}, which this model does not have")


def _check_parts(model: Any, family: Family, config: FinetuneConfig, base: Path) -> None:
    rates = rates_of(config.learning_rates)
    trained: dict[Part, str] = {}
    for name in trainable_names(model):
        trained.setdefault(family.part_of(name), name)
    for part in PARTS:
        if part in trained and part not in rates:
            raise ConfigError(
                f"{trained[part]} of {base.name} would be trained, but {part} has no learning rate: set "
                f"learning_rates.{part}, or change lora.targets and lora.modules_to_save"
            )
        if part in rates and part not in trained:
            raise ConfigError(
                f"learning_rates.{part} is set, but nothing of that part of {base.name} would be trained: set it to null, "
                "or change lora.targets or frozen"
            )
