"""Score a predictions file: parse, judge, compare with baselines and controls, and write it all down.

    EVAL/scores.parquet            one row an answer: parsed value or why not, success
    EVAL/baseline_scores.parquet   the same for the baselines; `model` is the baseline's name, no text
    EVAL/unanswered.parquet        `qa_id` of the questions that were asked and have no answer
    EVAL/metrics.json              dotted name → value, n, low, high, clusters, cluster_kind (docs/metrics.md says what each is)
    EVAL/calibration.json          curves of confidence against success, from repeated answers (eval.calibration)
    EVAL/config.yaml               what was evaluated

Beside the model's own (eval.panel, eval.critical, eval.trained_agents, eval.consistency, eval.calibration) there are metrics with
a prefix:

    baseline.NAME.        those of a baseline (eval.baselines), on the questions that it has answers to, and of what the model
                          itself says of the present, held for all times (eval.held)
    control.NAME.         those of the model under a control (eval.controls), on the questions that were asked so
    versus.NAME.          MLSR and accuracy of the model minus that of the baseline, paired, on the same questions
    versus.control.NAME.  likewise, the control

A probe (eval.controls) gives `consistency.NAME.*` instead. Questions that were asked and have no prediction count as failed and
show in `coverage`; which were asked the predictions file says, else it was the whole split. Of repeated answers the first sample
makes the metrics; all are in scores.parquet. Where the model was asked for reasoning traces, `eval.evidence.table` adds how well
what they claim is grounded.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from drive_vqa.config import to_dict
from drive_vqa.errors import ConfigError, PredictionError
from drive_vqa.store import Store, file_sha256, replacing, write_json
from drive_vqa.traces import Dialect
from eval.asked import AskedQuestions, asked_questions, selected_ids, splits_answered
from eval.calibration import calibrate
from eval.consistency.probes import TURNED_BACK, probe_samples
from eval.consistency.single_run import consistency_samples
from eval.controls.by_name import NAMES
from eval.critical import critical_samples
from eval.evidence.table import evidence_metrics
from eval.headline import headline_sentence
from eval.held import OWN_PRESENT, own_present
from eval.judged import Judged, differences, judge_baselines, judge_predictions
from eval.panel import Answered, Sample, estimates, hallucination_on_control, panel
from eval.predict.selection import Selection, control_asked, selection_of
from eval.predictions import read_predictions
from eval.score_files import baseline_rows, score_rows, write_scores, write_unanswered
from eval.statistics import Estimate
from eval.tracked import track_evaluation
from eval.trained_agents import split_rule, trained_agent_samples

BY_LOG = "slice.log."
UNSEEN = ("blank", "no_image", "other_log")
"""Controls under which no number can be known: who still tells one makes it up."""


def evaluate(
    store: Store,
    predictions: Path,
    out: Path,
    *,
    split: str | None = None,
    selection: Selection | None = None,
    traces: Dialect | None = None,
    controls: Mapping[str, Path] | None = None,
    fused: Store | None = None,
    training: Store | None = None,
    step: int | None = None,
    tracking_uri: str | None = None,
) -> str:
    """Score predictions.

    Args:
        store: with the questions that were asked, and the tracks for the baselines.
        predictions: Parquet or JSON lines with `qa_id` and `text`.
        out: folder of the evaluation.
        split: evaluate this one; default: all splits that the predictions touch.
        selection: the questions that were asked; default: what the predictions file says of it.
        traces: dialect of the reasoning traces that the model was asked for, whose evidence is judged; default: none was.
        controls: predictions of the same model under controls and probes, by their names (eval.controls).
        fused: the same logs with tracks fused from measurements, for one more baseline.
        training: whose `train` split tells the baselines what is usual; default: that of `store`.
        step: of training, that the metrics belong to in MLflow.
        tracking_uri: of MLflow; default: a SQLite store in `out`.

    Returns:
        The headline in words: how the model stands, also against constant velocity.

    Raises:
        PredictionError: a file cannot be read or does not fit the store's questions.
        ConfigError: `out` is a file, or there is no such control.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file: give --out a folder for the evaluation")
    asked = asked_questions(store, predictions, split, selection)
    judged = judge_predictions(asked.cases, asked.told)
    others = _controls(store, asked.cases, controls or {})
    baselines = judge_baselines(store, asked.cases, fused, training)
    baselines[OWN_PRESENT] = own_present(judged.answered)
    calibration = calibrate(asked.cases, judged.read)
    metrics = {
        **_of_model(store, judged.answered),
        **calibration.metrics,
        **_of_others(store, "baseline.", "versus.", judged.answered, baselines),
        **_of_controls(store, judged.answered, others),
    }
    if traces is not None:
        metrics |= evidence_metrics(store, judged.answered, judged.read, traces)
    config = {**_config(store, predictions, out, asked, judged), "traces": traces, "controls": sorted(others)}
    config["fused"] = None if fused is None else fused.root.name
    config["training"] = None if training is None else training.root.name
    headline = headline_sentence(config, metrics)
    out.mkdir(parents=True, exist_ok=True)
    (out / "metrics.json").unlink(missing_ok=True)  # written last: where it is, all the other files belong to it
    write_scores(score_rows(judged), out / "scores.parquet")
    write_scores(baseline_rows(baselines), out / "baseline_scores.parquet")
    write_unanswered(judged.answered, out / "unanswered.parquet")
    write_json(out / "calibration.json", calibration.curves)
    with replacing(out / "config.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")
    write_json(out / "metrics.json", {name: estimate.as_json() for name, estimate in metrics.items()})
    track_evaluation(store, out, config, metrics, headline, step=step, tracking_uri=tracking_uri)
    return headline


