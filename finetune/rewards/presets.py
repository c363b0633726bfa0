"""Rewards put together: three published systems as they are, and ours.

    vigorl         0.5 accuracy + 0.5 (format with at least one point)
    vigorl_multi   0.6 accuracy + 0.4 (format, and 0.2 for each look but the first that is 10 px from all earlier ones)
    treevgr        accuracy + format + ½ (recall + precision of boxes)
    open_o3        accuracy + format + temporal + spatial; the gate in time as in the released code, which is one-sided
    open_o3_paper  the same with the gate of the paper, |Δt| ≤ 3 s
    drive          ours, below
    answers        accuracy alone, for models that say the answer and nothing else; ours

What is known to be wrong with the published ones is kept: points and looks are never verified and are paid for wrong answers
(ViGoRL), duplicates of a good box are free (TreeVGR), one safe time pays and late claims pass (Open-o3).

`drive` has weights

    accuracy 1      boxes 0.3   spatial 0.1   temporal 0.2   key_frames 0.1   points 0.1   places 0.2   physics 0.2
    format 0.2      looks 0.1   safety 0.3

and closes these, by two inequalities. Let κ = 0.1 (`gate.WRONG_PAY`), and call a completion *grounded* if it is well-formed with
evidence, ended by itself, and each of its seven rewards of evidence (boxes … physics), where the question has it, is at least κ.

1. No completion W without the right answer scores above a right, grounded one, H; in each reward by itself:

       accuracy    W ≤ 0.41 < 0.5 ≤ H         (`accuracy.WRONG_FACTOR`)
       format      W ≤ 1 = H
       evidence    W ≤ κ ≤ H                  (`gate.gated`)
       looks       W = 0 ≤ H                  (`distinct_looks`)
       safety      W ≤ 0 = H                  (what is right is inside of the band)

   Hence W < H in the sum, by at least 0.09 and mostly by far more, whatever the weights. Since it holds reward by reward, it
   holds as well after each reward is normalized in its group (`normalize_then_sum` is increasing in each reward), where an
   inequality of sums alone would not.

2. No ungrounded completion U, right or not, beats an honest right one whose boxes are only near. U is called ungrounded if no
   claimed box of it overlaps a true one; H is honest with imperfect boxes if each true box has one claim in the right image with
   IoU ≥ 0.6, and places and physics of at least 0.7. Of the sums

       boxes, spatial, key_frames    H ≥ 0.6 · 0.3 + 0.6 · 0.1 + 0.1 = 0.34,  U = 0
       places, physics               H ≥ 0.7 · 0.4 = 0.28,                    U ≤ 0.4
       points, looks                 H ≥ 0.1 (IoU > ½ puts the centre of a box inside of the other), U ≤ 0.2
       format, temporal, safety      H is at its greatest

   so H - U ≥ 0.34 - 0.12 - 0.1 > 0 for answers that are equally accurate.

A completion that is right and grounded better may of course score above one that is grounded worse. `attack_table` and
tests/finetune/rewards/test_attacks.py try both inequalities on hostile and on random completions.

`answers` pays by the slope of `accuracy` and not by 1 or 0. What counts is the share of places within 25 % of the distance and
10° of the bearing. A model that seldom gets there has mostly groups of answers that are all wrong: paid by 1 or 0 these earn the
same, and nothing is learned from them. On the slope the nearer one earns more. Since all that is wrong counts half, the answer
that is best to give under the slope is right (nearly) as often as the best one under 1 or 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from drive_vqa.traces import Dialect
from finetune.rewards.accuracy import accuracy, exact_accuracy, whole_accuracy
from finetune.rewards.distinct_looks import distinct_looks, format_with_looks
from finetune.rewards.dual_iou import dual_iou, one_to_one
from finetune.rewards.gate import gated
from finetune.rewards.key_frames import key_frame_recall
from finetune.rewards.physics import physics
from finetune.rewards.places import true_places
from finetune.rewards.points import verified_points
from finetune.rewards.reward import NamedReward
from finetune.rewards.safety import safety
from finetune.rewards.spatial_gate import CODE_GATE_S, PUBLISHED_GATE_S, gated_iou
from finetune.rewards.temporal import temporal, temporal_published
from finetune.rewards.trace_format import finished_with_evidence, think_answer, with_evidence, with_point

Aggregation = Literal["sum_then_normalize", "normalize_then_sum"]
"""How a trainer makes advantages of several rewards, by TRL's names (`GRPOConfig.multi_objective_aggregation`)."""


@dataclass(frozen=True)
class Preset:
    """Rewards of a system.

    Attributes:
        name: of the preset.
        dialect: that its models write; None: plain answers.
        aggregation: of its rewards.
        rewards: each with its weight.
    """

    name: str
    dialect: Dialect | None
    aggregation: Aggregation
    rewards: tuple[NamedReward, ...]

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each reward by its name."""
        return {one.name: one.weight for one in self.rewards}


def _open_o3(name: str, gate_s: float, *, one_sided: bool) -> Preset:
    spatial = partial(gated_iou, gate_s=gate_s, one_sided=one_sided, named=False)
    return Preset(
        name,
        "open_o3",
        "sum_then_normalize",
        (
            NamedReward("accuracy", 1.0, accuracy),
            NamedReward("format", 1.0, with_evidence),
            NamedReward("temporal", 1.0, temporal_published),
            NamedReward("spatial", 1.0, spatial),
        ),
    )


_VIGORL = Preset(
    "vigorl",
    "vigorl",
    "sum_then_normalize",
    (NamedReward("accuracy", 0.5, exact_accuracy), NamedReward("format", 0.5, with_point)),
)
_VIGORL_MULTI = Preset(
    "vigorl_multi",
    "vigorl",
    "sum_then_normalize",
    (NamedReward("accuracy", 0.6, exact_accuracy), NamedReward("format", 0.4, format_with_looks)),
)
_TREEVGR = Preset(
    "treevgr",
    "treevgr",
    "sum_then_normalize",
    (
        NamedReward("accuracy", 1.0, exact_accuracy),
        NamedReward("format", 1.0, think_answer),
        NamedReward("dual_iou", 1.0, dual_iou),
    ),
)
_DRIVE = Preset(
    "drive",
    "drive",
    "normalize_then_sum",
    (
        NamedReward("accuracy", 1.0, accuracy),
        NamedReward("format", 0.2, finished_with_evidence),
        NamedReward("boxes", 0.3, gated(one_to_one)),
        NamedReward("spatial", 0.1, gated(gated_iou)),
        NamedReward("temporal", 0.2, gated(temporal)),
        NamedReward("key_frames", 0.1, gated(key_frame_recall)),
        NamedReward("points", 0.1, gated(verified_points)),
        NamedReward("places", 0.2, gated(true_places)),
        NamedReward("physics", 0.2, gated(physics)),
        NamedReward("looks", 0.1, distinct_looks),
        NamedReward("safety", 0.3, safety),
    ),
)
_ANSWERS = Preset("answers", None, "sum_then_normalize", (NamedReward("accuracy", 1.0, whole_accuracy),))

PRESETS: Mapping[str, Preset] = {
    one.name: one
    for one in (
        _VIGORL,
        _VIGORL_MULTI,
        _TREEVGR,
        _open_o3("open_o3", CODE_GATE_S, one_sided=True),
        _open_o3("open_o3_paper", PUBLISHED_GATE_S, one_sided=False),
        _DRIVE,
        _ANSWERS,
    )
}
"""By name."""
