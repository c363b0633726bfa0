"""Reads who is asked about with respect to whom, and what is claimed, from the words of a question.

A question's columns may be right and its words exchange the two regions, or claim something else; so words that tell the roles
are looked for, with the regions named A, B and C by their roles.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from tests.qa_gen.oracle.case import Case

CENTER = r"(?:the (?:center|middle|midpoint|heading|direction) of )?"
VIEWER = (
    r"(?:[Ss]een from|viewpoint of|position of|place of|from|[Ff]rom|around|at|sat in|behind|[Rr]elative to the way"
    rf"|heading of|line across|front of|side of|straight ahead of|way|facing where) {CENTER}X\b"
)
LEFT_RIGHT = (
    r"(?:left of|right of|side of|looking at|respect to|left than|right than) (?:the direction from my car to )?X\b"
)
OFFSET = rf"(?:left of|offset of [ABC] from|from|[Ff]rom|than|ahead of me than|ahead of|behind) {CENTER}X\b"
TURNED = (
    rf"(?:from {CENTER}X\b|If X were to face|[Cc]ompared with where X|heading of X as 0|from the direction X"
    r"|relative to that of X|From the way X)"
)
CLOSER_TO = (
    rf"(?:closer to|nearer to|distance to|[Ss]tarting from|neighbor of|istances of [ABC] and [ABC] from) {CENTER}X\b"
)
REFERENCE = {
    **dict.fromkeys(("pair_clock", "pair_bearing", "front_behind", "left_right_own"), (VIEWER, "A")),
    **dict.fromkeys(("pair_lateral", "pair_longitudinal"), (OFFSET, "A")),
    "relative_heading": (TURNED, "A"),
    "closer_to": (CLOSER_TO, "A"),
    "left_right": (LEFT_RIGHT, "B"),
    "above_below": (rf"(?:than|compare in height with) (?:that of )?{CENTER}X\b", "B"),
    "between": (r"(?:is|does|stand|whether|center of) X (?:between|lie|stand|is located|beside|within|at no)", "C"),
}
"""Type → words around a region that give it a role, and which role: it must be that region's, and no other's."""

YES_NO = r"\b(?:yes|no)\b|(?:^|[.:,] )(?:[Ii]s|[Aa]re|[Dd]o|[Dd]oes|[Ww]ill|[Ww]ould|[Cc]an) "

CLAIM: dict[str, dict[str, str]] = {
    "left_right": {"left": r"A is to the left of B", "right": r"A is to the right of B"},
    "front_behind": {"in front": r"B is in front of A", "behind": r"B is behind A"},
    "left_right_own": {"left": r"B is on the left side of A", "right": r"B is on the right side of A"},
    "above_below": {
        "higher": r"center of A is higher than the center of B",
        "lower": r"center of A is lower than the center of B",
    },
    "pair_heading": {"the same way": r"same way", "opposite ways": r"opposite ways", "across each other": r"across"},
    "side": {"left": r"A is to my left", "right": r"A is to my right"},
    "ahead_behind": {"ahead": r"A is ahead of", "behind": r"A is behind"},
    "lane_relation": {
        "my lane": r"A is in my lane",
        "the lane to my left": r"next to mine on my left",
        "the lane to my right": r"next to mine on my right",
        "a lane of oncoming traffic": r"in a lane of oncoming traffic",
        "a crossing lane": r"lane that crosses",
    },
    "facing": {
        "same way": r"A faces the same way as my",
        "opposite way": r"A faces the opposite way",
        "across": r"A faces across",
    },
    "approach": {
        "closing": r"closer to me",
        "receding": r"farther away from me",
        "keeping its distance": r"stay the same",
    },
    "motion_state": {"moving": r"A is moving", "stopped": r"A is stopped", "parked": r"A is parked"},
    "speed_change": {
        "speeding up": r"A will be faster in",
        "slowing down": r"A will be slower in",
        "keeping its speed": r"same as now",
    },
    "ego_speed_change": {
        "speeding up": r"I will be faster in",
        "slowing down": r"I will be slower in",
        "keeping my speed": r"same as now",
    },
    "turning": {
        "turning left": r"A will turn left",
        "turning right": r"A will turn right",
        "going straight": r"A will keep moving .* turn by less than 7 degrees",
        "standing still": r"A will stand still",
    },
    "ego_turning": {
        "turning left": r"I will turn left",
        "turning right": r"I will turn right",
        "going straight": r"I will keep moving .* turn by less than 7 degrees",
        "standing still": r"I will stand still",
    },
    "arrives_first": {"I": r"I will .*before A", "A": r"A will .*before (?:me|I do)"},
}
"""Type without its horizon → claimed answer → words that claim it."""

COMPARED = {
    "closer": "closer to me than", "farther_ahead": "farther ahead than", "taller": "taller than", "wider": "wider than",
    "longer": "longer than", "bigger": "bigger than", "faster": "moving faster over the ground than",
    "closer_to": "closer to A than",
}  # fmt: skip
"""Type whose answer is a region → what a claim says of it."""

NAMED = {
    "category": "is an? {}",
    "manoeuvre": "best called (?:an )?{} \\(",
    "best_camera": "the {} of my car shows more of A",
}
"""Type whose claims hold the answer's own words."""


def reading_faults(case: Case) -> Iterable[str]:
    """Whether the words tell the roles of the regions, and claim what `parameter` says."""
    row = case.row
    if row["family"] == "unanswerable":
        return ()
    roles = {f"Region {mark}": letter for mark, letter in zip(row["marks"], "ABC", strict=False)}
    text, parameter = (
        re.sub(r"Region \d+", lambda found: roles.get(found[0], "Z"), words)
        for words in (row["question"], row["parameter"] or "")
    )
    return faults_of_text(row["type"], row["form"], text, parameter, row["answer_type"] == "bool")


@lru_cache(maxsize=100_000)
def faults_of_text(name: str, form: str, text: str, parameter: str, answers_yes: bool) -> tuple[str, ...]:
    """For a text with its regions named by role."""
    if form == "yes_no" and parameter:
        return _claim_faults(re.sub(r"_t\d$", "", name), text, parameter)
    faults = []
    if name in REFERENCE:
        pattern, role = REFERENCE[name]
        told = {letter for letter in "ABC" if re.search(pattern.replace("X", letter), text, re.IGNORECASE)}
        if told != {role}:
            faults.append(f"the words make {sorted(told)} what {role} should be: {text!r}")
    if answers_yes and not re.search(YES_NO, text):
        faults.append(f"does not ask for yes or no: {text!r}")
    return tuple(faults)


def _claim_faults(name: str, text: str, parameter: str) -> tuple[str, ...]:
    claim = _claim_pattern(name, parameter)
    return () if re.search(claim, text, re.IGNORECASE) else (f"does not claim {parameter!r}: {text!r}",)


def _claim_pattern(name: str, parameter: str) -> str:
    if name in COMPARED:
        return rf"\b{parameter} is {COMPARED[name]}"
    if name in NAMED:
        return NAMED[name].format(re.escape(parameter))
    if name in CLAIM:
        return rf"\b{CLAIM[name].get(parameter, 'an answer that is none')}\b"
    return rf"\b(?:more|greater|faster|longer|higher|wider|later) than {re.escape(parameter)}(?!\w)"
