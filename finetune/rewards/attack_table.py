"""What attacks on the rewards earn: `python -m finetune.rewards.attack_table [--random COUNT] [--seed S]`.

Prints a Markdown table for one question: a row an attack, a column a preset, with the total reward and, where the text is
malformed in the preset's dialect, its faults. With `--random`, so many random completions for each of three questions are tried
under `drive`, and what the best of them earned is printed beside the honest answers.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random

from drive_vqa.traces import DIALECTS, Dialect
from eval.evidence.boxes import pairwise_iou
from finetune.rewards.accuracy import is_right
from finetune.rewards.attack_world import Example, examples
from finetune.rewards.attacks import HONEST, RIGHT, WRONG, Attempt, honest, honest_imperfect
from finetune.rewards.boxes import told_px, true_px
from finetune.rewards.completion import Completion
from finetune.rewards.presets import PRESETS, Preset
from finetune.rewards.random_attacks import random_attempt
from finetune.rewards.score import read_completion, score_completions, totals

PROGRESS = 0.5
"""Share of the training done, for rewards that change with it."""

WITHOUT: Dialect = "drive"
"""What attacks are written in where a preset reads no traces."""

ROUNDING = 1e-9


@dataclass(frozen=True)
class Earned:
    """What a completion earned.

    Attributes:
        total: weighted sum.
        rewards: each by itself.
        completion: as read.
    """

    total: float
    rewards: Mapping[str, float | None]
    completion: Completion


def earned(preset: Preset, example: Example, attempt: Attempt) -> Earned:
    """Read and reward an attempt at a question."""
    completion = read_completion(preset, attempt.text, example.truth, looks=attempt.looks)
    scores = score_completions(preset, [completion], [example.truth], PROGRESS)
    return Earned(totals(preset, scores)[0], {name: values[0] for name, values in scores.items()}, completion)


def table(example: Example) -> Iterator[str]:
    """Lines of the table of named attacks on a question."""
    yield f"| {example.truth.qa_id} | {' | '.join(PRESETS)} |"
    yield "|---" * (1 + len(PRESETS)) + "|"
    for name, attack in {**HONEST, **RIGHT, **WRONG}.items():
        made = {dialect: attack(example, dialect) for dialect in DIALECTS}
        cells = (_cell(earned(preset, example, made[preset.dialect or WITHOUT])) for preset in PRESETS.values())
        yield f"| {name} | {' | '.join(cells)} |"


def _cell(one: Earned) -> str:
    faults = ", ".join(one.completion.trace.faults)
    return f"{one.total:.2f}" + (f" ({faults})" if faults else "")


@dataclass(frozen=True)
class Trial:
    """What random completions earned at one question.

    Attributes:
        honest: total of the honest answer.
        imperfect: total of the honest answer with imperfect boxes.
        better_than_honest: how many earned more than the honest one.
        wrong_better: how many without the right answer earned more than the imperfect one, in the sum or by any one reward.
        ungrounded_better: how many without a box that overlaps a true one earned more than the imperfect one.
        best_attack: text of the best of both kinds.
        best_wrong: greatest total without the right answer.
        best_ungrounded: greatest total without a box that overlaps a true one.
    """

    honest: float
    imperfect: float
    better_than_honest: int
    wrong_better: int
    ungrounded_better: int
    best_attack: str
    best_wrong: float
    best_ungrounded: float


def trial(example: Example, count: int, seed: int) -> Trial:
    """Try random completions under `drive`."""
    preset, random = PRESETS["drive"], Random(seed)  # noqa: S311 - no secret
    top, near = (earned(preset, example, make(example, "drive")) for make in (honest, honest_imperfect))
    tried = [earned(preset, example, random_attempt(example, random)) for _ in range(count)]
    wrong = [one for one in tried if not is_right(one.completion, example.truth)]
    ungrounded = [one for one in tried if is_ungrounded(one.completion, example)]
    best = max((*wrong, *ungrounded), key=lambda one: one.total)
    return Trial(
        honest=top.total,
        imperfect=near.total,
        better_than_honest=sum(one.total > top.total + ROUNDING for one in tried),
        wrong_better=sum(one.total > near.total or exceeds(one, near) for one in wrong),
        ungrounded_better=sum(one.total > near.total for one in ungrounded),
        best_attack=best.completion.text,
        best_wrong=max(one.total for one in wrong),
        best_ungrounded=max(one.total for one in ungrounded),
    )


def exceeds(one: Earned, other: Earned) -> bool:
    """Whether any one reward is greater."""
    pairs = ((value, other.rewards[name]) for name, value in one.rewards.items())
    return any(value is not None and above is not None and value > above + ROUNDING for value, above in pairs)


def is_ungrounded(completion: Completion, example: Example) -> bool:
    """Whether no claimed box overlaps a true one."""
    boxes = example.truth.evidence.boxes
    return not pairwise_iou(true_px(boxes), told_px(completion.trace.seen)).any()


def _report(example: Example, found: Trial, count: int) -> Iterator[str]:
    yield f"\n{example.truth.qa_id}: {count} random completions under `drive`\n"
    yield f"- honest {found.honest:.4f}, with imperfect boxes {found.imperfect:.4f}"
    yield f"- better than honest: {found.better_than_honest}"
    yield f"- without the right answer: best {found.best_wrong:.4f}, better than imperfect: {found.wrong_better}"
    yield f"- ungrounded: best {found.best_ungrounded:.4f}, better than imperfect: {found.ungrounded_better}"
    yield f"- best attack: {found.best_attack!r}"


def main() -> int:
    """Print; the exit status is 1 where an attack succeeded."""
    parser = argparse.ArgumentParser(
        prog="python -m finetune.rewards.attack_table", description=__doc__.partition(":")[0]
    )
    parser.add_argument("--random", type=int, default=0, metavar="COUNT", help="random completions a question")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    succeeded = 0
    _write(table(examples()[0]))
    for example in examples() if chosen.random else ():
        found = trial(example, chosen.random, chosen.seed)
        succeeded += found.better_than_honest + found.wrong_better + found.ungrounded_better
        _write(_report(example, found, chosen.random))
    return int(succeeded > 0)


def _write(lines: Iterator[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    raise SystemExit(main())
