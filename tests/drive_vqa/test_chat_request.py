"""Requests to a server: what stands in them, in which order, and that the pictures are those of training."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from drive_vqa.chat_request import chat_body, chat_request, data_url
from drive_vqa.errors import StoreError
from drive_vqa.marks import marked_frames
from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store

SIZE_PX = (80, 48)
LOG = "drive"
QUESTION = {"qa_id": "q", "type": "side", "question": "On which side is Region 3?", "options": ["left", "right"]}
DISTANCE = {
    "qa_id": "d",
    "type": "distance",
    "question": "How far away is Region 3?",
    "options": None,
    "answer": "9.0 meters",
}
BOXES = {
    "qa_id": "b",
    "type": "box",
    "question": "Where was Region 3, as [left, top, right, bottom] in pixels?",
    "options": None,
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    root = tmp_path_factory.mktemp("requests")
    store = Store.create(root / "store")
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        Image.fromarray(rng.integers(0, 255, (96, 160, 3), dtype=np.uint8)).save(root / name)
    log = {"log_id": LOG, "source_format": "painted", "source_root": ".."}
    store.write("logs", LOG, table_from_rows("logs", [log]), "test")
    return store


@pytest.fixture
def group() -> dict[str, Any]:
    view = {"frame": 4, "camera": "front", "width": 160, "height": 96}
    region = {"context": 1, "u0_px": 20.0, "v0_px": 30.0, "u1_px": 60.0, "v1_px": 70.0, "visible_fraction": 1.0}
    return {
        "group_id": "g",
        "log_id": LOG,
        "context": [{**view, "path": "a.png", "offset_s": -0.5}, {**view, "path": "b.png", "offset_s": 0.0}],
        "marks": [{"mark": 3, "category": "car", "description": None, "regions": [region]}],
    }


def test_parts_stand_in_the_order_of_training(store: Store, group: dict[str, Any]) -> None:
    request = chat_request(store, group, QUESTION, model="driver", size_px=SIZE_PX, max_tokens=9)
    assert {key: value for key, value in request.items() if key != "messages"} == {
        "model": "driver",
        "temperature": 0,
        "max_tokens": 9,
    }
    [turn] = request["messages"]
    assert turn["role"] == "user"
    assert [part.get("text") for part in turn["content"]] == [
        "0.5 seconds ago:",
        None,
        "Now:",
        None,
        "On which side is Region 3?\nA. left\nB. right",
    ]
    assert json.loads(json.dumps(request)) == request


def test_pictures_are_the_very_pixels(store: Store, group: dict[str, Any]) -> None:
    sent = _pictures(chat_request(store, group, QUESTION, model="driver", size_px=SIZE_PX))
    drawn = marked_frames(store, group, SIZE_PX)
    assert [picture.size for picture in sent] == [SIZE_PX, SIZE_PX]
    for picture, frame in zip(sent, drawn, strict=True):
        assert np.array_equal(np.asarray(picture), np.asarray(frame))
    request = chat_request(store, group, DISTANCE, model="driver", size_px=None, regions="boxes", processor=_Starring())
    bare = _pictures(request)
    assert request["messages"][0]["content"][-1]["text"].startswith("*How far away is the car at [20, 30, 60, 70]")
    assert np.array_equal(np.asarray(bare[1]), np.asarray(Image.open(store.root.parent / "b.png")))


def test_a_body_of_other_pictures_and_several_turns() -> None:
    image = Image.new("RGB", (3, 2), (1, 2, 3))
    messages = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "and"}, {"type": "image"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "left"}]},
    ]
    body = chat_body(messages, [data_url(image), "http://other"], model="driver", max_tokens=5)
    assert [part["type"] for part in body["messages"][0]["content"]] == ["image_url", "text", "image_url"]
    assert body["messages"][0]["content"][2]["image_url"]["url"] == "http://other"
    assert body["messages"][1] == messages[1]
    assert messages[0]["content"][0] == {"type": "image"}


def test_boxes_need_the_processor(store: Store, group: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match="question b is about boxes"):
        chat_request(store, group, BOXES, model="driver", size_px=SIZE_PX)
    with pytest.raises(StoreError, match="question d is about boxes"):
        chat_request(store, group, DISTANCE, model="driver", size_px=SIZE_PX, regions="boxes")


def test_log_without_images(store: Store, group: dict[str, Any]) -> None:
    group["context"][1]["path"] = None
    with pytest.raises(StoreError, match="no image 2"):
        chat_request(store, group, QUESTION, model="driver", size_px=SIZE_PX)


class _Starring:
    """Stands for a processor: marks each text that passed it."""

    def to_model_messages(self, messages: list[Any], group: Any, size_px: Any) -> list[Any]:
        content = [
            part if part["type"] != "text" else {**part, "text": "*" + part["text"]} for part in messages[0]["content"]
        ]
        return [{**messages[0], "content": content}]


def _pictures(request: dict[str, Any]) -> list[Image.Image]:
    urls = [part["image_url"]["url"] for part in request["messages"][0]["content"] if part["type"] == "image_url"]
    assert all(url.startswith("data:image/png;base64,") for url in urls)
    return [Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) for url in urls]
