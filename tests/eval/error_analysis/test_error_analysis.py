"""The whole page of a world known by hand: what each target is, what the labels allow, and the files that are written."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from drive_vqa.errors import ConfigError, PredictionError
from drive_vqa.schema import table_from_rows
from eval.cases import read_cases
from eval.error_analysis.label_floor import annotated_answers, tracks_are_annotations
from eval.error_analysis.run import analyse_errors
from eval.error_analysis.slices import binned, quarters, seen_marks, slice_estimates, target_parts
from eval.error_analysis.target_answers import target_answers
from eval.judged import judge_predictions, judge_stored
from eval.localization import lsr
from eval.predict.selection import LEFT_OUT_KEY, SELECTION_KEY, Selection
from eval.present import present_state
from tests.eval.conftest import IDENTITY, OBJECTS, place, write_world

LOGS = {"a": "test", "b": "test"}
FRAMES = 3
SHIFT_M = 1.9


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """The world with an image, marks and annotations: that of the lead is 1.9 m to the left, the parked car has none."""
    root = tmp_path_factory.mktemp("errors")
    store = write_world(root / "store", LOGS, FRAMES)
    (root / "source").mkdir()
    Image.new("RGB", (64, 48), (90, 90, 90)).save(root / "source" / "front.png")
    for log_id in LOGS:
        store.write("groups", log_id, table_from_rows("groups", groups_of(store, log_id)), "marked")
        store.write("annotations", log_id, table_from_rows("annotations", annotations_of(log_id)), "by hand")
        asked = store.read("questions", log_id).to_pylist()
        rows = [row | {"truth_frame": row["frame"] + int(row["horizon_s"])} for row in asked]
        store.write("questions", log_id, table_from_rows("questions", rows), "a frame a second")
        words = "Fog in oldtown: ego stands." if log_id == "a" else "a street in the rain"
        row = store.read("logs", log_id).to_pylist()[0] | {"description": words}
        store.write("logs", log_id, table_from_rows("logs", [row]), "told")
    return store


def groups_of(store, log_id):
    rows = store.read("groups", log_id).to_pylist()
    for row in rows:
        row["context"] = [{**row["context"][0], "offset_s": offset_s} for offset_s in (-0.5, 0.0)]
        row["marks"] = [
            {"mark": mark, "track_id": track, "category": OBJECTS[track][0], "regions": regions_of(mark)}
            for mark, track in enumerate(OBJECTS)
        ]
    return rows


def regions_of(mark):
    """In both images, the first mark in the last one alone; 10, 20, 30 and 40 px high there."""
    box = {"u0_px": 10.0, "v0_px": 2.0, "u1_px": 30.0, "v1_px": 12.0 + 10.0 * mark, "visible_fraction": 1.0}
    return [{"context": context, **box} for context in ((1,) if mark == 0 else (0, 1))]


def annotations_of(log_id):
    rows = []
    for frame in range(FRAMES + 4):
        for track, category in (("lead", "car"), ("lead", "truck"), ("oncoming", "truck"), ("crossing", "pedestrian")):
            x_m, y_m = place(track, frame)
            pose = {**IDENTITY, "tx_m": x_m, "ty_m": y_m + (SHIFT_M if category == "car" else 0.0)}
            row = {"log_id": log_id, "frame": frame, "timestamp_ns": frame * 10**9, "track_id": f"{track}-{category}"}
            rows.append(row | {"category": category, "ego_SE3_box": pose})
    return rows


@pytest.fixture(scope="module")
def cases(store):
    cases = read_cases(store, ["test"])
    return cases[cases["answer_type"] == "localization"].reset_index(drop=True)


@pytest.fixture(scope="module")
def predictions(store, tmp_path_factory):
    """Right about the lead, but once silent; tells no place of the truck now; holds the crossing; refuses about the car."""
    told = store.read_all("questions", ["qa_id", "answer", "type"]).to_pandas().set_index("qa_id")
    told = told[told["type"].str.startswith("localization")]
    text = told["answer"].copy()
    for qa_id in text.index:
        now = qa_id.replace(told["type"][qa_id], "localization_t0")
        if qa_id.endswith("-2"):
            text[qa_id] = told["answer"][now]
        elif qa_id.endswith("t0-1"):
            text[qa_id] = "3.0 m/s"
        elif qa_id.endswith("t3-3"):
            text[qa_id] = "I cannot tell."
    text = text.drop("a-0-localization_t3-0")
    path = tmp_path_factory.mktemp("told") / "told.parquet"
    pd.DataFrame({"qa_id": text.index, "text": text.to_numpy(), "model": "by hand"}).to_parquet(path)
    return path


@pytest.fixture(scope="module")
def written(store, predictions, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "errors"
    analyse_errors(store, predictions, out)
    return out


def row_of(page, *starts):
    """Cells of the first row whose first cells are these."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
    return next(row for row in rows if tuple(row[: len(starts)]) == starts)[len(starts) :]


