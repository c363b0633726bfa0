"""The tables of a nuScenes version as memory-mapped Arrow files, made once from its JSON.

    VERSION/.drive-vqa-cache/sources.json        size, time of change and SHA-256 of each JSON file when it was last read
    VERSION/.drive-vqa-cache/<digest>/           the tables made from content of that digest
        manifest.json                            layout, files with their sizes, and where each scene's rows lie
        scenes.arrow keyframes.arrow ...         Arrow IPC files (sensors.readers.nuscenes_layout)

Where the version's folder cannot be written, the same lies in the user's cache folder ($XDG_CACHE_HOME or ~/.cache).
nuscenes-devkit opens its tables by name and takes no notice.

**What is trusted.** The tables belong to the SHA-256 of the JSON. Hashing gigabytes at each start would take seconds, so a file
whose size and time of change are as noted counts as unchanged; any other is hashed again. A change within the file system's
clock tick of the noting could go unseen: notes on files younger than `SETTLED_S` are not trusted. Of the Arrow files, sizes are
checked when they are opened, and the rows of a scene against their CRC-32 when they are read; what does not fit is made anew.

**Many processes.** Each builds in a folder of its own and renames it when it is complete; who comes second uses the first one's.
A killed process leaves only such a folder, which nobody opens and which is removed after a day.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from drive_vqa.errors import LogFormatError, StoreError
from drive_vqa.store import file_sha256, write_json
from sensors.readers.nuscenes_layout import BY_SCENE, LAYOUT, WHOLE, Tables
from sensors.readers.nuscenes_small import is_unlabelled
from sensors.readers.nuscenes_tables import AGAIN, FILES, Instance, SampleAnnotation

logger = logging.getLogger(__name__)

FOLDER = ".drive-vqa-cache"
SOURCES = "sources.json"
MANIFEST = "manifest.json"
BUILDING = "building-"
SETTLED_S = 2.0
ABANDONED_S = 86_400.0


class CacheDamagedError(Exception):
    """A file of the cache is not as it was written; it never leaves `sensors`."""


@dataclass(frozen=True, eq=False)
class NuscenesCache:
    """The tables of one version.

    Attributes:
        folder: where they lie.
        digest: of the JSON that they were made from.
        whole: small tables, by name.
        files: readers of the big tables, by name.
        mapped: the bytes of their files.
        places: for each big table and scene: first byte, one past the last, and their CRC-32.
    """

    folder: Path
    digest: str
    whole: dict[str, pa.Table]
    files: dict[str, pa.RecordBatchFileReader]
    mapped: dict[str, pa.Buffer]
    places: dict[str, list[list[int]]]

    def rows(self, table: str, scene: int) -> pa.RecordBatch:
        """The rows of a scene in one of the big tables; only these are read from disk.

        Raises:
            CacheDamagedError: they are not as they were written.
        """
        start, end, checksum = self.places[table][scene]
        if zlib.crc32(self.mapped[table][start:end]) != checksum:
            raise CacheDamagedError(f"{self.folder / table}.arrow is damaged at scene {scene}")
        return self.files[table].get_batch(scene)


def open_cache(version: Path, *, damaged: Path | None = None) -> NuscenesCache:
    """The tables of a version folder, made from its JSON where they are not there yet.

    Args:
        version: folder of the JSON tables.
        damaged: folder of a cache that was found damaged, to be made anew.

    Raises:
        LogFormatError: a JSON table is missing, wrong as a whole, or changes while it is read.
        StoreError: there is no place for the cache.
    """
    if damaged is not None:
        _remove(damaged)
    noted = _stamps(version)
    for place in _places(version):
        digest = _noted_digest(place, noted)
        cache = _load_or_none(place, digest) if digest else None
        if cache is not None:
            return cache
    digests = _digests(version, noted)
    digest = digest_of(digests)
    found = next((place for place in _places(version) if _load_or_none(place, digest)), None)
    place = found or _build(version, digest, noted)
    with contextlib.suppress(OSError):  # it is only slower the next time
        _note(place, noted, digests)
    cache = _load_or_none(place, digest)
    if cache is None:
        raise StoreError(
            f"{place / digest} was written and cannot be read: look after that disk, or set XDG_CACHE_HOME"
        )
    return cache


def _digests(version: Path, names: Iterable[str]) -> dict[str, str]:
    digests = {}
    for name in names:
        try:
            digests[name] = file_sha256(version / name)
        except OSError as error:
            raise LogFormatError(f"{version / name} cannot be read ({error}): {AGAIN}") from error
    return digests


def digest_of(digests: dict[str, str]) -> str:
    """One hash for the JSON tables, given the SHA-256 of each."""
    total = hashlib.sha256()
    for name in sorted(digests):
        total.update(f"{name.removesuffix('.json')} {digests[name]} ".encode())
    return total.hexdigest()


def _stamps(version: Path) -> dict[str, list[int]]:
    """Size and time of change of each JSON table."""
    left_out = (Instance, SampleAnnotation) if is_unlabelled(version) else ()
    stamps = {}
    for name in (f"{FILES[kind]}.json" for kind in FILES if kind not in left_out):
        try:
            status = (version / name).stat()
        except OSError as error:
            raise LogFormatError(f"{version / name} is missing: copy all tables of the version") from error
        stamps[name] = [status.st_size, status.st_mtime_ns]
    return stamps


def _places(version: Path) -> Iterator[Path]:
    """Where the cache may lie: beside the data, or in the user's cache folder."""
    yield version / FOLDER
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - Path.expanduser raises without HOME
    name = hashlib.sha256(os.fsencode(version.resolve())).hexdigest()[:16]
    yield Path(home) / "drive-vqa" / "nuscenes" / f"{version.name}-{name}"


