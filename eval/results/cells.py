"""How a metric is written in a table, of one seed and of several.

    one seed        63.1 [60.0, 66.2]      value and 95 % interval over logs
    several seeds   62.4 (61.0 to 63.1)    mean over seeds, least and greatest of them

Per cent, differences in points with their sign.
"""

from __future__ import annotations

from collections.abc import Sequence

from eval.report.inputs import Number

NOTHING = "–"


def one(number: Number | None, *, signed: bool = False) -> str:
    """A number with its interval, if it has one."""
    if number is None or number.value is None:
        return NOTHING
    value = _percent(number.value, signed)
    if number.low is None or number.high is None:
        return value
    return f"{value} [{_percent(number.low, signed)}, {_percent(number.high, signed)}]"


def pooled(numbers: Sequence[Number], *, signed: bool = False) -> str:
    """Of one seed its number; of several their mean and range."""
    values = [number.value for number in numbers if number.value is not None]
    if len(values) < 2:
        return one(numbers[0] if values else None, signed=signed)
    low, high = (_percent(end(values), signed) for end in (min, max))
    return f"{_percent(sum(values) / len(values), signed)} ({low} to {high})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table; nothing where it has no rows."""
    if not rows:
        return []
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
    return [*lines, ""]


def _percent(share: float, signed: bool) -> str:
    text = f"{100 * share:{'+' if signed else ''}.1f}"
    return text.replace("-", "\u2212") if float(text) else text.strip("+-")
