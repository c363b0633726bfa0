"""A gate for models in CI: limits on the bounds of metrics, read from YAML.

    limits:
      - metric: localization.mlsr
        at_least: 0.60                       # the lower end of its interval must not be below this
      - metric: safety.dangerous_far_rate.class.*
        at_most: 0.05                        # the upper end of each must not be above this
        min_n: 100                           # fewer cases break the limit
      - metric: accuracy
        at_least: 0.5
        on: value                            # the value itself, however sure it is

A name with `*`, `?` or `[…]` stands for every metric that it matches, each with a verdict of its own. What cannot be shown to
hold breaks: a metric without a case, and one without an interval where its bound is meant. So does a name that matches no part of
a metric that is there: there was no such case. A name that matches nothing at all is a wrong gate, as is 60 where 0.60 is meant.
"""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import yaml
from pydantic import TypeAdapter, ValidationError

from drive_vqa.config import strict_config
from drive_vqa.errors import ConfigError
from eval.statistics import NOTHING

MAX_BYTES = 64 * 1024
MAX_DEPTH = 10
NEAREST = 3
SHARE = re.compile(
    r"(?:(?:baseline|control)\.\w+\.)?"
    r"(?:accuracy|coverage|localization\.|safety\.|parse\.|consistency\.|calibration\.|speed\.sr|family\.|form\.|slice\.)"
)
"""Metrics that lie in [0, 1] begin so."""

HOW = "give `limits`, a list of `metric` with `at_least` or `at_most`, and `on: value|bound` and `min_n` where wanted"


@runtime_checkable
class Measured(Protocol):
    """A metric with its interval, as `eval.statistics.Estimate`."""

    @property
    def value(self) -> float | None:
        """None where there is no case."""

    @property
    def n(self) -> int | None:
        """Cases; None where that is not known."""

    @property
    def low(self) -> float | None:
        """Lower end of the interval; None where there is none."""

    @property
    def high(self) -> float | None:
        """Upper end."""


