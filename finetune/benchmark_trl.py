"""TRL's SFTTrainer on the same questions in the same order, each a sample of its own with its own copy of the images.

It is given what its own documentation asks for: a `datasets.Dataset` of prompt, completion and images, decoded by that library.
Frames are resized and marked beforehand, which our side does anew at each visit. Loss is the mean over the answer tokens of a
whole step on both sides (TRL is told to count them over all its batches of a step, which the class of Qwen2.5-VL has it leave),
answers end with the same token, and its batches have the size that was fastest.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import SequentialSampler
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from drive_vqa.errors import ConfigError
from drive_vqa.marks import marked_frames
from drive_vqa.prompt import build_messages
from drive_vqa.region_forms import style_of
from finetune.benchmark_training import Bench, Clock, Course
from finetune.dataset import Lesson
from finetune.zoom.trl_processor import trl_processor

TRIED_BATCH_SIZES = (1, 4, 8, 16, 32, 64)
TRIED_STEPS = 3


def fastest_batch_size(bench: Bench, frames: Path) -> int:
    """The batch size of TRL that takes least time for the questions of a step."""
    steps = bench.steps()[:TRIED_STEPS]
    count = _questions(steps[0])
    sizes = [size for size in {*TRIED_BATCH_SIZES, count} if count % size == 0]
    times = {size: float(np.median(train_trl(bench, frames, size, steps).step_s)) for size in sorted(sizes)}
    return min(times, key=lambda size: times[size])


def train_trl(bench: Bench, frames: Path, batch_size: int, steps: Sequence[Sequence[Lesson]]) -> Course:
    """Train with TRL.

    Args:
        bench: store, model and recipe.
        frames: folder for the marked frames.
        batch_size: samples the model takes at once; a step has as many questions as ours.
        steps: lessons of each step.

    Raises:
        ConfigError: the batch size does not divide a step, or TRL does not take the settings.
    """
    from trl import SFTTrainer

    class InOrder(SFTTrainer):  # type: ignore[misc]
        def _get_train_sampler(self, *_: Any) -> SequentialSampler:
            return SequentialSampler(self.train_dataset)

    if _questions(steps[0]) % batch_size:
        raise ConfigError(f"batches of {batch_size} do not divide the {_questions(steps[0])} questions of a step")
    clock = Clock()
    trainer = InOrder(
        model=bench.model(),
        args=_arguments(bench, batch_size, steps),
        train_dataset=_dataset(bench, list(itertools.chain(*steps)), frames),
        processing_class=trl_processor(bench.processor),
        callbacks=[clock],
    )
    trainer.model_accepts_loss_kwargs = True
    for callback in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(callback)
    trainer.train()
    recomputes = any(getattr(module, "gradient_checkpointing", False) for module in trainer.model.modules())
    if recomputes != bench.config.gradient_checkpointing:
        raise ConfigError("TRL did not take the setting of gradient checkpointing: the comparison would not be fair")
    return Course.of(trainer, clock, {})


def _arguments(bench: Bench, batch_size: int, steps: Sequence[Sequence[Lesson]]) -> Any:
    from trl import SFTConfig

    # TRL names settings as transformers once did
    with warnings.catch_warnings(category=FutureWarning, action="ignore"):
        return SFTConfig(**_settings(bench, batch_size, steps))


def _settings(bench: Bench, batch_size: int, steps: Sequence[Sequence[Lesson]]) -> dict[str, Any]:
    config = bench.config
    return {
        "output_dir": str(bench.folder / "trl"),
        "per_device_train_batch_size": batch_size,
        "gradient_accumulation_steps": _questions(steps[0]) // batch_size,
        "max_steps": len(steps),
        "learning_rate": config.learning_rates.language or 0.0,
        "lr_scheduler_type": config.schedule,
        "warmup_steps": config.warmup_fraction,
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
        "gradient_checkpointing": config.gradient_checkpointing,  # TRL's default is on
        "bf16": bench.device.type == "cuda",
        "use_cpu": bench.device.type == "cpu",
        "dataloader_num_workers": config.workers,
        "max_length": None,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "seed": config.seed,
    }


def _dataset(bench: Bench, lessons: Sequence[Lesson], frames: Path) -> Any:
    from datasets import Dataset, Image, disable_progress_bars
    from datasets import Sequence as Many

    disable_progress_bars()
    samples = [sample for lesson in lessons for sample in _samples(bench, lesson, frames)]
    columns = {name: [sample[name] for sample in samples] for name in ("prompt", "completion", "images")}
    return Dataset.from_dict(columns).cast_column("images", Many(Image()))


def _samples(bench: Bench, lesson: Lesson, frames: Path) -> list[dict[str, Any]]:
    processor, group = bench.processor, lesson.group
    images = _marked(bench, group, frames)
    end = processor.tokenizer.convert_ids_to_tokens(processor.end_id)
    prompts = [
        processor.tokenizer.apply_chat_template(
            build_messages(group, question), tokenize=False, add_generation_prompt=True
        )
        for question in lesson.questions
    ]
    return [
        {"prompt": prompt, "completion": f"{question['answer']}{end}", "images": images}
        for prompt, question in zip(prompts, lesson.questions, strict=True)
    ]


def _marked(bench: Bench, group: dict[str, Any], frames: Path) -> list[str]:
    """Files of the marked frames of a group, without loss, so that both sides see the same pixels."""
    frames.mkdir(parents=True, exist_ok=True)
    paths = [frames / f"{group['group_id']}-{number}.png" for number in range(len(group["context"]))]
    if not all(path.exists() for path in paths):
        shown = marked_frames(bench.store, group, bench.config.image_size_px, style=style_of(bench.config.regions))
        for path, image in zip(paths, shown, strict=True):
            image.save(path)
    return [str(path) for path in paths]


def _questions(lessons: Sequence[Lesson]) -> int:
    return sum(len(lesson.questions) for lesson in lessons)
