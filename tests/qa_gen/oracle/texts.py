"""Whether the text of a question says what its columns say: regions, horizon, unit, claim."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tests.qa_gen.oracle.case import Case

UNITS = {
    "distance": r"\bmeters\b",
    "lateral": r"\bmeters\b",
    "longitudinal": r"\bmeters\b",
    "position": r"\bmeters\b",
    "bearing": r"\bdegrees\b.*\bleft\b",
    "turn": r"\bdegrees\b.*\bleft\b",
    "speed": r"\bmeters per second\b|\bm/s\b",
    "time": r"\bseconds\b",
    "localization": r"\bmeters\b.*\bdegrees\b",
    "motion": r"\bmeters\b.*\bdegrees\b",
    "clock": r"\bclock\b",
    "interval": r"\bseconds\b",
    "box": r"\bpixels?\b",
    "interval_box": r"\bseconds\b.*\bpixels?\b",
}
"""What the text of an open question or one with options must hold."""

NUMBER_WORDS = {"one": 1, "two": 2, "three": 3, "a": 1}


def text_faults(case: Case, answer_type: str) -> Iterable[str]:
    """What is wrong with the text."""
    row = case.row
    text = row["question"]
    yield from _region_faults(case, answer_type)
    if re.search(r"[{}]|\bNone\b|\bnan\b|  |\.\.|\?\?", text) or not text[:1].isupper() or text[-1:] not in "?.":
        yield f"ill-formed text {text!r}"
    if row["form"] != "yes_no" and answer_type in UNITS and not re.search(UNITS[answer_type], text):
        yield f"no unit or convention in {text!r}"
    yield from _horizon_faults(case)
    yield from _claim_faults(case, answer_type)


def named_regions(text: str) -> list[int]:
    """Numbers of the regions, in the order of the text."""
    return list(dict.fromkeys(int(number) for number in re.findall(r"\bRegion (\d+)\b", text)))


def _region_faults(case: Case, answer_type: str) -> Iterable[str]:
    row = case.row
    wanted = set(row["marks"]) if case.has_roles else set()
    if row["form"] == "yes_no" and answer_type == "choice":
        wanted |= set(named_regions(case.claim))
    named = set(named_regions(row["question"]))
    allowed = wanted | (set() if case.has_roles else {mark["mark"] for mark in case.group["marks"]})
    if not wanted <= named <= allowed:
        yield f"names regions {sorted(named)} instead of {sorted(wanted)}: {row['question']!r}"


def stated_seconds(text: str) -> set[float]:
    """All numbers of seconds in a text, but not the images' own and not units."""
    text = text.replace("steps of one second", "steps")
    found = re.findall(r"(-?\d+(?:\.\d+)?|\bone|\btwo|\bthree|\ba)[ -]seconds?\b", text)
    next_one = {1.0} if re.search(r"\b(next|coming|following) second\b", text) else set()
    return {float(NUMBER_WORDS.get(value, 0) or value) for value in found} | next_one


def _horizon_faults(case: Case) -> Iterable[str]:
    row = case.row
    if case.group["kind"] not in ("sequence", "target") or row["family"] != "future":
        return
    seconds = stated_seconds(row["question"])
    horizon = row["horizon_s"]
    if row["form"] == "yes_no" and re.search(r"seconds?$", case.claim):
        seconds -= {float(case.claim.split()[0])}
    if re.search(r"_t\d$", row["type"]) and seconds != ({horizon} if horizon else set()):
        yield f"horizon {horizon} s, the text says {sorted(seconds)}: {row['question']!r}"


def _claim_faults(case: Case, answer_type: str) -> Iterable[str]:
    row = case.row
    if row["form"] == "yes_no" and answer_type not in ("choice", "bool"):
        if not re.search(rf"(?<![\d.\-]){re.escape(case.claim or 'no claim')}(?!\w)", row["question"]):
            yield f"claims {case.claim!r}, the text is {row['question']!r}"
    elif (
        (row["form"] != "yes_no" or answer_type == "bool")
        and row["parameter"]
        and row["parameter"] not in row["question"]
    ):
        yield f"parameter {row['parameter']!r} is not in {row['question']!r}"
