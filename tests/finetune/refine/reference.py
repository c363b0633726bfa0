"""What the library's own forward pass says of one dialogue alone, with positions that the model numbers itself."""

from __future__ import annotations

from typing import Any

import torch

from drive_vqa.vlm import Images, Vlm, image_token_types
from drive_vqa.vlm.dialogues import Dialogue, Prompt


def plain_inputs(vlm: Vlm, prompt: Prompt, dialogue: Dialogue) -> dict[str, Any]:
    """The whole sequence as a batch of one."""
    ids = torch.tensor([[*prompt.ids, *dialogue.ids]])
    images: list[Images] = [prompt.images] if dialogue.images is None else [prompt.images, dialogue.images]
    inputs: dict[str, Any] = {"input_ids": ids, **vlm.processor.join_images(images)}
    if vlm.family.typed_tokens:
        inputs["mm_token_type_ids"] = image_token_types(ids, vlm.processor)
    return inputs


def plain_logps(vlm: Vlm, prompt: Prompt, dialogue: Dialogue, temperature: float = 1.0) -> torch.Tensor:
    """Log-probability of each token of the dialogue, in nats."""
    logits = vlm.model(**plain_inputs(vlm, prompt, dialogue)).logits[0].float() / temperature
    behind = logits[len(prompt.ids) - 1 : -1].log_softmax(dim=-1)
    return behind.gather(1, torch.tensor(dialogue.ids)[:, None])[:, 0]
