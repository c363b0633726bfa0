"""Answers of the future family, worked out by hand for agents on explicit paths; and what all its wordings must say."""

import math
import re
import string

import numpy as np
import pytest

from qa_gen.asked import Asked
from qa_gen.families.future_motion import TYPES
from qa_gen.question_type import BEARING_WORDS
from tests.qa_gen.paths import STANDING, Agent, circle, shifting, straight, subjects, write_paths

KINDS = {kind.name: kind for kind in TYPES}
EGO = straight(0.0, 0.0, 0.0, 10.0)
NOT_ASKED = "not asked"


def answer(kind_name, asked):
    """The first subject's answer: numbers, or the text of a choice, or a bool."""
    kind = KINDS[kind_name]
    truth = kind.truth(asked)
    assert all(len(values) == len(asked) for values in truth.values())
    if "choice" in truth:
        return kind.choices[truth["choice"][0]] if truth["choice"][0] >= 0 else NOT_ASKED
    if "bool" in truth:
        return {1: True, 0: False, -1: NOT_ASKED}[truth["bool"][0]]
    values = [float(values[0]) for values in truth.values()]
    if any(math.isnan(value) for value in values):
        return NOT_ASKED
    return pytest.approx(values[0] if len(values) == 1 else tuple(values), abs=1e-6)


def of_agent(tmp_path, kind_name, course, ego=STANDING, **options):
    agent = course if isinstance(course, Agent) else Agent(course)
    roles = ["a"] if KINDS[kind_name].roles else []
    return answer(kind_name, subjects(write_paths(tmp_path / "store", {"a": agent}, ego, **options), roles))


def many(tmp_path, kind_name, cases, ego=STANDING, **options):
    """Answers about the agents of a dict, all asked at once."""
    agents = {name: case if isinstance(case, Agent) else Agent(case) for name, case in cases.items()}
    asked = subjects(write_paths(tmp_path / "store", agents, ego, **options), *([name] for name in agents))
    truth = KINDS[kind_name].truth(asked)
    if "bool" in truth:
        return {
            name: {1: True, 0: False, -1: NOT_ASKED}[int(value)]
            for name, value in zip(agents, truth["bool"], strict=True)
        }
    (values,) = truth.values()
    if "choice" not in truth:
        return {
            name: NOT_ASKED if math.isnan(value) else round(value, 9)
            for name, value in zip(agents, values, strict=True)
        }
    return {
        name: KINDS[kind_name].choices[value] if value >= 0 else NOT_ASKED
        for name, value in zip(agents, values, strict=True)
    }


def test_places_and_speeds(tmp_path):
    """The ego drives a left circle of 90 degrees in 3 s; the other goes straight to the left, 2 m/s faster each second."""
    radius_m = 6.0 / math.radians(30.0)
    ego = circle(0.0, 0.0, 0.0, 6.0, 30.0)
    other = straight(20.0, -4.0, 90.0, 3.0, 2.0)
    asked = subjects(write_paths(tmp_path / "store", {"a": Agent(other)}, ego, heading_deg=200.0), ["a"])
    # after 3 s the ego is at (radius, radius) and looks to the left; the other at (20, -4 + 9 + 9 = 14) with 9 m/s
    x_m, y_m = 14.0 - radius_m, radius_m - 20.0
    assert (math.hypot(20.0, 4.0), math.degrees(math.atan2(-4.0, 20.0))) == answer("localization_t0", asked)
    assert (math.hypot(x_m, y_m), math.degrees(math.atan2(y_m, x_m))) == answer("localization_t3", asked)
    assert math.hypot(20.0, 4.0) == answer("distance_t0", asked)
    assert math.hypot(x_m, y_m) == answer("distance_t3", asked)
    assert math.degrees(math.atan2(-4.0, 20.0)) == answer("bearing_t0", asked)
    assert math.degrees(math.atan2(y_m, x_m)) == answer("bearing_t3", asked)
    assert answer("position_t0", asked) == (20.0, -4.0)
    assert (x_m, y_m) == answer("position_then_t3", asked)
    assert answer("position_now_t1", asked) == (20.0, 0.0)
    assert answer("position_now_t2", asked) == (20.0, 6.0)
    assert answer("position_now_t3", asked) == (20.0, 14.0)
    assert [answer(f"target_speed_t{h}", asked) for h in range(4)] == [3.0, 5.0, 7.0, 9.0]
    assert math.hypot(6.0, 3.0) == answer("relative_speed_t0", asked)
    assert answer("relative_speed_t3", asked) == 3.0  # both to the left: 9 - 6


