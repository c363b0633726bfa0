"""Future motion: four front images up to now, and what will be true in 0, 1, 2 and 3 seconds.

A place in the future is told from where the ego will be then, in the ego frame at that time, unless the question says otherwise.
"""

from __future__ import annotations

from qa_gen.families import future_encounter, future_place, future_speed, future_turn
from qa_gen.question_type import QuestionType

TYPES: tuple[QuestionType, ...] = (
    *future_place.TYPES,
    *future_speed.TYPES,
    *future_turn.TYPES,
    *future_encounter.TYPES,
)
