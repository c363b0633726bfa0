"""From the steps of a thought to the claims in them.

What a step tells of time goes with what follows it: a place or a point in `drive`, and a place in `open_o3` and `treevgr`, is of
the time of the `seen` before it in the step. In `vigorl` a time goes with the next point, and with places before that point.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from eval.reasoning.forms import BOX, DISTANCE_AND_BEARING, FOUR_NUMBERS, ONE_NUMBER, TWO_NUMBERS, Form
from eval.reasoning.trace import Fault, PlaceClaim, PointClaim, SeenClaim, TimeClaim

MAX_CLAIMS = 512
"""More is a list, not a thought."""

MAX_STEPS = 1024
"""Of a trace; the longest that `qa_gen` writes have some twenty."""

_DECIMALS = 6
_TAGS_OF_PARTS = frozenset({"think", "answer", "tool_call", "tool_response", "observation"})


@dataclass
class ClaimReader:
    """Reads thoughts one after another and keeps what they claim.

    Attributes:
        form: of the dialect.
        first_s: time of the first image from now, seconds.
        wants_points: every step must end in a point once there was one.
        steps: text of each, stripped.
        seen: claims of boxes.
        points: claims of points.
        places: claims of places.
        times: that stand alone.
        faults: what is malformed in the steps.
    """

    form: Form
    first_s: float
    wants_points: bool
    steps: list[str] = field(default_factory=list)
    seen: list[SeenClaim] = field(default_factory=list)
    points: list[PointClaim] = field(default_factory=list)
    places: list[PlaceClaim] = field(default_factory=list)
    times: list[TimeClaim] = field(default_factory=list)
    faults: set[Fault] = field(default_factory=set)
    _name: str | None = None
    _offset_s: float | None = None

    def read_thought(self, thought: str) -> None:
        """Read the steps of a thought: its lines."""
        lines = thought.strip().splitlines()
        for line in lines:
            step = line.strip()
            if step and len(self.steps) == MAX_STEPS:
                self.faults.add("too_long")
                return
            if step:
                self._read_step(step)
            elif self.form.strict:
                self.faults.add("empty_step")
        if not lines:
            self.faults.add("empty_step")

    def _read_step(self, step: str) -> None:
        self.steps.append(step)
        self._name = self._offset_s = None
        point_end = -1
        for found in self.form.evidence.finditer(step):
            self._read(found)
            if found.lastgroup == "point":
                point_end = found.end()
        ends_in_point = point_end >= 0 and not any(map(str.isalnum, step[point_end:]))
        if self.wants_points and self.points and not ends_in_point:
            self.faults.add("step_without_point")

    def _read(self, found: re.Match[str]) -> None:
        match found.lastgroup:
            case "seen":
                self._read_seen(found)
            case "point":
                self._read_point(found)
            case "place":
                self._read_place(found)
            case "when":
                self._offset_s = 0.0 - float(found["ago"])
            case "time":
                self._read_time(found)
            case "name":
                self.faults.add("missing_box")
            case "tag":
                self._read_tag(found)
            case _:
                self.faults.add("unknown_tag")

    def _read_seen(self, found: re.Match[str]) -> None:
        """One claim for each box of a row; all share name and time."""
        told = found.groupdict()
        self._name = (told.get("label") or "").strip() or None
        self._offset_s = self._time(told)
        boxes = BOX.findall(told["boxes"])
        for box in boxes:
            if not (numbers := FOUR_NUMBERS.fullmatch(box)):
                self.faults.add("bad_box")
            elif self._has_room():
                u0_px, v0_px, u1_px, v1_px = map(float, numbers.groups())
                self.seen.append(SeenClaim(self._name, (u0_px, v0_px, u1_px, v1_px), self._offset_s, self._step))
        if self.form.wants_name and (self._name is None or (self.form.strict and len(boxes) > 1)):
            self.faults.add("missing_name")

    def _time(self, told: dict[str, str | None]) -> float | None:
        """Seconds from now of a `seen`; None where it does not tell."""
        if ago := told.get("ago"):
            return 0.0 - float(ago)
        if (at := told.get("at")) is not None:
            return self._from_now(at)
        if self.form.wants_time:
            self.faults.add("missing_time")
        return None

    def _from_now(self, told: str) -> float | None:
        """Seconds from now of what stands between time tags."""
        if number := ONE_NUMBER.fullmatch(told):
            zero_s = self.first_s if self.form.from_first_image else 0.0
            return round(zero_s + float(number[1]), _DECIMALS) + 0.0
        self.faults.add("bad_time")
        return None

    def _read_time(self, found: re.Match[str]) -> None:
        """A time without a box."""
        offset_s = self._from_now(found["clock"])
        if not self.form.lone_times:
            self.faults.add("missing_box")
        elif offset_s is not None and self._has_room():
            self.times.append(TimeClaim(offset_s, self._step))

    def _read_point(self, found: re.Match[str]) -> None:
        if not (numbers := TWO_NUMBERS.fullmatch(found["pixel"])):
            self.faults.add("bad_point")
        elif self._has_room():
            u_px, v_px = map(float, numbers.groups())
            self.points.append(PointClaim(u_px, v_px, self._offset_s, self._step))
        if self.form.ends_in_point:
            self._offset_s = None

    def _read_place(self, found: re.Match[str]) -> None:
        if not (numbers := DISTANCE_AND_BEARING.fullmatch(found["ground"])):
            self.faults.add("bad_place")
        elif self._has_room():
            distance_m, bearing_deg = map(float, numbers.groups())
            self.places.append(PlaceClaim(distance_m, bearing_deg, self._name, self._offset_s or 0.0, self._step))

    def _read_tag(self, found: re.Match[str]) -> None:
        """A tag that is part of no evidence."""
        if found["tag_name"] not in self.form.tags | _TAGS_OF_PARTS:
            self.faults.add("unknown_tag")
        else:
            self.faults.add("unopened_tag" if found["slash"] else "unclosed_tag")

    @property
    def _step(self) -> int:
        return len(self.steps) - 1

    def _has_room(self) -> bool:
        """Whether one more claim may be kept."""
        if len(self.seen) + len(self.points) + len(self.places) + len(self.times) < MAX_CLAIMS:
            return True
        self.faults.add("too_many_claims")
        return False
