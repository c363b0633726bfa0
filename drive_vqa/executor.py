"""Map a function over logs: in this process, in several, or on a Ray cluster; with progress, retries and an error record a log.

One broken log never stops the rest: what it raised is kept in the summary, which decides the exit status.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from drive_vqa.errors import ConfigError, DriveVqaError
from drive_vqa.progress import track
from drive_vqa.store import replacing

logger = logging.getLogger(__name__)

EXECUTORS = ("local", "ray")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@runtime_checkable
class Handle(Protocol):
    """What names a log to a worker: small and picklable."""

    @property
    def log_id(self) -> str:
        """The log's name."""
        ...


@dataclass(frozen=True)
class Failure:
    """Why one log was not finished."""

    log_id: str
    error: str
    """Class of the exception."""
    message: str
    trace: str
    """Empty for errors that were raised on purpose."""


@dataclass(frozen=True)
class Summary:
    """What became of each log."""

    done: tuple[str, ...]
    skipped: tuple[str, ...]
    """Logs whose result was there already."""
    failures: tuple[Failure, ...] = field(default=())

    @property
    def exit_status(self) -> int:
        """0 where all logs are done, 1 where some failed."""
        return 1 if self.failures else 0


def map_logs(
    function: Callable[[Any], bool],
    handles: Sequence[Handle],
    *,
    step: str,
    workers: int | None = None,
    retries: int = 1,
    executor: str = "local",
    address: str | None = None,
    shared: Path | None = None,
) -> Summary:
    """Call `function(handle)` for every log.

    Args:
        function: picklable; returns whether it did work (False: the result was there already); raises to report a failure.
        handles: one a log.
        step: shown beside the progress bar.
        workers: processes; one runs in this process. Default: the number of cores. `ray`: logs at a time; default: twice the
            cluster's cores, so that none waits for work.
        retries: how often logs are tried again whose worker process died (killed, out of memory, its node lost).
        executor: `local` processes, or `ray`: an existing cluster. There, paths in `function` and `handles` must be absolute.
        address: `ray`: of the cluster, see `drive_vqa.ray_executor.in_cluster`.
        shared: `ray`: folder that every node must see at the same place, since results are written there.

    Raises:
        ConfigError: there is no such executor or cluster.
        DependencyError: `ray` is not installed here, or a node cannot run the function.
        StoreError: a node does not see `shared`.
    """
    outcomes: dict[str, bool | Failure] = {}
    if executor == "ray":
        from drive_vqa.ray_executor import in_cluster

        results = in_cluster(function, handles, address=address, at_once=workers, retries=retries, shared=shared)
    elif executor == "local":
        results = _locally(function, handles, min(workers or available_cores(), max(len(handles), 1)), retries)
    else:
        raise ConfigError(f"there is no executor {executor!r}: choose one of {', '.join(EXECUTORS)}")
    for log_id, outcome in track(results, total=len(handles), description=step):
        outcomes[log_id] = outcome
        if isinstance(outcome, Failure):
            logger.error("%s: %s", log_id, outcome.message)
    ordered = [handle.log_id for handle in handles]
    return Summary(
        done=tuple(log_id for log_id in ordered if outcomes[log_id] is True),
        skipped=tuple(log_id for log_id in ordered if outcomes[log_id] is False),
        failures=tuple(outcome for log_id in ordered if isinstance(outcome := outcomes[log_id], Failure)),
    )


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def write_errors(path: Path, summary: Summary) -> None:
    """Write `errors.jsonl`, one line a failed log; the file is absent where nothing failed."""
    if not summary.failures:
        path.unlink(missing_ok=True)
        return
    lines = [json.dumps(vars(failure), sort_keys=True, ensure_ascii=False) for failure in summary.failures]
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="backslashreplace")  # odd file names


Outcome = tuple[str, bool | Failure]


def _locally(
    function: Callable[[Any], bool], handles: Sequence[Handle], workers: int, retries: int
) -> Iterator[Outcome]:
    return _here(function, handles) if workers == 1 else _in_processes(function, handles, workers, retries)


def _here(function: Callable[[Any], bool], handles: Sequence[Handle]) -> Iterator[Outcome]:
    for handle in handles:
        yield handle.log_id, guarded(function, handle)


def _in_processes(
    function: Callable[[Any], bool], handles: Sequence[Handle], workers: int, retries: int
) -> Iterator[Outcome]:
    """A worker that dies takes the pool along. What ran then is tried again alone, so that only the log that kills is blamed."""
    waiting = deque(handles)
    while waiting:
        suspects: list[Handle] = []
        yield from _one_pool(function, waiting, workers, suspects)
        if suspects:
            logger.warning("a worker process died; %d logs are tried again one by one", len(suspects))
        for handle in suspects:
            yield handle.log_id, _alone(function, handle, retries)


def _alone(function: Callable[[Any], bool], handle: Handle, retries: int) -> bool | Failure:
    for _ in range(retries + 1):
        died: list[Handle] = []
        for _, outcome in _one_pool(function, deque([handle]), 1, died):
            return outcome
    message = f"the worker process of log {handle.log_id} died (killed or out of memory): try fewer --workers"
    return Failure(handle.log_id, "WorkerDied", message, "")


def _one_pool(
    function: Callable[[Any], bool], waiting: deque[Handle], workers: int, suspects: list[Handle]
) -> Iterator[Outcome]:
    """Outcomes as they come, until nothing is `waiting` or a process has died; `suspects` gets what ran then."""
    context = multiprocessing.get_context("spawn")  # fork would copy the locks of torch's and open3d's threads
    running: dict[Future[bool | Failure], Handle] = {}
    with _one_thread_each(), ProcessPoolExecutor(workers, mp_context=context) as pool:
        while running or (waiting and not suspects):
            while waiting and len(running) < workers and not suspects:
                handle = waiting.popleft()
                try:
                    running[pool.submit(guarded, function, handle)] = handle
                except BrokenProcessPool:
                    suspects.append(handle)
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                handle = running.pop(future)
                try:
                    yield handle.log_id, future.result()
                except BrokenProcessPool:
                    suspects.append(handle)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Each worker has one core: libraries that start a thread a core would only get in each other's way.

    They read these variables when they are loaded, so the parent sets them before it spawns.
    """
    unset = [variable for variable in THREAD_VARIABLES if variable not in os.environ]
    os.environ.update(dict.fromkeys(unset, "1"))
    try:
        yield
    finally:
        for variable in unset:
            del os.environ[variable]


def guarded(function: Callable[[Any], bool], handle: Handle) -> bool | Failure:
    """What `function` returns for one log, or why it failed; runs in the worker."""
    try:
        return function(handle)
    except DriveVqaError as error:
        return Failure(handle.log_id, type(error).__name__, str(error), "")
    except Exception as error:  # noqa: BLE001 - a bug or a broken file in one log must not take the others along; the trace is kept
        return Failure(handle.log_id, type(error).__name__, f"{type(error).__name__}: {error}", traceback.format_exc())