def test_the_egos_own_way(tmp_path):
    radius_m = 6.0 / math.radians(30.0)
    ego = circle(0.0, 0.0, 0.0, 6.0, 30.0)
    asked = subjects(write_paths(tmp_path / "store", {"a": Agent(STANDING)}, ego, heading_deg=200.0), [])
    assert [answer(f"ego_turn_t{h}", asked) for h in (1, 2, 3)] == [30.0, 60.0, 90.0]
    assert radius_m == answer("ego_displacement_t2", asked)  # 60 degrees: the chord is the radius
    assert radius_m * math.sqrt(2.0) == answer("ego_displacement_t3", asked)
    assert (radius_m * math.sqrt(2.0), 90.0) == answer("ego_motion_t3", asked)
    assert [answer(f"ego_speed_t{h}", asked) for h in range(4)] == [6.0] * 4
    assert answer("ego_turning_t3", asked) == "turning left"


@pytest.mark.parametrize(
    ("change_m", "expected"),
    [
        (0.0, "keeping its distance"), (0.39, "keeping its distance"), (-0.39, "keeping its distance"),
        (0.41, NOT_ASKED), (-0.59, NOT_ASKED), (0.61, "receding"), (-0.61, "closing"), (-12.0, "closing"),
    ],
)  # fmt: skip
def test_approach(tmp_path, change_m, expected):
    """In a second, both driving."""
    found = many(tmp_path, "approach_t1", {"a": straight(30.0, 0.0, 0.0, 10.0 + change_m)}, EGO)
    assert found == {"a": expected}
    found = many(tmp_path / "slower", "approach_t3", {"a": straight(30.0, 0.0, 0.0, 10.0 + change_m / 3)}, EGO)
    assert found == {"a": expected}


def test_motion_state(tmp_path):
    def at_speed(*speeds_mps):
        """By frames from 4 s ago, the ninth is the present; the last goes on."""
        return lambda time_s: (20.0, 0.0, 0.0, speeds_mps[min(round(2 * time_s) + 8, len(speeds_mps) - 1)])

    def short(course, start_s, end_s):
        return lambda time_s: course(time_s) if start_s <= time_s <= end_s else None

    still, unknown = at_speed(0.29), at_speed(None)
    cases = {
        "moving": at_speed(1.01),
        "moving-after-rest": at_speed(*[0.0] * 8, 5.0),
        "slow": at_speed(0.9),
        "creeping": at_speed(0.5),
        "parked": still,
        "parked-5s": short(still, -2.0, 3.0),
        "seen-4.5s": short(still, -1.5, 3.0),
        "known-4.5s": lambda time_s: still(time_s) if -1.5 <= time_s <= 3.0 else unknown(time_s),
        "stopped-before": at_speed(*[0.0] * 10, 3.0),
        "stopped-after": at_speed(2.0, *[0.0] * 10),
        "crept-before": at_speed(0.8, *[0.0] * 10),
        "unknown": unknown,
        "unknown-now": at_speed(*[3.0] * 8, None, 0.0),
        "cyclist": Agent(still, "bicycle"),
        "walker": Agent(at_speed(1.4), "pedestrian"),
        "motorcycle": Agent(still, "motorcycle"),
    }
    found = many(tmp_path, "motion_state", cases, times_s=np.arange(-4.0, 3.1, 0.5))
    expected = dict.fromkeys(cases, NOT_ASKED)
    expected |= dict.fromkeys(("moving", "moving-after-rest"), "moving")
    expected |= dict.fromkeys(("parked", "parked-5s", "motorcycle"), "parked")
    expected |= dict.fromkeys(("stopped-before", "stopped-after"), "stopped")
    assert found == expected


SPEED_CHANGES = [
    (5.0, 6.01, "speeding up"), (5.0, 5.99, NOT_ASKED), (5.0, 5.49, "keeping {} speed"), (5.0, 5.51, NOT_ASKED),
    (5.0, 4.51, "keeping {} speed"), (5.0, 3.99, "slowing down"), (5.0, 4.01, NOT_ASKED), (0.0, 1.2, "speeding up"),
    (1.2, 0.0, "slowing down"), (0.6, 0.8, NOT_ASKED), (0.0, 0.0, NOT_ASKED), (0.9, 1.1, "keeping {} speed"),
]  # fmt: skip


