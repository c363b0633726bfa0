"""Refining a tuned model by reinforcement learning: questions of a store, answers of the model, rewards from the tracks.

    RUN/adapter/       PEFT adapter; appears only when training has ended
    RUN/checkpoints/   what --resume goes on from
    RUN/answers/       a table and a page of sampled answers with their rewards, each `show_steps` steps
    RUN/config.yaml    resolved settings
    RUN/log.jsonl      rewards, divergence, lengths and times, one line a record
    RUN/run.json       base, what it was refined from and by: what prediction needs

Several processes (`torchrun`, `accelerate launch`) run the same function; the first one alone writes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import PartialState

from drive_vqa._version import __version__
from drive_vqa.config import flatten, save_config, to_dict
from drive_vqa.errors import ConfigError
from drive_vqa.store import Store, write_json
from drive_vqa.tracking import TrackedRun, config_digest, mlflow_run
from drive_vqa.vlm import RUN_FILE, torch_device, without_library_deprecations
from finetune.adapter import ADAPTER, save_adapter
from finetune.checkpoint_record import Origin
from finetune.checkpoints import last_checkpoint
from finetune.refine.config import RefineConfig
from finetune.refine.task import RefineTask, make_task
from finetune.refine.trainer import REFERENCE, make_trainer
from finetune.run_folder import only_run, prepare_folder


@dataclass(frozen=True)
class Refined:
    """What a refinement has left.

    Attributes:
        adapter: folder.
        reward: mean of the last record; None where nothing was recorded.
    """

    adapter: Path
    reward: float | None


def refine(
    store: Store,
    config: RefineConfig,
    *,
    adapter: Path,
    out: Path,
    resume: bool = False,
    device: str | None = None,
    tracking_uri: str | None = None,
) -> Refined:
    """Train an adapter on rewards.

    Args:
        store: with groups, questions and tracks.
        config: a recipe.
        adapter: output folder of `drive-vqa finetune` that is gone on from.
        out: run folder; new or empty unless `resume`.
        resume: go on from the last checkpoint in `out`; from the start where there is none.
        device: cpu or cuda; default: CUDA where there is one.
        tracking_uri: MLflow store; default: in `out`.

    Raises:
        ConfigError: `out` holds something already or is the tuned run, or the settings do not fit the questions, the model or
            what is resumed.
        StoreError: nothing to ask.
        ModelError: the model cannot be loaded, or what it samples from is not what it learns on.
    """
    if out.resolve() == adapter.resolve():
        raise ConfigError(f"--out and --adapter are both {out}, which would be overwritten: give --out another folder")
    place = torch_device(device)
    if os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true":
        raise ConfigError("refine samples at every step, which needs whole weights: use DDP in the place of FSDP")
    state = PartialState(cpu=place.type == "cpu")
    prepare_folder(out, resume=resume)
    with only_run(out, is_main_process=state.is_main_process):
        task = make_task(store, config, adapter, out, state)
        return _run(task, state, resume=resume, tracking_uri=tracking_uri)


def _run(task: RefineTask, state: PartialState, *, resume: bool, tracking_uri: str | None) -> Refined:
    config, policy, out = task.config, task.policy, task.out
    settings, digest = flatten(to_dict(config)), task.asked.digest()
    origin = Origin(settings, digest, policy.digest, state.num_processes, state.device.type)
    checkpoint = last_checkpoint(out / "checkpoints", origin) if resume else None
    if state.is_main_process:
        save_config(config, out / "config.yaml")
    tags = {
        "code_version": __version__,
        "config_hash": config_digest(to_dict(config)),
        "dataset_digest": digest,
        "base": policy.base.name,
        "refined_from": policy.tuned_run.name,
    }
    options: dict[str, Any] = {"tracking_uri": tracking_uri, "resume": resume, "system_metrics": True}
    with mlflow_run(out, f"refine {out.name}", params=settings, tags=tags, **options) as run:
        run.log_input(task.store.root.name, digest, source="drive-vqa store")
        trainer = make_trainer(task, origin, run, state.device)
        trainer.args.eval_on_start = task.held_out is not None and checkpoint is None  # where it began, told once
        with without_library_deprecations():
            trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        return _finish(trainer, task, digest, run)


def _finish(trainer: Any, task: RefineTask, digest: str, run: TrackedRun) -> Refined:
    rewards = [entry["reward"] for entry in trainer.state.log_history if "reward" in entry]
    last, out = float(rewards[-1]) if rewards else None, task.out
    if trainer.is_world_process_zero():
        model = trainer.accelerator.unwrap_model(trainer.model)
        if REFERENCE in model.peft_config:
            model.delete_adapter(REFERENCE)
        save_adapter(model, out / ADAPTER, task.policy.base.name)
        write_json(out / RUN_FILE, task.policy.record(out, task.config, digest))
        for name in ("config.yaml", RUN_FILE):
            run.log_artifact(out / name)
        run.log_model(
            ADAPTER, out / ADAPTER, metrics={} if last is None else {"reward": last}, step=trainer.state.global_step
        )
    trainer.accelerator.wait_for_everyone()
    return Refined(out / ADAPTER, last)
