"""All that a refinement rests on, before there is a trainer."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from accelerate import PartialState

from drive_vqa.errors import ConfigError
from drive_vqa.store import Store
from finetune.refine.asked import Asked, choose_questions
from finetune.refine.config import RefineConfig
from finetune.refine.policy import Policy, load_policy
from finetune.rewards.presets import PRESETS, Preset

logger = logging.getLogger(__name__)

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class RefineTask:
    """What is refined, on what, and where it goes.

    Attributes:
        store: with the questions.
        config: a recipe.
        preset: of rewards.
        policy: the model.
        asked: questions that are learned on.
        held_out: questions that are looked at meanwhile, if any.
        out: the run's folder.
    """

    store: Store
    config: RefineConfig
    preset: Preset
    policy: Policy
    asked: Asked
    held_out: Asked | None
    out: Path


def make_task(store: Store, config: RefineConfig, tuned_run: Path, out: Path, state: PartialState) -> RefineTask:
    """Load the model and choose the questions.

    Args:
        store: with groups, questions and tracks.
        config: a recipe.
        tuned_run: output folder of `drive-vqa finetune` or `refine`.
        out: the run's folder.
        state: of this process.

    Raises:
        ConfigError: there is no such preset of rewards, not enough questions for a step, or the base of the run is gone.
        StoreError: nothing to ask.
        ModelError: the run is not complete.
    """
    preset = named(PRESETS, config.rewards, "rewards")
    policy = load_policy(tuned_run, config, state.device)
    of_a_step = config.questions * state.num_processes
    most = of_a_step * math.ceil(config.max_steps / config.updates)
    asked = choose_questions(store, config, policy.vlm.regions, split=config.split, most=most)
    if len(asked) < of_a_step:
        raise ConfigError(
            f"a step asks {of_a_step} questions and there are {len(asked)}: lower `questions`, or ask of more families, types or "
            "kinds"
        )
    logger.info("questions: %d, %d a step, %d answers each", len(asked), of_a_step, config.completions)
    _tell_form(policy, preset)
    looks, held_out = config.held_out, None
    if looks.steps:
        held_out = choose_questions(store, config, policy.vlm.regions, split=looks.split, most=looks.questions)
    return RefineTask(store, config, preset, policy, asked, held_out, out)


def _tell_form(policy: Policy, preset: Preset) -> None:
    """What answers look like, and a warning where the model was taught otherwise."""
    tuned, paid = policy.recorded.get("dialect"), preset.dialect
    read = "answers alone" if paid is None else f"traces of {paid}"
    logger.info("rewards: %s, which read %s; closer looks: %s", preset.name, read, policy.zoom or "none")
    if paid is None:
        return
    if policy.recorded.get("answers", "plain") == "plain":
        logger.warning(
            "%s was tuned on plain answers: without a cold start next to nothing is rewarded; rewards=answers pays for those",
            policy.tuned_run,
        )
    elif tuned not in (None, paid):
        logger.warning("%s writes traces of %s: tune it with dialect=%s first", policy.tuned_run, tuned, paid)


def named(known: Mapping[str, Value], name: str, setting: str) -> Value:
    """A preset by its name.

    Raises:
        ConfigError: there is none.
    """
    if name not in known:
        raise ConfigError(f"{setting}={name} is none of {', '.join(known)}")
    return known[name]
