"""An adapter and its base as one ordinary checkpoint, proved to answer as the two did.

    OUT/config.json, model*.safetensors, generation_config.json     loadable by transformers and vLLM
    OUT/tokenizer…, preprocessor_config.json, chat template         as in the base
    OUT/README.md                                                   what it is and how to ask it
    OUT/drive_vqa.json                                              what it was tuned on, and the size of its images

Weights are added in float32 and rounded once. The saved folder is then loaded again, and must give the logits of base and adapter
on a probe. Memory: 4 bytes for each parameter, 33 GB for a model of 8 billion.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from peft import PeftModel
from PIL import Image
from transformers import AutoConfig

from drive_vqa.errors import ConfigError, ModelError
from drive_vqa.store import write_json
from drive_vqa.vlm import (
    RUN_FILE,
    TUNED_FILE,
    Vlm,
    left_padded,
    load_run,
    load_vlm,
    model_folder,
    without_library_deprecations,
)
from finetune.adapter import MODEL, replacing_folder
from finetune.model_card import CARD, model_card

logger = logging.getLogger(__name__)

Dtype = Literal["auto", "bf16", "fp16", "fp32"]
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}

TOLERANCES = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Largest allowed difference of logits, as a share of their spread: what rounding all weights to so many digits adds up to."""

PROCESSOR_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.json",
    "chat_template.jinja",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "processor_config.json",
    "LICENSE",
    "NOTICE",
)
"""Tuning changes none of them, so they are copied as they are: other programs read more of them than this one."""

DEFAULT_SIZE_PX = (532, 336)
PROBE_QUESTION = "How far away is Region 1?"


@dataclass(frozen=True)
class Sources:
    """What is merged.

    Attributes:
        run: the run folder.
        record: its run.json.
        base: folder of the base, or of the model itself after full tuning.
        processor: folders to take files of the processor from, the first that has one.
    """

    run: Path
    record: Mapping[str, Any]
    base: Path
    processor: tuple[Path, ...]


@dataclass(frozen=True)
class Check:
    """How much merging changed the logits of the probe, as shares of their spread.

    Attributes:
        difference: between base with adapter and the merged folder.
        effect: between base and base with adapter; None after full tuning.
    """

    difference: float
    effect: float | None


def merge(
    run: Path, out: Path, *, base: Path | str | None = None, dtype: Dtype = "auto", device: str | None = None
) -> Path:
    """Write the merged checkpoint.

    Args:
        run: what `drive-vqa finetune` left: run.json with adapter/, or with model/ after full tuning.
        out: new folder; it appears only when complete and checked.
        base: the base model in full precision, where it is no longer where run.json says; a folder or a name on the hub.
        dtype: of the saved weights; auto: the base's own.
        device: where the probe is computed; default: the CPU.

    Returns:
        `out`.

    Raises:
        ConfigError: `out` exists.
        ModelError: the run is not complete; its base is gone, another one or stored in 4 bits; or the merged model answers
            differently.
    """
    if out.exists():
        raise ConfigError(f"{out} exists already: give --out a new folder")
    sources = _sources(run, base)
    saved_dtype = DTYPES[dtype] if dtype != "auto" else stored_dtype(sources.base)
    vlm = load_run(run, sources.base, "cpu")
    vlm.model.to(device or "cpu")
    size_px = _size_px(sources.record)
    before, effect = _logits_and_effect(vlm, size_px)
    whole = _merged(vlm.model).to(device="cpu", dtype=saved_dtype)
    # greedy, as `drive-vqa predict`: a base's own settings, such as a penalty on repeating, would change numbers
    whole.generation_config = vlm.generation_config()
    with replacing_folder(out) as partial:
        whole.save_pretrained(str(partial))
        del whole, vlm  # two of them may not fit
        _copy_processor(sources, partial)
        check = Check(_difference(before, _reloaded_logits(partial, size_px, device)), effect)
        _judge(check, saved_dtype, out)
        _describe(sources, saved_dtype, check, partial, out.name)
    return out


def stored_dtype(base: Path) -> torch.dtype:
    """The type of the weights of a model folder, as its config tells it; float32 where it does not."""
    known = AutoConfig.from_pretrained(str(base), local_files_only=True, trust_remote_code=False).dtype
    return known if known in TOLERANCES else torch.float32


def _sources(run: Path, base: Path | str | None) -> Sources:
    record = _read_record(run)
    folder = run / str(record["base"]) if base is None else model_folder(base)
    if record.get("method") == "full":
        return Sources(run, record, run / MODEL, (folder, run / MODEL))
    if not (folder / "config.json").is_file():
        raise ModelError(f"the base of {run} is not at {folder}: give its place with --model")
    _check_precision(folder)
    return Sources(run, record, folder, (folder,))


