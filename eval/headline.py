"""An evaluation in a few sentences: how well the model locates, whether it is below constant velocity, what it was asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eval.baselines import CONSTANT_VELOCITY
from eval.statistics import Estimate


def headline_sentence(config: Mapping[str, Any], metrics: Mapping[str, Estimate]) -> str:
    """The headline numbers of a model, and how far its answers stand for the split.

    Args:
        config: of the evaluation: model, split, questions, questions_of_split and answered.
        metrics: by dotted name.
    """
    parts = [_located(config["model"], metrics), _asked(config["questions"], config["questions_of_split"])]
    splits = config["split"].split(", ")
    if "train" in splits:
        parts.append("Questions of the split train are among them: this is no test.")
    elif len(splits) > 1:
        parts.append(f"Questions of {len(splits)} splits are scored as one: {config['split']}.")
    missing = config["questions"] - config["answered"]
    if missing:
        parts.append(f"{missing:,} of {config['questions']:,} questions have no answer and count as wrong.")
    return " ".join(part for part in parts if part)


def _located(model: str, metrics: Mapping[str, Estimate]) -> str:
    mlsr, tlc = metrics["localization.mlsr"], metrics["localization.tlc"]
    if mlsr.value is None:
        accuracy = metrics["accuracy"]
        return f"{model}: accuracy {_percent(accuracy)} (n = {accuracy.n}); no localization questions were asked."
    sentence = f"{model}: MLSR {_percent(mlsr)}, TLC {_percent(tlc)} (n = {tlc.n} targets{_moments(tlc)})"
    other = metrics.get(f"baseline.{CONSTANT_VELOCITY}.localization.mlsr")
    if other is None or other.value is None:
        return f"{sentence}."
    relation = "below" if mlsr.value < other.value else "above" if mlsr.value > other.value else "equal to"
    return f"{sentence}; {relation} constant velocity from the true state (MLSR {_percent(other)})."


def _moments(estimate: Estimate) -> str:
    """What an interval stands on, where that is not several logs."""
    return f", {estimate.clusters} moments of one log" if estimate.cluster_kind == "frame" else ""


def _asked(asked: int, of_split: int) -> str:
    return "" if asked == of_split else f"Asked were {asked:,} of the {of_split:,} questions of the split."


def _percent(estimate: Estimate) -> str:
    if estimate.value is None:
        return "none"
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.value:.1f} %"
    return f"{100 * estimate.value:.1f} % [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"
