"""How fast a step of reinforcement learning is: shared prompts against TRL's GRPOTrainer alone, same machine, model and answers.

    python -m finetune.refine.benchmark                     the tiny model: 4 frames of 224×112, 8 questions with 8 answers each
    python -m finetune.refine.benchmark --shape 3b --size 532 336 --tokens 256      random weights of a real shape; needs a GPU

Both sides ask the same questions, draw equally many answers of equally many tokens (the end of a turn is never drawn), and make
an update with the same adapter, KL included. They take turns; figures are medians over all steps but the first of each turn.
Before that, log-probabilities of one batch of answers are computed by both.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import TrainerCallback

from drive_vqa.vlm import ChatProcessor, image_token_types
from drive_vqa.vlm.dialogues import on_device
from drive_vqa.vlm.sampling import Decoding, Sampling
from finetune.adapter import prepare
from finetune.arguments import recomputation
from finetune.benchmark import machine
from finetune.benchmark_data import Painted, paint_store
from finetune.benchmark_models import Shape, build_model, build_processor
from finetune.config import FinetuneConfig, LearningRates, LoraSettings
from finetune.dataset import LessonDataset, lesson_texts, read_index
from finetune.refine.frames import ShownFrame
from finetune.refine.shared_prompts import SharedPrompts
from finetune.refine.turn_processor import TurnProcessor
from finetune.tiny_tokenizer import build_tokenizer
from finetune.zoom.trl_processor import trl_processor

PARTS = ("generation", "rewards", "update")


@dataclass(frozen=True, eq=False)
class Bench:
    """What both sides have in common."""

    arguments: argparse.Namespace
    processor: ChatProcessor
    dataset: LessonDataset
    device: torch.device
    folder: Path

    def model(self) -> Any:
        """The model with its adapter; the same weights at each call."""
        shape: Shape = self.arguments.shape
        model = build_model(shape, self.processor.tokenizer, self.device)
        model.generation_config.eos_token_id = self.processor.end_id
        torch.manual_seed(0)
        return prepare(model, self.processor.family, self.dataset.config, self.folder)

    def never_drawn(self) -> tuple[int, ...]:
        """Tokens of images, and those that end a turn."""
        return tuple(sorted(int(token) for token in self.processor.tokenizer.added_tokens_decoder))


class _Clocked:
    """Mixed in before all else: seconds of the clock and of processors that parts of a step take."""

    def __init__(self, *, clock: _Clock, **options: Any) -> None:
        self._clock = clock
        super().__init__(**options)

    def _generate(self, *arguments: Any) -> Any:
        with self._clock.part("generation"):
            return super()._generate(*arguments)  # type: ignore[misc]

    def _calculate_rewards(self, *arguments: Any) -> Any:
        with self._clock.part("rewards"):
            return super()._calculate_rewards(*arguments)  # type: ignore[misc]


class _Clock(TrainerCallback):  # type: ignore[misc]
    """Of one turn; `steps[part]` has (seconds, processor seconds) of each step but the first."""

    def __init__(self) -> None:
        self.steps: dict[str, list[np.ndarray]] = defaultdict(list)
        self._parts: dict[str, np.ndarray] = {}
        self._began = _now()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        began = _now()
        yield
        self._parts[name] = _now() - began

    def on_step_begin(self, *_: Any, **_more: Any) -> None:
        """Inputs of the first micro-batch have been made before this: the clock runs from the end of the last step."""

    def on_step_end(self, _args: Any, state: Any, *_: Any, **_more: Any) -> None:
        """Keep the step."""
        whole = _now() - self._began
        rest = whole - sum(self._parts.values())
        if state.global_step > 1:
            for name, spent in {**self._parts, "update": rest, "step": whole}.items():
                self.steps[name].append(spent)
        self._parts, self._began = {}, _now()


def main() -> None:
    """Print the figures."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    print(machine(device))
    frames = f"{arguments.frames} frames of {arguments.size[0]}×{arguments.size[1]}"
    answers = f"{arguments.questions} questions × {arguments.completions} answers of {arguments.tokens} tokens"
    with tempfile.TemporaryDirectory() as folder:
        bench = _bench(arguments, device, Path(folder))
        print(f"{arguments.shape}: {frames}, {answers}, KL {arguments.kl}")
        print(f"log-probabilities of one batch differ by at most {_greatest_difference(bench):.2g} nats")
        sides: dict[str, Callable[[], _Clock]] = {"shared": lambda: _train(bench, shared=True)}
        sides["trl"] = lambda: _train(bench, shared=False)
        turns = [{name: run() for name, run in sides.items()} for _ in range(arguments.rounds)]
        _print({name: [turn[name] for turn in turns] for name in sides})


