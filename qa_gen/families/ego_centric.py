"""Ego-centric questions: images of one moment, and where marked agents are as seen from the ego."""

from __future__ import annotations

from qa_gen.families import ego_among, ego_place, ego_stance, ego_view
from qa_gen.question_type import QuestionType

TYPES: tuple[QuestionType, ...] = (*ego_place.TYPES, *ego_stance.TYPES, *ego_view.TYPES, *ego_among.TYPES)
