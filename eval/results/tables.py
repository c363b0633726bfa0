"""The tables of the page: what is finished in, the lines of a Markdown table out, none where there is nothing to show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from eval.held import OWN_PRESENT
from eval.localization import ROUNDING
from eval.report.inputs import Number
from eval.report.numbers import other_place, other_title
from eval.results.cells import NOTHING, one, pooled, table
from eval.results.read import Result
from eval.trained_agents import AGENT_IN_TRAINING

MLSR, TLC, LSR_NOW = "localization.mlsr", "localization.tlc", "localization.lsr.t0"
HEADLINE = {
    **{f"LSR@{time_s}": f"localization.lsr.t{time_s}" for time_s in range(4)},
    "MLSR": MLSR,
    "TLC": TLC,
    "own speed": "speed.sr.ego",
    "target speed": "speed.sr.target",
}
BASELINES = ("constant_position", "constant_velocity", "class_median", "text_only")
"""They do not depend on the model, so that they are taken from one evaluation."""

AIMS = {
    "LSR@0 of at least 90": (LSR_NOW, 0.90),
    "MLSR of at least 60": (MLSR, 0.60),
    "TLC of at least 35": (TLC, 0.35),
    "MLSR at least 10 points above its own present, held": (f"versus.{OWN_PRESENT}.{MLSR}", 0.10),
}
MOVING = {
    f"{title}, {who}": f"slice.moving.{value}.{metric}"
    for who, value in (("moving", "true"), ("standing", "false"))
    for title, metric in (("MLSR", MLSR), ("TLC", TLC))
}
GROUNDING = {
    "mIoU recall": "grounding.miou_recall",
    "mIoU precision": "grounding.miou_precision",
    "mIoU matched": "grounding.miou_matched",
    "mAM": "grounding.mam",
    "mLGM": "grounding.mlgm",
    "AM": "grounding.am",
    "LGM": "grounding.lgm",
    "points in box": "grounding.points_in_box",
    "places in band": "grounding.places_in_band",
    "well formed": "grounding.well_formed",
}
SAFETY = {
    "dangerously far": "safety.dangerous_far_rate",
    "over-cautious": "safety.over_cautious_rate",
    "slow closing": "safety.dangerous_slow_closing_rate",
    "missed approach": "safety.missed_approach_rate",
    "critical recall": "safety.critical_recall",
    "critical false alarm": "safety.critical_false_alarm_rate",
    "corridor swap": "safety.corridor_swap_rate",
    "left-right flip": "safety.left_right_flip_rate",
    "hallucination": "safety.hallucination_rate",
    "unreadable": "parse.failure_rate",
}
COMPARED = {
    "LSR@0": LSR_NOW,
    "MLSR": MLSR,
    "TLC": TLC,
    "accuracy": "accuracy",
    "mIoU matched": "grounding.miou_matched",
    "dangerously far": "safety.dangerous_far_rate",
    "over-cautious": "safety.over_cautious_rate",
}


def aims(results: Sequence[Result]) -> list[str]:
    """What every model has of each aim, and whether that is enough."""
    rows = [
        [result.entry.title, *(_held_against(result.numbers(metric), least) for metric, least in AIMS.values())]
        for result in results
        if result.metrics
    ]
    return table(["", *AIMS], rows)


def _held_against(numbers: Sequence[Number], least: float) -> str:
    """By the value, or the mean of the seeds; an interval that goes below the aim is told."""
    values = [number.value for number in numbers if number.value is not None]
    if not values:
        return NOTHING
    mean = sum(values) / len(values)
    if mean < least - ROUNDING:
        return f"{pooled(numbers)}: **missed** by {100 * (least - mean):.1f}"
    is_sure = all(number.low is not None and number.low >= least - ROUNDING for number in numbers)
    return f"{pooled(numbers)}: reached{'' if is_sure else ', but not surely'}"


def headline(results: Sequence[Result]) -> list[str]:
    """Baselines, then the models: of several seeds their mean and each."""
    return _beside_baselines(results, HEADLINE, n_of=TLC, counted="targets")


def moving(results: Sequence[Result]) -> list[str]:
    """Targets that move by themselves, and those that stand."""
    return _beside_baselines(results, MOVING, n_of=MOVING["TLC, moving"], counted="moving targets")


def own_present(results: Sequence[Result]) -> list[str]:
    """What answers about the future add to the present, held."""
    names = [MLSR, f"baseline.{OWN_PRESENT}.{MLSR}", TLC, f"baseline.{OWN_PRESENT}.{TLC}"]
    rows = []
    for result in results:
        for seed, metrics in result.metrics.items():
            difference = one(metrics.get(f"versus.{OWN_PRESENT}.{MLSR}"), signed=True)
            rows.append([_title(result, seed), *(one(metrics.get(name)) for name in names), difference])
    return table(["", "MLSR", "MLSR, held", "TLC", "TLC, held", "difference in MLSR"], rows)


def controls(result: Result) -> list[str]:
    """A model under its controls, and what each takes from it on the same questions."""
    rows = []
    for metrics in result.metrics.values():
        rows.append(["as asked", *_of(metrics, ""), NOTHING, NOTHING])
        known = {name.split(".")[1] for name in metrics if name.startswith("control.")}
        for name in sorted(known, key=other_place):
            lost = (one(metrics.get(f"versus.control.{name}.{metric}"), signed=True) for metric in (MLSR, "accuracy"))
            rows.append([other_title(name).lower(), *_of(metrics, f"control.{name}."), *lost])
    head = ["", "LSR@0", "MLSR", "TLC", "accuracy", "MLSR lost", "accuracy lost"]
    return table(head, rows)


def _of(metrics: Mapping[str, Number], prefix: str) -> list[str]:
    return [one(metrics.get(prefix + name)) for name in (LSR_NOW, MLSR, TLC, "accuracy")]


def grounding(results: Sequence[Result]) -> list[str]:
    """Of models that say what their answers rest on."""
    return _means([result for result in results if result.numbers("grounding.miou_recall")], GROUNDING)


def safety(results: Sequence[Result]) -> list[str]:
    """The dangerous mistakes."""
    return _means(results, SAFETY)


def paired(results: Sequence[Result], of_all_seeds: Mapping[tuple[str, str], Mapping[str, Number]]) -> list[str]:
    """Differences on the same questions, of all seeds together where there are several, and of each.

    Args:
        results: of the rows.
        of_all_seeds: by name of the row and of its base, then by metric.
    """
    titles = {result.entry.name: result.entry.title for result in results}
    rows = []
    for result in results:
        for base, of_seeds in result.differences.items():
            against = titles.get(base, base)
            if (told := of_all_seeds.get((result.entry.name, base))) is not None:
                rows.append([f"**{result.entry.title}, all seeds − {against}**", *_differences(told)])
            rows += [[f"{_title(result, seed)} − {against}", *_differences(told)] for seed, told in of_seeds.items()]
    return table(["", *COMPARED], rows)


def _differences(metrics: Mapping[str, Number]) -> list[str]:
    return [one(metrics.get(metric), signed=True) for metric in COMPARED.values()]


def sizes(results: Sequence[Result]) -> list[str]:
    """Models that were trained on more or fewer questions, fewest first, and on other pixels."""
    rows = []
    for result in results:
        learned = f"{max(result.learned.values()):,}" if result.learned else NOTHING
        rows += [[row[0], learned, *row[1:]] for row in _with_seeds(result, [LSR_NOW, MLSR, TLC], n_of=TLC)]
    return table(["", "questions learned", "LSR@0", "MLSR", "TLC", "targets"], rows)


def real(results: Sequence[Result]) -> list[str]:
    """Real traffic and real images, and of the latter the agents that were not trained on."""
    unknown = f"{AGENT_IN_TRAINING}.false."
    names = [LSR_NOW, MLSR, TLC, unknown + MLSR]
    rows = []
    for result in results:
        others = result.numbers(unknown + TLC)
        for row in _with_seeds(result, names, n_of=TLC):
            rows.append([*row, str(others[0].n) if others else NOTHING])
    return table(
        ["", "LSR@0", "MLSR", "TLC", "MLSR, agents not trained on", "targets", "of these not trained on"], rows
    )


def _means(results: Sequence[Result], columns: Mapping[str, str]) -> list[str]:
    """A row a model, its seeds pooled; columns that nobody has are left out."""
    shown = {title: metric for title, metric in columns.items() if any(one.numbers(metric) for one in results)}
    rows = [
        [result.entry.title, *(pooled(result.numbers(metric)) for metric in shown.values())]
        for result in results
        if result.metrics
    ]
    return table(["", *shown], rows)


def _beside_baselines(results: Sequence[Result], columns: Mapping[str, str], *, n_of: str, counted: str) -> list[str]:
    names = list(columns.values())
    rows = [
        *_baseline_rows(results, names, n_of),
        *(row for result in results for row in _with_seeds(result, names, n_of)),
    ]
    return table(["", *columns, counted], rows)


def _baseline_rows(results: Sequence[Result], names: Sequence[str], n_of: str) -> Iterator[list[str]]:
    metrics: Mapping[str, Number] = next((own for result in results for own in result.metrics.values()), {})
    for name in BASELINES:
        prefix = f"baseline.{name}."
        if (counted := metrics.get(prefix + n_of)) is not None and counted.value is not None:
            cells = [one(metrics.get(prefix + metric)) for metric in names]
            yield [f"*{other_title(name).lower()}*", *cells, str(counted.n)]


def _with_seeds(result: Result, names: Sequence[str], n_of: str) -> Iterator[list[str]]:
    """A line for all seeds together where there are several, then one for each."""
    if len(result.metrics) > 1:
        yield [f"**{result.entry.title}**", *(pooled(result.numbers(name)) for name in names), _n(result, n_of)]
    for seed, metrics in result.metrics.items():
        yield [_title(result, seed), *(one(metrics.get(name)) for name in names), _n(result, n_of)]


def _n(result: Result, metric: str) -> str:
    numbers = result.numbers(metric)
    return str(numbers[0].n) if numbers else NOTHING


def _title(result: Result, seed: str) -> str:
    return f"{result.entry.title}, seed {seed}" if seed else result.entry.title
