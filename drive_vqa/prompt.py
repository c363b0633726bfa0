"""The one way to turn a question into chat messages, for training, prediction and reward alike.

Frames are separate images, each after a line that names its time: models and trainers differ in what they call a video.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Message = dict[str, Any]


def build_messages(group: Mapping[str, Any], question: Mapping[str, Any], answer: str | None = None) -> list[Message]:
    """Chat messages in the form of Hugging Face chat templates; images are placeholders, in context order.

    Args:
        group: a row of the `groups` table.
        question: a row of the `questions` table; `question` and `options` are read.
        answer: the assistant's reply, for training.
    """
    messages: list[Message] = [{"role": "user", "content": [*frame_content(group), *question_content(question)]}]
    if answer is not None:
        messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    return messages


def frame_content(group: Mapping[str, Any]) -> list[Message]:
    """The part of the user turn that all questions of a group share: a time line and an image for each context frame."""
    content: list[Message] = []
    for view in group["context"]:
        content += [{"type": "text", "text": time_line(view["offset_s"])}, {"type": "image"}]
    return content


def question_content(question: Mapping[str, Any]) -> list[Message]:
    """The part of the user turn that is the question's own."""
    lines = [question["question"]]
    lines += [f"{chr(ord('A') + index)}. {option}" for index, option in enumerate(question["options"] or [])]
    return [{"type": "text", "text": "\n".join(lines)}]


def time_line(offset_s: float) -> str:
    """What stands before an image: when it was taken, relative to the present."""
    return "Now:" if offset_s == 0 else f"{-offset_s:.1f} seconds ago:"
