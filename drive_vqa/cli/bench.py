"""The bench: drives that no model is trained on, their questions, and how two people know that they have the same.

    OUT/synthetic     store: drives through the town `newtown`
    OUT/replayed      store: real traffic of two nuScenes scenes, drawn     (with real data)
    OUT/pandaset      store: a recorded PandaSet sequence                   (with real data)
    OUT/drives        the drawn images of the first two
    OUT/bench.json    version, and of each store its settings, counts and digest

    digest = SHA-256 of the lines `qa_id answer`, sorted

An answer is the text as stored, rounded to 0.1 m, whole degrees and 0.1 m/s, so that the last digit of a processor's floats
hardly ever counts. Pixels are not in the digest. A smaller bench has the first drives of the whole one, with the same questions.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drive_vqa.cli.whole_store import make_store
from drive_vqa.errors import ConfigError, StoreError
from drive_vqa.store import Store, read_json_object, write_json

logger = logging.getLogger(__name__)

VERSION = 2
"""Raise it, and take the new digests, whenever a question or an answer changes."""

BENCH_FILE = "bench.json"
SCENES = 80
DRIVES: dict[str, Any] = {
    "town": "newtown",
    "rig": "front",
    "first_scene": 8000,
    "seed": 808,
    "duration_s": 12.0,
    "camera_height_m": (1.4, 1.9),
    "weather_shares": {"sun": 0.3, "dusk": 0.3, "night": 0.2, "fog": 0.2},
}
"""Another town, other roads, other traffic than in training; other shares of the same weathers, and cameras a little higher."""

QUESTIONS: dict[str, Any] = {
    "families": ("ego", "future"),
    "forms": ("open",),
    "kinds": ("target",),
    "val_fraction": 0.0,
    "test_fraction": 1.0,
}
GROUPS_A_DRIVE = 6
LEAVING_SHARE = 0.5
"""Without it a true-state constant position scores MLSR 55 in this town, with it 47."""
REPLAYED = ("scene-0103", "scene-0757")
"""Of the scenes with a driving ego and a sound ego path, those with the most moving agents ahead."""

FRONT = "CAM_FRONT"
REPLAY_WIDTH_PX, REPLAY_AZIMUTHS = 800, 120
REAL_QUESTIONS = {**QUESTIONS, "bench_step_s": 0.5, "bench_groups": 1_000, "min_visible_fraction": 0.5}
"""Real logs are few and short: every moment counts, half a second apart. What shows less than half of itself is often taken
for what hides it."""

LEAST_BOX_PX = {"replayed": 18.0, "pandaset": 43.0}
"""12 pixels in an image of STRIDE's width, 532 pixels."""

PUBLISHED = {
    "synthetic": "91e135ac5091cea864089bbdd448253e60c00903699a6ba6c18c7324628d4f9e",
    "replayed": "98ca69a3560dd0005a3e4424376449a4ac6b81a4b5a65cb49401696afb8c400b",
    "pandaset": "a6f7a139e06e8390c0ae4f0e85e454c00dc3c4be56caa9abb3df25f373840bbb",
}
"""Digests of the whole bench of this version."""


def bench(out: Path, *, scenes: int = SCENES, real: Path | None = None, workers: int | None = None) -> int:
    """Build the bench, or what of it is missing, and compare it with what it should be.

    Args:
        out: folder of the bench.
        scenes: synthetic drives; the standard number makes the whole bench.
        real: folder with recorded driving: `scenarionet`, `nuscenes_keyframe` and `pandaset`; None leaves it out.
        workers: processes; default: the number of cores.

    Returns:
        1 where a whole store has other questions than those published, else 0.

    Raises:
        ConfigError: `out` holds a bench of another version or size, or `real` lacks something.
        StoreError: a store no longer has the questions that it was built with.
    """
    told = _told(out)
    out.mkdir(parents=True, exist_ok=True)
    stores = {"synthetic": make_synthetic(out, scenes, workers)}
    if real is not None:
        stores |= {"replayed": make_replayed(out, real, workers), "pandaset": make_pandaset(out, real, workers)}
    stores |= {name: Store.open(out / name) for name in told if name not in stores}
    found = {name: contents(store) for name, store in stores.items()}
    for name, digest in told.items():
        if digest != found[name]["digest"]:
            folder = out / name / "questions"
            raise StoreError(f"{out / name} has other questions than when it was built: delete {folder} and run again")
    drives = {**DRIVES, "scenes": scenes, "replayed": REPLAYED, "replay_width_px": REPLAY_WIDTH_PX}
    write_json(out / BENCH_FILE, {"version": VERSION, "drives": drives, "stores": found})
    return _compare(found, whole=scenes == SCENES)


