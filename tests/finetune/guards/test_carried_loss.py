"""What carries loss."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from drive_vqa.errors import ModelError
from drive_vqa.vlm import Vlm
from finetune.collate import Collator
from finetune.guards.batch_images import feature_count
from finetune.guards.carried_loss import check_carried, decode_batch, write_samples
from finetune.packing import IGNORED
from tests.finetune.guards.painted_lessons import LESSONS, answers_of, collator_of
from tests.finetune.tiny_families import TINY_TYPES


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("kind", TINY_TYPES)
def test_what_carries_loss_is_the_answers(families: dict[str, Vlm], kind: str, packed: bool) -> None:
    processor = families[kind].processor
    batch = collator_of(processor, packed=packed)([(LESSONS[0], LESSONS[3]), (LESSONS[2],)])
    carried = decode_batch(batch, processor)
    check_carried(carried, answers_of(0, 3, 2), processor)
    assert f"<image ×{feature_count(batch, processor)}" not in carried[0].images
    assert processor.family.image_token not in carried[0].images.replace("<image ×", "")
    asked = [question["question"] for number in (0, 3, 2) for question in LESSONS[number].lesson.questions]
    assert all(text in one.asked for one, text in zip(carried, asked, strict=True))
    with pytest.raises(ModelError, match="would learn"):
        check_carried(carried, answers_of(3, 0, 2), processor)
    with pytest.raises(ModelError, match="for 9 questions and has 8"):
        check_carried(carried, answers_of(0, 3, 2)[:-1], processor)


@pytest.mark.parametrize("shift", [1, -1])
def test_a_mask_shifted_by_one_is_refused(collator: Collator, fresh: Vlm, shift: int) -> None:
    batch = collator([LESSONS[:2]])
    carries = (batch["labels"] != IGNORED).roll(shift, dims=1)
    labels = torch.where(carries, batch["input_ids"], IGNORED)
    with pytest.raises(ModelError, match="carries loss|would learn"):
        check_carried(decode_batch({**batch, "labels": labels}, fresh.processor), answers_of(0, 1), fresh.processor)
    with pytest.raises(ModelError, match="not its own token"):
        decode_batch(
            {**batch, "labels": torch.where(batch["labels"] != IGNORED, batch["input_ids"].roll(1, 1), IGNORED)},
            fresh.processor,
        )


@pytest.mark.parametrize(
    ("place", "message"),
    [("prefix", "in images"), ("padding", "in padding"), ("question", "middle of a question"), ("all", "would learn")],
)
def test_loss_on_anything_else_is_refused(collator: Collator, fresh: Vlm, place: str, message: str) -> None:
    batch = collator([LESSONS[:2], (LESSONS[2],)])
    labels, carries = batch["labels"].clone(), batch["labels"] != IGNORED
    places = {
        "prefix": (batch["segment"] == 0).nonzero()[3:4],
        "padding": (batch["segment"] == -1).nonzero()[:1],
        "question": ((batch["segment"] > 0) & ~carries).nonzero()[:1],
        "all": ((batch["segment"] > 0) & ~carries).nonzero(),
    }[place]
    labels[places[:, 0], places[:, 1]] = batch["input_ids"][places[:, 0], places[:, 1]]
    with pytest.raises(ModelError, match=message):
        check_carried(decode_batch({**batch, "labels": labels}, fresh.processor), answers_of(0, 1, 2), fresh.processor)


def test_an_end_of_turn_that_is_not_learned_is_refused(collator: Collator, fresh: Vlm) -> None:
    batch = collator([LESSONS[:1]])
    ends = batch["labels"] == fresh.processor.end_id
    assert ends.sum() == 3
    with pytest.raises(ModelError, match="would learn|middle of a question"):
        check_carried(
            decode_batch({**batch, "labels": batch["labels"].masked_fill(ends, IGNORED)}, fresh.processor),
            answers_of(0),
            fresh.processor,
        )


def test_the_sample_file_is_made_for_reading(collator: Collator, fresh: Vlm, tmp_path: Path) -> None:
    question = {**LESSONS[1].lesson.questions[0], "qa_id": "q\n# Row 9\n```", "answer": "a\n```\nb"}
    hostile = replace(LESSONS[1], lesson=replace(LESSONS[1].lesson, questions=(question,)))
    batch = collator([(LESSONS[0], hostile), (LESSONS[2],)])
    write_samples(decode_batch(batch, fresh.processor), [LESSONS[0], hostile, LESSONS[2]], tmp_path / "samples.md")
    text = (tmp_path / "samples.md").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["samples.md"]
    assert text.count("## Row") == 2 + text.count("### Lesson") - 3
    assert "<|vision_start|><image ×16><|vision_end|>" in text
    assert "On which side is the square?" in text
    assert "  ▶ left<|im_end|>" in text
    assert "````text" in text
    assert "\n[1] q # Row 9 ```\n" in text
    with pytest.raises(ModelError, match="lessons of the batch"):
        write_samples(decode_batch(batch, fresh.processor), LESSONS[:1], tmp_path / "samples.md")
