"""Limits against metrics with known bounds, hostile gates, and the files for CI read back."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from drive_vqa.errors import ConfigError
from eval.gate import check_gate, in_words, read_gate
from eval.gate_files import summary, write_junit, write_summary
from eval.statistics import NOTHING, Estimate

METRICS = {
    "localization.mlsr": Estimate(0.65, 1636, 0.6, 0.7, 40, "log"),
    "safety.dangerous_far_rate": Estimate(0.04, 900, 0.02, 0.06, 40, "log"),
    "safety.dangerous_far_rate.class.car": Estimate(0.01, 800, 0.0, 0.02, 40, "log"),
    "safety.dangerous_far_rate.class.bicycle": Estimate(0.01, 20, 0.0, 0.2, 4, "log"),
    "safety.missed_approach_rate": NOTHING,
    "prediction.ade_m": Estimate(0.9, 30, None, None, 1, "frame"),
}


@pytest.fixture
def gate(tmp_path):
    def write(text):
        path = tmp_path / "gate.yaml"
        path.write_text(text if text.lstrip().startswith("limits") else f"limits:\n{text}", encoding="utf-8")
        return path

    return write


def checked(gate, text):
    return check_gate(METRICS, gate(text))


@pytest.mark.parametrize(
    ("limit", "holds"),
    [
        ("metric: localization.mlsr, at_least: 0.6", True),
        ("metric: localization.mlsr, at_least: 0.601", False),
        ("metric: localization.mlsr, at_least: 0.65, on: value", True),
        ("metric: localization.mlsr, at_least: 0.66, on: value", False),
        ("metric: localization.mlsr, at_most: 0.7", True),
        ("metric: localization.mlsr, at_most: 0.65", False),
        ("metric: localization.mlsr, at_least: 0.5, at_most: 0.69", False),
        ("metric: localization.mlsr, at_least: 0.5, at_most: 0.71", True),
        ("metric: localization.mlsr, at_least: 0.5, min_n: 1636", True),
        ("metric: localization.mlsr, at_least: 0.5, min_n: 1637", False),
        ("metric: prediction.ade_m, at_most: 1.0", False),
        ("metric: prediction.ade_m, at_most: 1.0, on: value", True),
        ("metric: safety.missed_approach_rate, at_most: 1.0", False),
        ("metric: safety.missed_approach_rate, at_most: 1.0, on: value", False),
    ],
)
def test_a_limit_holds_only_where_its_bound_does(gate, limit, holds):
    result = checked(gate, f"  - {{{limit}}}")
    assert [verdict.holds for verdict in result.verdicts] == [holds]
    assert result.passed is holds


def test_sentences_name_the_metric_the_bound_and_the_limit(gate):
    result = checked(
        gate,
        """
  - {metric: localization.mlsr, at_least: 0.7}
  - {metric: localization.mlsr, at_least: 0.6, on: value}
  - {metric: safety.missed_approach_rate, at_most: 0.1}
  - {metric: prediction.ade_m, at_most: 1}
  - {metric: safety.dangerous_far_rate.class.bicycle, at_most: 1, min_n: 100}""",
    )
    assert [verdict.sentence for verdict in result.verdicts] == [
        "localization.mlsr is 0.65 [0.6, 0.7] (n = 1,636): its lower bound 0.6 is not at least 0.7.",
        "localization.mlsr is 0.65 [0.6, 0.7] (n = 1,636): it is at least 0.6.",
        "safety.missed_approach_rate has no case.",
        "prediction.ade_m is 0.9 (n = 30): without an interval its bound cannot be held against a limit.",
        "safety.dangerous_far_rate.class.bicycle is 0.01 [0, 0.2] (n = 20): fewer than 100 cases.",
    ]


def test_a_pattern_stands_for_every_metric_that_it_matches(gate):
    result = checked(gate, "  - {metric: safety.dangerous_far_rate.class.*, at_most: 0.05}")
    assert [(verdict.metric.rpartition(".")[2], verdict.holds) for verdict in result.verdicts] == [
        ("car", True),
        ("bicycle", False),
    ]


@pytest.mark.parametrize("name", ["localisation.mlsr", "localization.mls", "localization.mlsr.*"])
def test_a_name_that_matches_nothing_is_an_error_with_the_nearest_names(gate, name):
    with pytest.raises(ConfigError, match=r"gate\.yaml: no metric is called .* nearest are localization\.mlsr"):
        checked(gate, f"  - {{metric: '{name}', at_least: 0}}")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("limits: []", "limits is empty"),
        ("limits:\n- {metric: a, at_last: 1}", "unknown key"),
        ("limits:\n- {metric: a, at_least: 1}\nlimit: 2", "unknown key"),
        ("limits:\n- {metric: a}", "needs a finite at_least or at_most"),
        ("limits:\n- {metric: a, at_least: .nan}", "needs a finite"),
        ("limits:\n- {metric: a, at_most: .inf}", "needs a finite"),
        ("limits:\n- {metric: a, at_least: 2, at_most: 1}", "above its at_most"),
        ("limits:\n- {metric: a, at_least: 1, min_n: 0}", "min_n 0"),
        ("limits:\n- {metric: a, at_least: 1, on: mean}", "'bound' or 'value'"),
        ("limits:\n- {metric: a, at_least: much}", "limits.0.at_least"),
        ("limits:\n- {at_least: 1}", "limits.0.metric"),
        ("limits: 3", "limits"),
        ("limits:\n- {metric: a, at_least: 1, at_least: 0}", "'at_least' twice"),
        ("limits:\n- {metric: a, at_least: 1}\nlimits:\n- {metric: b, at_least: 0}", "'limits' twice"),
        ("limits: [&a [x, x], *a]", "aliases"),
        ("limits: !!python/object/apply:os.system ['true']", "cannot be read"),
        ("limits: " + "[" * 50_000, "nests brackets"),
        ("limits: [a: [b", "cannot be read"),
        ("limits: [\x00]", "cannot be read"),
        ("limits: [2026-99-99]", "cannot be read"),
        ("limits: [" + "1, " * 30_000 + "1]", "larger than 64 KiB"),
    ],
)
def test_a_wrong_or_hostile_gate_is_one_clear_error(gate, text, told):
    with pytest.raises(ConfigError, match=r"gate\.yaml") as caught:
        read_gate(gate(text))
    assert told in str(caught.value)
    assert len(str(caught.value)) < 800


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"- 1", b"3"])
def test_what_is_no_mapping_is_no_gate(tmp_path, content):
    path = tmp_path / "gate.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"gate\.yaml"):
        read_gate(path)


def test_a_missing_gate_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.yaml does not exist"):
        read_gate(tmp_path / "absent.yaml")


def test_junit_has_a_case_a_verdict_and_survives_any_name(tmp_path, gate):
    name = 'evil "<&>\x00\x1b\ud800 name'
    metrics = {**METRICS, name: Estimate(0.5, 3, 0.1, 0.9, 3, "log")}
    result = check_gate(
        metrics,
        gate("  - {metric: 'evil*', at_least: 0.3}\n  - {metric: accura*, at_least: 0}".replace("accura", "local")),
    )
    write_junit(result, tmp_path / "ci" / "gate.xml")
    suite = ElementTree.parse(tmp_path / "ci" / "gate.xml").getroot().find("testsuite")
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    evil, good = suite.findall("testcase")
    assert evil.get("name") == 'evil "<&>��� name at least 0.3 (lower bound)'
    assert evil.find("failure").get("message").endswith("its lower bound 0.1 is not at least 0.3.")
    assert (good.find("failure"), good.get("name")) == (None, "localization.mlsr at least 0 (lower bound)")


def test_the_summary_has_the_worst_first(tmp_path, gate):
    result = checked(
        gate,
        """
  - {metric: localization.mlsr, at_least: 0.5, min_n: 100}
  - {metric: safety.dangerous_far_rate, at_most: 0.05}
  - {metric: safety.missed_approach_rate, at_most: 0.1, on: value}""",
    )
    write_summary(result, tmp_path / "gate.md")
    assert (tmp_path / "gate.md").read_text(encoding="utf-8").splitlines() == [
        "**Gate failed**: 1 of 3 limits hold.",
        "",
        "| | metric | measured | limit |",
        "|---|---|---|---|",
        "| **BREAKS** | safety.missed\\_approach\\_rate | without a case | at most 0.1 (value) |",
        "| **BREAKS** | safety.dangerous\\_far\\_rate | 0.04 \\[0.02, 0.06\\] (n = 900) | at most 0.05 (upper bound) |",
        "| holds | localization.mlsr | 0.65 \\[0.6, 0.7\\] (n = 1,636) | at least 0.5 (lower bound, n ≥ 100) |",
    ]


def test_the_summary_cannot_be_broken_by_a_name(gate):
    metrics = {"a|b\n<img src=x>`": Estimate(1.0, 2, 0.5, 1.0, 2, "log")}
    row = summary(check_gate(metrics, gate("  - {metric: a*, at_least: 0}"))).splitlines()[-1]
    assert row == "| holds | a\\|b \\<img src=x\\>\\` | 1 \\[0.5, 1\\] (n = 2) | at least 0 (lower bound) |"


@pytest.mark.parametrize("name", ["safety.dangerous_far_rate.class.bus", "safety.missed_approach_rate.class.*"])
def test_a_part_that_was_not_there_breaks_its_limit(gate, name):
    (verdict,) = checked(gate, f"  - {{metric: '{name}', at_most: 0.1}}").verdicts
    assert (verdict.holds, verdict.sentence) == (False, f"{name} has no case.")


def test_sixty_is_no_share(gate):
    with pytest.raises(ConfigError, match="localization.mlsr is a share, and 60 is none: give 0.6 for 60 %"):
        checked(gate, "  - {metric: localization.mlsr, at_least: 60}")
    assert checked(gate, "  - {metric: prediction.ade_m, at_most: 60, on: value}").passed


def test_what_is_nearly_nothing_is_written_so():
    assert in_words(Estimate(2.452e-14, 10, 7.765e-06, 0.5, 2, "log")) == "0 [0, 0.5] (n = 10)"
