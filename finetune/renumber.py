"""Marks with numbers dealt anew: the same objects, questions and answers under other numbers.

A store deals the numbers of a group once. Who learns the same group several times could learn them by heart; dealt anew at each
visit, no number stands for a place, and the colours, which belong to numbers, follow.

Everything that names a region says "Region N" (see `drive_vqa.region_forms`), so that turning these names turns texts exactly; no
answer depends on the numbers themselves. Texts that mention numbered regions in any other way are left alone with their group.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from drive_vqa.marks import MARK_COLORS_RGB
from drive_vqa.region_forms import NAME
from finetune.lesson import Lesson, Row

NUMBERS = len(MARK_COLORS_RGB)
"""Numbers that can be dealt: 0 to 9, all of one digit, so that no text changes its length."""

OTHER_NAMES = re.compile(r"\b(?:regions?|marks?|objects?|numbers?|boxes|box)\s+#?\d|\bregion_\d|#\d", re.IGNORECASE)
"""Ways to name a mark other than "Region N"."""

Deal = Mapping[int, int]


def renumber(lesson: Lesson, seed: int, visit: int) -> Lesson:
    """The lesson with its marks' numbers dealt anew; the lesson itself where that cannot be done exactly.

    Numbers that no mark has are dealt as well: a question about a mark that is not there asks for one that is not there.

    Args:
        lesson: group and questions, regions named by drawn marks.
        seed: of the training.
        visit: how often the lesson was shown before.
    """
    if not _is_exact(lesson):
        return lesson
    numbers = list(range(NUMBERS))
    random.Random(f"{seed} {visit} {lesson.group['group_id']}").shuffle(numbers)  # noqa: S311 - no secret
    deal = dict(enumerate(numbers))
    marks = [{**mark, "mark": deal[mark["mark"]]} for mark in lesson.group["marks"]]
    group = {**lesson.group, "marks": sorted(marks, key=lambda mark: int(mark["mark"]))}
    return replace(lesson, group=group, questions=tuple(_dealt(question, deal) for question in lesson.questions))


def _is_exact(lesson: Lesson) -> bool:
    numbers = {mark["mark"] for mark in lesson.group["marks"]}
    numbers |= {number for question in lesson.questions for number in _numbers_of(question)}
    texts = [text for question in lesson.questions for text in _texts(question)]
    named = {int(number) for text in texts for number in NAME.findall(text)}
    odd = any(OTHER_NAMES.search(NAME.sub("", text)) for text in texts)
    return all(0 <= number < NUMBERS for number in numbers | named) and not odd


def _numbers_of(question: Row) -> list[int]:
    truth = question.get("truth") or {}
    return [*(question.get("marks") or ()), *(truth.get("marks") or ())]


def _texts(question: Row) -> list[str]:
    return [question["question"], *(question.get("options") or ()), question["answer"]]


def _dealt(question: Row, deal: Deal) -> Row:
    """The question with other numbers; options keep their order, and with it their letters."""
    turn = _turner(deal)
    turned = {**question, "question": turn(question["question"]), "answer": turn(question["answer"])}
    if question.get("options"):
        turned["options"] = [turn(option) for option in question["options"]]
    if question.get("marks"):
        turned["marks"] = [deal[mark] for mark in question["marks"]]
    if question.get("evidence"):
        turned["evidence"] = [{**entry, "mark": deal[entry["mark"]]} for entry in question["evidence"]]
    if question.get("truth"):
        turned["truth"] = _dealt_truth(question["truth"], deal, turn)
    return _rising(turned) if question.get("answer_type") == "regions" else turned


def _turner(deal: Deal) -> Callable[[str], str]:
    return lambda text: NAME.sub(lambda match: f"Region {deal[int(match[1])]}", text)


def _dealt_truth(truth: Mapping[str, Any], deal: Deal, turn: Callable[[str], str]) -> Row:
    turned = dict(truth)
    if truth.get("choice") is not None:
        turned["choice"] = turn(truth["choice"])
    if truth.get("marks"):
        turned["marks"] = [deal[mark] for mark in truth["marks"]]
    return turned


def _rising(question: Row) -> Row:
    """A set of regions is told by rising numbers, here and where a trace ends in it."""
    marks = (question.get("truth") or {}).get("marks")
    if not marks:
        return question
    told, rising = (", ".join(f"Region {mark}" for mark in order) for order in (marks, sorted(marks)))
    before, found, after = question["answer"].rpartition(told)
    answer = f"{before}{rising}{after}" if found else question["answer"]
    return {**question, "answer": answer, "truth": {**question["truth"], "marks": sorted(marks)}}
