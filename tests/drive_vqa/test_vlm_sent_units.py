"""Coordinates of a served model: there and back, and images of which no size is known."""

from __future__ import annotations

import pytest

from drive_vqa.errors import StoreError
from drive_vqa.vlm.sent_units import SentUnits

GROUP = {"group_id": "g", "context": [{"width": 160, "height": 96}]}
ASKS = "Where is it, as [left, top, right, bottom] in pixels?"


@pytest.mark.parametrize(
    ("unit", "size_px", "box"),
    [
        ("pixels", None, "[16, 24, 32, 48]"),
        ("pixels", (80, 48), "[8, 12, 16, 24]"),
        ("thousandths", None, "[100, 250, 200, 500]"),
        ("thousandths", (80, 48), "[100, 250, 200, 500]"),
    ],
)
def test_boxes_there_and_back(unit, size_px, box):
    units = SentUnits(unit)
    assert units.to_model_text("[16, 24, 32, 48]", GROUP, size_px) == box
    assert units.from_model_text(box, GROUP, size_px, asked=ASKS) == "[16, 24, 32, 48]"
    [turned] = units.to_model_messages([{"role": "user", "content": [{"type": "image"}, text(ASKS)]}], GROUP, size_px)
    assert turned["content"] == [{"type": "image"}, text(ASKS.replace("pixels", unit))]


def text(words):
    return {"type": "text", "text": words}


@pytest.mark.parametrize("view", [{"width": None, "height": None}, {"width": 0, "height": 5}])
def test_an_image_of_unknown_size_is_told(view):
    group = {"group_id": "g", "context": [view]}
    with pytest.raises(StoreError, match="group g has an image of unknown size: leave its questions out"):
        SentUnits("thousandths").to_model_text("[1, 2, 3, 4]", group, None)
    assert SentUnits("pixels").to_model_text("no box", group, None) == "no box"
