"""Which questions to show: some of every type, in different forms, logs, moments and wordings, but few moments in all.

A moment costs pictures, so types that can share moments do: logs and groups are ranked once by a hash of the seed, and every type
takes from the front of that order.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int, UInt64

from drive_vqa.store import Store

ENOUGH = 8
"""Logs beyond the first that have a type in some form are not looked at for it."""

SHARED_LOGS = 6
"""Types take their turns through this many starting logs."""

COLUMNS = ("type", "form", "template", "group_id")


@dataclass(frozen=True)
class Candidate:
    """One question that could be shown: its log, its row in that log's table, and what must differ among those shown."""

    log_id: str
    row: int
    form: str
    template: int
    group_id: str
    log_rank: int
    group_rank: int


def choose(store: Store, per_type: int, seed: int) -> dict[str, list[int]]:
    """Rows of the `questions` table to show, rising, by log.

    Args:
        store: with questions.
        per_type: how many of each type, or all where there are fewer.
        seed: another seed shows others.

    Raises:
        StoreError: a table is damaged.
    """
    chosen: dict[str, list[int]] = defaultdict(list)
    for place, (_, candidates) in enumerate(sorted(_candidates(store, per_type, seed).items())):
        for candidate in _spread(candidates, per_type, place):
            chosen[candidate.log_id].append(candidate.row)
    return {log_id: sorted(rows) for log_id, rows in sorted(chosen.items())}


def _candidates(store: Store, per_type: int, seed: int) -> dict[str, list[Candidate]]:
    """By type, from the first logs in the order of the hash that have it."""
    found: dict[str, list[Candidate]] = defaultdict(list)
    logs_with: Counter[tuple[str, str]] = Counter()
    log_ids = sorted(store.log_ids("questions"), key=lambda log_id: _hash(seed, log_id))
    for rank, log_id in enumerate(log_ids):
        table = store.read("questions", log_id, COLUMNS)
        here = set()
        for kind, candidate in _of_log(table, log_id, rank, per_type, seed):
            if logs_with[kind, candidate.form] < ENOUGH:
                found[kind].append(candidate)
                here.add((kind, candidate.form))
        logs_with.update(here)
    return found


def _of_log(table: pa.Table, log_id: str, rank: int, per_type: int, seed: int) -> list[tuple[str, Candidate]]:
    """The first `per_type` of each type and form: one of every group in the order of their hashes, then the next of each."""
    kinds, kind = _encoded(table["type"])
    forms, form = _encoded(table["form"])
    groups, group = _encoded(table["group_id"])
    if not len(table):
        return []
    priority = np.array([_hash(seed, str(group_id)) for group_id in groups], dtype=np.uint64)[group]
    subject = kind * len(forms) + form
    turn = _place_in_run(subject * len(groups) + group, _shuffled(len(table), seed))
    order = np.lexsort((group, priority, turn, subject))
    place = np.arange(len(order)) - np.searchsorted(subject[order], subject[order])
    template = pc.fill_null(table["template"], 0).to_numpy()
    return [
        (
            kinds[kind[row]],
            Candidate(log_id, row, forms[form[row]], int(template[row]), groups[group[row]], rank, int(priority[row])),
        )
        for row in order[place < per_type].tolist()
    ]


def _spread(candidates: list[Candidate], count: int, turn: int) -> list[Candidate]:
    """One after the other, each as unlike those already taken as can be."""
    logs = {rank: place for place, rank in enumerate(sorted({candidate.log_rank for candidate in candidates}))}
    shift = turn % SHARED_LOGS
    taken: list[Candidate] = []

    def unlike(candidate: Candidate) -> tuple[int, ...]:
        same = [sum(getattr(other, name) == getattr(candidate, name) for other in taken) for name in SPREAD]
        return *same, (logs[candidate.log_rank] - shift) % len(logs), candidate.group_rank, candidate.row

    left = list(candidates)
    while left and len(taken) < count:
        taken.append(min(left, key=unlike))
        left.remove(taken[-1])
    return taken


SPREAD = ("form", "log_id", "group_id", "template")
"""What should differ, most important first."""


def _encoded(column: pa.ChunkedArray) -> tuple[list[str], Int[np.ndarray, "n"]]:
    encoded = pc.fill_null(column.combine_chunks(), "").dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)


def _place_in_run(key: Int[np.ndarray, "n"], shuffled: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """Which of the rows with its key each row is, from 0, in a given order of all rows."""
    order = shuffled[np.argsort(key[shuffled], kind="stable")]
    place = np.empty(len(key), dtype=np.int64)
    place[order] = np.arange(len(order)) - np.searchsorted(key[order], key[order])
    return place


def _shuffled(count: int, seed: int) -> Int[np.ndarray, "n"]:
    """Rows in an order that is the same for the same seed."""
    value = np.arange(count, dtype=np.uint64) + np.uint64(_hash(seed, "rows"))
    return np.argsort(_mixed(value), kind="stable")


def _mixed(value: UInt64[np.ndarray, "n"]) -> UInt64[np.ndarray, "n"]:
    """SplitMix64's finalizer, <https://prng.di.unimi.it/splitmix64.c>: near numbers become far ones."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(value ^ (value >> np.uint64(31)))


def _hash(seed: int, name: str) -> int:
    """63 bits, so that sums stay in an unsigned integer."""
    return int.from_bytes(hashlib.sha256(f"{seed}\n{name}".encode()).digest()[:8], "big") >> 1
