"""Wordings by where they are seen: what chat models, tuned models, translators and broken decoders write."""

from __future__ import annotations

import pytest

from eval.parse import Parsed, parse

YES_NO = ("yes", "no")

HEDGED = [  # chat models soften what they say
    ("The distance to Region 2 is approximately 14.5 meters.", "distance", {"distance_m": 14.5}),
    ("Roughly 8 meters, I would say.", "distance", {"distance_m": 8.0}),
    ("I'd estimate it at around 25 m.", "distance", {"distance_m": 25.0}),
    ("Based on the image, the car appears to be about 18 meters ahead.", "distance", {"distance_m": 18.0}),
    ("It looks like 6.5 m or so", "distance", {"distance_m": 6.5}),
    ("My best guess: 30 meters", "distance", {"distance_m": 30.0}),
    ("Perhaps 12 meters.", "distance", {"distance_m": 12.0}),
    ("Just under 9 meters", "distance", {"distance_m": 9.0}),
    ("nearly 40 metres away", "distance", {"distance_m": 40.0}),
    ("≈ 15 m", "distance", {"distance_m": 15.0}),
    ("Probably at 11 o'clock.", "clock", {"clock_hour": 11}),
    ("It seems to move at around 5 m/s.", "speed", {"speed_mps": 5.0}),
    ("I believe it will be 1.5 seconds.", "time", {"time_s": 1.5}),
    ("Yes, most likely.", "bool", {"bool": True}),
    ("No, it does not appear so.", "bool", {"bool": False}),
    ("Most likely yes", "bool", {"bool": True}),
    ("There appear to be 4 pedestrians.", "count", {"count": 4}),
    ("I can see about 3 cars", "count", {"count": 3}),
]

DRESSED = [  # chat models write markdown, LaTeX and tags
    ("**12.4 meters**", "distance", {"distance_m": 12.4}),
    ("*12.4* meters", "distance", {"distance_m": 12.4}),
    ("`12.4 m`", "distance", {"distance_m": 12.4}),
    ("$12.4$ m", "distance", {"distance_m": 12.4}),
    ("$$12.4\\,\\mathrm{m}$$", "distance", {"distance_m": 12.4}),
    ("\\boxed{12.4\\text{ m}}", "distance", {"distance_m": 12.4}),
    ("\\(12.4\\ \\text{m}\\)", "distance", {"distance_m": 12.4}),
    ("$\\approx 12.4$ meters", "distance", {"distance_m": 12.4}),
    ("### Answer: 12.4 m", "distance", {"distance_m": 12.4}),
    ("- **Distance**: 12.4 m", "distance", {"distance_m": 12.4}),
    ("| 12.4 m |", "distance", {"distance_m": 12.4}),
    ("**Answer:** -30°", "bearing", {"bearing_deg": -30.0}),
    ("$-30^\\circ$", "bearing", {"bearing_deg": -30.0}),
    ("$-30\\degree$", "bearing", {"bearing_deg": -30.0}),
    ("**Yes**", "bool", {"bool": True}),
    ("_No_", "bool", {"bool": False}),
    ("<b>3 o'clock</b>", "clock", {"clock_hour": 3}),
    ("<p>4.2 m/s</p>", "speed", {"speed_mps": 4.2}),
    ("<answer>7</answer>", "count", {"count": 7}),
    ("<think>1 car, 2 cars…</think>\n\n2", "count", {"count": 2}),
    ("<think>10 m</think><answer>\n12 m\n</answer>", "distance", {"distance_m": 12.0}),
    ("```\n12.4 m\n```", "distance", {"distance_m": 12.4}),
    ("```json\n[412, 300, 480, 372]\n```", "box", {"u0_px": 412, "v0_px": 300, "u1_px": 480, "v1_px": 372}),
]

AS_JSON = [  # models that were tuned on tools and structured output
    ('{"answer": "12.4 meters"}', "distance", {"distance_m": 12.4}),
    ('{"distance_m": 12.4}', "distance", {"distance_m": 12.4}),
    ("{'distance_m': 12.4, 'bearing_deg': 5}", "localization", {"distance_m": 12.4, "bearing_deg": 5.0}),
    ('{"speed_mps": 3}', "speed", {"speed_mps": 3.0}),
    ('{"yaw_deg": -8}', "turn", {"yaw_deg": -8.0}),
    ('{"y_m": -2}', "lateral", {"y_m": -2.0}),
    ('{"x_m": 20.5}', "longitudinal", {"x_m": 20.5}),
    ('{"time_s": 0.5}', "time", {"time_s": 0.5}),
    ('{"x_m": 5, "y_m": 1}', "position", {"x_m": 5.0, "y_m": 1.0}),
    ('{"bbox_2d": [1, 2, 3, 4], "label": "car"}', "box", {"u0_px": 1, "v0_px": 2, "u1_px": 3, "v1_px": 4}),
    ('{"start_s": -2, "end_s": -1}', "interval", {"start_s": -2.0, "end_s": -1.0}),
    ('{"regions": [4, 1]}', "regions", {"marks": [1, 4]}),
    ('{"order": [4, 1, 2]}', "ranking", {"marks": [4, 1, 2]}),
]

