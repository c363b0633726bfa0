"""One prompt for all tools: `drive_vqa.prompt.build_messages`, turned into the shapes that they want.

Tools that place images by tags get the very text that our own training shows, with a tag for each image. Tools that put all
images before the text get one sentence that says what the images are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from drive_vqa.errors import StoreError
from drive_vqa.prompt import Message, build_messages
from qa_gen.export.records import AGAIN

IMAGE_TAG = "<image>"
TAGS = (IMAGE_TAG, "<video>", "<audio>", "<bbox>", "<ref-object>")
"""What other tools would take for a place to fill."""


def tagged_turns(group: Mapping[str, Any], question: Mapping[str, Any], said: str | None = None) -> tuple[str, str]:
    """What the user and what the assistant say, with `<image>` where an image stands.

    Args:
        group: of the question.
        question: a row of the `questions` table.
        said: what the assistant says; None: the answer.

    Raises:
        StoreError: a text has a tag in it already.
    """
    _refuse_tags(question)
    user, assistant = build_messages(group, question, question["answer"] if said is None else said)
    return _joined(user["content"]), _joined(assistant["content"])


def text_after_images(group: Mapping[str, Any], question: Mapping[str, Any]) -> str:
    """What the user says where all images come first: what they are, then the question with its options.

    Raises:
        StoreError: a text has a tag in it already.
    """
    _refuse_tags(question)
    captions, text = captions_and_text(build_messages(group, question)[0]["content"])
    return "\n".join([*order_of_images(captions), text])


def question_text(group: Mapping[str, Any], question: Mapping[str, Any]) -> str:
    """What the user says besides the images: the question with its options."""
    return captions_and_text(build_messages(group, question)[0]["content"])[1]


def captions_and_text(content: Sequence[Message]) -> tuple[list[str], str]:
    """The text right before each image (empty where there is none), and all other text, a line a piece."""
    captions: list[str] = []
    lines: list[str] = []
    for place, piece in enumerate(content):
        if piece["type"] == "image":
            before = content[place - 1] if place else piece
            captions.append(before["text"].strip().rstrip(":") if before["type"] == "text" else "")
        elif place + 1 == len(content) or content[place + 1]["type"] != "image":
            lines.append(piece["text"].strip())
    return captions, "\n".join(lines)


def order_of_images(captions: Sequence[str]) -> list[str]:
    """A sentence that says what several images are, in order; nothing for one image, or images that nothing is said of."""
    if len(captions) < 2 or not any(captions):
        return []
    named = [f"image {place}: {caption or 'no time given'}" for place, caption in enumerate(captions, start=1)]
    return [f"In order, {'; '.join(named)}."]


def letter(place: int) -> str:
    """The letter of an option."""
    return chr(ord("A") + place)


def _joined(content: Iterable[Message]) -> str:
    return "".join(IMAGE_TAG if piece["type"] == "image" else piece["text"] for piece in content)


def _refuse_tags(question: Mapping[str, Any]) -> None:
    texts = [question["question"], question["answer"], *(question["options"] or ())]
    tag = next((tag for tag in TAGS for text in texts if tag in text), None)
    if tag is not None:
        raise StoreError(f"question {question['qa_id']} has {tag} in its text, which other tools would fill: {AGAIN}")
