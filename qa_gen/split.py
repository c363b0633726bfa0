"""Which questions are for training, validation and test.

Whole logs, so that no moment is on two sides: logs are ranked by SHA-256 of `seed:log_id`, the first go to test, the next
to val. With three logs or more each split has at least one; two logs are train and test. One log alone can only be split
by time, its first 70 % of moments for training: neighbouring moments then look alike, and a report must warn. The moments
counted are those of image sequences where there are any, since a short log has few of them, and they lie in its middle.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence

logger = logging.getLogger(__name__)

WHOLE_LOGS = "whole-logs"
TIME_WITHIN_LOG = "time-within-log"
TRAIN_TIME_SHARE = 0.7


def split_rule(log_ids: Sequence[str]) -> str:
    """How logs are split: "whole-logs", or "time-within-log" where there is only one."""
    return WHOLE_LOGS if len(log_ids) != 1 else TIME_WITHIN_LOG


def split_logs(log_ids: Sequence[str], *, seed: int, val_fraction: float, test_fraction: float) -> dict[str, str]:
    """The split of each log: train, val or test; "time-within-log" for a log that is alone."""
    if split_rule(log_ids) == TIME_WITHIN_LOG:
        logger.warning(
            "only one log: it is split by time, so train and test show the same place and scores look too good"
        )
        return {log_ids[0]: TIME_WITHIN_LOG}
    ranked = sorted(log_ids, key=lambda log_id: hashlib.sha256(f"{seed}:{log_id}".encode()).hexdigest())
    test = max(1, round(test_fraction * len(ranked)))
    val = min(max(1, round(val_fraction * len(ranked))), len(ranked) - test - 1)
    names = ["test"] * test + ["val"] * val + ["train"] * (len(ranked) - test - val)
    return dict(sorted(zip(ranked, names, strict=True)))


def start_of_test_ns(timestamps_ns: Sequence[int]) -> int:
    """Where the test part of a log that is split by time begins: after the first 70 % of these moments.

    Args:
        timestamps_ns: in time order, one or more; a single one is for training.
    """
    train = max(1, int(TRAIN_TIME_SHARE * len(timestamps_ns)))
    return timestamps_ns[train] if train < len(timestamps_ns) else timestamps_ns[-1] + 1
