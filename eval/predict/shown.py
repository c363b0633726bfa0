"""What is shown with a question: its frames with marks, or what a control puts in their place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image

from drive_vqa.errors import ConfigError, StoreError
from drive_vqa.marks import Style, marked_frames
from drive_vqa.store import Store
from eval.hiding import GREY, Hide, hidden_frames
from eval.predict.asked import PromptedQuestion

FramesOf = Callable[[PromptedQuestion, tuple[int, int] | None, Style], list[Image.Image]]
"""What is shown with a question, at a size and with regions drawn in a style."""


def frames_shown(*, blank: bool = False, hide: Hide | None = None, seed: int = 0) -> tuple[FramesOf, str]:
    """What is shown with a question, and what a control adds to the name of a model; arguments as for `vlm_answerer`.

    Raises:
        ConfigError: both controls at once.
    """
    if blank and hide:
        raise ConfigError("grey images have nothing to hide: take one of blank and hide")

    def frames_of(asked: PromptedQuestion, size_px: tuple[int, int] | None, style: Style) -> list[Image.Image]:
        if hide:
            return hidden_frames(asked.store, asked.group, asked.evidence, size_px, hide=hide, style=style, seed=seed)
        return (grey_frames if blank else marked_frames)(asked.store, asked.group, size_px, style=style)

    return frames_of, "+blank" if blank else f"+hide-{hide}" if hide else ""


def grey_frames(
    _store: Store, group: Mapping[str, Any], size_px: tuple[int, int] | None, **_style: Any
) -> list[Image.Image]:
    """Frames that show nothing.

    Raises:
        StoreError: their size is not known.
    """
    if size_px is None and not all(view["width"] and view["height"] for view in group["context"]):
        raise StoreError(f"group {group.get('group_id')} has an image of unknown size: leave its questions out")
    return [Image.new("RGB", size_px or (view["width"], view["height"]), GREY) for view in group["context"]]
