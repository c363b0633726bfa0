"""Exports to benchmarks, read as their loaders read them.

VLMEvalKit, lmms-eval and STRIDE-QA-Bench are not installed here. What their loaders do with a file is written down in this
file, with a link: pandas for VLMEvalKit, `datasets` and a YAML tag for lmms-eval, pycocotools for the bench.
"""

from __future__ import annotations

import ast
import base64
import importlib.util
import io
import json
import math
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from pycocotools import mask as coco_mask

from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from qa_gen.export.questions import export_questions
from tests.qa_gen.export_world import make_store

Row = dict[str, Any]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_store(tmp_path_factory.mktemp("benchmarks"))


@pytest.fixture(scope="module")
def questions(store: Store) -> dict[str, Row]:
    return {row["qa_id"]: row for row in store.read_all("questions").to_pylist()}


def export(store: Store, to: str, out: Path, **options: Any) -> Path:
    assert export_questions(store, to, out, workers=1, **options).exit_status == 0
    return out


# VLMEvalKit -----------------------------------------------------------------------------------------------------------


def read_vlmevalkit(path: Path) -> pd.DataFrame:
    """https://github.com/open-compass/VLMEvalKit/blob/main/vlmeval/dataset/image_base.py, ImageBaseDataset.__init__."""
    data = pd.read_csv(path, sep="\t")
    assert {"index", "image", "question", "answer", "A", "B"} <= set(data)
    data["index"] = [str(index) for index in data["index"]]
    image_of = dict(zip(data["index"], data["image"], strict=True))
    for index, image in image_of.items():
        if len(image) <= 64:
            assert len(image_of[image]) > 64  # the row pointed at has the images itself
            image_of[index] = image_of[image]
    as_list = [text if text[0] == "[" and text[-1] == "]" else repr([text]) for text in image_of.values()]
    data["image"] = [ast.literal_eval(text) for text in as_list]
    data["image_path"] = [ast.literal_eval(text) if text[0] == "[" else [text] for text in data["image_path"]]
    return data


def test_vlmevalkit_gets_images_options_and_letters(store, questions, tmp_path):
    out = export(store, "vlmevalkit", tmp_path / "out", splits=("train", "test"))
    for split in ("train", "test"):
        data = read_vlmevalkit(out / f"drive_vqa_{split}.tsv")
        closed = [
            row
            for row in questions.values()
            if row["split"] == split and row["form"] != "open" and row["log_id"] != "gamma"
        ]
        assert sorted(data["qa_id"]) == sorted(row["qa_id"] for row in closed)
        assert data["index"].is_unique
        assert all(index.isdigit() for index in data["index"])
        for row in data.to_dict("records"):
            asked = questions[row["qa_id"]]
            options = [row[letter] for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if not pd.isna(row[letter])]
            expected = asked["options"] or ["yes", "no"]
            assert [str(option).strip('"') for option in options] == expected
            assert str(row[row["answer"]]) == asked["answer"]
            assert row["question"].endswith(asked["question"])
            assert (row["category"], row["l2-category"], row["split"]) == (asked["type"], asked["family"], split)


def test_vlmevalkit_rows_of_a_group_have_the_images_of_their_group(store, tmp_path):
    out = export(store, "vlmevalkit", tmp_path / "out", splits=("train",))
    pictures = export(store, "messages", tmp_path / "pictures", splits=("train",))
    data = read_vlmevalkit(out / "drive_vqa_train.tsv")
    assert Counter(len(images) for images in data["image"]) == {1: 8, 3: 4, 4: 4}
    for row in data.to_dict("records"):
        folder = pictures / "images" / row["qa_id"].split("/")[0]
        assert [base64.b64decode(image) for image in row["image"]] == [
            (folder / f"{context}.jpg").read_bytes() for context in range(len(row["image"]))
        ]
        assert len(row["image_path"]) == len(row["image"])
        if len(row["image"]) == 4:
            assert "image 1: 1.5 seconds ago; image 2: 1.0 seconds ago" in row["question"]
    names = {tuple(paths) for paths in data["image_path"]}
    assert len(names) == 4  # a group unpacks its images once


