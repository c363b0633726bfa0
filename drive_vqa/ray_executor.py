"""Map a function over logs on a Ray cluster that is there already: one task a log. Nothing here ever starts a cluster.

A log is tried again where its worker or the whole node died; Ray's own retries are off, since they would try a log that eats
all memory for ever. Results travel by the shared store, never through Ray; a task that was believed dead and is not writes the
same bytes to the same file, in one step.
"""

from __future__ import annotations

import logging
import os
import socket
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drive_vqa._version import __version__
from drive_vqa.errors import ConfigError, DependencyError, DriveVqaError, StoreError
from drive_vqa.executor import Failure, Handle, Outcome, guarded

logger = logging.getLogger(__name__)

ADDRESS_VARIABLE = "RAY_ADDRESS"
AT_ONCE_PER_CORE = 2
ANSWER_S = 5.0
"""How long a cluster may take to answer, and cancelled tasks to end."""


def in_cluster(
    function: Callable[[Any], bool],
    handles: Sequence[Handle],
    *,
    address: str | None = None,
    at_once: int | None = None,
    retries: int = 1,
    shared: Path | None = None,
) -> Iterator[Outcome]:
    """Outcomes of `function(handle)` as they come, each log once. Closing the iterator cancels what still runs.

    Args:
        function: picklable, and importable on every node.
        handles: one a log.
        address: `HOST:PORT` of the cluster's head, `ray://HOST:PORT` from outside, or `auto`: the one that runs on this machine.
            Default: $RAY_ADDRESS, else `auto`. A connection that this process already has is used and left open.
        at_once: logs handed to the cluster at a time. Default: twice its cores, which may change as nodes come and go.
        retries: how often a log is tried again whose worker or node died.
        shared: folder that every node must see at the same place.

    Raises:
        ConfigError: no cluster answers at that address.
        DependencyError: Ray is not installed here, or a node cannot load the function or has another version of this program.
        StoreError: a node does not see `shared`.
    """
    if not handles:
        return
    with _connection(address) as ray, _proof_in(shared) as proof:
        yield from _Run(ray, function, at_once, retries, proof, deque((handle, 0) for handle in handles)).outcomes()


@dataclass(frozen=True)
class _Proof:
    """By what a node shows that it can do the work; both are looked at where the task runs.

    Attributes:
        version: of this program, as other code might write other bytes.
        file: that this process wrote into the shared folder; None where there is none.
    """

    version: str
    file: Path | None

    def lacks(self) -> DriveVqaError | None:
        """What is wrong with the node that this runs on."""
        node = f"node {socket.gethostname()}"
        if self.version != __version__:
            return DependencyError(f"{node} has drive-vqa {__version__}: install {self.version} on every node, as here")
        if self.file is not None and not self.file.is_file():
            return StoreError(f"{node} does not see {self.file.parent}: mount the same folder there on every node")
        return None


def _task(function: Callable[[Any], bool], handle: Handle, proof: _Proof) -> bool | Failure | DriveVqaError:
    """What a worker of the cluster runs."""
    return proof.lacks() or guarded(function, handle)


@dataclass
class _Run:
    """Hands logs to the cluster, a bounded number at a time."""

    ray: Any
    function: Callable[[Any], bool]
    at_once: int | None
    retries: int
    proof: _Proof
    waiting: deque[tuple[Handle, int]]
    """Logs and how often each was tried."""
    running: dict[Any, tuple[Handle, int]] = field(default_factory=dict)

    def outcomes(self) -> Iterator[Outcome]:
        """Of all logs, in the order in which they end."""
        task = self.ray.remote(num_cpus=1, max_retries=0)(_task)
        try:
            while self.waiting or self.running:
                while self.waiting and len(self.running) < self._room():
                    handle, tries = self.waiting.popleft()
                    self.running[task.remote(self.function, handle, self.proof)] = handle, tries + 1
                ended, _ = self.ray.wait(list(self.running), timeout=ANSWER_S)
                for reference in ended:
                    handle, tries = self.running.pop(reference)
                    outcome = self._outcome(reference, handle, tries)
                    if outcome is not None:
                        yield handle.log_id, outcome
        finally:
            self._cancel()

    def _room(self) -> int:
        if self.at_once is not None:
            return self.at_once
        return max(1, AT_ONCE_PER_CORE * int(self.ray.cluster_resources().get("CPU", 0)))

    def _outcome(self, reference: Any, handle: Handle, tries: int) -> bool | Failure | None:
        """None for a log that is to be tried again."""
        try:
            outcome: bool | Failure | DriveVqaError = self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as error:  # `guarded` lets nothing through: the task did not even begin
            reason = str(error.cause or error).strip().splitlines()[-1]
            raise DependencyError(
                f"a node of the cluster cannot load the work ({reason}): install the same program on every node"
            ) from error
        except self.ray.exceptions.RayError as error:
            return self._died(handle, tries, type(error).__name__)
        if isinstance(outcome, DriveVqaError):
            raise outcome
        return outcome

    def _died(self, handle: Handle, tries: int, reason: str) -> Failure | None:
        if tries <= self.retries:
            logger.warning("the worker of log %s died (%s); it is tried again", handle.log_id, reason)
            self.waiting.append((handle, tries))
            return None
        message = f"the worker of log {handle.log_id} died {tries} times ({reason}): see if its node has enough memory"
        return Failure(handle.log_id, "WorkerDied", message, "")

    def _cancel(self) -> None:
        """Stop what runs and wait for it, so that nothing is written after this program has ended."""
        for reference in self.running:
            self.ray.cancel(reference)
        if self.running:
            self.ray.wait(list(self.running), num_returns=len(self.running), timeout=ANSWER_S)


@contextmanager
def _proof_in(shared: Path | None) -> Iterator[_Proof]:
    """What nodes are asked for; the file is gone when the block ends."""
    if shared is None:
        yield _Proof(__version__, None)
        return
    file = shared.resolve() / f".{uuid.uuid4().hex}.tmp"
    file.touch()
    try:
        yield _Proof(__version__, file)
    finally:
        file.unlink(missing_ok=True)


@contextmanager
def _connection(address: str | None) -> Iterator[Any]:
    """The module `ray`, connected to a cluster."""
    try:
        import ray
    except ImportError as error:
        raise DependencyError("the executor ray needs Ray: pip install 'drive-vqa[cluster]'") from error
    if ray.is_initialized():
        yield ray
        return
    address = address or os.environ.get(ADDRESS_VARIABLE) or "auto"
    _check_answer(address)
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.WARNING)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise _no_cluster(address, str(error).strip().splitlines()[0] if str(error).strip() else "") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_answer(address: str) -> None:
    """Refuse at once what Ray would try for a minute; and `local`, by which Ray would start a cluster."""
    if address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigError(f"--address must be HOST:PORT, ray://HOST:PORT or auto, is {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_S).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, str(error)) from error


def _no_cluster(address: str, reason: str) -> ConfigError:
    where = "on this machine" if address == "auto" else f"at {address}"
    return ConfigError(
        f"no Ray cluster answers {where} ({reason}): start one with `ray start --head`, or give --address"
    )
