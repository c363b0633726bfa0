"""Control `other_log`: the frames of another drive, with the question's own marks drawn on them.

The marks keep their places and numbers, so that the question can still be asked: it names regions of a street that is not there.
Who is as often right as with the true frames has not looked beyond the marks.

Shown is a group of another log with the same cameras in the same order and images of the same sizes; of all that fit, one is
drawn by the seed. Questions of a store without such a log are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from PIL import Image

from drive_vqa.errors import StoreError
from drive_vqa.marks import Style, draw_marks, marked_frame, regions_at
from drive_vqa.store import Store
from eval.controls.draws import draw_of
from eval.predict.asked import PromptedQuestion
from eval.predict.shown import Control

Row = Mapping[str, Any]
Views = tuple[tuple[str | None, int, int], ...]
"""Camera, width and height of each context image."""


def other_log(seed: int = 0) -> Control:
    """Frames of another log; the seed draws which."""

    def turn(asked: PromptedQuestion) -> PromptedQuestion | None:
        return None if _other_group(asked.store, asked.group, seed) is None else asked

    def frames(asked: PromptedQuestion, size_px: tuple[int, int] | None, style: Style) -> list[Image.Image]:
        other = _other_group(asked.store, asked.group, seed)
        if other is None:
            name = asked.group["group_id"]
            raise StoreError(
                f"{asked.store.root} has no other log with frames like those of group {name}: leave it out"
            )
        return [
            _frame(asked.store, other, asked.group, context, size_px, style) for context in range(len(other["context"]))
        ]

    return Control("other_log", frames=frames, turn=turn)


def _frame(
    store: Store, other: Row, group: Row, context: int, size_px: tuple[int, int] | None, style: Style
) -> Image.Image:
    image = marked_frame(store, other, context, size_px, style="none")
    view = group["context"][context]
    scale = (image.width / view["width"], image.height / view["height"])
    return image if style == "none" else draw_marks(image, regions_at(group, context), scale, style=style)


def _other_group(store: Store, group: Row, seed: int) -> Row | None:
    fitting = _fitting(store, group["log_id"], _views(group), seed)
    draw = draw_of(seed, group["log_id"], group["group_id"])
    return fitting[int(draw.integers(len(fitting)))] if fitting else None


@lru_cache(maxsize=8)
def _fitting(store: Store, log_id: str, views: Views, seed: int) -> tuple[Row, ...]:
    """The groups with images that show the same views, of the first other log that has some; the order of logs is drawn."""
    others = [other for other in store.log_ids("groups") if other != log_id]
    for place in draw_of(seed, "other_log", log_id).permutation(len(others)):
        groups = store.read("groups", others[place], ("group_id", "log_id", "context")).to_pylist()
        fitting = [group for group in groups if _views(group) == views and _has_images(group)]
        if fitting:
            return tuple(fitting)
    return ()


def _views(group: Row) -> Views:
    return tuple((view["camera"], view["width"], view["height"]) for view in group["context"])


def _has_images(group: Row) -> bool:
    return all(view["path"] is not None for view in group["context"])
