"""The page: tables, each under a title and a sentence that says how to read it, and the command lines of every row.

It tells no date, machine or duration, so that the same evaluations give the same bytes. What was found is analysed elsewhere, by
hand, on the page that it links to.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from drive_vqa.store import replacing
from eval.report.inputs import Number
from eval.results import tables
from eval.results.over_seeds import over_seeds
from eval.results.read import Entry, Result, read_result

INTRODUCTION = """\
# Results

Made by `drive-vqa experiment --bench BENCH --out OUT --results {name}`. What the numbers mean:
[metrics.md](metrics.md); what is asked: [bench.md](bench.md);
what went wrong and why: [results_analysis.md](results_analysis.md).

All in per cent. Brackets are 95 % intervals by a bootstrap over drives, 10,000 draws. A row with several seeds has a
line for each, each with its own interval, and above them their mean with the least and greatest of them in
parentheses. The range tells how runs differ, the interval how drives do; neither holds the other, and seeds are
answers to the same questions, so they are never counted as more of them. Settings were picked while looking at the
bench, so it is no untouched test of them; no weights were trained on it. A dash is what was not asked or not run. A
success rate counts an answer that is missing or cannot be read as failed.
"""
BASELINES = """\
Rows in italics are baselines: constant position and constant velocity are given the target's true place now, which no
model is; class median and text only are the usual answers of the training drives, for the class and for the wording."""

OWN_PRESENT = """\
What a model says of now, held for 1, 2 and 3 s: what its answers about the future add to that. The difference is
paired."""

CONTROLS = """\
The same questions asked in another way ([controls.md](controls.md)). What is lost is the answer as asked minus that
under the control, paired on the questions that both were asked; blank and no image show nothing, true boxes as text
tell the answer."""

GROUNDING = """\
What reasoning claims, held against the tracks. Recall alone is inflated by listing boxes, so precision and the
one-to-one match stand beside it. AM and LGM take a trace for one chain; mAM and mLGM need questions that ask when and
where."""

PAIRED = """\
The first minus the second on the same questions, in points, with paired intervals. One that holds 0 is not shown to
differ. All seeds: the mean over them; drives are drawn, and with a drive what every seed said about it."""

SIZES = """\
Models that took equally many steps of training."""

REAL = """\
Few drives, so these intervals are over moments of one drive or over two drives, and hide how drives differ. The
images of PandaSet were adapted to on the first 70 % of the moments of one drive and asked about on the rest; some
agents there were trained on, so that the others stand by themselves."""


PARTS = ("model", "control", "growth", "resolution", "real")
USUAL = "sft"
"""The row that fewer questions and other resolutions are compared with."""


def write_results(entries: Sequence[Entry], path: Path) -> None:
    """Write the page.

    Args:
        entries: rows in their order.
        path: the Markdown file.

    Raises:
        StoreError: an evaluation or a comparison is damaged.
    """
    results = [read_result(entry) for entry in entries]
    lines = [INTRODUCTION.format(name=path.name), *_sections(results), *_commands(results)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines).rstrip("\n") + "\n", encoding="utf-8")


def _sections(results: Sequence[Result]) -> list[str]:
    of = {part: [one for one in results if one.entry.part == part and one.metrics] for part in PARTS}
    models = of["model"]
    lines = [
        *_section("What was aimed at", "", tables.aims(models)),
        *_section("On the bench", BASELINES, tables.headline(models)),
        *_section("Moving targets by themselves", "", tables.moving(models)),
        *_section("Against its own present", OWN_PRESENT, tables.own_present(models)),
        *_section("Grounding", GROUNDING, tables.grounding(models)),
        *_section("Safety", "All but critical recall: lower is better.", tables.safety(models)),
        *_section("Paired differences", PAIRED, tables.paired(models, _of_all_seeds(models))),
    ]
    for control in of["control"]:
        lines += _section(f"Controls: {control.entry.title}", CONTROLS, tables.controls(control))
    usual = [one for one in models if one.entry.name == USUAL]
    for title, part in (("More questions", "growth"), ("Other resolutions", "resolution")):
        lines += _section(title, SIZES, tables.sizes([*of[part], *usual]) if of[part] else [])
    return [*lines, *_section("Real traffic and real images", REAL, tables.real(of["real"]))]


def _of_all_seeds(results: Sequence[Result]) -> dict[tuple[str, str], dict[str, Number]]:
    """Differences of all seeds together, by row and base, where there are several."""
    of = {result.entry.name: result for result in results}
    pairs = {
        (name, base): [(_evaluated(of[base], seed), _evaluated(result, seed)) for seed in of_seeds]
        for name, result in of.items()
        for base, of_seeds in result.differences.items()
        if base in of and len(of_seeds) > 1
    }
    return {names: over_seeds(pair, tables.COMPARED.values()) for names, pair in pairs.items()}


def _evaluated(result: Result, seed: str) -> Path:
    """The evaluation of a seed; of a row without seeds the only one."""
    folders = result.entry.folders
    return folders.get(seed, folders.get("", Path())) / "evaluation"


def _section(title: str, note: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    return [f"## {title}", "", *((note, "") if note else ()), *lines]


def _commands(results: Sequence[Result]) -> list[str]:
    """Each row with what makes it, and which rows are not there."""
    lines = [
        "## Commands",
        "",
        "`drive-vqa experiment --bench BENCH --out OUT --rows NAME --seeds SEED` makes one row, and what it is made from.",
        "",
    ]
    for result in results:
        entry = result.entry
        lines += [f"### `{entry.name}`: {entry.title}", "", _made(entry, result), ""]
        lines += [*(f"    {command}" for command in entry.commands), ""]
    return lines


def _made(entry: Entry, result: Result) -> str:
    if entry.part not in PARTS:
        return "Made." if any(folder.is_dir() for folder in entry.folders.values()) else "**Not run.**"
    if not result.metrics:
        return "**Not run.**"
    seeds = [seed for seed in result.metrics if seed]
    return f"Seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}." if seeds else "Run once."
