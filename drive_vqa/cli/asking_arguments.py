"""What the commands take that ask a model."""

from __future__ import annotations

import argparse
from pathlib import Path

from drive_vqa.cli.options import (
    Commands,
    above_zero,
    add_device,
    at_least_zero,
    names,
    natural,
    new_command,
    pixels,
    positive,
)
from drive_vqa.traces import DIALECTS

MODEL = "tiny|PATH|NAME|URL"
CONTROLS = (
    "blank, no_image, shuffled, other_log, hide_evidence, hide_region, hide_random, boxes_as_text, without_reasoning, "
    "paraphrase, option_order, swap_roles or mirror"
)


def add_asking_commands(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add predict, search, confidence and vote."""
    _add_predict(commands)
    _add_search(commands)
    _add_voting(commands)


def add_selection(command: argparse.ArgumentParser) -> None:
    """Which questions of a split are meant."""
    command.add_argument("--types", type=names, default=(), metavar="A,B", help="of questions (default: all)")
    command.add_argument("--families", type=names, default=(), metavar="A,B", help="object, ego, future, when_where, …")
    command.add_argument("--forms", type=names, default=(), metavar="A,B", help="open, choice, yes_no")
    command.add_argument("--kinds", type=names, default=(), metavar="A,B", help="of groups: single, sequence, …")
    command.add_argument(
        "--limit", type=positive, metavar="N", help="so many questions at most, in whole groups of all logs in turn"
    )


def _add_predict(commands: Commands[argparse.ArgumentParser]) -> None:
    predict = new_command(commands, "predict", "answer the questions of a split with a model")
    predict.add_argument("store", type=Path, metavar="STORE")
    predict.add_argument(
        "--split",
        default="test",
        metavar="NAME",
        help="train, val, test or bench: the questions of STRIDE-QA-Bench about logs of the test split (default test)",
    )
    predict.add_argument(
        "--model",
        required=True,
        metavar=MODEL,
        help="a folder, a name on the hub, an OpenAI-compatible server; tiny: the base of --adapter, or that of this package",
    )
    predict.add_argument("--adapter", type=Path, metavar="RUN", help="folder of a finished run of finetune or refine")
    predict.add_argument("--out", type=Path, required=True, metavar="PRED.parquet")
    add_selection(predict)
    predict.add_argument("--control", metavar="NAME", help=f"show or ask otherwise: {CONTROLS}")
    predict.add_argument("--batch-size", type=positive, default=16, metavar="N")
    predict.add_argument(
        "--samples", type=positive, default=1, metavar="N", help="answers to each question (default 1)"
    )
    predict.add_argument("--temperature", type=above_zero, metavar="T", help="draw answers (default: the likeliest)")
    predict.add_argument(
        "--seed", type=natural, default=0, metavar="S", help="of drawn answers and controls (default 0)"
    )
    add_device(predict)
    _add_server(predict)


def _add_server(predict: argparse.ArgumentParser) -> None:
    server = predict.add_argument_group("with a server as --model", "its key, if it wants one: DRIVE_VQA_MODEL_KEY")
    server.add_argument("--served-name", metavar="NAME", help="of the model there (default: the only one)")
    server.add_argument(
        "--checkpoint",
        type=Path,
        metavar="DIR",
        help="what is served, where it is at hand: says units, size and regions",
    )
    server.add_argument("--units", choices=("pixels", "thousandths"), help="what it gives boxes in (default pixels)")
    server.add_argument("--size", type=pixels, metavar="WxH", help="of the images it is sent (default: as recorded)")
    server.add_argument("--concurrency", type=positive, metavar="N", help="requests at a time (default 8)")
    server.add_argument("--max-tokens", type=positive, metavar="N", help="longest answer (default 256)")
    server.add_argument("--price-in", type=at_least_zero, metavar="X", help="for a million tokens sent")
    server.add_argument("--price-out", type=at_least_zero, metavar="X", help="for a million tokens received")


def _add_search(commands: Commands[argparse.ArgumentParser]) -> None:
    search = new_command(
        commands, "search", "find reasoning for a cold start by tree search with a teacher; needs no tracks"
    )
    search.add_argument("store", type=Path, metavar="STORE")
    search.add_argument("--split", default="train", metavar="NAME", help="default train")
    search.add_argument(
        "--teacher",
        required=True,
        metavar="URL|PATH|NAME|tiny",
        help="a server that speaks OpenAI's chat completions, or as --model of predict",
    )
    search.add_argument("--out", type=Path, required=True, metavar="FILE.parquet")
    search.add_argument("--adapter", type=Path, metavar="RUN", help="of a teacher that is loaded here")
    search.add_argument("--served-name", metavar="NAME", help="of a served teacher (default: the only one there)")
    search.add_argument(
        "--units", choices=("pixels", "thousandths"), default="pixels", help="what a served teacher gives points in"
    )
    search.add_argument("--size", type=pixels, metavar="WxH", help="of the images it is sent (default: as recorded)")
    search.add_argument("--temperature", type=above_zero, default=1.0, metavar="T", help="default 1")
    search.add_argument("--per-question", type=positive, default=8, metavar="N", help="simulations (default 8)")
    search.add_argument("--children", type=positive, default=3, metavar="N", help="of a step (default 3)")
    search.add_argument("--depth", type=positive, default=6, metavar="N", help="steps before an answer (default 6)")
    search.add_argument("--calls", type=positive, default=64, metavar="N", help="requests a question (default 64)")
    search.add_argument("--chains", type=positive, default=8, metavar="N", help="kept of each style (default 8)")
    search.add_argument("--only-verified", action="store_true", help="leave out chains with a point beside its target")
    search.add_argument("--seed", type=natural, default=0, metavar="S")
    search.add_argument("--limit", type=positive, metavar="N", help="only N questions, drawn by the seed (default all)")
    search.add_argument("--workers", type=positive, metavar="N", help="questions side by side, for servers (default 1)")
    add_device(search)


def _add_voting(commands: Commands[argparse.ArgumentParser]) -> None:
    confidence = new_command(commands, "confidence", "ask a model how well the evidence in its answers supports them")
    confidence.add_argument("store", type=Path, metavar="STORE")
    confidence.add_argument("--predictions", type=Path, required=True, metavar="SAMPLES.parquet")
    confidence.add_argument("--model", required=True, metavar="tiny|PATH|NAME", help="as for predict")
    confidence.add_argument("--adapter", type=Path, metavar="RUN")
    confidence.add_argument("--out", type=Path, required=True, metavar="FILE.parquet")
    confidence.add_argument(
        "--traces", choices=DIALECTS, default="drive", help="dialect of the answers (default drive)"
    )
    confidence.add_argument("--batch-size", type=positive, default=16, metavar="N")
    add_device(confidence)

    vote = new_command(commands, "vote", "make one answer of several samples: by majority, and by confidence")
    vote.add_argument("store", type=Path, metavar="STORE")
    vote.add_argument("--predictions", type=Path, required=True, metavar="SAMPLES.parquet")
    vote.add_argument("--out", type=Path, required=True, metavar="VOTED.parquet")
    vote.add_argument("--samples", type=positive, default=8, metavar="N", help="that vote (default 8)")
    vote.add_argument("--confidence", type=Path, metavar="FILE", help="of these samples, see the command confidence")
