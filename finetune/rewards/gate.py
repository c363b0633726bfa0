"""Evidence pays in full only with a right answer [ours].

    well-formed, ended by itself, answer right     the reward
    well-formed, ended by itself, answer wrong     a tenth of it: a slope for a policy that has no right answer yet
    else                                           0

So no evidence makes up for a wrong answer, in any reward by itself: `presets` builds its inequality on that.
"""

from __future__ import annotations

from finetune.rewards.accuracy import is_right
from finetune.rewards.completion import Completion
from finetune.rewards.reward import Reward
from finetune.rewards.truth import Truth

WRONG_PAY = 0.1


def gated(reward: Reward) -> Reward:
    """The same reward behind the gate; its range in [0, 1] stays."""

    def behind_gate(completion: Completion, truth: Truth, progress: float) -> float | None:
        value = reward(completion, truth, progress)
        return None if value is None else value * _share(completion, truth)

    return behind_gate


def _share(completion: Completion, truth: Truth) -> float:
    if not (completion.trace.well_formed and completion.finished):
        return 0.0
    return 1.0 if is_right(completion, truth) else WRONG_PAY