def changing(now_mps, then_mps):
    return lambda time_s: (20.0, 0.0, 0.0, now_mps if time_s < 2.0 else then_mps if time_s == 2.0 else 99.0)


def test_speed_change(tmp_path):
    cases = {f"{now}-{then}": changing(now, then) for now, then, _ in SPEED_CHANGES}
    expected = {f"{now}-{then}": answer.format("its") for now, then, answer in SPEED_CHANGES}
    assert many(tmp_path, "speed_change_t2", cases) == expected


@pytest.mark.parametrize(("now_mps", "then_mps", "expected"), SPEED_CHANGES)
def test_ego_speed_change(tmp_path, now_mps, then_mps, expected):
    found = of_agent(tmp_path, "ego_speed_change_t2", STANDING, changing(now_mps, then_mps))
    assert found == expected.format("my")


def test_turning(tmp_path):
    """By its own heading in the global frame, with an ego that turns by itself."""
    ego = circle(0.0, 0.0, 0.0, 6.0, 20.0)
    spinning = circle(30.0, 0.0, 170.0, 5.0, 15.5 / 3)
    cases = {
        "left": spinning,
        "right": circle(30.0, 0.0, -170.0, 5.0, -15.5 / 3),
        "half-left": circle(30.0, 0.0, 0.0, 5.0, 14.5 / 3),
        "half-right": circle(30.0, 0.0, 0.0, 5.0, -7.5 / 3),
        "straight": circle(30.0, 0.0, 0.0, 5.0, -6.5 / 3),
        "standing": straight(20.0, 0.0, 40.0, 0.29),
        "creeping": straight(20.0, 0.0, 40.0, 0.5),
        "stops-between": lambda time_s: (20.0, 0.0, 0.0, 0.0 if time_s in (1.0, 2.0) else 5.0),
        "moves-between": lambda time_s: (20.0, 0.0, 0.0, 5.0 if time_s == 2.0 else 0.0),
        "starts": lambda time_s: (20.0, 0.0, 0.0, 5.0 if time_s == 3.0 else 0.0),
        "unknown-between": lambda time_s: (20.0, 0.0, 0.0, None if time_s == 1.0 else 5.0),
    }
    found = many(tmp_path / "posed", "turning_t3", cases, ego, heading_deg=95.0)
    expected = dict.fromkeys(cases, NOT_ASKED)
    expected |= {"left": "turning left", "right": "turning right", "standing": "standing still"}
    expected |= dict.fromkeys(("straight", "stops-between"), "going straight")
    assert found == expected
    blind = many(tmp_path / "blind", "turning_t3", cases, ego, poses=False)
    assert blind == dict.fromkeys(cases, NOT_ASKED) | {"standing": "standing still"}


@pytest.mark.parametrize(
    ("ego", "expected"),
    [
        (circle(0.0, 0.0, 0.0, 6.0, -15.5 / 3), "turning right"),
        (circle(0.0, 0.0, 0.0, 6.0, 10.0 / 3), NOT_ASKED),
        (circle(0.0, 0.0, 0.0, 6.0, 6.0 / 3), "going straight"),
        (STANDING, "standing still"),
        (straight(0.0, 0.0, 0.0, 0.8), NOT_ASKED),
    ],
)
def test_ego_turning(tmp_path, ego, expected):
    assert of_agent(tmp_path, "ego_turning_t3", STANDING, ego) == expected


def test_manoeuvre(tmp_path):
    cases = {
        "oncoming": straight(30.0, 3.5, 180.0, 10.0),
        "cuts-in": shifting(straight(15.0, 3.5, 0.0, 10.0), -3.5),
        "overtakes": straight(-10.0, 3.5, 0.0, 16.0),
        "keeps": straight(25.0, 0.0, 0.0, 10.0),
        "none": straight(25.0, 0.0),
    }
    expected = {"oncoming": "oncoming pass", "cuts-in": "cutting in", "keeps": "keeping station"}
    found = many(tmp_path, "manoeuvre", cases, EGO)
    assert found == dict.fromkeys(cases, NOT_ASKED) | expected