def _print(clocks: Mapping[str, list[_Clock]]) -> None:
    """Medians by the clock and by processors, and ratios."""
    for place, unit in enumerate(("s", "processor s")):
        median = {
            name: {
                part: float(np.median([one[place] for clock in own for one in clock.steps[part]]))
                for part in (*PARTS, "step")
            }
            for name, own in clocks.items()
        }
        for name, own in median.items():
            split = ", ".join(f"{part} {own[part]:.3f}" for part in PARTS)
            print(f"{name:7} {own['step']:.3f} {unit} a step ({split})")
        ratios = {
            part: median["trl"][part] / max(median["shared"][part], 1e-9) for part in ("step", "generation", "update")
        }
        print("shared is " + ", ".join(f"{ratio:.1f} times as fast in a {part}" for part, ratio in ratios.items()))


def _greatest_difference(bench: Bench) -> float:
    """Between log-probabilities by both sides, of answers to one batch."""
    shared, alone = _trainer(bench, _Clock(), shared=True), _trainer(bench, _Clock(), shared=False)
    shared.model.train()
    count = bench.arguments.questions
    rows = [shared.train_dataset[row] for row in range(count) for _ in range(bench.arguments.completions)]
    batch = shared._generate_and_score_completions(rows)
    ids, mask = (torch.cat([batch[f"prompt_{what}"], batch[f"completion_{what}"]], dim=1) for what in ("ids", "mask"))
    width = batch["completion_ids"].shape[1]
    sequences = [own[seen.bool()].tolist() for own, seen in zip(ids, mask, strict=True)]
    prompts, dialogues = batch["rollout"].dialogues(sequences, batch["rollout"].shown)
    images = [prompts[dialogue.prompt].images for dialogue in dialogues]
    pixels = on_device(bench.processor.join_images(images), bench.device)
    pixels["mm_token_type_ids"] = image_token_types(ids, bench.processor)
    with torch.no_grad(), shared.accelerator.autocast():
        ours, _, _ = shared._get_per_token_logps_and_entropies(
            shared.model, ids, mask, width, bench.arguments.completions
        )
        theirs, _, _ = alone._get_per_token_logps_and_entropies(
            alone.model,
            ids,
            mask,
            width,
            bench.arguments.completions,
            num_images=[bench.arguments.frames] * len(ids),
            **pixels,
        )
    return float(((ours - theirs) * batch["completion_mask"]).abs().max())


def _train(bench: Bench, *, shared: bool) -> _Clock:
    clock = _Clock()
    trainer = _trainer(bench, clock, shared=shared)
    trainer.add_callback(clock)
    trainer.train()
    return clock


def _trainer(bench: Bench, clock: _Clock, *, shared: bool) -> Any:
    from trl import GRPOTrainer

    arguments, chat = bench.arguments, bench.processor
    options: dict[str, Any] = {
        "clock": clock,
        "model": bench.model(),
        "reward_funcs": [_length],
        "args": _settings(bench),
        "train_dataset": _questions(bench, shared=shared),
    }
    if not shared:
        kind = type("Alone", (_Clocked, GRPOTrainer), {})
        return kind(processing_class=trl_processor(chat), **options)
    kind = type("Shared", (_Clocked, SharedPrompts, GRPOTrainer), {})
    decoding = Decoding(arguments.tokens, bench.never_drawn(), (chat.end_id,), Sampling())
    return kind(processing_class=TurnProcessor(chat), chat=chat, decoding=decoding, **options)


