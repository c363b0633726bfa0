"""Control `without_reasoning`: the answer is made to begin at `<answer>`, so that a model tuned to reason first cannot.

The rest of the question, its frames and the model are the same, so the difference is what reasoning gives. A model that takes
closer looks takes none. A model that was never taught the tag answers directly anyway, and is not much disturbed by it.
"""

from __future__ import annotations

from eval.predict.shown import Control

ANSWER_OPEN = "<answer>"


def without_reasoning() -> Control:
    """A direct answer."""
    return Control("without_reasoning", begun=ANSWER_OPEN)
