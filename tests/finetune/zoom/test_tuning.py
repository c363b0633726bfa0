"""A cold start through the function that the command line calls: dialogues with looks are what is learned."""

import json
from contextlib import nullcontext
from dataclasses import replace
from unittest.mock import MagicMock

import pytest

from drive_vqa.tracking import TrackedRun
from drive_vqa.vlm import load_run
from finetune import sft
from finetune.config import Evaluation, FinetuneConfig, LearningRates
from finetune.dataset import LessonDataset, lesson_texts, read_index
from finetune.token_counts import TokenCounter
from finetune.zoom import crops
from finetune.zoom.cold_start import ZoomAnswers
from finetune.zoom.collate import ZoomCollator
from finetune.zoom.templates import tool_processor
from tests.finetune.conftest import SIZE_PX
from tests.finetune.zoom.conftest import PRESET, trace

CONFIG = FinetuneConfig(
    answers="chain",
    zoom="tiny",
    image_size_px=SIZE_PX,
    tokens_per_row=4000,
    batch_size=1,
    gradient_accumulation=1,
    max_steps=1,
    learning_rates=LearningRates(language=1e-2),
    probe_steps=0,
    precision="fp32",
    workers=0,
    evaluation=Evaluation(split="held_out", samples=0),
)


@pytest.fixture(autouse=True)
def small_crops(monkeypatch):
    monkeypatch.setitem(crops.PRESETS, "tiny", PRESET)


def test_dialogues_are_learned_under_all_guards(evident, tmp_path, monkeypatch):
    out = tmp_path / "run"
    monkeypatch.setattr(
        sft, "mlflow_run", lambda *_, **__: nullcontext(MagicMock(spec=TrackedRun))
    )  # takes longer than all else
    sft.finetune(evident, CONFIG, model="scratch", out=out, answers=trace)
    assert json.loads((out / "run.json").read_text())["zoom"] == "tiny"
    samples = (out / "samples.md").read_text()
    assert "▶ <tool_call>" in samples
    assert "    <tool_response>" in samples
    assert "▶ <tool_response>" not in samples
    tokenizer = load_run(out, device="cpu").processor.tokenizer
    call = '<tool_call>\n{"name": "zoom", "arguments": {"frame": 1, "coordinate": [10, 20]}}\n</tool_call>'
    assert len(tokenizer(call)["input_ids"]) < 30


def test_a_row_is_as_long_as_was_counted_or_shorter(evident, processor):
    zooming, writer = tool_processor(processor), ZoomAnswers(trace, PRESET)
    dataset = LessonDataset(evident, read_index(evident, CONFIG, zooming, writer=writer), CONFIG, writer=writer)
    collator = ZoomCollator(zooming, True, 8192, SIZE_PX, evident, PRESET)
    for lesson in range(len(dataset)):
        real, counted = len(collator([[dataset.shown(lesson)]])["input_ids"][0]), int(dataset.index.tokens[lesson])
        assert 0.85 * counted < real <= counted


def test_without_looks_tokens_are_counted_as_ever(evident, processor):
    question = {"question": "How far?", "answer": "</tool_call> 3 m"}
    group = evident.read("groups", "painted").to_pylist()[0]
    with_looks, without = (TokenCounter(processor, SIZE_PX, zoom) for zoom in (PRESET, None))
    assert without.question_tokens([question], [group])[0] < with_looks.question_tokens([question], [group])[0]


def test_the_tokenizer_hears_every_turn_and_observation(evident):
    texts = list(lesson_texts(evident, CONFIG, ZoomAnswers(trace, PRESET)))
    assert any(text.startswith("<tool_call>") for text in texts)
    assert any("<tool_response>" in text for text in texts)
    assert not any("</tool_call>\n<" in text for text in texts)


@pytest.mark.parametrize("settings", [{"zoom": "telescope"}, {"answers": "plain"}])
def test_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(ValueError, match="zoom is one of"):
        replace(CONFIG, **settings)
