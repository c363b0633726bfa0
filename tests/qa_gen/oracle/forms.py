"""The three forms of a question: what answer a form asks for, given what is true."""

from __future__ import annotations

import re
from typing import Any

from tests.qa_gen.oracle.answers import ANGLES, differs, parse, says
from tests.qa_gen.oracle.case import Case, above, require

Expected = tuple[str, dict[str, Any], list[str]]
NUMERIC = ("distance", "bearing", "turn", "speed", "longitudinal", "lateral", "time", "clock", "count")
JOINT = ("localization", "position", "motion")


def expected_of_form(case: Case, answer_type: str, true: dict[str, Any]) -> Expected:
    """Answer type of the form, the typed answer that it asks for, and what is wrong with options or claim."""
    form = case.row["form"]
    if form == "choice":
        return _choice(case, answer_type, true)
    faults = ["options in a form that has none"] if case.row["options"] else []
    if form == "yes_no":
        return ("bool", _claimed(case, answer_type, true), faults)
    if answer_type in ("choice", "bool"):
        faults.append(f"an open form of a {answer_type} type")
    return answer_type, true, faults


def _claimed(case: Case, answer_type: str, true: dict[str, Any]) -> dict[str, Any]:
    """Whether the claim of the parameter holds."""
    if answer_type == "bool":
        return true
    claim = case.claim
    if answer_type == "choice":
        return {"bool": true["choice"] == claim}
    require(answer_type in NUMERIC, "there is no claim about such an answer")
    stated = threshold(answer_type, claim)
    (value,) = true.values()
    margin = max(0.05 * abs(stated), 0.05)
    require(above(abs(value - stated), margin), f"{value} is too near to the claimed {stated}")
    return {"bool": value > stated}


def threshold(answer_type: str, text: str) -> float:
    """The number of a claim such as "20 meters"."""
    unit = {
        "distance": "meters?", "lateral": "meters?", "longitudinal": "meters?", "bearing": "degrees?",
        "turn": "degrees?", "speed": "m/s", "time": "seconds?", "count": "", "clock": "o'clock",
    }[answer_type]  # fmt: skip
    found = re.fullmatch(rf"(-?\d+(?:\.\d+)?) ?{unit}", text)
    require(found is not None, f"the claimed value {text!r} is no {answer_type}")
    return float(found[1])  # type: ignore[index]


def _choice(case: Case, answer_type: str, true: dict[str, Any]) -> Expected:
    options, answer = case.row["options"] or [], case.row["answer"]
    faults = []
    if len(options) < 2 or len(set(options)) != len(options):
        faults.append(f"options {options} are not distinct")
    if answer not in options:
        faults.append(f"the answer {answer!r} is none of {options}")
    if answer_type == "choice":
        return "choice", true, faults
    if answer_type not in (*NUMERIC, *JOINT):
        faults.append(f"a choice among answers of type {answer_type}")
        return "choice", {"choice": answer}, faults
    if not says(answer_type, answer, true):
        faults.append(f"the option {answer!r} does not say {true}")
    faults += [
        f"the wrong option {option!r} is as good as {true}"
        for option in options
        if option != answer and not _wrong(answer_type, option, true)
    ]
    return "choice", {"choice": answer}, faults


def _wrong(answer_type: str, option: str, true: dict[str, Any]) -> bool:
    """Whether an option states something that is out of tolerance; one field of several is enough."""
    stated = parse(answer_type, option)
    return stated is not None and any(
        differs(name, stated[name], value, tolerance(name, value)) for name, value in true.items()
    )


def tolerance(name: str, value: float) -> float:
    """How near a number counts as right."""
    if name in ANGLES:
        return 10.0
    if name in ("clock_hour", "count"):
        return 0.0
    if name == "speed_mps":
        return max(0.2 * abs(value), 0.1)
    if name == "time_s":
        return max(0.25 * value, 0.3)
    return 0.25 * abs(value) if name == "distance_m" else max(0.25 * abs(value), 0.5)