@strict_config
@dataclass(frozen=True)
class Limit:
    """What a metric must keep to.

    Attributes:
        metric: dotted name, or a pattern of names.
        at_least: the lower bound must not be below this.
        at_most: the upper bound must not be above this.
        on: hold the bounds of the interval against it, or the value.
        min_n: cases that are needed.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    on: Literal["bound", "value"] = "bound"
    min_n: int = 1

    def __post_init__(self) -> None:
        """Check what no type tells."""
        given = [limit for limit in (self.at_least, self.at_most) if limit is not None]
        if not given or not all(map(math.isfinite, given)):
            raise ValueError(f"limit on {self.metric!r} needs a finite at_least or at_most")
        if len(given) == 2 and given[0] > given[1]:
            raise ValueError(f"limit on {self.metric!r} has an at_least above its at_most")
        if self.min_n < 1:
            raise ValueError(f"limit on {self.metric!r} has min_n {self.min_n}: give 1 or more")


@strict_config
@dataclass(frozen=True)
class Gate:
    """All limits of a file."""

    limits: tuple[Limit, ...]

    def __post_init__(self) -> None:
        """An empty gate would let everything pass."""
        if not self.limits:
            raise ValueError("limits is empty: a gate without limits lets everything pass")


@dataclass(frozen=True)
class Verdict:
    """What became of a limit on one metric.

    Attributes:
        metric: name, without patterns.
        limit: that it was held against.
        holds: whether it keeps to it.
        margin: how far the bound is on the good side of the limit, negative where it breaks; -inf where nothing can be told.
        measured: value, n and interval.
        sentence: all of this in words.
    """

    metric: str
    limit: Limit
    holds: bool
    margin: float
    measured: Measured
    sentence: str


@dataclass(frozen=True)
class GateResult:
    """The verdicts, in the order of the gate and of the metrics."""

    verdicts: tuple[Verdict, ...]

    @property
    def passed(self) -> bool:
        """Whether every limit holds."""
        return not self.broken

    @property
    def broken(self) -> tuple[Verdict, ...]:
        """The verdicts of limits that do not hold."""
        return tuple(verdict for verdict in self.verdicts if not verdict.holds)


def check_gate(metrics: Mapping[str, Measured], gate: Path) -> GateResult:
    """Hold metrics against the limits of a file.

    Args:
        metrics: by dotted name.
        gate: YAML as above.

    Raises:
        ConfigError: the file cannot be read or is no gate, or a limit names no metric.
    """
    verdicts = []
    for limit in read_gate(gate).limits:
        _refuse_per_cent(limit, gate)
        for name, measured in _matching(limit.metric, metrics, gate).items():
            verdicts.append(_verdict(name, limit, measured))
    return GateResult(tuple(verdicts))


def read_gate(path: Path) -> Gate:
    """Read and check a gate.

    Raises:
        ConfigError: it cannot be read, or is no gate.
    """
    try:
        return TypeAdapter(Gate).validate_python(_read_yaml(path))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "unexpected_keyword_argument":
            message = "unknown key"
        raise ConfigError(f"gate {path}: {f'{key}: ' if key else ''}{message}: {HOW}") from error


class _Loader(yaml.SafeLoader):
    """Plain data without Booleans: YAML 1.1 takes the word `on` for one."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as in its base
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _read_yaml(path: Path) -> Any:
    """Plain data; keys given twice, of which one would be lost, are refused."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"gate {path} is larger than {MAX_BYTES // 1024} KiB: {HOW}")
        text = path.read_text(encoding="utf-8")
        _refuse_bombs(text, path)
        node = yaml.compose(text, _Loader)
        twice = next(_keys_given_twice(node), None)
        content = None if node is None else _Loader("").construct_document(node)
    except FileNotFoundError as error:
        raise ConfigError(f"gate {path} does not exist: {HOW}") from error
    except (OSError, ValueError, LookupError, AttributeError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(f"gate {path} cannot be read: {' '.join(str(error).split()):.300}") from error
    if twice is not None:
        raise ConfigError(f"gate {path} gives the key {twice!r:.80} twice in one place: keep one")
    return content


def _refuse_bombs(text: str, path: Path) -> None:
    """A few bytes of aliases or brackets keep a reader of YAML busy for hours."""
    depth = 0
    for token in yaml.scan(text, _Loader):
        depth += isinstance(token, yaml.FlowSequenceStartToken | yaml.FlowMappingStartToken)
        depth -= isinstance(token, yaml.FlowSequenceEndToken | yaml.FlowMappingEndToken)
        if isinstance(token, yaml.AliasToken):
            raise ConfigError(f"gate {path} has YAML aliases (*name): write limits out, and put names with * in quotes")
        if depth > MAX_DEPTH:
            raise ConfigError(f"gate {path} nests brackets more than {MAX_DEPTH} deep: {HOW}")


def _keys_given_twice(node: yaml.Node | None) -> Iterator[str]:
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        yield from (key for key, times in Counter(keys).items() if times > 1)
        for _, value in node.value:
            yield from _keys_given_twice(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _keys_given_twice(value)


def _refuse_per_cent(limit: Limit, gate: Path) -> None:
    for bound in (limit.at_least, limit.at_most):
        if bound is not None and abs(bound) > 1 and SHARE.match(limit.metric):
            raise ConfigError(f"gate {gate}: {limit.metric} is a share, and {bound:g} is none: give 0.6 for 60 %")


def _matching(pattern: str, metrics: Mapping[str, Measured], gate: Path) -> dict[str, Measured]:
    if pattern in metrics:
        return {pattern: metrics[pattern]}
    found = {name: measured for name, measured in metrics.items() if fnmatchcase(name, pattern)}
    whole = pattern.rsplit(".", 2)[0]
    if not found and whole in metrics:
        return {pattern: NOTHING}
    if not found:
        near = difflib.get_close_matches(pattern, metrics, NEAREST, cutoff=0.0)
        raise ConfigError(f"gate {gate}: no metric is called {pattern!r}; the nearest are {', '.join(near) or 'none'}")
    return found


def _verdict(name: str, limit: Limit, measured: Measured) -> Verdict:
    def broken(why: str) -> Verdict:
        return Verdict(name, limit, False, -math.inf, measured, f"{name} {why}.")

    if measured.value is None or not measured.n:
        return broken("has no case")
    if measured.n < limit.min_n:
        return broken(f"is {in_words(measured)}: fewer than {limit.min_n:,} cases")
    low, high = (measured.low, measured.high) if limit.on == "bound" else (measured.value, measured.value)
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return broken(f"is {in_words(measured)}: without an interval its bound cannot be held against a limit")
    sides = []
    if limit.at_least is not None:
        sides.append((low - limit.at_least, "lower bound", low, "at least", limit.at_least))
    if limit.at_most is not None:
        sides.append((limit.at_most - high, "upper bound", high, "at most", limit.at_most))
    margin, bound, end, relation, asked = min(sides)
    subject = f"its {bound} {_number(end)}" if limit.on == "bound" else "it"
    verb = "is" if margin >= 0 else "is not"
    sentence = f"{name} is {in_words(measured)}: {subject} {verb} {relation} {asked:g}."
    return Verdict(name, limit, margin >= 0, margin, measured, sentence)


def in_words(measured: Measured) -> str:
    """Value, interval and n: "0.523 [0.48, 0.566] (n = 1,636)"."""
    if measured.value is None:
        return "without a case"
    ends = (measured.low, measured.high)
    interval = "" if None in ends else f" [{', '.join(_number(end) for end in ends if end is not None)}]"
    n = "unknown" if measured.n is None else f"{measured.n:,}"
    return f"{_number(measured.value)}{interval} (n = {n})"


def _number(value: float) -> str:
    """Four digits, of what is nearly nothing fewer."""
    return f"{value:.4g}" if abs(value) >= 1e-3 else f"{value:.4f}".rstrip("0").rstrip(".")
