"""Every answer generated from recorded and synthetic driving, computed again by code that shares nothing with `qa_gen`."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from drive_vqa.store import Store
from qa_gen.catalogue import TYPES
from sensors.synth.synthesize import synthesize
from tests.alone import run_alone
from tests.qa_gen.oracle import CATALOGUE, OracleResult, check_log
from tests.qa_gen.oracle.world import CAMERAS, Looks, make_traffic, write_traffic

DATA = Path(os.environ.get("DRIVE_VQA_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
pytestmark = [
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded driving at {DATA} (set DRIVE_VQA_REAL_DATA)"),
    pytest.mark.timeout(1800),
]

LEAST_QUESTIONS = 100_000
KITTI = ("0000", "0011", "0020")
"""The first has poses."""

FRONT, AROUND, NO_IMAGES, NO_CAMERAS = Looks(), Looks(tuple(CAMERAS)), Looks(images=False), Looks(())
TRAFFIC = {2: AROUND, 5: NO_CAMERAS, 7: FRONT, 17: FRONT, 18: FRONT, 22: NO_IMAGES, 23: AROUND, 30: FRONT}
"""Seeds of drives in which much happens that is rare."""

EVERYTHING = ("need_images=false", "keyframe_step_s=1.0", "flatten=1.0", "least_change=0.0", "bench_groups=60")
"""No thinning: many questions from few logs."""


@dataclass(frozen=True)
class Checked:
    """What the oracle found in one source."""

    result: OracleResult
    logs: int
    seconds: float


def _recorded(name: str) -> Callable[[Path], Store]:
    def make(folder: Path) -> Store:
        return _fused(DATA / name, name, folder)

    return make


def _fused(source: Path, source_format: str, folder: Path) -> Store:
    root = folder / "store"
    run_alone("ingest", source, "--format", source_format, "--out", root, "--workers", 2)
    run_alone("fuse", root, "--workers", 2)
    return Store.open(root)


def _kitti(folder: Path) -> Store:
    """Three of its sequences."""
    source = folder / "kitti"
    for sequence in KITTI:
        for part in ("calib", "label_02", "oxts"):
            file = DATA / "kitti_tracking" / "training" / part / f"{sequence}.txt"
            if file.is_file():
                (source / "training" / part).mkdir(parents=True, exist_ok=True)
                shutil.copy(file, source / "training" / part / file.name)
    return _fused(source, "kitti", folder)


def _synthetic(folder: Path) -> Store:
    """The drawn world, small."""
    synthesize(
        folder / "drives", scenes=2, seed=7, duration_s=6.0, workers=2, width_px=320, height_px=180, azimuths=180
    )
    return _fused(folder / "drives", "nuscenes", folder)


def _random_traffic(folder: Path) -> Store:
    """Tracks alone, without drawing anything, in all that a log can lack: images, cameras to the sides, cameras."""
    store = Store.create(folder / "store")
    for number, looks in TRAFFIC.items():
        write_traffic(store, f"traffic-{number:02d}", make_traffic(number), looks)
    return store


SOURCES: dict[str, Callable[[Path], Store]] = {
    "pandaset": _recorded("pandaset"),
    "av2": _recorded("av2"),
    "kitti": _kitti,
    "scenarionet": _recorded("scenarionet"),
    "synthetic world": _synthetic,
    "random traffic": _random_traffic,
}

ABSENT_TYPES: dict[str, str] = {}
"""Types that none of the sources gives rise to, and why."""


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checked]:
    """Each source, generated and checked once."""
    found = {}
    for name, make in SOURCES.items():
        store = make(tmp_path_factory.mktemp(name.replace(" ", "_")))
        run_alone("generate", store.root, *EVERYTHING, "--workers", 2)
        result, start_s = OracleResult(), time.process_time()
        for log_id in store.log_ids("questions"):
            result.add(check_log(store, log_id))
        found[name] = Checked(result, len(store.log_ids("questions")), time.process_time() - start_s)
    return found


@pytest.mark.parametrize("source", SOURCES)
def test_every_answer_of_a_source_is_right(checked: dict[str, Checked], source: str):
    result = checked[source].result
    assert result.mismatches == []
    assert result.total > 1000
    assert sum(result.edges.values()) < 0.005 * result.total


def test_all_types_occur_in_every_form_and_all_together_are_many(
    checked: dict[str, Checked], capsys: pytest.CaptureFixture[str]
):
    everything = OracleResult()
    for one in checked.values():
        everything.add(one.result)
    with capsys.disabled():
        print("\n" + _table(checked))  # noqa: T201
    assert everything.total >= LEAST_QUESTIONS
    assert set(TYPES) == set(CATALOGUE)
    assert set(CATALOGUE) - everything.types == set(ABSENT_TYPES)
    assert {form for _, form in everything.counts} == {"open", "choice", "yes_no"}


def test_a_hundred_thousand_questions_take_a_minute_at_most(checked: dict[str, Checked]):
    seconds = sum(one.seconds for one in checked.values())
    assert seconds / sum(one.result.total for one in checked.values()) * 100_000 < 60.0


def _table(checked: dict[str, Checked]) -> str:
    lines = [f"{'source':<18}{'logs':>6}{'types':>7}{'questions':>11}{'on an edge':>12}{'mismatches':>12}{'s':>8}"]
    for name, one in checked.items():
        result = one.result
        edges = sum(result.edges.values())
        lines.append(
            f"{name:<18}{one.logs:>6}{len(result.types):>7}{result.total:>11}{edges:>12}{len(result.mismatches):>12}"
            f"{one.seconds:>8.1f}"
        )
    total = Counter[str]()
    for one in checked.values():
        for (kind, _), count in one.result.counts.items():
            total[kind] += count
    rare = ", ".join(f"{kind} {count}" for kind, count in sorted(total.items(), key=lambda item: item[1])[:12])
    return "\n".join([*lines, f"rarest types: {rare}"])
