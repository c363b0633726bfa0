"""One of several options, and yes or no."""

from __future__ import annotations

import pytest

from eval.parse import Parsed, ParseFailure, parse

LEFT_RIGHT = ("left", "right")

REGIONS = ("Region 1", "Region 12")

WAYS = ("same way", "opposite way", "across")

APPROACH = ("closing", "receding", "keeping its distance")

FAR = ("12.4 meters", "4 meters", "2.4 meters")

TURNED = ("-8 degrees", "8 degrees", "12 degrees")

HOW_MANY = ("2", "3", "12")

CHOICES = [
    ("12.4 meters", FAR, "12.4 meters"),
    ("2.4 meters", FAR, "2.4 meters"),
    ("It is 4 meters away.", FAR, "4 meters"),
    ("B", FAR, "4 meters"),
    ("C. 2.4 meters", FAR, "2.4 meters"),
    ("12.4 m", FAR, "12.4 meters"),
    ("2.4", FAR, "2.4 meters"),
    ("240 cm", FAR, "2.4 meters"),
    ("22.4 meters", FAR, None),
    ("0.4 meters", FAR, None),
    ("12.4 degrees", FAR, None),
    ("-8 degrees", TURNED, "-8 degrees"),
    ("8 degrees", TURNED, "8 degrees"),
    ("-8°", TURNED, "-8 degrees"),
    ("-12 degrees", TURNED, None),
    ("2", HOW_MANY, "2"),
    ("12", HOW_MANY, "12"),
    ("2.5", HOW_MANY, None),
    ("1 m" * 30, FAR, None),
    ("left", LEFT_RIGHT, "left"),
    ("Left.", LEFT_RIGHT, "left"),
    ("LEFT", LEFT_RIGHT, "left"),
    ("It is on the left.", LEFT_RIGHT, "left"),
    ("B", LEFT_RIGHT, "right"),
    ("(b)", LEFT_RIGHT, "right"),
    ("B.", LEFT_RIGHT, "right"),
    ("B. right", LEFT_RIGHT, "right"),
    ("B) right", LEFT_RIGHT, "right"),
    ("Option B", LEFT_RIGHT, "right"),
    ("The answer is B.", LEFT_RIGHT, "right"),
    ("Answer: right", LEFT_RIGHT, "right"),
    ("Right, because it is not on the left", LEFT_RIGHT, "right"),
    ("It is not on the left but on the right", LEFT_RIGHT, "right"),
    ("Left: seen from me it is left of the right lane", LEFT_RIGHT, "left"),
    ("Region 1", REGIONS, "Region 1"),
    ("region 12", REGIONS, "Region 12"),
    ("1", REGIONS, "Region 1"),
    ("12.", REGIONS, "Region 12"),
    ("#12", REGIONS, "Region 12"),
    ("Region １２", REGIONS, "Region 12"),
    ("opposite way", WAYS, "opposite way"),
    ("It faces the opposite way.", WAYS, "opposite way"),
    ("C", WAYS, "across"),
    ("keeping its distance", APPROACH, "keeping its distance"),
    ("It is closing.", APPROACH, "closing"),
    ("A. closing", APPROACH, "closing"),
    ("both", LEFT_RIGHT, None),
    ("left or right", LEFT_RIGHT, None),
    ("not left", LEFT_RIGHT, None),
    ("A. right", LEFT_RIGHT, None),
    ("C", LEFT_RIGHT, None),
    ("leftover bright", LEFT_RIGHT, None),
    ("3", REGIONS, None),
    ("Region 1 or Region 12", REGIONS, None),
    ("5 meters", LEFT_RIGHT, None),
    ("left", (), None),
]

BOOLS = [
    ("yes", True),
    ("Yes.", True),
    ("YES!", True),
    ("yeah", True),
    ("true", True),
    ("y", True),
    ("A", True),
    ("A. yes", True),
    ("Yes, it is in my path", True),
    ("Yes, there is no doubt", True),
    ("The answer is yes.", True),
    ("no", False),
    ("No, it is not", False),
    ("False", False),
    ("B", False),
    ("(B)", False),
    ("B. no", False),
    ("There is no car in my path", False),
    ("**No**", False),
    ("ｎｏ", False),
    ("yes and no", None),
    ("maybe", None),
    ("nothing", None),
    ("A. no", None),
    ("42", None),
]


@pytest.mark.parametrize(("text", "options", "choice"), CHOICES)
def test_choice(text, options, choice):
    answer = parse(text, "choice", options)
    assert answer == Parsed(choice=choice) if choice else isinstance(answer, ParseFailure)


@pytest.mark.parametrize(("text", "value"), BOOLS)
def test_bool(text, value):
    answer = parse(text, "bool", ("yes", "no"))
    assert answer == Parsed(bool=value) if value is not None else isinstance(answer, ParseFailure)
