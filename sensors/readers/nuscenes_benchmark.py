"""Times the nuScenes tables beside nuscenes-devkit: `python -m sensors.readers.nuscenes_benchmark [--scenes 850]`.

Writes tables of the size of v1.0-trainval (2.6 GB of JSON; 850 scenes) to a folder, then measures, each in a process of its own:

- the devkit: `NuScenes(...)`, and two loops over some boxes: the same work as ours, that is boxes and velocities in the ego
  frame (`get_box`, `translate`, `rotate`, `box_velocity`), and `box_velocity` alone;
- our first open, which converts the tables, and a later one, which maps them;
- tracks with velocities of all boxes, from the mapped tables.

Times are of the work itself, without imports; memory is the greatest resident set of the process, with imports.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sensors.readers.nuscenes_benchmark_data import VERSION, write_set

LOOP_BOXES = 40_000
"""About so many, of samples from all scenes, give the loop's speed to some per cent."""
VELOCITIES = "devkit-velocities.npz"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="nuScenes tables: ours beside nuscenes-devkit")
    parser.add_argument("--scenes", type=int, default=850, help="850: as many as v1.0-trainval")
    parser.add_argument(
        "--folder", type=Path, help="where to keep the tables for another run; default: a temporary folder"
    )
    parser.add_argument("--part", choices=sorted(PARTS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        sys.stdout.write(json.dumps(_measured(PARTS[arguments.part], arguments.folder)))
    elif arguments.folder:
        _run(arguments.folder, arguments.scenes)
    else:
        with tempfile.TemporaryDirectory(prefix="nuscenes-benchmark-") as folder:
            _run(Path(folder), arguments.scenes)


def _run(root: Path, scenes: int) -> None:
    started_s = time.perf_counter()
    write_set(root, scenes)
    gigabytes = sum(path.stat().st_size for path in (root / VERSION).glob("*.json")) / 1e9
    _say(f"{scenes} scenes, {gigabytes:.2f} GB of JSON, written in {time.perf_counter() - started_s:.0f} s")
    shutil.rmtree(root / VERSION / ".drive-vqa-cache", ignore_errors=True)
    figures = {name: _part(name, root) for name in ("devkit", "first", "later", "tracks")}
    for name, label in (
        ("devkit", "nuscenes-devkit NuScenes()"),
        ("first", "ours, first open"),
        ("later", "ours, later open"),
    ):
        part = figures[name]
        _say(f"{label:28s} {part['seconds']:8.2f} s  {part['cpu_s']:8.2f} s of all cores  {part['gigabytes']:5.2f} GB")
    loop, tracks = figures["devkit"], figures["tracks"]
    speed = tracks["boxes"] / tracks["seconds"]
    _say(f"devkit loop, the same work   {loop['boxes_per_s']:10.0f} boxes/s ({loop['boxes']} boxes)")
    _say(f"devkit box_velocity alone    {loop['velocities_per_s']:10.0f} boxes/s")
    _say(f"ours, tracks and velocities  {speed:10.0f} boxes/s ({tracks['boxes']} boxes in {tracks['seconds']:.2f} s)")
    same, alone = speed / loop["boxes_per_s"], speed / loop["velocities_per_s"]
    _say(
        f"ours is {same:.0f} times as fast as the same work and {alone:.0f} times "
        f"as box_velocity alone; greatest difference {tracks['difference_mps']:.1e} m/s"
    )


def _part(name: str, root: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "sensors.readers.nuscenes_benchmark", "--part", name, "--folder", str(root)]
    figures: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603
    return figures


def _measured(part: Callable[[Path], dict[str, Any]], root: Path) -> dict[str, Any]:
    figures = part(root)
    return {**figures, "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9}


def _open(root: Path) -> dict[str, Any]:
    from sensors.readers.nuscenes import list_logs, read_log

    started_s, worked_s = time.perf_counter(), time.process_time()
    read_log(list_logs(root)[0])
    return {"seconds": time.perf_counter() - started_s, "cpu_s": time.process_time() - worked_s}


def _devkit(root: Path) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the devkit's own imports
        from nuscenes.nuscenes import NuScenes
    started_s, worked_s = time.perf_counter(), time.process_time()
    devkit = NuScenes(VERSION, str(root), verbose=False)
    opened = {"seconds": time.perf_counter() - started_s, "cpu_s": time.process_time() - worked_s}
    step = max(len(devkit.sample_annotation) // LOOP_BOXES, 1)
    boxes = [token for sample in devkit.sample[::step] for token in sample["anns"]]
    started_s = time.perf_counter()
    velocities = np.array([devkit.box_velocity(token) for token in boxes])
    velocity_s = time.perf_counter() - started_s
    started_s = time.perf_counter()
    for sample in devkit.sample[::step]:
        _devkit_tracks(devkit, sample)
    loop_s = time.perf_counter() - started_s
    of_boxes = (devkit.get("sample_annotation", token) for token in boxes)
    keys = [f"{box['instance_token']} {devkit.get('sample', box['sample_token'])['timestamp']}" for box in of_boxes]
    np.savez(root / VELOCITIES, keys=np.array(keys), velocities=velocities)
    rates = {"boxes_per_s": len(boxes) / loop_s, "velocities_per_s": len(boxes) / velocity_s}
    return {**opened, "boxes": len(boxes), **rates}


def _devkit_tracks(devkit: Any, sample: dict[str, Any]) -> None:
    """Boxes and velocities of a sample in the ego frame, as the devkit's users write it."""
    from pyquaternion import Quaternion

    capture = devkit.get("sample_data", sample["data"]["LIDAR_TOP"])
    pose = devkit.get("ego_pose", capture["ego_pose_token"])
    ego_from_global = Quaternion(pose["rotation"]).inverse
    for token in sample["anns"]:
        box = devkit.get_box(token)
        box.velocity = devkit.box_velocity(token)
        box.translate(-np.array(pose["translation"]))
        box.rotate(ego_from_global)  # turns the velocity too


def _tracks(root: Path) -> dict[str, Any]:
    """From the mapped tables to all tracks in the ego frame with velocity, yaw rate and acceleration."""
    from sensors.readers.nuscenes_motion import all_tracks

    started_s, worked_s = time.perf_counter(), time.process_time()
    tracks = all_tracks(root / VERSION)
    figures = {"seconds": time.perf_counter() - started_s, "cpu_s": time.process_time() - worked_s}
    return {**figures, "boxes": tracks.num_rows, "difference_mps": _difference_mps(root, tracks)}


def _difference_mps(root: Path, tracks: Any) -> float:
    """The greatest difference to the devkit's speeds, which must know and not know the same ones."""
    with np.load(root / VELOCITIES) as saved:
        theirs = dict(zip(saved["keys"].tolist(), np.linalg.norm(saved["velocities"], axis=1).tolist(), strict=True))
    velocity_mps = np.stack([tracks[name].to_numpy() for name in ("vx_mps", "vy_mps", "vz_mps")], axis=1)
    speeds_mps = np.linalg.norm(velocity_mps, axis=1).tolist()
    boxes = zip(tracks["track_id"].to_pylist(), tracks["timestamp_ns"].to_pylist(), speeds_mps, strict=True)
    pairs = [
        (speed_mps, theirs[key])
        for track_id, time_ns, speed_mps in boxes
        if (key := f"{track_id} {time_ns // 1000}") in theirs
    ]
    ours_mps, theirs_mps = np.array(pairs).T
    if len(pairs) != len(theirs) or not np.array_equal(np.isnan(ours_mps), np.isnan(theirs_mps)):
        raise SystemExit("the devkit knows other boxes or other velocities")
    return float(np.nanmax(np.abs(ours_mps - theirs_mps)))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


PARTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "devkit": _devkit,
    "first": _open,
    "later": _open,
    "tracks": _tracks,
}

if __name__ == "__main__":
    main()
