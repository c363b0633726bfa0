"""Refining with closer looks: what is generated is scripted, all else is real."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageOps

from drive_vqa.store import Store
from drive_vqa.vlm import Sampled
from finetune.refine import shared_prompts
from finetune.refine.packed import pack_dialogues
from finetune.refine.run import refine
from finetune.refine.shared_prompts import SharedPrompts
from finetune.zoom import crops
from finetune.zoom.crops import CropPreset
from tests.finetune.refine.asked_store import write_asked_store, write_tuned_run
from tests.finetune.refine.test_packed import packed_logps
from tests.finetune.refine.test_run import SHORT

pytest.importorskip("trl")
pytestmark = pytest.mark.filterwarnings("ignore")  # of TRL and peft about their own future

END = "<|im_end|>"
LOOK = (
    '<think>\nHere.\n</think>\n<tool_call>\n{"name": "zoom", "arguments": {"frame": 1, "coordinate": [%d, 60]}}\n</tool_call>'
    + END
)
SCRIPTS = (
    [LOOK % 30, LOOK % 90, f"10 m</answer>{END}"],
    [LOOK % 50, f"<think>\nTen.\n</think>\n<answer>10 m</answer>{END}"],
    [LOOK % 20, LOOK % 70, LOOK % 120],
)
"""Of the three answers to a question; the last one never ends."""


@pytest.fixture(scope="module")
def batch(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What reached the loss in the first step, with the trainer."""
    folder = tmp_path_factory.mktemp("zoom")
    caught: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(crops.PRESETS, "small", CropPreset(side_px=40, shown_px=56, looks=2))
        patch.setattr(shared_prompts, "sample", _scripted)
        patch.setattr(SharedPrompts, "_prepare_inputs", _catching(caught))
        config = replace(
            SHORT, zoom="small", max_steps=1, updates=1, checkpoint_steps=1, questions=1, answer_tokens=900
        )
        refine(_store(folder), config, adapter=write_tuned_run(folder / "tuned", base), out=folder / "out")
    return caught


def _store(folder: Path) -> Store:
    (folder / "asked").mkdir()
    return write_asked_store(folder / "asked")


def _scripted(
    model: Any, processor: Any, prompts: Any, dialogues: Any, _sampling: Any, _generator: Any
) -> list[Sampled]:
    """The next turn of each dialogue, with the log-probabilities that the model gives it."""
    taken = [sum(one == processor.end_id for one in dialogue.ids) // 2 for dialogue in dialogues]
    open_ones = [script for script in SCRIPTS if len(script) > taken[0]]
    said = [tuple(processor.tokenizer(script[taken[0]])["input_ids"]) for script in open_ones]
    whole = [replace(one, ids=(*one.ids, *own)) for one, own in zip(dialogues, said, strict=True)]
    told = packed_logps(model, pack_dialogues(prompts, whole, processor))
    return [
        Sampled(list(own), logps[len(before.ids) : len(before.ids) + len(own)].tolist())
        for own, logps, before in zip(said, told, dialogues, strict=True)
    ]


def _catching(caught: dict[str, Any]) -> Any:
    plain = SharedPrompts._prepare_inputs

    def prepare(self: Any, rows: Any) -> Any:
        inputs = plain(self, rows)
        caught.update(trainer=self, inputs=inputs, chat=self._chat)
        return inputs

    return prepare


def _decoded(batch: Any, row: int) -> tuple[str, str]:
    """What carries loss, and what does not."""
    inputs, tokenizer = batch["inputs"], batch["chat"].tokenizer
    ids, carries = inputs["completion_ids"][row], (inputs["completion_mask"] * inputs["tool_mask"])[row].bool()
    silent = ids[~carries]
    return tokenizer.decode(ids[carries]), tokenizer.decode(silent[silent != tokenizer.pad_token_id])


def test_loss_is_on_the_models_words_and_never_on_an_observation(batch: Any) -> None:
    for row in (0, 1):
        said, silent = _decoded(batch, row)
        assert said == "".join(SCRIPTS[row])
        assert silent.count("<tool_response>") == len(SCRIPTS[row]) - 1
        assert "<|image_pad|>" in silent


def test_an_unfinished_dialogue_carries_no_loss(batch: Any) -> None:
    assert _decoded(batch, 2)[0] == ""


def test_crops_are_of_the_original_and_in_the_forward_pass(batch: Any) -> None:
    shown = batch["inputs"]["rollout"].shown
    assert [len(own) for own in shown] == [4, 3, 4]
    assert {one.size for own in shown for one in own[2:]} == {(56, 56)}


def test_another_crop_changes_what_is_said_after_it_and_nothing_else(batch: Any) -> None:
    before = _logps(batch)
    rollout = batch["inputs"]["rollout"]
    kept = rollout.shown[1][2]
    rollout.shown[1][2] = ImageOps.invert(kept) if isinstance(kept, Image.Image) else kept
    after = _logps(batch)
    rollout.shown[1][2] = kept
    moved = (before - after).abs() > 1e-6
    first_turn = len(batch["chat"].tokenizer(SCRIPTS[1][0])["input_ids"])
    words = (batch["inputs"]["completion_mask"] * batch["inputs"]["tool_mask"]).bool()
    assert not moved[1, :first_turn].any()
    assert moved[1][words[1]][first_turn:].float().mean() > 0.9
    assert not moved[[0, 2]][words[[0, 2]]].any()


def _logps(batch: Any) -> torch.Tensor:
    trainer, inputs = batch["trainer"], batch["inputs"]
    trainer._rollout, trainer._rows = inputs["rollout"], inputs["row"].tolist()
    ids, mask = (torch.cat([inputs[f"prompt_{what}"], inputs[f"completion_{what}"]], dim=1) for what in ("ids", "mask"))
    trainer.model.eval()
    with torch.no_grad():
        logps, _, _ = trainer._get_per_token_logps_and_entropies(
            trainer.model, ids, mask, inputs["completion_ids"].shape[1]
        )
    told: torch.Tensor = logps
    return told