def make_synthetic(out: Path, scenes: int, workers: int | None) -> Store:
    """Drives that were made up."""
    from sensors.synth.synthesize import synthesize

    drives = out / "drives" / "synthetic"
    synthesize(drives, scenes=scenes, workers=workers, **DRIVES)
    questions = {**QUESTIONS, "bench_groups": GROUPS_A_DRIVE * scenes, "bench_leaving_share": LEAVING_SHARE}
    return make_store(drives, "nuscenes", out / "synthetic", questions, workers)


def make_replayed(out: Path, real: Path, workers: int | None) -> Store:
    """Recorded traffic, drawn as the front camera of a real vehicle would see it."""
    from sensors.reader import list_logs, read_log
    from sensors.synth.replay import replay

    source, drives = _needed(real / "scenarionet"), out / "drives" / "replayed"
    logs = [log for log in list_logs(source, "scenarionet") if log.log_id in REPLAYED]
    if len(logs) < len(REPLAYED):
        raise ConfigError(f"{source} lacks one of {', '.join(REPLAYED)}: put these scenes there, or leave --real out")
    replay(
        drives,
        logs,
        read_log=read_log,
        calibration=_front_camera(out, real),
        workers=workers,
        width_px=REPLAY_WIDTH_PX,
        azimuths=REPLAY_AZIMUTHS,
    )
    return _make_real_store("replayed", drives, "nuscenes", out, workers)


def make_pandaset(out: Path, real: Path, workers: int | None) -> Store:
    """A recorded drive with its images."""
    return _make_real_store("pandaset", _needed(real / "pandaset"), "pandaset", out, workers)


def _make_real_store(name: str, source: Path, source_format: str, out: Path, workers: int | None) -> Store:
    questions = {**REAL_QUESTIONS, "min_box_px": LEAST_BOX_PX[name]}
    return make_store(source, source_format, out / name, questions, workers)


def _front_camera(out: Path, real: Path) -> Path:
    """Of the vehicle's calibration the front camera alone: no other is shown."""
    whole, front = _needed(real / "nuscenes_keyframe" / "calibration.json"), out / "drives" / "front_camera.json"
    content = read_json_object(whole)
    cameras = content.get("cameras")
    named = [one for one in cameras if isinstance(one, dict) and one.get("name") == FRONT] if cameras else []
    front.parent.mkdir(parents=True, exist_ok=True)
    write_json(front, {**content, "cameras": named})
    return front


def _needed(path: Path) -> Path:
    if not path.exists():
        raise ConfigError(f"{path} is missing: give --real the folder that holds it, or leave it out")
    return path


def contents(store: Store) -> dict[str, Any]:
    """Settings, counts and digest of a store's questions.

    Raises:
        StoreError: it has none.
    """
    questions = store.read_all("questions", ["qa_id", "answer"]).to_pylist()
    lines = sorted(f"{question['qa_id']} {question['answer']}" for question in questions)
    settings = store.manifest()["steps"]["generate"]
    return {
        "logs": len(store.log_ids("questions")),
        "groups": store.read_all("groups", ["group_id"]).num_rows,
        "questions": len(lines),
        "digest": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
        "settings": {name: value for name, value in settings.items() if name not in ("split", "counts")},
    }


def _told(out: Path) -> dict[str, Any]:
    """Digests of the stores that an earlier run finished, by name."""
    path = out / BENCH_FILE
    if not path.exists():
        return {}
    content = read_json_object(path)
    if content.get("version") != VERSION:
        raise ConfigError(
            f"{out} is version {content.get('version')} of the bench, this is {VERSION}: choose a new folder"
        )
    stores = content.get("stores")
    if not isinstance(stores, dict) or not all(isinstance(part, dict) for part in stores.values()):
        raise StoreError(f"{path} tells of no stores: delete it and run again")
    return {name: part.get("digest") for name, part in stores.items() if name in PUBLISHED}


def _compare(found: Mapping[str, Mapping[str, Any]], *, whole: bool) -> int:
    """Say what there is, and whether it is what was published."""
    other = 0
    for name, part in found.items():
        size = f"logs: {part['logs']}, groups: {part['groups']:,}, questions: {part['questions']:,}"
        if name == "synthetic" and not whole:
            verdict = f"a part of the bench, whose whole has {SCENES} drives"
        elif part["digest"] == PUBLISHED[name]:
            verdict = f"as published in version {VERSION}"
        else:
            verdict = f"NOT as published in version {VERSION}: scores cannot be compared"
            other += 1
        logger.info("%s: %s; %s", name, size, verdict)
    return 1 if other else 0
