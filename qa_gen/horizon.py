"""The future family's horizons in words: a question says "in 2 seconds" in each of its wordings."""

from __future__ import annotations

from qa_gen.question_type import BEARING_WORDS

ONLY_SEQUENCE = ("sequence",)
"""Groups of kind `target` are asked the questions of the bench alone; all other types are about sequences."""


def at_horizon(templates: tuple[str, ...], horizon_s: int) -> tuple[str, ...]:
    """Templates with `{t}` as "1 second", "2 seconds" or "3 seconds" and `{bearing}` as its convention; marks stay open."""
    time = "1 second" if horizon_s == 1 else f"{horizon_s} seconds"
    return tuple(template.replace("{t}", time).replace("{bearing}", BEARING_WORDS) for template in templates)
