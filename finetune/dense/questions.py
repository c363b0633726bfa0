"""The second look, and foresight: what the third layer should say at every token behind the mark's number in a question.

Which number was it, where is that object now, where will it be, and how fast are it and the ego vehicle? The second layer knows
the places of the past at the number itself; the answer is written elsewhere. Behind the fourth layer the answer's tokens should
know what of all that is asked: the type of the question, and place and speeds at its horizon. What an answer says of the object
is not looked at here, so any question that names one region or none will do, with another's answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
CHANGE_WEIGHTS = (3.0, 1.0)
"""Of how distance and bearing change from now to each later horizon, `CHANGE_SCALE` times as large."""
CHANGE_SCALE = 2.0
"""Changes are small beside places; without a loss of their own they are lost in the noise of places."""
UNASKED = -100
"""What cross-entropy leaves out."""
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


class AskedHead(Readout):
    """Reads which type of question is asked, and what is foreseen at its horizon."""

    def __init__(self, width: int, types: int) -> None:
        """Prepare for hidden states of a width, and so many types."""
        super().__init__(width, types + len(FORESEEN_WEIGHTS))


@dataclass(frozen=True)
class Wording:
    """A question with an answer, as tokens behind frames.

    Attributes:
        type: of the question.
        horizon: index in `HORIZONS_S` that it asks about; None for others.
        ids: tokens.
        number_at: place of the mark's number; None where no mark is named.
        answer_at: place of the last token before the answer.
    """

    type: str
    horizon: int | None
    ids: tuple[int, ...]
    number_at: int | None
    answer_at: int

    def naming(self, digit: int) -> tuple[int, ...]:
        """The tokens with another number."""
        if self.number_at is None:
            return self.ids
        return (*self.ids[: self.number_at], digit, *self.ids[self.number_at + 1 :])

    @property
    def behind(self) -> range:
        """Tokens that know their mark, or are of the answer."""
        return range(self.answer_at if self.number_at is None else self.number_at + 1, len(self.ids))


@dataclass(frozen=True, eq=False)
class NamedRows:
    """Texts behind moments that name a mark each, or none.

    Attributes:
        texts: of each moment.
        moment: of each token behind a number, its moment.
        token: its place in the row.
        number: that was named; `UNASKED` where none was.
        foreseen: what is to be known there; NaN where nobody knows.
        type: index of the type that is asked; `UNASKED` before the answer.
        asked: what is foreseen at the horizon that is asked about; NaN before the answer.
    """

    texts: Sequence[Packed]
    moment: Int[torch.Tensor, " tokens"]
    token: Int[torch.Tensor, " tokens"]
    number: Int[torch.Tensor, " tokens"]
    foreseen: Float[torch.Tensor, "tokens horizons foreseen"]
    type: Int[torch.Tensor, " tokens"]
    asked: Float[torch.Tensor, "tokens foreseen"]


def read_wordings(questions: Iterable[Row], processor: ChatProcessor, image: Image.Image) -> list[Wording]:
    """Every wording of the questions that name one region once or none at all, sorted.

    Args:
        questions: rows of the `questions` table as they are asked.
        processor: of the model.
        image: any picture.

    Raises:
        ConfigError: there is none that names a region.
    """
    texts = {
        (question["type"], _horizon(question["horizon_s"]), NAME.sub("Region {}", text), question["answer"])
        for question in questions
        for text in (str(question_content(question)[0]["text"]),)
        if len(NAME.findall(text)) <= 1 and not NAME.search(question["answer"])
    }
    before = len(FramesPrefix.of(processor, image, NOW).ids)
    images = processor.images([image])
    found = [_wording(*text, processor, images, before) for text in sorted(texts, key=str)]
    wordings = sorted({wording for wording in found if wording is not None}, key=lambda one: (one.type, one.ids))
    if all(wording.number_at is None for wording in wordings):
        raise ConfigError(
            "no question of this recipe names exactly one region: set dense_pretraining.look_steps=0 and move_steps=0"
        )
    return wordings


def name_marks(
    moments: Sequence[MarkedMoment],
    wordings: Mapping[str, Sequence[Wording]],
    prefix: FramesPrefix,
    digits: Sequence[int],
    rng: np.random.Generator,
) -> NamedRows:
    """Ask about some marks of each moment, in wordings drawn at random.

    Args:
        moments: what is asked about.
        wordings: of each type; all types are drawn equally often.
        prefix: of the moments' frames.
        digits: token of each number.
        rng: decides marks and wordings.
    """
    types, texts, tokens = list(wordings), [], []
    for row, moment in enumerate(moments):
        samples, end = [], len(prefix.ids)
        for number in rng.permutation(sorted(moment.marked))[:MOST_ASKED].repeat(TEXTS_PER_MARK).tolist():
            own = int(rng.integers(len(types)))
            wording = wordings[types[own]][int(rng.integers(len(wordings[types[own]])))]
            samples.append(Sample((*prefix.ids, *wording.naming(digits[number])), ()))
            tokens += _tokens(row, end, wording, own, number, moment)
            end += len(wording.ids)
        texts.append(pack_behind(prefix.ids, samples))
    columns = [torch.from_numpy(np.stack(column)) for column in zip(*tokens, strict=True)]
    return NamedRows(texts, *columns)


def _tokens(
    row: int, start: int, wording: Wording, own: int, number: int, moment: MarkedMoment
) -> list[tuple[Any, ...]]:
    """Of a text that begins at a place in a row: what each token behind its number should know."""
    foreseen = _foreseen(moment, number)
    if wording.number_at is None:
        number, foreseen[:, :-1] = UNASKED, np.nan
    asked = np.full_like(foreseen[0], np.nan) if wording.horizon is None else foreseen[wording.horizon]
    nothing = (UNASKED, np.full_like(asked, np.nan))
    return [
        (row, start + token, number, foreseen, *((own, asked) if token >= wording.answer_at else nothing))
        for token in wording.behind
    ]


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
    named = rows.number.to(hidden.device)
    told = torch.nn.functional.cross_entropy(like, named, ignore_index=UNASKED, reduction="sum")
    return off + told / (named != UNASKED).sum().clamp(min=1)  # no text of a step may name one


def change_loss(
    reading: Float[torch.Tensor, "... times 2"], places: Float[torch.Tensor, "... times 2"], now: int
) -> Float[torch.Tensor, ""]:
    """Huber loss of how distance and bearing differ between now and every other time.

    Args:
        reading: ln(distance / 20 m) and bearing / 45° at some times.
        places: that are true; NaN where not known.
        now: index of the present among the times.
    """
    weights = torch.tensor(CHANGE_WEIGHTS, device=reading.device)
    read, true = (CHANGE_SCALE * (all_times - all_times[..., now, None, :]) for all_times in (reading, places))
    return known_huber(read, true, weights)


def asked_loss(
    hidden: Float[torch.Tensor, "tokens width"], head: AskedHead, rows: NamedRows
) -> Float[torch.Tensor, ""]:
    """Cross-entropy of the type of the question, and Huber loss of what is foreseen at its horizon.

    Args:
        hidden: after the fourth layer, at the tokens of `rows`.
        head: that reads it.
        rows: what is to be said.
    """
    weights = torch.tensor(FORESEEN_WEIGHTS, device=hidden.device)
    types, values = head(hidden).tensor_split([-len(weights)], dim=-1)
    named = torch.nn.functional.cross_entropy(types, rows.type.to(hidden.device), ignore_index=UNASKED)
    return named + known_huber(values, rows.asked.to(hidden.device), weights)


def _horizon(horizon_s: float | None) -> int | None:
    return HORIZONS_S.index(int(horizon_s)) if horizon_s in HORIZONS_S else None


def _wording(
    type_: str, horizon: int | None, text: str, answer: str, processor: ChatProcessor, images: Images, before: int
) -> Wording | None:
    """None where the number is not one token of its own, the only one that changes with it."""
    asked = [processor.prompt_ids(frame_messages(NOW, text.replace("{}", number)), images) for number in "12"]
    said = processor.answer_ids(answer)
    one, other = ([*ids, *said] for ids in asked)
    own, changed = one[before:], [place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b]
    if len(one) != len(other) or len(changed) != text.count("{}"):
        return None
    number_at = changed[0] - before if changed else None
    return Wording(type_, horizon, tuple(own), number_at, len(asked[0]) - before - 1)