def _settings(bench: Bench) -> Any:
    from trl import GRPOConfig

    arguments = bench.arguments
    return GRPOConfig(
        output_dir=str(bench.folder / "out"),
        per_device_train_batch_size=arguments.answers_per_pass,
        gradient_accumulation_steps=arguments.questions * arguments.completions // arguments.answers_per_pass,
        num_generations=arguments.completions,
        max_completion_length=arguments.tokens,
        generation_kwargs={"suppress_tokens": list(bench.never_drawn())},
        max_steps=arguments.steps,
        learning_rate=1e-6,
        beta=arguments.kl,
        loss_type="grpo",
        bf16=bench.device.type == "cuda",
        use_cpu=bench.device.type == "cpu",
        report_to="none",
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        **recomputation(enabled=arguments.gradient_checkpointing),
    )


def _questions(bench: Bench, *, shared: bool) -> Any:
    """Prompts with their frames; decoded and marked beforehand, so that neither side waits for files."""
    from datasets import Dataset

    from drive_vqa.prompt import build_messages

    shown = [bench.dataset.shown(lesson) for lesson in range(len(bench.dataset))]
    frames = [[ShownFrame(image) if shared else image for image in one.frames] for one in shown]

    def prompt(row: int) -> list[dict[str, Any]]:
        lesson, images = shown[row].lesson, iter(frames[row])
        (turn,) = build_messages(lesson.group, {**lesson.questions[0], "answer": None})
        content = [{**part, "image": next(images)} if part["type"] == "image" else part for part in turn["content"]]
        return [{**turn, "content": content}]

    rows = Dataset.from_dict({"row": list(range(len(shown)))})
    return rows.with_transform(lambda batch: {"prompt": [prompt(row) for row in batch["row"]], "row": batch["row"]})


def _length(completions: list[Any], **_: Any) -> list[float]:
    """A reward that tells answers apart and costs nothing."""
    return [float(len(completion[0]["content"])) for completion in completions]


def _bench(arguments: argparse.Namespace, device: torch.device, folder: Path) -> Bench:
    config = FinetuneConfig(
        image_size_px=tuple(arguments.size),
        lora=LoraSettings(rank=16, alpha=32, dropout=0.0),
        learning_rates=LearningRates(language=1e-6),
        tokens_per_row=2**30,
        workers=0,
    )
    store = paint_store(folder, Painted(arguments.questions * arguments.steps, 1, arguments.frames))
    processor = build_processor(build_tokenizer(lesson_texts(store, config)))
    return Bench(
        arguments, processor, LessonDataset(store, read_index(store, config, processor), config), device, folder
    )


def _now() -> np.ndarray:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return np.array([time.perf_counter(), time.process_time()])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m finetune.refine.benchmark", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--shape", choices=("tiny", "3b", "7b"), default="tiny", help="of the model")
    parser.add_argument("--questions", type=int, default=8, help="a step")
    parser.add_argument("--completions", type=int, default=8, help="answers to each question")
    parser.add_argument("--answers-per-pass", type=int, default=16, help="in a micro-batch")
    parser.add_argument("--tokens", type=int, default=96, help="of an answer")
    parser.add_argument("--frames", type=int, default=4, help="of a question")
    parser.add_argument("--size", type=int, nargs=2, default=[224, 112], metavar=("WIDTH", "HEIGHT"), help="of a frame")
    parser.add_argument("--kl", type=float, default=0.01)
    parser.add_argument("--steps", type=int, default=4, help="of each turn")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each side")
    parser.add_argument("--gradient-checkpointing", action="store_true")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device")
    return parser.parse_args()


if __name__ == "__main__":
    main()