def _noted_digest(place: Path, stamps: dict[str, list[int]]) -> str | None:
    """The digest that was noted for files of these sizes and times, if any."""
    try:
        notes = json.loads((place / SOURCES).read_bytes())
        files = notes["files"]
        if {name: file["stamp"] for name, file in files.items()} != stamps:
            return None
        settled = all(stamp[1] < notes["noted_ns"] - SETTLED_S * 1e9 for stamp in stamps.values())
        return digest_of({name: file["sha256"] for name, file in files.items()}) if settled else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _note(place: Path, stamps: dict[str, list[int]], digests: dict[str, str]) -> None:
    files = {name: {"stamp": stamps[name], "sha256": digests[name]} for name in stamps}
    write_json(place / SOURCES, {"noted_ns": time.time_ns(), "files": files})


def _load_or_none(place: Path, digest: str) -> NuscenesCache | None:
    folder = place / _name(digest)
    try:
        return _load(folder, digest) if folder.is_dir() else None
    except PermissionError:  # another user's
        return None
    except (
        CacheDamagedError,
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        pa.ArrowException,
    ) as error:
        logger.warning("%s is damaged and will be made anew: %s", folder, error)
        _remove(folder)
        return None


def _name(digest: str) -> str:
    return f"{digest[:32]}-{LAYOUT}"


def _load(folder: Path, digest: str) -> NuscenesCache:
    text = (folder / MANIFEST).read_bytes()
    manifest, checksum = json.loads(text[:-9]), int(text[-9:], 16)
    if zlib.crc32(text[:-9]) != checksum or manifest["digest"] != digest:
        raise CacheDamagedError(f"{folder / MANIFEST} is not as it was written")
    mapped = {name: _map(folder / f"{name}.arrow", manifest["sizes"][name]) for name in (*WHOLE, *BY_SCENE)}
    for name in WHOLE:
        if zlib.crc32(mapped[name]) != manifest["checksums"][name]:
            raise CacheDamagedError(f"{folder / name}.arrow is not as it was written")
    places = manifest["places"]
    for name in BY_SCENE:  # what is not a scene's rows: the schema before them and the index after them
        start, end = (places[name][0][0], places[name][-1][1]) if places[name] else (0, 0)
        if zlib.crc32(mapped[name][end:], zlib.crc32(mapped[name][:start])) != manifest["checksums"][name]:
            raise CacheDamagedError(f"{folder / name}.arrow is not as it was written")
    whole = {name: pa.ipc.open_file(mapped[name]).read_all() for name in WHOLE}
    files = {name: pa.ipc.open_file(mapped[name]) for name in BY_SCENE}
    return NuscenesCache(folder, digest, whole, files, mapped, places)


