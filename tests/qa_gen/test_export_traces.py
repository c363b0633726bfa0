"""Reasoning traces in exports, read back with a grammar of the test's own and compared with the tables."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow.compute as pc
import pytest
from PIL import Image

from drive_vqa.cli import main
from drive_vqa.cli.arguments import TRACES
from drive_vqa.config import to_dict
from drive_vqa.errors import ConfigError, StoreError
from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from drive_vqa.traces import DIALECTS
from qa_gen.ask import ask
from qa_gen.config import GenerateConfig
from qa_gen.drive import read_drive
from qa_gen.export import export_questions
from qa_gen.export.questions import FORMATS
from qa_gen.export.trace_settings import Traces, generated_with
from tests.qa_gen.oracle.world import CAMERAS, HEIGHT, WIDTH, Looks, make_traffic, write_traffic

Row = dict[str, Any]
SIZE_PX = (400, 300)
"""Width and height are scaled differently."""
CONFIG = GenerateConfig(max_marks=4, time_tolerance_s=0.15, need_images=False)
LOGS = {"one": 1, "two": 4}
GROUPS = {"single": 1, "surround": 1, "sequence": 1, "clip": 1, "target": 1}
"""How many of each kind a log keeps."""

ANSWERED = re.compile(r"(?:<think>\n((?:.+\n)+)</think>\n)?<answer>([^<>\n]+)</answer>")
SEEN = re.compile(r"<obj>Region (\d)</obj><box>\[(\d+),(\d+),(\d+),(\d+)\]</box>at<t>(-?\d\.\d)</t>s")
PLACE = re.compile(r"<pos>\d+\.\d m, -?\d+°</pos>")
POINT = re.compile(r"<point>\((\d+),(\d+)\)</point>")
OTHERS = {
    "vigorl": re.compile(r"[^<>]+"),
    "treevgr": re.compile(r"(?:[^<>]|<box>\[\d+,\d+,\d+,\d+\]</box>)+"),
    "open_o3": re.compile(
        r"(?:[^<>]|<obj>Region \d</obj><box>\[\d+,\d+,\d+,\d+\]</box>at<t>\d\.\d</t>s)+",
    ),
}
"""What a step may be in each of the other dialects."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    root = tmp_path_factory.mktemp("traces")
    store = Store.create(root / "store")
    picture = root / "picture.jpg"
    Image.new("RGB", (WIDTH, HEIGHT), (90, 100, 110)).save(picture)
    for log_id, seed in LOGS.items():
        write_traffic(store, log_id, make_traffic(seed, seconds=14.0), Looks(tuple(CAMERAS)))
        groups, questions = ask(read_drive(store, log_id), ["test"], CONFIG, bench_groups=1)
        kept = _some(groups.to_pylist())
        store.write("groups", log_id, table_from_rows("groups", kept), "f")
        asked = questions.filter(pc.is_in(questions["group_id"], value_set=_strings(row["group_id"] for row in kept)))
        store.write("questions", log_id, asked, "f")
        for path in {store.root / "../images" / view["path"] for row in kept for view in row["context"]}:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.hardlink_to(picture)
    store.write_manifest("generate", {**to_dict(CONFIG), "split": {"rule": "all"}, "counts": {}})
    return store


def _some(groups: list[Row]) -> list[Row]:
    """The last of each kind, which have seen most."""
    kinds: Counter[str] = Counter()
    kept = []
    for group in reversed(groups):
        kinds[group["kind"]] += 1
        if kinds[group["kind"]] <= GROUPS[group["kind"]]:
            kept.append(group)
    return kept[::-1]


def _strings(names: Any) -> Any:
    import pyarrow as pa

    return pa.array(list(names), pa.string())


@pytest.fixture(scope="module")
def questions(store: Store) -> dict[str, Row]:
    return {row["qa_id"]: row for row in store.read_all("questions").to_pylist()}


@pytest.fixture(scope="module")
def groups(store: Store) -> dict[str, Row]:
    return {row["group_id"]: row for row in store.read_all("groups").to_pylist()}


