"""Reasoning traces: how the answer to a question follows from its evidence, written when read and never stored.

    chain      where each image shows what the answer rests on, what follows from that, the answer
    corrected  a chain in which one box or one time is wrong at first, noticed, and mended
    direct     the answer alone

All that is stated comes from the tracks: boxes are the group's, places and numbers those of the log; only the mended claim of a
`corrected` trace is false, and said to be. How it is written down is a matter of `drive_vqa.traces`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import numpy as np

from drive_vqa.errors import StoreError
from drive_vqa.traces import Dialect, ImageBox, Piece, Point, Seen, Step, Trace, decimal, render
from qa_gen.config import GenerateConfig
from qa_gen.hashing import text_hash
from qa_gen.tracing.reasons import Reason
from qa_gen.tracing.reasons_ego import EGO_REASONS
from qa_gen.tracing.reasons_future import FUTURE_REASONS
from qa_gen.tracing.reasons_object import OBJECT_REASONS
from qa_gen.tracing.reasons_time import TIME_REASONS
from qa_gen.tracing.scene import LogStates, Scene

Style = Literal["chain", "corrected", "direct"]
STYLES: tuple[Style, ...] = get_args(Style)

CORRECTED_SHARE = 0.125
DIRECT_SHARE = 0.125

_USUAL = GenerateConfig()
_HORIZON = re.compile(r"_t\d$")
_THRESHOLD = re.compile(r"-?[\d.]+ (meters|degrees|m/s|seconds)")
_REGION = re.compile(r"Region (\d)")
_REASONS: dict[str, Mapping[str, Reason]] = {
    "object": OBJECT_REASONS,
    "ego": EGO_REASONS,
    "future": FUTURE_REASONS,
    "when_where": TIME_REASONS,
    "unanswerable": TIME_REASONS,
}


def style_of(qa_id: str, seed: int = 0) -> Style:
    """The style that a question gets in a mixed set: one in eight corrected, one in eight direct, the others chains."""
    share = text_hash(f"{seed} {qa_id} style") / 2**64
    if share < CORRECTED_SHARE:
        return "corrected"
    return "direct" if share < CORRECTED_SHARE + DIRECT_SHARE else "chain"


def write_trace(
    question: Mapping[str, Any],
    group: Mapping[str, Any],
    states: LogStates,
    *,
    style: Style,
    seed: int = 0,
    dialect: Dialect = "drive",
    config: GenerateConfig | None = None,
) -> str:
    """Write how a question is answered.

    Args:
        question: a row of the `questions` table.
        group: the row of the `groups` table that it belongs to.
        states: of the log of both, see `qa_gen.scene.read_states`.
        style: see above; where no image shows anything that the answer rests on, `corrected` is a chain.
        seed: chooses what goes wrong in a corrected trace; the rest follows from the question.
        dialect: see `drive_vqa.traces`.
        config: what the questions were generated with; None: the usual.

    Raises:
        StoreError: question, group and log do not belong together, or a text cannot be written in a trace.
    """
    if question["group_id"] != group["group_id"] or group["log_id"] != states.log_id:
        named = f"question {question['qa_id']} of group {question['group_id']}"
        raise StoreError(f"{named} does not go with group {group['group_id']} and log {states.log_id}")
    scene = Scene(question, group, states, config or _USUAL)
    try:
        trace = Trace(_steps(scene, style, seed), question["answer"], scene.offsets_s[0])
        return render(trace, dialect)
    except ValueError as error:
        raise StoreError(
            f"question {question['qa_id']} cannot be written as a trace ({error}): generate again"
        ) from error


def _steps(scene: Scene, style: Style, seed: int) -> tuple[Step, ...]:
    if style == "direct":
        return ()
    located = _locate(scene)
    if style == "corrected":
        located = _with_mistake(scene, located, seed)
    reason = _reason(scene)
    follows = reason(scene) if reason else []
    return (*located, *((sentence,) for sentence in follows), _conclusion(scene))


def _reason(scene: Scene) -> Reason | None:
    """Of the question's type; None for a type that is not known here."""
    reasons, kind = _REASONS.get(scene.question["family"], {}), scene.question["type"]
    return reasons.get(kind) or reasons.get(_HORIZON.sub("", kind))


