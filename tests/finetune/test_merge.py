"""A merged checkpoint answers as base and adapter do, and is like any other checkpoint."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText

from drive_vqa.errors import ConfigError, ModelError
from drive_vqa.vlm import Vlm, load_run, load_vlm
from drive_vqa.weights_digest import weights_digest
from finetune.adapter import prepare, save_trained
from finetune.config import FinetuneConfig, LearningRates, LoraSettings
from finetune.merge import merge, probe_logits, stored_dtype
from tests.finetune.tiny_families import make_tiny_family

SIZE_PX = (112, 84)
EVERY_RATE = LearningRates(language=1e-4, vision=1e-5, projector=1e-5)
LANGUAGE = FinetuneConfig(lora=LoraSettings(rank=4))
EVERY_PART = replace(LANGUAGE, learning_rates=EVERY_RATE)
EMBEDDINGS = replace(LANGUAGE, lora=LoraSettings(rank=4, modules_to_save=("embed_tokens",)))
FULL = replace(EVERY_PART, method="full")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("merging")


@pytest.fixture(scope="module")
def run(folders: Path) -> Path:
    """A run on Qwen2.5-VL, to be left as it is."""
    return _run(folders, "qwen2_5_vl", LANGUAGE, "kept")


@pytest.mark.parametrize("model_type", ["qwen2_5_vl", "qwen3_vl", "smolvlm"])
@pytest.mark.parametrize("config", [EVERY_PART, EMBEDDINGS, FULL], ids=["every part", "embeddings", "full"])
def test_merged_equals_unmerged(folders: Path, tmp_path: Path, model_type: str, config: FinetuneConfig) -> None:
    run = _run(folders, model_type, config, "run")
    unmerged = probe_logits(load_run(run, device="cpu"), SIZE_PX)
    untuned = probe_logits(load_vlm(folders / model_type, device="cpu"), SIZE_PX)
    out = merge(run, tmp_path / "merged")
    merged = probe_logits(load_vlm(out, device="cpu"), SIZE_PX)
    torch.testing.assert_close(merged, unmerged, atol=2e-4, rtol=1e-4)
    assert (merged - untuned).abs().max() > 0.05, "the adapter does something"
    opened = AutoModelForImageTextToText.from_pretrained(str(out), local_files_only=True, use_safetensors=True)
    processor = load_vlm(out, device="cpu").processor
    torch.testing.assert_close(probe_logits(Vlm(opened.eval(), processor), SIZE_PX), merged)


def test_folder_is_like_any_other(run: Path, folders: Path, tmp_path: Path) -> None:
    out = merge(run, tmp_path / "merged")
    names = {path.name for path in out.iterdir()}
    assert names >= {"config.json", "model.safetensors", "generation_config.json", "README.md", "chat_template.jinja"}
    assert not [name for name in names if name.startswith("adapter") or name.endswith((".bin", ".tmp"))]
    for name in ("tokenizer.json", "preprocessor_config.json", "chat_template.jinja"):
        assert (out / name).read_bytes() == (folders / "qwen2_5_vl" / name).read_bytes()
    assert json.loads((out / "generation_config.json").read_text())["do_sample"] is False
    told = [path.read_text() for path in out.iterdir() if path.suffix in {".json", ".md"}]
    assert not [text for text in told if str(tmp_path) in text or str(folders) in text]
    assert set(load_file(out / "model.safetensors")) == set(load_file(folders / "qwen2_5_vl" / "model.safetensors"))


def test_card_says_how_to_ask(run: Path, tmp_path: Path) -> None:
    card = (merge(run, tmp_path / "merged") / "README.md").read_text()
    for told in ("112×84", "Region 3", "qwen2_5_vl", "f" * 64, "Now:", "temperature 0", "marks"):
        assert told in card


def test_weights_are_of_the_type_asked_for(run: Path, tmp_path: Path) -> None:
    unmerged = probe_logits(load_run(run, device="cpu"), SIZE_PX)
    out = merge(run, tmp_path / "merged", dtype="bf16")
    assert {value.dtype for value in load_file(out / "model.safetensors").values()} == {torch.bfloat16}
    assert stored_dtype(out) == torch.bfloat16
    assert not torch.equal(probe_logits(load_vlm(out, device="cpu"), SIZE_PX), unmerged)
    again = merge(_over(run, out, tmp_path / "again"), tmp_path / "twice")
    assert stored_dtype(again) == torch.bfloat16, "a base's own type is kept"


def test_a_wrong_merge_is_refused(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import finetune.merge as module

    original = module._merged

    def forgetful(model: torch.nn.Module) -> torch.nn.Module:
        merged = original(model)
        merged.model.language_model.layers[1].mlp.up_proj.weight.data *= 1.01
        return merged

    monkeypatch.setattr(module, "_merged", forgetful)
    with pytest.raises(ModelError, match="answers differently"):
        merge(run, tmp_path / "merged")
    assert not list(tmp_path.iterdir())


def test_an_adapter_lost_in_rounding_is_told(folders: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = _run(folders, "qwen2_5_vl", LANGUAGE, "weak", strength=1e-4)
    merge(run, tmp_path / "one")
    assert "rounding" not in caplog.text
    merge(run, tmp_path / "two", dtype="bf16")
    assert "rounding to bf16" in caplog.text


def test_an_existing_folder_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="exists already"):
        merge(run, tmp_path)


def test_another_base_is_refused(run: Path, folders: Path, tmp_path: Path) -> None:
    other = make_tiny_family("qwen2_5_vl", tmp_path / "other", seed=1)
    with pytest.raises(ModelError, match="is not the model that"):
        merge(run, tmp_path / "merged", base=other)
    with pytest.raises(ModelError, match="--model"):
        merge(run, tmp_path / "merged", base=tmp_path / "nowhere")
    moved = shutil.copytree(folders / "qwen2_5_vl", tmp_path / "moved")
    assert merge(run, tmp_path / "merged", base=moved).is_dir()


def test_a_base_of_another_shape_is_refused(run: Path, folders: Path, tmp_path: Path) -> None:
    """Where the record knows no digest, shapes still tell."""
    copy = shutil.copytree(run, tmp_path / "run")
    path = copy / "adapter" / "adapter_model.safetensors"
    save_file({name: value[:, :-1].contiguous() for name, value in load_file(path).items()}, path)
    with pytest.raises(ModelError, match="does not fit"):
        merge(copy, tmp_path / "merged", base=folders / "qwen2_5_vl")


def test_a_base_in_few_bits_is_refused(run: Path, folders: Path, tmp_path: Path) -> None:
    base = shutil.copytree(folders / "qwen2_5_vl", tmp_path / "base")
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, "quantization_config": {"load_in_4bit": True}}))
    with pytest.raises(ModelError, match="full precision"):
        merge(run, tmp_path / "merged", base=base)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"base": "x", "image_size_px": 3}'])
def test_a_damaged_record_is_told(run: Path, tmp_path: Path, content: str) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    (copy / "run.json").write_text(content)
    with pytest.raises(ModelError, match="run.json is missing or damaged"):
        merge(copy, tmp_path / "merged")


def _run(folders: Path, model_type: str, config: FinetuneConfig, name: str, strength: float = 0.05) -> Path:
    """What training leaves, with an adapter of noise."""
    base, run = folders / model_type, folders / f"{model_type}-{name}"
    if not base.exists():
        make_tiny_family(model_type, base)
    shutil.rmtree(run, ignore_errors=True)
    vlm = load_vlm(base, device="cpu")
    torch.manual_seed(0)
    model = prepare(vlm.model, vlm.family, config, base)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += strength * torch.randn_like(parameter)
    save_trained(model, vlm.processor, run, model_type)
    return _record(run, base, config)


def _record(run: Path, base: Path, config: FinetuneConfig) -> Path:
    record = {
        "base": f"../{base.name}",
        "base_digest": weights_digest(base),
        "code_version": "1.2.3",
        "dataset_digest": "f" * 64,
        "image_size_px": list(SIZE_PX),
        "method": config.method,
        "regions": config.regions,
        "questions": 12,
    }
    (run / "run.json").write_text(json.dumps(record))
    return run


def _over(run: Path, base: Path, out: Path) -> Path:
    """The same adapter over another base."""
    shutil.copytree(run, out)
    return _record(out, base, LANGUAGE)
