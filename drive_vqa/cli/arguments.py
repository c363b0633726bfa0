"""What each command takes on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from drive_vqa._version import __version__
from drive_vqa.traces import DIALECTS

FORMATS = ("nuscenes", "pandaset", "kitti", "av2", "scenarionet")
TRACK_EXPORTS = ("kitti-tracking", "nuscenes-tracking")
TRACES = ("none", "chain", "corrected", "direct", "mixed")
QUESTION_EXPORTS = ("messages", "llamafactory", "ms-swift", "vlmevalkit", "lmms-eval", "stride-bench", "open-o3", "hf")


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="drive-vqa", description="Driving logs in, a trained and honestly scored driving VLM out."
    )
    parser.add_argument("--version", action="version", version=f"drive-vqa {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_data_commands(commands)
    _add_model_commands(commands)
    _add_whole_commands(commands)
    return parser


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse a command line; words of the form key.sub=value go to `overrides` of the commands that take settings."""
    parser = build_parser()
    arguments, words = parser.parse_known_args(argv)
    unknown = [word for word in words if word.startswith("-") or "=" not in word or "overrides" not in arguments]
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if words:
        arguments.overrides = words
    return arguments


Commands = argparse._SubParsersAction


def _add_data_commands(commands: Commands[argparse.ArgumentParser]) -> None:
    synth = _command(commands, "synth", "make a synthetic data set in nuScenes v1.0 format")
    synth.add_argument("--out", type=Path, required=True, metavar="DIR")
    synth.add_argument("--scenes", type=positive, default=4, metavar="N", help="20 s each (default 4)")
    synth.add_argument("--seed", type=int, default=0, metavar="S")
    synth.add_argument("--town", default="harbour", metavar="NAME", help="harbour (default), oldtown or parkside")
    synth.add_argument(
        "--rig",
        choices=("full", "front"),
        default="full",
        help="front: one small camera and a sparse lidar, much faster",
    )
    synth.add_argument("--first", type=int, default=0, metavar="N", help="number of the first scene (default 0)")
    synth.add_argument("--duration", type=float, default=20.0, metavar="SECONDS", help="of a scene (default 20)")
    synth.add_argument(
        "--replay", type=Path, metavar="LOG", help="give the traffic of real logs pixels, not made-up traffic"
    )
    synth.add_argument("--format", choices=FORMATS, default="scenarionet", help="of --replay (default scenarionet)")
    synth.add_argument("--calibration", type=Path, metavar="FILE", help="JSON of the sensors that --replay simulates")
    _add_workers(synth)

    ingest = _command(commands, "ingest", "read driving logs into a store")
    ingest.add_argument("source", type=Path, metavar="SOURCE")
    ingest.add_argument("--format", choices=FORMATS, required=True)
    ingest.add_argument("--out", type=Path, required=True, metavar="STORE")
    ingest.add_argument("--version", metavar="NAME", help="nuScenes: which of several version folders")
    ingest.add_argument("--rate-hz", type=float, metavar="HZ", help="resample to this rate (default: as recorded)")
    _add_workers(ingest)

    fuse = _command(commands, "fuse", "turn boxes into ego-frame tracks with velocities and image boxes")
    fuse.add_argument("store", type=Path, metavar="STORE")
    fuse.add_argument("--from", dest="source", choices=("annotations", "detections", "sensors"), default="annotations")
    fuse.add_argument(
        "--detections",
        type=Path,
        metavar="PATH",
        help="boxes of a 3D detector: nuScenes or ego-frame JSON, or KITTI-style folder",
    )
    fuse.add_argument(
        "--evaluate", action="store_true", help="judge the tracks by the labels: STORE/quality/quality.html"
    )
    fuse.add_argument("--max-range", type=float, default=float("inf"), metavar="M", help="judge only what is this near")
    fuse.add_argument("--devkit", action="store_true", help="judge by nuscenes-devkit's tracking evaluation too (slow)")
    _add_tracking(fuse)
    _add_workers(fuse)
    _add_config(fuse)

    generate = _command(commands, "generate", "ask questions about the tracks, with checked answers and evidence")
    generate.add_argument("store", type=Path, nargs="?", metavar="STORE")
    generate.add_argument(
        "--families", metavar="A,B", help="of object, ego, future, when_where, unanswerable (default: all)"
    )
    generate.add_argument("--forms", metavar="A,B", help="of open, choice, yes_no (default: all)")
    generate.add_argument("--list", action="store_true", help="print every question type and stop")
    generate.add_argument(
        "--preview", type=positive, metavar="N", help="also write STORE/preview.html: N questions of each type"
    )
    generate.add_argument("--executor", choices=("local", "ray"), default="local", help="ray: an existing Ray cluster")
    generate.add_argument(
        "--address", metavar="HOST:PORT", help="of the Ray cluster (default: $RAY_ADDRESS, else this machine's)"
    )
    _add_workers(generate)
    _add_config(generate)

    export = _command(commands, "export", "write questions or tracks in the format of other tools")
    export.add_argument("store", type=Path, metavar="STORE")
    export.add_argument("--to", choices=(*QUESTION_EXPORTS, *TRACK_EXPORTS), required=True)
    export.add_argument("--out", type=Path, required=True, metavar="DIR")
    export.add_argument(
        "--split", metavar="A,B", help="questions of these splits (default: all that the format is for)"
    )
    export.add_argument("--size", type=pixels, metavar="WxH", help="of the images (default: as recorded)")
    export.add_argument(
        "--traces",
        choices=TRACES,
        default="none",
        help="write reasoning traces as answers: messages and llamafactory only",
    )
    export.add_argument("--trace-dialect", choices=DIALECTS, help="how traces are written down (default drive)")
    export.add_argument("--trace-seed", type=int, metavar="N", help="of mixed and corrected traces (default 0)")
    _add_workers(export)

    view = _command(commands, "view", "show a log from above and through its cameras: GIF, MP4 or a Rerun recording")
    view.add_argument("store", type=Path, metavar="STORE")
    view.add_argument("--log", metavar="ID", help="which log (default: the first)")
    view.add_argument("--out", type=Path, metavar="FILE", help=".gif, .mp4 or .rrd (default: ID.gif)")


