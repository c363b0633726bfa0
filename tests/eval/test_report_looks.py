"""Closer looks in the report: where each is told, what is drawn and said of it, and that no look breaks the page."""

import base64
import io
import shutil
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from drive_vqa.looks import TracedLook, look_to_struct
from drive_vqa.schema import SCORES, table_from_rows
from drive_vqa.store import Store
from eval.evaluate import evaluate
from eval.evidence.drawing import LOOK_RGB, TRUE_RGB
from eval.predict import Answer, predict
from eval.report import write_report
from eval.report.claims import MOST_LOOKS, MOST_STEPS, reasonings
from eval.report.inputs import read_evaluation
from eval.report.looks import CROP_PX, share_shown
from eval.report.shown import WIDTH_PX
from tests.eval.report_world import HEIGHT, WIDTH, image_box, world_with_evidence

BOX = tuple(float(round(value)) for value in image_box("lead", 1, 1.0).values())
"""Where the evidence is in the second frame: what the drive of the world paints red."""


def middle(box):
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


MIDDLE = middle(BOX)
AROUND = (BOX[0] - 20, BOX[1] - 20, BOX[2] + 20, BOX[3] + 20)
HALF = (BOX[0], BOX[1], MIDDLE[0], BOX[3])
STEPS = "<think>\nIt is far.\nOr near.\n</think>\n<answer>yes</answer>"
GOOD = TracedLook(1, AROUND, MIDDLE, 1)
LOOKED, HOSTILE, MANY, LONG = (f"localization_t{horizon}-1-0" for horizon in range(4))
MALFORMED, SILENT = "in_my_path-1-0", "sign-1-1"
TINY = TracedLook(1, (9.2, 9.3, 9.4, 9.5), (9.3, 9.4), 0)
BAD = (
    TracedLook(2, AROUND, MIDDLE, 1),
    TracedLook(2**31 - 1, AROUND, MIDDLE, 0),
    TracedLook(1, (-5.0, 0.0, 20.0, 20.0), (7.5, 10.0), 0),
    TracedLook(1, (0.0, 0.0, 3e38, 20.0), (1e38, 10.0), 1),
    TracedLook(1, AROUND, (3e38, 0.0), 1),
    TracedLook(1, (0.0, 0.0, WIDTH + 1.0, HEIGHT), (50.0, 50.0), 2**31 - 1),
)
ANSWERS = {
    LOOKED: Answer(STEPS, (TracedLook(0, AROUND, MIDDLE, 0), GOOD, TracedLook(1, HALF, middle(HALF), 2))),
    HOSTILE: Answer(STEPS, BAD),
    MANY: Answer(STEPS, (GOOD,) * 10_000),
    LONG: Answer(STEPS.replace("Or near.", "Or near.\n" * 40), (GOOD, TracedLook(1, AROUND, MIDDLE, 30))),
    MALFORMED: Answer("<think>\nIt is", (TINY, TracedLook(1, (0.0, 0.0, float(WIDTH), float(HEIGHT)), (5.0, 5.0), 99))),
    SILENT: Answer("none", (GOOD,)),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The drawn world, with evidence, and a model that looks closer."""
    root = world_with_evidence(tmp_path_factory, "looks")
    store = Store.open(root / "store")

    def answer(batch):
        return [ANSWERS.get(asked.question["qa_id"], Answer("yes")) for asked in batch]

    told = predict(store, "test", answer, root / "looked.parquet", model_name="m", batch_size=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("drive_vqa.tracking.session.find_spec", lambda name: None)
        evaluate(store, told, root / "evaluation", traces="drive")
    return root


def reasoned_of(root):
    evaluation = read_evaluation(root / "evaluation")
    return reasonings(evaluation, evaluation.answers.to_dict("records"))


@pytest.fixture(scope="module")
def found(root):
    start = time.perf_counter()
    found = reasoned_of(root)
    assert time.perf_counter() - start < 20
    return found


def of_frame(crop):
    return f"{100 * (crop[2] - crop[0]) * (crop[3] - crop[1]) / (WIDTH * HEIGHT):.0f} % of the frame"


def pixels(uri):
    content = base64.b64decode(uri.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def near(image, color):
    return np.abs(image - color).max(axis=-1) < 60


def test_each_look_is_behind_its_step(found):
    looked = found[LOOKED]
    u, v = MIDDLE
    assert [look.caption for look in looked.looks] == [
        f"Look 1: 1.0 seconds ago, around ({u:.0f}, {v:.0f}), {of_frame(AROUND)}"
    ]
    assert [look.caption for step in looked.steps for look in step.looks] == [
        f"Look 2: now, around ({u:.0f}, {v:.0f}), {of_frame(AROUND)}",
        f"Look 3: now, around ({(BOX[0] + u) / 2:.0f}, {v:.0f}), {of_frame(HALF)}",
    ]
    assert [len(step.looks) for step in looked.steps] == [1, 1]
    assert looked.summary == "Reasoning: 2 steps, 3 looks"
    assert looked.left_out == ""
    assert looked.has_looks


def test_it_is_told_what_of_the_truth_a_look_shows(found):
    verdicts = [look.verdicts for step in found[LOOKED].steps for look in step.looks]
    half = (MIDDLE[0] - BOX[0]) / (BOX[2] - BOX[0])
    assert verdicts == [
        (("shows 100 % of Region 0, aims at it", True),),
        ((f"shows {100 * half:.0f} % of Region 0, aims at it", True),),
    ]
    assert found[MALFORMED].steps[0].looks[0].verdicts == (("shows 100 % of Region 0, aims beside it", False),)
    assert found[LOOKED].looks[0].verdicts == (("shows no true box", False),)
    assert found[SILENT].looks[0].verdicts[0][0].startswith(("shows", "no true"))


@pytest.mark.parametrize(
    ("crop", "share"),
    [((0, 0, 4, 4), 1.0), ((0, 0, 2, 4), 0.5), ((1, 1, 2, 3), 0.125), ((4, 0, 9, 9), 0.0), ((-9, 2, 9, 9), 0.5)],
)
def test_shares_by_hand(crop, share):
    assert share_shown(tuple(map(float, crop)), (0.0, 0.0, 4.0, 4.0)) == share


def test_frame_and_crop_show_the_look(found):
    """Outline and cross where they belong, the true box in it, all else dimmed; the crop holds what is painted there."""
    (look,) = found[LOOKED].steps[0].looks
    image, scale = pixels(look.frame), WIDTH_PX / WIDTH
    assert image.shape[1] == WIDTH_PX
    rows = slice(*(round(value * scale) for value in (AROUND[1] + 4, AROUND[1] + 14)))
    edge = round(AROUND[0] * scale)
    assert near(image, LOOK_RGB)[rows, edge - 2 : edge + 3].any(axis=1).all()
    u, v = (round(value * scale) for value in MIDDLE)
    assert near(image, LOOK_RGB)[v - 2 : v + 3, u - 2 : u + 3].any()
    assert near(image, TRUE_RGB)[v, round(BOX[0] * scale) - 2 : round(BOX[0] * scale) + 4].any()
    assert image[2, 2].sum() < 0.7 * (140 + 180 + 220)
    crop = pixels(look.crop)
    assert max(crop.shape[:2]) == CROP_PX
    middle = crop[crop.shape[0] // 2, crop.shape[1] // 2]
    assert np.abs(middle - (150, 30, 40)).max() < 30


def test_what_cannot_be_shown_is_counted(found):
    assert found[HOSTILE].left_out == f"Not shown: {len(BAD)} more looks."
    assert not found[HOSTILE].has_looks
    assert found[MANY].left_out == f"Not shown: {10_000 - MOST_LOOKS} more looks."
    assert [len(step.looks) for step in found[MANY].steps] == [MOST_LOOKS, 0]
    assert found[LONG].left_out == f"Not shown: {41 - MOST_STEPS} more steps, 1 more look."
    assert [len(step.looks) for step in found[LONG].steps[:2]] == [1, 0]


def test_looks_of_malformed_traces_are_shown(found):
    malformed = found[MALFORMED]
    assert malformed.faults
    assert [len(step.looks) for step in malformed.steps] == [1]
    assert malformed.looks[0].verdicts == (("shows no true box", False),)
    assert max(pixels(malformed.looks[0].crop).shape) == CROP_PX
    assert found[SILENT].steps == ()
    assert len(found[SILENT].looks) == 1


def test_the_page_tells_them_and_what_they_look_like(root):
    html = write_report(root / "evaluation", root / "report.html").read_text(encoding="utf-8")
    assert html.count('<figure class="look">') == 3 + MOST_LOOKS + 1 + 2 + 1
    assert "key looked" in html
    card = html[html.index("Look 1: 1.0 seconds ago") :]
    told = ("shows no true box", "It is far.", 'class="ok">shows 100 % of Region 0, aims at it', "Look 3: now", "</ol>")
    places = [card.index(words) for words in told]
    assert places == sorted(places)
    assert card.index("Or near.") < card.index("Look 3: now")


def test_without_images_they_are_counted(root, tmp_path):
    copy = shutil.copytree(root, tmp_path / "world")
    shutil.rmtree(copy / "source")
    assert reasoned_of(copy)[LOOKED].left_out == "Not shown: 3 more looks."
    shutil.rmtree(copy / "store/tracks")
    assert reasoned_of(copy)[LOOKED].summary == "Reasoning: 2 steps, 3 looks"


def test_scores_from_before_looks_were_kept_are_read(root, tmp_path):
    copy = shutil.copytree(root, tmp_path / "world")
    path = copy / "evaluation/scores.parquet"
    pq.write_table(pq.read_table(path).select([name for name in SCORES.names if name != "looks"]), path)
    assert reasoned_of(copy)[LOOKED].summary == "Reasoning: 2 steps"


def test_scores_with_spoilt_looks_are_read(root, tmp_path):
    copy = shutil.copytree(root, tmp_path / "world")
    path = copy / "evaluation/scores.parquet"
    rows = pq.read_table(path).to_pylist()
    spoilt = [None, {}, look_to_struct(GOOD) | {"u0_px": float("nan")}, look_to_struct(GOOD)]
    pq.write_table(table_from_rows("scores", [row | {"looks": spoilt} for row in rows]), path)
    looked = reasoned_of(copy)[LOOKED]
    assert [len(step.looks) for step in looked.steps] == [1, 0]
    assert looked.left_out == "Not shown: 3 more looks."
