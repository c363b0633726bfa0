"""What the commands do that judge answers and show what came of it."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from drive_vqa.cli.asking_steps import selection
from drive_vqa.errors import ConfigError
from drive_vqa.store import Store

if TYPE_CHECKING:
    from eval.predict import Selection

logger = logging.getLogger(__name__)

CHOSEN = ("families", "types", "forms", "kinds", "limit")


def _evaluate(arguments: argparse.Namespace) -> int:
    from eval.evaluate import evaluate
    from eval.gate import read_gate

    if arguments.gate is not None:
        read_gate(arguments.gate)  # a fault in it shows before the work is done
    headline = evaluate(
        Store.open(arguments.store),
        arguments.predictions,
        arguments.out,
        split=arguments.split,
        selection=_selection(arguments),
        traces=arguments.traces,
        controls=_controls(arguments),
        fused=None if arguments.fused is None else Store.open(arguments.fused),
        training=None if arguments.training is None else Store.open(arguments.training),
        step=arguments.step,
        tracking_uri=arguments.tracking_uri,
    )
    logger.info("%s\nmetrics: %s", headline, arguments.out / "metrics.json")
    return 0 if arguments.gate is None else _hold(arguments.out, arguments.gate)


def _selection(arguments: argparse.Namespace) -> Selection | None:
    """What was asked, where the command line says it; else the predictions file does."""
    if not any(getattr(arguments, name) for name in CHOSEN):
        return None
    if arguments.split is None:
        raise ConfigError(f"{', '.join(f'--{name}' for name in CHOSEN)} need --split: the questions are chosen in it")
    return selection(arguments, arguments.split)


def _controls(arguments: argparse.Namespace) -> dict[str, Path]:
    controls = dict(arguments.control)
    if len(controls) < len(arguments.control):
        raise ConfigError("two files are given for one --control: name each control once")
    return controls


def _gate(arguments: argparse.Namespace) -> int:
    return _hold(arguments.evaluation, arguments.gate)


def _hold(evaluation: Path, gate: Path) -> int:
    from eval.gated import gate_evaluation

    result = gate_evaluation(evaluation, gate)
    for verdict in result.broken:
        logger.warning("%s", verdict.sentence)
    held = len(result.verdicts) - len(result.broken)
    logger.info("gate: %d of %d limits hold; %s", held, len(result.verdicts), evaluation / "gate.md")
    return 0 if result.passed else 1


def _compare(arguments: argparse.Namespace) -> int:
    from eval.compare import compare
    from eval.tracked import track_comparison

    told = compare(arguments.evaluations, arguments.out)
    track_comparison(arguments.out, told, tracking_uri=arguments.tracking_uri)
    logger.info("%s\ncompared: %s", told, arguments.out / "comparison.html")
    return 0


def _score(arguments: argparse.Namespace) -> int:
    from eval.benchmarks.score import score_benchmark

    told = score_benchmark(arguments.benchmark, arguments.data, arguments.predictions, arguments.out)
    logger.info("%s\nmetrics: %s", told, arguments.out / "metrics.json")
    return 0


def _write_report(arguments: argparse.Namespace) -> int:
    from eval.report import write_report
    from eval.tracked import keep_with_evaluation

    page = write_report(arguments.evaluation, arguments.out)
    keep_with_evaluation(arguments.evaluation, [page])
    logger.info("report: %s", page)
    return 0


def _explore(arguments: argparse.Namespace) -> int:
    from eval.explore import explore

    explore(arguments.store, arguments.evaluation, port=arguments.port, open_browser=not arguments.no_browser)
    return 0


JUDGING: dict[str, Callable[[argparse.Namespace], int]] = {
    "evaluate": _evaluate,
    "gate": _gate,
    "compare": _compare,
    "score": _score,
    "report": _write_report,
    "explore": _explore,
}
