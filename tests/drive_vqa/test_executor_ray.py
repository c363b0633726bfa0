"""The executor `ray` on a real cluster of three nodes; and what it says where there is none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import types
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from drive_vqa import ray_executor
from drive_vqa._version import __version__
from drive_vqa.errors import ConfigError, DependencyError, StoreError
from drive_vqa.executor import map_logs
from tests.drive_vqa.ray_cluster import Cluster, cluster
from tests.drive_vqa.test_executor import Handle, work

DOOMED = "127.0.0.4"


@dataclass(frozen=True)
class Slow:
    """A log that takes a while; each attempt leaves a note of the node that it ran on."""

    log_id: str
    folder: Path
    seconds: float

    def notes(self) -> list[str]:
        return [path.name.split("@")[1] for path in self.folder.glob(f"{self.log_id}@*")]


def slow_work(handle: Slow) -> bool:
    import ray

    note = f"{handle.log_id}@{ray.util.get_node_ip_address()}@{os.getpid()}@{uuid.uuid4().hex}"
    (handle.folder / note).touch()
    ends = time.monotonic() + handle.seconds
    while time.monotonic() < ends:
        time.sleep(0.02)
    (handle.folder / f"{handle.log_id}.done").write_text("done")
    return True


@pytest.fixture(scope="module")
def three_nodes() -> Iterator[Cluster]:
    pytest.importorskip("ray", reason="needs Ray: pip install 'drive-vqa[cluster]'")
    with cluster(3) as made:
        yield made


def test_outcomes_are_those_of_the_local_executor(three_nodes: Cluster, tmp_path: Path) -> None:
    """As `tests/drive_vqa/test_executor.py` has them for processes."""
    handles = [Handle(name, tmp_path) for name in ("a", "broken", "old", "bug", "killer", "once", "b")]
    address = three_nodes.address
    summary = map_logs(work, handles, step="test", workers=2, executor="ray", address=address, shared=tmp_path)
    assert (summary.done, summary.skipped, summary.exit_status) == (("a", "once", "b"), ("old",), 1)
    broken, bug, killer = summary.failures
    assert (broken.log_id, broken.error, broken.message, broken.trace) == (
        "broken",
        "LogFormatError",
        "broken is broken",
        "",
    )
    assert (bug.log_id, bug.error) == ("bug", "ZeroDivisionError")
    assert "in work" in bug.trace
    assert (killer.log_id, killer.error) == ("killer", "WorkerDied")
    assert "log killer died 2 times" in killer.message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "old", "once", "tried"]  # the proof is gone


@pytest.fixture
def connected(three_nodes: Cluster) -> Iterator[Cluster]:
    """A program that has a connection of its own."""
    import ray

    ray.init(three_nodes.address, log_to_driver=False, logging_level="WARNING")
    yield three_nodes
    assert ray.is_initialized()  # it was used and left open
    ray.shutdown()


def test_nodes_that_cannot_do_the_work_are_named(connected: Cluster, tmp_path: Path, monkeypatch: Any) -> None:
    def proof(version: str, file: Path | None) -> None:
        @contextmanager
        def made(shared: Path | None) -> Iterator[Any]:
            yield ray_executor._Proof(version, file)

        monkeypatch.setattr(ray_executor, "_proof_in", made)

    def run(function: Any) -> None:
        handles = [Handle(name, tmp_path) for name in "abc"]
        map_logs(function, handles, step="test", executor="ray", address=connected.address, shared=tmp_path)

    with monkeypatch.context() as patch:
        elsewhere = types.ModuleType("only_here")
        patch.setitem(sys.modules, "only_here", elsewhere)
        exec("def function(handle): return True", vars(elsewhere))  # a module that no other process has
        with pytest.raises(DependencyError, match="cannot load the work.*only_here"):
            run(vars(elsewhere)["function"])
    proof("0.0.1", None)
    with pytest.raises(DependencyError, match=r"install 0\.0\.1 on every node"):
        run(work)
    proof(__version__, tmp_path / "elsewhere" / "proof")
    with pytest.raises(StoreError, match=f"node .* does not see {tmp_path / 'elsewhere'}"):
        run(work)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_cancels(three_nodes: Cluster, tmp_path: Path) -> None:
    script = f"""
