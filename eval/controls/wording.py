"""Probes that say the same in other words: who understands a question answers it alike.

- `paraphrase`: another wording of the same type, claim and parameter;
- `option_order`: the options of a multiple choice in another order, drawn by a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from eval.controls.draws import derangement, draw_of
from eval.parse import Parsed, parse
from eval.plaintext import answer_part
from eval.predict.asked import PromptedQuestion
from eval.predict.shown import Control

Reword = Callable[[Mapping[str, Any]], str | None]
"""A question (`qa_id`, `type`, `marks` and `question`) → its text in another wording; None: it has none."""


def paraphrase(reword: Reword) -> Control:
    """Another wording.

    Args:
        reword: who knows the wordings of all types.
    """

    def turn(asked: PromptedQuestion) -> PromptedQuestion | None:
        text = reword(asked.question)
        return None if text is None else replace(asked, question={**asked.question, "question": text})

    return Control("paraphrase", turn=turn)


def option_order(seed: int = 0) -> Control:
    """Options in another order, none at its place; questions without options are left out.

    A letter names an option of the list as it was shown. So an answer that would be read otherwise with the stored list is
    written anew with the option itself: behind its thoughts, if it has some.
    """

    def turn(asked: PromptedQuestion) -> PromptedQuestion | None:
        options = asked.question["options"] or ()
        if len(options) < 2:
            return None
        order = derangement(len(options), draw_of(seed, "option_order", asked.question["qa_id"]))
        return replace(asked, question={**asked.question, "options": [options[place] for place in order]})

    return Control("option_order", turn=turn, told=_by_name)


def _by_name(stored: PromptedQuestion, asked: PromptedQuestion, text: str) -> str:
    meant = parse(text, "choice", asked.question["options"])
    if not isinstance(meant, Parsed) or meant == parse(text, "choice", stored.question["options"]):
        return text
    thoughts = text[: text.rfind(answer_part(text))].removesuffix("<answer>")
    return f"{thoughts}<answer>{meant.choice}</answer>"
