"""Painting out the evidence, or random boxes: on pictures of noise, where every pixel that is painted shows."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from drive_vqa.marks import draw_marks, marked_frames, regions_at
from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from eval.controls.by_name import control_of
from eval.hiding import GREY, hidden_frames, random_boxes
from eval.predict import predict, questions_to_ask, vlm_answerer

WIDTH, HEIGHT = 160, 120
CORNERS = ("u0_px", "v0_px", "u1_px", "v1_px")
BOXES = {(0, 0): (20.0, 30.0, 60.0, 50.0), (0, 1): (150.5, 100.0, 160.0, 120.0), (1, 1): (80.0, 10.0, 100.0, 40.0)}
"""(mark, context) → its box; mark 2 is nowhere in the images."""

PAINTED = {0: [(16, 28, 64, 52)], 1: [(149, 98, 160, 120), (78, 7, 102, 43)]}
"""By hand: a tenth of a side more, at least one pixel (1/160 of the width), rounded outwards, inside the image."""


def region(context, box):
    return {"context": context, **dict(zip(CORNERS, box, strict=True)), "visible_fraction": 1.0}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two images, three marks, and questions that rest on none, one and two of them."""
    root = tmp_path_factory.mktemp("hiding")
    (root / "source").mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (2, HEIGHT, WIDTH, 3), dtype=np.uint8)
    noise[noise == GREY[0]] = 0
    for number, pixels in enumerate(noise):
        Image.fromarray(pixels).save(root / f"source/{number}.png")
    view = {"camera": "front", "width": WIDTH, "height": HEIGHT}
    context = [{**view, "frame": k, "offset_s": 0.5 * (k - 1), "path": f"{k}.png"} for k in (0, 1)]
    marks = [
        {"mark": mark, "track_id": f"{mark}", "category": "car"}
        | {"regions": [region(c, box) for (other, c), box in BOXES.items() if other == mark]}
        for mark in (0, 1, 2)
    ]
    group = {"group_id": "g", "kind": "sequence", "log_id": "a", "frame": 1, "split": "test"}
    group |= {"context": context, "marks": marks}
    asked = {"group_id": "g", "log_id": "a", "frame": 1, "split": "test", "type": "distance", "question": "How far?"}
    rests_on = {"none": [], "one": [0], "both": [0, 1], "again": [1, 0, 0], "lost": [2, None]}
    rows = [
        {**asked, "qa_id": name, "evidence": [{"mark": mark, "context": 0} for mark in on]}
        for name, on in rests_on.items()
    ]
    store = Store.create(root / "store")
    tables = {"logs": [{"log_id": "a", "source_root": "../source"}], "groups": [group], "questions": rows}
    for name, content in tables.items():
        store.write(name, "a", table_from_rows(name, content), "by hand")
    return store


@pytest.fixture(scope="module")
def group(store):
    return store.read("groups", "a").to_pylist()[0]


def pixels(images):
    return [np.asarray(image) for image in images]


def painted(images):
    """Where each image is grey; noise never is."""
    return [(image == GREY).all(axis=-1) for image in pixels(images)]


def area(boxes):
    found = np.zeros((HEIGHT, WIDTH), dtype=bool)
    for u0, v0, u1, v1 in boxes:
        found[v0:v1, u0:u1] = True
    return found


def test_evidence_is_grey_and_nothing_else_changes(store, group):
    hidden = hidden_frames(store, group, (0, 1), hide="evidence", style="none")
    plain = pixels(marked_frames(store, group, style="none"))
    for context, (shown, before, grey) in enumerate(zip(pixels(hidden), plain, painted(hidden), strict=True)):
        assert np.array_equal(grey, area(PAINTED[context]))
        assert np.array_equal(shown[~grey], before[~grey])


def test_marks_keep_their_outlines_and_numbers_over_nothing(store, group):
    """What is shown of a hidden mark is what would be drawn on a grey box."""
    hidden = hidden_frames(store, group, (0,), hide="evidence", style="fill")
    bare = hidden_frames(store, group, (0,), hide="evidence", style="none")
    for context, (shown, under) in enumerate(zip(hidden, bare, strict=True)):
        assert shown.tobytes() == draw_marks(under, regions_at(group, context)).tobytes()
        assert shown.tobytes() != under.tobytes()


def test_of_a_hidden_region_nothing_is_left(store, group):
    """Not its outline nor its number; the marks of others stay."""
    hidden = hidden_frames(store, group, (0,), hide="region", style="fill")
    bare = hidden_frames(store, group, (0,), hide="region", style="none")
    for context, (shown, under, grey) in enumerate(zip(hidden, bare, painted(bare), strict=True)):
        others = {mark: region for mark, region in regions_at(group, context).items() if mark != 0}
        assert grey.any()
        assert shown.tobytes() == draw_marks(under, others).tobytes()
    assert any(set(regions_at(group, context)) - {0} for context in range(len(bare)))


def test_a_shown_size_is_painted_sharply(store, group):
    (first, _) = painted(hidden_frames(store, group, (0,), (320, 60), hide="evidence", style="none"))
    assert np.array_equal(first[:, 32:128].any(axis=1).nonzero()[0], np.arange(14, 26))
    assert first[14:26, 32:128].all()
    assert not first[:, :32].any()


