"""What is cut from the frames for a sample, how the model is asked about it, and what its reply says."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from drive_vqa.errors import ConfigError, ModelError, PredictionError
from eval.reasoning.read import read_trace
from eval.voting import confidence as confidence_module
from eval.voting.confidence import (
    EvidenceQuestion,
    ask_confidence,
    evidence_messages,
    read_confidence,
    read_confidences,
    vlm_doubter,
)
from eval.voting.evidence import MOST_SIDE_PX, MOST_VIEWS, EvidenceView, cut, evidence_views

GROUP: dict[str, Any] = {
    "group_id": "g",
    "context": [
        {"offset_s": -0.5, "camera": "front", "width": 800, "height": 450},
        {"offset_s": 0.0, "camera": "left", "width": 800, "height": 450},
        {"offset_s": 0.0, "camera": "front", "width": 800, "height": 450},
    ],
    "marks": [{"mark": 1, "regions": [{"context": 1}]}, {"mark": 2, "regions": [{"context": 0}, {"context": 2}]}],
}


def seen(box: str, name: str = "Region 2", time_s: str = "0.0") -> str:
    return f"<obj>{name}</obj><box>[{box}]</box>at<t>{time_s}</t>s"


def views(*steps: str) -> list[EvidenceView]:
    lines = "\n".join(steps)
    return evidence_views(read_trace(f"<think>\n{lines}\n</think>\n<answer>1</answer>", "drive"), GROUP)


def test_a_box_with_what_is_beside_it() -> None:
    [view] = views(f"{seen('100,100,200,150')} is there.")
    assert view == EvidenceView(2, (80, 90, 220, 160), "Region 2, now:")


def test_the_frame_is_that_of_the_time_and_of_the_region() -> None:
    found = views(seen("0,0,9,9", time_s="-0.5"), seen("1,1,9,9", "Region 1"), seen("2,2,9,9", "a tree"))
    assert [(view.context, view.words) for view in found] == [
        (0, "Region 2, 0.5 seconds ago:"),
        (1, "Region 1, now:"),
        (2, "a tree, now:"),
    ]


@pytest.mark.parametrize(
    "box", ["900,10,950,20", "10,10,10,50", "50,50,20,20", "-90,-90,-50,-50", "99999999,0,999999999,9"]
)
def test_what_is_not_in_the_image_is_not_cut(box: str) -> None:
    assert views(seen(box)) == []


def test_at_most_so_many_and_each_once() -> None:
    boxes = [seen(f"{10 * place},0,{10 * place + 9},9") for place in range(9)]
    found = views(*boxes, boxes[0])
    assert len(found) == MOST_VIEWS
    assert len({view.crop_px for view in found}) == MOST_VIEWS


def test_points_where_there_are_no_boxes() -> None:
    [view] = views("There <point>(400,200)</point> it is.")
    assert view.crop_px == (218, 18, 582, 382)
    [corner] = views("There <point>(0,0)</point> it is.")
    assert corner.crop_px == (0, 0, 182, 182)
    both = views(f"{seen('100,100,200,150')} and <point>(400,200)</point>")
    assert len(both) == 1
    assert views("Nothing.") == []


@pytest.mark.parametrize(
    "crop_px", [(0, 0, 1, 1), (0, 0, 800, 450), (0, 0, 800, 2), (3, 0, 4, 450), (10, 10, 300, 200)]
)
def test_a_cut_has_a_size_that_a_model_can_look_at(crop_px: tuple[int, int, int, int]) -> None:
    image = cut(EvidenceView(0, crop_px, ""), Image.new("RGB", (800, 450)))
    assert 28 <= min(image.size) <= max(image.size) <= MOST_SIDE_PX


@pytest.mark.parametrize(
    ("text", "confidence"),
    [
        *(("0", 0), ("1", 1), ("2", 2), (" 2.", 2), ("Confidence: 1", 1), ("2\n2", 2), ("I say (0)", 0)),
        *(("", None), ("3", None), ("1 or 2", None), ("0.2", None), ("2.5", None), ("-1", None), ("12", None)),
        *(("two", None), ("1,5", None), ("v2", None), ("2nd", None), ("2 " * 10**6, None), ("\ud800\x00", None)),
    ],
)
def test_replies(text: str, confidence: int | None) -> None:
    started = time.perf_counter()
    assert read_confidence(text) == confidence
    assert time.perf_counter() - started < 0.2


TRACE = "<think>\n<obj>Region 1</obj><box>[10,10,30,30]</box>at<t>0.0</t>s is there.\n</think>\n<answer>yes</answer>"


@pytest.fixture
def samples(world, tmp_path: Path) -> Path:
    """Two samples of two questions: one with evidence, one without."""
    import pandas as pd

    asked = sorted(row["qa_id"] for row in world.read_all("questions").to_pylist() if row["split"] == "test")[:2]
    rows = [(qa_id, sample, (TRACE, "yes")[sample]) for qa_id in asked for sample in (0, 1)]
    path = tmp_path / "samples.parquet"
    pd.DataFrame(rows, columns=["qa_id", "sample", "text"]).to_parquet(path)
    return path


def test_samples_with_evidence_are_asked_about(world, samples: Path, tmp_path: Path) -> None:
    batches: list[list[EvidenceQuestion]] = []

    def doubter(batch: list[EvidenceQuestion]) -> list[str]:
        batches.append(batch)
        return ["2", "no idea"][: len(batch)]

    out = ask_confidence(world, samples, doubter, tmp_path / "new/c.parquet", dialect="drive", batch_size=2)
    rows = list(read_confidences(out).values())
    assert [(row["sample"], row["confidence"], row["views"], row["text"]) for row in rows] == [
        (0, 2, 1, "2"),
        (1, None, 0, None),
        (0, None, 1, "no idea"),
        (1, None, 0, None),
    ]
    [[first, _]] = batches
    content = evidence_messages(first)[0]["content"]
    assert [part["type"] for part in content] == ["text", "image", "text", "text"]
    assert content[0]["text"] == "Region 1, now:"
    assert content[3]["text"].startswith("Answer given: yes\n")
    assert "think" not in str(content)


def test_a_loaded_model_is_shown_what_was_cut(
    world, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []

    class Loaded:
        """Stands for a model: remembers what it is shown."""

        image_size_px = None

        class processor:
            @staticmethod
            def to_model_messages(messages: Any, group: Any, size_px: Any) -> Any:
                return messages

        @staticmethod
        def generate(messages: Any, images: Any, tokens: int) -> list[str]:
            calls.append((messages, images))
            return ["1"] * len(messages)

    frame = Image.new("RGB", (64, 48), (9, 9, 9))
    monkeypatch.setattr(confidence_module, "marked_frames", lambda store, group: [frame])
    out = ask_confidence(
        world,
        samples,
        vlm_doubter(Loaded),
        tmp_path / "c.parquet",
        dialect="drive",
        batch_size=1,  # type: ignore[arg-type]
    )
    assert [row["confidence"] for row in read_confidences(out).values()] == [1, None, 1, None]
    assert len(calls) == 2
    [(messages, images), _] = calls
    assert sum(part["type"] == "image" for part in messages[0][0]["content"]) == len(images[0]) == 1
    assert images[0][0].size == (112, 112)


def test_of_a_group_without_images_nothing_is_asked(
    world, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = confidence_module.questions_to_ask

    def without_images(*asked: Any) -> list[Any]:
        return [replace(one, group={**one.group, "context": []}) for one in usual(*asked)]

    monkeypatch.setattr(confidence_module, "questions_to_ask", without_images)
    out = ask_confidence(world, samples, lambda _: [], tmp_path / "c.parquet", dialect="drive", batch_size=2)
    assert {row["views"] for row in read_confidences(out).values()} == {0}


def test_wrong_use(world, samples: Path, tmp_path: Path) -> None:
    def ask(out: str, say: int = 1, told: Path = samples) -> Path:
        return ask_confidence(world, told, lambda _: ["2"] * say, tmp_path / out, dialect="drive", batch_size=1)

    with pytest.raises(ConfigError, match=r"must end in \.parquet"):
        ask("c.csv")
    with pytest.raises(ConfigError, match="would be overwritten"):
        ask(samples.name)
    with pytest.raises(ModelError, match="3 answers to 1 questions"):
        ask("c.parquet", say=3)
    assert not (tmp_path / "c.parquet").exists()
    other = tmp_path / "other.jsonl"
    other.write_text('{"qa_id": "nobody", "text": "7"}\n')
    with pytest.raises(PredictionError, match="answers question 'nobody'"):
        ask("c.parquet", told=other)
    with pytest.raises(PredictionError, match="no file of confidences"):
        read_confidences(samples)
    with pytest.raises(PredictionError, match="no file of confidences"):
        read_confidences(tmp_path / "nowhere.parquet")