@pytest.fixture(scope="module")
def mixed(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _exported(store, tmp_path_factory.mktemp("mixed") / "out", traces="mixed", size_px=SIZE_PX)


@pytest.fixture(scope="module")
def short(store: Store, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The answers of an export of the same size without traces."""
    return _said(_exported(store, tmp_path_factory.mktemp("short") / "out", size_px=SIZE_PX))


def _exported(store: Store, out: Path, to: str = "messages", workers: int = 1, **options: Any) -> Path:
    assert export_questions(store, to, out, workers=workers, **options).exit_status == 0
    return out


def _said(out: Path) -> dict[str, str]:
    lines = [json.loads(line) for path in out.glob("*.jsonl") for line in path.read_text().splitlines()]
    return {line["qa_id"]: line["messages"][1]["content"][0]["text"] for line in lines if "qa_id" in line}


def _tree(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def _shown(question: Row, group: Row) -> dict[tuple[int, str], list[tuple[int, ...]]]:
    """Boxes by mark and time, in pixels of the exported image."""
    found: dict[tuple[int, str], list[tuple[int, ...]]] = {}
    scale = np.array([SIZE_PX[0] / WIDTH, SIZE_PX[1] / HEIGHT] * 2)
    for mark in group["marks"]:
        for region in mark["regions"]:
            when = f"{group['context'][region['context']]['offset_s'] + 0.0:.1f}"
            box = np.array([region[name] for name in ("u0_px", "v0_px", "u1_px", "v1_px")]) * scale
            found.setdefault((mark["mark"], when), []).append(tuple(np.rint(box).astype(int).tolist()))
    return found


def test_every_trace_is_of_the_grammar_and_ends_in_the_short_answer(mixed, short, questions):
    said = _said(mixed)
    assert said.keys() == short.keys() == questions.keys()
    assert len({question["type"] for question in questions.values()}) > 80
    for qa_id, text in said.items():
        match = ANSWERED.fullmatch(text)
        assert match, text
        assert match[2] == short[qa_id]
        for step in (match[1] or "").splitlines():
            words = POINT.sub("", PLACE.sub("", SEEN.sub("", step)))
            assert not re.search("[<>]", words), step


def test_boxes_are_the_scaled_regions_and_only_what_is_mended_is_not(mixed, questions, groups):
    true, false, several = 0, 0, set()
    for qa_id, text in _said(mixed).items():
        group = groups[questions[qa_id]["group_id"]]
        shown = _shown(questions[qa_id], group)
        steps = (ANSWERED.fullmatch(text)[1] or "").splitlines()
        for place, step in enumerate(steps):
            for number, *corners, when in SEEN.findall(step):
                box = tuple(map(int, corners))
                assert 0 <= box[0] < box[2] <= SIZE_PX[0]
                if box in shown.get((int(number), when), ()):
                    true += 1
                    several.add((box, when))
                else:
                    false += 1
                    assert steps[place + 1].startswith("Wait, "), text
        for u_px, v_px in POINT.findall(text):
            last = [box for boxes in shown.values() for box in boxes]
            assert any(box[0] <= int(u_px) <= box[2] and box[1] <= int(v_px) <= box[3] for box in last)
    assert true > 500
    assert false > 20
    assert len(several) > 20


def test_a_box_that_is_the_answer_is_the_one_that_was_seen(mixed, questions):
    boxes = 0
    for qa_id, text in _said(mixed).items():
        if questions[qa_id]["answer_type"] in ("box", "interval_box") and "<think>" in text:
            match = ANSWERED.fullmatch(text)
            corners = re.search(r"\[(\d+), (\d+), (\d+), (\d+)\]", match[2]).groups()
            assert f"<box>[{','.join(corners)}]</box>" in match[1]
            boxes += 1
    assert boxes


def _style(text: str) -> str:
    return "direct" if "<think>" not in text else "corrected" if "\nWait, " in text else "chain"


def test_mixed_has_all_three_styles_and_the_card_counts_them(mixed, store):
    said = _said(mixed)
    styles = Counter(map(_style, said.values()))
    assert styles["chain"] > 0.6 * len(said)
    assert 0.06 * len(said) < styles["direct"] < 0.2 * len(said)
    assert 0.04 * len(said) < styles["corrected"] < 0.2 * len(said)
    card = (mixed / "README.md").read_text()
    told = dict(re.findall(r"^\| (chain|corrected|direct) \| ([\d,]+) \|", card, re.MULTILINE))
    told = {style: int(count.replace(",", "")) for style, count in told.items()}
    assert sum(told.values()) == len(said)
    assert told["direct"] == styles["direct"]
    assert 0 <= told["corrected"] - styles["corrected"] < 0.5 * told["corrected"]  # some show nothing to be wrong about
    assert "dialect\n`drive`, `--traces mixed`, `--trace-seed 0`" in card


def test_the_bytes_do_not_depend_on_the_number_of_workers(store, mixed, tmp_path):
    assert _tree(_exported(store, tmp_path / "two", workers=2, traces="mixed", size_px=SIZE_PX)) == _tree(mixed)


def _alone(store: Store, root: Path, rows: list[Row] | None = None, leave_out: tuple[str, ...] = ()) -> Store:
    """A copy of the first log's last sequence, with other questions."""
    log_id = "one"
    copy = Store.create(root)
    group = next(row for row in store.read("groups", log_id).to_pylist() if row["kind"] == "sequence")
    asked = [row for row in store.read("questions", log_id).to_pylist() if row["group_id"] == group["group_id"]]
    log = {**store.read("logs", log_id).to_pylist()[0], "source_root": str(store.source_root(log_id))}
    tables = {"logs": [log], "groups": [group], "questions": asked[:24] if rows is None else rows}
    for table, content in tables.items():
        copy.write(table, log_id, table_from_rows(table, content), "f")
    for table in ("frames", "tracks"):
        if table not in leave_out:
            copy.write(table, log_id, store.read(table, log_id), "f")
    return copy


def test_llamafactory_and_other_dialects_and_styles(store, tmp_path):
    copy = _alone(store, tmp_path / "store")
    answers = {row["qa_id"]: row["answer"] for row in copy.read_all("questions").to_pylist()}
    for dialect, step in OTHERS.items():
        out = _exported(copy, tmp_path / dialect, "llamafactory", traces="chain", trace_dialect=dialect)
        items = json.loads((out / "drive_vqa_test.json").read_text())
        assert {item["qa_id"] for item in items} == set(answers)
        for item in items:
            match = ANSWERED.fullmatch(item["conversations"][1]["value"])
            assert match[2] == answers[item["qa_id"]]
            assert all(step.fullmatch(line) for line in match[1].splitlines())
            assert item["conversations"][0]["value"].count("<image>") == len(item["images"])
    direct = _said(_exported(copy, tmp_path / "direct", traces="direct"))
    assert direct == {qa_id: f"<answer>{answer}</answer>" for qa_id, answer in answers.items()}
    corrected = {
        seed: _said(_exported(copy, tmp_path / f"c{seed}", traces="corrected", trace_seed=seed)) for seed in (0, 1)
    }
    assert corrected[0] != corrected[1]
    assert {ANSWERED.fullmatch(text)[2] for text in corrected[0].values()} == set(answers.values())
    assert Counter(map(_style, corrected[0].values())).keys() <= {"corrected", "chain"}


def test_an_export_with_other_traces_needs_another_folder(store, tmp_path):
    copy = _alone(store, tmp_path / "store")
    out = _exported(copy, tmp_path / "out", traces="chain")
    assert json.loads((out / "export.json").read_text())["traces"]["traces"] == "chain"
    others = (
        {},
        {"traces": "mixed"},
        {"traces": "chain", "trace_dialect": "vigorl"},
        {"traces": "chain", "trace_seed": 1},
    )
    for changed in others:
        with pytest.raises(StoreError, match="holds an export of other questions or settings"):
            export_questions(copy, "messages", out, workers=1, **changed)
    copy.write_manifest("generate", {"time_tolerance_s": 0.3})
    with pytest.raises(StoreError, match="holds an export of other questions or settings"):
        export_questions(copy, "messages", out, workers=1, traces="chain")


@pytest.mark.parametrize("to", [name for name in FORMATS if name not in ("messages", "llamafactory", "open-o3")])
def test_formats_that_take_no_traces_refuse_them(store, tmp_path, to):
    with pytest.raises(ConfigError, match=f"{to} takes no traces; formats that do are messages, llamafactory"):
        export_questions(store, to, tmp_path / "out", traces="chain")
    assert not (tmp_path / "out").exists()


def test_traces_that_are_not_known_are_refused(store, tmp_path):
    with pytest.raises(ConfigError, match="--traces long: choose one of chain, corrected, direct, mixed"):
        export_questions(store, "messages", tmp_path / "out", traces="long")
    with pytest.raises(ConfigError, match="--trace-dialect latin: choose one of drive, vigorl, treevgr, open_o3"):
        export_questions(store, "messages", tmp_path / "out", traces="chain", trace_dialect="latin")


def test_a_trace_that_cannot_be_written_names_its_question(store, tmp_path):
    rows = _alone(store, tmp_path / "whole").read("questions", "one").to_pylist()
    index = next(place for place, row in enumerate(rows) if row["track_ids"] and row["evidence"])
    forged = {
        "tag": ({"answer": "<answer>"}, "cannot be written as a trace"),
        "marks": ({"marks": None}, "cannot be written as a trace"),
        "tracks": ({"track_ids": ["gone"] * 3}, "names track gone"),
        "horizon": ({"frame": 10**6}, "names track|cannot be written"),
    }
    for name, (change, message) in forged.items():
        changed = [*rows[:index], {**rows[index], **change}, *rows[index + 1 :]]
        copy = _alone(store, tmp_path / name, changed)
        summary = export_questions(copy, "messages", tmp_path / f"{name}-out", workers=1, traces="chain")
        assert [failure.error for failure in summary.failures] == ["StoreError"], name
        assert re.search(message, summary.failures[0].message), name
        assert rows[index]["qa_id"] in summary.failures[0].message


def test_a_log_without_tracks_fails_by_itself(store, tmp_path):
    copy = _alone(store, tmp_path / "store", leave_out=("tracks",))
    summary = export_questions(copy, "messages", tmp_path / "out", workers=1, traces="chain")
    assert "has no table 'tracks'" in summary.failures[0].message
    assert export_questions(copy, "messages", tmp_path / "short", workers=1).exit_status == 0


def test_the_settings_of_generation_are_those_of_the_manifest(store, tmp_path):
    assert generated_with(store) == CONFIG
    bare = Store.create(tmp_path / "bare")
    assert generated_with(bare) == GenerateConfig()
    bare.write_manifest("generate", {"ego_length_m": 5.5, "clip_images": 4, "split": {}, "of_a_later_version": 1})
    assert generated_with(bare) == GenerateConfig(ego_length_m=5.5, clip_images=4)
    bare.write_manifest("generate", {"ego_length_m": "long"})
    with pytest.raises(StoreError, match="ego_length_m: .*run `drive-vqa generate` again"):
        generated_with(bare)


def test_tiny_images_keep_every_region(store, tmp_path):
    """A region that is not as wide as a pixel is still a box, so that no step is left out."""
    copy = _alone(store, tmp_path / "store")
    large = _said(_exported(copy, tmp_path / "large", traces="chain"))
    small = _said(_exported(copy, tmp_path / "small", traces="chain", size_px=(28, 28)))
    for qa_id, text in small.items():
        assert len(SEEN.findall(text)) == len(SEEN.findall(large[qa_id]))
        for _, u0, v0, u1, v1, _ in SEEN.findall(text):
            assert 0 <= int(u0) < int(u1) <= 28
            assert 0 <= int(v0) < int(v1) <= 28


def test_the_command_line(store, tmp_path, capsys):
    assert set(TRACES) == {"none", *get_args(Traces)}
    copy = _alone(store, tmp_path / "store")
    words = ["export", str(copy.root), "--to", "messages", "--workers", "1", "--traces", "chain"]
    assert main([*words, "--trace-dialect", "treevgr", "--trace-seed", "3", "--out", str(tmp_path / "cli")]) == 0
    again = _exported(copy, tmp_path / "again", traces="chain", trace_dialect="treevgr", trace_seed=3)
    assert _tree(tmp_path / "cli") == _tree(again)
    for wrong in (
        ["--to", "hf", "--traces", "chain"],
        ["--to", "kitti-tracking", "--traces", "chain"],
        ["--to", "messages", "--trace-dialect", DIALECTS[1]],
        ["--to", "messages", "--trace-seed", "0"],
    ):
        assert main(["export", str(copy.root), *wrong, "--out", str(tmp_path / "wrong")]) == 2
    assert not (tmp_path / "wrong").exists()
