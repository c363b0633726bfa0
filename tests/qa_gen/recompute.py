"""The true answers once more, from the raw tables and the text of the question, by code that shares nothing with `qa_gen`.

Places go through the global frame, angles through complex numbers, footprints through shapely. Which regions a question is about
is read from its text, and how far ahead from its text too.
"""

from __future__ import annotations

import cmath
import math
import re
from typing import Any

from shapely import Polygon, affinity, box

from drive_vqa.store import Store

Row = dict[str, Any]
NUMBER = r"(-?\d+(?:\.\d+)?)"


class RawLog:
    """The tables of one log, by key."""

    def __init__(self, store: Store, log_id: str) -> None:
        self.frames = {row["frame"]: row for row in store.read("frames", log_id).to_pylist()}
        self.tracks = {(row["frame"], row["track_id"]): row for row in store.read("tracks", log_id).to_pylist()}
        self.groups = {row["group_id"]: row for row in store.read("groups", log_id).to_pylist()}
        self.questions = store.read("questions", log_id).to_pylist()

    def frame_after(self, frame: int, seconds: float) -> int:
        wanted = self.frames[frame]["timestamp_ns"] / 1e9 + seconds
        return min(self.frames, key=lambda other: abs(self.frames[other]["timestamp_ns"] / 1e9 - wanted))

    def global_place(self, frame: int, track_id: str) -> complex:
        """Ground-plane position in the global frame; exact for an ego that does not tilt."""
        pose, track = self.frames[frame]["global_SE3_ego"], self.tracks[frame, track_id]
        place = cmath.rect(1.0, ego_yaw(pose)) * complex(track["x_m"], track["y_m"])
        return complex(pose["tx_m"], pose["ty_m"]) + place

    def global_yaw(self, frame: int, track_id: str) -> float:
        return ego_yaw(self.frames[frame]["global_SE3_ego"]) + float(self.tracks[frame, track_id]["yaw_rad"])

    def seen_from_ego(self, frame: int, track_id: str) -> complex:
        """Forward and left of the ego, metres."""
        pose = self.frames[frame]["global_SE3_ego"]
        offset = self.global_place(frame, track_id) - complex(pose["tx_m"], pose["ty_m"])
        return offset * cmath.rect(1.0, -ego_yaw(pose))

    def footprint(self, frame: int, track_id: str) -> Polygon:
        track = self.tracks[frame, track_id]
        half_length, half_width = track["length_m"] / 2, track["width_m"] / 2
        shape = affinity.rotate(box(-half_length, -half_width, half_length, half_width), track["yaw_rad"], (0, 0), True)
        return affinity.translate(shape, track["x_m"], track["y_m"])


def ego_yaw(pose: Row) -> float:
    return math.atan2(
        2 * (pose["qw"] * pose["qz"] + pose["qx"] * pose["qy"]), 1 - 2 * (pose["qy"] ** 2 + pose["qz"] ** 2)
    )


def track_ids_in_text(log: RawLog, row: Row) -> list[str]:
    """Tracks of the regions that the question names; for pairs, the one that is asked about comes first in `marks`."""
    by_mark = {mark["mark"]: mark["track_id"] for mark in log.groups[row["group_id"]]["marks"]}
    named = list(dict.fromkeys(int(number) for number in re.findall(r"Region (\d+)", row["question"])))
    assert sorted(named) == sorted(row["marks"])
    assert [by_mark[mark] for mark in row["marks"]] == row["track_ids"]
    return [by_mark[mark] for mark in named]


def seconds_in_text(row: Row) -> float:
    if row["type"] == "closing_or_receding":
        assert re.search("(next|coming) second", row["question"])
        return 1.0
    found = re.search(r"\b(\d) seconds?\b", row["question"])
    return float(found[1]) if found else 0.0


def clock(angle_rad: float) -> int:
    """The hour whose direction is nearest."""
    return min(range(1, 13), key=lambda hour: abs(math.remainder(angle_rad + hour * math.pi / 6, 2 * math.pi)))


