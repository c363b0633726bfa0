"""What cannot be told: against plain loops over random scenes."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from drive_vqa.categories import CATEGORIES
from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from qa_gen.asked import Asked
from qa_gen.config import GenerateConfig
from qa_gen.drive import read_drive
from qa_gen.families.unanswerable import TYPES
from qa_gen.groups import Groups, take_groups

KINDS = {kind.name: kind for kind in TYPES}
FRAMES, AGENTS = 60, 14
NOUN_WORDS = ("car", "truck", "pedestrian", "bicycle", "traffic_cone", "other", "animal", "motorcycle")


def _scene(random):
    """Agents of one frame: name → (category, x, y, in_view, visible fraction or None)."""
    agents = {}
    for number in range(AGENTS):
        behind = number % 4 == 0 and number > 4
        bearing = (
            random.normal(0.0, 0.08) if number % 2 else random.normal(math.pi, 0.4) if behind else random.uniform(-3, 3)
        )
        far_m = random.uniform(4.0, 70.0)
        seen = random.choice([None, 0.01, 0.019, 0.02, 0.03, 0.5, 1.0], p=[0.6, 0.1, 0.05, 0.05, 0.05, 0.1, 0.05])
        seen = None if behind and random.random() < 0.8 else seen
        name = f"agent-{number:02d}" if number < 4 or random.random() < 0.8 else f"other-{number:02d}"
        category = str(random.choice(NOUN_WORDS))
        agents[name] = (
            category,
            far_m * math.cos(bearing),
            far_m * math.sin(bearing),
            bool(random.random() < 0.8),
            seen,
        )
    return agents


@pytest.fixture(scope="module")
def scenes():
    random = np.random.default_rng(11)
    return [_scene(random) for _ in range(FRAMES)]


@pytest.fixture(scope="module")
def drive(scenes, tmp_path_factory):
    store = Store.create(tmp_path_factory.mktemp("hidden") / "store")
    frames, captures, tracks = [], [], []
    for number, scene in enumerate(scenes):
        stamp = {"log_id": "log", "frame": 5 + number, "timestamp_ns": number * 500_000_000}
        frames.append(dict(stamp))
        captures.append({**stamp, "sensor": "CAM", "modality": "camera", "path": "x.jpg", "width": 100, "height": 100})
        for name, (category, x_m, y_m, in_view, seen) in scene.items():
            box = {"u0_px": 1.0, "v0_px": 1.0, "u1_px": 9.0, "v1_px": 9.0}
            views = [{"camera": "CAM", **box, "visible_fraction": seen}] if seen else []
            place = {
                "x_m": x_m,
                "y_m": y_m,
                "z_m": 0.0,
                "length_m": 4.0,
                "width_m": 2.0,
                "height_m": 1.5,
                "yaw_rad": 0.0,
            }
            own = {"track_id": name, "category": category, "in_view": in_view, "cameras": views}
            tracks.append({**stamp, **own, **place, "speed_mps": 0.0})
    for table, rows in (("frames", frames), ("sensor_data", captures), ("tracks", tracks)):
        store.write(table, "log", table_from_rows(table, rows), "test")
    return read_drive(store, "log")


def _groups(drive, kind="single", offsets=(0,)):
    """The first four agents are the marks of each frame that has the past it needs."""
    present = np.arange(-min(offsets), FRAMES)
    count = len(present)
    tracks = np.broadcast_to(np.arange(4), (count, 4)).copy()
    numbers = np.sort(np.random.default_rng(3).permuted(np.tile(np.arange(10), (count, 1)), axis=1)[:, :4], axis=1)
    return Groups(
        kind=kind,
        offsets_s=tuple(0.5 * step for step in offsets),
        context_cameras=("CAM",) * len(offsets),
        context_sizes=np.full((len(offsets), 2), 100.0),
        present=present,
        context=present[:, None] + np.array(offsets),
        tracks=tracks,
        numbers=numbers,
        regions=np.full((count, 4, len(offsets), 5), np.nan),
        fresh=np.ones((count, 4), dtype=bool),
        ego_fresh=np.ones(count, dtype=bool),
        split=np.zeros(count, dtype=np.int64),
        front="CAM",
    )


def _asked(drive, groups, roles):
    if roles == 0:
        group, slots = np.arange(len(groups)), np.zeros((len(groups), 0), dtype=np.int64)
    else:
        group, slots = np.repeat(np.arange(len(groups)), 4), np.tile(np.arange(4), len(groups))[:, None]
    return Asked(drive, groups, GenerateConfig(), group, slots, np.zeros(len(group), dtype=np.int64))


def _bearing(x_m, y_m):
    return math.degrees(math.atan2(y_m, x_m))


def _hidden(scene, name):
    """Category of the nearest agent hidden behind another; None if there is none."""
    _, x_m, y_m, _, _ = scene[name]
    found = []
    for category, other_x, other_y, in_view, seen in scene.values():
        off = abs(_bearing(other_x, other_y) - _bearing(x_m, y_m))
        off = min(off, 360.0 - off)
        far = math.hypot(other_x, other_y)
        hidden = in_view and (seen is None or seen < 0.02)
        if CATEGORIES[category].movable and hidden and off <= 3 and math.hypot(x_m, y_m) < far <= 60:
            found.append((far, CATEGORIES[category].noun))
    return min(found)[1] if found else None


def test_hidden_is_what_the_loop_finds(scenes, drive):
    kind = KINDS["hidden_behind"]
    asked = _asked(drive, _groups(drive), 1)
    truth = kind.truth(asked)
    expected = [_hidden(scene, f"agent-{slot:02d}") for scene in scenes for slot in range(4)]
    told = [kind.parameters[parameter] if parameter >= 0 else None for parameter in truth["parameter"]]
    assert told == expected
    assert (truth["undetermined"] == 1).tolist() == [noun is not None for noun in expected]
    assert len(set(expected)) > 4, "several kinds of agents must be hidden somewhere"


@pytest.mark.parametrize(("kind_name", "offsets"), [("single", (0,)), ("sequence", (-3, -2, -1, 0))])
def test_unseen_is_what_the_loop_finds(scenes, drive, kind_name, offsets):
    groups = _groups(drive, kind_name, offsets)
    truth = KINDS["unseen_behind"].truth(_asked(drive, groups, 0))
    expected = []
    for present in groups.present:
        follows = [
            name
            for name, (category, x_m, y_m, _, _) in scenes[present].items()
            if CATEGORIES[category].vehicle and abs(_bearing(x_m, y_m)) > 150 and math.hypot(x_m, y_m) < 30
        ]
        shown = {name for k in offsets for name, state in scenes[present + k].items() if state[4]}
        expected.append(bool(set(follows) - shown))
    assert (truth["undetermined"] == 1).tolist() == expected
    assert 3 < sum(expected) < len(expected) - 3


@pytest.mark.parametrize("name", ["absent_mark", "absent_mark_future"])
def test_absent_number_is_not_dealt(drive, name):
    groups = _groups(drive)
    truth = KINDS[name].truth(_asked(drive, groups, 0))
    numbers = truth["numbers"][:, 0]
    assert (truth["undetermined"] == 1).all()
    assert all(
        0 <= number <= 9 and number not in dealt for number, dealt in zip(numbers, groups.numbers.tolist(), strict=True)
    )
    assert len(set(numbers.tolist())) == 10, "any number may be absent"
    assert numbers.tolist() == KINDS[name].truth(_asked(drive, groups, 0))["numbers"][:, 0].tolist()
    few = take_groups(groups, np.arange(7, len(groups)))
    assert numbers[7:].tolist() == KINDS[name].truth(_asked(drive, few, 0))["numbers"][:, 0].tolist(), (
        "of its own group alone"
    )


def test_nothing_is_asked_where_all_numbers_are_dealt(drive):
    groups = _groups(drive)
    wide = {name: np.repeat(getattr(groups, name), 3, axis=1)[:, :10] for name in ("tracks", "regions", "fresh")}
    full = replace(groups, numbers=np.tile(np.arange(10), (len(groups), 1)), **wide)
    assert (KINDS["absent_mark"].truth(_asked(drive, full, 0))["undetermined"] == -1).all()


def test_one_of_a_pair_is_absent(drive):
    groups = _groups(drive)
    asked = _asked(drive, groups, 1)
    truth = KINDS["absent_pair"].truth(asked)
    for (own, absent), group, slot in zip(truth["numbers"].tolist(), asked.group, asked.slots[:, 0], strict=True):
        assert own == groups.numbers[group, slot]
        assert absent not in groups.numbers[group]
        assert 0 <= absent <= 9


@pytest.mark.parametrize(("name", "roles"), [("absent_mark", "a"), ("absent_mark_future", "a"), ("absent_pair", "ab")])
def test_wordings_of_absent_marks_are_those_of_answerable_questions(name, roles):
    from qa_gen.families import ego_centric, future_motion, object_centric

    kind = KINDS[name]
    assert len(kind.wordings) >= 40
    others = [other for module in (ego_centric, object_centric, future_motion) for other in module.TYPES]
    for wording in kind.wordings:
        owners = [other for other in others if wording in other.wordings]
        assert owners
        assert any(set(other.group_kinds) & set(kind.group_kinds) for other in owners)
        assert {other.answer_type for other in owners}.isdisjoint({"choice", "bool"})
        assert set(re.findall(r"\{(.*?)\}", wording)) == set(roles)


def test_other_wordings_name_what_they_ask_about():
    assert all({"a", "p"} == set(re.findall(r"\{(.)\}", wording)) for wording in KINDS["hidden_behind"].wordings)
    assert not any(re.search(r"\ban? \{p\}", wording) for wording in KINDS["hidden_behind"].wordings), (
        "an animal, a car"
    )
    assert all("{" not in wording and "meters" in wording for wording in KINDS["unseen_behind"].wordings)
