"""How a trace puts its arithmetic into words; shared by the reasons of all families.

A reason is a list of sentences whose numbers are those of the tracks; the last one says what was found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import numpy as np

from drive_vqa.categories import CATEGORIES
from drive_vqa.traces import decimal, whole
from qa_gen.tracing.scene import Scene

Reason = Callable[[Scene], list[str]]


def metres(value_m: float) -> str:
    """Such as "12.4 m"."""
    return f"{decimal(value_m)} m"


def degrees(value_deg: float) -> str:
    """Such as "-8°"."""
    return f"{whole(value_deg)}°"


def speed(value_mps: float) -> str:
    """Such as "3.2 m/s"."""
    return f"{decimal(value_mps)} m/s"


def finely(value: float) -> str:
    """Two decimals, so that a difference of two such numbers is right to one."""
    return f"{round(value * 100) / 100 + 0.0:.2f}"


def tenths(value_deg: float) -> str:
    """An angle to a tenth of a degree, so that a difference of two is right to a degree."""
    return f"{decimal(value_deg)}°"


def number_in(text: str | None) -> float:
    """The first number of a parameter such as "20 meters"; NaN where there is none."""
    found = re.search(r"-?\d+(\.\d+)?", text or "")
    return float(found[0]) if found else np.nan


def a_noun(category: str) -> str:
    """Such as "a car" or "an animal"."""
    noun = CATEGORIES[category].noun
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def listed(distances: Iterable[tuple[float, str]]) -> str:
    """Such as "4.2 m to Region 5, 7.7 m to Region 1"."""
    return ", ".join(f"{metres(distance_m)} to {name}" for distance_m, name in distances)


def there_are(names: list[str]) -> str:
    """Such as "there are Region 5, Region 1"."""
    if not names:
        return "there is none"
    return f"there {'is' if len(names) == 1 else 'are'} {', '.join(names)}"
