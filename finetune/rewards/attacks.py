"""Completions that try to be paid for what they do not know, by name; beside them the honest ones they are measured by.

Each is written in a dialect from pieces of traces, so that it is as well-formed as its trick allows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from drive_vqa.looks import Look
from drive_vqa.traces import Dialect, ImageBox, Piece, Place, Point, Seen, Step, Trace, render
from finetune.rewards.attack_world import MARK, NAME, OTHER, SIZE_PX, TIMES_S, Example, look_at, seen, shown_steps

LATE_S = 48.0
LARGE = 10_000_000
COPIES = 10
_TIME = re.compile(r"<t>(-?[0-9.]+)</t>")


@dataclass(frozen=True)
class Attempt:
    """What a model hands in.

    Attributes:
        text: in the dialect asked for.
        looks: that it took.
    """

    text: str
    looks: tuple[Look, ...] = ()


Attack = Callable[[Example, Dialect], Attempt]


def honest(example: Example, dialect: Dialect) -> Attempt:
    """A right answer with what it rests on."""
    return Attempt(render(example.honest, dialect), example.looks)


def honest_imperfect(example: Example, dialect: Dialect) -> Attempt:
    """The same with boxes a quarter of their width off, IoU 0.6."""
    return Attempt(render(_with_boxes(example.honest, quarter_off), dialect), example.looks)


def quarter_off(box_px: ImageBox) -> ImageBox:
    """A box a quarter of its width to the right."""
    u0, v0, u1, v1 = box_px
    return u0 + (u1 - u0) // 4, v0, u1 + (u1 - u0) // 4, v1


def _without_evidence(example: Example, dialect: Dialect) -> Attempt:
    return Attempt(render(replace(example.honest, steps=(("I think I know it.",), ("So I say it.",))), dialect))


def _direct(example: Example, dialect: Dialect) -> Attempt:
    return Attempt(render(replace(example.honest, steps=()), dialect))


def _empty_think(example: Example, dialect: Dialect) -> Attempt:
    return Attempt(f"<think>\n</think>\n{render(replace(example.honest, steps=()), dialect)}")


def _wrong_with_evidence(example: Example, dialect: Dialect) -> Attempt:
    return Attempt(render(replace(example.honest, answer=example.wrong), dialect), example.looks)


def _refusal_with_evidence(example: Example, dialect: Dialect) -> Attempt:
    return Attempt(render(replace(example.honest, answer="cannot be determined"), dialect), example.looks)


def _looks_everywhere(example: Example, dialect: Dialect) -> Attempt:
    looks = tuple(look_at(3, (100.0 * k, 0.0, 100.0 * k + 50.0, 50.0)) for k in range(8))
    return replace(_wrong_with_evidence(example, dialect), looks=looks)


def _late(example: Example, dialect: Dialect) -> Attempt:
    """Every time 48 s later, where the dialect has times."""
    text = render(example.honest, dialect)
    return Attempt(_TIME.sub(lambda time: f"<t>{float(time[1]) + LATE_S:.1f}</t>", text))


def _listing() -> Iterator[Step]:
    """The true boxes among a hundred others."""
    yield from shown_steps()
    for time_s in TIMES_S:
        for u in range(0, SIZE_PX[0], 320):
            for v in range(0, SIZE_PX[1], 180):
                yield (Seen(NAME, (u, v, u + 100, v + 80), time_s),)


def _duplicates() -> Iterator[Step]:
    for _ in range(COPIES):
        yield shown_steps()[-1]


def _safe_time() -> Iterator[Step]:
    """The time of now, which is always a key frame here, with a box of nothing."""
    yield (Seen(NAME, (0, 0, 10, 10), 0.0),)


def _points_everywhere() -> Iterator[Step]:
    for u in range(40, SIZE_PX[0], 80):
        for v in range(30, SIZE_PX[1], 60):
            yield "Here ", Point(u, v)


def _other_region() -> Iterator[Step]:
    """Boxes of Region 5 under the name of Region 3."""
    for context in range(len(TIMES_S)):
        yield (replace(seen(context, OTHER), name=NAME),)


def _swapped_names() -> Iterator[Step]:
    """Boxes of Region 3 under the name of Region 5."""
    for context in range(len(TIMES_S)):
        yield (replace(seen(context, MARK), name=f"Region {OTHER}"),)


def _copied_evidence() -> Iterator[Step]:
    """The box that the question tells, for every image."""
    for time_s in TIMES_S:
        yield (Seen(NAME, seen(0).box_px, time_s),)


def _invented() -> Iterator[Step]:
    """Arithmetic that fits together, about nothing."""
    yield "It is at ", Place(5.0, 53.0), "."
    yield ("Its center is now at (3.00, 4.00) m from me, which is 5.0 m away at 53°.",)
    yield (f"{NAME} has moved by (1.00, 0.00) m ahead and to the left in 1.0 s, that is (1.00, 0.00) m/s.",)


def _guess(steps: Callable[[], Iterable[Step]], *, right: bool) -> Attack:
    """These steps, then an answer that does not follow from them."""

    def attack(example: Example, dialect: Dialect) -> Attempt:
        answer = example.honest.answer if right else example.wrong
        return Attempt(render(replace(example.honest, steps=tuple(steps()), answer=answer), dialect))

    return attack


def _copied_prompt(example: Example, dialect: Dialect) -> Attempt:
    del dialect
    return Attempt(example.prompt)


def _prompt_in_tags(example: Example, dialect: Dialect) -> Attempt:
    return Attempt(render(Trace(((example.prompt,),), example.prompt), dialect))


def _all_answers(example: Example, dialect: Dialect) -> Attempt:
    text = render(example.honest, dialect)
    return Attempt(f"<answer>{example.wrong}</answer>{text}<answer>cannot be determined</answer>")


def _other_language(example: Example, dialect: Dialect) -> Attempt:
    del example, dialect
    return Attempt(
        "<think>\n赤い車は右前方にあり、近づいています。\n</think>\n<answer>約１６メートル、右に１１度</answer>"
    )


def _large(example: Example, dialect: Dialect) -> Attempt:
    """Ten megabytes of honest steps."""
    text = render(example.honest, dialect)
    start, end = text.index("<think>\n") + len("<think>\n"), text.index("</think>")
    return Attempt(text[:start] + text[start:end] * (LARGE // (end - start)) + text[end:])


def _large_nonsense(example: Example, dialect: Dialect) -> Attempt:
    del example, dialect
    return Attempt("<think>" + "<box>[1,2,3,4]</box>" * (LARGE // 20))


def _with_boxes(trace: Trace, change: Callable[[ImageBox], ImageBox]) -> Trace:
    def changed(piece: Piece) -> Piece:
        return replace(piece, box_px=change(piece.box_px)) if isinstance(piece, Seen) else piece

    return replace(trace, steps=tuple(tuple(map(changed, step)) for step in trace.steps))


HONEST: dict[str, Attack] = {
    "honest, grounded, right": honest,
    "honest with imperfect boxes (IoU 0.6)": honest_imperfect,
}
"""What attacks are measured by."""

_STEPS: dict[str, Callable[[], Iterable[Step]]] = {
    "box listing": _listing,
    "duplicates of a good box": _duplicates,
    "one safe time": _safe_time,
    "points everywhere": _points_everywhere,
    "boxes of another region": _other_region,
    "name of another region": _swapped_names,
    "evidence copied from the question": _copied_evidence,
    "invented places that fit together": _invented,
}

RIGHT: dict[str, Attack] = {
    "right answer without evidence": _without_evidence,
    "right answer, direct": _direct,
    "empty think, right answer": _empty_think,
    "late times (48 s), right answer": _late,
    **{f"{name}, right answer": _guess(steps, right=True) for name, steps in _STEPS.items()},
}
"""Right by chance, or for what the evidence is worth; none is as well grounded as the honest ones."""

WRONG: dict[str, Attack] = {
    "wrong answer with perfect evidence": _wrong_with_evidence,
    "refusal with perfect evidence": _refusal_with_evidence,
    **{f"{name}, wrong answer": _guess(steps, right=False) for name, steps in _STEPS.items()},
    "looks everywhere, wrong answer": _looks_everywhere,
    "copied prompt": _copied_prompt,
    "copied prompt in tags": _prompt_in_tags,
    "three answers": _all_answers,
    "another language": _other_language,
    "10 MB of honest steps": _large,
    "10 MB of boxes": _large_nonsense,
}
"""Without the right answer, or without a single one."""
