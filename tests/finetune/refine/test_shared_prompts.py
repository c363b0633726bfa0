"""TRL's trainer with shared prompts against TRL's trainer alone, and its two algorithms against each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig

from drive_vqa.errors import ModelError
from drive_vqa.vlm import Decoding, Sampling, image_token_types, load_vlm
from finetune import loss
from finetune.packing import packed_attention
from finetune.refine.frames import ShownFrame
from finetune.refine.shared_prompts import SharedPrompts
from finetune.refine.turn_processor import TurnProcessor
from tests.finetune.refine.conftest import SIZE_PX, picture

trl = pytest.importorskip("trl")
pytestmark = pytest.mark.filterwarnings("ignore")  # of TRL about its own future

QUESTIONS, COMPLETIONS, TOKENS = 2, 3, 10


def rows() -> Any:
    """Questions about two frames each."""
    from datasets import Dataset

    frames = [[ShownFrame(picture(2 * row)), ShownFrame(picture(2 * row + 1))] for row in range(QUESTIONS)]

    def shown(batch: dict[str, list[int]]) -> dict[str, list[Any]]:
        def prompt(row: int) -> list[dict[str, Any]]:
            images = [{"type": "image", "image": frame} for frame in frames[row]]
            return [{"role": "user", "content": [*images, {"type": "text", "text": f"How far is Region {row}?"}]}]

        return {"prompt": [prompt(row) for row in batch["number"]], "number": batch["number"]}

    return Dataset.from_dict({"number": list(range(QUESTIONS))}).with_transform(shown)


def length(completions: list[Any], **_: Any) -> list[float]:
    """A reward that tells answers apart."""
    return [len(completion[0]["content"]) / 10 for completion in completions]


def arguments(out: Path, **changed: Any) -> Any:
    usual: dict[str, Any] = {
        "output_dir": str(out),
        "per_device_train_batch_size": QUESTIONS * COMPLETIONS,
        "num_generations": COMPLETIONS,
        "max_completion_length": TOKENS,
        "max_steps": 1,
        "learning_rate": 1e-3,
        "lr_scheduler_type": "constant",
        "max_grad_norm": 1e9,
        "beta": 0.0,
        "gradient_checkpointing": False,
        "bf16": False,
        "report_to": "none",
        "logging_steps": 1,
        "save_strategy": "no",
        "use_cpu": True,
        "disable_tqdm": True,
        "seed": 3,
        "loss_type": "grpo",
        "num_generations_eval": 1,
        "per_device_eval_batch_size": 1,
    }
    return trl.GRPOConfig(**{**usual, **changed})


@pytest.fixture
def make(base: Path, tmp_path: Path) -> Callable[..., Any]:
    """A trainer, TRL's alone if asked, with other arguments than usual."""

    def made(*, alone: bool = False, **changed: Any) -> Any:
        vlm = load_vlm(base, device="cpu")
        decoding = Decoding(TOKENS, (vlm.processor.image_token_id,), (vlm.processor.end_id,), Sampling())
        shared = type("Shared", (SharedPrompts, trl.GRPOTrainer), {})
        kind = trl.GRPOTrainer if alone else partial(shared, chat=vlm.processor, decoding=decoding)
        return kind(
            model=vlm.model,
            processing_class=TurnProcessor(vlm.processor),
            reward_funcs=[length],
            args=arguments(tmp_path / "out", **changed),
            train_dataset=rows(),
            peft_config=LoraConfig(r=4, target_modules=vlm.family.lora_targets["language"]),
        )

    return made


def trained(trainer: Any) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in trainer.model.named_parameters() if weight.requires_grad}


