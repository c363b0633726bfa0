"""Each guard against what it guards: a model, a batch or a number broken on purpose."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import finetune.attention
import finetune.loss
from drive_vqa.errors import ConfigError, ModelError
from drive_vqa.vlm import ChatProcessor, Vlm, load_vlm
from finetune.adapter import prepare
from finetune.collate import Collator
from finetune.config import FinetuneConfig, LearningRates, LoraSettings
from finetune.dataset import Lesson, ShownLesson
from finetune.guards.batch_images import blank_images, check_batch_images, feature_count, with_images_of
from finetune.guards.carried_loss import check_carried, decode_batch, write_samples
from finetune.guards.finite import check_gradient_norm, check_loss
from finetune.guards.frozen import check_frozen, record_frozen
from finetune.guards.image_probe import BLANK, SWAPPED, ImageProbe, ProbeResult, ratio_of_means, spread_lessons
from finetune.guards.parity import check_parity
from finetune.guards.trained import check_gradients_arrive, check_trained_modules, listed_modules, trained_modules
from finetune.loss import answer_loss
from finetune.packing import IGNORED
from tests.finetune.tiny_families import TINY_TYPES, make_tiny_family

CPU = torch.device("cpu")
LANGUAGE_ONLY = FinetuneConfig(lora=LoraSettings(rank=2, dropout=0.0))
ALL_PARTS = replace(LANGUAGE_ONLY, learning_rates=LearningRates(language=1e-3, vision=1e-3, projector=1e-3))


def shown_lesson(number: int) -> ShownLesson:
    """A square on one side and of one brightness; what is asked cannot be told from the words."""
    side, bright = ("left", "right")[number % 2], ("dark", "light")[number // 2 % 2]
    pixels = np.random.default_rng(number).integers(100, 140, (112, 112, 3), dtype=np.uint8)
    columns = slice(0, 56) if side == "left" else slice(56, 112)
    pixels[28:84, columns] = 250 if bright == "light" else 5
    group = {
        "group_id": f"group-{number}",
        "log_id": "painted",
        "context": [{"offset_s": 0.0, "camera": "front", "frame": 0, "width": 112, "height": 112}],
        "marks": [],
    }
    asked = [("On which side is the square?", side), ("Which shade has it?", bright), ("Is there a square?", "yes")]
    questions = [
        {
            "qa_id": f"q{number}-{index}",
            "type": "painted",
            "family": "object",
            "question": text,
            "options": None,
            "answer": answer,
        }
        for index, (text, answer) in enumerate(asked)
    ]
    return ShownLesson(Lesson(group, tuple(questions)), (Image.fromarray(pixels),))


LESSONS = tuple(shown_lesson(number) for number in range(4))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("families")
    return {kind: make_tiny_family(kind, root / kind) for kind in TINY_TYPES}


@pytest.fixture(scope="module")
def families(folders: dict[str, Path]) -> dict[str, Vlm]:
    """Random weights; tests copy a model before they change it."""
    return {kind: load_vlm(folder, device="cpu") for kind, folder in folders.items()}


@pytest.fixture(scope="module")
def fresh(families: dict[str, Vlm]) -> Vlm:
    return families["qwen2_5_vl"]


@pytest.fixture(scope="module")
def collator(fresh: Vlm) -> Collator:
    return _collator(fresh.processor)


@pytest.fixture(scope="module")
def batches(collator: Collator) -> list[dict[str, torch.Tensor]]:
    return [collator([(shown,)]) for shown in LESSONS]


@pytest.fixture(scope="module")
def trained(fresh: Vlm, collator: Collator) -> Vlm:
    """Knows the four pictures."""
    model = copy.deepcopy(fresh.model)
    batch = collator([(shown,) for shown in LESSONS])
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.0)
    for _ in range(24):
        optimizer.zero_grad()
        total, count = answer_loss(model, batch)
        (total / count).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    optimizer.zero_grad()
    return Vlm(model.eval(), fresh.processor)


# --- images


def test_a_model_that_looks_is_not_complained_about(trained: Vlm, batches: list[Any]) -> None:
    result = ImageProbe(batches).measure(trained.model, CPU)
    metrics = result.metrics()
    assert metrics[SWAPPED] > 2
    assert metrics[BLANK] > 2
    assert result.complaint(learned=True) is None
    total, count = answer_loss(trained.model, batches[0])
    assert result.right[0] == pytest.approx((total / count).item())


@pytest.mark.parametrize("learned", [True, False])
def test_images_that_do_not_reach_the_loss_are_complained_about_at_any_step(
    fresh: Vlm, batches: list[Any], learned: bool
) -> None:
    model = copy.deepcopy(fresh.model)
    with torch.no_grad():
        for parameter in model.model.visual.merger.parameters():
            parameter.zero_()
    complaint = ImageProbe(batches).measure(model, CPU).complaint(learned=learned)
    assert complaint is not None
    assert "do not reach the loss" in complaint
    assert ImageProbe(batches).measure(fresh.model, CPU).complaint(learned=False) is None


def test_images_that_do_not_help_are_complained_about_once_the_model_should_know(
    trained: Vlm, batches: list[Any]
) -> None:
    """All images look nearly alike to this model."""
    model = copy.deepcopy(trained.model)
    last = model.model.visual.merger.mlp[2]
    with torch.no_grad():
        last.weight.mul_(1e-4)
        last.bias.fill_(1.0)
    result = ImageProbe(batches).measure(model, CPU)
    assert result.right != result.blank, "the images do reach the loss"
    assert result.complaint(learned=False) is None
    assert "ignores the images" in (result.complaint(learned=True) or "")


@pytest.mark.parametrize(
    ("swapped", "complains"),
    [((1.0, 1.001, 1.002), True), ((1.05, 1.06, 1.04), False), ((1.3, 0.7, 1.0), False), ((0.95, 0.96, 0.94), True)],
)
def test_a_complaint_needs_a_sure_ratio(swapped: tuple[float, ...], complains: bool) -> None:
    """No gain, a gain, a noise that could hide one, and images that mislead."""
    result = ProbeResult((1.0, 1.0, 1.0), swapped, (1.1, 1.2, 1.1))
    assert (result.complaint(learned=True) is not None) == complains


def test_standard_error_of_a_ratio() -> None:
    """Against the ratio's spread over many draws of the same kind."""
    rng = np.random.default_rng(0)
    first = rng.uniform(1, 2, (2000, 12))
    second = first * 1.3 + rng.normal(0, 0.2, first.shape)
    pairs = [
        ratio_of_means(list(zip(one.tolist(), other.tolist(), strict=True)))
        for one, other in zip(first, second, strict=True)
    ]
    ratios, errors = np.array(pairs).T
    assert np.mean(errors) == pytest.approx(np.std(ratios), rel=0.1)
    assert ratio_of_means([(2.0, 3.0)])[0] == 1.5


