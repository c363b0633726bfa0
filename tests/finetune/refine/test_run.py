"""`refine` from a tuned run to a refined adapter, through the function that the command line calls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from accelerate import PartialState
from safetensors.torch import load_file

from drive_vqa.errors import ConfigError, ModelError, StoreError
from drive_vqa.store import Store
from drive_vqa.vlm import load_run
from drive_vqa.vlm.tuned import PLAIN_TOKENS
from finetune.refine import trainer
from finetune.refine.config import HeldOut, RefineConfig, load_recipe
from finetune.refine.prompts import Prompts
from finetune.refine.run import refine
from finetune.refine.task import make_task
from finetune.rewards.reward import NamedReward, Reward
from tests.finetune.refine.asked_store import write_asked_store, write_tuned_run

pytest.importorskip("trl")
pytestmark = pytest.mark.filterwarnings("ignore")  # of TRL and peft about their own future

SHORT = RefineConfig(
    questions=2,
    completions=3,
    answers_per_pass=3,
    updates=2,
    max_steps=4,
    answer_tokens=12,
    learning_rate=1e-2,
    kl=0.1,
    checkpoint_steps=2,
    show_steps=4,
    precision="fp32",
    rewards="treevgr",
)
CLOCKS = ("step_time", "time/", "held_out/runtime", "held_out/time/", "_per_second")


@pytest.fixture(scope="module")
def asked_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return write_asked_store(tmp_path_factory.mktemp("asked"))


@pytest.fixture(scope="module", autouse=True)
def one_tracking_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """For all runs, since making one takes seconds."""
    place = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{__name__}.refine", partial(refine, tracking_uri=f"sqlite:///{place}"))
        yield


@pytest.fixture
def tuned(base: Path, tmp_path: Path) -> Path:
    return write_tuned_run(tmp_path / "tuned", base)


def weights_of(run: Path) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = load_file(run / "adapter" / "adapter_model.safetensors")
    return weights


def log_of(run: Path) -> list[dict[str, Any]]:
    """Without what the clock says."""
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [
        {name: value for name, value in record.items() if not any(clock in name for clock in CLOCKS)}
        for record in records
    ]


@pytest.fixture(autouse=True)
def soon_at_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few tokens are drawn, one of which ends an answer: those of random weights would all be cut, and carry no loss."""
    plain = trainer._decoding

    def few(config: RefineConfig, vlm: Any) -> Any:
        chat = vlm.processor
        letters = chat.tokenizer("0123456789 m", add_special_tokens=False)["input_ids"]
        kept = {*letters, chat.end_id}
        suppressed = tuple(token for token in range(len(chat.tokenizer)) if token not in kept)
        return replace(plain(config, vlm), suppressed=suppressed)

    monkeypatch.setattr(trainer, "_decoding", few)


@pytest.fixture
def rewarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reward that random answers earn differently, so that something is learned."""
    _pay(monkeypatch, "length", lambda said, _truth, _progress: len(said.text) / 100)


def _pay(monkeypatch: pytest.MonkeyPatch, name: str, reward: Reward) -> None:
    from finetune.rewards import presets

    preset = presets.Preset(name, "drive", "sum_then_normalize", (NamedReward(name, 1.0, reward),))
    monkeypatch.setitem(presets.PRESETS, name, preset)  # type: ignore[arg-type]


def test_from_a_whole_model_to_a_refined_adapter(
    asked_store: Store, tuned: Path, tmp_path: Path, rewarded: None
) -> None:
    config = replace(SHORT, rewards="length", held_out=HeldOut(steps=2, questions=3))
    refined = refine(asked_store, config, adapter=tuned, out=tmp_path / "out")
    assert refined.adapter == tmp_path / "out" / "adapter"
    assert any(weight.any() for name, weight in weights_of(tmp_path / "out").items() if "lora_B" in name)
    assert sorted(path.name for path in refined.adapter.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (record["base"], record["method"], record["refined_from"]) == ("../tuned/model", "lora", "../tuned")
    records = log_of(tmp_path / "out")
    assert [one["step"] for one in records if "reward" in one] == [1, 3]  # answers are sampled for two updates
    assert [one["step"] for one in records if "held_out/reward" in one] == [0, 2, 4]
    assert load_run(tmp_path / "out", device="cpu").image_size_px == (168, 112)
    _check_answers(tmp_path / "out" / "answers")


def test_what_is_rewarded_grows_likelier(
    asked_store: Store, tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four micro-batches a step; sevens are paid, and the rate rises first."""
    _pay(monkeypatch, "sevens", lambda said, _truth, _progress: said.text.count("7") / max(len(said.text), 1))
    batch = {"questions": 4, "completions": 6, "answers_per_pass": 6, "updates": 1}
    config = replace(SHORT, **batch, rewards="sevens", kl=0.0, max_steps=12, warmup_fraction=0.25, checkpoint_steps=50)
    refine(asked_store, config, adapter=tuned, out=tmp_path / "out")
    records = log_of(tmp_path / "out")
    rates = [one["learning_rate"] / config.learning_rate for one in records]
    assert rates == pytest.approx([0, 1 / 3, 2 / 3, *[1.0] * 9])
    rewards = [one["reward"] for one in records]
    assert np.mean(rewards[-3:]) > 2 * np.mean(rewards[:3])


