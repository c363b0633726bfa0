"""Numbers of a report in words and tables: controls and baselines as columns, panels driven by names, what was asked."""

import json

import pytest

from drive_vqa.errors import StoreError
from eval.report import headline, numbers, panels, slices
from eval.report.calibration import calibration_plots, read_calibration
from eval.report.inputs import Number
from eval.report.provenance import selection_sentence

SHARE = Number(0.214, 409, 0.19, 0.26, 14, "log")


def test_values_and_units_in_words():
    assert numbers.cell("x.rate", SHARE).text == "21.4 %"
    assert numbers.cell("x.rate", SHARE).spread == "19.0–26.0"
    assert "95 % interval 19.0 to 26.0 %; n = 409, 14 logs" in numbers.cell("x", SHARE).exact
    assert numbers.cell("prediction.ade_m", Number(3.25, 5)).text == "3.2 m"
    assert numbers.cell("x.rate", Number(None, 0)).text == "–"
    words = [
        slices.value_title(slug)
        for slug in ("under_0_95", "0_95-1_5", "10_20", "80_up", "over_6", "half_or_more", "true")
    ]
    assert words == ["< 0.95", "0.95–1.5", "10–20", "80 and more", "> 6", "Half or more", "Yes"]


def test_slices_put_road_users_without_a_shell_first():
    metrics = {f"slice.category.{name}.localization.mlsr": Number(0.5, 9) for name in ("car", "pedestrian", "truck")}
    metrics |= {f"slice.range.{name}.localization.mlsr": Number(0.5, 9) for name in ("10_20", "80_up", "0_10")}
    tables = slices.slice_tables(metrics)
    assert [[row.name for row in table.rows] for table in tables] == [
        ["pedestrian", "car", "truck"],
        ["0_10", "10_20", "80_up"],
    ]
    assert tables[0].columns == ("MLSR",)


def test_every_baseline_and_control_is_a_column():
    names = ("baseline.class_median", "control.zoom", "control.hide-evidence", "baseline.constant_velocity")
    metrics = {"localization.mlsr": Number(0.5, 8)} | {
        f"{name}.localization.mlsr": Number(0.1 * place, 8) for place, name in enumerate(names)
    }
    metrics["baseline.majority.localization.mlsr"] = Number(None, 0)
    columns = headline.headline_columns(metrics)
    assert [one.title for one in columns] == [
        "Model",
        "Constant velocity",
        "Class median",
        "Evidence hidden",
        "Zoom",
    ]
    (row,) = headline.headline_rows(metrics, columns)
    assert [cell.text for cell in row.cells] == ["50.0 %", "30.0 %", "0.0 %", "20.0 %", "10.0 %"]


def test_slices_show_the_first_rate_of_the_others():
    name = "slice.ttc_bin.under_0_95.localization"
    metrics = {f"{name}.tlc": Number(0.2, 5), f"{name}.mlsr": Number(0.4, 5)}
    metrics |= {f"control.blank.{name}.{rate}": Number(0.1, 5) for rate in ("mlsr", "tlc")}
    (table,) = slices.slice_tables(metrics)
    assert (table.columns, table.others) == (("MLSR", "TLC", "MLSR: blank image"), 1)
    assert [cell.text for cell in table.rows[0].cells] == ["40.0 %", "20.0 %", "10.0 %"]
    assert table.dimension in slices.SAFETY_DIMENSIONS


def test_differences_are_told_in_points_with_their_sign():
    metrics = {
        "versus.control.blank.accuracy": Number(0.02, 24, -0.01, 0.05),
        "versus.constant_velocity.localization.mlsr": Number(-0.083, 24, -0.125, -0.01),
        "versus.constant_velocity.accuracy": Number(0.0, 24, 0.0, 0.0),
        "versus.nothing.accuracy": Number(None, 0),
    }
    columns, rows = headline.difference_table(metrics)
    assert columns == ["MLSR", "Accuracy"]
    assert [(row.title, *(cell.text for cell in row.cells)) for row in rows] == [
        ("Constant velocity", "-8.3", "+0.0"),
        ("Blank image", "–", "+2.0"),
    ]
    assert rows[0].cells[0].spread == "-12.5 to -1.0"


