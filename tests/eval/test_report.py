"""The report as a file: what it says, that it escapes, repeats and survives missing images; and the geometry of its boxes."""

import json
import re
import shutil

import numpy as np
import pytest
import yaml

from drive_vqa.errors import ConfigError, StoreError
from drive_vqa.geometry import SE3
from drive_vqa.schema import pose_to_struct
from drive_vqa.store import Store
from eval.report import gallery, overlays, write_report
from eval.report.inputs import read_evaluation
from eval.report.severity import OUTCOMES
from tests.eval.report_world import FOCAL, INTRINSICS, LOG, SCRIPT, built_world, camera_pose


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return built_world(tmp_path_factory.getbasetemp())


@pytest.fixture
def copy(root, tmp_path):
    """The world again, free to be broken."""
    return shutil.copytree(root, tmp_path / "world")


@pytest.fixture(scope="module")
def html(root):
    return write_report(root / "evaluation", root / "out" / "report.html").read_text(encoding="utf-8")


def _text(html):
    """What a reader sees, roughly."""
    return " ".join(re.sub(r"<[^>]+>", " ", re.sub(r"<(style|script).*?</\1>", " ", html, flags=re.S)).split())


def test_headline_shows_the_evaluators_numbers(root, html):
    metrics = json.loads((root / "evaluation" / "metrics.json").read_text())
    mlsr, velocity = metrics["localization.mlsr"], metrics["baseline.constant_velocity.localization.mlsr"]
    row = re.search(r"<abbr[^>]*>MLSR</abbr>.*?</tr>", html, flags=re.S)[0]
    assert f"n {mlsr['n']}" in row
    assert re.findall(r"<b>([\d.]+)</b>", row)[:2] == [f"{100 * number['value']:.1f}" for number in (mlsr, velocity)]
    assert f"<small>{100 * mlsr['low']:.1f}–{100 * mlsr['high']:.1f}</small>" in row
    for name in ("Constant position", "Constant velocity"):
        assert name in html


def test_it_says_that_the_model_is_below_constant_velocity(root, html):
    metrics = json.loads((root / "evaluation" / "metrics.json").read_text())
    assert metrics["localization.mlsr"]["value"] < metrics["baseline.constant_velocity.localization.mlsr"]["value"]
    versus = metrics["versus.constant_velocity.localization.mlsr"]
    assert versus["low"] < 0 < versus["high"]
    assert "Below constant velocity on these questions" in _text(html)
    assert 'class="verdict below"' not in html


def test_a_folder_is_no_place_for_the_page(root, tmp_path):
    with pytest.raises(ConfigError, match="--out must be a file name such as report.html"):
        write_report(root / "evaluation", tmp_path)


def test_page_is_self_contained_and_small(root, html):
    links = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert links
    assert all(link.startswith(("data:", "#")) for link in links)
    assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", html)
    assert "@import" not in html
    assert (root / "out" / "report.html").stat().st_size < 6e6
    assert [path.name for path in (root / "out").iterdir()] == ["report.html"]


def test_everything_from_data_is_escaped(html):
    assert html.count("<script>") == 4
    assert SCRIPT not in html
    assert 'onerror="' not in html
    assert "&lt;script&gt;window.hacked=1" in html


def test_svg_ids_are_unique_over_the_page(html):
    ids = re.findall(r'<[^>]*\sid="([^"]+)"', re.sub(r"data:image/jpeg;base64,[\w+/=]+", "", html))
    plotted = [
        name
        for name in ids
        if not name.startswith(("figure_", "axes_", "patch_", "line2d_", "xtick_", "ytick_", "text_"))
    ]
    referred = set(re.findall(r'(?:url\(#|href="#)([\w-]+)', html))
    assert {name for name in referred if plotted.count(name) != 1} == set()


def test_same_evaluation_gives_same_bytes(root, html):
    again = write_report(root / "evaluation", root / "out" / "report.html")
    assert again.read_text(encoding="utf-8") == html


def test_time_split_is_warned_of(html):
    assert "Not a fair test" in html


def test_without_images_and_with_whole_logs_the_rest_is_written(copy):
    shutil.rmtree(copy / "source")
    config = yaml.safe_load((copy / "evaluation" / "config.yaml").read_text())
    (copy / "evaluation" / "config.yaml").write_text(yaml.safe_dump(config | {"split_rule": "whole-logs"}))
    text = _text(write_report(copy / "evaluation", copy / "r.html").read_text(encoding="utf-8"))
    assert f"The images of log {LOG}, frame 1 are missing or cannot be read." in text
    assert "The image 0/1.png is missing or cannot be read." in text
    assert "MLSR" in text
    assert "Not a fair test" not in text


def test_damaged_image_costs_only_its_cards(copy):
    (copy / "source" / "0" / "3.png").write_bytes(b"not an image")
    cards = gallery.cards(read_evaluation(copy / "evaluation"), 24)
    assert {f"frame {frame}" for frame in (1, 2, 3)} == {card.facts[1] for card in cards}
    for card in cards:
        assert bool(card.missing) == (not card.frames) == (card.facts[1] == "frame 3")


@pytest.mark.parametrize("name", ["metrics.json", "config.yaml", "scores.parquet"])
def test_incomplete_evaluation_is_one_clear_error_and_writes_nothing(copy, name):
    (copy / "evaluation" / name).unlink()
    with pytest.raises(StoreError, match="drive-vqa evaluate"):
        write_report(copy / "evaluation", copy / "r.html")
    assert not (copy / "r.html").exists()


