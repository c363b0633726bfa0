"""Ask all questions about some logs: rows of their `groups` and `questions` tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from drive_vqa.schema import GROUPS
from qa_gen.asked import Asked
from qa_gen.assemble import GroupsOfLog, question_table
from qa_gen.catalogue import TYPES
from qa_gen.config import HORIZONS_S, GenerateConfig
from qa_gen.describe import descriptions
from qa_gen.drive import Drive
from qa_gen.forms import Chunk, chunks, kept_chains
from qa_gen.group_table import group_table
from qa_gen.groups import Groups, choose_subsets, keyframes_of, make_groups
from qa_gen.question_type import QuestionType
from qa_gen.slices import slices_of

BENCH = "target"
BENCH_TYPES = (
    "distance_t0", "bearing_t0",
    *(f"{name}_t{horizon_s}" for horizon_s in HORIZONS_S for name in ("localization", "ego_speed", "target_speed")),
)  # fmt: skip
"""What is asked about a target of the bench: STRIDE-QA-Bench's thirteen, and distance and bearing jointly at 0 s too."""


def ask(
    drive: Drive, log_splits: Sequence[str], config: GenerateConfig, *, bench_groups: int = 0
) -> tuple[pa.Table, pa.Table]:
    """Rows of the `groups` and of the `questions` table of some logs, in the order of logs.

    Args:
        drive: the logs.
        log_splits: the split of each, see `qa_gen.split`.
        config: what is asked.
        bench_groups: how many groups of the bench each log is to give, if it is for the test.

    Raises:
        ConfigError: there is no front camera of a name that the config knows.
    """
    kinds = [kind for kind in config.kinds if any(kind in question.group_kinds for question in _types(config))]
    keyframes, bench_frames = (keyframes_of(drive, step_s) for step_s in (config.keyframe_step_s, config.bench_step_s))
    made = {}
    for kind in kinds:
        frames = bench_frames if kind == BENCH else keyframes
        groups = make_groups(drive, kind, frames, log_splits, config, bench_groups=bench_groups)
        if len(groups):
            made[kind] = groups
    parts, asked = {}, []
    for kind, groups in made.items():
        marks = _subjects(drive, groups, config, np.argwhere(groups.tracks >= 0))
        parts[kind] = GroupsOfLog(groups, slices_of(marks))
        asked += list(_questions(drive, groups, config))
    tables = [group_table(drive, groups, descriptions(drive, groups)) for groups in made.values()]
    groups_table = pa.concat_tables([GROUPS.empty_table(), *tables]).combine_chunks()
    return groups_table, question_table(drive, parts, asked)


def _types(config: GenerateConfig) -> list[QuestionType]:
    return [
        kind
        for kind in TYPES.values()
        if kind.family in config.families and (kind.family != "future" or kind.horizon_s in config.horizons_s)
    ]


def _questions(drive: Drive, groups: Groups, config: GenerateConfig) -> Iterator[Chunk]:
    types = [kind for kind in _types(config) if groups.kind in kind.group_kinds]
    if groups.kind == BENCH:
        types = [kind for kind in types if kind.name in BENCH_TYPES]
    for roles in sorted({kind.roles for kind in types}):
        asked = _asked(drive, groups, config, roles)
        kept = None if groups.kind == BENCH else kept_chains(asked)
        for kind in types:
            if kind.roles == roles and len(asked):
                yield from chunks(kind, asked, kept)


def _asked(drive: Drive, groups: Groups, config: GenerateConfig, roles: int) -> Asked:
    """The subjects of types with so many roles."""
    everything = groups.kind == BENCH
    if roles == 0:
        return _subjects(drive, groups, config, np.argwhere(groups.ego_fresh | groups.fresh.any(-1) | everything))
    if roles == 1:
        return _subjects(drive, groups, config, np.argwhere((groups.tracks >= 0) & (groups.fresh | everything)))
    group, slots = choose_subsets(drive, groups, roles, config.max_pairs if roles == 2 else config.max_triples, config)
    return _subjects(drive, groups, config, np.concatenate([group[:, None], slots], axis=-1))


def _subjects(drive: Drive, groups: Groups, config: GenerateConfig, places: np.ndarray) -> Asked:
    """Subjects from rows of group and slots."""
    places = places.astype(np.int64)
    return Asked(drive, groups, config, places[:, 0], places[:, 1:], np.zeros(len(places), np.int64))
