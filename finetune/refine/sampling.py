"""Sampling several answers to each prompt, with every prompt read once.

    prompts      left-padded, one forward pass: the vision tower sees each group's frames once
    dialogues    their prompts' keys and values, copied; then what stands behind the prompt (crops included), left-padded
    tokens       one at a time; dialogues that have ended leave the batch as soon as half of it has

The library's `generate` reads a prompt, images included, anew for each of its answers. Positions are given, so nothing depends on
what the model remembers of an earlier batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from transformers import DynamicCache, LogitsProcessorList
from transformers.generation.logits_process import SuppressTokensLogitsProcessor, TopPLogitsWarper

from drive_vqa.vlm import ChatProcessor, padding_id
from finetune.refine.sequences import Dialogue, Prompt, as_model_takes, left_padded_rows, on_device, positions_behind


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn.

    Attributes:
        max_new_tokens: longest answer.
        temperature: above 0.
        top_p: share of the probability that is drawn from; 1: all.
        suppressed: tokens that are never drawn, such as those of images.
        end_ids: tokens that end an answer.
    """

    max_new_tokens: int
    temperature: float
    top_p: float
    suppressed: tuple[int, ...]
    end_ids: tuple[int, ...]


@dataclass(frozen=True)
class Sampled:
    """An answer.

    Attributes:
        ids: tokens; the last one is an end token unless the answer was cut.
        logps: of each under the model at the temperature, before anything is left out; in nats.
    """

    ids: list[int]
    logps: list[float]


@torch.no_grad()
def sample(
    model: Any,
    processor: ChatProcessor,
    prompts: Sequence[Prompt],
    dialogues: Sequence[Dialogue],
    sampling: Sampling,
    generator: torch.Generator,
) -> list[Sampled]:
    """Draw how each dialogue goes on.

    Args:
        model: plain or with an adapter, in evaluation mode.
        processor: of the model.
        prompts: each is read once.
        dialogues: any number behind each prompt.
        sampling: how tokens are drawn.
        generator: on the model's device; the same state gives the same answers.
    """
    reading = _read(model, processor, prompts, dialogues)
    tokens = torch.full((len(dialogues), sampling.max_new_tokens), sampling.end_ids[0], device=reading.device)
    logps = torch.zeros(tokens.shape, device=reading.device)
    rows = torch.arange(len(dialogues), device=reading.device)
    ends = torch.tensor(sampling.end_ids, device=reading.device)
    ended = torch.zeros(len(dialogues), dtype=torch.bool, device=reading.device)
    for place in range(sampling.max_new_tokens):
        drawn, logp = _draw(reading.logits, sampling, generator)
        tokens[rows, place], logps[rows, place] = drawn, logp
        ended = ended | torch.isin(drawn, ends)
        if bool(ended.all()) or place + 1 == sampling.max_new_tokens:
            break
        if 2 * int(ended.sum()) >= len(rows):
            kept = (~ended).nonzero().flatten()
            reading.keep(kept)
            rows, drawn, ended = rows[kept], drawn[kept], ended[kept]
        reading.go_on(drawn)
    return [_until_end(ids, own, ends) for ids, own in zip(tokens.cpu(), logps.cpu(), strict=True)]


@dataclass(eq=False)
class _Reading:
    """Dialogues as far as the model has read them."""

    model: Any
    cache: Any
    attention_mask: Int[torch.Tensor, "rows seen"]
    position: Int[torch.Tensor, " rows"]
    axes: int
    logits: Float[torch.Tensor, "rows vocabulary"]

    @property
    def device(self) -> torch.device:
        return self.logits.device

    def go_on(self, tokens: Int[torch.Tensor, " rows"]) -> None:
        """Read one more token of each dialogue."""
        seen = torch.ones_like(self.attention_mask[:, :1])
        self.attention_mask = torch.cat([self.attention_mask, seen], dim=1)
        positions = as_model_takes(self.position[:, None, None].expand(-1, self.axes, 1))
        self._forward(input_ids=tokens[:, None], position_ids=positions)
        self.position = self.position + 1

    def keep(self, rows: Int[torch.Tensor, " kept"]) -> None:
        """Forget all other dialogues."""
        self.cache.batch_select_indices(rows)
        self.attention_mask, self.position, self.logits = (
            self.attention_mask[rows],
            self.position[rows],
            self.logits[rows],
        )

    def _forward(self, **inputs: Any) -> None:
        self.logits = _last_logits(self.model, self.attention_mask, self.cache, inputs)


