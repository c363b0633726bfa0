"""A tiny example of each benchmark, written in its layout with invented content, and the answers that are right."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, Any]
Example = tuple[Path, dict[str, str]]


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def write_tsv(path: Path, rows: Sequence[Row]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_predictions(path: Path, answers: dict[str, str]) -> Path:
    path.write_text("".join(json.dumps({"qa_id": qa_id, "text": text}) + "\n" for qa_id, text in answers.items()))
    return path


# STRIDE-QA-Bench ------------------------------------------------------------------------------------------------------


def stride_records(group: str, image: str) -> dict[int, list[Row]]:
    """The thirteen questions of a target 20 m ahead that nears by 2 m/s; the ego drives 5 m/s."""
    files: dict[int, list[Row]] = {horizon_s: [] for horizon_s in range(4)}

    def add(horizon_s: int, category: str, value: Row) -> None:
        number = sum(map(len, files.values()))
        record = {"question_id": f"q{number:08d}_{group}", "group_id": group, "question": f"{category}?"}
        files[horizon_s].append(record | {"qa_category": category, "gt_value": value, "images": ["a.jpg", image]})

    add(0, "ego_distance_data", {"distance": 20.0})
    add(0, "target_bearing_angle_data", {"direction": 10.0})
    for horizon_s in range(4):
        later = f"_4d_t{horizon_s}" if horizon_s else ""
        if horizon_s:
            place = {"distance": 20.0 - 2.0 * horizon_s, "direction": 10.0 + horizon_s}
            add(horizon_s, f"ego_distance_data{later}", place)
        add(horizon_s, f"ego_speed_data{later}", {"velocity": 5.0})
        add(horizon_s, f"target_speed_data{later}", {"velocity": 3.0})
    return files


def said(value: Row) -> str:
    """A true value of the bench in words."""
    units = {"distance": "meters", "direction": "degrees", "velocity": "m/s"}
    return ", ".join(f"{value[name]} {unit}" for name, unit in units.items() if name in value)


def write_stride(root: Path, groups: Sequence[str] = ("g1", "g2")) -> Example:
    folder = root / "annotation_files"
    files = [stride_records(group, f"{group}.jpg") for group in groups]
    for horizon_s in range(4):
        write_json(
            folder / f"strideqa_bench_t{horizon_s}.json", [record for file in files for record in file[horizon_s]]
        )
    lines = ["group_id,object_type,relation", *(f"{group},car,Oncoming_Pass" for group in groups[:1])]
    (folder / "annotation_sheet.csv").write_text("\n".join(lines) + "\n")
    records = [record for file in files for part in file.values() for record in part]
    return root, {record["question_id"]: said(record["gt_value"]) for record in records}


# Multiple choice ------------------------------------------------------------------------------------------------------

TREEBENCH = [
    {
        "index": "0",
        "image": "x" * 3000,
        "question": "What colour is the\nlamp?",
        "multi-choice options": "A. red\nB. blue\nC. green",
        "A": "red",
        "B": "blue",
        "C": "green",
        "D": "",
        "answer": "B",
        "category": "Perception/Attributes",
        "target_instances": "[[0, 0, 10, 10], [20, 20, 30, 40]]",
    },
    {
        "index": "1",
        "image": "x" * 3000,
        "question": "Which is nearer?",
        "multi-choice options": "A. the cup\nB. the vase",
        "A": "",
        "B": "",
        "C": "",
        "D": "",
        "answer": "A",
        "category": "Reasoning/Ordering",
        "target_instances": "[[100, 100, 200, 200]]",
    },
]


def write_treebench(root: Path) -> Example:
    first = "<think>A lamp <box>[0,0,10,10]</box> and <box>[20,20,30,40]</box>.</think><answer>B</answer>"
    second = "<think>The cup <box>[100,100,200,200]</box>.</think><answer>A. the cup</answer>"
    return write_tsv(root / "TreeBench.tsv", TREEBENCH), {"0": first, "1": second}


def write_vstar_bench(root: Path) -> Example:
    ask = "Answer with the letter of an option."
    rows = [
        {
            "image": "direct_attributes/p_1.jpg",
            "text": f"What is the ball made of?\n(A) wood\n(B) wool\n(C) clay\n(D) tin\n{ask}",
            "category": "direct_attributes",
            "label": "D",
            "question_id": 0,
        },
        {
            "image": "relative_position/p_2.jpg",
            "text": f"Is the ball left or right of the box?\n(A) left\n(B) right\n{ask}",
            "category": "relative_position",
            "label": "A",
            "question_id": 0,
        },
    ]
    path = root / "test_questions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root, {"direct_attributes/p_1": "D", "relative_position/p_2": "left"}


def write_sat(root: Path) -> Example:
    rows = [
        {"question": "Did I turn?", "answers": ["turned left", "turned right"], "correct_answer": "turned right"},
        {"question": "Did it move?", "answers": ["yes it did", "no it stood"], "correct_answer": "yes it did"},
        {"question": "Which is nearer?", "answers": ["the sofa", "the desk"], "correct_answer": "the desk"},
    ]
    kinds = ("ego_movement", "obj_movement", "obj_movement")
    rows = [row | {"question_type": kind, "images": [b"jpeg"]} for row, kind in zip(rows, kinds, strict=True)]
    pq.write_table(pa.Table.from_pylist(rows), root / "test-00000-of-00001.parquet")
    return root / "test-00000-of-00001.parquet", {"0": "turned right", "1": "(A)", "2": "the desk"}


def blink_rows(task: str, answers: Sequence[str]) -> list[Row]:
    return [
        {
            "idx": f"val_{task}_{number}",
            "question": "How many?",
            "sub_task": task,
            "image_1": b"jpeg",
            "choices": ["none", "a pair", "a dozen"],
            "answer": answer,
            "prompt": "How many?",
        }
        for number, answer in enumerate(answers, start=1)
    ]


def write_blink(root: Path) -> Example:
    right = {}
    for task, answers in {"Counting": ["(B)", "(C)", "(A)"], "Jigsaw": ["(A)"]}.items():
        (root / task).mkdir(parents=True)
        rows = blink_rows(task, answers)
        pq.write_table(pa.Table.from_pylist(rows), root / task / "val-00000-of-00001.parquet")
        hidden = [row | {"idx": row["idx"].replace("val", "test"), "answer": "hidden"} for row in rows]
        pq.write_table(pa.Table.from_pylist(hidden), root / task / "test-00000-of-00001.parquet")
        right |= {row["idx"]: row["answer"] for row in rows}
    return root, right


# ScreenSpot -----------------------------------------------------------------------------------------------------------


def write_screenspot(root: Path) -> Example:
    def element(image: str, kind: str, box: list[float]) -> Row:
        return {
            "img_filename": image,
            "bbox": box,
            "instruction": "open the list",
            "data_type": kind,
            "data_source": "ios",
        }

    mobile = [element("m.png", "text", [100, 200, 50, 20]), element("m.png", "icon", [0, 0, 10, 10])]
    write_json(root / "screenspot_mobile_v2.json", mobile)
    write_json(root / "screenspot_web_v2.json", [element("w.png", "icon", [300, 40, 40, 40])])
    return root, {
        "screenspot_mobile_v2/0": "(125, 210)",
        "screenspot_mobile_v2/1": "[0, 10]",
        "screenspot_web_v2/0": '{"x": 320, "y": 60}',
    }


# V-STaR ---------------------------------------------------------------------------------------------------------------


def v_star_record(number: int, **fields: Any) -> Row:
    return {
        "vid": f"video{number}",
        "domain": "Sports",
        "fps": 25,
        "width": 640,
        "height": 360,
        "frame_count": 1000,
        "question": "What does she hold?",
        "answer": "a kite",
        "temporal_question": "When does she hold it?",
        "timestamps": [2, 12],
        "spatial_question": "Where is it then?",
        "spatial_question_2": "Where is it?",
        "bboxes": [
            {"timestamp": 3, "frame_index": 75, "xmin": 0, "ymin": 0, "xmax": 100, "ymax": 100},
            {"timestamp": 4, "frame_index": 100, "xmin": 0, "ymin": 0, "xmax": 100, "ymax": 200},
        ],
        **fields,
    }


def v_star_answers(number: int) -> dict[str, str]:
    where, when = '{"3": [0, 0, 100, 100], "4": [0, 0, 100, 200]}', "From 2 to 12 seconds"
    told = {"vqa": "She holds a kite.", "temporal": when, "spatial": where, "temporal_2": when, "spatial_2": where}
    return {f"{number}.{asked}": text for asked, text in told.items()}


def write_v_star(root: Path) -> Example:
    records = [v_star_record(0), v_star_record(1, domain="Daily life", frame_count=10_000)]
    return write_json(root / "V_STaR_test.json", records), v_star_answers(0) | v_star_answers(1)


# SpatialRGPT-Bench ----------------------------------------------------------------------------------------------------


def spatial_record(number: int, category: str, question: str, answer: str) -> Row:
    return {
        "id": f"s{number}",
        "image_info": {"file_path": f"rooms/{number // 2}.jpg", "width": 640, "height": 480},
        "text_q": question,
        "qa_info": {"type": "any", "category": category},
        "conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": answer}],
    }


SPATIAL = (
    (
        "left_predicate",
        "Is Region [0] to the left of Region [1]?",
        "In fact, Region [0] is to the right of Region [1].",
    ),
    ("tall_choice", "Who is taller, Region [0] or Region [1]?", "With more height is Region [1]."),
    ("width_data", "How wide is Region [0]?", "Region [0] is 40.0 inches wide."),
    ("distance_data", "How far is Region [0] from Region [1]?", "Region [0] is 2.0 meters from Region [1]."),
    (
        "direction",
        "If you are at Region [0], where will you find Region [1]?",
        "Region [1] is roughly at 12 o'clock from Region [0].",
    ),
)
SPATIAL_RIGHT = ("No.", "Region [1]", "1.0 m", "2.5 meters", "1 o'clock")


def write_spatialrgpt(root: Path) -> Example:
    records = [spatial_record(number, *row) for number, row in enumerate(SPATIAL)]
    right = {f"s{number}": text for number, text in enumerate(SPATIAL_RIGHT)}
    return write_json(root / "SpatialRGPT-Bench_v1.json", records), right


EXAMPLES: dict[str, Callable[[Path], Example]] = {
    "stride-bench": write_stride,
    "treebench": write_treebench,
    "v-star": write_v_star,
    "vstar-bench": write_vstar_bench,
    "sat-2": write_sat,
    "blink": write_blink,
    "screenspot": write_screenspot,
    "spatialrgpt-bench": write_spatialrgpt,
}
