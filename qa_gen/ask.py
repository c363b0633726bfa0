"""Ask all questions about a group: rows of the `questions` table."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from qa_gen.catalogue import TYPES
from qa_gen.config import GenerateConfig
from qa_gen.conflict import time_to_collision_s, ttc_bin
from qa_gen.groups import KIND_OF_FAMILY, Group, Mark
from qa_gen.moment import Drive, Moment
from qa_gen.question_type import Asked, QuestionType, Truth

ID_LENGTH = 16


def ask(group: Group, drive: Drive, config: GenerateConfig) -> Iterator[dict[str, Any]]:
    """Rows of all questions about a group that have a clear answer.

    A question is left out where its target is not labelled at the horizon.
    """
    ttc_bins = {mark.number: _ttc_bin(group.present, mark, config) for mark in group.marks}
    for kind in _types_for(group, config):
        then = drive.at(group.present, kind.horizon_s, config.time_tolerance_s)
        if then is None:
            continue
        for marks in _subjects(group, kind.marks):
            asked = _asked(marks, then)
            truth = None if asked is None else kind.truth(asked)
            if truth is not None:
                yield _row(kind, group, drive.log_id, marks, then, truth, ttc_bins, config.seed)


def _types_for(group: Group, config: GenerateConfig) -> list[QuestionType]:
    return [
        kind
        for kind in TYPES.values()
        if kind.family in config.families
        and KIND_OF_FAMILY[kind.family] == group.kind
        and (kind.family != "future" or kind.horizon_s in config.horizons_s)
    ]


def _subjects(group: Group, marks: int) -> Sequence[tuple[Mark, ...]]:
    """Whom a question with so many marks can be about."""
    return {0: ((),), 1: tuple((mark,) for mark in group.marks), 2: group.pairs}[marks]


def _asked(marks: tuple[Mark, ...], then: Moment) -> Asked | None:
    """None where an agent is not labelled at that moment."""
    later = [then.agents.get(mark.agent.track_id) for mark in marks]
    agents_then = tuple(agent for agent in later if agent is not None)
    if len(agents_then) < len(marks):
        return None
    names, agents_now = tuple(mark.name for mark in marks), tuple(mark.agent for mark in marks)
    return Asked(names, agents_now, agents_then, then.ego_speed_mps)


def _row(
    kind: QuestionType,
    group: Group,
    log_id: str,
    marks: tuple[Mark, ...],
    then: Moment,
    truth: Truth,
    ttc_bins: dict[int, str | None],
    seed: int,
) -> dict[str, Any]:
    names = tuple(mark.name for mark in marks)
    track_ids = [mark.agent.track_id for mark in marks]
    subject = [log_id, str(group.present.frame), kind.family, kind.name, str(kind.version), *track_ids]
    template = int(_hash(str(seed), *subject), 16) % len(kind.wordings)
    question = kind.fill(kind.wordings[template], names)
    options = [kind.fill(option, names) for option in kind.options]
    return {
        "qa_id": _hash(*subject, str(kind.horizon_s), question)[:ID_LENGTH],
        "group_id": group.group_id,
        "log_id": log_id,
        "frame": group.present.frame,
        "truth_frame": then.frame,
        "family": kind.family,
        "type": kind.name,
        "template": template,
        "template_version": kind.version,
        "answer_type": kind.answer_type,
        "marks": [mark.number for mark in marks],
        "track_ids": track_ids,
        "question": question,
        "options": sorted(options, key=lambda option: _hash(str(seed), *subject, option)),
        "answer": kind.answer(truth),
        "truth": truth,
        "horizon_s": kind.horizon_s,
        "evidence": [{"mark": mark.number, "context": context} for mark in marks for context, _ in mark.regions],
        "split": group.split,
        "slices": _slices(marks[0], then, ttc_bins) if marks else NO_SLICES,
    }


NO_SLICES: dict[str, Any] = dict.fromkeys(
    ("category", "distance_m", "visible_fraction", "moving", "in_view_at_t", "ttc_bin")
)


def _slices(mark: Mark, then: Moment, ttc_bins: dict[int, str | None]) -> dict[str, Any]:
    agent = mark.agent
    return {
        "category": agent.category,
        "distance_m": agent.distance_m,
        "visible_fraction": agent.region.visible_fraction if agent.region else 0.0,
        "moving": agent.moving,
        "in_view_at_t": then.agents[agent.track_id].region is not None,
        "ttc_bin": ttc_bins[mark.number],
    }


def _ttc_bin(present: Moment, mark: Mark, config: GenerateConfig) -> str | None:
    """None where a velocity is not known."""
    agent = mark.agent
    if present.ego_speed_mps is None or agent.vx_mps is None or agent.vy_mps is None:
        return None
    ego_box = np.array([config.ego_centre_x_m, 0.0, config.ego_length_m, config.ego_width_m, 0.0])
    return ttc_bin(time_to_collision_s(ego_box, present.ego_speed_mps, agent.ground_box, agent.vx_mps, agent.vy_mps))


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
