"""Exports to trainers, opened as the trainers open them.

`messages` goes through `datasets`, TRL's own preparation and a chat template of Qwen2.5-VL. LLaMA-Factory and ms-swift are not
installed here: their lines are checked against what their documentation asks for.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from drive_vqa.vlm import IMAGE_TOKEN
from finetune.tiny_tokenizer import build_tokenizer
from qa_gen.export.questions import export_questions
from tests.qa_gen.export_world import make_store

Row = dict[str, Any]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_store(tmp_path_factory.mktemp("training"))


@pytest.fixture(scope="module")
def questions(store: Store) -> dict[str, Row]:
    """Of the logs with images, by id."""
    return {row["qa_id"]: row for row in store.read_all("questions").to_pylist() if row["log_id"] != "gamma"}


@pytest.fixture(scope="module")
def groups(store: Store) -> dict[str, Row]:
    return {row["group_id"]: row for row in store.read_all("groups").to_pylist()}


@pytest.fixture(scope="module")
def exported(store: Store, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of each format."""
    root = tmp_path_factory.mktemp("exported")
    for to in ("messages", "llamafactory", "ms-swift"):
        assert export_questions(store, to, root / to, workers=1).exit_status == 0
    return {path.name: path for path in root.iterdir()}


def test_messages_load_with_datasets_and_go_through_trl_and_a_chat_template(exported, questions, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    from trl.data_utils import is_conversational, prepare_multimodal_messages

    monkeypatch.chdir(exported["messages"])
    files = {split: f"{split}.jsonl" for split in ("train", "test", "bench")}
    data = datasets.load_dataset("json", data_files=files, cache_dir=str(tmp_path))
    data = data.cast_column("images", datasets.List(datasets.Image()))
    assert {row["qa_id"] for split in data.values() for row in split} == set(questions)
    tokenizer = build_tokenizer([])
    for row in (row for split in data.values() for row in split.select(range(0, len(split), 5))):
        assert is_conversational({"messages": row["messages"]})
        prepared = prepare_multimodal_messages(row["messages"], row["images"])  # raises where tags and images differ
        pictures = [piece["image"] for piece in prepared[0]["content"] if piece["type"] == "image"]
        assert [picture.size for picture in pictures] == [(96, 64)] * len(row["images"])
        text = tokenizer.apply_chat_template(row["messages"], tokenize=False)
        assert text.count(IMAGE_TOKEN) == len(row["images"])
        asked = questions[row["qa_id"]]
        assert asked["question"] in text
        assert text.rstrip().endswith(f"{asked['answer']}<|im_end|>")
        for place, option in enumerate(asked["options"] or ()):
            assert f"\n{'ABCDE'[place]}. {option}" in text


def test_llamafactory_finds_its_files_and_as_many_images_as_tags(exported, questions, tmp_path):
    """https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md, sharegpt format with images."""
    folder = exported["llamafactory"]
    info = json.loads((folder / "dataset_info.json").read_text())
    assert set(info) == {"drive_vqa_train", "drive_vqa_test", "drive_vqa_bench"}
    seen = []
    for entry in info.values():
        assert entry["formatting"] == "sharegpt"
        assert entry["columns"] == {"messages": "conversations", "images": "images"}
        for record in json.loads((folder / entry["file_name"]).read_text()):
            human, gpt = record["conversations"]
            assert (human["from"], gpt["from"]) == ("human", "gpt")
            assert human["value"].count("<image>") == len(record["images"])
            assert not re.search(r"<(image|video|audio)>", gpt["value"])
            assert all((folder / name).is_file() for name in record["images"])
            assert gpt["value"] == questions[record["qa_id"]]["answer"]
            seen.append(record["qa_id"])
    assert sorted(seen) == sorted(questions)


def test_tagged_text_is_what_the_chat_template_shows(exported):
    """With a tag in the place of each image, all trainers read the very text that ours reads."""
    tokenizer = build_tokenizer([])
    chats = {row["qa_id"]: row for row in _lines(exported["messages"])}
    for record in json.loads((exported["llamafactory"] / "drive_vqa_test.json").read_text()):
        tagged = record["conversations"][0]["value"].replace("<image>", f"<|vision_start|>{IMAGE_TOKEN}<|vision_end|>")
        assert f"user\n{tagged}<|im_end|>" in tokenizer.apply_chat_template(
            chats[record["qa_id"]]["messages"], tokenize=False
        )


def test_ms_swift_lines_have_what_fills_their_places(exported, questions, groups):
    """https://swift.readthedocs.io/en/latest/Customization/Custom-dataset.html, multimodal and grounding."""
    folder = exported["ms-swift"]
    seen = []
    for line in _lines(folder):
        asked = questions[line["qa_id"]]
        seen.append(line["qa_id"])
        user, assistant = (turn["content"] for turn in line["messages"])
        assert [turn["role"] for turn in line["messages"]] == ["user", "assistant"]
        assert user.count("<image>") == len(line["images"])
        assert all((folder / name).is_file() for name in line["images"])
        objects = line.get("objects", {"ref": [], "bbox": [], "image_id": []})
        assert (user + assistant).count("<ref-object>") == len(objects["ref"])
        assert (user + assistant).count("<bbox>") == len(objects["bbox"]) == len(objects["image_id"])
        assert ("objects" in line) == (asked["answer_type"] in ("box", "interval_box"))
        if "objects" in line:
            _check_grounding(folder, line, asked, groups[asked["group_id"]])
        else:
            assert assistant == asked["answer"]
    assert sorted(seen) == sorted(questions)


def _check_grounding(folder: Path, line: Row, asked: Row, group: Row) -> None:
    """Filled in again, the line is the question; the box is that of the region, in the image that is named."""
    user, assistant = (turn["content"] for turn in line["messages"])
    objects = line["objects"]
    for ref in objects["ref"]:
        user = user.replace("<ref-object>", ref, 1)
    assert user.endswith(asked["question"])
    assert objects["ref"] == ["Region 4"]
    assert assistant.replace("<bbox>", str(objects["bbox"][0])) == asked["answer"]
    region = group["marks"][0]["regions"][objects["image_id"][0]]
    assert region["context"] == 3
    assert objects["bbox"] == [[round(region[name]) for name in ("u0_px", "v0_px", "u1_px", "v1_px")]]
    with Image.open(folder / line["images"][objects["image_id"][0]]) as image:
        assert objects["bbox"][0][2] <= image.width
        assert objects["bbox"][0][3] <= image.height


def test_every_file_has_the_same_keys_in_all_its_lines(exported):
    """`datasets` reads a file in pieces and takes the columns of the first one for all."""
    for to in ("messages", "ms-swift"):
        for path in exported[to].glob("*.jsonl"):
            assert len({tuple(json.loads(line)) for line in path.read_text().splitlines()}) == 1


def test_ms_swift_boxes_are_in_pixels_of_the_exported_image(store, groups, tmp_path):
    export_questions(store, "ms-swift", tmp_path / "out", splits=("test",), workers=1, size_px=(192, 64))
    for line in _lines(tmp_path / "out"):
        if "objects" in line:
            asked = next(row for row in store.read("questions", "beta").to_pylist() if row["qa_id"] == line["qa_id"])
            region = groups[asked["group_id"]]["marks"][0]["regions"][3]
            u0, v0, u1, v1 = (region[name] for name in ("u0_px", "v0_px", "u1_px", "v1_px"))
            assert line["objects"]["bbox"] == [[round(2 * u0), round(v0), round(2 * u1), round(v1)]]
            assert line["objects"]["image_id"] == [3]
            assert line["messages"][1]["content"].endswith("<bbox>")


@pytest.mark.parametrize("tag", ["<image>", "<bbox>"])
def test_tags_in_a_text_are_refused(store, tmp_path, tag):
    changed = Store.create(tmp_path / "store")
    rows = store.read("questions", "alpha").to_pylist()
    rows[3]["question"] = f"What is in {tag}?"
    for table in ("logs", "groups"):
        changed.write(table, "alpha", store.read(table, "alpha"), "f")
    row = {**store.read("logs", "alpha").to_pylist()[0], "source_root": str(store.source_root("alpha"))}
    changed.write("logs", "alpha", table_from_rows("logs", [row]), "f")
    changed.write("questions", "alpha", table_from_rows("questions", rows), "f")
    for to in ("llamafactory", "ms-swift"):
        summary = export_questions(changed, to, tmp_path / to, workers=1)
        assert f"has {tag} in its text" in summary.failures[0].message


def _lines(folder: Path) -> list[Row]:
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]
