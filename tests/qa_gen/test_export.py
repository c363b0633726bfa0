"""What holds for every export: the same bytes however it was made, and clear refusals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from drive_vqa.cli.arguments import QUESTION_EXPORTS
from drive_vqa.errors import ConfigError, StoreError
from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from qa_gen.export.licences import SYNTH_TOWNS, licence_of, strictest
from qa_gen.export.questions import FORMATS, export_questions
from tests.qa_gen.export_world import LOGS, SIZE_PX, make_store

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_store(tmp_path_factory.mktemp("export"))


def tree(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_there_is_a_format_for_each_tool_that_the_command_line_names():
    assert tuple(FORMATS) == QUESTION_EXPORTS


@pytest.fixture(scope="module", params=[name for name, form in FORMATS.items() if form.chains is None])
def exported(
    request: pytest.FixtureRequest, store: Store, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """A format that needs no tracks, and a finished export in it; not to be written to."""
    out = tmp_path_factory.mktemp("exported") / "out"
    assert export_questions(store, request.param, out, workers=1).exit_status == 0
    return request.param, out


def test_a_second_call_leaves_a_finished_export_alone(store, exported):
    to, out = exported
    before = tree(out)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    again = export_questions(store, to, out, workers=1)
    assert again.done == ()
    assert "beta" in again.skipped
    assert tree(out) == before
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == times
    assert not [name for name in before if name.startswith(".") or name.endswith(".tmp")]


def test_the_bytes_do_not_depend_on_the_number_of_workers(store, tmp_path):
    for workers in (1, 2):
        export_questions(store, "lmms-eval", tmp_path / str(workers), splits=("train", "test"), workers=workers)
    assert tree(tmp_path / "1") == tree(tmp_path / "2")


KILLED = """
import os, pathlib, signal, sys
from drive_vqa.store import Store
from qa_gen.export.questions import export_questions
root, to, out, *writes = sys.argv[1:]
replace, left = pathlib.Path.replace, 0
def counted(self, target):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)
pathlib.Path.replace = counted
for write in writes:
    child = os.fork()
    if child == 0:
        left = int(write)
        export_questions(Store.open(pathlib.Path(root)), to, pathlib.Path(out), workers=1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, write
    assert not (pathlib.Path(out) / "export.json").exists()
"""
"""Exports again and again, killed each time just before its n-th file takes its name; the temporary file stays behind."""


@pytest.mark.parametrize("to", ["messages", "stride-bench"])
def test_a_killed_export_that_is_started_again_ends_with_the_same_bytes(store, tmp_path, to):
    whole, out = tmp_path / "whole", tmp_path / "killed"
    export_questions(store, to, whole, workers=1)
    files = len([name for name in tree(whole) if name.startswith("images/")])
    writes = [str(write) for write in (1, 2, files // 2, files + 2, 4)]
    arguments = [sys.executable, "-c", KILLED, str(store.root), to, str(out), *writes]
    subprocess.run(arguments, cwd=ROOT, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert list(out.rglob("*.tmp"))
    export_questions(store, to, out, workers=1)
    assert tree(out) == tree(whole)


def test_one_broken_log_does_not_stop_the_others_and_is_tried_again(tmp_path):
    store = make_store(tmp_path)
    picture = next((tmp_path / "source" / "alpha").rglob("*.png"))
    content = picture.read_bytes()
    picture.write_bytes(content[:100])
    broken = export_questions(store, "messages", tmp_path / "out", workers=1)
    assert broken.exit_status == 1
    assert [failure.log_id for failure in broken.failures] == ["alpha"]
    error = json.loads((tmp_path / "out" / "errors-export.jsonl").read_text())
    assert error["error"] == "LogFormatError"
    assert str(picture) in error["message"]
    assert {line["group_id"].split("-")[0] for line in _lines(tmp_path / "out")} == {"beta"}
    picture.write_bytes(content)
    mended = export_questions(store, "messages", tmp_path / "out", workers=1)
    assert (mended.done, mended.skipped) == (("alpha",), ("beta", "gamma"))
    export_questions(store, "messages", tmp_path / "whole", workers=1)
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def _lines(out: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted(out.glob("*.jsonl"))
        for line in path.read_text().splitlines()
        if "group_id" in line
    ]


def test_no_question_is_lost(store, exported):
    to, out = exported
    said = json.loads((out / "export.json").read_text())
    questions = store.read_all("questions").to_pylist()
    pictured = [row for row in questions if row["log_id"] != "gamma" and row["split"] in said["splits"]]
    if to == "vlmevalkit":
        pictured = [row for row in pictured if row["form"] != "open"]
    if to == "stride-bench":
        pictured = [row for row in pictured if row["type"] != "localization_t0" and "00036" in row["group_id"]]
    expected = {split: sum(row["split"] == split for row in pictured) for split in {row["split"] for row in pictured}}
    assert said["counts"]["questions"] == expected
    assert said["counts"]["groups"] == len({row["group_id"] for row in pictured})
    text = "".join(path.read_text() for path in out.rglob("*.*") if path.suffix in {".json", ".jsonl", ".tsv"})
    tables = [*out.glob("data/*.parquet"), *out.glob("questions/*/*.parquet")]
    ids = {name for path in tables for name in pq.read_table(path, columns=["qa_id"])["qa_id"].to_pylist()}
    assert all(row["qa_id"] in ids or row["qa_id"] in text for row in pictured)


def test_splits_are_chosen(store, tmp_path):
    export_questions(store, "messages", tmp_path / "out", splits=("test",), workers=1)
    assert [path.name for path in (tmp_path / "out").glob("*.jsonl")] == ["test.jsonl"]
    with pytest.raises(StoreError, match="no questions of split 'tset'; it has bench, test, train"):
        export_questions(store, "messages", tmp_path / "other", splits=("tset",))


def test_images_are_drawn_once_a_group_at_the_size_asked_for(store, tmp_path):
    export_questions(store, "messages", tmp_path / "own", splits=("test",), workers=1)
    export_questions(store, "messages", tmp_path / "twice", splits=("test",), workers=1, size_px=(192, 128))
    for out, size_px in (("own", SIZE_PX), ("twice", (192, 128))):
        paths = sorted((tmp_path / out / "images").rglob("*.*"))
        assert len(paths) == 1 + 8  # a single image and a clip
        for path in paths:
            with Image.open(path) as image:
                assert (image.format, image.size) == ("JPEG", size_px)


def test_marks_are_drawn_where_the_regions_are(store, tmp_path):
    export_questions(store, "messages", tmp_path / "out", splits=("train",), workers=1)
    group = next(row for row in store.read("groups", "alpha").to_pylist() if row["kind"] == "sequence")
    for context, view in enumerate(group["context"]):
        bare = _pixels(store.media_path("alpha", view["path"]))
        apart = np.abs(_pixels(tmp_path / "out" / "images" / group["group_id"] / f"{context}.jpg") - bare).mean(axis=2)
        inside = np.zeros(apart.shape, dtype=bool)
        for mark in group["marks"]:
            box = mark["regions"][context]
            u0, v0, u1, v1 = (round(box[name]) for name in ("u0_px", "v0_px", "u1_px", "v1_px"))
            inside[v0:v1, u0:u1] = True
        far = np.zeros_like(inside)
        far[-14:, :14] = True  # no region and no number gets there
        assert not (far & inside).any()
        assert apart[inside].mean() > 2 * apart[far].mean()


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), dtype=float)


def test_boxes_in_answers_follow_the_size_of_the_images(store, tmp_path):
    export_questions(store, "messages", tmp_path / "out", splits=("test",), workers=1, size_px=(288, 64))
    answers = {line["type"]: line["messages"][1]["content"][0]["text"] for line in _lines(tmp_path / "out")}
    group = next(row for row in store.read("groups", "beta").to_pylist() if row["kind"] == "clip")
    region = group["marks"][0]["regions"][3]
    u0, v0, u1, v1 = (region[name] for name in ("u0_px", "v0_px", "u1_px", "v1_px"))
    box = f"[{round(3 * u0)}, {round(v0)}, {round(3 * u1)}, {round(v1)}]"
    assert answers["where_starts"] == box
    assert answers["starts_when_where"] == f"from 1.5 to 0.5 seconds ago, {box}"
    assert answers["when_moving"] == "from 1.5 to 0.5 seconds ago"


def test_a_folder_that_holds_something_else_is_refused(store, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(StoreError, match="not empty and holds no export of ours: choose a new folder"):
        export_questions(store, "messages", tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]
    export_questions(store, "messages", tmp_path / "out", splits=("test",), workers=1)
    for changed in ({"splits": ("train",)}, {"splits": ("test",), "size_px": (64, 64)}):
        with pytest.raises(StoreError, match="holds an export of other questions or settings"):
            export_questions(store, "messages", tmp_path / "out", workers=1, **changed)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="is a file"):
        export_questions(store, "messages", tmp_path / "file")


@pytest.mark.parametrize("size_px", [(0, 64), (-5, 64), (27, 64), (64, 100_000)])
def test_sizes_that_no_image_can_have_are_refused(store, tmp_path, size_px):
    with pytest.raises(ConfigError, match=f"--size {size_px[0]}x{size_px[1]}: each side must be between 28 and 8192"):
        export_questions(store, "messages", tmp_path / "out", size_px=size_px)
    assert not (tmp_path / "out").exists()


def test_stores_without_what_is_asked_for_say_so(store, tmp_path):
    with pytest.raises(ConfigError, match="no format 'coco' of questions; formats are messages"):
        export_questions(store, "coco", tmp_path / "out")
    bare = Store.create(tmp_path / "bare")
    with pytest.raises(StoreError, match="no questions yet: run `drive-vqa generate"):
        export_questions(bare, "messages", tmp_path / "out")
    for table in ("logs", "groups", "questions"):
        bare.write(table, "gamma", store.read(table, "gamma"), "f")
    with pytest.raises(StoreError, match="no question of train that messages can hold"):
        export_questions(bare, "messages", tmp_path / "out", workers=1)
    with pytest.raises(StoreError, match="has no questions of any of the splits bench; it has train"):
        export_questions(bare, "stride-bench", tmp_path / "other")


@pytest.mark.parametrize("name", ["../../outside", "/root/outside", "a/b", "", "."])
def test_a_group_whose_name_leads_out_of_the_folder_is_refused(store, tmp_path, name):
    changed = Store.create(tmp_path / "store")
    groups, questions = (store.read(table, "alpha").to_pylist() for table in ("groups", "questions"))
    changed.write("logs", "alpha", store.read("logs", "alpha"), "f")
    for rows, table in ((groups[:1], "groups"), (questions[:1], "questions")):
        changed.write(table, "alpha", table_from_rows(table, [{**row, "group_id": name} for row in rows]), "f")
    summary = export_questions(changed, "messages", tmp_path / "out" / "deep", workers=1)
    assert "cannot name a folder" in summary.failures[0].message
    assert not list(tmp_path.rglob("*.jpg"))


def test_a_split_whose_name_leads_out_of_the_folder_is_refused(store, tmp_path):
    changed = Store.create(tmp_path / "store")
    rows = [{**row, "split": "../train"} for row in store.read("questions", "alpha").to_pylist()]
    for table in ("logs", "groups"):
        changed.write(table, "alpha", store.read(table, "alpha"), "f")
    changed.write("questions", "alpha", table_from_rows("questions", rows), "f")
    with pytest.raises(ConfigError, match=r"split '\.\./train' cannot name a file"):
        export_questions(changed, "messages", tmp_path / "out")


def test_questions_about_a_group_that_is_not_there_are_refused(store, tmp_path):
    changed = Store.create(tmp_path / "store")
    for table in ("logs", "questions"):
        changed.write(table, "alpha", store.read(table, "alpha"), "f")
    changed.write("groups", "alpha", store.read("groups", "alpha").slice(1), "f")
    summary = export_questions(changed, "messages", tmp_path / "out", workers=1)
    assert "questions about the group alpha-00020-single, which it lacks" in summary.failures[0].message


def test_licences():
    logs = {
        name: dict(zip(("source_format", "location", "description"), log, strict=True)) for name, log in LOGS.items()
    }
    terms = {name: licence_of(log) for name, log in logs.items()}
    assert {name: (found.hub_id, found.commercial) for name, found in terms.items()} == {
        "alpha": ("cc-by-nc-sa-4.0", False),
        "beta": ("apache-2.0", True),
        "gamma": ("other", False),
    }
    assert strictest(terms.values()) == terms["gamma"]
    assert strictest([terms["beta"], terms["alpha"]]) == terms["alpha"]
    replayed = {
        **logs["beta"],
        "location": "singapore-onenorth",
        "description": "Dusk in singapore-onenorth: ego waits",
    }
    assert licence_of(replayed).source == "nuScenes"
    assert licence_of({**logs["alpha"], "location": "harbour"}).source == "nuScenes"  # a name alone is no proof
    assert licence_of({"source_format": "painted", "location": None, "description": None}).rank == 5
    for source, hub_id in (("pandaset", "cc-by-4.0"), ("kitti", "cc-by-nc-sa-3.0"), ("av2", "cc-by-nc-sa-4.0")):
        assert licence_of({"source_format": source, "location": None, "description": None}).hub_id == hub_id


def test_the_towns_of_the_synthetic_world_are_known_by_name():
    from sensors.synth.town_plan import TOWNS

    assert set(SYNTH_TOWNS) == set(TOWNS)