def _controls(store: Store, cases: pd.DataFrame, controls: Mapping[str, Path]) -> dict[str, Answered]:
    """What was answered under each control to those of the cases that were asked so."""
    others = {}
    for name, path in controls.items():
        if name not in NAMES:
            raise ConfigError(f"there is no control {name!r}: choose one of {', '.join(NAMES)}")
        told = read_predictions(path)
        under = control_asked(path)
        if under not in (None, name):
            raise ConfigError(f"{path} was asked {f'under {under}' if under else 'as stored'}: it is no control {name}")
        splits_answered(store, told, path)
        selection = selection_of(path)
        ids = told["qa_id"] if selection is None else selected_ids(store, selection, path).to_pandas()
        asked = cases[cases["qa_id"].isin(ids)].reset_index(drop=True)
        if asked.empty:
            raise PredictionError(f"{path} answers none of the questions that are evaluated: ask the same under {name}")
        others[name] = judge_predictions(asked, told).answered
    return others


def _of_model(store: Store, model: Answered) -> dict[str, Estimate]:
    return estimates({**_samples(store, model), **consistency_samples(model)}, model.cases)


def _samples(store: Store, answered: Answered) -> dict[str, Sample]:
    return {**panel(answered), **critical_samples(store, answered), **trained_agent_samples(store, answered)}


def _of_controls(store: Store, model: Answered, others: Mapping[str, Answered]) -> dict[str, Estimate]:
    """Of controls and probes, and what a control tells about made-up answers."""
    samples: dict[str, Sample] = {}
    found: dict[str, Estimate] = {}
    for name, other in others.items():
        if name in TURNED_BACK:
            samples |= probe_samples(model, other, name)
        if name in UNSEEN:
            found |= estimates(hallucination_on_control(other, name), other.cases)
    controls = {name: other for name, other in others.items() if name not in TURNED_BACK}
    return {
        **estimates(samples, model.cases),
        **found,
        **_of_others(store, "control.", "versus.control.", model, controls),
    }


def _of_others(
    store: Store, prefix: str, versus: str, model: Answered, others: Mapping[str, Answered]
) -> dict[str, Estimate]:
    """The metrics of each other answerer, but not log by log, and how the model differs from it."""
    found: dict[str, Estimate] = {}
    for name, other in others.items():
        samples = {metric: one for metric, one in _samples(store, other).items() if not metric.startswith(BY_LOG)}
        found |= {f"{prefix}{name}.{metric}": one for metric, one in estimates(samples, other.cases).items()}
        found |= {f"{versus}{name}.{metric}": one for metric, one in differences(model, other).items()}
    return found


def _config(store: Store, predictions: Path, out: Path, asked: AskedQuestions, judged: Judged) -> dict[str, Any]:
    of_question = judged.read.groupby("qa_id").size()
    return {
        "store": Path(os.path.relpath(store.root.resolve(), out.resolve())).as_posix(),
        "predictions": predictions.name,
        "predictions_sha256": file_sha256(predictions),
        "model": str(asked.told["model"].iloc[0]),
        "split": ", ".join(asked.splits),
        "split_rule": split_rule(store),
        "selection": _chosen(asked.selection),
        "questions_of_split": asked.questions_of_split,
        "questions": len(asked.cases),
        "questions_sha256": hashlib.sha256("\n".join(sorted(asked.cases["qa_id"])).encode()).hexdigest(),
        "answered": int(judged.answered.present.sum()),
        "answers": len(judged.read),
        "samples_per_question": int(of_question.max()) if len(of_question) else 0,
        "logs": int(asked.cases["log_id"].nunique()),
    }


def _chosen(selection: Selection | None) -> dict[str, Any]:
    """What was chosen of the split; nothing where all of it was asked."""
    if selection is None:
        return {}
    everything = to_dict(Selection(selection.split))
    return {name: value for name, value in to_dict(selection).items() if value != everything[name]}
