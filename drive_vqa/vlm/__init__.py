"""A vision-language model: loading, inputs from chat messages and images, batched answers.

    family       what a family of models has of its own; the known ones are in qwen2_5_vl, qwen3_vl and idefics3
    source       a local folder, or a name on the hub
    loading      weights, tokenizer and image processor, and adapters over them; the runs of `drive-vqa finetune`
    processor    chat messages and images → token ids and tensors
    coordinates  boxes in text: pixels of the original image ↔ what the family counts in
    dialogues    prompts that several dialogues share; prefixes finds what conversations share
    sampling     how dialogues go on, every prompt read once
    model        answers
    tuned        how a tuned model has to be asked

Training and prediction both build their inputs here, so that a model is asked exactly as it was taught.
"""

from drive_vqa.vlm.adapter import ADAPTER_WEIGHTS, without_library_deprecations
from drive_vqa.vlm.dialogues import Dialogue, Prompt
from drive_vqa.vlm.families import FAMILIES
from drive_vqa.vlm.family import PARTS, Family, Images, Part
from drive_vqa.vlm.loading import load_processor, load_run, load_vlm
from drive_vqa.vlm.model import Vlm
from drive_vqa.vlm.mrope import END_OF_TURN, IMAGE_TOKEN
from drive_vqa.vlm.processor import (
    ChatProcessor,
    check_image_tokens,
    image_token_types,
    left_padded,
    padding_id,
)
from drive_vqa.vlm.sampling import Decoding, Sampled, Sampling, sample
from drive_vqa.vlm.source import TINY, family_of, model_folder
from drive_vqa.vlm.tuned import RUN_FILE, TUNED_FILE
from drive_vqa.vlm.weights import torch_device

__all__ = [
    "ADAPTER_WEIGHTS",
    "END_OF_TURN",
    "FAMILIES",
    "IMAGE_TOKEN",
    "PARTS",
    "RUN_FILE",
    "TINY",
    "TUNED_FILE",
    "ChatProcessor",
    "Decoding",
    "Dialogue",
    "Family",
    "Images",
    "Part",
    "Prompt",
    "Sampled",
    "Sampling",
    "Vlm",
    "check_image_tokens",
    "family_of",
    "image_token_types",
    "left_padded",
    "load_processor",
    "load_run",
    "load_vlm",
    "model_folder",
    "padding_id",
    "sample",
    "torch_device",
    "without_library_deprecations",
]
