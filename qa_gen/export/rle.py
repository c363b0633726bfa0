"""Masks of boxes in COCO's compressed run lengths, as pycocotools reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def box_rle(box: Sequence[int], size_px: tuple[int, int]) -> dict[str, Any]:
    """The mask of a box: 1 inside.

    Args:
        box: (u0, v0, u1, v1), whole pixels; u1 and v1 are the first ones outside.
        size_px: (width, height) of the image.

    Returns:
        `size` (height, width) and `counts`, ready for JSON.
    """
    from pycocotools import mask as coco_mask

    width, height = size_px
    u0, v0, u1, v1 = box
    mask = np.zeros((height, width), dtype=np.uint8, order="F")
    mask[v0:v1, u0:u1] = 1
    encoded = coco_mask.encode(mask)
    return {"size": [height, width], "counts": encoded["counts"].decode("ascii")}
