"""What happened when: against an oracle that writes each agent's frames as letters and matches regular expressions."""

import re

import numpy as np
import pytest

from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from qa_gen.asked import Asked
from qa_gen.config import GenerateConfig
from qa_gen.drive import read_drive
from qa_gen.families.when_where import TYPES
from qa_gen.groups import Groups

KINDS = {kind.name: kind for kind in TYPES}
OFFSETS_S = (-3.5, -3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0)
SPEEDS_MPS = {"S": (0.0, 0.1, 0.29), "M": (1.01, 5.0, 30.0), "-": (0.3, 0.5, 1.0), "?": (None,)}
BOX = ("u0_px", "v0_px", "u1_px", "v1_px")


def _random_agents(count, seed):
    """Agents as lists of frames: None, or (x, y, speed, visible fraction or None, box)."""
    random = np.random.default_rng(seed)
    agents = {}
    for number in range(count):
        change = random.integers(1, 8)
        letters = list(
            {0: "S" * change + "M" * (8 - change), 1: "M" * change + "S" * (8 - change)}.get(number % 5, "SSSMMMSS")
        )
        seen = ["1"] * 8 if number % 3 else ["0"] * change + ["1"] * (8 - change)
        for _ in range(random.integers(0, 3) if number % 4 else 0):
            letters[random.integers(0, 8)] = random.choice(list("SSMM-?x"))
            seen[random.integers(0, 8)] = random.choice(list("01l"))
        turning, slope = random.integers(0, 8), random.choice([0.1, 0.15, 0.25, 0.5, 2.0])
        agents[f"agent-{number:03d}"] = [
            _frame(random, letters[k], seen[k], 20.0 + slope * abs(k - turning) + 0.02 * random.random())
            for k in range(8)
        ]
    return agents


def _frame(random, letter, seen, distance_m):
    if letter == "x":
        return None
    angle_rad = random.uniform(-0.5, 0.5)
    speed_mps = SPEEDS_MPS[letter][random.integers(0, len(SPEEDS_MPS[letter]))]
    corner = random.uniform(0, 700, size=2)
    box = [*corner, *(corner + random.uniform(20, 200, size=2))]
    fraction = {"0": None, "1": random.uniform(0.25, 1.0), "l": 0.2}[seen]
    return distance_m * np.cos(angle_rad), distance_m * np.sin(angle_rad), speed_mps, fraction, box