def test_closest_approach(tmp_path):
    """Past a standing ego, at 10 Hz."""

    def gap(course, *gone_s):
        return lambda time_s: None if round(time_s, 3) in gone_s else course(time_s)

    passing = straight(-10.0, 6.0, 0.0, 8.0)  # abreast after 1.25 s: frames at 1.2 s (0.4 m before) and 1.3 s
    cases = {
        "passing": straight(-9.6, 6.0, 0.0, 8.0),  # abreast after 1.2 s
        "gap": gap(straight(-9.6, 6.0, 0.0, 8.0), 1.2),
        "gone": gap(straight(-9.6, 6.0, 0.0, 8.0), 2.0),
        "leaving": straight(10.0, 0.0, 0.0, 8.0),
        "arriving": straight(60.0, 0.0, 180.0, 8.0),
        "early": straight(-1.6, 6.0, 0.0, 8.0),  # abreast after 0.2 s
        "early-enough": straight(-2.4, 6.0, 0.0, 8.0),
        "late": straight(-22.4, 6.0, 0.0, 8.0),  # after 2.8 s
        "flat": straight(-1.2, 6.0, 0.0, 1.0),  # abreast after 1.2 s, 0.5 s away it is farther by 0.02 m
        "not-so-flat": straight(-6.0, 6.0, 0.0, 5.0),  # 0.5 s away: hypot(6, 2.5) = 6.5
    }
    times_s = np.round(np.arange(-2.0, 3.1, 0.1), 3)
    least = many(tmp_path / "d", "closest_distance", cases, times_s=times_s)
    expected = {"passing": 6.0, "leaving": 10.0, "arriving": 36.0, "early": 6.0, "early-enough": 6.0, "late": 6.0}
    expected |= {"gap": round(math.hypot(6.0, 0.8), 9), "flat": 6.0, "not-so-flat": 6.0, "gone": NOT_ASKED}
    assert least == expected
    when = many(tmp_path / "t", "closest_time", cases, times_s=times_s)
    expected = {"passing": 1.2, "early-enough": 0.3, "gap": 1.1, "not-so-flat": 1.2}
    assert when == dict.fromkeys(cases, NOT_ASKED) | expected
    assert many(tmp_path / "c", "closest_distance", {"a": passing}) == {"a": round(math.hypot(6.0, 2.0), 9)}  # at 2 Hz


def test_collision(tmp_path):
    # the ego's front is at 3.7 m, a car's rear 2 m before its centre
    cases = {
        "in-1.9": straight(23.7, 0.0),
        "in-4.0": straight(5.7 + 39.5, 0.0),
        "in-4.1": straight(5.7 + 40.5, 0.0),
        "in-6.0": straight(5.7 + 59.5, 0.0),
        "in-6.1": straight(5.7 + 60.5, 0.0),
        "never": straight(30.0, 4.0),
        "flees": straight(10.0, 0.0, 0.0, 12.0),
        "touches": straight(5.0, 0.0, 0.0, 12.0),
        "unknown": lambda time_s: (23.7, 0.0, 0.0, None),
    }
    ttc = many(tmp_path / "t", "time_to_collision", cases, EGO)
    assert ttc == dict.fromkeys(cases, NOT_ASKED) | {"in-1.9": 1.9, "in-4.0": 4.0, "in-4.1": 4.1, "in-6.0": 6.0}
    course = many(tmp_path / "b", "collision_course", cases, EGO)
    yes, no = dict.fromkeys(("in-1.9", "in-4.0", "touches"), True), dict.fromkeys(("in-6.1", "never", "flees"), False)
    assert course == dict.fromkeys(cases, NOT_ASKED) | yes | no


