"""V-STaR: overlaps by hand, and the published summaries from records that were made to have them."""

from __future__ import annotations

import pytest

from drive_vqa.errors import RecordError
from eval.benchmarks import v_star
from tests.eval.benchmarks.examples import v_star_answers, v_star_record, write_json

WIDTH, LONG_S = 1000, 1000


def read(tmp_path, records):
    return v_star.read(write_json(tmp_path / "V_STaR_test.json", records))


@pytest.mark.parametrize(
    ("right", "of", "temporal", "visual", "mam", "mlgm"),
    [
        (61, 100, (0.245, 0.240), (0.254, 0.060), 33.65, 46.56),  # Open-o3 Video
        (76, 125, (0.167, 0.128), (0.065, 0.030), 26.77, 38.17),  # GPT-4o
    ],
)
def test_published_rows(tmp_path, values, right, of, temporal, visual, mam, mlgm):
    """Records of 1000 s and boxes 1000 px wide, of which each answer covers the published share."""
    box = {"timestamp": 7, "xmin": 0, "ymin": 0, "xmax": WIDTH, "ymax": 100}
    tasks = read(tmp_path, [v_star_record(k, timestamps=[0, LONG_S], bboxes=[box]) for k in range(of)])
    told = {f"{k}.vqa": "a kite" if k < right else "a dog" for k in range(of)}
    for k in range(of):
        for suffix, share_of_time, share_of_box in zip(("", "_2"), temporal, visual, strict=True):
            told[f"{k}.temporal{suffix}"] = f"0 to {share_of_time * LONG_S:g} seconds"
            told[f"{k}.spatial{suffix}"] = f'{{"7": [0, 0, {share_of_box * WIDTH:g}, 100]}}'
    found = values("v-star", tasks, told)
    assert found["vqa.accuracy"] == right / of
    assert [found[f"chain{c}.tiou"] for c in (1, 2)] == pytest.approx(temporal)
    assert [found[f"chain{c}.viou"] for c in (1, 2)] == pytest.approx(visual)
    assert (round(100 * found["mam"], 2), round(100 * found["mlgm"], 2)) == (mam, mlgm)


def test_overlaps_by_hand(tmp_path, values):
    """True: 2 to 12 s; boxes of 100 by 100 at 3 s and of 100 by 200 at 4 s."""
    tasks = read(tmp_path, [v_star_record(0)])
    told = {
        "0.vqa": "It is red.",
        "0.temporal": "[7, 17]",  # 5 of 15 s; the unit may be left out
        "0.spatial": '{"3": [0, 0, 50, 100], "9": [0, 0, 100, 100]}',  # half of one; none at 4 s
        "0.temporal_2": "12 to 22 s",  # touches
        "0.spatial_2": '[{"3.0": [[0, 0, 100, 100], [300, 300, 310, 310]]}, {"4": [0, 0, 100, 200]}]',
    }
    found = values("v-star", tasks, told)
    assert found["vqa.accuracy"] == 0.0
    assert found["chain1.tiou"] == pytest.approx(1 / 3)
    assert found["chain1.viou"] == pytest.approx((0.5 + 0) / 2)
    assert found["chain2.tiou"] == 0.0
    assert found["chain2.viou"] == pytest.approx((0.5 + 1) / 2)  # of two boxes told at 3 s one is too many
    assert found["chain1.am"] == pytest.approx((0 + 1 / 3 + 1 / 4) / 3)
    assert (found["coverage"], found["slice.domain.Sports.mam"]) == (1.0, found["mam"])


def test_ratings_decide_where_there_are_any(tmp_path, values):
    tasks = read(tmp_path, [v_star_record(0), v_star_record(1)])
    words = {"0.vqa": "a kite", "1.vqa": "a toy that flies"}
    assert values("v-star", tasks, words)["vqa.accuracy"] == 0.5
    rated = values("v-star", tasks, words | {"0.rating": "1", "1.rating": "Score: 2"})
    assert rated["vqa.accuracy"] == 0.5
    assert values("v-star", tasks, words | {"1.rating": "3"})["vqa.accuracy"] == 0.5  # 0 is not rated, so it is wrong
    assert values("v-star", tasks, words | {"0.rating": "2", "1.rating": "3"})["vqa.accuracy"] == 1.0
    assert (values("v-star", tasks, words)["coverage"], rated["coverage"]) == (2 / 10, 4 / 12)


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("<think>a dog?</think><answer>A kite!</answer>", True),
        ("She holds A  KITE", True),
        ("kites", False),
        ("A", False),
        ("", False),
        ("a kite" + " or so" * 1000, False),
    ],
)
def test_the_words_of_an_answer(tmp_path, values, said, right):
    assert values("v-star", read(tmp_path, [v_star_record(0)]), {"0.vqa": said})["vqa.accuracy"] == right


def test_durations_are_told_apart(tmp_path, values):
    records = [v_star_record(k, frame_count=25 * length_s) for k, length_s in enumerate((59, 60, 179, 180))]
    tasks = read(tmp_path, records)
    assert [task.slices["duration"] for task in tasks[:: len(v_star.ASKED)]] == ["short", "medium", "medium", "long"]
    assert values("v-star", tasks, v_star_answers(3))["slice.duration.long.mam"] == 1.0


@pytest.mark.parametrize("text", ["[" * 40_000, "1 " * 20_000, " " * 40_000, '"3": [1,2,3,4]' * 5_000, "9" * 40_000])
def test_long_texts_are_answered(text):
    assert set(v_star.boxes_by_second(text)) <= {3.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"timestamps": [12, 2]}, "record 0: 'timestamps' ends before it starts: mend the record or leave it out"),
        ({"timestamps": [2]}, "'timestamps' is not a list of 2 numbers"),
        ({"timestamps": [2, float("inf")]}, "is not JSON .Infinity is no number."),
        ({"timestamps": [2, 10**400]}, "'timestamps' is not a finite number"),
        ({"timestamps": [True, 3]}, "'timestamps' is not a finite number"),
        ({"bboxes": []}, "'bboxes' is empty"),
        ({"bboxes": [{"timestamp": 3, "xmin": 5, "ymin": 0, "xmax": 5, "ymax": 9}]}, "has no area"),
        ({"bboxes": [{"timestamp": 3, "xmin": 5, "ymin": 0, "xmax": 6}]}, "'bboxes': 'ymax' is not a finite number"),
        ({"bboxes": {"3": [0, 0, 1, 1]}}, "'bboxes' is not a list of objects"),
        ({"fps": 0}, "'fps' is not above 0"),
        ({"answer": "?!"}, "'answer' is empty or too long"),
        ({"vid": 7}, "'vid' is not a text"),
    ],
)
def test_records_that_do_not_hold_together_are_told(tmp_path, change, message):
    with pytest.raises(RecordError, match=message):
        read(tmp_path, [v_star_record(0, **change)])
