"""What each step holds, counted by hand on plans of invented lessons."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from accelerate.data_loader import BatchSamplerShard, SkipBatchSampler

from drive_vqa.errors import ConfigError
from finetune.config import Chapter, FinetuneConfig
from finetune.dataset import LessonIndex, Visits
from finetune.plan import Plan, evaluation_rows

LIMIT = 1000
KINDS = ("single", "sequence", "clip")


def test_every_lesson_comes_once_a_pass() -> None:
    index = _index(500)
    plan = Plan.make(index, _config(epochs=3))
    seen = Counter(visit for row in _rows(plan) for visit in row)
    assert set(seen.values()) == {1}, "a lesson comes twice in a pass"
    for number in range(3):
        assert {visit.lesson for visit in seen if visit.visit == number} == set(range(500))
    extra = [visit for visit in seen if visit.visit >= 3]
    assert bool(extra) == bool(plan.filled)
    assert len(_rows(plan)) == plan.steps * plan.rows_per_step


@pytest.mark.parametrize("limit", [LIMIT, 5000])
def test_rows_are_full_and_never_too_long(limit: int) -> None:
    index = _index(2000)
    lengths = [_length(index, row) for row in _rows(Plan.make(index, _config(tokens_per_row=limit)))]
    assert max(lengths) <= limit
    assert np.mean(lengths) > 0.97 * limit


def test_a_step_holds_the_same_however_it_is_split() -> None:
    """Batches of 1 four times, of 4 once, and of 1 twice on each of two processes, as accelerate deals them."""
    index, whole = _index(203), _config(batch_size=4, gradient_accumulation=1)
    steps = _steps(Plan.make(index, whole))
    assert steps == _steps(Plan.make(index, _config(batch_size=1, gradient_accumulation=4)))
    two = Plan.make(index, _config(batch_size=1, gradient_accumulation=2), processes=2)
    shards = [list(BatchSamplerShard(two, 2, process)) for process in range(2)]
    assert [len(shard) for shard in shards] == [len(two) // 2] * 2
    dealt = [
        sorted(row for shard in shards for batch in shard[first : first + 2] for row in batch)
        for first in range(0, len(two) // 2, 2)
    ]
    assert dealt == steps


def test_same_seed_same_plan() -> None:
    index = _index(100)
    plans = [list(Plan.make(index, _config(seed=seed))) for seed in (0, 0, 1)]
    assert plans[0] == plans[1] != plans[2]


def test_rows_of_a_step_are_alike() -> None:
    """Of lessons that fill a row each, the longest of a step is little longer than the shortest."""
    index = _index(640, low=501, high=1000)
    lengths = np.array([_length(index, row) for row in _rows(Plan.make(index, _config(gradient_accumulation=8)))])
    spread = np.ptp(lengths.reshape(-1, 8), axis=1)
    assert spread.mean() < 0.1 * np.ptp(lengths)
    assert (np.diff(lengths.reshape(-1, 8), axis=1) <= 0).all(), "the longest row comes first"
    assert abs(np.corrcoef(lengths[::8], np.arange(len(lengths[::8])))[0, 1]) < 0.4, "steps are sorted by length"


@pytest.mark.parametrize(("epochs", "steps"), [(1.0, 3), (0.5, 2), (2.0, 5), (0.01, 1)])
def test_steps_of_epochs(epochs: float, steps: int) -> None:
    """Ten lessons, each a row of its own, four rows a step: what does not fill a step is filled, never dropped."""
    plan = Plan.make(_index(10, low=600, high=1000), _config(epochs=epochs, gradient_accumulation=4))
    assert plan.steps == steps
    assert plan.steps_per_epoch == 2.5
    assert plan.filled == steps * 4 - max(1, int(10 * epochs))
    assert (f"filled with {plan.filled} rows" in plan.describe()) == (plan.filled > 0)


def test_max_steps_go_on_for_as_long_as_asked() -> None:
    plan = Plan.make(_index(5), _config(max_steps=40, gradient_accumulation=4))
    assert plan.steps == 40
    assert plan.filled == 0
    assert len(plan) == 160


def test_curriculum_shows_its_kinds_first() -> None:
    index = _index(300)
    chapters = (Chapter(0.25, ("single",)), Chapter(0.5, ("single", "sequence")))
    plan = Plan.make(index, _config(curriculum=chapters, max_steps=40, gradient_accumulation=4))
    kinds = [{KINDS[index.kind[visit.lesson]] for row in step for visit in row} for step in _steps(plan)]
    assert kinds[:10] == [{"single"}] * 10
    assert set.union(*kinds[10:20]) == {"single", "sequence"}
    assert set.union(*kinds[20:]) == set(KINDS)
    visits = [visit for row in _rows(plan) for visit in row]
    assert len(set(visits)) == len(visits), "passes of two chapters have the same number"
    with pytest.raises(ConfigError, match="surround"):
        Plan.make(index, _config(curriculum=(Chapter(0.5, ("surround",)),)))


def test_curriculum_keeps_the_number_of_steps() -> None:
    index = _index(300)
    plain, staged = (_config(curriculum=some, epochs=2) for some in ((), (Chapter(0.3, ("clip",)),)))
    assert Plan.make(index, plain).steps == Plan.make(index, staged).steps


def test_going_on_after_some_steps() -> None:
    plan = Plan.make(_index(200), _config(batch_size=2, gradient_accumulation=3, epochs=2))
    batches = list(plan)
    assert list(plan.after(4)) == batches[12:] == list(SkipBatchSampler(plan, 12))
    assert plan.after(4).steps == plan.steps - 4
    assert len(batches) == len(plan)


def test_evaluation_rows_hold_all_once() -> None:
    index = _index(300)
    rows = evaluation_rows(index, LIMIT)
    assert sorted(visit.lesson for row in rows for visit in row) == list(range(300))
    assert max(_length(index, row) for row in rows) <= LIMIT


def _config(**settings: Any) -> FinetuneConfig:
    return FinetuneConfig(**{"tokens_per_row": LIMIT, "gradient_accumulation": 4, **settings})


def _index(lessons: int, low: int = 50, high: int = 700) -> LessonIndex:
    random = np.random.default_rng(lessons)
    zeros, numbers = np.zeros(lessons, np.int32), np.arange(lessons)
    kinds = random.integers(0, 3, lessons).astype(np.int8)
    tokens = random.integers(low, high, lessons).astype(np.int32)
    return LessonIndex(("log",), KINDS, zeros, kinds, zeros, numbers, numbers + 1, tokens, numbers.astype(np.int32))


def _rows(plan: Plan) -> list[Visits]:
    return [row for batch in plan for row in batch]


def _steps(plan: Plan) -> list[list[Visits]]:
    rows = _rows(plan)
    return [sorted(rows[first : first + plan.rows_per_step]) for first in range(0, len(rows), plan.rows_per_step)]


def _length(index: LessonIndex, row: Visits) -> int:
    return int(sum(index.tokens[visit.lesson] for visit in row))
