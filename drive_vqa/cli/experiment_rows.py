"""The rows of the experiment: what is trained, asked and scored, as the command lines that do it.

A command line is what a user types behind `drive-vqa`. In it

    {bench}   what `drive-vqa bench` built
    {real}    folder with recorded driving
    {out}     folder of the experiment; a row has {out}/NAME, one with seeds {out}/NAME-SEED
    {train}   {out}/train/store
    {seed}    of a row with seeds; others are made from what has seed 0
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Part = Literal["data", "model", "control", "growth", "resolution", "real"]

BENCH = "{bench}/synthetic"
ON_BENCH = f"{BENCH} --split bench"
QUESTIONS = (
    "--families ego,future --forms open 'kinds=[single,sequence]' max_marks=6 bench_groups=0 "
    "test_fraction=0.03 val_fraction=0.05"
)
TRAIN_SCENES = 120
"""Half of them in a town like the bench's; numbers and seeds are neither those of the base's training nor those of the bench."""

CONTROLS = (
    "blank",
    "no_image",
    "shuffled",
    "other_log",
    "hide_evidence",
    "hide_region",
    "hide_random",
    "boxes_as_text",
)
TRACED_CONTROLS = ("blank", "hide_evidence", "hide_region", "hide_random", "without_reasoning")
TRACED = "localization_t0,localization_t1,localization_t2,localization_t3"
"""What is reasoned about: a trace is twenty times as long as a plain answer."""
TRACED_LESSONS = f" answers=mixed 'types=[{TRACED}]' tokens_per_row=1200"
"""On top of the plain answers: from the base the traces alone would have to teach the answers too."""
TRACED_REWARDS = (
    f" 'types=[{TRACED}]' 'kinds=[sequence]' answer_tokens=280 max_steps=40 "
    r"lora.rank=32 lora.alpha=64 'lora.targets=.*language_model\.layers\..*_proj' learning_rate=3.0e-4"
)
"""Adapter and rate as where plain answers are refined."""
TUNED, TRACED_MODEL = "{out}/sft-{seed}/run/model", "{out}/cold_start-{seed}/run/model"
REAL_QUESTIONS = "--families future --forms open --kinds sequence"


@dataclass(frozen=True)
class Row:
    """A line of the tables.

    Attributes:
        name: of its folder, and on the command line.
        part: of the page that shows it.
        title: in the tables.
        commands: run one after another.
        after: rows that must be made before.
        has_seeds: made once for each seed.
        needs_real: made only where recorded driving is given.
    """

    name: str
    part: Part
    title: str
    commands: tuple[str, ...]
    after: tuple[str, ...] = ()
    has_seeds: bool = False
    needs_real: bool = False


def _drives(folder: str, scenes: int) -> tuple[str, ...]:
    """A store with drives through the three towns of training; fewer are the first of more."""
    quarter = -(-scenes // 4)
    towns = (
        ("riverside", scenes - 2 * quarter, "--first 6000 --seed 43"),
        ("harbour", quarter, "--first 4000 --seed 41"),
        ("parkside", quarter, "--first 5000 --seed 42"),
    )
    synth = "synth --rig front --duration 10 --camera-height 1.3 1.8"
    return (
        *(f"{synth} --town {town} --scenes {share} {drawn} --out {folder}/{town}" for town, share, drawn in towns),
        *(f"ingest {folder}/{town} --format nuscenes --out {folder}/store" for town, _, _ in towns),
        f"fuse {folder}/store",
        f"generate {folder}/store {QUESTIONS}",
    )


def _predict(run: str, out: str, options: str = "") -> str:
    return f"predict {ON_BENCH} --model tiny --adapter {run} --batch-size 64{options} --out {out}"


def _evaluate(predictions: str, folder: str, options: str = "") -> str:
    return f"evaluate {BENCH} --predictions {predictions} --training {{train}}{options} --out {folder}/evaluation"


def _scored(folder: str, *, traces: bool = False) -> tuple[str, ...]:
    """Ask what was trained in a folder, and score its answers."""
    predictions = f"{folder}/predictions.parquet"
    asked, scored = (f" --types {TRACED}", " --traces drive") if traces else ("", "")
    return _predict(f"{folder}/run", predictions, asked), _evaluate(predictions, folder, scored)


def _compare(base: str, folder: str, name: str) -> str:
    return f"compare {base}/evaluation {folder}/evaluation --out {folder}/against_{name}"


def _tuned(name: str, title: str, model: str, start: str, settings: str = "", *, traces: bool = False) -> Row:
    """A model of the folder or name `model`, which row `start` has scored, after fine-tuning."""
    folder = f"{{out}}/{name}-{{seed}}"
    train = f"finetune {{train}} --recipe tiny --model {model}{settings} --out {folder}/run --resume seed={{seed}}"
    against = _compare(f"{{out}}/{start}" + ("" if start == "base" else "-{seed}"), folder, start)
    return Row(
        name, "model", title, (train, *_scored(folder, traces=traces), against), ("train", start), has_seeds=True
    )


def _refined(name: str, title: str, start: str, settings: str = "", *, traces: bool = True) -> Row:
    """A tuned model after reinforcement learning, on traces or on plain answers."""
    folder = f"{{out}}/{name}-{{seed}}"
    refine = (
        f"refine {{train}} --recipe {'tiny' if traces else 'tiny_answers'} --adapter {{out}}/{start}-{{seed}}/run{settings} "
        f"--out {folder}/run --resume seed={{seed}}"
    )
    bases = dict.fromkeys((start, "sft"))
    against = (_compare(f"{{out}}/{base}-{{seed}}", folder, base) for base in bases)
    commands = (refine, *_scored(folder, traces=traces), *against)
    return Row(name, "model", title, commands, ("train", *bases), has_seeds=True)


def _controlled(name: str, title: str, start: str, controls: tuple[str, ...], options: str = "") -> Row:
    """A tuned model under controls, asked where agents are and will be, of the first seed."""
    folder, tuned = f"{{out}}/{name}", f"{{out}}/{start}-0"
    asked = tuple(
        _predict(f"{tuned}/run", f"{folder}/{one}.parquet", f" --control {one} --types {TRACED}") for one in controls
    )
    shown = "".join(f" --control {one}={folder}/{one}.parquet" for one in controls)
    score = _evaluate(f"{tuned}/predictions.parquet", folder, options + shown)
    return Row(name, "control", title, (*asked, score), ("train", start))


def _grown(scenes: int) -> Row:
    """Fine-tuning, as long, on fewer drives."""
    name = f"growth_{scenes}"
    folder = f"{{out}}/{name}"
    train = f"finetune {folder}/store --recipe tiny --model tiny --out {folder}/run --resume seed=0"
    return Row(
        name, "growth", f"SFT on {scenes} drives", (*_drives(folder, scenes), train, *_scored(folder)), ("train",)
    )


def _resolved(width_px: int, height_px: int) -> Row:
    """Fine-tuning on other pixels."""
    name = f"resolution_{width_px}"
    folder = f"{{out}}/{name}"
    train = (
        f"finetune {{train}} --recipe tiny --model tiny 'image_size_px=[{width_px},{height_px}]' --out {folder}/run "
        "--resume seed=0"
    )
    return Row(name, "resolution", f"SFT at {width_px}×{height_px}", (train, *_scored(folder)), ("train",))


def _voting() -> Row:
    folder = "{out}/voting-{seed}"
    drawn = f" --samples 8 --temperature 0.7 --seed {{seed}} --types {TRACED}"
    commands = (
        _predict("{out}/sft-{seed}/run", f"{folder}/samples.parquet", drawn),
        f"vote {BENCH} --predictions {folder}/samples.parquet --samples 8 --out {folder}/predictions.parquet",
        _evaluate(f"{folder}/predictions.parquet", folder),
        _compare("{out}/sft-{seed}", folder, "sft"),
    )
    return Row("voting", "model", "SFT, majority of 8 answers", commands, ("train", "sft"), has_seeds=True)


def _replayed(name: str, title: str, adapter: str, after: tuple[str, ...], *, has_seeds: bool) -> Row:
    """Real traffic, drawn."""
    folder = f"{{out}}/{name}{'-{seed}' if has_seeds else ''}"
    commands = (
        f"predict {{bench}}/replayed --split bench --model tiny{adapter} --batch-size 64 --out {folder}/predictions.parquet",
        f"evaluate {{bench}}/replayed --predictions {folder}/predictions.parquet --training {{train}} --out {folder}/evaluation",
    )
    return Row(name, "real", title, commands, ("train", *after), has_seeds=has_seeds, needs_real=True)


def _pandaset(name: str, title: str, run: str, train: tuple[str, ...], after: tuple[str, ...]) -> Row:
    """The later part of a real drive, whose images no other row shows."""
    folder, store = f"{{out}}/{name}-{{seed}}", "{out}/pandaset/store"
    commands = (
        *train,
        f"predict {store} --split test {REAL_QUESTIONS} --model tiny --adapter {run} --batch-size 64 "
        f"--out {folder}/predictions.parquet",
        f"evaluate {store} --predictions {folder}/predictions.parquet --out {folder}/evaluation",
    )
    return Row(name, "real", title, commands, ("pandaset", *after), has_seeds=True, needs_real=True)


PANDASET = Row(
    "pandaset",
    "data",
    "PandaSet 002, its first 70 % for training",
    (
        "ingest {real}/pandaset --format pandaset --out {out}/pandaset/store",
        "fuse {out}/pandaset/store",
        "generate {out}/pandaset/store --families ego,future --forms open 'kinds=[single,sequence]' max_marks=6 "
        "bench_groups=0 keyframe_step_s=0.1 min_box_px=43 min_visible_fraction=0.5",
    ),
    needs_real=True,
)
ADAPTED = (
    f"finetune {{out}}/pandaset/store --recipe tiny --model {TUNED} "
    "max_steps=60 --out {out}/pandaset_after-{seed}/run --resume seed={seed}"
)

ROWS: tuple[Row, ...] = (
    Row("train", "data", "Drives to train on", _drives("{out}/train", TRAIN_SCENES)),
    Row(
        "base",
        "model",
        "Base",
        (
            f"predict {ON_BENCH} --model tiny --batch-size 64 --out {{out}}/base/predictions.parquet",
            _evaluate("{out}/base/predictions.parquet", "{out}/base"),
        ),
        ("train",),
    ),
    _tuned("sft", "SFT", "tiny", "base"),
    _refined("rl_answers", "SFT + RL on answers", "sft", traces=False),
    _tuned("cold_start", "Cold start: SFT, then traces", TUNED, "sft", f"{TRACED_LESSONS} max_steps=1000", traces=True),
    _refined("rl", "Cold start + RL", "cold_start", TRACED_REWARDS),
    _refined("rl_text_only", "Cold start + RL on grey images", "cold_start", f"{TRACED_REWARDS} blind=true"),
    _tuned(
        "zoom",
        "Cold start, then closer looks",
        TRACED_MODEL,
        "cold_start",
        f"{TRACED_LESSONS} max_steps=300 zoom=tiny",
        traces=True,
    ),
    _voting(),
    _controlled("controls", "SFT", "sft", CONTROLS),
    _controlled("controls_rl", "Cold start + RL", "rl", TRACED_CONTROLS, " --traces drive"),
    _grown(12),
    _grown(30),
    _grown(60),
    _resolved(168, 84),
    _resolved(336, 168),
    _replayed("replayed_before", "Real traffic, drawn: base", "", (), has_seeds=False),
    _replayed("replayed", "Real traffic, drawn: SFT", " --adapter {out}/sft-{seed}/run", ("sft",), has_seeds=True),
    PANDASET,
    _pandaset("pandaset_before", "Real images: SFT", "{out}/sft-{seed}/run", (), ("sft",)),
    _pandaset(
        "pandaset_after", "Real images: SFT, then adapted", "{out}/pandaset_after-{seed}/run", (ADAPTED,), ("sft",)
    ),
)
"""In an order in which they can be made."""
