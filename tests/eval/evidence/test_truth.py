"""The truth of a question, read from a store by hand; rows that lack or contradict something leave it out and raise nothing."""

import math

import pytest

from drive_vqa.errors import StoreError
from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from eval.evidence.truth import TrueBox, TrueEvidence, TrueFrame, read_evidence

VIEWS = [
    {"frame": 1, "offset_s": -0.5, "camera": "front", "path": "1.png", "width": 640, "height": 480},
    {"frame": 2, "offset_s": 0.0, "camera": "front", "path": "2.png", "width": 640, "height": 480},
]


def region(context, u0, v0, u1, v1):
    return {"context": context, "u0_px": u0, "v0_px": v0, "u1_px": u1, "v1_px": v1, "visible_fraction": 1.0}


CAR = {"mark": 3, "track_id": "car", "regions": [region(0, 10.4, 20.6, 30.5, 40.0), region(1, 12.0, 20.0, 33.0, 41.0)]}
BIKE = {"mark": 5, "track_id": "bike", "regions": [region(1, 100.0, 100.0, 120.0, 140.0)]}
GROUP = {"context": VIEWS, "marks": [CAR, BIKE]}
NOTHING = TrueEvidence((), (), ())


def asked(*evidence):
    return {"evidence": [{"mark": mark, "context": context} for mark, context in evidence]}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store.create(tmp_path_factory.mktemp("truth") / "store")
    rows = [
        {"log_id": "log", "frame": 1, "track_id": "car", "x_m": 3.0, "y_m": 4.0},
        {"log_id": "log", "frame": 2, "track_id": "car", "x_m": -10.0, "y_m": 0.0},
        {"log_id": "log", "frame": 2, "track_id": "bike", "x_m": None, "y_m": 1.0},
    ]
    store.write("tracks", "log", table_from_rows("tracks", rows), "by hand")
    return store


@pytest.fixture(scope="module")
def evidence_of(store):
    return read_evidence(store, "log")


def test_boxes_in_whole_pixels_and_places_in_the_ego_frame_of_each_image(evidence_of):
    evidence = evidence_of(asked((3, 0), (3, 1)), GROUP)
    assert evidence.frames == (TrueFrame(-0.5, 640, 480), TrueFrame(0.0, 640, 480))
    past, now = evidence.boxes
    assert (past.mark, past.context, past.offset_s, past.box_px) == (3, 0, -0.5, (10.0, 21.0, 30.0, 40.0))
    assert (past.distance_m, past.bearing_deg) == (5.0, pytest.approx(53.1301, abs=1e-4))
    assert (now.offset_s, now.distance_m, now.bearing_deg) == (0.0, 10.0, 180.0)
    assert evidence.others == (TrueBox(5, 1, 0.0, (100.0, 100.0, 120.0, 140.0), None, None),)
    assert evidence.key_times_s == (-0.5, 0.0)
    assert evidence.first_s == -0.5


def test_what_is_not_named_is_among_the_others(evidence_of):
    evidence = evidence_of(asked((5, 1), (5, 1)), GROUP)
    assert [(box.mark, box.context) for box in evidence.boxes] == [(5, 1)]
    assert [(box.mark, box.context) for box in evidence.others] == [(3, 0), (3, 1)]
    assert evidence.key_times_s == (0.0,)


@pytest.mark.parametrize("entry", [(9, 0), (5, 0), (3, 7), (3, -1), (None, None)])
def test_evidence_that_no_image_shows_is_left_out(evidence_of, entry):
    evidence = evidence_of(asked(entry), GROUP)
    assert evidence.boxes == ()
    assert evidence.key_times_s == ()
    assert len(evidence.others) == 3


@pytest.mark.parametrize("none", [None, []])
def test_no_evidence(evidence_of, none):
    assert evidence_of({"evidence": none}, GROUP).boxes == ()


@pytest.mark.parametrize(
    "broken",
    [
        region(1, 5.0, 5.0, 5.4, 30.0),
        region(1, 30.0, 5.0, 5.0, 30.0),
        region(1, math.nan, 5.0, 9.0, 30.0),
        region(1, None, 5.0, 9.0, 30.0),
        region(1, 0.0, 5.0, math.inf, 30.0),
        region(2, 0.0, 5.0, 9.0, 30.0),
        region(-1, 0.0, 5.0, 9.0, 30.0),
    ],
)
def test_regions_that_are_no_boxes_are_left_out(evidence_of, broken):
    group = {"context": VIEWS, "marks": [{**CAR, "regions": [broken]}]}
    assert evidence_of(asked((3, broken["context"])), group) == TrueEvidence(evidence_of(asked(), GROUP).frames, (), ())


def test_a_log_without_images_has_no_frames(evidence_of):
    bare = [{**view, "camera": None, "path": None, "width": None, "height": None} for view in VIEWS]
    evidence = evidence_of(asked((3, 0)), {"context": bare, "marks": [{**CAR, "regions": []}]})
    assert evidence == NOTHING
    assert evidence.first_s == 0.0
    assert evidence_of(asked(), {"context": [], "marks": []}) == NOTHING


def test_an_image_without_a_file_shows_nothing(evidence_of):
    lost = [{**VIEWS[0], "path": None}, VIEWS[1]]
    evidence = evidence_of(asked((3, 0), (3, 1)), {"context": lost, "marks": [CAR]})
    assert evidence.frames == (TrueFrame(0.0, 640, 480),)
    assert [box.context for box in evidence.boxes] == [1]


@pytest.mark.parametrize("side", ["width", "height"])
def test_an_image_of_unknown_size_is_no_frame_but_shows_what_it_shows(evidence_of, side):
    evidence = evidence_of(asked((3, 1)), {"context": [{**view, side: None} for view in VIEWS], "marks": [CAR]})
    assert evidence.frames == ()
    assert evidence.key_times_s == (0.0,)


def test_surround_views_share_a_time(evidence_of):
    views = [{**VIEWS[1], "camera": camera} for camera in ("front", "left")]
    marks = [{**CAR, "regions": [region(1, 0.0, 0.0, 9.0, 9.0), region(0, 50.0, 0.0, 59.0, 9.0)]}]
    evidence = evidence_of(asked((3, 0), (3, 1)), {"context": views, "marks": marks})
    assert [box.context for box in evidence.boxes] == [0, 1]
    assert evidence.key_times_s == (0.0,)


def test_a_log_without_tracks_is_told(store):
    with pytest.raises(StoreError, match="has no table 'tracks': run `drive-vqa fuse"):
        read_evidence(store, "other")
