"""ScreenSpot: points in many forms, and whether they hit."""

from __future__ import annotations

import pytest

from drive_vqa.errors import RecordError
from eval.benchmarks import screenspot
from tests.eval.benchmarks.examples import write_json, write_screenspot

ELEMENT = {
    "img_filename": "m.png",
    "bbox": [100, 200, 50, 20],
    "instruction": "go",
    "data_type": "text",
    "data_source": "ios",
}


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("(125, 210)", (125, 210)),
        ("[125,210]", (125, 210)),
        ("125, 210", (125, 210)),
        ("125 210", (125, 210)),
        ("<point>125 210</point>", (125, 210)),
        ("Click at (125.5 px, 210 px).", (125.5, 210)),
        ('{"x": 125, "y": 210}', (125, 210)),
        ("click(x=125, y=210)", (125, 210)),
        ("click(start_box='(125,210)')", (125, 210)),
        ('{"bbox_2d": [100, 200, 150, 220]}', (125, 210)),
        ("<think>(1, 2)</think><answer>(125, 210)</answer>", (125, 210)),
        ("(125, 210) again (125, 210)", (125, 210)),
        ("<box>(100, 200), (150, 220)</box>", (125, 210)),
        ("(-3, 4)", (-3, 4)),
    ],
)
def test_points_are_read(text, point):
    answer = screenspot.read_point(text)
    assert (answer.u0_px, answer.v0_px) == (answer.u1_px, answer.v1_px) == point


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("I cannot see it.", "refusal"),
        ("the button", "no_answer"),
        ("(125, 210), (10, 10) or (30, 20)", "several_values"),
        ("[1, 2, 3]", "incomplete"),
        ("(nan, 4)", "incomplete"),
        ("(1e999, 4)", "incomplete"),
        ("1" * 3000, "too_long"),
        ("[[1, 2, 3, 4], [50, 60, 70, 80]]", "several_values"),
    ],
)
def test_what_is_no_point_is_told(text, reason):
    assert screenspot.read_point(text).reason == reason


@pytest.mark.parametrize(
    ("text", "hit"),
    [
        ("(100, 200)", 1),
        ("(150, 220)", 1),
        ("(99, 210)", 0),
        ("(125, 221)", 0),
        ("(0.5, 0.5)", 0),
        ("[90,190,160,230]", 1),
    ],
)
def test_edges_belong_to_the_box(tmp_path, values, text, hit):
    tasks = screenspot.read(write_json(tmp_path / "screenspot_mobile.json", [ELEMENT]))
    assert values("screenspot", tasks, {"screenspot_mobile/0": text})["accuracy"] == hit


def test_accuracy_by_platform_and_kind(tmp_path, values):
    data, right = write_screenspot(tmp_path)
    tasks = screenspot.read(data)
    assert {task.cluster for task in tasks} == {"m.png", "w.png"}
    found = values("screenspot", tasks, right | {"screenspot_mobile_v2/1": "(11, 5)"})
    assert found["accuracy"] == pytest.approx(2 / 3)
    shares = {
        name: found[f"slice.platform_type.{name}.accuracy"] for name in ("mobile_text", "mobile_icon", "web_icon")
    }
    assert shares == {"mobile_text": 1.0, "mobile_icon": 0.0, "web_icon": 1.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bbox": [100, 200, 0, 20]}, r"record 0: box \[100.0, 200.0, 100.0, 220.0\] has no area"),
        ({"bbox": [100, 200, 50]}, "'bbox' is not a list of 4 numbers"),
        ({"bbox": "[100, 200, 50, 20]"}, "'bbox' is not a list of 4 numbers"),
        ({"bbox": [None, 200, 50, 20]}, "'bbox' is not a finite number"),
        ({"data_type": 3}, "'data_type' is not a text"),
    ],
)
def test_records_that_do_not_hold_together_are_told(tmp_path, change, message):
    with pytest.raises(RecordError, match=message):
        screenspot.read(write_json(tmp_path / "screenspot_web.json", [ELEMENT | change]))


def test_the_name_of_a_file_tells_the_platform(tmp_path):
    with pytest.raises(
        RecordError, match="all.json is not named after one of mobile, desktop, web: keep the published"
    ):
        screenspot.read(write_json(tmp_path / "all.json", [ELEMENT]))