def _add_model_commands(commands: Commands[argparse.ArgumentParser]) -> None:
    finetune = _command(
        commands, "finetune", "train a LoRA adapter, or a small model whole, on the questions of the train split"
    )
    finetune.add_argument("store", type=Path, metavar="STORE")
    finetune.add_argument(
        "--recipe",
        metavar="NAME|FILE",
        help="tiny, stride, cold_start or a YAML file (default: tiny or stride, by the model)",
    )
    finetune.add_argument(
        "--model", required=True, metavar="tiny|PATH|NAME", help="tiny, a local model folder or a name on the hub"
    )
    finetune.add_argument("--out", type=Path, required=True, metavar="RUN")
    finetune.add_argument("--resume", action="store_true", help="go on from the last checkpoint in RUN")
    finetune.add_argument(
        "--sweep",
        action="append",
        metavar="KEY=A,B",
        help="train once for each value of a setting, in RUN/NAME each; several options: every combination",
    )
    _add_device(finetune)
    _add_tracking(finetune)
    _take_overrides(finetune)

    refine = _command(
        commands, "refine", "go on from a tuned run by reinforcement learning, with rewards that the tracks verify"
    )
    refine.add_argument("store", type=Path, metavar="STORE")
    refine.add_argument(
        "--recipe", metavar="NAME|FILE", help="drive (default), vigorl, treevgr, open_o3 or a YAML file"
    )
    refine.add_argument("--adapter", type=Path, required=True, metavar="RUN", help="output of finetune, or of refine")
    refine.add_argument("--out", type=Path, required=True, metavar="RUN")
    refine.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --out")
    _add_device(refine)
    _add_tracking(refine)
    _take_overrides(refine)

    merge = _command(
        commands, "merge", "write an adapter and its base as one ordinary checkpoint, and check that it answers alike"
    )
    merge.add_argument("run", type=Path, metavar="RUN")
    merge.add_argument("--out", type=Path, required=True, metavar="DIR")
    merge.add_argument("--model", type=Path, metavar="PATH", help="the base, where it is no longer where RUN says")
    merge.add_argument(
        "--dtype",
        choices=("auto", "bf16", "fp16", "fp32"),
        default="auto",
        help="of the weights (default: the base's own)",
    )
    _add_device(merge)

    predict = _command(commands, "predict", "answer the questions of a split with a model")
    predict.add_argument("store", type=Path, metavar="STORE")
    predict.add_argument("--split", default="test", metavar="NAME")
    predict.add_argument(
        "--model",
        required=True,
        metavar="tiny|PATH|NAME",
        help="a folder or a name on the hub; tiny: the base of --adapter",
    )
    predict.add_argument("--adapter", type=Path, metavar="RUN")
    predict.add_argument("--out", type=Path, required=True, metavar="PRED.parquet")
    predict.add_argument("--batch-size", type=positive, default=16, metavar="N")
    predict.add_argument(
        "--limit",
        type=positive,
        metavar="N",
        help="only the first N questions; `evaluate` counts all others of the split as wrong",
    )
    control = predict.add_mutually_exclusive_group()
    control.add_argument("--blank", action="store_true", help="a control: grey images in place of the frames")
    control.add_argument(
        "--hide",
        choices=("evidence", "random"),
        help="a control: paint out what the answer rests on, or as much of something else",
    )
    predict.add_argument(
        "--samples", type=positive, default=1, metavar="N", help="answers to each question (default 1)"
    )
    predict.add_argument("--temperature", type=above_zero, metavar="T", help="draw answers (default: the likeliest)")
    predict.add_argument(
        "--seed", type=natural, default=0, metavar="S", help="of drawn answers and random boxes (default 0)"
    )
    _add_device(predict)

    search = _command(
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
    _add_device(search)

    confidence = _command(commands, "confidence", "ask a model how well the evidence in its answers supports them")
    confidence.add_argument("store", type=Path, metavar="STORE")
    confidence.add_argument("--predictions", type=Path, required=True, metavar="SAMPLES.parquet")
    confidence.add_argument("--model", required=True, metavar="tiny|PATH|NAME", help="as for predict")
    confidence.add_argument("--adapter", type=Path, metavar="RUN")
    confidence.add_argument("--out", type=Path, required=True, metavar="FILE.parquet")
    confidence.add_argument(
        "--traces", choices=DIALECTS, default="drive", help="dialect of the answers (default drive)"
    )
    confidence.add_argument("--batch-size", type=positive, default=16, metavar="N")
    _add_device(confidence)

    vote = _command(commands, "vote", "make one answer of several samples: by majority, and by confidence")
    vote.add_argument("store", type=Path, metavar="STORE")
    vote.add_argument("--predictions", type=Path, required=True, metavar="SAMPLES.parquet")
    vote.add_argument("--out", type=Path, required=True, metavar="VOTED.parquet")
    vote.add_argument("--samples", type=positive, default=8, metavar="N", help="that vote (default 8)")
    vote.add_argument("--confidence", type=Path, metavar="FILE", help="of these samples, see the command confidence")

    evaluate = _command(commands, "evaluate", "score predictions: localization, consistency, safety, with baselines")
    evaluate.add_argument("store", type=Path, metavar="STORE")
    evaluate.add_argument("--predictions", type=Path, required=True, metavar="PRED.parquet|PRED.jsonl")
    evaluate.add_argument("--out", type=Path, required=True, metavar="EVAL")
    evaluate.add_argument(
        "--traces",
        choices=DIALECTS,
        help="judge the evidence in reasoning traces of this dialect too (default: none asked for)",
    )
    _add_tracking(evaluate)

    report = _command(commands, "report", "write one self-contained HTML page of an evaluation")
    report.add_argument("evaluation", type=Path, metavar="EVAL")
    report.add_argument("--out", type=Path, required=True, metavar="report.html")


def _add_whole_commands(commands: Commands[argparse.ArgumentParser]) -> None:
    demo = _command(commands, "demo", "the whole path from nothing: synthetic drives, questions, training, report")
    demo.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="default: ./demo")
    demo.add_argument("--scenes", type=positive, default=8, metavar="N", help="of 12 s each (default 8)")
    demo.add_argument("--seed", type=int, default=0, metavar="S")
    _add_workers(demo)

    doctor = _command(commands, "doctor", "say what works on this machine, and how to mend the rest")
    doctor.add_argument("--json", action="store_true")


