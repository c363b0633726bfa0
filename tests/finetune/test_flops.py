"""FLOPs against hand-computed shapes, the modules of real models, and torch's own counter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

from drive_vqa.vlm import FAMILIES, load_vlm
from finetune.adapter import prepare
from finetune.config import FinetuneConfig, LearningRates, LoraSettings
from finetune.flops import Matrices, ModelFlops, Tiles, WindowedGrid, model_flops
from finetune.gpu_peaks import named_peak_flops, peak_flops
from finetune.loss import answer_loss
from finetune.packing import IGNORED, packed_attention
from finetune.work import Work, count_language
from tests.finetune.tiny_families import TINY_TYPES, make_tiny_family

SEGMENT = torch.tensor([[0, 0, 0, 1, 1, 2, 0, 0, 1, 1, 1, -1], [0, 0, 1, 2, 2, 3, 3, 3, 3, -1, -1, -1]])
LESSON = torch.tensor([[0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, -1], [0, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1]])


def test_work_of_a_batch_is_counted() -> None:
    labels = torch.full(SEGMENT.shape, IGNORED)
    labels[0, 4:6] = labels[1, 8] = 7
    counts = Work(*count_language({"lesson": LESSON, "segment": SEGMENT, "labels": labels}).tolist())
    seen = packed_attention(LESSON, SEGMENT)[:, 0]
    assert counts == Work(
        questions=6, tokens=20, places=24, answer_tokens=3, attended=int((seen & (SEGMENT >= 0)[:, :, None]).sum())
    )


def test_costs_by_hand() -> None:
    """A frozen matrix that the gradient passes costs 4N, one that it does not pass 2N, a trained one 6N."""
    assert Matrices(1000).flops_per_token == 2000
    assert Matrices(1000, reached=True).flops_per_token == 4000
    assert Matrices(1000, trained=1000, reached=True).flops_per_token == 6000
    assert Matrices(1000, adapter=10, reached=True).flops_per_token == 4060
    flops = ModelFlops(
        {"vision": Matrices(5), "projector": Matrices(7), "language": Matrices(11, reached=True), "head": Matrices(13)},
        patches_per_token=4,
        attention_width=3,
        vision_attention_width=2,
        grid=Tiles(14, 1),
    )
    counted = flops.of(Work(1, tokens=10, places=20, answer_tokens=2, attended=50, patches=8, vision_attended=64))
    assert counted.vision == 2 * 5 * 8 + 2 * 7 * 2
    assert counted.language == 4 * 11 * 10 + 2 * 13 * 2
    assert counted.attention == 12 * 3 * 50 + 4 * 2 * 64


def test_windows_of_an_image_grid() -> None:
    """9 × 5 merged patches in windows of 4 × 4: counted cell by cell."""
    batch = {"image_grid_thw": torch.tensor([[1, 18, 10], [2, 4, 4]])}
    patches, pairs = WindowedGrid(merge_size=2, full_layers=1, window_layers=3, window=4).count(batch).tolist()
    assert patches == 180 + 32
    cells = [(row // 8, column // 8) for row in range(18) for column in range(10)]
    windowed = sum(one == other for one in cells for other in cells) + 2 * 16**2
    assert pairs == 180**2 + 2 * 16**2 + 3 * windowed


@pytest.mark.parametrize("model_type", TINY_TYPES)
def test_parameters_are_those_of_the_modules(model_type: str, tmp_path: Path) -> None:
    model = _model(model_type, tmp_path)
    flops = model_flops(model)
    assert flops is not None
    family, found = FAMILIES[model_type], dict.fromkeys(flops.components, 0)
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d | torch.nn.Conv3d):
            found["head" if name == "lm_head" else family.part_of(f"{name}.weight")] += module.weight.numel()
    assert {name: matrices.parameters for name, matrices in flops.components.items()} == found
    assert all(found.values())


@pytest.mark.parametrize("model_type", TINY_TYPES)
def test_forward_flops_are_those_that_torch_counts(model_type: str, tmp_path: Path) -> None:
    """Within 1 %: positions and rotations are small matrix products too."""
    model = _model(model_type, tmp_path).requires_grad_(False)
    batch = _batch(model, model_type)
    with FlopCounterMode(display=False) as counter:
        answer_loss(model, batch)
    flops = _counted(model, batch)
    assert flops.vision + flops.language == pytest.approx(_matrix_flops(counter), rel=0.01)


# What needs no gradient of its input, which the convention does not know: the matrix of patches where all is trained, and
# queries, keys and values of the first layer, with their adapters, where embeddings are frozen.
PATCHES, TOKENS = 48, 52
UNUSED = {
    "all": 2 * PATCHES * (3 * 2 * 14 * 14) * 32,
    "language": 0,
    "adapter": 2 * TOKENS * (64 * 64 + 2 * 64 * 32 + 3 * 64 * 4),
}


@pytest.mark.parametrize(("method", "trained"), [("full", "all"), ("full", "language"), ("lora", "adapter")])
def test_training_flops_are_those_that_torch_counts(method: Any, trained: str, tmp_path: Path) -> None:
    """Within 0.1 %, by forward and backward."""
    rates = {"language": 1e-3, "vision": 1e-3, "projector": 1e-3} if trained == "all" else {"language": 1e-3}
    lora = LoraSettings(rank=4, dropout=0.0)
    config = FinetuneConfig(method=method, learning_rates=LearningRates(**rates), lora=lora, precision="fp32")
    base = _model("qwen2_5_vl", tmp_path)
    model = prepare(base, FAMILIES["qwen2_5_vl"], config, tmp_path / "qwen2_5_vl")
    batch = _batch(model, "qwen2_5_vl")
    with FlopCounterMode(display=False) as counter:
        answer_loss(model, batch)[0].backward()
    flops = _counted(model, batch)
    assert flops.vision + flops.language - UNUSED[trained] == pytest.approx(_matrix_flops(counter), rel=1e-3)


def test_unknown_family_has_no_flops() -> None:
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(
            transformers.LlamaConfig(
                hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, vocab_size=8
            )
        )
    assert model_flops(model) is None


def test_gpus_are_told_apart_by_their_whole_name() -> None:
    """An H200 is no A100 and no H20; a slice of a GPU is not the GPU."""
    assert named_peak_flops("NVIDIA H200") == named_peak_flops("NVIDIA H100 80GB HBM3") == 989e12
    assert named_peak_flops("NVIDIA H100 PCIe") == 756e12
    assert named_peak_flops("NVIDIA A100-SXM4-80GB") == 312e12
    for name in ("NVIDIA H20", "NVIDIA H100 80GB HBM3 MIG 1g.10gb", "NVIDIA H2000", "A100", ""):
        assert named_peak_flops(name) is None
    assert peak_flops(torch.device("cpu"), True) is None


def test_no_peak_in_another_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "NVIDIA H200")
    assert peak_flops(torch.device("cuda"), True) == 989e12
    assert peak_flops(torch.device("cuda"), False) is None


def _model(model_type: str, folder: Path) -> Any:
    return load_vlm(make_tiny_family(model_type, folder / model_type), device="cpu").model


def _batch(model: Any, model_type: str) -> dict[str, torch.Tensor]:
    """A row of one picture and two questions of 20 tokens, four of which carry loss."""
    config, pictures = model.config, _pictures(model, model_type)
    is_idefics = "pixel_attention_mask" in pictures
    features = 4 * (64 // config.vision_config.patch_size // config.scale_factor) ** 2 if is_idefics else 12
    input_ids = torch.cat([torch.full((1, features), config.image_token_id), torch.full((1, 40), 50)], dim=1)
    segment = torch.cat([torch.zeros(1, features), torch.ones(1, 20), torch.full((1, 20), 2)], dim=1).long()
    labels = torch.full_like(input_ids, IGNORED)
    labels[0, -4:] = 50
    positions = torch.arange(input_ids.shape[1])[None]
    return {
        "input_ids": input_ids,
        "labels": labels,
        "lesson": torch.zeros_like(segment),
        "segment": segment,
        "position_ids": positions if is_idefics else positions.expand(3, 1, -1),
        **pictures,
    }


def _pictures(model: Any, model_type: str) -> dict[str, torch.Tensor]:
    vision = model.config.vision_config
    if model_type in ("idefics3", "smolvlm"):
        return {
            "pixel_values": torch.rand(1, 4, 3, 64, 64),
            "pixel_attention_mask": torch.ones(1, 4, 64, 64, dtype=torch.bool),
        }
    values = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    return {"pixel_values": torch.rand(48, values), "image_grid_thw": torch.tensor([[1, 6, 8]])}


def _counted(model: Any, batch: dict[str, torch.Tensor]) -> Any:
    flops = model_flops(model)
    assert flops is not None
    return flops.of(Work(*torch.cat([count_language(batch), flops.count_vision(batch)]).tolist()))


def _matrix_flops(counter: FlopCounterMode) -> int:
    counts = counter.get_flop_counts()["Global"]
    return sum(count for operation, count in counts.items() if "attention" not in str(operation))
