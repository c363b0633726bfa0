"""A refinement in the words of TRL's GRPOTrainer."""

from __future__ import annotations

import os
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from drive_vqa.errors import ConfigError, DependencyError
from drive_vqa.tracking import Run
from drive_vqa.vlm import ChatProcessor, Decoding, Sampling, Vlm
from finetune.arguments import recomputation
from finetune.checkpoint_record import Origin
from finetune.checkpoints import AtomicCheckpoints
from finetune.refine.answers import AnswerPages
from finetune.refine.config import RefineConfig
from finetune.refine.prompts import Prompts
from finetune.refine.recorder import Recorder
from finetune.refine.shared_prompts import SharedPrompts
from finetune.refine.task import RefineTask, named
from finetune.refine.turn_processor import TurnProcessor
from finetune.rewards.trl import reward_functions
from finetune.zoom.crops import PRESETS as ZOOMS
from finetune.zoom.environment import ZoomEnvironment
from finetune.zoom.templates import tool_processor
from finetune.zoom.tokens import observation_tokens
from finetune.zoom.trl_batch import ForcedAnswers

REFERENCE = "ref"
"""TRL's name for its frozen copy of an adapter."""


class _OfQuestions:
    """Mixed in: answers are recorded with their questions, and a training that goes on keeps its count of micro-batches."""

    def _calculate_rewards(self, inputs: list[dict[str, Any]], *arguments: Any) -> torch.Tensor:
        self._log_completion_extra("qa_id", [row["qa_id"] for row in inputs])  # type: ignore[attr-defined]
        rewards: torch.Tensor = super()._calculate_rewards(inputs, *arguments)  # type: ignore[misc]
        return rewards

    def create_model_card(self, *_: Any, **_more: Any) -> None:
        """None: TRL would write one into the folder of the checkpoints."""

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)  # type: ignore[misc]
        if checkpoint is not None:
            self._step = self.state.global_step * self.args.gradient_accumulation_steps  # type: ignore[attr-defined]


def make_trainer(task: RefineTask, origin: Origin, run: Run, device: torch.device) -> Any:
    """A trainer, ready to train.

    Args:
        task: what is refined.
        origin: of the training, for its checkpoints.
        run: of MLflow.
        device: of the model.

    Raises:
        ConfigError: there is no such preset of a zoom, or dialogues have no room for its looks.
        DependencyError: vLLM is asked for and not installed.
        ModelError: the model has no template for the calls of a zoom.
    """
    from trl import GRPOTrainer

    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # it warns of its environments each time
    if task.config.vllm and find_spec("vllm") is None:
        raise DependencyError("vllm=true needs vLLM and CUDA: pip install vllm, or set vllm=false")
    config, vlm = task.config, task.policy.vlm
    chat = vlm.processor if task.policy.zoom is None else tool_processor(vlm.processor)
    held_out = {} if task.held_out is None else task.held_out.by_id
    prompts = Prompts(task.store, {**task.asked.by_id, **held_out}, vlm, blind=config.blind)
    vlm.model.generation_config.eos_token_id = chat.end_id
    kind = type("GroundedTrainer", (_OfQuestions, SharedPrompts, ForcedAnswers, AtomicCheckpoints, GRPOTrainer), {})
    truths = {qa_id: one.truth for qa_id, one in prompts.known.items()}
    trainer = kind(
        chat=chat,
        decoding=_decoding(config, vlm),
        origin=origin,
        model=vlm.model,
        processing_class=TurnProcessor(chat),
        reward_funcs=reward_functions(task.preset, truths, end_tokens={chat.end_id}, in_pixels=prompts.in_pixels),
        args=_arguments(task, device),
        train_dataset=prompts.dataset(task.asked),
        eval_dataset=None if task.held_out is None else prompts.dataset(task.held_out),
        environment_factory=_environment(task, prompts, chat),
    )
    for callback in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(callback)
    trainer.add_callback(Recorder(run, task.out / "log.jsonl"))
    trainer.add_callback(AnswerPages(trainer, prompts, task.preset, task.out / "answers", config.show_steps))
    return trainer


def _environment(task: RefineTask, prompts: Prompts, chat: ChatProcessor) -> Any:
    """What looks are taken in; None without a zoom."""
    config, zoom = task.config, task.policy.zoom
    if zoom is None:
        return None
    preset = named(ZOOMS, zoom, "zoom")
    shown = preset.looks * observation_tokens(chat, preset)
    if config.answer_tokens <= shown:
        raise ConfigError(
            f"{preset.looks} looks of zoom={zoom} take {shown} tokens of the {config.answer_tokens} that a dialogue may "
            "have: raise answer_tokens, or take another zoom"
        )
    return partial(ZoomEnvironment, prompts.views, preset)


def _decoding(config: RefineConfig, vlm: Vlm) -> Decoding:
    return vlm.decoding(config.answer_tokens, Sampling(config.temperature, config.top_p))


def _arguments(task: RefineTask, device: torch.device) -> Any:
    """Our settings for the library."""
    from trl import GRPOConfig

    config = task.config
    return GRPOConfig(
        output_dir=str(task.out / "checkpoints"),
        per_device_train_batch_size=config.answers_per_pass,
        gradient_accumulation_steps=config.passes,
        steps_per_generation=config.passes,
        num_iterations=config.updates,
        num_generations=config.completions,
        max_completion_length=config.answer_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        beta=config.kl,
        epsilon=config.clip_low,
        epsilon_high=config.clip_high,
        loss_type="grpo",  # under gspo too, as its authors sum
        importance_sampling_level="sequence" if config.algorithm == "gspo" else "token",
        multi_objective_aggregation=config.aggregation or task.preset.aggregation,
        reward_weights=list(task.preset.weights.values()),
        mask_truncated_completions=True,
        disable_dropout=True,
        max_steps=config.max_steps,
        learning_rate=config.learning_rate,
        lr_scheduler_type="constant_with_warmup" if config.schedule == "constant" else config.schedule,
        warmup_steps=config.warmup_fraction,
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        bf16=config.precision == "bf16" or (config.precision == "auto" and device.type == "cuda"),
        use_cpu=device.type == "cpu",
        use_vllm=config.vllm,
        vllm_mode="colocate",
        logging_steps=config.log_steps,
        logging_nan_inf_filter=False,
        save_steps=config.checkpoint_steps,
        report_to="none",
        ddp_find_unused_parameters=False,  # every prompt has images
        disable_tqdm=True,
        seed=config.seed,
        data_seed=config.seed,
        **recomputation(enabled=config.gradient_checkpointing),
        **_looks(task),
        **_turns(task.policy.zoom),
    )


def _looks(task: RefineTask) -> dict[str, Any]:
    """One answer to each held-out question."""
    if task.held_out is None:
        return {}
    return {
        "eval_strategy": "steps",
        "eval_steps": task.config.held_out.steps,
        "num_generations_eval": 1,
        "per_device_eval_batch_size": task.config.answers_per_pass,
    }


def _turns(zoom: str | None) -> dict[str, int]:
    """One for each look; what calls on after the last is unfinished."""
    return {} if zoom is None else {"max_tool_calling_iterations": named(ZOOMS, zoom, "zoom").looks}