def test_the_page_counts_what_went_wrong(written):
    page = (written / "errors.md").read_text(encoding="utf-8")
    assert "24 targets" in page
    assert row_of(page, "right")[0] == "75.0 (18)"
    assert row_of(page, "wrong: not readable") == ["25.0 (6)", "0.0 (0)", "0.0 (0)", "29.2 (7)"]
    assert row_of(page, "wrong unit") == ["6", "0", "0", "0"]
    assert row_of(page, "refusal") == ["0", "0", "0", "6"]
    assert row_of(page, "no answer") == ["0", "0", "0", "1"]
    too_little = ["100.0 (4)", "100.0 (6)", "46.2 (6)", "69.6 (16)"]
    assert row_of(page, "too little") == too_little  # the crossing, which from frame 0 is still right at 1 s
    assert row_of(page, "constant velocity from the true state") == ["100.0 (24)"] * 3 + ["24"]
    assert row_of(page, "hardly predictable")[-1] == "0.0 (0)"
    assert "None is right at 0 s, then wrong where constant velocity is wrong as well." in page


def test_the_pictures_are_small_and_named_on_the_page(written):
    page = (written / "errors.md").read_text(encoding="utf-8")
    pictures = sorted(path.name for path in written.glob("*.png"))
    assert pictures == ["distances.png", "motion_wrong.png", "right.png"]
    for name in pictures:
        assert f"({name})" in page
        assert (written / name).stat().st_size <= 250_000


def test_the_same_answers_give_the_same_bytes(store, predictions, written, tmp_path):
    analyse_errors(store, predictions, tmp_path / "again")
    for path in written.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_targets_are_sliced_by_what_they_are(store, cases, predictions):
    answers = target_answers(judge_predictions(cases, said(predictions)).answered)
    parts = target_parts(store, answers, present_state(store, cases))
    estimates = slice_estimates(answers, parts)
    sizes = {key: one["tlc"].n for key, one in estimates.items()}
    assert sizes["all", "all"] == 24
    assert sizes["class", "car"] == 12
    assert (
        sizes["distance", "20 to 30 m"] == 12
    )  # lead in frame 0, oncoming in 2, crossing in 0 and 1, parked in 1 and 2
    assert sizes["height of the mark", "from 32.5 px on"] == sizes["marked in", "fewer than 2 images"] == 6
    assert sizes["target", "standing"] == 6
    assert sizes["ego speed", "2 to 6 m/s"] == 24
    assert sizes["weather", "Fog"] == 12
    assert [value for dimension, value in sizes if dimension == "weather"] == ["Fog"]
    assert estimates["class", "truck"]["lsr.t0"].value == 0.0
    assert estimates["class", "truck"]["mlsr"].value == 0.75


def said(path):
    return pd.read_parquet(path).assign(sample=0, looks=None)


def test_a_mark_is_as_high_as_in_the_last_image(store, cases):
    marks = seen_marks(store, cases)
    assert len(marks) == len(cases)
    assert (marks["height_px"] == 10.0 + 10.0 * cases["mark"]).all()


