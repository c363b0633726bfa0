"""A local Qwen2.5-VL: loading, inputs from chat messages and images, batched greedy answers.

Training and prediction both build their inputs here, so that a model is asked exactly as it was taught. Weights come from
local safetensors files only and no code of a model folder is ever run. The image processor is the one that needs no
torchvision; placeholders are expanded here, because the library's combined processor insists on a video processor.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from PIL import Image
from transformers import (
    AutoTokenizer,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen2_5_VLForConditionalGeneration,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.utils import logging as transformers_logging

from drive_vqa.errors import ModelError
from drive_vqa.prompt import Message

MODEL_TYPE = "qwen2_5_vl"
IMAGE_TOKEN = "<|image_pad|>"  # noqa: S105 - a token of text
END_OF_TURN = "<|im_end|>"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
RUN_FILE = "run.json"


@dataclass(frozen=True, eq=False)
class Images:
    """Processed images of one sample."""

    pixel_values: Float[torch.Tensor, "patches channels"]
    grid_thw: Int[torch.Tensor, "images 3"]

    def token_counts(self, merge_size: int) -> list[int]:
        """Language-model tokens that each image fills."""
        return [int(count) // merge_size**2 for count in self.grid_thw.prod(dim=1)]


@dataclass(frozen=True, eq=False)
class ChatProcessor:
    """Turns chat messages into token ids and images into patches."""

    tokenizer: PreTrainedTokenizerBase
    image_processor: Qwen2VLImageProcessorPil

    @property
    def image_token_id(self) -> int:
        """The placeholder that image features replace."""
        return self._id(IMAGE_TOKEN)

    @property
    def merge_size(self) -> int:
        """Patches along a side of the square that becomes one language token."""
        return int(self.image_processor.merge_size)

    @property
    def end_id(self) -> int:
        """The token that ends an answer."""
        return self._id(END_OF_TURN)

    def images(self, images: Sequence[Image.Image]) -> Images:
        """Patches and grids of the images of one sample.

        Raises:
            ModelError: there is no image; every question of this project is about one.
        """
        if not images:
            raise ModelError(
                "a question came without an image: its group has no context frames, generate the store again"
            )
        features = self.image_processor(images=list(images), return_tensors="pt")
        return Images(features["pixel_values"], features["image_grid_thw"])

    def prompt_ids(self, messages: Sequence[Message], images: Images) -> list[int]:
        """Token ids of a conversation up to where the assistant starts to answer, image placeholders expanded.

        Raises:
            ModelError: the text does not have one placeholder for each image.
        """
        text = self._render(messages, open_answer=True)
        counts = images.token_counts(self.merge_size)
        ids = self._tokenize(text)
        if ids.count(self.image_token_id) != len(counts):
            found = ids.count(self.image_token_id)
            raise ModelError(
                f"{found} image placeholders for {len(counts)} images in the prompt that ends {text[-80:]!r}"
            )
        remaining = iter(counts)
        return [one for token in ids for one in [token] * (next(remaining) if token == self.image_token_id else 1)]

    def answer_ids(self, answer: str) -> list[int]:
        """Token ids of an answer and of the end of its turn: all that carries loss."""
        return [*self._tokenize(answer), self.end_id]

    def save(self, folder: Path) -> None:
        """Write the tokenizer and the image processor into a model folder."""
        self.tokenizer.save_pretrained(str(folder))
        self.image_processor.save_pretrained(str(folder))

    def _render(self, messages: Sequence[Message], *, open_answer: bool) -> str:
        rendered = self.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=open_answer)
        return cast(str, rendered)

    def _tokenize(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _id(self, token: str) -> int:
        return int(self.tokenizer.convert_tokens_to_ids(token))


@dataclass(frozen=True, eq=False)
class Vlm:
    """A model with its processor, ready to answer.

    Attributes:
        model: with the adapter, where there is one; in evaluation mode after loading.
        image_size_px: (width, height) that the model was tuned on; None for an untuned model.
    """

    model: Any
    processor: ChatProcessor
    image_size_px: tuple[int, int] | None = None

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return cast(torch.device, next(self.model.parameters()).device)

    def generate(
        self,
        messages_list: Sequence[Sequence[Message]],
        images_list: Sequence[Sequence[Image.Image]],
        max_new_tokens: int = 64,
    ) -> list[str]:
        """Greedy answers, batched with padding on the left.

        Args:
            messages_list: one conversation a question, ending with the user's turn.
            images_list: the images of each, in the order of their placeholders.
            max_new_tokens: longest answer.

        Raises:
            ModelError: placeholders and images do not match.
        """
        if len(messages_list) != len(images_list):
            raise ModelError(f"{len(messages_list)} conversations came with the images of {len(images_list)}")
        if not messages_list:
            return []
        processed = {
            id(some): self.processor.images(some) for some in images_list
        }  # a group's questions share its frames
        images = [processed[id(some)] for some in images_list]
        prompts = [self.processor.prompt_ids(*pair) for pair in zip(messages_list, images, strict=True)]
        inputs = {key: value.to(self.device) for key, value in left_padded(prompts, images, self.processor).items()}
        config = self._generation_config(max_new_tokens)
        with torch.inference_mode():
            output = self.model.generate(**inputs, generation_config=config)
        answers = output[:, inputs["input_ids"].shape[1] :]
        return [text.strip() for text in self.processor.tokenizer.batch_decode(answers, skip_special_tokens=True)]

    def _generation_config(self, max_new_tokens: int) -> GenerationConfig:
        """Greedy; tokens that stand for pictures or turns are never an answer, and only the end of a turn ends one."""
        end_id = self.processor.end_id
        added = self.processor.tokenizer.added_tokens_decoder
        suppressed = sorted(token_id for token_id, token in added.items() if token.special and token_id != end_id)
        return GenerationConfig(
            max_new_tokens=max_new_tokens,
            do_sample=False,
            eos_token_id=end_id,
            pad_token_id=padding_id(self.processor),
            suppress_tokens=suppressed,
        )


def load_vlm(base: Path, adapter: Path | None = None, device: str | None = None) -> Vlm:
    """Load a model folder, with an adapter folder over it where given.

    Args:
        base: local Qwen2.5-VL checkpoint: config.json, safetensors weights, tokenizer and preprocessor_config.json.
        adapter: PEFT adapter folder.
        device: torch device; default: CUDA (in bfloat16) where there is one, else the CPU (in float32).

    Raises:
        ModelError: a folder is missing, of another family, incomplete, or the adapter is of another base.
    """
    _check_family(base)
    place = _device(device)
    processor = load_processor(base)
    model: Any = _load_weights(base, torch.bfloat16 if place.type == "cuda" else torch.float32)
    if adapter is not None:
        model = _with_adapter(model, adapter)
    return Vlm(model.to(place).eval(), processor)


def load_run(run: Path, base: Path | None = None, device: str | None = None) -> Vlm:
    """Load what `drive-vqa finetune` left in its output folder.

    Args:
        run: holds run.json and adapter/.
        base: the base model, where it is no longer where run.json says.
        device: as for `load_vlm`.

    Raises:
        ModelError: the run is not complete, or its base is gone.
    """
    record = run / RUN_FILE
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        recorded, size = str(content["base"]), content["image_size_px"]
        image_size_px = None if size is None else (int(size[0]), int(size[1]))
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ModelError(
            f"{record} is missing or damaged: give the folder that `drive-vqa finetune --out` has finished"
        ) from error
    vlm = load_vlm((run / recorded) if base is None else base, run / "adapter", device)
    return Vlm(vlm.model, vlm.processor, image_size_px)


def load_processor(base: Path) -> ChatProcessor:
    """The tokenizer and image processor of a model folder.

    Raises:
        ModelError: they are absent, or do not know the tokens of the family.
    """
    if not ((base / "tokenizer.json").is_file() or (base / "vocab.json").is_file()):
        raise ModelError(f"{base} has no tokenizer.json: copy the whole checkpoint")
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(base), local_files_only=True, trust_remote_code=False)
        image_processor = Qwen2VLImageProcessorPil.from_pretrained(str(base), local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{base} has no usable tokenizer and preprocessor_config.json ({_one_line(error)}): copy the whole checkpoint"
        raise ModelError(message) from error
    known = tokenizer.get_vocab()
    missing = [token for token in (IMAGE_TOKEN, END_OF_TURN) if token not in known]
    if missing or tokenizer.chat_template is None:
        what = f"token {missing[0]}" if missing else "chat template"
        raise ModelError(f"the tokenizer of {base} has no {what}: use an instruct checkpoint of Qwen2.5-VL")
    return ChatProcessor(tokenizer, image_processor)


def left_padded(
    prompts: Sequence[Sequence[int]], images: Sequence[Images], processor: ChatProcessor
) -> dict[str, torch.Tensor]:
    """A batch for generation: every prompt ends at the right edge."""
    longest = max(len(prompt) for prompt in prompts)
    padding = padding_id(processor)
    input_ids = torch.tensor([[padding] * (longest - len(prompt)) + list(prompt) for prompt in prompts])
    attention_mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    return {
        "input_ids": input_ids,
        "attention_mask": attention_mask,
        "mm_token_type_ids": image_token_types(input_ids, processor),
        "pixel_values": torch.cat([some.pixel_values for some in images]),
        "image_grid_thw": torch.cat([some.grid_thw for some in images]),
    }


def image_token_types(input_ids: Int[torch.Tensor, "..."], processor: ChatProcessor) -> Int[torch.Tensor, "..."]:
    """1 where a token is an image's, else 0; the model numbers its positions by it."""
    return (input_ids == processor.image_token_id).int()


