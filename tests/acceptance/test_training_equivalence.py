"""A training gives the same losses and weights however it is cut up: into batches, rows, processes, or by a kill. And merged is unmerged."""

from __future__ import annotations

import json
import os
import random
import shutil
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
from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from finetune.tiny import make_tiny_base

SIZE_PX = (168, 112)
LOG = "painted"
GROUPS = 6
STEPS = 8
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
LIVELY = ("lora.dropout=0.2", "renumber_marks=true", "optimizer=muon", "log_steps=2", "workers=1", "learning_rates.vision=1e-3")
"""All that a resumed run could get wrong: dropout, numbers dealt anew, momenta of both kinds, records of several steps, workers."""


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
        with (self.root / f"{name}.txt").open("ab") as said:
            return subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)

    def said(self, name: str) -> str:
        return (self.root / f"{name}.txt").read_text()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One thread everywhere, since sums of more round differently; one MLflow store, since making one takes seconds."""
    root = tmp_path_factory.mktemp("training")
    write_store(root)
    (root / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield Place(root, make_tiny_base(root / "base", seed=0))
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole(place: Place) -> Path:
    """Four batches of one row a step."""
    return place.train("whole")


def write_store(root: Path) -> None:
    """Painted pictures with one to three questions each, so that rows differ in length and in number of answers."""
    source, store = root / "source", Store.create(root / "store")
    source.mkdir()
    draw = np.random.default_rng(0)
    groups = [painted_group(source, number, draw) for number in range(GROUPS)]
    questions = [question for group in groups for question in painted_questions(group)]
    log = {"log_id": LOG, "source_format": "painted", "source_root": "../source"}
    for table, rows in {"logs": [log], "groups": groups, "questions": questions}.items():
        store.write(table, LOG, table_from_rows(table, rows), "test")


def painted_group(source: Path, number: int, draw: np.random.Generator) -> dict[str, Any]:
    image = Image.fromarray(draw.integers(0, 255, (SIZE_PX[1], SIZE_PX[0], 3), dtype=np.uint8))
    left, top = (float(value) for value in draw.uniform(0, 70, 2))
    ImageDraw.Draw(image).rectangle((left, top, left + 40, top + 30), fill=(90, 90, 90))
    image.save(source / f"{number}.png")
    box = {"u0_px": left, "v0_px": top, "u1_px": left + 40, "v1_px": top + 30}
    view = {"frame": number, "offset_s": 0.0, "camera": "front", "path": f"{number}.png"}
    mark = {"mark": 3, "track_id": "car", "category": "car", "regions": [{"context": 0, **box, "visible_fraction": 1.0}]}
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


def test_whole(place, whole):
    b=place.train("other","batch_size=4","gradient_accumulation=1")
    c=place.train("unpacked","pack=false")
    print(np.array(log_of(whole))/(np.array(log_of(b))+1e-30)-1)
    print(np.array(log_of(whole))/(1e-30+np.array(log_of(c)))-1)
    t0=time.time()
    d=place.start("ddp","gradient_accumulation=2",launcher=("torch.distributed.run","--nproc-per-node","2","--rdzv-endpoint=127.0.0.1:0", "-m"))
    print(d.wait(), time.time()-t0)
    print(place.said("ddp")[-3000:])
    print(np.array(log_of(whole))/(1e-30+np.array(log_of(place.root/"ddp")))-1)
    assert 0
