"""Random-looking numbers that depend on what they are for, and on nothing else.

Every choice of the generator (wording, number of a mark, which of two questions is kept) is drawn from a hash of what it is
about, so that it does not depend on the order of work, the number of workers or on other logs.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
from jaxtyping import Int, UInt64

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def text_hash(text: str) -> int:
    """64 bits of a text's BLAKE2b, stable over processes and versions."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def mix(seed: int, *columns: Int[np.ndarray, "..."] | UInt64[np.ndarray, "..."]) -> UInt64[np.ndarray, "..."]:
    """One hash an entry of whole-number columns that broadcast together: SplitMix64 (Steele et al., OOPSLA 2014) chained.

    Args:
        seed: any whole number; taken modulo 2^64.
        columns: at least one.
    """
    state: np.ndarray = np.array(seed % 2**64, dtype=np.uint64)
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64 is the point
        for column in columns:
            state = _splitmix(state ^ column.astype(np.uint64))
    return np.asarray(state)


def _splitmix(value: np.ndarray) -> np.ndarray:
    value = value + _GOLDEN
    value = (value ^ (value >> np.uint64(30))) * _FIRST
    value = (value ^ (value >> np.uint64(27))) * _SECOND
    return np.asarray(value ^ (value >> np.uint64(31)))


def below(hashes: UInt64[np.ndarray, "*n"], count: int | Int[np.ndarray, "*n"]) -> Int[np.ndarray, "*n"]:
    """Numbers in [0, count) from hashes; 0 where count is 0."""
    return np.asarray((hashes >> np.uint64(11)).astype(np.int64) % np.maximum(count, 1))


def hexadecimal(hashes: UInt64[np.ndarray, "n"]) -> pa.StringArray:
    """Sixteen lower-case digits each."""
    digits = _HEX[hashes.astype(">u8").view(">u2")]
    offsets = 16 * np.arange(len(hashes) + 1, dtype=np.int32)
    return pa.StringArray.from_buffers(len(hashes), pa.py_buffer(offsets), pa.py_buffer(digits))


_HEX = np.frombuffer("".join(f"{pair:04x}" for pair in range(2**16)).encode(), dtype="V4")
"""Four digits for each two bytes."""
