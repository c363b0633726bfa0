"""Texts behind frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from PIL import Image

from drive_vqa.vlm import ChatProcessor, Vlm
from finetune.dense.moments import MOST_FRAMES, NUMBERS
from finetune.dense.numbers import digit_ids, every_number
from finetune.dense.rows import FramesPrefix, after_layers, frame_messages, rows_behind, shown_offsets
from finetune.packing import Packed, Sample, pack_behind
from tests.finetune.dense.conftest import SIZE_PX

SEQUENCE = (-1.0, -0.5, 0.0)
NOW = (0.0,)
IMAGE = Image.new("RGB", SIZE_PX)


def _after(vlm: Vlm, layers: int, prefix: FramesPrefix, texts: Sequence[Packed], cells: torch.Tensor) -> torch.Tensor:
    rows = rows_behind(prefix, texts, cells, vlm.model.get_input_embeddings())
    return after_layers(vlm.model.model.language_model, rows, rows.embedded, slice(0, layers))


@pytest.mark.parametrize("offsets_s", [NOW, SEQUENCE])
def test_the_prefix_is_the_beginning_of_every_question(processor: ChatProcessor, offsets_s: tuple[float, ...]) -> None:
    prefix = FramesPrefix.of(processor, IMAGE, offsets_s)
    images = processor.images([IMAGE] * len(offsets_s))
    asked = processor.prompt_ids(frame_messages(offsets_s, "How far away is Region 1?"), images)
    assert tuple(asked[: len(prefix.ids)]) == prefix.ids
    assert processor.image_token_id not in asked[len(prefix.ids) :]
    assert prefix.frames == len(offsets_s)
    assert int(prefix.is_cell.sum()) == len(offsets_s) * processor.image_tokens(SIZE_PX)
    assert torch.equal(prefix.positions, processor.positions(asked, images)[:, : len(prefix.ids)])


@pytest.mark.parametrize("offsets_s", [NOW, SEQUENCE])
def test_layers_hear_what_the_whole_model_hears(vlm: Vlm, offsets_s: tuple[float, ...]) -> None:
    """Frames and each number, alone behind them, in the library's own forward pass."""
    processor, frames = vlm.processor, len(offsets_s)
    prefix, digits = FramesPrefix.of(processor, IMAGE, offsets_s), digit_ids(processor)
    draw = np.random.default_rng(0)
    noise = [Image.fromarray(draw.integers(0, 255, (*SIZE_PX[::-1], 3), dtype=np.uint8)) for _ in range(2 * frames)]
    moments = [noise[:frames], noise[frames:]]
    with torch.no_grad():
        inputs = processor.images(noise).inputs
        cells = vlm.model.model.visual(inputs["pixel_values"], grid_thw=inputs["image_grid_thw"]).pooler_output
        of_moments, texts = cells.unflatten(0, (len(moments), -1)), [every_number(prefix, digits)] * len(moments)
        heard = {layers: _after(vlm, layers, prefix, texts, of_moments) for layers in (1, 2, 3)}
        for moment, number in ((0, 0), (1, 7)):
            ids = torch.tensor([[*prefix.ids, digits[number]]])
            told = vlm.model(
                input_ids=ids,
                mm_token_type_ids=(ids == processor.image_token_id).int(),
                output_hidden_states=True,
                use_cache=False,
                **processor.images(moments[moment]).inputs,
            ).hidden_states
            for layers, hidden in heard.items():
                assert torch.allclose(hidden[moment, : len(prefix.ids)], told[layers][0, :-1], atol=1e-5)
                assert torch.allclose(hidden[moment, number - NUMBERS], told[layers][0, -1], atol=1e-5)


def test_a_number_can_stand_farther_off(vlm: Vlm) -> None:
    """Of the positions only that of the token that is shifted."""
    prefix, digits = FramesPrefix.of(vlm.processor, IMAGE, NOW), digit_ids(vlm.processor)
    packed, embeddings = every_number(prefix, digits), vlm.model.get_input_embeddings()
    cells = torch.randn(1, int(prefix.is_cell.sum()), embeddings.weight.shape[1])
    shift = torch.zeros(1, len(packed.input_ids), dtype=torch.long)
    shift[0, 3 - NUMBERS] = 5
    near, far = (rows_behind(prefix, [packed], cells, embeddings, by) for by in (None, shift))
    assert (far.positions - near.positions).nonzero()[:, 2].unique().tolist() == [len(packed.input_ids) + 3 - NUMBERS]
    assert (far.positions - near.positions).max() == 5


def test_texts_of_unequal_length_do_not_touch_each_other(vlm: Vlm) -> None:
    prefix = FramesPrefix.of(vlm.processor, IMAGE, NOW)
    long, short = [pack_behind(prefix.ids, [Sample((*prefix.ids, *range(20, 20 + n)), ())]) for n in (6, 2)]
    cells = torch.randn(2, int(prefix.is_cell.sum()), vlm.model.get_input_embeddings().weight.shape[1])
    with torch.no_grad():
        together = _after(vlm, 2, prefix, [long, short], cells)
        alone = _after(vlm, 2, prefix, [short], cells[1:])
    assert torch.isfinite(together).all()
    assert torch.allclose(together[1, : alone.shape[1]], alone[0], atol=1e-6)


def test_one_number_does_not_see_another(vlm: Vlm) -> None:
    prefix, digits = FramesPrefix.of(vlm.processor, IMAGE, NOW), digit_ids(vlm.processor)
    embeddings = vlm.model.get_input_embeddings()
    cells = torch.randn(2, int(prefix.is_cell.sum()), embeddings.weight.shape[1])
    texts = [every_number(prefix, digits)] * 2
    with torch.no_grad():
        before = _after(vlm, 2, prefix, texts, cells)[:, -NUMBERS:]
        embeddings.weight[digits[3]] += 1
        after = _after(vlm, 2, prefix, texts, cells)[:, -NUMBERS:]
    changed = (before - after).abs().amax(dim=(0, 2)) > 1e-6
    assert changed.nonzero().flatten().tolist() == [3]
    assert not np.allclose(before[0], before[1])


def test_ways_in_which_frames_follow_each_other() -> None:
    def group(*views: tuple[float, str]) -> dict[str, object]:
        return {"context": [{"offset_s": offset_s, "camera": camera} for offset_s, camera in views]}

    several_cameras = group((0.0, "front"), (0.0, "back"))
    sequence = group((-0.4997, "front"), (0.0, "front"))
    clip = group(*((-0.5 * n, "front") for n in range(MOST_FRAMES, -1, -1)))
    assert shown_offsets([several_cameras, clip]) == []
    assert shown_offsets([sequence, sequence, group((0.0, "front"))]) == [(-0.5, 0.0), (0.0,)]
