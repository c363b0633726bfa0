"""The page that lists the metrics names every one that there is, and none that there is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from eval.calibration import calibrate
from eval.panel import panel
from tests.eval.random_answers import random_answered

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
ELSEWHERE = ("baseline.", "control.", "versus.", "consistency.", "grounding.")
"""Names that other parts make; of grounding only two are the panel's."""


def documented():
    """Patterns of the first column of each table."""
    cells = [line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def as_regex(name):
    """`{a,b}` is either, `[_x]` may be missing, capitals stand for any value, METRIC for the rest."""
    pattern = re.escape(name).replace(r"\{", "(?:").replace(r"\}", ")").replace(",", "|")
    pattern = re.sub(r"\\\[(\w+)\\\]", r"(?:\1)?", pattern)
    pattern = pattern.replace("METRIC", r"(?:accuracy|localization\..+)")
    return re.compile(re.sub(r"(?<![A-Za-z])[A-Z]{2,}(?![A-Za-z])", r"[^.]+", pattern))


@pytest.fixture(scope="module")
def names():
    answered = random_answered(40, 0)
    told = answered.answers.assign(qa_id=answered.cases["qa_id"], sample=0)
    critical = ("critical_recall", "critical_recall_asked_only", "critical_false_alarm_rate")
    others = {*(f"safety.{name}" for name in critical), "safety.hallucination_rate.blank_image"}
    others.add("slice.agent_in_training.true.accuracy")
    return {*panel(answered), *calibrate(answered.cases, told).metrics, *others}


def test_every_metric_is_on_the_page(names):
    patterns = [as_regex(name) for name in documented()]
    assert [name for name in sorted(names) if not any(one.fullmatch(name) for one in patterns)] == []


def test_every_line_of_the_page_is_a_metric(names):
    lines = [name for name in documented() if not name.startswith(ELSEWHERE)]
    assert [name for name in lines if not any(as_regex(name).fullmatch(one) for one in names)] == []
    assert len(lines) > 40