def _store(root, agents):
    store = Store.create(root)
    frames, captures, tracks = [], [], []
    for k in range(8):
        stamp = {"log_id": "log", "frame": 3 * k, "timestamp_ns": 10**9 * k // 2}
        frames.append(dict(stamp))
        captures.append(
            {**stamp, "sensor": "CAM", "modality": "camera", "path": f"{k}.jpg", "width": 1000, "height": 1000}
        )
        for name, states in agents.items():
            if states[k] is not None:
                x_m, y_m, speed_mps, fraction, box = states[k]
                views = (
                    [{"camera": "CAM", **dict(zip(BOX, box, strict=True)), "visible_fraction": fraction}]
                    if fraction
                    else []
                )
                size = {"length_m": 4.0, "width_m": 2.0, "height_m": 1.5}
                place = {"x_m": x_m, "y_m": y_m, "z_m": 0.0, "yaw_rad": 0.0}
                tracks.append(
                    {
                        **stamp,
                        "track_id": name,
                        "category": "car",
                        **place,
                        **size,
                        "speed_mps": speed_mps,
                        "cameras": views,
                    }
                )
    for table, rows in (("frames", frames), ("sensor_data", captures), ("tracks", tracks)):
        store.write(table, "log", table_from_rows(table, rows), "test")
    return store


def _asked(store):
    """All agents as marks of one clip."""
    drive = read_drive(store, "log")
    tracks = np.arange(len(drive.track_ids))[None]
    context = np.arange(8)[None]
    shown = drive.regions["CAM"][drive.row_of(*np.broadcast_arrays(context[:, None, :], tracks[:, :, None]))]
    regions = np.where(shown[..., 4:] >= 0.25, shown, np.nan)
    count = tracks.shape[1]
    groups = Groups(
        kind="clip",
        offsets_s=OFFSETS_S,
        context_cameras=("CAM",) * 8,
        context_sizes=np.full((8, 2), 1000.0),
        present=np.array([7]),
        context=context,
        tracks=tracks,
        numbers=tracks,
        regions=regions,
        fresh=np.ones((1, count), dtype=bool),
        ego_fresh=np.ones(1, dtype=bool),
        split=np.zeros(1, dtype=np.int64),
        front="CAM",
    )
    zeros = np.zeros(count, dtype=np.int64)
    return Asked(drive, groups, GenerateConfig(), zeros, np.arange(count)[:, None], zeros)


def _letters(states):
    def letter(state):
        if state is None or state[2] is None:
            return "?"
        return "M" if state[2] > 1.0 else "S" if state[2] < 0.3 else "-"

    return "".join(map(letter, states))


def _seen(states):
    return "".join("1" if state and state[3] and state[3] >= 0.25 else "0" for state in states)


def _span(pattern, text):
    """Start and end of the first group; None where the text is not of the pattern."""
    match = re.fullmatch(pattern, text)
    return match and match.span(1)


def _run(pattern, text, other):
    span = _span(pattern, text) if other in text else None
    return span and (span[0], span[1] - 1, None)


def _change(pattern, text):
    span = _span(pattern, text)
    return span and (span[1] - 1, span[1], span[1])


def _closest(states):
    if None in states:
        return None
    far_m = [float(np.hypot(state[0], state[1])) for state in states]
    k = far_m.index(min(far_m))
    inner = 1 <= k <= 6 and far_m[k - 1] - far_m[k] >= 0.2 and far_m[k + 1] - far_m[k] >= 0.2
    return (k - 1, k + 1, k) if inner else None


def _oracle(name, states):
    """Expected truth as a dict; None: not asked."""
    letters, seen = _letters(states), _seen(states)
    event = name.removeprefix("when_").removeprefix("where_").removesuffix("_when_where")
    found = {
        "moving": lambda: _run("S*(M+)S*", letters, "S"),
        "standing": lambda: _run("M*(S+)M*", letters, "M"),
        "visible": lambda: _run("0*(1+)0*", seen, "0"),
        "starts": lambda: _change("(S+)M+", letters),
        "stops": lambda: _change("(M+)S+", letters),
        "appears": lambda: _change("(0+)1+", seen),
        "closest": lambda: _closest(states),
    }[event]()
    if found is None:
        return None
    first, last, context = found
    truth = {} if name.startswith("where") else {"start_s": OFFSETS_S[first], "end_s": OFFSETS_S[last]}
    if "where" in name:
        if seen[context] == "0":
            return None
        truth |= {side: float(round(value)) for side, value in zip(BOX, states[context][4], strict=True)}
    return truth


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    agents = _random_agents(600, seed=5)
    return agents, _asked(_store(tmp_path_factory.mktemp("clip") / "store", agents))


@pytest.mark.parametrize("name", KINDS)
def test_truth_is_that_of_the_letters(world, name):
    agents, asked = world
    truth = KINDS[name].truth(asked)
    asked_count = 0
    for index, states in enumerate(agents.values()):
        values = {field: float(column[index]) for field, column in truth.items()}
        expected = _oracle(name, states)
        if expected is None:
            assert any(np.isnan(value) for value in values.values()), (name, _letters(states), _seen(states))
        else:
            assert values == expected, (name, _letters(states), _seen(states))
            asked_count += 1
    assert 20 <= asked_count <= 580, "both cases must occur"


@pytest.mark.parametrize("name", KINDS)
def test_wordings_say_what_they_ask_for(name):
    kind = KINDS[name]
    assert len(set(kind.wordings)) >= 8
    for wording in kind.wordings:
        assert "{a}" in wording
        assert set(re.findall(r"\{(.*?)\}", wording)) == {"a"}
        assert wording.rstrip()[-1] in ".?"
        if kind.answer_type != "box":
            assert "in seconds before now" in wording or "seconds ago" in wording
        if kind.answer_type != "interval":
            assert "as [left, top, right, bottom] in pixels of the image" in wording
        if "start" in name or "stop" in name or "mov" in name or "stand" in name:
            assert "faster than 1 m/s" in wording
            assert "slower than 0.3 m/s" in wording
