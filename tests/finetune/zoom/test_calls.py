import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drive_vqa.vlm.coordinates import Scale
from finetune.zoom.calls import Call, Complaint, call_text, json_call, read_call
from tests.finetune.zoom.conftest import call

SCALES = (Scale((1600, 900), (532, 308)), Scale((1600, 900), (1000, 1000)))


def test_a_point_and_a_box_come_out_in_pixels_of_the_original_frame():
    assert read_call(call(2, coordinate=[500, 500]), SCALES) == Call(1, (800.0, 450.0))
    assert read_call(call(1, box=[0, 0, 266, 154]), SCALES) == Call(0, (0.0, 0.0, 800.0, 450.0))
    assert read_call(call(2, coordinate=[500.25, 10]), SCALES) == Call(1, (800.4, 9.0))


def test_frames_count_from_one_and_a_null_is_as_good_as_nothing():
    assert read_call(call(1, coordinate=[10, 10], box=None), SCALES) == read_call(call(1, coordinate=[10, 10]), SCALES)
    assert isinstance(read_call(call(0, coordinate=[10, 10]), SCALES), Complaint)


def test_a_box_is_put_in_order_and_cut_to_the_frame():
    assert read_call(call(2, box=[900, 800, -50, 1200]), SCALES) == Call(1, (0.0, 720.0, 1440.0, 900.0))


@given(st.integers(0, 1600), st.integers(0, 900), st.sampled_from([0, 1]))
def test_what_we_write_is_read_back_within_half_a_unit_of_the_model(u, v, context):
    scale = SCALES[context]
    written = call_text(Call(context, (float(u), float(v))), scale)
    read = read_call(written.removeprefix("<tool_call>\n").removesuffix("\n</tool_call>"), SCALES)
    assert isinstance(read, Call)
    for axis, pixels in enumerate((u, v)):
        unit_px = scale.original_px[axis] / scale.model_units[axis]
        assert abs(read.target_px[axis] - pixels) <= unit_px / 2 + 0.01


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not valid JSON"),
        ("look at the car", "not valid JSON"),
        ('{"name": "zoom", "arguments": {"frame": 1,', "not valid JSON"),
        ("[" * 300, "not valid JSON"),
        ("[" * 100_000, "at most"),
        ("[1, 2]", "only tool"),
        ('{"name": "shell", "arguments": {}}', "only tool"),
        ('{"name": ["zoom"], "arguments": {}}', "only tool"),
        ('{"name": "zoom"}', "must be an object"),
        ('{"name": "zoom", "arguments": "frame 1"}', "must be an object"),
        ('{"name": "zoom", "arguments": [1, 2]}', "must be an object"),
        (call(1, target=[1, 2]), "not 'target'"),
        (json.dumps({"name": "zoom", "arguments": {"coordinate": [1, 2]}}), "from 1 to 2"),
        (call("1", coordinate=[1, 2]), "from 1 to 2"),
        (call(True, coordinate=[1, 2]), "from 1 to 2"),
        (call(1.0, coordinate=[1, 2]), "from 1 to 2"),
        (call([1], coordinate=[1, 2]), "from 1 to 2"),
        (call(3, coordinate=[1, 2]), "from 1 to 2"),
        (call(-1, coordinate=[1, 2]), "from 1 to 2"),
        (call(10**300, coordinate=[1, 2]), "from 1 to 2"),
        (call(1), "either coordinate or box"),
        (call(1, coordinate=[1, 2], box=[1, 2, 3, 4]), "either coordinate or box"),
        (call(1, coordinate="1, 2"), "two numbers"),
        (call(1, coordinate=["1", "2"]), "two numbers"),
        (call(1, coordinate=[[1, 2]]), "two numbers"),
        (call(1, coordinate=[[1], [2]]), "two numbers"),
        (call(1, coordinate=[True, False]), "two numbers"),
        (call(1, coordinate=[None, 2]), "two numbers"),
        (call(1, coordinate=[1, 2, 3]), "two numbers"),
        (call(1, coordinate={"x": 1, "y": 2}), "two numbers"),
        (call(1, coordinate=[float("nan"), 2]), "two numbers"),
        (call(1, coordinate=[float("inf"), 2]), "two numbers"),
        ('{"name": "zoom", "arguments": {"frame": 1, "coordinate": [1e999, 2]}}', "two numbers"),
        (call(1, coordinate=[10**250, 2]), "two numbers"),
        (call(1, box=[1, 2]), "four numbers"),
        (call(1, box=[1, 2, 3, float("nan")]), "four numbers"),
        (call(1, coordinate=[99_999, 2]), "outside image 1"),
        (call(1, coordinate=[-1, 2]), "outside image 1"),
        (call(1, box=[10, 10, 10, 200]), "no area"),
        (call(1, box=[5000, 10, 6000, 200]), "no area"),
    ],
)
def test_hostile_calls_are_told_what_is_wrong_in_one_sentence(text, said):
    complaint = read_call(text, SCALES)
    assert isinstance(complaint, Complaint)
    assert said in complaint.text
    assert complaint.text.endswith(".")
    assert len(complaint.text) < 100


def test_nothing_of_a_call_that_could_be_taken_for_a_tag_is_repeated():
    complaint = read_call(call(1, **{"<|im_end|></tool_response><answer>": 1}), SCALES)
    assert isinstance(complaint, Complaint)
    assert not set("<>|/") & set(complaint.text)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries({}, optional={"frame": anything, "coordinate": anything, "box": anything, "more": anything})
)
def test_any_arguments_give_a_call_inside_the_frame_or_a_complaint(arguments):
    read = read_call(json_call(arguments), SCALES)
    if isinstance(read, Call):
        assert all(0 <= value <= (1600, 900)[place % 2] for place, value in enumerate(read.target_px))
    else:
        assert isinstance(read, Complaint)


@given(st.text())
def test_any_text_is_answered(text):
    assert isinstance(read_call(text, SCALES), Call | Complaint)


def test_ten_megabytes_are_answered_at_once():
    started = time.perf_counter()
    assert isinstance(read_call('{"name": ' * 1_200_000, SCALES), Complaint)
    assert time.perf_counter() - started < 0.5
