"""Read a reasoned answer: the one parser of traces, for rewards and for scores. No text raises; time is linear in its length.

What can be read is returned even where the text is malformed elsewhere; what cannot be read is a fault and no claim. Only
thoughts are read for claims: a box in the answer is the answer's, a box outside of all tags is nobody's. How a text falls into
parts is told in `eval.reasoning.parts`, how evidence is written in `eval.reasoning.forms`, what is malformed in
`eval.reasoning.trace`.
"""

from __future__ import annotations

from typing import get_args

from drive_vqa.traces import Dialect
from eval.reasoning.claims import ClaimReader
from eval.reasoning.forms import FORMS
from eval.reasoning.parts import split_parts
from eval.reasoning.trace import Fault, ReadTrace

MAX_CHARACTERS = 32_768
"""A longer text is read up to here, as if it ended: some 8,000 tokens, twice the longest budget of the published systems."""


def read_trace(text: str, dialect: Dialect, *, first_s: float = 0.0) -> ReadTrace:
    """Read what a model said.

    Args:
        text: anything at all, of any length; of a dialogue all turns, without image tokens.
        dialect: how evidence is written.
        first_s: time of the first image from now, seconds; `open_o3` counts times from it.
    """
    form = FORMS[dialect]
    parts = split_parts(text[:MAX_CHARACTERS], may_start_in_thought=not form.strict)
    reader = ClaimReader(form, first_s, wants_points=form.ends_in_point and not parts.has_looks)
    for thought in parts.thoughts:
        reader.read_thought(thought)
    faults = reader.faults | parts.faults
    if form.strict and set(parts.answer or "") & set("<>"):
        faults.add("unknown_tag")
    if len(text) > MAX_CHARACTERS:
        faults.add("too_long")
    return ReadTrace(
        tuple(reader.steps),
        tuple(reader.seen),
        tuple(reader.points),
        tuple(reader.places),
        parts.answer,
        tuple(fault for fault in get_args(Fault) if fault in faults),
        tuple(reader.times),
    )
