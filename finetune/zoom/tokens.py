"""The tokens of an observation: what stands between the end of one turn of the model and the beginning of its next."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from drive_vqa.prompt import Message
from drive_vqa.vlm import ChatProcessor, Images
from finetune.zoom.crops import CropPreset
from finetune.zoom.session import ANSWER_NOW, SEEN_BEFORE, Observation, forced_prefix

_ASKED: tuple[Message, ...] = (
    {"role": "user", "content": [{"type": "text", "text": "?"}]},
    {"role": "assistant", "content": [{"type": "text", "text": ""}]},
)


def observation_ids(processor: ChatProcessor, observations: Sequence[Observation], crops: Images) -> list[int]:
    """Token ids from behind the end of the model's turn up to where it speaks again, with what its next turn must begin with.

    They do not depend on what was said before, so they can be put behind the very tokens that a model sampled.

    Args:
        processor: a `tool_processor`.
        observations: what the calls of one turn were answered with.
        crops: of `processed_crops`.
    """
    answers = [observation.message for observation in observations]
    ids = processor.prompt_ids([*_ASKED, *answers], crops)
    ends = [place for place, token in enumerate(ids) if token == processor.end_id]
    prefix = forced_prefix(answers)
    return [*ids[ends[-2] + 1 :], *(processor.answer_ids(prefix)[:-1] if prefix else ())]


def processed_crops(processor: ChatProcessor, observations: Sequence[Observation]) -> Images:
    """The crops of observations as the model takes them; without any there are no inputs."""
    crops = [observation.crop for observation in observations if observation.crop is not None]
    return processor.images(crops) if crops else Images({}, [])


def observation_tokens(processor: ChatProcessor, preset: CropPreset) -> int:
    """Tokens that an observation takes at most; a dialogue's longest completion must leave room for `preset.looks` of these.

    Args:
        processor: a `tool_processor`.
        preset: how looks are taken.
    """
    crop = Image.new("RGB", (preset.shown_px, preset.shown_px))
    longest = Observation("Image 99, closer:", crop, SEEN_BEFORE + ANSWER_NOW)
    return len(observation_ids(processor, [longest], processed_crops(processor, [longest])))
