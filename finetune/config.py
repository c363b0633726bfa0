"""Settings of a training run: a recipe is a YAML file over these defaults."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from drive_vqa.config import load_config, strict_config
from drive_vqa.errors import ConfigError

RECIPES = Path(__file__).parent / "recipes"


@strict_config
@dataclass(frozen=True)
class LoraSettings:
    """What of the model is trained.

    Attributes:
        rank: of the low-rank update.
        alpha: its scale is alpha / rank.
        dropout: on the input of the update.
        targets: regular expression over whole module names; None: every linear layer of the language model and none of the
            vision tower.
        modules_to_save: modules that are trained in full and kept in the adapter, by the last part of their name.
    """

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05
    targets: str | None = None
    modules_to_save: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha < 1 or not 0 <= self.dropout < 1:
            raise ValueError("lora.rank and lora.alpha must be at least 1, and lora.dropout in [0, 1)")


@strict_config
@dataclass(frozen=True)
class DensePretraining:
    """Teaching the vision tower to localize, before any language; see finetune.dense_pretraining.

    Attributes:
        steps: 0 leaves it out.
        batch_size: images a step.
        learning_rate: peak, of all but matrices.
        muon_learning_rate: peak, of matrices.
    """

    steps: int = 0
    batch_size: int = 16
    learning_rate: float = 2e-3
    muon_learning_rate: float = 0.02

    def __post_init__(self) -> None:
        if self.steps < 0 or self.batch_size < 1 or min(self.learning_rate, self.muon_learning_rate) <= 0:
            raise ValueError("dense_pretraining needs steps ≥ 0, batch_size ≥ 1 and learning rates above 0")


@strict_config
@dataclass(frozen=True)
class FinetuneConfig:
    """All settings of `finetune`.

    Attributes:
        seed: of weights, order and dropout.
        split: which questions are learned.
        families: question families; empty: all.
        image_size_px: (width, height) that frames are resized to before marks are drawn.
        pack: all questions of a group in one sequence behind their shared images; the result is the same as without.
        questions_per_sequence: larger groups are cut into several sequences.
        batch_size: sequences a step and device.
        gradient_accumulation: steps whose gradients are added up.
        epochs: passes over the data, unless `max_steps` is set.
        max_steps: optimizer steps.
        max_seconds: stop training at the next step after so long; where that happens the result depends on the machine.
        optimizer: adamw, or muon for matrices with adamw for the rest.
        learning_rate: peak; `muon_learning_rate` for the matrices under muon.
        warmup_fraction: of all steps, rising linearly; the learning rate then falls along a cosine to 0.
        max_grad_norm: gradients are clipped to it.
        precision: bf16 autocast or fp32; auto: bf16 on CUDA.
        gradient_checkpointing: compute activations twice instead of keeping them; for large models.
        workers: processes that decode and mark images; 0: none.
        cache_images: keep decoded frames in memory; for small data without workers.
        log_steps: optimizer steps between two records of loss and throughput.
        checkpoint_steps: optimizer steps between two checkpoints.
    """

    seed: int = 0
    split: str = "train"
    families: tuple[str, ...] = ()
    image_size_px: tuple[int, int] = (532, 336)
    pack: bool = True
    questions_per_sequence: int = 32
    batch_size: int = 1
    gradient_accumulation: int = 8
    epochs: float = 1.0
    max_steps: int | None = None
    max_seconds: float | None = None
    optimizer: Literal["adamw", "muon"] = "adamw"
    learning_rate: float = 5e-5
    muon_learning_rate: float = 0.01
    weight_decay: float = 0.0
    warmup_fraction: float = 0.05
    max_grad_norm: float = 1.0
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    gradient_checkpointing: bool = False
    workers: int = 2
    cache_images: bool = False
    log_steps: int = 10
    checkpoint_steps: int = 500
    lora: LoraSettings = field(default_factory=LoraSettings)
    dense_pretraining: DensePretraining = field(default_factory=DensePretraining)

    def __post_init__(self) -> None:
        for name in ("questions_per_sequence", "batch_size", "gradient_accumulation", "log_steps", "checkpoint_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        for name in ("epochs", "learning_rate", "muon_learning_rate", "max_grad_norm"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0")
        if min(self.image_size_px) < 56 or max(self.image_size_px) > 4096:
            raise ValueError("image_size_px must lie between 56 and 4096")
        if any(limit is not None and limit <= 0 for limit in (self.max_steps, self.max_seconds)):
            raise ValueError("max_steps and max_seconds must be above 0 where set")
        if self.workers < 0 or self.weight_decay < 0 or not 0 <= self.warmup_fraction < 1:
            raise ValueError("workers and weight_decay must be at least 0, and warmup_fraction in [0, 1)")
        if self.cache_images and self.workers:
            raise ValueError("cache_images needs workers=0: each worker would hold a copy of its own")


def load_recipe(recipe: str, overrides: Iterable[str] = ()) -> FinetuneConfig:
    """A recipe by its name in finetune/recipes, or by the path of a YAML file, with dotted overrides over it.

    Raises:
        ConfigError: there is no such recipe, or a setting is wrong.
    """
    named = RECIPES / f"{recipe}.yaml"
    file = named if named.is_file() else Path(recipe)
    if not file.is_file():
        names = ", ".join(sorted(path.stem for path in RECIPES.glob("*.yaml")))
        raise ConfigError(f"there is no recipe {recipe!r}: give a YAML file or one of {names}")
    return load_config(FinetuneConfig, file, overrides)
