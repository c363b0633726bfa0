"""How fast training is: packed rows against TRL's SFTTrainer on one-question samples, on the same machine and model.

    python -m finetune.benchmark                                     the tiny model: 1, 8, 30 and 60 questions a group
    python -m finetune.benchmark --shape 3b                          Qwen2.5-VL-3B's shape with random weights; needs a GPU
    python -m finetune.benchmark --shape 7b --size 532 336 --lessons-per-row 3 --workers 8
    python -m finetune.benchmark --plain                             our own training without packing besides
    python -m finetune.benchmark --memory                            memory and open files over an epoch of 10,000 questions

All sides start from the same weights and see the same questions in the same order, equally many in each step, with the same
adapter, optimizer and learning rate. Frames are painted and read from JPEG files. The sides take turns for some rounds; a figure
is the median over all steps but the first of each round, with the quartiles; the losses of the first round are printed below.
MFU is printed where the GPU's peak is known; see finetune.flops for what it counts.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from finetune.benchmark_data import Painted, paint_store
from finetune.benchmark_memory import print_memory
from finetune.benchmark_models import build_processor
from finetune.benchmark_training import Bench, Course, train_ours
from finetune.config import FinetuneConfig, LearningRates, LoraSettings
from finetune.dataset import lesson_texts, read_index
from finetune.tiny_tokenizer import build_tokenizer


@dataclass(frozen=True, eq=False)
class Side:
    """One of those compared, over all rounds."""

    name: str
    courses: tuple[Course, ...]

    def rates(self, questions: int, of: Literal["step_s", "cpu_s"] = "step_s") -> tuple[float, float, float]:
        """Quartiles of the questions a second, of the clock or of processors; the median is the second."""
        seconds = np.concatenate([getattr(course, of) for course in self.courses])
        low, median, high = np.percentile(questions / np.maximum(seconds, 1e-9), (25, 50, 75))
        return float(low), float(median), float(high)


def main() -> None:
    """Print the figures."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    print(machine(device))
    if arguments.memory:
        with tempfile.TemporaryDirectory() as folder:
            print_memory(memory_bench(arguments, device, Path(folder)))
        return
    for questions in arguments.questions:
        with tempfile.TemporaryDirectory() as folder:
            _compare(make_bench(arguments, device, Path(folder), questions), arguments, questions)


def machine(device: torch.device) -> str:
    """What the figures were made on."""
    gpu = f", {torch.cuda.get_device_name(device)}" if device.type == "cuda" else ""
    threads = f"{torch.get_num_threads()} threads on {os.cpu_count()} cores"
    return f"{platform.processor() or platform.machine()}, {threads}{gpu}, torch {torch.__version__}"


def make_bench(arguments: argparse.Namespace, device: torch.device, folder: Path, questions: int) -> Bench:
    """Paint what is learned, and size rows so that each holds `--lessons-per-row` groups."""
    steps_hold = arguments.lessons_per_row * arguments.rows
    painted = Painted(arguments.steps * steps_hold, questions, arguments.frames)
    return fitted(_bench(arguments, device, folder, painted), arguments.lessons_per_row)


def memory_bench(arguments: argparse.Namespace, device: torch.device, folder: Path) -> Bench:
    """An epoch of 10,000 questions in 1,000 steps; workers are taken as asked for."""
    arguments.steps, arguments.frames, arguments.size, arguments.rows = 1000, 1, [56, 56], 1
    return fitted(_bench(arguments, device, folder, Painted(1000, 10, 1)), 1)


def fitted(bench: Bench, lessons_per_row: int) -> Bench:
    """Rows that hold exactly so many lessons."""
    whole = replace(bench.config, tokens_per_row=2**30)
    tokens = read_index(bench.store, whole, bench.processor).tokens
    limit = int(tokens.max()) * lessons_per_row
    if int(tokens.min()) * (lessons_per_row + 1) <= limit:
        raise ValueError("groups differ too much in length for so many in a row")
    return replace(bench, config=replace(bench.config, tokens_per_row=limit))


def _bench(arguments: argparse.Namespace, device: torch.device, folder: Path, painted: Painted) -> Bench:
    config = FinetuneConfig(
        seed=0,
        image_size_px=tuple(arguments.size),
        batch_size=1,
        gradient_accumulation=arguments.rows,
        max_steps=arguments.steps,
        learning_rates=LearningRates(language=arguments.learning_rate),
        lora=LoraSettings(rank=16, alpha=32, dropout=0.0),
        warmup_fraction=0.0,
        gradient_checkpointing=arguments.gradient_checkpointing,
        workers=arguments.workers,
        log_steps=1,
        checkpoint_steps=10**9,
        probe_steps=0,
    )
    store = paint_store(folder, painted)
    processor = build_processor(build_tokenizer(lesson_texts(store, config)))
    return Bench(store, processor, config, arguments.shape, device, folder / "runs")


