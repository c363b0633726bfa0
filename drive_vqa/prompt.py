"""The one way to turn a question into chat messages, for training, prediction and reward alike.

Frames are separate images, each after a line that names its time, and its camera where a group shows several: models and trainers
differ in what they call a video.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from drive_vqa.errors import StoreError
from drive_vqa.region_forms import ASKS_CATEGORY, RegionForm, in_form, refer

Message = dict[str, Any]

KITTI_CAMERAS = {
    "image_00": "left front grayscale camera",
    "image_01": "right front grayscale camera",
    "image_02": "left front camera",
    "image_03": "right front camera",
}
"""KITTI numbers its cameras; all look ahead, the even ones stand on the left."""

_SAME = {"rear": "back"}
_NO_NEWS = frozenset({"cam", "camera", "ring", "center", "side", "stereo"})


def build_messages(
    group: Mapping[str, Any], question: Mapping[str, Any], answer: str | None = None, *, regions: RegionForm = "marks"
) -> list[Message]:
    """Chat messages in the form of Hugging Face chat templates; images are placeholders, in context order.

    Args:
        group: a row of the `groups` table.
        question: a row of the `questions` table; `question` and `options` are read.
        answer: the assistant's reply, for training; its regions are named as the question names them.
        regions: how regions are named; the images must be drawn to match, see `region_forms.style_of`.

    Raises:
        StoreError: the question cannot be asked in this form; `region_forms.in_form` tells beforehand.
    """
    asked = in_form(question, group, regions)
    with_category = question.get("type") not in ASKS_CATEGORY
    reply = answer if answer is None else refer(answer, group, regions, category=with_category)
    if asked is None or (answer is not None and reply is None):
        raise StoreError(
            f"question {question.get('qa_id')} has no wording with regions={regions}: leave it out, or ask it with regions=marks"
        )
    messages: list[Message] = [{"role": "user", "content": [*frame_content(group), *question_content(asked)]}]
    if reply is not None:
        messages.append({"role": "assistant", "content": [{"type": "text", "text": reply}]})
    return messages


def frame_content(group: Mapping[str, Any]) -> list[Message]:
    """The part of the user turn that all questions of a group share: a time line and an image for each context frame."""
    several = len({view.get("camera") for view in group["context"]}) > 1
    content: list[Message] = []
    for view in group["context"]:
        line = time_line(view["offset_s"], view["camera"] if several else None)
        content += [{"type": "text", "text": line}, {"type": "image"}]
    return content


def question_content(question: Mapping[str, Any]) -> list[Message]:
    """The part of the user turn that is the question's own."""
    lines = [question["question"]]
    lines += [f"{chr(ord('A') + index)}. {option}" for index, option in enumerate(question.get("options") or [])]
    return [{"type": "text", "text": "\n".join(lines)}]


def time_line(offset_s: float, camera: str | None = None) -> str:
    """What stands before an image: when it was taken, relative to the present, and by which camera if one is given."""
    when = "Now" if offset_s == 0 else f"{-offset_s:.1f} seconds ago"
    return f"{when}:" if camera is None else f"{when}, {camera_words(camera)}:"


def camera_words(name: str) -> str:
    """A camera's name in plain words: CAM_FRONT_LEFT, front_left_camera and ring_front_left are the "front left camera".

    Knows the names of nuScenes, PandaSet, Argoverse 2 and KITTI; others lose their underscores. Cameras of one data set get
    different words.
    """
    if name in KITTI_CAMERAS:
        return KITTI_CAMERAS[name]
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
    kind = "stereo camera" if "stereo" in words else "camera"
    places = [_SAME.get(word, word) for word in words if word not in _NO_NEWS]
    return " ".join([*places, kind])
