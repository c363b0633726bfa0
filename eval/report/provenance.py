"""What was asked, of what, and by whom: the head of the page, and where its numbers come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drive_vqa import __version__
from drive_vqa.config import flatten
from eval.report.inputs import Evaluation
from eval.trained_agents import TIME_WITHIN_LOG

CHOSEN_BY = ("families", "types", "kinds", "forms", "limit")
"""Options that choose some of the questions of a split."""


def head(evaluation: Evaluation) -> dict[str, Any]:
    """Model, split, counts, and what a reader must know before the numbers."""
    config, answers = evaluation.config, evaluation.answers
    asked = _asked(evaluation)
    return {
        "model": str(config.get("model") or answers["model"].iloc[0]),
        "split": str(config.get("split") or "all splits"),
        "questions": len(answers),
        "asked": asked,
        "selected": selection_sentence(config, asked, max(asked - len(answers), 0)),
        "trained_on": "train" in str(config.get("split", "")).split(", "),
        "logs": answers["log_id"].nunique(),
        "groups": answers["group_id"].nunique(),
        "time_split": config.get("split_rule") == TIME_WITHIN_LOG,
        "provenance": provenance(evaluation),
    }


def _asked(evaluation: Evaluation) -> int:
    """How many questions count: those of the evaluated splits, or those of them that were asked."""
    return int(evaluation.config.get("questions") or len(evaluation.answers))


def selection_sentence(config: Mapping[str, Any], asked: int, unanswered: int) -> str:
    """What was asked of the split, and that what has no answer counts as wrong; "" where all was asked and answered."""
    selection = config.get("selection")
    selection = selection if isinstance(selection, Mapping) else {}
    chosen = {name: selection[name] for name in CHOSEN_BY if selection.get(name)}
    whole = config.get("questions_of_split")
    if not chosen:
        return f"{unanswered:,} of {asked:,} questions have no answer and count as wrong." if unanswered else ""
    options = " ".join(f"--{name} {_option(value)}" for name, value in chosen.items())
    of = f" of {whole:,}" if isinstance(whole, int) else ""
    wrong = f"; {unanswered:,} of them have no answer and count as wrong" if unanswered else ""
    return f"{asked:,}{of} questions of the split were asked ({options}){wrong}."


def _option(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


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
