"""The library's processor around ours: what TRL's trainers want for a model that sees."""

from __future__ import annotations

from typing import Any

import transformers

from drive_vqa.errors import ModelError
from drive_vqa.vlm import ChatProcessor

CLASSES = {"qwen2_5_vl": "Qwen2_5_VLProcessor", "qwen3_vl": "Qwen3VLProcessor"}


class WithoutVideo:
    """Mixed into a processor of the library, before it: its video processor would need torchvision."""

    def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
        """Every argument but that one."""
        if argument_name == "video_processor":
            return type(argument)
        return super().check_argument_for_proper_class(argument_name, argument)  # type: ignore[misc]


def trl_processor(processor: ChatProcessor) -> Any:
    """The same tokenizer, chat template and image processor, as the library's processor.

    Args:
        processor: ours; for dialogues with looks a `finetune.zoom.templates.tool_processor`.

    Raises:
        ModelError: the family is none of Qwen's.
    """
    name = CLASSES.get(processor.family.model_type)
    if name is None:
        raise ModelError(
            f"TRL's own processing is known for Qwen2.5-VL and Qwen3-VL, and this model is of {processor.family.name}"
        )
    alone = type(name, (WithoutVideo, getattr(transformers, name)), {})
    tokenizer = processor.tokenizer
    return alone(processor.image_processor, tokenizer, None, chat_template=tokenizer.chat_template)