def test_numbers_among_the_options_stay_text(store, tmp_path):
    """pandas would make 3.0 of 3 where a column has numbers and gaps only, and a gap of NA."""
    changed = Store.create(tmp_path / "store")
    rows = store.read("questions", "beta").to_pylist()
    rows = [row for row in rows if row["type"] in ("left_right", "category") and row["split"] == "test"]
    rows[0] |= {"options": ["3", "4", "NA"], "answer": "4"}
    rows[1] |= {"options": ["1", "0", "null", "2"], "answer": "0"}
    source = {**store.read("logs", "beta").to_pylist()[0], "source_root": str(store.source_root("beta"))}
    changed.write("logs", "beta", table_from_rows("logs", [source]), "f")
    changed.write("groups", "beta", store.read("groups", "beta"), "f")
    changed.write("questions", "beta", table_from_rows("questions", rows), "f")
    data = read_vlmevalkit(export(changed, "vlmevalkit", tmp_path / "out") / "drive_vqa_test.tsv")
    assert data["A"].tolist() == ['"3"', '"1"']
    assert data["C"].tolist() == ['"NA"', '"null"']
    assert data["answer"].tolist() == ["B", "B"]


@pytest.mark.parametrize("change", [{"answer": "sideways"}, {"options": []}, {"options": ["x"] * 27, "answer": "x"}])
def test_questions_without_a_right_option_are_refused(store, tmp_path, change):
    changed = Store.create(tmp_path / "store")
    rows = [row | change for row in store.read("questions", "beta").to_pylist() if row["type"] == "left_right"]
    source = {**store.read("logs", "beta").to_pylist()[0], "source_root": str(store.source_root("beta"))}
    changed.write("logs", "beta", table_from_rows("logs", [source]), "f")
    changed.write("groups", "beta", store.read("groups", "beta"), "f")
    changed.write("questions", "beta", table_from_rows("questions", rows), "f")
    summary = export_questions(changed, "vlmevalkit", tmp_path / "out", workers=1)
    assert "has no right one among its" in summary.failures[0].message


# lmms-eval ------------------------------------------------------------------------------------------------------------


