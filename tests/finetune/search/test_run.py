"""The questions of a store searched by scripts, by servers that fail, and by a loaded model."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from drive_vqa.cli import main
from drive_vqa.errors import ConfigError, ModelError, StoreError
from drive_vqa.store import Store
from drive_vqa.vlm import ChatProcessor
from eval.reasoning.read import read_trace
from finetune.config import FinetuneConfig
from finetune.dataset import LessonDataset, data_digest, read_index
from finetune.search import run as run_module
from finetune.search.recorded import RecordedAnswers
from finetune.search.records import read_records, write_records
from finetune.search.reward import answer_is_right
from finetune.search.run import Harvest, SearchSummary, search
from finetune.search.tree import Request, SearchSettings
from tests.finetune.search.conftest import LEFT_OR_RIGHT, SIZE_PX, Script, ScriptedTeacher

USUAL = SearchSettings(seed=3)


def found(store: Store, out: Path, script: Script, **more: Any) -> tuple[SearchSummary, ScriptedTeacher]:
    teacher = ScriptedTeacher(script)
    return search(store, "train", teacher, out, settings=more.pop("settings", USUAL), **more), teacher


def test_chains_of_a_script(store: Store, tmp_path: Path) -> None:
    summary, _ = found(store, tmp_path / "new" / "chains.parquet", LEFT_OR_RIGHT)
    assert summary == SearchSummary(6, 0, 6, 3, {}, {"no_point": 12})
    assert summary.exit_status == 0
    rows = pq.read_table(tmp_path / "new" / "chains.parquet").to_pylist()
    assert {row["qa_id"] for row in rows} == {f"group-{number}-side" for number in range(3)}
    direct, corrected = rows[:2]
    assert direct["text"] == "<think>\nRegion 1 is here (40, 50)\n</think>\n<answer>left</answer>"
    assert direct["drive_text"] == "<think>\nRegion 1 is here <point>(40,50)</point>\n</think>\n<answer>left</answer>"
    assert (direct["style"], corrected["style"]) == ("direct", "corrected")
    assert (corrected["points"], corrected["points_checked"], corrected["points_inside"]) == (2, 2, 2)
    told = read_trace(corrected["text"], "vigorl")
    assert told.well_formed
    assert [(point.u_px, point.v_px) for point in told.points] == [(120, 50), (40, 50)]
    assert read_trace(corrected["drive_text"], "drive").well_formed
    assert all(row["answer_right"] and row["teacher"] == "script" and row["seed"] == 3 for row in rows)
    assert list(tmp_path.rglob("*.errors.jsonl")) == []


def test_what_is_done_is_not_asked_again(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "chains.parquet"
    found(store, out, LEFT_OR_RIGHT, limit=3)
    summary, teacher = found(store, out, LEFT_OR_RIGHT)
    asked = {qa_id for qa_id, _ in teacher.requests}
    assert len(asked) == 3
    assert (summary.searched, summary.skipped) == (3, 3)
    whole = tmp_path / "whole.parquet"
    found(store, whole, LEFT_OR_RIGHT, workers=3)
    assert read_records(out).chains.equals(read_records(whole).chains)
    assert read_records(out).searched == read_records(whole).searched
    assert out.read_bytes() == whole.read_bytes()


def test_questions_without_a_chain_are_done_too(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "chains.parquet"
    summary, _ = found(store, out, lambda *_: [])
    assert (summary.searched, summary.chains) == (6, 0)
    assert found(store, out, LEFT_OR_RIGHT)[1].requests == []


HOSTILE: dict[str, Sequence[str]] = {
    "nothing": [],
    "blank": ["", " ", "\n"],
    "garbage": ["\x00\ud800", "<think><think>", "(((((", "<answer>", "1.", "</answer><answer>"],
    "a megabyte": ["a (40, 50) " * 100_000, "<answer>" * 150_000, "9" * 1_000_000],
    "no point": ["The car is on the left."] * 3,
    "the same point": ["Here (40, 50)"] * 3,
    "answers at once": ["<answer>left</answer>"] * 3,
    "outside": ["There (400, 50)", "There (-4, 50)"],
    "too many": [f"Place {number} ({number * 11 % 160}, {number // 15 * 11})" for number in range(100)],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_teachers_give_no_chains(store: Store, tmp_path: Path, name: str) -> None:
    summary, teacher = found(store, tmp_path / "c.parquet", lambda *_: HOSTILE[name], limit=1)
    assert (summary.searched, summary.chains) == (1, 0)
    assert len(teacher.requests) <= USUAL.calls


def test_chains_beside_their_targets_can_be_left_out(store: Store, tmp_path: Path) -> None:
    def beside(_: str, request: Request) -> list[str]:
        return (
            ["<answer>left</answer>"] if request.steps else ["Region 1 is here (40, 50)", "Region 1 is here (90, 50)"]
        )

    all_of_them, _ = found(store, tmp_path / "a.parquet", beside)
    verified, _ = found(store, tmp_path / "b.parquet", beside, harvest=Harvest(only_verified=True))
    rows = [row for row in pq.read_table(tmp_path / "a.parquet").to_pylist() if row["qa_id"] == "group-0-side"]
    assert [(row["points_checked"], row["points_inside"]) for row in rows] == [(1, 1), (1, 0)]
    assert (all_of_them.chains, verified.chains) == (6, 3)


def test_a_point_in_an_earlier_image_is_not_told_in_drive(store: Store, tmp_path: Path) -> None:
    def earlier(_: str, request: Request) -> list[str]:
        return ["<answer>left</answer>"] if request.steps else ["It was there, 0.5 seconds ago, (40, 50)"]

    found(store, tmp_path / "c.parquet", earlier)
    row, *_ = pq.read_table(tmp_path / "c.parquet").to_pylist()
    assert row["drive_text"] is None
    assert (row["points"], row["points_checked"]) == (1, 0)
    assert read_trace(row["text"], "vigorl").points[0].offset_s == -0.5


def test_a_question_that_fails_is_told_and_tried_again(store: Store, tmp_path: Path) -> None:
    out, bad = tmp_path / "chains.parquet", "group-1-side"

    def failing(qa_id: str, request: Request) -> Sequence[str]:
        if qa_id == bad:
            raise ModelError("the server is busy")
        return LEFT_OR_RIGHT(qa_id, request)

    summary, _ = found(store, out, failing)
    assert summary.failed == {bad: "the server is busy"}
    assert (summary.searched, summary.exit_status, summary.solved) == (5, 1, 2)
    errors = tmp_path / "chains.errors.jsonl"
    assert [json.loads(line)["qa_id"] for line in errors.read_text().splitlines()] == [bad]
    again, teacher = found(store, out, LEFT_OR_RIGHT)
    assert {qa_id for qa_id, _ in teacher.requests} == {bad}
    assert (again.solved, again.exit_status) == (3, 0)
    assert not errors.exists()


def test_a_teacher_that_is_gone_ends_the_run(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "AT_ONCE", 2)
    monkeypatch.setattr(run_module, "MOST_FAILURES_IN_A_ROW", 2)
    out, calls = tmp_path / "chains.parquet", []

    def gone(qa_id: str, request: Request) -> Sequence[str]:
        calls.append(qa_id)
        if len(set(calls)) > 2:
            raise ModelError("nobody there")
        return LEFT_OR_RIGHT(qa_id, request)

    with pytest.raises(ModelError, match="2 questions failed one after the other, the last one so: nobody there"):
        found(store, out, gone)
    assert len(read_records(out).searched) == 2
    assert len((tmp_path / "chains.errors.jsonl").read_text().splitlines()) == 2


def test_another_search_does_not_go_into_the_same_file(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "chains.parquet"
    found(store, out, LEFT_OR_RIGHT, limit=1)
    with pytest.raises(ConfigError, match="searched with depth=6, not 4"):
        found(store, out, LEFT_OR_RIGHT, settings=replace(USUAL, depth=4))
    other = ScriptedTeacher(LEFT_OR_RIGHT)
    other.settings = {"size_px": None}
    with pytest.raises(ConfigError, match=r"searched with size_px=\[160, 96\], not None"):
        search(store, "train", other, out, settings=USUAL)
    with pytest.raises(ConfigError, match=r"must end in \.parquet"):
        found(store, tmp_path / "chains.json", LEFT_OR_RIGHT)
    with pytest.raises(ConfigError, match="'val' of .* has no questions"):
        search(store, "val", ScriptedTeacher(LEFT_OR_RIGHT), tmp_path / "v.parquet", settings=USUAL)


def test_two_searches_do_not_write_over_each_other(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "chains.parquet"

    def meanwhile(qa_id: str, request: Request) -> Sequence[str]:
        with pytest.raises(ConfigError, match=r"another search is at work on .*chains\.parquet"):
            found(store, out, LEFT_OR_RIGHT)
        return LEFT_OR_RIGHT(qa_id, request)

    found(store, out, meanwhile, limit=1)
    summary, _ = found(store, out, LEFT_OR_RIGHT)
    assert (summary.searched, summary.skipped) == (5, 1)


@pytest.mark.parametrize("damage", ["text", "other", "cut"])
def test_files_that_are_none(store: Store, tmp_path: Path, damage: str) -> None:
    out = tmp_path / "chains.parquet"
    found(store, out, LEFT_OR_RIGHT, limit=1)
    whole = read_records(out)
    if damage == "text":
        out.write_text("chains")
    elif damage == "cut":
        out.write_bytes(out.read_bytes()[:-9])
    else:
        write_records(out, replace(whole, chains=whole.chains.drop_columns(["text"])))
    with pytest.raises(StoreError, match="no file of chains"):
        read_records(out)


def test_a_seed_is_one_of_a_question(store: Store, tmp_path: Path) -> None:
    _, first = found(store, tmp_path / "a.parquet", LEFT_OR_RIGHT)
    _, second = found(store, tmp_path / "b.parquet", LEFT_OR_RIGHT, limit=2)
    _, other = found(store, tmp_path / "c.parquet", LEFT_OR_RIGHT, settings=SearchSettings(seed=4))
    seeds = {qa_id: request.seed for qa_id, request in reversed(first.requests)}
    assert len(set(seeds.values())) == 6
    assert all(0 <= seed < 2**31 for seed in seeds.values())
    assert {qa_id: request.seed for qa_id, request in reversed(second.requests)}.items() <= seeds.items()
    assert {request.seed for _, request in other.requests}.isdisjoint(request.seed for _, request in first.requests)


@pytest.mark.parametrize(
    ("text", "right"),
    [("10 m", True), ("12.4 meters", True), ("12.6 meters", False), ("ten", False), ("", False), ("9" * 10**6, False)],
)
def test_answers_are_judged_as_scores_are(text: str, right: bool) -> None:
    question = {"answer_type": "distance", "options": None, "truth": _truth(distance_m=10.0)}
    assert answer_is_right(question, text) is right


def _truth(**fields: Any) -> dict[str, Any]:
    from drive_vqa.schema import TRUTH

    return {**dict.fromkeys(TRUTH.names), **fields}


def test_lessons_are_the_questions_with_chains(store: Store, tmp_path: Path, processor: ChatProcessor) -> None:
    out = tmp_path / "chains.parquet"
    found(store, out, LEFT_OR_RIGHT)
    config = FinetuneConfig(
        answers="records", records=str(out), dialect="vigorl", image_size_px=SIZE_PX, tokens_per_row=900, workers=0
    )
    answers = RecordedAnswers(out, "vigorl")
    index = read_index(store, config, processor, writer=answers)
    lessons = [LessonDataset(store, index, config, writer=answers).lesson(number) for number in range(len(index))]
    asked = [question for lesson in lessons for question in lesson.questions]
    assert [question["type"] for question in asked] == ["side"] * 3
    assert {question["answer"] for question in asked} <= set(read_records(out).chains["text"].to_pylist())
    digest = data_digest(store, index, config)
    write_records(out, read_records(out).with_more([], ["one more"]))
    assert data_digest(store, index, config) != digest
    empty = tmp_path / "empty.parquet"
    found(store, empty, lambda *_: [])
    with pytest.raises(StoreError, match=r"empty\.parquet has a chain for"):
        read_index(store, replace(config, records=str(empty)), processor, writer=RecordedAnswers(empty, "vigorl"))
    with pytest.raises(ValueError, match="go together"):
        FinetuneConfig(answers="records")
    with pytest.raises(ValueError, match="go together"):
        FinetuneConfig(records="chains.parquet")


def test_the_command(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["search", str(store.root), "--out", str(tmp_path / "c.parquet"), "--limit", "1"]
    assert main([*words, "--teacher", "nowhere"]) == 2
    assert "nowhere does not exist" in capsys.readouterr().err
    assert main([*words, "--teacher", "http://127.0.0.1:1/v1", "--device", "cpu"]) == 2
    for wrong in (["--temperature", "0"], ["--temperature", "nan"], ["--seed", "-1"], ["--calls", "0"]):
        with pytest.raises(SystemExit):
            main([*words, "--teacher", "tiny", *wrong])


def test_a_cold_start_learns_the_chains(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "chains.parquet"
    found(store, out, LEFT_OR_RIGHT)
    chains = read_records(out).chains.to_pylist()
    texts = {row["text"] for row in chains if row["qa_id"] == "group-0-side"}
    drawn = {RecordedAnswers(out, "vigorl", seed)(store, "", {}, {"qa_id": "group-0-side"}) for seed in range(20)}
    assert drawn == texts
    assert len(texts) == 2
    answers = pickle.loads(pickle.dumps(RecordedAnswers(out, "drive")))
    assert answers(store, "", {}, {"qa_id": "group-1-side"}) in {row["drive_text"] for row in chains}
    assert answers(store, "", {}, {"qa_id": "group-1-distance"}) is None
    whole = read_records(out)
    judged = [{**row, "answer_right": right} for row, right in zip(chains, [False, None, *[True] * 4], strict=True)]
    write_records(out, replace(whole, chains=whole.chains.slice(0, 0)).with_more(judged, []))
    known = {row["qa_id"] for row in judged[2:]}
    for row in judged:
        text = RecordedAnswers(out, "vigorl")(store, "", {}, {"qa_id": row["qa_id"]})
        assert (text is not None) == (row["qa_id"] in known)
    with pytest.raises(ConfigError, match="dialect=treevgr"):
        RecordedAnswers(out, "treevgr")
    with pytest.raises(StoreError, match="no file of chains"):
        RecordedAnswers(tmp_path / "none.parquet", "drive")(store, "", {}, {"qa_id": "q"})
