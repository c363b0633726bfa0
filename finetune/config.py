"""Settings of a training run: a recipe is a YAML file over these defaults."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from drive_vqa.config import flatten, strict_config
from drive_vqa.config import load_recipe as load_any_recipe
from drive_vqa.region_forms import RegionForm
from drive_vqa.traces import Dialect
from finetune.zoom.crops import PRESETS as ZOOMS

RECIPES = Path(__file__).parent / "recipes"

Answers = Literal["plain", "chain", "corrected", "direct", "mixed", "records"]


@strict_config
@dataclass(frozen=True)
class LearningRates:
    """Peak learning rate of each part of a model; None leaves the part as it is.

    Attributes:
        language: the language model, its embeddings and head.
        vision: the vision tower.
        projector: what joins them.
    """

    language: float | None = 5e-5
    vision: float | None = None
    projector: float | None = None

    def __post_init__(self) -> None:
        rates = [rate for rate in (self.language, self.vision, self.projector) if rate is not None]
        if not rates or min(rates) <= 0:
            raise ValueError("learning_rates needs a rate above 0 for at least one part")


@strict_config
@dataclass(frozen=True)
class LoraSettings:
    """The adapter.

    Attributes:
        rank: of the low-rank update.
        alpha: its scale is alpha / rank.
        dropout: on the input of the update.
        targets: regular expression over whole module names; None: all linear layers of the parts that have a learning rate.
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
        try:
            re.compile(self.targets or "")
        except re.error as error:
            raise ValueError(f"lora.targets is no regular expression ({error})") from error


MOST_MARKS = 10
"""Numbers are from 0 to 9."""


@strict_config
@dataclass(frozen=True)
class DensePretraining:
    """Teaching a model with random weights to see and to look, before any question; see finetune.dense.

    Attributes:
        steps: of the lesson to see and to find a mark by its number; 0 leaves both lessons out.
        look_steps: of the lesson to look and to foresee, behind it in the same schedule.
        move_steps: of each round of the lesson how things move and what is asked; a round has a schedule of its own.
        move_rounds: how many.
        batch_size: about so many images a step.
        most_marks: drawn in one moment.
        learning_rate: peak, of all but matrices.
        muon_learning_rate: peak, of matrices.
        weight_decay: of all that is trained; without it Muon blows the first layer of the language model up.
    """

    steps: int = 0
    look_steps: int = 0
    move_steps: int = 0
    move_rounds: int = 1
    batch_size: int = 16
    most_marks: int = 6
    learning_rate: float = 2e-3
    muon_learning_rate: float = 0.05
    weight_decay: float = 0.5

    def __post_init__(self) -> None:
        if (
            min(self.steps, self.look_steps, self.move_steps, self.move_rounds) < 0
            or self.batch_size < 1
            or not 1 <= self.most_marks <= MOST_MARKS
        ):
            raise ValueError(
                f"dense_pretraining needs no steps or rounds below 0, batch_size ≥ 1 and most_marks from 1 to {MOST_MARKS}"
            )
        if (self.look_steps or self.move_steps) and not self.steps:
            raise ValueError(
                "dense_pretraining: look_steps and move_steps go on from steps: set all three to 0 or give steps"
            )
        if min(self.learning_rate, self.muon_learning_rate) <= 0 or self.weight_decay < 0:
            raise ValueError("dense_pretraining needs learning rates above 0 and weight_decay ≥ 0")


@strict_config
@dataclass(frozen=True)
class Chapter:
    """A part of a curriculum.

    Attributes:
        until: share of all steps at which it ends.
        kinds: kinds of groups that are shown until then.
    """

    until: float
    kinds: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 0 < self.until < 1 or not self.kinds:
            raise ValueError("a chapter of the curriculum needs `until` between 0 and 1, and kinds")


