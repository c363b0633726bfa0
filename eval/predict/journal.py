"""The journal of a prediction under way: what is answered is not asked again, whatever becomes of the process.

    PRED.partial.jsonl     line 1: what the answers depend on
                           then one line an answer: qa_id, sample, text, looks, latency_s, prompt_tokens, completion_tokens

Lines are only ever added, each in one write. A line that a crash has cut off is dropped. The file is locked while a
process writes it; the system lets go when the process ends.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drive_vqa.errors import ConfigError, PredictionError
from drive_vqa.locks import hold
from drive_vqa.looks import AIM, CORNERS, look_from_struct
from eval.predict.binding import differences
from eval.predictions import MAX_SAMPLE, storable

ENDING = ".partial.jsonl"
SYNC_EVERY_S = 5.0
"""A machine that loses power loses the answers of so long; a process that dies loses none."""

HEAD = b'{"journal": 1, '
"""How the file begins; the number is that of its form."""

Key = tuple[str, int]
"""`qa_id` and sample."""

FIELDS: Mapping[str, tuple[type, ...]] = {
    "qa_id": (str,),
    "sample": (int,),
    "text": (str,),
    "looks": (list, type(None)),
    "latency_s": (float, int, type(None)),
    "prompt_tokens": (int, type(None)),
    "completion_tokens": (int, type(None)),
}
"""Of an answer, and what each may be."""

LOOK_FIELDS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("context", "step"), (int,)),
    **dict.fromkeys((*CORNERS, *AIM), (float, int)),
}
"""Of a look, likewise."""

MOST_IN_A_LOOK = 2**31 - 1
"""What the type of `context` and `step` holds."""


@dataclass(eq=False)
class Journal:
    """An open journal.

    Attributes:
        path: of the file.
        descriptor: of the file, open and locked.
        places: where the line of each answer begins, in bytes.
        prompt_tokens: of all answers.
        completion_tokens: of all answers.
    """

    path: Path
    descriptor: int
    places: dict[Key, int] = field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    _synced_s: float = field(default_factory=time.monotonic)

    def add(self, answer: Mapping[str, Any]) -> None:
        """Write an answer, which has all of `FIELDS`."""
        self._count(answer, os.lseek(self.descriptor, 0, os.SEEK_END))
        _write_all(self.descriptor, _line(answer))
        if time.monotonic() - self._synced_s > SYNC_EVERY_S:
            os.fsync(self.descriptor)
            self._synced_s = time.monotonic()

    def read(self, keys: Iterable[Key]) -> Iterator[dict[str, Any]]:
        """The answers of these keys, in their order; those without one are left out."""
        with self.path.open("rb") as file:
            for key in keys:
                if key in self.places:
                    file.seek(self.places[key])
                    yield json.loads(file.readline())

    def remove(self) -> None:
        """Delete the file: all is done, or nothing was begun."""
        self.path.unlink(missing_ok=True)

    def begin(self, binding: Mapping[str, Any]) -> None:
        """Take up what the file holds, or write its first line.

        Raises:
            ConfigError: it was begun otherwise.
            PredictionError: it is damaged.
        """
        with self.path.open("rb") as file:
            head, place = file.readline(), file.tell()
            if HEAD.startswith(head[: len(HEAD)]) and not (
                head.endswith(b"\n") and file.peek(1)
            ):  # it holds no answers
                os.ftruncate(self.descriptor, 0)
                _write_all(self.descriptor, _line(binding))
                return
            self._check(head, binding)
            for number, line in enumerate(file, start=2):
                if not line.endswith(b"\n"):
                    os.ftruncate(self.descriptor, place)
                    return
                self._take(_parsed(line), number, place)
                place += len(line)

    def _check(self, head: bytes, binding: Mapping[str, Any]) -> None:
        found = _parsed(head)
        if not head.startswith(HEAD) or not isinstance(found, dict):
            raise PredictionError(f"{self.path} is no journal of answers: move it away")
        if unlike := differences(found, json.loads(_line(binding))):
            raise ConfigError(
                f"{self.path} holds answers for other settings ({unlike}): repeat the command that began it to go on, or "
                "delete it to start anew"
            )

    def _take(self, answer: Any, number: int, place: int) -> None:
        told = answer if isinstance(answer, dict) else {}
        if not _is_answer(told):
            raise PredictionError(
                f"{self.path}: line {number} is no answer: delete the line, or the file to start anew"
            )
        self._count(told, place)

    def _count(self, answer: Mapping[str, Any], place: int) -> None:
        key = answer["qa_id"], answer["sample"]
        if key in self.places:
            raise PredictionError(f"{self.path} answers question {key[0]} twice: delete one of the lines")
        self.places[key] = place
        self.prompt_tokens += answer["prompt_tokens"] or 0
        self.completion_tokens += answer["completion_tokens"] or 0


@contextmanager
def open_journal(out: Path, binding: Mapping[str, Any]) -> Iterator[Journal]:
    """The journal of a predictions file, for this process alone; one that holds nothing is not left behind.

    Args:
        out: the predictions file.
        binding: what the answers depend on, as JSON can hold it; what was journaled under another one is not taken up.

    Raises:
        ConfigError: another process has it, or it was begun with another binding.
        PredictionError: it is damaged.
    """
    path = out.with_suffix(ENDING)
    out.parent.mkdir(parents=True, exist_ok=True)
    journal = Journal(path, _held(path, out))
    binding = {"journal": 1, **binding}
    try:
        journal.begin(binding)
        yield journal
    finally:
        if not journal.places and path.exists() and path.read_bytes() == _line(binding):
            journal.remove()
        os.close(journal.descriptor)


def _held(path: Path, out: Path) -> int:
    """A descriptor of the file, locked."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            hold(descriptor, f"another prediction is at work on {out}: wait for its end, or give another --out")
        except ConfigError:
            os.close(descriptor)
            raise
        if _lies_at(path, descriptor):
            return descriptor
        os.close(descriptor)  # who held it has just ended and removed it


def _lies_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _write_all(descriptor: int, content: bytes) -> None:
    """One write, unless the system takes less at once."""
    while content:
        content = content[os.write(descriptor, content) :]


def _line(content: Mapping[str, Any]) -> bytes:
    return json.dumps(dict(content), ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _parsed(line: bytes) -> Any:
    """What a line holds; None where it is no JSON."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _is_answer(told: Mapping[str, Any]) -> bool:
    """Whether a line can be written to a predictions file."""
    if not all(name in told and _is_of(told[name], kinds) for name, kinds in FIELDS.items()):
        return False
    if not 0 <= told["sample"] <= MAX_SAMPLE or told["text"] != storable(told["text"]):
        return False
    return all(map(_is_look, told["looks"] or ()))


def _is_look(look: Any) -> bool:
    if not isinstance(look, dict) or look.keys() != LOOK_FIELDS.keys():
        return False
    if not all(_is_of(look[name], kinds) and abs(look[name]) <= MOST_IN_A_LOOK for name, kinds in LOOK_FIELDS.items()):
        return False
    return look_from_struct(look) is not None


def _is_of(value: Any, kinds: tuple[type, ...]) -> bool:
    """JSON's true and false are no numbers."""
    return isinstance(value, kinds) and not isinstance(value, bool)
