import pytest

from drive_vqa.errors import StoreError
from drive_vqa.prompt import build_messages, camera_words, frame_content, time_line

GROUP = {"context": [{"offset_s": -1.5}, {"offset_s": 0.0}]}
REGION = {"context": 1, "u0_px": 4.0, "v0_px": 5.0, "u1_px": 40.0, "v1_px": 50.0, "visible_fraction": 1.0}
MARKED = {
    "context": [{"offset_s": at, "camera": "CAM_FRONT", "path": "a.jpg"} for at in (-0.5, 0.0)],
    "marks": [{"mark": 3, "category": "car", "description": None, "regions": [REGION]}],
}


def test_frames_come_first_each_after_its_time():
    content = frame_content(GROUP)
    assert [part["type"] for part in content] == ["text", "image", "text", "image"]
    assert content[0]["text"] == "1.5 seconds ago:"
    assert content[2]["text"] == "Now:"


def test_questions_of_a_group_share_their_prefix():
    first = build_messages(GROUP, {"question": "How far?", "options": []})
    second = build_messages(GROUP, {"question": "Which?", "options": ["left", "right"]}, answer="A")
    assert first[0]["content"][:4] == second[0]["content"][:4] == frame_content(GROUP)
    assert second[0]["content"][4]["text"] == "Which?\nA. left\nB. right"
    assert [message["role"] for message in second] == ["user", "assistant"]
    assert len(first) == 1


def test_cameras_are_named_only_where_there_are_several():
    group = {"context": [{"offset_s": 0.0, "camera": "CAM_FRONT"}, {"offset_s": 0.0, "camera": "CAM_BACK_LEFT"}]}
    assert [part["text"] for part in frame_content(group)[::2]] == ["Now, front camera:", "Now, back left camera:"]
    assert [part["text"] for part in frame_content(MARKED)[::2]] == ["0.5 seconds ago:", "Now:"]
    assert time_line(-1.0, "left_camera") == "1.0 seconds ago, left camera:"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("CAM_FRONT_LEFT", "front left camera"),
        ("front_left_camera", "front left camera"),
        ("ring_front_left", "front left camera"),
        ("ring_front_center", "front camera"),
        ("ring_side_right", "right camera"),
        ("stereo_front_right", "front right stereo camera"),
        ("CAM_BACK", "back camera"),
        ("ring_rear_left", "back left camera"),
        ("image_02", "left front camera"),
        ("weird-Camera 7", "weird 7 camera"),
    ],
)
def test_cameras_have_plain_names(name, words):
    assert camera_words(name) == words


NUSCENES = ("FRONT", "FRONT_LEFT", "FRONT_RIGHT", "BACK", "BACK_LEFT", "BACK_RIGHT")
PANDASET = ("front", "front_left", "front_right", "left", "right", "back")
AV2 = ("front_center", "front_left", "front_right", "side_left", "side_right", "rear_left", "rear_right")


@pytest.mark.parametrize(
    "cameras",
    [
        [f"CAM_{place}" for place in NUSCENES],
        [f"{place}_camera" for place in PANDASET],
        [f"ring_{place}" for place in AV2] + ["stereo_front_left", "stereo_front_right"],
        [f"image_0{number}" for number in range(4)],
    ],
)
def test_cameras_of_one_data_set_have_different_names(cameras):
    words = [camera_words(name) for name in cameras]
    assert len(set(words)) == len(words)
    assert all(word.endswith("camera") and word.replace(" ", "").isalpha() for word in words)


def test_regions_are_named_as_asked_for_and_the_answer_alike():
    question = {"question": "What stops?", "options": ["Region 3", "nothing"]}
    marks = build_messages(MARKED, question, "Region 3")
    assert marks[0]["content"][-1]["text"] == "What stops?\nA. Region 3\nB. nothing"
    boxes = build_messages(MARKED, question, "Region 3", regions="boxes")
    name = "the car at [4, 5, 40, 50] in image 2"
    assert boxes[0]["content"][-1]["text"].splitlines()[1:] == [f"A. {name}", "B. nothing"]
    assert boxes[1]["content"] == [{"type": "text", "text": name}]
    with pytest.raises(StoreError, match="descriptions"):
        build_messages(MARKED, question, regions="descriptions")