OTHER_UNITS = [  # models of the United States, of ships, and of other languages
    ("40 feet", "distance", {"distance_m": 12.192}),
    ("40 ft.", "distance", {"distance_m": 12.192}),
    ("13 yards", "distance", {"distance_m": 11.8872}),
    ("0.5 miles", "distance", {"distance_m": 804.672}),
    ("1500 millimeters", "distance", {"distance_m": 1.5}),
    ("150 centimetres", "distance", {"distance_m": 1.5}),
    ("0.02 kilometers", "distance", {"distance_m": 20.0}),
    ("25 mph", "speed", {"speed_mps": 11.176}),
    ("25 miles per hour", "speed", {"speed_mps": 11.176}),
    ("54 km / h", "speed", {"speed_mps": 15.0}),
    ("54 kilometres per hour", "speed", {"speed_mps": 15.0}),
    ("30 feet per second", "speed", {"speed_mps": 9.144}),
    ("1 rad", "bearing", {"bearing_deg": 57.2958}),
    ("90 deg", "bearing", {"bearing_deg": 90.0}),
    ("500 ms", "time", {"time_s": 0.5}),
    ("1.5 secs", "time", {"time_s": 1.5}),
    ("12米", "distance", {"distance_m": 12.0}),
    ("36公里/小时", "speed", {"speed_mps": 10.0}),
    ("30度", "bearing", {"bearing_deg": 30.0}),
    ("2秒", "time", {"time_s": 2.0}),
    ("12 metros", "distance", {"distance_m": 12.0}),
    ("12,5 m", "distance", {"distance_m": 12.5}),
    ("１２．５ｍ", "distance", {"distance_m": 12.5}),
    ("٥ m", "distance", {"distance_m": 5.0}),
]

SIDES = [  # questions ask for a sign, models answer in words
    ("15 degrees left", "bearing", {"bearing_deg": 15.0}),
    ("15 degrees to my right", "bearing", {"bearing_deg": -15.0}),
    ("15° to the front-left", "bearing", {"bearing_deg": 15.0}),
    ("Right, 15 degrees", "bearing", {"bearing_deg": -15.0}),
    ("It lies on the left side at 15 degrees", "bearing", {"bearing_deg": 15.0}),
    ("turn of 20 degrees clockwise", "turn", {"yaw_deg": -20.0}),
    ("20 degrees anticlockwise", "turn", {"yaw_deg": 20.0}),
    ("3 m to the left of me", "lateral", {"y_m": 3.0}),
    ("3 m on the right", "lateral", {"y_m": -3.0}),
    ("4 m behind me", "longitudinal", {"x_m": -4.0}),
    ("4 m in front", "longitudinal", {"x_m": 4.0}),
    ("10 m ahead, 2 m right", "position", {"x_m": 10.0, "y_m": -2.0}),
    ("2 m to the left, 10 m ahead", "position", {"x_m": 10.0, "y_m": 2.0}),
    ("minus fifteen degrees", "bearing", {"bearing_deg": -15.0}),
    ("negative 15°", "bearing", {"bearing_deg": -15.0}),
]

LABELLED = [  # the question's own numbers come back in the answer
    ("Region 12 is 5 m away", "distance", {"distance_m": 5.0}),
    ("Object [4] is 5 m away", "distance", {"distance_m": 5.0}),
    ("(Region 4) 5 m", "distance", {"distance_m": 5.0}),
    ("In frame 4, Region 2 is 5 m away", "distance", {"distance_m": 5.0}),
    ("After 3 seconds Region 2 will be 5 m away", "distance", {"distance_m": 5.0}),
    ("Regions 3, 4 and 5 are within 5 m", "distance", {"distance_m": 5.0}),
    ("The target #7 drives 5 m/s", "speed", {"speed_mps": 5.0}),
    ("Step 1: look. Step 2: measure. It is 5 m.", "distance", {"distance_m": 5.0}),
    ("Question 1. The answer is 5 m.", "distance", {"distance_m": 5.0}),
    ("At t = 3: 5 m, -10 degrees", "localization", {"distance_m": 5.0, "bearing_deg": -10.0}),
    ("Region 2 is in the 10 o'clock direction, 5 m away", "clock", {"clock_hour": 10}),
]

