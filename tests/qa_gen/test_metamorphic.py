"""What must happen to the answers when the world is changed in a way whose effect is known.

Whole logs of random traffic are generated, changed as a whole, and asked about again; the question tables are compared by what is
asked of whom and when.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from drive_vqa.store import Store
from qa_gen.config import GenerateConfig
from qa_gen.generate import generate
from tests.qa_gen.oracle.world import WIDTH, Looks, Traffic, make_traffic, write_traffic

Truth = dict[str, Any]
Key = tuple[int, str, str, str, tuple[str, ...], str | None]
LOOKS = Looks(("CAM_FRONT", "CAM_FRONT_LEFT", "CAM_FRONT_RIGHT", "CAM_BACK"))
SEEDS = (0, 1)
EXACT = ("marks", "choice", "bool", "count", "clock_hour", "undetermined")


@dataclass(frozen=True)
class Told:
    """A question with the truth in terms of tracks instead of numbers of marks."""

    truth: Truth
    text: str
    mark: tuple[int, ...]


def _ask(folder: Path, traffic: Traffic, looks: Looks = LOOKS, **settings: Any) -> dict[Key, Told]:
    """All questions about a drive, by frame, kind of group, type, form, tracks and parameter."""
    store = Store.create(folder)
    write_traffic(store, "drive", traffic, looks)
    summary = generate(store, GenerateConfig(**settings), workers=1)
    assert summary.done == ("drive",)
    groups = {row["group_id"]: row for row in store.read("groups", "drive").to_pylist()}
    columns = ["group_id", "frame", "type", "form", "marks", "track_ids", "parameter", "question", "truth"]
    told = {}
    for row in store.read("questions", "drive", columns).to_pylist():
        group = groups[row["group_id"]]
        names = {mark["mark"]: mark["track_id"] for mark in group["marks"]}
        truth = {name: value for name, value in row["truth"].items() if value is not None}
        if "marks" in truth:
            truth["marks"] = [names[mark] for mark in truth["marks"]]
        if "choice" in truth:
            truth["choice"] = _named(truth["choice"], names)
        parameter = row["parameter"] and _named(row["parameter"], names)
        key = (row["frame"], group["kind"], row["type"], row["form"], tuple(row["track_ids"]), parameter)
        told[key] = Told(truth, row["question"], tuple(row["marks"]))
    return told


def _named(text: str, names: dict[int, str]) -> str:
    return re.sub(r"Region (\d+)", lambda found: names[int(found[1])], text)


def _asked_with_seeds(folder: Path, traffic: Traffic, **settings: Any) -> dict[Key, Told]:
    """Several seeds: other pairs, parameters and claims."""
    told: dict[Key, Told] = {}
    for seed in SEEDS:
        told |= _ask(folder / str(seed), traffic, seed=seed, **settings)
    return told


def _same(one: Truth, other: Truth) -> bool:
    return one.keys() == other.keys() and all(_near(name, value, other[name]) for name, value in one.items())


def _near(name: str, value: Any, other: Any) -> bool:
    if name in EXACT:
        return bool(value == other)
    if name in ("bearing_deg", "yaw_deg"):
        return abs((value - other + 180) % 360 - 180) <= 2e-3
    return bool(abs(value - other) <= (1.0 if name.endswith("_px") else 2e-3))


def _compare(
    one: dict[Key, Told], other: dict[Key, Told], key_of: Callable[[Key], Key], expected: Callable[[Key, Truth], Truth]
) -> tuple[int, list[str]]:
    """How many questions have a counterpart, and which of these have another truth than expected."""
    wrong, compared = [], 0
    for key, told in one.items():
        there = other.get(key_of(key))
        if there is None:
            continue
        compared += 1
        wanted = expected(key, told.truth)
        if not _same(wanted, there.truth):
            wrong.append(f"{key}: {told.truth} should become {wanted}, is {there.truth}")
    return compared, wrong


def _comparable(key: Key) -> bool:
    """Numbers in the open form, categories, plain yes or no: what does not depend on what else is asked."""
    _, _, _, form, _, parameter = key
    return form == "open" or (form == "yes_no" and parameter is None)


def _types(told: Iterable[Key]) -> set[str]:
    return {key[2] for key in told}


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    return make_traffic(11, seconds=13.0)


@pytest.fixture(scope="module")
def asked(traffic: Traffic, tmp_path_factory: pytest.TempPathFactory) -> dict[Key, Told]:
    return _asked_with_seeds(tmp_path_factory.mktemp("asked"), traffic)


# --- mirror -----------------------------------------------------------------------------------------------------------

SIDES = {"left": "right", "right": "left"}
SIGNED = ("bearing_deg", "yaw_deg", "y_m")


def _mirrored_text(text: str) -> str:
    return re.sub(r"\b(left|right)\b", lambda found: SIDES[found[1]], text)


def _mirrored(_: Key, truth: Truth) -> Truth:
    changed = {name: -value if name in SIGNED else value for name, value in truth.items()}
    if "clock_hour" in truth:
        changed["clock_hour"] = 12 - truth["clock_hour"] % 12
    if "choice" in truth:
        changed["choice"] = _mirrored_text(truth["choice"])
    if "u0_px" in truth:
        changed["u0_px"], changed["u1_px"] = WIDTH - truth["u1_px"], WIDTH - truth["u0_px"]
    return changed


def _mirrored_key(key: Key) -> Key:
    frame, kind, name, form, tracks, parameter = key
    return frame, kind, name, form, tracks, parameter and _mirrored_text(parameter)


def test_in_a_mirror_left_and_right_change_places(traffic, asked, tmp_path):
    """Two cameras to the sides are exchanged too; what has numbers or sides in its options is told by its open form."""
    told = {key: value for key, value in asked.items() if _comparable(key) or key[2] in CATEGORICAL}
    mirrored = _asked_with_seeds(tmp_path, traffic.mirrored())
    compared, wrong = _compare(told, mirrored, _mirrored_key, _mirrored)
    assert wrong == []
    assert compared > 0.7 * len(told)
    assert {
        "bearing",
        "clock",
        "lateral",
        "side",
        "left_right",
        "pair_lateral",
        "relative_heading",
        "ego_turn_t3",
    } <= _types(key for key in told if _mirrored_key(key) in mirrored)


CATEGORICAL = (
    "left_right", "left_right_own", "side", "closer", "farther_ahead", "front_behind", "above_below", "bigger", "facing",
    "pair_heading", "lane_relation", "turning_t3", "ego_turning_t3", "manoeuvre", "approach_t1", "approach_t3", "motion_state",
    "nearest_to", "nearest_mark", "nearest_of_class", "arrives_first", "faster", "count_sector",
)  # fmt: skip
"""Types whose form choice has no numbers in its truth."""


# --- rotation -----------------------------------------------------------------------------------------------------------


def test_turning_the_whole_world_changes_nothing(traffic, asked, tmp_path):
    turned = _asked_with_seeds(tmp_path, traffic.turned(2.1))
    compared, wrong = _compare(asked, turned, lambda key: key, lambda _, truth: truth)
    assert wrong == []
    assert compared > 0.995 * max(len(asked), len(turned))
    assert {asked[key].text for key in asked if key in turned} == {turned[key].text for key in asked if key in turned}


# --- swap A and B -------------------------------------------------------------------------------------------------------

UNCHANGED = (
    "pair_distance", "pair_gap", "pair_heading", "same_category", "closer", "farther_ahead", "taller", "wider", "longer",
    "bigger", "faster",
)  # fmt: skip
NEGATED = ("pair_lateral", "pair_longitudinal", "relative_heading")
FLIPPED = {"left_right": SIDES, "above_below": {"higher": "lower", "lower": "higher"}}


def _swapped(key: Key, truth: Truth) -> Truth:
    if key[2] in NEGATED:
        return {name: -value for name, value in truth.items()}
    if key[2] in FLIPPED:
        return {"choice": FLIPPED[key[2]][truth["choice"]]}
    return truth


def test_swapping_the_two_of_a_pair(traffic, tmp_path):
    """The order of a pair is drawn at random: some seeds ask about a and b, others about b and a."""
    told: dict[Key, Told] = {}
    for seed in range(4):
        told |= _ask(tmp_path / str(seed), traffic, families=("object", "future"), seed=seed, max_pairs=15, flatten=1.0)
    pairs = {
        key: value
        for key, value in told.items()
        if key[2] in (*UNCHANGED, *NEGATED, *FLIPPED)
        and (key[3] == "open" or (key[3] == "choice" and "choice" in value.truth and key[2] not in NEGATED))
        and not (key[3] == "choice" and key[2] in ("pair_distance", "pair_gap"))
    }
    pairs |= {key: value for key, value in told.items() if key[2] == "same_category"}

    def swap(key: Key) -> Key:
        return (*key[:4], key[4][::-1], key[5])

    compared, wrong = _compare(pairs, pairs, swap, _swapped)
    assert wrong == []
    found = {key[2] for key in pairs if swap(key) in pairs}
    assert found == {*UNCHANGED, *NEGATED, *FLIPPED}
    assert compared > 500


# --- names and numbers --------------------------------------------------------------------------------------------------


def test_other_names_of_tracks_change_nothing_else(traffic, asked, tmp_path):
    names = {
        actor.name: f"{(7 * number + 3) % 29:02d}-{actor.name[::-1]}" for number, actor in enumerate(traffic.actors)
    }
    renamed = _asked_with_seeds(tmp_path, traffic.renamed(names))

    def rename(text: str) -> str:
        return names.get(text, text)

    def key_of(key: Key) -> Key:
        frame, kind, name, form, tracks, parameter = key
        return (
            frame,
            kind,
            name,
            form,
            tuple(track and names[track] for track in tracks),
            parameter and rename(parameter),
        )

    def expected(_: Key, truth: Truth) -> Truth:
        changed = dict(truth)
        if "marks" in truth:
            changed["marks"] = [names[track] for track in truth["marks"]]
        if "choice" in truth:
            changed["choice"] = rename(truth["choice"])
        return changed

    told = {key: value for key, value in asked.items() if _comparable(key) or key[2] in CATEGORICAL}
    told = {
        key: value
        for key, value in told.items()
        if not isinstance(value.truth.get("marks"), list) or key[2] != "marks_within"
    }
    compared, wrong = _compare(told, renamed, key_of, expected)
    assert wrong == []
    assert compared > 0.5 * len(told)


def test_another_seed_deals_other_numbers_and_words_but_the_same_truths(traffic, tmp_path):
    one, other = (_ask(tmp_path / str(seed), traffic, seed=seed) for seed in (3, 4))
    both = [
        key for key in one if key in other and (_comparable(key) or key[2] in CATEGORICAL) and key[2] != "marks_within"
    ]
    assert len(both) > 500
    assert [key for key in both if not _same(one[key].truth, other[key].truth)] == []
    plain = [re.sub(r"Region \d+", "Region", told[key].text) for key in both for told in (one, other)]
    assert sum(first != second for first, second in zip(plain[::2], plain[1::2], strict=True)) > 0.6 * len(both)
    marked = [key for key in both if one[key].mark]
    assert sum(one[key].mark != other[key].mark for key in marked) > 0.6 * len(marked)


# --- time ---------------------------------------------------------------------------------------------------------------

OPPOSITE = {"closing": "receding", "receding": "closing", "keeping its distance": "keeping its distance"}
SAME_NOW = ("distance_t0", "bearing_t0", "position_t0", "localization_t0", "target_speed_t0", "ego_speed_t0")


def test_backwards_what_closed_recedes_and_all_is_as_fast(tmp_path):
    """Everything keeps its velocity, so each moment looks the same when the drive is played backwards."""
    approached = same = 0
    for number in range(2):
        traffic = make_traffic(40 + number, straight=True, agents=30)
        last = len(traffic.time_s) - 1
        settings = {"families": ("future",), "flatten": 1.0, "least_change": 0.0, "max_marks": 9}
        there = _asked_all(tmp_path / f"{number}-there", traffic, **settings)
        back = _asked_all(tmp_path / f"{number}-back", traffic.reversed(), **settings)
        for seconds in (1, 2, 3):
            name = f"approach_t{seconds}"
            told = {key: value for key, value in there.items() if key[2] == name and key[3] == "choice"}

            compared, wrong = _compare(
                told, back, _backwards(last - 2 * seconds), lambda _, truth: {"choice": OPPOSITE[truth["choice"]]}
            )
            assert wrong == []
            approached += compared
        told = {key: value for key, value in there.items() if key[2] in SAME_NOW and key[3] == "open"}
        compared, wrong = _compare(told, back, _backwards(last), lambda _, truth: truth)
        assert wrong == []
        same += compared
    assert approached > 50
    assert same > 500


def _backwards(last: int) -> Callable[[Key], Key]:
    return lambda key: (last - key[0], *key[1:])


def _asked_all(folder: Path, traffic: Traffic, **settings: Any) -> dict[Key, Told]:
    return _ask(folder, traffic, Looks(()), need_images=False, **settings)