def test_of_many_rates_a_table_shows_those_with_a_title():
    rates = ("mlsr", "mlsr_parsed_only", "coverage", "lsr.t0")
    metrics = {f"slice.ttc_bin.3-6.localization.{rate}": Number(0.5, 9) for rate in rates}
    metrics["slice.new.a.odd"] = Number(0.5, 9)
    assert [table.columns for table in slices.slice_tables(metrics)] == [("MLSR", "LSR now"), ("Odd",)]


def test_a_model_below_constant_velocity_and_what_it_reaches_blind_are_said():
    metrics = {"localization.mlsr": Number(0.4, 8), "baseline.constant_velocity.localization.mlsr": Number(0.6, 8)}
    metrics["control.blank.localization.mlsr"] = Number(0.3, 8)
    assert headline.verdict_sentences(metrics) == [
        "This model is below constant velocity: MLSR 40.0 % against 60.0 %.",
        "Without seeing anything it reaches MLSR 30.0 % (blank image).",
    ]
    assert headline.is_surely_below(metrics, "constant_velocity")
    assert headline.verdict_sentences({"accuracy": Number(0.4, 8)}) == []


@pytest.mark.parametrize(
    ("high", "is_sure", "sentence"),
    [
        (
            -0.1, True,
            "This model is below constant velocity: MLSR 40.0 % against 60.0 %, a difference of -20.0 points on the same"
            " questions (95 % interval -90.0 to -10.0).",
        ),
        (
            0.3, False,
            "Below constant velocity on these questions (MLSR 40.0 % against 60.0 %), but not shown to differ: the 95 %"
            " interval of the difference over 2 logs is -90.0 to +30.0 points.",
        ),
    ],
)  # fmt: skip
def test_what_may_be_chance_is_not_said_as_if_it_were_sure(high, is_sure, sentence):
    metrics = {"localization.mlsr": Number(0.4, 8), "baseline.constant_velocity.localization.mlsr": Number(0.6, 8)}
    metrics["versus.constant_velocity.localization.mlsr"] = Number(-0.2, 8, -0.9, high, 2, "log")
    assert headline.verdict_sentences(metrics) == [sentence]
    assert headline.is_surely_below(metrics, "constant_velocity") is is_sure


def test_a_number_over_other_questions_than_its_row_tells_its_own_n():
    metrics = {"accuracy": Number(0.8, 3456), "baseline.constant_velocity.accuracy": Number(0.9, 412)}
    metrics |= {"control.blank.accuracy": Number(0.3, 3456), "control.shuffled.accuracy": Number(None, 0)}
    metrics |= {"control.shuffled.localization.mlsr": Number(0.3, 9)}
    (row,) = headline.headline_rows(metrics, headline.headline_columns(metrics))
    assert [cell.n for cell in row.cells] == [None, 412, None, None]


def test_a_slice_counts_targets_and_questions_apart():
    name = "slice.range.0_10"
    metrics = {f"{name}.localization.mlsr": Number(0.5, 52), f"{name}.localization.tlc": Number(0.5, 13)}
    metrics |= {f"{name}.accuracy": Number(0.5, 130), "slice.range.10_20.accuracy": Number(0.5, 4)}
    metrics |= {f"control.blank.{name}.localization.mlsr": Number(0.1, 20)}
    (table,) = slices.slice_tables(metrics)
    assert table.columns == ("MLSR", "TLC", "Accuracy", "MLSR: blank image")
    assert table.counted == ("Targets × times", "Targets", "Questions")
    assert table.counts == ((52, 13, 130), (None, None, 4))
    assert [cell.n for cell in table.rows[0].cells] == [None, None, None, 20]


