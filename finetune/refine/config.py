"""Settings of a refinement: a recipe is a YAML file over these defaults."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from drive_vqa.config import flatten, strict_config
from drive_vqa.config import load_recipe as load_any_recipe
from finetune.config import LoraSettings
from finetune.rewards.presets import Aggregation

RECIPES = Path(__file__).parent / "recipes"

Algorithm = Literal["grpo", "gspo"]

NO_ZOOM = "none"


@strict_config
@dataclass(frozen=True)
class HeldOut:
    """Looks at held-out questions, before the first step too: one sampled answer each, scored by the same rewards.

    Attributes:
        split: which questions.
        steps: optimizer steps between two looks; 0: none.
        questions: at most so many, chosen once by the seed.
    """

    split: str = "val"
    steps: int = 0
    questions: int = 64

    def __post_init__(self) -> None:
        if self.steps < 0 or self.questions < 1:
            raise ValueError("held_out.steps must be at least 0 and held_out.questions at least 1")


@strict_config
@dataclass(frozen=True)
class RefineConfig:
    """All settings of `refine`. Image size, names of regions and dialect are those that the model was tuned with.

    Attributes:
        seed: of adapter, order and sampling.
        split: which questions are asked.
        families: question families; empty: all.
        types: question types; empty: all.
        kinds: kinds of groups; empty: all.
        rewards: preset of finetune.rewards.presets.
        aggregation: add rewards up and normalize the sum in each group of answers, or normalize each reward and add them up;
            None: as the preset has it.
        algorithm: grpo weighs each token by its own ratio, gspo all tokens of an answer by the mean one.
        completions: answers to each question that are compared with each other.
        questions: asked by each process before an update.
        answers_per_pass: that a device takes at once, whole questions.
        updates: optimizer steps on the answers to a batch of questions; from the second on they are off-policy.
        max_steps: optimizer steps.
        answer_tokens: longest answer; with zoom of a whole dialogue, observations included.
        temperature: of sampling.
        top_p: of sampling.
        kl: weight of the divergence from the model at the start (k3); 0: none.
        clip_low: ratios are clipped below 1 by it.
        clip_high: likewise above 1.
        zoom: preset of finetune.zoom.crops, or "none" for answers without closer looks; None: as the tuned run has it.
        blind: a control: show grey images.
        lora: the adapter, where the tuned run has none; one that it has is trained on.
        learning_rate: peak.
        weight_decay: of all that is trained.
        schedule: how the rate goes after the warm-up.
        warmup_fraction: of all steps, rising linearly.
        max_grad_norm: gradients are clipped to it.
        precision: bf16 autocast or fp32; auto: bf16 on CUDA.
        gradient_checkpointing: compute activations twice instead of keeping them.
        vllm: sample with vLLM in the same process (CUDA; not run by us yet).
        log_steps: optimizer steps between two records.
        checkpoint_steps: optimizer steps between two checkpoints; a multiple of `updates`.
        show_steps: optimizer steps between two pages of answers; 0: none.
        held_out: looks at held-out questions.
    """

    seed: int = 0
    split: str = "train"
    families: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    rewards: str = "drive"
    aggregation: Aggregation | None = None
    algorithm: Algorithm = "grpo"
    completions: int = 8
    questions: int = 8
    answers_per_pass: int = 8
    updates: int = 1
    max_steps: int = 500
    answer_tokens: int = 1024
    temperature: float = 1.0
    top_p: float = 1.0
    kl: float = 0.01
    clip_low: float = 0.2
    clip_high: float = 0.28
    zoom: str | None = None
    blind: bool = False
    lora: LoraSettings = field(default_factory=lambda: LoraSettings(dropout=0.0))
    learning_rate: float = 1e-5
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    warmup_fraction: float = 0.0
    max_grad_norm: float = 1.0
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    gradient_checkpointing: bool = False
    vllm: bool = False
    log_steps: int = 1
    checkpoint_steps: int = 50
    show_steps: int = 25
    held_out: HeldOut = field(default_factory=HeldOut)

    def __post_init__(self) -> None:
        for name, value in flatten(asdict(self)).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{name} must be a finite number, not {value}")
        _check_counts(self)
        _check_ranges(self)

    @property
    def passes(self) -> int:
        """Forward and backward passes whose gradients are added up for a step."""
        return self.questions * self.completions // self.answers_per_pass


def _check_counts(config: RefineConfig) -> None:
    for name in (
        "questions",
        "answers_per_pass",
        "updates",
        "max_steps",
        "answer_tokens",
        "log_steps",
        "checkpoint_steps",
    ):
        if getattr(config, name) < 1:
            raise ValueError(f"{name} must be at least 1")
    if config.completions < 2:
        raise ValueError("completions must be at least 2: answers are compared with each other")
    answers = config.questions * config.completions
    if config.answers_per_pass % config.completions or answers % config.answers_per_pass:
        raise ValueError(
            f"answers_per_pass={config.answers_per_pass} must be a multiple of completions={config.completions}, and questions × "
            f"completions={answers} a multiple of answers_per_pass"
        )
    if config.checkpoint_steps % config.updates:
        raise ValueError(
            f"checkpoint_steps={config.checkpoint_steps} must be a multiple of updates={config.updates}, so that no answers are "
            "lost at a resume"
        )
    if config.split == config.held_out.split:
        raise ValueError(f"split and held_out.split are both {config.split!r}, and what is asked is not held out")


def _check_ranges(config: RefineConfig) -> None:
    if min(config.temperature, config.learning_rate, config.max_grad_norm) <= 0 or not 0 < config.top_p <= 1:
        raise ValueError("temperature, learning_rate and max_grad_norm must be above 0, and top_p in (0, 1]")
    if min(config.kl, config.clip_low, config.clip_high, config.weight_decay, config.show_steps) < 0:
        raise ValueError("kl, clip_low, clip_high, weight_decay and show_steps must be at least 0")
    if not 0 <= config.warmup_fraction < 1 or not 0 <= config.seed < 2**32:
        raise ValueError("warmup_fraction must be in [0, 1), and seed at least 0 and below 2**32")


def load_recipe(recipe: str, overrides: Iterable[str] = ()) -> RefineConfig:
    """A recipe of finetune/refine/recipes, or a YAML file; see `drive_vqa.config.load_recipe`."""
    return load_any_recipe(RefineConfig, RECIPES, recipe, overrides)
