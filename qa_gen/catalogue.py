"""All question types, and what is known of each without a log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qa_gen.families import ego_centric, future_motion, object_centric, unanswerable, when_where
from qa_gen.question_type import QuestionType

TYPES: dict[str, QuestionType] = {
    kind.name: kind
    for module in (object_centric, ego_centric, future_motion, when_where, unanswerable)
    for kind in module.TYPES
}
"""By name, family after family."""


def catalogue() -> list[dict[str, Any]]:
    """One row a question type."""
    return [
        {
            "family": kind.family,
            "type": kind.name,
            "version": kind.version,
            "answer_type": kind.answer_type,
            "forms": list(kind.forms),
            "groups": list(kind.group_kinds),
            "marks": kind.roles,
            "horizon_s": kind.horizon_s,
            "tolerance": kind.tolerance,
            "wordings": len(kind.wordings),
            "example": example(kind),
        }
        for kind in TYPES.values()
    ]


def example(kind: QuestionType) -> str:
    """The first wording of a type about the regions 1, 2 and 3."""
    return with_regions(kind.wordings[0].replace("{p}", kind.parameters[0] if kind.parameters else ""))


def with_regions(text: str) -> str:
    """A wording, claim or choice with the regions 1, 2 and 3 in the roles a, b and c."""
    for number, role in enumerate(("a", "b", "c"), start=1):
        text = text.replace(f"{{{role}}}", f"Region {number}")
    return text


def list_types(families: Sequence[str]) -> str:
    """The catalogue of some families as text, for `drive-vqa generate --list`."""
    lines = []
    rows = [row for row in catalogue() if row["family"] in families]
    for row in rows:
        marks = {0: "no region", 1: "1 region"}.get(row["marks"], f"{row['marks']} regions")
        facts = f"{row['answer_type']} ({', '.join(row['forms'])}), {marks}, {row['tolerance']}"
        lines.append(f"{row['family']:<13} {row['type']:<22} {facts}, {row['wordings']} wordings, v{row['version']}")
        lines.append(f"              {row['example']}")
    return "\n".join([*lines, f"{len(rows)} types"])
