"""What is trained, at which rate, and what is kept of it, for every family."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from drive_vqa.errors import ConfigError, ModelError
from drive_vqa.vlm import Vlm, load_vlm
from drive_vqa.weights_digest import weights_digest
from finetune.adapter import check_method, count_trainable, prepare, save_trained, trainable_names
from finetune.config import FinetuneConfig, LearningRates, LoraSettings
from finetune.optimizers import build_optimizer, describe_groups, is_decayed, muon_rates
from tests.finetune.tiny_families import TINY_TYPES, make_tiny_family

STRIDE = LearningRates(language=5e-5, vision=2e-6, projector=1e-5)
LANGUAGE = FinetuneConfig(lora=LoraSettings(rank=2, dropout=0.0))
EVERY_PART = replace(LANGUAGE, learning_rates=STRIDE)
EMBEDDINGS = replace(LANGUAGE, lora=LoraSettings(rank=2, modules_to_save=("embed_tokens",)))

LAYERS = 2
LANGUAGE_LINEARS = 7
OTHER_LINEARS = {
    "qwen2_5_vl": {"vision": LAYERS * 5, "projector": 2},  # attn.qkv, attn.proj, gate, up, down
    "qwen3_vl": {"vision": LAYERS * 4, "projector": 2 + 2 * 2},  # two deep-stack mergers besides
    "idefics3": {"vision": LAYERS * 6, "projector": 1},
    "smolvlm": {"vision": LAYERS * 6, "projector": 1},
}
"""Counted by hand from the sources of the models."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("families")


@pytest.fixture(params=TINY_TYPES)
def folder(folders: Path, request: pytest.FixtureRequest) -> Path:
    return _folder(folders, request.param)


@pytest.fixture
def qwen(folders: Path) -> Path:
    return _folder(folders, "qwen2_5_vl")


@pytest.mark.parametrize("config", [LANGUAGE, EVERY_PART], ids=["language", "every part"])
def test_lora_is_on_exactly_the_linear_layers_of_the_parts(folder: Path, config: FinetuneConfig) -> None:
    vlm = load_vlm(folder, device="cpu")
    linears = {name for name, module in vlm.model.named_modules() if isinstance(module, torch.nn.Linear)} - {"lm_head"}
    if config is LANGUAGE:
        linears = {name for name in linears if "language_model" in name or "text_model" in name}
    names = trainable_names(_prepared(vlm, config, folder))
    touched = {name.removeprefix("base_model.model.").partition(".lora_")[0] for name in names}
    assert all(".lora_" in name for name in names)
    assert touched == linears
    others = OTHER_LINEARS[folder.name] if config is EVERY_PART else {}
    assert len(names) == 2 * (LAYERS * LANGUAGE_LINEARS + sum(others.values()))


def test_full_frees_exactly_the_parts_with_a_rate(folder: Path) -> None:
    vlm = load_vlm(folder, device="cpu")
    embeddings = vlm.model.get_input_embeddings().weight.numel()
    config = replace(LANGUAGE, method="full", learning_rates=LearningRates(language=1e-4, projector=1e-4))
    model = _prepared(vlm, config, folder)
    assert model is vlm.model
    frozen = sum(parameter.numel() for parameter in model.parameters() if not parameter.requires_grad)
    assert count_trainable(model) + frozen == sum(parameter.numel() for parameter in model.parameters())
    assert count_trainable(model) > embeddings, "tied embeddings are of the language model, and there is more of it"
    tower = model.model.visual.blocks if hasattr(model.model, "visual") else model.model.vision_model
    assert not any(parameter.requires_grad for parameter in tower.parameters())
    joint = model.model.visual.merger if hasattr(model.model, "visual") else model.model.connector
    assert all(parameter.requires_grad for parameter in joint.parameters())


def test_full_leaves_what_is_named_frozen(qwen: Path) -> None:
    config = replace(LANGUAGE, method="full", frozen=r".*\.(embed_tokens|layers\.0)\..*")
    vlm = load_vlm(qwen, device="cpu")
    every = set(trainable_names(_prepared(vlm, replace(config, frozen=None), qwen)))
    rest = set(trainable_names(_prepared(vlm, config, qwen)))
    assert rest < every
    assert all("embed_tokens" in name or ".layers.0." in name for name in every - rest)
    assert not any("embed_tokens" in name or ".layers.0." in name for name in rest)


