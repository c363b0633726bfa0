"""Whatever is said: no reward raises, leaves its range, or is None for a reason that the text gives."""

import math
import time
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_vqa.looks import Look
from eval.parse import ANSWER_TYPES
from eval.reasoning.hostile import make_text
from eval.reasoning.trace import PlaceClaim, PointClaim, ReadTrace, SeenClaim
from finetune.rewards.attack_world import examples
from finetune.rewards.attacks import WRONG, honest
from finetune.rewards.completion import Completion
from finetune.rewards.presets import PRESETS
from finetune.rewards.score import read_completion, score_completions
from tests.finetune.rewards.by_hand import EVIDENCE, NOTHING, truth_about

MOST_LOOKS = 5
RANGES = {"safety": (-1.0, 0.0), ("vigorl_multi", "format"): (0.0, 1 + 0.2 * (MOST_LOOKS - 1))}
FIELDS = {
    "distance": {"distance_m": 10.0},
    "bearing": {"bearing_deg": -170.0},
    "turn": {"yaw_deg": 3.0},
    "speed": {"speed_mps": 0.0},
    "longitudinal": {"x_m": 0.0},
    "lateral": {"y_m": -3.0},
    "time": {"time_s": 0.0},
    "localization": {"distance_m": 0.0, "bearing_deg": 180.0},
    "position": {"x_m": 0.0, "y_m": 0.0},
    "motion": {"distance_m": 12.0, "yaw_deg": 0.0},
    "clock": {"clock_hour": 12},
    "count": {"count": 0},
    "choice": {"choice": "left"},
    "bool": {"bool": False},
    "ranking": {"marks": [3, 1]},
    "regions": {"marks": []},
    "interval": {"start_s": -1.0, "end_s": -1.0},
    "box": {"u0_px": 1.0, "v0_px": 1.0, "u1_px": 9.0, "v1_px": 9.0},
    "interval_box": {"start_s": -1.0, "end_s": 0.0, "u0_px": 1.0, "v0_px": 1.0, "u1_px": 9.0, "v1_px": 9.0},
    "undetermined": {"undetermined": True},
    "text": {"text": "a red car"},
}


def truths():
    slices = {"ttc_bin": "<0.95", "distance_m": 5.0}
    for answer_type, fields in FIELDS.items():
        for evidence in (EVIDENCE, NOTHING):
            yield truth_about(answer_type, evidence=evidence, slices=slices, horizon_s=2.0, **fields)


TRUTHS = list(truths())


def check(preset, completion, truth, progress=0.3):
    """Rewards of a completion, each in its range; None where the question alone says so."""
    silent = read_completion(preset, "", truth)
    found = {}
    for one in preset.rewards:
        value, without = (one.reward(said, truth, progress) for said in (completion, silent))
        assert (value is None) == (without is None), one.name
        low, high = RANGES.get((preset.name, one.name), RANGES.get(one.name, (0.0, 1.0)))
        assert value is None or (isinstance(value, float) and low <= value <= high + 1e-12), (one.name, value)
        found[one.name] = value
    return found


def test_all_answer_types_are_tried():
    assert set(FIELDS) == {*ANSWER_TYPES, "text"}


@pytest.mark.parametrize("name", PRESETS)
def test_hostile_texts(name):
    random = Random(7)
    for _ in range(80):
        truth = random.choice(TRUTHS)
        looks = [look(random) for _ in range(random.randint(0, MOST_LOOKS))]
        check(PRESETS[name], read_completion(PRESETS[name], make_text(random)[:5000], truth, looks=looks), truth)


def look(random):
    u, v = random.uniform(-1e6, 1e6), random.choice((0.0, 110.0))
    return Look(random.randint(-1, 4), (u, v, u, v), random.choice(((u, v), (220.0, 110.0))))


