import copy
import itertools

import pytest
from jinja2 import TemplateError
from transformers.utils import get_json_schema
from trl.chat_template_utils import is_chat_template_prefix_preserving, parse_response, supports_tool_calling

from drive_vqa.errors import ModelError
from finetune.zoom.environment import ZoomEnvironment
from finetune.zoom.templates import qwen_template, tool_processor, tool_template
from finetune.zoom.trl_processor import trl_processor
from tests.finetune.zoom.conftest import call, turn, with_template

IMAGE = {"type": "image"}
ASKED = {"type": "text", "text": "How far is Region 1?\nA. 5 m\nB. 10 m"}
PLAIN = {
    "images": [{"role": "user", "content": [{"type": "text", "text": "Now:"}, IMAGE, IMAGE, ASKED]}],
    "answered": [{"role": "user", "content": [IMAGE, ASKED]}, {"role": "assistant", "content": "10 m"}],
    "system": [{"role": "system", "content": "You drive."}, {"role": "user", "content": [IMAGE, ASKED]}],
    "blank": [
        {"role": "user", "content": "  a \n"},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": [ASKED]},
    ],
    "urls": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}, {"type": "video"}, IMAGE, ASKED]}],
}
DIALOGUE = [
    {"role": "user", "content": [IMAGE, ASKED]},
    {
        "role": "assistant",
        "content": [{"type": "text", "text": "<think>\nSmall.\n</think>"}],
        "tool_calls": [
            {"type": "function", "function": {"name": "zoom", "arguments": {"frame": 1, "coordinate": [50, 60]}}}
        ],
    },
    {"role": "tool", "name": "zoom", "content": [{"type": "text", "text": "Closer:"}, IMAGE]},
    {"role": "assistant", "content": [{"type": "text", "text": "<answer>10 m</answer>"}]},
]


def is_tiny(processor):
    return len(processor.tokenizer.chat_template) < 1000


def test_without_tools_it_is_the_own_template_token_for_token(own):
    zooming = tool_processor(own)
    options = [{}, {"add_generation_prompt": True}]
    names = list(PLAIN)
    if is_tiny(own):  # its template knows images alone, and numbers none
        names.remove("urls")
    else:
        options.append({"add_vision_id": True})
    for name, chosen in itertools.product(names, options):
        ours, theirs = (
            processor.tokenizer.apply_chat_template(PLAIN[name], tokenize=True, return_dict=False, **chosen)
            for processor in (zooming, own)
        )
        assert ours == theirs, (name, chosen)


def test_qwen3_keeps_its_own_and_the_others_get_ours(own):
    template = tool_template(own)
    assert (template == own.tokenizer.chat_template) == (own.family.model_type == "qwen3_vl")


def test_calls_answers_and_images_are_kept_and_a_call_stands_as_a_model_writes_it(own):
    text = tool_processor(own).tokenizer.apply_chat_template(DIALOGUE, tokenize=False)
    assert f"{turn('Small.', coordinate=[50, 60])}<|im_end|>\n" in text
    assert (
        "<|im_start|>user\n<tool_response>\nCloser:<|vision_start|><|image_pad|><|vision_end|>\n</tool_response>"
        in text
    )
    assert text.count("<|image_pad|>") == 2


def test_raw_turns_are_written_as_structured_ones(own):
    raw = copy.deepcopy(DIALOGUE)
    raw[1] = {"role": "assistant", "content": [{"type": "text", "text": turn("Small.", coordinate=[50, 60])}]}
    tokenizer = tool_processor(own).tokenizer
    assert tokenizer.apply_chat_template(raw, tokenize=False) == tokenizer.apply_chat_template(DIALOGUE, tokenize=False)


def test_earlier_turns_never_change(own):
    tokenizer = tool_processor(own).tokenizer
    texts = [tokenizer.apply_chat_template(DIALOGUE[:length], tokenize=False) for length in range(1, 5)]
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(texts))


def test_several_answers_share_a_turn(own):
    several = [*DIALOGUE[:3], DIALOGUE[2]]
    text = tool_processor(own).tokenizer.apply_chat_template(several, tokenize=False)
    assert text.count("<|im_start|>user") == 2
    assert text.count("<tool_response>") == 2


