"""What each command takes on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from drive_vqa._version import __version__
from drive_vqa.cli.asking_arguments import add_asking_commands
from drive_vqa.cli.judging_arguments import add_judging_commands
from drive_vqa.cli.options import (
    Commands,
    add_config,
    add_device,
    add_tracking,
    add_workers,
    names,
    naturals,
    new_command,
    pixels,
    positive,
    shares,
    take_overrides,
)
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
    add_asking_commands(commands)
    add_judging_commands(commands)
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


def _add_data_commands(commands: Commands[argparse.ArgumentParser]) -> None:
    synth = new_command(commands, "synth", "make a synthetic data set in nuScenes v1.0 format")
    synth.add_argument("--out", type=Path, required=True, metavar="DIR")
    synth.add_argument("--scenes", type=positive, metavar="N", help="20 s each (default 4)")
    synth.add_argument("--seed", type=int, default=0, metavar="S")
    synth.add_argument("--town", metavar="NAME", help="harbour (default), newtown, oldtown, parkside or riverside")
    synth.add_argument(
        "--rig",
        choices=("full", "front"),
        help="front: one small camera and a sparse lidar, much faster",
    )
    synth.add_argument(
        "--camera-height",
        type=float,
        nargs=2,
        metavar=("LOW_M", "HIGH_M"),
        help="of the front camera over the ground, drawn for each scene (default: 1.51 always)",
    )
    synth.add_argument(
        "--weather",
        type=shares,
        metavar="NAME=SHARE,…",
        help="how likely each is; shares are scaled to add up to 1 (default sun=0.55,dusk=0.17,night=0.14,fog=0.14)",
    )
    synth.add_argument("--first", type=int, metavar="N", help="number of the first scene (default 0)")
    synth.add_argument("--duration", type=float, metavar="SECONDS", help="of a scene (default 20)")
    synth.add_argument(
        "--replay", type=Path, metavar="LOG", help="give the traffic of real logs pixels, not made-up traffic"
    )
    synth.add_argument("--format", choices=FORMATS, default="scenarionet", help="of --replay (default scenarionet)")
    synth.add_argument("--calibration", type=Path, metavar="FILE", help="JSON of the sensors that --replay simulates")
    add_workers(synth)

    ingest = new_command(commands, "ingest", "read driving logs into a store")
    ingest.add_argument("source", type=Path, metavar="SOURCE")
    ingest.add_argument("--format", choices=FORMATS, required=True)
    ingest.add_argument("--out", type=Path, required=True, metavar="STORE")
    ingest.add_argument("--version", metavar="NAME", help="nuScenes: which of several version folders")
    ingest.add_argument("--rate-hz", type=float, metavar="HZ", help="resample to this rate (default: as recorded)")
    add_workers(ingest)

    fuse = new_command(commands, "fuse", "turn boxes into ego-frame tracks with velocities and image boxes")
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
    add_tracking(fuse)
    add_workers(fuse)
    add_config(fuse)

    generate = new_command(commands, "generate", "ask questions about the tracks, with checked answers and evidence")
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
    add_workers(generate)
    add_config(generate)

    export = new_command(commands, "export", "write questions or tracks in the format of other tools")
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
    add_workers(export)

    view = new_command(commands, "view", "show a log from above and through its cameras: GIF, MP4 or a Rerun recording")
    view.add_argument("store", type=Path, metavar="STORE")
    view.add_argument("--log", metavar="ID", help="which log (default: the first)")
    view.add_argument("--out", type=Path, metavar="FILE", help=".gif, .mp4 or .rrd (default: ID.gif)")


def _add_model_commands(commands: Commands[argparse.ArgumentParser]) -> None:
    finetune = new_command(
        commands, "finetune", "train a LoRA adapter, or a small model whole, on the questions of the train split"
    )
    finetune.add_argument("store", type=Path, metavar="STORE")
    finetune.add_argument(
        "--recipe",
        metavar="NAME|FILE",
        help="tiny, tiny_base, stride, cold_start or a YAML file (default: by the model)",
    )
    finetune.add_argument(
        "--model",
        required=True,
        metavar="tiny|PATH|NAME|scratch",
        help="tiny (comes with this package), a local model folder, a name on the hub, or scratch (small, random weights)",
    )
    finetune.add_argument("--out", type=Path, required=True, metavar="RUN")
    finetune.add_argument("--resume", action="store_true", help="go on from the last checkpoint in RUN")
    finetune.add_argument(
        "--sweep",
        action="append",
        metavar="KEY=A,B",
        help="train once for each value of a setting, in RUN/NAME each; several options: every combination",
    )
    add_device(finetune)
    add_tracking(finetune)
    take_overrides(finetune)

    refine = new_command(
        commands, "refine", "go on from a tuned run by reinforcement learning, with rewards that the tracks verify"
    )
    refine.add_argument("store", type=Path, metavar="STORE")
    refine.add_argument(
        "--recipe",
        metavar="NAME|FILE",
        help="drive (default), vigorl, treevgr, open_o3, tiny, tiny_answers or a YAML file",
    )
    refine.add_argument("--adapter", type=Path, required=True, metavar="RUN", help="output of finetune, or of refine")
    refine.add_argument("--out", type=Path, required=True, metavar="RUN")
    refine.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --out")
    add_device(refine)
    add_tracking(refine)
    take_overrides(refine)

    merge = new_command(
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
    add_device(merge)


def _add_whole_commands(commands: Commands[argparse.ArgumentParser]) -> None:
    demo = new_command(commands, "demo", "the whole path from nothing: synthetic drives, questions, training, report")
    demo.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="default: ./demo")
    demo.add_argument("--scenes", type=positive, default=8, metavar="N", help="of 12 s each (default 8)")
    demo.add_argument("--seed", type=int, default=0, metavar="S")
    add_workers(demo)

    bench = new_command(commands, "bench", "build the drives and questions that models are compared on")
    bench.add_argument("--out", type=Path, required=True, metavar="DIR")
    bench.add_argument(
        "--real", type=Path, metavar="DATA", help="folder with recorded driving, for real traffic and real images too"
    )
    bench.add_argument("--scenes", type=positive, default=80, metavar="N", help="synthetic drives (default 80: all)")
    add_workers(bench)

    experiment = new_command(commands, "experiment", "train, ask and score the rows of docs/results.md, and write it")
    experiment.add_argument("--bench", type=Path, required=True, metavar="DIR", help="what bench built")
    experiment.add_argument("--out", type=Path, required=True, metavar="DIR")
    experiment.add_argument("--real", type=Path, metavar="DATA", help="as for bench: rows about real driving too")
    experiment.add_argument("--rows", type=names, default=(), metavar="A,B", help="and what they need (default: all)")
    experiment.add_argument("--seeds", type=naturals, default=(0, 1, 2), metavar="A,B", help="default 0,1,2")
    experiment.add_argument(
        "--results", type=Path, metavar="FILE.md", help="write what is finished; without --rows nothing is run first"
    )
    experiment.add_argument("--list", action="store_true", help="print the rows and their commands, and stop")

    doctor = new_command(commands, "doctor", "say what works on this machine, and how to mend the rest")
    doctor.add_argument("--json", action="store_true")
