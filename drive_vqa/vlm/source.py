"""Where a model comes from: a local folder, or a name on the hub that the hub's own cache keeps."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from drive_vqa.errors import ConfigError, ModelError
from drive_vqa.vlm.families import FAMILIES
from drive_vqa.vlm.family import Family

TINY = "tiny"
EMBEDDED = Path(__file__).with_name("tiny_base")
"""The model that comes with this package: made by `drive-vqa finetune --recipe tiny_base --model scratch` and `merge`."""

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
WANTED_FILES = ("*.json", "*.safetensors", "*.jinja", "*.txt", "*.model")
"""No pickles and no code."""

UNUSABLE = (
    OSError,
    ValueError,
    RuntimeError,
    KeyError,
    TypeError,
    AttributeError,
    ImportError,
    SafetensorError,
    StrictDataclassError,
)
"""What the libraries raise for damaged folders."""

KNOWN = ", ".join(family.name for family in FAMILIES.values())


def model_folder(base: Path | str) -> Path:
    """The folder of a model; a folder that exists wins over a name on the hub.

    Args:
        base: a folder, `org/name`, or `tiny` for the model that comes with this package (`./tiny` is a folder).

    Raises:
        ModelError: there is no such folder, and no such model in the hub's cache or on the hub.
    """
    folder, name = Path(base), str(base)
    if base == TINY:
        return EMBEDDED
    if folder.exists() or not HUB_NAME.fullmatch(name):
        return folder
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return Path(snapshot_download(name, allow_patterns=list(WANTED_FILES)))
    except (OSError, ValueError, HfHubHTTPError, HFValidationError) as error:
        reason = one_line(error)
        raise ModelError(
            f"{name} is no folder here and cannot be had from the hub ({reason}): give a folder, or connect and log in"
        ) from error


def family_of(base: Path) -> Family:
    """The family of a model folder.

    Raises:
        ConfigError: there is no such folder.
        ModelError: it is no model folder, or of a family that is not known.
    """
    name = read_config(base).get("model_type")
    if not isinstance(name, str):
        raise ModelError(f"{base / 'config.json'} does not say what model it is: copy the checkpoint again")
    if name not in FAMILIES:
        raise ModelError(f"{base} is a model of family {name!r}; known are {KNOWN}")
    return FAMILIES[name]


def read_config(base: Path) -> Mapping[str, Any]:
    """config.json of a model folder.

    Raises:
        ConfigError: there is no such folder.
        ModelError: the file is not there or damaged.
    """
    path = base / "config.json"
    if not path.is_file():
        if not base.exists():
            raise ConfigError(
                f"{base} does not exist: give the path of a checkpoint of {KNOWN}, or its name on the hub"
            )
        raise ModelError(f"{base} is not a model folder (no config.json): give the path of a checkpoint of {KNOWN}")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} does not say what model it is: copy the checkpoint again") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path} does not say what model it is: copy the checkpoint again")
    return config


def one_line(error: Exception) -> str:
    """The message of an error of a library, short."""
    return textwrap.shorten(str(error), 300, placeholder=" …")
