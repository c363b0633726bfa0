"""A real Ray cluster on loopback addresses, each a node of its own, for tests; it talks to nobody and ends with its block."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

HEAD = "127.0.0.2"


@dataclass(frozen=True)
class Cluster:
    """A cluster that runs."""

    address: str
    folder: Path
    """All its processes name it on their command lines, and no others do."""

    def kill_node(self, ip: str) -> None:
        """SIGKILL everything of one node, as a power cut would."""
        raylets = [pid for pid, line in self.processes() if f"--node_ip_address={ip}" in line and "raylet" in line]
        assert raylets, f"there is no node {ip}"
        for pid in [child for raylet in raylets for child in (raylet, *_descendants(raylet))]:
            _kill(pid)

    def processes(self) -> list[tuple[int, str]]:
        """Number and command line."""
        return [(pid, line) for pid, line in _command_lines() if str(self.folder) in line]


@contextmanager
def cluster(nodes: int, cpus_a_node: int = 1) -> Iterator[Cluster]:
    """Start a cluster of `nodes` nodes: 127.0.0.2, 127.0.0.3 ..."""
    folder = Path(tempfile.mkdtemp(prefix="rq", dir="/tmp"))  # short: the path of a socket has 107 bytes
    with socket.socket() as probe:
        probe.bind((HEAD, 0))
        made = Cluster(f"{HEAD}:{probe.getsockname()[1]}", folder)
    head = ["--head", f"--port={made.address.rpartition(':')[2]}", "--include-dashboard=false", "--no-monitor"]
    try:
        _start(folder, HEAD, head, cpus_a_node)
        for number in range(
            1, nodes
        ):  # one after the other: nodes of one machine that start together take each other's ports
            _start(folder, f"127.0.0.{number + 2}", [f"--address={made.address}"], cpus_a_node)
        yield made
    finally:
        _end(made)


def _start(folder: Path, ip: str, options: list[str], cpus: int) -> None:
    """`ray start`; what it leaves running belongs to the cluster."""
    own = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": str(folder), "OMP_NUM_THREADS": "1"}
    size = [f"--num-cpus={cpus}", "--num-gpus=0", f"--object-store-memory={80 * 1024 * 1024}"]
    ray = [str(Path(sys.executable).with_name("ray")), "start", "--include-log-monitor=false"]
    log = folder / f"start-{ip}.txt"
    with log.open("wb") as said:
        command = [*ray, f"--node-ip-address={ip}", *size, *options]
        run = subprocess.run(command, env={**os.environ, **own}, stdout=said, stderr=said, timeout=120, check=False)
    assert run.returncode == 0, log.read_text()


def _end(made: Cluster) -> None:
    """Only what is ours: `ray stop` would end the clusters of others too."""
    mine = {pid: line for root, line in made.processes() for pid in (root, *_descendants(root))}
    for pid in mine:
        _kill(pid)
    ends = time.monotonic() + 10
    while any(Path(f"/proc/{pid}/exe").exists() for pid in mine) and time.monotonic() < ends:
        time.sleep(0.05)
    shutil.rmtree(made.folder, ignore_errors=True)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            after_name = stat.read_text().rpartition(")")[2].split()
            children.setdefault(int(after_name[1]), []).append(int(stat.parent.name))
    found = list(children.get(pid, []))
    for child in found:
        found += children.get(child, [])
    return found


def _command_lines() -> Iterator[tuple[int, str]]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield int(path.parent.name), path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