def _check_answers(folder: Path) -> None:
    """They are written for people and programs."""
    table = pq.read_table(folder / "step-000001.parquet").to_pylist()
    assert len(table) == SHORT.questions * SHORT.completions
    assert {"qa_id", "question", "truth", "text", "rewards", "total", "advantage", "images"} <= set(table[0])
    assert [len(row["images"]) for row in table] == [2] * len(table)
    assert all(set(row["rewards"]) == {"length"} for row in table)
    page = (folder / "step-000004.html").read_text()
    assert "length 1.0." in page
    assert page.count("<section>") == SHORT.questions
    assert "What is the" in page


def test_killed_and_resumed_is_uninterrupted(
    asked_store: Store, tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rewarded: None
) -> None:
    """Cut in the middle of the third of four steps, after its answers were sampled; nothing is doubled in the log."""
    config = replace(SHORT, rewards="length", held_out=HeldOut(steps=2, questions=3))
    refine(asked_store, config, adapter=tuned, out=tmp_path / "whole")
    with monkeypatch.context() as patch:
        _cut_at(patch, step=2)
        with pytest.raises(KeyboardInterrupt):
            refine(asked_store, config, adapter=tuned, out=tmp_path / "cut")
    assert not (tmp_path / "cut" / "adapter").exists()
    assert [path.name for path in (tmp_path / "cut" / "checkpoints").iterdir()] == ["checkpoint-2"]
    refine(asked_store, config, adapter=tuned, out=tmp_path / "cut", resume=True)
    assert log_of(tmp_path / "cut") == log_of(tmp_path / "whole")
    whole = weights_of(tmp_path / "whole")
    assert all(torch.equal(weight, whole[name]) for name, weight in weights_of(tmp_path / "cut").items())


def _cut_at(patch: pytest.MonkeyPatch, step: int) -> None:
    """Stop in the first update after so many steps."""
    from finetune.refine.shared_prompts import SharedPrompts

    plain = SharedPrompts._compute_loss

    def cut(self: Any, model: Any, inputs: Any) -> torch.Tensor:
        if model.training and self.state.global_step >= step:
            raise KeyboardInterrupt
        return plain(self, model, inputs)

    patch.setattr(SharedPrompts, "_compute_loss", cut)


