"""Questions are the same bytes however they are made: killed at any moment and taken up, in any number of processes, on Ray."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from tests.drive_vqa.ray_cluster import cluster

LOGS, FRAMES, AGENTS = 30, 14, 6
STEP_S = 0.5
KILLS = 10
WIDTH, HEIGHT, FOCAL_PX = 1600, 900, 1000.0
SIZES = {"car": (4.5, 1.9, 1.6), "pedestrian": (0.7, 0.7, 1.75), "bus": (11.0, 2.6, 3.2), "bicycle": (1.8, 0.6, 1.7)}
Row = dict[str, Any]


@dataclass(frozen=True)
class Made:
    """A store with tracks, and what a run that nobody disturbed made of it."""

    bare: Path
    whole: dict[str, bytes]
    first_file_s: float
    end_s: float


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("resume")
    store = Store.create(folder / "bare")
    for number in range(LOGS):
        write_log(store, f"log-{number:02d}", np.random.default_rng(number), camera=number % 3 > 0)
    shutil.copytree(folder / "bare", folder / "whole")
    began, first_file_s = time.monotonic(), None
    run = generate(folder / "whole", "--workers", "1")
    while run.poll() is None:
        if first_file_s is None and any((folder / "whole" / "questions").glob("*.parquet")):
            first_file_s = time.monotonic() - began
        time.sleep(0.005)
    assert run.returncode == 0, said(folder / "whole")
    assert first_file_s is not None
    return Made(folder / "bare", contents(folder / "whole"), first_file_s, time.monotonic() - began)


def write_log(store: Store, log_id: str, draw: np.random.Generator, *, camera: bool) -> None:
    """Agents on straight lines around an ego that drives straight; a front camera whose images are not there, or none."""
    origin_m, speed_mps = draw.uniform(-50_000, 50_000, 2), float(draw.uniform(2, 12))
    frames: list[Row] = []
    captures: list[Row] = []
    tracks: list[Row] = []
    categories = draw.choice(list(SIZES), AGENTS).tolist()
    start = draw.uniform((2, -20), (70, 20), (AGENTS, 2))
    velocity = draw.normal(0, 5, (AGENTS, 2)) * (draw.random((AGENTS, 1)) < 0.7)
    for frame in range(FRAMES):
        at_s = frame * STEP_S
        stamp = {"log_id": log_id, "frame": frame, "timestamp_ns": 10**15 + round(at_s * 1e9)}
        pose = {"qw": 1.0, "qx": 0.0, "qy": 0.0, "qz": 0.0, "tz_m": 0.0}
        pose |= {"tx_m": origin_m[0] + speed_mps * at_s, "ty_m": origin_m[1]}
        frames.append({**stamp, "global_SE3_ego": pose, "speed_mps": speed_mps})
        picture = {"sensor": "CAM_FRONT", "modality": "camera", "width": WIDTH, "height": HEIGHT}
        captures.append({**stamp, **picture})
        place = start + velocity * at_s - [speed_mps * at_s, 0.0]
        for agent in range(AGENTS):
            row = agent_row(categories[agent], place[agent].tolist(), velocity[agent].tolist(), camera)
            tracks.append({**stamp, "track_id": f"agent-{agent}", **row})
    log = {"log_id": log_id, "recording": f"drive {log_id[:-1]}", "source_format": "nuscenes", "location": "made-up"}
    tables = {"logs": [log], "frames": frames, "sensor_data": captures if camera else [], "tracks": tracks}
    for table, rows in tables.items():
        store.write(table, log_id, table_from_rows(table, rows), f"made-{table}")


def agent_row(category: str, place_m: list[float], velocity_mps: list[float], camera: bool) -> Row:
    """A row of `tracks`, with its image box where a camera at the ego's origin sees all of it."""
    length_m, width_m, height_m = SIZES[category]
    x_m, y_m = place_m
    seen = []
    if camera and x_m > length_m:
        u_px, half_px = WIDTH / 2 - FOCAL_PX * y_m / x_m, FOCAL_PX * 0.5 * max(length_m, width_m) / x_m
        box = {"u0_px": u_px - half_px, "u1_px": u_px + half_px, "v0_px": HEIGHT / 2.0}
        box["v1_px"] = min(HEIGHT / 2 + FOCAL_PX * 1.5 / x_m, float(HEIGHT))
        if box["u0_px"] >= 0 and box["u1_px"] <= WIDTH:
            seen.append({"camera": "CAM_FRONT", **box, "visible_fraction": 1.0})
    return {
        "category": category,
        **{"x_m": x_m, "y_m": y_m, "z_m": height_m / 2, "yaw_rad": math.atan2(velocity_mps[1], velocity_mps[0])},
        **{"length_m": length_m, "width_m": width_m, "height_m": height_m},
        **{"vx_mps": velocity_mps[0], "vy_mps": velocity_mps[1], "speed_mps": math.hypot(*velocity_mps)},
        **{"in_view": bool(seen) if camera else None, "occlusion": 0.0 if seen else None, "cameras": seen},
        **{"source": "annotated", "observed": True},
    }


