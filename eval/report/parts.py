"""Data inside of a page, in parts that a browser unpacks one at a time, so that a page of 100,000 records opens at once.

A part is JSON, packed with gzip, in base64, in a `<script>` element of a type that browsers do not run; `parts.js` reads it by
its id. A list of records is one part for each 5,000 of them:

    {"fields": ["question", "truth"], "rows": [["How far is Region 0?", "12.0 meters"], …]}

Nothing in base64 can end the element, so that no content needs to be escaped. The same content gives the same bytes.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

ROWS_OF_PART = 5_000
LEVEL = 6


@dataclass(frozen=True)
class Part:
    """A piece of data by the id of its element."""

    name: str
    packed: str


def pack(name: str, content: object) -> Part:
    """One part.

    Args:
        name: id of the element; unique on the page.
        content: what JSON can hold; numbers must be finite.
    """
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    packed = gzip.compress(text.encode("utf-8", errors="backslashreplace"), LEVEL, mtime=0)
    return Part(name, base64.b64encode(packed).decode("ascii"))


def pack_rows(name: str, fields: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[Part]:
    """Records in parts `NAME-0`, `NAME-1` …, each of `ROWS_OF_PART` rows but the last.

    Args:
        name: prefix of the ids.
        fields: names of the values of a row.
        rows: taken one part at a time, so that they need not all be held at once.
    """
    left = iter(rows)
    for number in count():
        some = list(islice(left, ROWS_OF_PART))
        if not some:
            return
        yield pack(f"{name}-{number}", {"fields": list(fields), "rows": some})
