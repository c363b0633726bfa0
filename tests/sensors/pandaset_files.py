"""Writes PandaSet's layout, its old pickles byte by byte as pandas before 1.3 wrote them, and a tiny sequence."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

START_S = 1557539956.500022
STEP_S = 0.100011
CAMERA_BEFORE_S = 0.05
FRAMES = 3


def name(module: str, attribute: str) -> bytes:
    """The opcode that looks a name up."""
    return f"c{module}\n{attribute}\n".encode()


def plain(value: Any) -> bytes:
    """Plain data, without the start and the stop of a pickle."""
    return pickle.dumps(value, 3)[2:-1]


def called(function: bytes, *arguments: bytes) -> bytes:
    return function + b"(" + b"".join(arguments) + b"tR"


def with_state(thing: bytes, *state: bytes) -> bytes:
    return thing + b"(" + b"".join(state) + b"tb"


def mapping(**items: bytes) -> bytes:
    return b"}(" + b"".join(plain(key) + value for key, value in items.items()) + b"u"


def listing(*items: bytes) -> bytes:
    return b"](" + b"".join(items) + b"e"


def dtype(code: str) -> bytes:
    order = plain("<" if code in ("f8", "i8") else "|")
    state = (
        plain(3),
        order,
        plain(None),
        plain(None),
        plain(None),
        plain(-1),
        plain(-1),
        plain(63 if code == "O8" else 0),
    )
    return with_state(called(name("numpy", "dtype"), plain(code), plain(0), plain(1)), *state)


def array(
    values: np.ndarray, code: str | None = None, data: bytes | None = None, shape: tuple[int, ...] | None = None
) -> bytes:
    made = called(name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), plain((0,)), plain(b"b"))
    own = {"O": "O8", "f": "f8", "i": "i8", "b": "b1"}[values.dtype.kind]
    content = plain(values.ravel().tolist()) if own == "O8" else plain(values.tobytes())
    return with_state(made, plain(1), plain(shape or values.shape), dtype(code or own), plain(False), data or content)


def table(columns: dict[str, np.ndarray], **changes: Any) -> bytes:
    """A pickled DataFrame of these columns: one block for each kind of element."""
    kinds = sorted({values.dtype.kind for values in columns.values()})
    names = np.array(list(columns), dtype=object)
    blocks = []
    for kind in kinds:
        places = [place for place, values in enumerate(columns.values()) if values.dtype.kind == kind]
        stacked = np.stack([list(columns.values())[place] for place in places])
        numbered = array(np.array(places, dtype=np.int64))
        if places == list(range(places[0], places[-1] + 1)):
            numbered = called(name("builtins", "slice"), plain(places[0]), plain(places[-1] + 1), plain(1))
        blocks.append(mapping(values=changes.get("values", array(stacked)), mgr_locs=numbered))
    made = name("pandas.core.indexes.base", "_new_Index")
    labels = called(made, name("pandas.core.indexes.base", "Index"), mapping(data=array(names), name=plain(None)))
    count = len(next(iter(columns.values())))
    span = mapping(name=plain(None), start=plain(0), stop=plain(count), step=plain(1))
    axes = listing(labels, called(made, name("pandas.core.indexes.range", "RangeIndex"), span))
    content = b"}(" + plain("0.14.1") + mapping(axes=axes, blocks=listing(*blocks)) + b"u"
    manager = name("pandas.core.internals.managers", "BlockManager") + b")\x81"
    manager = with_state(manager, axes, listing(), listing(), content)
    frame = name("pandas.core.frame", "DataFrame") + b")\x81" + mapping(_data=manager, _typ=plain("dataframe")) + b"b"
    return b"\x80\x03" + frame + b"."


def write_gz(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0))
    return path


def cuboids(rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Columns as PandaSet has them; a row may leave out what is usual."""
    usual = {
        "uuid": "a",
        "label": "Car",
        "yaw": 0.0,
        "stationary": False,
        "camera_used": -1,
        **{f"position.{axis}": 0.0 for axis in "xyz"},
        "dimensions.x": 2.0,
        "dimensions.y": 4.0,
        "dimensions.z": 1.5,
        "attributes.object_motion": "Moving",
        "cuboids.sibling_id": "-",
        "cuboids.sensor_id": -1,
    }
    types = {float: np.float64, int: np.int64, bool: np.bool_, str: object}
    return {key: np.array([{**usual, **row}[key] for row in rows], dtype=types[type(usual[key])]) for key in usual}