NO_ANSWER = [  # what must not be taken for a value
    ("no idea", "count", "refusal"),
    ("I have no idea.", "count", "refusal"),
    ("No clue", "count", "refusal"),
    ("zero idea", "count", "refusal"),
    ("none of your business", "count", "refusal"),
    ("There is no way to tell", "count", "refusal"),
    ("No, I cannot tell.", "count", "refusal"),
    ("No one knows.", "count", "refusal"),
    ("No one can tell", "count", "refusal"),
    ("One cannot tell from this", "count", "refusal"),
    ("None can be determined", "count", "refusal"),
    ("nothing is known", "count", "refusal"),
    ("no comment", "count", "refusal"),
    ("No information available", "count", "refusal"),
    ("no idea", "bool", "refusal"),
    ("I have no clue", "bool", "refusal"),
    ("There is no way to know", "bool", "refusal"),
    ("no idea", "regions", "refusal"),
    ("None of your business", "regions", "refusal"),
    ("nobody knows", "regions", "refusal"),
    ("no answer can be given", "regions", "refusal"),
    ("No one can say", "clock", "refusal"),
    ("the one in front", "clock", "no_answer"),
    ("the one on the left", "count", "no_answer"),
    ("zero clue", "distance", "refusal"),
    ("Sorry, I can't assist with that request.", "distance", "refusal"),
    ("As an AI language model, I do not have access to images.", "distance", "refusal"),
    ("I don't see any image attached.", "localization", "refusal"),
    ("Unable to determine", "speed", "refusal"),
    ("It's hard to say", "time", "refusal"),
    ("not available", "distance", "refusal"),
    ("The provided image does not exist", "box", "refusal"),
    ("close", "distance", "no_answer"),
    ("very fast", "speed", "no_answer"),
    ("slightly to the left", "bearing", "no_answer"),
    ("???", "distance", "empty"),
    ("<answer> </answer>", "distance", "empty"),
    ("\u200b\u200b", "distance", "empty"),
    ("ok", "distance", "no_answer"),
    ("assistant\n", "distance", "no_answer"),
]

BROKEN = [  # untrained or looping decoders
    ("12 12 12 12 12", "distance", "missing_unit"),
    ("1 2 3 4 5 6", "distance", "several_values"),
    ("12 meters " * 80, "distance", "too_long"),
    ("the the the the", "speed", "no_answer"),
    ("meters meters meters", "distance", "no_answer"),
    ("Region Region Region", "ranking", "no_answer"),
    ("1.1.1.1.1 m", "distance", "not_a_number"),
    ("!!!!!!!!!!!!!!!!", "distance", "empty"),
    ("0000000000000000000001e99 m", "distance", "out_of_range"),
    ("5 m 6 m 7 m", "distance", "several_values"),
    ("[1, 2, 3, 4], [5, 6, 7, 8], [9, 9, 10, 10]", "box", "several_values"),
    ("[4, 3, 2, 1]", "box", "contradiction"),
    ("Region 1, Region 1", "ranking", "contradiction"),
    ("12 o'clock 3 o'clock", "clock", "several_values"),
    ("Human: 5 m Assistant: 9 m", "distance", "several_values"),
    ("12 meters left of nowhere", "bearing", "wrong_unit"),
    ("5 kg", "distance", "missing_unit"),
    ("minus\n10 to 20 m", "distance", "several_values"),
    ("1 " * 65, "count", "too_long"),
]

OF_NONE = [  # none is an answer where things are counted
    ("none", "count", {"count": 0}),
    ("None.", "count", {"count": 0}),
    ("There are no cars.", "count", {"count": 0}),
    ("I see no pedestrians", "count", {"count": 0}),
    ("No, I can't see any.", "count", {"count": 0}),
    ("no one is crossing", "count", {"count": 0}),
    ("Nothing", "count", {"count": 0}),
    ("zero", "count", {"count": 0}),
    ("one", "count", {"count": 1}),
    ("none", "regions", {"marks": []}),
    ("No regions are visible", "regions", {"marks": []}),
    ("no way!", "bool", {"bool": False}),
    ("No.", "bool", {"bool": False}),
]

RIGHT = [*HEDGED, *DRESSED, *AS_JSON, *SIDES, *LABELLED, *OF_NONE, *OTHER_UNITS]
WRONG = [*NO_ANSWER, *BROKEN]


def given_in(answer):
    assert isinstance(answer, Parsed), answer
    return {name: value for name, value in answer.as_truth().items() if value is not None}


@pytest.mark.parametrize(("text", "answer_type", "expected"), RIGHT)
def test_what_is_meant_is_read(text, answer_type, expected):
    read = given_in(parse(text, answer_type, YES_NO if answer_type == "bool" else ()))
    assert read.keys() == expected.keys()
    assert list(read.values()) == [pytest.approx(value, rel=1e-4) for value in expected.values()]


@pytest.mark.parametrize(("text", "answer_type", "reason"), WRONG)
def test_what_is_no_answer_is_none(text, answer_type, reason):
    assert parse(text, answer_type, YES_NO if answer_type == "bool" else ()).reason == reason


def test_of_each_kind_there_are_some():
    assert len({row[:2] for row in (*RIGHT, *WRONG)}) == len(RIGHT) + len(WRONG) > 150
