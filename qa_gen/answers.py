"""True answers as text and as columns: short, with units; lengths and speeds to a tenth, angles to a degree."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float

from drive_vqa.schema import TRUTH
from qa_gen.question_type import Truth

STORED_DECIMALS = 3
"""Truths are stored to a millimetre, a thousandth of a degree, a millisecond: finer than any sensor."""

MOST_DISTINCT = 100_000
UNDETERMINED = "cannot be determined"
NO_REGIONS = "none"


def answer_texts(answer_type: str, truth: Truth) -> pa.StringArray:
    """Answers of the open form.

    Args:
        answer_type: see `drive_vqa.schema.TRUTH`.
        truth: its fields, one entry a question.
    """
    return _WRITERS[answer_type](truth)


def distance_texts(metres: Float[np.ndarray, "n"]) -> pa.StringArray:
    """Such as "12.4 meters"."""
    return _numbers(metres, 10, lambda tenths: f"{tenths / 10:.1f} meters")


def angle_texts(degrees: Float[np.ndarray, "n"]) -> pa.StringArray:
    """Such as "-8 degrees"; never "-0" nor "-180"."""
    whole = np.rint(degrees)
    return _numbers(np.where(whole == -180, 180, whole), 1, lambda deg: f"{deg} degree" + "s" * (abs(deg) != 1))


def speed_texts(speeds_mps: Float[np.ndarray, "n"]) -> pa.StringArray:
    """Such as "3.2 m/s"."""
    return _numbers(speeds_mps, 10, lambda tenths: f"{tenths / 10:.1f} m/s")


def time_texts(times_s: Float[np.ndarray, "n"]) -> pa.StringArray:
    """Such as "2.3 seconds"."""
    return _numbers(times_s, 10, lambda tenths: f"{tenths / 10:.1f} seconds")


def _clock_texts(truth: Truth) -> pa.StringArray:
    return _numbers(truth["clock_hour"], 1, lambda hour: f"{hour} o'clock")


def _count_texts(truth: Truth) -> pa.StringArray:
    return _numbers(truth["count"], 1, str)


def _bool_texts(truth: Truth) -> pa.StringArray:
    return pa.array(["no", "yes"]).take(pa.array(truth["bool"].astype(np.int64)))


def _position_texts(truth: Truth) -> pa.StringArray:
    return _joined("x ", distance_texts(truth["x_m"]), ", y ", distance_texts(truth["y_m"]))


def _interval_texts(truth: Truth) -> pa.StringArray:
    start, end = (_numbers(-truth[name], 10, lambda tenths: f"{abs(tenths) / 10:.1f}") for name in ("start_s", "end_s"))
    return _joined("from ", start, " to ", end, " seconds ago")


def _box_texts(truth: Truth) -> pa.StringArray:
    u0, v0, u1, v1 = (_numbers(truth[name], 1, str) for name in ("u0_px", "v0_px", "u1_px", "v1_px"))
    return _joined("[", u0, ", ", v0, ", ", u1, ", ", v1, "]")


def _marks_texts(truth: Truth) -> pa.StringArray:
    marks = truth["marks"]
    codes, inverse = np.unique(marks, axis=0, return_inverse=True)
    texts = [", ".join(f"Region {number}" for number in row if number >= 0) or NO_REGIONS for row in codes.tolist()]
    return pa.array(texts, pa.string()).take(pa.array(inverse.reshape(-1)))


def _numbers(values: np.ndarray, scale: int, write: Callable[[int], str]) -> pa.StringArray:
    """Each distinct value, rounded to 1/scale, is written once."""
    whole = np.rint(np.asarray(values, dtype=np.float64) * scale).astype(np.int64)
    least, most = (int(whole.min()), int(whole.max())) if len(whole) else (0, 0)
    if most - least > MOST_DISTINCT:
        distinct, place = np.unique(whole, return_inverse=True)
    else:  # counting is faster than sorting
        there = np.bincount(whole - least, minlength=1) > 0
        distinct, place = np.flatnonzero(there) + least, (np.cumsum(there) - 1)[whole - least]
    texts = pa.array([write(value) for value in distinct.tolist()], pa.string())
    return texts.take(pa.array(place))


def _joined(*parts: str | pa.StringArray) -> pa.StringArray:
    return pc.binary_join_element_wise(*parts, "")


_WRITERS: dict[str, Callable[[Truth], pa.StringArray]] = {
    "distance": lambda truth: distance_texts(truth["distance_m"]),
    "bearing": lambda truth: angle_texts(truth["bearing_deg"]),
    "turn": lambda truth: angle_texts(truth["yaw_deg"]),
    "speed": lambda truth: speed_texts(truth["speed_mps"]),
    "longitudinal": lambda truth: distance_texts(truth["x_m"]),
    "lateral": lambda truth: distance_texts(truth["y_m"]),
    "time": lambda truth: time_texts(truth["time_s"]),
    "clock": _clock_texts,
    "count": _count_texts,
    "bool": _bool_texts,
    "localization": lambda truth: _joined(distance_texts(truth["distance_m"]), ", ", angle_texts(truth["bearing_deg"])),
    "motion": lambda truth: _joined(distance_texts(truth["distance_m"]), ", ", angle_texts(truth["yaw_deg"])),
    "position": _position_texts,
    "ranking": _marks_texts,
    "regions": _marks_texts,
    "interval": _interval_texts,
    "box": _box_texts,
    "interval_box": lambda truth: _joined(_interval_texts(truth), ", ", _box_texts(truth)),
    "undetermined": lambda truth: pa.array([UNDETERMINED] * len(truth["undetermined"]), pa.string()),
}
"""How each answer type is written."""


def truth_column(fields: Mapping[str, np.ndarray | pa.Array], length: int) -> pa.StructArray:
    """The `truth` column; numbers are rounded to STORED_DECIMALS, what is not given or not asked is null.

    Args:
        fields: by name of a field of TRUTH: numbers (NaN: null), whole numbers and Booleans (-1: null), or Arrow arrays.
        length: how many questions there are.
    """
    arrays = [_truth_field(fields.get(field.name), field.type, length) for field in TRUTH]
    return pa.StructArray.from_arrays(arrays, fields=list(TRUTH))


def _truth_field(values: np.ndarray | pa.Array | None, kind: pa.DataType, length: int) -> pa.Array:
    if values is None:
        return pa.nulls(length, kind)
    if isinstance(values, pa.Array):
        return values
    if pa.types.is_floating(kind):
        rounded = np.round(values, STORED_DECIMALS) + 0.0  # no -0
        return pa.array(rounded, kind, mask=np.isnan(rounded))
    return pa.array(values, pa.int64(), mask=values < 0).cast(kind)