def test_trl_takes_them(own):
    processor = trl_processor(tool_processor(own))
    assert supports_tool_calling(processor)
    assert is_chat_template_prefix_preserving(processor)


def test_the_tool_is_listed_where_there_is_a_system_turn_and_as_trl_would(own, frames):
    ours = tool_processor(own)
    text = ours.tokenizer.apply_chat_template(DIALOGUE[:1], tools=[ZoomEnvironment.zoom], tokenize=False)
    ids = ours.prompt_ids([{"role": "user", "content": [ASKED]}, DIALOGUE[0]], ours.images(frames[:1]))
    assert ours.tools == (get_json_schema(ZoomEnvironment.zoom),)
    assert ('"name": "zoom"' in text) == ('"name": "zoom"' in ours.tokenizer.decode(ids)) == (not is_tiny(own))


def test_the_processor_that_was_given_is_left_alone(own):
    before = own.tokenizer.chat_template
    tool_processor(own)
    assert own.tokenizer.chat_template == before
    assert own.tools == ()


def test_other_layouts_are_refused(processor, family_vlm):
    with pytest.raises(ModelError, match="keeps no tool calls"):
        tool_template(family_vlm("smolvlm").processor)
    with pytest.raises(ModelError, match="keeps no tool calls"):
        tool_template(with_template(processor, "{{ raise_exception('no') }}"))
    with pytest.raises(ModelError, match="is of SmolVLM"):
        trl_processor(family_vlm("smolvlm").processor)


def test_a_template_of_ours_refuses_nothing(processor):
    tokenizer = with_template(processor, qwen_template("Be brief.")).tokenizer
    try:
        tokenizer.apply_chat_template([DIALOGUE[2]], tokenize=False)
        tokenizer.apply_chat_template([{"role": "assistant", "content": [], "tool_calls": None}], tokenize=False)
    except TemplateError as error:
        pytest.fail(str(error))


@pytest.mark.parametrize(
    ("said", "content", "calls"),
    [
        (turn("Small.", coordinate=[5, 6]), "<think>\nSmall.\n</think>", [call(coordinate=[5, 6])]),
        ("<think>\na\n</think>\n<answer>3</answer>", "<think>\na\n</think>\n<answer>3</answer>", []),
        ("<tool_call>{oops</tool_call>", "", ["{oops"]),
        ("<tool_call>\n" + "[" * 3000 + "\n</tool_call>", "", ["[" * 3000]),
        ("a<tool_call>1</tool_call>b<tool_call>2</tool_call>c", "abc", ["1", "2"]),
        ("never closed <tool_call>{", "never closed", ["{"]),
        ("</tool_call>", "</tool_call>", []),
    ],
)
def test_trl_hands_over_every_call_as_it_was_written(zooming, said, content, calls):
    tokenizer = zooming.tokenizer
    ids = tokenizer(said)["input_ids"]
    prefix = tokenizer("<|im_start|>assistant\n")["input_ids"]
    parsed = parse_response(tokenizer, ids, prefix=prefix, tools=[ZoomEnvironment.zoom])
    assert parsed["content"] == content
    assert [one["function"] for one in parsed.get("tool_calls", [])] == [
        {"name": "zoom", "arguments": {"call": text}} for text in calls
    ]


def test_what_was_put_into_its_mouth_is_part_of_what_it_said(zooming):
    tokenizer = zooming.tokenizer
    prefix = tokenizer("<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n<answer>")["input_ids"]
    parsed = parse_response(tokenizer, tokenizer("3 m</answer><|im_end|>")["input_ids"], prefix=prefix)
    assert parsed["content"] == "<answer>3 m</answer>"


def test_the_tiny_tokenizer_spells_calls_in_few_tokens(processor):
    said = f"<tool_call>\n{call(2, coordinate=[123, 45])}\n</tool_call>"
    ids = processor.tokenizer(said)["input_ids"]
    assert processor.tokenizer.decode(ids) == said
    assert len(ids) <= 15
