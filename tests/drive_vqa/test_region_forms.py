import pytest

from drive_vqa.region_forms import (
    BOX_CONVENTION,
    PRESENT_CONVENTION,
    box_of,
    in_form,
    name_of,
    present_context,
    refer,
    style_of,
)


def _region(context, left, fraction=1.0):
    box = {"u0_px": left + 0.4, "v0_px": 299.6, "u1_px": left + 68.2, "v1_px": 372.0}
    return {"context": context, **box, "visible_fraction": fraction}


def _mark(number, category, description, *regions):
    return {
        "mark": number,
        "track_id": f"t{number}",
        "category": category,
        "description": description,
        "regions": list(regions),
    }


def _views(*offsets, path="a.jpg", cameras=None):
    cameras = cameras or ["CAM_FRONT"] * len(offsets)
    return [{"offset_s": at, "camera": camera, "path": path} for at, camera in zip(offsets, cameras, strict=True)]


SINGLE = {
    "context": _views(0.0),
    "marks": [
        _mark(3, "car", "the nearest car to the left", _region(0, 412)),
        _mark(0, "construction_vehicle", None, _region(0, 10)),
        _mark(7, "pedestrian", "the only pedestrian", _region(0, 700)),
    ],
}
SEQUENCE = {
    "context": _views(-1.0, -0.5, 0.0),
    "marks": [
        _mark(3, "car", "the nearest car", _region(0, 400), _region(2, 412)),
        _mark(5, "bus", "the only bus", _region(0, 20), _region(1, 30)),
    ],
}


@pytest.mark.parametrize(
    ("text", "boxes", "words"),
    [
        (
            "How far is Region 3 from Region 7?",
            "How far is the car at [412, 300, 480, 372] from the pedestrian at [700, 300, 768, 372]?",
            "How far is the nearest car to the left from the only pedestrian?",
        ),
        (
            "Region 3 moves. Region 7 stands! Is it true: Region 3 waits?",
            "The car at [412, 300, 480, 372] moves. The pedestrian at [700, 300, 768, 372] stands! "
            "Is it true: the car at [412, 300, 480, 372] waits?",
            "The nearest car to the left moves. The only pedestrian stands! Is it true: the nearest car to the left waits?",
        ),
        ("Region 3", "the car at [412, 300, 480, 372]", "the nearest car to the left"),
        (
            "Region 7, Region 3",
            "the pedestrian at [700, 300, 768, 372], the car at [412, 300, 480, 372]",
            "the only pedestrian, the nearest car to the left",
        ),
        ("none", "none", "none"),
        ("after 2.5 Region 3", "after 2.5 the car at [412, 300, 480, 372]", "after 2.5 the nearest car to the left"),
    ],
)
def test_names_are_replaced_and_sentences_keep_their_capital(text, boxes, words):
    assert refer(text, SINGLE, "marks") == text
    assert refer(text, SINGLE, "boxes") == boxes
    assert refer(text, SINGLE, "descriptions") == words


def test_among_several_images_the_present_one_is_named():
    assert refer("Where is Region 3?", SEQUENCE, "boxes") == "Where is the car at [412, 300, 480, 372] in image 3?"


def test_what_the_present_does_not_show_has_no_name():
    for form in ("boxes", "descriptions"):
        assert refer("Where is Region 5?", SEQUENCE, form) is None
        assert refer("Where is Region 9?", SEQUENCE, form) is None
        assert name_of(SEQUENCE, 5, form) is None
    assert refer("Is Region 3 nearer than Region 0?", SINGLE, "descriptions") is None
    assert refer("Where is Region 0?", SINGLE, "boxes") == "Where is the construction vehicle at [10, 300, 78, 372]?"


def test_of_several_cameras_the_one_that_shows_most_is_named():
    group = {
        "context": _views(0.0, 0.0, 0.0, cameras=["CAM_FRONT", "CAM_FRONT_LEFT", "CAM_BACK"]),
        "marks": [_mark(3, "car", None, _region(0, 0, 0.3), _region(1, 412, 0.9))],
    }
    assert present_context(group, 3) == 1
    assert refer("Is Region 3 parked?", group, "boxes") == "Is the car at [412, 300, 480, 372] in image 2 parked?"