def load_task(folder: Path, name: str) -> Row:
    """As https://github.com/EvolvingLMMs-Lab/lmms-eval/blob/main/lmms_eval/utils.py does: functions of files beside the YAML."""

    class Loader(yaml.SafeLoader):
        pass

    def function(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
        module, _, name = str(loader.construct_scalar(node)).rpartition(".")
        return getattr(load_module(folder / f"{module}.py"), name)

    Loader.add_constructor("!function", function)
    task: Row = yaml.load((folder / f"{name}.yaml").read_text(), Loader=Loader)
    return task


def load_module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_lmms_eval_loads_the_task_and_judges_the_right_answers_right(store, questions, tmp_path):
    datasets = pytest.importorskip("datasets")
    out = export(store, "lmms-eval", tmp_path / "out", splits=("train", "bench"))
    for split in ("train", "bench"):
        task = load_task(out, f"drive_vqa_{split}")
        assert (task["task"], task["tag"], task["output_type"]) == (
            f"drive_vqa_{split}",
            ["drive_vqa"],
            "generate_until",
        )
        files = {name: str(out / path) for name, path in task["dataset_kwargs"]["data_files"].items()}
        data = datasets.load_dataset(task["dataset_path"], data_files=files, cache_dir=str(tmp_path / "cache"))
        docs = data[task["test_split"]]
        expected = [row for row in questions.values() if row["split"] == split and row["log_id"] != "gamma"]
        assert sorted(docs["qa_id"]) == sorted(row["qa_id"] for row in expected)
        results = [task["process_results"](doc, [task["doc_to_target"](doc)]) for doc in docs]
        wrong = [doc["type"] for doc, result in zip(docs, results, strict=True) if result["accuracy"]["score"] != 1]
        assert wrong == []
        for metric in task["metric_list"]:
            found = [result[metric["metric"]] for result in results if metric["metric"] in result]
            assert found
            assert metric["aggregation"](found) == 1.0
        none = [task["process_results"](doc, [""])["accuracy"] for doc in docs]
        assert task["metric_list"][0]["aggregation"](none) == 0.0


def test_lmms_eval_shows_the_images_of_the_question(store, questions, tmp_path):
    datasets = pytest.importorskip("datasets")
    out = export(store, "lmms-eval", tmp_path / "out", splits=("train",), size_px=(64, 32))
    task = load_task(out, "drive_vqa_train")
    docs = datasets.load_dataset("parquet", data_files=str(out / "data/train.parquet"), cache_dir=str(tmp_path / "c"))[
        "train"
    ]
    for doc in docs.select(range(0, len(docs), 4)):
        images = task["doc_to_visual"](doc)
        assert [image.size for image in images] == [(64, 32)] * len(doc["images"])
        assert questions[doc["qa_id"]]["question"] in task["doc_to_text"](doc, {"pre_prompt": "", "post_prompt": ""})
        (turn,) = task["doc_to_messages"](doc)
        kinds = [piece["type"] for piece in turn["content"]]
        assert kinds == ["text", "image"] * len(images) + ["text"]
        if "sequence" in doc["group_id"]:
            assert [piece["text"] for piece in turn["content"][:8:2]] == [
                "1.5 seconds ago:",
                "1.0 seconds ago:",
                "0.5 seconds ago:",
                "Now:",
            ]


REPLIES = (
    ("distance", {"distance_m": 10.0}, "The distance is 12.5 meters.", True),
    ("distance", {"distance_m": 10.0}, "12.6 m", False),
    ("distance", {"distance_m": 10.0}, "Region 3 is 10 m away", True),
    ("distance", {"distance_m": 10.0}, "far", False),
    ("bearing", {"bearing_deg": -178.0}, "179 degrees", True),
    ("bearing", {"bearing_deg": -8.0}, "8 degrees", False),
    ("bearing", {"bearing_deg": -8.0}, "\N{MINUS SIGN}17 degrees", True),
    ("turn", {"yaw_deg": 30.0}, "about +41 degrees", False),
    ("speed", {"speed_mps": 0.1}, "0.2 m/s", True),
    ("speed", {"speed_mps": 0.1}, "0.3 m/s", False),
    ("speed", {"speed_mps": 10.0}, "<think>maybe 20</think><answer>11.9 m/s</answer>", True),
    ("time", {"time_s": 2.0}, "2.6 seconds", False),
    ("lateral", {"y_m": -0.5}, "0.4 meters", True),
    ("longitudinal", {"x_m": 20.0}, "-20 meters", False),
    ("localization", {"distance_m": 10.0, "bearing_deg": 5.0}, "11 meters, 12 degrees", True),
    ("localization", {"distance_m": 10.0, "bearing_deg": 5.0}, "11 meters, 16 degrees", False),
    ("localization", {"distance_m": 10.0, "bearing_deg": 5.0}, "11 meters", False),
    ("position", {"x_m": 12.4, "y_m": -3.1}, "x 12 meters, y -3 meters", True),
    ("position", {"x_m": 12.4, "y_m": -3.1}, "x 12 meters, y 3 meters", False),
    ("motion", {"distance_m": 12.4, "yaw_deg": -4.0}, "12 meters, 5 degrees", True),
    ("clock", {"clock_hour": 12}, "12 o'clock", True),
    ("clock", {"clock_hour": 12}, "at one o'clock", False),
    ("count", {"count": 3}, "There are three of them.", True),
    ("count", {"count": 3}, "13", False),
    ("bool", {"bool": True}, "Yes, it is.", True),
    ("bool", {"bool": False}, "Yes", False),
    ("bool", {"bool": False}, "I know", False),
    ("undetermined", {"undetermined": True}, "I cannot answer that.", True),
    ("undetermined", {"undetermined": True}, "12 meters", False),
    ("ranking", {"marks": [2, 0, 4]}, "Region 2, Region 0, Region 4", True),
    ("ranking", {"marks": [2, 0, 4]}, "Region 0, Region 2, Region 4", False),
    ("regions", {"marks": [0, 3]}, "3 and 0", True),
    ("regions", {"marks": [0, 3]}, "0", False),
    ("regions", {"marks": []}, "none", True),
    ("regions", {"marks": []}, "Region 1", False),
    ("regions", {"marks": [1]}, "none", False),
    ("interval", {"start_s": -1.5, "end_s": -0.5}, "from 1.5 to 0.5 seconds ago", True),
    ("interval", {"start_s": -1.5, "end_s": -0.5}, "from -1.0 to -0.5", True),
    ("interval", {"start_s": -1.5, "end_s": -0.5}, "from 3.5 to 0.0 seconds ago", False),
    ("interval", {"start_s": -1.5, "end_s": -0.5}, "from 0.5 to 1.5 seconds ago", False),
    ("box", {"u0_px": 0.0, "v0_px": 0.0, "u1_px": 10.0, "v1_px": 10.0}, "[0, 0, 10, 5]", True),
    ("box", {"u0_px": 0.0, "v0_px": 0.0, "u1_px": 10.0, "v1_px": 10.0}, "[0, 0, 10, 4]", False),
    ("box", {"u0_px": 0.0, "v0_px": 0.0, "u1_px": 10.0, "v1_px": 10.0}, "[10, 10, 0, 0]", False),
)


@pytest.mark.parametrize(("answer_type", "truth", "reply", "right"), REPLIES)
def test_lmms_eval_rules(answer_type, truth, reply, right):
    from qa_gen.export.lmms_eval_utils import is_right

    assert is_right({"answer_type": answer_type, "truth": truth, "options": None, "answer": ""}, reply) is right


@pytest.mark.parametrize(
    ("reply", "right"),
    [
        ("B", True),
        ("(B)", True),
        ("B. my lane to the left", True),
        ("The answer is B.", True),
        ("It is in the lane to my left.", True),
        ("A", False),
        ("my lane", False),
        ("the lane", False),
        ("my lane or the lane to my left", False),
        ("Because", False),
        ("", False),
    ],
)
def test_lmms_eval_choices(reply, right):
    from qa_gen.export.lmms_eval_utils import is_right

    doc = {"answer_type": "choice", "options": ["my lane", "the lane to my left", "I"], "answer": "the lane to my left"}
    assert is_right(doc, reply) is right


def test_lmms_eval_takes_the_word_i_for_itself_where_it_is_an_option():
    from qa_gen.export.lmms_eval_utils import is_right

    doc = {"answer_type": "choice", "options": ["I", "Region 3"], "answer": "I"}
    assert is_right(doc, "I")
    assert not is_right(doc, "Region 3")


def test_the_functions_of_the_task_need_nothing_but_python_and_pillow():
    tree = ast.parse((Path(__file__).parents[2] / "qa_gen/export/lmms_eval_utils.py").read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names == {"__future__", "re", "collections.abc", "pathlib", "typing", "PIL"}


# STRIDE-QA-Bench ------------------------------------------------------------------------------------------------------

CATEGORIES = {
    0: {"ego_distance_data", "ego_speed_data", "target_speed_data", "target_bearing_angle_data"},
    **{
        t: {f"{name}_4d_t{t}" for name in ("ego_distance_data", "ego_speed_data", "target_speed_data")}
        for t in (1, 2, 3)
    },
}
"""https://github.com/turingmotors/STRIDE-QA-Dataset: what its scorer knows, by time."""

VALUES = {"ego_distance_data": {"distance"}, "target_bearing_angle_data": {"direction"}}


def test_stride_bench_files_have_what_the_loader_and_the_scorer_read(store, questions, tmp_path):
    out = export(store, "stride-bench", tmp_path / "out")
    sheet = pd.read_csv(out / "annotation_files" / "annotation_sheet.csv")
    assert list(sheet["source_group_id"]) == ["beta-00036-target"]  # the other target is not marked in all four images
    assert list(sheet["relation"]) == ["Other_Pulling_Away_From_Ego"]
    assert list(sheet["object_type"]) == ["car"]
    seen = []
    for time, categories in CATEGORIES.items():
        records = json.loads((out / "annotation_files" / f"strideqa_bench_t{time}.json").read_text())
        assert {record["qa_category"] for record in records} == categories
        for record in records:
            asked = questions[record["qa_id"]]
            seen.append(asked["type"])
            assert "g" + record["question_id"].split("_g")[1] == record["group_id"] == sheet["group_id"][0]
            joint = {"distance", "direction"} if "distance" in record["qa_category"] else {"velocity"}
            assert set(record["gt_value"]) == VALUES.get(record["qa_category"], joint) == set(record["unit"])
            truth = asked["truth"]
            known = {"distance": truth["distance_m"], "direction": truth["bearing_deg"], "velocity": truth["speed_mps"]}
            assert all(record["gt_value"][name] == known[name] for name in record["gt_value"])
            assert record["gt"] == asked["answer"]
            assert asked["question"] in record["question"]
            assert f"Region {record['region_id']}" in record["question"]
            assert record["object_class"] == "car"
    assert Counter(seen) == dict.fromkeys(
        {row["type"] for row in questions.values() if row["split"] == "bench"} - {"localization_t0"}, 1
    )


@pytest.mark.parametrize("size_px", [None, (192, 64)])
def test_stride_bench_masks_lie_on_bare_images(store, tmp_path, size_px):
    out = export(store, "stride-bench", tmp_path / "out", size_px=size_px)
    group = next(row for row in store.read("groups", "beta").to_pylist() if row["group_id"] == "beta-00036-target")
    record = json.loads((out / "annotation_files" / "strideqa_bench_t1.json").read_text())[0]
    across = 1 if size_px is None else 2
    buckets = ("prev_3", "prev_2", "prev_1", "current")
    assert set(record["rle"]) == set(buckets)
    for context, (bucket, name) in enumerate(zip(buckets, record["images"], strict=True)):
        view, region = group["context"][context], group["marks"][0]["regions"][context]
        mask = coco_mask.decode(record["rle"][bucket])
        assert mask.shape == (64, 96 * across)
        rows, columns = np.nonzero(mask)
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        expected = [across * region["u0_px"], region["v0_px"], across * region["u1_px"], region["v1_px"]]
        assert np.allclose(box, expected, atol=0.5)
        assert mask.sum() == (box[2] - box[0]) * (box[3] - box[1])
        with Image.open(out / name) as image, Image.open(store.media_path("beta", view["path"])) as source:
            assert image.size == (96 * across, 64)
            apart = np.asarray(image, dtype=float) - np.asarray(source.resize(image.size), dtype=float)
        assert math.sqrt((apart**2).mean()) < 12  # JPEG only: nothing is drawn


def test_vlmevalkit_images_are_pictures(store, tmp_path):
    data = read_vlmevalkit(export(store, "vlmevalkit", tmp_path / "out", size_px=(48, 32)) / "drive_vqa_test.tsv")
    with Image.open(io.BytesIO(base64.b64decode(data["image"][0][0]))) as image:
        assert (image.format, image.size) == ("JPEG", (48, 32))
