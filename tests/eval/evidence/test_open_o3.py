"""Files of records in Open-o3's layout, read for their evidence."""

import json

import pytest

from drive_vqa.errors import RecordError
from eval.evidence.judge import judge_evidence
from eval.evidence.open_o3 import read_records, record_evidence
from eval.evidence.truth import TrueBox, TrueEvidence, TrueFrame
from eval.reasoning.read import read_trace

SEEN = "<obj>Region 3</obj><box>[64,48,128,96]</box>at<t>0.0</t>s"
THOUGHT = f"{SEEN} moves.\n<obj>a bus</obj><box>[320,240,640,480]</box>at<t>0.5</t>s"
RECORD = {
    "id": "a1",
    "task": "temporal-spatial free-form QA",
    "question": "What moves?",
    "answer": "Region 3",
    "reasoning_process": THOUGHT,
    "key_frames": [{"idx": 0, "time": 0.0}, {"idx": 1, "time": 0.5}],
    "key_items": {"0": {"Region 3": [[64, 48, 128, 96]]}, "1": {"a bus": [[320, 240, 640, 480]]}},
    "times": [0.0, 0.5, 1.5],
    "image_size": [640, 480],
}
SHARES = {
    **{name: value for name, value in RECORD.items() if name not in ("id", "times", "image_size")},
    "reasoning_process": THOUGHT.replace("64,48,128,96", "0.1,0.1,0.2,0.2").replace("320,240,640,480", "0.5,0.5,1,1"),
    "key_items": {"0": {"Region 3": [[0.1, 0.1, 0.2, 0.2]]}, "1": {"a bus": [[0.5, 0.5, 1, 1]]}},
}
BOXES = {3: (64.0, 48.0, 128.0, 96.0), -2: (320.0, 240.0, 640.0, 480.0)}


def written(tmp_path, content):
    path = tmp_path / "records.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_evidence_of_a_record_with_times(tmp_path):
    (record,) = read_records(written(tmp_path, [RECORD]))
    evidence = record_evidence(record)
    assert evidence == TrueEvidence(
        tuple(TrueFrame(offset_s, 640, 480) for offset_s in (-1.5, -1.0, 0.0)),
        (TrueBox(3, 0, -1.5, BOXES[3], None, None), TrueBox(-2, 1, -1.0, BOXES[-2], None, None)),
        (),
    )
    assert evidence.first_s == -1.5


@pytest.mark.parametrize("content", [RECORD, {name: value for name, value in RECORD.items() if name != "times"}])
def test_its_own_reasoning_is_right(tmp_path, content):
    (record,) = read_records(written(tmp_path, [content]))
    evidence = record_evidence(record)
    text = f"<think>{record.reasoning}</think><answer>{record.answer}</answer>"
    figures = judge_evidence(read_trace(text, "open_o3", first_s=evidence.first_s), evidence)
    assert (figures.iou_matched, figures.temporal_iou, figures.visual_iou) == (1.0, 1.0, 1.0)
    late = text.replace("<t>0.5", "<t>48.5")
    figures = judge_evidence(read_trace(late, "open_o3", first_s=evidence.first_s), evidence)
    assert figures.iou_matched == figures.key_time_precision == 0.5


def test_shares_become_pixels_of_a_known_size(tmp_path):
    (record,) = read_records(written(tmp_path, [SHARES]))
    evidence = record_evidence(record, (640, 480))
    for box in evidence.boxes:
        assert box.box_px == pytest.approx(BOXES[box.mark])
    assert [box.offset_s for box in evidence.boxes] == [0.0, 0.5]
    assert (evidence.frames, evidence.first_s) == ((), 0.0)
    with pytest.raises(RecordError, match="record 1 has boxes in shares of the image: give it an image_size"):
        record_evidence(record)


def test_a_record_without_key_frames_has_no_evidence(tmp_path):
    spans = {**SHARES, "reasoning_process": "at <t>3.0</t>s", "key_frames": [], "key_items": {}}
    (record,) = read_records(written(tmp_path, [spans]))
    assert record_evidence(record) == TrueEvidence((), (), ())


def test_an_empty_file_of_records(tmp_path):
    assert read_records(written(tmp_path, [])) == []


@pytest.mark.parametrize(
    "content",
    ["", "{", "[1, 2", "[" * 100_000, "nul", "[" + "9" * 5000 + "]", '[{"id": "' + "\\ud8", "\x00", "{}", "3", "null"],
)
def test_files_that_are_no_lists_of_records_are_named(tmp_path, content):
    with pytest.raises(RecordError, match=r"records.json is not .*give a file"):
        read_records(written(tmp_path, content))


def test_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00\x01")
    for name in ("missing.json", "bytes.json", "."):
        with pytest.raises(RecordError, match="give a file of records"):
            read_records(tmp_path / name)


def test_the_record_that_does_not_hold_together_is_named(tmp_path):
    lie = {**RECORD, "reasoning_process": THOUGHT.replace("320", "321")}
    with pytest.raises(
        RecordError, match=r"records.json: record 2: reasoning_process tells of 'a bus' .* mend the record"
    ):
        read_records(written(tmp_path, [RECORD, lie]))