def test_a_log_without_images_has_words_and_no_boxes():
    group = {"context": _views(0.0, path=None, cameras=[None]), "marks": [_mark(3, "car", "the only car")]}
    assert refer("Is Region 3 parked?", group, "boxes") is None
    assert refer("Is Region 3 parked?", group, "descriptions") == "Is the only car parked?"


def test_box_of_is_in_whole_pixels():
    assert box_of(SEQUENCE, 3, 0) == (400, 300, 468, 372)
    assert box_of(SEQUENCE, 3, 1) is None
    assert box_of(SEQUENCE, 9, 0) is None


def _question(text, kind="distance", **fields):
    plain = {"family": "ego", "type": kind, "form": "open", "question": text, "options": [], "answer": "12.4 meters"}
    return {**plain, "truth": {"distance_m": 12.4, "choice": None}, **fields}


def test_options_answer_and_truth_are_turned_alike():
    question = _question(
        "Which is taller, Region 3 or Region 7?",
        "sees_first",
        form="choice",
        options=["Region 7", "Region 3"],
        answer="Region 3",
        truth={"distance_m": None, "choice": "Region 3"},
    )
    for form in ("boxes", "descriptions"):
        turned = in_form(question, SINGLE, form)
        assert turned["answer"] == turned["truth"]["choice"] == turned["options"][1] != turned["options"][0]
        assert "Region" not in " ".join([turned["question"], *turned["options"]])
    assert in_form(question, SINGLE, "marks") == question
    assert question["answer"] == "Region 3"


def test_conventions_are_said_where_they_matter():
    boxes = in_form(_question("How far is Region 3?"), SINGLE, "boxes")
    assert boxes["question"] == f"How far is the car at [412, 300, 480, 372]? {BOX_CONVENTION}"
    future = _question("How far will Region 3 be?", "distance_t2", family="future")
    assert (
        in_form(future, SEQUENCE, "descriptions")["question"]
        == f"How far will the nearest car be? {PRESENT_CONVENTION}"
    )
    own = _question("How fast do I drive?", "ego_speed_t0", family="future")
    for form in ("boxes", "descriptions"):
        assert in_form(own, SEQUENCE, form)["question"] == "How fast do I drive?"


@pytest.mark.parametrize("text", ["Which marked region is nearest?", "Name all other regions.", "Count the marks."])
def test_questions_about_drawn_numbers_need_them(text):
    assert in_form(_question(text), SINGLE, "boxes") is None
    assert in_form(_question(text), SINGLE, "descriptions") is None


@pytest.mark.parametrize(
    ("kind", "form", "told"),
    [
        ("side", "choice", True),
        ("left_right", "yes_no", True),
        ("closer", "choice", True),
        ("category", "choice", True),
        ("taller", "choice", True),
        ("bearing_t0", "choice", True),
        ("bearing_t0", "open", False),
        ("distance", "yes_no", True),
        ("distance", "open", False),
        ("facing", "choice", False),
    ],
)
def test_a_description_must_not_tell_the_answer(kind, form, told):
    question = _question("What of Region 3, left or right?", kind, form=form, options=["left", "right"], answer="left")
    assert (in_form(question, SINGLE, "descriptions") is None) == told
    plain = _question("What of Region 7, left or right?", kind, form=form, options=["left", "right"], answer="left")
    assert (in_form(plain, SINGLE, "descriptions") is None) == (kind in ("category", "taller"))


def test_a_box_must_not_tell_the_category():
    question = _question("What kind of object is Region 3?", "category", options=["car", "bus"], answer="car")
    assert in_form(question, SINGLE, "boxes")["question"].startswith("What kind of object is the object at [412,")


def test_a_box_must_not_tell_the_image_nor_the_box_that_is_asked_for():
    assert in_form(_question("Which camera sees Region 3 best?", "best_camera"), SINGLE, "boxes") is None
    box = dict(zip(("u0_px", "v0_px", "u1_px", "v1_px"), (412.0, 300.0, 480.0, 372.0), strict=True))
    now = _question("Where was Region 3 when it stopped?", "where_stops", family="when_where", truth=box)
    assert in_form(now, SEQUENCE, "boxes") is None
    assert in_form({**now, "truth": {**box, "u0_px": 400.0}}, SEQUENCE, "boxes") is not None


def test_other_forms_are_drawn_without_marks():
    assert style_of("marks") == "fill"
    assert style_of("marks", "box") == "box"
    assert style_of("boxes") == style_of("descriptions", "box") == "none"
