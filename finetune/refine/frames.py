"""A frame in the messages of a prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import Image


@dataclass(frozen=True, eq=False)
class ShownFrame:
    """Stands for an image where TRL hands messages around, so that the dialogues behind one prompt share it.

    TRL copies prompts deeply, pixels and all; after that nobody could tell that they are the same.
    """

    image: Image.Image

    def __deepcopy__(self, _memo: dict[int, Any]) -> ShownFrame:
        return self


def image_of(shown: ShownFrame | Image.Image) -> Image.Image:
    """The image itself; crops of a zoom come as they are."""
    return shown.image if isinstance(shown, ShownFrame) else shown
