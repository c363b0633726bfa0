"""Asking a model: what it is shown, in which order, and what is written."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from drive_vqa.errors import ConfigError, ModelError, StoreError
from drive_vqa.looks import TracedLook, look_from_struct
from drive_vqa.store import read_table
from drive_vqa.vlm import Sampling
from eval.controls.pictures import blank
from eval.evaluate import evaluate
from eval.predict import SHOWN_COLUMNS, Answer, predict, questions_to_ask, vlm_answerer


def echo(batch):
    return [Answer(f"{asked.question['qa_id']} {asked.group['group_id']}") for asked in batch]


def test_every_question_of_the_split_is_answered_once(world, tmp_path):
    sizes = []

    def answer(batch):
        sizes.append(len(batch))
        return echo(batch)

    out = predict(world, "test", answer, tmp_path / "new/p.parquet", model_name="m", batch_size=50)
    rows = read_table(out, "predictions").to_pylist()
    asked = [row for row in world.read_all("questions").to_pylist() if row["split"] == "test"]
    assert sorted(row["qa_id"] for row in rows) == sorted(row["qa_id"] for row in asked)
    groups = {row["qa_id"]: row["group_id"] for row in asked}
    assert all(row["text"] == f"{row['qa_id']} {groups[row['qa_id']]}" for row in rows)
    assert {(row["model"], row["sample"]) for row in rows} == {("m", 0)}
    assert all(row["latency_s"] >= 0 for row in rows)
    assert sum(sizes) == len(asked)
    assert set(sizes) == {37}  # a group each: two do not fit


def test_questions_of_a_group_come_together(world):
    groups = [asked.group["group_id"] for asked in questions_to_ask(world, "test")]
    runs = [name for index, name in enumerate(groups) if index == 0 or groups[index - 1] != name]
    assert len(runs) == len(set(runs)) == 9


def test_the_answer_is_not_shown(world):
    question = questions_to_ask(world, "test")[0].question
    assert set(question) == set(SHOWN_COLUMNS)
    assert not {"answer", "truth", "evidence", "slices", "truth_frame"} & set(question)


def test_limit_and_unknown_split(world, tmp_path):
    out = predict(world, "test", echo, tmp_path / "p.parquet", model_name="m", batch_size=4, limit=7)
    assert pq.read_metadata(out).num_rows == 7
    with pytest.raises(ConfigError, match="splits with questions: test, train"):
        predict(world, "val", echo, tmp_path / "q.parquet", model_name="m", batch_size=4)
    with pytest.raises(ConfigError, match=r"\.parquet"):
        predict(world, "test", echo, tmp_path / "q.csv", model_name="m", batch_size=4)


def test_nothing_is_left_where_a_model_fails(world, tmp_path):
    with pytest.raises(ModelError, match="3 answers to 4 questions"):
        predict(world, "test", lambda batch: echo(batch)[:-1], tmp_path / "p.parquet", model_name="m", batch_size=4)
    assert list(tmp_path.iterdir()) == []


def test_text_that_utf8_cannot_hold_is_written(world, tmp_path):
    out = predict(
        world,
        "test",
        lambda batch: [Answer("\ud800")] * len(batch),
        tmp_path / "p.parquet",
        model_name="m",
        batch_size=9,
        limit=1,
    )
    assert read_table(out, "predictions")["text"].to_pylist() == ["?"]


def test_written_predictions_can_be_scored(world, tmp_path, monkeypatch):
    monkeypatch.setattr("drive_vqa.tracking.session.find_spec", lambda name: None)
    truth = {row["qa_id"]: row["answer"] for row in world.read_all("questions").to_pylist()}
    out = predict(
        world,
        "test",
        lambda batch: [Answer(truth[asked.question["qa_id"]]) for asked in batch],
        tmp_path / "p.parquet",
        model_name="oracle",
        batch_size=16,
    )
    assert evaluate(world, out, tmp_path / "eval").startswith("oracle: MLSR 100.0 %")
    assert json.loads((tmp_path / "eval/metrics.json").read_text())["accuracy"]["value"] == 1.0


def test_looks_are_written_as_they_were_taken(world, tmp_path):
    looks = (
        TracedLook(1, (0.0, 4.0, 320.0, 324.0), (3.5, 160.25), 2),
        TracedLook(0, (1.0, 2.0, 3.0, 4.0), (2.0, 3.0), 3),
    )

    def answer(batch):
        return [Answer("yes", looks if place else ()) for place, _ in enumerate(batch)]

    out = predict(world, "test", answer, tmp_path / "p.parquet", model_name="m", batch_size=2, limit=2)
    first, second = read_table(out, "predictions")["looks"].to_pylist()
    assert first == []
    assert tuple(map(look_from_struct, second)) == looks


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A real Qwen2.5-VL of random weights; slow to import, so made once."""
    from finetune.tiny import make_tiny_base

    return make_tiny_base(tmp_path_factory.mktemp("tiny") / "base", seed=0)