def _last_logits(
    model: Any, attention_mask: torch.Tensor, cache: Any, inputs: dict[str, Any]
) -> Float[torch.Tensor, "rows vocabulary"]:
    output = model(**inputs, attention_mask=attention_mask, past_key_values=cache, use_cache=True, logits_to_keep=1)
    logits: torch.Tensor = output.logits[:, -1].float()
    return logits


def _read(model: Any, processor: ChatProcessor, prompts: Sequence[Prompt], dialogues: Sequence[Dialogue]) -> _Reading:
    """All prompts once, then what stands behind them."""
    device = next(model.parameters()).device
    reading = _read_prompts(model, processor, prompts, device)
    of = torch.tensor([dialogue.prompt for dialogue in dialogues], device=device)
    reading.keep(of)
    if any(dialogue.ids for dialogue in dialogues):
        _read_behind(reading, processor, prompts, dialogues)
    return reading


def _read_prompts(model: Any, processor: ChatProcessor, prompts: Sequence[Prompt], device: torch.device) -> _Reading:
    ids = [torch.tensor(prompt.ids) for prompt in prompts]
    positions = [processor.positions(prompt.ids, prompt.images) for prompt in prompts]
    mask = left_padded_rows([torch.ones_like(own) for own in ids], 0).to(device)
    inputs = {
        "input_ids": left_padded_rows(ids, padding_id(processor)),
        "position_ids": as_model_takes(left_padded_rows(positions, 0)),
        **processor.join_images([prompt.images for prompt in prompts]),
    }
    cache = DynamicCache()
    logits = _last_logits(model, mask, cache, on_device(inputs, device))
    following = torch.stack([own.max() + 1 for own in positions]).to(device)
    return _Reading(model, cache, mask, following, positions[0].shape[0], logits)


def _read_behind(
    reading: _Reading, processor: ChatProcessor, prompts: Sequence[Prompt], dialogues: Sequence[Dialogue]
) -> None:
    """Every dialogue must have something behind its prompt, since the last token of all is read in one go."""
    ids = [torch.tensor(dialogue.ids) for dialogue in dialogues]
    positions = [positions_behind(prompts[dialogue.prompt], dialogue, processor) for dialogue in dialogues]
    own = left_padded_rows([torch.ones_like(row) for row in ids], 0).to(reading.device)
    reading.attention_mask = torch.cat([reading.attention_mask, own], dim=1)
    crops = [dialogue.images for dialogue in dialogues if dialogue.images is not None]
    inputs = {
        "input_ids": left_padded_rows(ids, padding_id(processor)),
        "position_ids": as_model_takes(left_padded_rows(positions, 0)),
        **(processor.join_images(crops) if crops else {}),
    }
    reading._forward(**on_device(inputs, reading.device))
    reading.position = torch.stack([own.max() + 1 for own in positions]).to(reading.device)


def _draw(
    logits: Float[torch.Tensor, "rows vocabulary"], sampling: Sampling, generator: torch.Generator
) -> tuple[Int[torch.Tensor, " rows"], Float[torch.Tensor, " rows"]]:
    scores = logits / sampling.temperature
    logps = scores.log_softmax(dim=-1)
    warped = LogitsProcessorList()
    if sampling.suppressed:
        warped.append(SuppressTokensLogitsProcessor(list(sampling.suppressed), device=str(logits.device)))
    if sampling.top_p < 1:
        warped.append(TopPLogitsWarper(sampling.top_p))
    probabilities = warped(torch.empty(0), scores).softmax(dim=-1)
    drawn = torch.multinomial(probabilities, 1, generator=generator)
    return drawn[:, 0], logps.gather(1, drawn)[:, 0]


def _until_end(ids: torch.Tensor, logps: torch.Tensor, ends: torch.Tensor) -> Sampled:
    """Up to the first end token, which belongs to the answer."""
    found = torch.isin(ids, ends.cpu()).nonzero().flatten()
    length = int(found[0]) + 1 if len(found) else len(ids)
    return Sampled(ids[:length].tolist(), logps[:length].tolist())