def test_probing_leaves_no_trace(fresh: Vlm, batches: list[Any]) -> None:
    """Training with dropout, with looks between the steps and without: the same losses and weights, to the last bit."""
    losses, weights = [], []
    for probed in (True, False):
        torch.manual_seed(0)
        model = prepare(
            copy.deepcopy(fresh.model), fresh.family, replace(LANGUAGE_ONLY, lora=LoraSettings(dropout=0.5)), Path("x")
        )
        model.train()
        model.base_model.model.lm_head.eval()  # an odd one out must stay so
        optimizer, probe = (
            torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.01),
            ImageProbe(batches[:2]),
        )
        for batch in batches[:2]:
            total, _ = answer_loss(model, batch)
            total.backward()
            if probed:
                first, second = probe.measure(model, CPU), probe.measure(model, CPU)
                assert first == second, "dropout is on"
            optimizer.step()
            optimizer.zero_grad()
            losses.append(total.item())
        assert model.training
        assert not model.base_model.model.lm_head.training
        weights.append([parameter.detach().clone() for parameter in model.parameters()])
    assert losses[:2] == losses[2:]
    assert all(torch.equal(one, other) for one, other in zip(*weights, strict=True))


def test_lessons_about_one_group_do_not_swap(collator: Collator) -> None:
    twice = [collator([(LESSONS[0],)]), collator([(LESSONS[0],)])]
    with pytest.raises(ConfigError, match="probe_steps=0"):
        ImageProbe(twice)