def gradients(trainer: Any, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Of the loss of a batch at the weights as they are."""
    trainer.model.zero_grad()
    trainer.current_gradient_accumulation_steps = 1
    trainer.compute_loss(trainer.model, batch).backward()
    return {name: weight.grad.clone() for name, weight in trainer.model.named_parameters() if weight.grad is not None}


def answered(trainer: Any) -> dict[str, Any]:
    """A batch of answers with rewards."""
    trainer.model.train()
    data = [trainer.train_dataset[row] for row in range(QUESTIONS) for _ in range(COMPLETIONS)]
    batch: dict[str, Any] = trainer._prepare_inputs(data)
    return batch


def move(trainer: Any, seed: int) -> None:
    """Another policy than the one that answered."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in trainer.model.parameters():
            if weight.requires_grad:
                weight += 0.05 * torch.randn(weight.shape, generator=generator)


def as_trl_wants(trainer: Any, batch: dict[str, Any]) -> dict[str, Any]:
    """The same batch with the pixels of every answer."""
    prompts, _ = batch["rollout"].dialogues(_sequences(batch), batch["rollout"].shown)
    images = [prompts[row // COMPLETIONS].images for row in range(len(batch["row"]))]
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
    return {
        **batch,
        **trainer._chat.join_images(images),
        "num_images": [2] * len(images),
        "mm_token_type_ids": image_token_types(ids, trainer._chat),
    }


def _sequences(batch: dict[str, Any]) -> list[list[int]]:
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1).bool()
    return [own[seen].tolist() for own, seen in zip(ids, mask, strict=True)]


@pytest.mark.parametrize("level", ["token", "sequence"])
def test_loss_and_gradients_are_those_of_trl(make: Callable[..., Any], level: str) -> None:
    """Off-policy, so that every ratio is another."""
    shared = make(importance_sampling_level=level, num_iterations=2, beta=0.1)
    alone = make(importance_sampling_level=level, num_iterations=2, beta=0.1, alone=True)
    batch = answered(shared)
    for trainer in (shared, alone):
        move(trainer, 1)
        trainer.model.train()
    ours, theirs = gradients(shared, batch), gradients(alone, as_trl_wants(shared, batch))
    assert max(float(gradient.abs().max()) for gradient in theirs.values()) > 1e-3
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-3, atol=1e-5)


def test_log_probabilities_are_those_of_trl_and_of_sampling(make: Callable[..., Any]) -> None:
    shared, alone = make(num_iterations=2), make(num_iterations=2, alone=True)
    for trainer in (shared, alone):
        move(trainer, 2)
    batch = answered(shared)
    plain = as_trl_wants(shared, batch)
    ids, mask = (torch.cat([batch[f"prompt_{what}"], batch[f"completion_{what}"]], dim=1) for what in ("ids", "mask"))
    names = ("pixel_values", "image_grid_thw", "num_images", "mm_token_type_ids")
    with torch.no_grad():
        theirs, _, _ = alone._get_per_token_logps_and_entropies(
            alone.model, ids, mask, batch["completion_ids"].shape[1], **{name: plain[name] for name in names}
        )
    said = batch["completion_mask"].bool()
    torch.testing.assert_close(batch["old_per_token_logps"][said], theirs[said], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(batch["sampling_per_token_logps"][said], theirs[said], rtol=1e-4, atol=1e-4)


def test_gspo_is_grpo_with_one_update_on_policy_and_not_with_several(make: Callable[..., Any]) -> None:
    grpo, gspo = (make(importance_sampling_level=level, num_iterations=2) for level in ("token", "sequence"))
    batch = answered(grpo)
    on_policy = [gradients(trainer, batch) for trainer in (grpo, gspo)]
    for name, gradient in on_policy[0].items():
        torch.testing.assert_close(on_policy[1][name], gradient, rtol=1e-4, atol=1e-7)
    for trainer in (grpo, gspo):
        move(trainer, 3)
    one, other = (gradients(trainer, batch) for trainer in (grpo, gspo))
    apart = max(float((one[name] - other[name]).abs().max() / one[name].abs().max()) for name in one)
    assert apart > 0.05


def test_the_vision_tower_reads_each_frame_once(make: Callable[..., Any]) -> None:
    trainer = make(num_iterations=2)
    trainer._checked = True  # which costs two more readings
    patches: list[int] = []
    tower = next(module for name, module in trainer.model.named_modules() if name.endswith(".visual"))
    tower.register_forward_pre_hook(
        lambda _module, given, named: patches.append(len(given[0] if given else named["hidden_states"])),
        with_kwargs=True,
    )
    batch = answered(trainer)
    gradients(trainer, batch)
    of_a_frame = (SIZE_PX[0] // 14) * (SIZE_PX[1] // 14)
    assert patches == [QUESTIONS * 2 * of_a_frame] * 3  # sampling, the old policy, the loss


def test_answers_depend_on_seed_and_step_alone(make: Callable[..., Any]) -> None:
    first, second = make(), make()
    torch.manual_seed(0)
    one = answered(first)
    torch.manual_seed(1)
    torch.rand(7)
    again = answered(second)
    assert torch.equal(one["completion_ids"], again["completion_ids"])
    second._step = second.args.steps_per_generation * second.num_iterations
    later = answered(second)
    other = answered(make(seed=4))
    assert not torch.equal(one["completion_ids"], later["completion_ids"])
    assert not torch.equal(one["completion_ids"], other["completion_ids"])


def test_portions_hold_whole_questions(make: Callable[..., Any]) -> None:
    trainer = make(per_device_train_batch_size=COMPLETIONS, gradient_accumulation_steps=QUESTIONS)
    first = answered(trainer)
    assert first["row"].tolist() == list(range(COMPLETIONS))
    assert len({tuple(ids.tolist()) for ids in first["prompt_ids"]}) == 1
    whole = make()
    at_once = gradients(whole, answered(whole))
    portions = [gradients(trainer, portion) for portion in trainer._buffered_inputs]
    for name, gradient in at_once.items():
        added = sum(portion[name] for portion in portions) / QUESTIONS
        torch.testing.assert_close(added, gradient, rtol=1e-3, atol=1e-6)


def test_training_runs_and_looks_at_held_out_questions(make: Callable[..., Any]) -> None:
    trainer = make(num_iterations=2, max_steps=4)
    before = trained(trainer)
    trainer.eval_dataset = rows()
    trainer.train()
    assert any(not torch.equal(weight, before[name]) for name, weight in trained(trainer).items())
    assert {"reward", "time/generation_s", "time/rewards_s"} <= set(trainer.state.log_history[0])
    assert "eval_reward" in trainer.evaluate()


def test_sampling_from_another_model_than_is_learned_is_noticed(make: Callable[..., Any]) -> None:
    trainer = make()
    trainer._decoding = replace(trainer._decoding, sampling=Sampling(1.3))  # and TRL learns at 1.0
    with pytest.raises(ModelError, match="differ by .* between learning and the library's own"):
        answered(trainer)


def test_a_mask_that_is_not_heeded_is_noticed(make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The last token of a prompt stands apart from it, behind a mask that hides the frames from what follows."""

    def blind(_model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        seen = packed_attention(batch["lesson"], batch["segment"])
        seen[:, :, 20:, :20] = False
        return seen

    monkeypatch.setattr(loss, "attention_mask", blind)
    with pytest.raises(ModelError, match="between learning and the library's own"):
        answered(make())
