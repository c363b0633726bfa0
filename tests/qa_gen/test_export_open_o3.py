"""Records in Open-o3's layout: written, read back, and compared with the evidence of the store."""

import json
from collections import Counter
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from PIL import Image

from drive_vqa.cli import main
from drive_vqa.errors import ConfigError
from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from eval.evidence.judge import judge_evidence
from eval.evidence.open_o3 import read_records, record_evidence
from eval.evidence.truth import read_evidence
from eval.reasoning.read import read_trace
from qa_gen.ask import ask
from qa_gen.config import GenerateConfig
from qa_gen.drive import read_drive
from qa_gen.export import export_questions
from qa_gen.export.open_o3 import MOST_FRAMES, MOST_OBJECTS, key_evidence
from tests.qa_gen.oracle.world import CAMERAS, HEIGHT, WIDTH, Looks, make_traffic, write_traffic


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A log with the group of each kind that most is asked about."""
    root = tmp_path_factory.mktemp("open-o3")
    store, picture = Store.create(root / "store"), root / "picture.jpg"
    Image.new("RGB", (WIDTH, HEIGHT), (90, 100, 110)).save(picture)
    write_traffic(store, "one", make_traffic(1, seconds=14.0), Looks(tuple(CAMERAS)))
    config = GenerateConfig(max_marks=4, time_tolerance_s=0.15, need_images=False)
    groups, questions = ask(read_drive(store, "one"), ["test"], config, bench_groups=1)
    asked = Counter(questions["group_id"].to_pylist())
    most_asked_last = sorted(groups.to_pylist(), key=lambda group: asked[group["group_id"]])
    kept = list({group["kind"]: group for group in most_asked_last}.values())
    names = pa.array([group["group_id"] for group in kept], pa.string())
    store.write("groups", "one", table_from_rows("groups", kept), "f")
    questions = questions.filter(pc.is_in(questions["group_id"], value_set=names))
    store.write("questions", "one", questions.take(pa.array(range(0, questions.num_rows, 2))), "f")
    for path in {store.root / "../images" / view["path"] for group in kept for view in group["context"]}:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.hardlink_to(picture)
    return store


@pytest.fixture(scope="module")
def asked(store):
    """Question and group by id of the question."""
    groups = {group["group_id"]: group for group in store.read_all("groups").to_pylist()}
    return {row["qa_id"]: (row, groups[row["group_id"]]) for row in store.read_all("questions").to_pylist()}


@pytest.fixture(scope="module")
def out(store, tmp_path_factory):
    out = tmp_path_factory.mktemp("written") / "out"
    assert export_questions(store, "open-o3", out, workers=1).exit_status == 0
    return out


def records_of(out):
    return {record.record_id: record for path in out.glob("open_o3_*.json") for record in read_records(path)}


def test_what_is_written_and_read_is_the_evidence_of_the_store(store, asked, out):
    evidence_of, records = read_evidence(store, "one"), records_of(out)
    for qa_id, record in records.items():
        question, group = asked[qa_id]
        told = evidence_of({**question, "evidence": key_evidence(question, group)}, group)
        unplaced = tuple(replace(box, distance_m=None, bearing_deg=None) for box in told.boxes)
        read = record_evidence(record)
        assert (read.boxes, read.frames, read.others) == (unplaced, told.frames, ())
        assert read.key_times_s == told.key_times_s
    assert len(records) > 100


def test_all_that_can_be_told_is_written_and_counted(asked, out):
    able = {qa_id for qa_id, (question, group) in asked.items() if key_evidence(question, group)}
    assert set(records_of(out)) == able
    counts = json.loads((out / "export.json").read_text())["counts"]
    assert sum(counts["questions"].values()) == len(able)
    kinds = {asked[qa_id][1]["kind"] for qa_id in able}
    assert kinds == {"single", "sequence", "clip", "target"}
    assert {group["kind"] for _, group in asked.values()} - kinds == {"surround"}


def test_records_are_as_large_as_theirs_and_tell_no_box_that_fills_the_image(out):
    frames, objects = Counter(), Counter()
    for record in records_of(out).values():
        frames[len(record.key_frames)] += 1
        objects.update(len(record.key_items[frame.idx]) for frame in record.key_frames)
        for _, _, (u0, v0, u1, v1) in record.boxes():
            assert (u1 - u0) * (v1 - v0) <= 0.8 * WIDTH * HEIGHT
    assert set(frames) <= set(range(1, MOST_FRAMES + 1))
    assert set(objects) <= set(range(1, MOST_OBJECTS + 1))
    assert len(frames) > 1 < len(objects)


def test_the_reasoning_tells_of_every_key_item_and_nothing_else(out):
    for record in records_of(out).values():
        evidence = record_evidence(record)
        text = f"<think>\n{record.reasoning}\n</think>\n<answer>{record.answer}</answer>"
        trace = read_trace(text, "open_o3", first_s=evidence.first_s)
        figures = judge_evidence(trace, evidence)
        assert trace.well_formed
        assert (figures.iou_matched, figures.temporal_iou, figures.visual_iou) == (1.0, 1.0, 1.0)


def test_images_are_there_and_questions_are_asked_in_full(asked, out):
    for record in records_of(out).values():
        question, group = asked[record.record_id]
        assert len(record.images) == len(record.times_s) == len(group["context"])
        assert all((out / name).is_file() for name in record.images)
        assert record.question.startswith(question["question"])
        assert all(f". {option}" in record.question for option in question["options"] or ())
        assert record.answer == question["answer"]


def test_the_command_line_and_boxes_that_follow_the_size_of_the_images(store, out, tmp_path):
    small = tmp_path / "small"
    words = ["export", str(store.root), "--to", "open-o3", "--workers", "1", "--size", "400x300", "--out", str(small)]
    assert main(words) == 0
    large, records = records_of(out), records_of(small)
    assert set(records) == set(large)
    for qa_id, record in records.items():
        assert record.size_px == (400, 300)
        for (_, _, box), (_, _, other) in zip(record.boxes(), large[qa_id].boxes(), strict=True):
            scaled = [
                corner * side / whole
                for corner, side, whole in zip(other, (400, 300) * 2, (WIDTH, HEIGHT) * 2, strict=True)
            ]
            assert box == pytest.approx(scaled, abs=1.2)
    with Image.open(small / record.images[0]) as image:
        assert image.size == (400, 300)


def region(context, left, right):
    return {"context": context, "u0_px": left, "v0_px": 0.0, "u1_px": right, "v1_px": 100.0}


def group_of(times_s, regions, size=(100, 100)):
    views = [{"offset_s": time_s, "width": size[0], "height": size[1]} for time_s in times_s]
    return {"context": views, "marks": [{"mark": mark, "regions": own} for mark, own in regions.items()]}


def told(group, entries, marks=()):
    evidence = [{"mark": mark, "context": context} for mark, context in entries]
    return [
        (entry["mark"], entry["context"]) for entry in key_evidence({"evidence": evidence, "marks": list(marks)}, group)
    ]


def test_a_box_over_four_fifths_of_the_image_is_not_told():
    group = group_of([0.0], {1: [region(0, 0, 80)], 2: [region(0, 0, 81)], 3: [region(0, 0.6, 1.4)]})
    assert told(group, [(1, 0), (2, 0), (3, 0), (9, 0)]) == [(1, 0)]


def test_of_many_key_frames_five_are_kept_and_of_many_objects_the_asked_ones():
    times = [0.5 * place - 4.0 for place in range(9)]
    group = group_of(times, {mark: [region(place, mark, mark + 9) for place in range(9)] for mark in range(5)})
    assert told(group, [(2, place) for place in range(9)]) == [(2, place) for place in (0, 2, 4, 6, 8)]
    assert told(group, [(2, place) for place in (0, 1, 3, 4, 5, 8)]) == [(2, place) for place in (0, 1, 3, 5, 8)]
    assert told(group, [(mark, 8) for mark in range(5)], marks=[4, 3]) == [(4, 8), (3, 8), (0, 8)]


def test_images_of_one_time_and_of_several_sizes_are_left_out():
    marks = {1: [region(0, 0, 9), region(1, 0, 9)]}
    assert told(group_of([0.0, 0.0], marks), [(1, 0)]) == []
    assert told(group_of([-0.04, 0.0], marks), [(1, 0)]) == []
    mixed = group_of([-0.5, 0.0], marks)
    mixed["context"][0]["width"] = 50
    assert told(mixed, [(1, 0)]) == []
    assert told(group_of([-0.5, 0.0], marks, size=(None, 100)), [(1, 0)]) == []
    assert told(group_of([-0.5, 0.0], marks), [(1, 0)]) == [(1, 0)]


def test_there_are_no_other_traces(store, out, tmp_path):
    assert (
        main(["export", str(store.root), "--to", "open-o3", "--traces", "mixed", "--out", str(tmp_path / "wrong")]) == 2
    )
    with pytest.raises(ConfigError, match="--traces chain: open-o3 is always made of chains"):
        export_questions(store, "open-o3", tmp_path / "wrong", traces="chain")
    assert not (tmp_path / "wrong").exists()
    assert "dialect\n`open_o3`" in (out / "README.md").read_text()
