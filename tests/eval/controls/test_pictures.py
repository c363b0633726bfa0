"""What each control shows, by the colours of painted frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from drive_vqa.errors import ConfigError, StoreError
from drive_vqa.marks import draw_marks, marked_frame, marked_frames, regions_at
from drive_vqa.schema import table_from_rows
from eval.controls.asking import can_ask
from eval.controls.by_name import NAMES, PARAPHRASE, control_of
from eval.controls.draws import derangement
from eval.hiding import GREY
from eval.predict import PromptedQuestion, questions_to_ask
from eval.predict.shown import NO_CONTROL, Control
from tests.eval.controls.conftest import ASKED, FRAMES, HEIGHT, WIDTH, write_drives


def asked(store, qa_id="a3-side"):
    return next(one for one in questions_to_ask(store, "test") if one.question["qa_id"] == qa_id)


def shown(name, question, size_px=None, style="fill", **options):
    control = control_of(name, **options)
    return [image.tobytes() for image in control.frames(control.turn(question), size_px, style)]


def plain(question, size_px=None, style="fill"):
    return [image.tobytes() for image in marked_frames(question.store, question.group, size_px, style=style)]


def test_without_a_control_everything_is_as_stored(drives):
    question = asked(drives)
    assert shown(None, question) == plain(question)
    assert NO_CONTROL.turn(question) is question
    assert (NO_CONTROL.model_name("m"), control_of("blank").model_name("m")) == ("m", "m+blank")


def test_blank_frames_are_grey_and_as_many(drives):
    control = control_of("blank")
    images = control.frames(asked(drives), (80, 48), "fill")
    assert [image.getcolors() for image in images] == [[(80 * 48, GREY)]] * FRAMES
    assert not control.per_question


def test_no_image_has_neither_frames_nor_placeholders_nor_time_lines(drives):
    control = control_of("no_image")
    for question in questions_to_ask(drives, "test"):
        assert control.frames(question, None, "fill") == []
        (turn,) = control.messages(question)
        assert [part["type"] for part in turn["content"]] == ["text"]
        assert turn["content"][0]["text"].startswith(question.question["question"])
        assert "Now" not in turn["content"][0]["text"]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("no_image", PARAPHRASE)])
def test_every_other_control_has_a_placeholder_for_each_frame(drives, name):
    control = control_of(name)
    turned = [one for one in map(control.turn, questions_to_ask(drives, "test")) if one is not None]
    assert turned
    for question in turned:
        (turn,) = control.messages(question)
        places = sum(part["type"] == "image" for part in turn["content"])
        assert places == len(control.frames(question, (40, 24), "fill")) == len(question.group["context"])


def test_shuffled_frames_are_the_same_with_none_at_its_place(drives):
    question = asked(drives)
    in_order = plain(question)
    orders = set()
    for seed in range(30):
        frames = shown("shuffled", question, seed=seed)
        assert sorted(frames) == sorted(in_order)
        assert all(one != other for one, other in zip(frames, in_order, strict=True))
        orders.add(tuple(in_order.index(frame) for frame in frames))
    assert orders == {(1, 2, 0), (2, 0, 1)}
    assert shown("shuffled", question, seed=3) == shown("shuffled", question, seed=3)


def test_a_single_frame_cannot_be_shuffled(drives):
    assert not can_ask(control_of("shuffled"), asked(drives, "a1-side"))


def test_all_derangements_come_up():
    draw = np.random.default_rng(0)
    found = {tuple(derangement(4, draw)) for _ in range(500)}
    assert len(found) == 9  # !4


@pytest.mark.parametrize("style", ["fill", "none"])
def test_another_log_is_shown_with_the_questions_own_marks(drives, style):
    question = asked(drives)
    other = drives.read("groups", "b").to_pylist()[1]
    bare = marked_frames(drives, other, (80, 48), style="none")
    marked = [
        draw_marks(image, regions_at(question.group, context), (0.5, 0.5)) if style == "fill" else image
        for context, image in enumerate(bare)
    ]
    assert shown("other_log", question, (80, 48), style) == [image.tobytes() for image in marked]


def test_another_log_must_have_the_same_cameras_and_sizes(tmp_path):
    store = write_drives(tmp_path)
    groups = store.read("groups", "b").to_pylist()
    for view in groups[1]["context"]:
        view["camera"] = "rear"
    store.write("groups", "b", table_from_rows("groups", groups), "changed")
    control = control_of("other_log")
    assert can_ask(control, asked(store, "a1-side"))
    assert not can_ask(control, asked(store, "a3-side"))
    with pytest.raises(StoreError, match="no other log with frames like those of group a3"):
        control.frames(asked(store, "a3-side"), None, "fill")


def test_a_single_log_and_logs_without_images_have_no_other(tmp_path):
    control = control_of("other_log")
    assert not can_ask(control, asked(write_drives(tmp_path / "one", logs=("a",))))
    store = write_drives(tmp_path / "two")
    groups = store.read("groups", "b").to_pylist()
    for view in (view for group in groups for view in group["context"]):
        view["path"] = None
    store.write("groups", "b", table_from_rows("groups", groups), "changed")
    assert not can_ask(control, asked(store))


def test_hidden_evidence_follows_the_question_and_not_its_group(drives):
    assert control_of("hide_evidence").per_question
    assert control_of("hide_random").per_question
    first, second = (shown("hide_evidence", asked(drives, f"a3-{kind}")) for kind in ("bearing", "side"))
    assert first != second
    assert shown("hide_random", asked(drives), seed=1) != shown("hide_random", asked(drives), seed=2)


def test_a_mirrored_frame_is_flipped_before_marks_are_drawn(drives):
    question = asked(drives)
    for size_px in (None, (WIDTH // 2, HEIGHT // 2)):
        for context, image in enumerate(control_of("mirror").frames(question, size_px, "fill")):
            bare = np.asarray(marked_frame(drives, question.group, context, size_px, style="none"))[:, ::-1]
            marked = np.asarray(image)
            scale = marked.shape[1] / WIDTH
            boxes = np.zeros(marked.shape[:2], dtype=bool)
            for u0, _, u1, _ in regions_at(question.group, context).values():
                u_px = round((WIDTH - (u0 + u1) / 2) * scale)
                boxes[:, max(u_px - 16, 0) : u_px + 16] = True
            assert np.array_equal(marked[~boxes], bare[~boxes])
            assert not np.array_equal(marked, bare)
    assert (
        shown("mirror", question, style="none")[0]
        == np.asarray(marked_frame(drives, question.group, 0, style="none"))[:, ::-1].tobytes()
    )


def test_nothing_of_the_truth_is_shown_but_boxes_as_text(tmp_path):
    """The same drives with other answers, then with other tracks."""
    stores = [
        write_drives(tmp_path / "told"),
        write_drives(tmp_path / "untold", answers=False),
        write_drives(tmp_path / "longer", length_m=7.0),
    ]
    for name in NAMES:
        control = control_of(name, reword=lambda question: f"In other words: {question['question']}")
        told, untold, longer = ([_prompt(control, asked(store, f"a3-{kind}")) for kind in ASKED] for store in stores)
        assert told == untold
        assert (told == longer) == (name != "boxes_as_text")


def _prompt(control: Control, stored: PromptedQuestion):
    question = control.turn(stored)
    if question is None:
        return None
    frames = [image.tobytes() for image in control.frames(question, (80, 48), "fill")]
    return control.messages(question), frames, control.begun, sorted(question.question)


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="choose one of blank"):
        control_of("blind")
    with pytest.raises(ConfigError, match="needs other wordings"):
        control_of("paraphrase")
    with pytest.raises(ConfigError, match="take letters, digits and _"):
        replace(NO_CONTROL, name="a.b")
