"""Unanswerable: questions whose right answer is that what is shown does not tell.

A mark that is not there is asked about in the very wordings of the answerable types, so that only a look at the images tells.
What is hidden or behind is there: the log has it, the images do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Bool, Float, Int, UInt64

from drive_vqa.categories import CATEGORIES
from drive_vqa.geometry import bearing_deg, wrap_deg
from qa_gen.asked import Asked
from qa_gen.drive import CATEGORY_CODES, Drive
from qa_gen.families import ego_centric, future_motion, object_centric
from qa_gen.groups import NUMBERS
from qa_gen.hashing import below, mix, text_hash
from qa_gen.question_type import EXACT, NUMERIC, QuestionType, Truth

HIDDEN_FRACTION = 0.02
"""Of something hidden, no image shows more than this share."""

HIDDEN_WITHIN_DEG = 3.0
HIDDEN_MAX_M = 60.0
BEHIND_DEG = 150.0
BEHIND_MAX_M = 30.0

HIDDEN_CATEGORIES = tuple(category for category in CATEGORIES.values() if category.movable)
_PARAMETER = np.full(len(CATEGORIES) + 1, -1)
_PARAMETER[[CATEGORY_CODES[category.name] for category in HIDDEN_CATEGORIES]] = np.arange(len(HIDDEN_CATEGORIES))
_VEHICLE = np.array([category.vehicle for category in CATEGORIES.values()] + [False])
_ASKED_OPENLY = (*NUMERIC, "localization", "position", "motion")


def _absent_mark(asked: Asked) -> Truth:
    number = _absent_number(asked, _draws(asked, "mark"))
    return {"undetermined": _ask(number >= 0), "numbers": number[:, None]}


def _absent_pair(asked: Asked) -> Truth:
    own = asked.numbers[:, 0]
    number = _absent_number(asked, _draws(asked, "pair", own))
    return {"undetermined": _ask(number >= 0), "numbers": np.stack([own, number], axis=-1)}


def _hidden_behind(asked: Asked) -> Truth:
    """The nearest that is hidden behind the mark, if several are."""
    subject, rows = _everyone_at(asked.drive, asked.frame)
    front = asked.now()
    distance_m, direction_deg = _polar(asked.drive, rows)
    parameter = _PARAMETER[asked.drive.category[rows]]
    in_line = np.abs(wrap_deg(direction_deg - front.bearing_deg[subject])) <= HIDDEN_WITHIN_DEG
    behind = in_line & (distance_m > front.distance_m[subject]) & (distance_m <= HIDDEN_MAX_M)
    unseen = (asked.drive.in_view[rows] == 1) & (_seen_fraction(asked, subject, rows) < HIDDEN_FRACTION)
    subject, distance_m, parameter = _take(behind & unseen & (parameter >= 0), subject, distance_m, parameter)
    found, chosen = _nearest(len(asked), subject, distance_m, parameter)
    return {"undetermined": _ask(found), "parameter": chosen}


def _unseen_behind(asked: Asked) -> Truth:
    subject, rows = _everyone_at(asked.drive, asked.frame)
    distance_m, direction_deg = _polar(asked.drive, rows)
    close = (np.abs(direction_deg) > BEHIND_DEG) & (distance_m < BEHIND_MAX_M)
    follows = close & _VEHICLE[asked.drive.category[rows]] & (_seen_fraction(asked, subject, rows) == 0.0)
    found = np.zeros(len(asked), dtype=bool)
    found[subject[follows]] = True
    return {"undetermined": _ask(found)}


def _absent_number(asked: Asked, draws: UInt64[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """One of the numbers that no mark of the group bears; -1 where all are dealt."""
    free = ~(asked.mark_numbers[:, :, None] == np.arange(NUMBERS)).any(axis=1)
    pick = below(draws, free.sum(axis=1))
    is_picked = free & (np.cumsum(free, axis=1) == pick[:, None] + 1)
    return np.where(is_picked.any(axis=1), np.argmax(is_picked, axis=1), -1)


def _draws(asked: Asked, purpose: str, *columns: Int[np.ndarray, "n"]) -> UInt64[np.ndarray, "n"]:
    """One hash a subject, of the log, the group's kind and frame, and what else is given."""
    salt = text_hash(f"{asked.config.seed} absent {purpose} {asked.groups.kind}")
    return mix(salt, asked.drive.moment_hash[asked.frame], *columns)


def _everyone_at(drive: Drive, frame: Int[np.ndarray, "n"]) -> tuple[Int[np.ndarray, "m"], Int[np.ndarray, "m"]]:
    """All agents tracked in each subject's frame: the subject, and the row of the track table."""
    first, count = drive.first_row[frame], drive.first_row[frame + 1] - drive.first_row[frame]
    subject = np.repeat(np.arange(len(frame)), count)
    return subject, np.arange(len(subject)) + np.repeat(first - (np.cumsum(count) - count), count)


def _polar(drive: Drive, rows: Int[np.ndarray, "m"]) -> tuple[Float[np.ndarray, "m"], Float[np.ndarray, "m"]]:
    x_m, y_m = drive.boxes["x_m"][rows], drive.boxes["y_m"][rows]
    return np.hypot(x_m, y_m), np.asarray(bearing_deg(x_m, y_m))