def test_the_safety_panel_has_known_rates_in_order_their_parts_behind_them_and_others_last():
    names = (
        "safety.new_rate",
        "safety.hallucination_rate.blank",
        "safety.hallucination_rate",
        "safety.critical_recall",
    )
    metrics = {name: Number(0.5, 4) for name in names}
    metrics |= {"safety.dangerous_far_rate": Number(None, 0), "safety.dangerous_far_rate.class.car": Number(0.5, 4)}
    rows = panels.safety_rows(metrics)
    assert [row.title for row in rows] == ["Critical recall", "Hallucination", "Hallucination: blank", "New rate"]
    assert [panels.alarming(row.name) for row in rows] == [False, True, True, False]


def test_panels_without_numbers_are_empty():
    metrics = {"accuracy": Number(0.5, 4), "consistency.swap": Number(None, 0)}
    assert panels.consistency_rows(metrics) == panels.calibration_rows(metrics) == panels.safety_rows(metrics) == []
    names = ("consistency.mirror.agreement", "consistency.mirror.type.side.agreement", "consistency.new")
    rows = panels.consistency_rows(dict.fromkeys(names, Number(0.5, 4)))
    assert [row.title for row in rows] == ["Mirrored", "New"]


def test_why_answers_are_unread_is_told_with_the_rate():
    metrics = {"parse.failure_rate": Number(0.3, 10), "parse.failure_rate.refusal": Number(0.1, 10)}
    metrics |= {"parse.failure_rate.empty": Number(0.2, 10), "parse.failure_rate.out_of_range": Number(0.0, 10)}
    (row,) = panels.safety_rows({name: metrics[name] for name in metrics})
    assert row.note.endswith("(empty 20.0 %, refusal 10.0 %)")


@pytest.mark.parametrize(
    ("config", "unanswered", "sentence"),
    [
        ({}, 0, ""),
        ({"selection": {"limit": None, "types": [], "split": "test"}}, 0, ""),
        ({}, 3, "3 of 500 questions have no answer and count as wrong."),
        (
            {"selection": {"limit": 500}, "questions_of_split": 10_000},
            0,
            "500 of 10,000 questions of the split were asked (--limit 500).",
        ),
        (
            {"selection": {"split": "test", "types": ["distance", "clock"]}},
            1_200,
            "500 questions of the split were asked (--types distance,clock); 1,200 of them have no answer and count as wrong.",
        ),
    ],
)
def test_what_was_asked_is_one_sentence(config, unanswered, sentence):
    assert selection_sentence(config, 500, unanswered) == sentence


def test_calibration_is_read_and_drawn(tmp_path):
    path = tmp_path / "calibration.json"
    content = {
        "risk_coverage": {"coverage": [1.0, 0.5], "risk": [0.4, 0.1]},
        "reliability": [{"confidence": 0.25, "accuracy": 0.5, "n": 8}, {"confidence": None, "accuracy": None, "n": 0}],
        "intervals": [{"level": 0.8, "coverage": None, "n": 0}],
    }
    path.write_text(json.dumps(content))
    told = read_calibration(path)
    assert told.risk_coverage == ((0.5, 0.1), (1.0, 0.4))
    assert told.reliability == ((0.25, 0.5, 8),)
    assert [str(svg)[:4] for svg in calibration_plots(told).values()] == ["<svg", "<svg"]
    assert calibration_plots(read_calibration(tmp_path / "absent.json")) == {}


@pytest.mark.parametrize(
    "content",
    [
        "{", "[]", '{"risk_coverage": {"coverage": [1], "risk": []}}', '{"risk_coverage": {"coverage": [2], "risk": [0]}}',
        '{"reliability": [{"n": 3}]}', '{"reliability": [{"confidence": NaN, "accuracy": 1, "n": 2}]}',
    ],
)  # fmt: skip
def test_damaged_calibration_is_one_clear_error(tmp_path, content):
    (tmp_path / "calibration.json").write_text(content)
    with pytest.raises(StoreError, match="damaged"):
        read_calibration(tmp_path / "calibration.json")