def _locate(scene: Scene) -> list[Step]:
    """One step for each place where an image shows a mark that the answer rests on; without images, for each of these marks."""
    evidence = sorted({(entry["mark"], entry["context"]) for entry in scene.question["evidence"] or ()})
    order = {mark: place for place, mark in enumerate(scene.question["marks"])}
    evidence.sort(key=lambda entry: (order.get(entry[0], len(order)), entry))
    steps = [_claim(scene, mark, context) for mark, context in evidence if context in scene.regions(mark)]
    shown = {mark for mark, context in evidence if context in scene.regions(mark)}
    unseen = [index for index, mark in enumerate(scene.question["marks"]) if mark not in shown and scene.roles[index]]
    return [*steps, *(step for index in unseen for step in _untold(scene, index))]


def _claim(scene: Scene, mark: int, context: int) -> Step:
    """Which image shows it where, and where that is on the ground."""
    view, offset_s = scene.group["context"][context], scene.offsets_s[context]
    state = scene.there(view["frame"], scene.marks[mark]["track_id"])
    lead: tuple[Piece, ...] = (
        (f"In the image of {scene.camera(context)}, ",) if scene.group["kind"] == "surround" else ()
    )
    claim = (*lead, scene.seen(mark, context))
    return (*claim, " was at " if offset_s < 0 else " is at ", state.place, ".")


def _untold(scene: Scene, role: int) -> list[Step]:
    """Where it is, for logs without images."""
    return [(f"{scene.names[role]} is at ", scene.now(role).place, ".")]


def _with_mistake(scene: Scene, located: list[Step], seed: int) -> list[Step]:
    """Before one of the claims a false one, and in front of the right one that it was wrong and why."""
    claims = [index for index, step in enumerate(located) if any(isinstance(piece, Seen) for piece in step)]
    if not claims:
        return located
    random = np.random.default_rng(text_hash(f"{seed} {scene.question['qa_id']} mistake"))
    index = claims[int(random.integers(len(claims)))]
    right = next(piece for piece in located[index] if isinstance(piece, Seen))
    makers = [_other_mark, _other_time, _other_image, _shifted, _half]
    for maker in (makers[place] for place in random.permutation(len(makers))):
        mistake = maker(scene, right, random)
        if mistake is not None:
            wrong, why = mistake
            lead = [piece for piece in located[index][:1] if isinstance(piece, str)]
            return [*located[:index], (*lead, wrong, "."), _mended(why, located[index]), *located[index + 1 :]]
    return located


def _mended(why: str, step: Step) -> Step:
    """The right step after a word about the wrong one."""
    first, rest = (step[0], step[1:]) if isinstance(step[0], str) else ("", step)
    return (f"Wait, {why} {first}", *rest)


Mistake = tuple[Seen, str] | None


def _context_of(scene: Scene, seen: Seen) -> tuple[int, int]:
    """Mark and context image of a true claim."""
    mark = int(seen.name.removeprefix("Region "))
    return next((mark, context) for context in scene.regions(mark) if scene.seen(mark, context) == seen)


def _other_mark(scene: Scene, right: Seen, random: np.random.Generator) -> Mistake:
    """The box of another mark in the same image."""
    own, context = _context_of(scene, right)
    boxes = [(mark, scene.regions(mark).get(context)) for mark in sorted(scene.marks) if mark != own]
    others = [(mark, box_px) for mark, box_px in boxes if box_px is not None and box_px != right.box_px]
    if not others:
        return None
    mark, box_px = others[int(random.integers(len(others)))]
    return Seen(right.name, box_px, right.offset_s), f"that is the box of {scene.name_of(mark)}, not of {right.name}."


