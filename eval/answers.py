"""What reading an answer gives: a typed answer, or why there is none."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from typing import Any, Literal

Reason = Literal[
    "empty",
    "too_long",
    "refusal",
    "no_answer",
    "missing_unit",
    "wrong_unit",
    "several_values",
    "out_of_range",
    "not_a_number",
    "incomplete",
    "contradiction",
]


@dataclass(frozen=True)
class Parsed:
    """A typed answer; the fields are those of `drive_vqa.schema.TRUTH`, null where not asked for.

    Attributes:
        distance_m: metres, 0 or more.
        bearing_deg: degrees, left positive, (-180, 180].
        yaw_deg: degrees, left positive, (-180, 180].
        speed_mps: metres a second, 0 or more.
        x_m: metres ahead, negative behind.
        y_m: metres to the left, negative to the right.
        time_s: seconds from now, 0 or more.
        clock_hour: 1 to 12.
        count: 0 or more.
        choice: one of the options, as it was given.
        bool: yes or no.
        marks: numbers of regions, each once: in the order told for a ranking, rising for a set.
        start_s: of an interval, relative to now, negative in the past; not after `end_s`.
        end_s: likewise.
        u0_px: left edge of a box, pixels of the original image.
        v0_px: upper edge.
        u1_px: right edge, greater than `u0_px`.
        v1_px: lower edge, greater than `v0_px`.
        undetermined: whether the text says that what is shown does not tell.
    """

    distance_m: float | None = None
    bearing_deg: float | None = None
    yaw_deg: float | None = None
    speed_mps: float | None = None
    x_m: float | None = None
    y_m: float | None = None
    time_s: float | None = None
    clock_hour: int | None = None
    count: int | None = None
    choice: str | None = None
    bool: builtins.bool | None = None
    marks: tuple[int, ...] | None = None
    start_s: float | None = None
    end_s: float | None = None
    u0_px: float | None = None
    v0_px: float | None = None
    u1_px: float | None = None
    v1_px: float | None = None
    undetermined: builtins.bool | None = None

    def as_truth(self) -> dict[str, Any]:
        """As a value of the Arrow struct `TRUTH`."""
        return {**vars(self), "marks": None if self.marks is None else list(self.marks)}


@dataclass(frozen=True)
class ParseFailure:
    """Why a text is not an answer.

    Attributes:
        reason: one of a few, for counting.
        detail: what was seen, in a few words.
        value_range: least and greatest value named, where the reason is `several_values`; in units of the asked field.
        kept: what the text would have meant, where the reason is `missing_unit` or `incomplete`.
    """

    reason: Reason
    detail: str = ""
    value_range: tuple[float, float] | None = None
    kept: Parsed | None = None
