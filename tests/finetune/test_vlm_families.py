"""Every known family on a tiny model of random weights: inputs, positions, parts and answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from drive_vqa.errors import ModelError
from drive_vqa.vlm import FAMILIES, PARTS, ChatProcessor, Images, Vlm, left_padded
from drive_vqa.vlm.idefics3 import expand
from tests.finetune.tiny_families import TINY_TYPES

MROPE = ("qwen2_5_vl", "qwen3_vl")
TILED = ("idefics3", "smolvlm")
SIZES = ((168, 112), (60, 90), (112, 56), (200, 40))


@pytest.fixture(scope="module")
def vlms(family_vlm: Callable[[str], Vlm]) -> dict[str, Vlm]:
    return {name: family_vlm(name) for name in TINY_TYPES}


def with_settings(processor: ChatProcessor, **changes: Any) -> ChatProcessor:
    """The same processor with other settings of its image processor."""
    image_processor = deepcopy(processor.image_processor)
    for name, value in changes.items():
        setattr(image_processor, name, value)
    return ChatProcessor(processor.tokenizer, image_processor, processor.family, processor.cell_px)


def picture(size_px: tuple[int, int], seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 255, (size_px[1], size_px[0], 3), dtype=np.uint8))


def asked(images: int, question: str = "How far away is Region 1?") -> list[dict[str, Any]]:
    frames = [{"type": "text", "text": "Now:"}, {"type": "image"}] * images
    return [{"role": "user", "content": [*frames, {"type": "text", "text": question}]}]


def logits(vlm: Vlm, prompts: list[list[int]], images: list[Images]) -> torch.Tensor:
    with torch.inference_mode():
        output = vlm.model(**left_padded(prompts, images, vlm.processor))
    return output.logits


@pytest.mark.parametrize("name", TINY_TYPES)
def test_batched_answers_equal_single_ones(vlms: dict[str, Vlm], name: str) -> None:
    """Prompts of different length with images of different number and size, which all count."""
    vlm = vlms[name]
    images = [[picture(SIZES[0], 1), picture(SIZES[1], 2)], [picture(SIZES[3], 3)], [picture(SIZES[2], 4)] * 3]
    messages = [
        asked(len(some), question)
        for some, question in zip(images, ("Why?", "How fast is it now?", "Who?"), strict=True)
    ]
    together = vlm.generate(messages, images, max_new_tokens=6)
    assert together == [vlm.generate([one], [some], 6)[0] for one, some in zip(messages, images, strict=True)]
    swapped = vlm.generate(messages[:1], [images[0][::-1]], 6)
    assert swapped[0] != together[0]


@pytest.mark.parametrize("name", TINY_TYPES)
def test_tokens_that_stand_for_images_are_never_an_answer(vlms: dict[str, Vlm], name: str) -> None:
    """A model that wants nothing else still says something else."""
    vlm = vlms[name]
    tokens = set(vlm.family.named_tokens) - {vlm.family.end_of_turn}
    wanted = [vlm.processor.token_id(token) for token in tokens]
    assert len(set(wanted)) == len(tokens)
    bias = torch.zeros(vlm.model.lm_head.out_features)
    bias[wanted] = 100.0
    hook = vlm.model.lm_head.register_forward_hook(lambda _module, _inputs, logits: logits + bias)
    images = vlm.processor.images([picture(SIZES[0])])
    inputs = left_padded([vlm.processor.prompt_ids(asked(1), images)], [images], vlm.processor)
    config = vlm.generation_config()
    config.max_new_tokens = 4
    try:
        with torch.inference_mode():
            output = vlm.model.generate(**inputs, generation_config=config)
    finally:
        hook.remove()
    assert not set(output[0, inputs["input_ids"].shape[1] :].tolist()) & set(wanted)


@pytest.mark.parametrize("name", MROPE)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_positions_are_the_models_own(vlms: dict[str, Vlm], name: str, data: st.DataObject) -> None:
    vlm = vlms[name]
    sizes = data.draw(st.lists(st.sampled_from(SIZES), min_size=1, max_size=4))
    images = vlm.processor.images([picture(size_px) for size_px in sizes])
    ids = [*vlm.processor.prompt_ids(asked(len(sizes)), images), *vlm.processor.answer_ids("12 meters")]
    input_ids = torch.tensor([ids])
    expected, _ = vlm.model.model.get_rope_index(
        input_ids,
        mm_token_type_ids=(input_ids == vlm.processor.image_token_id).int(),
        image_grid_thw=images.inputs["image_grid_thw"],
    )
    positions = vlm.processor.positions(ids, images)
    assert torch.equal(positions, expected[:, 0])
    assert len(set(map(tuple, positions.T.tolist()))) == len(ids)


@pytest.mark.parametrize("name", TILED)
def test_positions_count_tokens(vlms: dict[str, Vlm], name: str) -> None:
    processor = vlms[name].processor
    images = processor.images([picture(size_px) for size_px in SIZES])
    ids = processor.prompt_ids(asked(len(SIZES)), images)
    assert torch.equal(processor.positions(ids, images), torch.arange(len(ids))[None])


@pytest.mark.parametrize("name", TINY_TYPES)
def test_our_positions_give_the_models_logits(vlms: dict[str, Vlm], name: str) -> None:
    """Passed to the model, in the shape that it takes."""
    vlm = vlms[name]
    images = vlm.processor.images([picture(SIZES[0]), picture(SIZES[1])])
    ids = vlm.processor.prompt_ids(asked(2), images)
    positions = vlm.processor.positions(ids, images)[:, None]
    with torch.inference_mode():
        ours = vlm.model(
            input_ids=torch.tensor([ids]),
            position_ids=positions if len(positions) > 1 else positions[0],
            **vlm.processor.join_images([images]),
        ).logits
    assert torch.allclose(ours, logits(vlm, [ids], [images]), atol=1e-5)


@pytest.mark.parametrize("name", TINY_TYPES)
def test_a_cut_sequence_has_no_positions(vlms: dict[str, Vlm], name: str) -> None:
    processor = vlms[name].processor
    images = processor.images([picture(SIZES[0])])
    ids = processor.prompt_ids(asked(1), images)
    with pytest.raises(ModelError, match="cut or doubled"):
        processor.positions(ids[: len(ids) // 2], images)


@pytest.mark.parametrize("name", TINY_TYPES)
def test_lora_targets_are_the_linear_layers_of_each_part(vlms: dict[str, Vlm], name: str) -> None:
    """Told by what the modules are and in which of the model's own attributes they stand, not by their names."""
    model, family = vlms[name].model, FAMILIES[name]
    qwen = name in MROPE
    vision = model.model.visual if qwen else model.model.vision_model
    joins = [vision.merger, *getattr(vision, "deepstack_merger_list", [])] if qwen else [model.model.connector]
    language = model.model.language_model if qwen else model.model.text_model
    linears = {module: path for path, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    projector = {path for module, path in linears.items() if any(module in set(join.modules()) for join in joins)}
    expected = {
        "projector": projector,
        "vision": {path for module, path in linears.items() if module in set(vision.modules())} - projector,
        "language": {path for module, path in linears.items() if module in set(language.modules())},
    }
    for part in PARTS:
        hit = {path for path, _ in model.named_modules() if re.fullmatch(family.lora_targets[part], path)}
        assert hit == expected[part], part
        assert hit, part
    assert set().union(*expected.values()) == set(linears.values()) - {"lm_head"}


@pytest.mark.parametrize("name", TINY_TYPES)
@pytest.mark.parametrize("prefix", ["", "base_model.model.", "module.base_model.model."])
def test_every_parameter_is_in_the_part_of_its_module(vlms: dict[str, Vlm], name: str, prefix: str) -> None:
    model, family = vlms[name].model, FAMILIES[name]
    vision = model.model.visual if name in MROPE else model.model.vision_model
    own = {id(parameter) for parameter in vision.parameters()}
    parts: dict[str, int] = {}
    for path, parameter in [
        *model.named_parameters(),
        ("lm_head.modules_to_save.default.weight", model.lm_head.weight),
    ]:
        part = family.part_of(prefix + path)
        parts[part] = parts.get(part, 0) + 1
        assert (part == "vision") <= (id(parameter) in own)
        assert (part == "language") <= (id(parameter) not in own)
    assert set(parts) == set(PARTS)
    with pytest.raises(ModelError, match="no part"):
        family.part_of("audio_tower.layers.0.weight")


@pytest.mark.parametrize("name", TINY_TYPES)
def test_image_tokens_are_known_from_the_size(vlms: dict[str, Vlm], name: str) -> None:
    processor = vlms[name].processor
    for size_px in (*SIZES, (1, 1), (57, 57), (56, 56), (300, 301), (1600, 900), (37, 500)):
        images = processor.images([picture(size_px)])
        assert processor.image_tokens(size_px) == len(images.expansions[0]), size_px


@pytest.mark.parametrize("longest_px", [112, 130, 60, 40])
@settings(max_examples=25, deadline=None)
@given(size_px=st.tuples(st.integers(1, 300), st.integers(1, 300)))
def test_tiles_are_the_image_processors(vlms: dict[str, Vlm], longest_px: int, size_px: tuple[int, int]) -> None:
    """Also where the longer side is no multiple of a tile, where the library's own count is off."""
    processor = with_settings(vlms["idefics3"].processor, size={"longest_edge": longest_px})
    images = processor.images([picture(size_px)])
    tiles = images.inputs["pixel_values"].shape[1]
    assert images.expansions[0].count(processor.image_token_id) == tiles * 4
    assert processor.image_tokens(size_px) == len(images.expansions[0])


@pytest.mark.parametrize("rows", [0, 1, 2, 3])
@pytest.mark.parametrize("columns", [0, 1, 4])
def test_the_text_of_an_image_is_the_librarys(rows: int, columns: int) -> None:
    if not rows * columns and rows + columns:
        return
    from transformers.models.idefics3.processing_idefics3 import Idefics3Processor
    from transformers.models.smolvlm.processing_smolvlm import get_image_prompt_string

    own = Idefics3Processor.__new__(Idefics3Processor)
    own.fake_image_token, own.image_token = "<fake_token_around_image>", "<image>"
    own.global_image_tag, own.image_seq_len = "<global-img>", 3
    text = expand((rows, columns, 3))
    assert text == own.replace_image_token({"rows": [[rows]], "cols": [[columns]]}, 0)
    assert text == get_image_prompt_string(rows, columns, 3, "<fake_token_around_image>", "<image>", "<global-img>")


@pytest.mark.parametrize("name", TILED)
def test_prompts_are_tokenized_as_one_text(vlms: dict[str, Vlm], name: str) -> None:
    """Placing an image's ids into those of the prompt gives what the library makes of the whole text."""
    processor = vlms[name].processor
    images = processor.images([picture((112, 60)), picture((56, 112))])
    text = processor.tokenizer.apply_chat_template(asked(2), tokenize=False, add_generation_prompt=True)
    for rows, columns in ((2, 2), (2, 1)):
        text = text.replace("<image>", expand((rows, columns, 4)).replace("<image>", "<one>"), 1)
    whole = processor.tokenizer(text.replace("<one>", "<image>"), add_special_tokens=False)["input_ids"]
    assert processor.prompt_ids(asked(2), images) == whole


@pytest.mark.parametrize("name", TINY_TYPES)
def test_an_answer_follows_as_the_template_writes_it(vlms: dict[str, Vlm], name: str) -> None:
    processor = vlms[name].processor
    reply = {"role": "assistant", "content": [{"type": "text", "text": "12 meters"}]}
    images = processor.images([picture(SIZES[0])])
    told = processor.tokenizer.apply_chat_template([*asked(1), reply], tokenize=False)
    told = told.replace(processor.family.image_token, "", 1).rstrip("\n")
    ids = [*processor.prompt_ids(asked(1), images), *processor.answer_ids("12 meters")]
    kept = [one for one in ids if one not in {processor.token_id(token) for token in IMAGE_TEXTS[name]}]
    assert processor.tokenizer.decode(kept).replace("\n\n\n", "") == told
    assert ids[-1] == processor.end_id


IMAGE_TEXTS = {
    name: tuple(set(FAMILIES[name].named_tokens) - {FAMILIES[name].end_of_turn, "<|vision_end|>"})
    for name in TINY_TYPES
}


@pytest.mark.parametrize("name", TILED)
@pytest.mark.parametrize("shifted", [True, False])
def test_a_black_image_is_an_image(vlms: dict[str, Vlm], name: str, *, shifted: bool) -> None:
    """Where values are not shifted, a black tile is all zeros, which the model takes for padding and drops."""
    vlm = vlms[name]
    processor = with_settings(vlm.processor, do_normalize=shifted)
    night = [picture(SIZES[0]), Image.new("RGB", SIZES[1]), picture(SIZES[2])]
    images = processor.images(night)
    ids = processor.prompt_ids(asked(3), images)
    dark = logits(Vlm(vlm.model, processor), [ids], [images])
    assert dark.isfinite().all()
    bfloat = images.inputs["pixel_values"].to(torch.bfloat16).flatten(2)
    assert (bfloat != 0).any(dim=2).all()
    lit = processor.images([night[0], picture(SIZES[1]), night[2]])
    assert not torch.allclose(dark, logits(Vlm(vlm.model, processor), [ids], [lit]), atol=1e-3)


@pytest.mark.parametrize("name", TINY_TYPES)
def test_images_of_a_batch_stand_in_order(vlms: dict[str, Vlm], name: str) -> None:
    """Two rows, one with two images, give the logits that each gives alone; changed images change their own row only."""
    vlm = vlms[name]
    first = vlm.processor.images([picture(SIZES[0], 1), picture(SIZES[1], 2)])
    second = vlm.processor.images([picture(SIZES[2], 3)])
    prompts = [vlm.processor.prompt_ids(asked(2), first), vlm.processor.prompt_ids(asked(1), second)]
    together = logits(vlm, prompts, [first, second])
    for row, (ids, images) in enumerate(zip(prompts, (first, second), strict=True)):
        assert torch.allclose(together[row, -len(ids) :], logits(vlm, [ids], [images])[0], atol=1e-4)
    other = vlm.processor.images([picture(SIZES[2], 9)])
    changed = logits(vlm, prompts, [first, other])
    assert torch.allclose(changed[0, -5:], together[0, -5:], atol=1e-4)
    assert not torch.allclose(changed[1, -5:], together[1, -5:], atol=1e-2)


@pytest.mark.parametrize("name", TINY_TYPES)
def test_a_text_in_the_models_units(vlms: dict[str, Vlm], name: str) -> None:
    """The whole image, of 1600×900 pixels and shown as 168×112, is as large as the family counts it."""
    processor = vlms[name].processor
    group = {"group_id": "g", "context": [{"width": 1600, "height": 900, "offset_s": 0.0, "camera": "c"}], "marks": []}
    expected = "[0, 0, 168, 112]" if name == "qwen2_5_vl" else "[0, 0, 1000, 1000]"
    assert processor.to_model_text("[0, 0, 1600, 900]", group, (168, 112)) == expected
    assert processor.from_model_text(expected, group, (168, 112)) == "[0, 0, 1600, 900]"
    message = processor.to_model_messages(asked(1, "The car at [0, 0, 1600, 900]?"), group, (168, 112))[0]
    assert message["content"][-1]["text"] == f"The car at {expected}?"
    assert message["content"][:2] == asked(1)[0]["content"][:2]
    lost = {**group, "context": [{**group["context"][0], "width": None}]}
    assert processor.to_model_text("12.4 meters", lost, None) == "12.4 meters"
    with pytest.raises(ModelError, match="known size"):
        processor.to_model_text("[0, 0, 1, 1]", lost, None)


def test_units_of_a_model_that_resizes(vlms: dict[str, Vlm]) -> None:
    """1600×900 pixels are more than this image processor allows, so it makes them fewer, and boxes are counted in those."""
    processor = vlms["qwen2_5_vl"].processor
    group = {"group_id": "g", "context": [{"width": 1600, "height": 900, "offset_s": 0.0, "camera": "c"}], "marks": []}
    _, rows, columns = processor.images([picture((1600, 900))]).inputs["image_grid_thw"][0].tolist()
    assert processor.to_model_text("[0, 0, 1600, 900]", group, None) == f"[0, 0, {columns * 14}, {rows * 14}]"
    assert columns * 14 < 1600
