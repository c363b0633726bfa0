"""Parameters of a request: known names, each once, short, and whole numbers within bounds; anything else is refused."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from drive_vqa.errors import ConfigError

LONGEST = 300
"""Characters of one value; names of logs and cameras and what is searched for are shorter."""

MOST = 24
WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Parameters:
    """What a request asks for, by name."""

    values: Mapping[str, str]

    @classmethod
    def parse(cls, query: str, known: Collection[str]) -> Parameters:
        """Read the query of an address.

        Raises:
            ConfigError: a name is unknown or stands twice, a value is too long, or the query is malformed.
        """
        try:
            pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=MOST)
        except ValueError as error:
            raise ConfigError(f"the query cannot be read ({error}): write name=value&name=value") from error
        for name, value in pairs:
            if name not in known:
                raise ConfigError(f"unknown parameter {name[:40]!r}: known are {', '.join(sorted(known)) or 'none'}")
            if len(value) > LONGEST or "\0" in value:
                raise ConfigError(f"the value of {name!r} is not usable: give at most {LONGEST} characters")
        if len(dict(pairs)) < len(pairs):
            raise ConfigError("a parameter stands twice: give each once")
        return cls(dict(pairs))

    def text(self, name: str) -> str:
        """A text; empty where it is not given."""
        return self.values.get(name, "")

    def needed(self, name: str) -> str:
        """A text that must be given.

        Raises:
            ConfigError: it is not.
        """
        if not self.text(name):
            raise ConfigError(f"parameter {name!r} is missing: give it")
        return self.text(name)

    def number(self, name: str, below: int, default: int | None = None) -> int:
        """A whole number from 0 up to, not including, `below`.

        Raises:
            ConfigError: it is none, or is missing without a default.
        """
        if default is not None and not self.text(name):
            return default
        text = self.needed(name)
        if not WHOLE_NUMBER.fullmatch(text) or int(text) >= below:
            raise ConfigError(f"{name}={text[:40]} is not usable: give a whole number from 0 to {below - 1}")
        return int(text)