BOXES: list[dict[str, Any]] = [
    {"uuid": "car", "position.x": 10.0, "position.y": 1.0, "position.z": 0.5, "yaw": 0.3},
    {"uuid": "walker", "label": "Pedestrian", "attributes.object_motion": float("nan"), "position.x": 5.0},
    {"uuid": "left-0", "cuboids.sensor_id": 0, "cuboids.sibling_id": "left-1", "position.y": 9.0},
    {"uuid": "left-1", "cuboids.sensor_id": 1, "cuboids.sibling_id": "left-0", "position.y": 9.2},
    {"uuid": "self", "cuboids.sensor_id": 1, "cuboids.sibling_id": "self", "position.y": -9.0},
    {"uuid": "cut-0", "cuboids.sensor_id": 0, "cuboids.sibling_id": "cut-1", "position.x": -9.0},
    {"uuid": "cut-1", "cuboids.sensor_id": 1, "cuboids.sibling_id": "cut-", "position.x": -9.1},
]


def write_sequence(root: Path) -> Path:
    """Three frames; the lidar turns and drives along its y axis; a sweep for frame 0 and images for frames 0 and 2 only.

    In frame 1 the box of sensor 0 is absent, so that its sibling of sensor 1 stays.
    """
    times_s = [round(START_S + frame * STEP_S, 6) for frame in range(FRAMES)]
    write_json(root / "lidar" / "timestamps.json", times_s)
    write_json(root / "lidar" / "poses.json", [pose(frame) for frame in range(FRAMES)])
    points = np.array([[10.0, 1.0, 0.5], [10.5, 1.2, 0.4], [10.0, 5.0, 0.5], [5.0, 0.0, 0.0]])
    sweep = {axis: points[:, place] for place, axis in enumerate("xyz")}
    write_gz(root / "lidar" / "00.pkl.gz", table({**sweep, "d": np.zeros(4, dtype=np.int64)}))
    camera = root / "camera" / "front_camera"
    write_json(camera / "timestamps.json", [round(time_s - CAMERA_BEFORE_S, 6) for time_s in times_s])
    write_json(camera / "poses.json", [pose(frame - 0.5, height_m=1.8) for frame in range(FRAMES)])
    write_json(camera / "intrinsics.json", {"fx": 1970.0, "fy": 1971.0, "cx": 970.0, "cy": 483.0})
    for frame in (0, 2):
        Image.new("RGB", (32, 18)).save(camera / f"{frame:02d}.jpg")
    for frame in range(FRAMES):
        rows = [row for row in BOXES if not (frame == 1 and row["uuid"] == "left-0")]
        write_gz(root / "annotations" / "cuboids" / f"{frame:02d}.pkl.gz", table(cuboids(rows)))
    return root


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def pose(frame: float, height_m: float = 0.0) -> dict[str, Any]:
    """Turned by -45° about z and driving along its own y at 1 m a frame."""
    half = np.radians(-45.0) / 2
    ahead = np.array([np.sin(np.radians(45.0)), np.cos(np.radians(45.0))]) * frame
    position = {"x": float(ahead[0]), "y": float(ahead[1]), "z": height_m}
    return {"position": position, "heading": {"w": float(np.cos(half)), "x": 0.0, "y": 0.0, "z": float(np.sin(half))}}
