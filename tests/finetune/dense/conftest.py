"""Pictures of the painted store, whose objects have places."""

from __future__ import annotations

import pytest

from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from finetune.config import DensePretraining, FinetuneConfig, LearningRates
from finetune.dataset import LessonDataset, Row
from finetune.dense.pictures import Picture, read_pictures

SIZE_PX = (168, 112)


@pytest.fixture(scope="session")
def tracked(store: Store) -> Store:
    """The painted store with places of its objects."""
    rows = [
        {"log_id": "painted", "frame": frame, "track_id": f"track-{mark}", "x_m": 10.0 * mark, "y_m": float(frame)}
        for frame in range(3)
        for mark in (1, 2)
    ]
    store.write("tracks", "painted", table_from_rows("tracks", rows), "test")
    return store


@pytest.fixture(scope="session")
def groups(dataset: LessonDataset) -> list[Row]:
    """All of the painted store."""
    return list(dataset.groups())


@pytest.fixture(scope="session")
def pictures(tracked: Store, groups: list[Row]) -> list[Picture]:
    """All frames of the painted store."""
    return read_pictures(tracked, groups, SIZE_PX)


@pytest.fixture(scope="session")
def full() -> FinetuneConfig:
    """Of a short dense lesson, after which only the language model is trained."""
    return FinetuneConfig(
        image_size_px=SIZE_PX,
        log_steps=1,
        method="full",
        learning_rates=LearningRates(1e-3),
        dense_pretraining=DensePretraining(steps=12, look_steps=12, batch_size=8),
    )
