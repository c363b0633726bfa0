import inspect

import pytest

from drive_vqa.errors import LogFormatError
from finetune.zoom.environment import ZoomEnvironment, tool_schema
from finetune.zoom.views import Views, image_views
from tests.finetune.zoom.conftest import PRESET, call


@pytest.fixture
def environment(frames, zooming):
    made = ZoomEnvironment(lambda row: image_views(row["images"], zooming), PRESET)
    made.reset(images=frames, qa_id="q", prompt="ignored")
    return made


def test_the_one_tool_is_zoom_and_its_schema_speaks_to_the_model():
    tools = [name for name, _ in inspect.getmembers(ZoomEnvironment, inspect.isfunction) if not name.startswith("_")]
    assert tools == ["reset", "zoom"]
    function = tool_schema()["function"]
    assert function["name"] == "zoom"
    assert set(function["parameters"]["properties"]) == {"frame", "coordinate", "box"}
    assert function["parameters"]["required"] == ["frame"]
    assert "return" not in function
    assert "larger" in function["description"]


def test_it_takes_the_text_of_a_call_and_the_arguments_that_it_declares(environment):
    as_text = environment.zoom(call=call(1, coordinate=[50, 50]))
    as_arguments = environment.zoom(frame=1, coordinate=[120, 50])
    assert [part["type"] for part in as_text] == [part["type"] for part in as_arguments] == ["text", "image", "text"]
    assert len(environment.looks) == 2
    assert environment.forced_prefix == "<answer>"


@pytest.mark.parametrize(
    "arguments", [{}, {"call": ""}, {"frame": object()}, {"nonsense": {1: 2}}, {"call": "x", "frame": 1}]
)
def test_whatever_it_is_called_with_it_answers_and_counts(environment, arguments):
    (part,) = environment.zoom(**arguments)
    assert part["text"].endswith("1 look left.")
    assert environment.forced_prefix == ""


def test_it_is_reset_between_dialogues(environment, frames):
    environment.zoom(call=call(1, coordinate=[50, 50]))
    environment.reset(images=frames)
    assert environment.looks == ()
    assert environment.session.spent == 0


def test_a_frame_that_cannot_be_opened_stops_the_training_and_not_the_dialogue_alone(environment, frames, zooming):
    """TRL catches what a tool raises and tells it to the model; the rewards, which read `looks`, are where it comes out."""

    def broken(_):
        raise LogFormatError("frame.jpg is not a readable image: restore the file")

    scales = image_views(frames, zooming).scales
    environment = ZoomEnvironment(lambda _: Views(scales, broken), PRESET)
    environment.reset()
    with pytest.raises(LogFormatError):
        environment.zoom(call=call(1, coordinate=[50, 50]))
    with pytest.raises(LogFormatError, match=r"frame\.jpg"):
        _ = environment.looks
    environment.reset()
    assert environment.looks == ()


def test_a_call_before_the_first_dialogue_is_a_fault_of_ours(frames):
    with pytest.raises(RuntimeError, match="before reset"):
        ZoomEnvironment(lambda _: None, PRESET).zoom(call="")