def _seen_fraction(asked: Asked, subject: Int[np.ndarray, "m"], rows: Int[np.ndarray, "m"]) -> Float[np.ndarray, "m"]:
    """The greatest share of each agent that an image of the group shows; 0 where none shows any of it."""
    tracks, greatest = asked.drive.row_track[rows], np.zeros(len(rows))
    for context, camera in enumerate(asked.groups.context_cameras):
        if camera is not None:
            then = asked.drive.row_of(asked.groups.context[asked.group[subject], context], tracks)
            greatest = np.fmax(greatest, asked.drive.regions[camera][then, 4])
    return greatest


def _take(chosen: Bool[np.ndarray, "m"], *columns: np.ndarray) -> Iterable[np.ndarray]:
    return (column[chosen] for column in columns)


def _nearest(
    count: int, subject: Int[np.ndarray, "m"], distance_m: Float[np.ndarray, "m"], value: Int[np.ndarray, "m"]
) -> tuple[Bool[np.ndarray, "n"], Int[np.ndarray, "n"]]:
    """For each of `count` subjects: whether it has candidates, and the value of the nearest; -1 where it has none."""
    chosen = np.full(count, -1, dtype=np.int64)
    order = np.lexsort((-distance_m, subject))
    chosen[subject[order]] = value[order]  # the last assignment stays: the nearest
    return chosen >= 0, chosen


def _ask(whether: Bool[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    return np.where(whether, 1, -1)


def _borrowed(types: Iterable[QuestionType], roles: int, kind: str) -> tuple[str, ...]:
    """Wordings of the questions with a number as answer that are asked openly about so many marks in groups of a kind."""
    fitting = (
        other
        for other in types
        if other.roles == roles
        and other.answer_type in _ASKED_OPENLY
        and kind in other.group_kinds
        and not other.parameters
    )
    return tuple(dict.fromkeys(wording for other in fitting for wording in other.wordings))


HIDDEN_WORDINGS = (
    "How far from me is the {p} that stands entirely hidden behind {a}, in meters?",
    "What about the {p} out of my sight behind {a}: how many meters is it away from me?",
    "What is the distance in meters from my car to the {p} that {a} hides completely?",
    "How many meters away from me is the {p} that is out of my sight because {a} is in front of it?",
    "{a} blocks my view of the {p} behind it. How far away is that {p}, in meters?",
    "Give the distance in meters between me and the {p} that is fully covered by {a}.",
    "At what distance from me, in meters, is the {p} that lies out of sight behind {a}?",
    "In line with {a}, and wholly hidden by it, is the {p} that I ask about. How far from me is it, in meters?",
    "Tell me how many meters away the {p} is that {a} keeps entirely out of my view.",
)
BEHIND_WORDINGS = (
    "How far behind me is the vehicle that follows my car, in meters?",
    "There is a vehicle behind my car. How many meters away from me is it?",
    "What is the distance in meters between my car and the vehicle at my back?",
    "How many meters does the vehicle behind me stay back?",
    "Give the distance in meters from me to the vehicle that is behind my car.",
    "At what distance behind my car, in meters, is the vehicle at the rear?",
    "How close is the vehicle behind me, in meters?",
    "Tell me how many meters there are between me and the vehicle to my rear.",
)

_MARK_TYPES = (*ego_centric.TYPES, *object_centric.TYPES, *future_motion.TYPES)


ABSENT = "Cannot be determined: the wordings are those of other types with a number as answer, about"
ABSENT_MARK = f"{ABSENT} a number that no mark of the group bears. Not asked where all numbers are dealt."
ABSENT_PAIR = f"{ABSENT} A and a number that no mark of the group bears. Not asked where all numbers are dealt."
HIDDEN = (
    "Cannot be determined: how far away an agent of the named kind is that the log tracks within a camera's view and farther "
    f"away than A, at most {HIDDEN_MAX_M:g} m away and with its center within {HIDDEN_WITHIN_DEG:g} degrees of A's bearing, but "
    f"of which no image of the group shows {HIDDEN_FRACTION:.0%} or more. Asked only where there is one; of several the nearest "
    "is named."
)
BEHIND = (
    "Cannot be determined: how far away a vehicle behind me is that no image of the group shows. Asked only where the log "
    f"tracks one, less than {BEHIND_MAX_M:g} m away and at a bearing of more than {BEHIND_DEG:g} degrees to either side."
)


def _type(
    name: str,
    roles: int,
    wordings: tuple[str, ...],
    truth: Callable[[Asked], Truth],
    definition: str,
    kinds: tuple[str, ...],
    parameters: tuple[str, ...] = (),
) -> QuestionType:
    return QuestionType(
        name=name,
        family="unanswerable",
        answer_type="undetermined",
        roles=roles,
        wordings=wordings,
        truth=truth,
        tolerance=EXACT,
        definition=definition,
        parameters=parameters,
        kinds=kinds,
    )


_NOUNS = tuple(category.noun for category in HIDDEN_CATEGORIES)

TYPES: tuple[QuestionType, ...] = (
    _type("absent_mark", 0, _borrowed(_MARK_TYPES, 1, "single"), _absent_mark, ABSENT_MARK, ("single",)),
    _type("absent_mark_future", 0, _borrowed(_MARK_TYPES, 1, "sequence"), _absent_mark, ABSENT_MARK, ("sequence",)),
    _type("absent_pair", 1, _borrowed(_MARK_TYPES, 2, "single"), _absent_pair, ABSENT_PAIR, ("single",)),
    _type("hidden_behind", 1, HIDDEN_WORDINGS, _hidden_behind, HIDDEN, ("single",), _NOUNS),
    _type("unseen_behind", 0, BEHIND_WORDINGS, _unseen_behind, BEHIND, ("single", "sequence")),
)
