"""The report of one evaluation: read it, draw everything, fill the template, write the file in one step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from drive_vqa.errors import ConfigError, DriveVqaError
from drive_vqa.store import Store
from eval.report import gallery, headline, numbers, overlays, panels, plots, slices
from eval.report.calibration import calibration_plots, read_calibration
from eval.report.error_plots import error_plots
from eval.report.grounding import grounding_tables
from eval.report.inputs import Evaluation, read_evaluation
from eval.report.listing import Listing, listing
from eval.report.provenance import head
from eval.report.severity import OUTCOMES
from eval.report.shell import HERE, fill, write_page

CARDS = 36
MOMENTS = 3
HORIZONS_S = (0.0, 3.0)


def write_report(evaluation: Path, out: Path) -> Path:
    """Write the report of an evaluation as one HTML file that needs nothing else.

    The same evaluation and store give the same bytes. Missing images are said in their place; the rest is still written.

    Args:
        evaluation: folder made by `drive-vqa evaluate`.
        out: the HTML file; its folder is made where absent.

    Returns:
        `out`.

    Raises:
        ConfigError: `out` is a folder.
        StoreError: the evaluation or the store that it scored is missing or damaged.
    """
    if out.is_dir():
        raise ConfigError(f"{out} is a folder: --out must be a file name such as report.html")
    return write_page(render(read_evaluation(evaluation)), out)


def render(evaluation: Evaluation) -> str:
    """The page as text."""
    questions = listing(evaluation)
    content = {
        **head(evaluation),
        **_numbers(evaluation),
        **_pictures(evaluation),
        **_list_facts(questions),
        "outcomes": OUTCOMES,
    }
    scripts = [HERE / name for name in ("parts.js", "cards.js", "detail.js", "questions.js")]
    return fill("report.html", content, styles=[HERE / "questions.css"], scripts=scripts, parts=questions.parts)


def _numbers(evaluation: Evaluation) -> dict[str, Any]:
    metrics = evaluation.metrics
    columns = headline.headline_columns(metrics)
    titles = [column.title for column in columns]
    rows = headline.headline_rows(metrics, columns)
    shares = [row for row in rows if row.name in headline.HEADLINE]
    tables = slices.slice_tables(metrics)
    difference_columns, differences = headline.difference_table(metrics)
    return {
        "headline": rows,
        "columns": titles,
        "has_own_n": any(cell.n is not None for row in rows for cell in row.cells),
        "over_frames": any(metrics[row.name].cluster_kind == "frame" for row in rows),
        "sentences": headline.verdict_sentences(metrics),
        "below": headline.is_surely_below(metrics, "constant_velocity"),
        "difference_columns": difference_columns,
        "differences": differences,
        "safety": panels.safety_rows(metrics),
        "safety_tables": [table for table in tables if table.dimension in slices.SAFETY_DIMENSIONS],
        "calibration": panels.calibration_rows(metrics),
        "calibration_plots": calibration_plots(read_calibration(evaluation.root / "calibration.json")),
        "consistency": panels.consistency_rows(metrics),
        "grounding": grounding_tables(metrics),
        "types": slices.type_rows(metrics, _families(evaluation.store)),
        "slices": [table for table in tables if table.dimension not in slices.SAFETY_DIMENSIONS],
        "every_number": numbers.all_rows(metrics),
        "alarming": panels.alarming,
        "intervals_svg": plots.intervals_plot(shares, titles) if shares else None,
    }


def _families(store: Store) -> dict[str, str]:
    """The family of every type of question that the store has."""
    families: dict[str, str] = {}
    for log_id in store.log_ids("questions"):
        kinds = store.read("questions", log_id, ["type", "family"]).group_by(["type", "family"]).aggregate([])
        families |= dict(zip(kinds["type"].to_pylist(), kinds["family"].to_pylist(), strict=True))
    return families


def _pictures(evaluation: Evaluation) -> dict[str, Any]:
    answers = evaluation.answers
    fields = {horizon_s: plots.field_plot(answers, horizon_s) for horizon_s in HORIZONS_S}
    cards = gallery.cards(evaluation, CARDS)
    return {
        "distance_svg": plots.distance_plot(answers, evaluation.baselines),
        "error_plots": error_plots(answers, evaluation.baselines),
        "fields": {horizon_s: svg for horizon_s, svg in fields.items() if svg is not None},
        "cards": cards,
        "frame_bytes": gallery.FRAME_BYTES,
        "families": sorted({card.family for card in cards}),
        "looked": any(card.reasoning is not None and card.reasoning.has_looks for card in cards),
        "moments": _moments(evaluation),
        "kinds": overlays.KIND_TITLES,
    }


def _moments(evaluation: Evaluation) -> list[overlays.Moment]:
    """The most telling moments; none where the store has no tracks or images, which must not cost the rest of the report."""
    candidates = list(zip(evaluation.answers["log_id"], evaluation.answers["frame"].astype(int), strict=True))
    try:
        chosen = overlays.best_moments(evaluation.store, candidates, MOMENTS)
        drawn = [overlays.moment(evaluation.store, log_id, frame) for log_id, frame in chosen]
    except DriveVqaError:
        return []
    return [moment for moment in drawn if moment is not None]


def _list_facts(questions: Listing) -> dict[str, Any]:
    return {"listed": questions.listed, "answered": questions.answered, "text_limit": questions.text_limit}
