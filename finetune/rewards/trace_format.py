"""Format: the text follows the grammar of its dialect.

    think_answer     1 if there is one thought and one answer and nothing else, else 0         (TreeVGR; range {0, 1})
    with_evidence    1 if there also is the evidence that the question calls for, 0.5 if not, 0 for anything malformed
                                                                                    (Open-o3 Video's code; {0, 0.5, 1})
    with_point       1 if there also is at least one point, true or not             (ViGoRL, single turn; {0, 1})

A question calls for boxes and times if its evidence has any. Open-o3's code counts tags and lets text stand outside; here the
grammar must hold. An answer without a thought has 0 in all three. In `drive` what was cut at the budget has 0.
"""

from __future__ import annotations

from finetune.rewards.completion import Completion
from finetune.rewards.truth import Truth

_OF_POINTS = frozenset({"step_without_point"})


def think_answer(completion: Completion, truth: Truth, progress: float) -> float:
    """See the top."""
    del truth, progress
    return float(_thinks(completion))


def with_point(completion: Completion, truth: Truth, progress: float) -> float:
    """See the top."""
    del truth, progress
    return float(_thinks(completion) and bool(completion.trace.points))


def with_evidence(completion: Completion, truth: Truth, progress: float) -> float:
    """See the top."""
    del progress
    if not _thinks(completion):
        return 0.0
    shows = any(claim.offset_s is not None for claim in completion.trace.seen)
    return 1.0 if shows or not truth.evidence.boxes else 0.5


def finished_with_evidence(completion: Completion, truth: Truth, progress: float) -> float:
    """`with_evidence` of what ended by itself [ours]."""
    return with_evidence(completion, truth, progress) if completion.finished else 0.0


def _thinks(completion: Completion) -> bool:
    """A thought and an answer, well-formed but for steps that lack a point: how many are needed is a matter of the reward."""
    trace = completion.trace
    return bool(trace.steps) and trace.answer is not None and set(trace.faults) <= _OF_POINTS
