"""Boxes in texts, turned into a model's units and back."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_vqa.prompt import build_messages
from drive_vqa.traces import DIALECTS, Place, Point, Seen, Trace, render
from drive_vqa.vlm.coordinates import Scale, from_model_text, to_model_text
from drive_vqa.vlm.mentions import image_of_box

SIDES = st.integers(min_value=1, max_value=6000)
SIZES = st.tuples(SIDES, SIDES)
UNIT = "thousandths"
BOX = re.compile(r"\[(-?\d+), ?(-?\d+), ?(-?\d+), ?(-?\d+)\]")


def to_model(text, group, scales):
    return to_model_text(text, group, lambda: scales, UNIT)


def to_ours(text, group, scales, asked=None):
    return from_model_text(text, group, lambda: scales, UNIT, asked=asked)


def group_of(*views, marks=()):
    """A group of images, each (width, offset_s, camera) and 1000 high."""
    context = [
        {"width": width, "height": 1000, "offset_s": offset_s, "camera": name} for width, offset_s, name in views
    ]
    return {"group_id": "g", "context": context, "marks": list(marks)}


def scales_of(group):
    """To 1000 units across, so that the first number of a box tells which image it was turned for."""
    return [Scale((view["width"], view["height"]), (1000, 1000)) for view in group["context"]]


CLIP = group_of((1000, -1.0, "CAM_FRONT"), (2000, -0.5, "CAM_FRONT"), (4000, 0.0, "CAM_FRONT"))
SURROUND = group_of((1000, 0.0, "CAM_FRONT_LEFT"), (2000, 0.0, "CAM_FRONT"), (4000, 0.0, "CAM_BACK"))


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES, st.data())
def test_whole_numbers_of_a_finer_original_come_back(one, other, data):
    """Model → original → model, where the original has at least as many pixels on each axis as the model has units."""
    original_px = (max(one[0], other[0]), max(one[1], other[1]))
    units = (min(one[0], other[0]), min(one[1], other[1]))
    box = [data.draw(st.integers(-5, units[axis % 2] + 5)) for axis in range(4)]
    group, text = group_of((1, 0.0, "a")), f"[{', '.join(map(str, box))}]"
    scales = [Scale(original_px, units)]
    assert to_model(to_ours(text, group, scales), group, scales) == text


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES, st.data())
def test_pixels_come_back_within_half_a_unit(original_px, units, data):
    box = [data.draw(st.integers(0, original_px[axis % 2])) for axis in range(4)]
    group, scales = group_of((1, 0.0, "a")), [Scale(original_px, units)]
    back = to_ours(to_model(f"[{', '.join(map(str, box))}]", group, scales), group, scales)
    for axis, (before, after) in enumerate(zip(box, map(int, BOX.findall(back)[0]), strict=True)):
        half_a_unit_px = 0.5 * original_px[axis % 2] / units[axis % 2]
        assert abs(before - after) <= half_a_unit_px + 0.5  # and the rounding to whole pixels


def test_by_hand():
    """A 1600×900 image in thousandths, each number worked out on paper; halves go up."""
    scales = [Scale((1600, 900), (1000, 1000))]
    group = group_of((1600, 0.0, "CAM_FRONT"))
    assert to_model("[412, 300, 480, 372]", group, scales) == "[258, 333, 300, 413]"  # 257.5 333.3 300 413.3
    assert to_model("from 1.5 to 1.0 seconds ago, [8, 9, 16, 18]", group, scales).endswith("ago, [5, 10, 10, 20]")
    assert to_ours("[250, 333, 300, 413]", group, scales) == "[400, 300, 480, 372]"
    assert to_ours("[250.0, 333.5, 300, 413]", group, scales) == "[400.0, 300.2, 480, 372]"


@pytest.mark.parametrize(
    "text",
    [
        "12.4 meters, -8 degrees",
        "Region 2, Region 0, Region 4",
        "from 1.5 to 0.0 seconds ago",
        "1 to 2, (12, 30), 2 o'clock on 2024-05-01, x 12.4 meters, y -3.1 meters",
        "[1, 2, 3] and [1, 2, 3, 4, 5]",
        "<pos>12.4 m, -8°</pos>",
    ],
)
def test_other_numbers_stay(text):
    for turn in (to_model, to_ours):
        assert turn(text, CLIP, scales_of(CLIP)) == text


@pytest.mark.parametrize(
    ("said", "pixels"),
    [
        ("(100, 200), (300, 400)", "(400, 200), (1200, 400)"),
        ("(100,200),(300,400)", "(400,200),(1200,400)"),
        ("100, 200, 300, 400", "400, 200, 1200, 400"),
        ('{"bbox_2d": [100, 200, 300, 400]}', '{"bbox_2d": [400, 200, 1200, 400]}'),
        ("from 1.5 to 1.0 seconds ago, [100,200,300,400].", "from 1.5 to 1.0 seconds ago, [400,200,1200,400]."),
        ("0, 100, 200, 300, 400", "0, 100, 200, 300, 400"),
        ("[" + "9" * 5000 + ", 1, 2, 3]", "[" + "9" * 5000 + ", 1, 2, 3]"),
    ],
)
def test_what_models_say(said, pixels):
    assert to_ours(said, CLIP, scales_of(CLIP)) == pixels


def test_an_order_of_regions_is_no_box():
    """Unless a box was asked for."""
    said, tagged = "[0, 1, 2, 3]", "<box>[100,200,300,400]</box> [0, 1, 2, 3]"
    scales = scales_of(CLIP)
    assert to_ours(said, CLIP, scales, asked="Rank the regions by distance.") == said
    assert to_ours(tagged, CLIP, scales, asked="Rank the regions.") == "<box>[400,200,1200,400]</box> [0, 1, 2, 3]"
    assert to_ours(said, CLIP, scales, asked="Its box as [left, top, right, bottom] in pixels?") == "[0, 1, 8, 3]"


def test_the_unit_is_told():
    asked = "Give its box as [left, top, right, bottom] in pixels of the image. Pixels are small."
    told = to_model(asked, CLIP, scales_of(CLIP))
    assert told == "Give its box as [left, top, right, bottom] in thousandths of the image. Pixels are small."
    assert to_ours(told, CLIP, scales_of(CLIP)) == asked


@pytest.mark.parametrize(
    ("text", "context"),
    [
        ("the car at [400, 1, 800, 2] in image 2?", 1),
        ("the car at [400, 1, 800, 2] in image 9?", 2),
        ("the car at [400, 1, 800, 2]?", 2),
        ("<obj>Region 3</obj><box>[400,1,800,2]</box>at<t>-1.0</t>s", 0),
        ("<obj>Region 3</obj><box>[400,1,800,2]</box>at<t>0.0</t>s", 2),
        ("<obj>Region 3</obj><box>[400,1,800,2]</box>at<t>0.5</t>s", 1),
        ("Region 3 <box>[400,1,800,2]</box>, 0.5 seconds ago, was at 3.0 m", 1),
        ("Region 3, 0.5 seconds ago, Region 4 <box>[400,1,800,2]</box> is here", 2),
    ],
)
def test_the_image_of_a_box(text, context):
    scale = scales_of(CLIP)[context]
    expected = scale.turned("400", 0)
    assert f"[{expected}," in to_model(text, CLIP, scales_of(CLIP))


@pytest.mark.parametrize(
    ("lead", "context"),
    [
        ("In the image of my front left camera, ", 0),
        ("In the image of my front camera, ", 1),
        ("Wait, that box holds the left half only. In the image of my back camera, ", 2),
        ("", 2),
    ],
)
def test_the_camera_of_a_box(lead, context):
    text = f"{lead}<obj>Region 3</obj><box>[400,1,800,2]</box>at<t>0.0</t>s"
    start = text.index("<box>")
    assert image_of_box(SURROUND, text, start, text.index("at<t>")) == context


def test_the_image_of_a_point():
    marks = [{"mark": 3, "regions": [{"context": 0}, {"context": 1}]}]
    group = {**CLIP, "marks": marks}
    text = (
        "<think>\nSo it is Region 3 <point>(400,1)</point>.\nRegion 5, 1.0 seconds ago, was slow (400, 1)\n"
        "That is far (300, 2)\n</think>\n<answer>(400, 1)</answer>"
    )
    told = to_model(text, group, scales_of(group))
    assert "<point>(200,1)</point>" in told  # the last image that shows Region 3
    assert "slow (200, 1)" in told  # the same point again: the same image
    assert "far (75, 2)" in told  # now
    assert told.endswith("<answer>(400, 1)</answer>")  # no thought
    assert to_ours(told, group, scales_of(group), asked="How far?") == text


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_every_dialect_comes_back(dialect, data):
    """Traces over images of three sizes, twice as fine as the model at least."""
    group = group_of((2000, -1.0, "CAM_FRONT"), (2500, -0.5, "CAM_FRONT"), (4000, 0.0, "CAM_FRONT"))
    scales = [Scale((view["width"], 1000), (500, 500)) for view in group["context"]]
    steps = data.draw(st.lists(_steps(), min_size=1, max_size=3))
    text = render(Trace(tuple(steps), "[10, 10, 20, 20]", first_s=-1.0), dialect)
    model = to_model(text, group, scales)
    ours = to_ours(model, group, scales)
    assert to_model(ours, group, scales) == model
    for before, after in zip(_boxes(text), _boxes(ours), strict=True):
        assert all(abs(a - b) <= 4 for a, b in zip(before, after, strict=True))
    untagged = re.sub(r"<box>.*?</box>|<point>.*?</point>|\(\d+, \d+\)|\[.*?\]", "", text)
    assert untagged == re.sub(r"<box>.*?</box>|<point>.*?</point>|\(\d+, \d+\)|\[.*?\]", "", ours)


def _boxes(text):
    return [[int(number) for number in found] for found in BOX.findall(text)]


@st.composite
def _steps(draw):
    edges = [sorted(draw(st.lists(st.integers(0, 999), min_size=2, max_size=2, unique=True))) for _ in range(2)]
    (u0, u1), (v0, v1) = edges
    seen = Seen("Region 3", (u0, v0, u1, v1), draw(st.sampled_from([-1.0, -0.5, 0.0])))
    place = Place(draw(st.floats(1, 90)), draw(st.floats(-90, 90)))
    point = Point(draw(st.integers(0, 999)), draw(st.integers(0, 999)))
    return (seen, " is at ", place, ".") if draw(st.booleans()) else ("It is there ", point, ".")


def test_messages_of_the_box_form():
    """Region names that are boxes get the scale of the image that they are in, and the time lines stay."""
    marks = [
        {
            "mark": 1,
            "category": "car",
            "description": None,
            "regions": [
                {"context": 2, "u0_px": 400.0, "v0_px": 10.0, "u1_px": 800.0, "v1_px": 20.0, "visible_fraction": 1.0}
            ],
        }
    ]
    group = {**CLIP, "marks": marks}
    question = {"qa_id": "q", "type": "distance", "family": "ego", "question": "How far is Region 1?", "options": []}
    messages = build_messages(group, question, regions="boxes")
    texts = [part["text"] for part in messages[0]["content"] if part["type"] == "text"]
    told = [to_model(text, group, scales_of(group)) for text in texts]
    assert told[:-1] == texts[:-1]
    assert "[100, 10, 200, 20] in image 3?" in told[-1]
    assert told[-1].endswith("Boxes are [left, top, right, bottom] in thousandths.")


def test_times_are_told_apart():
    """Each of three images has its own scale, in one text."""
    boxes = [f"<box>[400,0,800,1]</box>at<t>{offset_s:.1f}</t>s" for offset_s in (-1.0, -0.5, 0.0)]
    told = _boxes(to_model(" ".join(boxes), CLIP, scales_of(CLIP)))
    assert [box[0] for box in told] == [400, 200, 100]
    assert all(first != second for first, second in pairwise(told))
