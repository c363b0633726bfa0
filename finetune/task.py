"""All that a training rests on, before there is a model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from accelerate import PartialState

from drive_vqa.errors import ConfigError
from drive_vqa.store import Store, file_sha256
from drive_vqa.vlm import TINY, ChatProcessor, load_processor, model_folder
from finetune.config import FinetuneConfig
from finetune.dataset import AnswerWriter, LessonDataset, LessonIndex, lesson_texts, read_index
from finetune.tiny import make_tiny_base
from finetune.zoom.cold_start import ZoomAnswers
from finetune.zoom.crops import PRESETS as ZOOMS
from finetune.zoom.templates import tool_processor

SCRATCH = "scratch"
"""Random weights, with a tokenizer made for the questions at hand."""


@dataclass(frozen=True, eq=False)
class Task:
    """What is learned, by what, and where it goes.

    Attributes:
        store: with the questions.
        config: a recipe.
        out: the run's folder.
        base: folder of the model.
        base_name: its name on the hub or `tiny`, where it is no folder.
        processor: of the model.
        index: what is learned.
        answers: who writes what is learned to say; None: the plain answers.
    """

    store: Store
    config: FinetuneConfig
    out: Path
    base: Path
    base_name: str | None
    processor: ChatProcessor
    index: LessonIndex
    answers: AnswerWriter | None

    def dataset(self, index: LessonIndex) -> LessonDataset:
        """Lessons with their frames."""
        return LessonDataset(self.store, index, self.config, writer=self.answers)


def make_task(
    store: Store, config: FinetuneConfig, model: str, out: Path, answers: AnswerWriter | None, state: PartialState
) -> Task:
    """Look up the model and the questions.

    Args:
        store: with groups and questions.
        config: a recipe.
        model: `tiny` (the one that comes with this package), `scratch` (random weights), a folder, or a name on the hub.
        out: the run's folder.
        answers: who writes what is learned to say, where the recipe asks for more than plain answers.
        state: of this process.

    Raises:
        ConfigError: the recipe asks for traces and nobody writes them, or there is no such folder of a model.
        StoreError: nothing to learn.
        ModelError: the hub has no such model, or its processor cannot be loaded.
    """
    if config.answers != "plain" and answers is None:
        raise ConfigError(f"answers={config.answers} needs a writer of traces: use answers=plain or the command line")
    if config.zoom is not None and answers is not None:
        answers = ZoomAnswers(answers, ZOOMS[config.zoom])
    if model == SCRATCH:
        base = out / "base"
        with state.main_process_first():
            everything = replace(config, families=(), types=())
            _make_base(base, out / "checkpoints", config.seed, lesson_texts(store, everything, answers))
    else:
        base = model_folder(model)
    processor = load_processor(base) if config.zoom is None else tool_processor(load_processor(base))
    index = read_index(store, config, processor, writer=answers)
    is_folder = model == SCRATCH or (model != TINY and Path(model).exists())
    return Task(store, config, out, base, None if is_folder else model, processor, index, answers)


def _make_base(base: Path, checkpoints: Path, seed: int, texts: Iterable[str]) -> None:
    """The tiny model; one left by a run that ended before its first checkpoint must be of the same seed and texts."""
    if not base.exists() or any(checkpoints.glob("checkpoint-*")):
        make_tiny_base(base, seed, texts)
        return
    with TemporaryDirectory() as folder:
        wanted = make_tiny_base(Path(folder) / "base", seed, texts)
        if any(
            file_sha256(base / name) != file_sha256(wanted / name) for name in ("tokenizer.json", "model.safetensors")
        ):
            raise ConfigError(f"{base} is left of a run with another seed or other questions: give --out a new folder")
