"""Score a predictions file: parse, judge, compare with baselines, and write it all down.

    EVAL/scores.parquet            one row an answer: parsed value or why not, success
    EVAL/baseline_scores.parquet   the same for the baselines; `model` is the baseline's name, no text
    EVAL/metrics.json              dotted name → value, n, low, high, clusters, cluster_kind (eval.panel says what each is)
    EVAL/config.yaml               what was evaluated

The baselines' metrics have the prefix `baseline.NAME.`; `versus.constant_velocity.localization.mlsr` is the model's MLSR minus
that of constant velocity on the same questions, with a paired interval. Questions of the split without a prediction count as
failed and show in `coverage`. Of repeated answers the first sample makes the metrics; all are in scores.parquet. Where the model
was asked for reasoning traces, `eval.evidence.table` adds how well what they claim is grounded.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from drive_vqa.config import flatten
from drive_vqa.errors import ConfigError, PredictionError
from drive_vqa.schema import SCHEMA_VERSION, SCORES, TRUTH
from drive_vqa.store import VERSION_KEY, Store, file_sha256, replacing, write_json
from drive_vqa.traces import Dialect
from drive_vqa.tracking import mlflow_run
from eval.baselines import CONSTANT_VELOCITY, baseline_answers
from eval.cases import (
    NUMBERS,
    answer_columns,
    find_targets,
    no_answers,
    object_column,
    read_cases,
    read_training,
    splits_of_questions,
)
from eval.evidence.table import evidence_metrics
from eval.panel import Answered, Sample, estimates, panel, success_cells
from eval.parse import ParseFailure, parse
from eval.predictions import read_predictions
from eval.scoring import judge
from eval.statistics import Estimate

logger = logging.getLogger(__name__)

NO_ANSWER = "no_answer"
VERSUS = f"versus.{CONSTANT_VELOCITY}.localization.mlsr"


def evaluate(
    store: Store,
    predictions: Path,
    out: Path,
    *,
    split: str | None = None,
    traces: Dialect | None = None,
    tracking_uri: str | None = None,
) -> str:
    """Score predictions.

    Args:
        store: with the questions that were asked, and the tracks for the baselines.
        predictions: Parquet or JSON lines with `qa_id` and `text`.
        out: folder of the evaluation.
        split: evaluate this one; default: all splits that the predictions touch.
        traces: dialect of the reasoning traces that the model was asked for, whose evidence is judged; default: none was.
        tracking_uri: of MLflow; default: a SQLite store in `out`.

    Returns:
        One sentence with the headline numbers, and how the model stands against constant velocity.

    Raises:
        PredictionError: the file cannot be read or does not fit the store's questions.
        ConfigError: `out` is a file.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file: give --out a folder for the evaluation")
    told = read_predictions(predictions)
    splits = _splits(store, told, predictions, split)
    cases = read_cases(store, splits)
    told = told[told["qa_id"].isin(cases["qa_id"])]
    by_id = cases.set_index("qa_id")
    read = _read_answers(told, by_id)
    model = _first_samples(cases, read)
    metrics, versus = dict(estimates(panel(model), cases)), {}
    baselines = _baselines(store, cases)
    for name, baseline in baselines.items():
        own = estimates(panel(baseline), baseline.cases)
        metrics |= {f"baseline.{name}.{metric}": value for metric, value in own.items()}
        if name == CONSTANT_VELOCITY:
            versus = {VERSUS: _paired(model, baseline)}
    metrics |= estimates(versus, cases)
    if traces is not None:
        metrics |= evidence_metrics(store, model, told, traces)
    config = {**_config(store, predictions, out, cases, told, splits), "traces": traces}
    _write(out, config, metrics, _score_rows(read, by_id), _baseline_rows(baselines))
    headline = headline_sentence(config["model"], metrics)
    if config["answers"] < config["questions"]:
        headline += (
            f" Only {config['answers']} of {config['questions']} questions have an answer; the others count as wrong."
        )
    _track(out, config, metrics, headline, tracking_uri)
    return headline


