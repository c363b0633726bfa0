"""Predictions with samples in, voted predictions out, and what each way costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from drive_vqa.cli import main
from drive_vqa.errors import ConfigError, PredictionError
from eval.evaluate import evaluate
from eval.predict.selection import SELECTION_KEY, Selection, selection_of
from eval.predictions import read_predictions
from eval.voting.asked import sample_digest
from eval.voting.confidence import CONFIDENCES
from eval.voting.run import vote_predictions

RIGHT_AT = {0: "wrong", 1: "right", 2: "right", 3: "wrong", 4: "right", 5: "wrong"}
"""Of six samples of each question three are right; the first is not."""


@pytest.fixture
def rows(world) -> list[dict[str, Any]]:
    """Samples of the test questions of one frame of each log."""
    every = world.read_all("questions").to_pylist()
    asked = [row for row in every if row["split"] == "test" and row["frame"] == 1 and row["horizon_s"] < 2]
    return [
        {
            "qa_id": row["qa_id"],
            "sample": sample,
            "model": "m",
            "text": row["answer"] if kind == "right" else _wrong(row),
        }
        for row in asked
        for sample, kind in RIGHT_AT.items()
    ]


def _wrong(row: dict[str, Any]) -> str:
    """A readable answer that is off."""
    wrong = {
        "localization": "900 meters, 170 degrees",
        "bearing": "170 degrees",
        "speed": "77 m/s",
        "clock": "6 o'clock",
        "count": "33",
    }
    if row["answer_type"] == "bool":
        return "no" if row["truth"]["bool"] else "yes"
    return wrong.get(row["answer_type"]) or next(one for one in row["options"] if one != row["answer"])


@pytest.fixture
def samples(rows: list[dict[str, Any]], tmp_path: Path) -> Path:
    path = tmp_path / "samples.parquet"
    pd.DataFrame(rows).to_parquet(path)
    return path


@pytest.fixture
def confidence(rows: list[dict[str, Any]], tmp_path: Path) -> Path:
    """Sure of what is right, not of what is wrong; the first sample shows nothing."""
    asked = [
        {
            "qa_id": row["qa_id"],
            "sample": row["sample"],
            "sample_digest": sample_digest(row["text"]),
            "confidence": (2 if RIGHT_AT[row["sample"]] == "right" else 0) if row["sample"] else None,
            "views": int(row["sample"] > 0),
            "text": "2." if row["sample"] else None,
        }
        for row in rows
    ]
    path = tmp_path / "confidence.parquet"
    pq.write_table(pa.Table.from_pylist(asked, schema=CONFIDENCES), path)
    return path


def test_voting_by_majority_and_by_confidence(world, samples: Path, confidence: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "voted.parquet"
    told = vote_predictions(world, samples, out, count=4, confidence=confidence)["methods"]
    accuracy = {name: one["accuracy"]["value"] for name, one in told.items()}
    assert accuracy["single"] == 0.0
    assert accuracy["confidence"] == 1.0
    assert (
        accuracy["majority"] == accuracy["majority_equal_compute"] == 0.0
    )  # as many against as for, and those came first
    assert {name: one["requests"] for name, one in told.items()} == {
        "single": 1.0,
        "majority": 4.0,
        "majority_equal_compute": 6.0,  # seven would be equal; there are six
        "confidence": 7.0,
    }
    assert told["confidence"]["characters"] == told["majority"]["characters"] + 3 * len("2.")
    assert told["confidence"]["minus_single"]["value"] == told["confidence"]["accuracy"]["value"] == 1.0
    assert told["confidence"]["accuracy"]["clusters"] == 3
    assert json.loads(out.with_suffix(".json").read_text())["methods"] == told


def test_voted_answers_are_predictions(
    world, samples: Path, confidence: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drive_vqa.tracking.session.find_spec", lambda name: None)
    out = tmp_path / "voted.parquet"
    told = vote_predictions(world, samples, out, count=3, confidence=confidence)["methods"]
    files = {"confidence": out} | {
        name: tmp_path / f"voted.{name}.parquet" for name in ("single", "majority", "majority_equal_compute")
    }
    for name, path in files.items():
        found = read_predictions(path)
        assert set(found["model"]) == {f"m+{name}"}
        assert set(found["sample"]) == {0}
    evaluate(world, out, tmp_path / "eval")
    scored = json.loads((tmp_path / "eval" / "metrics.json").read_text())
    asked_share = len(read_predictions(out)) / scored["accuracy"]["n"]
    assert scored["accuracy"]["value"] == pytest.approx(told["confidence"]["accuracy"]["value"] * asked_share)


def test_voted_answers_tell_which_questions_were_asked(world, samples: Path, tmp_path: Path) -> None:
    """Else all that was left out on purpose would count as failed."""
    asked = Selection("test", types=("localization_t1",))
    told = pq.read_table(samples)
    types = {row["qa_id"]: row["type"] for row in world.read_all("questions").to_pylist()}
    kept = told.filter(pa.array([types[qa_id] == "localization_t1" for qa_id in told["qa_id"].to_pylist()]))
    one_type, out = tmp_path / "one_type.parquet", tmp_path / "v.parquet"
    pq.write_table(kept.replace_schema_metadata({SELECTION_KEY: asked.as_json().encode()}), one_type)
    vote_predictions(world, one_type, out, count=3)
    assert selection_of(out) == selection_of(tmp_path / "v.single.parquet") == asked


def test_without_confidences_the_majority_is_the_outcome(world, samples: Path, tmp_path: Path) -> None:
    told = vote_predictions(world, samples, tmp_path / "v.parquet", count=5)["methods"]
    assert list(told) == ["single", "majority"]
    assert told["majority"]["accuracy"]["value"] > 0.9  # three against two
    assert set(read_predictions(tmp_path / "v.parquet")["model"]) == {"m+majority"}


def test_samples_that_cannot_be_read(world, rows: list[dict[str, Any]], tmp_path: Path) -> None:
    texts = ["", "I cannot tell.", "maybe", "I cannot tell.", "?" * 5000, "12 34"]
    told = [{**row, "text": texts[row["sample"]]} for row in rows if row["qa_id"].endswith("people-None")]
    told[0]["text"] = ""
    path = tmp_path / "bad.parquet"
    pd.DataFrame(told).to_parquet(path)
    compared = vote_predictions(world, path, tmp_path / "v.parquet", count=6)["methods"]
    assert compared["majority"]["accuracy"]["value"] == 0.0
    assert set(read_predictions(tmp_path / "v.parquet")["text"]) == {"I cannot tell."}


def test_the_order_of_the_file_does_not_matter(
    world, rows: list[dict[str, Any]], samples: Path, tmp_path: Path
) -> None:
    mixed = tmp_path / "mixed.parquet"
    pd.DataFrame(rows).sample(frac=1.0, random_state=0).to_parquet(mixed)
    for path, name in ((samples, "a"), (mixed, "b")):
        vote_predictions(world, path, tmp_path / f"{name}.parquet", count=3)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_wrong_use(world, samples: Path, confidence: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must end in \.parquet"):
        vote_predictions(world, samples, tmp_path / "v.csv")
    with pytest.raises(PredictionError, match="no file of confidences"):
        vote_predictions(world, samples, tmp_path / "v.parquet", confidence=samples)
    table = pq.read_table(confidence)
    bad = table.set_column(table.column_names.index("confidence"), "confidence", pa.array([7] * len(table), pa.int32()))
    pq.write_table(bad, confidence)
    with pytest.raises(PredictionError, match="not 0, 1 or 2"):
        vote_predictions(world, samples, tmp_path / "v.parquet", confidence=confidence)
    assert not (tmp_path / "v.parquet").exists()


def test_confidences_about_other_samples_are_refused(
    world, rows: list[dict[str, Any]], samples: Path, confidence: Path, tmp_path: Path
) -> None:
    """Those of an earlier run have the same questions and numbers."""
    again = tmp_path / "again.parquet"
    last = rows[0]["qa_id"]
    pd.DataFrame([{**row, "text": "none" if row["qa_id"] == last else row["text"]} for row in rows]).to_parquet(again)
    for told in (again, samples):
        if told == samples:
            table = pq.read_table(confidence)
            pq.write_table(table.slice(1), confidence)
        with pytest.raises(PredictionError, match=rf"says nothing about sample 0 of question {last} as .*{told.name}"):
            vote_predictions(world, told, tmp_path / "v.parquet", count=4, confidence=confidence)
    assert not (tmp_path / "v.parquet").exists()


def test_samples_beyond_those_that_vote_need_no_confidence(
    world, rows: list[dict[str, Any]], samples: Path, confidence: Path, tmp_path: Path
) -> None:
    table = pq.read_table(confidence)
    pq.write_table(table.filter(pc.less(table["sample"], 4)), confidence)
    told = vote_predictions(world, samples, tmp_path / "v.parquet", count=4, confidence=confidence)["methods"]
    assert told["confidence"]["accuracy"]["value"] == 1.0


def test_nothing_that_is_read_is_overwritten(world, samples: Path, confidence: Path, tmp_path: Path) -> None:
    single = tmp_path / "v.single.parquet"
    samples.rename(single)
    before = single.read_bytes(), confidence.read_bytes()
    for out in ("v.parquet", "v.single.parquet", "confidence.parquet", "../" + tmp_path.name + "/v.parquet"):
        with pytest.raises(ConfigError, match="would be overwritten"):
            vote_predictions(world, single, tmp_path / out, confidence=confidence)
    assert (single.read_bytes(), confidence.read_bytes()) == before


def test_the_command(world, samples: Path, confidence: Path, tmp_path: Path) -> None:
    words = ["vote", str(world.root), "--predictions", str(samples), "--out", str(tmp_path / "v.parquet")]
    assert main([*words, "--confidence", str(confidence), "--samples", "4"]) == 0
    assert (tmp_path / "v.json").is_file()
    assert main(["vote", str(world.root), "--predictions", str(tmp_path / "no.parquet"), *words[4:]]) == 1
    predict = ["predict", str(world.root), "--model", "tiny", "--out", str(tmp_path / "p.parquet"), "--samples", "8"]
    assert main(predict) == 2