def test_random_boxes_are_as_large_and_never_touch_the_evidence(store, group):
    places = set()
    for seed in range(40):
        hidden = hidden_frames(store, group, (0, 1), hide="random", style="none", seed=seed)
        for context, grey in enumerate(painted(hidden)):
            assert not (grey & area(PAINTED[context])).any()
        v, u = painted(hidden)[0].nonzero()
        assert (u.max() + 1 - u.min(), v.max() + 1 - v.min(), len(u)) == (48, 24, 48 * 24)
        places.add((u.min(), v.min()))
    assert len(places) > 30


def test_random_places_follow_from_seed_group_and_evidence(store, group):
    def shown(marks=(0,), seed=0, **other):
        hidden = hidden_frames(store, {**group, **other}, marks, hide="random", style="none", seed=seed)
        return b"".join(image.tobytes() for image in hidden)

    assert shown() == shown()
    assert len({shown(), shown(seed=1), shown(group_id="h"), shown(marks=(0, 2))}) == 4


def test_random_places_are_the_same_at_every_size(store, group):
    """So that a closer look at the original frame sees what the small one shows."""
    large = painted(hidden_frames(store, group, (0, 1), hide="random", style="none"))
    half = painted(hidden_frames(store, group, (0, 1), (WIDTH // 2, HEIGHT // 2), hide="random", style="none"))
    for whole, small in zip(large, half, strict=True):
        assert np.array_equal(small, whole.reshape(HEIGHT // 2, 2, WIDTH // 2, 2).any(axis=(1, 3)))


@pytest.mark.parametrize("hide", ["evidence", "region", "random"])
@pytest.mark.parametrize("marks", [(), (2,), (77,)])
def test_where_no_image_shows_the_evidence_nothing_is_painted(store, group, hide, marks):
    hidden = hidden_frames(store, group, marks, hide=hide)
    assert pixels(hidden)[0].tobytes() == pixels(marked_frames(store, group))[0].tobytes()
    assert pixels(hidden)[1].tobytes() == pixels(marked_frames(store, group))[1].tobytes()


def test_random_boxes_on_every_kind_of_picture():
    """Sizes and order stay; places are inside and apart from all boxes."""
    draw = np.random.default_rng(3)
    for _ in range(300):
        width, height = (int(side) for side in draw.integers(1, 40, 2))
        count = int(draw.integers(0, 4))
        low = draw.integers(0, [width, height], (count, 2))
        high = draw.integers(low + 1, np.array([width, height]) + 1)
        boxes = [(int(a), int(b), int(c), int(d)) for (a, b), (c, d) in zip(low, high, strict=True)]
        found = random_boxes(boxes, (width, height), draw)
        for u0, v0, u1, v1 in found:
            assert 0 <= u0 < u1 <= width
            assert 0 <= v0 < v1 <= height
            assert all(u1 <= a or c <= u0 or v1 <= b or d <= v0 for a, b, c, d in boxes)
        sizes = [(c - a, d - b) for a, b, c, d in boxes]
        told = iter(sizes)
        assert all((c - a, d - b) in told for a, b, c, d in found)


def test_the_only_free_place_is_found_and_none_is_left_out():
    draw = np.random.default_rng(0)
    assert random_boxes([(0, 0, 5, 4)], (10, 4), draw) == [(5, 0, 10, 4)]
    assert random_boxes([(0, 0, 6, 4)], (10, 4), draw) == []
    assert random_boxes([], (10, 4), draw) == []


def test_questions_tell_what_they_rest_on_but_do_not_show_it(store):
    found = {asked.question["qa_id"]: asked for asked in questions_to_ask(store, "test")}
    assert {name: asked.evidence for name, asked in found.items()} == {
        "none": (),
        "one": (0,),
        "both": (0, 1),
        "again": (0, 1),
        "lost": (2,),
    }
    assert not any("evidence" in asked.question for asked in found.values())


def test_every_question_is_shown_its_own_evidence_hidden(store, tmp_path, monkeypatch):
    """Told by what the model is given, with a model that looks and says nothing."""
    shown = {}

    class Looker:
        image_size_px = None
        regions = "marks"

        class processor:
            to_model_messages = staticmethod(lambda ours, *_: ours)
            from_model_text = staticmethod(lambda text, *_, **__: text)

        def generate(self, messages, images, *_, **__):
            shown.update(zip((one[0]["content"][-1]["text"] for one in messages), images, strict=True))
            return [""] * len(images)

    def named(asked):
        return [{"content": [{"text": asked.question["qa_id"]}]}]

    monkeypatch.setattr("eval.predict.vlm.open_vlm", lambda *_: (Looker(), "looker"))
    for hide in ("evidence", "region", "random"):
        answer, name, _ = vlm_answerer("x", control=replace(control_of(f"hide_{hide}"), messages=named))
        predict(store, "test", answer, tmp_path / f"{hide}.parquet", model_name=name, batch_size=9)
        assert name == f"looker+hide_{hide}"
        drawn = {name: b"".join(image.tobytes() for image in images) for name, images in shown.items()}
        assert drawn["both"] == drawn["again"]
        assert drawn["none"] == drawn["lost"]
        assert len(drawn) == 5
        assert len(set(drawn.values())) == 3
