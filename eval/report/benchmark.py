"""A report of 100,000 questions: how large it is, how long it takes to make, and how much memory.

    python -m eval.report.benchmark [--questions 100000] [--out report.html]

Writes a store without images and an evaluation of it into a temporary folder, makes the page, and prints its size against the
same questions as plain JSON. Fixed seed; time is CPU time of this process.
"""

from __future__ import annotations

import argparse
import gzip
import resource
import shutil
import sys
import tempfile
import time
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from drive_vqa.categories import CATEGORIES
from drive_vqa.schema import SCHEMA_VERSION, table_from_rows
from drive_vqa.store import VERSION_KEY, Store, write_json
from drive_vqa.time_to_collision import BIN_NAMES
from eval.report import write_report
from eval.report.inputs import read_evaluation
from eval.report.listing import listing

QUESTIONS_OF_LOG, QUESTIONS_OF_GROUP = 2_500, 20
SEED = 7
SHOWN = [{"frame": step, "offset_s": (step - 3) / 2, "camera": "CAM_FRONT"} for step in range(4)]


def write_evaluation(root: Path, questions: int) -> Path:
    """A store with so many questions about distances and bearings, and an evaluation with answers that are off at random.

    Returns:
        The folder of the evaluation.
    """
    store, scores, rng = Store.create(root / "store"), [], np.random.default_rng(SEED)
    for number, start in enumerate(range(0, questions, QUESTIONS_OF_LOG)):
        log_id, count = f"log-{number:04d}", min(QUESTIONS_OF_LOG, questions - start)
        asked = list(_questions(log_id, count, rng))
        groups = [
            {"group_id": group, "log_id": log_id, "frame": frame, "kind": "sequence", "split": "test", "context": SHOWN}
            for group, frame in sorted({(row["group_id"], row["frame"]) for row in asked})
        ]
        store.write("logs", log_id, table_from_rows("logs", [{"log_id": log_id}]), "synthetic")
        store.write("groups", log_id, table_from_rows("groups", groups), "synthetic")
        store.write("questions", log_id, table_from_rows("questions", asked), "synthetic")
        scores.append(table_from_rows("scores", [_score(row, rng) for row in asked]))
    store.write_manifest("generate", {})
    evaluation = root / "evaluation"
    evaluation.mkdir()
    table = pa.concat_tables(scores).replace_schema_metadata({VERSION_KEY: SCHEMA_VERSION.encode()})
    pq.write_table(table, evaluation / "scores.parquet")
    config = {"store": "../store", "model": "random", "split": "test", "questions": questions}
    (evaluation / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    write_json(evaluation / "metrics.json", {"accuracy": {"value": 0.5, "n": questions}})
    return evaluation


def _questions(log_id: str, count: int, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    kinds = list(CATEGORIES)
    for number in range(count):
        frame, mark, horizon_s = number // QUESTIONS_OF_GROUP, int(rng.integers(8)), int(rng.integers(4))
        distance_m, bearing_deg = float(rng.uniform(2, 90)), float(rng.uniform(-60, 60))
        words = f"In {horizon_s} seconds, how far away will Region {mark} be, and in which direction? Left is positive."
        slices = {"category": kinds[rng.integers(len(kinds))], "distance_m": float(rng.uniform(2, 90))}
        slices["ttc_bin"] = BIN_NAMES[rng.integers(len(BIN_NAMES))]
        row = {"qa_id": rng.bytes(8).hex(), "group_id": f"{log_id}-{frame:05d}", "log_id": log_id, "frame": frame}
        row |= {"family": "future", "type": f"localization_t{horizon_s}", "form": "open", "answer_type": "localization"}
        row |= {"marks": [mark], "question": words, "options": [], "horizon_s": float(horizon_s), "split": "test"}
        row |= {"answer": f"{distance_m:.1f} meters, {bearing_deg:.0f} degrees", "slices": slices}
        yield row | {"truth": {"distance_m": distance_m, "bearing_deg": bearing_deg}}


def _score(row: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    truth = row["truth"]
    distance_m = truth["distance_m"] * float(rng.lognormal(0.0, 0.3))
    bearing_deg = truth["bearing_deg"] + float(rng.normal(0.0, 8.0))
    right = abs(distance_m - truth["distance_m"]) <= 0.25 * truth["distance_m"]
    text = f"Region {row['marks'][0]} will be about {distance_m:.1f} meters away, at {bearing_deg:.0f} degrees."
    score = {"qa_id": row["qa_id"], "model": "random", "sample": 0, "text": text, "success": right}
    return score | {"parsed": {"distance_m": distance_m, "bearing_deg": bearing_deg}, "distance_ok": right}


def main() -> None:
    """Make the page and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=100_000)
    parser.add_argument("--out", type=Path, help="keep the page here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        evaluation = write_evaluation(Path(folder), arguments.questions)
        start = time.process_time()
        page = write_report(evaluation, Path(folder) / "report.html")
        seconds = time.process_time() - start
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        plain = sum(len(gzip.decompress(b64decode(part.packed))) for part in listing(read_evaluation(evaluation)).parts)
        size = page.stat().st_size
        lines = (
            f"questions          {arguments.questions:,}",
            f"page               {size / 1e6:.1f} MB, {size / arguments.questions:.0f} bytes a question",
            f"as plain JSON      {plain / 1e6:.1f} MB, {plain / size:.1f} times the page",
            f"seconds to make    {seconds:.1f}",
            f"peak memory        {peak_mb:.0f} MB",
        )
        sys.stdout.write("\n".join(lines) + "\n")
        if arguments.out is not None:
            shutil.copyfile(page, arguments.out)


if __name__ == "__main__":
    main()
