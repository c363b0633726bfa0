"""The formats of driving logs that can be read, by name.

A format is two functions: `list_logs(source)` finds the logs of a folder without reading them whole, `read_log(handle)` reads one
log. Both raise `LogFormatError` with the file, the record and the mend.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from drive_vqa.errors import ConfigError, LogFormatError
from sensors.driving_log import DrivingLog, LogHandle
from sensors.readers import av2, kitti, nuscenes, pandaset, scenarionet

__all__ = ["FORMATS", "DrivingLog", "LogHandle", "list_logs", "read_log"]

FORMATS: dict[str, tuple[Callable[[Path], list[LogHandle]], Callable[[LogHandle], DrivingLog]]] = {
    "nuscenes": (nuscenes.list_logs, nuscenes.read_log),
    "pandaset": (pandaset.list_logs, pandaset.read_log),
    "kitti": (kitti.list_logs, kitti.read_log),
    "av2": (av2.list_logs, av2.read_log),
    "scenarionet": (scenarionet.list_logs, scenarionet.read_log),
}
"""`list_logs` and `read_log` of each format."""


def list_logs(source: Path, source_format: str, version: str | None = None) -> list[LogHandle]:
    """The logs of a source, sorted by name.

    Args:
        source: folder of the logs; for some formats also a file.
        source_format: key of `FORMATS`.
        version: which of several version folders (nuScenes); None: all.

    Raises:
        ConfigError: the format is unknown.
        LogFormatError: the folder is missing, is not of that format, or has two logs of one name.
    """
    if source_format not in FORMATS:
        raise ConfigError(f"unknown log format {source_format!r}: choose one of {', '.join(FORMATS)}")
    if version is not None and source_format != nuscenes.FORMAT:
        raise ConfigError(f"--version: {source_format} has no versions, only {nuscenes.FORMAT} has")
    if not source.is_dir() and not (source.is_file() and source_format == scenarionet.FORMAT):
        raise LogFormatError(f"{source} is not a folder: give the folder that holds the {source_format} logs")
    if not str(source.resolve()).isprintable():
        raise LogFormatError(f"{str(source)!a} has a name that is not readable text: rename the folder")
    listed = nuscenes.list_logs(source, version) if version is not None else FORMATS[source_format][0](source)
    handles = sorted(listed, key=lambda handle: handle.log_id)
    if not handles:
        raise LogFormatError(f"{source} lists no {source_format} log: copy its tables again from the data set")
    repeated = [log_id for log_id, count in Counter(handle.log_id for handle in handles).items() if count > 1]
    if repeated:
        raise LogFormatError(f"{source} has more than one log named {repeated[0]!r}: rename or remove one of them")
    return handles


def read_log(handle: LogHandle) -> DrivingLog:
    """Read one log as tables.

    Raises:
        LogFormatError: it does not follow its format.
    """
    return FORMATS[handle.source_format][1](handle)
