"""What the commands take that judge answers and show what came of it."""

from __future__ import annotations

import argparse
from pathlib import Path

from drive_vqa.cli.asking_arguments import add_selection
from drive_vqa.cli.options import Commands, add_tracking, named_file, natural, new_command
from drive_vqa.traces import DIALECTS

PREDICTIONS = "PRED.parquet|PRED.jsonl"


def add_judging_commands(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add evaluate, gate, compare, score, report and explore."""
    _add_evaluate(commands)
    gate = new_command(commands, "gate", "hold an evaluation against limits; exit status 1 where one breaks")
    gate.add_argument("evaluation", type=Path, metavar="EVAL")
    gate.add_argument("--gate", type=Path, required=True, metavar="FILE", help="YAML with limits")

    compare = new_command(commands, "compare", "compare evaluations, paired on the same questions: regressions first")
    compare.add_argument("evaluations", type=Path, nargs="+", metavar="EVAL", help="two or more; the first is the base")
    compare.add_argument("--out", type=Path, required=True, metavar="DIR")
    add_tracking(compare)

    score = new_command(commands, "score", "score predictions made on a published benchmark, from its local files")
    score.add_argument("benchmark", metavar="BENCHMARK", help="see docs/benchmarks.md")
    score.add_argument("--data", type=Path, required=True, metavar="PATH")
    score.add_argument("--predictions", type=Path, required=True, metavar=PREDICTIONS)
    score.add_argument("--out", type=Path, required=True, metavar="DIR")

    report = new_command(commands, "report", "write one self-contained HTML page of an evaluation")
    report.add_argument("evaluation", type=Path, metavar="EVAL")
    report.add_argument("--out", type=Path, required=True, metavar="report.html")

    explore = new_command(commands, "explore", "browse logs, tracks, questions and answers in a local page")
    explore.add_argument("store", type=Path, metavar="STORE")
    explore.add_argument(
        "--evaluation", type=Path, action="append", default=[], metavar="EVAL", help="shown beside; may be repeated"
    )
    explore.add_argument("--port", type=natural, default=0, metavar="N", help="on 127.0.0.1 (default: a free one)")
    explore.add_argument("--no-browser", action="store_true", help="only say the address")


def _add_evaluate(commands: Commands[argparse.ArgumentParser]) -> None:
    evaluate = new_command(commands, "evaluate", "score predictions: localization, consistency, safety, with baselines")
    evaluate.add_argument("store", type=Path, metavar="STORE")
    evaluate.add_argument("--predictions", type=Path, required=True, metavar=PREDICTIONS)
    evaluate.add_argument("--out", type=Path, required=True, metavar="EVAL")
    evaluate.add_argument("--split", metavar="NAME", help="of the questions (default: that of the predictions)")
    add_selection(evaluate)
    evaluate.add_argument(
        "--traces",
        choices=DIALECTS,
        help="judge the evidence in reasoning traces of this dialect too (default: none asked for)",
    )
    evaluate.add_argument(
        "--control",
        type=named_file,
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="answers of the same model under a control (predict --control NAME), shown beside; may be repeated",
    )
    evaluate.add_argument(
        "--fused", type=Path, metavar="STORE", help="the same logs with fused tracks: one more baseline"
    )
    evaluate.add_argument(
        "--training", type=Path, metavar="STORE", help="whose train split tells what answers are usual (default: STORE)"
    )
    evaluate.add_argument("--gate", type=Path, metavar="FILE", help="limits; exit status 1 where one breaks")
    evaluate.add_argument("--step", type=natural, metavar="N", help="of training, for MLflow")
    add_tracking(evaluate)
