"""Conversations about the same images as one prompt that is read once, and what each has behind it.

Questions of a group show the same frames and begin alike; so do several answers to one question. Where conversations about the
same images differ before the last of these, each is read by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from drive_vqa.vlm.dialogues import Dialogue, Prompt
from drive_vqa.vlm.family import Images


def share_prefixes(
    sequences: Sequence[Sequence[int]], images: Sequence[Images], image_token_id: int
) -> tuple[list[Prompt], list[Dialogue]]:
    """Prompts, and one dialogue a sequence in their order; every dialogue has at least one token.

    Args:
        sequences: token ids up to where the model begins to speak, image placeholders written out; at least two each.
        images: of each; the same object where the same images are meant.
        image_token_id: the placeholder of image features.
    """
    members: dict[int, list[int]] = {}
    for row, own in enumerate(images):
        members.setdefault(id(own), []).append(row)
    prompts: list[Prompt] = []
    dialogues: dict[int, Dialogue] = {}
    for rows in members.values():
        for same, length in _shared(rows, sequences, image_token_id):
            for row in same:
                dialogues[row] = Dialogue(len(prompts), tuple(sequences[row][length:]))
            prompts.append(Prompt(tuple(sequences[same[0]][:length]), images[same[0]]))
    return prompts, [dialogues[row] for row in range(len(sequences))]


def _shared(rows: list[int], sequences: Sequence[Sequence[int]], image_token_id: int) -> list[tuple[list[int], int]]:
    """Rows that share a prefix with all their images in it, and its length; else each row alone."""
    own = [list(sequences[row]) for row in rows]
    shortest = min(map(len, own))
    begins = np.array([ids[:shortest] for ids in own])
    differs = (begins != begins[0]).any(axis=0)
    length = min(int(differs.argmax()) if differs.any() else shortest, shortest - 1)
    if any(image_token_id in ids[length:] for ids in own):
        return [([row], len(ids) - 1) for row, ids in zip(rows, own, strict=True)]
    return [(rows, length)]
