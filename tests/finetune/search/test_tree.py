"""The search itself, with proposers that are tables."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.search.steps import FoundAnswer, GroundedStep, Proposal
from finetune.search.tree import Node, Request, SearchSettings, SearchTree, backpropagate, select, ucb1

USUAL = SearchSettings()


def step(name: str, u_px: int, v_px: int = 0, context: int = 0) -> GroundedStep:
    return GroundedStep(name, (u_px, v_px), context)


A, B, C = step("a", 0), step("b", 50), step("c", 100)
RIGHT, WRONG = FoundAnswer("right"), FoundAnswer("wrong")
Table = Mapping[tuple[str, ...], Sequence[Proposal]]


def tree_of(table: Table, settings: SearchSettings = USUAL) -> SearchTree:
    def propose(request: Request) -> Sequence[Proposal]:
        return table.get(tuple(one.thought for one in request.steps), ())[: request.count]

    return SearchTree(propose, lambda text: float(text == "right"), settings)


def test_ucb1_by_hand() -> None:
    root = Node(expanded=True)
    first, second, third = (Node(one, root) for one in (A, B, C))
    root.children = [first, second, third]
    for node, reward in ((first, 1.0), (first, 0.0), (second, 1.0)):
        backpropagate(node, reward)
    assert (root.visits, root.value) == (3, 2.0)
    assert ucb1(first, 2.0) == pytest.approx(0.5 + 2 * math.sqrt(math.log(3) / 2))
    assert ucb1(second, 2.0) == pytest.approx(1 + 2 * math.sqrt(math.log(3)))
    assert ucb1(third, 2.0) == math.inf
    assert select(root, 2.0) is third
    backpropagate(third, 0.0)
    assert select(root, 0.0) is second
    assert select(root, 50.0) is second
    backpropagate(second, 0.0)
    backpropagate(second, 0.0)
    assert select(root, 50.0) is third  # visited once, as little as none


def test_a_right_branch_is_found_and_all_above_knows_it() -> None:
    tree = tree_of({(): [A, B], ("a",): [WRONG], ("b",): [C], ("b", "c"): [RIGHT]}).search()
    leaves = list(tree.root.leaves())
    assert [(leaf.said, leaf.value) for leaf in leaves] == [(WRONG, 0.0), (RIGHT, 1.0)]
    assert leaves[1].steps() == (B, C)
    assert (tree.root.visits, tree.root.value) == (2, 1.0)
    assert tree.root.is_closed or tree.root.expanded


def test_a_second_look_at_a_place_is_dropped() -> None:
    near, far, elsewhere = step("near", 9), step("far", 10), step("then", 0, context=1)
    tree = tree_of({(): [A, near, far, elsewhere]}, replace(USUAL, children=4, simulations=1)).search()
    assert [child.said for child in tree.root.children] == [A, far, elsewhere]
    assert tree.dropped == 1
    tree = tree_of({(): [A], ("a",): [near, far], ("a", "far"): [step("back", 3), RIGHT]}).search()
    assert "near" not in {one.thought for leaf in tree.root.leaves() for one in leaf.steps()}
    assert [leaf.steps() for leaf in tree.root.leaves()] == [(A, far)]


def test_an_answer_needs_a_step_and_is_kept_once() -> None:
    tree = tree_of({(): [RIGHT, A], ("a",): [RIGHT, FoundAnswer("RIGHT"), WRONG]}).search()
    assert [child.said for child in tree.root.children] == [A]
    assert [leaf.said for leaf in tree.root.leaves()] == [RIGHT, WRONG]


def test_always_the_same_point_ends_the_search() -> None:
    def propose(request: Request) -> Sequence[Proposal]:
        return [step(f"look {len(request.steps)}", 7)] * request.count

    tree = SearchTree(propose, lambda _: 1.0, USUAL).search()
    assert tree.calls <= 4
    assert not list(tree.root.leaves())
    assert tree.root.value == 0.0


def test_the_depth_is_kept_and_the_last_request_says_so() -> None:
    requests: list[Request] = []

    def propose(request: Request) -> Sequence[Proposal]:
        requests.append(request)
        return [RIGHT] if request.must_answer else [step("on", 20 * len(requests))]

    tree = SearchTree(propose, lambda _: 1.0, replace(USUAL, depth=3, simulations=1)).search()
    assert [len(request.steps) for request in requests if request.must_answer] == [3]
    assert [len(leaf.steps()) for leaf in tree.root.leaves()] == [3]
    stubborn = SearchTree(lambda request: [step("on", 20 * len(request.steps))], lambda _: 1.0, replace(USUAL, depth=3))
    stubborn.search()
    assert not list(stubborn.root.leaves())
    assert stubborn.root.visits > 0


def test_requests_are_counted_and_each_has_its_seed() -> None:
    seeds: list[int] = []
    ways = itertools.count()

    def propose(request: Request) -> Sequence[Proposal]:
        seeds.append(request.seed)
        return [step("on", 20 * next(ways)) for _ in range(request.count)]

    tree = SearchTree(propose, lambda _: 0.0, SearchSettings(calls=17, simulations=10_000, depth=50, seed=5)).search()
    assert tree.calls == 17
    assert seeds == list(range(5, 22))
    assert tree.root.visits == 0  # cut by the budget: nobody knows what it is worth


def test_nothing_is_asked_when_nothing_is_left() -> None:
    table: Table = {(): [A, B], ("a",): [WRONG], ("b",): [RIGHT]}
    tree = tree_of(table, SearchSettings(simulations=1000, calls=1000)).search()
    assert tree.root.is_closed
    assert tree.calls <= 5


def test_more_is_asked_where_it_pays() -> None:
    """Below `a` every answer is right, below `b` none: UCB1 expands more below `a`."""
    numbers = itertools.count()

    def propose(request: Request) -> Sequence[Proposal]:
        if not request.steps:
            return [A, B]
        good = request.steps[0] == A
        if len(request.steps) >= 3:
            return [FoundAnswer(f"{'right' if good else 'wrong'} {next(numbers)}")]
        return [step("on", 200 + 20 * next(numbers)) for _ in range(request.count)]

    tree = SearchTree(propose, lambda text: float(text.startswith("right")), SearchSettings(simulations=20, calls=500))
    tree.search()
    good, bad = tree.root.children
    assert good.visits > 2 * bad.visits > 0
    assert good.value == good.visits
    assert bad.value == 0


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 30))
def test_any_teacher_leaves_a_sound_tree_and_the_same_one_again(seed: int, children: int, calls: int) -> None:
    def propose(request: Request) -> Sequence[Proposal]:
        draw = [(request.seed * 7919 + 31 * number) % 101 for number in range(request.count)]
        return [FoundAnswer(str(one % 3)) if one % 4 == 0 or request.must_answer else step("s", one) for one in draw]

    settings = SearchSettings(children=children, calls=calls, seed=seed, depth=3, simulations=6)
    trees = [SearchTree(propose, lambda text: float(text == "1"), settings).search() for _ in range(2)]
    shapes = [[(leaf.steps(), leaf.said, leaf.visits) for leaf in tree.root.leaves()] for tree in trees]
    assert shapes[0] == shapes[1]
    assert trees[0].calls <= calls
    waiting = [trees[0].root]
    while waiting:
        node = waiting.pop()
        waiting += node.children
        assert 0 <= node.value <= node.visits
        assert node.visits >= sum(child.visits for child in node.children)
        assert len(node.steps()) <= 3
        points = [one.point_px for one in node.steps()]
        assert all(math.dist(p, q) >= 10 for p, q in itertools.combinations(points, 2))


@pytest.mark.parametrize("wrong", [{"simulations": 0}, {"depth": 0}, {"exploration": math.nan}, {"apart_px": -1.0}])
def test_wrong_settings(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        SearchSettings(**wrong)  # type: ignore[arg-type]
