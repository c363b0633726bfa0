"""Sampling, learning and the library compute with one model: an answer all three ways, before training.

Sampling reads prompts behind padding on the left and keeps keys and values; learning packs answers behind their prompt, with
masks and positions of ours. Where one of them is off, ratios are those of two models and training goes wrong in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from drive_vqa.errors import ModelError
from drive_vqa.vlm import ChatProcessor, Images, image_token_types
from drive_vqa.vlm.dialogues import Dialogue, Prompt, on_device
from finetune.guards.parity import tolerance_of


def check_answers(
    model: Any,
    processor: ChatProcessor,
    prompt: Prompt,
    dialogue: Dialogue,
    told: Sequence[tuple[str, torch.Tensor]],
    said: torch.Tensor,
    temperature: float,
) -> None:
    """Compare log-probabilities of one answer.

    Args:
        model: in evaluation mode.
        processor: of the model.
        prompt: of the answer.
        dialogue: the answer.
        told: what it was computed by, with the log-probability of each of its tokens in nats.
        said: which tokens the model itself said.
        temperature: that logits were divided by.

    Raises:
        ModelError: a mean over the answer differs from the library's by more than rounding.
    """
    plain = _plain_logps(model, processor, prompt, dialogue, temperature)[said.cpu()]
    for name, logps in told:
        apart = float((logps.float().cpu()[said.cpu()] - plain).abs().mean())
        if not apart <= tolerance_of(model):
            raise ModelError(
                f"log-probabilities of an answer differ by {apart:.4g} nats a token between {name} and the library's own forward "
                "pass: this version of the library or its attention does not heed masks or positions, so training would go wrong"
            )


@torch.no_grad()
def _plain_logps(
    model: Any, processor: ChatProcessor, prompt: Prompt, dialogue: Dialogue, temperature: float
) -> torch.Tensor:
    """Of one whole sequence, with positions that the model numbers itself."""
    images: list[Images] = [one for one in (prompt.images, dialogue.images) if one is not None]
    ids = torch.tensor([[*prompt.ids, *dialogue.ids]])
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), **processor.join_images(images)}
    if processor.family.typed_tokens:
        inputs["mm_token_type_ids"] = image_token_types(ids, processor)
    logits = model(**on_device(inputs, next(model.parameters()).device), use_cache=False).logits[0].float().cpu()
    behind = (logits[len(prompt.ids) - 1 : -1] / temperature).log_softmax(dim=-1)
    logps: torch.Tensor = behind.gather(1, torch.tensor(dialogue.ids)[:, None])[:, 0]
    return logps
