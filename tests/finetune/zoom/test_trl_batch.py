"""TRL's own GRPOTrainer with looks, on the tiny model: what is generated is scripted, all else is real."""

import warnings
from types import SimpleNamespace

import pytest
import torch

from drive_vqa.errors import ModelError
from drive_vqa.vlm import load_vlm
from finetune.rewards.trl import said_text
from finetune.zoom.dialogue import one_trace, said_in
from finetune.zoom.environment import ZoomEnvironment
from finetune.zoom.session import Observation, ZoomSession, forced_prefix
from finetune.zoom.templates import tool_processor
from finetune.zoom.tokens import observation_ids, observation_tokens, processed_crops
from finetune.zoom.trl_batch import ZoomRollouts, check_crops, is_finished, without_unfinished
from finetune.zoom.trl_processor import trl_processor
from finetune.zoom.views import image_views
from tests.finetune.zoom.conftest import FRAME_PX, PRESET, call, turn

END = "<|im_end|>"
LOOKS = [turn("Here.", place % 2 + 1, coordinate=[30 + 60 * place, 60]) + END for place in range(3)]
ANSWER = f"<think>\nTen.\n</think>\n<answer>10 m</answer>{END}"
BROKEN = f"<tool_call>\n{'[' * 60}\n</tool_call>{END}"
SCRIPTS = {
    "two looks": [LOOKS[0], LOOKS[1], f"10 m</answer>{END}"],
    "a call that is no call": [BROKEN, ANSWER],
    "no look": [ANSWER],
    "calls without end": [*LOOKS, LOOKS[0]],
}