def test_arrives_first(tmp_path):
    """The ego's origin is at 15 m after 1.5 s."""
    cases = {
        "before": straight(15.0, -5.0, 90.0, 5.1),  # at the ego's path after 0.98 s
        "tie": straight(15.0, -5.0, 90.0, 4.0),  # after 1.25 s
        "after": straight(15.0, 9.0, -90.0, 4.4),  # after 2.05 s
        "walker": Agent(straight(15.0, 1.0, -90.0, 1.4), "pedestrian"),  # after 0.71 s
        "behind": straight(-5.0, -5.0, 90.0, 4.0),
        "ahead": straight(31.0, -5.0, 90.0, 4.0),
        "too-late": straight(15.0, -16.0, 90.0, 5.0),
        "steep": straight(15.0, -1.0, 25.0, 5.0),  # at (17.1, 0) after 0.47 s
        "flat": straight(15.0, -1.0, 15.0, 5.0),
        "same-way": straight(15.0, 0.0, 0.0, 5.0),
    }
    expected = dict.fromkeys(("before", "walker", "steep"), "{a}") | {"after": "I"}
    found = many(tmp_path / "posed", "arrives_first", cases, EGO, heading_deg=130.0)
    assert found == dict.fromkeys(cases, NOT_ASKED) | expected
    assert many(tmp_path / "blind", "arrives_first", cases, EGO, poses=False) == dict.fromkeys(cases, NOT_ASKED)


def test_arrives_first_counts_the_first_crossing_on_my_way(tmp_path):
    """A zigzag over the ego's path: at 22 m after 0.25 s and at 6 m after 1.25 s, which the ego passes after 2.2 s and 0.6 s."""

    def zigzag(time_s):
        points = {0.0: (24.0, -2.0), 0.5: (20.0, 2.0), 1.0: (8.0, 2.0), 1.5: (4.0, -2.0)}
        return (*points.get(time_s, (4.0, -2.0)), 0.0, 8.0)

    assert of_agent(tmp_path, "arrives_first", zigzag, EGO) == "I"


def test_enters_path(tmp_path):
    """A box 4 m long and 2 m wide; the ego stands."""

    def placed(now_y_m, *later_y_m, x_m=20.0):
        return lambda time_s: (x_m, later_y_m[int(time_s) - 1] if time_s >= 1 else now_y_m, 0.0, 1.0)

    cases = {
        "comes": placed(6.0, 6.0, 2.4, 6.0),  # from 1.4 to 3.4 m
        "just-comes": placed(6.0, 6.0, 6.0, -2.49),
        "nearly": placed(6.0, 6.0, 6.0, 2.51),  # within the margin
        "stays-near": placed(3.2, 3.11, 3.11, 3.11),
        "hardly": placed(3.2, 3.2, 3.09, 3.2),
        "is-in": placed(0.0, 6.0, 2.0, 0.0),
        "is-nearly-in": placed(3.0, 0.0, 0.0, 0.0),
        "behind": placed(6.0, 0.0, 0.0, 0.0, x_m=-2.1),
        "far": placed(6.0, 0.0, 0.0, 0.0, x_m=62.1),
        "far-end": placed(6.0, 0.0, 0.0, 0.0, x_m=61.9),
        "lost": lambda time_s: None if time_s == 2.0 else (20.0, 6.0, 0.0, 1.0),
        "between": lambda time_s: (20.0, 0.0 if time_s == 1.5 else 6.0, 0.0, 1.0),
    }
    found = many(tmp_path / "standing", "enters_path_t3", cases)
    yes = dict.fromkeys(("comes", "just-comes", "far-end"), True)
    no = dict.fromkeys(("stays-near", "behind", "far", "between"), False)
    assert found == dict.fromkeys(cases, NOT_ASKED) | yes | no
    turned = circle(0.0, 0.0, 0.0, 6.0, 30.0)  # after 3 s at (11.5, 11.5), looking to the left
    assert of_agent(tmp_path / "turning", "enters_path_t3", straight(11.5, 40.0), turned) is True


def test_leaves_view(tmp_path):
    there = straight(20.0, 0.0)
    cases = {
        "stays": Agent(there, fractions={0.0: 0.25, 2.0: 0.25}),
        "goes": Agent(there, fractions={0.0: 1.0, 1.0: 1.0, 3.0: 1.0}),
        "hides": Agent(there, fractions={0.0: 1.0, 2.0: 0.02}),
        "half": Agent(there, fractions={0.0: 1.0, 2.0: 0.1}),
        "unseen-now": Agent(there, fractions={0.0: 0.2, 2.0: 1.0}),
        "never-seen": Agent(there),
        "lost": Agent(lambda time_s: None if time_s == 2.0 else there(time_s), fractions={0.0: 1.0}),
    }
    expected = {"stays": False, "goes": True, "hides": True}
    assert many(tmp_path, "leaves_view_t2", cases) == dict.fromkeys(cases, NOT_ASKED) | expected


