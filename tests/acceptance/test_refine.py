"""`drive-vqa refine` through the command line: killed in the middle of a step and resumed, and in two processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from drive_vqa.cli import main
from finetune.tiny import make_tiny_base
from tests.finetune.refine.asked_store import write_asked_store, write_tuned_run

pytest.importorskip("trl")

SETTINGS = (
    "questions=2",
    "completions=2",
    "answers_per_pass=2",
    "updates=2",
    "max_steps=6",
    "checkpoint_steps=2",
    "answer_tokens=12",
    "learning_rate=0.01",
    "rewards=treevgr",
    "show_steps=0",
    "held_out.steps=0",
    "gradient_checkpointing=false",
)
CLOCKS = ("step_time", "time/generation_s", "time/rewards_s")


@dataclass(frozen=True)
class Place:
    """Where everything lies."""

    root: Path

    def arguments(self, name: str, *more: str) -> list[str]:
        run = ["--adapter", str(self.root / "tuned"), "--out", str(self.root / name)]
        return ["refine", str(self.root / "store"), *run, "--device", "cpu", *SETTINGS, *more]

    def start(self, name: str, *more: str, launcher: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", *launcher, "drive_vqa.cli", *self.arguments(name, *more)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with (self.root / f"{name}.txt").open("ab") as said:
            return subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True, env=environment)

    def records(self, name: str) -> list[dict[str, Any]]:
        """Whole lines of the log, without what the clock says."""
        path = self.root / name / "log.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        records = [json.loads(line) for line in lines if line.endswith("\n")]
        return [{key: value for key, value in record.items() if key not in CLOCKS} for record in records]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One thread everywhere, since sums of more round differently."""
    root = tmp_path_factory.mktemp("refining")
    write_asked_store(root)
    write_tuned_run(root / "tuned", make_tiny_base(root / "base", seed=0))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Place(root)
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", autouse=True)
def two_processes(place: Place) -> Iterator[subprocess.Popen[bytes]]:
    """Started before everything else, since it takes longest to start."""
    rendezvous = ("--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1")
    launcher = ("torch.distributed.run", "--nproc-per-node=2", *rendezvous, "-m")
    run = place.start("two", launcher=launcher)
    yield run
    if run.poll() is None:
        os.killpg(run.pid, signal.SIGTERM)  # the launcher passes it on
        run.wait()


@pytest.mark.filterwarnings("ignore")  # of TRL and peft about their own future
def test_killed_in_a_step_and_resumed_is_uninterrupted(place: Place) -> None:
    killed = place.start("killed")
    ends = time.monotonic() + 240
    while len(place.records("killed")) < 3:  # in the second batch of questions, after one of its two updates
        assert killed.poll() is None, (place.root / "killed.txt").read_text()
        assert time.monotonic() < ends
        time.sleep(0.005)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (place.root / "killed" / "adapter").exists()
    assert main(place.arguments("killed", "--resume")) == 0
    assert main(place.arguments("whole")) == 0
    whole = place.records("whole")
    assert place.records("killed") == whole
    assert [record["step"] for record in whole] == [1, 2, 3, 4, 5, 6]
    one, other = (
        load_file(place.root / name / "adapter" / "adapter_model.safetensors") for name in ("killed", "whole")
    )
    assert all(torch.equal(weight, other[name]) for name, weight in one.items())


def test_two_processes_record_once(place: Place, two_processes: subprocess.Popen[bytes]) -> None:
    assert two_processes.wait(timeout=240) == 0, (place.root / "two.txt").read_text()
    records = place.records("two")
    assert [record["step"] for record in records] == [1, 2, 3, 4, 5, 6]
    assert records[0]["num_tokens"] > 1.5 * place.records("whole")[0]["num_tokens"]
    assert (place.root / "two" / "adapter" / "adapter_model.safetensors").exists()