def generate(store: Path, *options: str) -> subprocess.Popen[bytes]:
    """`drive-vqa generate` in a process group of its own, without the run-time type checks."""
    command = [sys.executable, "-m", "drive_vqa.cli", "generate", str(store), "need_images=false", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with log_of(store).open("wb") as log:
        return subprocess.Popen(command, env=environment, start_new_session=True, stdout=log, stderr=log)


def log_of(store: Path) -> Path:
    return store.with_name(f"{store.name}.txt")


def said(store: Path) -> str:
    """By the last run."""
    return log_of(store).read_text(errors="replace")


def contents(store: Path) -> dict[str, bytes]:
    """All that generation makes, under its final names."""
    paths = [store / "manifest.json", *store.glob("groups/*"), *store.glob("questions/*"), *store.glob("errors*")]
    named = [path for path in paths if path.exists() and not path.name.startswith(".")]
    return {path.relative_to(store).as_posix(): path.read_bytes() for path in sorted(named)}


def unlike(ours: dict[str, bytes], theirs: dict[str, bytes]) -> set[str]:
    """Names of the files that are not the same in both."""
    return {name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)}


def test_a_whole_run_asks_every_log_once(made: Made) -> None:
    names = [f"log-{number:02d}.parquet" for number in range(LOGS)]
    expected = {f"{table}/{name}" for table in ("groups", "questions") for name in names}
    assert set(made.whole) == expected | {"manifest.json"}
    assert set(json.loads(made.whole["manifest.json"])["tables"]["questions"]) == {name[:-8] for name in names}


def test_killed_at_ten_moments_it_ends_in_the_same_bytes(made: Made, tmp_path: Path) -> None:
    kills, unfinished = 0, 0
    for store in stores_after_a_kill(made, random.Random(4), tmp_path):
        kills += 1
        left = contents(store)
        assert unlike(left, made.whole) <= made.whole.keys() - left.keys(), f"after kill {kills}"
        unfinished += 0 < sum(name.startswith("questions/") for name in left) < LOGS
    assert kills == KILLS
    assert unfinished > 0  # at least one kill hit the work itself
    assert generate(store, "--workers", "2").wait() == 0, said(store)
    assert unlike(contents(store), made.whole) == set()
    ids = [row for path in store.glob("questions/*.parquet") for row in pq.read_table(path)["qa_id"].to_pylist()]
    assert len(ids) == len(set(ids)) == total_of(made)


def stores_after_a_kill(made: Made, draw: random.Random, folder: Path) -> Iterator[Path]:
    """Kill runs until there were `KILLS`; a run that ends before its kill is compared, and the next begins with a new store.

    Of runs with two workers sometimes the main process alone is killed, and its workers find out for themselves.
    """
    kill, rounds = 0, 0
    store = shutil.copytree(made.bare, folder / "store-0")
    while kill < KILLS:
        run = generate(store, "--workers", "1" if kill % 3 else "2")
        try:
            status = run.wait(timeout=draw.uniform(0.6 * made.first_file_s, 1.1 * made.end_s))
        except subprocess.TimeoutExpired:
            (os.kill if kill % 2 else os.killpg)(run.pid, signal.SIGKILL)
            run.wait()
            kill += 1
            yield store
            continue
        assert status == 0, said(store)
        assert unlike(contents(store), made.whole) == set()
        rounds += 1
        store = shutil.copytree(made.bare, folder / f"store-{rounds}")


def total_of(made: Made) -> int:
    rows = json.loads(made.whole["manifest.json"])["tables"]["questions"].values()
    return int(sum(row["rows"] for row in rows))


def test_a_ray_cluster_writes_the_same_bytes(made: Made, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs Ray: pip install 'drive-vqa[cluster]'")
    shutil.copytree(made.bare, tmp_path / "store")
    with cluster(2) as two_nodes:
        run = generate(tmp_path / "store", "--executor", "ray", "--address", two_nodes.address)
        assert run.wait() == 0, said(tmp_path / "store")
    assert unlike(contents(tmp_path / "store"), made.whole) == set()


def test_no_cluster_is_one_clear_sentence(made: Made, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs Ray: pip install 'drive-vqa[cluster]'")
    shutil.copytree(made.bare, tmp_path / "store")
    run = generate(tmp_path / "store", "--executor", "ray", "--address", "127.0.0.9:1")
    assert run.wait() == 2
    last = said(tmp_path / "store").strip().splitlines()[-1]
    assert "no Ray cluster answers at 127.0.0.9:1" in last
    assert contents(tmp_path / "store") == {}
