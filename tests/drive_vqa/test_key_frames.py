"""Records in the key-frame layout: what holds together is kept as it is, what does not is told."""

import copy
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drive_vqa.key_frames import KeyFrame, record_from_json

CLAIM = "<obj>Region 3</obj><box>[10,20,30,40]</box>at<t>0.5</t>s"
GOOD = {
    "id": "a1",
    "task": "temporal-spatial free-form QA",
    "question": "How far?",
    "answer": "12.0 meters",
    "reasoning_process": f"{CLAIM} was at 12.0 m, 8°.\nSo it is.",
    "key_frames": [{"idx": 2, "time": 1.0}, {"idx": 1, "time": 0.5}],
    "key_items": {"1": {"Region 3": [[10, 20, 30, 40]]}, "2": {"a bus": [[1, 2, 3, 4], [5, 6, 7, 8.5]]}},
    "images": ["0.jpg", "1.jpg", "2.jpg"],
    "times": [0.0, 0.5, 1.0],
    "image_size": [640, 480],
}


def changed(**fields):
    content = copy.deepcopy(GOOD) | fields
    return {name: value for name, value in content.items() if value is not None}


def test_what_is_read_is_written():
    record = record_from_json(GOOD, "1")
    assert record.key_frames == (KeyFrame(1, 0.5), KeyFrame(2, 1.0))
    assert record_from_json(json.loads(json.dumps(record.as_json())), "7") == record
    assert [(frame.idx, name, box) for frame, name, box in record.boxes()][2] == (2, "a bus", (5.0, 6.0, 7.0, 8.5))
    assert not record.in_shares


def test_only_what_all_records_have_is_needed():
    bare = {name: GOOD[name] for name in ("task", "question", "answer", "reasoning_process", "key_frames", "key_items")}
    record = record_from_json(
        {**bare, "source": "elsewhere", "key_frames": [{**frame, "path": "x"} for frame in bare["key_frames"]]}, "7"
    )
    assert record_from_json({**bare, "id": 12}, "7").record_id == "12"
    assert (record.record_id, record.images, record.times_s, record.size_px) == ("7", (), (), None)
    assert set(record.as_json()) == {"id", *bare}


def test_spans_of_time_alone_need_no_key_frames():
    spans = changed(reasoning_process="from <t>3.5</t>s to <t>9</t>s", key_frames=[], key_items={})
    assert list(record_from_json(spans, "1").boxes()) == []


def test_several_boxes_may_share_a_name_and_a_time():
    text = "<obj> a bus </obj><box>[1, 2, 3, 4]</box><box>[5,6,7,8.5]</box>at<t>1</t>s"
    assert record_from_json(changed(reasoning_process=text), "1").reasoning == text


def test_boxes_up_to_one_are_shares():
    text = CLAIM.replace("[10,20,30,40]", "[0.1,0.2,0.3,1]")
    content = changed(reasoning_process=text, key_items={"1": {"Region 3": [[0.1, 0.2, 0.3, 1]]}})
    assert record_from_json(content, "1").in_shares


UNTRUE = {
    "another object": CLAIM.replace("3<", "4<"),
    "another box": CLAIM.replace("40]", "41]"),
    "a time of no key frame": CLAIM.replace("0.5", "0.7"),
    "the time of another key frame": CLAIM.replace("0.5", "1.0"),
    "a time alone": "<t>0.7</t>s",
    "one box of two": CLAIM.replace("</box>", "</box><box>[1,2,3,4]</box>"),
    "three numbers": CLAIM.replace(",40", ""),
    "words": CLAIM.replace("40", "forty"),
    "no number": CLAIM.replace("0.5", "nan"),
    "no time": CLAIM.split("at<")[0],
    "no name": CLAIM[CLAIM.index("<box>") :],
    "an open tag": CLAIM + "<obj>",
    "a closed tag": "</box>" + CLAIM,
    "a tag in a tag": CLAIM.replace("Region 3", "<obj>Region 3"),
}


@pytest.mark.parametrize("what", UNTRUE)
def test_all_that_is_told_must_be_among_the_key_items(what):
    with pytest.raises(ValueError, match="reasoning_process"):
        record_from_json(changed(reasoning_process=f"I see {UNTRUE[what]}."), "1")


