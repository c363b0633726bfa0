"""The page: read the evaluation, draw everything, fill the template, write the file in one step."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from drive_vqa import __version__
from drive_vqa.config import flatten
from drive_vqa.errors import DriveVqaError
from drive_vqa.store import Store, replacing
from eval.report import gallery, numbers, overlays, plots
from eval.report.grounding import grounding_tables
from eval.report.inputs import Evaluation, read_evaluation

HERE = Path(__file__).parent
CARDS = 24
MOMENTS = 3
HORIZONS_S = (0.0, 3.0)
TIME_WITHIN_LOG = "time-within-log"


def write_report(evaluation: Path, out: Path) -> Path:
    """Write the report of an evaluation as one HTML file that needs nothing else.

    The same evaluation and store give the same bytes. Missing images are said in their place; the rest is still written.

    Args:
        evaluation: folder made by `drive-vqa evaluate`.
        out: the HTML file; its folder is made where absent.

    Returns:
        `out`.

    Raises:
        StoreError: the evaluation or the store that it scored is missing or damaged.
    """
    html = render(read_evaluation(evaluation))
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as temporary:
        temporary.write_text(html, encoding="utf-8", errors="backslashreplace")
    return out


def render(evaluation: Evaluation) -> str:
    """The page as text."""
    # Whatever comes from data is escaped by the template; only our own CSS, JS and SVG are trusted.
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style = Markup((HERE / "style.css").read_text(encoding="utf-8"))  # noqa: S704
    script = Markup((HERE / "page.js").read_text(encoding="utf-8"))  # noqa: S704
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    content = {**_head(evaluation), **_numbers(evaluation), **_pictures(evaluation)}
    return environment.get_template("template.html").render(
        style=style, script=script, script_sha256=digest, outcomes=gallery.OUTCOMES, **content
    )


def _head(evaluation: Evaluation) -> dict[str, Any]:
    config, answers = evaluation.config, evaluation.answers
    return {
        "model": str(config.get("model") or answers["model"].iloc[0]),
        "split": str(config.get("split") or "all splits"),
        "questions": len(answers),
        "asked": _asked(evaluation),
        "unanswered": max(_asked(evaluation) - len(answers), 0),
        "trained_on": "train" in str(config.get("split", "")).split(", "),
        "logs": answers["log_id"].nunique(),
        "groups": answers["group_id"].nunique(),
        "time_split": config.get("split_rule") == TIME_WITHIN_LOG,
        "provenance": provenance(evaluation),
    }


def _asked(evaluation: Evaluation) -> int:
    """How many questions the evaluated splits have."""
    return int(evaluation.config.get("questions") or len(evaluation.answers))


def _numbers(evaluation: Evaluation) -> dict[str, Any]:
    metrics = evaluation.metrics
    families = _families(evaluation.store)
    rows = numbers.headline_rows(metrics)
    columns = plots.series_titles(list(metrics), "Model")
    return {
        "headline": rows,
        "columns": columns,
        "over_frames": any(metrics[row.name].cluster_kind == "frame" for row in rows),
        "sentences": numbers.verdict_sentences(metrics),
        "below": numbers.is_below(metrics, "constant_velocity"),
        "safety": numbers.safety_rows(metrics),
        "grounding": grounding_tables(metrics),
        "types": numbers.type_rows(metrics, families),
        "slices": numbers.slice_tables(metrics),
        "every_number": numbers.all_rows(metrics),
        "alarming": numbers.alarming,
        "intervals_svg": plots.intervals_plot(rows, columns) if rows else None,
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
        "fields": {horizon_s: svg for horizon_s, svg in fields.items() if svg is not None},
        "cards": cards,
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


def provenance(evaluation: Evaluation) -> dict[str, dict[str, str]]:
    """Where the numbers come from: title → name → value."""
    manifest = evaluation.store.manifest()
    steps: Mapping[str, Any] = manifest.get("steps", {})
    store = {
        "schema version": str(manifest.get("schema_version", "unknown")),
        "written by": f"drive-vqa {manifest.get('code_version', 'unknown')}",
    }
    for table, files in manifest.get("tables", {}).items():
        rows = sum(entry["rows"] for entry in files.values())
        store[table] = f"{rows:,} rows in {len(files):,} logs"
    sections = {"Evaluation": _texts(flatten(evaluation.config)), "Store": store}
    sections["Report"] = {
        "written by": f"drive-vqa {__version__}",
        "command": "drive-vqa report EVAL --out report.html",
    }
    return sections | {f"Step: {step}": _texts(flatten(config)) for step, config in steps.items()}


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in values.items() if value is not None}
