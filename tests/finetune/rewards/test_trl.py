"""The functions that TRL's GRPOTrainer calls, called as it calls them (1.16)."""

from types import SimpleNamespace

import pytest

from drive_vqa.errors import ConfigError
from drive_vqa.looks import Look
from finetune.rewards.presets import PRESETS
from finetune.rewards.trl import reward_functions, said_text
from finetune.zoom.session import ANSWER_NOW
from tests.finetune.rewards.by_hand import BEFORE, HONEST, NOW, said, seen, truth_about

TRUTH = truth_about()
TEXT = said(*HONEST).text
END = 7
LOOKS = (Look(2, (210.0, 100.0, 230.0, 120.0), (220.0, 110.0)), Look(0, (110.0, 100.0, 130.0, 120.0), (120.0, 110.0)))


def call(functions, completions, step=50, **columns):
    state = SimpleNamespace(global_step=step, max_steps=100)
    count = len(completions)
    usual = {
        "prompts": ["?"] * count,
        "completion_ids": [[1, END]] * count,
        "qa_id": ["q"] * count,
        "log_extra": None,
        "log_metric": None,
    }
    columns = {**usual, **columns}
    return {one.__name__: one(completions=completions, trainer_state=state, **columns) for one in functions}


def test_one_function_a_reward_under_its_name():
    preset = PRESETS["drive"]
    functions = reward_functions(preset, {"q": TRUTH}, end_tokens={END})
    assert [one.__name__ for one in functions] == list(preset.weights)
    rewards = call(functions, [TEXT, "nothing"])
    assert rewards["accuracy"] == rewards["format"] == [1.0, 0.0]
    assert rewards["boxes"] == pytest.approx([1.0, 0.0])
    assert rewards["physics"] == [None, None]


def test_another_batch_is_read_anew():
    functions = reward_functions(PRESETS["drive"], {"q": TRUTH, "r": truth_about(choice="right")})
    batch = [TEXT]
    assert call(functions, batch)["accuracy"] == [1.0]
    assert call(functions, [TEXT.replace("left", "right")])["accuracy"] == [0.0]
    assert call(functions, [TEXT, TEXT], qa_id=["q", "r"])["accuracy"] == [1.0, 0.0]


def test_progress_anneals():
    functions = reward_functions(PRESETS["drive"], {"q": TRUTH})
    late = [said(seen(BEFORE, -1.0), seen(NOW, -0.5)).text]
    early, end = (call(functions, late, step=step)["temporal"][0] for step in (0, 100))
    assert early > end + 0.1
    assert functions[4](completions=late, qa_id=["q"], trainer_state=None) == [early]


def test_a_completion_that_was_cut_pays_no_evidence():
    functions = reward_functions(PRESETS["drive"], {"q": TRUTH}, end_tokens={END})
    rewards = call(functions, [TEXT, TEXT, TEXT], completion_ids=[[1, END], [END, 1], []])
    assert rewards["boxes"] == pytest.approx([1.0, 0.0, 0.0])
    without = call(reward_functions(PRESETS["drive"], {"q": TRUTH}), [TEXT], completion_ids=[[1]])
    assert without["boxes"] == pytest.approx([1.0])


def dialogue(*last, observation=ANSWER_NOW):
    thought = f"<think>\n{HONEST[0]}\n</think>"
    return [
        {"role": "assistant", "content": thought, "tool_calls": [{"function": {"name": "zoom", "arguments": {}}}]},
        {
            "role": "tool",
            "name": "zoom",
            "content": [{"type": "text", "text": f"<think>{HONEST[1]}</think> {observation}"}],
        },
        *last,
    ]


def test_a_dialogue_is_one_trace_of_what_the_model_said():
    """The forced tag is TRL's to put before the last turn, and what the tool says is no claim."""
    forced = dialogue({"role": "assistant", "content": "left</answer>"})
    assert said_text(forced) == f"<think>\n{HONEST[0]}\n</think>\n<answer>left</answer>"
    free = dialogue(
        {
            "role": "assistant",
            "content": [{"type": "text", "text": f"<think>\n{HONEST[1]}\n</think>\n<answer>left</answer>"}],
        },
        observation="1 look left.",
    )
    functions = reward_functions(PRESETS["drive"], {"q": TRUTH}, end_tokens={END})
    environments = [SimpleNamespace(looks=LOOKS), SimpleNamespace(looks=())]
    rewards = call(functions, [free, forced], environments=environments)
    assert rewards["boxes"] == pytest.approx([1.0, 0.5])
    assert rewards["looks"] == pytest.approx([1 / 3, 0.0])


def test_a_dialogue_that_ends_in_a_call_is_not_finished():
    functions = reward_functions(PRESETS["drive"], {"q": TRUTH}, end_tokens={END})
    last = {"role": "assistant", "content": TEXT, "tool_calls": [{"function": {"name": "zoom"}}]}
    rewards = call(functions, [[last], dialogue(), [dict(last, tool_calls=None)], []])
    assert rewards["boxes"] == pytest.approx([0.0, 0.0, 1.0, 0.0])


def test_model_units_are_turned_into_pixels():
    functions = reward_functions(
        PRESETS["drive"], {"q": TRUTH}, in_pixels=lambda text, qa_id: text.replace("9,9,9,9", "200,100,240,120")
    )
    small = TEXT.replace("200,100,240,120", "9,9,9,9")
    assert call(functions, [small])["boxes"] == pytest.approx([1.0])


def test_a_question_without_truth_is_named():
    with pytest.raises(ConfigError, match="question x has no truth"):
        call(reward_functions(PRESETS["drive"], {"q": TRUTH}), [TEXT], qa_id=["x"])
