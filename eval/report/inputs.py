"""What a report is made from: the files of an evaluation and the store that it scored.

    EVAL/metrics.json              dotted name → value, n, low, high, clusters, cluster_kind
    EVAL/scores.parquet            one row an answer, parsed and judged
    EVAL/baseline_scores.parquet   the same for the baselines, `model` is the baseline's name
    EVAL/config.yaml               where the store is, and how the evaluation was made

Answers are joined with their questions once, here; truth and parsed values become flat columns `truth_…` and `parsed_…`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from drive_vqa.errors import StoreError
from drive_vqa.looks import TracedLook, look_from_struct
from drive_vqa.schema import QUESTIONS, SCORES
from drive_vqa.store import Store, read_table
from eval.cases import flatten, struct_columns
from eval.safety import measured_from_ego

QUESTION_COLUMNS = (
    "qa_id", "group_id", "log_id", "frame", "family", "type", "form", "answer_type", "marks", "question", "options", "answer",
    "truth", "horizon_s", "slices",
)  # fmt: skip
LOOKS = "looks"
SCORE_COLUMNS = tuple(name for name in SCORES.names if name != LOOKS)


@dataclass(frozen=True)
class Number:
    """A metric: its value, the interval, how many cases it has, and from how many logs (or frames of one log) they come."""

    value: float | None
    n: int | None = None
    low: float | None = None
    high: float | None = None
    clusters: int | None = None
    cluster_kind: str | None = None


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A finished evaluation, read.

    Attributes:
        root: its folder.
        config: content of config.yaml.
        metrics: by dotted name.
        store: what was asked about.
        answers: one row an answer of the model, first sample only, joined with its question.
        baselines: the same for the baselines; the column `model` names them.
        unanswered: `qa_id` of the questions that were asked and have no answer.
    """

    root: Path
    config: dict[str, Any]
    metrics: dict[str, Number]
    store: Store
    answers: pd.DataFrame
    baselines: pd.DataFrame
    unanswered: tuple[str, ...] = ()

    def group(self, log_id: str, group_id: str) -> dict[str, Any]:
        """The row of the `groups` table.

        Raises:
            StoreError: the store has no such group.
        """
        table = self.store.read("groups", log_id)
        rows: list[dict[str, Any]] = table.filter(pc.equal(table["group_id"], group_id)).to_pylist()
        if not rows:
            raise StoreError(
                f"log {log_id} of {self.store.root} has no group {group_id}: run `drive-vqa generate` again"
            )
        return rows[0]

    def looks(self, qa_ids: Sequence[str]) -> dict[str, list[TracedLook | None]]:
        """The closer looks of some answers, first sample only, by question; None for what is no look.

        Raises:
            StoreError: the evaluation was made when looks were not kept.
        """
        table = read_table(self.root / "scores.parquet", "scores", ["qa_id", "sample", LOOKS])
        asked = table.filter(pc.is_in(table["qa_id"], value_set=pa.array(qa_ids, pa.string())))
        found: dict[str, list[TracedLook | None]] = {}
        for row in asked.sort_by("sample").to_pylist():
            found.setdefault(row["qa_id"], [look_from_struct(look) for look in row[LOOKS] or ()])
        return found


def read_evaluation(root: Path) -> Evaluation:
    """Read an evaluation folder and the questions that it scored.

    Raises:
        StoreError: a file is missing or damaged, or the store has moved.
    """
    config = read_config(root / "config.yaml")
    store = Store.open((root / str(config["store"])).resolve())
    scores = read_scores(root / "scores.parquet")
    baselines = read_scores(root / "baseline_scores.parquet")
    questions = _questions(store, pa.chunked_array([*scores["qa_id"].chunks, *baselines["qa_id"].chunks], pa.string()))
    joined = _answers(scores, questions)
    if joined.empty:
        raise StoreError(f"{root} scores no question of {store.root}: run `drive-vqa evaluate` on this store again")
    others, missing = _answers(baselines, questions), _read_unanswered(root / "unanswered.parquet")
    return Evaluation(root, config, read_metrics(root / "metrics.json"), store, joined, others, missing)


