"""Which questions are for training, validation and test: by recording and place, never by frame.

A model that has seen a street in training knows its parked cars. So logs that belong together stay together, as one unit:
logs cut from one recording, and logs whose ego drove the same road (`qa_gen.places`), in a chain if need be. Units are ranked
by SHA-256 of `seed:unit`, and each in turn goes to test where it fits into what is left of that share, else to val, else to
train. With three units or more each split has at least one; two are train and test.

Where everything hangs together the rule is weaker, and a warning says so: recordings alone, then logs alone. One log alone can
only be split by time, its first 70 % of moments for training: neighbouring moments then look alike, and a report must warn. The
moments counted are those of image sequences where there are any, since a short log has few of them, and they lie in its middle.

A store may be for tests alone (`test_fraction` 1): then every log is, even one that is alone.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from drive_vqa.store import Store
from qa_gen.places import same_road

logger = logging.getLogger(__name__)

RECORDINGS_AND_PLACES = "recordings-and-places"
RECORDINGS = "recordings"
WHOLE_LOGS = "whole-logs"
TIME_WITHIN_LOG = "time-within-log"
TESTS_ALONE = "tests-alone"
TRAIN_TIME_SHARE = 0.7
PLACE_OVERLAP = 0.5
"""Standard of `place_overlap`: share of the shorter path that another log's ego drove too."""

SHORT_OF = 0.5
"""A split that holds less than this part of what was wanted is worth a warning."""


@dataclass(frozen=True)
class SplitPlan:
    """The split of every log of a store.

    Attributes:
        rule: "recordings-and-places", "recordings", "whole-logs", "time-within-log" or "tests-alone".
        split_of: train, val or test of each log; "time-within-log" for a log that is alone.
        units: of each log the first log, by name, that it must not be separated from; its own name where there is none.

    Raises:
        ValueError: a unit stands in two splits, or a log has one and not the other.
    """

    rule: str
    split_of: dict[str, str]
    units: dict[str, str]

    def __post_init__(self) -> None:
        if self.split_of.keys() != self.units.keys():
            raise ValueError("every log needs a split and a unit")
        if any(self.split_of[log_id] != self.split_of.get(unit) for log_id, unit in self.units.items()):
            raise ValueError("logs of one unit must be in one split, which is that of the log that names the unit")


def plan_splits(
    store: Store, *, seed: int, val_fraction: float, test_fraction: float, place_overlap: float = PLACE_OVERLAP
) -> SplitPlan:
    """The splits of a store's logs; reads `logs` and `frames` of all of them.

    Args:
        store: with `ingest` done.
        seed: chooses which units.
        val_fraction: share of logs in `val`.
        test_fraction: share of logs in `test`; 1 for all.
        place_overlap: logs whose egos drove more than this share of the shorter path on the same road stay together.

    Raises:
        StoreError: a table is missing or damaged.
    """
    if test_fraction == 1:
        log_ids = store.log_ids()
        return SplitPlan(TESTS_ALONE, dict.fromkeys(log_ids, "test"), {log_id: log_id for log_id in log_ids})
    rows = store.read_all("logs", ["log_id", "recording", "source_format", "location"]).to_pylist()
    recording_of = {row["log_id"]: row["recording"] or row["log_id"] for row in rows}
    log_ids = sorted(recording_of)
    recordings = _units(log_ids, _same_value(recording_of))
    rule, units = RECORDINGS, recordings
    if len(set(recordings.values())) > 1:
        rule, units = (
            RECORDINGS_AND_PLACES,
            _units(log_ids, [*recordings.items(), *same_road(store, rows, place_overlap)]),
        )
    return _weakest_that_splits(rule, units, recordings, seed, val_fraction, test_fraction)


def _weakest_that_splits(
    rule: str, units: dict[str, str], recordings: dict[str, str], seed: int, val_fraction: float, test_fraction: float
) -> SplitPlan:
    alone = {log_id: log_id for log_id in recordings}
    if len(alone) > 1 and len(set(units.values())) == 1:
        if rule == RECORDINGS_AND_PLACES:
            logger.warning(
                "all logs are of one road: they are split by recording, so train and test show the same place"
            )
            rule, units = RECORDINGS, recordings
        else:
            logger.warning("all logs are of one recording: they are split by log, and scores will look too good")
            rule, units = WHOLE_LOGS, alone
    if split_rule(list(alone)) == TIME_WITHIN_LOG:
        rule = TIME_WITHIN_LOG
    return SplitPlan(rule, split_units(units, seed=seed, val_fraction=val_fraction, test_fraction=test_fraction), units)


