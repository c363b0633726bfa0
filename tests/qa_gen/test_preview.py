import re
from collections import Counter
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest

from drive_vqa.errors import StoreError
from drive_vqa.geometry import SE3
from drive_vqa.store import Store
from qa_gen.preview import write_preview
from qa_gen.preview.birds_eye import birds_eye
from qa_gen.preview.choose import choose
from qa_gen.preview.moment import Agent, Around, around
from tests.qa_gen.preview_world import FORMS, PRESENT, SCRIPT, SPEED_MPS, TYPES, write_world


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("preview"), ("painted", "other", "bare"))


@pytest.fixture(scope="module")
def page(store, tmp_path_factory):
    return write_preview(store, tmp_path_factory.mktemp("page") / "new" / "preview.html", per_type=3)


class _Page(HTMLParser):
    """Tags with their attributes, in order."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def named(self, tag, kind=None):
        return [found for name, found in self.tags if name == tag and (kind is None or found.get("class") == kind)]


def _chosen(store, **options):
    return {
        (log_id, row["qa_id"]): row
        for log_id, rows in choose(store, **options).items()
        for row in store.read("questions", log_id).take(rows).to_pylist()
    }


def test_every_type_is_shown_in_every_form_and_from_several_logs(store):
    rows = _chosen(store, per_type=3, seed=0).values()
    assert Counter(row["type"] for row in rows) == {name: 3 for _, name, _ in TYPES}
    for _, name, kind in TYPES:
        mine = [row for row in rows if row["type"] == name]
        assert {row["form"] for row in mine} == set(FORMS)
        assert len({row["log_id"] for row in mine}) == (2 if kind == "surround" else 3)


def test_wordings_differ_where_there_is_nothing_else_to_differ(tmp_path):
    rows = _chosen(write_world(tmp_path, ("painted",)), per_type=6, seed=0).values()
    for _, name, _ in TYPES:
        found = {(row["form"], row["template"]) for row in rows if row["type"] == name}
        assert found == {(form, template) for form in FORMS for template in range(2)}


def test_the_choice_depends_on_the_seed_alone(store):
    assert choose(store, 1, 0) == choose(store, 1, 0)
    assert len({str(choose(store, 1, seed)) for seed in range(5)}) > 1


def test_same_store_and_seed_give_the_same_bytes(store, page, tmp_path):
    assert write_preview(store, tmp_path / "again.html", per_type=3).read_bytes() == page.read_bytes()


def test_images_of_a_group_are_embedded_once(page):
    tags = _Page(page.read_text(encoding="utf-8"))
    cards = [found for found in tags.named("article") if "card" in (found.get("class") or "")]
    assert len(cards) == 3 * len(TYPES)
    groups = [found["id"] for found in tags.named("section", "moment")]
    assert len(groups) == len(set(groups)) == 11  # 4 + 4 + 3 kinds
    images = [found["src"] for found in tags.named("img")]
    assert len(images) == 2 * (1 + 2 + 4 + 8)
    assert all(image.startswith("data:image/jpeg;base64,") for image in images)
    assert len(tags.named("svg", "above")) == len(groups)


def test_the_page_says_what_is_asked_and_answered(page):
    text = page.read_text(encoding="utf-8")
    assert SCRIPT not in text
    words = unescape(re.sub(r"<[^>]+>", "", text))
    for sentence in (
        f"how is Region 3, {SCRIPT}?",
        "12.1 meters",
        "12.0831",
        "Region 3, image 4 (now), [140, 90, 200, 141]",
    ):
        assert sentence in words
    assert "the car at [140, 90, 200, 141] in image 4" in words
    assert "how is the only car," in words
    assert "This log has no images" in words
    assert '<li class="right"><b>B.</b> Region 0</li>' in text


def test_a_missing_image_costs_only_itself(tmp_path):
    store = write_world(tmp_path, ("painted",))
    (tmp_path / "source" / "painted" / f"CAM_FRONT-{PRESENT}.jpg").unlink()
    text = write_preview(store, tmp_path / "preview.html", per_type=1).read_text(encoding="utf-8")
    images = len(_Page(text).named("img"))
    assert images == 1 + 3 + 7
    assert "is missing" in text


def test_traces_are_shown_where_there_is_a_writer(store, tmp_path):
    page = write_preview(
        store,
        tmp_path / "preview.html",
        per_type=1,
        tracer=lambda store, log_id: lambda question, group: f"{log_id} <think> {question['qa_id']} {group['kind']}",
    )
    assert re.search(r"(\w+) &lt;think&gt; \1-where_starts-\S+ clip", page.read_text(encoding="utf-8"))


def test_without_questions_the_message_says_what_to_do(tmp_path):
    store = Store.create(tmp_path / "store")
    with pytest.raises(StoreError, match="drive-vqa generate"):
        write_preview(store, tmp_path / "preview.html", per_type=1)
    with pytest.raises(ValueError, match="per_type"):
        write_preview(store, tmp_path / "preview.html", per_type=0)


def test_paths_are_told_in_the_frame_of_now(store):
    group = next(row for row in store.read("groups", "painted").to_pylist() if row["kind"] == "sequence")
    scene = around(group, store.read("frames", "painted"), store.read("tracks", "painted"))
    paths = {path.mark: path.points for path in scene.paths}
    # The ego drives straight on along global x while it faces 0.3 rad to the left of it.
    for at_s, x_m, y_m in paths[None]:
        assert np.allclose([x_m, y_m], SPEED_MPS * at_s * np.array([np.cos(0.3), -np.sin(0.3)]))
    times = [round(point[0], 3) for point in paths[None]]
    assert times == [-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    seconds, x_m, y_m = paths[3][-1]
    global_SE3_now = SE3.from_yaw(0.3, [SPEED_MPS * 4.0, 2.0, 0.0])
    global_SE3_then = SE3.from_yaw(0.3, [SPEED_MPS * 7.0, 2.0, 0.0])
    assert seconds == pytest.approx(3.0)
    there = global_SE3_now.inverse() @ (global_SE3_then @ np.array([12.0 + 0.2 * 6, 1.0, 0.0]))
    assert [x_m, y_m] == pytest.approx(there[:2].tolist())
    assert (
        around({**group, "kind": "single"}, store.read("frames", "painted"), store.read("tracks", "painted")).paths
        == ()
    )


def _polygon_middles(svg, kind):
    found = re.findall(rf'<polygon class="{kind}"[^>]*points="([^"]+)"', svg)
    return [np.array([[float(n) for n in pair.split(",")] for pair in points.split()]).mean(axis=0) for points in found]


def test_from_above_ahead_is_up_and_left_is_left():
    agents = (
        Agent(4, "car", (20.0, 8.0, 4.0, 2.0, 0.0)),
        Agent(None, "car", (-5.0, -6.0, 4.0, 2.0, 1.0)),
    )
    svg = birds_eye(Around(agents, ()), 'a "title" <b>')
    assert np.allclose(_polygon_middles(svg, "marked"), [[-8.0, -20.0]], atol=0.01)
    assert np.allclose(_polygon_middles(svg, "other"), [[6.0, 5.0]], atol=0.01)
    assert "<b>" not in svg
    left, top, width, height = map(float, re.search(r'viewBox="([^"]+)"', svg)[1].split())
    assert left < -8 < left + width
    assert top < -22 < top + height
    assert not re.search(r"nan|inf", svg)
