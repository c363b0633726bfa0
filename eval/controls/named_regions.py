"""Whether a question names its regions by the numbers that are drawn: only then can it be told more about them, or turned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drive_vqa.region_forms import NAME


def names_regions_by_number(question: Mapping[str, Any]) -> bool:
    """Whether a question about marks says "Region 3", and not "the car at [412, 300, 480, 372]"; true where it is about none."""
    return not question["marks"] or NAME.search(question["question"]) is not None
