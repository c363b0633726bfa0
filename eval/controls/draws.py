"""What controls draw at random: it follows from a seed and names, never from the order of work."""

from __future__ import annotations

import hashlib

import numpy as np


def derangement(count: int, draw: np.random.Generator) -> list[int]:
    """A random order of 0 … count-1 in which nothing keeps its place; `count` at least 2."""
    while True:  # more than a third of all orders are such
        order = draw.permutation(count)
        if (order != np.arange(count)).all():
            return [int(place) for place in order]


def draw_of(seed: int, *names: str) -> np.random.Generator:
    """Random numbers that follow from a seed and names alone."""
    content = "\n".join([str(seed), *names])
    return np.random.default_rng(int.from_bytes(hashlib.sha256(content.encode()).digest()[:8], "big"))
