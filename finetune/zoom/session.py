"""Closer looks at the frames of one question: calls come in as text, observations go out, and the budget is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from drive_vqa.looks import Look
from drive_vqa.prompt import Message
from finetune.zoom.calls import TOOL, Call, Complaint, read_call
from finetune.zoom.crops import CropPreset, cut, look_rectangle
from finetune.zoom.distinct import distinct, is_new
from finetune.zoom.views import Views

ANSWER_NOW = "No looks left: answer now."
"""Ends the observation after which the answer is forced."""
FORCED_PREFIX = "<answer>"
"""What the model's next turn then begins with, as in ViGoRL; the model did not say it, so it carries no loss."""
SEEN_BEFORE = "You looked there before. "


@dataclass(frozen=True, eq=False)
class Observation:
    """What a call is answered with.

    Attributes:
        before: text before the crop, or all there is.
        crop: what the look shows; None where none could be taken.
        after: text behind the crop; empty without one.
    """

    before: str
    crop: Image.Image | None = None
    after: str = ""

    @property
    def content(self) -> list[Message]:
        """Content of the tool message, with the crop in it."""
        text: list[Message] = [{"type": "text", "text": self.before}]
        if self.crop is None:
            return text
        return [*text, {"type": "image", "image": self.crop}, {"type": "text", "text": self.after}]

    @property
    def message(self) -> Message:
        """The whole tool message."""
        return {"role": "tool", "name": TOOL, "content": self.content}


@dataclass(eq=False)
class ZoomSession:
    """The looks of one dialogue.

    Every call costs a look, whether or not it can be answered with a crop; calls beyond the budget are refused.

    Attributes:
        views: the frames.
        preset: how looks are taken.
        spent: looks that were asked for, at most `preset.looks`.
        refused: whether the model asked for more than that.
    """

    views: Views
    preset: CropPreset
    spent: int = 0
    refused: bool = False
    _looks: list[Look] = field(default_factory=list, repr=False)

    @property
    def looks(self) -> tuple[Look, ...]:
        """Those that showed something, in order."""
        return tuple(self._looks)

    @property
    def distinct_looks(self) -> tuple[Look, ...]:
        """Without those that repeat an earlier one."""
        return distinct(self._looks)

    @property
    def must_answer(self) -> bool:
        """Whether no look is left."""
        return self.spent >= self.preset.looks

    def look(self, call: str) -> Observation:
        """Answer a call.

        Args:
            call: what the model wrote between the tags of a tool call; anything.
        """
        if self.must_answer:
            self.refused = True
            return Observation(ANSWER_NOW)
        self.spent += 1
        asked = read_call(call, self.views.scales)
        if isinstance(asked, Complaint):
            return Observation(f"{asked.text} {self._rest()}")
        return self._shown(asked)

    def _shown(self, call: Call) -> Observation:
        frame_px = self.views.scales[call.context].original_px
        rectangle = look_rectangle(frame_px, call.target_px, self.preset)
        u0, v0, u1, v1 = map(float, rectangle)
        look = Look(call.context, (u0, v0, u1, v1), call.aim_px)
        repeated = "" if is_new(look, self._looks) else SEEN_BEFORE
        self._looks.append(look)
        crop = cut(self.views.frame(call.context), rectangle, self.preset, call.point_px)
        return Observation(f"Image {call.context + 1}, closer:", crop, repeated + self._rest())

    def _rest(self) -> str:
        left = self.preset.looks - self.spent
        return ANSWER_NOW if not left else f"{left} {'look' if left == 1 else 'looks'} left."


def forced_prefix(observations: Sequence[Mapping[str, Any]]) -> str:
    """What the model's turn after these tool messages must begin with; empty where it may look again."""
    parts = [part for message in observations for part in message["content"]]
    texts = [part["text"] for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    return FORCED_PREFIX if any(text.endswith(ANSWER_NOW) for text in texts) else ""
