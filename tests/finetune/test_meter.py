"""Speeds from a clock of one's own, over processes, and the log that survives a kill."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerControl, TrainerState

from drive_vqa.errors import StoreError
from finetune import meter as meter_module
from finetune.flops import Matrices, ModelFlops, Tiles
from finetune.meter import Meter, peak_memory_bytes
from finetune.packing import IGNORED
from finetune.training_log import TrainingLog

FLOPS = ModelFlops(
    {
        "vision": Matrices(100),
        "projector": Matrices(40),
        "language": Matrices(1000, reached=True),
        "head": Matrices(70, reached=True),
    },
    patches_per_token=4,
    attention_width=8,
    vision_attention_width=4,
    grid=Tiles(patch_size=2, layers=3),
)


class Kept:
    """A run that keeps what it is told."""

    def __init__(self) -> None:
        self.metrics: list[tuple[int | None, dict[str, float]]] = []

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.metrics.append((step, dict(metrics)))


class Clock:
    """Time that passes when told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 100.0
        monkeypatch.setattr(meter_module.time, "monotonic", lambda: self.now_s)

    def pass_s(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_rates_shares_and_utilization(clock: Clock) -> None:
    """Two steps of 3 s, before each 1 s of waiting, and 92 s that are no training: 8 s."""
    run, state = Kept(), TrainerState(global_step=0, epoch=0.5, max_steps=10)
    meter = Meter(run, None, flops=FLOPS, peak_flops=1e6)
    meter.on_train_begin(None, state, TrainerControl())
    clock.pass_s(50)  # checks of other callbacks
    meter.on_epoch_begin()
    for _ in range(2):
        clock.pass_s(1)
        meter.on_step_begin()
        meter.count(_batch())
        clock.pass_s(3)
        meter.on_step_end(None, state, TrainerControl())
        with meter.paused():
            clock.pass_s(20)
        clock.pass_s(26 - 20)
        meter.on_evaluate()
    state.global_step = 2
    meter.on_log(None, state, None, logs={"loss": 2.5, "grad_norm": 1.5, "learning_rate": 1e-3})
    step, metrics = run.metrics[0]
    assert step == 2
    assert metrics["train/loss"] == 2.5
    assert metrics["train/epoch"] == 0.5
    # a batch: two lessons of a prefix of 3 and of 2 tokens and questions of 2, 1 and 2 tokens; 12 places, 2 answer tokens
    assert metrics["speed/questions_per_s"] == 6 / 8
    assert metrics["speed/tokens_per_s"] == 20 / 8
    assert metrics["speed/answer_tokens_per_s"] == 4 / 8
    assert metrics["speed/padding_share"] == pytest.approx(1 - 20 / 24)
    assert metrics["speed/data_loading_share"] == 2 / 8
    assert metrics["speed/peak_memory_gib"] == pytest.approx(peak_memory_bytes() / 2**30, rel=0.2)
    # two tiles of 4 × 6 pixels in patches of 2: 12 patches
    vision, language = 2 * (2 * 100 * 12 + 2 * 40 * 3), 2 * (4 * 1000 * 10 + 4 * 70 * 2)
    assert metrics["speed/mfu_vision"] == pytest.approx(vision / 8e6)
    assert metrics["speed/mfu_language"] == pytest.approx(language / 8e6)
    assert metrics["speed/mfu"] == pytest.approx((vision + language) / 8e6)
    attended = (1 + 2 + 3) + (4 + 5) + 4 + (1 + 2) + (3 + 4)
    attention = 2 * (12 * 8 * attended + 4 * 4 * 12 * 6 * 3)
    assert metrics["speed/mfu_attention"] == pytest.approx(attention / 8e6)


def test_a_record_starts_anew(clock: Clock) -> None:
    run, state = Kept(), TrainerState(global_step=1)
    meter = Meter(run, None)
    for _ in range(2):
        clock.pass_s(2)
        meter.count(_batch())
        meter.on_log(None, state, None, logs={"loss": 1.0})
        meter.on_log(None, state, None, logs={"eval_loss": 1.0})
    assert [metrics["speed/questions_per_s"] for _, metrics in run.metrics] == [1.5, 1.5]
    assert not any("mfu" in name for _, metrics in run.metrics for name in metrics)


def test_time_limit(clock: Clock) -> None:
    meter, control = Meter(Kept(), 10.0), TrainerControl()
    meter.on_train_begin(None, TrainerState(), control)
    clock.pass_s(9)
    meter.on_step_end(None, TrainerState(), control)
    assert not control.should_training_stop
    clock.pass_s(2)
    meter.on_step_end(None, TrainerState(), control)
    assert control.should_training_stop


def test_log_is_dropped_behind_the_checkpoint(tmp_path: Path, clock: Clock) -> None:
    """As a killed run leaves it: later steps than the checkpoint's, and a line that was cut off."""
    path = tmp_path / "log.jsonl"
    meter = Meter(Kept(), None, log=path, steps_per_epoch=4)
    for step in (1, 2, 3):
        clock.pass_s(1)
        meter.count(_batch())
        meter.on_log(None, TrainerState(global_step=step), None, logs={"loss": step / 2, "grad_norm": math.nan})
    meter.record(3, {"eval/loss": 0.25})
    with path.open("a") as file:
        file.write('{"step": 4, "loss"')
    meter.on_train_begin(None, TrainerState(global_step=2), TrainerControl())
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(record["step"], record["loss"], record["epoch"]) for record in records] == [(1, 0.5, 0.25), (2, 1.0, 0.5)]
    assert records[0]["grad_norm"] is None
    assert records[0]["questions_per_s"] == 3.0
    meter.record(3, {"eval/loss": 0.5})
    assert json.loads(path.read_text().splitlines()[-1]) == {"step": 3, "eval/loss": 0.5}
    meter.on_train_begin(None, TrainerState(global_step=0), TrainerControl())
    assert path.read_text() == ""


