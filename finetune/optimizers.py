"""The optimizer: each part of the model has its own learning rate, and norms and biases are not pulled towards zero.

Language, vision and projector learn at rates that differ by a factor of 25 in the recipe of STRIDE-QA (arXiv 2508.10427): a
vision tower that has seen billions of images is moved least. Under Muon the parts keep the ratio of their rates.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch

from drive_vqa.errors import ModelError
from drive_vqa.vlm import FAMILIES, PARTS, Family, Part
from finetune.adapter import rates_of
from finetune.config import FinetuneConfig
from finetune.muon import ADAMW_BETAS, JoinedOptimizers, Muon, is_matrix

Named = tuple[str, torch.nn.Parameter]
Group = dict[str, Any]

BETAS = (0.9, 0.999)
"""AdamW alone, as transformers has it."""

_UNDECAYED = re.compile(r"(.*\.)?(bias|[^.]*norm[^.]*\.weight|ln_q\.weight)")
"""By name and not by shape, because sharded parameters may be flat."""


def build_optimizer(model: Any, config: FinetuneConfig) -> torch.optim.Optimizer:
    """The optimizer that a recipe asks for, over the trainable parameters of a model.

    Its groups carry a `name` (the part, and what is special about it) beside `lr` and `weight_decay`.

    Args:
        model: what `finetune.adapter.prepare` gave; wrappers for several devices may be around it.
        config: optimizer, learning rates, weight decay.

    Raises:
        ModelError: the model is of no known family, or nothing of it is trained.
    """
    family = _family(model)
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    if not named:
        raise ModelError("nothing of the model is trained: set a learning rate")
    if config.optimizer == "adamw":
        return _adamw(_groups(named, family, config, rates_of(config.learning_rates), ""), BETAS)
    matrices = [pair for pair in named if is_matrix(*pair)]
    rest = [pair for pair in named if not is_matrix(*pair)]
    parts: list[torch.optim.Optimizer] = []
    if matrices:
        groups = _groups(matrices, family, config, muon_rates(config), "/muon")
        parts.append(Muon(groups, config.muon_learning_rate, config.weight_decay))
    if rest:
        parts.append(_adamw(_groups(rest, family, config, rates_of(config.learning_rates), ""), ADAMW_BETAS))
    return JoinedOptimizers(parts)


def muon_rates(config: FinetuneConfig) -> dict[Part, float]:
    """Muon's peak learning rates: `muon_learning_rate` for language, and for other parts in the ratio of their rates to it.

    Without language, the part of the highest rate takes its place.
    """
    rates = rates_of(config.learning_rates)
    reference = rates.get("language", max(rates.values()))
    return {part: config.muon_learning_rate * rate / reference for part, rate in rates.items()}


def describe_groups(optimizer: torch.optim.Optimizer) -> list[str]:
    """A line for each group: what is trained, and how fast at the peak."""
    return [
        f"{group['name']}: {sum(parameter.numel() for parameter in group['params']):,} parameters in {len(group['params'])} "
        f"tensors, learning rate {group.get('initial_lr', group['lr']):g}, weight decay {group['weight_decay']:g}"
        for group in optimizer.param_groups
    ]


def is_decayed(name: str) -> bool:
    """Whether weight decay is for a parameter: not for norms and biases, which have no reason to be small."""
    return not _UNDECAYED.fullmatch(name)


def _groups(
    named: Sequence[Named], family: Family, config: FinetuneConfig, rates: dict[Part, float], suffix: str
) -> list[Group]:
    """One group for each part and kind that there is, in a fixed order: checkpoints hold states by place."""
    members: dict[tuple[Part, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in named:
        members.setdefault((family.part_of(name), is_decayed(name)), []).append(parameter)
    return [
        {
            "params": members[part, decayed],
            "lr": rates[part],
            "weight_decay": config.weight_decay if decayed else 0.0,
            "name": f"{part}{suffix}" if decayed else f"{part}{suffix}/no_decay",
        }
        for part in PARTS
        for decayed in (True, False)
        if (part, decayed) in members
    ]


def _adamw(groups: list[Group], betas: tuple[float, float]) -> torch.optim.AdamW:
    """AdamW; in one kernel where all is on a GPU."""
    on_cuda = all(parameter.is_cuda for group in groups for parameter in group["params"])
    return torch.optim.AdamW(groups, betas=betas, fused=on_cuda)


def _family(model: Any) -> Family:
    """By the model's own word; wrappers for several devices keep it in `module`."""
    bare = model if hasattr(model, "config") else getattr(model, "module", model)
    known = getattr(getattr(bare, "config", None), "model_type", None)
    if known not in FAMILIES:
        raise ModelError(f"a model of family {known!r} is not known")
    return FAMILIES[known]
