"""All question types, and what is known of each without a log."""

from __future__ import annotations

from typing import Any

from qa_gen import ego_centric, future_motion, object_centric
from qa_gen.question_type import QuestionType

TYPES: dict[str, QuestionType] = {
    kind.name: kind for kind in (*object_centric.TYPES, *ego_centric.TYPES, *future_motion.TYPES)
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
            "marks": kind.marks,
            "horizon_s": kind.horizon_s,
            "tolerance": kind.tolerance,
            "wordings": len(kind.wordings),
            "example": kind.fill(kind.wordings[0], ("Region 1", "Region 2")),
        }
        for kind in TYPES.values()
    ]


def list_types() -> str:
    """The catalogue as text, for `drive-vqa generate --list`."""
    lines = []
    for row in catalogue():
        marks = {0: "no region", 1: "1 region", 2: "2 regions"}[row["marks"]]
        facts = f"{row['answer_type']}, {marks}, {row['tolerance']}, {row['wordings']} wordings, v{row['version']}"
        lines.append(f"{row['family']:<6}  {row['type']:<19}  {facts}\n        {row['example']}")
    return "\n".join(lines)
