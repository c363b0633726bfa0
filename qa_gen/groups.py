"""What is shown to a model together: a moment, its images, and the regions marked on them.

Two kinds: a single front image (object- and ego-centric questions) and a sequence of front images that ends in the
present (future motion). Numbers are dealt to marks at random, so that a number says nothing about where its region is;
an agent keeps its number in all images of a group.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from drive_vqa.categories import CATEGORIES
from qa_gen.config import GenerateConfig
from qa_gen.moment import Agent, Drive, Moment, Region
from qa_gen.split import TIME_WITHIN_LOG, start_of_test_ns

SINGLE, SEQUENCE = "single", "sequence"
KIND_OF_FAMILY = {"object": SINGLE, "ego": SINGLE, "future": SEQUENCE}


@dataclass(frozen=True)
class Mark:
    """A numbered agent and its region in each context image that shows it."""

    number: int
    agent: Agent
    """At the present."""
    regions: tuple[tuple[int, Region], ...]
    """Index of the context image, region."""

    @property
    def name(self) -> str:
        """What questions call it."""
        return f"Region {self.number}"


@dataclass(frozen=True)
class Group:
    """A moment as it is shown to a model."""

    group_id: str
    kind: str
    split: str
    offsets_s: tuple[float, ...]
    context: tuple[Moment, ...]
    """Oldest first, each with an image; the last is the present."""
    marks: tuple[Mark, ...]
    """By number, from 0."""
    pairs: tuple[tuple[Mark, Mark], ...]
    """Pairs that object-centric questions are about; the order within a pair is random."""

    @property
    def present(self) -> Moment:
        """The moment that is asked about."""
        return self.context[-1]


def make_groups(drive: Drive, log_split: str, config: GenerateConfig) -> list[Group]:
    """All groups of a log, in time order.

    Args:
        drive: the log.
        log_split: see `qa_gen.split.split_logs`.
        config: which families, which keyframes, which marks.
    """
    kinds = [kind for kind in (SINGLE, SEQUENCE) if any(KIND_OF_FAMILY[family] == kind for family in config.families)]
    keyframes = _keyframes(drive, config.keyframe_step_s)
    found = [_make_group(drive, present, kind, log_split, config) for present in keyframes for kind in kinds]
    groups = [group for group in found if group is not None]
    return _split_by_time(groups) if log_split == TIME_WITHIN_LOG else groups


def group_row(group: Group, log_id: str) -> dict[str, Any]:
    """A group as a row of the `groups` table."""
    images = [
        {"frame": moment.frame, "offset_s": offset_s, **vars(moment.image)}
        for moment, offset_s in zip(group.context, group.offsets_s, strict=True)
    ]
    marks = [
        {
            "mark": mark.number,
            "track_id": mark.agent.track_id,
            "category": mark.agent.category,
            "regions": [{"context": context, **vars(region)} for context, region in mark.regions],
        }
        for mark in group.marks
    ]
    return {
        "group_id": group.group_id,
        "log_id": log_id,
        "frame": group.present.frame,
        "timestamp_ns": group.present.timestamp_ns,
        "split": group.split,
        "context": images,
        "marks": marks,
        "ego_speed_mps": group.present.ego_speed_mps,
    }


def _keyframes(drive: Drive, step_s: float) -> list[Moment]:
    """Moments about `step_s` apart: from each, the next is the one nearest to a step later."""
    keyframes: list[Moment] = []
    wanted_ns = -np.inf
    for index, moment in enumerate(drive.moments):
        following = drive.moments[index + 1 : index + 2]
        if all(abs(moment.timestamp_ns - wanted_ns) <= abs(other.timestamp_ns - wanted_ns) for other in following):
            keyframes.append(moment)
            wanted_ns = moment.timestamp_ns + step_s * 1e9
    return keyframes


def _split_by_time(groups: list[Group]) -> list[Group]:
    """Both kinds at one moment go to the same side; answers of the last training moments still lie in the test part."""
    counted = [group for group in groups if group.kind == SEQUENCE] or groups
    if not counted:
        return []
    start_ns = start_of_test_ns([group.present.timestamp_ns for group in counted])
    return [replace(group, split="train" if group.present.timestamp_ns < start_ns else "test") for group in groups]


def _make_group(drive: Drive, present: Moment, kind: str, split: str, config: GenerateConfig) -> Group | None:
    """None where an image is missing, the log ends within the horizons, or nothing can be marked."""
    offsets_s = (0.0,) if kind == SINGLE else config.context_offsets_s
    horizons_s = (0,) if kind == SINGLE else config.horizons_s
    context = _moments(drive, present, offsets_s, config)
    futures = _moments(drive, present, horizons_s, config)
    if context is None or futures is None or any(moment.image is None for moment in context):
        return None
    random = _generator(config.seed, drive.log_id, str(present.frame), kind)
    marks = _choose_marks(context, futures, config, random)
    if not marks:
        return None
    pairs = _choose_pairs(marks, config.max_pairs, random)
    group_id = f"{drive.log_id}-{present.frame:05d}-{kind}"
    return Group(group_id, kind, split, tuple(map(float, offsets_s)), context, marks, pairs)


def _moments(
    drive: Drive, present: Moment, offsets_s: Sequence[float], config: GenerateConfig
) -> tuple[Moment, ...] | None:
    """The moments at these offsets; None where one is missing."""
    found = [drive.at(present, offset_s, config.time_tolerance_s) for offset_s in offsets_s]
    moments = tuple(moment for moment in found if moment is not None)
    return moments if len(moments) == len(offsets_s) else None


def _choose_marks(
    context: tuple[Moment, ...], futures: tuple[Moment, ...], config: GenerateConfig, random: np.random.Generator
) -> tuple[Mark, ...]:
    """The agents most worth asking about, in random order.

    Only those labelled at all horizons: a target that is asked about at some of them could never count as consistent. First
    those that move or are vulnerable, then those that are large in the image.
    """
    visible = [agent for agent in context[-1].agents.values() if _can_be_marked(agent, config)]
    agents = [agent for agent in visible if _in_all(agent, futures)]
    agents.sort(key=lambda agent: (-_priority(agent), -_area_px2(agent), agent.track_id))
    chosen = agents[: config.max_marks]
    order = random.permutation(len(chosen))
    return tuple(
        Mark(number, chosen[index], _shown(chosen[index].track_id, context, config))
        for number, index in enumerate(order)
    )


def _can_be_marked(agent: Agent, config: GenerateConfig) -> bool:
    return (
        agent.region is not None
        and CATEGORIES[agent.category].movable
        and agent.region.visible_fraction >= config.min_visible_fraction
        and agent.region.shorter_side_px >= config.min_box_px
        and agent.distance_m <= config.max_distance_m
    )


def _in_all(agent: Agent, moments: tuple[Moment, ...]) -> bool:
    return all(agent.track_id in moment.agents for moment in moments)


def _priority(agent: Agent) -> int:
    return bool(agent.moving) + CATEGORIES[agent.category].vulnerable


def _area_px2(agent: Agent) -> float:
    return agent.region.area_px2 if agent.region else 0.0


def _shown(track_id: str, context: tuple[Moment, ...], config: GenerateConfig) -> tuple[tuple[int, Region], ...]:
    """The regions of an agent in the context images that show enough of it to be marked."""
    agents = ((index, moment.agents.get(track_id)) for index, moment in enumerate(context))
    regions = ((index, agent.region) for index, agent in agents if agent is not None)
    return tuple(
        (index, region)
        for index, region in regions
        if region is not None and region.visible_fraction >= config.min_visible_fraction
    )


def _choose_pairs(
    marks: tuple[Mark, ...], max_pairs: int, random: np.random.Generator
) -> tuple[tuple[Mark, Mark], ...]:
    pairs = list(itertools.combinations(marks, 2))
    chosen = random.permutation(len(pairs))[:max_pairs]
    swapped = random.random(len(chosen)) < 0.5
    return tuple(
        (pairs[index][1], pairs[index][0]) if swap else pairs[index]
        for index, swap in zip(chosen, swapped, strict=True)
    )


def _generator(seed: int, *names: str) -> np.random.Generator:
    """Random numbers that depend on these names alone."""
    digest = hashlib.sha256("\n".join((str(seed), *names)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))
