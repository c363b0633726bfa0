"""Four painted lessons, and the recipes that guards are tried with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from drive_vqa.vlm import ChatProcessor
from finetune.collate import Collator
from finetune.config import FinetuneConfig, LearningRates, LoraSettings
from finetune.dataset import Lesson, ShownLesson

CPU = torch.device("cpu")


LANGUAGE_ONLY = FinetuneConfig(lora=LoraSettings(rank=2, dropout=0.0))


ALL_PARTS = replace(LANGUAGE_ONLY, learning_rates=LearningRates(language=1e-3, vision=1e-3, projector=1e-3))


def shown_lesson(number: int) -> ShownLesson:
    """A square on one side and of one brightness; what is asked cannot be told from the words."""
    side, bright = ("left", "right")[number % 2], ("dark", "light")[number // 2 % 2]
    pixels = np.random.default_rng(number).integers(100, 140, (112, 112, 3), dtype=np.uint8)
    columns = slice(0, 56) if side == "left" else slice(56, 112)
    pixels[28:84, columns] = 250 if bright == "light" else 5
    group = {
        "group_id": f"group-{number}",
        "log_id": "painted",
        "context": [{"offset_s": 0.0, "camera": "front", "frame": 0, "width": 112, "height": 112}],
        "marks": [],
    }
    asked = [("On which side is the square?", side), ("Which shade has it?", bright), ("Is there a square?", "yes")]
    questions = [
        {
            "qa_id": f"q{number}-{index}",
            "type": "painted",
            "family": "object",
            "question": text,
            "options": None,
            "answer": answer,
        }
        for index, (text, answer) in enumerate(asked)
    ]
    return ShownLesson(Lesson(group, tuple(questions)), (Image.fromarray(pixels),))


LESSONS = tuple(shown_lesson(number) for number in range(4))


def collator_of(processor: ChatProcessor, packed: bool = True) -> Collator:
    return Collator(processor, packed=packed, max_tokens=4096, size_px=(112, 112))


def answers_of(*numbers: int) -> list[str]:
    return [question["answer"] for number in numbers for question in LESSONS[number].lesson.questions]
