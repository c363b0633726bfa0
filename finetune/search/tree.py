"""Monte Carlo tree search over reasoning: selection by UCB1, expansion, rollout, backpropagation. No model, no files, no clock.

A node is a step, a leaf is an answer. Each simulation goes from the root along the children of greatest

    UCB1 = value / visits + c √(ln(visits of the parent) / visits)        [Auer, Cesa-Bianchi and Fischer 2002]

to a node that was not expanded yet, asks for its children, and follows each new child step by step to an answer, whose reward is
added to all nodes above it (the four phases of ViGoRL's search, arXiv 2505.23678). Steps of a rollout stay in the tree. What
differs from the usual: a child that looks again at a point of a sibling or of an ancestor is dropped, an answer needs a step
before it, and a branch in which nothing is left to ask is not visited again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from finetune.search.steps import FoundAnswer, GroundedStep, Proposal


@dataclass(frozen=True)
class Request:
    """What a teacher is asked for.

    Attributes:
        steps: those so far.
        count: how many proposals to go on.
        seed: of its sampling; another one for each request of a search.
        must_answer: there is no room for more steps.
    """

    steps: tuple[GroundedStep, ...]
    count: int
    seed: int
    must_answer: bool


Propose = Callable[[Request], Sequence[Proposal]]
"""The teacher; what it says that could not be read is left out."""

Judge = Callable[[str], float]
"""An answer → its reward, in [0, 1]."""


@dataclass(frozen=True)
class SearchSettings:
    """How much is searched.

    Attributes:
        simulations: walks from the root, at most.
        children: proposals for each expanded node; three in ViGoRL.
        depth: steps before an answer, at most.
        calls: requests to the teacher, at most.
        exploration: c of UCB1; √2 is the constant of its proof for rewards in [0, 1].
        apart_px: points of one image that are nearer to each other are the same look; 10 as in ViGoRL's reward.
        seed: of the teacher's sampling; the tree itself draws nothing.

    Raises:
        ValueError: a setting is out of range.
    """

    simulations: int = 8
    children: int = 3
    depth: int = 6
    calls: int = 64
    exploration: float = math.sqrt(2)
    apart_px: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.simulations, self.children, self.depth, self.calls) < 1:
            raise ValueError("simulations, children, depth and calls must be at least 1")
        if not (0 <= self.exploration < math.inf and 0 <= self.apart_px < math.inf):
            raise ValueError("exploration and apart_px must be finite and at least 0")


@dataclass(eq=False)
class Node:
    """A step, an answer, or the root.

    Attributes:
        said: None for the root.
        parent: None for the root.
        children: in the order in which they were proposed.
        expanded: whether its children were asked for; the one child of a rollout does not count.
        visits: rollouts through it.
        value: sum of their rewards.
    """

    said: Proposal | None = None
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)
    expanded: bool = False
    visits: int = 0
    value: float = 0.0

    @property
    def is_answer(self) -> bool:
        """Whether the chain ends here."""
        return isinstance(self.said, FoundAnswer)

    @property
    def is_closed(self) -> bool:
        """Whether nothing is left to ask in it."""
        return self.is_answer or (self.expanded and all(child.is_closed for child in self.children))

    def path(self) -> tuple[Node, ...]:
        """From below the root down to this node."""
        above = () if self.parent is None or self.parent.said is None else self.parent.path()
        return above if self.said is None else (*above, self)

    def steps(self) -> tuple[GroundedStep, ...]:
        """The steps that lead here, its own included."""
        return tuple(node.said for node in self.path() if isinstance(node.said, GroundedStep))

    def leaves(self) -> Iterator[Node]:
        """All answers below, in the order in which they were proposed."""
        if self.is_answer:
            yield self
        for child in self.children:
            yield from child.leaves()


@dataclass(eq=False)
class SearchTree:
    """A search for the answer to one question.

    Attributes:
        propose: the teacher.
        judge: what an answer is worth.
        settings: how much is searched.
        root: of the tree.
        calls: requests made.
        dropped: children that repeated a look or an answer, had no step before the answer, or came too deep.
    """

    propose: Propose
    judge: Judge
    settings: SearchSettings
    root: Node = field(default_factory=Node)
    calls: int = 0
    dropped: int = 0

    def search(self) -> SearchTree:
        """Search until the settings say stop or nothing is left to ask; the tree itself."""
        for _ in range(self.settings.simulations):
            if self.root.is_closed or self.is_spent:
                break
            self._simulate()
        return self

    @property
    def is_spent(self) -> bool:
        """Whether all requests are made."""
        return self.calls >= self.settings.calls

    def _simulate(self) -> None:
        chosen = select(self.root, self.settings.exploration)
        chosen.expanded = True
        grown = self._grow(chosen, self.settings.children)
        if not grown and not chosen.children:
            backpropagate(chosen, 0.0)  # a dead end
        for child in grown:
            self._roll_out(child)

    def _roll_out(self, node: Node) -> None:
        """Follow a child to an answer; one that finds none is worth nothing, one that is cut by the budget teaches nothing."""
        while not node.is_answer:
            if self.is_spent:
                return
            grown = self._grow(node, 1)
            if not grown:
                backpropagate(node, 0.0)
                return
            node = grown[0]
        assert isinstance(node.said, FoundAnswer)
        backpropagate(node, self.judge(node.said.text))

    def _grow(self, node: Node, count: int) -> list[Node]:
        """Ask once for children of a node, and keep those that are new."""
        steps = node.steps()
        request = Request(steps, count, self.settings.seed + self.calls, len(steps) >= self.settings.depth)
        self.calls += 1
        grown = []
        for said in self.propose(request):
            if is_new(said, node, self.settings):
                grown.append(Node(said, node))
                node.children.append(grown[-1])
            else:
                self.dropped += 1
        return grown


def select(root: Node, exploration: float) -> Node:
    """The node to be expanded next: down the open children of greatest UCB1; of equal ones the first.

    Args:
        root: of a tree in which something is left to ask.
        exploration: c of UCB1.
    """
    node = root
    while node.expanded:
        node = max(
            (child for child in node.children if not child.is_closed), key=lambda child: ucb1(child, exploration)
        )
    return node


def ucb1(node: Node, exploration: float) -> float:
    """What speaks for a visit of a child; infinite where it had none. Range [0, ∞] for rewards in [0, 1]."""
    if node.visits == 0 or node.parent is None:
        return math.inf
    return node.value / node.visits + exploration * math.sqrt(math.log(node.parent.visits) / node.visits)


def backpropagate(node: Node, reward: float) -> None:
    """Count a rollout for a node and all above it."""
    above: Node | None = node
    while above is not None:
        above.visits += 1
        above.value += reward
        above = above.parent


def is_new(said: Proposal, parent: Node, settings: SearchSettings) -> bool:
    """Whether a proposal adds something below its parent."""
    siblings = [child.said for child in parent.children]
    if isinstance(said, FoundAnswer):
        same = any(isinstance(one, FoundAnswer) and one.text.casefold() == said.text.casefold() for one in siblings)
        return parent.said is not None and not same
    above = parent.steps()
    looks = [*above, *(one for one in siblings if isinstance(one, GroundedStep))]
    return len(above) < settings.depth and not any(is_same_look(said, one, settings.apart_px) for one in looks)


def is_same_look(first: GroundedStep, second: GroundedStep, apart_px: float) -> bool:
    """Whether two steps look at one place of one image."""
    return first.context == second.context and math.dist(first.point_px, second.point_px) < apart_px
