"""All that a refinement rests on, before there is a trainer."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path

from accelerate import PartialState

from drive_vqa.errors import ConfigError
from drive_vqa.store import Store
from finetune.refine.asked import Asked, choose_questions
from finetune.refine.config import RefineConfig
from finetune.refine.policy import Policy, load_policy

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class RefineTask:
    """What is refined, on what, and where it goes.

    Attributes:
        store: with the questions.
        config: a recipe.
        policy: the model.
        asked: questions that are learned on.
        held_out: questions that are looked at meanwhile, if any.
        out: the run's folder.
    """

    store: Store
    config: RefineConfig
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
        ConfigError: there are not enough questions for a step, or the base of the run is gone.
        StoreError: nothing to ask.
        ModelError: the run is not complete.
    """
    policy = load_policy(tuned_run, config, state.device)
    of_a_step = config.questions * state.num_processes
    most = of_a_step * math.ceil(config.max_steps / config.updates)
    asked = choose_questions(store, config, policy.vlm.regions, split=config.split, most=most)
    if len(asked) < of_a_step:
        raise ConfigError(
            f"a step asks {of_a_step} questions and there are {len(asked)}: lower `questions`, or ask of more families, types or "
            "kinds"
        )
    logger.info("%d questions, %d a step, %d answers each", len(asked), of_a_step, config.completions)
    looks, held_out = config.held_out, None
    if looks.steps:
        held_out = choose_questions(store, config, policy.vlm.regions, split=looks.split, most=looks.questions)
    return RefineTask(store, config, policy, asked, held_out, out)
