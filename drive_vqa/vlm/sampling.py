"""Answers to prompts that several dialogues share, with every prompt read once; drawn, or greedy.

    prompts      left-padded, one forward pass: the vision tower sees each prompt's frames once
    dialogues    their prompts' keys and values, copied; then what stands behind the prompt (crops included), left-padded
    tokens       one at a time; dialogues that have ended leave the batch as soon as half of it has

The library's `generate` reads a prompt, images included, anew for each of its answers. Positions are given, so nothing depends on
what the model remembers of an earlier batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from transformers import LogitsProcessorList
from transformers.generation.logits_process import SuppressTokensLogitsProcessor, TopPLogitsWarper

from drive_vqa.vlm.dialogues import Dialogue, Prompt, as_model_takes, left_padded_rows, on_device, positions_behind
from drive_vqa.vlm.growing_cache import GrowingCache
from drive_vqa.vlm.processor import ChatProcessor, padding_id


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn, where the likeliest one alone is not wanted.

    Attributes:
        temperature: above 0.
        top_p: the likeliest tokens of this share are drawn from; 1: all.
        seed: the same one gives the same answers to the same batch on the same machine.

    Raises:
        ValueError: a number is out of range.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not (0 < self.temperature < math.inf and 0 < self.top_p <= 1 and 0 <= self.seed < 2**63):
            raise ValueError("sampling needs temperature above 0, top_p in (0, 1] and seed in [0, 2**63)")


@dataclass(frozen=True)
class Decoding:
    """How an answer comes about, token by token.

    Attributes:
        max_new_tokens: longest answer.
        suppressed: tokens that are never said, such as those of images.
        end_ids: tokens that end an answer.
        sampling: None: the likeliest token, always.
    """

    max_new_tokens: int
    suppressed: tuple[int, ...]
    end_ids: tuple[int, ...]
    sampling: Sampling | None = None

    @property
    def temperature(self) -> float:
        """That log-probabilities are told at."""
        return 1.0 if self.sampling is None else self.sampling.temperature


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
    decoding: Decoding,
    generator: torch.Generator | None = None,
) -> list[Sampled]:
    """How each dialogue goes on.

    Args:
        model: plain or with an adapter, in evaluation mode.
        processor: of the model.
        prompts: each is read once.
        dialogues: any number behind each prompt.
        decoding: how tokens are chosen.
        generator: on the model's device; the same state gives the same answers. None: one with the seed of the sampling.
    """
    reading = _read(model, processor, prompts, dialogues)
    if generator is None and decoding.sampling is not None:
        generator = torch.Generator(reading.device).manual_seed(decoding.sampling.seed)
    tokens = torch.full((len(dialogues), decoding.max_new_tokens), decoding.end_ids[0], device=reading.device)
    logps = torch.zeros(tokens.shape, device=reading.device)
    rows = torch.arange(len(dialogues), device=reading.device)
    ends = torch.tensor(decoding.end_ids, device=reading.device)
    ended = torch.zeros(len(dialogues), dtype=torch.bool, device=reading.device)
    for place in range(decoding.max_new_tokens):
        drawn, logp = _choose(reading.logits, decoding, generator)
        tokens[rows, place], logps[rows, place] = drawn, logp
        ended = ended | torch.isin(drawn, ends)
        if bool(ended.all()) or place + 1 == decoding.max_new_tokens:
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
    cache = GrowingCache()
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


def _choose(
    logits: Float[torch.Tensor, "rows vocabulary"], decoding: Decoding, generator: torch.Generator | None
) -> tuple[Int[torch.Tensor, " rows"], Float[torch.Tensor, " rows"]]:
    scores = logits / decoding.temperature
    logps = scores.log_softmax(dim=-1)
    warped = LogitsProcessorList()
    if decoding.suppressed:
        warped.append(SuppressTokensLogitsProcessor(list(decoding.suppressed), device=str(logits.device)))
    if decoding.sampling is not None and decoding.sampling.top_p < 1:
        warped.append(TopPLogitsWarper(decoding.sampling.top_p))
    allowed = warped(torch.empty(0), scores)
    if decoding.sampling is None:
        chosen = allowed.argmax(dim=-1, keepdim=True)
    else:
        chosen = torch.multinomial(allowed.softmax(dim=-1), 1, generator=generator)
    return chosen[:, 0], logps.gather(1, chosen)[:, 0]


def _until_end(ids: torch.Tensor, logps: torch.Tensor, ends: torch.Tensor) -> Sampled:
    """Up to the first end token, which belongs to the answer."""
    found = torch.isin(ids, ends.cpu()).nonzero().flatten()
    length = int(found[0]) + 1 if len(found) else len(ids)
    return Sampled(ids[:length].tolist(), logps[:length].tolist())
