import numpy as np
import pytest
from PIL import Image

from drive_vqa.errors import StoreError
from drive_vqa.looks import Look
from drive_vqa.marks import marked_frames
from finetune.zoom.distinct import distinct
from finetune.zoom.session import ANSWER_NOW, FORCED_PREFIX, SEEN_BEFORE, forced_prefix
from finetune.zoom.views import group_views, image_views
from tests.finetune.zoom.conftest import call


def test_a_look_shows_the_part_of_the_original_that_was_asked_for(session, frames):
    observation = session.look(call(2, coordinate=[100, 60]))
    expected = frames[1].crop((80, 40, 120, 80)).resize((56, 56), Image.Resampling.BICUBIC)
    assert (np.asarray(observation.crop) == np.asarray(expected)).all()
    assert session.looks == (Look(1, (80.0, 40.0, 120.0, 80.0), (100.0, 60.0)),)
    assert [part["type"] for part in observation.content] == ["text", "image", "text"]
    assert "Image 2" in observation.before
    assert observation.after == "1 look left."


def test_a_box_at_the_border_is_aimed_at_though_the_crop_moves_inwards(session):
    session.look(call(1, box=[0, 40, 10, 50]))
    (look,) = session.looks
    assert look.aim_px == (5.0, 45.0)
    assert (look.box_px[0] + look.box_px[2]) / 2 > 10


def test_after_the_last_look_the_answer_is_asked_for_and_more_calls_are_refused(session):
    first, last = (session.look(call(1, coordinate=[place, 60])) for place in (30, 120))
    assert not forced_prefix([first.message])
    assert forced_prefix([last.message]) == FORCED_PREFIX
    assert session.must_answer
    assert not session.refused
    more = session.look(call(1, coordinate=[60, 60]))
    assert more.crop is None
    assert more.before == ANSWER_NOW
    assert forced_prefix([more.message]) == FORCED_PREFIX
    assert session.refused
    assert len(session.looks) == session.spent == 2


def test_a_call_that_cannot_be_answered_costs_a_look(session):
    observation = session.look("no JSON")
    assert observation.crop is None
    assert observation.content == [{"type": "text", "text": "The call is not valid JSON. 1 look left."}]
    assert session.look(call(9, coordinate=[1, 1])).before.endswith(ANSWER_NOW)
    assert session.must_answer
    assert session.looks == ()


def test_a_repeated_look_is_answered_but_not_distinct(session):
    session.look(call(1, coordinate=[50, 50]))
    again = session.look(call(1, coordinate=[56, 57]))
    assert again.crop is not None
    assert again.after.startswith(SEEN_BEFORE)
    assert len(session.looks) == 2
    assert len(session.distinct_looks) == 1


def test_looks_are_distinct_from_ten_pixels_on_or_in_another_frame():
    def at(context, u):
        return Look(context, (0.0, 0.0, 40.0, 40.0), (u, 5.0))

    assert distinct([at(0, 0.0), at(0, 9.9), at(1, 0.0), at(0, 20.0)]) == (at(0, 0.0), at(1, 0.0), at(0, 20.0))
    assert len(distinct([at(0, 9.0 * step) for step in range(9)])) == 1


@pytest.mark.parametrize("model_type", ["qwen2_5_vl", "qwen3_vl"])
def test_places_are_in_the_units_of_the_family(family_vlm, model_type):
    """The same pixel of a frame that the processor would resize, named as each family names it."""
    processor = family_vlm(model_type).processor
    frame = Image.new("RGB", (1600, 900))
    views = image_views([frame], processor, (532, 336))
    units = {"qwen2_5_vl": processor.family.extent(processor.image_processor, (532, 336)), "qwen3_vl": (1000, 1000)}
    assert views.scales[0].original_px == (1600, 900)
    assert views.scales[0].model_units == units[model_type]


def test_frames_of_a_store_are_opened_when_they_are_looked_at_with_the_marks_of_the_group(store, processor):
    group = store.read("groups", "painted").to_pylist()[0]
    views = group_views(store, group, processor, (84, 56))
    assert (np.asarray(views.frame(1)) == np.asarray(marked_frames(store, group)[1])).all()
    assert views.frame(1) is views.frame(1)
    gone = {**group, "context": [{**view, "path": "gone.png"} for view in group["context"]]}
    unopened = group_views(store, gone, processor, None)
    with pytest.raises(StoreError, match="gone"):
        unopened.frame(0)
    with pytest.raises(StoreError, match="unknown size"):
        group_views(store, {**group, "context": [{**group["context"][0], "width": None}]}, processor, None)
