"""Answers that are sampled with every prompt read once are those of the library's model, and deterministic."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from drive_vqa.vlm import Decoding, Dialogue, Prompt, Sampled, Sampling, Vlm, sample
from tests.finetune.refine.reference import plain_inputs, plain_logps


def decoding(vlm: Vlm, temperature: float = 0.8, top_p: float = 1.0, **changed: object) -> Decoding:
    usual = Decoding(12, (vlm.processor.image_token_id,), (vlm.processor.end_id,), Sampling(temperature, top_p))
    return replace(usual, **changed)  # type: ignore[arg-type]


def draw(vlm: Vlm, prompts: list[Prompt], dialogues: list[Dialogue], how: Decoding, seed: int = 0) -> list[Sampled]:
    return sample(vlm.model, vlm.processor, prompts, dialogues, how, torch.Generator().manual_seed(seed))


def copies(count: int) -> list[Dialogue]:
    return [Dialogue(prompt) for prompt in (0, 1) for _ in range(count)]


def test_recorded_log_probabilities_are_the_models(any_vlm: Vlm, prompts: list[Prompt]) -> None:
    for dialogue, drawn in zip(copies(3), draw(any_vlm, prompts, copies(3), decoding(any_vlm)), strict=True):
        whole = replace(dialogue, ids=tuple(drawn.ids))
        with torch.no_grad():
            told = plain_logps(any_vlm, prompts[dialogue.prompt], whole, temperature=0.8)
        torch.testing.assert_close(torch.tensor(drawn.logps), told, rtol=1e-4, atol=1e-4)


def test_dialogues_go_on_after_their_crops(any_vlm: Vlm, prompts: list[Prompt], dialogues: list[Dialogue]) -> None:
    for dialogue, drawn in zip(dialogues, draw(any_vlm, prompts, dialogues, decoding(any_vlm)), strict=True):
        whole = replace(dialogue, ids=(*dialogue.ids, *drawn.ids))
        with torch.no_grad():
            told = plain_logps(any_vlm, prompts[dialogue.prompt], whole, temperature=0.8)[len(dialogue.ids) :]
        torch.testing.assert_close(torch.tensor(drawn.logps), told, rtol=1e-4, atol=1e-4)


def test_the_likeliest_answer_is_the_librarys(any_vlm: Vlm, prompts: list[Prompt]) -> None:
    found = draw(any_vlm, prompts, [Dialogue(0), Dialogue(1)], decoding(any_vlm, sampling=None))
    for prompt, drawn in zip(prompts, found, strict=True):
        config = any_vlm.generation_config()
        config.update(max_new_tokens=12, suppress_tokens=[any_vlm.processor.image_token_id])
        with torch.no_grad():
            output = any_vlm.model.generate(**plain_inputs(any_vlm, prompt, Dialogue(0)), generation_config=config)
        greedy = output[0, len(prompt.ids) :].tolist()
        assert drawn.ids == greedy[: len(drawn.ids)]


def test_answers_differ_and_the_same_seed_gives_the_same(any_vlm: Vlm, prompts: list[Prompt]) -> None:
    first, again, other = (draw(any_vlm, prompts, copies(4), decoding(any_vlm), seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert len({tuple(drawn.ids) for drawn in first[:4]}) > 1


def test_answers_end_at_their_end_token_and_others_go_on(any_vlm: Vlm, prompts: list[Prompt]) -> None:
    """Every third token ends an answer, so that dialogues leave the batch at different times."""
    ends = tuple(range(0, len(any_vlm.processor.tokenizer), 12))
    found = draw(any_vlm, prompts, copies(8), decoding(any_vlm, end_ids=ends, temperature=2.0))
    lengths = [len(drawn.ids) for drawn in found]
    assert len(set(lengths)) > 2
    for drawn in found:
        assert not set(drawn.ids[:-1]) & set(ends)
        assert drawn.ids[-1] in ends or len(drawn.ids) == 12
    for dialogue, drawn in zip(copies(8), found, strict=True):
        with torch.no_grad():
            told = plain_logps(any_vlm, prompts[dialogue.prompt], replace(dialogue, ids=tuple(drawn.ids)), 2.0)
        torch.testing.assert_close(torch.tensor(drawn.logps), told, rtol=1e-4, atol=1e-4)


def test_suppressed_tokens_are_never_drawn(any_vlm: Vlm, prompts: list[Prompt]) -> None:
    suppressed = tuple(range(0, len(any_vlm.processor.tokenizer), 2))
    found = draw(any_vlm, prompts, copies(3), decoding(any_vlm, suppressed=suppressed, temperature=3.0))
    assert not any(set(drawn.ids) & set(suppressed) for drawn in found)


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_nothing_is_drawn_from_the_tail(any_vlm: Vlm, prompts: list[Prompt], share: float) -> None:
    """A first token is among the likeliest that together have the share."""
    found = draw(any_vlm, prompts, copies(20), decoding(any_vlm, top_p=share, max_new_tokens=1, suppressed=()))
    with torch.no_grad():
        logits = any_vlm.model(**plain_inputs(any_vlm, prompts[0], Dialogue(0))).logits[0, -1].float() / 0.8
    likely, order = logits.softmax(-1).sort(descending=True)
    allowed = order[: int((likely.cumsum(0) < share).sum()) + 1].tolist()
    assert {drawn.ids[0] for drawn in found[:20]} <= set(allowed)
