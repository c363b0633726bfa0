"""The Hugging Face data-set folder, opened by `datasets.load_dataset`, and its card, read by `huggingface_hub`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from drive_vqa.store import Store
from qa_gen.export.questions import export_questions
from tests.qa_gen.export_world import make_store

datasets = pytest.importorskip("datasets")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_store(tmp_path_factory.mktemp("hub"))


@pytest.fixture(scope="module")
def folder(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hub") / "out"
    assert export_questions(store, "hf", out, workers=1).exit_status == 0
    return out


def test_a_row_is_a_group_with_its_images_marks_and_questions(store, folder, tmp_path):
    data = datasets.load_dataset(str(folder), cache_dir=str(tmp_path))
    groups = {row["group_id"]: row for row in store.read_all("groups").to_pylist() if row["log_id"] != "gamma"}
    assert {name: len(split) for name, split in data.items()} == {"train": 5, "test": 2, "bench": 2}
    asked = Counter()
    for split, rows in data.items():
        for row in rows:
            group = groups[row["group_id"]]
            assert group["split"] == split
            assert [image.size for image in row["images"]] == [(96, 64)] * len(group["context"])
            assert row["offsets_s"] == [view["offset_s"] for view in group["context"]]
            assert [mark["mark"] for mark in row["marks"]] == [mark["mark"] for mark in group["marks"]]
            first = row["marks"][0]["boxes"][-1]
            region = group["marks"][0]["regions"][-1]
            assert first["box_px"] == [round(region[name]) for name in ("u0_px", "v0_px", "u1_px", "v1_px")]
            asked.update((question["qa_id"], question["question"], question["answer"]) for question in row["questions"])
    rows = [row for row in store.read_all("questions").to_pylist() if row["log_id"] != "gamma"]
    assert asked == Counter((row["qa_id"], row["question"], row["answer"]) for row in rows)


def test_the_second_config_is_the_flat_table(store, folder, tmp_path):
    data = datasets.load_dataset(str(folder), "questions", cache_dir=str(tmp_path))
    rows = {row["qa_id"]: row for row in store.read_all("questions").to_pylist() if row["log_id"] != "gamma"}
    flat = [row for split in data.values() for row in split]
    assert {row["qa_id"] for row in flat} == set(rows)
    assert len(flat) == len(rows)
    assert all(row == rows[row["qa_id"]] for row in flat)


def test_boxes_follow_the_size_of_the_images(store, tmp_path):
    export_questions(store, "hf", tmp_path / "out", splits=("test",), workers=1, size_px=(48, 64))
    data = datasets.load_dataset(str(tmp_path / "out"), split="test", cache_dir=str(tmp_path / "cache"))
    groups = {row["group_id"]: row for row in store.read("groups", "beta").to_pylist()}
    for row in data:
        assert {image.size for image in row["images"]} == {(48, 64)}
        region = groups[row["group_id"]]["marks"][1]["regions"][0]
        box = row["marks"][1]["boxes"][0]["box_px"]
        assert box == [
            round(region["u0_px"] / 2),
            round(region["v0_px"]),
            round(region["u1_px"] / 2),
            round(region["v1_px"]),
        ]


def test_the_card_says_whose_terms_hold_and_what_is_in_it(store, folder):
    from huggingface_hub import DatasetCard

    card = DatasetCard.load(folder / "README.md")
    assert card.data.license == "cc-by-nc-sa-4.0"  # the strictest of the two logs with images; the third adds nothing
    assert card.data.size_categories == ["n<1K"]
    assert {config["config_name"] for config in card.data.to_dict()["configs"]} == {"default", "questions"}
    text = card.text
    assert "Commercial use of the whole is not allowed" in text
    assert "Waymo" not in text
    rows = [row for row in store.read_all("questions").to_pylist() if row["log_id"] != "gamma"]
    for split, count in Counter(row["split"] for row in rows).items():
        assert f"| {split} | {count} | {len({row['group_id'] for row in rows if row['split'] == split})} |" in text
    forms = Counter((row["type"], row["form"]) for row in rows)
    families = {row["type"]: row["family"] for row in rows}
    for kind, family in families.items():
        counts = " | ".join(str(forms[kind, form]) for form in ("open", "choice", "yes_no"))
        assert f"| {family} | {kind} | {counts} |" in text
    assert "| in_my_path | yes_no | 5 | yes | 100 % |" in text
    assert "boston-seaport 1 (50 %)" in text


def test_what_a_log_says_of_itself_cannot_be_taken_for_html(tmp_path):
    from drive_vqa.schema import table_from_rows

    store = make_store(tmp_path)
    row = {**store.read("logs", "alpha").to_pylist()[0], "location": "<script>alert(1)</script> | a\n# b"}
    store.write("logs", "alpha", table_from_rows("logs", [row]), "f")
    export_questions(store, "messages", tmp_path / "out", splits=("train",), workers=1)
    text = (tmp_path / "out" / "README.md").read_text()
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &#124; a # b 1 (50 %)" in text