def test_probed_lessons_are_spread() -> None:
    assert spread_lessons(3) == [0, 1, 2]
    assert spread_lessons(80, 4) == [0, 20, 40, 60]


def test_swapped_and_blank_images_change_what_is_answered(trained: Vlm, collator: Collator) -> None:
    """Total variation between the distributions of the first answer token: 1 where no token is likely under both."""
    batch = collator([(shown,) for shown in LESSONS])
    opposite = collator([(shown,) for shown in reversed(LESSONS)])  # the other side and the other shade
    right = _first_answers(trained, batch)
    swapped, blank = (
        (right - _first_answers(trained, other)).abs().sum(dim=-1) / 2
        for other in (with_images_of(batch, opposite), blank_images(batch))
    )
    assert swapped[:, :2].mean() > 0.5, swapped
    assert blank[:, :2].mean() > 0.1, blank
    assert swapped[:, 2].mean() < 0.3, "the answer that is always yes"


@pytest.mark.parametrize("kind", TINY_TYPES)
def test_swapped_and_blank_images_change_the_loss_of_each_family(families: dict[str, Vlm], kind: str) -> None:
    vlm = families[kind]
    collate = _collator(vlm.processor)
    result = ImageProbe([collate([(shown,)]) for shown in LESSONS[:2]]).measure(vlm.model, CPU)
    assert all(
        abs(other - right) > 1e-4
        for right, other in zip(result.right, result.swapped, strict=True)
        if other is not None
    )
    assert all(abs(other - right) > 1e-4 for right, other in zip(result.right, result.blank, strict=True))
    assert result.complaint(learned=False) is None


@pytest.mark.parametrize("kind", TINY_TYPES)
def test_lost_and_doubled_images_are_refused(families: dict[str, Vlm], kind: str) -> None:
    processor = families[kind].processor
    batch = _collator(processor)([(LESSONS[0], LESSONS[1]), (LESSONS[2],)])
    check_batch_images(batch, processor)
    check_batch_images(blank_images(batch), processor)
    assert feature_count(batch, processor) == int((batch["input_ids"] == processor.image_token_id).sum())
    cut = {**batch, "input_ids": batch["input_ids"].clone()}
    cut["input_ids"][0, (batch["input_ids"][0] == processor.image_token_id).nonzero()[0]] = processor.end_id
    one_lesson = _collator(processor)([(LESSONS[0],)])
    for broken in (cut, with_images_of(batch, one_lesson)):
        with pytest.raises(ModelError, match=r"\d+ image placeholders for \d+ image features"):
            check_batch_images(broken, processor)
    with pytest.raises(ModelError, match="without images"):
        check_batch_images({name: value for name, value in batch.items() if name != "pixel_values"}, processor)


# --- weights


@pytest.mark.parametrize("config", [LANGUAGE_ONLY, ALL_PARTS], ids=["language", "all"])
@pytest.mark.parametrize("kind", TINY_TYPES)
def test_lora_touches_exactly_the_listed_modules(families: dict[str, Vlm], kind: str, config: FinetuneConfig) -> None:
    """Against lists made from the architecture, not from the regular expressions."""
    vlm = Vlm(copy.deepcopy(families[kind].model), families[kind].processor)
    before = {name: value.clone() for name, value in vlm.model.state_dict().items()}
    linears = {name for name, module in vlm.model.named_modules() if isinstance(module, torch.nn.Linear)} - {"lm_head"}
    language = {name for name in linears if ".language_model." in name or ".text_model." in name}
    wanted = language if config is LANGUAGE_ONLY else linears
    listed = listed_modules(vlm.model, vlm.family, config)
    model = prepare(vlm.model, vlm.family, config, Path("x"))
    check_trained_modules(model, listed)
    assert trained_modules(model) == listed == wanted
    record = record_frozen(model)
    _step(model, _collator(vlm.processor)([(LESSONS[0],)]))
    check_frozen(model, record, 1)
    after = {name.replace(".base_layer", ""): value for name, value in model.get_base_model().state_dict().items()}
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    moved = {name for name, value in after.items() if ".lora_B." in name and value.abs().sum() > 0}
    assert len(moved) == len(wanted - _unheard(model, wanted))


