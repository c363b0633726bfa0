"""One page of sampled answers: each question with its frames, what answers claim drawn on them, and what they earned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from drive_vqa.data_uri import jpeg_uri
from drive_vqa.prompt import time_line
from eval.evidence.drawing import draw_claims
from eval.evidence.placing import claimed_frames
from eval.reasoning.trace import PointClaim, SeenClaim
from finetune.refine.sampled import SampledAnswer

HERE = Path(__file__).parent
SHOWN_WIDTH_PX = 420
TEXT_LIMIT = 4000
"""Characters of an answer that are shown; the table has all."""


@dataclass(frozen=True)
class Picture:
    """A frame with boxes, or a crop, as a data URI."""

    image: str
    caption: str


@dataclass(frozen=True)
class AnswerCard:
    """An answer as it is shown."""

    text: str
    total: float
    advantage: float
    rewards: tuple[tuple[str, float], ...]
    faults: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class QuestionCard:
    """A question with its answers, the best first."""

    qa_id: str
    question: str
    truth: str
    kind: str
    answers: tuple[AnswerCard, ...]


def answer_page(answers: Sequence[SampledAnswer], *, step: int, weights: Mapping[str, float]) -> str:
    """HTML that needs nothing else; what a model said is escaped.

    Args:
        answers: those to one question next to each other.
        step: of the training.
        weights: of the rewards.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined)
    cards = [_question(list(own)) for _, own in groupby(answers, key=lambda one: one.asked.question["qa_id"])]
    mean = sum(one.total for one in answers) / max(len(answers), 1)
    return environment.get_template("answers.html").render(
        cards=cards, step=step, mean=mean, count=len(answers), weights=weights
    )


def _question(answers: Sequence[SampledAnswer]) -> QuestionCard:
    question = answers[0].asked.question
    best_first = sorted(answers, key=lambda one: -one.total)
    options = "".join(f" {chr(65 + place)}. {option}" for place, option in enumerate(question.get("options") or ()))
    return QuestionCard(
        str(question["qa_id"]),
        f"{question['question']}{options}",
        str(question["answer"]),
        str(question["type"]),
        tuple(_answer(one) for one in best_first),
    )


def _answer(one: SampledAnswer) -> AnswerCard:
    rewards = tuple((name, value) for name, value in one.rewards.items() if value is not None)
    faults = ", ".join(one.trace.faults).replace("_", " ")
    return AnswerCard(one.text[:TEXT_LIMIT], one.total, one.advantage, rewards, faults, tuple(_pictures(one)))


def _pictures(one: SampledAnswer) -> Iterator[Picture]:
    """Frames in which something is to be seen or claimed, and crops in the order in which they were looked at."""
    group = one.asked.group
    views = group["context"]
    claims: list[SeenClaim | PointClaim] = [*one.trace.seen, *one.trace.points]
    if len(one.images) >= len(views):
        for frame in claimed_frames(claims, one.asked.truth.evidence, group):
            view, image = views[frame.context], one.images[frame.context]
            shown = image.resize((SHOWN_WIDTH_PX, max(1, round(image.height * SHOWN_WIDTH_PX / image.width))))
            drawn = draw_claims(shown, (view["width"], view["height"]), frame)
            yield Picture(jpeg_uri(drawn), time_line(view["offset_s"], view["camera"]).rstrip(":"))
    for number, crop in enumerate(one.images[len(views) :], start=1):
        yield Picture(jpeg_uri(crop), f"look {number}")
