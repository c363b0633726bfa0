"""Constant velocity from fused tracks: objects are found by place, whatever their tracks are called."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from drive_vqa.errors import ConfigError
from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from eval.baselines import baseline_answers
from eval.cases import read_cases, read_training
from eval.fused_state import fused_state
from eval.present import present_state
from tests.eval.conftest import EGO_MPS

SHIFT_M = 1.5


@pytest.fixture(scope="module")
def cases(world):
    return read_cases(world, ["test"])


@pytest.fixture(scope="module")
def fused(world, tmp_path_factory):
    """Other names, 1.5 m farther ahead, faster by 1 m/s; the pedestrian was not found, and log `c` was never fused."""
    store = Store.create(tmp_path_factory.mktemp("fused") / "store")
    for log_id in ("a", "b"):
        tracks = world.read("tracks", log_id).to_pandas()
        found = tracks[tracks["track_id"] != "crossing"]
        found = found.assign(
            track_id="t-" + found["track_id"], x_m=found["x_m"] + SHIFT_M, vx_mps=found["vx_mps"] + 1.0, source="fused"
        )
        for table in ("logs", "frames"):
            store.write(table, log_id, world.read(table, log_id), "copied")
        rows = found.replace({np.nan: None}).to_dict("records")
        store.write("tracks", log_id, table_from_rows("tracks", rows), "shifted")
    store.write_manifest("fuse", {})
    return store


def of(state: pd.DataFrame, cases: pd.DataFrame, qa_id: str) -> pd.Series:
    return state.loc[cases.index[cases["qa_id"] == qa_id][0]]


def test_an_object_has_the_state_of_the_track_at_its_place(world, fused, cases):
    state = fused_state(fused, cases, present_state(world, cases))
    lead = of(state, cases, "a-1-localization_t2-0")
    assert lead.tolist() == pytest.approx([18.0 + SHIFT_M, 0.5, 4.0, 0.0, 3.0, EGO_MPS])


def test_what_was_not_tracked_is_not_known(world, fused, cases):
    state = fused_state(fused, cases, present_state(world, cases))
    assert of(state, cases, "a-1-localization_t2-2").drop("ego_speed_mps").isna().all()
    assert of(state, cases, "c-1-localization_t2-0").isna().all()
    assert len(state) == len(cases)


def test_a_track_farther_than_two_metres_is_another_object(world, fused, cases):
    truth = present_state(world, cases)
    apart = truth.assign(x_m=truth["x_m"] - 0.6)
    assert of(fused_state(fused, cases, apart), cases, "a-1-localization_t2-0").drop("ego_speed_mps").isna().all()


def test_constant_velocity_goes_on_from_fused_tracks(world, fused, cases):
    answers = baseline_answers(world, cases, read_training(world), fused)
    told = of(answers["constant_velocity_fused"], cases, "a-0-localization_t2-0")
    x_m, y_m = 20.0 + SHIFT_M + 2 * (4.0 - EGO_MPS), 0.5
    assert told["distance_m"] == pytest.approx(np.hypot(x_m, y_m))
    assert not of(answers["constant_velocity_fused"], cases, "a-0-localization_t2-2")["answered"]
    assert "constant_velocity_fused" not in baseline_answers(world, cases, read_training(world))


def test_labels_are_no_fused_tracks(world, cases, tmp_path):
    labels = Store.create(tmp_path / "labels")
    labels.write_manifest("fuse", {"source": "annotations"})
    with pytest.raises(ConfigError, match="--from sensors"):
        fused_state(labels, cases, present_state(world, cases))


def test_a_store_of_other_logs_is_refused(world, cases, tmp_path):
    with pytest.raises(ConfigError, match="none of the logs"):
        fused_state(Store.create(tmp_path / "empty"), cases, present_state(world, cases))
