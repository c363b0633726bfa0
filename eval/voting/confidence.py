"""Asking a model how well the evidence in a sample supports its answer: 0, 1 or 2, as in the code of Open-o3 Video.

The model sees nothing but the parts of the frames that the sample speaks of, the question and the sample's answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from drive_vqa.errors import ConfigError, ModelError, PredictionError
from drive_vqa.marks import marked_frames
from drive_vqa.progress import track
from drive_vqa.prompt import Message, question_content
from drive_vqa.store import Store, replacing
from drive_vqa.traces import Dialect
from eval.asked import splits_answered
from eval.plaintext import answer_part
from eval.predict import PromptedQuestion, questions_to_ask
from eval.predictions import read_predictions, storable
from eval.reasoning.read import read_trace
from eval.voting.asked import keep_inputs, sample_digest, samples_by_question
from eval.voting.evidence import EvidenceView, cut, evidence_views

if TYPE_CHECKING:
    from PIL.Image import Image

    from drive_vqa.vlm import Vlm

CONFIDENCES = pa.schema(
    [
        ("qa_id", pa.string()),
        ("sample", pa.int32()),
        ("sample_digest", pa.string()),  # of its text, see `asked.sample_digest`
        ("confidence", pa.int32()),  # 0, 1 or 2; null where there is no evidence, or no such number was said
        ("views", pa.int32()),  # parts of frames that were shown; 0: not asked
        ("text", pa.string()),  # what the model said; null where it was not asked
    ]
)
REPLY_TOKENS = 8
MOST_OF_AN_ANSWER = 400
ASKED = (
    "Answer given: {answer}\nThe pictures are what this answer rests on. How well do they support it? "
    "Say one number: 0 not at all, 1 in part, 2 fully."
)
_NUMBERS = re.compile(r"(?<![\w.,-])\d+(?!\w|[.,]\d)")


@dataclass(frozen=True, eq=False)
class EvidenceQuestion:
    """What is asked about one sample.

    Attributes:
        asked: the question that was answered.
        sample: number of the sample.
        text: of the sample.
        views: its evidence; at least one.
    """

    asked: PromptedQuestion
    sample: int
    text: str
    views: Sequence[EvidenceView]


Doubter = Callable[[list[EvidenceQuestion]], list[str]]
"""Answers a batch of such questions, in order."""


def ask_confidence(
    store: Store, predictions: Path, doubter: Doubter, out: Path, *, dialect: Dialect, batch_size: int
) -> Path:
    """Ask about the evidence of every sample of a predictions file.

    Args:
        store: with the questions and their images.
        predictions: samples of reasoned answers.
        doubter: the model, see `vlm_doubter`.
        out: Parquet file with the columns of CONFIDENCES; appears when all is done.
        dialect: in which the samples were written.
        batch_size: samples asked about at once.

    Raises:
        ConfigError: `out` is not a .parquet file, or is that of the predictions.
        PredictionError: the predictions cannot be read, or answer what the store does not ask.
        ModelError: the model gave another number of answers than it was asked for.
    """
    if out.suffix != ".parquet":
        raise ConfigError(f"{out} must end in .parquet: confidences are written as Parquet")
    keep_inputs([predictions], [out])
    found = list(_samples(store, predictions, dialect))
    waiting = [one for one in found if one.views]
    batches = [waiting[start : start + batch_size] for start in range(0, len(waiting), batch_size)]
    said: dict[tuple[str, int], str] = {}
    for batch in track(batches, total=len(batches), description="confidence"):
        texts = doubter(batch)
        if len(texts) != len(batch):
            raise ModelError(f"the model gave {len(texts)} answers to {len(batch)} questions: one is needed for each")
        said |= {_key(one): text for one, text in zip(batch, texts, strict=True)}
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as temporary:
        pq.write_table(pa.Table.from_pylist([_row(one, said) for one in found], schema=CONFIDENCES), temporary)
    return out


def vlm_doubter(vlm: Vlm) -> Doubter:
    """A loaded model that is asked about its own evidence."""

    def doubt(batch: list[EvidenceQuestion]) -> list[str]:
        shown = [_pictures(one) for one in batch]
        messages = [
            vlm.processor.to_model_messages(evidence_messages(one), one.asked.group, vlm.image_size_px) for one in batch
        ]
        return vlm.generate(messages, shown, REPLY_TOKENS)

    return doubt


def evidence_messages(one: EvidenceQuestion) -> list[Message]:
    """The chat messages about one sample; images are placeholders, one for each view."""
    content: list[Message] = []
    for view in one.views:
        content += [{"type": "text", "text": view.words}, {"type": "image"}]
    answer = " ".join(answer_part(one.text)[:MOST_OF_AN_ANSWER].split())
    told: Message = {"type": "text", "text": ASKED.format(answer=answer)}
    return [{"role": "user", "content": [*content, *question_content(one.asked.question), told]}]


def read_confidence(text: str) -> int | None:
    """The one number from 0 to 2 that a reply says; None where it says none, several, or another.

    Args:
        text: anything at all; a long one is no such number.
    """
    numbers = set(_NUMBERS.findall(text)) if len(text) <= MOST_OF_AN_ANSWER else set()
    return int(numbers.pop()) if len(numbers) == 1 and numbers <= {"0", "1", "2"} else None


def read_confidences(path: Path) -> dict[tuple[str, int], Mapping[str, Any]]:
    """Rows of a file of confidences by question and sample.

    Raises:
        PredictionError: it cannot be read.
    """
    try:
        table = pq.ParquetFile(path).read()
        if not table.replace_schema_metadata(None).schema.equals(CONFIDENCES):
            raise ValueError("its columns are others")
        if set(table["confidence"].to_pylist()) - {0, 1, 2, None}:
            raise ValueError("a confidence is not 0, 1 or 2")
    except (OSError, pa.ArrowException, ValueError) as error:
        why = " ".join(str(error).split())[:200]
        raise PredictionError(
            f"{path} is no file of confidences ({why}): make it with `drive-vqa confidence STORE --out`"
        ) from error
    return {(row["qa_id"], row["sample"]): row for row in table.to_pylist()}


def _samples(store: Store, predictions: Path, dialect: Dialect) -> Iterator[EvidenceQuestion]:
    """All samples in the order of the questions, with what they say that they have seen."""
    told = read_predictions(predictions)
    by_id = samples_by_question(told)
    for split in splits_answered(store, told, predictions):
        for asked in questions_to_ask(store, split):
            frames = asked.group["context"]
            first_s = float(frames[0]["offset_s"]) if frames else 0.0
            for sample, text in by_id.get(asked.question["qa_id"], ()):
                views = evidence_views(read_trace(text, dialect, first_s=first_s), asked.group) if frames else []
                yield EvidenceQuestion(asked, sample, text, views)


def _pictures(one: EvidenceQuestion) -> list[Image]:
    frames = marked_frames(one.asked.store, one.asked.group)
    return [cut(view, frames[view.context]) for view in one.views]


def _key(one: EvidenceQuestion) -> tuple[str, int]:
    return one.asked.question["qa_id"], one.sample


def _row(one: EvidenceQuestion, said: Mapping[tuple[str, int], str]) -> dict[str, Any]:
    text = said.get(_key(one))
    return {
        "qa_id": one.asked.question["qa_id"],
        "sample": one.sample,
        "sample_digest": sample_digest(one.text),
        "confidence": None if text is None else read_confidence(text),
        "views": len(one.views),
        "text": None if text is None else storable(text),
    }
