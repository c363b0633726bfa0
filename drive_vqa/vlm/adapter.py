"""A trained adapter over a model: refused where it was trained on another one, which the library would pass over."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from drive_vqa.errors import ModelError
from drive_vqa.vlm.source import UNUSABLE, one_line

ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"


@contextmanager
def without_library_deprecations() -> Iterator[None]:
    """Silence what peft is told by transformers about its own code: no user of ours can mend that."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        yield


def with_adapter(model: PreTrainedModel, adapter: Path, base: Path) -> Any:
    """The model with an adapter over it, which is not trainable.

    Args:
        model: as loaded.
        adapter: PEFT adapter folder.
        base: folder of the model.

    Raises:
        ModelError: the adapter is not finished, damaged, or of another base: weights are over, missing or of another shape.
    """
    from peft import PeftModel

    if not (adapter / ADAPTER_CONFIG).is_file() or not (adapter / ADAPTER_WEIGHTS).is_file():
        raise ModelError(f"{adapter} is not a finished adapter (it needs {ADAPTER_CONFIG} and {ADAPTER_WEIGHTS})")
    with without_library_deprecations():
        try:
            warnings.filterwarnings("ignore", message="Found missing adapter keys", category=UserWarning)
            adapted = PeftModel.from_pretrained(model, str(adapter))
        except UNUSABLE as error:
            raise ModelError(_misfit(adapter, base, one_line(error))) from error
    unlike = _unlike(adapted, adapter)
    if unlike:
        raise ModelError(_misfit(adapter, base, unlike))
    return adapted


def _unlike(adapted: Any, adapter: Path) -> str:
    """What an adapter's file and the model it was put on do not share; empty where they go together."""
    from peft import get_peft_model_state_dict
    from safetensors import safe_open

    with safe_open(str(adapter / ADAPTER_WEIGHTS), framework="pt") as file:
        told = set(file.keys())
    taken = set(get_peft_model_state_dict(adapted, save_embedding_layers=False))
    lone, empty = sorted(told - taken), sorted(taken - told)
    if lone:
        return f"{len(lone)} of its weights have no place, the first is {lone[0]}"
    return f"it lacks {len(empty)} weights, the first is {empty[0]}" if empty else ""


def _misfit(adapter: Path, base: Path, reason: str) -> str:
    """One sentence that names both models."""
    try:
        recorded = json.loads((adapter / ADAPTER_CONFIG).read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError):
        recorded = None
    trained_on = f" was trained on {recorded!r} and" if isinstance(recorded, str) and recorded else ""
    return f"adapter {adapter}{trained_on} does not fit its base model {base} ({reason}): give the model that it was trained on"
