"""The second look: what the second layer should say at every token behind the mark's number in a question and its answer.

Which number was it, and where is that object? The first layer knows it at the number itself; the answer is written elsewhere.
What an answer says of the object is not looked at here, so any question that names one region will do, with another's answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image

from drive_vqa.errors import ConfigError
from drive_vqa.prompt import question_content
from drive_vqa.region_forms import NAME
from drive_vqa.vlm import ChatProcessor, Images
from finetune.dense.cells import huber
from finetune.dense.numbers import NumberHead
from finetune.dense.pictures import MarkedPicture
from finetune.dense.rows import FramesPrefix, frame_messages
from finetune.lesson import Row
from finetune.packing import Packed, Sample, pack_behind

PLACE = slice(4, 6)
"""Of the six targets those that are not about the picture: distance and bearing."""
PLACE_WEIGHTS = (3.0, 1.0)
TEXTS_PER_MARK = 3
NOW = (0.0,)


@dataclass(frozen=True)
class Wording:
    """A question with an answer, as tokens behind frames, and the place of the mark's number in it."""

    ids: tuple[int, ...]
    number_at: int

    def naming(self, digit: int) -> tuple[int, ...]:
        """The tokens with another number."""
        return (*self.ids[: self.number_at], digit, *self.ids[self.number_at + 1 :])


@dataclass(frozen=True, eq=False)
class NamedRows:
    """Texts behind pictures that name a mark each.

    Attributes:
        texts: of each picture.
        picture: of each token behind a number, its picture.
        token: its place in the row.
        number: that was named.
        place: what is to be known there: ln(distance / 20 m), bearing / 45°.
    """

    texts: Sequence[Packed]
    picture: Int[torch.Tensor, " tokens"]
    token: Int[torch.Tensor, " tokens"]
    number: Int[torch.Tensor, " tokens"]
    place: Float[torch.Tensor, "tokens 2"]


def read_wordings(questions: Iterable[Row], processor: ChatProcessor, image: Image.Image) -> list[Wording]:
    """Every wording of the questions that name one region once, sorted.

    Args:
        questions: rows of the `questions` table as they are asked.
        processor: of the model.
        image: any picture.

    Raises:
        ConfigError: there is none.
    """
    texts = {
        (NAME.sub("Region {}", question_content(question)[0]["text"]), question["answer"])
        for question in questions
        if len(NAME.findall(question_content(question)[0]["text"])) == 1 and not NAME.search(question["answer"])
    }
    before = len(FramesPrefix.of(processor, image, NOW).ids)
    images = processor.images([image])
    found = [_wording(text, answer, processor, images, before) for text, answer in sorted(texts)]
    wordings = sorted({wording for wording in found if wording is not None}, key=lambda one: (one.ids, one.number_at))
    if not wordings:
        raise ConfigError("no question of this recipe names exactly one region: set dense_pretraining.look_steps=0")
    return wordings


def name_marks(
    pictures: Sequence[MarkedPicture],
    wordings: Sequence[Wording],
    prefix: FramesPrefix,
    digits: Sequence[int],
    rng: np.random.Generator,
) -> NamedRows:
    """Ask about every mark of some pictures, in wordings drawn at random."""
    texts, tokens = [], []
    for row, picture in enumerate(pictures):
        named = [(number, thing) for number, thing in picture.marked.items() for _ in range(TEXTS_PER_MARK)]
        chosen = [wordings[index] for index in rng.integers(len(wordings), size=len(named))]
        samples, end = [], len(prefix.ids)
        for wording, (number, thing) in zip(chosen, named, strict=True):
            samples.append(Sample((*prefix.ids, *wording.naming(digits[number])), ()))
            behind = range(end + wording.number_at + 1, end + len(wording.ids))
            tokens += [(row, token, number, *thing.targets()[PLACE]) for token in behind]
            end += len(wording.ids)
        texts.append(pack_behind(prefix.ids, samples))
    picture_of, token_of, numbers, log_distances, bearings = zip(*tokens, strict=True)
    place = torch.tensor([log_distances, bearings]).T
    return NamedRows(texts, torch.tensor(picture_of), torch.tensor(token_of), torch.tensor(numbers), place)


def look_loss(
    hidden: Float[torch.Tensor, "tokens width"],
    head: NumberHead,
    digits: Float[torch.Tensor, "numbers width"],
    rows: NamedRows,
) -> Float[torch.Tensor, ""]:
    """Huber loss of the place, and cross-entropy of the number.

    Args:
        hidden: after the second layer, at the tokens of `rows`.
        head: of the first look, as it has learned to read.
        digits: embeddings of the numbers, so that a number is told in the words of the language model.
        rows: what is to be said.
    """
    weights = torch.tensor(PLACE_WEIGHTS, device=hidden.device)
    off = (huber(head(hidden)[:, PLACE], rows.place.to(hidden.device)) @ weights).mean()
    like = torch.nn.functional.rms_norm(hidden, hidden.shape[-1:]) @ torch.nn.functional.normalize(digits, dim=1).T
    return off + torch.nn.functional.cross_entropy(like, rows.number.to(hidden.device))


def _wording(text: str, answer: str, processor: ChatProcessor, images: Images, before: int) -> Wording | None:
    """None where the number is not one token of its own, the only one that changes with it."""
    one, other = (
        [*processor.prompt_ids(frame_messages(NOW, text.replace("{}", number)), images), *processor.answer_ids(answer)]
        for number in "12"
    )
    own, changed = one[before:], [place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b]
    if len(one) != len(other) or len(changed) != 1:
        return None
    return Wording(tuple(own), changed[0] - before)