def test_full_tuning_and_saved_modules_are_listed(fresh: Vlm) -> None:
    vlm = Vlm(copy.deepcopy(fresh.model), fresh.processor)
    saved = replace(LANGUAGE_ONLY.lora, modules_to_save=("patch_embed", "self_attn", "embed_tokens"))
    whole = replace(LANGUAGE_ONLY, lora=saved, learning_rates=LearningRates(language=1e-3, vision=1e-3))
    listed = listed_modules(vlm.model, vlm.family, whole)
    assert {
        "model.visual.patch_embed",
        "model.language_model.embed_tokens",
        "model.language_model.layers.1.self_attn",
    } < listed
    assert not any(".self_attn." in name for name in listed), "the copy stands for what is in it"
    check_trained_modules(prepare(vlm.model, vlm.family, whole, Path("x")), listed)
    full = replace(LANGUAGE_ONLY, method="full")
    other = Vlm(copy.deepcopy(fresh.model), fresh.processor)
    listed = listed_modules(other.model, other.family, full)
    model = prepare(other.model, other.family, full, Path("x"))
    check_trained_modules(model, listed)
    model.model.visual.patch_embed.proj.weight.requires_grad_(True)
    with pytest.raises(ModelError, match=r"model\.visual\.patch_embed\.proj is trained unasked"):
        check_trained_modules(model, listed)


def test_modules_out_of_the_list_are_named(adapted: Any, fresh: Vlm) -> None:
    listed = listed_modules(fresh.model, fresh.family, LANGUAGE_ONLY)
    check_trained_modules(adapted, listed)
    norm = next(name for name, _ in adapted.named_parameters() if name.endswith("language_model.norm.weight"))
    adapted.get_parameter(norm).requires_grad_(True)
    with pytest.raises(ModelError, match=r"^model\.language_model\.norm is trained unasked \(1 modules\)"):
        check_trained_modules(adapted, listed)
    adapted.get_parameter(norm).requires_grad_(False)
    for name, parameter in adapted.named_parameters():
        if ".layers.1.mlp.up_proj.lora" in name:
            parameter.requires_grad_(False)
    with pytest.raises(ModelError, match=r"layers\.1\.mlp\.up_proj is to be trained and is not \(1 of 14"):
        check_trained_modules(adapted, listed)
    with pytest.raises(ConfigError, match="names no module"):
        check_trained_modules(adapted, [])


@pytest.mark.parametrize(
    "name", ["visual.blocks.0.attn.qkv.weight", "layers.0.self_attn.q_proj.base_layer.weight", "inv_freq"]
)
def test_a_nudged_frozen_tensor_is_refused(adapted: Any, name: str) -> None:
    record = record_frozen(adapted)
    check_frozen(adapted, record, 5)
    tensors = dict([*adapted.named_parameters(), *adapted.named_buffers()])
    found = next(tensor for full, tensor in tensors.items() if full.endswith(name))
    with torch.no_grad():
        found.mul_(1 + 2e-7 if found.dtype == torch.float32 and found.numel() > 100 else 1.01)
    with pytest.raises(ModelError, match=rf"after step 5 the frozen \S*{name} is not what it was \(alone\)"):
        check_frozen(adapted, record, 5)


def test_weight_decay_on_frozen_weights_is_refused(adapted: Any, batches: list[Any]) -> None:
    """An optimizer over all parameters leaves those without a gradient, but a loop that decays by hand does not."""
    record = record_frozen(adapted)
    digest = record.digest
    _step(adapted, batches[0])
    assert record_frozen(adapted).digest == digest, "the adapter alone has moved"
    with torch.no_grad():
        for parameter in adapted.parameters():
            parameter.mul_(0.999)
    with pytest.raises(ModelError, match=r"and \d+ more"):
        check_frozen(adapted, record, 1)
    assert record_frozen(adapted).digest != digest


def test_thawing_during_training_is_refused(adapted: Any) -> None:
    record = record_frozen(adapted)
    next(parameter for parameter in adapted.parameters() if not parameter.requires_grad).requires_grad_(True)
    with pytest.raises(ModelError, match="no longer frozen"):
        check_frozen(adapted, record, 1)


