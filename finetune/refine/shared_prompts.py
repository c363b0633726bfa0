"""TRL's GRPOTrainer with every prompt read once for all its answers: mixed in before it.

| step of TRL 1.16 | there | here |
|---|---|---|
| pixels of a prompt | processed for each answer | processed once |
| sampling | each answer reads its prompt, frames included | a prompt is read once, its keys and values are copied |
| log-probabilities | of each sequence by itself | of all answers behind a prompt in one sequence |
| shuffling of answers before micro-batches | over all questions | none, so that answers to a question stay together |

Rewards, advantages, ratios, clipping, losses and records are TRL's.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from drive_vqa.errors import ModelError
from drive_vqa.prompt import Message
from drive_vqa.vlm import ChatProcessor
from drive_vqa.vlm.dialogues import on_device
from drive_vqa.vlm.sampling import Decoding, sample
from finetune.loss import forward_inputs
from finetune.refine.frames import image_of
from finetune.refine.packed import pack_dialogues
from finetune.refine.parity import check_answers
from finetune.refine.rollout import Rollout, Shown

NO_LONGER_NEEDED = ("pixel_values", "num_images", "mm_token_type_ids", "token_type_ids")
"""Of what TRL keeps for its own forward pass."""


class SharedPrompts:
    """Mixed into `trl.GRPOTrainer`, before it; its processing class is a `TurnProcessor`."""

    args: Any
    accelerator: Any
    model: Any
    model_wrapped: Any
    state: Any
    num_iterations: int
    use_vllm: bool
    _metrics: Any
    _step: int
    _buffered_inputs: list[dict[str, Any]] | None

    def __init__(self, *, chat: ChatProcessor, decoding: Decoding, **options: Any) -> None:
        """Prepare.

        Args:
            chat: processor of the model.
            decoding: how answers are drawn.
            options: of `trl.GRPOTrainer`.
        """
        super().__init__(**options)
        self._chat = chat
        self._decoding = decoding
        self._rollout = Rollout(chat)
        self._rows: Sequence[int] = ()
        self._generator = torch.Generator(self.accelerator.device)
        self._looks_held_out = 0
        self._checked = False

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, Any]:
        """The next micro-batch; at the first one of a batch of questions, all answers are sampled and judged."""
        if not self.model.training:
            return dict(self._generate_and_score_completions(generation_batch))
        per_batch = self.args.steps_per_generation
        if self._step % (per_batch * self.num_iterations) == 0 or self._buffered_inputs is None:
            answered = self._generate_and_score_completions(generation_batch)
            self._buffered_inputs = _portions(answered, per_batch)
        portion: dict[str, Any] = self._buffered_inputs[self._step % per_batch]
        return portion

    def evaluate(self, *arguments: Any, **options: Any) -> dict[str, float]:
        """A look at held-out questions; all looks draw by the same seeds."""
        self._looks_held_out = 0
        metrics: dict[str, float] = super().evaluate(*arguments, **options)  # type: ignore[misc]
        return metrics

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self._rollout, self._rows = Rollout(self._chat), range(len(inputs))
        self._generator.manual_seed(self._sampling_seed())
        batch: dict[str, Any] = super()._generate_and_score_completions(inputs)  # type: ignore[misc]
        for name in NO_LONGER_NEEDED:
            batch.pop(name, None)
        learned = batch["completion_mask"] * batch.get("tool_mask", 1)
        if self.model.training and not self._checked and bool(learned.any()):
            self._check_parity(batch, learned.bool())
            self._checked = True
        return {**batch, "rollout": self._rollout, "row": torch.arange(len(inputs))}

    def _sampling_seed(self) -> int:
        """Of this batch in this process, whatever has been drawn before: a resumed training draws the same."""
        if self.model.training:
            batch = self._step // (self.args.steps_per_generation * self.num_iterations)
        else:
            batch, self._looks_held_out = self._looks_held_out, self._looks_held_out + 1
        parts = [self.args.seed, int(self.model.training), batch, self.accelerator.process_index]
        return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0])

    def _tokenize_prompts(
        self, prompts: list[list[Message]]
    ) -> tuple[list[list[int]], list[list[Shown]], dict[str, Any]]:
        found = [self._rollout.prompt(messages) for messages in prompts]
        self._check_room(max(len(prompt.ids) for prompt, _ in found))
        return [list(prompt.ids) for prompt, _ in found], [frames for _, frames in found], {}

    def _check_room(self, prompt_tokens: int) -> None:
        longest = int(self.model.config.get_text_config().max_position_embeddings)
        needed = prompt_tokens + self._decoding.max_new_tokens
        if needed > longest:
            raise ModelError(
                f"a question of {prompt_tokens} tokens with an answer of {self._decoding.max_new_tokens} does not fit into the "
                f"{longest} that the model takes: lower answer_tokens, or tune with smaller images"
            )

    def _generate(self, prompts: list[list[Message]]) -> tuple[Any, ...]:
        with self._timed("generation"):
            answers: tuple[Any, ...] = super()._generate(prompts)  # type: ignore[misc]
        self._rollout.shown = answers[6]
        return answers

    def _generate_single_turn(
        self,
        prompt_ids: list[list[int]],
        images: list[list[Shown]],
        multimodal_fields: dict[str, Any],
        num_generations: int,
        has_tool_images: bool = False,
    ) -> tuple[list[list[int]], list[list[float]] | None]:
        if self.use_vllm:
            plain = [[image_of(one) for one in own] for own in images]
            return super()._generate_single_turn(  # type: ignore[misc,no-any-return]
                prompt_ids, plain, multimodal_fields, num_generations, has_tool_images
            )
        prompts, dialogues = self._rollout.dialogues(prompt_ids, images)
        with self._sampling_model() as model:
            drawn = sample(model, self._chat, prompts, dialogues, self._decoding, self._generator)
        return [one.ids for one in drawn], [one.logps for one in drawn]

    def _calculate_rewards(self, *arguments: Any) -> torch.Tensor:
        with self._timed("rewards"):
            rewards: torch.Tensor = super()._calculate_rewards(*arguments)  # type: ignore[misc]
        return rewards

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        self._rollout, self._rows = inputs["rollout"], inputs["row"].tolist()
        loss: torch.Tensor = super()._compute_loss(model, inputs)  # type: ignore[misc]
        return loss

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **_unused: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, None]:
        """As TRL's, of the rows in hand."""
        size = batch_size or len(input_ids)
        told = [
            self._told(
                model, input_ids[start : start + size], attention_mask[start : start + size], logits_to_keep, start
            )
            for start in range(0, len(input_ids), size)
        ]
        logps, entropies = (torch.cat(parts) for parts in zip(*told, strict=True))
        return logps, entropies if compute_entropy else None, None

    def _told(
        self, model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor, width: int, start: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probabilities and entropies of the tokens behind the prompts, padded as TRL pads them."""
        sequences = [ids[mask.bool()].tolist() for ids, mask in zip(input_ids, attention_mask, strict=True)]
        shown = [self._rollout.shown[row] for row in self._rows[start : start + len(sequences)]]
        prompts, dialogues = self._rollout.dialogues(sequences, shown)
        packed = pack_dialogues(prompts, dialogues, self._chat)
        batch = on_device(packed.batch, input_ids.device)
        with self.accelerator.autocast():
            output = model(**forward_inputs(model, batch), labels=batch["labels"], fused_lm_head=True)
        return packed.of_dialogues(output.log_probs, width), packed.of_dialogues(output.entropy, width)

    def _check_parity(self, batch: dict[str, Any], learned: torch.Tensor) -> None:
        """The answer of the first batch with most that is learned, see `finetune.refine.parity`."""
        row = int(learned.sum(dim=1).argmax())
        ids, mask = (
            torch.cat([batch[f"prompt_{what}"], batch[f"completion_{what}"]], dim=1)[row : row + 1]
            for what in ("ids", "mask")
        )
        behind = batch["completion_mask"][row].bool()
        prompts, dialogues = self._rollout.dialogues([ids[0][mask[0].bool()].tolist()], [self._rollout.shown[row]])
        with self._sampling_model() as model, torch.no_grad():
            packed, _ = self._told(model, ids, mask, len(behind), row)
            told = [("learning", packed[0][behind])]
            if "sampling_per_token_logps" in batch:
                told.append(("sampling", batch["sampling_per_token_logps"][row][behind]))
            said = learned[row][behind]
            check_answers(model, self._chat, prompts[0], dialogues[0], told, said, self._decoding.temperature)

    @contextmanager
    def _sampling_model(self) -> Iterator[Any]:
        """The model for sampling: all weights at hand, no dropout, nothing recomputed."""
        from trl.models import unwrap_model_for_generation

        with unwrap_model_for_generation(self.model_wrapped, self.accelerator) as model:
            was_training = model.training
            model.eval()
            try:
                with self.accelerator.autocast():
                    yield model
            finally:
                model.train(was_training)

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._metrics["train" if self.model.training else "eval"][f"time/{name}_s"].append(time.perf_counter() - began)


def _portions(batch: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Rows in order, in so many portions; what is not by row goes with each."""
    size = len(batch["row"]) // count
    return [
        {
            name: value[place * size : (place + 1) * size] if _is_by_row(value, batch) else value
            for name, value in batch.items()
        }
        for place in range(count)
    ]


def _is_by_row(value: Any, batch: dict[str, Any]) -> bool:
    return isinstance(value, torch.Tensor) and value.dim() > 0 and len(value) == len(batch["row"])
