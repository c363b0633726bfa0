"""Tables of a nuScenes version as the cache holds them: joined, typed, sorted by scene, whole numbers in place of tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from drive_vqa.schema import POSE

LAYOUT = "2"
"""Changes with any change of what is below or of how it is made; a cache of another layout is made anew."""

REFERENCE = "LIDAR_TOP"
"""The channel whose pose is the frame's, as in nuscenes-devkit."""

_CAPTURES = pa.schema(
    [
        ("frame", pa.int32()),  # of the sample that the data set gives; for a sweep that is a keyframe near it
        ("calibration", pa.int32()),  # row of `calibrations`
        ("timestamp_ns", pa.int64()),
        ("path", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("global_SE3_ego", POSE),  # at capture time
    ]
)
_BOXES = pa.schema(
    [
        ("frame", pa.int32()),
        ("instance", pa.int32()),  # row of `instances`
        ("attribute", pa.int32()),  # row of `attributes`; null: none
        ("global_SE3_box", POSE),
        ("length_m", pa.float64()),
        ("width_m", pa.float64()),
        ("height_m", pa.float64()),
        ("lidar_points", pa.int32()),
        ("radar_points", pa.int32()),
    ]
)
BY_SCENE: dict[str, pa.Schema] = {
    "samples": pa.schema([("token", pa.string()), ("timestamp_ns", pa.int64())]),
    "keyframes": _CAPTURES,
    "sweeps": _CAPTURES,
    "boxes": _BOXES,
}
"""Big tables, one record batch a scene. Samples are in order of time, keyframes by frame and channel, sweeps by channel and time,
boxes by frame and else as in the source."""

WHOLE: dict[str, pa.Schema] = {
    "scenes": pa.schema([(name, pa.string()) for name in ("token", "name", "recording", "location", "description")]),
    "calibrations": pa.schema(
        [
            ("channel", pa.string()),
            ("modality", pa.string()),
            ("ego_SE3_sensor", POSE),
            ("intrinsics", pa.list_(pa.float64())),  # cameras only, else null
        ]
    ),
    "instances": pa.schema([("token", pa.string()), ("category", pa.string())]),
    "attributes": pa.schema([("names", pa.string())]),  # joined by commas
    "problems": pa.schema([("scene", pa.int32()), ("sweep", pa.bool_()), ("message", pa.string())]),
}
"""Small tables of all scenes. A scene that stands in `problems` cannot be read, or (`sweep`) its sweeps cannot."""


@dataclass(frozen=True, eq=False)
class Tables:
    """A version's tables on their way into the cache.

    Attributes:
        whole: those of `WHOLE`.
        by_scene: for each of `BY_SCENE` its record batches in scene order, to be used up one after the other.
    """

    whole: dict[str, pa.Table]
    by_scene: dict[str, Iterator[pa.RecordBatch]]


def pose_column(values: Float[np.ndarray, "n 7"]) -> pa.StructArray:
    """Unit quaternions (w, x, y, z) and metres as a column of poses."""
    return pa.StructArray.from_arrays([pa.array(np.ascontiguousarray(part)) for part in values.T], fields=list(POSE))


def pose_values(poses: pa.StructArray) -> Float[np.ndarray, "n 7"]:
    """A column of poses as quaternions (w, x, y, z) and metres."""
    return np.stack([part.to_numpy() for part in poses.flatten()], axis=1)