import signal
from pathlib import Path
from drive_vqa.executor import map_logs
from tests.drive_vqa.test_executor_ray import Slow, slow_work
signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background of a shell begin deaf to Ctrl-C
handles = [Slow(f"log-{{number}}", Path({str(tmp_path)!r}), 60.0) for number in range(9)]
map_logs(slow_work, handles, step="test", executor="ray", address={three_nodes.address!r})
"""
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True) as driver:
        try:
            until(lambda: len(list(tmp_path.iterdir())) == 3)
            driver.send_signal(signal.SIGINT)
            _, said = driver.communicate(timeout=20)
        finally:
            driver.kill()
    assert driver.returncode != 0
    assert "KeyboardInterrupt" in said
    workers = [int(path.name.split("@")[2]) for path in tmp_path.iterdir()]
    assert len(workers) == 3  # no other was begun, and none has ended
    until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in workers))


def test_logs_of_a_node_that_dies_are_done_by_the_others(three_nodes: Cluster, tmp_path: Path) -> None:
    """Last of this cluster, which has two nodes afterwards."""
    handles = [Slow(f"log-{number:02d}", tmp_path, 0.7) for number in range(12)]

    def kill() -> None:
        until(lambda: any(DOOMED in handle.notes() for handle in handles))
        three_nodes.kill_node(DOOMED)

    killer = threading.Thread(target=kill)
    killer.start()
    summary = map_logs(slow_work, handles, step="test", executor="ray", address=three_nodes.address, shared=tmp_path)
    killer.join()
    assert summary.done == tuple(handle.log_id for handle in handles)
    assert summary.exit_status == 0
    assert len(list(tmp_path.glob("*.done"))) == 12
    hit = [handle for handle in handles if DOOMED in handle.notes()]
    assert hit
    for handle in handles:  # once each, and once more where the node died over it
        assert len(handle.notes()) == 1 + (handle in hit)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.9:1", r"no Ray cluster answers at 127\.0\.0\.9:1 \(.*ray start --head"),
        ("ray://127.0.0.9:1", "no Ray cluster answers at ray://"),
        ("local", "must be HOST:PORT"),
        ("nonsense", "must be HOST:PORT"),
        ("127.0.0.9:99999999", "no Ray cluster answers"),
    ],
)
def test_where_no_cluster_is_nothing_is_started(tmp_path: Path, address: str, message: str) -> None:
    ray = pytest.importorskip("ray", reason="needs Ray: pip install 'drive-vqa[cluster]'")
    with pytest.raises(ConfigError, match=message):
        map_logs(work, [Handle("a", tmp_path)], step="test", executor="ray", address=address)
    assert not ray.is_initialized()
    assert list(tmp_path.iterdir()) == []


def test_the_address_of_the_environment_is_the_standard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="needs Ray: pip install 'drive-vqa[cluster]'")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.9:2")
    with pytest.raises(ConfigError, match=r"127\.0\.0\.9:2"):
        map_logs(work, [Handle("a", tmp_path)], step="test", executor="ray")


def test_without_ray_the_message_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(DependencyError, match=r"pip install 'drive-vqa\[cluster\]'"):
        map_logs(work, [Handle("a", tmp_path)], step="test", executor="ray")


def test_an_unknown_executor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="local, ray"):
        map_logs(work, [Handle("a", tmp_path)], step="test", executor="cloud")


def test_no_logs_need_no_cluster() -> None:
    assert map_logs(work, [], step="test", executor="ray", address="127.0.0.9:1").exit_status == 0


def until(true: Any, seconds: float = 40) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it took too long"
        time.sleep(0.02)
