"""What a model claimed, step by step, in the report: what is told and drawn, escaped and cut, and what may be missing."""

import base64
import io
import json
import re
import shutil
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from eval.evaluate import evaluate
from eval.evidence.drawing import CLAIMED_RGB, TRUE_RGB
from eval.report import gallery, write_report
from eval.report.claims import MOST_CLAIMS, MOST_FRAMES, MOST_STEPS, reasonings
from eval.report.grounding import grounding_tables
from eval.report.inputs import Number, read_evaluation
from eval.report.numbers import cell
from eval.report.shown import WIDTH_PX
from tests.eval.report_world import SCRIPT, WIDTH, built_world, image_box, world_with_evidence

CORNERS = ("u0_px", "v0_px", "u1_px", "v1_px")
HONEST, SHIFTED, HOSTILE = "in_my_path-1-0", "in_my_path-2-0", "in_my_path-3-0"
SILENT, AGAIN = "sign-1-1", "localization_t0-1-0"
BOX = {frame: [round(image_box("lead", frame, 1.0)[side]) for side in CORNERS] for frame in (1, 2, 3)}


def told(box, offset_s=0.0, name="Region 0"):
    return f"<obj>{name}</obj><box>[{','.join(map(str, box))}]</box>at<t>{offset_s}</t>s"


def reasoned(*steps, answer="yes"):
    return "<think>\n" + "\n".join(steps) + f"\n</think>\n<answer>{answer}</answer>"


def shifted(box):
    return [box[0] + 1000, box[1], box[2] + 1000, box[3]]


