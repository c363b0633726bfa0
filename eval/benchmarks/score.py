"""Score predictions made on a published benchmark.

    OUT/metrics.json      dotted name → value, n, low, high, clusters, cluster_kind; the benchmark's module says what each is
    OUT/scores.parquet    one row an answer, as `drive-vqa evaluate` writes it
    OUT/config.yaml       what was scored

A prediction's `qa_id` is the benchmark's own id. Questions without a prediction count as failed and show in `coverage`. Of
repeated answers the first sample makes the metrics; all are in scores.parquet. Answers that no column of that table can hold
(boxes of a video, a rating) have none of its values; a point is a box without extent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from drive_vqa.errors import ConfigError, PredictionError
from drive_vqa.schema import SCHEMA_VERSION, SCORES
from drive_vqa.store import VERSION_KEY, file_sha256, replacing, write_json
from eval.answers import Parsed, ParseFailure
from eval.benchmarks import blink, sat, screenspot, spatialrgpt, stride, treebench, v_star, vstar_bench
from eval.benchmarks.scored import Metrics, Scored, estimated, overall, score_parsed, score_with
from eval.benchmarks.tasks import Task
from eval.predictions import read_predictions
from eval.statistics import Estimate


@dataclass(frozen=True)
class Benchmark:
    """What is particular to a benchmark.

    Attributes:
        read: its questions from a file or folder.
        cluster: what questions of one cluster share, as `cluster_kind` tells it.
        headline: names of the metrics that its paper reports first.
        score: reads and judges answers.
        metrics: from scored answers.
    """

    read: Callable[[Path], list[Task]]
    cluster: str
    headline: tuple[str, ...] = ("accuracy",)
    score: Callable[[Sequence[Task], Sequence[str | None]], Scored] = score_parsed
    metrics: Callable[[Scored], Metrics] = overall


BENCHMARKS = {
    "stride-bench": Benchmark(stride.read, "image", ("localization.mlsr", "localization.tlc"), metrics=stride.metrics),
    "treebench": Benchmark(
        treebench.read, "question", ("accuracy", "grounding.miou_recall"), metrics=treebench.metrics
    ),
    "v-star": Benchmark(v_star.read, "video", ("mam", "mlgm"), score_with(v_star.judge), v_star.metrics),
    "vstar-bench": Benchmark(vstar_bench.read, "image"),
    "sat-2": Benchmark(sat.read, "question"),
    "blink": Benchmark(blink.read, "question", ("accuracy_mean_of_tasks",), metrics=blink.metrics),
    "screenspot": Benchmark(screenspot.read, "image", score=score_with(screenspot.judge)),
    "spatialrgpt-bench": Benchmark(
        spatialrgpt.read,
        "image",
        ("qualitative.accuracy", "quantitative.accuracy"),
        score_with(spatialrgpt.judge),
        spatialrgpt.metrics,
    ),
}
"""By the name that the command line takes."""


def score_benchmark(name: str, data: Path, predictions: Path, out: Path) -> str:
    """Score predictions.

    Args:
        name: of the benchmark, see `BENCHMARKS`.
        data: the benchmark's own file or folder.
        predictions: Parquet or JSON lines with `qa_id` and `text`.
        out: folder of the result.

    Returns:
        One sentence with the headline numbers in hundredths.

    Raises:
        ConfigError: there is no such benchmark, or `out` is a file.
        RecordError: `data` cannot be read or does not have the benchmark's layout.
        PredictionError: the predictions cannot be read, or answer questions that the benchmark does not have.
    """
    if name not in BENCHMARKS:
        raise ConfigError(f"there is no benchmark {name!r}: give one of {', '.join(BENCHMARKS)}")
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file: give --out a folder for the result")
    benchmark = BENCHMARKS[name]
    tasks = benchmark.read(data)
    told = read_predictions(predictions)
    _require_known(told, tasks, predictions, data)
    rows = _rows(tasks, told)
    by_id = {task.task_id: task for task in tasks}
    scored = benchmark.score([by_id[qa_id] for qa_id in rows["qa_id"]], rows["text"].tolist())
    kept = scored.take(len(tasks))
    metrics = estimated(benchmark.metrics(kept), kept)
    config = {
        "benchmark": name,
        "data": data.name,
        "data_sha256": file_sha256(data) if data.is_file() else None,
        "predictions": predictions.name,
        "predictions_sha256": file_sha256(predictions),
        "model": str(told["model"].iloc[0]),
        "questions": metrics["coverage"].n,
        "answers": len(told),
    }
    _write(out, config, benchmark, metrics, _score_rows(rows, scored))
    return _headline(config, benchmark, metrics)


def _require_known(told: pd.DataFrame, tasks: Sequence[Task], predictions: Path, data: Path) -> None:
    known = {task.task_id for task in tasks}
    unknown = [qa_id for qa_id in told["qa_id"] if qa_id not in known]
    if unknown:
        others = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise PredictionError(
            f"{predictions} answers question {unknown[0]!r}{others}, which {data} does not have: "
            f"name questions as it does, such as {tasks[0].task_id!r}"
        )


def _rows(tasks: Sequence[Task], told: pd.DataFrame) -> pd.DataFrame:
    """A row for each question in order, with its first sample or without a text, then the other samples."""
    ordered = told.sort_values("sample", kind="stable")
    is_first = ~ordered.duplicated("qa_id")
    first = ordered[is_first].set_index("qa_id").reindex([task.task_id for task in tasks]).reset_index()
    rows = pd.concat([first, ordered[~is_first]], ignore_index=True)
    return rows.astype(object).where(rows.notna(), None)


def _score_rows(rows: pd.DataFrame, scored: Scored) -> pa.Table:
    """Rows of table `scores` for the texts, ordered by id and sample."""
    told = rows.to_dict("records")
    verdicts = scored.verdicts.to_dict("records")
    table = pa.Table.from_pylist(
        [
            {
                **row,
                **verdict,
                "parsed": answer.as_truth() if isinstance(answer, Parsed) else None,
                "failure": answer.reason if isinstance(answer, ParseFailure) else None,
            }
            for row, verdict, answer in zip(told, verdicts, scored.answers, strict=True)
            if answer is not None
        ],
        schema=SCORES,
    )
    return table.sort_by([("qa_id", "ascending"), ("sample", "ascending")])


def _write(
    out: Path, config: dict[str, Any], benchmark: Benchmark, metrics: dict[str, Estimate], scores: pa.Table
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with replacing(out / "scores.parquet") as temporary:
        data = scores.replace_schema_metadata({VERSION_KEY: SCHEMA_VERSION.encode()})
        pq.write_table(data, temporary, compression="zstd")
    with replacing(out / "config.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")
    kinds = {"log": benchmark.cluster, "frame": "question", None: None}
    write_json(
        out / "metrics.json",
        {name: {**one.as_json(), "cluster_kind": kinds[one.cluster_kind]} for name, one in metrics.items()},
    )


def _headline(config: dict[str, Any], benchmark: Benchmark, metrics: dict[str, Estimate]) -> str:
    numbers = ", ".join(f"{name} {_hundredths(metrics[name])}" for name in benchmark.headline)
    coverage = metrics["coverage"]
    missing = coverage.n - round(coverage.n * (coverage.value or 0.0))
    sentence = f"{config['benchmark']}, {config['model']}: {numbers} (in hundredths, n = {coverage.n})."
    return f"{sentence} Questions without an answer, which count as wrong: {missing}." if missing else sentence


def _hundredths(estimate: Estimate) -> str:
    if estimate.value is None:
        return "none"
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.value:.1f}"
    return f"{100 * estimate.value:.1f} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"