finite = st.floats(-1e9, 1e9)
offsets = st.one_of(st.none(), finite)
names = st.one_of(st.none(), st.sampled_from(["Region 3", "Region 4", "region   99999999", ""]), st.text(max_size=9))
boxes_px = st.tuples(finite, finite, finite, finite) | st.just(EVIDENCE.boxes[0].box_px)
claims = st.fixed_dictionaries(
    {
        "seen": st.lists(st.tuples(names, boxes_px, offsets), max_size=5),
        "points": st.lists(st.tuples(finite, finite, offsets), max_size=5),
        "places": st.lists(st.tuples(finite, finite, names, finite), max_size=5),
        "answer": st.one_of(st.none(), st.sampled_from(["left", "10 m", "10 m, 180°", "3"]), st.text(max_size=20)),
        "faults": st.sampled_from([(), ("bad_box",)]),
    }
)
"""What traces are made of; they are made in the test, since checks of annotations draw at random, which strategies must not."""


def trace_of(raw, mix=tuple):
    return ReadTrace(
        steps=("I look.",),
        seen=mix([SeenClaim(*one, step=0) for one in raw["seen"]]),
        points=mix([PointClaim(*one, step=0) for one in raw["points"]]),
        places=mix([PlaceClaim(*one, step=0) for one in raw["places"]]),
        answer=raw["answer"],
        faults=raw["faults"],
    )


@given(claims, st.sampled_from(TRUTHS), st.sampled_from(sorted(PRESETS)), st.floats(-1, 2), st.booleans())
@settings(max_examples=60)
def test_any_claims(raw, truth, name, progress, finished):
    check(PRESETS[name], Completion("", trace_of(raw), (), finished), truth, progress)


@given(claims, st.sampled_from(TRUTHS), st.integers(0, 1000))
@settings(max_examples=25)
def test_the_order_of_claims_and_of_looks_does_not_matter(raw, truth, seed):
    random = Random(seed)
    looks = [look(random) for _ in range(4)]
    mixed = trace_of(raw, mix=lambda told: tuple(random.sample(told, len(told))))
    one, other = Completion("", trace_of(raw), tuple(looks)), Completion("", mixed, tuple(looks[::-1]))
    for preset in (PRESETS["drive"], PRESETS["treevgr"], PRESETS["open_o3"]):
        for reward in preset.rewards:
            values = [reward.reward(said, truth, 0.3) for said in (one, other)]
            assert values[0] == pytest.approx(values[1], abs=1e-9), reward.name


def test_the_order_of_completions_does_not_matter():
    example = examples()[0]
    preset = PRESETS["drive"]
    said = [
        read_completion(preset, make(example, "drive").text, example.truth)
        for make in (honest, *list(WRONG.values())[:6])
    ]
    forward = score_completions(preset, said, [example.truth] * len(said), 0.5)
    backward = score_completions(preset, said[::-1], [example.truth] * len(said), 0.5)
    assert {name: values[::-1] for name, values in backward.items()} == forward


@pytest.mark.parametrize("name", ["10 MB of honest steps", "10 MB of boxes"])
def test_ten_megabytes_take_no_longer_than_what_is_read_of_them(name):
    example, preset = examples()[0], PRESETS["drive"]
    text = WRONG[name](example, "drive").text
    assert len(text) > 9_000_000
    started = time.process_time()
    found = check(preset, read_completion(preset, text, example.truth), example.truth)
    assert time.process_time() - started < 5.0
    assert found["boxes"] == found["format"] == found["accuracy"] == 0.0


@pytest.mark.parametrize(
    "lead",
    [
        "Region 3 has moved by (1.00, ",
        "(1.00, 2.00) m, which is ",
        "center of Region 3 is 1.0 m along",
        "1",
        "moved by (1, 1) m ",
    ],
)
def test_long_beginnings_of_statements_take_linear_time(lead):
    truth = truth_about("localization", distance_m=10.0, bearing_deg=0.0, horizon_s=2.0)
    text = (
        f"<think>\n{lead * 40_000}\n</think>\n<answer>10 m, 0°</answer>"[:32_000]
        + "\n</think><answer>10 m, 0°</answer>"
    )
    started = time.process_time()
    check(PRESETS["drive"], read_completion(PRESETS["drive"], text, truth), truth)
    assert time.process_time() - started < 3.0


def test_values_are_numbers():
    """No NaN reaches the trainer."""
    for truth in TRUTHS:
        completion = read_completion(PRESETS["drive"], "<answer>nan m</answer>", truth)
        assert not any(
            value is not None and math.isnan(value) for value in check(PRESETS["drive"], completion, truth).values()
        )
