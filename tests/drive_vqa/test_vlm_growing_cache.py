"""A cache with room holds what the library's holds."""

from __future__ import annotations

import pytest
import torch
from transformers import DynamicCache

from drive_vqa.vlm.growing_cache import ROOM_TOKENS, GrowingCache

LAYERS, HEADS, WIDTH = 2, 3, 4


def _read(caches: tuple[DynamicCache, GrowingCache], rows: int, count: int, generator: torch.Generator) -> None:
    """Both caches read the same, and return the same."""
    for layer in range(LAYERS):
        keys, values = torch.randn(2, rows, HEADS, count, WIDTH, generator=generator)
        expected, seen = (cache.update(keys, values, layer) for cache in caches)
        assert all(torch.equal(*pair) for pair in zip(expected, seen, strict=True))
    assert caches[0].get_seq_length() == caches[1].get_seq_length()


@pytest.mark.parametrize("prompt", [1, ROOM_TOKENS - 1, ROOM_TOKENS, 3 * ROOM_TOKENS])
def test_all_that_was_read_is_there_after_the_room_is_full(prompt: int) -> None:
    generator, caches = torch.Generator().manual_seed(0), (DynamicCache(), GrowingCache())
    _read(caches, 2, prompt, generator)
    for _ in range(4 * ROOM_TOKENS):
        _read(caches, 2, 1, generator)


def test_rows_are_repeated_and_dropped_between_tokens() -> None:
    generator, caches = torch.Generator().manual_seed(0), (DynamicCache(), GrowingCache())
    _read(caches, 3, 5, generator)
    for kept in ([0, 0, 1, 2, 2], [4, 1, 0], [2, 1, 0], [1]):
        for cache in caches:
            cache.batch_select_indices(torch.tensor(kept))
        for _ in range(3):
            _read(caches, len(kept), 1, generator)


def test_what_was_cropped_or_forgotten_does_not_come_back() -> None:
    generator, caches = torch.Generator().manual_seed(0), (DynamicCache(), GrowingCache())
    _read(caches, 2, 9, generator)
    for cache in caches:
        cache.crop(-4)
    _read(caches, 2, 1, generator)
    for cache in caches:
        cache.reset()
    _read(caches, 1, 2, generator)


def test_a_token_is_written_where_there_is_room() -> None:
    """Without this the cache would be right and slow."""
    cache = GrowingCache()
    first, _ = cache.update(*torch.ones(2, 1, HEADS, 1, WIDTH), 0)
    second, _ = cache.update(*torch.ones(2, 1, HEADS, 1, WIDTH), 0)
    assert first.data_ptr() == second.data_ptr()
