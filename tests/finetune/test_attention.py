"""FlexAttention gives what the dense mask gives; on the CPU there is a forward pass only."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from drive_vqa.errors import ConfigError
from drive_vqa.vlm import Vlm
from finetune.attention import FLEX, to_flex_attention, use_flex_attention
from finetune.collate import Collator
from finetune.dataset import LessonDataset
from finetune.loss import answer_loss

SIZE_PX = (168, 112)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile", "ignore:.*torch.jit.script_method")
def test_blocks_give_the_loss_of_the_dense_mask(vlm: Vlm, dataset: LessonDataset) -> None:
    rows = [[dataset.shown(0), dataset.shown(1)], [dataset.shown(2)]]
    batch = Collator(vlm.processor, True, 8192, SIZE_PX)(rows)
    with torch.inference_mode():
        dense, _ = answer_loss(vlm.model, batch)
        to_flex_attention(vlm.model)
        blocks, _ = answer_loss(vlm.model, batch)
    assert vlm.model.config.vision_config._attn_implementation == "sdpa"
    assert vlm.model.model.language_model.layers[0].self_attn.config._attn_implementation == FLEX
    assert blocks.item() == pytest.approx(dense.item(), rel=1e-6)


def test_it_needs_a_gpu_to_train(family_vlm: Callable[[str], Vlm]) -> None:
    with pytest.raises(ConfigError, match="sdpa"):
        use_flex_attention(family_vlm("qwen3_vl").model, torch.device("cpu"))
