"""`python -m drive_vqa.tracking.replay FILE`: send what a run recorded while its MLflow server was away."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from drive_vqa.errors import ConfigError, DriveVqaError
from drive_vqa.tracking import patience
from drive_vqa.tracking.delivery import Delivery
from drive_vqa.tracking.failures import reason, redacted
from drive_vqa.tracking.journal import Journal
from drive_vqa.tracking.names import URI_VARIABLE
from drive_vqa.tracking.server import Server


def replay(file: Path, tracking_uri: str) -> str:
    """Send a file of records, and remove it. Sending twice does no harm.

    Args:
        file: `mlflow-KEY.jsonl` of an output folder.
        tracking_uri: of a store that answers.

    Returns:
        MLflow's id of the run.

    Raises:
        ConfigError: the file holds no run, or the store does not take it.
    """
    if not file.is_file() or file.stat().st_size == 0:
        raise ConfigError(f"{file} holds nothing to send: name a file mlflow-KEY.jsonl of an output folder")
    journal = Journal(file)
    try:
        delivery = Delivery(Server(tracking_uri), journal, journal.header(), lambda _run_id: None)
        with patience.short():
            delivery.deliver()
        journal.delete()
    except DriveVqaError:
        raise
    except Exception as error:
        raise ConfigError(
            f"{redacted(tracking_uri)} does not take {file} ({reason(error)}): try again later"
        ) from error
    finally:
        journal.close()
    return str(delivery.run_id)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m drive_vqa.tracking.replay", description=__doc__)
    parser.add_argument("file", type=Path, help="mlflow-KEY.jsonl of an output folder")
    parser.add_argument("--tracking-uri", default=os.environ.get(URI_VARIABLE), help=f"default: {URI_VARIABLE}")
    options = parser.parse_args(arguments)
    if not options.tracking_uri:
        parser.error(f"give --tracking-uri, or set {URI_VARIABLE}")
    try:
        run_id = replay(options.file, options.tracking_uri)
    except DriveVqaError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(f"sent: run {run_id}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
