"""Object-centric questions: one image, one, two or three marked agents and how they stand to each other."""

from __future__ import annotations

from qa_gen.families import object_among, object_nature, object_place
from qa_gen.question_type import QuestionType

TYPES: tuple[QuestionType, ...] = (*object_place.TYPES, *object_nature.TYPES, *object_among.TYPES)
