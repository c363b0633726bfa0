"""The second look, and foresight: what the third layer should say at every token behind the mark's number in a question.

Which number was it, where is that object now, where will it be, and how fast are it and the ego vehicle? The second layer knows
the places of the past at the number itself; the answer is written elsewhere. What an answer says of the object is not looked at
here, so any question that names one region will do, with another's answer.
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
from finetune.dense.cells import Readout, known_huber
from finetune.dense.moments import HORIZONS_S, MarkedMoment
from finetune.dense.rows import FramesPrefix, frame_messages
from finetune.lesson import Row
from finetune.packing import Packed, Sample, pack_behind

FORESEEN_WEIGHTS = (3.0, 1.0, 1.0, 1.0)
"""Of what is foreseen at each horizon: ln(distance / 20 m), bearing / 45°, speed of the object and of the ego / 10 m/s."""
MOST_ASKED = 4
"""Marks that are asked about in one moment."""
TEXTS_PER_MARK = 2
NOW = (0.0,)


class ForesightHead(Readout):
    """Reads what is foreseen at each horizon."""

    def __init__(self, width: int) -> None:
        """Prepare for hidden states of a width."""
        super().__init__(width, len(HORIZONS_S) * len(FORESEEN_WEIGHTS))

    def forward(self, hidden: Float[torch.Tensor, "... width"]) -> Float[torch.Tensor, "... horizons foreseen"]:
        """Read at some tokens."""
        return super().forward(hidden).view(*hidden.shape[:-1], len(HORIZONS_S), len(FORESEEN_WEIGHTS))


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
    """Texts behind moments that name a mark each.

    Attributes:
        texts: of each moment.
        moment: of each token behind a number, its moment.
        token: its place in the row.
        number: that was named.
        foreseen: what is to be known there; NaN where nobody knows.
    """

    texts: Sequence[Packed]
    moment: Int[torch.Tensor, " tokens"]
    token: Int[torch.Tensor, " tokens"]
    number: Int[torch.Tensor, " tokens"]
    foreseen: Float[torch.Tensor, "tokens horizons foreseen"]


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
    moments: Sequence[MarkedMoment],
    wordings: Sequence[Wording],
    prefix: FramesPrefix,
    digits: Sequence[int],
    rng: np.random.Generator,
) -> NamedRows:
    """Ask about some marks of each moment, in wordings drawn at random."""
    texts, at, foreseen = [], [], []
    for row, moment in enumerate(moments):
        numbers = rng.permutation(sorted(moment.marked))[:MOST_ASKED].repeat(TEXTS_PER_MARK)
        chosen = [wordings[index] for index in rng.integers(len(wordings), size=len(numbers))]
        samples, end = [], len(prefix.ids)
        for wording, number in zip(chosen, numbers.tolist(), strict=True):
            samples.append(Sample((*prefix.ids, *wording.naming(digits[number])), ()))
            behind = range(end + wording.number_at + 1, end + len(wording.ids))
            at += [(row, token, number) for token in behind]
            foreseen += [_foreseen(moment, number)] * len(behind)
            end += len(wording.ids)
        texts.append(pack_behind(prefix.ids, samples))
    row_of, token_of, number_of = torch.tensor(at).T
    return NamedRows(texts, row_of, token_of, number_of, torch.from_numpy(np.stack(foreseen)))


def _foreseen(moment: MarkedMoment, number: int) -> Float[np.ndarray, "horizons foreseen"]:
    thing = moment.marked[number]
    columns = [*thing.future_places.T, thing.speeds, moment.ego_speeds]
    return np.asarray(np.stack(columns, axis=-1), dtype=np.float32)


def look_loss(
    hidden: Float[torch.Tensor, "tokens width"],
    head: ForesightHead,
    digits: Float[torch.Tensor, "numbers width"],
    rows: NamedRows,
) -> Float[torch.Tensor, ""]:
    """Huber loss of what is foreseen, and cross-entropy of the number.

    Args:
        hidden: after the third layer, at the tokens of `rows`.
        head: that reads it.
        digits: embeddings of the numbers, so that a number is told in the words of the language model.
        rows: what is to be said.
    """
    weights = torch.tensor(FORESEEN_WEIGHTS, device=hidden.device)
    off = known_huber(head(hidden), rows.foreseen.to(hidden.device), weights)
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
