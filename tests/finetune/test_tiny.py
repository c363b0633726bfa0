"""The tiny model's folder, tokenizer and weights."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from drive_vqa.vlm import load_processor, load_vlm
from finetune.tiny import make_tiny_base
from finetune.tiny_tokenizer import REASONING, SPECIAL_TOKENS, VOCABULARY_SIZE, build_tokenizer, common_phrases

QUESTIONS = [
    "How far away is Region 1 in meters?\nA. near",
    "How far away is Region 2 in meters?\nA. near",
    "12 m",
    "a 3 b",
]
TOKENIZER = build_tokenizer()
WITH_PHRASES = build_tokenizer(QUESTIONS)


def test_digits_stand_alone() -> None:
    assert TOKENIZER.tokenize("-1234.5") == ["-", "1", "2", "3", "4", ".", "5"]
    assert not [token for token in TOKENIZER.get_vocab() if len(token) > 1 and any(sign.isdigit() for sign in token)]


@settings(deadline=None, max_examples=60)
@given(st.text(st.characters(exclude_categories=("Cs",))), st.booleans())
def test_any_text_comes_back(text: str, phrases: bool) -> None:
    tokenizer = WITH_PHRASES if phrases else TOKENIZER
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == unicodedata.normalize("NFC", text)


def test_phrases_between_digits_are_single_tokens() -> None:
    assert WITH_PHRASES.tokenize(QUESTIONS[0]) == ["How far away is Region ", "1", " in meters?\nA. near"]
    assert WITH_PHRASES.tokenize("Region 1")[-1] == "1"
    for question in QUESTIONS:
        assert WITH_PHRASES.decode(WITH_PHRASES(question)["input_ids"]) == question


def test_order_of_questions_does_not_matter() -> None:
    assert common_phrases(QUESTIONS) == common_phrases(QUESTIONS[::-1])


def test_vocabulary_is_fixed() -> None:
    again = build_tokenizer()
    assert again.get_vocab() == TOKENIZER.get_vocab()
    assert len(again) == VOCABULARY_SIZE + len(REASONING)
    assert [TOKENIZER.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS] == list(range(len(SPECIAL_TOKENS)))


def test_grounded_reasoning_is_short() -> None:
    """Mostly digits: of a trace of 216 characters no more than a third as many tokens."""
    trace = (
        "<think>\n<obj>Region 0</obj><box>[102,79,128,106]</box>at<t>0.0</t>s is at <pos>38.0 m, 12°</pos>.\n"
        "The center of Region 0 is 37.26 m along my heading and 7.69 m to my left, which is 38.0 m away.\n"
        "So the answer is 38.0 meters.\n</think>\n<answer>38.0 meters</answer>"
    )
    ids = TOKENIZER(trace)["input_ids"]
    assert TOKENIZER.decode(ids) == trace
    assert len(ids) < len(trace) / 3


def test_saved_processor_is_the_same(base: Path) -> None:
    loaded = load_processor(base).tokenizer
    text = "<|im_start|>user\nHow far away is Region 12, in meters?<|im_end|>\n"
    assert loaded(text)["input_ids"] == TOKENIZER(text)["input_ids"]
    assert loaded.chat_template == TOKENIZER.chat_template


def test_seed_decides_the_weights(base: Path, tmp_path: Path) -> None:
    same, other = (make_tiny_base(tmp_path / str(seed), seed) for seed in (0, 1))
    weights = [load_file(folder / "model.safetensors") for folder in (base, same, other)]
    assert all(weights[0][name].equal(weights[1][name]) for name in weights[0])
    assert not all(weights[0][name].equal(weights[2][name]) for name in weights[0])


def test_existing_folder_is_kept(base: Path) -> None:
    before = (base / "model.safetensors").stat().st_mtime_ns
    make_tiny_base(base, seed=5)
    assert (base / "model.safetensors").stat().st_mtime_ns == before


def test_it_is_small(base: Path) -> None:
    model = load_vlm(base, device="cpu").model
    assert 4.0e6 < sum(parameter.numel() for parameter in model.parameters()) < 4.5e6
    assert model.lm_head.weight.data_ptr() != model.get_input_embeddings().weight.data_ptr()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "preprocessor_config.json"])
def test_folder_has_the_usual_files(base: Path, name: str) -> None:
    assert (base / name).is_file()
