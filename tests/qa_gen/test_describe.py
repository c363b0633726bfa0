import time

import numpy as np
import pytest

from drive_vqa.categories import CATEGORIES
from qa_gen.describe import TEXTS, describe

CODE = {name: code for code, name in enumerate(CATEGORIES)}


def _texts(*agents, moment=None):
    """Agents as (category, distance, bearing in degrees)."""
    category = np.array([CODE.get(name, -1) for name, _, _ in agents])
    far, angle = np.array([agent[1:] for agent in agents], dtype=float).T
    x_m, y_m = far * np.cos(np.radians(angle)), far * np.sin(np.radians(angle))
    moment = np.zeros(len(agents), dtype=np.int64) if moment is None else np.array(moment)
    return TEXTS[describe(moment, category, x_m, y_m)].tolist()


@pytest.mark.parametrize(
    ("agents", "texts"),
    [
        ([("bus", 20, 0), ("car", 5, 0)], ["the only bus", "the only car"]),
        (
            [("car", 10, 0), ("car", 20, 0), ("car", 30, 1)],
            ["the nearest car", "the second nearest car", "the farthest car"],
        ),
        ([("car", 10, 0), ("car", 10.5, 1)], [None, None]),
        ([("car", 10, 5), ("car", 10.5, 1)], ["the leftmost car", "the rightmost car"]),
        (
            [("pedestrian", 10, 20), ("pedestrian", 10.2, -30), ("pedestrian", 10.4, 160)],
            [None, "the only pedestrian to the right", None],
        ),
        ([("car", 10, 1), ("car", 10.5, 2.5)], [None, None]),
        ([("other", 10, 0), ("unheard_of", 12, 0), ("animal", 3, 0)], [None, None, None]),
        ([("traffic_cone", 8, 3)], ["the only traffic cone"]),
    ],
)
def test_texts(agents, texts):
    assert _texts(*agents) == texts


def test_moments_do_not_mix():
    agents = [("car", 10, 0), ("car", 30, 0), ("car", 10.3, 0)]
    assert _texts(*agents, moment=[5, 5, 2]) == ["the nearest car", "the farthest car", "the only car"]


def _holds(text, agents, index):
    """What a description claims, from its words alone."""
    name, far, angle = agents[index]
    same = [agent for agent in agents if agent[0] == name]
    others = [agent for place, agent in enumerate(agents) if agent[0] == name and place != index]
    if text.endswith("to the left") or text.endswith("to the right"):
        sign = 1 if text.endswith("left") else -1
        assert sign * angle > 2
        others = [agent for agent in others if sign * agent[2] > -2 or sign * agent[2] < -178]
        same = [agents[index], *others]
    if "only" in text:
        return not others
    if "second nearest" in text:
        nearer = [agent for agent in others if agent[1] < far]
        return len(nearer) == 1 and all(max(far, other[1]) >= 1.0999 * min(far, other[1]) for other in others)
    if "nearest" in text:
        return all(other[1] >= 1.0999 * far for other in others)
    if "farthest" in text:
        return all(far >= 1.0999 * other[1] for other in others)
    sign = 1 if "leftmost" in text else -1
    return all(abs(agent[2]) < 90 for agent in same) and all(sign * (angle - other[2]) >= 1.999 for other in others)


def test_every_description_holds_for_one_agent_alone():
    random = np.random.default_rng(1)
    given = 0
    for _ in range(150):
        names = random.choice(["car", "pedestrian", "bus"], random.integers(1, 9))
        agents = [(str(name), random.uniform(3, 60), random.uniform(-180, 180)) for name in names]
        if random.random() < 0.5:
            agents = [(name, far, angle / 5) for name, far, angle in agents]
        texts = _texts(*agents)
        found = [text for text in texts if text is not None]
        assert len(found) == len(set(found))
        for index, text in enumerate(texts):
            if text is not None:
                assert agents[index][0] in text
                assert _holds(text, agents, index), (text, agents, index)
        given += len(found)
    assert given > 300


def test_a_log_is_described_at_once():
    random = np.random.default_rng(2)
    groups, agents = 200, 60
    moment = np.repeat(np.arange(groups), agents)
    category = random.integers(0, 9, groups * agents)
    x_m, y_m = random.uniform(-60, 60, (2, groups * agents))
    start_s = time.process_time()
    code = describe(moment, category, x_m, y_m)
    assert time.process_time() - start_s < 2.0
    one = moment == 7
    assert (describe(moment[one], category[one], x_m[one], y_m[one]) == code[one]).all()


def test_nobody_is_no_mistake():
    none = np.zeros(0)
    assert len(describe(none.astype(int), none.astype(int), none, none)) == 0
