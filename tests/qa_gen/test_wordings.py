"""Every text of every question type, and that the rules for them find what they are meant to find."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qa_gen.catalogue import TYPES
from qa_gen.question_type import QuestionType
from tests.qa_gen.wording_rules import faults


@pytest.mark.parametrize("kind", TYPES.values(), ids=TYPES)
def test_wordings_and_claims_read_well(kind: QuestionType) -> None:
    assert faults(kind) == []


@pytest.mark.parametrize(
    ("wording", "fault"),
    [
        ("how far away is {a} in meters?", "capital"),
        ("How far away is {b} in meters?", "placeholders"),
        ("How far away is {a} in metres?", "American"),
        ("How far away will {a} be over the next 1 second, in meters?", "nothing is counted"),
        ("How far away is {a} in 1 seconds?", "singular"),
        ("How far away is {a} in 2 second?", "singular"),
        ("How far away is is {a} in meters?", "twice"),
        ("How far away is {a} , in meters?", "spaces"),
        ("How far away is {a} in meters", "stop"),
        ("How far away is {a} in meters?.", "one stop"),
        ("How far away is {a}, in meters? answer with a number.", "begins small"),
        ("How far away is {a} from a object, in meters?", "article"),
        ("Is {a} far away, yes or no?", "yes or no"),
    ],
)
def test_rules_find_a_bad_wording(wording: str, fault: str) -> None:
    kind = TYPES["distance"]
    bad = replace(kind, wordings=(*kind.wordings, wording))
    assert any(fault in found for found in faults(bad)), faults(bad)


@pytest.mark.parametrize(
    ("claim", "fault"),
    [
        ("{a} is more than more than {v} away", "twice"),
        ("{a} is more than {v} away.", "clause"),
        ("{a} is more than {v} away, yes or no", "more than the clause"),
        ("{a} is far away", "threshold"),
        ("It is more than {v} to {a}", "clause"),
    ],
)
def test_rules_find_a_bad_claim(claim: str, fault: str) -> None:
    bad = replace(TYPES["distance"], claims=(claim,))
    assert any(fault in found for found in faults(bad)), faults(bad)


def test_rules_find_what_a_threshold_spoils() -> None:
    kind = TYPES["distance"]
    bad = replace(kind, claims=("{a} is {v}s away",), thresholds=(1.0, 5.0))
    assert any("singular" in found for found in faults(bad)), faults(bad)