def test_checksums_take_other_types_and_large_tensors() -> None:
    for dtype in (torch.bfloat16, torch.float16, torch.uint8, torch.bool):
        module = torch.nn.Module()
        module.register_buffer("large", torch.zeros(300, 301).to(dtype))
        module.register_buffer("empty", torch.zeros(0).to(dtype))
        module.register_buffer("scalar", torch.tensor(1).to(dtype))
        record = record_frozen(module)
        check_frozen(module, record, 1)
        module.large.logical_not_()
        with pytest.raises(ModelError, match="frozen large"):
            check_frozen(module, record, 1)


def test_wrapped_for_several_processes_it_is_the_same_model(adapted: Any, fresh: Vlm, one_process: None) -> None:
    record = record_frozen(adapted)
    wrapped = torch.nn.parallel.DistributedDataParallel(adapted)
    check_frozen(wrapped, record, 1)
    check_trained_modules(wrapped, listed_modules(fresh.model, fresh.family, LANGUAGE_ONLY))


def test_gradients_arrive(adapted: Any, batches: list[Any]) -> None:
    answer_loss(adapted, batches[0])[0].backward()
    check_gradients_arrive(adapted)


def test_a_dead_adapter_is_refused(fresh: Vlm, batches: list[Any]) -> None:
    """LoRA on a layer that no forward pass goes through, and on a vision tower that nothing listens to."""
    model = copy.deepcopy(fresh.model)
    model.model.language_model.layers[0].mlp.spare_proj = torch.nn.Linear(64, 64)
    targets = r".*(mlp\.spare_proj|q_proj)"
    spare = prepare(
        model, fresh.family, replace(LANGUAGE_ONLY, lora=replace(LANGUAGE_ONLY.lora, targets=targets)), Path("x")
    )
    answer_loss(spare, batches[0])[0].backward()
    with pytest.raises(ModelError, match=r"spare_proj\.lora_A\.default\.weight got no gradient \(2 of 6"):
        check_gradients_arrive(spare)
    deaf = copy.deepcopy(fresh.model)
    with torch.no_grad():
        for parameter in deaf.model.visual.merger.parameters():
            parameter.zero_()
    rates = LearningRates(language=1e-3, vision=1e-3)
    deaf = prepare(deaf, fresh.family, replace(LANGUAGE_ONLY, learning_rates=rates), Path("x"))
    answer_loss(deaf, batches[0])[0].backward()
    with pytest.raises(ModelError, match=r"visual\.blocks\.0\.\S+ got a gradient of zeros only"):
        check_gradients_arrive(deaf)


# --- numbers


def test_a_loss_that_is_not_finite_is_traced(fresh: Vlm, batches: list[Any]) -> None:
    model, batch, nan = copy.deepcopy(fresh.model), batches[0], torch.tensor(float("nan"))
    check_loss(torch.tensor(1.0), model, batch, 7)
    with pytest.raises(ModelError, match=r"loss of step 7 is nan \(batch of a, b, c and 1 more\): .* precision=fp32"):
        check_loss(nan, model, batch, 7, ["a", "b", "c", "d"])
    with pytest.raises(ModelError, match=r"loss of step 8 is inf: the images of the batch are not finite"):
        check_loss(torch.tensor(float("inf")), model, {**batch, "pixel_values": batch["pixel_values"] / 0}, 8)
    with torch.no_grad():
        model.model.language_model.layers[1].mlp.up_proj.weight[3, 4] = float("nan")
    total, _ = answer_loss(model, batch)
    with pytest.raises(
        ModelError, match=r"is nan: model\.language_model\.layers\.1\.mlp\.up_proj\.weight is not finite.*resume"
    ):
        check_loss(total, model, batch, 7)


def test_a_gradient_that_is_not_finite_is_named(adapted: Any, batches: list[Any]) -> None:
    answer_loss(adapted, batches[0])[0].backward()
    trained = [parameter for parameter in adapted.parameters() if parameter.requires_grad]
    check_gradient_norm(torch.nn.utils.get_total_norm([p.grad for p in trained if p.grad is not None]), adapted, 3)
    name = next(name for name, _ in adapted.named_parameters() if "layers.1.self_attn.v_proj.lora_B" in name)
    adapted.get_parameter(name).grad[0, 0] = float("inf")
    norm = torch.nn.utils.clip_grad_norm_(trained, 1e9)
    with pytest.raises(
        ModelError, match=r"norm of step 3 is \w+ \(batch of g\): the gradient of \S+layers\.\S+ is not finite"
    ):
        check_gradient_norm(norm, adapted, 3, ["g"])
    with pytest.raises(ModelError, match="each gradient is finite"):
        check_gradient_norm(float("inf"), torch.nn.Linear(1, 1), 3)


