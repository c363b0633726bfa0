"""Arrow schemas of every table: one Parquet file a log and table.

    logs         one row: where the log came from
    frames       one row an instant: the ego's pose and motion
    sensor_data  one row a sensor capture: its file, calibration and the ego's pose at that very time
    annotations  one row a labelled box, in the ego frame of its frame
    detections   one row a measurement: a 3D box, a 2D box in an image, or a radar return
    map_elements one row a line or area of the map, global frame
    tracks       one row a tracked object and frame, ego frame
    groups       one row a moment that is shown to a model: context images and marks
    questions    one row a question with its typed answer and evidence
    predictions  one row an answer of a model
    scores       one row an answer, parsed and judged

Units and frames stand in the names. Lists are of variable length even where their length is known, because Parquet cannot read
a null fixed-size list back. `global_SE3_ego` and its like are structs (quaternion w x y z, metres). What a data set lacks is
null, never 0: a log without ego poses has null `global_SE3_ego`, a capture without a file has null `path`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from drive_vqa.errors import StoreError
from drive_vqa.geometry import SE3

SCHEMA_VERSION = "3.0"
"""Major.minor; a reader refuses another major version."""

POSE = pa.struct([(name, pa.float64()) for name in ("qw", "qx", "qy", "qz", "tx_m", "ty_m", "tz_m")])
"""A rigid transform: unit quaternion and translation."""

IMAGE_BOX = [(name, pa.float64()) for name in ("u0_px", "v0_px", "u1_px", "v1_px")]

TRUTH = pa.struct(
    [
        ("distance_m", pa.float64()),  # any length without a sign: distance, gap, size, way driven
        ("bearing_deg", pa.float64()),  # where something is
        ("yaw_deg", pa.float64()),  # where something points, or how far it turns; left positive
        ("speed_mps", pa.float64()),
        ("x_m", pa.float64()),  # ahead of a reference, negative behind
        ("y_m", pa.float64()),  # to the left of a reference, negative to the right
        ("time_s", pa.float64()),  # from now on
        ("clock_hour", pa.int32()),
        ("count", pa.int32()),
        ("choice", pa.string()),
        ("bool", pa.bool_()),
        ("marks", pa.list_(pa.int32())),  # in order where an order is asked for, else rising; may be empty
        ("start_s", pa.float64()),  # an interval of time, relative to now: -1.5 is 1.5 s ago
        ("end_s", pa.float64()),
        *IMAGE_BOX,  # whole pixels of the original image
        ("undetermined", pa.bool_()),  # true: what is shown does not tell; never false in a truth
    ]
)
"""A typed answer. Fields that the question does not ask for are null; a joint question fills several.