def test_faster(tmp_path):
    agents = {name: Agent(straight(20.0, 0.0, 50.0, speed)) for name, speed in zip("abc", (3.0, 4.0, 4.9), strict=True)}
    agents["d"] = Agent(lambda time_s: (20.0, 0.0, 0.0, None))
    pairs = [("a", "b"), ("b", "a"), ("b", "c"), ("c", "a"), ("a", "d"), ("d", "a")]
    asked = subjects(write_paths(tmp_path / "store", agents), *pairs)
    assert KINDS["faster"].truth(asked)["choice"].tolist() == [1, 0, -1, 0, -1, -1]


def test_unknown_is_not_asked(tmp_path):
    """A log that ends at the present, without poses, speeds and images: nothing of the future can be told, and nothing warns."""
    course = lambda time_s: (20.0, 1.0, 0.3, None)  # noqa: E731
    store = write_paths(tmp_path / "store", {"a": Agent(course), "b": Agent(course)}, course, (-0.5, 0.0), poses=False)
    told = set()
    for kind in TYPES:
        truth = kind.truth(subjects(store, ["a", "b"][: kind.roles], ["b", "a"][: kind.roles]))
        unknown = [np.isnan(values) if values.dtype.kind == "f" else values == -1 for values in truth.values()]
        told |= set() if np.all(unknown) else {kind.name}
        assert np.all(unknown) or not np.any(unknown)
    assert told == {"localization_t0", "distance_t0", "bearing_t0", "position_t0"}


def test_no_subjects(tmp_path):
    one = subjects(write_paths(tmp_path / "store", {"a": Agent(STANDING)}), ["a"])
    for kind in TYPES:
        none, slots = np.zeros(0, np.int64), np.zeros((0, kind.roles), np.int64)
        truth = kind.truth(Asked(one.drive, one.groups, one.config, none, slots, none))
        assert all(len(values) == 0 for values in truth.values())


def test_the_catalogue_is_complete():
    from_now = ("localization", "distance", "bearing", "ego_speed", "target_speed", "relative_speed")
    later = ("position_then", "position_now", "approach", "ego_turn", "ego_displacement", "leaves_view")
    once = (
        "position_t0 motion_state speed_change_t2 ego_speed_change_t2 turning_t3 ego_turning_t3 ego_motion_t3 manoeuvre faster "
        "closest_distance closest_time time_to_collision collision_course arrives_first enters_path_t3"
    )
    each = [f"{name}_t{h}" for name in from_now for h in range(4)] + [
        f"{name}_t{h}" for name in later for h in (1, 2, 3)
    ]
    each += once.split()
    assert sorted(kind.name for kind in TYPES) == sorted(each)


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_wordings(kind):
    assert len(set(kind.wordings)) == len(kind.wordings) >= 8
    roles = set("abc"[: kind.roles])
    for text in kind.wordings:
        assert text[0].isupper() or text.startswith("{a}"), text
        assert text[-1] in ".?", text
        assert not re.search(r"  | [.,?]|\b(\w+) \1\b|metre|manoeuvre|centre", text), text
        assert {name for _, name, _, _ in string.Formatter().parse(text) if name} == roles, text
    for claim in kind.claims:
        assert claim[-1] not in ".?", claim
        assert claim[0].islower() or claim.startswith(("{", "I ")), claim
        names = {name for _, name, _, _ in string.Formatter().parse(claim) if name}
        assert names == roles | ({"v"} if kind.thresholds else set()), claim


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_wordings_name_unit_and_time(kind):
    unit = {
        "distance": "meters", "bearing": BEARING_WORDS, "localization": BEARING_WORDS, "turn": "degrees", "time": "seconds",
        "speed": "meters per second", "position": "meters", "motion": "degrees",
    }.get(kind.answer_type, "")  # fmt: skip
    time = re.search(r"_t(\d)$", kind.name)
    for text in kind.wordings:
        assert unit in text
        if kind.answer_type == "position":
            assert "ahead" in text
            assert "left" in text
        if time and time[1] == "0":
            assert re.search(r"\b(now|present|current|this moment)\b", text), text
        elif time:
            told = rf"{time[1]} seconds" if time[1] != "1" else r"(1|next|coming) second"
            assert re.search(rf"\b{told}\b", text), text
        if kind.answer_type in ("turn", "motion"):
            assert "to the left" in text
