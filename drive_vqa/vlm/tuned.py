"""What a model was tuned on: the record that a training leaves in its folder, and a merged checkpoint carries with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from drive_vqa.errors import ModelError
from drive_vqa.marks import MAX_PIXELS
from drive_vqa.region_forms import FORMS, RegionForm

RUN_FILE = "run.json"
TUNED_FILE = "drive_vqa.json"
"""In the folder of a merged checkpoint."""

PLAIN_TOKENS = 64
TRACE_TOKENS = 1024
"""Reasoning before the answer: a line for each image and mark, and what follows from them."""


@dataclass(frozen=True)
class Tuned:
    """How a model has to be asked.

    Attributes:
        image_size_px: (width, height) of the frames; None: as they are.
        regions: how questions name regions.
        answer_tokens: room that an answer needs.
        base: folder of the base, relative to the record; empty in a merged checkpoint.
        base_digest: of its weights, where it is known.
        whole: the weights themselves were trained, and there is no adapter.
    """

    image_size_px: tuple[int, int] | None
    regions: RegionForm
    answer_tokens: int
    base: str
    base_digest: str | None
    whole: bool


def read_tuned(record: Path) -> Tuned:
    """Read a record.

    Raises:
        ModelError: it is not there or damaged.
    """
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        size, regions = content["image_size_px"], content.get("regions", "marks")
        if regions not in FORMS:
            raise ValueError(f"regions {regions!r}")
        return Tuned(
            None if size is None else _checked_size(int(size[0]), int(size[1])),
            regions,
            PLAIN_TOKENS if content.get("answers", "plain") == "plain" else TRACE_TOKENS,
            str(content.get("base", "")),
            content.get("base_digest"),
            content.get("method") == "full",
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"{record} is missing or damaged: give the folder that `drive-vqa finetune --out` has finished"
        ) from error


def _checked_size(width_px: int, height_px: int) -> tuple[int, int]:
    if min(width_px, height_px) < 1 or width_px * height_px > MAX_PIXELS:
        raise ValueError(f"images of {width_px}×{height_px} pixels")
    return width_px, height_px
