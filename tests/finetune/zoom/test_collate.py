"""Dialogues as batches, on the painted store with evidence."""

import json
from dataclasses import replace

import pytest
import torch

from finetune.collate import Collator
from finetune.config import FinetuneConfig
from finetune.dataset import LessonDataset, read_index
from finetune.guards.batch_images import check_batch_images
from finetune.guards.parity import check_parity
from finetune.loss import answer_loss
from finetune.packing import IGNORED
from finetune.zoom.calls import read_call
from finetune.zoom.cold_start import ZoomAnswers, turns_in
from finetune.zoom.collate import ZoomCollator
from finetune.zoom.dialogue import calls_in
from finetune.zoom.model_units import turns_in_model_units
from finetune.zoom.session import ZoomSession
from finetune.zoom.templates import tool_processor
from finetune.zoom.views import frame_scales, group_views
from tests.finetune.conftest import FRAMES, SIZE_PX
from tests.finetune.zoom.conftest import LIBRARY, PRESET, trace, with_template


@pytest.fixture(params=["qwen2_5_vl", "qwen3_vl"])
def model(request, family_vlm):
    """Each with the chat template that came with its family."""
    vlm = family_vlm(request.param)
    template = (LIBRARY / f"{request.param}.jinja").read_text()
    return replace(vlm, processor=with_template(vlm.processor, template))


@pytest.fixture
def shown(evident, model):
    """Two lessons of dialogues."""
    config = FinetuneConfig(image_size_px=SIZE_PX, tokens_per_row=8000, workers=0, answers="chain")
    writer = ZoomAnswers(trace, PRESET)
    dataset = LessonDataset(evident, read_index(evident, config, model.processor, writer=writer), config, writer=writer)
    return [dataset.shown(0), dataset.shown(1)]


@pytest.fixture
def collator(evident, model):
    return ZoomCollator(tool_processor(model.processor), True, 8192, SIZE_PX, evident, PRESET)


def test_loss_is_on_what_the_model_says_and_on_nothing_else(collator, shown):
    processor, batch = collator.processor, collator([shown])
    ids, labels = batch["input_ids"][0], batch["labels"][0]
    for number, lesson in enumerate(shown):
        for place, question in enumerate(lesson.lesson.questions, start=1):
            own = (batch["lesson"][0] == number) & (batch["segment"][0] == place)
            said = processor.tokenizer.decode(ids[own & (labels != IGNORED)])
            rest = processor.tokenizer.decode(ids[own & (labels == IGNORED)])
            turns = [
                processor.to_model_text(turn, lesson.lesson.group, SIZE_PX) if not calls_in(turn) else turn
                for turn in turns_in(question["answer"])
            ]
            forced = "<answer>" if len(turns) > PRESET.looks else ""
            assert said.endswith(f"{turns[-1].removeprefix(forced)}<|im_end|>")
            assert said.count("<|im_end|>") == len(turns)
            assert said.count("<tool_call>") == len(turns) - 1
            assert not any(tag in said for tag in ("<tool_response>", "<|image_pad|>", "<|im_start|>"))
            assert rest.count("<tool_response>") == len(turns) - 1
            assert ("answer now" in rest) == rest.endswith("<answer>") == bool(forced)


def test_packed_dialogues_are_worth_what_the_plain_model_says(collator, shown, model):
    few = [replace(one, lesson=replace(one.lesson, questions=one.lesson.questions[1:3])) for one in shown]
    parity = check_parity(model.model, collator.processor, collator, few, torch.device("cpu"), questions=2)
    assert parity.difference < 1e-4


def test_positions_behind_crops_are_the_models_own(collator, shown, model):
    """Each question alone, numbered by the library; packed it goes on behind the shared prefix with the same numbers."""
    alone, processor = replace(collator, packed=False)([shown[:1]]), collator.processor
    together = collator([shown[:1]])
    prefix = int((together["segment"] == 0).sum())
    for place in range(len(shown[0].lesson.questions)):
        ids = alone["input_ids"][place : place + 1, : int((alone["segment"][place] >= 0).sum())]
        looks = len(calls_in(shown[0].lesson.questions[place]["answer"]))
        grid = torch.cat([together["image_grid_thw"][:FRAMES], together["image_grid_thw"][-1:].repeat(looks, 1)])
        types = (ids == processor.image_token_id).int()
        expected, _ = model.model.model.get_rope_index(ids, mm_token_type_ids=types, image_grid_thw=grid)
        assert torch.equal(alone["position_ids"][:, place, : ids.shape[1]], expected[:, 0])
        own = together["position_ids"][:, 0, together["segment"][0] == place + 1]
        assert torch.equal(own, expected[:, 0, prefix:])


def test_crops_are_in_the_forward_pass_in_the_order_of_their_placeholders(collator, shown, model):
    batch = collator([shown[:1]])
    check_batch_images(batch, collator.processor)
    looks = sum(len(calls_in(question["answer"])) for question in shown[0].lesson.questions)
    assert len(batch["image_grid_thw"]) == FRAMES + looks
    crop = batch["image_grid_thw"][FRAMES:].prod(dim=1).sum()
    swapped = {**batch, "pixel_values": batch["pixel_values"].clone()}
    swapped["pixel_values"][-int(crop) :] *= -1
    with torch.no_grad():
        right, other = (answer_loss(model.model, one)[0] for one in (batch, swapped))
    assert abs(float(right - other)) > 1e-3


def test_calls_are_in_the_units_of_the_family(collator, shown, model):
    answers = [question["answer"] for question in shown[0].lesson.questions]
    batch = collator([shown[:1]])
    text = collator.processor.tokenizer.decode(batch["labels"][0][batch["labels"][0] != IGNORED])
    in_pixels, written = [call for answer in answers for call in calls_in(answer)], calls_in(text)
    assert len(written) == len(in_pixels)
    assert (written == in_pixels) == (model.processor.family.model_type == "qwen2_5_vl")
    assert [read_call(one, collator_scales(collator, shown[0])).context for one in written] == [
        json.loads(one)["arguments"]["frame"] - 1 for one in in_pixels
    ]


def test_crops_show_what_the_calls_ask_for(collator, shown, evident, model):
    batch = collator([shown[:1]])
    (first, *_) = (call for question in shown[0].lesson.questions for call in calls_in(question["answer"]))
    views = group_views(evident, shown[0].lesson.group, collator.processor, SIZE_PX)
    in_units = turns_in_model_units(
        shown[0].lesson.questions[0]["answer"], shown[0].lesson.group, collator.processor, SIZE_PX
    )
    assert first in shown[0].lesson.questions[0]["answer"]
    crop = ZoomSession(views, PRESET).look(calls_in(in_units[0])[0]).crop
    expected = collator.processor.images([crop]).inputs["pixel_values"]
    before = int(batch["image_grid_thw"].prod(dim=1)[:FRAMES].sum())
    assert torch.equal(batch["pixel_values"][before : before + len(expected)], expected)


def collator_scales(collator, shown):
    return frame_scales(shown.lesson.group, collator.processor, SIZE_PX)


def test_a_lesson_without_looks_is_the_usual_one(collator, shown):
    plain = tuple({**question, "answer": "<answer>9 m</answer>"} for question in shown[0].lesson.questions)
    lesson = replace(shown[0], lesson=replace(shown[0].lesson, questions=plain))
    usual = Collator(collator.processor, collator.packed, collator.max_tokens, collator.size_px)
    ours, theirs = collator([[lesson]]), usual([[lesson]])
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
