"""Images inside of a page, so that the page needs nothing else."""

from __future__ import annotations

import base64
import io

from PIL import Image

JPEG_QUALITY = 70


def jpeg_uri(image: Image.Image, quality: int = JPEG_QUALITY) -> str:
    """The image as a data URI."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format="JPEG", quality=quality, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
