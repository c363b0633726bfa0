"""What every text of a question type must look like."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from qa_gen.phrasebook import threshold_text
from qa_gen.question_type import CARRIERS, QuestionType

BRITISH = (
    r"centre|metre|colour|neighbour|kerb|towards|manoeuvre|grey|lorry|lorries|pavement|whilst|travell|behaviour|labell"
    r"|programme|licence|afterwards|anti-clockwise|motorway|junctions? box|bonnet|windscreen"
)


def faults(kind: QuestionType) -> list[str]:
    """What is wrong with the wordings and claims of a type."""
    found = [f"{text!r}: {fault}" for text in kind.wordings for fault in _of_wording(kind, text)]
    found += [f"{text!r}: {fault}" for text in kind.claims for fault in _of_claim(kind, text)]
    found += [f"{text!r}: {fault}" for text in asked_texts(kind) for fault in _of_asked(text)]
    if len(set(kind.wordings)) != len(kind.wordings) or len(kind.wordings) < 8:
        found.append("wordings are fewer than 8 or not distinct")
    if list(kind.thresholds) != sorted(set(kind.thresholds)):
        found.append("thresholds do not rise")
    return found


def asked_texts(kind: QuestionType) -> Iterator[str]:
    """Every text that a question of this type can have, about the regions 1, 2 and 3."""
    for parameter in kind.parameters or ("",):
        for wording in kind.wordings:
            yield _about(wording.replace("{p}", parameter))
    for claim in kind.claims:
        for threshold in kind.thresholds or (None,):
            told = claim if threshold is None else claim.replace("{v}", threshold_text(kind, threshold))
            for carrier in CARRIERS:
                yield _about(carrier.replace("{claim}", told).replace("{Claim}", told[0].upper() + told[1:]))


def _about(text: str) -> str:
    for number, role in enumerate("abc", start=1):
        text = text.replace(f"{{{role}}}", f"Region {number}")
    return text


def _placeholders(text: str) -> set[str]:
    return set(re.findall(r"\{(\w*)\}", text))


def _of_wording(kind: QuestionType, text: str) -> Iterable[str]:
    expected = set("abc"[: kind.roles]) | ({"p"} if kind.parameters else set())
    borrows = kind.name.startswith("absent_")  # a mark that is not there takes a role too
    if _placeholders(text) != expected and not (borrows and expected < _placeholders(text)):
        yield f"placeholders {_placeholders(text)} instead of {expected}"
    if not re.match(r"[A-Z]|\{[abc]\}", text):
        yield "does not begin with a capital"
    if text[-1] not in ".?":
        yield "does not end with a stop or a question mark"
    says_so = re.findall(r"\byes or no\b|\bno or yes\b", text, re.IGNORECASE)
    if len(says_so) != (kind.answer_type == "bool"):
        yield f"says {len(says_so)} times that the answer is yes or no"
    yield from _of_both(text)


def _of_claim(kind: QuestionType, text: str) -> Iterable[str]:
    regions = _placeholders(text) - {"v"}
    if regions != set("abc"[: kind.roles]):
        yield f"placeholders {regions}"
    if ("{v}" in text) != bool(kind.thresholds):
        yield "a threshold where there is none, or none where there is one"
    if not re.match(r"[a-z]|I |\{", text) or text[-1] in ".?!":
        yield "is not a clause"
    if re.search(r"\b(yes|no or|or no|true|correct)\b|[.?!] ", text):
        yield "is more than the clause that a carrier takes"
    yield from _of_both(text)


def _of_both(text: str) -> Iterable[str]:
    if "  " in text or text != text.strip() or re.search(r" [,.?:;)]|\( |[,;:](?=[A-Za-z{])", text):
        yield "spaces"
    if found := re.search(rf"\b({BRITISH})", text, re.IGNORECASE):
        yield f"{found[0]!r} is not American"
    if re.search(r"\{\{|\}\}|\b(\w+) \1\b", text):
        yield "a brace or a word twice"


def _of_asked(text: str) -> Iterable[str]:
    """Of a text as it is asked, all filled in but for the numbers of the regions."""
    if re.search(r"[{}]|\bNone\b", text):
        yield "something is not filled in"
    if not re.match(r"[A-Z]", text) or not re.search(r"[^.?!][.?]$", text):
        yield "does not begin with a capital and end with one stop"
    if re.search(r"[.?!,:;]{2}|\(\)|[.?!] [a-z]", text):
        yield "two stops, or a sentence that begins small"
    if re.search(
        r"\bmore than more|\bthan than\b|\bgreater than more\b|\b(yes or no|no or yes)\b.*\b(yes or no|no or yes)\b",
        text,
    ):
        yield "says something twice"
    if re.search(
        r"(?<![\d.])-?1(?:\.0)? (?:seconds|meters|degrees)\b|(?<![\d.])(?!-?1\b)-?[\d.]+ (?:second|meter|degree)\b",
        text,
    ):
        yield "singular or plural"
    if re.search(r"\b(?:next|coming|following) 1 second\b", text):
        yield "says 1 where nothing is counted"
    if re.search(r"\ba [aeio]|\ban [^aeioh]", text):
        yield "wrong article"