def test_frozen_is_for_full_alone_and_a_regular_expression() -> None:
    with pytest.raises(ValueError, match="method=full"):
        replace(LANGUAGE, frozen=".*")
    with pytest.raises(ValueError, match="regular expression"):
        replace(LANGUAGE, method="full", frozen="(")


def test_what_is_trained_is_in_float32_over_a_bfloat16_base(qwen: Path) -> None:
    vlm = load_vlm(qwen, device="cpu")
    model = _prepared(Vlm(vlm.model.to(torch.bfloat16), vlm.processor), EMBEDDINGS, qwen)
    types = {parameter.requires_grad: parameter.dtype for parameter in model.parameters()}
    assert types == {True: torch.float32, False: torch.bfloat16}
    assert all(p.dtype == torch.float32 for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("config", "match"),
    [
        (replace(LANGUAGE, lora=LoraSettings(targets="nothing")), "lora.targets fits no layer"),
        (replace(LANGUAGE, lora=LoraSettings(targets="no" * 200)), r"fits no layer of .* …$"),
        (replace(LANGUAGE, lora=LoraSettings(targets=r".*\.(qkv|q_proj)")), "vision has no learning rate"),
        (replace(LANGUAGE, lora=LoraSettings(modules_to_save=("nothing",))), "modules_to_save names 'nothing'"),
        (replace(LANGUAGE, lora=LoraSettings(modules_to_save=("visual",))), "vision has no learning rate"),
        (replace(EVERY_PART, lora=LoraSettings(targets=r".*q_proj")), "learning_rates.vision is set"),
        (replace(LANGUAGE, method="qlora"), "method=qlora"),
        (replace(LANGUAGE, method="full", frozen="nothing"), "frozen='nothing' is the name of no weight"),
        (replace(LANGUAGE, method="full", frozen=".*"), "learning_rates.language is set"),
    ],
)
def test_settings_that_do_not_fit_are_errors(qwen: Path, config: FinetuneConfig, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        _prepared(load_vlm(qwen, device="cpu"), config, qwen)


def test_qlora_without_cuda_is_told_before_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    check_method(LANGUAGE)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="needs a CUDA device"):
        check_method(replace(LANGUAGE, method="qlora"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match="pip install bitsandbytes"):
        check_method(replace(LANGUAGE, method="qlora"))


def test_each_part_has_its_own_rate(folder: Path) -> None:
    """Every parameter of a full model stands in one group, of its part's rate, decayed if and only if it is no vector."""
    vlm = load_vlm(folder, device="cpu")
    config = replace(EVERY_PART, method="full", weight_decay=0.1)
    model = _prepared(vlm, config, folder)
    optimizer = build_optimizer(model, config)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    grouped = [
        (names.pop(id(parameter)), parameter, group)
        for group in optimizer.param_groups
        for parameter in group["params"]
    ]
    assert not names
    for name, parameter, group in grouped:
        assert group["lr"] == _rate(name), name
        assert group["weight_decay"] == (0.1 if parameter.ndim > 1 else 0.0), name
        assert is_decayed(name) == (parameter.ndim > 1), name
    assert len(describe_groups(optimizer)) == len(optimizer.param_groups)


def test_muon_keeps_the_ratio_of_the_parts(qwen: Path) -> None:
    config = replace(EVERY_PART, method="full", optimizer="muon", muon_learning_rate=0.05)
    assert muon_rates(config) == pytest.approx({"language": 0.05, "vision": 0.002, "projector": 0.01})
    model = _prepared(load_vlm(qwen, device="cpu"), config, qwen)
    optimizer = build_optimizer(model, config)
    rates = {group["name"]: group["lr"] for group in optimizer.param_groups}
    assert rates["projector/muon"] == pytest.approx(0.01)
    assert rates["projector/no_decay"] == STRIDE.projector
    table = model.get_input_embeddings().weight
    groups = [group for group in optimizer.param_groups if any(one is table for one in group["params"])]
    assert [group["name"] for group in groups] == ["language"], "embeddings are AdamW's"
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(trainable_names(model))
    assert muon_rates(replace(config, learning_rates=LearningRates(None, 1e-5, 2e-5)))["vision"] == pytest.approx(0.025)


def test_optimizer_needs_something_to_train(qwen: Path) -> None:
    model = load_vlm(qwen, device="cpu").model.requires_grad_(False)
    with pytest.raises(ModelError, match="nothing of the model is trained"):
        build_optimizer(model, LANGUAGE)
    with pytest.raises(ModelError, match="family None"):
        build_optimizer(torch.nn.Linear(2, 2), LANGUAGE)


def test_saved_adapter_holds_no_path_and_only_safetensors(qwen: Path, tmp_path: Path) -> None:
    vlm = load_vlm(qwen, device="cpu")
    out = save_trained(_prepared(vlm, EMBEDDINGS, qwen), vlm.processor, tmp_path / "run", "org/base")
    assert {path.name for path in out.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    assert [path.name for path in out.parent.iterdir()] == ["adapter"]
    text = (out / "adapter_config.json").read_text()
    assert json.loads(text)["base_model_name_or_path"] == "org/base"
    assert str(qwen.parent) not in text
    assert str(tmp_path) not in text


def test_full_model_is_a_folder_like_any_other(folder: Path, tmp_path: Path) -> None:
    vlm = load_vlm(folder, device="cpu")
    config = replace(LANGUAGE, method="full")
    model = _prepared(vlm, config, folder)
    _disturb(model)
    out = save_trained(model, vlm.processor, tmp_path / "run", "base")
    assert out == tmp_path / "run" / "model"
    saved = load_vlm(out, device="cpu").model
    for (name, one), (_, other) in zip(model.named_parameters(), saved.named_parameters(), strict=True):
        assert torch.equal(one, other), name
    assert not any(path.suffix in {".bin", ".pt", ".tmp"} for path in out.iterdir())


def test_full_model_is_saved_in_the_type_it_was_loaded_in(qwen: Path, tmp_path: Path) -> None:
    vlm = load_vlm(qwen, device="cpu")
    halved = vlm.model.to(torch.bfloat16)
    halved.config.dtype = torch.bfloat16  # as loading says it
    model = _prepared(Vlm(halved, vlm.processor), replace(LANGUAGE, method="full"), qwen)
    weights = load_file(save_trained(model, vlm.processor, tmp_path, "base") / "model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.bfloat16}


def test_killed_save_leaves_the_old_one(qwen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vlm = load_vlm(qwen, device="cpu")
    model = _prepared(vlm, LANGUAGE, qwen)
    out = save_trained(model, vlm.processor, tmp_path, "base")
    before = (out / "adapter_model.safetensors").read_bytes()
    _disturb(model)
    monkeypatch.setattr("peft.peft_model.safe_save_file", _disk_full)
    with pytest.raises(OSError, match="No space"):
        save_trained(model, vlm.processor, tmp_path, "base")
    assert (out / "adapter_model.safetensors").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_digest_tells_models_apart(folders: Path, tmp_path: Path) -> None:
    one = weights_digest(_folder(folders, "qwen2_5_vl"))
    same = weights_digest(make_tiny_family("qwen2_5_vl", tmp_path / "same"))
    other = weights_digest(make_tiny_family("qwen2_5_vl", tmp_path / "other", seed=1))
    assert one == same != other
    path = tmp_path / "same" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        weights_digest(tmp_path / "same")
    path.unlink()
    with pytest.raises(ModelError, match="no safetensors"):
        weights_digest(tmp_path / "same")


def _folder(folders: Path, model_type: str) -> Path:
    out = folders / model_type
    return out if out.exists() else make_tiny_family(model_type, out)


def _prepared(vlm: Vlm, config: FinetuneConfig, folder: Path) -> torch.nn.Module:
    torch.manual_seed(0)
    return prepare(vlm.model, vlm.family, config, folder)


def _rate(name: str) -> float | None:
    if ".merger" in name or "deepstack_merger" in name or ".connector." in name:
        return STRIDE.projector
    return STRIDE.vision if ".visual." in name or ".vision_model." in name else STRIDE.language


def _disturb(model: torch.nn.Module) -> None:
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.01 * torch.randn_like(parameter)


def _disk_full(*_arguments: object, **_options: object) -> None:
    raise OSError(28, "No space left on device")
