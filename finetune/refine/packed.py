"""The dialogues behind a prompt as one sequence, with the prompt once: what log-probabilities are computed from.

`finetune.packing` with what the model said in the place of answers. The vision tower and the language model read a prompt once
for all its dialogues, and log-probabilities and gradients are those of separate sequences up to the order in which floats are
added. Crops that a dialogue was shown stand in its own segment, so no other dialogue sees them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int

from drive_vqa.errors import ModelError
from drive_vqa.vlm import ChatProcessor, Images, padding_id
from drive_vqa.vlm.dialogues import Dialogue, Prompt, as_model_takes, positions_behind
from finetune.packing import IGNORED, PADDING, Packed, Sample, pack_behind


@dataclass(frozen=True, eq=False)
class PackedDialogues:
    """A batch.

    Attributes:
        batch: as of `finetune.collate.Collator`; labels are all tokens behind the prompts.
        places: of each dialogue, its row and the place of the token before its first.
        lengths: of the dialogues, in tokens.
    """

    batch: dict[str, torch.Tensor]
    places: tuple[tuple[int, int], ...]
    lengths: tuple[int, ...]

    def of_dialogues(
        self, values: Float[torch.Tensor, "rows next"], width: int
    ) -> Float[torch.Tensor, "dialogues width"]:
        """What a forward pass says of each dialogue's tokens, padded on the right with zeros.

        Args:
            values: at place t of token t + 1.
            width: of the longest dialogue, or more.
        """
        pieces = [
            torch.nn.functional.pad(values[row, place : place + length], (0, width - length))
            for (row, place), length in zip(self.places, self.lengths, strict=True)
        ]
        return torch.stack(pieces)


@dataclass(frozen=True, eq=False)
class _Row:
    """A prompt and the dialogues behind it, by number."""

    prompt: Prompt
    numbers: list[int]
    dialogues: list[Dialogue]

    def packed(self) -> Packed:
        """The last token of the prompt stands before each dialogue, since it is what the first token is said after."""
        samples = [Sample(self.prompt.ids, dialogue.ids) for dialogue in self.dialogues]
        return pack_behind(self.prompt.ids[:-1], samples)

    def positions(self, processor: ChatProcessor) -> Int[torch.Tensor, "axes length"]:
        of_prompt = processor.positions(self.prompt.ids, self.prompt.images)
        behind = [positions_behind(self.prompt, dialogue, processor) for dialogue in self.dialogues]
        own = [part for one in behind for part in (of_prompt[:, -1:], one)]
        return torch.cat([of_prompt[:, :-1], *own], dim=1)

    def images(self) -> list[Images]:
        crops = [dialogue.images for dialogue in self.dialogues if dialogue.images is not None]
        return [self.prompt.images, *crops]

    def places(self) -> list[int]:
        """Of the last prompt token before each dialogue."""
        lengths = [1 + len(dialogue.ids) for dialogue in self.dialogues]
        return list(itertools.accumulate(lengths[:-1], initial=len(self.prompt.ids) - 1))


def pack_dialogues(
    prompts: Sequence[Prompt], dialogues: Sequence[Dialogue], processor: ChatProcessor
) -> PackedDialogues:
    """Pack dialogues, a row for each prompt.

    Args:
        prompts: at least one, each with a dialogue at least.
        dialogues: in any order; one without tokens has no log-probabilities.
        processor: of the model.

    Raises:
        ModelError: a prompt has no dialogue, or placeholders and image features do not match.
    """
    rows = _rows(prompts, dialogues)
    packed = [row.packed() for row in rows]
    fills = {"input_ids": padding_id(processor), "labels": IGNORED, "segment": PADDING}
    padded = {name: _padded([getattr(own, name) for own in packed], fill) for name, fill in fills.items()}
    positions = _padded([row.positions(processor).T for row in rows], 0).transpose(1, 2)
    batch = {
        **padded,
        "lesson": padded["segment"].clamp(max=0),  # one prompt a row; padding stays padding
        "position_ids": as_model_takes(positions),
        **processor.join_images([images for row in rows for images in row.images()]),
    }
    found = {
        number: (index, place)
        for index, row in enumerate(rows)
        for number, place in zip(row.numbers, row.places(), strict=True)
    }
    places = tuple(found[number] for number in range(len(dialogues)))
    return PackedDialogues(batch, places, tuple(len(dialogue.ids) for dialogue in dialogues))


def _rows(prompts: Sequence[Prompt], dialogues: Sequence[Dialogue]) -> list[_Row]:
    behind: list[list[int]] = [[] for _ in prompts]
    for number, dialogue in enumerate(dialogues):
        behind[dialogue.prompt].append(number)
    if not all(behind):
        raise ModelError("a prompt without a dialogue has nothing to learn from")
    return [
        _Row(prompt, numbers, [dialogues[number] for number in numbers])
        for prompt, numbers in zip(prompts, behind, strict=True)
    ]


def _padded(rows: Sequence[torch.Tensor], value: int) -> torch.Tensor:
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value)