def test_log_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="--resume"):
        TrainingLog(tmp_path / "nowhere" / "log.jsonl").write(1, {"loss": 1.0})


class Twin:
    """A second process that has always counted the same, and is out of time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, rank: int) -> None:
        self.late = False
        for name, value in {"is_initialized": True, "get_rank": rank, "get_backend": "gloo"}.items():
            monkeypatch.setattr(torch.distributed, name, lambda value=value: value)
        monkeypatch.setattr(torch.distributed, "all_reduce", self.all_reduce)

    def all_reduce(self, values: torch.Tensor, op: Any) -> None:
        if op == torch.distributed.ReduceOp.SUM:
            values += float(self.late) if len(values) == 1 else values.clone()


def test_processes_are_added_up(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rates are sums; shares are those of each; the first process alone writes."""
    for rank in (1, 0):
        Twin(monkeypatch, rank)
        run, path = Kept(), tmp_path / f"log-{rank}.jsonl"
        meter = Meter(run, None, log=path, flops=FLOPS, peak_flops=1e6)
        meter.on_train_begin(None, TrainerState(), TrainerControl())
        clock.pass_s(1)
        meter.on_step_begin()
        meter.count(_batch())
        clock.pass_s(3)
        meter.on_log(None, TrainerState(global_step=1), None, logs={"loss": 1.0})
        assert path.exists() == bool(run.metrics) == (rank == 0)
    metrics = run.metrics[0][1]
    assert metrics["speed/questions_per_s"] == 2 * 3 / 4
    assert metrics["speed/data_loading_share"] == 1 / 4
    language = 4 * 1000 * 10 + 4 * 70 * 2
    assert metrics["speed/mfu_language"] == pytest.approx(language / 4e6)


def test_all_processes_stop_when_one_is_late(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the others would wait for its gradients for ever."""
    twin, control = Twin(monkeypatch, 0), TrainerControl()
    meter = Meter(Kept(), 1e9)
    meter.on_step_end(None, TrainerState(), control)
    assert not control.should_training_stop
    twin.late = True
    meter.on_step_end(None, TrainerState(), control)
    assert control.should_training_stop


def _batch() -> dict[str, Any]:
    segment = torch.tensor([[0, 0, 0, 1, 1, 2, -1], [0, 0, 1, 1, -1, -1, -1]])[:, :6]
    labels = torch.full(segment.shape, IGNORED)
    labels[0, 4] = labels[0, 5] = 1
    return {
        "lesson": torch.where(segment < 0, -1, 0),
        "segment": segment,
        "labels": labels,
        "pixel_values": torch.zeros(1, 2, 3, 4, 6),
    }
