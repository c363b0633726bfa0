"""How the images show a marked agent: hidden in part or not, and which camera sees most of it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from drive_vqa.prompt import camera_words
from qa_gen.asked import Asked
from qa_gen.question_type import EXACT, QuestionType, Truth
from qa_gen.relations.margins import yes_no

HIDDEN_BELOW, FREE_ABOVE = 0.7, 0.95
"""Visible shares between these are neither clearly hidden in part nor clearly free."""
BORDER_PX = 2.0
"""A region this near to the edge of its image may go on beyond it."""
SECOND_BELOW = 0.8
"""The second best camera must show less than this share of what the best one shows."""

CAMERAS = (
    "front camera",
    "front left camera",
    "front right camera",
    "left camera",
    "right camera",
    "back camera",
    "back left camera",
    "back right camera",
)
HIDDEN_WORDS = "with at least 15 percent of it covered by something in front of it"


def _regions(asked: Asked) -> Float[np.ndarray, "n c 5"]:
    return np.asarray(asked.groups.regions[asked.group, asked.slots[:, 0]])


def _partly_hidden(asked: Asked) -> Truth:
    regions = _regions(asked)
    best = np.where(np.isnan(regions[:, :, 4]), -1.0, regions[:, :, 4]).argmax(axis=1)
    region = regions[np.arange(len(best)), best]
    size_px = asked.groups.context_sizes[best]
    inner = (region[:, :2] > BORDER_PX).all(axis=1) & (region[:, 2:4] < size_px - BORDER_PX).all(axis=1)
    return {"bool": yes_no(inner & (region[:, 4] < HIDDEN_BELOW), inner & (region[:, 4] > FREE_ABOVE))}


def _best_camera(asked: Asked) -> Truth:
    cameras, regions, rows = asked.groups.context_cameras, asked.drive.regions, asked.now().rows
    shares = [regions[camera][rows, 4] for camera in cameras if camera is not None]
    if len(shares) < 2:
        return {"choice": np.full(len(rows), -1)}
    shown = np.stack(shares, axis=1)
    shown = np.where(np.isnan(shown), 0.0, shown)
    second, most = np.sort(shown, axis=1)[:, -2:].T
    words = [camera_words(camera) for camera in cameras if camera is not None]
    choice_of = np.array([CAMERAS.index(word) if word in CAMERAS else -1 for word in words])
    return {"choice": np.where(second < SECOND_BELOW * most, choice_of[shown.argmax(axis=1)], -1)}


TYPES: tuple[QuestionType, ...] = (
    QuestionType(
        name="partly_hidden",
        family="ego",
        answer_type="bool",
        roles=1,
        wordings=(
            f"Is {{a}} partly hidden where it is seen best, {HIDDEN_WORDS}? Answer yes or no.",
            f"Yes or no: even where it is seen best, is {{a}} partly hidden, {HIDDEN_WORDS}?",
            "Does something stand between the camera and {a} and cover at least 15 percent of it, even where it is "
            "seen best? Answer no or yes.",
            "Is at least 15 percent of {a} covered by something nearer to the camera, even where it is seen best, yes "
            "or no?",
            f"Is my view of {{a}} partly blocked, even where it is seen best, {HIDDEN_WORDS}? Answer yes or no.",
            "Where {a} is seen best, is a part of it, 15 percent or more, out of sight behind something else? Answer "
            "no or yes.",
            "Can I see less than 85 percent of {a} where it is seen best, because other things cover the rest, yes or "
            "no?",
            f"Tell me with yes or no whether {{a}} is partly hidden where it is seen best, {HIDDEN_WORDS}.",
        ),
        definition=(
            f"In the present image that shows the greatest share of A: yes if less than {HIDDEN_BELOW:.0%} of it is "
            f"visible, no if more than {FREE_ABOVE:.0%} is. Not asked in between, nor where A's region is within "
            f"{BORDER_PX:g} px of the image's edge."
        ),
        truth=_partly_hidden,
        tolerance=EXACT,
    ),
    QuestionType(
        name="best_camera",
        family="ego",
        answer_type="choice",
        roles=1,
        wordings=(
            "Which camera of my car shows the largest part of {a}?",
            "In the image of which camera is most of {a} visible?",
            "Which of my cameras sees {a} most completely?",
            "Through which camera can I see the greatest share of {a}?",
            "The image of which camera shows more of {a} than any other?",
            "Which camera would I look at to see as much of {a} as possible?",
            "By which camera of my car is {a} captured most fully?",
            "If I could keep only one camera to see as much of {a} as possible, which one would it be?",
        ),
        definition=(
            "The camera whose present image shows the greatest share of A. Not asked where the second best shows "
            f"{SECOND_BELOW:.0%} of that share or more, nor where the camera has no name in plain words."
        ),
        truth=_best_camera,
        tolerance=EXACT,
        choices=CAMERAS,
        claims=tuple(f"the {words} of my car shows more of {{a}} than any other of its cameras" for words in CAMERAS),
        kinds=("surround",),
    ),
)
