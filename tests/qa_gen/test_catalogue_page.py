"""`docs/questions.md` says what the code says."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from qa_gen.catalogue import TYPES
from qa_gen.catalogue_page import folded, questions_page
from qa_gen.question_type import QuestionType

PAGE = Path(__file__).parents[2] / "docs" / "questions.md"
MEND = "run `python -m qa_gen.catalogue_page > docs/questions.md`"


def test_the_page_in_docs_is_that_of_the_code() -> None:
    assert PAGE.read_text(encoding="utf-8") == questions_page(), MEND


def _types_told() -> list[str]:
    """Names of the types that the headings of the page stand for."""
    told = []
    for name, last in re.findall(r"^### (\w+)(?:…t(\d))?$", PAGE.read_text(encoding="utf-8"), re.MULTILINE):
        told += [f"{name[:-1]}{horizon}" for horizon in range(int(name[-1]), int(last) + 1)] if last else [name]
    return told


def test_every_type_has_one_entry() -> None:
    assert sorted(_types_told()) == sorted(TYPES)


def test_the_overview_counts_every_type() -> None:
    text = PAGE.read_text(encoding="utf-8")
    counts = {
        family: int(count) for family, count in re.findall(r"^\| \[(\w+)\]\(#\1\) \| (\d+) \|", text, re.MULTILINE)
    }
    assert sum(counts.values()) == len(TYPES)
    assert f"{len(TYPES)} types in {len(counts)} families" in text


@pytest.mark.parametrize("kind", TYPES.values(), ids=TYPES)
def test_definitions_are_sentences_that_the_page_holds(kind: QuestionType) -> None:
    assert kind.definition in PAGE.read_text(encoding="utf-8")
    assert re.match(r"[A-Z]", kind.definition)
    assert not re.search(r"[{}]|  |\.\.|\b(\w+) \1\b|\b(centre|metre|towards)", kind.definition)


@pytest.mark.parametrize("definition", ["", "The distance"])
def test_a_type_needs_a_definition(definition: str) -> None:
    with pytest.raises(ValueError, match="definition"):
        replace(TYPES["distance"], definition=definition)


def test_only_horizons_are_folded() -> None:
    entries = [[kind.name for kind in kinds] for kinds in folded(TYPES.values())]
    assert ["approach_t1", "approach_t2", "approach_t3"] in entries
    assert ["position_t0"] in entries
    assert ["distance"] in entries
