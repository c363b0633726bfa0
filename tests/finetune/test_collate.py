"""What carries loss, seen by decoding it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from PIL import Image

from drive_vqa.errors import ModelError
from drive_vqa.vlm import Vlm, check_image_tokens
from finetune.collate import Collator
from finetune.dataset import LessonDataset, ShownLesson, lessons_digest
from finetune.packing import IGNORED, PADDING


@pytest.mark.parametrize("packed", [True, False])
def test_only_answers_carry_loss(vlm: Vlm, dataset: LessonDataset, packed: bool) -> None:
    batch = Collator(vlm.processor, packed=packed, max_tokens=8192)([dataset[0], dataset[1]])
    decoded = [
        vlm.processor.tokenizer.decode(labels[(segment == number) & (labels != IGNORED)])
        for labels, segment in zip(batch["labels"], batch["segment"], strict=True)
        for number in range(1, int(segment.max()) + 1)
    ]
    asked = [question for lesson in dataset.lessons[:2] for question in lesson.questions]
    assert decoded == [f"{question['answer']}<|im_end|>" for question in asked]
    assert (batch["labels"][batch["segment"] <= 0] == IGNORED).all()
    carrying = batch["labels"] != IGNORED
    assert torch.equal(batch["labels"][carrying], batch["input_ids"][carrying])


def test_packing_shows_images_once(vlm: Vlm, dataset: LessonDataset) -> None:
    packed = Collator(vlm.processor, packed=True, max_tokens=8192)([dataset[0]])
    separate = Collator(vlm.processor, packed=False, max_tokens=8192)([dataset[0]])
    count = len(dataset[0].lesson.questions)
    assert len(packed["image_grid_thw"]) == 2
    assert len(separate["image_grid_thw"]) == 2 * count
    own = [int((batch["segment"] > 0).sum()) for batch in (packed, separate)]
    assert own[0] == own[1]


def test_prompt_reads_as_asked(vlm: Vlm, dataset: LessonDataset) -> None:
    batch = Collator(vlm.processor, packed=False, max_tokens=8192)([dataset[0]])
    first = batch["input_ids"][0][batch["segment"][0] != PADDING]
    text = vlm.processor.tokenizer.decode(first).replace("<|image_pad|>", "")
    question = dataset.lessons[0].questions[0]
    assert text == (
        "<|im_start|>user\n0.5 seconds ago:<|vision_start|><|vision_end|>Now:<|vision_start|><|vision_end|>"
        f"{question['question']}<|im_end|>\n<|im_start|>assistant\n{question['answer']}<|im_end|>"
    )


def test_cut_images_are_refused(vlm: Vlm, dataset: LessonDataset) -> None:
    images = vlm.processor.images(dataset[0].frames)
    batch = Collator(vlm.processor, packed=True, max_tokens=8192)([dataset[0]])
    check_image_tokens(batch["input_ids"], images, vlm.processor)
    with pytest.raises(ModelError, match="image placeholders"):
        check_image_tokens(batch["input_ids"][:, 20:], images, vlm.processor)


def test_question_that_smuggles_a_placeholder_is_refused(vlm: Vlm, dataset: LessonDataset) -> None:
    shown = dataset[0]
    question = {**shown.lesson.questions[0], "question": "What is <|image_pad|>?"}
    hostile = ShownLesson(replace(shown.lesson, questions=(question,)), shown.frames)
    with pytest.raises(ModelError, match="3 image placeholders for 2 images"):
        Collator(vlm.processor, packed=True, max_tokens=8192)([hostile])


def test_too_long_is_refused_not_cut(vlm: Vlm, dataset: LessonDataset) -> None:
    with pytest.raises(ModelError, match=r"group-0 has \d+ tokens, the model takes 30"):
        Collator(vlm.processor, packed=True, max_tokens=30)([dataset[0]])


def test_missing_frames_are_refused(vlm: Vlm, dataset: LessonDataset) -> None:
    with pytest.raises(ModelError, match="without an image"):
        Collator(vlm.processor, packed=True, max_tokens=8192)([ShownLesson(dataset.lessons[0], ())])


def test_large_groups_are_cut_into_lessons_that_lose_nothing(dataset: LessonDataset) -> None:
    from finetune.dataset import read_lessons

    cut = read_lessons(dataset.store, "train", questions_per_lesson=3)
    assert [len(lesson.questions) for lesson in cut] == [3, 1] * 3
    assert lessons_digest(cut) == lessons_digest(dataset.lessons)
    assert lessons_digest(cut[1:]) != lessons_digest(cut)


def test_cached_frames_are_the_same(dataset: LessonDataset) -> None:
    cached = LessonDataset(dataset.store, dataset.lessons, dataset.size_px, cache_images=True)
    for _ in range(2):
        for one, other in zip(cached[0].frames, dataset[0].frames, strict=True):
            assert isinstance(one, Image.Image)
            assert one.tobytes() == other.tobytes()
