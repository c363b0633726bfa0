"""Frames to look at, and processors that know the zoom."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trl
from PIL import Image

from drive_vqa.region_forms import box_of
from drive_vqa.traces import Place, Seen, Trace, render
from finetune.zoom.crops import CropPreset
from finetune.zoom.session import ZoomSession
from finetune.zoom.templates import tool_processor
from finetune.zoom.views import image_views
from tests.finetune.conftest import FRAMES, GROUPS
from tests.finetune.conftest import _group as painted_group
from tests.finetune.conftest import _questions as painted_questions
from tests.painted_store import write_painted_store

LIBRARY = Path(trl.__file__).parent / "chat_templates"
FRAME_PX = (168, 112)
PRESET = CropPreset(side_px=40, shown_px=56, looks=2)


def call(frame=1, **arguments):
    """The JSON of a call."""
    return json.dumps({"name": "zoom", "arguments": {"frame": frame, **arguments}})


def turn(thought, frame=1, **arguments):
    """A turn of a model that thinks and calls."""
    return f"<think>\n{thought}\n</think>\n<tool_call>\n{call(frame, **arguments)}\n</tool_call>"


@pytest.fixture(scope="session")
def frames():
    """Two frames of noise, which never look alike anywhere."""
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 255, (FRAME_PX[1], FRAME_PX[0], 3), dtype=np.uint8)) for _ in range(2)]


@pytest.fixture(scope="session")
def zooming(processor):
    """The processor of the tiny model, with tools."""
    return tool_processor(processor)


def with_template(processor, template):
    """A copy with another chat template."""
    tokenizer = copy.deepcopy(processor.tokenizer)
    tokenizer.chat_template = template
    return replace(processor, tokenizer=tokenizer)


@pytest.fixture(params=["tiny", "qwen2_5_vl", "qwen3_vl"])
def own(request, processor, family_vlm):
    """The processors of the tiny model, of Qwen2.5-VL and of Qwen3-VL with the templates that came with the latter two."""
    if request.param == "tiny":
        return processor
    template = (LIBRARY / f"{request.param}.jinja").read_text()
    return with_template(family_vlm(request.param).processor, template)


@pytest.fixture
def session(frames, zooming):
    """A dialogue about the two frames; the tiny Qwen2.5-VL shows them as they are, so its units are their pixels."""
    return ZoomSession(image_views(frames, zooming), PRESET)


def trace(store, log_id, group, question):
    """A writer of reasoned answers."""
    mark = question["marks"][0]
    seen = [
        (
            Seen(f"Region {mark}", box_of(group, mark, context), group["context"][context]["offset_s"]),
            " at ",
            Place(9, 5),
        )
        for context in range(FRAMES)
    ]
    return render(Trace((*seen, (f"So it is {question['answer']}.",)), question["answer"]))


def _with_evidence(group):
    rows = painted_questions(group)
    for row in rows:
        row["marks"] = [int(row["question"].partition("Region ")[2][0])]
        row["evidence"] = [{"mark": row["marks"][0], "context": context} for context in range(FRAMES)]
    return rows


@pytest.fixture(scope="session")
def evident(tmp_path_factory):
    """The painted store with the evidence that its questions rest on."""
    return write_painted_store(tmp_path_factory.mktemp("evident"), GROUPS, painted_group, _with_evidence)
