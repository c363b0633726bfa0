"""Critical targets: by hand, against a slow second way with shapely, and read from a store."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from shapely import affinity, box

from drive_vqa.errors import StoreError
from drive_vqa.schema import TRUTH, table_from_rows
from drive_vqa.store import Store
from drive_vqa.time_to_collision import time_to_collision_s, ttc_bins
from eval.cases import Targets, answer_columns, find_targets, read_cases
from eval.critical import TargetMotion, critical_samples, critical_targets, ego_box, false_alarm, read_motion
from eval.panel import Answered
from eval.scoring import judge
from qa_gen.config import GenerateConfig
from qa_gen.generate import generate
from tests.qa_gen.world import STREET, make_store

EGO_BOX = np.array([1.4, 0.0, 4.6, 1.9, 0.0])
"""From -0.9 m to 3.7 m along, 0.95 m to each side."""

SIZE = {"length_m": 4.0, "width_m": 2.0, "ego_length_m": 4.6, "ego_width_m": 1.9, "ego_centre_x_m": 1.4}
CAR, PERSON = (4.0, 2.0, 0.0), (0.6, 0.6, 0.0)


def motion(places, size=CAR, velocity=(0.0, 0.0), ego_mps=0.0):
    """One target with four places."""
    boxes = np.array([[(*place, *size) for place in places]], dtype=np.float64)
    return TargetMotion(EGO_BOX, boxes, np.array([velocity], dtype=np.float64), np.array([float(ego_mps)]))


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (motion([(30, 0), (22, 0), (14, 0), (9, 0)], ego_mps=10.0), 1),  # gap of 24.3 m at 10 m/s: 2.5 s
        (motion([(50, 0), (42, 0), (34, 0), (26, 0)], ego_mps=10.0), 0),  # 4.5 s, never nearer than 20.3 m
        (motion([(50, 0), (40, 0), (25, 0), (7.6, 0)], ego_mps=10.0), 1),  # 1.9 m away in the end
        (motion([(50, 0), (40, 0), (25, 0), (7.8, 0)], ego_mps=10.0), 0),  # 2.1 m away
        (motion([(5, 3)] * 4), 0),  # gap of 1.05 m, but it begins 2 m to the side: not in the path
        (motion([(5, 2.7)] * 4), 1),  # reaches into the path
        (motion([(-6, 0)] * 4, velocity=(8.0, 0.0)), 0),  # close behind: not in the path
        (motion([(20, 6), (15, 4), (10, 2.2), (8, 0.5)], PERSON, (0.0, -1.5)), 0),  # walks into the path, 4 m ahead
        (motion([(20, 6), (12, 4), (6, 2.0), (4, 1.0)], PERSON, (0.0, -1.5)), 1),
        (motion([(61.9, 0), (61.9, 0), (61.9, 0), (62.1, 0)], velocity=(-40.0, 0.0)), 1),  # just reaches into 60 m
        (motion([(62.1, 0)] * 4, velocity=(-40.0, 0.0)), 0),
    ],
)
def test_cases_by_hand(target, expected):
    assert critical_targets(target).tolist() == [expected]


def test_what_is_not_known_is_left_out_unless_the_rest_is_critical():
    far, near = [(50, 0), (45, 0), (40, 0), (35, 0)], [(6, 0)] * 4
    assert critical_targets(motion(far)).tolist() == [0]
    for hidden in range(4):
        places = [place if at != hidden else (math.nan, math.nan) for at, place in enumerate(far)]
        assert critical_targets(motion(places)).tolist() == [-1]
    assert critical_targets(motion(far, ego_mps=math.nan)).tolist() == [-1]
    assert critical_targets(motion([*near[:3], (math.nan, math.nan)])).tolist() == [1]
    assert critical_targets(motion(near, ego_mps=math.nan)).tolist() == [1]
    unknown = TargetMotion(np.full(5, np.nan), motion(near).boxes, np.zeros((1, 2)), np.zeros(1))
    assert critical_targets(unknown).tolist() == [-1]


def alarm(target, answers):
    judged = false_alarm(target, critical_targets(target), np.array([answers], dtype=np.float64))
    return bool(judged.happened[0]) if judged.applies[0] else None


def test_false_alarms_by_hand():
    calm = motion([(50, 0), (48, 0), (46, 0), (44, 0)])
    assert alarm(calm, [(50, 0), (48, 0), (46, 0), (44, 0)]) is False
    assert alarm(calm, [(50, 0), (30, 0), (46, 0), (44, 0)]) is True  # 20 m/s over 44.3 m: 2.3 s
    assert alarm(calm, [(50, 0), (48, 0), (46, 0), (7, 0)]) is True  # 1.3 m away
    assert alarm(calm, [(50, 0), (48, 0), (46, 0), (7, 3)]) is True  # 1.7 m away; in the path before
    assert alarm(calm, [(50, 3), (48, 3), (46, 3), (7, 3)]) is False  # never in the path
    assert alarm(calm, [(50, 0), (math.nan, 0), (46, 0), (44, 0)]) is None
    assert alarm(motion([(6, 0)] * 4), [(60, 0)] * 4) is None  # critical: a matter of recall
    brakes = motion([(50, 0), (30, 0), (29, 0), (28, 0)], velocity=(-1.0, 0.0))  # its places close at 20 m/s
    assert critical_targets(brakes).tolist() == [0]
    assert alarm(brakes, [(50, 0), (30, 0), (29, 0), (28, 0)]) is None


def _shape(row, dx=0.0):
    x_m, y_m, length_m, width_m, yaw_rad = row
    upright = box(-length_m / 2, -width_m / 2, length_m / 2, width_m / 2)
    return affinity.translate(affinity.rotate(upright, yaw_rad, (0, 0), use_radians=True), x_m + dx, y_m)


def _slow_critical(boxes, velocity, ego_mps):
    """By polygons, and by steps of 0.1 s."""
    ego, corridor = _shape(EGO_BOX), box(0, -1.8, 60, 1.8)
    shapes = [_shape(row) for row in boxes]
    in_path = any(shape.intersection(corridor).area > 1e-9 for shape in shapes)
    near = any(shape.distance(ego) < 2.0 for shape in shapes)
    soon = any(
        affinity.translate(shapes[0], velocity[0] * step / 10 - ego_mps * step / 10, velocity[1] * step / 10)
        .intersection(ego)
        .area
        > 1e-9
        for step in range(30)
    )
    return in_path and (near or soon)


def test_many_random_targets_equal_the_slow_way():
    random = np.random.default_rng(5)
    count = 200
    start, drift = random.uniform((-5, -8), (40, 8), (count, 2)), random.normal(0, 6, (count, 2))
    places = start[:, None] + np.arange(4)[:, None] * drift[:, None] + random.normal(0, 0.5, (count, 4, 2))
    rest = np.broadcast_to(random.uniform((0.5, 0.5, -4), (6, 3, 4), (count, 1, 3)), (count, 4, 3))
    velocity, ego_mps = random.normal(0, 5, (count, 2)), random.uniform(0, 12, count)
    moves = TargetMotion(EGO_BOX, np.concatenate([places, rest], axis=2), velocity, ego_mps)
    found = critical_targets(moves)
    assert found.tolist() == [int(_slow_critical(*row)) for row in zip(moves.boxes, velocity, ego_mps, strict=True)]
    assert 30 < found.sum() < 170
    answers = places + random.normal(0, 6, places.shape)
    judged = false_alarm(moves, found, answers)
    for row in range(count):
        own, told = (np.concatenate([at[row], rest[row]], axis=1) for at in (places, answers))
        calm = not found[row] and not _slow_critical(own, own[1, :2] - own[0, :2], 0.0)
        assert judged.applies[row] == calm
        assert judged.happened[row] == (calm and _slow_critical(told, told[1, :2] - told[0, :2], 0.0))
    assert 10 < judged.happened.sum() < judged.applies.sum() - 10


def test_mirrored_worlds_are_as_critical():
    random = np.random.default_rng(6)
    boxes = random.uniform((-5, -8, 1, 1, -4), (40, 8, 6, 3, 4), (300, 4, 5))
    velocity, ego_mps = random.normal(0, 5, (300, 2)), random.uniform(0, 12, 300)
    flip = np.array([1, -1, 1, 1, -1])
    one = TargetMotion(EGO_BOX, boxes, velocity, ego_mps)
    other = TargetMotion(EGO_BOX, boxes * flip, velocity * flip[:2], ego_mps)
    assert critical_targets(one).tolist() == critical_targets(other).tolist()
    answers = boxes[..., :2] + random.normal(0, 5, (300, 4, 2))
    alarms = [
        false_alarm(way, critical_targets(way), told) for way, told in ((one, answers), (other, answers * [1, -1]))
    ]
    assert alarms[0].happened.tolist() == alarms[1].happened.tolist()
    assert alarms[0].applies.tolist() == alarms[1].applies.tolist()


def _store(root, settings):
    """One log, a car 30 m ahead that stands, the ego at 10 m/s; frames every half second."""
    store = Store.create(root)
    frames = [
        {"log_id": "a", "frame": frame, "timestamp_ns": frame * 500_000_000, "speed_mps": 10.0} for frame in range(8)
    ]
    tracks = [
        {"log_id": "a", "frame": frame, "track_id": name, "category": "car", "x_m": x_m - 5.0 * frame, "y_m": y_m}
        | {"vx_mps": 0.0, "vy_mps": 0.0, "speed_mps": 0.0, "yaw_rad": 0.0, "length_m": 4.0, "width_m": 2.0}
        for frame in range(7)
        for name, x_m, y_m in (("ahead", 40.0, 0.0), ("aside", 40.0, 6.0))
    ]
    for table, rows in (("frames", frames), ("tracks", tracks)):
        store.write(table, "a", table_from_rows(table, rows), "made by hand")
    store.write_manifest("generate", settings)
    return store


def _answered(places):
    """Localization of both targets at all horizons: place in metres for each of (track, horizon)."""
    asked = [(name, t) for name in ("ahead", "aside") for t in range(4)]
    truths = [(40.0 - 10.0 * t, 6.0 if name == "aside" else 0.0) for name, t in asked]
    polar = [{"distance_m": math.hypot(*xy), "bearing_deg": math.degrees(math.atan2(xy[1], xy[0]))} for xy in truths]
    told = [places.get(key, xy) for key, xy in zip(asked, truths, strict=True)]
    said = [
        None if xy is None else {"distance_m": math.hypot(*xy), "bearing_deg": math.degrees(math.atan2(xy[1], xy[0]))}
        for xy in told
    ]
    nothing = dict.fromkeys(answer_columns([None]).columns)
    cases = pd.DataFrame(
        {
            "group_id": "g",
            "log_id": "a",
            "frame": 0,
            "truth_frame": [2 * t for _, t in asked],
            "family": "future",
            "answer_type": "localization",
            "mark": [int(name == "aside") for name, _ in asked],
            "track_id": [name for name, _ in asked],
            "horizon_s": [float(t) for _, t in asked],
        }
    )
    truth = answer_columns([nothing | one for one in polar]).add_prefix("truth_")
    cases = pd.concat([cases, truth], axis=1)
    answers = answer_columns([None if one is None else nothing | one for one in said])
    return Answered(cases, answers.assign(answered=True, failure=None), judge(cases, answers))


def test_read_from_a_store(tmp_path):
    """The car ahead is 34.3 m from bumper to bumper at 10 m/s: in 3.5 s; in 3 s it is 4.3 m away."""
    store, answered = _store(tmp_path / "s", SIZE), _answered({})
    moves = read_motion(store, answered.cases, Targets(np.arange(8).reshape(2, 4), np.array([0, 4])))
    assert moves.boxes[0, :, 0].tolist() == [40.0, 30.0, 20.0, 10.0]
    assert moves.boxes[1, :, 1].tolist() == [6.0] * 4
    assert moves.ego_box.tolist() == EGO_BOX.tolist()
    assert moves.ego_speed_mps.tolist() == [10.0, 10.0]
    assert critical_targets(moves).tolist() == [0, 0]
    samples = critical_samples(store, answered)
    assert {name: sample.values.tolist() for name, sample in samples.items()} == {
        "safety.critical_recall": [],
        "safety.critical_recall_asked_only": [],
        "safety.critical_false_alarm_rate": [0.0, 0.0],
    }
    wrong = critical_samples(store, _answered({("aside", 3): (8.0, 0.0), ("ahead", 0): None}))
    assert wrong["safety.critical_false_alarm_rate"].values.tolist() == [0.0]  # 2.3 m away, and 3.1 s
    assert wrong["safety.critical_false_alarm_rate"].rows.tolist() == [7]


def test_recall_of_a_longer_ego(tmp_path):
    """Of an ego that reaches 5.2 m ahead, the car ahead is 2.8 m away in 3 s; of one that reaches 7 m, 1 m."""
    long = SIZE | {"ego_length_m": 10.0, "ego_centre_x_m": 2.0}
    store = _store(tmp_path / "s", long)
    right = critical_samples(store, _answered({}))
    assert right["safety.critical_recall"].values.tolist() == [1.0]
    assert right["safety.critical_recall"].rows.tolist() == [3]
    wrong = critical_samples(store, _answered({("ahead", 2): (30.0, 0.0)}))
    assert wrong["safety.critical_recall"].values.tolist() == [0.0]
    unread = critical_samples(store, _answered({("ahead", 1): None}))
    assert unread["safety.critical_recall"].values.tolist() == [0.0]
    answered = _answered({})
    kept = answered.cases.index != 2
    less = Answered(*(table[kept].reset_index(drop=True) for table in vars(answered).values()))
    fewer = critical_samples(store, less)
    assert fewer["safety.critical_recall"].values.tolist() == [0.0]
    assert fewer["safety.critical_recall_asked_only"].values.tolist() == []


def test_a_store_that_does_not_tell_the_size_of_the_ego(tmp_path):
    store = _store(tmp_path / "s", {"split": {}})
    assert np.isnan(ego_box(store)[2:4]).all()
    assert all(len(sample.values) == 0 for sample in critical_samples(store, _answered({})).values())
    for wrong in ({"ego_length_m": "long"}, {"ego_width_m": -1.0}):
        with pytest.raises(StoreError, match="no length above 0 as ego_length_m or ego_width_m"):
            ego_box(_store(tmp_path / str(wrong), SIZE | wrong))


def test_generated_questions_agree_with_their_slices(tmp_path):
    """The time to collision is that of the questions' slice; exact answers miss nothing and raise no alarm; mirrored, too."""
    logs = {"street": STREET, "mirrored": STREET.mirrored()}
    store = make_store(tmp_path / "s", logs)
    generate(store, GenerateConfig(families=("future",), forms=("open",)), workers=1)
    cases = read_cases(store, ("train", "val", "test"))
    targets = find_targets(cases)
    moves = read_motion(store, cases, targets)
    ttc_s = time_to_collision_s(moves.ego_box, moves.ego_speed_mps, moves.boxes[:, 0], *moves.velocity_mps.T)
    assert ttc_bins(ttc_s).tolist() == cases["slice_ttc_bin"].iloc[targets.anchors].tolist()
    critical = critical_targets(moves)
    told = cases.iloc[targets.anchors][["log_id", "frame", "track_id"]].assign(critical=critical)
    both = told.pivot_table(index=["frame", "track_id"], columns="log_id", values="critical").dropna()
    assert both["street"].tolist() == both["mirrored"].tolist()
    assert 3 < both["street"].sum() < len(both) - 3
    exact = cases[[f"truth_{name}" for name in TRUTH.names]].rename(columns=lambda name: name.removeprefix("truth_"))
    samples = critical_samples(store, Answered(cases, exact.assign(answered=True, failure=None), judge(cases, exact)))
    assert set(samples["safety.critical_recall"].values) == {1.0}
    assert set(samples["safety.critical_false_alarm_rate"].values) == {0.0}
    assert len(samples["safety.critical_false_alarm_rate"].values) == (critical == 0).sum()