@pytest.fixture(scope="module")
def run(base, frames, tmp_path_factory):
    """One step of training; the batch that reached the loss, with what was said and by whom it was seen."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
        warnings.simplefilter("ignore", FutureWarning)  # TRL names settings as transformers once did
        return _run(base, frames, tmp_path_factory.mktemp("run"))


def _run(base, frames, out):
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    vlm = load_vlm(base, device="cpu")
    processor = tool_processor(vlm.processor)
    seen = {"scripts": [list(script) for script in SCRIPTS.values()], "prompts": []}

    class Scripted(ZoomRollouts, GRPOTrainer):
        def _generate_single_turn(self, prompt_ids, *inputs, **options):
            super()._generate_single_turn(prompt_ids, *inputs, **options)  # the model takes what it is given
            tokenizer = processor.tokenizer
            seen["prompts"].append([tokenizer.decode(ids) for ids in prompt_ids])
            speaking = [script for script in seen["scripts"] if script][: len(prompt_ids)]
            return [tokenizer(script.pop(0))["input_ids"] for script in speaking], None

        def _generate_and_score_completions(self, inputs):
            seen["batch"] = super()._generate_and_score_completions(inputs)
            return seen["batch"]

        def compute_loss(self, model, inputs, *rest, **options):
            seen["trained on"] = dict(inputs)
            return super().compute_loss(model, inputs, *rest, **options)

    def reward(completions, environments, **columns):
        seen.update(completions=completions, looks=[environment.looks for environment in environments])
        return [0.0, 1.0, 0.5, 0.7]

    config = GRPOConfig(
        output_dir=str(out),
        per_device_train_batch_size=4,
        num_generations=4,
        max_steps=1,
        max_completion_length=800,
        max_tool_calling_iterations=PRESET.looks,
        mask_truncated_completions=True,
        gradient_checkpointing=False,
        report_to="none",
        use_cpu=True,
        bf16=False,
        save_strategy="no",
        disable_tqdm=True,
    )
    rows = [{"prompt": [{"role": "user", "content": "How far?"}], "images": frames, "qa_id": "q"}]
    trainer = Scripted(
        model=vlm.model,
        reward_funcs=reward,
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=trl_processor(processor),
        environment_factory=lambda: ZoomEnvironment(lambda row: image_views(row["images"], processor), PRESET),
    )
    trainer.generation_config.max_new_tokens = 1
    trainer.train()
    return {**seen, "trainer": trainer, "processor": processor}


def _decoded(run, place):
    """What carries loss in a dialogue, and what does not."""
    batch, tokenizer = run["batch"], run["processor"].tokenizer
    ids = batch["completion_ids"][place]
    carries = (batch["completion_mask"] * batch["tool_mask"])[place].bool()
    silent = ids[~carries]
    return tokenizer.decode(ids[carries]), tokenizer.decode(silent[silent != tokenizer.pad_token_id])


def test_loss_is_on_the_models_words_and_never_on_an_observation(run):
    for place, name in enumerate(list(SCRIPTS)[:3]):
        said, silent = _decoded(run, place)
        assert said == "".join(SCRIPTS[name])
        assert "<tool_response>" not in said
        assert "<|image_pad|>" not in said
        assert silent.count("<tool_response>") == len(SCRIPTS[name]) - 1


def test_the_answer_is_forced_after_the_last_look_and_carries_no_loss_where_it_was_forced(run):
    _, silent = _decoded(run, 0)
    assert silent.endswith("No looks left: answer now.\n</tool_response><|im_end|>\n<|im_start|>assistant\n<answer>")
    assert all(prompt.endswith("assistant\n<answer>") for prompt in run["prompts"][-1])
    text = "<think>\nHere.\nHere.\n</think>\n<answer>10 m</answer>"
    assert one_trace(said_in(run["completions"][0])) == said_text(run["completions"][0]) == text


def test_a_call_that_is_no_call_is_answered_costs_a_look_and_does_not_end_the_dialogue(run):
    _, silent = _decoded(run, 1)
    assert "not valid JSON. 1 look left." in silent
    assert run["looks"][1] == ()
    assert is_finished(run["completions"][1])


def test_a_dialogue_that_calls_beyond_its_budget_carries_no_loss(run):
    assert _decoded(run, 3)[0] == ""
    assert not is_finished(run["completions"][3])
    assert len(run["looks"][3]) == PRESET.looks
    assert run["batch"]["completion_mask"][3].any(), "TRL itself would have taken it for a whole one"


def test_crops_are_in_the_forward_pass(run):
    batch, processor = run["batch"], run["processor"]
    assert list(batch["num_images"]) == [4, 2, 2, 4]
    check_crops(batch, processor.image_token_id, processor.merge_size)
    crops = batch["image_grid_thw"].prod(dim=1)[[2, 3]]
    assert crops.tolist() == [(PRESET.shown_px // 14) ** 2] * 2
    tokens = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
    assert torch.equal(batch["mm_token_type_ids"] == 1, tokens == processor.image_token_id)
    check_crops(run["trained on"], processor.image_token_id, processor.merge_size)
    assert run["trained on"]["pixel_values"].shape == batch["pixel_values"].shape


def test_another_crop_changes_the_log_probs_of_what_is_said_after_it_and_of_nothing_before(run):
    batch = run["batch"]
    ends = batch["image_grid_thw"].prod(dim=1).cumsum(0).tolist()
    other = batch["pixel_values"].clone()
    other[ends[1] : ends[2]] *= -1  # the first crop of the first dialogue
    right, changed = _logps(run, batch["pixel_values"]), _logps(run, other)
    moved = (right - changed).abs() > 1e-6
    words = (batch["completion_mask"] * batch["tool_mask"]).bool()
    first_turn = len(run["processor"].tokenizer(LOOKS[0])["input_ids"])
    assert not moved[0, :first_turn].any()
    assert moved[0][words[0]][first_turn:].float().mean() > 0.9
    assert not moved[1:][words[1:]].any()


def _logps(run, pixel_values):
    batch, trainer = run["batch"], run["trainer"]
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
    images = {name: batch[name] for name in ("image_grid_thw", "mm_token_type_ids", "num_images")}
    with torch.no_grad():
        logps, *_ = trainer._get_per_token_logps_and_entropies(
            trainer.model, ids, mask, batch["completion_ids"].shape[1], pixel_values=pixel_values, **images
        )
    return logps


def test_trl_writes_an_observation_in_the_tokens_that_we_count(own, frames):
    from trl import GRPOTrainer

    processor = tool_processor(own)
    library = trl_processor(processor)
    trainer = SimpleNamespace(
        _is_vlm=True,
        processing_class=library,
        _tokenizer=library.tokenizer,
        chat_template=None,
        chat_template_kwargs={},
    )
    session = ZoomSession(image_views(frames, processor), PRESET)
    for asked in (call(coordinate=[50, 60]), "no call", call(coordinate=[50, 60])):
        observation = session.look(asked)
        ours = observation_ids(processor, [observation], processed_crops(processor, [observation]))
        forced = processor.answer_ids(forced_prefix([observation.message]))[:-1]
        assert [*GRPOTrainer._get_tool_suffix_ids(trainer, [observation.message]), *forced] == ours
        assert len(ours) <= observation_tokens(processor, PRESET)


def test_the_prompt_is_the_one_that_we_would_write(run, frames):
    processor, batch = run["processor"], run["batch"]
    content = [{"type": "image"}, {"type": "image"}, {"type": "text", "text": "How far?"}]
    ours = processor.prompt_ids([{"role": "user", "content": content}], processor.images(frames))
    assert batch["prompt_ids"][0].tolist() == ours
    assert frames[0].size == FRAME_PX


def test_lost_pixels_are_noticed(run):
    batch, processor = run["batch"], run["processor"]
    dropped = {name: value for name, value in batch.items() if name not in ("pixel_values", "image_grid_thw")}
    with pytest.raises(ModelError, match="dropped the images"):
        check_crops(dropped, processor.image_token_id, processor.merge_size)
    cut = {**batch, "completion_ids": batch["completion_ids"][:, :60]}
    with pytest.raises(ModelError, match="crops were lost"):
        check_crops(cut, processor.image_token_id, processor.merge_size)
    blind = {"prompt_ids": torch.zeros(1, 3, dtype=torch.long), "completion_ids": torch.zeros(1, 3, dtype=torch.long)}
    check_crops(blind, processor.image_token_id, processor.merge_size)


@pytest.mark.parametrize(
    ("completion", "ids", "whole"),
    [
        ([{"role": "assistant", "content": "a"}], [1, 9], True),
        ([{"role": "assistant", "content": "a"}], [1, 2], False),
        ([{"role": "assistant", "content": "a", "tool_calls": [{}]}], [1, 9], False),
        ([{"role": "assistant", "content": "a", "tool_calls": [{}]}, {"role": "tool", "content": "b"}], [1, 9], False),
        ([], [], False),
    ],
)
def test_only_whole_dialogues_keep_their_loss(completion, ids, whole):
    (mask,) = without_unfinished([[1] * len(ids)], [completion], [ids], {9})
    assert mask == [int(whole)] * len(ids)


def test_an_observation_without_a_crop_has_no_images(zooming):
    nothing = processed_crops(zooming, [Observation("The call is not valid JSON.")])
    assert nothing.expansions == []
    assert nothing.inputs == {}