# --- what carries loss


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("kind", TINY_TYPES)
def test_what_carries_loss_is_the_answers(families: dict[str, Vlm], kind: str, packed: bool) -> None:
    processor = families[kind].processor
    batch = _collator(processor, packed=packed)([(LESSONS[0], LESSONS[3]), (LESSONS[2],)])
    carried = decode_batch(batch, processor)
    check_carried(carried, _answers(0, 3, 2), processor)
    assert f"<image ×{feature_count(batch, processor)}" not in carried[0].images
    assert processor.family.image_token not in carried[0].images.replace("<image ×", "")
    asked = [question["question"] for number in (0, 3, 2) for question in LESSONS[number].lesson.questions]
    assert all(text in one.asked for one, text in zip(carried, asked, strict=True))
    with pytest.raises(ModelError, match="would learn"):
        check_carried(carried, _answers(3, 0, 2), processor)
    with pytest.raises(ModelError, match="for 9 questions and has 8"):
        check_carried(carried, _answers(0, 3, 2)[:-1], processor)


@pytest.mark.parametrize("shift", [1, -1])
def test_a_mask_shifted_by_one_is_refused(collator: Collator, fresh: Vlm, shift: int) -> None:
    batch = collator([LESSONS[:2]])
    carries = (batch["labels"] != IGNORED).roll(shift, dims=1)
    labels = torch.where(carries, batch["input_ids"], IGNORED)
    with pytest.raises(ModelError, match="carries loss|would learn"):
        check_carried(decode_batch({**batch, "labels": labels}, fresh.processor), _answers(0, 1), fresh.processor)
    with pytest.raises(ModelError, match="not its own token"):
        decode_batch(
            {**batch, "labels": torch.where(batch["labels"] != IGNORED, batch["input_ids"].roll(1, 1), IGNORED)},
            fresh.processor,
        )


@pytest.mark.parametrize(
    ("place", "message"),
    [("prefix", "in images"), ("padding", "in padding"), ("question", "middle of a question"), ("all", "would learn")],
)
def test_loss_on_anything_else_is_refused(collator: Collator, fresh: Vlm, place: str, message: str) -> None:
    batch = collator([LESSONS[:2], (LESSONS[2],)])
    labels, carries = batch["labels"].clone(), batch["labels"] != IGNORED
    places = {
        "prefix": (batch["segment"] == 0).nonzero()[3:4],
        "padding": (batch["segment"] == -1).nonzero()[:1],
        "question": ((batch["segment"] > 0) & ~carries).nonzero()[:1],
        "all": ((batch["segment"] > 0) & ~carries).nonzero(),
    }[place]
    labels[places[:, 0], places[:, 1]] = batch["input_ids"][places[:, 0], places[:, 1]]
    with pytest.raises(ModelError, match=message):
        check_carried(decode_batch({**batch, "labels": labels}, fresh.processor), _answers(0, 1, 2), fresh.processor)


def test_an_end_of_turn_that_is_not_learned_is_refused(collator: Collator, fresh: Vlm) -> None:
    batch = collator([LESSONS[:1]])
    ends = batch["labels"] == fresh.processor.end_id
    assert ends.sum() == 3
    with pytest.raises(ModelError, match="would learn|middle of a question"):
        check_carried(
            decode_batch({**batch, "labels": batch["labels"].masked_fill(ends, IGNORED)}, fresh.processor),
            _answers(0),
            fresh.processor,
        )


