"""Guards of weights: what is trained, and what is not."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from drive_vqa.errors import ConfigError, ModelError
from drive_vqa.vlm import Vlm
from finetune.adapter import prepare
from finetune.config import FinetuneConfig, LearningRates
from finetune.guards.frozen import check_frozen, record_frozen
from finetune.guards.trained import check_gradients_arrive, check_trained_modules, listed_modules, trained_modules
from finetune.loss import answer_loss
from tests.finetune.guards.painted_lessons import ALL_PARTS, LANGUAGE_ONLY, LESSONS, collator_of
from tests.finetune.tiny_families import TINY_TYPES


@pytest.fixture
def one_process() -> Iterator[None]:
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("config", [LANGUAGE_ONLY, ALL_PARTS], ids=["language", "all"])
@pytest.mark.parametrize("kind", TINY_TYPES)
def test_lora_touches_exactly_the_listed_modules(families: dict[str, Vlm], kind: str, config: FinetuneConfig) -> None:
    """Against lists made from the architecture, not from the regular expressions."""
    vlm = Vlm(copy.deepcopy(families[kind].model), families[kind].processor)
    before = {name: value.clone() for name, value in vlm.model.state_dict().items()}
    linears = {name for name, module in vlm.model.named_modules() if isinstance(module, torch.nn.Linear)} - {"lm_head"}
    language = {name for name in linears if ".language_model." in name or ".text_model." in name}
    wanted = language if config is LANGUAGE_ONLY else linears
    listed = listed_modules(vlm.model, vlm.family, config)
    model = prepare(vlm.model, vlm.family, config, Path("x"))
    check_trained_modules(model, listed)
    assert trained_modules(model) == listed == wanted
    record = record_frozen(model)
    _step(model, collator_of(vlm.processor)([(LESSONS[0],)]))
    check_frozen(model, record, 1)
    after = {name.replace(".base_layer", ""): value for name, value in model.get_base_model().state_dict().items()}
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    moved = {name for name, value in after.items() if ".lora_B." in name and value.abs().sum() > 0}
    assert len(moved) == len(wanted - _unheard(model, wanted))


def test_full_tuning_and_saved_modules_are_listed(fresh: Vlm) -> None:
    vlm = Vlm(copy.deepcopy(fresh.model), fresh.processor)
    saved = replace(LANGUAGE_ONLY.lora, modules_to_save=("patch_embed", "self_attn", "embed_tokens"))
    whole = replace(LANGUAGE_ONLY, lora=saved, learning_rates=LearningRates(language=1e-3, vision=1e-3))
    listed = listed_modules(vlm.model, vlm.family, whole)
    assert {
        "model.visual.patch_embed",
        "model.language_model.embed_tokens",
        "model.language_model.layers.1.self_attn",
    } < listed
    assert not any(".self_attn." in name for name in listed), "the copy stands for what is in it"
    check_trained_modules(prepare(vlm.model, vlm.family, whole, Path("x")), listed)
    full = replace(LANGUAGE_ONLY, method="full")
    other = Vlm(copy.deepcopy(fresh.model), fresh.processor)
    listed = listed_modules(other.model, other.family, full)
    model = prepare(other.model, other.family, full, Path("x"))
    check_trained_modules(model, listed)
    model.model.visual.patch_embed.proj.weight.requires_grad_(True)
    with pytest.raises(ModelError, match=r"model\.visual\.patch_embed\.proj is trained unasked"):
        check_trained_modules(model, listed)


def test_modules_out_of_the_list_are_named(adapted: Any, fresh: Vlm) -> None:
    listed = listed_modules(fresh.model, fresh.family, LANGUAGE_ONLY)
    check_trained_modules(adapted, listed)
    norm = next(name for name, _ in adapted.named_parameters() if name.endswith("language_model.norm.weight"))
    adapted.get_parameter(norm).requires_grad_(True)
    with pytest.raises(ModelError, match=r"^model\.language_model\.norm is trained unasked \(1 modules\)"):
        check_trained_modules(adapted, listed)
    adapted.get_parameter(norm).requires_grad_(False)
    for name, parameter in adapted.named_parameters():
        if ".layers.1.mlp.up_proj.lora" in name:
            parameter.requires_grad_(False)
    with pytest.raises(ModelError, match=r"layers\.1\.mlp\.up_proj is to be trained and is not \(1 of 14"):
        check_trained_modules(adapted, listed)
    with pytest.raises(ConfigError, match="names no module"):
        check_trained_modules(adapted, [])


@pytest.mark.parametrize(
    "name", ["visual.blocks.0.attn.qkv.weight", "layers.0.self_attn.q_proj.base_layer.weight", "inv_freq"]
)
def test_a_nudged_frozen_tensor_is_refused(adapted: Any, name: str) -> None:
    record = record_frozen(adapted)
    check_frozen(adapted, record, 5)
    tensors = dict([*adapted.named_parameters(), *adapted.named_buffers()])
    found = next(tensor for full, tensor in tensors.items() if full.endswith(name))
    with torch.no_grad():
        found.mul_(1 + 2e-7 if found.dtype == torch.float32 and found.numel() > 100 else 1.01)
    with pytest.raises(ModelError, match=rf"after step 5 the frozen \S*{name} is not what it was \(alone\)"):
        check_frozen(adapted, record, 5)


def test_weight_decay_on_frozen_weights_is_refused(adapted: Any, batches: list[Any]) -> None:
    """An optimizer over all parameters leaves those without a gradient, but a loop that decays by hand does not."""
    record = record_frozen(adapted)
    digest = record.digest
    _step(adapted, batches[0])
    assert record_frozen(adapted).digest == digest, "the adapter alone has moved"
    with torch.no_grad():
        for parameter in adapted.parameters():
            parameter.mul_(0.999)
    with pytest.raises(ModelError, match=r"and \d+ more"):
        check_frozen(adapted, record, 1)
    assert record_frozen(adapted).digest != digest


def test_thawing_during_training_is_refused(adapted: Any) -> None:
    record = record_frozen(adapted)
    next(parameter for parameter in adapted.parameters() if not parameter.requires_grad).requires_grad_(True)
    with pytest.raises(ModelError, match="no longer frozen"):
        check_frozen(adapted, record, 1)


def test_checksums_take_other_types_and_large_tensors() -> None:
    for dtype in (torch.bfloat16, torch.float16, torch.uint8, torch.bool):
        module = torch.nn.Module()
        module.register_buffer("large", torch.zeros(300, 301).to(dtype))
        module.register_buffer("empty", torch.zeros(0).to(dtype))
        module.register_buffer("scalar", torch.tensor(1).to(dtype))
        record = record_frozen(module)
        check_frozen(module, record, 1)
        module.large.logical_not_()
        with pytest.raises(ModelError, match="frozen large"):
            check_frozen(module, record, 1)


def test_wrapped_for_several_processes_it_is_the_same_model(adapted: Any, fresh: Vlm, one_process: None) -> None:
    record = record_frozen(adapted)
    wrapped = torch.nn.parallel.DistributedDataParallel(adapted)
    check_frozen(wrapped, record, 1)
    check_trained_modules(wrapped, listed_modules(fresh.model, fresh.family, LANGUAGE_ONLY))


def test_gradients_arrive(adapted: Any, batches: list[Any]) -> None:
    answer_loss(adapted, batches[0])[0].backward()
    check_gradients_arrive(adapted)


def test_a_dead_adapter_is_refused(fresh: Vlm, batches: list[Any]) -> None:
    """LoRA on a layer that no forward pass goes through, and on a vision tower that nothing listens to."""
    model = copy.deepcopy(fresh.model)
    model.model.language_model.layers[0].mlp.spare_proj = torch.nn.Linear(64, 64)
    targets = r".*(mlp\.spare_proj|q_proj)"
    spare = prepare(
        model, fresh.family, replace(LANGUAGE_ONLY, lora=replace(LANGUAGE_ONLY.lora, targets=targets)), Path("x")
    )
    answer_loss(spare, batches[0])[0].backward()
    with pytest.raises(ModelError, match=r"spare_proj\.lora_A\.default\.weight got no gradient \(2 of 6"):
        check_gradients_arrive(spare)
    deaf = copy.deepcopy(fresh.model)
    with torch.no_grad():
        for parameter in deaf.model.visual.merger.parameters():
            parameter.zero_()
    rates = LearningRates(language=1e-3, vision=1e-3)
    deaf = prepare(deaf, fresh.family, replace(LANGUAGE_ONLY, learning_rates=rates), Path("x"))
    answer_loss(deaf, batches[0])[0].backward()
    with pytest.raises(ModelError, match=r"visual\.blocks\.0\.\S+ got a gradient of zeros only"):
        check_gradients_arrive(deaf)


def _unheard(model: Any, modules: set[str]) -> set[str]:
    """Qwen3-VL adds the n-th deep image features behind the n-th language layer: behind the last one, no answer sees them."""
    last = model.config.get_text_config().num_hidden_layers - 1
    return {name for name in modules if f"deepstack_merger_list.{last}." in name}


def _step(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    answer_loss(model, batch)[0].backward()
    optimizer.step()
