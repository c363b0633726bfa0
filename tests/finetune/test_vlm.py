"""Loading models of drive_vqa.vlm, and what is said where that fails; here, because the tiny models are finetune's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from peft import LoraConfig, get_peft_model
from PIL import Image
from safetensors.torch import load_file, save_file

from drive_vqa.errors import ConfigError, ModelError
from drive_vqa.vlm import FAMILIES, RUN_FILE, Vlm, load_run, load_vlm, model_folder, without_library_deprecations
from drive_vqa.weights_digest import weights_digest
from tests.finetune.tiny_families import make_tiny_family


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen3-VL, the quickest to load."""
    return make_tiny_family("qwen3_vl", tmp_path_factory.mktemp("loading") / "base")


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """A model folder to damage."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.fixture
def adapter(folder: Path, tmp_path: Path) -> Path:
    """An adapter over the tiny model that changes its answers."""
    return write_adapter(load_vlm(folder, device="cpu"), tmp_path / "adapter")


def write_adapter(vlm: Vlm, out: Path, target: str = "language") -> Path:
    settings = LoraConfig(r=2, target_modules=vlm.family.lora_targets[target], init_lora_weights=False)
    with without_library_deprecations():
        model = get_peft_model(vlm.model, settings)
    model.peft_config["default"].base_model_name_or_path = "the-base"
    model.save_pretrained(str(out), save_embedding_layers=False)
    return out


def answer_of(vlm: Vlm) -> str:
    question = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "How far?"}]}]
    return vlm.generate([question], [[Image.new("RGB", (96, 64), (200, 30, 90))]], 6)[0]


def change(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_questions_and_images_must_match(family_vlm: Callable[[str], Vlm]) -> None:
    vlm = family_vlm("qwen3_vl")
    two = [{"role": "user", "content": [{"type": "image"}, {"type": "image"}, {"type": "text", "text": "Who?"}]}]
    with pytest.raises(ModelError, match="2 image placeholders for 1 images"):
        vlm.generate([two], [[Image.new("RGB", (96, 64))]])
    with pytest.raises(ModelError, match="came with the images of 0"):
        vlm.generate([two], [])
    with pytest.raises(ModelError, match="2 image placeholders for 0 images"):
        vlm.generate([two], [[]])
    assert vlm.generate([], []) == []


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere does not exist"):
        load_vlm(tmp_path / "nowhere")


def test_another_family(copy: Path) -> None:
    change(copy / "config.json", model_type="llama")
    with pytest.raises(ModelError, match="family 'llama'.*Qwen2.5-VL.*SmolVLM"):
        load_vlm(copy)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"model_type": 3}'])
def test_damaged_config(copy: Path, content: str) -> None:
    (copy / "config.json").write_text(content)
    with pytest.raises(ModelError, match="does not say what model"):
        load_vlm(copy)


@pytest.mark.parametrize("name", ["preprocessor_config.json", "tokenizer.json"])
def test_missing_processor(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(ModelError, match=name):
        load_vlm(copy)


def test_processor_of_another_family(copy: Path) -> None:
    change(copy / "preprocessor_config.json", patch_size=14)
    vlm = load_vlm(copy, device="cpu")
    with pytest.raises(ModelError, match="token of 28 pixels square and the model one of 32"):
        answer_of(vlm)


def test_tokenizer_of_another_family(copy: Path, tmp_path: Path) -> None:
    other = make_tiny_family("smolvlm", tmp_path / "other")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        text = (copy / name).read_text().replace("<|image_pad|>", "<|other|>")
        (copy / name).write_text(text)
    with pytest.raises(ModelError, match=r"no token <\|image_pad\|>"):
        load_vlm(copy)
    change(other / "config.json", model_type="qwen3_vl")
    with pytest.raises(ModelError):
        load_vlm(other)


def test_chat_template(copy: Path) -> None:
    """Where it is, where older checkpoints have it, and nowhere."""
    template = (copy / "chat_template.jinja").read_text()
    (copy / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="no chat template"):
        load_vlm(copy)
    (copy / "chat_template.json").write_text("{}")
    with pytest.raises(ModelError, match="holds no chat template"):
        load_vlm(copy)
    (copy / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    assert load_vlm(copy, device="cpu").processor.tokenizer.chat_template == template


def test_missing_weights(copy: Path) -> None:
    path = copy / "model.safetensors"
    weights = load_file(path)
    weights.pop(next(name for name in weights if "deepstack_merger_list.1.norm.weight" in name))
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match="lacks 1 weights"):
        load_vlm(copy)
    torch.save(weights, copy / "pytorch_model.bin")  # a pickle is no way out
    path.unlink()
    with pytest.raises(ModelError, match="safetensors"):
        load_vlm(copy)


@pytest.mark.parametrize("content", [b"\x08\0\0\0\0\0\0\0{}      ", b"\x08", b"\xff" * 99, b"\x02\0\0\0\0\0\0\0[]"])
def test_broken_weights(copy: Path, content: bytes) -> None:
    (copy / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError):
        load_vlm(copy)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.int8])
def test_weights_of_a_wrong_type(copy: Path, dtype: torch.dtype) -> None:
    path = copy / "model.safetensors"
    weights = load_file(path)
    name = next(name for name in weights if name.endswith("gate_proj.weight"))
    save_file({**weights, name: weights[name].to(dtype)}, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=f"{name} in .* is of type .*16 or 32 bits"):
        load_vlm(copy)


def test_quantized_checkpoint(copy: Path) -> None:
    change(copy / "config.json", quantization_config={"quant_method": "awq"})
    with pytest.raises(ModelError, match="quantized already"):
        load_vlm(copy)


def test_four_bits_need_cuda(folder: Path) -> None:
    with pytest.raises(ConfigError, match="needs CUDA"):
        load_vlm(folder, device="cpu", quantized=True)


@pytest.mark.parametrize("device", ["abacus", "cuda", "cuda:7", "meta"])
def test_absent_device(folder: Path, device: str) -> None:
    if device.startswith("cuda") and torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(ModelError, match="cpu"):
        load_vlm(folder, device=device)


def test_an_adapter_is_put_over_its_base(folder: Path, adapter: Path) -> None:
    base, adapted = load_vlm(folder, device="cpu"), load_vlm(folder, adapter, "cpu")
    assert answer_of(adapted) != answer_of(base)
    assert not adapted.model.training
    assert not any(parameter.requires_grad for parameter in adapted.model.parameters())


def test_unfinished_adapter(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a finished adapter"):
        load_vlm(folder, tmp_path)


def test_adapter_of_another_shape(folder: Path, adapter: Path) -> None:
    path = adapter / "adapter_model.safetensors"
    save_file({name: weight[:1, :1].contiguous() for name, weight in load_file(path).items()}, path)
    with pytest.raises(ModelError, match="trained on 'the-base' and does not fit"):
        load_vlm(folder, adapter)


@pytest.mark.parametrize("other", sorted(set(FAMILIES) - {"qwen3_vl"}))
def test_adapter_of_another_family(folder: Path, family_vlm: Callable[[str], Vlm], tmp_path: Path, other: str) -> None:
    made = make_tiny_family(other, tmp_path / "base")
    adapter = write_adapter(load_vlm(made, device="cpu"), tmp_path / "adapter", "vision")
    with pytest.raises(ModelError, match="does not fit"):
        load_vlm(folder, adapter)


@pytest.mark.parametrize("layer", [1, 2])
def test_adapter_of_another_depth(folder: Path, adapter: Path, layer: int) -> None:
    """One layer fewer than the model has, and one more: the library takes both without a word."""
    path = adapter / "adapter_model.safetensors"
    weights = load_file(path)
    if layer == 1:
        weights = {name: weight for name, weight in weights.items() if ".layers.1." not in name}
        said = "it lacks"
    else:
        more = {name.replace(".layers.1.", ".layers.2."): weight for name, weight in weights.items()}
        weights, said = {**weights, **more}, "have no place"
    save_file({name: weight.clone() for name, weight in weights.items()}, path)
    with pytest.raises(ModelError, match=said):
        load_vlm(folder, adapter)


def test_runs(folder: Path, adapter: Path, tmp_path: Path) -> None:
    """With an adapter, of a base that is another one by now, without the base, and of full tuning."""
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(ModelError, match=r"run.json is missing"):
        load_run(run)
    shutil.move(adapter, run / "adapter")
    record = {"base": "../base", "image_size_px": [96, 64], "base_digest": weights_digest(folder), "method": "lora"}
    (run / RUN_FILE).write_text(json.dumps(record))
    with pytest.raises(ConfigError, match="does not exist"):
        load_run(run)
    shutil.copytree(folder, tmp_path / "base")
    vlm = load_run(run, device="cpu")
    assert vlm.image_size_px == (96, 64)
    assert answer_of(vlm) == answer_of(load_vlm(folder, run / "adapter", "cpu"))
    other = make_tiny_family("qwen3_vl", tmp_path / "other", seed=1)
    with pytest.raises(ModelError, match="is not the model that"):
        load_run(run, other)
    shutil.copytree(other, run / "model")
    change(run / RUN_FILE, method="full", base="gone")
    assert answer_of(load_run(run, device="cpu")) == answer_of(load_vlm(other, device="cpu"))


def test_names_on_the_hub(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder wins over a name; only a name asks the hub, for no pickles and no code; what goes wrong is one sentence."""
    asked = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda name, **options: asked.append((name, options)) or str(folder)
    )
    assert model_folder("org/name") == folder
    assert load_vlm("org/name", device="cpu").family.name == "Qwen3-VL"
    assert {name for name, _ in asked} == {"org/name"}
    patterns = asked[0][1]["allow_patterns"]
    assert "*.safetensors" in patterns
    assert not {"*", "*.py", "*.bin", "*.pt"} & set(patterns)
    (tmp_path / "org" / "name").mkdir(parents=True)
    assert model_folder("org/name") == Path("org/name")
    for path in (tmp_path / "gone", Path("a/b/c"), "name", "../org/name"):
        assert model_folder(path) == Path(path)
    assert len(asked) == 2


def test_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"org/name is no folder here and cannot be had from the hub"):
        load_vlm("org/name")
