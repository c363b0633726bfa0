from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from drive_vqa.errors import ModelError
from drive_vqa.looks import TracedLook, look_from_struct
from eval.controls.by_name import control_of
from eval.predict import predict, questions_to_ask
from finetune.zoom import answerer
from finetune.zoom.answerer import in_pixels, open_zoom_answerer, opening, tuned_zoom, zoom_answerer
from finetune.zoom.crops import PRESETS
from tests.finetune.conftest import SIZE_PX
from tests.finetune.zoom.conftest import PRESET, turn

POINT_PX = (50.0, 60.0)


@pytest.mark.parametrize("model_type", ["qwen2_5_vl", "qwen3_vl"])
def test_a_look_and_a_box_are_told_in_the_models_units_and_meant_in_pixels(store, family_vlm, model_type):
    """The family counts otherwise than the original frame, whose middle is (84, 56)."""
    vlm = replace(family_vlm(model_type), image_size_px=(84, 56))
    wide, high = {"qwen2_5_vl": (84, 56), "qwen3_vl": (1000, 1000)}[model_type]
    (asked, *_) = questions_to_ask(store, "train")
    held = opening(vlm, asked, PRESET)
    u, v = wide // 2, high // 2
    held.add(turn(f"It is at <point>({u},{v})</point>.", 2, coordinate=[u, v]))
    held.add("<answer>9.0 meters</answer>")
    assert held.looks == (TracedLook(1, (64.0, 36.0, 104.0, 76.0), (84.0, 56.0), 1),)
    said = in_pixels(vlm, asked, held)
    assert said == "<think>\nIt is at <point>(84,56)</point>.\n</think>\n<answer>9.0 meters</answer>"
    assert [image.size for image in held.images] == [(84, 56), (84, 56), (56, 56)]


def test_questions_of_a_store_are_answered_with_looks(store, vlm, monkeypatch, tmp_path):
    def scripted(vlm, max_new_tokens, sampling):
        def generate(messages, images, begun):
            return [
                f"{len(shown)} images</answer>" if start else turn("Here.", coordinate=[50, 60])
                for shown, start in zip(images, begun, strict=True)
            ]

        return generate

    monkeypatch.setattr(answerer, "speaking", scripted)
    answer = zoom_answerer(replace(vlm, image_size_px=SIZE_PX), PRESET)
    out = predict(store, "train", answer, tmp_path / "p.parquet", model_name="scripted", batch_size=4, limit=4)
    texts = pq.read_table(out)["text"].to_pylist()
    assert texts == ["<think>\nHere.\nHere.\n</think>\n<answer>4 images</answer>"] * 4
    looks = [look_from_struct(look) for look in pq.read_table(out)["looks"].to_pylist()[0]]
    assert [(look.context, look.step, look.aim_px) for look in looks] == [(0, 1, POINT_PX), (0, 2, POINT_PX)]


def test_a_blank_control_is_grey_wherever_it_looks(store, vlm):
    control = control_of("blank")
    (asked, *_) = questions_to_ask(store, "train")
    held = opening(replace(vlm, image_size_px=SIZE_PX), asked, PRESET, control)
    held.add(turn("Here.", 1, coordinate=[50, 60]))
    assert [image.getcolors() for image in held.images] == [
        [(image.width * image.height, (128, 128, 128))] for image in held.images
    ]
    assert len(held.images) == 3


def test_without_reasoning_no_look_is_left_and_without_images_nothing_to_look_at(store, vlm):
    (asked, *_) = questions_to_ask(store, "train")
    direct = opening(replace(vlm, image_size_px=SIZE_PX), asked, PRESET, control_of("without_reasoning"))
    assert direct.session.must_answer
    assert not opening(replace(vlm, image_size_px=SIZE_PX), asked, PRESET).session.must_answer
    alone = opening(replace(vlm, image_size_px=SIZE_PX), asked, PRESET, control_of("no_image"))
    alone.add(turn("Here.", 1, coordinate=[50, 60]))
    assert (alone.images, alone.looks, alone.is_open) == ([], (), True)


def test_a_model_of_a_family_without_tools_is_refused(family_vlm):
    with pytest.raises(ModelError, match="keeps no tool calls"):
        zoom_answerer(family_vlm("smolvlm"), PRESET)


def test_a_run_says_how_it_looked_and_is_opened_so(base, tmp_path):
    (tmp_path / "run.json").write_text('{"zoom": "vstar"}')
    assert tuned_zoom(tmp_path) == PRESETS["vstar"]
    (tmp_path / "run.json").write_text('{"answers": "plain"}')
    assert tuned_zoom(tmp_path) is None
    opened = open_zoom_answerer(str(base), None, PRESET, device="cpu")
    assert opened.name == f"{base.name}+zoom"
    assert opened.regions == "marks"


@pytest.mark.parametrize("record", ["", "[1]", '{"zoom": "telescope"}', '{"zoom": ["drive"]}', '{"zoom": 3}'])
def test_a_record_that_says_nothing_sensible_is_refused(record, tmp_path):
    (tmp_path / "run.json").write_text(record)
    with pytest.raises(ModelError, match=r"run\.json does not say how looks were taken"):
        tuned_zoom(tmp_path)


def test_a_run_that_is_not_there_is_told(tmp_path):
    mend = "does not exist: give the folder of a finished run of `drive-vqa finetune` or `refine`"
    with pytest.raises(ModelError, match=f"nope {mend}"):
        tuned_zoom(tmp_path / "nope")
    with pytest.raises(ModelError, match=rf"run\.json {mend}"):
        tuned_zoom(tmp_path)