BROKEN = {
    "is not an object": ["a list", 3, None, "text", []],
    "must be text": [
        changed(task=3),
        changed(answer=["a"]),
        {**GOOD, "question": None},
        changed(id=[7]),
        changed(id=True),
        changed(images=[1, 2, 3]),
    ],
    "cannot be stored": [changed(answer="\ud800")],
    "must be a list": [changed(key_frames={}), changed(times="0"), changed(key_items={"1": {"Region 3": "box"}})],
    "list of objects": [changed(key_frames=[3]), changed(key_frames=[None])],
    "object of objects": [changed(key_items=[]), changed(key_items={"1": [[1, 2, 3, 4]]})],
    "must be a number": [
        changed(key_frames=[{"idx": "1", "time": 0.5}]),
        changed(key_frames=[{"idx": True, "time": 0.5}]),
        changed(key_frames=[{"idx": 1}]),
        changed(times=[0.0, 0.5, 10**400]),
        changed(times=[0.0, 0.5, float("nan")]),
        changed(times=[0.0, 0.5, float("inf")]),
        changed(key_items={"1": {"Region 3": [[10, 20, 30, None]]}}),
    ],
    "whole number": [changed(key_frames=[{"idx": 1.5, "time": 0.5}]), changed(key_frames=[{"idx": 1, "time": -0.5}])],
    "whole numbers above 0": [
        changed(image_size=[640]),
        changed(image_size=[640, 0]),
        changed(image_size=[640.5, 480]),
    ],
    "same idx": [changed(key_frames=[*GOOD["key_frames"], {"idx": 1, "time": 0.7}])],
    "same time": [changed(key_frames=[*GOOD["key_frames"], {"idx": 0, "time": 0.5}])],
    "must rise": [changed(times=[0.0, 0.5, 0.5])],
    "3 images and 2 times": [changed(times=[0.0, 0.5])],
    "by times": [changed(key_frames=[{"idx": 1, "time": 0.6}]), changed(key_frames=[{"idx": 9, "time": 0.5}])],
    "of no key frame": [changed(key_frames=[])],
    "where the idx": [changed(key_items={"one": {}}), changed(key_items={"-1": {}}), changed(key_items={"01": {}})],
    "needs a name": [
        changed(key_items={"1": {" ": [[1, 2, 3, 4]]}}),
        changed(key_items={"1": {"<t>": [[1, 2, 3, 4]]}}),
    ],
    "has no area": [
        changed(key_items={"1": {"Region 3": [[30, 20, 10, 40]]}}),
        changed(key_items={"1": {"a": [[1, 1, 1, 2]]}}),
    ],
    "box of 3 numbers": [changed(key_items={"1": {"Region 3": [[10, 20, 30]]}})],
}


@pytest.mark.parametrize(
    ("told", "content"), [(told, content) for told, contents in BROKEN.items() for content in contents]
)
def test_what_does_not_hold_together_is_told(told, content):
    with pytest.raises(ValueError, match=told):
        record_from_json(content, "1")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(CLAIM),
    lambda part: (
        st.lists(part, max_size=4)
        | st.dictionaries(st.sampled_from(["idx", "time", "1", "Region 3"]), part, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), anything, max_size=4))
def test_any_content_is_a_record_or_a_value_error(fields):
    try:
        record = record_from_json(GOOD | fields, "1")
    except ValueError:
        return
    assert record_from_json(record.as_json(), "1") == record


def test_long_records_take_no_more_than_their_length():
    many = 4_000
    boxes = [[place, 0, place + 1, 1] for place in range(many)]
    claims = "".join(f"<obj>a</obj><box>[{place},0,{place + 1},1]</box>at<t>1.0</t>s" for place in range(many))
    start = time.process_time()
    record_from_json(changed(reasoning_process=claims, key_items={"2": {"a": boxes}}), "1")
    for hostile in (
        "<obj>" * 50_000,
        "<obj>a</obj>" + "<box>[1,2,3,4]</box>" * 100_000,
        "<t>" + "9" * 500_000 + "</t>s",
    ):
        with pytest.raises(ValueError, match="reasoning_process"):
            record_from_json(changed(reasoning_process=hostile), "1")
    assert time.process_time() - start < 10
