"""SpatialRGPT-Bench: sentences of its templates, its bands, and errors by hand."""

from __future__ import annotations

import logging

import pytest

from drive_vqa.errors import RecordError
from eval.benchmarks import spatialrgpt
from tests.eval.benchmarks.examples import SPATIAL, SPATIAL_RIGHT, spatial_record, write_json, write_spatialrgpt


def read(tmp_path, *rows):
    records = [spatial_record(number, *row) for number, row in enumerate(rows)]
    return spatialrgpt.read(write_json(tmp_path / "SpatialRGPT-Bench_v1.json", records))


@pytest.mark.parametrize(
    ("category", "said", "meant"),
    [
        ("left_predicate", "Yes, Region [0] is to the left of Region [1].", {"bool": True}),
        ("left_predicate", "Indeed, Region [0] is positioned on the left side of Region [1].", {"bool": True}),
        ("left_predicate", "Correct, you'll find Region [0] to the left of Region [1].", {"bool": True}),
        ("left_predicate", "No, Region [0] is not to the left of Region [1].", {"bool": False}),
        ("left_predicate", "In fact, Region [0] is to the right of Region [1].", {"bool": False}),
        ("above_predicate", "Actually, Region [0] is below Region [1].", {"bool": False}),
        ("wide_predicate", "Incorrect, Region [0]'s width does not surpass Region [1]'s.", {"bool": False}),
        ("behind_predicate", "That is False.", {"bool": False}),
        ("front_predicate", "Yes.", {"bool": True}),
        ("tall_choice", "Standing taller between the two is Region [1].", {"choice": "Region [1]"}),
        ("right_choice", "From the viewer's perspective, Region [0] appears more on the right side.", {"choice": "Region [0]"}),
        ("behind_choice", "Region [1] is more backward.", {"choice": "Region [1]"}),
        ("distance_data", "A distance of 3.2 feet exists between Region [0] and Region [1].", {"distance_m": 3.2 * 0.3048}),
        ("vertical_distance_data", "Region [0] and Region [1] are 45.72 centimeters apart vertically.", {"distance_m": 0.4572}),
        ("width_data", "7.02 inches", {"distance_m": 7.02 * 0.0254}),
        ("direction", "Region [0] will find Region [1] around the 2 o'clock direction.", {"clock_hour": 2}),
    ],
)  # fmt: skip
def test_true_answers_are_read_from_the_benchmarks_sentences(tmp_path, category, said, meant):
    (task,) = read(tmp_path, (category, "Region [0] and Region [1]?", said))
    told = {name: value for name, value in task.truth.as_truth().items() if value is not None}
    assert told == {name: pytest.approx(value) if isinstance(value, float) else value for name, value in meant.items()}


def test_bands_and_errors_by_hand(tmp_path, values):
    """True: 40 in (1.016 m), 2 m, 12 o'clock."""
    data, right = write_spatialrgpt(tmp_path)
    tasks = spatialrgpt.read(data)
    found = values("spatialrgpt-bench", tasks, right)  # 1 m, 2.5 m, 1 o'clock
    assert (found["qualitative.accuracy"], found["quantitative.accuracy"], found["accuracy"]) == (1.0, 1.0, 1.0)
    assert found["quantitative.direct_distance.mean_abs_relative_error"] == pytest.approx(0.25)
    assert found["quantitative.width.mean_abs_relative_error"] == pytest.approx(0.016 / 1.016)
    assert (found["quantitative.direction.exact_hour"], found["quantitative.direction.mean_abs_error_deg"]) == (
        0.0,
        30.0,
    )
    worse = {"s0": "Yes", "s2": "1.28 m", "s3": "1.4 meters", "s4": "10 o'clock"}
    found = values("spatialrgpt-bench", tasks, right | worse)
    assert (found["qualitative.accuracy"], found["quantitative.accuracy"]) == (0.5, 0.0)
    assert found["slice.kind.left_right.accuracy"] == 0.0
    assert found["quantitative.direction.mean_abs_error_deg"] == 60.0


def test_small_lengths_have_the_same_band(tmp_path, values):
    """0.2 m: 0.25 m is in, 0.26 m is not, though we allow 0.1 m elsewhere."""
    tasks = read(tmp_path, ("height_data", "How tall is Region [0]?", "It is 20.0 centimeters."))
    assert [values("spatialrgpt-bench", tasks, {"s0": f"{m} m"})["accuracy"] for m in (0.25, 0.26)] == [1.0, 0.0]


def test_what_cannot_be_read_is_wrong_and_in_no_error(tmp_path, values):
    tasks = read(tmp_path, *SPATIAL[2:4])
    found = values("spatialrgpt-bench", tasks, {"s0": "wide", "s1": SPATIAL_RIGHT[3]})
    assert found["quantitative.accuracy"] == 0.5
    assert found["quantitative.width.mean_abs_relative_error"] is None
    assert found["parse.failure_rate"] == 0.5


def test_records_without_a_readable_truth_are_left_out_aloud(tmp_path, caplog):
    blurred = ("vertical_distance_data", "How far?", "Region [0] and Region [1] overlap, so it's hard to tell.")
    with caplog.at_level(logging.WARNING):
        assert len(read(tmp_path, SPATIAL[0], blurred)) == 1
    assert "1 of 2 records are left out" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"qa_info": {"type": "any", "category": "colour"}},
            "'category' is 'colour', which is none of the benchmark's",
        ),
        ({"qa_info": None}, "record 0: 'qa_info' is not an object"),
        ({"conversations": []}, "'conversations' is not a question and its answer"),
        ({"image_info": {}}, "'image_info': 'file_path' is not a text"),
        ({"id": None}, "'id' is not a text"),
    ],
)
def test_records_that_do_not_hold_together_are_told(tmp_path, change, message):
    record = spatial_record(0, *SPATIAL[0]) | change
    with pytest.raises(RecordError, match=message):
        spatialrgpt.read(write_json(tmp_path / "bench.json", [record]))
