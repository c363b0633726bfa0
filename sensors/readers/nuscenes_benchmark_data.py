"""Writes a nuScenes table set of the size of v1.0-trainval, for the benchmark: plausible drives, no images or point clouds.

The files look as the data set's own do (`json.dump` with `indent=0`: one value a line): the time to read them depends on it.
The same number of scenes gives the same bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from PIL import Image

VERSION = "v1.0-trainval"
SCENES = 850
SAMPLES, CAPTURES, BOXES, INSTANCES = 34_149, 2_631_083, 1_166_187, 64_386
"""Rows of v1.0-trainval for its 850 scenes; `ego_pose` has one row a capture."""
CHANNELS = {
    "LIDAR_TOP": "lidar",
    **{f"CAM_{name}": "camera" for name in ("FRONT", "FRONT_LEFT", "FRONT_RIGHT", "BACK", "BACK_LEFT", "BACK_RIGHT")},
    **{f"RADAR_{name}": "radar" for name in ("FRONT", "FRONT_LEFT", "FRONT_RIGHT", "BACK_LEFT", "BACK_RIGHT")},
}
CATEGORIES = (
    "vehicle.car",
    "human.pedestrian.adult",
    "movable_object.barrier",
    "movable_object.trafficcone",
    "vehicle.truck",
)
ATTRIBUTES = ("vehicle.moving", "vehicle.parked", "pedestrian.moving")
ENDINGS = {"camera": "jpg", "lidar": "pcd.bin", "radar": "pcd"}
STEP_US = 500_000
START_US = 1_532_402_927_612_460
SCENES_A_LOG = 12
ROWS = ("sample", "sample_data", "ego_pose", "instance", "sample_annotation", "scene", "log", "calibrated_sensor")


@dataclass(frozen=True)
class _Scene:
    """How many rows scene `place` has, and its random numbers."""

    place: int
    samples: int
    captures: int
    boxes: int
    instances: int

    @classmethod
    def of(cls, place: int) -> _Scene:
        shares = [
            total * (place + 1) // SCENES - total * place // SCENES for total in (SAMPLES, CAPTURES, BOXES, INSTANCES)
        ]
        return cls(place, *shares)


def write_set(root: Path, scenes: int) -> Path:
    """Write the tables of `scenes` scenes under ROOT/v1.0-trainval; ROOT/.complete says that they are all there.

    Returns:
        The data root.
    """
    done = root / ".complete"
    if done.is_file() and done.read_text(encoding="utf-8") == str(scenes):
        return root
    done.unlink(missing_ok=True)
    folder = root / VERSION
    folder.mkdir(parents=True, exist_ok=True)
    (root / "maps").mkdir(exist_ok=True)
    Image.new("L", (4, 4)).save(root / "maps" / "map.png")
    for name, rows in _fixed_tables(scenes).items():
        (folder / f"{name}.json").write_text(json.dumps(rows, indent=0), encoding="utf-8")
    with ExitStack() as stack:
        add = {name: _appender(stack, folder / f"{name}.json") for name in ROWS}
        for place in range(scenes):
            _add_scene(add, _Scene.of(place))
    done.write_text(str(scenes), encoding="utf-8")
    return root


def _appender(stack: ExitStack, path: Path) -> Callable[[str], None]:
    """A function that adds the text of one record to a list that is closed with the stack."""
    file: TextIO = stack.enter_context(path.open("w", encoding="utf-8", buffering=1 << 20))
    file.write("[\n")
    stack.callback(file.write, "\n]")
    empty = True

    def add(record: str) -> None:
        nonlocal empty
        file.write(record if empty else ",\n" + record)
        empty = False

    return add


def _fixed_tables(scenes: int) -> dict[str, list[dict[str, Any]]]:
    logs = [f"log{place}" for place in range((scenes - 1) // SCENES_A_LOG + 1)]
    return {
        "category": [{"token": name, "name": name, "description": "", "index": i} for i, name in enumerate(CATEGORIES)],
        "attribute": [{"token": name, "name": name, "description": ""} for name in ATTRIBUTES],
        "visibility": [{"token": "4", "level": "v80-100", "description": ""}],
        "sensor": [{"token": name, "channel": name, "modality": kind} for name, kind in CHANNELS.items()],
        "map": [{"token": "map", "log_tokens": logs, "category": "semantic_prior", "filename": "maps/map.png"}],
    }


def _add_scene(add: dict[str, Callable[[str], None]], scene: _Scene) -> None:
    random = np.random.default_rng(scene.place)
    log = f"log{scene.place // SCENES_A_LOG}"
    if scene.place % SCENES_A_LOG == 0:
        add["log"](
            _record(token=log, logfile=log, vehicle="n008", date_captured="2018-08-01", location="singapore-onenorth")
        )
        for channel in CHANNELS:
            add["calibrated_sensor"](_calibration(log, channel))
    samples, token = _tokens(random, scene.samples), _tokens(random, 1)[0]
    start_us = START_US + scene.place * 60_000_000
    add["scene"](
        _record(
            token=token, log_token=log, nbr_samples=scene.samples, first_sample_token=samples[0],
            last_sample_token=samples[-1], name=f"scene-{scene.place:04d}", description="Made for a benchmark",
        )
    )  # fmt: skip
    for frame, sample in enumerate(samples):
        links = _links(samples, frame)
        add["sample"](_record(token=sample, timestamp=start_us + frame * STEP_US, **links, scene_token=token))
    _add_captures(add, scene, random, samples, log, start_us)
    _add_boxes(add, scene, random, samples)


def _add_captures(
    add: dict[str, Callable[[str], None]],
    scene: _Scene,
    random: np.random.Generator,
    samples: list[str],
    log: str,
    start_us: int,
) -> None:
    tokens = iter(_tokens(random, scene.captures))
    poses = iter(_tokens(random, scene.captures))
    for place, (channel, modality) in enumerate(CHANNELS.items()):
        count = scene.captures * (place + 1) // len(CHANNELS) - scene.captures * place // len(CHANNELS)
        own = [next(tokens) for _ in range(count)]
        for index, (frame, key, offset_us) in enumerate(_instants(count, scene.samples)):
            time_us = start_us + frame * STEP_US - offset_us - 3_000 * place
            pose, size = next(poses), (1600, 900) if modality == "camera" else (0, 0)
            add["sample_data"](
                f'{{\n"token": "{own[index]}",\n"sample_token": "{samples[frame]}",\n"ego_pose_token": "{pose}",\n'
                f'"calibrated_sensor_token": "{log}-{channel:-<26}",\n"timestamp": {time_us},\n'
                f'"fileformat": "{ENDINGS[modality][:3]}",\n"is_key_frame": {"true" if key else "false"},\n'
                f'"height": {size[1]},\n"width": {size[0]},\n"filename": "{"samples" if key else "sweeps"}/{channel}/'
                f'n008-2018-08-01-15-16-36-0400__{channel}__{time_us}.{ENDINGS[modality]}",\n'
                f'"prev": "{own[index - 1] if index else ""}",\n"next": "{own[index + 1] if index + 1 < count else ""}"\n}}'
            )
            add["ego_pose"](_pose(pose, time_us, 1e-6 * (time_us - start_us)))


def _pose(token: str, time_us: int, seconds: float) -> str:
    yaw, sway = 0.5 + 0.02 * seconds, math.sin(seconds)
    return (
        f'{{\n"token": "{token}",\n"timestamp": {time_us},\n"rotation": [\n{math.cos(yaw)!r},\n{0.001 * sway!r},\n'
        f'{0.002 * sway!r},\n{math.sin(yaw)!r}\n],\n"translation": [\n{411.3 + 5.1 * seconds + 0.1 * sway!r},\n'
        f"{1180.8 + 2.3 * seconds + 0.1 * sway!r},\n{0.2 * sway!r}\n]\n}}"
    )


def _instants(count: int, samples: int) -> Iterator[tuple[int, bool, int]]:
    """Frame, keyframe flag and microseconds before the keyframe, for `count` captures of a channel in order of time."""
    sweeps = count - samples
    for frame in range(samples):
        between = sweeps * (frame + 1) // samples - sweeps * frame // samples
        for place in range(between):
            yield frame, False, STEP_US * (between - place) // (between + 1)
        yield frame, True, 0


def _add_boxes(
    add: dict[str, Callable[[str], None]], scene: _Scene, random: np.random.Generator, samples: list[str]
) -> None:
    instances = _tokens(random, scene.instances)
    for place, instance in enumerate(instances):
        count = scene.boxes * (place + 1) // len(instances) - scene.boxes * place // len(instances)
        first = int(random.integers(0, scene.samples - count + 1))
        own, category = _tokens(random, count), int(random.integers(len(CATEGORIES)))
        x_m, y_m = (float(value) for value in random.uniform(-80, 80, 2))
        vx_mps, vy_mps, yaw = (float(value) for value in random.normal(0, 4, 3))
        width_m, length_m, height_m = (round(float(value), 3) for value in random.uniform(0.5, 4.5, 3))
        attribute = f'[\n"{ATTRIBUTES[place % len(ATTRIBUTES)]}"\n]' if category in (0, 1, 4) else "[]"
        ends = {"first_annotation_token": own[0], "last_annotation_token": own[-1]}
        add["instance"](_record(token=instance, category_token=CATEGORIES[category], nbr_annotations=count, **ends))
        for index in range(count):
            seconds = 0.5 * (first + index)
            add["sample_annotation"](
                f'{{\n"token": "{own[index]}",\n"sample_token": "{samples[first + index]}",\n"instance_token": "{instance}",\n'
                f'"visibility_token": "4",\n"attribute_tokens": {attribute},\n"translation": [\n'
                f"{round(420 + x_m + vx_mps * seconds, 3)},\n{round(1200 + y_m + vy_mps * seconds, 3)},\n0.853\n],\n"
                f'"size": [\n{width_m},\n{length_m},\n{height_m}\n],\n"rotation": [\n{float(np.cos(yaw / 2))!r},\n0.0,\n0.0,\n'
                f'{float(np.sin(yaw / 2))!r}\n],\n"prev": "{own[index - 1] if index else ""}",\n'
                f'"next": "{own[index + 1] if index + 1 < count else ""}",\n"num_lidar_pts": {7 + index},\n"num_radar_pts": 0\n}}'
            )


def _calibration(log: str, channel: str) -> str:
    matrix = [
        [1266.417203046554, 0.0, 816.2670197447984],
        [0.0, 1266.417203046554, 491.50706579294757],
        [0.0, 0.0, 1.0],
    ]
    return _record(
        token=f"{log}-{channel:-<26}",
        sensor_token=channel,
        translation=[1.70079118954, 0.0159456324149, 1.51095763913],
        rotation=[0.4998015430569128, -0.5030316162024876, 0.4997798114386805, -0.49737083824542755],
        camera_intrinsic=matrix if CHANNELS[channel] == "camera" else [],
    )


def _links(tokens: list[str], place: int) -> dict[str, str]:
    return {
        "prev": tokens[place - 1] if place else "",
        "next": tokens[place + 1] if place + 1 < len(tokens) else "",
    }


def _record(**values: Any) -> str:
    return json.dumps(values, indent=0)


def _tokens(random: np.random.Generator, count: int) -> list[str]:
    """Tokens of 32 hexadecimal digits."""
    digits = random.bytes(16 * count).hex()
    return [digits[32 * place : 32 * place + 32] for place in range(count)]
