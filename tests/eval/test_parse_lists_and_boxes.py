"""Lists of regions, intervals of time and boxes in images."""

from __future__ import annotations

import pytest

from eval.parse import Parsed, ParseFailure, parse

RANKINGS = {
    "Region 2, Region 0, Region 4": (2, 0, 4),
    "Region 2, Region 0 and Region 4": (2, 0, 4),
    "2, 0, 4": (2, 0, 4),
    "2,0,4": (2, 0, 4),
    "2 > 0 > 4": (2, 0, 4),
    "2 < 0 < 4": (2, 0, 4),
    "2 -> 0 -> 4": (2, 0, 4),
    "2-0-4": (2, 0, 4),
    "[2, 0, 4]": (2, 0, 4),
    '{"ranking": ["Region 2", "Region 0", "Region 4"]}': (2, 0, 4),
    "Regions 2, 0 and 4": (2, 0, 4),
    "#2, #0, #4": (2, 0, 4),
    "1. Region 2\n2. Region 0\n3. Region 4": (2, 0, 4),
    "1) Region 2 2) Region 0 3) Region 4": (2, 0, 4),
    "1. 2\n2. 0\n3. 4": (2, 0, 4),
    "Region 2. Region 0. Region 4.": (2, 0, 4),
    "Region 2 (5.1 m), Region 0 (7 m), Region 4 (12.3 meters)": (2, 0, 4),
    "Region 2: 5.1 m, Region 0: 7 m, Region 4: 12 m": (2, 0, 4),
    "The nearest is Region 2, then Region 0, then Region 4.": (2, 0, 4),
    "1st: Region 2, 2nd: Region 0, 3rd: Region 4": (2, 0, 4),
    "The 3 regions in order: 2, 0, 4": (2, 0, 4),
    "Region 2, Region 0, Region 4 (2 > 0 > 4)": (2, 0, 4),
    "Region two, region zero, region four": (2, 0, 4),
    "In frame 4: Region 2, Region 0, Region 4": (2, 0, 4),
    "Region 2 is nearer than Region 0. Answer: Region 2, Region 0": (2, 0),
    "２，０，４": (2, 0, 4),
}

REGION_SETS = {
    "Region 0, Region 3": (0, 3),
    "Region 3, Region 0": (0, 3),
    "Region 3 and Region 0": (0, 3),
    "Regions 3 and 0": (0, 3),
    "0, 3": (0, 3),
    "[3, 0]": (0, 3),
    "Region 3": (3,),
    "Only region 3.": (3,),
    "Region 3 and Region 3": (3,),
    "none": (),
    "None.": (),
    "None of the regions": (),
    "None of them lies within 10 meters": (),
    "No region lies within 20 m.": (),
    "no regions": (),
    "There are none": (),
    "There are no regions within 20 m": (),
    "Nothing": (),
    "[]": (),
    "no": (),
    "Zero regions": (),
    "0 regions": (),
    "0": (0,),
    "Region 0": (0,),
    "Region 0 at 7 m and Region 3 at 9 m": (0, 3),
    "None except Region 3": (3,),
    '{"regions": [0, 3]}': (0, 3),
}

INTERVALS = {
    "from 1.5 to 0.5 seconds ago": (-1.5, -0.5),
    "from 1.5 to 0.0 seconds ago": (-1.5, 0.0),
    "From 1.5 seconds ago to 0.5 seconds ago.": (-1.5, -0.5),
    "between 1.5 and 0.5 s ago": (-1.5, -0.5),
    "between 0.5 and 1.5 seconds ago": (-1.5, -0.5),
    "-1.5 to -0.5 s": (-1.5, -0.5),
    "-1.5 s to -0.5 s": (-1.5, -0.5),
    "from -1.5 to 0 seconds": (-1.5, 0.0),
    "[-1.5, -0.5] s": (-1.5, -0.5),
    "-0.5 s to -1.5 s": (-1.5, -0.5),
    "from 1.5 seconds ago until now": (-1.5, 0.0),
    "1.5 s ago to the present": (-1.5, 0.0),
    "for the last 1.5 seconds": (-1.5, 0.0),
    "since 1.5 seconds ago, until now": (-1.5, 0.0),
    "1.5-0.5 s ago": (-1.5, -0.5),
    "1500 to 500 ms ago": (-1.5, -0.5),
    "from one and a half seconds ago to half a second ago": (-1.5, -0.5),
    "from 1.5 to 0.5 seconds ago (-1.5 s to -0.5 s)": (-1.5, -0.5),
    '{"start_s": -1.5, "end_s": -0.5}': (-1.5, -0.5),
    "start: 1.5 s ago, end: 0.5 s ago": (-1.5, -0.5),
    "from t=-2 s to t=-1 s": (-2.0, -1.0),
    "from 2.0 to 2.0 seconds ago": (-2.0, -2.0),
    "from 3.5 to 3.0 seconds before now": (-3.5, -3.0),
    "from 0.5 s ago to 1 s from now": (-0.5, 1.0),
    "Region 3 moves from 1.5 to 0.5 seconds ago": (-1.5, -0.5),
}