def headline_sentence(model: str, metrics: Mapping[str, Estimate]) -> str:
    """The headline numbers of a model in one sentence, and whether it is below constant velocity."""
    mlsr, tlc = metrics["localization.mlsr"], metrics["localization.tlc"]
    if mlsr.value is None:
        accuracy = metrics["accuracy"]
        return f"{model}: accuracy {_percent(accuracy)} (n = {accuracy.n}); no localization questions were asked."
    sentence = f"{model}: MLSR {_percent(mlsr)}, TLC {_percent(tlc)} (n = {tlc.n} targets)"
    other = metrics.get(f"baseline.{CONSTANT_VELOCITY}.localization.mlsr")
    if other is None or other.value is None:
        return f"{sentence}."
    relation = "below" if mlsr.value < other.value else "above" if mlsr.value > other.value else "equal to"
    return f"{sentence}; {relation} constant velocity from the true state (MLSR {_percent(other)})."


def _percent(estimate: Estimate) -> str:
    if estimate.value is None:
        return "none"
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.value:.1f} %"
    return f"{100 * estimate.value:.1f} % [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def _splits(store: Store, told: pd.DataFrame, predictions: Path, split: str | None) -> list[str]:
    """Which splits are evaluated; every answered question must be the store's."""
    known = splits_of_questions(store, told["qa_id"].unique().tolist())
    unknown = told["qa_id"][~told["qa_id"].isin(known.index)].tolist()
    if unknown:
        others = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise PredictionError(
            f"{predictions} answers question {unknown[0]!r}{others}, which {store.root} does not have: "
            "predict again with this store"
        )
    touched = sorted(known.unique())
    if split is None:
        return touched
    if split not in touched:
        raise PredictionError(f"{predictions} answers no question of split {split!r}, only of {', '.join(touched)}")
    return [split]


def _read_answers(told: pd.DataFrame, by_id: pd.DataFrame) -> pd.DataFrame:
    """Each prediction with its typed answer, or why there is none in `failure`."""
    asked = by_id.loc[told["qa_id"], ["answer_type", "options"]]
    parsed = [
        parse(text, answer_type, options)
        for text, answer_type, options in zip(told["text"], asked["answer_type"], asked["options"], strict=True)
    ]
    typed = answer_columns([None if isinstance(one, ParseFailure) else one.as_truth() for one in parsed])
    failure = pd.Series([one.reason if isinstance(one, ParseFailure) else None for one in parsed], dtype=object)
    return pd.concat([told.reset_index(drop=True), typed.assign(failure=failure, answered=True)], axis=1)


def _first_samples(cases: pd.DataFrame, read: pd.DataFrame) -> Answered:
    """The answers row by row to the cases, questions without one included."""
    first = read.sort_values("sample", kind="stable").drop_duplicates("qa_id").set_index("qa_id")
    row_of = pd.Series(np.arange(len(first)), index=first.index).reindex(cases["qa_id"]).to_numpy()
    has = np.isfinite(row_of)
    answers = no_answers(len(cases)).assign(answered=has, failure=object_column(np.full(len(cases), None)))
    for name in (*TRUTH.names, "failure"):
        values = answers[name].to_numpy(copy=True)
        values[has] = first[name].to_numpy()[row_of[has].astype(np.int64)]
        answers[name] = values if name in NUMBERS else object_column(values)
    return Answered(cases, answers, judge(cases, answers))


def _baselines(store: Store, cases: pd.DataFrame) -> dict[str, Answered]:
    """Each baseline on the types and forms of questions that it has an answer to; there it fails where it has none."""
    found, asked = {}, pd.MultiIndex.from_frame(cases[["type", "form"]])
    for name, answers in baseline_answers(store, cases, read_training(store)).items():
        can = asked.isin(asked[answers["answered"]].unique())
        own, answers = cases[can].reset_index(drop=True), answers[can].reset_index(drop=True)
        answers["failure"] = pd.Series([None if has else NO_ANSWER for has in answers["answered"]], dtype=object)
        found[name] = Answered(own, answers, judge(own, answers))
    return found


def _paired(model: Answered, baseline: Answered) -> Sample:
    """MLSR of the model minus MLSR of the baseline, cell by cell; both were asked the same localization questions."""
    targets, others = find_targets(model.cases), find_targets(baseline.cases)
    if len(targets) != len(others):
        return Sample(np.zeros(0), np.zeros(0, dtype=np.int64))
    ours, theirs = success_cells(model, targets), success_cells(baseline, others)
    difference = ours.astype(np.float64) - theirs.astype(np.float64)
    return Sample(difference.ravel(), np.repeat(targets.anchors, difference.shape[1]))


