"""Correct dialogues with closer looks, written from a question's evidence: what teaches the format before reinforcement learning.

A trace is cut where it speaks of a box that the answer rests on; there the model looks at that box and goes on:

    <think> its steps up to there </think> <tool_call>…</tool_call>      answered with the crop
    <think> the other steps </think> <answer>…</answer>

After the last look that a dialogue may take the answer alone is asked for, so there the other steps are left out. A dialogue is
one text, turn behind turn, in pixels of the original images; what is observed in between follows from the calls and is not
written down. So a writer of answers with looks goes wherever a writer of answers does.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drive_vqa.region_forms import box_of
from drive_vqa.store import Store
from drive_vqa.traces import ImageBox, box_text
from finetune.lesson import AnswerWriter
from finetune.zoom.calls import CALL_CLOSE, CALL_OPEN, Call, call_text
from finetune.zoom.crops import AROUND_BOX, CropPreset
from finetune.zoom.dialogue import THINK_CLOSE, THINK_OPEN
from finetune.zoom.distinct import DISTINCT_PX


@dataclass(frozen=True)
class ZoomAnswers:
    """A writer of dialogues with looks; picklable where the writer of traces is.

    Attributes:
        traces: writes the reasoned answers.
        preset: how looks are taken.
    """

    traces: AnswerWriter
    preset: CropPreset

    def __call__(self, store: Store, log_id: str, group: Mapping[str, Any], question: Mapping[str, Any]) -> str | None:
        """The trace of a question with looks in it, see `with_looks`; None where there is no trace."""
        trace = self.traces(store, log_id, group, question)
        return None if trace is None else with_looks(trace, question, group, self.preset)


def with_looks(trace: str, question: Mapping[str, Any], group: Mapping[str, Any], preset: CropPreset) -> str:
    """A trace as a dialogue; the trace itself where no image shows what the answer rests on.

    Args:
        trace: in any dialect, in pixels of the original images.
        question: its row of the `questions` table; `evidence` names what the answer rests on, `qa_id` decides how many looks.
        group: its row of the `groups` table.
        preset: how looks are taken.
    """
    lines, answer = _parts(trace)
    looks = sorted((_line_of(box, lines), context, box) for context, box in _chosen(question, group, preset))
    turns, told = [], 0
    for line, context, box in looks:
        turns.append(_turn(lines[told : line + 1], call_text(_call(context, box, preset))))
        told = max(told, line + 1)
    rest = lines[told:] if len(looks) < preset.looks else ()
    return "\n".join([*turns, _turn(rest, answer)])


def turns_in(dialogue: str) -> list[str]:
    """The turns of a dialogue that is written as one text."""
    *called, last = dialogue.split(CALL_CLOSE)
    return [turn.lstrip("\n") for turn in (*(turn + CALL_CLOSE for turn in called), last)]


def token_texts(dialogue: str) -> list[str]:
    """What is said in a dialogue, thoughts and calls apart, and observed in between: for a tokenizer of common phrases."""
    *called, last = turns_in(dialogue)
    texts = []
    for turn in called:
        thought, opening, call = turn.partition(CALL_OPEN)
        texts += [thought, opening + call, "\n<tool_response>\nImage 1, closer:", "1 look left.\n</tool_response>"]
    return [*texts, last]


def _parts(trace: str) -> tuple[list[str], str]:
    """Lines of the thought, and what stands behind it."""
    thought, closed, answer = trace.removeprefix(THINK_OPEN).partition(f"{THINK_CLOSE}\n")
    return (thought.splitlines(), answer) if closed else ([], trace)


def _turn(lines: Sequence[str], ending: str) -> str:
    thought = "".join(f"{line}\n" for line in lines)
    return f"{THINK_OPEN}{thought}{THINK_CLOSE}\n{ending}" if lines else ending


def _chosen(question: Mapping[str, Any], group: Mapping[str, Any], preset: CropPreset) -> list[tuple[int, ImageBox]]:
    """Context and box of each look: the smallest boxes, which gain most, one at a place; the question decides how many."""
    boxes = _evidence_boxes(question, group)
    count = 1 + zlib.crc32(str(question["qa_id"]).encode()) % preset.looks
    kept: list[tuple[int, ImageBox]] = []
    for context, box in sorted(boxes, key=lambda place: (_area_px2(place[1]), place)):
        apart = all(context != other or math.dist(_middle(box), _middle(taken)) >= DISTINCT_PX for other, taken in kept)
        kept += [(context, box)] if apart and len(kept) < count else []
    return kept


def _evidence_boxes(question: Mapping[str, Any], group: Mapping[str, Any]) -> set[tuple[int, ImageBox]]:
    places = {(entry["mark"], entry["context"]) for entry in question.get("evidence") or ()}
    found = {(context, box_of(group, mark, context)) for mark, context in places}
    return {(context, box) for context, box in found if box is not None and _area_px2(box) > 0}


def _line_of(box: ImageBox, lines: Sequence[str]) -> int:
    """The last line that speaks of a box, by its corners or (vigorl) by its middle; the first line where none does."""
    told = (box_text(box), "({}, {})".format(*_middle(box)))
    return max((place for place, line in enumerate(lines) if any(text in line for text in told)), default=0)


def _call(context: int, box: ImageBox, preset: CropPreset) -> Call:
    """The point where a point's square holds the box with what is around it, else the box."""
    longest_px = max(box[2] - box[0], box[3] - box[1])
    return Call(context, _middle(box) if AROUND_BOX * longest_px <= preset.side_px else box)


def _middle(box: ImageBox) -> tuple[int, int]:
    """As `traces.Seen.centre_px`."""
    u0, v0, u1, v1 = box
    return (u0 + u1) // 2, (v0 + v1) // 2


def _area_px2(box: ImageBox) -> int:
    return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)
