"""The part of the bench that is made of recorded images."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from drive_vqa.cli.bench import PUBLISHED, contents, make_pandaset
from drive_vqa.store import Store

DATA = Path(os.environ.get("DRIVE_VQA_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
pytestmark = pytest.mark.skipif(not (DATA / "pandaset").is_dir(), reason=f"no recorded driving at {DATA}")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_pandaset(tmp_path_factory.mktemp("bench"), DATA, workers=1)


def test_it_is_as_published(store: Store) -> None:
    found = contents(store)
    assert (found["groups"], found["questions"]) == (8, 8 * 14)
    assert found["digest"] == PUBLISHED["pandaset"]


def test_targets_are_seen_and_none_is_met_twice_within_half_a_second(store: Store) -> None:
    groups = store.read_all("groups").to_pylist()
    met = Counter((group["marks"][0]["track_id"], round(group["frame"] / 5)) for group in groups)
    assert set(met.values()) == {1}
    assert len({track for track, _ in met}) == 6
    for group in groups:
        present = len(group["context"]) - 1
        (shown,) = (region for region in group["marks"][0]["regions"] if region["context"] == present)
        assert shown["visible_fraction"] >= 0.5
        assert min(shown["u1_px"] - shown["u0_px"], shown["v1_px"] - shown["v0_px"]) >= 43.0
