"""Texts behind frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from drive_vqa.vlm import ChatProcessor, Vlm
from finetune.dense.numbers import digit_ids, every_number
from finetune.dense.pictures import NUMBERS, Picture
from finetune.dense.rows import FramesPrefix, after_layers, frame_messages, rows_behind, shown_offsets
from finetune.packing import Packed, Sample, pack_behind
from tests.finetune.dense.conftest import SIZE_PX

SEQUENCE = (-1.0, -0.5, 0.0)
NOW = (0.0,)


def _prefix(processor: ChatProcessor, pictures: Sequence[Picture], offsets_s: tuple[float, ...]) -> FramesPrefix:
    return FramesPrefix.of(processor, pictures[0].image, offsets_s)


def _two_layers(vlm: Vlm, prefix: FramesPrefix, texts: Sequence[Packed], cells: torch.Tensor) -> torch.Tensor:
    rows = rows_behind(prefix, texts, cells, vlm.model.get_input_embeddings())
    return after_layers(vlm.model.model.language_model, rows, rows.embedded, slice(0, 2))


@pytest.mark.parametrize("offsets_s", [NOW, SEQUENCE])
def test_the_prefix_is_the_beginning_of_every_question(
    processor: ChatProcessor, pictures: list[Picture], offsets_s: tuple[float, ...]
) -> None:
    prefix = _prefix(processor, pictures, offsets_s)
    images = processor.images([pictures[0].image] * len(offsets_s))
    asked = processor.prompt_ids(frame_messages(offsets_s, "How far away is Region 1?"), images)
    assert tuple(asked[: len(prefix.ids)]) == prefix.ids
    assert processor.image_token_id not in asked[len(prefix.ids) :]
    assert int(prefix.is_cell.sum()) == len(offsets_s) * processor.image_tokens(SIZE_PX)
    assert torch.equal(prefix.positions, processor.positions(asked, images)[:, : len(prefix.ids)])


@pytest.mark.parametrize("offsets_s", [NOW, SEQUENCE])
def test_layers_hear_what_the_whole_model_hears(
    vlm: Vlm, pictures: list[Picture], offsets_s: tuple[float, ...]
) -> None:
    """Each number, alone behind its frames, in the library's own forward pass; the last frame is the text's own picture."""
    processor = vlm.processor
    prefix, digits = _prefix(processor, pictures, offsets_s), digit_ids(processor)
    shown = [picture.image for picture in pictures[:4]]
    with torch.no_grad():
        inputs = processor.images(shown).inputs
        cells = vlm.model.model.visual(inputs["pixel_values"], grid_thw=inputs["image_grid_thw"]).pooler_output
        texts = [every_number(prefix, digits)] * len(shown)
        hidden = _two_layers(vlm, prefix, texts, cells.unflatten(0, (len(shown), -1)))
        for place, number in ((3, 0), (2, 7)):
            images = processor.images(shown[place + 1 - len(offsets_s) : place + 1])
            ids = torch.tensor([[*prefix.ids, digits[number]]])
            told = vlm.model(
                input_ids=ids,
                mm_token_type_ids=(ids == processor.image_token_id).int(),
                output_hidden_states=True,
                use_cache=False,
                **images.inputs,
            ).hidden_states[2]
            assert torch.allclose(hidden[place, number - NUMBERS], told[0, -1], atol=1e-5)


def test_texts_of_unequal_length_do_not_touch_each_other(vlm: Vlm, pictures: list[Picture]) -> None:
    prefix = _prefix(vlm.processor, pictures, NOW)
    long, short = [pack_behind(prefix.ids, [Sample((*prefix.ids, *range(20, 20 + n)), ())]) for n in (6, 2)]
    cells = torch.randn(2, int(prefix.is_cell.sum()), vlm.model.get_input_embeddings().weight.shape[1])
    with torch.no_grad():
        together = _two_layers(vlm, prefix, [long, short], cells)
        alone = _two_layers(vlm, prefix, [short], cells[1:])
    assert torch.isfinite(together).all()
    assert torch.allclose(together[1, : alone.shape[1]], alone[0], atol=1e-6)


def test_one_number_does_not_see_another(vlm: Vlm, pictures: list[Picture]) -> None:
    prefix, digits = _prefix(vlm.processor, pictures, NOW), digit_ids(vlm.processor)
    embeddings = vlm.model.get_input_embeddings()
    cells = torch.randn(2, int(prefix.is_cell.sum()), embeddings.weight.shape[1])
    texts = [every_number(prefix, digits)] * 2
    with torch.no_grad():
        before = _two_layers(vlm, prefix, texts, cells)[:, -NUMBERS:]
        embeddings.weight[digits[3]] += 1
        after = _two_layers(vlm, prefix, texts, cells)[:, -NUMBERS:]
    changed = (before - after).abs().amax(dim=(0, 2)) > 1e-6
    assert changed.nonzero().flatten().tolist() == [3]
    assert not np.allclose(before[0], before[1])


def test_ways_in_which_frames_follow_each_other() -> None:
    def group(*views: tuple[float, str]) -> dict[str, object]:
        return {"context": [{"offset_s": offset_s, "camera": camera} for offset_s, camera in views]}

    several_cameras = group((0.0, "front"), (0.0, "back"))
    sequence = group((-0.4997, "front"), (0.0, "front"))
    clip = group(*((-0.5 * n, "front") for n in range(20, -1, -1)))
    assert shown_offsets([several_cameras, clip]) == [(0.0,)]
    assert shown_offsets([sequence, sequence, group((0.0, "front"))]) == [(-0.5, 0.0), (0.0,)]
