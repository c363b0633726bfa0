"""Other wordings of questions: of every type and form, the same thing in other words."""

from __future__ import annotations

import pytest

from qa_gen.catalogue import TYPES
from qa_gen.question_type import CARRIERS
from qa_gen.rewording import BORROWED, reword


def asked(kind, question, marks=(3, 5, 7), qa_id="q"):
    return {"qa_id": qa_id, "type": kind, "marks": list(marks), "question": question}


def filled(text, parameter=""):
    for slot, name in {"{a}": "Region 3", "{b}": "Region 5", "{c}": "Region 7", "{p}": parameter}.items():
        text = text.replace(slot, name)
    return text


@pytest.mark.parametrize(
    "kind", [kind for kind in TYPES.values() if kind.name not in BORROWED], ids=lambda kind: kind.name
)
def test_own_wordings_keep_their_parameter(kind):
    for parameter in kind.parameters or ("",):
        texts = {filled(wording, parameter) for wording in kind.wordings}
        marks = (3, 5, 7)[: kind.roles]
        for text in texts:
            found = {reword(asked(kind.name, text, marks, str(number))) for number in range(3)}
            assert found <= texts - {text}


def test_all_other_wordings_come_up():
    texts = {filled(wording) for wording in TYPES["pair_distance"].wordings}
    first = filled(TYPES["pair_distance"].wordings[0])
    assert {reword(asked("pair_distance", first, (3, 5), str(n))) for n in range(200)} == texts - {first}
    assert reword(asked("pair_distance", first, (3, 5))) == reword(asked("pair_distance", first, (3, 5)))


def test_a_claim_about_a_number_keeps_its_threshold():
    kind = TYPES["distance"]
    claims = [filled(claim) for claim in kind.claims]
    text = CARRIERS[0].replace("{claim}", claims[0].replace("{v}", "10 meters"))
    for number in range(40):
        other = reword(asked("distance", text, (3,), str(number)))
        assert other != text
        assert "10 meters" in other
        assert "Region 3" in other


def test_a_claim_about_an_answer_keeps_that_answer():
    claim = filled(TYPES["category"].claims[1])
    text = CARRIERS[3].replace("{claim}", claim)
    others = {reword(asked("category", text, (3,), str(number))) for number in range(100)}
    assert len(others) == len(CARRIERS) - 1
    assert all(claim.lower() in other.lower() for other in others)


@pytest.mark.parametrize(
    "question",
    [
        asked("no_such_type", "How far?"),
        asked("distance", "How far is the car at [1, 2, 3, 4]?", (3,)),
        asked("distance", "", ()),
        asked("distance", filled(TYPES["distance"].wordings[0]), (4,)),
        asked("absent_mark", filled(TYPES["absent_mark"].wordings[0]), (3,)),
    ],
)
def test_what_is_no_wording_has_no_other(question):
    assert reword(question) is None
