"""TreeBench: boxes by hand, options in all places, and images that are never held."""

from __future__ import annotations

import tracemalloc

import pytest

from drive_vqa.errors import RecordError
from eval.benchmarks import treebench
from eval.benchmarks.options import options_in_text
from tests.eval.benchmarks.examples import TREEBENCH, write_treebench, write_tsv


@pytest.fixture
def tasks(tmp_path):
    data, _ = write_treebench(tmp_path)
    return treebench.read(data)


def test_questions_are_read(tasks):
    first, second = tasks
    assert first.options == ("red", "blue", "green")
    assert second.options == ("the cup", "the vase")  # the columns are empty there
    assert (first.truth.choice, second.truth.choice) == ("blue", "the cup")
    assert first.question == "What colour is the\nlamp?"
    assert first.boxes_px == ((0, 0, 10, 10), (20, 20, 30, 40))
    assert dict(second.slices) == {"area": "Reasoning", "category": "Reasoning/Ordering"}


def test_boxes_by_hand(tasks, values):
    """Of true boxes of 100 and 200 px² one is told exactly and one by half, with a third that is nowhere."""
    text = (
        "<think><box>[0,0,10,10]</box> <box>[20,20,30,30]</box> <box>[500,500,510,510]</box></think><answer>A</answer>"
    )
    found = values("treebench", tasks, {"0": text, "1": "A"})
    assert found["accuracy"] == 0.5
    assert found["grounding.miou_recall"] == pytest.approx((1 + 0.5) / 2 / 2)
    assert found["grounding.miou_precision"] == pytest.approx((1 + 0.5 + 0) / 3 / 2)
    assert found["grounding.miou_matched"] == pytest.approx((1 + 0.5) / 3 / 2)
    assert found["slice.category.Perception_Attributes.miou_recall"] == pytest.approx(0.75)
    assert found["slice.area.Reasoning.accuracy"] == 1.0


def test_listing_boxes_pays_in_recall_alone(tasks, values):
    listed = "".join(f"<box>[{u},{v},{u + 10},{v + 10}]</box>" for u in range(0, 60, 10) for v in range(0, 60, 10))
    found = values("treebench", tasks[:1], {"0": f"<think>{listed}</think><answer>B</answer>"})
    assert found["grounding.miou_recall"] == 0.75
    assert found["grounding.miou_precision"] < 0.06
    assert found["grounding.miou_matched"] < 0.06


@pytest.mark.parametrize(
    "text", ["<box>[100,100,200,200]</box> so <answer>A</answer>", "It is <box>[100,100,200,200]</box></think>A"]
)
def test_boxes_count_where_no_thought_is_marked_or_the_prompt_opened_it(tasks, values, text):
    assert values("treebench", tasks[1:], {"1": text})["grounding.miou_recall"] == 1.0


def test_images_are_not_held(tmp_path):
    rows = [row | {"index": str(number), "image": "x" * 1_000_000} for number, row in enumerate(TREEBENCH * 5)]
    path = write_tsv(tmp_path / "TreeBench.tsv", rows)
    assert path.stat().st_size > 10_000_000
    tracemalloc.start()
    assert len(treebench.read(path)) == 10
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target_instances": "[[0, 0, 0, 10]]"}, r"row 1: box \[0.0, 0.0, 0.0, 10.0\] has no area: mend the record"),
        ({"target_instances": "[[0, 0, NaN, 10]]"}, "'target_instances' is not a list of boxes"),
        ({"target_instances": "[[0, 0, 10]]"}, "'target_instances' is not a list of boxes of four numbers"),
        ({"target_instances": "[" * 100_000}, "'target_instances' is not a list of boxes"),
        ({"target_instances": "[]"}, "'target_instances' is empty"),
        ({"answer": "E"}, "'answer' is E, but there are 3 options"),
        ({"answer": "blue"}, "'answer' is not the letter of an option"),
        ({"category": ""}, "'category' is not a text"),
        ({"A": "", "B": "", "C": "", "multi-choice options": "none"}, "it has no options"),
        ({"index": "1"}, "has question '1' twice"),
    ],
)
def test_rows_that_do_not_hold_together_are_told(tmp_path, change, message):
    path = write_tsv(tmp_path / "TreeBench.tsv", [TREEBENCH[0] | change, TREEBENCH[1]])
    with pytest.raises(RecordError, match=message):
        treebench.read(path)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("A. red\nB. blue", ("red", "blue")),
        ("(A) red (B) blue\nAnswer with a letter.", ("red", "blue")),
        ("Which?\n(A) a. M. Smith\n(B) C. Jones\n(C) none", ("a. M. Smith", "C. Jones", "none")),
        ("A: 1\nB: 2\nC: 3", ("1", "2", "3")),
        ("Who is A? No one.", ()),
        ("", ()),
    ],
)
def test_options_in_a_text(text, options):
    assert options_in_text(text) == options


PERCEPTION = {"Attributes": 29, "Material": 13, "Physical State": 23, "Object Retrieval": 16, "OCR": 68}
REASONING = {
    "Perspective Transform": 85,
    "Ordering": 57,
    "Contact and Occlusion": 41,
    "Spatial Containment": 29,
    "Comparison": 44,
}


def test_the_published_row_of_treevgr(tmp_path, values):
    """405 questions with one box of 1000 px, of which each answer tells 44 %; 204 letters are right: 50.4 and 44.0."""
    names = {f"Perception/{name}": count for name, count in PERCEPTION.items()}
    names |= {f"Reasoning/{name}": count for name, count in REASONING.items()}
    categories = [name for name, count in names.items() for _ in range(count)]
    rows = [
        {**TREEBENCH[1], "index": str(place), "image": "", "category": name, "target_instances": "[[0, 0, 1000, 10]]"}
        for place, name in enumerate(categories)
    ]
    tasks = treebench.read(write_tsv(tmp_path / "TreeBench.tsv", rows))
    thought = "<think><box>[0,0,440,10]</box></think>"
    found = values(
        "treebench", tasks, {str(row): f"{thought}<answer>{'A' if row < 204 else 'B'}</answer>" for row in range(405)}
    )
    assert len(tasks) == 405
    assert round(100 * found["accuracy"], 1) == 50.4
    assert round(100 * found["grounding.miou_recall"], 1) == 44.0