def test_a_model_answers_and_frames_of_a_group_are_decoded_once(tiny, tmp_path, write_store, monkeypatch):
    store = write_store(tmp_path / "store", {"a": "test"})
    (tmp_path / "source").mkdir()
    Image.new("RGB", (64, 48), (9, 9, 9)).save(tmp_path / "source/front.png")
    answer, name, _ = vlm_answerer(str(tiny), max_new_tokens=2)
    opened = []
    real_open = Image.open
    monkeypatch.setattr(Image, "open", lambda path, *rest: opened.append(Path(path)) or real_open(path, *rest))
    out = predict(store, "test", answer, tmp_path / "p.parquet", model_name=name, batch_size=9, limit=45)
    rows = read_table(out, "predictions").to_pylist()
    groups = {asked.group["group_id"] for asked in questions_to_ask(store, "test")[:45]}
    assert len(groups) == 2
    assert len(opened) == 2
    assert len(rows) == 45
    assert {row["model"] for row in rows} == {"base"}
    again = answer(questions_to_ask(store, "test")[:9])
    assert again == [Answer(row["text"]) for row in rows[:9]]
    assert {row["looks"] is None for row in rows} == {True}


def test_samples_are_drawn_and_the_seed_holds(tiny, tmp_path, write_store):
    """No image is needed to see that draws differ within a question, and that they come again."""
    store = write_store(tmp_path / "store", {"a": "test"})

    def texts(seed, name):
        asked = vlm_answerer(str(tiny), max_new_tokens=4, control=blank(), sampling=Sampling(1.0, seed=seed))
        options = {"model_name": asked.name, "batch_size": 4, "limit": 2, "samples": 3}
        out = predict(store, "test", asked.answer, tmp_path / f"{name}.parquet", **options)
        rows = read_table(out, "predictions").to_pylist()
        assert [row["sample"] for row in rows] == [0, 1, 2, 0, 1, 2]
        assert len({row["qa_id"] for row in rows}) == 2
        return [row["text"] for row in rows]

    first = texts(0, "first")
    assert len(set(first)) > 3
    assert texts(0, "again") == first
    assert texts(1, "other") != first


def test_draws_are_the_same_where_a_run_was_broken_off(tiny, tmp_path, write_store):
    """A batch holds samples of two questions, and samples of a question are in two batches."""
    store = write_store(tmp_path / "store", {"a": "test"})
    asked = vlm_answerer(str(tiny), max_new_tokens=4, control=blank(), sampling=Sampling(1.0))
    options = {"model_name": asked.name, "batch_size": 2, "limit": 2, "samples": 3}
    whole, out, batches = tmp_path / "whole.parquet", tmp_path / "p.parquet", []

    def killed(batch):
        batches.append(batch)
        if len(batches) == 2:
            raise KeyboardInterrupt
        return asked.answer(batch)

    predict(store, "test", asked.answer, whole, **options)
    with pytest.raises(KeyboardInterrupt):
        predict(store, "test", killed, out, **options)
    predict(store, "test", asked.answer, out, **options)
    texts = [read_table(path, "predictions")["text"].to_pylist() for path in (whole, out)]
    assert texts[0] == texts[1]
    assert len(set(texts[0])) > 3


def test_samples_of_who_does_not_draw_are_numbered(world, tmp_path):
    out = predict(world, "test", echo, tmp_path / "p.parquet", model_name="m", batch_size=5, limit=4, samples=3)
    rows = read_table(out, "predictions").to_pylist()
    assert [row["sample"] for row in rows] == [0, 1, 2] * 4
    assert len({(row["qa_id"], row["sample"]) for row in rows}) == 12


def test_the_blank_control_opens_no_image(tiny, tmp_path, write_store):
    """There is no image file, and yet an answer."""
    store = write_store(tmp_path / "store", {"a": "test"})
    asked = vlm_answerer(str(tiny), max_new_tokens=2, control=blank())
    assert asked.name == "base+blank"
    assert len(asked.answer(questions_to_ask(store, "test")[:2])) == 2
    with pytest.raises(StoreError, match="front.png"):
        vlm_answerer(str(tiny), max_new_tokens=2).answer(questions_to_ask(store, "test")[:2])


def test_without_marks_nothing_of_the_truth_is_shown(tmp_path, write_store):
    store = write_store(tmp_path / "store", {"a": "test"})
    asked = questions_to_ask(store, "test", "boxes")
    assert {name for one in asked for name in one.question} <= set(SHOWN_COLUMNS)
    assert not any("Region" in one.question["question"] for one in asked)


def test_a_model_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        vlm_answerer(str(tmp_path / "nowhere"))
