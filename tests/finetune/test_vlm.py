"""drive_vqa.vlm on a tiny model: it stands here because building one is finetune's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from drive_vqa.errors import ModelError
from drive_vqa.prompt import build_messages
from drive_vqa.vlm import IMAGE_TOKEN, Vlm, load_run, load_vlm
from finetune.adapter import add_adapter
from finetune.config import LoraSettings
from finetune.dataset import LessonDataset


def test_batched_answers_equal_single_ones(vlm: Vlm, dataset: LessonDataset) -> None:
    """Questions of different length and with different numbers of images."""
    messages, images = _asked(dataset)
    together = vlm.generate(messages, images, max_new_tokens=8)
    alone = [vlm.generate([one], [some], max_new_tokens=8)[0] for one, some in zip(messages, images, strict=True)]
    assert together == alone
    assert len(set(together)) > 1
    assert vlm.generate([], []) == []


def test_image_tokens_are_never_an_answer(vlm: Vlm, dataset: LessonDataset) -> None:
    """A model that wants nothing but image tokens still says something else."""
    messages, images = _asked(dataset)
    tokenizer = vlm.processor.tokenizer
    wanted = [tokenizer.convert_tokens_to_ids(token) for token in (IMAGE_TOKEN, "<|vision_start|>", "<|im_start|>")]
    bias = torch.zeros(len(tokenizer))
    bias[wanted] = 100.0
    vlm.model.lm_head.register_forward_hook(lambda _module, _inputs, logits: logits + bias)
    prompts = [vlm.processor.prompt_ids(messages[0], vlm.processor.images(images[0]))]
    with torch.inference_mode():
        from drive_vqa.vlm import left_padded

        inputs = left_padded(prompts, [vlm.processor.images(images[0])], vlm.processor)
        output = vlm.model.generate(**inputs, generation_config=vlm.generation_config(6))
    assert not set(output[0, len(prompts[0]) :].tolist()) & set(wanted)


def test_images_and_questions_must_match(vlm: Vlm, dataset: LessonDataset) -> None:
    messages, images = _asked(dataset)
    with pytest.raises(ModelError, match="placeholders for 1 images"):
        vlm.generate(messages[:1], [images[0][:1]])
    with pytest.raises(ModelError, match="came with the images of 1"):
        vlm.generate(messages, images[:1])


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no config.json"):
        load_vlm(tmp_path / "nowhere")


def test_another_family(base: Path, tmp_path: Path) -> None:
    _write_config(_copy(base, tmp_path), {"model_type": "llama"})
    with pytest.raises(ModelError, match="family 'llama'"):
        load_vlm(tmp_path / "copy")


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_damaged_config(base: Path, tmp_path: Path, content: str) -> None:
    (_copy(base, tmp_path) / "config.json").write_text(content)
    with pytest.raises(ModelError, match="does not say what model"):
        load_vlm(tmp_path / "copy")


@pytest.mark.parametrize("name", ["preprocessor_config.json", "tokenizer.json"])
def test_missing_processor(base: Path, tmp_path: Path, name: str) -> None:
    (_copy(base, tmp_path) / name).unlink()
    with pytest.raises(ModelError):
        load_vlm(tmp_path / "copy")


def test_missing_chat_template(base: Path, tmp_path: Path) -> None:
    (_copy(base, tmp_path) / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="chat template"):
        load_vlm(tmp_path / "copy")


def test_missing_weights(base: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = _copy(base, tmp_path) / "model.safetensors"
    weights = load_file(path)
    weights.pop(next(name for name in weights if "merger.ln_q" in name))
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match="lacks 1 weights"):
        load_vlm(tmp_path / "copy")
    path.unlink()
    with pytest.raises(ModelError, match="safetensors"):
        load_vlm(tmp_path / "copy")


def test_broken_weights(base: Path, tmp_path: Path) -> None:
    (_copy(base, tmp_path) / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    with pytest.raises(ModelError):
        load_vlm(tmp_path / "copy")


def test_adapter_must_be_finished_and_fit(vlm: Vlm, base: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a finished adapter"):
        load_vlm(base, tmp_path)
    add_adapter(vlm.model, LoraSettings(rank=2), base).save_pretrained(
        str(tmp_path / "adapter"), save_embedding_layers=False
    )
    from safetensors.torch import load_file, save_file

    path = tmp_path / "adapter" / "adapter_model.safetensors"
    save_file({name: weight[:1, :1].contiguous() for name, weight in load_file(path).items()}, path)
    with pytest.raises(ModelError, match="does not fit"):
        load_vlm(base, tmp_path / "adapter")


def test_run_without_record(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="run.json"):
        load_run(tmp_path)


@pytest.mark.parametrize("device", ["abacus", "cuda"])
def test_absent_device(base: Path, device: str) -> None:
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(ModelError, match="cpu"):
        load_vlm(base, device=device)


def _asked(dataset: LessonDataset) -> tuple[list, list]:
    """Every question about the first group, the second half about its last image alone."""
    shown = dataset[0]
    single = {**shown.lesson.group, "context": shown.lesson.group["context"][-1:]}
    questions = shown.lesson.questions
    messages = [build_messages(shown.lesson.group if index < 2 else single, one) for index, one in enumerate(questions)]
    images = [list(shown.frames) if index < 2 else [dataset[index % 3].frames[-1]] for index in range(len(questions))]
    return messages, images


def _copy(base: Path, tmp_path: Path) -> Path:
    shutil.copytree(base, tmp_path / "copy")
    return tmp_path / "copy"


def _write_config(folder: Path, changes: dict) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
