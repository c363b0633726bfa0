"""What is trained is what the recipe names: no module more, none less, and each of them learns."""

from __future__ import annotations

import re
from collections.abc import Iterable

import torch

from drive_vqa.errors import ConfigError, ModelError
from drive_vqa.vlm import Family
from finetune.adapter import full_names, rates_of
from finetune.config import FinetuneConfig

_WRAPPERS = re.compile(r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
_PEFT_PARTS = re.compile(
    r"\.(?:lora_(?:A|B|embedding_A|embedding_B|magnitude_vector)\b.*|modules_to_save\..*|trainable_tokens_delta\b.*)$"
)


def plain_name(name: str) -> str:
    """A parameter's name without the prefixes of DDP, FSDP, torch.compile and recomputation."""
    return _WRAPPERS.sub("", name.removeprefix("module."))


def module_of(parameter: str) -> str:
    """The module of the base model that a parameter belongs to.

    A matrix of LoRA belongs to the layer that it is added to, a parameter of a copy that is trained in full (modules_to_save) to
    the module that was copied, any other to the module that holds it.
    """
    name = plain_name(parameter).removeprefix("base_model.model.")
    adapted = _PEFT_PARTS.sub("", name)
    return adapted if adapted != name else name.rpartition(".")[0]


def trained_modules(model: torch.nn.Module) -> set[str]:
    """Modules of the base model, by name, with a parameter that is trained."""
    return {module_of(name) for name, parameter in model.named_parameters() if parameter.requires_grad}


def listed_modules(base: torch.nn.Module, family: Family, config: FinetuneConfig) -> set[str]:
    """The modules that a recipe names, read from the base model alone: call it before anything is made trainable.

    Args:
        base: without an adapter.
        family: of the model.
        config: a recipe. Under LoRA, what `lora.targets` matches, and the roots of `lora.modules_to_save` in place of what is in
            them; under method full, the modules that hold the weights of the parts with a learning rate.
    """
    if config.method == "full":
        return {module_of(name) for name in full_names(base, family, config)}
    parts = list(rates_of(config.learning_rates))
    pattern = config.lora.targets or "|".join(f"(?:{family.lora_targets[part]})" for part in parts)
    names = [name for name, _ in base.named_modules()]
    roots = {name for name in names if name.rpartition(".")[2] in config.lora.modules_to_save}
    return roots | {name for name in names if re.fullmatch(pattern, name) and not _is_inside(name, roots)}


def check_trained_modules(model: torch.nn.Module, listed: Iterable[str]) -> None:
    """Refuse a model that trains anything but exactly the listed modules.

    Args:
        model: with its adapter, wrapped or not.
        listed: names in the base model: linear layers with LoRA, roots of copies trained in full, or, for full tuning, the
            modules that hold the trained parameters themselves.

    Raises:
        ConfigError: nothing is listed.
        ModelError: a listed module is not trained, or another one is.
    """
    wanted, found = set(listed), trained_modules(model)
    if not wanted:
        raise ConfigError("the recipe names no module to train: give lora.targets that match, or learning_rates")
    for names, what in (
        (sorted(wanted - found), "is to be trained and is not"),
        (sorted(found - wanted), "is trained unasked"),
    ):
        if names:
            count = f"{len(names)} of {len(wanted)} named modules" if what.endswith("not") else f"{len(names)} modules"
            raise ModelError(
                f"{names[0]} {what} ({count}): lora.targets, lora.modules_to_save and the model do not agree"
            )


def check_gradients_arrive(model: torch.nn.Module) -> None:
    """Refuse an adapter that is dead: call it once, after the backward passes of the first step and before the optimizer's.

    The first matrix of LoRA has a gradient of zero at that time, because the second is still zero; the second must have one.

    Raises:
        ModelError: a trained parameter got no gradient, or the second matrix of a LoRA layer only zeros.
    """
    trained = [(plain_name(name), parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    without = [name for name, parameter in trained if parameter.grad is None]
    zero = [name for name, parameter in trained if ".lora_B." in name and _is_zero(parameter.grad)]
    for names, what in ((without, "no gradient"), (zero, "a gradient of zeros only")):
        if names:
            raise ModelError(
                f"in the first step {names[0]} got {what} ({len(names)} of {len(trained)} trained parameters): the loss does not "
                "depend on it, so take it out of lora.targets or lora.modules_to_save"
            )


def _is_inside(name: str, roots: Iterable[str]) -> bool:
    return any(f"{name}.".startswith(f"{root}.") for root in roots)


def _is_zero(gradient: torch.Tensor | None) -> bool:
    if gradient is None or hasattr(gradient, "to_local"):  # a shard of a gradient may be zero
        return False
    return not bool(gradient.any())