def _compare(bench: Bench, arguments: argparse.Namespace, questions: int) -> None:
    in_step = questions * arguments.lessons_per_row * arguments.rows
    runs: dict[str, Callable[[], Course]] = {"packed": lambda: train_ours(bench, "packed")}
    if arguments.plain:
        plain = replace(bench, config=replace(bench.config, pack=False))
        runs["plain"] = lambda: train_ours(plain, "plain")
    frames = f"{arguments.frames} frames of {arguments.size[0]}×{arguments.size[1]}"
    print(
        f"\n{questions} questions a group, {frames}, {in_step} questions a step, {bench.config.tokens_per_row} tokens a row"
    )
    if find_spec("trl") is None or find_spec("datasets") is None:
        print("trl or datasets is not installed: the comparison with TRL is skipped")
    elif not arguments.no_trl:
        runs["trl"] = _trl(bench, arguments.trl_batch_size)
    turns = [{name: run() for name, run in runs.items()} for _ in range(arguments.rounds)]
    sides = [Side(name, tuple(turn[name] for turn in turns)) for name in runs]
    _print_rates(bench, sides, in_step)
    _print_losses(sides)


def _trl(bench: Bench, batch_size: int | None) -> Callable[[], Course]:
    from finetune.benchmark_trl import fastest_batch_size, train_trl

    frames = bench.folder / "marked"
    size = batch_size or fastest_batch_size(bench, frames)
    print(f"TRL with batches of {size}, {'as asked for' if batch_size else 'the fastest of those tried'}")
    return lambda: train_trl(bench, frames, size, bench.steps())


def _print_rates(bench: Bench, sides: Sequence[Side], questions: int) -> None:
    """By the clock; on a CPU that others use too also by the time of processors, which they disturb less."""
    kinds: dict[Literal["step_s", "cpu_s"], str] = {"step_s": "s"}
    if bench.device.type == "cpu" and not bench.config.workers:
        kinds["cpu_s"] = "CPU second"
    for kind, unit in kinds.items():
        first = sides[0].rates(questions, kind)[1]
        for side in sides:
            low, median, high = side.rates(questions, kind)
            ratio = "" if side is sides[0] else f"; packed is {first / median:.1f} times as fast"
            print(f"{side.name:7} {median:9.1f} questions/{unit} ({low:.1f} to {high:.1f}){ratio}")
    for side in sides:
        shown = [f"{name.removeprefix('speed/')} {value:.4g}" for name, value in side.courses[-1].speed.items()]
        print(f"{side.name:7} {', '.join(shown) or 'is not metered'}")


def _print_losses(sides: Sequence[Side]) -> None:
    """Both curves of the first round, and how far they are apart."""
    curves = {side.name: side.courses[0].losses for side in sides}
    packed = curves["packed"]
    for name, losses in curves.items():
        points = losses[np.unique(np.linspace(0, len(losses) - 1, 10).astype(int))]
        print(f"loss {name:7}" + " ".join(f"{loss:.4f}" for loss in points))
    for name, losses in curves.items():
        if name != "packed":
            apart = np.abs(losses - packed)
            print(f"loss of {name} and packed differ by at most {apart.max():.2g} (first step {apart[0]:.2g})")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m finetune.benchmark", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--shape", choices=("tiny", "3b", "7b"), default="tiny", help="of the model")
    parser.add_argument("--questions", type=int, nargs="+", default=[1, 8, 30, 60], help="of a group")
    parser.add_argument("--frames", type=int, default=4, help="of a group")
    parser.add_argument("--size", type=int, nargs=2, default=[224, 112], metavar=("WIDTH", "HEIGHT"), help="of a frame")
    parser.add_argument("--lessons-per-row", type=int, default=1, help="groups in a packed row")
    parser.add_argument("--rows", type=int, default=1, help="rows a step, one after another")
    parser.add_argument("--steps", type=int, default=10, help="of each round")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--workers", type=int, default=0, help="processes that decode images, for each side")
    parser.add_argument("--trl-batch-size", type=int, help="default: the fastest of some")
    parser.add_argument("--gradient-checkpointing", action="store_true")
    parser.add_argument("--plain", action="store_true", help="our own training without packing besides")
    parser.add_argument("--no-trl", action="store_true", help="leave TRL out")
    parser.add_argument("--memory", action="store_true", help="memory and open files instead of speed")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device")
    return parser.parse_args()


if __name__ == "__main__":
    main()