| `answer_type` | fields |
|---|---|
| distance, bearing, turn, speed, longitudinal, lateral, time | distance_m, bearing_deg, yaw_deg, speed_mps, x_m, y_m, time_s |
| localization, position, motion | distance_m and bearing_deg; x_m and y_m; distance_m and yaw_deg |
| clock, count, choice, bool | clock_hour, count, choice, bool |
| ranking, regions | marks: in order; as a set |
| interval, box, interval_box | start_s and end_s; u0_px v0_px u1_px v1_px; all six |
| undetermined | undetermined |
"""

LOGS = pa.schema(
    [
        ("log_id", pa.string()),
        ("recording", pa.string()),  # the drive that the log was cut from; logs of one recording stay in one split
        ("source_format", pa.string()),
        ("source_root", pa.string()),  # relative to the store, POSIX: moving store and source together keeps it valid
        ("location", pa.string()),
        ("description", pa.string()),
    ]
)

FRAMES = pa.schema(
    [
        ("log_id", pa.string()),
        ("frame", pa.int32()),
        ("timestamp_ns", pa.int64()),
        ("source_frame", pa.string()),  # the source's own name of it: nuScenes' sample token; null where it has none
        ("global_SE3_ego", POSE),  # null where the log has no poses
        ("speed_mps", pa.float64()),
        ("accel_mps2", pa.float64()),
        ("yaw_rate_radps", pa.float64()),
    ]
)

SENSOR_DATA = pa.schema(
    [
        ("log_id", pa.string()),
        ("frame", pa.int32()),
        ("sensor", pa.string()),
        ("modality", pa.string()),  # camera | lidar | radar
        ("timestamp_ns", pa.int64()),
        ("path", pa.string()),  # relative to the log's source_root, POSIX; null: calibration without a file
        ("width", pa.int32()),  # cameras only and where known, else null
        ("height", pa.int32()),
        ("intrinsics", pa.list_(pa.float64())),  # nine numbers, row-major 3×3, pixels
        ("distortion", pa.list_(pa.float64())),  # empty: the image is rectified
        ("ego_SE3_sensor", POSE),
        ("global_SE3_ego", POSE),  # at capture time
    ]
)

ANNOTATIONS = pa.schema(
    [
        ("log_id", pa.string()),
        ("frame", pa.int32()),
        ("timestamp_ns", pa.int64()),
        ("track_id", pa.string()),
        ("category", pa.string()),  # a key of drive_vqa.categories.CATEGORIES
        ("source_category", pa.string()),
        ("attribute", pa.string()),
        ("ego_SE3_box", POSE),  # centre, in the ego frame of this row's frame; x points where the object drives
        ("length_m", pa.float64()),
        ("width_m", pa.float64()),
        ("height_m", pa.float64()),
        ("lidar_points", pa.int32()),
        ("radar_points", pa.int32()),
        ("observed", pa.bool_()),  # false: interpolated between two labels
    ]
)

DETECTIONS = pa.schema(
    [
        ("log_id", pa.string()),
        ("frame", pa.int32()),
        ("timestamp_ns", pa.int64()),  # of the measurement
        ("sensor", pa.string()),  # that measured, as in sensor_data; null for 3D boxes of an outside detector
        ("kind", pa.string()),  # box_3d | box_2d | radar
        ("category", pa.string()),  # null where not known, as for a radar return
        ("source_category", pa.string()),
        ("score", pa.float64()),  # the detector's own, whatever its scale; greater is surer
        ("x_m", pa.float64()),  # box_3d: centre in the ego frame at timestamp_ns
        ("y_m", pa.float64()),
        ("z_m", pa.float64()),
        ("length_m", pa.float64()),
        ("width_m", pa.float64()),
        ("height_m", pa.float64()),
        ("yaw_rad", pa.float64()),
        ("vx_mps", pa.float64()),  # over ground, in ego axes; null where the detector gives none
        ("vy_mps", pa.float64()),
        ("lidar_points", pa.int32()),
        *IMAGE_BOX,  # box_2d: in the image of `sensor`
        ("range_m", pa.float64()),  # radar: in the frame of `sensor`
        ("azimuth_rad", pa.float64()),  # 0 along the sensor's x, left positive
        ("range_rate_mps", pa.float64()),  # over ground (the ego's own motion taken out), positive away from the sensor
    ]
)

MAP_ELEMENTS = pa.schema(
    [
        ("log_id", pa.string()),
        ("element_id", pa.string()),
        ("kind", pa.string()),  # lane | lane_line | road_edge | crosswalk | sidewalk | drivable_area | intersection
        ("source_kind", pa.string()),
        ("closed", pa.bool_()),  # an area: the last point joins the first
        ("x_m", pa.list_(pa.float64())),  # global frame; a lane is its centre line, in driving direction
        ("y_m", pa.list_(pa.float64())),
        ("z_m", pa.list_(pa.float64())),  # null where the map is flat
    ]
)

TRACKS = pa.schema(
    [
        ("log_id", pa.string()),
        ("frame", pa.int32()),
        ("timestamp_ns", pa.int64()),
        ("track_id", pa.string()),
        ("category", pa.string()),
        ("source_category", pa.string()),
        ("attribute", pa.string()),
        ("x_m", pa.float64()),  # box centre in the ego frame of this row's frame
        ("y_m", pa.float64()),
        ("z_m", pa.float64()),
        ("length_m", pa.float64()),
        ("width_m", pa.float64()),
        ("height_m", pa.float64()),
        ("yaw_rad", pa.float64()),
        ("vx_mps", pa.float64()),  # over ground, in ego axes; null where unknown
        ("vy_mps", pa.float64()),
        ("speed_mps", pa.float64()),
        ("yaw_rate_radps", pa.float64()),
        ("accel_mps2", pa.float64()),  # along the velocity
        (
            "covariance",
            pa.list_(pa.float64()),
        ),  # of (x_m, y_m, vx_mps, vy_mps), row-major; null where not estimated
        ("lidar_points", pa.int32()),
        ("radar_points", pa.int32()),
        ("in_view", pa.bool_()),  # in the view of a camera, hidden or not; null where the log has no cameras
        ("occlusion", pa.float64()),  # 1 - greatest visible fraction over the cameras; null where it is not in view
        ("cameras", pa.list_(pa.struct([("camera", pa.string()), *IMAGE_BOX, ("visible_fraction", pa.float64())]))),
        ("source", pa.string()),  # annotated | fused
        ("score", pa.float64()),  # confidence in the track, in [0, 1]; null for annotated ones
        ("observed", pa.bool_()),  # false: interpolated or coasted
    ]
)

GROUPS = pa.schema(
    [
        ("group_id", pa.string()),
        ("kind", pa.string()),  # single | surround | sequence | clip | target, see qa_gen.groups
        ("log_id", pa.string()),
        ("frame", pa.int32()),
        ("timestamp_ns", pa.int64()),
        ("split", pa.string()),
        (
            "context",  # oldest first; the last is the present
            pa.list_(
                pa.struct(
                    [
                        ("frame", pa.int32()),
                        ("offset_s", pa.float64()),  # nominal, 0 for the present, negative before
                        ("camera", pa.string()),  # null for a log without cameras
                        ("path", pa.string()),  # null for a log without images
                        ("width", pa.int32()),
                        ("height", pa.int32()),
                    ]
                )
            ),
        ),
        (
            "marks",
            pa.list_(
                pa.struct(
                    [
                        ("mark", pa.int32()),  # the number drawn on the image
                        ("track_id", pa.string()),
                        ("category", pa.string()),
                        ("description", pa.string()),  # names it and nothing else here; null where no words do
                        (
                            "regions",  # one for each context image that shows the object
                            pa.list_(
                                pa.struct([("context", pa.int32()), *IMAGE_BOX, ("visible_fraction", pa.float64())])
                            ),
                        ),
                    ]
                )
            ),
        ),
        ("ego_speed_mps", pa.float64()),
    ]
)

QUESTIONS = pa.schema(
    [
        ("qa_id", pa.string()),
        ("group_id", pa.string()),
        ("log_id", pa.string()),
        ("frame", pa.int32()),
        ("truth_frame", pa.int32()),  # where the truth was read: `frame`, or the future frame
        ("family", pa.string()),  # object | ego | future | when_where | unanswerable
        ("type", pa.string()),
        ("form", pa.string()),  # open | choice | yes_no
        ("template", pa.int32()),
        ("template_version", pa.int32()),
        ("answer_type", pa.string()),  # of this form, see TRUTH
        ("marks", pa.list_(pa.int32())),  # asked about, in the order of the type's roles
        ("track_ids", pa.list_(pa.string())),  # of these marks; null for one that is not there
        ("parameter", pa.string()),  # what else the question names, such as a radius; null where nothing
        ("question", pa.string()),
        ("options", pa.list_(pa.string())),
        ("answer", pa.string()),
        ("truth", TRUTH),
        ("horizon_s", pa.float64()),
        ("evidence", pa.list_(pa.struct([("mark", pa.int32()), ("context", pa.int32())]))),
        ("split", pa.string()),
        (
            "slices",
            pa.struct(
                [
                    ("category", pa.string()),
                    ("distance_m", pa.float64()),  # of the first mark, at t = 0
                    ("visible_fraction", pa.float64()),
                    ("moving", pa.bool_()),
                    ("in_view_at_t", pa.bool_()),
                    ("ttc_bin", pa.string()),
                    ("difficulty", pa.string()),  # easy | moderate | hard, see qa_gen.slices
                    ("relation", pa.string()),  # manoeuvre of the first mark over the next 3 s
                ]
            ),
        ),
    ]
)

LOOK = pa.struct(
    [
        ("context", pa.int32()),  # place in the group's context
        *[(name, pa.float32()) for name in ("u0_px", "v0_px", "u1_px", "v1_px")],  # of the crop, in the original image
        ("u_px", pa.float32()),  # the point that was asked for, or the middle of the box, likewise
        ("v_px", pa.float32()),
        ("step", pa.int32()),  # steps of reasoning that were told before it, see drive_vqa.looks.TracedLook
    ]
)
"""A closer look of a model at a part of a context image."""

PREDICTIONS = pa.schema(
    [
        ("qa_id", pa.string()),
        ("model", pa.string()),
        ("sample", pa.int32()),
        ("text", pa.string()),
        ("latency_s", pa.float64()),
        ("looks", pa.list_(LOOK)),  # in the order taken, those that showed something; null where the model cannot look
    ]
)

SCORES = pa.schema(
    [
        ("qa_id", pa.string()),
        ("model", pa.string()),
        ("sample", pa.int32()),
        ("text", pa.string()),
        ("parsed", TRUTH),  # null where parsing failed
        ("failure", pa.string()),  # null where it parsed
        ("success", pa.bool_()),
        ("distance_ok", pa.bool_()),
        ("bearing_ok", pa.bool_()),
        ("speed_ok", pa.bool_()),
        ("looks", pa.list_(LOOK)),  # as in predictions
    ]
)

TABLES: dict[str, pa.Schema] = {
    "logs": LOGS,
    "frames": FRAMES,
    "sensor_data": SENSOR_DATA,
    "annotations": ANNOTATIONS,
    "detections": DETECTIONS,
    "map_elements": MAP_ELEMENTS,
    "tracks": TRACKS,
    "groups": GROUPS,
    "questions": QUESTIONS,
    "predictions": PREDICTIONS,
    "scores": SCORES,
}
"""Schema of each table by name."""


def pose_to_struct(dst_SE3_src: SE3) -> dict[str, float]:
    """A transform as the `POSE` struct."""
    qw, qx, qy, qz = (float(value) for value in dst_SE3_src.quaternion_wxyz)
    tx_m, ty_m, tz_m = (float(value) for value in dst_SE3_src.translation_m)
    return {"qw": qw, "qx": qx, "qy": qy, "qz": qz, "tx_m": tx_m, "ty_m": ty_m, "tz_m": tz_m}


def pose_from_struct(pose: Mapping[str, float]) -> SE3:
    """The transform of a `POSE` struct.

    Raises:
        CalibrationError: the numbers are not a pose.
    """
    return SE3.from_quaternion(
        [pose["qw"], pose["qx"], pose["qy"], pose["qz"]], [pose["tx_m"], pose["ty_m"], pose["tz_m"]]
    )


def table_from_rows(name: str, rows: list[dict[str, Any]]) -> pa.Table:
    """Rows as a table of the schema `name`; absent keys become null, unknown keys are refused.

    Raises:
        StoreError: a row has a column that the schema does not know, or a value of another type.
    """
    schema = TABLES[name]
    unknown = {key for row in rows for key in row} - set(schema.names)
    if unknown:
        raise StoreError(
            f"table {name!r} has no column {sorted(unknown)[0]!r}; its columns are {', '.join(schema.names)}"
        )
    try:
        return pa.Table.from_pylist(rows, schema=schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise StoreError(f"a row does not fit the schema of table {name!r}: {error}") from error
