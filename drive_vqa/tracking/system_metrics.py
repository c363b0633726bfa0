"""How busy the machine is while a run lasts: processor, memory, disk, network and GPUs, under the names that MLflow shows.

MLflow's own thread gives up when its server does not answer, and takes no sample of a run shorter than its interval; so its
probes are used here and the numbers go the way of all others.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from drive_vqa.tracking.run import TrackedRun

logger = logging.getLogger(__name__)

PREFIX = "system/"


@contextmanager
def system_metrics(run: TrackedRun, uri: str) -> Iterator[None]:
    """Sample every 10 s (MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL), and once at the end."""
    probes = _probes(uri)
    if probes is None:
        logger.warning("system metrics are not recorded: pip install psutil")
        yield
        return
    sampler = _Sampler(run, probes)
    sampler.start()
    try:
        yield
    finally:
        sampler.stop()


def _probes(uri: str) -> Any:
    try:
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
    except ImportError:
        return None
    return SystemMetricsMonitor("", tracking_uri=uri)  # leaves out GPUs where there are none


class _Sampler:
    def __init__(self, run: TrackedRun, probes: Any) -> None:
        self._run, self._probes = run, probes
        last = run.last_step(PREFIX)
        self._step = 0 if last is None else last + 1
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="system-metrics", daemon=True)

    def start(self) -> None:
        self._probes.collect_metrics()  # a processor's load is counted from the look before, so the first says nothing
        self._clear()
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stopped.wait(self._probes.sampling_interval):
            self._sample()
        self._sample()

    def _sample(self) -> None:
        self._probes.collect_metrics()
        values = self._probes.aggregate_metrics()
        self._clear()
        self._run.log_metrics({PREFIX + name: float(value) for name, value in values.items()}, step=self._step)
        self._step += 1

    def _clear(self) -> None:
        for probe in self._probes.monitors:
            probe.clear_metrics()