TEXTS = {
    HONEST: reasoned(f"{told(BOX[1])} is at <pos>5.0 m, 0°</pos>.", "So the answer is yes."),
    SHIFTED: reasoned(f"{told(shifted(BOX[2]))}.", f"Wait, {told(BOX[2], -1.0)} and {told(BOX[2])}.", answer="no"),
    HOSTILE: "<think>\n"
    + "\n".join(
        " ".join(told([number, *BOX[3][1:]], -0.5 * k, SCRIPT.replace("<", "").replace(">", "")) for k in range(20))
        for number in range(40)
    )
    + f"\n{SCRIPT * 100}",
    SILENT: "none",
    AGAIN: reasoned(f"{told(BOX[1])}.", f"Still {told(BOX[1])}.", f"Or {told(shifted(BOX[1]))}."),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The drawn world, with evidence, and a model that reasons about some of its questions."""
    root = world_with_evidence(tmp_path_factory, "claims")
    store = Store.open(root / "store")
    answers = [{"qa_id": qa_id, "model": "m", "sample": 0, "text": text} for qa_id, text in TEXTS.items()]
    pq.write_table(table_from_rows("predictions", answers), root / "reasoned.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("drive_vqa.tracking.session.find_spec", lambda name: None)
        evaluate(store, root / "reasoned.parquet", root / "evaluation", traces="drive")
    return root


@pytest.fixture
def copy(root, tmp_path):
    return shutil.copytree(root, tmp_path / "world")


def reasoned_of(root):
    evaluation = read_evaluation(root / "evaluation")
    return reasonings(evaluation, evaluation.answers.to_dict("records"))


@pytest.fixture(scope="module")
def found(root):
    return reasoned_of(root)


def pixels(picture):
    content = base64.b64decode(picture.image.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def near(image, color):
    return np.abs(image - color).max(axis=-1) < 60


def test_each_step_has_its_words_and_the_frame_of_its_claim(found):
    honest = found[HONEST]
    assert honest.summary == "Reasoning: 2 steps, 1 of 1 claims on the evidence"
    box = "[" + ",".join(map(str, BOX[1])) + "]"
    assert [step.text for step in honest.steps] == [
        f"Region 0 {box} at 0.0 s is at 5.0 m, 0°.",
        "So the answer is yes.",
    ]
    assert [len(step.pictures) for step in honest.steps] == [1, 0]
    (picture,) = honest.steps[0].pictures
    assert (picture.when, picture.verdicts) == ("Now", (("Region 0: IoU 1.00", True),))
    assert (honest.answer, honest.faults, honest.left_out) == ("yes", "", "")


def test_true_and_claimed_are_drawn_where_they_are(found):
    """The claim of the first step lies to the right of the image; it is moved to the border."""
    picture = found[SHIFTED].steps[0].pictures[0]
    image, scale = pixels(picture), WIDTH_PX / WIDTH
    assert image.shape[1] == WIDTH_PX
    row = round((BOX[2][1] + BOX[2][3]) / 2 * scale)
    left, right = round(BOX[2][0] * scale), round(BOX[2][2] * scale) - 1
    green = near(image, TRUE_RGB)[row]
    assert green[left - 2 : left + 4].any()
    assert green[right - 3 : right + 3].any()
    assert not green[left + 8 : right - 8].any()
    assert near(image, CLAIMED_RGB)[:, -4:].any()
    assert picture.verdicts == (("Region 0: IoU 0.00", False),)


def test_a_corrected_claim_shows_both_frames(found):
    shown = found[SHIFTED].steps[1].pictures
    assert [picture.when for picture in shown] == ["1.0 seconds ago", "Now"]
    assert [picture.verdicts for picture in shown] == [
        (("Region 0: IoU 0.00", False),),
        (("Region 0: IoU 1.00", True),),
    ]
    assert found[SHIFTED].summary == "Reasoning: 2 steps, 1 of 3 claims on the evidence"


def test_the_same_claim_is_shown_where_it_is_made_first(found):
    again = found[AGAIN]
    assert [len(step.pictures) for step in again.steps] == [1, 0, 1]
    assert again.summary == "Reasoning: 3 steps, 1 of 2 claims on the evidence"


def test_what_goes_on_without_end_is_cut(found, root):
    hostile = found[HOSTILE]
    assert len(hostile.steps) == MOST_STEPS
    assert sum(len(step.pictures) for step in hostile.steps) == MOST_FRAMES
    assert all(len(picture.verdicts) <= MOST_CLAIMS + 1 for step in hostile.steps for picture in step.pictures)
    assert re.fullmatch(r"Not shown: \d+ more steps, \d+ more frames\.", hostile.left_out)
    assert "no answer" in hostile.faults
    assert max(len(step.text) for step in hostile.steps) < 500 < len(hostile.raw) < 1300


def test_a_text_without_reasoning_claims_nothing(found):
    assert found[SILENT].steps == ()
    assert found[SILENT].answer is None
    assert found[SILENT].summary == "Reasoning: 0 steps"
    assert found[SILENT].raw == "none"


def test_the_page_escapes_all_of_it_and_tells_the_evaluators_numbers(root):
    start = time.perf_counter()
    html = write_report(root / "evaluation", root / "out/report.html").read_text(encoding="utf-8")
    assert time.perf_counter() - start < 30
    assert html.count("<script>") == 4
    assert 'onerror="' not in html
    assert html.count('<details class="reasoning">') == len(TEXTS)
    assert all(link.startswith(("data:", "#")) for link in re.findall(r'(?:src|href)="([^"]*)"', html))
    metrics = json.loads((root / "evaluation/metrics.json").read_text())
    section = html[html.index('id="grounding"') : html.index('id="errors"')]
    for name in ("miou_matched", "temporal_iou", "places_in_band", "accuracy", "am"):
        assert f">{100 * metrics[f'grounding.{name}']['value']:.1f} %" in section
    assert f"n {metrics['grounding.miou_matched']['n']}" in section


def test_without_images_or_tracks_the_steps_are_told(copy):
    words = [step.text for step in reasoned_of(copy)[HONEST].steps]
    shutil.rmtree(copy / "source")
    bare = reasoned_of(copy)[HONEST]
    assert [step.text for step in bare.steps] == words
    assert not any(step.pictures for step in bare.steps)
    assert bare.summary == "Reasoning: 2 steps, 1 of 1 claims on the evidence"
    shutil.rmtree(copy / "store/tracks")
    assert reasoned_of(copy)[HONEST].summary == "Reasoning: 2 steps"


def test_where_no_reasoning_was_asked_for_none_is_shown(tmp_path_factory):
    world = built_world(tmp_path_factory.getbasetemp())
    evaluation = read_evaluation(world / "evaluation")
    assert reasoned_of(world) == {}
    assert {card.reasoning for card in gallery.cards(evaluation, 2)} == {None}
    assert grounding_tables(evaluation.metrics) == {}


def test_tables_tell_what_reasoning_alone_reaches():
    metrics = {f"grounding.{name}": Number(0.5, 8, 0.4, 0.6, 2, "log") for name in ("traced", "miou_recall", "lgm")}
    metrics["grounding.miou_recall_traced_only"] = Number(0.75, 4)
    tables = grounding_tables(metrics)
    assert list(tables) == ["What is reasoned", "Where", "What, when and where"]
    assert tables["Where"][0].note.endswith("; 75.0 % where there is reasoning")
    lgm = tables["What, when and where"][0].cells[0]
    assert (lgm.text, lgm.spread, lgm.share, lgm.low) == ("50.0", "40.0–60.0", None, None)
    assert cell("grounding.mlgm", Number(0.4656, 8)).text == "46.6"
    assert cell("grounding.am", Number(0.5, 8)).share == 0.5
