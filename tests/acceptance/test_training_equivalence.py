"""A training gives the same losses and weights however it is cut up: into batches, rows, processes, or by a kill.

All through the command line. Where a process of its own adds nothing, the function behind the command is called in this one.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image, ImageDraw
from safetensors.torch import load_file

from drive_vqa.cli import main
from drive_vqa.vlm import load_run, load_vlm
from finetune.tiny import make_tiny_base
from tests.painted_store import LOG, write_painted_store

SIZE_PX = (168, 112)
GROUPS = 6
STEPS = 6
CHECKPOINT_STEPS = 3
SEED = 20260

RECIPE: dict[str, Any] = {
    "image_size_px": list(SIZE_PX),
    "tokens_per_row": 150,  # one lesson a row
    "batch_size": 1,
    "gradient_accumulation": 4,
    "max_steps": STEPS,
    "learning_rates": {"language": 1e-3},
    "precision": "fp32",
    "workers": 0,
    "log_steps": 1,
    "checkpoint_steps": CHECKPOINT_STEPS,
    "probe_steps": 0,
    "lora": {"rank": 4, "alpha": 8, "dropout": 0.0},
}
LIVELY = (
    "lora.dropout=0.2",
    "renumber_marks=true",
    "optimizer=muon",
    "log_steps=2",
    "workers=1",
    "learning_rates.vision=1.0e-3",
)
"""All that a resumed run could get wrong: dropout, numbers dealt anew, momenta of both kinds, records of two steps, workers."""


@dataclass(frozen=True)
class Place:
    """Where everything lies."""

    root: Path
    base: Path

    def arguments(self, name: str, *more: str) -> list[str]:
        files = [str(self.root / "store"), "--recipe", str(self.root / "recipe.yaml"), "--model", str(self.base)]
        tracking = ["--tracking-uri", f"sqlite:///{self.root}/mlflow.db"]  # one for all, since making one takes seconds
        return ["finetune", *files, "--device", "cpu", "--out", str(self.root / name), *tracking, *more]

    def train(self, name: str, *more: str) -> Path:
        """A run in this process, through the function behind the command."""
        assert main(self.arguments(name, *more)) == 0
        return self.root / name

    def start(self, name: str, *more: str, launcher: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        """A run in a process of its own, or several."""
        command = [sys.executable, "-m", *launcher, "drive_vqa.cli", *self.arguments(name, *more)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with (self.root / f"{name}.txt").open("ab") as said:
            return subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True, env=environment)

    def said(self, name: str) -> str:
        return (self.root / f"{name}.txt").read_text()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One thread everywhere, since sums of more round differently; one MLflow store, since making one takes seconds."""
    root = tmp_path_factory.mktemp("training")
    write_painted_store(root, GROUPS, painted_group, painted_questions)
    (root / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Place(root, make_tiny_base(root / "base", seed=0))
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", autouse=True)
def two_processes(place: Place) -> Iterator[subprocess.Popen[bytes]]:
    """Started before everything else, since it takes longest to start."""
    rendezvous = ("--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1")
    launcher = ("torch.distributed.run", "--nproc-per-node=2", *rendezvous, "-m")
    run = place.start("two", "gradient_accumulation=2", launcher=launcher)
    yield run
    if run.poll() is None:
        os.killpg(run.pid, signal.SIGTERM)  # the launcher passes it on
        run.wait()


@pytest.fixture(scope="module")
def whole(place: Place) -> Path:
    """Four batches of one row a step."""
    return place.train("whole")


def painted_group(source: Path, number: int, draw: np.random.Generator) -> dict[str, Any]:
    image = Image.fromarray(draw.integers(0, 255, (SIZE_PX[1], SIZE_PX[0], 3), dtype=np.uint8))
    left, top = (float(value) for value in draw.uniform(0, 70, 2))
    ImageDraw.Draw(image).rectangle((left, top, left + 40, top + 30), fill=(90, 90, 90))
    image.save(source / f"{number}.png")
    box = {"u0_px": left, "v0_px": top, "u1_px": left + 40, "v1_px": top + 30}
    view = {"frame": number, "offset_s": 0.0, "camera": "front", "path": f"{number}.png"}
    mark = {
        "mark": 3,
        "track_id": "car",
        "category": "car",
        "regions": [{"context": 0, **box, "visible_fraction": 1.0}],
    }
    return {
        "group_id": f"group-{number}",
        "log_id": LOG,
        "frame": number,
        "timestamp_ns": number,
        "kind": "single",
        "split": "train",
        "context": [{**view, "width": SIZE_PX[0], "height": SIZE_PX[1]}],
        "marks": [mark],
    }


def painted_questions(group: dict[str, Any]) -> list[dict[str, Any]]:
    """One to three, so that rows differ in length and in number of answers."""
    box = group["marks"][0]["regions"][0]
    asked = {
        "How far away is Region 3?": f"{box['v0_px']:.1f} meters",
        "Is Region 3 to the left?": "yes" if box["u0_px"] < 64 else "no",
        "Where is Region 3?": f"x {box['u0_px']:.1f} meters, y -{box['v0_px']:.1f} meters",
    }
    return [
        {
            "qa_id": f"{group['group_id']}/{number}",
            "group_id": group["group_id"],
            "log_id": LOG,
            "frame": group["frame"],
            "family": "ego",
            "type": "painted",
            "form": "open",
            "question": question,
            "answer": answer,
            "split": "train",
        }
        for number, (question, answer) in enumerate(list(asked.items())[: 1 + group["frame"] % 3])
    ]


def log_of(run: Path) -> list[tuple[int, float, float, float]]:
    """(step, loss, gradient norm, learning rate) of each record, in the order of the file."""
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [
        (record["step"], record["loss"], record["grad_norm"], record["learning_rate"])
        for record in records
        if "loss" in record
    ]


def weights_of(run: Path) -> dict[str, torch.Tensor]:
    return dict(load_file(run / "adapter" / "adapter_model.safetensors"))


def assert_same_training(one: Path, other: Path) -> None:
    """Sums in another order round differently, by about 1e-7; a wrong mean or a row too many is off by far more than 1e-5."""
    np.testing.assert_allclose(log_of(one), log_of(other), rtol=1e-5)
    assert [record[0] for record in log_of(one)] == list(range(1, STEPS + 1))
    expected = weights_of(other)
    for name, weight in weights_of(one).items():
        torch.testing.assert_close(weight, expected[name], rtol=1e-4, atol=1e-6)


def test_one_large_batch_is_four_small_ones(place: Place, whole: Path) -> None:
    assert_same_training(place.train("large", "batch_size=4", "gradient_accumulation=1"), whole)
    losses = [loss for _, loss, _, _ in log_of(whole)]
    assert min(abs(np.diff(losses))) > 1e-3, "steps whose losses tell them apart"


def test_unpacked_is_packed(place: Place, whole: Path) -> None:
    assert_same_training(place.train("unpacked", "pack=false"), whole)


def test_killed_and_resumed_is_uninterrupted(place: Place) -> None:
    """Killed at a step, resumed, killed in the middle of writing a checkpoint, and resumed: not one bit is another."""
    draw = random.Random(SEED)
    killed = place.start("killed", *LIVELY)
    kill_after_record(killed, place, 2, draw.uniform(0, 0.3))  # early: more checkpoints to be caught in the writing of
    kill_in_a_write(place.start("killed", *LIVELY, "--resume"), place)
    whole = place.train("lively", *LIVELY)
    assert not (place.root / "killed" / "adapter").exists()
    resumed = place.train("killed", *LIVELY, "--resume")
    assert log_of(resumed) == log_of(whole)
    assert [record[0] for record in log_of(whole)] == list(range(2, STEPS + 1, 2))
    expected = weights_of(whole)
    assert all(torch.equal(weight, expected[name]) for name, weight in weights_of(resumed).items())
    assert sorted(path.name for path in (resumed / "checkpoints").iterdir()) == ["checkpoint-3", "checkpoint-6"]


def kill_after_record(run: subprocess.Popen[bytes], place: Place, step: int, delay_s: float) -> None:
    log = place.root / "killed" / "log.jsonl"
    while not (log.exists() and any(json.loads(line)["step"] >= step for line in log.read_text().splitlines()[:-1])):
        assert run.poll() is None, place.said("killed")
        time.sleep(0.01)
    time.sleep(delay_s)
    kill(run)


def kill_in_a_write(run: subprocess.Popen[bytes], place: Place) -> None:
    """Stop the run when weights of a hidden checkpoint appear, and kill it if it has not got as far as to give it its name."""
    began, folder = time.time(), place.root / "killed" / "checkpoints"
    while True:
        assert run.poll() is None, place.said("killed")
        hidden = [path for path in folder.glob(".checkpoint-*.tmp/*/trained.safetensors") if is_newer(path, began)]
        if hidden:
            os.killpg(run.pid, signal.SIGSTOP)
            if hidden[0].exists():
                break
            os.killpg(run.pid, signal.SIGCONT)
        time.sleep(0.001)
    kill(run)
    assert hidden[0].exists()
    assert not (folder / hidden[0].parent.name).exists()


def is_newer(path: Path, began: float) -> bool:
    try:
        return path.stat().st_mtime > began
    except FileNotFoundError:
        return False


def kill(run: subprocess.Popen[bytes]) -> None:
    """The process and its workers, without a chance to clear anything away."""
    os.killpg(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL


def test_resuming_with_other_settings_or_data_is_refused(
    place: Place, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (whole / "config.yaml").read_bytes()
    assert main(place.arguments("whole", "--resume", "lora.rank=8")) == 2
    assert "lora.rank=4, and this run has lora.rank=8" in capsys.readouterr().err
    assert (whole / "config.yaml").read_bytes() == before


def test_two_processes_are_one_with_twice_the_batches(place: Place, whole: Path, two_processes: Any) -> None:
    assert two_processes.wait(timeout=240) == 0, place.said("two")
    assert_same_training(place.root / "two", whole)
    assert len(list((place.root / "two" / "checkpoints" / "checkpoint-6").glob("rng_state_*.pth"))) == 2


def test_merged_is_unmerged(place: Place, whole: Path) -> None:
    merged = place.root / "merged"
    assert main(["merge", str(whole), "--out", str(merged), "--device", "cpu"]) == 0
    tokens = torch.arange(50, 90)[None]
    models = [load_vlm(place.base, device="cpu"), load_run(whole, device="cpu"), load_vlm(merged, device="cpu")]
    with torch.inference_mode():
        base, with_adapter, as_one = (vlm.model(input_ids=tokens).logits for vlm in models)
    torch.testing.assert_close(as_one, with_adapter, rtol=0, atol=1e-4)
    assert (with_adapter - base).abs().max() > 1e-2