def _score_rows(read: pd.DataFrame, by_id: pd.DataFrame) -> pa.Table:
    verdicts = judge(by_id.loc[read["qa_id"]].reset_index(drop=True), read)
    return _as_scores(read, verdicts)


def _baseline_rows(baselines: Mapping[str, Answered]) -> pa.Table:
    parts = [
        _as_scores(
            one.answers.assign(
                qa_id=one.cases["qa_id"], model=name, sample=0, text=pd.Series(dtype=object), looks=None
            ),
            one.verdicts,
        )
        for name, one in baselines.items()
    ]
    return pa.concat_tables([SCORES.empty_table(), *parts])


def _as_scores(answers: pd.DataFrame, verdicts: pd.DataFrame) -> pa.Table:
    """Rows of table `scores`, ordered by id and sample."""
    failure = answers["failure"].to_numpy(dtype=object)
    failed = np.array([reason is not None for reason in failure], dtype=bool)
    columns: dict[str, Any] = {name: answers[name].to_list() for name in ("qa_id", "model", "sample", "looks")}
    columns["text"] = [text if isinstance(text, str) else None for text in answers["text"]]
    fields = [_nullable(answers[field.name], field.type) for field in TRUTH]
    columns["parsed"] = pa.StructArray.from_arrays(fields, fields=list(TRUTH), mask=pa.array(failed))
    columns["failure"] = failure.tolist()
    columns["success"] = verdicts["success"].tolist()
    columns |= {name: verdicts[name].tolist() for name in ("distance_ok", "bearing_ok", "speed_ok")}
    table = pa.table({name: pa.array(columns[name], SCORES.field(name).type) for name in SCORES.names}, schema=SCORES)
    return table.sort_by([("qa_id", "ascending"), ("sample", "ascending")])


def _nullable(column: pd.Series, kind: pa.DataType) -> pa.Array:
    """Values with null for what is not there; whole numbers as such."""
    if column.name in NUMBERS:
        return pa.array(column.to_numpy(dtype=np.float64), pa.float64(), from_pandas=True).cast(kind)
    return pa.array(column.to_list(), kind)


def _config(
    store: Store, predictions: Path, out: Path, cases: pd.DataFrame, told: pd.DataFrame, splits: list[str]
) -> dict[str, Any]:
    rule = store.manifest().get("steps", {}).get("generate", {}).get("split", {})
    return {
        "store": Path(os.path.relpath(store.root.resolve(), out.resolve())).as_posix(),
        "predictions": predictions.name,
        "predictions_sha256": file_sha256(predictions),
        "model": str(told["model"].iloc[0]),
        "split": ", ".join(splits),
        "split_rule": rule.get("rule") if isinstance(rule, Mapping) else None,
        "questions": len(cases),
        "answers": len(told),
        "samples_per_question": int(told.groupby("qa_id").size().max()),
        "logs": int(cases["log_id"].nunique()),
    }


def _write(
    out: Path, config: Mapping[str, Any], metrics: Mapping[str, Estimate], scores: pa.Table, baselines: pa.Table
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name, table in (("scores", scores), ("baseline_scores", baselines)):
        data = table.replace_schema_metadata({VERSION_KEY: SCHEMA_VERSION.encode()})
        with replacing(out / f"{name}.parquet") as temporary:
            pq.write_table(data, temporary, compression="zstd")
    with replacing(out / "config.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True), encoding="utf-8")
    write_json(out / "metrics.json", {name: estimate.as_json() for name, estimate in metrics.items()})


def _track(
    out: Path, config: Mapping[str, Any], metrics: Mapping[str, Estimate], headline: str, tracking_uri: str | None
) -> None:
    """Log to MLflow; slices stay in metrics.json, which is kept with the run."""
    values = {name: one.value for name, one in metrics.items() if one.value is not None and "slice." not in name}
    with mlflow_run(
        out, "evaluate", tracking_uri=tracking_uri, params=flatten(config), tags={"headline": headline}
    ) as run:
        run.log_metrics(values)
        for name in ("metrics.json", "config.yaml"):
            run.log_artifact(out / name)
