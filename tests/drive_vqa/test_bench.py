"""The bench: one call builds it, a second changes nothing, and what is not what it should be is told."""

from __future__ import annotations

import json
import logging
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drive_vqa.cli import bench as benches
from drive_vqa.cli import main
from drive_vqa.cli.arguments import parse
from drive_vqa.store import FINGERPRINT_KEY, Store

SCENES = 2
WITHOUT_STORES = {"version": benches.VERSION}


@pytest.fixture(scope="module", autouse=True)
def short_drives() -> Iterator[None]:
    """Of 7 s, so that each has a few moments with a past and a future."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benches, "DRIVES", {**benches.DRIVES, "duration_s": 7.0})
        yield


def build(out: Path, *options: str, scenes: int = SCENES) -> int:
    return main(["bench", "--out", str(out), "--scenes", str(scenes), "--workers", "1", *options])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bench") / "bench"
    assert build(out) == 0
    return out


@pytest.fixture
def copied(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "copy"))


def state(out: Path) -> dict[str, tuple[int, bytes]]:
    """When each file was written, and what is in it; what a store and a data set keep for themselves is left out."""
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and ".drive-vqa-cache" not in path.parts]
    return {str(path.relative_to(out)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def questions(out: Path) -> list[dict[str, str]]:
    return (
        Store.open(out / "synthetic")
        .read_all("questions", ["qa_id", "log_id", "group_id", "split", "answer"])
        .to_pylist()
    )


def test_every_target_of_every_drive_is_asked_about_in_all_ways(built: Path) -> None:
    asked = questions(built)
    assert {row["split"] for row in asked} == {"bench"}
    assert {row["log_id"] for row in asked} == {"scene-8000", "scene-8001"}
    assert set(Counter(row["group_id"] for row in asked).values()) == {14}


def test_it_says_what_it_holds(built: Path) -> None:
    told = json.loads((built / "bench.json").read_text())
    (part,) = told["stores"].values()
    assert (told["version"], told["drives"]["scenes"], told["drives"]["town"]) == (benches.VERSION, SCENES, "newtown")
    assert (part["logs"], part["questions"]) == (SCENES, len(questions(built)))
    assert part["questions"] == 14 * part["groups"]
    assert (part["settings"]["test_fraction"], part["settings"]["kinds"]) == (1.0, ["target"])


def test_a_second_call_changes_no_question_and_no_drive(copied: Path) -> None:
    before = state(copied)
    assert build(copied) == 0
    after = state(copied)
    rewritten = {name for name, value in after.items() if before.get(name) != value}
    assert rewritten <= {"bench.json", "synthetic/manifest.json"}
    assert all(after[name][1] == before[name][1] for name in before)


def test_a_build_that_was_cut_short_goes_on(built: Path, copied: Path) -> None:
    (copied / "bench.json").unlink()
    for table in ("tracks", "groups", "questions"):
        (copied / "synthetic" / table / "scene-8001.parquet").unlink()
    assert build(copied) == 0
    assert (copied / "bench.json").read_bytes() == (built / "bench.json").read_bytes()


def test_a_smaller_bench_is_a_part_of_a_greater_one(built: Path, tmp_path: Path) -> None:
    assert build(tmp_path / "small", scenes=1) == 0
    assert questions(tmp_path / "small") == [row for row in questions(built) if row["log_id"] == "scene-8000"]


def test_an_answer_that_was_changed_is_noticed(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store.open(copied / "synthetic")
    path = store.path("questions", "scene-8000")
    made_from = pq.read_metadata(path).metadata[FINGERPRINT_KEY].decode()
    table = store.read("questions", "scene-8000")
    answers = ["1.0 meter", *table["answer"].to_pylist()[1:]]
    column = table.schema.get_field_index("answer")
    store.write("questions", "scene-8000", table.set_column(column, "answer", pa.array(answers)), made_from)
    assert build(copied) == 1
    assert f"delete {copied / 'synthetic' / 'questions'} and run again" in capsys.readouterr().err
    shutil.rmtree(copied / "synthetic" / "questions")
    assert build(copied) == 0


def test_the_whole_bench_is_held_against_the_published_one(
    built: Path, copied: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    digest = json.loads((built / "bench.json").read_text())["stores"]["synthetic"]["digest"]
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(benches, "SCENES", SCENES)
    assert build(copied) == 1
    assert "NOT as published" in caplog.text
    caplog.clear()
    monkeypatch.setitem(benches.PUBLISHED, "synthetic", digest)
    assert build(copied) == 0
    assert "as published in version" in caplog.text


def test_another_version_or_size_is_refused(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(copied, scenes=SCENES + 1) == 2
    assert "made with other settings" in capsys.readouterr().err
    told = json.loads((copied / "bench.json").read_text())
    (copied / "bench.json").write_text(json.dumps({**told, "version": 0}))
    assert build(copied) == 2
    assert "is version 0 of the bench" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content", ["", "[]", "[" * 100_000, json.dumps(WITHOUT_STORES), json.dumps({**WITHOUT_STORES, "stores": {"a": 3}})]
)
def test_a_damaged_record_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str) -> None:
    (tmp_path / "bench.json").write_text(content)
    assert build(tmp_path) == 1
    said = capsys.readouterr().err
    assert str(tmp_path / "bench.json") in said
    assert "and run again" in said


def test_real_data_that_are_not_there_are_named(
    copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(copied, "--real", str(tmp_path / "none")) == 2
    assert f"{tmp_path / 'none' / 'scenarionet'} is missing" in capsys.readouterr().err


def test_the_whole_bench_is_what_is_built_by_default() -> None:
    assert parse(["bench", "--out", "x"]).scenes == benches.SCENES
    assert benches.SCENES * benches.GROUPS_A_DRIVE >= 409
    assert benches.PUBLISHED.keys() == {"synthetic", "replayed", "pandaset"}
