"""Faults that were found by attacking the training, each once."""

from __future__ import annotations

import math
import multiprocessing
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from transformers import TrainerControl, TrainerState

from drive_vqa.config import load_config
from drive_vqa.errors import ConfigError, ModelError
from drive_vqa.store import Store
from drive_vqa.vlm import Vlm, load_vlm
from drive_vqa.vlm.coordinates import CORNERS, Scale, from_model_text
from finetune.collate import Collator
from finetune.config import Evaluation, FinetuneConfig
from finetune.dataset import LessonDataset, read_index
from finetune.guards.parity import Parity, _refuse
from finetune.run_folder import only_run
from finetune.samples import answered_samples
from finetune.task import _make_base
from finetune.trainer import PackedTrainer
from tests.finetune.conftest import SIZE_PX

METRES = "<think>It is at (25.88, 10.19) m and moves at (-5.54, -0.04) m/s (54, 131)\n</think>"


@pytest.mark.parametrize(
    "setting",
    [
        "learning_rates.language=.nan",
        "max_seconds=.inf",
        "seed=-1",
        "seed=4294967296",
        "lora.targets='('",
        "epochs=.nan",
        "split=val",
        "evaluation.split=train",
    ],
)
def test_settings_that_no_training_can_use_are_refused(setting: str) -> None:
    """NaN passes every comparison, and the libraries say it late."""
    with pytest.raises(ConfigError, match=setting.partition("=")[0].rpartition(".")[2]):
        load_config(FinetuneConfig, overrides=[setting])


def test_the_lowest_loss_is_kept_between_two_checkpoints() -> None:
    """Where a look between two checkpoints was the best one, the last weights were kept under its loss."""
    trainer = object.__new__(PackedTrainer)
    trainer.args = SimpleNamespace(metric_for_best_model="loss", greater_is_better=False, save_strategy="steps")
    trainer.state, trainer.control = TrainerState(), TrainerControl()
    for loss, is_saved in ((2.0, True), (3.0, False), (1.0, True)):
        trainer.control.should_save = False
        trainer._determine_best_metric({"eval_loss": loss}, None)
        assert trainer.control.should_save is is_saved


def test_samples_are_asked_as_is_trained(store: Store, family_vlm: Callable[[str], Vlm]) -> None:
    """Boxes of questions were shown to the model in pixels of the original image."""
    config = FinetuneConfig(image_size_px=SIZE_PX, regions="boxes", workers=0, evaluation=Evaluation(samples=3))
    vlm = family_vlm("qwen3_vl")
    dataset = LessonDataset(store, read_index(store, config, vlm.processor), config)
    asked: list[tuple[int, ...]] = []

    class Recorder(Vlm):
        def generate(self, messages_list: Any, images_list: Any, max_new_tokens: int = 64) -> list[str]:
            images = self.processor.images(images_list[0])
            asked.append(tuple(self.processor.prompt_ids(messages_list[0], images)))
            return [""]

    answered_samples(Recorder(vlm.model, vlm.processor), dataset, config)
    collator = Collator.of(vlm.processor, config, 4096)
    shown = [dataset.shown(number) for number in range(len(dataset))]
    taught = {
        sample.prompt for lesson in shown for sample in collator.samples(lesson, vlm.processor.images(lesson.frames))
    }
    assert asked
    assert set(asked) <= taught


def test_metres_are_no_corners_of_a_box() -> None:
    """Two pairs of metres in a thought were turned as if they were pixels."""
    group = {"context": [{"offset_s": 0.0, "camera": "front"}], "marks": []}
    question = f"Boxes are {CORNERS} in pixels."
    said = from_model_text(METRES, group, lambda: [Scale((320, 180), (160, 90))], "pixels", asked=question)
    assert said == METRES.replace("(54, 131)", "(108, 262)")
    corners = "(10,20) to (30,40)"
    turned = from_model_text(corners, group, lambda: [Scale((320, 180), (160, 90))], "pixels", asked=question)
    assert turned == "(20,40) to (60,80)"


def test_weights_whose_copy_was_cut_short_are_named(tmp_path: Path, base: Path) -> None:
    """safetensors has an error of its own, of no usual class."""
    folder = Path(shutil.copytree(base, tmp_path / "cut"))
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])
    with pytest.raises(ModelError, match="cut cannot be loaded"):
        load_vlm(folder, device="cpu")


def test_damaged_weights_are_not_blamed_on_packing() -> None:
    """A base with NaN in it was answered with pack=false."""
    with pytest.raises(ModelError, match="not finite"):
        _refuse(Parity((math.nan,), (math.nan,), 1e-3))


def test_a_tiny_model_of_other_settings_is_not_taken_up(tmp_path: Path) -> None:
    """A run that failed early left its model, which the next one took whatever its seed and questions."""
    base, checkpoints = tmp_path / "base", tmp_path / "checkpoints"
    texts = ["How far away is Region 1?"] * 20
    _make_base(base, checkpoints, 0, texts)
    _make_base(base, checkpoints, 0, texts)
    for seed, others in ((1, texts), (0, [])):
        with pytest.raises(ConfigError, match="another seed or other questions"):
            _make_base(base, checkpoints, seed, others)
    (checkpoints / "checkpoint-1").mkdir(parents=True)
    _make_base(base, checkpoints, 1, texts)  # what checkpoints are made from is compared elsewhere


def test_a_folder_holds_one_training(tmp_path: Path) -> None:
    with only_run(tmp_path, is_main_process=True):
        with pytest.raises(ConfigError, match="another training"), only_run(tmp_path, is_main_process=True):
            pass
        with only_run(tmp_path, is_main_process=False):
            pass
    with only_run(tmp_path, is_main_process=True):
        pass


def test_what_a_killed_training_was_writing_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "answers").mkdir()
    (tmp_path / ".adapter.12.tmp").mkdir()
    (tmp_path / "answers" / ".step-000001.html.ab.tmp").touch()
    (tmp_path / "answers" / "step-000001.html").touch()
    with only_run(tmp_path, is_main_process=True):
        pass
    left = sorted(path.name for path in tmp_path.rglob("*"))
    assert left == [".lock", "answers", "step-000001.html"]


def test_a_worker_that_outlives_its_training_does_not_hold_its_folder(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    is_running = fork.Event()
    with only_run(tmp_path, is_main_process=True):
        worker = fork.Process(target=_work, args=(is_running,))
        worker.start()
        assert is_running.wait(30)
    try:
        with only_run(tmp_path, is_main_process=True):
            assert worker.is_alive()
    finally:
        worker.kill()
        worker.join()


def _work(is_running: Any) -> None:
    is_running.set()
    time.sleep(60)