def test_plain_answers_are_refined_and_resumed(
    asked_store: Store, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What random weights say counts as a distance by its length, so that answers are right, near and far off."""
    monkeypatch.setattr(Prompts, "in_pixels", lambda _self, text, _qa_id: f"{4 * len(text)} meters")
    plain = write_tuned_run(tmp_path / "tuned", base, answers="plain")
    changed = {"types": ("distance",), "questions": 4, "updates": 1, "max_steps": 2, "checkpoint_steps": 1}
    config = replace(SHORT, **changed, rewards="answers")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), caplog.at_level("INFO"):
        _cut_at(patch, step=1)
        refine(asked_store, config, adapter=plain, out=tmp_path / "out")
    refine(asked_store, config, adapter=plain, out=tmp_path / "out", resume=True)
    assert "rewards: answers, which read answers alone" in caplog.text
    assert "cold start" not in caplog.text
    assert [one["step"] for one in log_of(tmp_path / "out") if one["rewards/accuracy/std"] > 0] == [1, 2]
    assert any(weight.any() for name, weight in weights_of(tmp_path / "out").items() if "lora_B" in name)
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (record["base"], record["answers"], record["rewards"]) == ("../tuned/model", "plain", "answers")
    assert load_run(tmp_path / "out", device="cpu").answer_tokens == PLAIN_TOKENS


def test_a_run_tuned_with_looks_keeps_them_unless_told_otherwise(
    asked_store: Store, tuned: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record = json.loads((tuned / "run.json").read_text())
    (tuned / "run.json").write_text(json.dumps({**record, "answers": "mixed", "dialect": "vigorl", "zoom": "tiny"}))
    state = PartialState(cpu=True)
    found = {}
    for zoom in (None, "none", "drive"):
        with caplog.at_level("INFO"):
            found[zoom] = make_task(asked_store, replace(SHORT, zoom=zoom), tuned, tmp_path, state).policy.zoom
    assert found == {None: "tiny", "none": None, "drive": "drive"}
    assert "closer looks: tiny" in caplog.text
    assert "writes traces of vigorl: tune it with dialect=treevgr first" in caplog.text


def test_a_refined_adapter_is_refined_further(asked_store: Store, tuned: Path, tmp_path: Path, rewarded: None) -> None:
    first = replace(SHORT, rewards="length", max_steps=2)
    refine(asked_store, first, adapter=tuned, out=tmp_path / "one")
    refine(asked_store, replace(first, seed=1), adapter=tmp_path / "one", out=tmp_path / "two")
    one, two = weights_of(tmp_path / "one"), weights_of(tmp_path / "two")
    assert set(one) == set(two)
    assert any(not torch.equal(one[name], two[name]) for name in one)
    record = json.loads((tmp_path / "two" / "run.json").read_text())
    assert (record["base"], record["refined_from"]) == ("../tuned/model", "../one")


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"questions": 40}, ConfigError, "a step asks 40 questions and there are 16"),
        ({"types": ("speed",)}, StoreError, "has no question with images of these"),
        ({"rewards": "kindness"}, ConfigError, "rewards=kindness is none of vigorl, "),
        ({"zoom": "deep"}, ConfigError, "zoom=deep is none of vstar, "),
        ({"zoom": "tiny"}, ConfigError, "2 looks of zoom=tiny take .* tokens of the 12 that a dialogue may"),
        ({"answer_tokens": 9000}, ModelError, "does not fit into the 8192 that the model takes"),
    ],
)
def test_wrong_settings_are_refused(
    asked_store: Store, tuned: Path, tmp_path: Path, changed: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        refine(asked_store, replace(SHORT, **changed), adapter=tuned, out=tmp_path / "out")
    assert not (tmp_path / "out" / "adapter").exists()


def test_a_run_that_is_none_is_refused(asked_store: Store, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="missing or damaged"):
        refine(asked_store, SHORT, adapter=tmp_path / "nothing", out=tmp_path / "out")


def test_answers_that_cannot_be_written_are_named(asked_store: Store, tuned: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "answers").write_text("in the way")
    with pytest.raises(StoreError, match=r"answers/step-000001 cannot be written .* go on with --resume"):
        refine(asked_store, replace(SHORT, show_steps=1), adapter=tuned, out=tmp_path / "out")


def test_a_tuned_run_is_not_refined_in_its_own_folder(asked_store: Store, tuned: Path) -> None:
    """With `resume` there may be a run in it."""
    before = sorted(path.relative_to(tuned) for path in tuned.rglob("*"))
    with pytest.raises(ConfigError, match="would be overwritten"):
        refine(asked_store, SHORT, adapter=tuned, out=tuned.parent / "." / tuned.name, resume=True)
    assert sorted(path.relative_to(tuned) for path in tuned.rglob("*")) == before


def test_fsdp_is_refused(asked_store: Store, tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(ConfigError, match="use DDP"):
        refine(asked_store, SHORT, adapter=tuned, out=tmp_path / "out")


@pytest.mark.parametrize("recipe", ["drive", "tiny", "tiny_answers", "vigorl", "treevgr", "open_o3"])
def test_recipes_can_be_read_and_name_what_there_is(recipe: str) -> None:
    from finetune.rewards.presets import PRESETS
    from finetune.zoom.crops import PRESETS as ZOOMS

    config = load_recipe(recipe)
    assert config.rewards in PRESETS
    assert config.zoom is None or config.zoom in ZOOMS


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("completions=1", "completions must be at least 2"),
        ("answers_per_pass=3", "multiple of completions"),
        ("checkpoint_steps=51", "multiple of updates"),
        ("held_out.split=train", "is not held out"),
        ("temperature=0", "above 0"),
        ("top_p=1.5", "top_p"),
        ("kl=.nan", "finite"),
        ("updates=0", "at least 1"),
        ("nonsense=1", "unknown key 'nonsense'"),
    ],
)
def test_wrong_recipes_are_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_recipe("drive", [override])