def test_bins_hold_their_lower_edge_and_not_what_is_unknown():
    parts = binned(np.array([0.0, 9.9, 10.0, 20.0, 99.0, np.nan]), (0, 10, 20), "m")
    assert parts.names == ("0 to 10 m", "10 to 20 m", "from 20 m on")
    assert parts.codes.tolist() == [0, 0, 1, 2, 2, -1]
    assert np.bincount(quarters(np.arange(8.0), "px").codes).tolist() == [2, 2, 2, 2]
    assert quarters(np.array([np.nan]), "px").codes.tolist() == [-1]


def test_annotations_are_scored_as_answers(store, cases):
    floor = target_answers(annotated_answers(store, cases))
    tracks = np.array(cases["track_id"].iloc[floor.located.anchors], dtype=object)
    success = floor.located.success
    assert success[tracks == "oncoming"].all()
    assert success[tracks == "crossing"].all()
    assert not floor.located.read[tracks == "parked"].any()
    # 10 m ahead and 1.9 m to the left of where its track is, 5 s on: 10.6° off; 12 m ahead, 4 s on: 8.9°
    assert lsr(success[tracks == "lead"]).tolist() == pytest.approx([1.0, 1.0, 1.0, 2 / 3])


def test_stored_answers_are_off_by_rounding_alone(store, cases):
    floor = target_answers(judge_stored(store, cases))
    assert floor.located.success.all()
    assert 0 < np.abs(floor.said_m - floor.truth_m).max() <= 0.05 + 1e-9


def test_where_tracks_were_made_from_annotations_it_is_said(store, predictions, written, tmp_path):
    sentence = "tracks of this store were made from its annotations"
    assert not tracks_are_annotations(store)
    assert sentence not in (written / "errors.md").read_text(encoding="utf-8")
    store.write_manifest("fuse", {"source": "annotations"})
    analyse_errors(store, predictions, tmp_path / "out")
    assert sentence in (tmp_path / "out" / "errors.md").read_text(encoding="utf-8")


def test_targets_that_were_not_asked_at_all_times_are_left_out(cases):
    some = cases[~((cases["type"] == "localization_t3") & (cases["mark"] == 0))].reset_index(drop=True)
    empty = pd.DataFrame({"qa_id": [], "text": [], "model": [], "sample": [], "looks": []}, dtype=object)
    answers = target_answers(judge_predictions(some, empty).answered)
    assert (len(answers), answers.left_out) == (18, 6)


def test_what_cannot_be_analysed_is_said(store, predictions, tmp_path):
    with pytest.raises(ConfigError, match="is a file"):
        analyse_errors(store, predictions, predictions)
    other = tmp_path / "other.parquet"
    pd.DataFrame({"qa_id": ["nothing"], "text": ["3 m"]}).to_parquet(other)
    with pytest.raises(PredictionError, match="does not have"):
        analyse_errors(store, other, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_only_what_was_asked_counts(store, cases, tmp_path):
    """As in an evaluation of the same file: what could not be asked is left out, a file that contradicts itself refused."""
    asked = cases[cases["answer_type"] == "localization"]
    some = asked[asked["mark"] == 0]["qa_id"].tolist()
    told = pd.DataFrame({"qa_id": asked["qa_id"], "text": "3 meters, 2 degrees"})
    chosen = {SELECTION_KEY: Selection("test", types=tuple(asked["type"].unique())).as_json()}

    def analysed(rows, name):
        table = pa.Table.from_pandas(rows, preserve_index=False)
        file = tmp_path / f"{name}.parquet"
        pq.write_table(table.replace_schema_metadata({**chosen, LEFT_OUT_KEY: json.dumps(some)}), file)
        analyse_errors(store, file, tmp_path / name)
        return (tmp_path / name / "errors.md").read_text(encoding="utf-8")

    assert "\n18 targets" in analysed(told[~told["qa_id"].isin(some)], "rest")
    with pytest.raises(PredictionError, match="says that it was not asked"):
        analysed(told, "all")
