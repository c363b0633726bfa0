"""What TRL's GRPOTrainer (1.16) lacks for dialogues with looks: mixed in before it.

- After the last look its next turn is begun with `<answer>`, masked like the observation it stands behind.
- A dialogue that was cut carries no loss. TRL's `mask_truncated_completions` knows only turns that were cut in their middle; one
  that ends with a call that nobody answered (no room for the observation, or no rounds left) counts as whole there.
- Crops are asserted to be in the forward pass. Where one image token is off, TRL drops the pixels of the whole batch in silence.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch

from drive_vqa.errors import ModelError
from drive_vqa.prompt import Message
from finetune.zoom.session import forced_prefix


class ForcedAnswers:
    """Mixed into `trl.GRPOTrainer`, before it: answers are forced after the last look, and what is unfinished carries no loss."""

    eos_token_ids: Any
    _tokenizer: Any

    def _get_tool_suffix_ids(self, tool_messages: list[Message]) -> list[int]:
        suffix: list[int] = super()._get_tool_suffix_ids(tool_messages)  # type: ignore[misc]
        prefix = forced_prefix(tool_messages)
        return [*suffix, *(self._tokenizer(prefix, add_special_tokens=False)["input_ids"] if prefix else ())]

    def _tool_call_loop(self, *arguments: Any) -> tuple[Any, ...]:
        tool_mask, completions, completion_ids, *rest = super()._tool_call_loop(*arguments)  # type: ignore[misc]
        tool_mask = without_unfinished(tool_mask, completions, completion_ids, self.eos_token_ids)
        return tool_mask, completions, completion_ids, *rest


class ZoomRollouts(ForcedAnswers):
    """The same, with crops asserted; its processing class is a `trl_processor`."""

    processing_class: Any

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        batch: dict[str, Any] = super()._generate_and_score_completions(inputs)  # type: ignore[misc]
        processor = self.processing_class
        check_crops(
            batch, self._tokenizer.convert_tokens_to_ids(processor.image_token), processor.image_processor.merge_size
        )
        return batch


def without_unfinished(
    tool_mask: Sequence[Sequence[int]],
    completions: Sequence[Sequence[Mapping[str, Any]]],
    completion_ids: Sequence[Sequence[int]],
    end_ids: Collection[int],
) -> list[list[int]]:
    """The loss mask with nothing left of dialogues that did not come to their end.

    Args:
        tool_mask: 1 for tokens that the model said, by dialogue.
        completions: their messages.
        completion_ids: their tokens.
        end_ids: the tokens that end a turn.
    """
    ended = [
        is_finished(completion) and bool(ids) and ids[-1] in end_ids
        for completion, ids in zip(completions, completion_ids, strict=True)
    ]
    return [list(mask) if whole else [0] * len(mask) for mask, whole in zip(tool_mask, ended, strict=True)]


def is_finished(completion: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the last word of a dialogue in TRL's form is the model's, and no call."""
    return bool(completion) and completion[-1]["role"] == "assistant" and not completion[-1].get("tool_calls")


def check_crops(batch: Mapping[str, Any], image_token_id: int, merge_size: int) -> None:
    """Refuse a batch whose frames or crops would not all be in the forward pass.

    Args:
        batch: of `_generate_and_score_completions`.
        image_token_id: the placeholder that image features replace.
        merge_size: patches along a side of what one placeholder stands for.

    Raises:
        ModelError: pixels are gone, or a dialogue has not as many placeholders as its images have features.
    """
    tokens = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
    placeholders = (tokens == image_token_id).sum(dim=1).tolist()
    if not any(placeholders):
        return
    if batch.get("pixel_values") is None or batch.get("image_grid_thw") is None:
        raise ModelError(
            "TRL dropped the images of a batch, because placeholders and features differ in number: raise max_completion_length, "
            "and suppress image tokens in sampling"
        )
    patches = batch["image_grid_thw"].prod(dim=1)
    features = [int(own.sum()) // merge_size**2 for own in patches.split(batch["num_images"])]
    if placeholders != features or int(patches.sum()) != len(batch["pixel_values"]):
        raise ModelError(
            f"dialogues have {placeholders} image placeholders for {features} image features: crops were lost"
        )
