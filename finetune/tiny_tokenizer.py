"""The tokenizer of the tiny model: Qwen's own scheme with a small vocabulary.

Byte-level BPE with Qwen's splitting rule, under which every digit is a token of its own, so numbers are written and read
digit by digit. The merges are learned from the fixed wordings below, and common phrases of the questions at hand are tokens of
their own; any other text still encodes, only in more tokens.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers
from transformers import Qwen2Tokenizer

from drive_vqa.categories import CATEGORIES

VOCABULARY_SIZE = 640
SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Qwen2.5-VL's layout without its system message."""

WORDINGS = (
    "user\nassistant\nNow: seconds ago: second ago:\nA. yes\nB. no\nC. same\nD. unknown",
    "How far away is object 1 from us, in metres? What is the distance to region 2 in meters? Answer in metres.",
    "In which direction is object 3, as a clock position, with twelve o'clock straight ahead? at o'clock",
    "What is the bearing of region 4 in degrees, positive to the left and negative to the right of the ego vehicle?",
    "How fast is object 5 driving, in m/s or km/h? What is its speed over ground in metres per second? It is standing.",
    "Where will object 6 be in 1 second, in 2 seconds and in 3 seconds, seen from our car at that time?",
    "Predict the distance in metres and the angle in degrees at that moment. Give the distance, bearing and speed.",
    "The object will be 12.3 m away at -45 degrees, moving at 6.7 m/s. It is 10 m away, bearing 30°, at 8.0 m/s.",
    "Which is closer to us, region 1 or region 2? Is object 7 to the left or to the right of object 8?",
    "Which of the two is larger, wider, longer, higher, taller, faster, slower, nearer or farther in front or behind?",
    "What kind of road user is it? How many objects are shown? How long, how wide and how high is it?",
    "Is it moving, standing, parked, turning, braking, accelerating or coming towards us, approaching or leaving?",
    "Will object 9 cross our path, be in our lane, still be in view or out of the image within the next seconds?",
    "What are we doing: driving straight on, turning left, turning right, slowing down, speeding up, keep stopped?",
    "How fast are we driving at the moment? Our own ego vehicle speed, relative to the camera image frame shown.",
    "Is the vehicle ahead of us, beside us, on the same side, opposite direction, oncoming, overtaking, following?",
    "Answer with one number, one word, the letter of the option or yes or no. The marked object has the number.",
)
"""What questions and answers sound like."""


REASONING = (
    *(
        "<think>\n",
        "<think>\n<obj>Region ",
        "</obj><box>[",
        "]</box>at<t>",
        "]</box>at<t>-",
        "</t>s is at <pos>",
        "</t>s was at <pos>",
    ),
    *(
        "</t>s.",
        " m, ",
        " m, -",
        "°</pos>.\n",
        "°</pos>.\n<obj>Region ",
        "°</pos>.\nRegion ",
        "°</pos>.\nThe center of Region ",
    ),
    *("°</pos>.\nIts center is now at (", "°</pos>.\nSeen from me, Region ", "Wait, that is the box of Region "),
    *(
        "Wait, that box holds the left half of Region ",
        "Wait, that box holds the right half of Region ",
        "Wait, that is where Region ",
    ),
    *("Wait, that box lies too far to the left of Region ", "Wait, that box lies too far to the right of Region "),
    *(
        ". <obj>Region ",
        " only. <obj>Region ",
        ", not of Region ",
        " seconds ago. <obj>Region ",
        "Wait, that box is from the image of ",
    ),
    *(
        " seconds ago, not from the one of ",
        " m along my heading and ",
        " m along my heading and -",
        " m to my left, which is ",
    ),
    *(
        " m to my left, which is at a bearing of ",
        " m to my left, which is at a bearing of -",
        " m away.\n",
        " m away at ",
        " m away at -",
    ),
    *(
        ") m from me, which is ",
        " has moved by (",
        " has moved by (-",
        ") m ahead and to the left in ",
        " s, that is (",
        " s, that is (-",
    ),
    *(
        ") m/s.\nIn ",
        " seconds this would lead to (",
        " second this would lead to (",
        ") m, which is ",
        " m at ",
        " m at -",
        " at (",
        ") m, ",
    ),
    *(
        "Allowing for small changes, I expect ",
        "But it will not go on quite like that: I expect ",
        "So I expect ",
        "I expect Region ",
    ),
    *(
        "<think>\nMy speed was ",
        "'s speed was ",
        " s ago, ",
        " s ago, and is ",
        " m/s now.\n",
        "That is a change of ",
        " m/s.\n",
    ),
    *(
        " m/s each second; in ",
        " seconds it would lead to ",
        " second it would lead to ",
        "So the answer is ",
        "So the answer is -",
    ),
    *(
        " degrees.\n</think>\n<answer>",
        " meters.\n</think>\n<answer>",
        " m/s.\n</think>\n<answer>",
        "\n</think>\n<answer>",
        "<answer>",
    ),
    *(
        " is ",
        "</answer>",
        " degrees</answer>",
        " meters</answer>",
        " m/s</answer>",
        "°.\n",
        "<tool_call>\n",
        "\n</tool_call>",
    ),
    *('{"name": "zoom", "arguments": {"frame": ', ', "coordinate": [', ', "box": [', "]}}"),
)
"""Parts of grounded reasoning and of calls for a closer look, which are most of what reasoning is made of."""

PHRASE_CHARACTERS = 6
"""Shorter phrases are left to the merges."""
MAX_PHRASES = 512


def build_tokenizer(texts: Iterable[str] = ()) -> Qwen2Tokenizer:
    """The tokenizer; the same one at every call with the same texts.

    Args:
        texts: questions and answers that will be learned; what stands in them between digits becomes one token where it is
            common, because a question of fifty tokens costs a tiny model five times the time of one of ten.
    """
    learned = _learn_merges()
    tokenizer = Qwen2Tokenizer(
        vocab=learned["vocab"],
        merges=[tuple(pair) for pair in learned["merges"]],
        eos_token="<|im_end|>",  # noqa: S106
        pad_token="<|endoftext|>",  # noqa: S106
        additional_special_tokens=list(SPECIAL_TOKENS),
        model_max_length=8192,
    )
    phrases = dict.fromkeys([*common_phrases(texts), *REASONING])
    tokenizer.add_tokens([AddedToken(phrase, normalized=False) for phrase in phrases])
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def common_phrases(texts: Iterable[str]) -> list[str]:
    """The texts' commonest parts between digits, commonest first; the order of the texts does not matter."""
    counts = Counter(phrase for text in texts for phrase in re.split(r"\d", text) if len(phrase) >= PHRASE_CHARACTERS)
    return [phrase for phrase, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MAX_PHRASES]]


def _learn_merges() -> dict[str, Any]:
    empty = Qwen2Tokenizer()
    learner = Tokenizer(models.BPE())
    learner.normalizer = empty.backend_tokenizer.normalizer
    learner.pre_tokenizer = empty.backend_tokenizer.pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    learner.train_from_iterator([*WORDINGS, " " + " ".join(CATEGORIES)], trainer)
    learned: dict[str, Any] = json.loads(learner.to_str())["model"]
    return learned
