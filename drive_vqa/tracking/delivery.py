"""The thread that brings a run's records from its file to the store, as soon as the store takes them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator

from drive_vqa.errors import ConfigError
from drive_vqa.tracking.failures import passes, reason, redacted
from drive_vqa.tracking.journal import Journal
from drive_vqa.tracking.run import Record
from drive_vqa.tracking.server import METRICS_A_REQUEST, Server

logger = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0
PAUSE_AT_THE_END_S = 1.0
FAREWELL_S = 10.0
"""How long the end of a run waits for a store that does not answer."""
FAREWELL_LOCAL_S = 120.0
"""A file on a busy machine is slow and not gone."""


class Delivery:
    """Sends in order, and tries again for as long as the run lasts.

    Attributes:
        run_id: MLflow's name of the run; None until the store has answered.
    """

    def __init__(self, server: Server, journal: Journal, header: Record, opened: Callable[[str], None]) -> None:
        """Prepare.

        Args:
            server: where to.
            journal: where from.
            header: its first line, which says which run it is.
            opened: told the run's id, once there is one.
        """
        self.run_id: str | None = None
        self._server, self._journal, self._header, self._opened = server, journal, header, opened
        self._offset = 0
        self._failures = 0
        self._closed_at: float | None = None
        self._wake = threading.Event()
        self._close = threading.Event()
        self._thread = threading.Thread(target=self._work, name="mlflow-delivery", daemon=True)

    @property
    def has_news(self) -> bool:
        """Whether more than the name of the run waits to be sent."""
        return len(self._journal.read(self._offset, 2)) > 1

    def open(self) -> None:
        """Try once to open the run, so that what will never work is said at once.

        Raises:
            ConfigError: there is no MLflow store, it refuses us, or its file cannot be used.
        """
        try:
            self._open_run()
        except Exception as error:
            if self._server.is_local or not passes(error):
                raise ConfigError(
                    f"{redacted(self._server.uri)} is no usable MLflow store ({reason(error)}): "
                    "move it away or name another one"
                ) from error
            self._failed(error)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def wake(self) -> None:
        """There is something to send."""
        self._wake.set()

    def close(self) -> bool:
        """Send what is left; a store that does not answer is given up after FAREWELL_S.

        Returns:
            Whether everything has arrived.
        """
        self._closed_at = time.monotonic()
        self._close.set()
        self._wake.set()
        self._thread.join()
        return self._is_drained()

    def deliver(self) -> None:
        """Send everything now.

        Raises:
            Exception: of MLflow, requests or SQLAlchemy, where the store does not take it.
        """
        if self.run_id is None:
            self._open_run()
        while not self._is_drained():
            records = self._journal.read(self._offset, METRICS_A_REQUEST)
            for group, end in _requests(records):
                self._send(group)
                self._offset = end
        self._answered()

    def _work(self) -> None:
        while True:
            self._wake.clear()
            closing = self._close.is_set()  # before the last look into the file, so that nothing is left behind
            try:
                self.deliver()
            except Exception as error:  # noqa: BLE001 - whatever is wrong with a store, the training goes on
                self._failed(error)
                if self._is_given_up():
                    return
                self._close.wait(self._pause_s())
            else:
                if closing:
                    return
                self._wake.wait()

    def _open_run(self) -> None:
        self.run_id = self._server.open_run(self._header)
        self._opened(self.run_id)

    def _send(self, group: list[Record]) -> None:
        """One request; a record that the store will never take is left out, the others are sent."""
        assert self.run_id is not None
        try:
            self._server.write(self.run_id, group)
        except Exception as error:
            if passes(error):
                raise
            if len(group) == 1:
                logger.warning("MLflow does not take %s of this run (%s)", _what(group[0]), reason(error))
                return
            for record in group:
                self._send([record])

    def _failed(self, error: Exception) -> None:
        if self._failures == 0:
            logger.warning(
                "the MLflow store %s does not answer (%s): this run goes on, and what it records waits in %s",
                redacted(self._server.uri),
                reason(error),
                self._journal.path,
            )
        self._failures += 1

    def _answered(self) -> None:
        if self._failures:
            logger.warning("the MLflow store %s answers again: all records are there", redacted(self._server.uri))
        self._failures = 0

    def _is_drained(self) -> bool:
        return self._offset >= self._journal.size

    def _is_given_up(self) -> bool:
        longest_s = FAREWELL_LOCAL_S if self._server.is_local else FAREWELL_S
        return self._closed_at is not None and time.monotonic() - self._closed_at > longest_s

    def _pause_s(self) -> float:
        if self._close.is_set():
            time.sleep(PAUSE_AT_THE_END_S)
            return 0.0
        return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._failures, 10))


def _requests(records: list[tuple[Record, int]]) -> Iterator[tuple[list[Record], int]]:
    """Records that go together: metrics that follow one another, up to as many numbers as a request may hold."""
    group: list[Record] = []
    numbers, end = 0, 0
    for record, after in records:
        more = len(record["metrics"]) if record["kind"] == "metrics" else METRICS_A_REQUEST
        if group and numbers + more > METRICS_A_REQUEST:
            yield group, end
            group, numbers = [], 0
        group.append(record)
        numbers, end = numbers + more, after
    if group:
        yield group, end


def _what(record: Record) -> str:
    name = record.get("name") or record.get("path") or ", ".join(record.get(record["kind"], ()))
    return f"{record['kind']} {name}".strip()[:200]
