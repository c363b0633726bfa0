"""A drive and its mirror image, generated both: what the mirror makes of the answers to the one are the answers to the other."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from drive_vqa.schema import TRUTH
from drive_vqa.store import Store
from eval.cases import object_column, read_cases
from eval.consistency import consistency_samples
from eval.consistency.agreement import agree
from eval.controls.asking import can_ask
from eval.controls.by_name import control_of
from eval.controls.mirror import mirrored_answers
from eval.panel import Answered
from eval.predict import questions_to_ask
from eval.scoring import judge
from qa_gen.config import GenerateConfig
from qa_gen.generate import generate
from tests.qa_gen.oracle.world import Looks, make_traffic, write_traffic

SPLITS = ("train", "val", "test", "bench")
SUBJECT = ["frame", "group_id", "type", "form", "tracks", "parameter"]


def asked_of(folder, traffic):
    """A store of the drive, and its questions with all tracks that each is about."""
    store = Store.create(folder)
    write_traffic(store, "drive", traffic, Looks(("CAM_FRONT", "CAM_FRONT_LEFT", "CAM_FRONT_RIGHT", "CAM_BACK")))
    generate(store, GenerateConfig(), workers=1)
    cases = read_cases(store, SPLITS)
    rows = store.read("questions", "drive", ["qa_id", "track_ids"]).to_pylist()
    tracks = {row["qa_id"]: " ".join(map(str, row["track_ids"])) for row in rows}
    return store, cases.assign(tracks=cases["qa_id"].map(tracks), parameter=cases["parameter"].fillna(""))


def truths(cases):
    return pd.DataFrame({name: cases[f"truth_{name}"].to_numpy() for name in TRUTH.names})


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    traffic, root = make_traffic(11, seconds=13.0), tmp_path_factory.mktemp("worlds")
    return asked_of(root / "one", traffic), asked_of(root / "mirrored", traffic.mirrored())


def test_answers_in_a_mirrored_world_are_the_mirrored_answers(worlds):
    (store, cases), (_, mirrored) = worlds
    control = control_of("mirror")
    asked = [one for split in SPLITS for one in questions_to_ask(store, split) if can_ask(control, one)]
    can = cases[cases["qa_id"].isin([one.question["qa_id"] for one in asked])]
    both = can.merge(mirrored[["qa_id", *SUBJECT]], on=SUBJECT, suffixes=("", "_there"))
    there = mirrored.set_index("qa_id").loc[both["qa_id_there"]].reset_index()
    agreed = agree(both, mirrored_answers(both, truths(both)), truths(there))
    assert both["type"][~agreed].unique().tolist() == []
    assert len(both) > 0.8 * len(can) > 1000
    assert {"localization_t3", "side", "left_right", "pair_bearing", "clock", "ego_turn_t3"} <= set(both["type"])


def test_true_answers_contradict_neither_each_other_nor_the_laws_of_motion(worlds):
    (_, cases), _ = worlds
    told = truths(cases).assign(answered=True, failure=object_column(np.full(len(cases), None)))
    found = consistency_samples(Answered(cases, told, judge(cases, told)))
    values = {name: set(sample.values.tolist()) for name, sample in found.items()}
    assert values == {
        "consistency.implausible_speed_rate": {0.0},
        "consistency.implausible_acceleration_rate": {0.0},
        "consistency.joint_single.distance": {1.0},
        "consistency.joint_single.bearing": {1.0},
        "consistency.clock_degrees": {1.0},
    }