def test_the_sample_file_is_made_for_reading(collator: Collator, fresh: Vlm, tmp_path: Path) -> None:
    hostile = replace(
        LESSONS[1],
        lesson=replace(LESSONS[1].lesson, questions=({**LESSONS[1].lesson.questions[0], "answer": "a\n```\nb"},)),
    )
    batch = collator([(LESSONS[0], hostile), (LESSONS[2],)])
    write_samples(decode_batch(batch, fresh.processor), [LESSONS[0], hostile, LESSONS[2]], tmp_path / "samples.md")
    text = (tmp_path / "samples.md").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["samples.md"]
    assert text.count("## Row") == 2 + text.count("### Lesson") - 3
    assert "<|vision_start|><image ×16><|vision_end|>" in text
    assert "On which side is the square?" in text
    assert "  ▶ left<|im_end|>" in text
    assert "````text" in text
    with pytest.raises(ModelError, match="lessons of the batch"):
        write_samples(decode_batch(batch, fresh.processor), LESSONS[:1], tmp_path / "samples.md")


# --- parity


@pytest.mark.parametrize("kind", TINY_TYPES)
def test_packed_rows_are_worth_what_the_library_says(families: dict[str, Vlm], kind: str) -> None:
    vlm = families[kind]
    collate = _collator(vlm.processor)
    parity = check_parity(vlm.model, vlm.processor, collate, LESSONS[:3], CPU)
    assert len(parity.packed) == 3
    assert parity.difference < 1e-5


@pytest.mark.parametrize("leak", ["questions", "lessons", "future", "positions"])
def test_a_leak_between_questions_is_refused(
    fresh: Vlm, collator: Collator, leak: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = finetune.attention.packed_attention

    def leaky(lesson: torch.Tensor, segment: torch.Tensor) -> torch.Tensor:
        allowed = original(lesson, segment)
        causal = torch.ones_like(allowed).tril()
        same_lesson = (lesson[:, :, None] == lesson[:, None, :])[:, None]
        return {
            "questions": causal & same_lesson,
            "lessons": causal & (allowed | ~same_lesson),
            "future": allowed | allowed.mT,
        }[leak]

    def shifted(rows: Any) -> dict[str, torch.Tensor]:
        batch = collator(rows)
        places = batch["position_ids"] + (batch["segment"] > 0).long() * 1
        return {**batch, "position_ids": places}

    if leak != "positions":
        monkeypatch.setattr(finetune.attention, "packed_attention", leaky)
    with pytest.raises(ModelError, match=r"the loss [\d.]+ in its packed row and [\d.]+ alone"):
        check_parity(fresh.model, fresh.processor, shifted if leak == "positions" else collator, LESSONS[:2], CPU)


def test_parity_leaves_no_trace(adapted: Any, fresh: Vlm, collator: Collator) -> None:
    adapted.train()
    state = torch.get_rng_state()
    check_parity(adapted, fresh.processor, collator, LESSONS[:1], CPU, questions=1)
    assert torch.equal(state, torch.get_rng_state())
    assert adapted.training
    assert all(parameter.grad is None for parameter in adapted.parameters())


@pytest.fixture
def adapted(fresh: Vlm) -> Any:
    return prepare(copy.deepcopy(fresh.model), fresh.family, LANGUAGE_ONLY, Path("x"))


@pytest.fixture
def one_process() -> Iterator[None]:
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def _collator(processor: ChatProcessor, packed: bool = True) -> Collator:
    return Collator(processor, packed=packed, max_tokens=4096, size_px=(112, 112))


def _answers(*numbers: int) -> list[str]:
    return [question["answer"] for number in numbers for question in LESSONS[number].lesson.questions]


def _unheard(model: Any, modules: set[str]) -> set[str]:
    """Qwen3-VL adds the n-th deep image features behind the n-th language layer: behind the last one, no answer sees them."""
    last = model.config.get_text_config().num_hidden_layers - 1
    return {name for name in modules if f"deepstack_merger_list.{last}." in name}


def _step(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    answer_loss(model, batch)[0].backward()
    optimizer.step()


def _first_answers(vlm: Vlm, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Distribution of the first answer token of each question, for rows of one lesson: (rows, questions, vocabulary)."""
    with torch.no_grad():
        logits = vlm.model(**finetune.loss.forward_inputs(vlm.model, batch)).logits
    carries = (batch["labels"] != IGNORED).long()
    begins = carries[:, 1:] > carries[:, :-1]
    return torch.stack([row[at].softmax(dim=-1) for row, at in zip(logits[:, :-1], begins, strict=True)])