class _WithoutAliases(yaml.SafeLoader):
    """Plain data; a few aliases (`*name`) would unfold to more than memory holds when a value is told."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases")
        return super().compose_node(parent, index)


def read_config(path: Path) -> dict[str, Any]:
    """How an evaluation was made.

    Raises:
        StoreError: the file is missing or damaged, or names no store.
    """
    try:
        text = path.read_text(encoding="utf-8")
        config = yaml.load(text, _WithoutAliases)  # noqa: S506 - a safe loader
    except FileNotFoundError as error:
        raise StoreError(
            f"{path.parent} is not an evaluation (no {path.name}): make one with `drive-vqa evaluate`"
        ) from error
    except (OSError, ValueError, LookupError, AttributeError, RecursionError, yaml.YAMLError) as error:
        raise StoreError(f"{path} cannot be read: run `drive-vqa evaluate` again") from error
    if not isinstance(config, dict) or "store" not in config:
        raise StoreError(f"{path} does not name the store that was scored: run `drive-vqa evaluate` again")
    return config


def read_metrics(path: Path) -> dict[str, Number]:
    """The numbers of an evaluation by name.

    Raises:
        StoreError: the file is missing or damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): _number(entry) for name, entry in content.items()}
    except FileNotFoundError as error:
        raise StoreError(
            f"{path.parent} is not an evaluation (no {path.name}): make one with `drive-vqa evaluate`"
        ) from error
    except (OSError, ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(f"{path} is damaged ({error}): run `drive-vqa evaluate` again") from error


def _number(entry: dict[str, Any]) -> Number:
    return Number(
        _finite(entry["value"]),
        None if entry.get("n") is None else int(entry["n"]),
        _finite(entry.get("low")),
        _finite(entry.get("high")),
        None if entry.get("clusters") is None else int(entry["clusters"]),
        None if entry.get("cluster_kind") is None else str(entry["cluster_kind"]),
    )


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _read_unanswered(path: Path) -> tuple[str, ...]:
    try:
        return tuple(map(str, pq.read_table(path, columns=["qa_id"])["qa_id"].to_pylist()))
    except FileNotFoundError:
        return ()
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path} is damaged: run `drive-vqa evaluate` again") from error


def read_scores(path: Path) -> pa.Table:
    """Rows of table `scores` without looks; none where there is no file of baselines.

    Raises:
        StoreError: the file is missing or damaged.
    """
    if not path.exists():
        if path.name == "baseline_scores.parquet":
            return SCORES.empty_table().select(list(SCORE_COLUMNS))
        raise StoreError(f"{path} is missing: run `drive-vqa evaluate` again")
    return read_table(path, "scores", SCORE_COLUMNS)


def _questions(store: Store, wanted: pa.ChunkedArray) -> pd.DataFrame:
    """Questions that were scored, log by log, so that a store of millions is never held at once."""
    qa_ids = pc.unique(wanted)
    parts = []
    for log_id in store.log_ids("questions"):
        table = store.read("questions", log_id, QUESTION_COLUMNS)
        table = table.filter(pc.is_in(table["qa_id"], value_set=qa_ids))
        if table.num_rows:
            parts.append(_flat_questions(table))
    if not parts:
        parts = [_flat_questions(QUESTIONS.empty_table().select(list(QUESTION_COLUMNS)))]
    return pd.concat(parts, ignore_index=True)


def _flat_questions(table: pa.Table) -> pd.DataFrame:
    """As `eval.cases.flatten`, and `from_ego`: the question asks where a mark is as seen from the ego."""
    flat = flatten(table)
    return flat.assign(from_ego=measured_from_ego(flat))


def _answers(scores: pa.Table, questions: pd.DataFrame) -> pd.DataFrame:
    frame = scores.drop_columns(["parsed"]).to_pandas().assign(**struct_columns(scores["parsed"], "parsed_"))
    first = frame.sort_values("sample", kind="stable").drop_duplicates(["model", "qa_id"])
    joined: pd.DataFrame = first.merge(questions, on="qa_id", how="inner", validate="many_to_one")
    ordered: pd.DataFrame = joined.sort_values(["model", "log_id", "frame", "group_id", "qa_id"], ignore_index=True)
    return ordered