def padding_id(processor: ChatProcessor) -> int:
    """The token that fills short rows; masked everywhere."""
    padding = processor.tokenizer.pad_token_id
    return processor.end_id if padding is None else int(padding)


def check_image_tokens(input_ids: Int[torch.Tensor, "..."], images: Images, processor: ChatProcessor) -> None:
    """Refuse a sequence in which images were cut or doubled.

    Raises:
        ModelError: placeholders and image features are not equal in number.
    """
    placeholders = int((input_ids == processor.image_token_id).sum())
    features = sum(images.token_counts(processor.merge_size))
    if placeholders != features:
        raise ModelError(
            f"a sequence has {placeholders} image placeholders for {features} image features: it was cut or doubled"
        )


@contextmanager
def without_library_deprecations() -> Iterator[None]:
    """Silence what peft is told by transformers about its own code: no user of ours can mend that."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        yield


def _check_family(base: Path) -> None:
    path = base / "config.json"
    if not path.is_file():
        raise ModelError(
            f"{base} is not a model folder (no config.json): give the path of a local Qwen2.5-VL checkpoint"
        )
    try:
        config: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        family = config["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} does not say what model it is: copy the checkpoint again") from error
    if family != MODEL_TYPE:
        raise ModelError(f"{base} is a model of family {family!r}; only {MODEL_TYPE!r} (Qwen2.5-VL) is known")


def _load_weights(base: Path, dtype: torch.dtype) -> PreTrainedModel:
    """The model in evaluation mode; missing weights are an error, since the library would fill them at random."""
    transformers_logging.disable_progress_bar()  # loading takes a moment and would bury our own lines
    try:
        model, report = Qwen2_5_VLForConditionalGeneration.from_pretrained(
            str(base),
            local_files_only=True,
            use_safetensors=True,
            dtype=dtype,
            attn_implementation="sdpa",
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise ModelError(
            f"the weights of {base} cannot be loaded ({_one_line(error)}): it needs safetensors files"
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(f"{base} lacks {len(missing)} weights, the first is {missing[0]}: copy the whole checkpoint")
    return cast(PreTrainedModel, model)


def _with_adapter(model: PreTrainedModel, adapter: Path) -> Any:
    from peft import PeftModel

    if not (adapter / "adapter_config.json").is_file() or not (adapter / ADAPTER_WEIGHTS).is_file():
        raise ModelError(f"{adapter} is not a finished adapter (it needs adapter_config.json and {ADAPTER_WEIGHTS})")
    try:
        with without_library_deprecations():
            return PeftModel.from_pretrained(model, str(adapter))
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise ModelError(f"adapter {adapter} does not fit its base model: {_one_line(error)}") from error


def _device(name: str | None) -> torch.device:
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ModelError(f"{name!r} is not a device: use cpu or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ModelError("CUDA was asked for and this machine has none: use --device cpu")
    return device


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