@strict_config
@dataclass(frozen=True)
class Evaluation:
    """Looking at held-out questions while training.

    Attributes:
        split: which questions.
        steps: optimizer steps between two looks; 0: none, and the last adapter is kept.
        questions: at most so many, chosen once by the seed.
        patience: looks without a lower loss after which training stops; 0: never. The adapter of the lowest loss is kept.
        samples: questions whose answers are written out and recorded, once at the end.
    """

    split: str = "val"
    steps: int = 0
    questions: int = 2000
    patience: int = 0
    samples: int = 16

    def __post_init__(self) -> None:
        if min(self.steps, self.patience, self.samples) < 0 or self.questions < 1:
            raise ValueError("evaluation.questions must be at least 1, steps, patience and samples at least 0")
        if self.patience and not self.steps:
            raise ValueError("evaluation.patience needs evaluation.steps")


@strict_config
@dataclass(frozen=True)
class FinetuneConfig:
    """All settings of `finetune`.

    Attributes:
        seed: of weights, order and dropout.
        split: which questions are learned.
        families: question families; empty: all.
        types: question types; empty: all.
        kinds: kinds of groups (single, surround, sequence, clip, target); empty: all.
        regions: how questions name regions, see drive_vqa.region_forms.
        answers: the plain answer, a reasoning trace that ends in it (see qa_gen.tracing), or records: what a search found.
        records: under answers=records the file of chains, see finetune.search.
        dialect: how traces are written, see drive_vqa.traces.
        zoom: preset of finetune.zoom.crops: traces become dialogues with closer looks; None: answers in one turn.
        image_size_px: (width, height) that frames are resized to before marks are drawn.
        renumber_marks: deal a group's mark numbers anew at each visit, so that no number stands for a place.
        curriculum: which kinds of groups come first; after the last chapter all do.
        pack: all questions of a group in one sequence behind their shared images; the result is the same as without.
        tokens_per_row: a row is filled with groups up to so many tokens, and larger groups are cut into several lessons.
        batch_size: rows a device takes at once.
        gradient_accumulation: batches whose gradients are added up for a step.
        epochs: passes over the data, unless `max_steps` is set.
        max_steps: optimizer steps.
        max_seconds: stop training at the next step after so long; where that happens the result depends on the machine.
        method: lora; qlora: over a base in 4 bits (CUDA only); full: all weights of the parts that have a learning rate.
        lora: the adapter; not used by full.
        frozen: under full, regular expression of the names of weights that stay as they are; None: none.
        learning_rates: of each part of the model.
        optimizer: adamw, or muon for matrices with adamw for the rest.
        muon_learning_rate: peak for matrices of the language model under muon; other parts keep their ratio to it.
        weight_decay: of all that is trained.
        schedule: how the learning rate falls to 0 after the warm-up.
        warmup_fraction: of all steps, rising linearly.
        max_grad_norm: gradients are clipped to it.
        precision: bf16 autocast or fp32; auto: bf16 on CUDA.
        attention: sdpa, or flex_attention, which is faster where rows are long (CUDA only), see finetune.attention.
        gradient_checkpointing: compute activations twice instead of keeping them; for large models.
        workers: processes that decode and mark images; 0: none.
        cache_images: keep decoded frames in memory; for small data without workers.
        log_steps: optimizer steps between two records of loss and throughput.
        checkpoint_steps: optimizer steps between two checkpoints.
        probe_steps: optimizer steps between two looks at whether swapped images change the loss; 0: none.
        evaluation: held-out questions.
        dense_pretraining: a first lesson for a model with random weights.
    """

    seed: int = 0
    split: str = "train"
    families: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    regions: RegionForm = "marks"
    answers: Answers = "plain"
    records: str | None = None
    dialect: Dialect = "drive"
    zoom: str | None = None
    image_size_px: tuple[int, int] = (532, 336)
    renumber_marks: bool = False
    curriculum: tuple[Chapter, ...] = ()
    pack: bool = True
    tokens_per_row: int = 8192
    batch_size: int = 1
    gradient_accumulation: int = 8
    epochs: float = 1.0
    max_steps: int | None = None
    max_seconds: float | None = None
    method: Literal["lora", "qlora", "full"] = "lora"
    lora: LoraSettings = field(default_factory=LoraSettings)
    frozen: str | None = None
    learning_rates: LearningRates = field(default_factory=LearningRates)
    optimizer: Literal["adamw", "muon"] = "adamw"
    muon_learning_rate: float = 0.01
    weight_decay: float = 0.0
    schedule: Literal["cosine", "linear"] = "cosine"
    warmup_fraction: float = 0.05
    max_grad_norm: float = 1.0
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    attention: Literal["sdpa", "flex_attention"] = "sdpa"
    gradient_checkpointing: bool = False
    workers: int = 2
    cache_images: bool = False
    log_steps: int = 10
    checkpoint_steps: int = 500
    probe_steps: int = 200
    evaluation: Evaluation = field(default_factory=Evaluation)
    dense_pretraining: DensePretraining = field(default_factory=DensePretraining)

    def __post_init__(self) -> None:
        _check_finite(asdict(self))
        for name in ("tokens_per_row", "batch_size", "gradient_accumulation", "log_steps", "checkpoint_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        for name in ("epochs", "muon_learning_rate", "max_grad_norm"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0")
        if min(self.image_size_px) < 56 or max(self.image_size_px) > 4096:
            raise ValueError("image_size_px must lie between 56 and 4096")
        if any(limit is not None and limit <= 0 for limit in (self.max_steps, self.max_seconds)):
            raise ValueError("max_steps and max_seconds must be above 0 where set")
        if min(self.workers, self.weight_decay, self.probe_steps) < 0 or not 0 <= self.warmup_fraction < 1:
            raise ValueError("workers, weight_decay and probe_steps must be at least 0, and warmup_fraction in [0, 1)")
        if not 0 <= self.seed < 2**32:
            raise ValueError("seed must be at least 0 and below 2**32")
        if (self.answers == "records") != (self.records is not None):
            raise ValueError("answers=records and records=FILE go together: give both or neither")
        if self.zoom is not None and (self.zoom not in ZOOMS or self.answers == "plain"):
            raise ValueError(
                f"zoom is one of {', '.join(ZOOMS)}, and looks come into traces: set answers to another than plain"
            )
        if self.cache_images and self.workers:
            raise ValueError("cache_images needs workers=0: each worker would hold a copy of its own")
        if self.evaluation.steps and self.checkpoint_steps % self.evaluation.steps:
            raise ValueError(
                "checkpoint_steps must be a multiple of evaluation.steps, so that the best adapter is among the checkpoints"
            )
        if self.split == self.evaluation.split:
            raise ValueError(
                f"split and evaluation.split are both {self.split!r}, and what is learned is not held out: change one of them"
            )
        if self.frozen is not None and self.method != "full":
            raise ValueError("frozen is for method=full: under the others lora.targets names what is trained")
        try:
            re.compile(self.frozen or "")
        except re.error as error:
            raise ValueError(f"frozen is no regular expression ({error})") from error
        if self.dense_pretraining.steps and self.method != "full":
            raise ValueError("dense_pretraining changes the base itself: set method=full, or dense_pretraining.steps=0")
        if self.dense_pretraining.steps and self.regions != "marks":
            raise ValueError(
                "dense_pretraining teaches to read drawn marks: set regions=marks, or dense_pretraining.steps=0"
            )
        _check_order(self.curriculum)


def _check_finite(settings: Mapping[str, Any]) -> None:
    for name, value in flatten(settings).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number, not {value}")


def _check_order(curriculum: tuple[Chapter, ...]) -> None:
    ends = [chapter.until for chapter in curriculum]
    if ends != sorted(set(ends)):
        raise ValueError("the chapters of the curriculum must end one after another")


def load_recipe(recipe: str, overrides: Iterable[str] = ()) -> FinetuneConfig:
    """A recipe of finetune/recipes, or a YAML file; see `drive_vqa.config.load_recipe`."""
    return load_any_recipe(FinetuneConfig, RECIPES, recipe, overrides)
