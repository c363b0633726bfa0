"""One page of sampled answers: each question with its frames, what answers claim drawn on them, and what they earned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from drive_vqa.data_uri import jpeg_uri
from drive_vqa.prompt import time_line
from eval.evidence.drawing import draw_claims
from eval.evidence.placing import place_boxes, place_points
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


def answer_page(answers: Sequence[SampledAnswer], *, step: int) -> str:
    """HTML that needs nothing else; what a model said is escaped.

    Args:
        answers: those to one question next to each other.
        step: of the training.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined)
    cards = [_question(list(own)) for _, own in groupby(answers, key=lambda one: one.asked.question["qa_id"])]
    mean = sum(one.total for one in answers) / max(len(answers), 1)
    return environment.get_template("answers.html").render(cards=cards, step=step, mean=mean, count=len(answers))


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
    faults = ", ".join(one.trace.faults)
    return AnswerCard(one.text[:TEXT_LIMIT], one.total, one.advantage, rewards, faults, tuple(_pictures(one)))


def _pictures(one: SampledAnswer) -> Iterator[Picture]:
    """Frames in which something is to be seen or claimed, and crops in the order in which they were looked at."""
    views = one.asked.group["context"]
    frames, crops = one.images[: len(views)], one.images[len(views) :]
    for place, (frame, view) in enumerate(zip(frames, views, strict=False)):
        true = [box for box in one.asked.truth.evidence.boxes if box.context == place]
        claimed = [claim for claim in one.trace.seen if _is_in(claim, view, views)]
        if true or claimed:
            yield Picture(_uri(_drawn(frame, view, true, claimed)), time_line(view["offset_s"], view["camera"]).rstrip(":"))
    for number, crop in enumerate(crops, start=1):
        yield Picture(_uri(crop), f"look {number}")


def _is_in(claim: SeenClaim, view: Mapping[str, Any], views: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a claim is about the time of an image; one without a time about the last."""
    offset_s = 0.0 if claim.offset_s is None else claim.offset_s
    nearest = min(abs(other["offset_s"] - offset_s) for other in views)
    return bool(abs(view["offset_s"] - offset_s) == nearest)


def _drawn(
    frame: Image.Image, view: Mapping[str, Any], true: Sequence[TrueBox], claimed: Sequence[SeenClaim]
) -> Image.Image:
    """True boxes green, claimed ones orange and dashed."""
    shown = frame.resize((SHOWN_WIDTH_PX, max(1, round(frame.height * SHOWN_WIDTH_PX / frame.width))))
    scale = (shown.width / view["width"], shown.height / view["height"])
    pen = ImageDraw.Draw(shown)
    for box in true:
        pen.rectangle(_scaled(box.box_px, scale, shown.size), outline=TRUE_RGB, width=LINE_PX)
    for claim in claimed:
        _dashed(pen, _scaled(claim.box_px, scale, shown.size))
    return shown


def _scaled(box_px: Sequence[float], scale: tuple[float, float], size: tuple[int, int]) -> tuple[float, ...]:
    """In shown pixels, inside the picture; a model may claim anything."""
    u = sorted(min(max(value * scale[0], 0.0), size[0] - 1.0) for value in box_px[0::2])
    v = sorted(min(max(value * scale[1], 0.0), size[1] - 1.0) for value in box_px[1::2])
    return u[0], v[0], u[1], v[1]


def _dashed(pen: ImageDraw.ImageDraw, box: tuple[float, ...]) -> None:
    u0, v0, u1, v1 = box
    for (from_u, from_v), (to_u, to_v) in (
        ((u0, v0), (u1, v0)),
        ((u1, v0), (u1, v1)),
        ((u1, v1), (u0, v1)),
        ((u0, v1), (u0, v0)),
    ):
        length = max(abs(to_u - from_u), abs(to_v - from_v))
        for start in range(0, int(length) + 1, 2 * DASH_PX):
            ends = [min(place / max(length, 1), 1.0) for place in (start, start + DASH_PX)]
            line = [(from_u + (to_u - from_u) * share, from_v + (to_v - from_v) * share) for share in ends]
            pen.line(line, fill=CLAIMED_RGB, width=LINE_PX)


def _uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format="JPEG", quality=75)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
