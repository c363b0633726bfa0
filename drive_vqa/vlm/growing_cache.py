"""Keys and values of what was read, with room behind them: another token is written, not copied together with all before it.

The library's `DynamicCache` joins all keys and values anew for each token, which took three fifths of the time of long answers
of a small model on a CPU; its `StaticCache` attends to all the room from the start and cannot drop rows.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import Cache
from transformers.cache_utils import DynamicLayer

ROOM_TOKENS = 64
"""Made at a time; of what is read next at least."""


class GrowingCache(Cache):  # type: ignore[misc]
    """What all layers have seen."""

    def __init__(self) -> None:
        super().__init__(layer_class_to_replicate=_GrowingLayer)


class _GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """Its `keys` and `values`, (rows, heads, seen, width), are the beginnings of longer tensors."""

    keys: torch.Tensor
    values: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self._rooms: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write what is read behind what was read; all of it is returned."""
        del args, kwargs
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        seen = self.get_seq_length()
        rooms = self._rooms or (self.keys, self.values)
        self._rooms = (
            _with_room(rooms[0], self.keys, seen, key_states),
            _with_room(rooms[1], self.values, seen, value_states),
        )
        self.keys, self.values = (room[:, :, : seen + key_states.shape[2]] for room in self._rooms)
        return self.keys, self.values


def _with_room(room: torch.Tensor, before: torch.Tensor, seen: int, read: torch.Tensor) -> torch.Tensor:
    """`before`, (rows, heads, seen, width), and behind it `read`: in `room`, if `before` lies there and enough is left."""
    rows, heads, count, width = read.shape
    there = seen > 0 and room.data_ptr() == before.data_ptr() and room.shape[0] == rows
    if not there or room.shape[2] < seen + count:
        room = read.new_empty(rows, heads, seen + max(2 * count, ROOM_TOKENS), width)
        if seen:
            room[:, :, :seen] = before
    room[:, :, seen : seen + count] = read
    return room