def _read_record(run: Path) -> Mapping[str, Any]:
    path = run / RUN_FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        _size_px(record), str(record["base"])
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ModelError(
            f"{path} is missing or damaged: give the folder that `drive-vqa finetune --out` has finished"
        ) from error
    return dict(record)


def _size_px(record: Mapping[str, Any]) -> tuple[int, int]:
    size = record["image_size_px"]
    return DEFAULT_SIZE_PX if size is None else (int(size[0]), int(size[1]))


def _check_precision(base: Path) -> None:
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    if config.get("quantization_config"):
        raise ModelError(
            f"{base} is stored in few bits, where an adapter cannot be added without loss: give the checkpoint in full "
            "precision that it was made from, with --model"
        )


def _logits_and_effect(vlm: Vlm, size_px: tuple[int, int]) -> tuple[Float[torch.Tensor, "tokens words"], float | None]:
    """Logits of the probe, and how much the adapter has moved them."""
    before = probe_logits(vlm, size_px)
    if not isinstance(vlm.model, PeftModel):
        return before, None
    with vlm.model.disable_adapter():
        return before, _difference(before, probe_logits(vlm, size_px))


def probe_logits(vlm: Vlm, size_px: tuple[int, int]) -> Float[torch.Tensor, "tokens words"]:
    """Logits at every token of a question about a picture of noise, in float32 on the CPU."""
    noise = np.random.default_rng(0).integers(0, 256, (size_px[1], size_px[0], 3), dtype=np.uint8)
    images = vlm.processor.images([Image.fromarray(noise)])
    content = [{"type": "text", "text": "Now:"}, {"type": "image"}, {"type": "text", "text": PROBE_QUESTION}]
    prompt = vlm.processor.prompt_ids([{"role": "user", "content": content}], images)
    batch = left_padded([prompt], [images], vlm.processor)
    place = next(vlm.model.parameters()).device
    with torch.inference_mode():
        logits = vlm.model(**{name: value.to(place) for name, value in batch.items()}).logits
    return logits[0].float().cpu()  # type: ignore[no-any-return]


def _difference(one: Float[torch.Tensor, "tokens words"], other: Float[torch.Tensor, "tokens words"]) -> float:
    """Root mean square of what changed, over the spread of the logits.

    What is added to the logits of all words alike changes no answer, so it is left out.
    """
    centred = [logits - logits.mean(dim=1, keepdim=True) for logits in (one, other)]
    return float((centred[0] - centred[1]).square().mean().sqrt() / centred[0].square().mean().sqrt())


def _merged(model: Any) -> Any:
    if not isinstance(model, PeftModel):
        return model
    with without_library_deprecations():
        return model.merge_and_unload(safe_merge=True)


def _copy_processor(sources: Sources, partial: Path) -> None:
    for name in PROCESSOR_FILES:
        found = next((folder / name for folder in sources.processor if (folder / name).is_file()), None)
        if found is not None:
            shutil.copyfile(found, partial / name)


def _reloaded_logits(folder: Path, size_px: tuple[int, int], device: str | None) -> Float[torch.Tensor, "tokens words"]:
    vlm = load_vlm(folder, None, "cpu")
    vlm.model.to(device or "cpu")
    return probe_logits(vlm, size_px)


def _judge(check: Check, dtype: torch.dtype, out: Path) -> None:
    if not check.difference <= TOLERANCES[dtype]:  # NaN too
        raise ModelError(
            f"the merged model answers differently: its logits moved by {check.difference:.2g} of their spread, allowed are "
            f"{TOLERANCES[dtype]:g} in {name_of(dtype)}; {out} was not written: try --dtype fp32"
        )
    if check.effect is not None and check.difference > 0.5 * check.effect:
        logger.warning(
            "rounding to %s moved the logits by %.2g of their spread, and the whole adapter by %.2g: part of what was learned is "
            "lost, try --dtype fp32",
            name_of(dtype),
            check.difference,
            check.effect,
        )
    logger.info("merged logits differ by %.2g of their spread", check.difference)


def name_of(dtype: torch.dtype) -> str:
    """As settings call it."""
    return next(name for name, known in DTYPES.items() if known == dtype)


def _describe(sources: Sources, dtype: torch.dtype, check: Check, partial: Path, name: str) -> None:
    """The card, and the record that prediction reads the size of images from."""
    kept = ("code_version", "dataset_digest", "image_size_px", "method", "questions", "regions", "answers", "dialect")
    record = {key: sources.record[key] for key in kept if key in sources.record}
    record |= {
        "base_name": Path(sources.record["base"]).name,
        "dtype": name_of(dtype),
        "merge_difference": check.difference,
    }
    write_json(partial / TUNED_FILE, record)
    (partial / CARD).write_text(model_card(name, record, _size_px(sources.record)), encoding="utf-8")
