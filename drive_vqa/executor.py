"""Map a function over logs: in this process or in several, with progress, retries and an error record a log.

One broken log never stops the rest: what it raised is kept in the summary, which decides the exit status.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from drive_vqa.errors import DriveVqaError
from drive_vqa.progress import track
from drive_vqa.store import replacing

logger = logging.getLogger(__name__)

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
) -> Summary:
    """Call `function(handle)` for every log.

    Args:
        function: picklable; returns whether it did work (False: the result was there already); raises to report a failure.
        handles: one a log.
        step: shown beside the progress bar.
        workers: processes; one runs in this process. Default: the number of cores.
        retries: how often logs are tried again whose worker process died (killed, out of memory).
    """
    workers = min(workers or available_cores(), max(len(handles), 1))
    outcomes: dict[str, bool | Failure] = {}
    results = _here(function, handles) if workers == 1 else _in_processes(function, handles, workers, retries)
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


def _here(function: Callable[[Any], bool], handles: Sequence[Handle]) -> Iterator[Outcome]:
    for handle in handles:
        yield handle.log_id, _guarded(function, handle)


def _in_processes(
    function: Callable[[Any], bool], handles: Sequence[Handle], workers: int, retries: int
) -> Iterator[Outcome]:
    left = {handle.log_id: handle for handle in handles}
    for attempt in range(retries + 1):
        died: list[str] = []
        for log_id, outcome in _one_pool(function, list(left.values()), workers):
            if outcome is None:
                died.append(log_id)
            else:
                yield log_id, outcome
        left = {log_id: left[log_id] for log_id in died}
        if not left:
            return
        workers = 1  # one at a time, so that only the log that kills its worker is blamed
        logger.warning("a worker process died (attempt %d); %d logs are tried again one by one", attempt + 1, len(left))
    for log_id, handle in left.items():
        for _, outcome in _one_pool(function, [handle], 1):
            message = f"the worker process of log {log_id} died (killed or out of memory): try fewer --workers"
            yield log_id, Failure(log_id, "WorkerDied", message, "") if outcome is None else outcome


def _one_pool(
    function: Callable[[Any], bool], handles: Sequence[Handle], workers: int
) -> Iterator[tuple[str, bool | Failure | None]]:
    """Outcomes as they come; None for a log whose process died before answering."""
    context = multiprocessing.get_context("spawn")  # fork would copy the locks of torch's and open3d's threads
    with _one_thread_each(), ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures: dict[Future[bool | Failure], str] = {
            pool.submit(_guarded, function, handle): handle.log_id for handle in handles
        }
        for future in as_completed(futures):
            try:
                yield futures[future], future.result()
            except BrokenProcessPool:
                yield futures[future], None


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


def _guarded(function: Callable[[Any], bool], handle: Handle) -> bool | Failure:
    try:
        return function(handle)
    except DriveVqaError as error:
        return Failure(handle.log_id, type(error).__name__, str(error), "")
    except Exception as error:  # noqa: BLE001 - a bug or a broken file in one log must not take the others along; the trace is kept
        return Failure(handle.log_id, type(error).__name__, f"{type(error).__name__}: {error}", traceback.format_exc())
