"""Which model a folder holds, told in milliseconds: to notice that a base is another one than an adapter was trained on.

A digest of all bytes of a model of 15 GB takes half a minute; this one reads the list of its tensors and samples of their values.
Two models of one shape that were trained apart differ in nearly every value, so samples tell them apart. It is no protection
against someone who means to deceive.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, BinaryIO

from drive_vqa.errors import ModelError

SAMPLES = 64
SAMPLE_BYTES = 4096
LENGTH_BYTES = 8
"""A safetensors file begins with the length of its header as an unsigned 64-bit little-endian integer."""

MAX_HEADER_BYTES = 100_000_000
"""As the format's own readers allow."""


def weights_digest(folder: Path) -> str:
    """SHA-256, hexadecimal, over names and samples of all safetensors files of a model folder.

    Args:
        folder: of a model.

    Raises:
        ModelError: it holds no safetensors file, or a damaged one.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelError(f"{folder} holds no safetensors file: give the folder of a model")
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            _add_file(digest, file, path)
    return digest.hexdigest()


def _add_file(digest: Any, file: BinaryIO, path: Path) -> None:
    """The header, which names every tensor with its type and shape, and samples spread evenly over the rest."""
    size = path.stat().st_size
    header_bytes = int.from_bytes(file.read(LENGTH_BYTES), "little")
    if header_bytes > min(size - LENGTH_BYTES, MAX_HEADER_BYTES):
        raise ModelError(f"{path} is not a whole safetensors file: copy it again")
    digest.update(f"{path.name} {size}\n".encode())
    digest.update(file.read(header_bytes))
    start = LENGTH_BYTES + header_bytes
    for index in range(SAMPLES):
        file.seek(start + (size - start) * index // SAMPLES)
        digest.update(file.read(SAMPLE_BYTES))
