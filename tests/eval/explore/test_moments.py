"""Logs and moments: what is told of them, and whether boxes lie where the objects are."""

import numpy as np
import pytest

from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from eval.explore.drives import list_logs, overview
from eval.explore.moments import moment
from tests.eval.report_world import FRAMES, INTRINSICS, LOG, OBJECTS, image_box, place


def test_logs_are_listed_page_by_page_and_searched(world):
    assert [row["log"] for row in list_logs(world, "", 0, 100)["logs"]] == ["a", "b", "c", "d", "e"]
    page = list_logs(world, "", 1, 2)
    assert ([row["log"] for row in page["logs"]], page["count"], page["next"]) == (["b", "c"], 5, 3)
    found = list_logs(world, "D", 0, 100)
    assert ([row["log"] for row in found["logs"]], found["next"]) == (["d"], None)
    assert found["logs"][0]["tracks"] == world.read("tracks", "d").num_rows


def test_a_log_tells_its_frames_tracks_and_questions(explorer):
    told = overview(explorer.store, LOG)
    assert [row["frame"] for row in told["frames"]] == list(range(FRAMES))
    assert [row["time_s"] for row in told["frames"][:3]] == [0.0, 1.0, 2.0]
    asked = [row["frame"] for row in told["frames"] if row["questions"]]
    assert asked == [1, 2, 3]
    assert {row["track"] for row in told["tracks"]} == set(OBJECTS)
    assert told["tracks"][0]["nearest_m"] == min(row["nearest_m"] for row in told["tracks"])
    assert told["says"] == []


def test_what_a_log_lacks_is_said(world, tmp_path):
    assert overview(world, "a")["says"] == ["This log has no cameras."]
    store = Store.create(tmp_path / "store")
    row = {"log_id": "bare", "recording": "bare", "source_format": "test", "source_root": ".."}
    store.write("logs", "bare", table_from_rows("logs", [row]), "by hand")
    told = overview(store, "bare")
    assert told["frames"] == told["tracks"] == []
    assert len(told["says"]) == 3


def test_corners_project_onto_the_drawn_objects(explorer):
    drawn = moment(explorer.store, LOG, 2)
    k = np.array(INTRINSICS).reshape(3, 3)
    checked = 0
    for camera, sign in zip(drawn["cameras"], (1.0, -1.0), strict=True):
        for box in camera["boxes"]:
            pixels = np.array(box["corners_cam_m"]) @ k.T
            u, v = (pixels[:, :2] / pixels[:, 2:]).T
            known = image_box(box["track"], 2, sign)
            inside = [max(u.min(), 0), max(v.min(), 0), min(u.max(), camera["width"]), min(v.max(), camera["height"])]
            assert inside == pytest.approx([known[name] for name in ("u0_px", "v0_px", "u1_px", "v1_px")], abs=0.01)
            checked += 1
    assert checked >= 3


def test_places_from_above_are_those_of_the_tracks(explorer):
    drawn = moment(explorer.store, LOG, 2)
    for track in drawn["tracks"]:
        assert (track["x_m"], track["y_m"]) == pytest.approx(place(track["track"], 2))
    assert [track["distance_m"] for track in drawn["tracks"]] == sorted(
        track["distance_m"] for track in drawn["tracks"]
    )
    walker = next(track for track in drawn["tracks"] if track["track"] == "walker")
    assert walker["bearing_deg"] > 0  # on the left


def test_cameras_stand_front_row_first(explorer):
    cameras = moment(explorer.store, LOG, 1)["cameras"]
    assert [camera["ahead"] for camera in cameras] == [True, False]
    assert [abs(round(camera["bearing_deg"])) for camera in cameras] == [0, 180]


def test_a_log_without_cameras_and_sizes_is_still_drawn(world):
    drawn = moment(world, "a", 0)
    assert drawn["cameras"] == []
    assert len(drawn["tracks"]) == 4
    assert drawn["map"] == []


def test_the_map_turns_with_the_ego(tmp_path, write_store):
    store = write_store(tmp_path / "store", {"a": "test"})
    line = {"log_id": "a", "element_id": "1", "kind": "lane", "closed": False, "x_m": [10.0, 20.0], "y_m": [3.0, 3.0]}
    far = {**line, "element_id": "2", "x_m": [500.0, 600.0]}
    store.write("map_elements", "a", table_from_rows("map_elements", [line, far]), "by hand")
    drawn = moment(store, "a", 2)  # the ego has driven 10 m along x
    assert drawn["map"] == [{"kind": "lane", "closed": False, "points_m": [[0.0, 3.0], [10.0, 3.0]]}]
