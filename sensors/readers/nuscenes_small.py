"""The small tables of a nuScenes version with their references resolved, and the notes of what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int

from drive_vqa.errors import LogFormatError
from drive_vqa.schema import POSE
from sensors.readers.nuscenes_layout import WHOLE
from sensors.readers.nuscenes_tables import (
    AGAIN,
    FILES,
    Attribute,
    CalibratedSensor,
    Category,
    Instance,
    Log,
    Sample,
    SampleAnnotation,
    Scene,
    Sensor,
    Table,
    Token,
)


@dataclass
class Problems:
    """The first problem of each scene, for its keyframes and for its sweeps."""

    first: dict[tuple[int, bool], str] = field(default_factory=dict)

    def add(self, scene: int, message: str | None) -> None:
        """Note a problem of a scene's keyframes, if there is one."""
        if message is not None:
            self.first.setdefault((scene, False), message)

    def add_rows(
        self,
        rows: Int[np.ndarray, "m"],
        scene: Int[np.ndarray, "n"],
        message: Callable[[int], str],
        sweep: Bool[np.ndarray, "n"] | None = None,
    ) -> None:
        """Note that `rows` of a table are wrong; `scene` and `sweep` are those of all its rows."""
        key = 2 * scene[rows] + (0 if sweep is None else sweep[rows])
        keys, first = np.unique(key, return_index=True)
        for of, place in zip(keys.tolist(), first.tolist(), strict=True):
            if (of // 2, bool(of % 2)) not in self.first:
                self.first[of // 2, bool(of % 2)] = message(int(rows[place]))

    def table(self) -> pa.Table:
        """All of them, sorted."""
        rows = [{"scene": of[0], "sweep": of[1], "message": self.first[of]} for of in sorted(self.first)]
        return pa.Table.from_pylist(rows, WHOLE["problems"])


@dataclass(frozen=True, eq=False)
class Samples:
    """Keyframes of all scenes.

    Attributes:
        file: where they come from.
        tokens: in the order of the file.
        rank: where each of the file stands when sorted by scene and time. All that follows is sorted so.
        sorted_tokens: the same tokens.
        scene: of each.
        frame: of each, from 0 in every scene.
        timestamp_ns: of each.
    """

    file: Path
    tokens: pa.Array
    rank: Int[np.ndarray, "n"]
    sorted_tokens: pa.Array
    scene: Int[np.ndarray, "n"]
    frame: Int[np.ndarray, "n"]
    timestamp_ns: Int[np.ndarray, "n"]


@dataclass(frozen=True, eq=False)
class Named:
    """A small table that big ones refer to.

    Attributes:
        tokens: of its records.
        rows: one a record.
        faults: what is wrong with each record or with what it refers to; None where all is well.
        missing: what to say where a token is asked for (by a file) that is not here.
    """

    tokens: pa.Array
    rows: pa.Table
    faults: list[str | None]
    missing: Callable[[str, str], str]


def read_scenes(folder: Path, problems: Problems) -> pa.Table:
    """The table `scenes`.

    Raises:
        LogFormatError: a table as a whole is wrong, or a scene has no name.
    """
    table, logs = Table.read(folder, Scene), Table.read(folder, Log)
    rows = []
    for place, scene in enumerate(table.rows.values()):
        wrong = table.fault(scene)
        if wrong is not None:  # without a name there is no log to speak of
            raise LogFormatError(wrong)
        log = logs.rows.get(scene.log_token)
        wrong = logs.missing(scene.log_token, f"scene {scene.name}") if log is None else logs.fault(log)
        problems.add(place, wrong)
        told = {} if log is None or wrong else {"recording": log.logfile or log.token, "location": log.location}
        rows.append({"token": scene.token, "name": scene.name, "description": scene.description, **told})
    return pa.Table.from_pylist(rows, WHOLE["scenes"])


def read_samples(folder: Path, scenes: pa.Table, problems: Problems) -> Samples:
    """Keyframes, sorted.

    Raises:
        LogFormatError: a sample belongs to no scene, or the table as a whole is wrong.
    """
    table = Table.read(folder, Sample)
    place_of_scene = {token: place for place, token in enumerate(scenes["token"].to_pylist())}
    scenes_of, times_us = [], []
    for sample in table.rows.values():
        place = place_of_scene.get(sample.scene_token)
        if place is None:
            raise LogFormatError(
                f"{table.file}, token {sample.token!r}: scene_token {sample.scene_token!r} is not in scene.json: {AGAIN}"
            )
        wrong = table.fault(sample)
        problems.add(place, wrong)
        scenes_of.append(place)
        times_us.append(0 if wrong else sample.timestamp)
    scene, timestamp_ns = np.array(scenes_of, dtype=np.int64), 1000 * np.array(times_us, dtype=np.int64)
    order = np.lexsort((timestamp_ns, scene))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    scene, tokens = scene[order], pa.array(list(table.rows), pa.string())
    frame = np.arange(len(order)) - np.searchsorted(scene, scene)
    return Samples(table.file, tokens, rank, tokens.take(pa.array(order)), scene, frame, timestamp_ns[order])


def read_calibrations(folder: Path) -> Named:
    """The table `calibrations`.

    Raises:
        LogFormatError: a table as a whole is wrong.
    """
    table, sensors = Table.read(folder, CalibratedSensor), Table.read(folder, Sensor)
    rows, faults = [], []
    for calibration in table.rows.values():
        sensor = sensors.rows.get(calibration.sensor_token)
        wrong = table.fault(calibration)
        if wrong is None:
            missing = sensors.missing(calibration.sensor_token, str(table.file))
            wrong = (
                missing if sensor is None else sensors.fault(sensor) or _intrinsics_fault(table, calibration, sensor)
            )
        faults.append(wrong)
        rows.append({} if wrong or sensor is None else _calibration_row(calibration, sensor))
    tokens = pa.array(list(table.rows), pa.string())
    return Named(tokens, pa.Table.from_pylist(rows, WHOLE["calibrations"]), faults, table.missing)


def _intrinsics_fault(table: Table[CalibratedSensor], calibration: CalibratedSensor, sensor: Sensor) -> str | None:
    matrix = [value for row in calibration.camera_intrinsic for value in row]
    if sensor.modality != "camera" or (matrix and matrix[0] > 0 and matrix[4] > 0 and matrix[6:] == [0.0, 0.0, 1.0]):
        return None
    return (
        f"{table.file}, token {calibration.token!r}: its camera_intrinsic must be a pinhole matrix with focal lengths "
        f"above 0: mend calibrated_sensor"
    )


def _calibration_row(calibration: CalibratedSensor, sensor: Sensor) -> dict[str, object]:
    quaternion = unit_quaternions(np.array([calibration.rotation], dtype=np.float64))[0]
    pose = [*quaternion.tolist(), *(float(value) for value in calibration.translation)]
    matrix = [float(value) for row in calibration.camera_intrinsic for value in row]
    return {
        "channel": sensor.channel,
        "modality": sensor.modality,
        "ego_SE3_sensor": dict(zip(POSE.names, pose, strict=True)),
        "intrinsics": matrix if sensor.modality == "camera" else None,
    }


def unit_quaternions(wxyz: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
    """The same rotations with norm 1 and w ≥ 0."""
    sign = np.where(wxyz[:, 0] < 0, -1.0, 1.0)
    return np.asarray(wxyz * (sign / np.linalg.norm(wxyz, axis=-1))[:, None] + 0.0)  # + 0.0 turns -0.0 into 0.0


def is_unlabelled(folder: Path) -> bool:
    """Whether this is a test split that comes without the tables of labels."""
    return "test" in folder.name and not any(
        (folder / f"{FILES[kind]}.json").exists() for kind in (Instance, SampleAnnotation)
    )


def read_instances(folder: Path) -> Named:
    """The table `instances`.

    Raises:
        LogFormatError: a table as a whole is wrong.
    """
    table, categories = Table.read(folder, Instance), Table.read(folder, Category)
    names: list[str | None] = []
    faults: list[str | None] = []
    for instance in table.rows.values():
        category = categories.rows.get(instance.category_token)
        if category is None:
            wrong: str | None = categories.missing(instance.category_token, str(table.file))
        else:
            wrong = table.fault(instance) or categories.fault(category)
        names.append(None if category is None or wrong else category.name)
        faults.append(wrong)
    tokens = pa.array(list(table.rows), pa.string())
    return Named(tokens, pa.table([tokens, pa.array(names, pa.string())], WHOLE["instances"]), faults, table.missing)


def read_attributes(folder: Path) -> Named:
    """The attributes one by one, with a column `names`.

    Raises:
        LogFormatError: the table as a whole is wrong.
    """
    table = Table.read(folder, Attribute)
    faults = [table.fault(attribute) for attribute in table.rows.values()]
    names = [None if wrong else row.name for row, wrong in zip(table.rows.values(), faults, strict=True)]
    rows = pa.table([pa.array(names, pa.string())], WHOLE["attributes"])
    return Named(pa.array(list[Token](table.rows), pa.string()), rows, faults, table.missing)