def _command(commands: Commands[argparse.ArgumentParser], name: str, summary: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=f"{summary[0].upper()}{summary[1:]}."
    )
    return command


def _add_workers(command: argparse.ArgumentParser) -> None:
    command.add_argument("--workers", type=positive, metavar="N", help="processes (default: the number of cores)")


def _add_config(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", type=Path, metavar="FILE", help="YAML settings")
    _take_overrides(command)


def _take_overrides(command: argparse.ArgumentParser) -> None:
    """Settings may stand anywhere after the command, which argparse alone cannot do: see `parse`."""
    command.usage = f"{command.format_usage().removeprefix('usage: ').rstrip()} [key.sub=value ...]"
    command.set_defaults(overrides=[])


def _add_device(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", metavar="cpu|cuda", help="default: cuda where there is one")


def _add_tracking(command: argparse.ArgumentParser) -> None:
    command.add_argument("--tracking-uri", metavar="URI", help="MLflow store (default: sqlite in the output folder)")


def pixels(text: str) -> tuple[int, int]:
    """A size such as 532x336: width and height in pixels."""
    width, _, height = text.partition("x")
    return positive(width), positive(height)


def above_zero(text: str) -> float:
    """A finite number above 0."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} must be a finite number above 0")
    return number


def natural(text: str) -> int:
    """A whole number of at least 0."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} must be at least 0")
    return number


def positive(text: str) -> int:
    """A whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} must be at least 1")
    return number
