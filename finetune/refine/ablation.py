"""What each part of refining is worth: arms with several seeds, judged on the same held-out questions.

    python -m finetune.refine.ablation STORE --zoom-run Z --trace-run T --answer-run A --out DIR [key.sub=value …]

| arm | from | refined with |
|---|---|---|
| plain answers | A, tuned on plain answers | nothing |
| cold start | Z | nothing |
| cold start, no looks | T | nothing |
| RL only | A | looks |
| cold start + RL | Z | looks |
| text-only RL | T | grey images, judged with frames |
| without looks | T | no looks |

All refined arms take the same steps, questions and answers a step. What is done is not done again, and a run that was cut goes
on. The table gives means over questions with 95 % intervals by bootstrap over logs, of all seeds together and of each alone, and
of refined arms the paired differences to what they began from. `drawn` is the weighted sum of rewards of answers that are drawn
as in training, which also grows where a model only becomes surer; all else is of the likeliest answers.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from drive_vqa.store import Store
from drive_vqa.vlm import Sampling
from finetune.refine.asked import Asked, choose_questions
from finetune.refine.config import NO_ZOOM, RefineConfig, load_recipe
from finetune.refine.held_out import estimate, judge_run
from finetune.refine.run import refine
from finetune.rewards.presets import PRESETS

SHOWN = ("drawn", "total", "right", "format", "boxes", "places")
"""Columns of the table: the weighted sum of drawn and of likeliest answers, the share of right ones, and three rewards."""


@dataclass(frozen=True)
class Arm:
    """One line of the table."""

    name: str
    start: Path
    refined: bool = True
    zoom: bool = False
    blind: bool = False

    def config(self, usual: RefineConfig, zoom: str, seed: int) -> RefineConfig:
        """Its settings."""
        return replace(usual, seed=seed, zoom=zoom if self.zoom else NO_ZOOM, blind=self.blind)


def main() -> None:
    """Print the table."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments = _arguments()
    usual = load_recipe(arguments.recipe, arguments.overrides)
    store = Store.open(arguments.store)
    held_out = choose_questions(store, usual, "marks", split=usual.held_out.split, most=arguments.questions)
    print(f"{len(held_out)} held-out questions, seeds {', '.join(map(str, arguments.seeds))}")
    print("| arm | " + " | ".join(SHOWN) + " |\n|---|" + "---|" * len(SHOWN))
    starts: dict[Path, pd.DataFrame] = {}
    for arm in _arms(arguments):
        judged = [_judged(arm, seed, usual, store, held_out, arguments) for seed in _seeds(arm, arguments)]
        print(_line(arm.name, pd.concat(judged)), flush=True)
        if not arm.refined:
            starts[arm.start] = judged[0]
            continue
        print(_line("· against its start", pd.concat([against(own, starts[arm.start]) for own in judged])))
        print("\n".join(_line(f"· seed {seed}", own) for seed, own in zip(arguments.seeds, judged, strict=True)))


def _arms(arguments: argparse.Namespace) -> Iterator[Arm]:
    yield Arm("plain answers", arguments.answer_run, refined=False)
    yield Arm("cold start", arguments.zoom_run, refined=False)
    yield Arm("cold start, no looks", arguments.trace_run, refined=False)
    yield Arm("RL only", arguments.answer_run, zoom=True)
    yield Arm("cold start + RL", arguments.zoom_run, zoom=True)
    yield Arm("text-only RL", arguments.trace_run, blind=True)
    yield Arm("without looks", arguments.trace_run)


def _seeds(arm: Arm, arguments: argparse.Namespace) -> list[int]:
    return list(arguments.seeds) if arm.refined else [0]


def _judged(
    arm: Arm, seed: int, usual: RefineConfig, store: Store, held_out: Asked, arguments: argparse.Namespace
) -> pd.DataFrame:
    run = arm.start
    if arm.refined:
        run = arguments.out / f"{arm.name.replace(' ', '-')}-{seed}"
        if not (run / "run.json").exists():
            refine(store, arm.config(usual, arguments.zoom, seed), adapter=arm.start, out=run, resume=run.exists())
    table = arguments.out / f"{arm.name.replace(' ', '-')}-{seed}.parquet"
    if not table.exists():
        table.parent.mkdir(parents=True, exist_ok=True)
        sampling = Sampling(usual.temperature, usual.top_p, seed)
        likeliest, drawn = (
            judge_run(run, held_out, PRESETS[usual.rewards], sampling=how, device=arguments.device)
            for how in (None, sampling)
        )
        likeliest.assign(drawn=drawn["total"], drawn_text=drawn["text"]).to_parquet(table)
    return pd.read_parquet(table)


def against(judged: pd.DataFrame, start: pd.DataFrame) -> pd.DataFrame:
    """Differences to answers of another run to the same questions; what applies to one of them alone is left out."""
    shown = list(SHOWN)
    return judged.assign(**(judged[shown] - start[shown]))


def _line(name: str, judged: pd.DataFrame) -> str:
    cells = []
    for column in SHOWN:
        one = estimate(judged, column)
        known = one.low is not None and one.high is not None
        value = "-" if one.value is None else f"{one.value:.3f}"
        cells.append(f"{value} [{one.low:.3f}, {one.high:.3f}]" if known else value)
    return f"| {name} | " + " | ".join(cells) + " |"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m finetune.refine.ablation", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("--recipe", default="drive", help="default drive")
    parser.add_argument("--zoom-run", type=Path, required=True, help="tuned on traces with looks")
    parser.add_argument("--trace-run", type=Path, required=True, help="tuned on traces")
    parser.add_argument("--answer-run", type=Path, required=True, help="tuned on plain answers")
    parser.add_argument("--zoom", default="tiny", help="preset of the looks")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--questions", type=int, default=400, help="held out, at most")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device")
    parser.add_argument("overrides", nargs="*", metavar="key.sub=value")
    return parser.parse_args()


if __name__ == "__main__":
    main()
