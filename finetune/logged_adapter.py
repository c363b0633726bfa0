"""An adapter folder as MLflow's model format has it, so that `mlflow.transformers` and peft both load it.

    mlflow.transformers.load_model("models:/ID", return_type="components", base_model_path=BASE)["model"]
    PeftModel.from_pretrained(base_model, mlflow.artifacts.download_artifacts("models:/ID"))

The base is named by its name and digest and never copied. MLflow's own `save_model` writes the same description, but builds a
pipeline of the whole model first: that needs torchvision for image models, and puts a path of this machine into the file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import transformers
import yaml

from drive_vqa.errors import ModelError
from drive_vqa.store import replacing

FILE = "MLmodel"
ADAPTER_CONFIG = "adapter_config.json"


def write_mlmodel(adapter: Path, *, base: Path, base_digest: str) -> None:
    """Add the description to an adapter folder, for `TrackedRun.log_model`.

    Args:
        adapter: PEFT adapter folder.
        base: folder of the model under it.
        base_digest: of its weights, see drive_vqa.weights_digest.

    Raises:
        ModelError: a config of the adapter or the base cannot be read.
    """
    name = _read(adapter / ADAPTER_CONFIG, "base_model_name_or_path") or base.name
    flavor = {
        "task": "image-text-to-text",
        "instance_type": "ImageTextToTextPipeline",
        "pipeline_model_type": _model_class(base / "config.json"),
        "source_model_name": name,
        "local_base_model_path": name,  # load_model's base_model_path says where it is on the machine that loads
        "peft_adaptor": ".",
        "components": [],
        "transformers_version": transformers.__version__,
        "code": None,
    }
    content = {"flavors": {"transformers": flavor}, "metadata": {"base": name, "base_digest": base_digest}}
    with replacing(adapter / FILE) as temporary:
        temporary.write_text(yaml.safe_dump(content, sort_keys=True, allow_unicode=True), encoding="utf-8")


def _model_class(file: Path) -> str:
    names = _read(file, "architectures")
    if not isinstance(names, list) or not names or not isinstance(names[0], str):
        raise ModelError(f"{file} names no class of models: it is no config of a model")
    return names[0]


def _read(file: Path, key: str) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))[key]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{file} cannot be read or names no {key} ({error}): it is no config of a model") from error
