"""How long one keyframe takes: `python -m sensors.synth.benchmark [--keyframes N] [--workers W]`.

Each worker makes one scene on one thread; the first keyframe of each (loading, building the town) is warm-up and not counted.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drive_vqa.executor import available_cores, map_logs
from sensors.synth.camera_render import Stopwatch
from sensors.synth.capture import Recorder, record_keyframe
from sensors.synth.map_mask import map_origin_m
from sensors.synth.nuscenes_writer import SceneRows, synthetic_identity, write_bytes
from sensors.synth.sky import make_light
from sensors.synth.synthesize import DEFAULT_TOWN, SceneHandle, Settings
from sensors.synth.traffic import simulate_scene
from sensors.synth.world import build_world


@dataclass(frozen=True)
class Bench:
    """One scene to be timed."""

    root: Path
    index: int
    keyframes: int

    @property
    def log_id(self) -> str:
        """Names the worker's answer."""
        return f"bench-{self.index}"

    @property
    def answer(self) -> Path:
        """Where the worker leaves its times."""
        return self.root / f"{self.log_id}.json"


def time_scene(bench: Bench) -> bool:
    """Record keyframes and note the seconds of each, in all and by part."""
    settings = Settings(7, DEFAULT_TOWN, 0.5 * bench.keyframes + 1.0, 800, 450, 1080, False)
    handle = SceneHandle(bench.root / bench.log_id, bench.index, settings)
    scene = simulate_scene(settings.town, bench.index, settings.seed, settings.duration_s)
    rows = SceneRows(
        handle.root,
        scene,
        synthetic_identity(scene, bench.index, settings.seed),
        settings.rig(),
        map_origin_m(scene.town),
    )
    world, light, times = build_world(scene.town), make_light(scene.weather), []
    for keyframe in range(bench.keyframes + 1):
        watch, begin = Stopwatch(), time.perf_counter()
        record_keyframe(Recorder(rows, world, light, False, watch), keyframe, 0.05 + 0.5 * keyframe)
        times.append({**watch.seconds, "all": time.perf_counter() - begin})
    write_bytes(bench.answer, json.dumps(times[1:]).encode())
    return True


def main() -> int:
    """Print median and quartiles of the seconds of a keyframe, and of its parts."""
    parser = argparse.ArgumentParser(
        description="Seconds per synthetic keyframe (six 800x450 images, lidar, five radars)."
    )
    parser.add_argument("--keyframes", type=int, default=8, help="timed keyframes of each worker's scene")
    parser.add_argument("--workers", type=int, default=available_cores(), help="processes of one thread each")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        benches = [Bench(Path(folder), index, options.keyframes) for index in range(options.workers)]
        summary = map_logs(time_scene, benches, step="benchmark", workers=options.workers)
        times = [
            row for bench in benches if bench.log_id in summary.done for row in json.loads(bench.answer.read_text())
        ]
    if summary.failures:
        sys.stderr.write(f"{summary.failures[0].message}\n")
        return 1
    sys.stdout.write(
        f"{platform.machine()}, {available_cores()} cores, {options.workers} workers, {len(times)} keyframes, seed 7\n"
    )
    for part in times[0]:
        low, median, high = np.percentile([row[part] for row in times], [25, 50, 75])
        sys.stdout.write(f"{part:>7}: {median:.3f} s of one worker (quartiles {low:.3f} to {high:.3f})\n")
    rate = np.median([row["all"] for row in times]) / options.workers
    sys.stdout.write(f"{rate:.3f} s of wall time a keyframe with {options.workers} workers\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
