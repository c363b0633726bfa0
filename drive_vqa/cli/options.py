"""Options that several commands share, and the values that they take."""

from __future__ import annotations

import argparse
from pathlib import Path

Commands = argparse._SubParsersAction


def new_command(commands: Commands[argparse.ArgumentParser], name: str, summary: str) -> argparse.ArgumentParser:
    """A command with its line of help."""
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=f"{summary[0].upper()}{summary[1:]}."
    )
    return command


def add_workers(command: argparse.ArgumentParser) -> None:
    """How many processes."""
    command.add_argument("--workers", type=positive, metavar="N", help="processes (default: the number of cores)")


def add_config(command: argparse.ArgumentParser) -> None:
    """Settings from a file and from the command line."""
    command.add_argument("--config", type=Path, metavar="FILE", help="YAML settings")
    take_overrides(command)


def take_overrides(command: argparse.ArgumentParser) -> None:
    """Settings may stand anywhere after the command, which argparse alone cannot do: see `parse`."""
    command.usage = f"{command.format_usage().removeprefix('usage: ').rstrip()} [key.sub=value ...]"
    command.set_defaults(overrides=[])


def add_device(command: argparse.ArgumentParser) -> None:
    """Where a model computes."""
    command.add_argument("--device", metavar="cpu|cuda", help="default: cuda where there is one")


def add_tracking(command: argparse.ArgumentParser) -> None:
    """Where MLflow keeps the run."""
    command.add_argument("--tracking-uri", metavar="URI", help="MLflow store (default: sqlite in the output folder)")


def pixels(text: str) -> tuple[int, int]:
    """A size such as 532x336: width and height in pixels."""
    width, _, height = text.partition("x")
    return positive(width), positive(height)


def shares(text: str) -> dict[str, float]:
    """Shares by name such as sun=2,night=1, scaled to add up to 1."""
    pairs = [part.partition("=") for part in text.split(",")]
    amounts = {name.strip(): at_least_zero(amount) for name, _, amount in pairs}
    total = sum(amounts.values())
    if total <= 0 or len(amounts) < len(pairs):
        raise argparse.ArgumentTypeError(f"{text} must name each once and give one of them more than 0")
    return {name: amount / total for name, amount in amounts.items()}


def above_zero(text: str) -> float:
    """A finite number above 0."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} must be a finite number above 0")
    return number


def at_least_zero(text: str) -> float:
    """A finite number of at least 0."""
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} must be a finite number of at least 0")
    return number


def natural(text: str) -> int:
    """A whole number of at least 0."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} must be at least 0")
    return number


def naturals(text: str) -> tuple[int, ...]:
    """Whole numbers of at least 0, with commas between them."""
    return tuple(natural(one) for one in text.split(","))


def positive(text: str) -> int:
    """A whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} must be at least 1")
    return number


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them."""
    return tuple(name for name in text.split(",") if name)


def named_file(text: str) -> tuple[str, Path]:
    """A file with a name, as NAME=FILE."""
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"{text} must be NAME=FILE")
    return name, Path(path)
