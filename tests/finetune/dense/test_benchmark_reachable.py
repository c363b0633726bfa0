"""What a network that sees nothing but boxes can know."""

from __future__ import annotations

import numpy as np
import pytest

from drive_vqa.errors import StoreError
from drive_vqa.store import Store
from finetune.dense import benchmark_reachable as reachable
from finetune.dense.benchmark_reachable import Objects, foretell, right, tellings


def _objects(count: int, seed: int) -> Objects:
    """Agents that drive away at various speeds; their boxes shrink with distance."""
    rng = np.random.default_rng(seed)
    now_m, mps = rng.uniform(15, 30, (count, 1)), rng.uniform(-2, 8, (count, 1))
    past_m, later_m = now_m + mps * np.array([-1.5, -1.0, -0.5, 0.0]), now_m + mps * np.arange(4.0)
    places, futures = (np.stack([np.log(m / 20), np.zeros_like(m)], axis=-1) for m in (past_m, later_m))
    half = 1.5 / past_m
    boxes = np.stack([0.5 - half, 0.5 - half, 0.5 + half, 0.5 + half], axis=-1)
    return Objects(boxes, places, futures)


def test_sharper_boxes_tell_more_of_the_future(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachable, "STEPS", 300)
    told = dict(tellings())
    train, bench = _objects(2000, 0), _objects(300, 1)
    shares = [
        foretell(train, bench, told[name], 0)[:, 3].mean()
        for name in ("exact places", "boxes in 672×336", "boxes in 224×112")
    ]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > shares[2] + 0.05
    assert shares[0] > 0.8


def test_a_place_is_right_as_an_answer_would_be() -> None:
    true = np.array([[[0.0, 0.0]] * 4])
    said = np.array([[[np.log(1.24), 0.0], [np.log(1.26), 0.0], [0.0, 9.9 / 45], [0.0, -10.1 / 45]]])
    assert right(said, true).tolist() == [[True, False, True, False]]


def test_what_is_not_seen_is_not_told() -> None:
    objects = _objects(3, 0)
    objects.boxes[1, 0] = np.nan
    shown = reachable._features(objects, dict(tellings())["exact places"], np.random.default_rng(0)).numpy()
    assert shown[1, :2].tolist() == [0, 0]
    assert shown[1, -4:].tolist() == [0, 1, 1, 1]
    assert shown[0, -4:].tolist() == [1, 1, 1, 1]


def test_a_store_without_a_known_future_is_refused(drive: Store) -> None:
    """The painted drive's only sequence of four frames has no frame near enough to 2 s later."""
    with pytest.raises(StoreError, match="no sequence of the split train whose next 3 s are known"):
        Objects.read(drive, "train")
