"""From a tree to chains, and points against boxes."""

from __future__ import annotations

from typing import Any

import pytest

from finetune.search.linearize import GO_BACK, START_AGAIN, Chain, chains_of
from finetune.search.steps import FoundAnswer, GroundedStep, Proposal
from finetune.search.tree import Node, backpropagate
from finetune.search.verify import PointCheck, check_points


def step(name: str, u_px: int) -> GroundedStep:
    return GroundedStep(name, (u_px, 5), 0)


A, B, C, D = (step(name, 20 * place) for place, name in enumerate("abcd"))
Branch = tuple[Proposal, list["Branch"]]


def grown(branches: list[Branch]) -> Node:
    """A tree from nested pairs; answers that begin with "r" are right."""
    root = Node()
    _grow(root, branches)
    return root


def _grow(node: Node, branches: list[Branch]) -> None:
    for said, below in branches:
        child = Node(said, node)
        node.children.append(child)
        _grow(child, below)
        if isinstance(said, FoundAnswer):
            backpropagate(child, float(said.text.startswith("r")))


def answer(text: str) -> Branch:
    return FoundAnswer(text), []


def test_direct_chains_are_the_paths_to_right_answers() -> None:
    root = grown([(A, [(B, [answer("r1")]), answer("r2"), answer("w")]), (C, [answer("w")])])
    direct = [chain for chain in chains_of(root, 9) if chain.style == "direct"]
    assert direct == [Chain("direct", (A,), "r2"), Chain("direct", (A, B), "r1")]


def test_a_wrong_branch_is_left_for_the_step_that_both_share() -> None:
    root = grown([(A, [(B, [(C, [answer("w")])]), (D, [answer("r")])])])
    [corrected] = [chain for chain in chains_of(root, 9) if chain.style == "corrected"]
    names = [one.thought for one in corrected.steps]
    assert (names[:3], names[4:], corrected.answer) == (["a", "b", "c"], ["d"], "r")
    back = corrected.steps[3]
    assert back.thought in {f"{words} a" for words in GO_BACK}
    assert (back.point_px, back.context) == (A.point_px, A.context)


def test_a_wrong_beginning_starts_again() -> None:
    root = grown([(A, [answer("w")]), (B, [(C, [answer("r")])])])
    [corrected] = [chain for chain in chains_of(root, 9) if chain.style == "corrected"]
    assert [one.point_px for one in corrected.steps] == [A.point_px, B.point_px, C.point_px]
    assert corrected.steps[1].thought in {f"{words} b" for words in START_AGAIN}


def test_what_is_no_wrong_branch() -> None:
    """A branch with a right answer somewhere, one that found no answer, and a wrong answer of the right branch itself."""
    root = grown([(A, [answer("w"), (B, [answer("r1")])]), (C, [answer("w"), answer("r2")]), (D, [])])
    assert not [chain for chain in chains_of(root, 9) if chain.style == "corrected"]


def test_without_a_right_answer_there_is_nothing_to_tell() -> None:
    assert chains_of(grown([(A, [answer("w")]), (B, [])]), 9) == []
    assert chains_of(Node(), 9) == []


def test_the_shortest_are_kept_of_each_style() -> None:
    right: list[Branch] = [answer(f"r{number}") for number in range(5)]
    root = grown([(A, [(B, right), answer("r")]), (C, [answer("w")])])
    kept = chains_of(root, 2)
    assert [(chain.style, len(chain.steps)) for chain in kept] == [
        ("direct", 1),
        ("direct", 2),
        ("corrected", 2),
        ("corrected", 3),
    ]


def test_points_are_checked_where_there_are_boxes(group: dict[str, Any]) -> None:
    now, earlier = 1, 0
    on_first, on_second, beside = (40, 50), (120, 50), (80, 50)
    verdicts = {
        ("Region 1 is near", on_first, now): PointCheck(1, 1),
        ("Region 1 is near", on_second, now): PointCheck(1, 0),
        ("Region 2 is behind Region 1", on_first, now): PointCheck(1, 1),
        ("Region 3 is not drawn", on_first, now): PointCheck(1, 0),
        ("A car", on_second, now): PointCheck(1, 1),
        ("The road", beside, now): PointCheck(1, 0),
        ("Region 1 is near", on_second, earlier): PointCheck(0, 0),
    }
    for (thought, point_px, context), verdict in verdicts.items():
        assert check_points([GroundedStep(thought, point_px, context)], group) == verdict, thought
    both = check_points([GroundedStep("A car", on_first, now), GroundedStep("The road", beside, now)], group)
    assert both == PointCheck(2, 1)
    assert not both.all_inside


def test_edges_of_a_box_are_inside(group: dict[str, Any]) -> None:
    for point_px, inside in (((20, 30), 1), ((60, 70), 1), ((19, 30), 0), ((60, 71), 0)):
        assert check_points([GroundedStep("Region 1", point_px, 1)], group).inside == inside


@pytest.mark.parametrize(("thought", "variants"), [("b", GO_BACK), ("other words", GO_BACK)])
def test_the_way_back_is_worded_the_same_every_time(thought: str, variants: tuple[str, ...]) -> None:
    def told() -> list[Chain]:
        return chains_of(grown([(A, [(step(thought, 20), [answer("w")]), (D, [answer("r")])])]), 9)

    assert told() == told()
    assert told()[1].steps[2].thought in {f"{words} a" for words in variants}