def _map(path: Path, size: int) -> pa.Buffer:
    if path.stat().st_size != size:
        raise CacheDamagedError(f"{path} has not its full size")
    with pa.memory_map(str(path)) as file:
        return file.read_buffer()


def _build(version: Path, digest: str, stamps: dict[str, list[int]]) -> Path:
    """Convert the tables and put them where they can be written.

    Returns:
        The place.
    """
    place, building = _writable(version)
    try:
        logger.info("%s: its tables are converted once, to %s", version, place)
        started_s = time.monotonic()
        from sensors.readers.nuscenes_conversion import convert  # heavy, and not needed once there is a cache

        _write(building, convert(version), digest)
        if _stamps(version) != stamps:
            raise LogFormatError(f"{version} changed while it was read: run the command again when it is complete")
        with contextlib.suppress(OSError):  # another process was faster, and its tables are the same
            building.rename(place / _name(digest))
        logger.info("%s: converted in %.1f s", version, time.monotonic() - started_s)
    except OSError as error:
        raise StoreError(f"{building} cannot be written ({error}): free some space, or set XDG_CACHE_HOME") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    _tidy(place, _name(digest))
    return place


def _writable(version: Path) -> tuple[Path, Path]:
    """The first place that can be written, and a new folder in it."""
    for place in _places(version):
        with contextlib.suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
            building = Path(tempfile.mkdtemp(prefix=BUILDING, dir=place))
            building.chmod(place.stat().st_mode & 0o777)  # mkdtemp's are for their owner alone
            return place, building
    raise StoreError(
        f"neither {version} nor the cache folder can be written: set XDG_CACHE_HOME to a folder with space for the tables"
    )


def _write(folder: Path, tables: Tables, digest: str) -> None:
    sizes, checksums, places = {}, {}, {}
    for name, table in tables.whole.items():
        path = folder / f"{name}.arrow"
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, WHOLE[name]) as writer:
            writer.write_table(table)
        sizes[name], checksums[name] = path.stat().st_size, zlib.crc32(path.read_bytes())
    for name, batches in tables.by_scene.items():
        path = folder / f"{name}.arrow"
        places[name] = _write_batches(path, BY_SCENE[name], batches)
        sizes[name], checksums[name] = path.stat().st_size, _finish(path, places[name])
    text = json.dumps({"digest": digest, "sizes": sizes, "checksums": checksums, "places": places}).encode()
    (folder / MANIFEST).write_bytes(text + f"\n{zlib.crc32(text):08x}".encode())


def _write_batches(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> list[list[int]]:
    """Write one batch a scene; first byte and one past the last of each."""
    places = []
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for batch in batches:
            start = file.tell()
            writer.write_batch(batch)
            places.append([start, file.tell()])
    return places


def _finish(path: Path, places: list[list[int]]) -> int:
    """Add the checksum of each scene's rows to `places`; return that of the rest of the file."""
    with pa.memory_map(str(path)) as file:
        content = file.read_buffer()
    for place in places:
        place.append(zlib.crc32(content[place[0] : place[1]]))
    start, end = (places[0][0], places[-1][1]) if places else (0, 0)
    return zlib.crc32(content[end:], zlib.crc32(content[:start]))


def _remove(folder: Path) -> None:
    """Take a folder out of use at once, then delete it."""
    with contextlib.suppress(OSError):
        grave = Path(tempfile.mkdtemp(prefix=BUILDING, dir=folder.parent))
        with contextlib.suppress(OSError):
            folder.rename(grave / "old")
        shutil.rmtree(grave, ignore_errors=True)


def _tidy(place: Path, current: str) -> None:
    """Remove the tables of earlier contents, and what killed processes left."""
    for path in place.iterdir():
        with contextlib.suppress(OSError):
            abandoned = time.time() - path.stat().st_mtime > ABANDONED_S
            if path.is_dir() and path.name != current and (abandoned or not path.name.startswith(BUILDING)):
                _remove(path)