def true_answer(log: RawLog, row: Row) -> Row:
    """The typed answer as a dict of the fields that are asked for."""
    frame = row["frame"]
    then = log.frame_after(frame, seconds_in_text(row))
    assert then == row["truth_frame"]
    kind, ids = re.sub(r"_t\d$", "", row["type"]), track_ids_in_text(log, row)
    place = log.seen_from_ego(then, ids[0]) if ids else 0j
    if kind == "localization":
        return {"distance_m": abs(place), "bearing_deg": math.degrees(cmath.phase(place))}
    if kind == "ego_speed":
        return {"speed_mps": log.frames[then]["speed_mps"]}
    if kind == "target_speed":
        return {"speed_mps": log.tracks[then, ids[0]]["speed_mps"]}
    if kind == "closing_or_receding":
        change = abs(place) - abs(log.seen_from_ego(frame, ids[0]))
        return {"choice": "closing" if change <= -0.5 else "receding" if change >= 0.5 else "keeping its distance"}
    return _one_mark(log, kind, frame, ids[0], place) if len(ids) == 1 else _pair(log, kind, row, ids)


def _one_mark(log: RawLog, kind: str, frame: int, track_id: str, place: complex) -> Row:
    if kind == "distance":
        return {"distance_m": abs(place)}
    if kind == "bearing":
        return {"bearing_deg": math.degrees(cmath.phase(place))}
    if kind == "clock":
        return {"clock_hour": clock(cmath.phase(place))}
    if kind == "in_my_path":
        return {"bool": log.footprint(frame, track_id).intersection(box(0.0, -1.8, 60.0, 1.8)).area > 0}
    assert kind == "facing"
    along = math.cos(log.global_yaw(frame, track_id) - ego_yaw(log.frames[frame]["global_SE3_ego"]))
    return {"choice": "same way" if along > 0.5**0.5 else "opposite way" if along < -(0.5**0.5) else "across"}


def _pair(log: RawLog, kind: str, row: Row, ids: list[str]) -> Row:
    frame, text = row["frame"], row["question"]
    places = [log.global_place(frame, track_id) for track_id in ids]
    names = {track_id: f"Region {mark}" for track_id, mark in zip(row["track_ids"], row["marks"], strict=True)}
    if kind == "pair_distance":
        return {"distance_m": abs(places[0] - places[1])}
    if kind == "closer":
        return {"choice": names[min(ids, key=lambda track_id: abs(log.seen_from_ego(frame, track_id)))]}
    if kind == "bigger":
        tracks = {track_id: log.tracks[frame, track_id] for track_id in ids}
        volume = {name: row["length_m"] * row["width_m"] * row["height_m"] for name, row in tracks.items()}
        return {"choice": names[max(ids, key=lambda track_id: volume[track_id])]}
    if kind == "left_right":
        asked, other = ids if not text.startswith("Looking from my car") else ids[::-1]
        ratio = log.seen_from_ego(frame, asked) / log.seen_from_ego(frame, other)
        return {"choice": "left" if ratio.imag > 0 else "right"}
    assert kind == "pair_clock"
    viewer, other = ids
    offset = log.global_place(frame, other) - log.global_place(frame, viewer)
    return {"clock_hour": clock(cmath.phase(offset) - log.global_yaw(frame, viewer))}


def mismatch(log: RawLog, row: Row) -> str | None:
    """What is wrong with a stored question, or None."""
    expected, stored = true_answer(log, row), {key: value for key, value in row["truth"].items() if value is not None}
    if expected.keys() != stored.keys():
        return f"{row['type']}: fields {stored.keys()} instead of {expected.keys()}"
    for key, value in expected.items():
        error = stored[key] != value
        if isinstance(value, float):
            difference = stored[key] - value
            error = abs(math.remainder(difference, 360.0) if key == "bearing_deg" else difference) > 1e-6
        if error:
            return f"{row['type']} {row['qa_id']}: {key} is stored as {stored[key]}, should be {value}"
    return _text_mismatch(row, expected)


def _text_mismatch(row: Row, expected: Row) -> str | None:
    """Whether the answer's text says what the truth is, to its rounding."""
    patterns = {
        "distance_m": (rf"{NUMBER} meters", 0.05),
        "bearing_deg": (rf"{NUMBER} degrees?", 0.5),
        "speed_mps": (rf"{NUMBER} m/s", 0.05),
        "clock_hour": (rf"{NUMBER} o'clock", 0.0),
    }
    for key, value in expected.items():
        if key in patterns:
            pattern, rounding = patterns[key]
            found = re.search(pattern, row["answer"])
            difference = math.inf if found is None else float(found[1]) - value
            if key == "bearing_deg":
                difference = math.remainder(difference, 360.0)
            if abs(difference) > rounding + 1e-9:
                return f"{row['type']} {row['qa_id']}: the text {row['answer']!r} does not say {value}"
        elif row["answer"] != {True: "yes", False: "no"}.get(value, value):
            return f"{row['type']} {row['qa_id']}: the text {row['answer']!r} does not say {value}"
    return None