@pytest.mark.parametrize("content", ["[]", "{", '{"a": 1}', '{"a": {"n": 1}}', '{"a": {"value": "x"}}'])
def test_damaged_metrics_are_one_clear_error(copy, content):
    (copy / "evaluation" / "metrics.json").write_text(content)
    with pytest.raises(StoreError, match="damaged"):
        write_report(copy / "evaluation", copy / "r.html")


def test_questions_of_another_store_are_refused(copy):
    shutil.rmtree(copy / "store" / "questions")
    with pytest.raises(StoreError, match="scores no question"):
        write_report(copy / "evaluation", copy / "r.html")


def test_worst_dangerous_mistake_comes_first(root):
    cards = gallery.cards(read_evaluation(root / "evaluation"), 24)
    assert [card.qa_id for card in cards[:2]] == ["in_my_path-2-0", "localization_t1-1-0"]
    assert [card.verdict for card in cards[:2]] == [
        "Says it is not in the path, and it is",
        "Puts the target 5.3 times as far as it is",
    ]
    outcomes = [card.outcome for card in cards]
    assert outcomes == sorted(outcomes, key=list(OUTCOMES).index)
    by_id = {card.qa_id: card for card in cards}
    assert by_id["localization_t2-2-0"].outcome == by_id["sign-2-1"].outcome == "unreadable"
    assert len({card.qa_id for card in cards}) == len(cards)


def test_card_shows_truth_reading_and_error(root):
    card = gallery.cards(read_evaluation(root / "evaluation"), 24)[1]
    distance, bearing = card.quantities
    assert (distance.truth, distance.answer, distance.error, distance.ok) == (
        "15.0 m",
        "80.0 m",
        "+65.0 m (+433 %)",
        False,
    )
    assert (bearing.truth, bearing.answer, bearing.ok) == ("0° ahead", "0° ahead", True)
    assert [frame.when for frame in card.frames] == ["1.0 seconds ago", "Now"]
    assert card.largest == 1
    assert card.prompt.startswith("1.0 seconds ago:\n[image]\nNow:\n[image]\nlocalization_t1")
    assert card.raw == "80 meters, 0 degrees"


def test_pictures_stop_where_the_page_would_be_too_heavy(root, monkeypatch):
    monkeypatch.setattr(gallery, "FRAME_BYTES", 30_000)
    cards = gallery.cards(read_evaluation(root / "evaluation"), 24)
    drawn = sum(len(frame.image) for card in cards for frame in card.frames)
    assert 0 < drawn <= 30_000
    assert cards[0].frames
    assert cards[-1].missing == "Left out to keep this page small."


def test_boxes_project_where_pinhole_arithmetic_says():
    ego = SE3.from_yaw(0.7, [100.0, -20.0, 3.0])
    later = ego @ SE3.from_yaw(0.1, [1.0, 0.2, 0.0])
    track = {"timestamp_ns": 0, "x_m": 10.0, "y_m": 2.0, "z_m": 0.8, "yaw_rad": 0.3, "vx_mps": 4.0, "vy_mps": None}
    track |= {"length_m": 4.0, "width_m": 2.0, "height_m": 1.6}
    capture = {"timestamp_ns": 50_000_000, "ego_SE3_sensor": pose_to_struct(camera_pose(1.0))}
    corners = overlays.project_box(track, capture | {"global_SE3_ego": pose_to_struct(later)}, ego)
    # by hand: centre moved 0.2 m ahead; front left bottom corner; then into the later ego frame; then camera axes
    x = 10.2 + 2.0 * np.cos(0.3) - 1.0 * np.sin(0.3) - 1.0
    y = 2.0 + 2.0 * np.sin(0.3) + 1.0 * np.cos(0.3) - 0.2
    ahead, left = x * np.cos(0.1) + y * np.sin(0.1), y * np.cos(0.1) - x * np.sin(0.1)
    distances = np.linalg.norm(corners - [-left, 1.6, ahead], axis=1)
    assert distances.min() < 1e-9
    assert FOCAL * 1.6 / ahead == pytest.approx(
        (corners @ np.reshape(INTRINSICS, (3, 3)).T)[distances.argmin(), 1] / ahead - 90.0
    )


def test_lines_are_cut_at_the_near_plane():
    cut = overlays._in_front(np.array([[0.0, 0.0, 10.3], [1.0, 0.0, -9.7]]))
    assert cut == pytest.approx(np.array([[0.0, 0.0, 10.3], [0.5, 0.0, 0.3]]))
    assert overlays._in_front(np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.1]])) is None


def test_painted_objects_lie_in_the_drawn_boxes(root):
    """The panel draws in the colour of vehicles round the painted car, and nowhere in an empty part of the image."""
    store = Store.open(root / "store")
    moment = overlays.moment(store, LOG, 1)
    assert [view.boxes for view in moment.views] == [2, 1]
    assert moment.tracks == 3


def test_cameras_stand_as_a_person_would_put_them():
    def capture(name, degrees):
        turned = SE3.from_yaw(np.radians(degrees), np.zeros(3)) @ camera_pose(1.0)
        return {"sensor": name, "ego_SE3_sensor": pose_to_struct(turned)}

    captures = [capture(name, deg) for name, deg in zip("abcdef", (180, 55, -110, 0, 110, -55), strict=True)]
    assert "".join(row["sensor"] for row in overlays._panel_order(captures)) == "bdfeac"
