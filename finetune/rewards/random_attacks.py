"""Random completions from pieces of honest and of hostile ones, the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from drive_vqa.looks import Look
from drive_vqa.traces import ImageBox, Piece, Place, Point, Seen, Step, render
from finetune.rewards.attack_world import MARK, NAME, OTHER, SIZE_PX, TIMES_S, Example, look_at, seen
from finetune.rewards.attacks import Attempt, quarter_off

_MOST_STEPS = 12
_MOST_LOOKS = 5
_SPOILED_SHARE = 0.3
_HONEST_STEPS_SHARE = 0.4
_KEPT_SHARE = 0.7
_RIGHT_SHARE = 0.5
_FRAGMENTS = (
    *(
        "<think>",
        "</think>",
        "<answer>",
        "</answer>",
        "<box>[1,2,3,4]</box>",
        "<obj>",
        "at<t>0.0</t>s",
        "<pos>9.0 m, 9°</pos>",
    ),
    *("\n", " ", "°", "-", "9", "\x00", "\ud800", "和", "<", "So the answer is 1 m."),
)

Draw = Callable[[Random], Piece]


def random_attempt(example: Example, random: Random) -> Attempt:
    """A completion in the dialect `drive`: right or wrong, grounded or not, some of them spoiled afterwards."""
    steps = _honest_steps(example, random) if random.random() < _HONEST_STEPS_SHARE else _any_steps(random)
    text = render(replace(example.honest, steps=steps, answer=_answer(example, random)))
    while random.random() < _SPOILED_SHARE:
        text = random.choice(_SPOILERS)(text, random)
    looks = tuple(_look(example, random) for _ in range(random.randint(0, _MOST_LOOKS)))
    return Attempt(text, looks)


def _honest_steps(example: Example, random: Random) -> tuple[Step, ...]:
    """Honest steps, some left out, some doubled, some with a piece replaced, in any order."""
    kept = [step for step in example.honest.steps if random.random() < _KEPT_SHARE]
    steps = [_changed(step, random) for step in (*kept, *random.choices(example.honest.steps, k=random.randint(0, 3)))]
    random.shuffle(steps)
    return tuple(steps)


def _changed(step: Step, random: Random) -> Step:
    """One piece of a step replaced by another of its kind, mostly none."""
    index = random.randrange(len(step) * 4)
    if index >= len(step):
        return step
    draw = _DRAWS[type(step[index])]
    return (*step[:index], draw(random), *step[index + 1 :])


def _any_steps(random: Random) -> tuple[Step, ...]:
    count = random.randint(0, _MOST_STEPS)
    return tuple(tuple(random.choice(_PIECES)(random) for _ in range(random.randint(1, 3))) for _ in range(count))


def _answer(example: Example, random: Random) -> str:
    if random.random() < _RIGHT_SHARE:
        return example.honest.answer
    return random.choice(
        (example.wrong, "cannot be determined", "16.9 meters", f"{random.uniform(0, 60):.1f} meters, -11 degrees", "1")
    )


def _words(random: Random) -> str:
    first, second = random.uniform(-30, 30), random.uniform(-30, 30)
    return random.choice(
        (
            "I look closely.",
            f"{NAME} has moved by ({first:.2f}, 0.00) m ahead and to the left in 1.5 s, that is ({first / 1.5:.2f}, 0.00) m/s.",
            f"In 2 seconds this would lead to ({first:.2f}, {second:.2f}) m, which is 16.3 m at -11°.",
            f"I expect {NAME} at (16.00, -3.00) m, 16.3 m away at -11°.",
            f"Its distance has gone from 30.15 m to {second:.2f} m in 1.5 s, -3.97 m/s.",
        )
    )


def _seen(random: Random) -> Seen:
    """Mostly the true box of a mark, or one near it, mostly of its image and under its name."""
    true = seen(random.randrange(len(TIMES_S)), random.choice((MARK, MARK, OTHER)))
    box_px = random.choice((true.box_px, quarter_off(true.box_px), _any_box(random)))
    offset_s = random.choice((true.offset_s, true.offset_s, -random.uniform(0, 60)))
    return Seen(random.choice((true.name, NAME, "the car")), box_px, offset_s)


def _any_box(random: Random) -> ImageBox:
    u0, v0 = random.randrange(SIZE_PX[0] - 1), random.randrange(SIZE_PX[1] - 1)
    return u0, v0, random.randint(u0 + 1, SIZE_PX[0]), random.randint(v0 + 1, SIZE_PX[1])


def _point(random: Random) -> Point:
    return Point(random.randint(-50, SIZE_PX[0] + 50), random.randint(-50, SIZE_PX[1] + 50))


def _place(random: Random) -> Place:
    return random.choice(
        (Place(24.2, -7.1), Place(30.1, -5.7), Place(random.uniform(0, 80), random.uniform(-180, 180)))
    )


def _look(example: Example, random: Random) -> Look:
    u0, v0, u1, v1 = map(float, _any_box(random))
    return random.choice((*example.looks, look_at(random.randrange(len(TIMES_S)), (u0, v0, u1, v1))))


def _put(text: str, random: Random) -> str:
    at = random.randint(0, len(text))
    return text[:at] + random.choice(_FRAGMENTS) + text[at:]


def _cut(text: str, random: Random) -> str:
    start = random.randint(0, len(text))
    return text[:start] + text[start + random.randint(1, 40) :]


def _double(text: str, random: Random) -> str:
    start = random.randint(0, len(text))
    end = min(len(text), start + random.randint(1, 300))
    return text[:end] + text[start:end] * random.randint(1, 5) + text[end:]


_DRAWS: dict[type, Draw] = {str: _words, Seen: _seen, Point: _point, Place: _place}
_PIECES: tuple[Draw, ...] = (_words, _seen, _seen, _point, _place)
_SPOILERS: tuple[Callable[[str, Random], str], ...] = (_put, _cut, _double)
