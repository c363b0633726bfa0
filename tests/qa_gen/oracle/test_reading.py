"""All wordings and claims of the catalogue are read as they are meant, and with two regions exchanged they are not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qa_gen.catalogue import TYPES
from qa_gen.question_type import CARRIERS, QuestionType
from tests.qa_gen.oracle.reading import CLAIM, COMPARED, NAMED, REFERENCE, faults_of_text

STRAIGHT, EXCHANGED = {"a": "A", "b": "B", "c": "C"}, {"a": "B", "b": "A", "c": "C"}
READ = [kind for kind in TYPES.values() if kind.family != "unanswerable"]


def _questions(kind: QuestionType, roles: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """Form, text and parameter; what is claimed keeps the roles of the columns."""
    for wording in kind.wordings:
        yield "open", wording.format(**roles, p="10 meters"), ""
    for number, claim in enumerate(kind.claims):
        parameter = kind.choices[number].format(**STRAIGHT) if kind.answer_type == "choice" else "12.5 units"
        for carrier in CARRIERS:
            whole = carrier.replace("{claim}", claim).replace("{Claim}", claim[0].upper() + claim[1:])
            yield "yes_no", whole.format(**roles, v="12.5 units"), parameter


@pytest.mark.parametrize("kind", READ, ids=lambda kind: kind.name)
def test_every_text_is_read_as_meant(kind: QuestionType):
    for form, text, parameter in _questions(kind, STRAIGHT):
        assert faults_of_text(kind.name, form, text, parameter, kind.answer_type == "bool") == ()


@pytest.mark.parametrize("kind", [kind for kind in READ if kind.name in REFERENCE], ids=lambda kind: kind.name)
def test_exchanged_regions_are_found(kind: QuestionType):
    swapped = EXCHANGED if kind.name != "between" else {"a": "C", "b": "B", "c": "A"}
    for form, text, parameter in _questions(kind, swapped):
        if form == "open":
            assert faults_of_text(kind.name, form, text, parameter, kind.answer_type == "bool") != ()


@pytest.mark.parametrize("kind", [kind for kind in READ if kind.choices and kind.claims], ids=lambda kind: kind.name)
def test_another_claim_than_that_of_the_parameter_is_found(kind: QuestionType):
    base = kind.name.removesuffix(kind.name[-3:]) if kind.name[-3:-1] == "_t" and kind.name[-1].isdigit() else kind.name
    assert base in {*CLAIM, *COMPARED, *NAMED}
    parameters = [choice.format(**STRAIGHT) for choice in kind.choices]
    for number, claim in enumerate(kind.claims):
        text = CARRIERS[0].replace("{claim}", claim).format(**STRAIGHT)
        for other in parameters[:number] + parameters[number + 1 :]:
            assert faults_of_text(kind.name, "yes_no", text, other, False) != (), (text, other)