BOXES = {
    "[412, 300, 480, 372]": (412, 300, 480, 372),
    "[412,300,480,372]": (412, 300, 480, 372),
    "(412, 300, 480, 372)": (412, 300, 480, 372),
    "(412,300),(480,372)": (412, 300, 480, 372),
    "<box>(412,300),(480,372)</box>": (412, 300, 480, 372),
    "<|box_start|>(412,300),(480,372)<|box_end|>": (412, 300, 480, 372),
    "<box>[412, 300, 480, 372]</box>": (412, 300, 480, 372),
    '{"bbox_2d": [412, 300, 480, 372]}': (412, 300, 480, 372),
    '```json\n[{"bbox_2d": [412, 300, 480, 372], "label": "car"}]\n```': (412, 300, 480, 372),
    '{"x1": 412, "y1": 300, "x2": 480, "y2": 372}': (412, 300, 480, 372),
    "xmin=412, xmax=480, ymin=300, ymax=372": (412, 300, 480, 372),
    "412, 300, 480, 372": (412, 300, 480, 372),
    "412,300,480,372": (412, 300, 480, 372),
    "[[412, 300, 480, 372]]": (412, 300, 480, 372),
    "[412 300 480 372]": (412, 300, 480, 372),
    "[412.5, 300.0, 480.25, 372.]": (412.5, 300, 480.25, 372),
    "top left (412, 300), bottom right (480, 372)": (412, 300, 480, 372),
    "Region 3 was at [412, 300, 480, 372] 1.5 seconds ago": (412, 300, 480, 372),
    "[412px, 300px, 480px, 372px]": (412, 300, 480, 372),
    "The box is [412, 300, 480, 372], so the answer is [412, 300, 480, 372].": (412, 300, 480, 372),
    "left 412, top 300, right 480, bottom 372": (412, 300, 480, 372),
    "412 300 480 372": (412, 300, 480, 372),
    "[[412, 300], [480, 372]]": (412, 300, 480, 372),
    "[-3, 0, 1600, 900]": (-3, 0, 1600, 900),
}

INTERVAL_BOXES = {
    "from 1.5 to 1.0 seconds ago, [412, 300, 480, 372]": (-1.5, -1.0),
    "[412, 300, 480, 372], from 1.5 to 1.0 seconds ago": (-1.5, -1.0),
    "-1.5 to -1.0 s, (412,300),(480,372)": (-1.5, -1.0),
    "between 1.5 and 1.0 seconds ago at <box>(412,300),(480,372)</box>": (-1.5, -1.0),
    '{"start_s": -1.5, "end_s": -1.0, "bbox_2d": [412, 300, 480, 372]}': (-1.5, -1.0),
    "from 1.5 to 1.0 seconds ago: 412, 300, 480, 372": (-1.5, -1.0),
    "from 0.5 seconds ago until now, [412, 300, 480, 372]": (-0.5, 0.0),
    "It starts from 1.5 to 1.0 seconds ago.\nBox: [412, 300, 480, 372]": (-1.5, -1.0),
    "from 1.0 to 1.5 seconds ago, [412,300,480,372]": (-1.5, -1.0),
    "1500-1000 ms ago, [412, 300, 480, 372]": (-1.5, -1.0),
    "for the last 0.5 seconds, [412, 300, 480, 372]": (-0.5, 0.0),
    "<think>maybe [1, 2, 3, 4]</think>from 1.5 to 1.0 seconds ago, [412, 300, 480, 372]": (-1.5, -1.0),
}


@pytest.mark.parametrize(("answer_type", "cases"), [("ranking", RANKINGS), ("regions", REGION_SETS)])
def test_lists_of_regions(answer_type, cases):
    assert {text: parse(text, answer_type) for text in cases} == {
        text: Parsed(marks=marks) for text, marks in cases.items()
    }


def test_interval_and_box():
    box = {"u0_px": 412.0, "v0_px": 300.0, "u1_px": 480.0, "v1_px": 372.0}
    expected = {text: Parsed(start_s=start_s, end_s=end_s, **box) for text, (start_s, end_s) in INTERVAL_BOXES.items()}
    assert {text: parse(text, "interval_box") for text in INTERVAL_BOXES} == expected


@pytest.mark.parametrize(
    ("answer_type", "names", "cases"),
    [("interval", ("start_s", "end_s"), INTERVALS), ("box", ("u0_px", "v0_px", "u1_px", "v1_px"), BOXES)],
)
def test_several_numbers(answer_type, names, cases):
    expected = {text: dict(zip(names, map(near, values), strict=True)) for text, values in cases.items()}
    assert {text: fields(parse(text, answer_type)) for text in cases} == expected


def near(value):
    return pytest.approx(value, rel=1e-3, abs=1e-9)


def fields(answer):
    """The fields that an answer fills, or the failure itself."""
    if isinstance(answer, ParseFailure):
        return answer
    return {name: value for name, value in answer.as_truth().items() if value is not None}
