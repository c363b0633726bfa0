"""How fast questions are answered: the frames of a group read once for all its questions, against one question at a time.

    python -m finetune.benchmark_prediction                          the tiny model: 13 questions a group, 4 frames of 532×336
    python -m finetune.benchmark_prediction --adapter RUN            a tuned model in place of random weights
    python -m finetune.benchmark_prediction --shape 3b               random weights of a real shape; needs a GPU

Three sides answer the same questions about the same frames, greedily: `shared` as `drive-vqa predict` does, `single` and
`batched` by the library's own `generate`, one question at a time and a group at once. Answers are compared. Medians over rounds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from PIL import Image

from drive_vqa.marks import marked_frames
from drive_vqa.prompt import Message, build_messages
from drive_vqa.store import Store
from drive_vqa.vlm import Vlm, left_padded, load_run
from eval.predict import questions_to_ask
from finetune.benchmark import machine
from finetune.benchmark_data import Painted, paint_store
from finetune.benchmark_models import Shape, build_model, build_processor
from finetune.tiny_tokenizer import build_tokenizer

LOUDER = 4.0
"""Random weights of the library's size say the same whatever they are asked; with larger ones answers can be compared."""

Group = tuple[list[list[Message]], list[Image.Image]]
"""Conversations, and the frames that they are all about."""


def main() -> None:
    """Print questions a second of each side, ratios, and how many answers differ."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    print(machine(device))
    with tempfile.TemporaryDirectory() as folder:
        painted = Painted(arguments.groups, arguments.questions, arguments.frames)
        groups = _groups(paint_store(Path(folder), painted), tuple(arguments.size))
    vlm = _vlm(arguments, device, [message[0]["content"][-1]["text"] for some, _ in groups for message in some])
    sides: dict[str, Callable[[Group], list[str]]] = {
        "shared": lambda group: vlm.generate(group[0], [group[1]] * len(group[0]), arguments.tokens),
        "single": lambda group: [
            text for one in group[0] for text in _by_library(vlm, [one], group[1], arguments.tokens)
        ],
        "batched": lambda group: _by_library(vlm, group[0], group[1], arguments.tokens),
    }
    texts = {name: [text for group in groups for text in answer(group)] for name, answer in sides.items()}
    differ = sum(one != other for one, other in zip(texts["shared"], texts["single"], strict=True))
    asked = len(texts["single"])
    print(
        f"{differ} of {asked} answers differ between shared and single, {len(set(texts['single']))} answers are distinct"
    )
    _print({name: _seconds(answer, groups, arguments.rounds) for name, answer in sides.items()}, asked)


def _print(seconds: dict[str, tuple[float, float]], asked: int) -> None:
    for name, (wall_s, processor_s) in seconds.items():
        ratio = seconds["single"][1] / processor_s
        print(
            f"{name:8} {asked / wall_s:7.2f} questions/s, {asked / processor_s:7.2f} a processor second, {ratio:.1f}×"
        )


def _seconds(answer: Callable[[Group], list[str]], groups: list[Group], rounds: int) -> tuple[float, float]:
    """Medians over rounds, of the clock and of processors."""
    spent = []
    for _ in range(rounds):
        began = np.array([time.perf_counter(), time.process_time()])
        for group in groups:
            answer(group)
        spent.append(np.array([time.perf_counter(), time.process_time()]) - began)
    wall_s, processor_s = np.median(spent, axis=0)
    return float(wall_s), float(processor_s)


def _by_library(vlm: Vlm, conversations: list[list[Message]], frames: list[Image.Image], tokens: int) -> list[str]:
    """The library's `generate`, which reads the frames anew for every conversation."""
    images = [vlm.processor.images(frames) for _ in conversations]
    prompts = [vlm.processor.prompt_ids(*pair) for pair in zip(conversations, images, strict=True)]
    inputs = {name: value.to(vlm.device) for name, value in left_padded(prompts, images, vlm.processor).items()}
    config = vlm.generation_config()
    config.max_new_tokens = tokens
    with torch.inference_mode():
        output = vlm.model.generate(**inputs, generation_config=config)
    said = vlm.processor.tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return [text.strip() for text in said]


def _groups(store: Store, size_px: tuple[int, int]) -> list[Group]:
    """Conversations of each group with its frames decoded once: how long that takes is the same for all."""
    groups: dict[str, Group] = {}
    for asked in questions_to_ask(store, "train"):
        group = groups.setdefault(asked.question["group_id"], ([], marked_frames(store, asked.group, size_px)))
        group[0].append(build_messages(asked.group, asked.question))
    return list(groups.values())


def _vlm(arguments: argparse.Namespace, device: torch.device, texts: list[str]) -> Vlm:
    if arguments.adapter is not None:
        return load_run(arguments.adapter, None, device=str(device))
    processor = build_processor(build_tokenizer(texts))
    model: Any = build_model(arguments.shape, processor.tokenizer, device)
    with torch.no_grad():
        for weights in model.model.language_model.layers.parameters():
            weights.mul_(LOUDER if weights.ndim > 1 else 1.0)
    return Vlm(model.eval(), processor)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=get_args(Shape), default="tiny")
    parser.add_argument("--adapter", type=Path, help="a run of `drive-vqa finetune`, in place of random weights")
    parser.add_argument("--groups", type=int, default=4)
    parser.add_argument("--questions", type=int, default=13)
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--size", type=int, nargs=2, default=(532, 336), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--tokens", type=int, default=12, help="longest answer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device")
    return parser.parse_args()


if __name__ == "__main__":
    main()
