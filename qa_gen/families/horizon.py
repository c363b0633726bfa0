"""The future family's horizons in words: a question says "in 2 seconds" in each of its wordings."""

from __future__ import annotations

from qa_gen.question_type import BEARING_WORDS

ONLY_SEQUENCE = ("sequence",)
"""Groups of kind `target` are asked the questions of the bench alone; all other types are about sequences."""


def at_horizon(templates: tuple[str, ...], horizon_s: int) -> tuple[str, ...]:
    """Templates with their times filled in; marks stay open.

    Args:
        templates: `{t}` becomes "1 second" or "2 seconds", `{span}` "second" or "2 seconds" ("over the next second"), and
            `{bearing}` the convention of bearings.
        horizon_s: how far ahead.
    """
    time = "1 second" if horizon_s == 1 else f"{horizon_s} seconds"
    span = time.removeprefix("1 ")
    return tuple(
        template.replace("{t}", time).replace("{span}", span).replace("{bearing}", BEARING_WORDS)
        for template in templates
    )
