"""What the answers of a call depend on: selection, model, samples, settings and store. Answers of two bindings are not mixed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from drive_vqa.config import flatten

STORE = "store"
"""The key under which a binding holds the digest of the questions."""

LONGEST = 80
"""Of a value in a message, in characters."""


def differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs, such as "limit was 5, now none"; empty where nothing does.

    The digest of the store is named alone only: with another selection it is that of other logs.
    """
    old, new = flatten(was), flatten(now)
    unlike = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    if unlike == [STORE]:
        return "the store holds other questions now"
    return "; ".join(_difference(name, old.get(name), new.get(name)) for name in unlike if name != STORE)


def _difference(name: str, was: Any, now: Any) -> str:
    """Long values are cut to where they differ."""
    old, new = _shown(was), _shown(now)
    if max(len(old), len(new)) > LONGEST:
        same = next((place for place, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0)
        start = max(0, same - LONGEST // 4)
        old, new = (one[start : start + LONGEST] for one in (old, new))
    return f"{name.rpartition('.')[2]} was {old}, now {new}"


def _shown(value: Any) -> str:
    return "none" if value in (None, "", []) else json.dumps(value, ensure_ascii=False)
