"""The `drive-vqa` command. Parsing arguments loads nothing heavy; each command imports its part when it runs."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

from drive_vqa.cli.arguments import parse
from drive_vqa.errors import DriveVqaError

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 all done; 1 some logs or questions failed, or an error was reported; 2 wrong use.
    """
    arguments = parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    _quiet_libraries()
    from drive_vqa.cli import steps

    try:
        return steps.COMMANDS[arguments.command](arguments)
    except DriveVqaError as error:
        print(f"drive-vqa {arguments.command}: {error}", file=sys.stderr)
        return steps.exit_status(error)
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # no space, no permission, a file where a folder must be
        where = f"{error.filename}: " if error.filename else ""
        print(f"drive-vqa {arguments.command}: {where}{_reason(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on", file=sys.stderr)
        return INTERRUPTED


def _reason(error: OSError) -> str:
    """What the system says, and the mend."""
    reason = " ".join((error.strerror or str(error)).split())
    return f"{reason}: make room or choose a place that can be read and written, then run the same command again"


def _quiet_libraries() -> None:
    """Other libraries' banners and bars would bury ours."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    for name in ("mlflow", "alembic", "httpx", "matplotlib", "peft", "transformers"):
        logging.getLogger(name).setLevel(logging.WARNING)
