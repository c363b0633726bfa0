import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from drive_vqa.errors import LogFormatError
from drive_vqa.executor import Summary, map_logs, write_errors


@dataclass(frozen=True)
class Handle:
    log_id: str
    folder: Path


def work(handle: Handle) -> bool:
    """Touches a file; the log's name says what else happens."""
    if handle.log_id.startswith("broken"):
        raise LogFormatError(f"{handle.log_id} is broken")
    if handle.log_id.startswith("bug"):
        raise ZeroDivisionError("oops")
    if handle.log_id.startswith("killer"):
        os.kill(os.getpid(), signal.SIGKILL)
    if handle.log_id.startswith("once") and not (handle.folder / "tried").exists():
        (handle.folder / "tried").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    (handle.folder / handle.log_id).touch()
    return not handle.log_id.startswith("old")


@pytest.mark.parametrize("workers", [1, 2])
def test_one_broken_log_never_stops_the_rest(tmp_path, workers):
    handles = [Handle(name, tmp_path) for name in ("a", "broken", "old", "bug", "b")]
    summary = map_logs(work, handles, step="test", workers=workers)
    assert summary.done == ("a", "b")
    assert summary.skipped == ("old",)
    assert [failure.log_id for failure in summary.failures] == ["broken", "bug"]
    assert summary.failures[0].trace == ""
    assert "ZeroDivisionError" in summary.failures[1].trace
    assert summary.exit_status == 1


def test_a_killed_worker_is_blamed_on_its_log_only(tmp_path):
    handles = [Handle(name, tmp_path) for name in ("a", "killer", "b", "c")]
    summary = map_logs(work, handles, step="test", workers=2)
    assert set(summary.done) == {"a", "b", "c"}
    assert [failure.error for failure in summary.failures] == ["WorkerDied"]


def test_a_worker_killed_once_is_tried_again(tmp_path):
    summary = map_logs(work, [Handle("once", tmp_path), Handle("a", tmp_path)], step="test", workers=2)
    assert set(summary.done) == {"once", "a"}
    assert summary.exit_status == 0


def test_logs_beside_a_killer_keep_their_tries_and_their_workers(tmp_path):
    handles = [Handle(name, tmp_path) for name in ("killer", "once", *"abcd")]
    summary = map_logs(work, handles, step="test", workers=2)
    assert summary.done == ("once", *"abcd")
    assert [failure.log_id for failure in summary.failures] == ["killer"]


def test_errors_file_exists_only_while_there_are_errors(tmp_path):
    path = tmp_path / "errors.jsonl"
    write_errors(path, map_logs(work, [Handle("broken", tmp_path)], step="test", workers=1))
    record = json.loads(path.read_text())
    assert record["log_id"] == "broken"
    assert record["error"] == "LogFormatError"
    write_errors(path, Summary((), ()))
    assert not path.exists()


def test_no_logs_is_no_error():
    assert map_logs(work, [], step="test").exit_status == 0
