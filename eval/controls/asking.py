"""Ask questions under a control: turned before they are asked, and what is said turned back."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace

from eval.predict.asked import Answer, Answering, PromptedQuestion, Unanswered
from eval.predict.shown import Control

Told = tuple[PromptedQuestion, Answer | Unanswered]


def can_ask(control: Control, question: PromptedQuestion) -> bool:
    """Whether a stored question can be asked so."""
    return control.turn(question) is not None


def asked_under(control: Control, answering: Answering) -> Answering:
    """Who answers stored questions by being asked turned ones; those that cannot be asked so are passed over.

    Args:
        control: also has to be known to `answering`, which shows its frames and sends its messages.
        answering: answers turned questions.
    """

    def answer(questions: Iterable[PromptedQuestion]) -> Generator[Told, None, None]:
        waiting: dict[tuple[str, int], PromptedQuestion] = {}

        def turned() -> Iterator[PromptedQuestion]:
            for stored in questions:
                asked = control.turn(stored)
                if asked is not None:
                    waiting[_key(stored)] = stored
                    yield asked

        with closing(answering(turned())) as given:
            for asked, said in given:
                stored = waiting.pop(_key(asked))
                yield stored, _in_terms_of(control, stored, asked, said)

    return answer


def _in_terms_of(
    control: Control, stored: PromptedQuestion, asked: PromptedQuestion, said: Answer | Unanswered
) -> Answer | Unanswered:
    return said if isinstance(said, Unanswered) else replace(said, text=control.told(stored, asked, said.text))


def _key(question: PromptedQuestion) -> tuple[str, int]:
    return question.question["qa_id"], question.sample
