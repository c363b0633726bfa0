"""The model that is refined: what a tuned run left, with an adapter that learns."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from drive_vqa._version import __version__
from drive_vqa.errors import ModelError
from drive_vqa.vlm import RUN_FILE, Vlm, load_run
from drive_vqa.vlm.loading import base_of_run
from drive_vqa.vlm.tuned import read_tuned
from drive_vqa.weights_digest import weights_digest
from finetune.adapter import ADAPTER, MODEL, count_trainable, prepare
from finetune.config import FinetuneConfig, LearningRates
from finetune.patch_embedding import multiply_patches
from finetune.refine.config import NO_ZOOM, RefineConfig
from finetune.zoom.answerer import tuned_zoom

LEARNING = "default"
"""The adapter that learns, by peft's name; TRL keeps a frozen copy of it as the reference."""


@dataclass(frozen=True, eq=False)
class Policy:
    """A model to refine.

    Attributes:
        vlm: with the adapter, trainable.
        tuned_run: that it is from.
        base: folder of what lies under the adapter: the base of that run, or its model after full tuning.
        recorded: run.json of that run.
        zoom: preset of closer looks; None: none.
    """

    vlm: Vlm
    tuned_run: Path
    base: Path
    recorded: Mapping[str, Any]
    zoom: str | None

    @property
    def digest(self) -> str:
        """Of the weights that it starts from."""
        adapter = self.tuned_run / ADAPTER
        return weights_digest(self.base) + (weights_digest(adapter) if adapter.is_dir() else "")

    def record(self, out: Path, config: RefineConfig, dataset_digest: str) -> dict[str, Any]:
        """run.json of the refined adapter: what prediction needs, and where it comes from."""
        own_base = str(self.recorded.get("base", ""))
        on_hub = self.recorded.get("method") != "full" and not (self.tuned_run / own_base).exists()
        return {
            **self.recorded,
            "base": own_base if on_hub else _relative(self.base, out),
            "base_digest": weights_digest(self.base),
            "code_version": __version__,
            "dataset_digest": dataset_digest,
            "method": "lora",
            "refined_from": _relative(self.tuned_run, out),
            "rewards": config.rewards,
            "zoom": self.zoom,
            "trainable_parameters": count_trainable(self.vlm.model),
        }


def load_policy(tuned_run: Path, config: RefineConfig, device: torch.device) -> Policy:
    """Load a tuned run for refining: its own adapter learns on, and a whole model gets a new one that changes nothing yet.

    Args:
        tuned_run: output folder of `drive-vqa finetune` or `refine`.
        config: adapter and seed, for a new one.
        device: where to.

    Raises:
        ConfigError: its base is gone, or the adapter's settings fit no layer.
        ModelError: the run is not complete.
    """
    tuned = read_tuned(tuned_run / RUN_FILE)
    base = tuned_run / MODEL if tuned.whole else base_of_run(tuned_run, tuned)
    vlm = load_run(tuned_run, device=str(device))
    if device.type == "cpu":
        multiply_patches(vlm.model)
    torch.manual_seed(config.seed)  # for half of a new adapter
    model = _learning(vlm.model) if isinstance(vlm.model, PeftModel) else _with_new_adapter(vlm, config, base)
    recorded = json.loads((tuned_run / RUN_FILE).read_text(encoding="utf-8"))
    tuned_zoom(tuned_run)  # refuses a record that names none
    zoom = recorded.get("zoom") if config.zoom is None else config.zoom
    return Policy(replace(vlm, model=model), tuned_run, base, recorded, None if zoom == NO_ZOOM else zoom)


def _learning(model: PeftModel) -> PeftModel:
    """An adapter that was loaded for use, trainable and in float32."""
    model.peft_config[LEARNING].inference_mode = False
    trained = [weight for name, weight in model.named_parameters() if f".{LEARNING}" in name]
    if not trained:
        raise ModelError("the adapter of the tuned run has no weights that could learn: tune it again")
    for weight in trained:
        weight.requires_grad_(True)
        weight.data = weight.data.float()
    return model


def _with_new_adapter(vlm: Vlm, config: RefineConfig, base: Path) -> PeftModel:
    rates = LearningRates(language=config.learning_rate)
    return prepare(vlm.model, vlm.family, FinetuneConfig(lora=config.lora, learning_rates=rates), base)


def _relative(folder: Path, out: Path) -> str:
    return Path(os.path.relpath(folder.resolve(), out.resolve())).as_posix()
