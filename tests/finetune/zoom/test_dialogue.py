import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drive_vqa.vlm import Sampling
from finetune.zoom.dialogue import Dialogue, calls_in, hold, one_trace, said_in, speaking, without_calls
from finetune.zoom.session import ZoomSession
from finetune.zoom.views import image_views
from tests.finetune.zoom.conftest import PRESET, call, turn

OPENING = [{"role": "user", "content": [{"type": "image"}, {"type": "image"}, {"type": "text", "text": "How far?"}]}]


def dialogue(frames, processor):
    return Dialogue(list(OPENING), list(frames), ZoomSession(image_views(frames, processor), PRESET))


class Scripted:
    """Says what it is told to, dialogue by dialogue, and notes what it was asked."""

    def __init__(self, *scripts):
        self.left = {script[0]: list(script[1:]) for script in scripts}
        self.asked = []

    def __call__(self, messages_list, images_list, begun):
        self.asked.append(list(begun))
        for messages, images in zip(messages_list, images_list, strict=True):
            parts = [part for message in messages for part in message["content"]]
            assert sum(part["type"] == "image" for part in parts) == len(images)
        return [self.left[id(messages)].pop(0) for messages in messages_list]


def test_turns_and_observations_alternate_until_the_answer(frames, zooming):
    one, other = dialogue(frames, zooming), dialogue(frames, zooming)
    model = Scripted(
        (id(one.messages), turn("Small.", coordinate=[50, 60]), "<think>\nTen.\n</think>\n<answer>10 m</answer>"),
        (id(other.messages), "<answer>3 m</answer>"),
    )
    hold([one, other], model)
    assert one.finished
    assert other.finished
    assert [message["role"] for message in one.messages] == ["user", "assistant", "tool", "assistant"]
    assert one.text == "<think>\nSmall.\nTen.\n</think>\n<answer>10 m</answer>"
    assert other.text == "<answer>3 m</answer>"
    assert len(one.images) == 3
    assert len(one.looks) == 1
    assert model.asked == [["", ""], [""]]


def test_after_the_last_look_the_answer_is_begun(frames, zooming):
    held = dialogue(frames, zooming)
    looks = [turn("Small.", frame, coordinate=[50, 60]) for frame in (1, 2)]
    model = Scripted((id(held.messages), *looks, "3 m</answer>"))
    hold([held], model)
    assert model.asked == [[""], [""], ["<answer>"]]
    assert held.finished
    assert held.text == "<think>\nSmall.\nSmall.\n</think>\n<answer>3 m</answer>"


def test_a_model_that_goes_on_calling_is_stopped(frames, zooming):
    held = dialogue(frames, zooming)
    again = turn("Small.", coordinate=[50, 60])
    hold([held], Scripted((id(held.messages), again, again, again, "never asked")))
    assert not held.finished
    assert held.session.refused
    assert len(held.turns) == 3


def test_a_turn_of_thousands_of_calls_is_answered_within_the_budget(frames, zooming):
    held = dialogue(frames, zooming)
    hold([held], Scripted((id(held.messages), "<tool_call></tool_call>" * 50_000)))
    assert not held.finished
    assert len(held.messages) < 8


def test_a_look_is_behind_the_steps_of_its_turn(frames, zooming):
    """A turn of two calls and no thought, then more than was asked for; a call that shows nothing is no look."""
    held = dialogue(frames, zooming)
    held.add(turn("One.\nTwo.", coordinate=[50, 60]))
    held.add(f"<tool_call>{call(9, coordinate=[5, 6])}</tool_call>")
    assert [look.step for look in held.looks] == [2]
    other = dialogue(frames, zooming)
    other.add(f"<tool_call>{call(coordinate=[50, 60])}</tool_call>")
    other.add(turn("</think> <think>\nWhat?", 2, box=[10, 10, 30, 30]))
    assert [look.step for look in other.looks] == [0, 1]


def test_a_question_that_is_asked_again_is_answered_anew_and_a_run_that_is_made_again_alike(frames, vlm, zooming):
    def answers():
        generate = speaking(vlm, max_new_tokens=12, sampling=Sampling(seed=3))
        opened = dialogue(frames, zooming)
        return [generate([opened.messages], [opened.images], [""])[0] for _ in range(4)]

    first = answers()
    assert len(set(first)) == 4
    assert answers() == first


def test_a_loaded_model_can_hold_it(frames, vlm, zooming):
    held = dialogue(frames, zooming)
    held.add(turn("Small.", coordinate=[50, 60]))
    hold([held], speaking(vlm, max_new_tokens=3))
    assert held.finished or held.session.must_answer
    assert len(held.turns) >= 2


@pytest.mark.parametrize(
    ("turns", "text"),
    [
        ([], ""),
        (["<answer>1</answer>"], "<answer>1</answer>"),
        (
            ["<think>\na\n</think>", "<think>\nb\n</think>\n<answer>1</answer>"],
            "<think>\na\nb\n</think>\n<answer>1</answer>",
        ),
        (["<tool_call>x</tool_call>", "<answer>1</answer>"], "<answer>1</answer>"),
        (["said aloud", "<answer>1</answer>"], "said aloud\n<answer>1</answer>"),
        (["<think>\na\n</think>\n<answer>1</answer>", "<answer>2</answer>"], None),
        (["<think>\na", "<answer>1</answer>"], None),
        (["<think>\na\n<think>\n</think>", "<answer>1</answer>"], None),
    ],
)
def test_turns_become_one_trace_and_odd_ones_are_left_to_its_reader(turns, text):
    assert one_trace(turns) == ("\n".join(turns) if text is None else text)


def test_trl_messages_give_what_was_said():
    completion = [
        {"role": "assistant", "content": "<think>\na\n</think>", "tool_calls": [{}]},
        {"role": "tool", "name": "zoom", "content": [{"type": "text", "text": "Closer:"}]},
        {"role": "assistant", "content": "<answer>1</answer>"},
    ]
    assert one_trace(said_in(completion)) == "<think>\na\n</think>\n<answer>1</answer>"


@given(st.lists(st.sampled_from(["<tool_call>", "</tool_call>", "<think>\n", "</think>", "<answer>", "a", "\n"])))
def test_any_turn_is_taken_apart(parts):
    text = "".join(parts)
    assert len(calls_in(text)) == text.count("<tool_call>")
    assert "<tool_call>" not in without_calls(text)
    one_trace([text, text])


def test_ten_megabytes_are_taken_apart_at_once():
    started = time.perf_counter()
    for text in ("<tool_call>" * 900_000, "<think>\n" * 1_200_000, "a" * 10_000_000, call() * 200_000):
        one_trace([text, text])
        calls_in(text)
    assert time.perf_counter() - started < 5
