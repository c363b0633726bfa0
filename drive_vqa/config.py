"""Typed settings: a frozen dataclass with defaults, a YAML file over it, dotted overrides over that.

Unknown keys and wrong types are errors that name the key and what is allowed. A dataclass holds the defaults, so that the
resolved config can always be written beside an output in full.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from drive_vqa.errors import ConfigError
from drive_vqa.store import replacing

Config = TypeVar("Config")
strict_config = with_config(ConfigDict(extra="forbid", strict=False))
"""Decorator for config dataclasses, nested ones included: refuses unknown keys."""


def load_config(kind: type[Config], file: Path | None = None, overrides: Iterable[str] = ()) -> Config:
    """Build a config.

    Args:
        kind: a frozen dataclass decorated with `strict_config`, every field with a default.
        file: YAML mapping; plain data only, no tags.
        overrides: `key.sub=value`, the value in YAML syntax.

    Raises:
        ConfigError: file unreadable, unknown key, wrong type, or a check of the dataclass failed.
    """
    content, overrides = _read_yaml(file) if file else {}, list(overrides)
    for override in overrides:
        _apply(content, override)
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        raise ConfigError(_explain(error, kind, file, overrides)) from error


def load_recipe(kind: type[Config], folder: Path, recipe: str, overrides: Iterable[str] = ()) -> Config:
    """A config by the name of a recipe, or by the path of a YAML file.

    Args:
        kind: see `load_config`.
        folder: of the recipes that have names.
        recipe: name or path.
        overrides: see `load_config`.

    Raises:
        ConfigError: there is no such recipe, or a setting is wrong.
    """
    named = folder / f"{recipe}.yaml"
    file = named if named.is_file() else Path(recipe)
    if not file.is_file():
        names = ", ".join(sorted(path.stem for path in folder.glob("*.yaml")))
        raise ConfigError(f"there is no recipe {recipe!r}: give a YAML file or one of {names}")
    return load_config(kind, file, overrides)


def to_dict(config: Any) -> dict[str, Any]:
    """A resolved config as plain JSON-ready data."""
    data: dict[str, Any] = TypeAdapter(type(config)).dump_python(config, mode="json")
    return data


def save_config(config: Any, path: Path) -> None:
    """Write the resolved config as YAML, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True), encoding="utf-8")


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as dotted keys, for MLflow parameters."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        flat.update(flatten(value, f"{name}.") if isinstance(value, Mapping) else {name: value})
    return flat


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"config {file} cannot be read: {' '.join(str(error).split())}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"config {file} must be a mapping of keys to values, got {type(content).__name__}")
    return content


def _apply(content: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"override {override!r} must have the form key.sub=value")
    *parents, last = key.split(".")
    for parent in parents:
        content = content.setdefault(parent, {})
        if not isinstance(content, dict):
            raise ConfigError(f"override {override!r}: {parent!r} is a single value, not a group of settings")
    try:
        content[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"override {override!r}: the value is not valid YAML") from error


def _explain(error: ValidationError, kind: type[Any], file: Path | None, overrides: Sequence[str]) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    where = _source(key, file, overrides)
    if first["type"] == "unexpected_keyword_argument":
        return f"{where}: unknown key {key!r}; allowed here: {', '.join(_siblings(kind, first['loc'][:-1]))}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {key}: {message} (got {first['input']!r:.80})" if key else f"{where}: {message}"


def _source(key: str, file: Path | None, overrides: Sequence[str]) -> str:
    """Where a setting or a group of settings was given; all of them where `key` is empty."""
    written = f"config {file}" if file else "config"
    keys = {override: override.partition("=")[0] for override in overrides}
    exact = [override for override, given in keys.items() if f"{key}.".startswith(f"{given}.")]
    if exact:
        return f"override {exact[-1]!r}"
    inside = [override for override, given in keys.items() if not key or given.startswith(f"{key}.")]
    return f"{written} with {' '.join(inside)}" if inside else written


def _siblings(kind: type[Any], parents: tuple[int | str, ...]) -> list[str]:
    import typing

    for parent in parents:
        kind = typing.get_type_hints(kind)[str(parent)]
    return [field.name for field in dataclasses.fields(kind)]
