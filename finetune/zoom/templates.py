"""Chat templates that keep tool calls and their answers, and how calls are read out of what a model said.

Qwen3-VL's own template does. Qwen2.5-VL's writes neither the tools nor the calls (TRL ships it so), and the tiny model's is like
it: they get ours, `qwen_tools.jinja`, which writes every conversation without tools exactly as theirs does; this is tried out,
not assumed, whenever a template is replaced.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any

from jinja2 import TemplateError

from drive_vqa.errors import ModelError
from drive_vqa.prompt import Message
from drive_vqa.vlm import ChatProcessor
from finetune.zoom.calls import CALL_CLOSE, CALL_OPEN, TOOL
from finetune.zoom.environment import CALL, tool_schema

RESPONSE_TEMPLATE: dict[str, Any] = {
    "defaults": {"role": "assistant"},
    "start_anchor": "<|im_start|>assistant\n",
    "fields": {
        "tool_calls": {
            "open": CALL_OPEN,
            "close_pattern": rf"{CALL_CLOSE}\s*",
            "repeats": True,
            "content": "text",
            "transform": {"type": "function", "function": {"name": TOOL, "arguments": {CALL: "{content}"}}},
        },
        "content": {"close_pattern": r"<\|im_end\|>\s*", "repeats": True, "join": "", "content": "text"},
    },
}
"""For `parse_response` of transformers, which TRL calls on every turn.

Calls stay text, for `calls.read_call` to judge. Thoughts stay where the model wrote them: TRL's own for Qwen3-VL takes what
stands between <think> tags out of the content, where rewards would miss it.
"""

SYSTEMS = ("You are a helpful assistant.", "")
"""What the known layouts say in a conversation without a system turn: Qwen2.5-VL's, and the tiny model's, which has no such turn
and so no place to list tools; it learns the call from examples."""

_IMAGE: Message = {"type": "image"}
_TEXT: Message = {"type": "text", "text": "What is this?"}
_CALLED: Message = {"type": "function", "function": {"name": "probe_name", "arguments": {"probe_key": "probe_value"}}}
_PLAIN: tuple[tuple[Message, ...], ...] = (
    ({"role": "user", "content": [_TEXT, _IMAGE, _TEXT, _IMAGE]},),
    ({"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "So?"}),
    ({"role": "system", "content": [_TEXT]}, {"role": "user", "content": [_IMAGE]}),
    ({"role": "user", "content": [_IMAGE]}, {"role": "assistant", "content": [_TEXT]}),
)
_WITH_TOOLS: tuple[Message, ...] = (
    {"role": "user", "content": [_IMAGE, _TEXT]},
    {"role": "assistant", "content": [_TEXT], "tool_calls": [_CALLED]},
    {"role": "tool", "name": "probe_name", "content": [{"type": "text", "text": "probe_answer"}, _IMAGE]},
)
_KEPT = ("probe_name", "probe_key", "probe_value", "probe_answer")


def tool_processor(processor: ChatProcessor) -> ChatProcessor:
    """A copy of a processor that knows the zoom: its conversations list the tool and keep calls, responses and their images.

    Raises:
        ModelError: see `tool_template`.
    """
    tokenizer = copy.deepcopy(processor.tokenizer)
    tokenizer.chat_template = tool_template(processor)
    tokenizer.response_template = RESPONSE_TEMPLATE
    return replace(processor, tokenizer=tokenizer, tools=(tool_schema(),))


def tool_template(processor: ChatProcessor) -> str:
    """The chat template for conversations with tools: the model's own if it keeps them, else ours in its layout.

    Raises:
        ModelError: the model's own does not, and its layout is another.
    """
    own = str(processor.tokenizer.chat_template)
    if _keeps_tools(processor, own):
        return own
    for system in SYSTEMS:
        ours = qwen_template(system)
        if all(_render(processor, ours, plain) == _render(processor, own, plain) for plain in _PLAIN):
            return ours
    raise ModelError(
        f"the chat template of this {processor.family.name} keeps no tool calls and is in a layout that is not known: zoom needs "
        "a checkpoint of Qwen2.5-VL or Qwen3-VL with its own template"
    )


def qwen_template(system: str) -> str:
    """Ours, for the layout that says `system` where a conversation has no system turn."""
    text = files("finetune.zoom").joinpath("qwen_tools.jinja").read_text(encoding="utf-8")
    return f"{{%- set default_system = {json.dumps(system)} -%}}\n{text.strip()}"


def _keeps_tools(processor: ChatProcessor, template: str) -> bool:
    """Whether calls, their answers and the images of these come out, and all in front stays as it was."""
    rendered = _render(processor, template, _WITH_TOOLS)
    before = _render(processor, template, _WITH_TOOLS[:2])
    if rendered is None or before is None:
        return False
    image = processor.family.image_token
    whole = all(word in rendered for word in _KEPT) and rendered.count(image) == 2
    return whole and rendered.startswith(before)


def _render(processor: ChatProcessor, template: str, messages: Sequence[Message]) -> str | None:
    """None where the template refuses such messages."""
    try:
        return str(processor.tokenizer.apply_chat_template(list(messages), chat_template=template, tokenize=False))
    except (TemplateError, TypeError, KeyError):
        return None
