"""What carries loss, seen by decoding it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from PIL import Image

from drive_vqa.errors import ModelError
from drive_vqa.vlm import ChatProcessor, Vlm
from finetune.collate import Collator, check_each_image
from finetune.config import FinetuneConfig
from finetune.dataset import LessonDataset, ShownLesson, Visit
from finetune.packing import IGNORED, PADDING
from finetune.plan import Plan


@pytest.fixture(scope="module")
def collator(processor: ChatProcessor, config: FinetuneConfig) -> Collator:
    return Collator.of(processor, config, 8192)


@pytest.mark.parametrize("packed", [True, False])
def test_only_answers_carry_loss(collator: Collator, dataset: LessonDataset, packed: bool) -> None:
    batch = replace(collator, packed=packed)([dataset[(Visit(0, 0), Visit(1, 0))], dataset[(Visit(2, 0),)]])
    decoded = [
        collator.processor.tokenizer.decode(batch["labels"][row][own & (batch["labels"][row] != IGNORED)])
        for row in range(len(batch["labels"]))
        for lesson in range(int(batch["lesson"][row].max()) + 1)
        for number in range(1, int(batch["segment"][row].max()) + 1)
        if (own := (batch["lesson"][row] == lesson) & (batch["segment"][row] == number)).any()
    ]
    asked = [question for lesson in range(3) for question in dataset.lesson(lesson).questions]
    assert decoded == [f"{question['answer']}<|im_end|>" for question in asked]
    assert (batch["labels"][batch["segment"] <= 0] == IGNORED).all()
    carrying = batch["labels"] != IGNORED
    assert torch.equal(batch["labels"][carrying], batch["input_ids"][carrying])


def test_packing_shows_images_once(collator: Collator, dataset: LessonDataset) -> None:
    row = [dataset[(Visit(0, 0), Visit(1, 0))]]
    packed, separate = collator(row), replace(collator, packed=False)(row)
    count = sum(len(shown.lesson.questions) for shown in row[0])
    assert (len(packed["image_grid_thw"]), len(separate["image_grid_thw"])) == (4, 2 * count)
    assert (len(packed["input_ids"]), len(separate["input_ids"])) == (1, count)
    assert int((packed["labels"] != IGNORED).sum()) == int((separate["labels"] != IGNORED).sum())


def test_lessons_of_a_row_stand_one_after_another(collator: Collator, dataset: LessonDataset) -> None:
    """Each as it is alone: its tokens, its segments and its positions."""
    together = collator([dataset[(Visit(0, 0), Visit(2, 0))], dataset[(Visit(1, 0),)]])
    assert (together["lesson"][1] == PADDING).any()
    for row, place, lesson in ((0, 0, 0), (0, 1, 2), (1, 0, 1)):
        own = together["lesson"][row] == place
        alone = collator([dataset[(Visit(lesson, 0),)]])
        for name in ("input_ids", "labels", "segment"):
            assert torch.equal(together[name][row][own], alone[name][0])
        assert torch.equal(together["position_ids"][:, row][:, own], alone["position_ids"][:, 0])
        assert int(alone["position_ids"].min()) == 0


def test_prompt_reads_as_asked(collator: Collator, dataset: LessonDataset) -> None:
    batch = replace(collator, packed=False)([dataset[(Visit(0, 0),)]])
    first = batch["input_ids"][0][batch["segment"][0] != PADDING]
    text = collator.processor.tokenizer.decode(first).replace("<|image_pad|>", "")
    question = dataset.lesson(0).questions[0]
    assert text == (
        "<|im_start|>user\n0.5 seconds ago:<|vision_start|><|vision_end|>Now:<|vision_start|><|vision_end|>"
        f"{question['question']}<|im_end|>\n<|im_start|>assistant\n{question['answer']}<|im_end|>"
    )


@pytest.mark.parametrize(
    ("model_type", "told"), [("qwen3_vl", "[100, 250, 500, 750]"), ("qwen2_5_vl", "[17, 28, 84, 84]")]
)
def test_boxes_are_in_the_units_of_the_family(
    family_vlm: Callable[[str], Vlm], dataset: LessonDataset, model_type: str, told: str
) -> None:
    """A box of an original of 400 by 200 pixels, in question, option and answer: per mille, and pixels of what the model sees."""
    shown = dataset.shown(0)
    views = [{**view, "width": 400, "height": 200} for view in shown.lesson.group["context"]]
    box = "[40, 50, 200, 150]"
    question = {"question": f"What is at {box}?", "options": [f"that at {box}"], "answer": box}
    lesson = replace(shown.lesson, group={**shown.lesson.group, "context": views}, questions=(question,))
    processor = family_vlm(model_type).processor
    batch = Collator(processor, packed=True, max_tokens=4096, size_px=(168, 112))([[ShownLesson(lesson, shown.frames)]])
    text = processor.tokenizer.decode(batch["input_ids"][0])
    assert text.count(told) == 3
    assert box not in text


def test_cut_doubled_and_joined_images_are_refused(collator: Collator, dataset: LessonDataset) -> None:
    shown = dataset.shown(0)
    processor = collator.processor
    images = processor.images(shown.frames)
    ids = torch.tensor(collator.samples(shown, images)[0].prompt)
    check_each_image(ids, images, processor, "g")
    places = (ids == processor.image_token_id).nonzero().flatten()
    cut, doubled = torch.cat([ids[: places[3]], ids[places[4] :]]), torch.cat([ids, ids])
    moved = torch.cat([cut[: places[-1]], ids[places[-1:]], cut[places[-1] :]])
    assert int((moved == processor.image_token_id).sum()) == len(places), "as many, but not in each image"
    for wrong in (cut, doubled, moved):
        with pytest.raises(ModelError, match=r"group g has image placeholders in portions of .* cut or doubled"):
            check_each_image(wrong, images, processor, "g")


def test_question_that_smuggles_a_placeholder_is_refused(collator: Collator, dataset: LessonDataset) -> None:
    shown = dataset.shown(0)
    question = {**shown.lesson.questions[0], "question": "What is <|image_pad|>?"}
    hostile = ShownLesson(replace(shown.lesson, questions=(question,)), shown.frames)
    with pytest.raises(ModelError, match="3 image placeholders for 2 images"):
        collator([[hostile]])


def test_too_long_is_refused_not_cut(collator: Collator, dataset: LessonDataset) -> None:
    """A row may be longer than the model takes, a question with its images may not."""
    row = dataset[(Visit(0, 0), Visit(1, 0), Visit(2, 0))]
    alone = replace(collator, packed=False)([row])["input_ids"].shape[1]
    assert replace(collator, max_tokens=alone)([row])["input_ids"].shape[1] > alone
    with pytest.raises(ModelError, match=rf"group group-\d has {alone} tokens, the model takes {alone - 1}"):
        replace(collator, max_tokens=alone - 1)([row])


def test_missing_frames_are_refused(collator: Collator, dataset: LessonDataset) -> None:
    with pytest.raises(ModelError, match="without an image"):
        collator([[ShownLesson(dataset.lesson(0), ())]])


def test_a_step_is_the_same_as_one_batch_and_as_many(
    collator: Collator, dataset: LessonDataset, config: FinetuneConfig
) -> None:
    """The tokens that carry loss in each step: batches of 1 and of 4, packed or not."""
    steps = []
    for batch_size, packed in ((1, True), (4, True), (2, False)):
        chosen = replace(config, batch_size=batch_size, gradient_accumulation=4 // batch_size, epochs=4)
        batches = [
            replace(collator, packed=packed)([dataset[row] for row in rows])
            for rows in Plan.make(dataset.index, chosen)
        ]
        told = [batch["labels"][batch["labels"] != IGNORED].tolist() for batch in batches]
        many = chosen.gradient_accumulation
        steps.append([sorted(itertools.chain(*told[first : first + many])) for first in range(0, len(told), many)])
    assert steps[0] == steps[1] == steps[2]
    assert len(steps[0]) > 1
    assert isinstance(dataset.shown(0).frames[0], Image.Image)