def _other_time(scene: Scene, right: Seen, random: np.random.Generator) -> Mistake:
    """The right box with the time of another image in which the mark is elsewhere."""
    mark, _ = _context_of(scene, right)
    regions = scene.regions(mark)
    times = [
        scene.offsets_s[other]
        for other in range(len(scene.offsets_s))
        if scene.offsets_s[other] != right.offset_s and regions.get(other) != right.box_px
    ]
    if not times:
        return None
    wrong_s = times[int(random.integers(len(times)))]
    why = f"that box is from the image {_taken(right.offset_s)}, not from the one {_taken(wrong_s)}."
    return Seen(right.name, right.box_px, wrong_s), why


def _other_image(scene: Scene, right: Seen, random: np.random.Generator) -> Mistake:
    """The mark's box in another image, with the time of this one."""
    mark, _ = _context_of(scene, right)
    others = [
        (other, box_px)
        for other, box_px in scene.regions(mark).items()
        if box_px != right.box_px and scene.offsets_s[other] != right.offset_s
    ]
    if not others:
        return None
    other, box_px = others[int(random.integers(len(others)))]
    why = f"that is where {right.name} is in the image {_taken(scene.offsets_s[other])}."
    return Seen(right.name, box_px, right.offset_s), why


def _shifted(scene: Scene, right: Seen, random: np.random.Generator) -> Mistake:
    """A box of the same size beside the right one, within the image where its size is known."""
    _, context = _context_of(scene, right)
    view = scene.group["context"][context]
    u0, v0, u1, v1 = right.box_px
    shift_px = max(2, round((u1 - u0) * float(random.uniform(0.4, 1.0))))
    sides = [shift_px, -shift_px] if random.random() < 0.5 else [-shift_px, shift_px]
    for side in sides:
        box_px: ImageBox = (u0 + side, v0, u1 + side, v1)
        if box_px[0] >= 0 and (view["width"] is None or box_px[2] <= view["width"]):
            direction = "right" if side > 0 else "left"
            return Seen(
                right.name, box_px, right.offset_s
            ), f"that box lies too far to the {direction} of {right.name}."
    return None


def _half(_: Scene, right: Seen, random: np.random.Generator) -> Mistake:
    """A part of the right box."""
    u0, v0, u1, v1 = right.box_px
    middle_px = (u0 + u1) // 2
    if middle_px == u0:
        return None
    if random.random() < 0.5:
        return Seen(
            right.name, (u0, v0, middle_px, v1), right.offset_s
        ), f"that box holds the left half of {right.name} only."
    return Seen(
        right.name, (middle_px, v0, u1, v1), right.offset_s
    ), f"that box holds the right half of {right.name} only."


def _taken(offset_s: float) -> str:
    return f"of {decimal(-offset_s)} seconds ago" if offset_s else "of now"


def _conclusion(scene: Scene) -> Step:
    """What the answer is; a region that is the answer is pointed at."""
    return (*_WRITERS.get(scene.question["form"], _answer)(scene),)


def _answer(scene: Scene) -> Step:
    question = scene.question
    if question["answer_type"] == "undetermined":
        return (f"So the answer {question['answer']}.",)
    named = _REGION.fullmatch(question["answer"])
    point = _pointed(scene, int(named[1])) if named else None
    return (f"So the answer is {question['answer']}", *((" ", point) if point else ()), ".")


def _pointed(scene: Scene, mark: int) -> Point | None:
    """The middle of a mark in the last image that shows it."""
    regions = scene.regions(mark)
    if not regions:
        return None
    return Point(*scene.seen(mark, max(regions)).centre_px)


def _verdict(scene: Scene) -> Step:
    """Whether what was claimed or asked holds; a claim about a number is that it is greater."""
    answer, claimed = scene.question["answer"], scene.question["parameter"]
    if claimed is None:
        return (f"So the answer is {answer}.",)
    says = f"more than {claimed}" if _THRESHOLD.fullmatch(claimed) else claimed
    return (
        f"The claim says {says}: that {'holds' if answer == 'yes' else 'does not hold'}, so the answer is {answer}.",
    )


_WRITERS: dict[str, Callable[[Scene], Step]] = {"open": _answer, "choice": _answer, "yes_no": _verdict}