def split_rule(log_ids: Sequence[str]) -> str:
    """How logs of which nothing is known but the names are split: whole, or by time where there is only one."""
    return WHOLE_LOGS if len(log_ids) != 1 else TIME_WITHIN_LOG


def split_units(units: Mapping[str, str], *, seed: int, val_fraction: float, test_fraction: float) -> dict[str, str]:
    """The split of each log: train, val or test; "time-within-log" for a log that is alone.

    Args:
        units: the unit of each log.
        seed: chooses which units.
        val_fraction: share of logs in `val`.
        test_fraction: share of logs in `test`, below 1.
    """
    if split_rule(list(units)) == TIME_WITHIN_LOG:
        logger.warning(
            "only one log: it is split by time, so train and test show the same place and scores look too good"
        )
        return dict.fromkeys(units, TIME_WITHIN_LOG)
    sizes = Counter(units.values())
    ranked = sorted(sizes, key=lambda unit: hashlib.sha256(f"{seed}:{unit}".encode()).hexdigest())
    test = max(1, round(test_fraction * len(units)))
    wanted = {"test": test, "val": min(max(1, round(val_fraction * len(units))), len(units) - test - 1)}
    split_of = _fill_empty(_first_that_fits(ranked, sizes, wanted), sizes)
    _warn_of_short_splits(split_of, sizes, wanted)
    return {log_id: split_of[units[log_id]] for log_id in sorted(units)}


def _first_that_fits(ranked: Sequence[str], sizes: Mapping[str, int], wanted: Mapping[str, int]) -> dict[str, str]:
    room = dict(wanted)
    split_of = {}
    for unit in ranked:
        split = next((name for name in room if sizes[unit] <= room[name]), "train")
        split_of[unit] = split
        if split in room:
            room[split] -= sizes[unit]
    return split_of


def _fill_empty(split_of: dict[str, str], sizes: Mapping[str, int]) -> dict[str, str]:
    """Units that are all too large for a small split: the smallest goes there anyway."""
    filled = dict(split_of)
    for name in ("test", "val")[: len(split_of) - 1]:
        counts = Counter(filled.values())
        if counts[name]:
            continue
        donors = [unit for unit in filled if counts[filled[unit]] > 1 or filled[unit] == "val"]
        filled[min(donors, key=lambda unit: sizes[unit])] = name
    return filled


def _warn_of_short_splits(split_of: Mapping[str, str], sizes: Mapping[str, int], wanted: Mapping[str, int]) -> None:
    held = Counter[str]()
    for unit, split in split_of.items():
        held[split] += sizes[unit]
    for name, count in wanted.items():
        if held[name] < SHORT_OF * count:
            logger.warning(
                "%s has %d logs, not %d: too many hang together by recording or place (a greater place_overlap parts more)",
                name,
                held[name],
                count,
            )


def _same_value(value_of: Mapping[str, str]) -> list[tuple[str, str]]:
    """Each log with the first that has the same value."""
    first: dict[str, str] = {}
    return [(log_id, first.setdefault(value, log_id)) for log_id, value in sorted(value_of.items())]


def _units(log_ids: Iterable[str], joined: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Of each log the first log, by name, that pairs connect it with (union-find)."""
    parent = {log_id: log_id for log_id in log_ids}

    def root(log_id: str) -> str:
        while parent[log_id] != log_id:
            parent[log_id] = parent[parent[log_id]]
            log_id = parent[log_id]
        return log_id

    for one, other in joined:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return {log_id: root(log_id) for log_id in parent}


def start_of_test_ns(timestamps_ns: Sequence[int]) -> int:
    """Where the test part of a log that is split by time begins: after the first 70 % of these moments.

    Args:
        timestamps_ns: in time order, one or more; a single one is for training.
    """
    train = max(1, int(TRAIN_TIME_SHARE * len(timestamps_ns)))
    return timestamps_ns[train] if train < len(timestamps_ns) else timestamps_ns[-1] + 1
