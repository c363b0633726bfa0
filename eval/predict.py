"""Ask a model all questions of a split and write its answers as a predictions file.

Questions come sorted by log, moment and group, so that whoever answers can show a group's frames for all its questions and decode
them once.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from drive_vqa.errors import ConfigError, ModelError, StoreError
from drive_vqa.looks import TracedLook, look_to_struct
from drive_vqa.marks import Style, marked_frames
from drive_vqa.progress import track
from drive_vqa.prompt import Message, build_messages
from drive_vqa.region_forms import NAME, RegionForm, in_form, style_of
from drive_vqa.schema import SCHEMA_VERSION, table_from_rows
from drive_vqa.store import VERSION_KEY, Store, replacing
from eval.hiding import GREY, Hide, hidden_frames
from eval.predictions import storable

if TYPE_CHECKING:
    from drive_vqa.vlm import Sampling, Vlm

logger = logging.getLogger(__name__)

KEPT_GROUPS = 8
"""Groups whose frames stay decoded; their questions come one after another."""

TINY = "tiny"


@dataclass(frozen=True, eq=False)
class PromptedQuestion:
    """A question with what is shown beside it.

    Attributes:
        store: where the frames lie.
        group: row of the `groups` table.
        question: row of the `questions` table, without its answer, truth and evidence.
        evidence: the marks that the answer rests on, for controls that hide them; never told.
    """

    store: Store
    group: Mapping[str, Any]
    question: Mapping[str, Any]
    evidence: tuple[int, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What a model says to a question.

    Attributes:
        text: all of it, in pixels of the original images.
        looks: that it took on the way; None: it has no zoom.
    """

    text: str
    looks: tuple[TracedLook, ...] | None = None


Answerer = Callable[[list[PromptedQuestion]], list[Answer]]
"""Answers a batch of questions, in order."""

FramesOf = Callable[[PromptedQuestion, tuple[int, int] | None, Style], list[Image.Image]]
"""What is shown with a question, at a size and with regions drawn in a style."""

SHOWN_COLUMNS = ("qa_id", "group_id", "log_id", "frame", "type", "marks", "question", "options", "split")
"""What an answerer may see of a question."""
TURNED_BY = ("family", "form", "answer", "truth")
"""What else decides whether a question can be asked without marks; not shown."""


def predict(
    store: Store,
    split: str,
    answer: Answerer,
    out: Path,
    *,
    model_name: str,
    batch_size: int,
    limit: int | None = None,
    regions: RegionForm = "marks",
    samples: int = 1,
) -> Path:
    """Write the answers to all questions of a split.

    Args:
        store: with questions.
        split: train, val, test or bench.
        answer: gives one answer to each question of a batch.
        out: Parquet file with the schema of table `predictions`; appears when all is done.
        model_name: written beside every answer.
        batch_size: answers asked for at once.
        limit: only the first so many questions.
        regions: how questions name regions; what cannot be asked or scored so is left out.
        samples: answers to each question, asked for one after another; above 1 for who draws them.

    Raises:
        ConfigError: the split has no questions, or `out` is not a .parquet file.
        ModelError: the answerer gave another number of answers than it was asked for.
    """
    if out.suffix != ".parquet":
        raise ConfigError(f"{out} must end in .parquet: predictions are written as Parquet")
    questions = questions_to_ask(store, split, regions)[:limit]
    if not questions:
        found = ", ".join(sorted(set(store.read_all("questions", ["split"])["split"].to_pylist()))) or "none"
        raise ConfigError(f"split {split!r} of {store.root} has no questions to ask; splits with questions: {found}")
    logger.info("%d questions with regions=%s", len(questions), regions)
    asked = [(question, sample) for question in questions for sample in range(samples)]
    batches = [asked[start : start + batch_size] for start in range(0, len(asked), batch_size)]
    rows: list[dict[str, Any]] = []
    for batch in track(batches, total=len(batches), description=f"predict ({split}, batches of {batch_size})"):
        rows += _answer_batch(batch, answer, model_name)
    out.parent.mkdir(parents=True, exist_ok=True)
    data = table_from_rows("predictions", rows).replace_schema_metadata({VERSION_KEY: SCHEMA_VERSION.encode()})
    with replacing(out) as temporary:
        pq.write_table(data, temporary, compression="zstd")
    return out


class VlmAnswerer(NamedTuple):
    """A model that answers.

    Attributes:
        answer: asks it.
        name: what it is called.
        regions: how questions name regions to it.
    """

    answer: Answerer
    name: str
    regions: RegionForm


def questions_to_ask(store: Store, split: str, regions: RegionForm = "marks") -> list[PromptedQuestion]:
    """All questions of a split that can be asked in a form, ordered by log, frame, group and id.

    Raises:
        StoreError: a question names a group that the store does not have.
    """
    log_ids = store.log_ids("questions")
    return [question for log_id in log_ids for question in _questions_of_log(store, log_id, split, regions)]


def vlm_answerer(
    model: str,
    adapter: Path | None = None,
    *,
    device: str | None = None,
    max_new_tokens: int | None = None,
    blank: bool = False,
    hide: Hide | None = None,
    seed: int = 0,
    sampling: Sampling | None = None,
) -> VlmAnswerer:
    """An answerer that asks a vision-language model.

    Boxes are turned into what the model counts in and back, so questions and answers are in pixels of the original images.

    Args:
        model: folder of a checkpoint, or its name on the hub; "tiny" for the base that the run in `adapter` was tuned from.
        adapter: output folder of `drive-vqa finetune`.
        device: torch device; the best one by default.
        max_new_tokens: longest answer; default: what the model was tuned to need.
        blank: a control: show grey images of the same size in place of the frames.
        hide: a control: paint out the evidence, or random boxes, see `eval.hiding`.
        seed: of random boxes.
        sampling: how answers are drawn, each batch with a seed that follows from this one and from what is asked; None: greedy.

    Raises:
        ConfigError: both controls at once.
        ModelError: there is no such model.
    """
    frames_of, control = frames_shown(blank=blank, hide=hide, seed=seed)
    vlm, name = open_vlm(model, adapter, device)
    answer = _asking(vlm, max_new_tokens, frames_of, sampling, by_evidence=hide is not None)
    return VlmAnswerer(answer, f"{name}{control}", vlm.regions)


def frames_shown(*, blank: bool = False, hide: Hide | None = None, seed: int = 0) -> tuple[FramesOf, str]:
    """What is shown with a question, and what a control adds to the name of a model; arguments as for `vlm_answerer`.

    Raises:
        ConfigError: both controls at once.
    """
    if blank and hide:
        raise ConfigError("grey images have nothing to hide: take one of blank and hide")

    def frames_of(asked: PromptedQuestion, size_px: tuple[int, int] | None, style: Style) -> list[Image.Image]:
        if hide:
            return hidden_frames(asked.store, asked.group, asked.evidence, size_px, hide=hide, style=style, seed=seed)
        return (grey_frames if blank else marked_frames)(asked.store, asked.group, size_px, style=style)

    return frames_of, "+blank" if blank else f"+hide-{hide}" if hide else ""


def open_vlm(model: str, adapter: Path | None = None, device: str | None = None) -> tuple[Vlm, str]:
    """A model as the command line names it, and what it is called; arguments and errors as for `vlm_answerer`."""
    from drive_vqa.vlm import load_run, load_vlm

    if adapter is None and model == TINY:
        raise ModelError(
            "the tiny model knows nothing before it is tuned: give the run of `drive-vqa finetune` as --adapter"
        )
    if adapter is None:
        return load_vlm(model, device=device), Path(model).name
    vlm = load_run(adapter, None if model == TINY else model, device=device)
    return vlm, f"{Path(model).name}+{adapter.name}"


def grey_frames(
    _store: Store, group: Mapping[str, Any], size_px: tuple[int, int] | None, **_style: Any
) -> list[Image.Image]:
    """Frames that show nothing.

    Raises:
        StoreError: their size is not known.
    """
    if size_px is None and not all(view["width"] and view["height"] for view in group["context"]):
        raise StoreError(f"group {group.get('group_id')} has an image of unknown size: leave its questions out")
    return [Image.new("RGB", size_px or (view["width"], view["height"]), GREY) for view in group["context"]]


def _asking(
    vlm: Vlm, max_new_tokens: int | None, frames_of: FramesOf, sampling: Sampling | None, *, by_evidence: bool
) -> Answerer:
    """Questions of a group share its frames; where these depend on the evidence, only those with the same."""
    batches: dict[str, int] = {}
    shown: dict[tuple[Path, str, str, tuple[int, ...]], list[Image.Image]] = {}

    def frames(asked: PromptedQuestion) -> list[Image.Image]:
        evidence = asked.evidence if by_evidence else ()
        key = (asked.store.root, asked.group["log_id"], asked.group["group_id"], evidence)
        if key not in shown:
            if len(shown) >= KEPT_GROUPS:
                shown.pop(next(iter(shown)))  # the oldest: groups come one after another
            shown[key] = frames_of(asked, vlm.image_size_px, style_of(vlm.regions))
        return shown[key]

    def messages(asked: PromptedQuestion) -> list[Message]:
        ours = build_messages(asked.group, asked.question)
        return vlm.processor.to_model_messages(ours, asked.group, vlm.image_size_px)

    def in_pixels(asked: PromptedQuestion, text: str) -> str:
        wording = asked.question["question"]
        return vlm.processor.from_model_text(text, asked.group, vlm.image_size_px, asked=wording)

    def answer(batch: list[PromptedQuestion]) -> list[Answer]:
        texts = vlm.generate(
            [messages(asked) for asked in batch],
            [frames(asked) for asked in batch],
            max_new_tokens,
            sampling=None if sampling is None else _of_batch(sampling, batch, batches),
        )
        return [Answer(in_pixels(asked, text)) for asked, text in zip(batch, texts, strict=True)]

    return answer


def _of_batch(sampling: Sampling, batch: Sequence[PromptedQuestion], batches: dict[str, int]) -> Sampling:
    """The sampling of one batch: other draws for other questions, and for the same ones asked again."""
    first = batch[0].question["qa_id"]
    batches[first] = batches.get(first, -1) + 1
    content = f"{sampling.seed} {first} {batches[first]}"
    return replace(sampling, seed=int.from_bytes(hashlib.sha256(content.encode()).digest()[:4], "big"))


def _questions_of_log(store: Store, log_id: str, split: str, regions: RegionForm) -> Iterator[PromptedQuestion]:
    columns = (*SHOWN_COLUMNS, "evidence", *(() if regions == "marks" else TURNED_BY))
    table = store.read("questions", log_id, columns)
    table = table.filter(pc.equal(table["split"], split))
    if not table.num_rows:
        return
    groups = _groups(store, log_id, table["group_id"])
    for question in table.sort_by(
        [("frame", "ascending"), ("group_id", "ascending"), ("qa_id", "ascending")]
    ).to_pylist():
        if question["group_id"] not in groups:
            name = question["group_id"]
            raise StoreError(f"log {log_id} of {store.root} has no group {name}: run `drive-vqa generate STORE` again")
        group = groups[question["group_id"]]
        shown = _as_shown(question, group, regions)
        if shown is not None:
            evidence = tuple(sorted({fact["mark"] for fact in question["evidence"] or () if fact["mark"] is not None}))
            yield PromptedQuestion(store, group, shown, evidence)


def _as_shown(question: dict[str, Any], group: Mapping[str, Any], regions: RegionForm) -> dict[str, Any] | None:
    """The question as it is asked, and nothing of its truth; None where it cannot be.

    Without marks an answer or option that names a region is left out: it is scored by a number that the model never sees.
    """
    turned = in_form(question, group, regions)
    names = [] if regions == "marks" else [*(question["options"] or ()), question["answer"]]
    if turned is None or any(NAME.search(text) for text in names):
        return None
    return {name: turned[name] for name in SHOWN_COLUMNS}


def _groups(store: Store, log_id: str, wanted: pa.ChunkedArray) -> dict[str, dict[str, Any]]:
    table = store.read("groups", log_id)
    table = table.filter(pc.is_in(table["group_id"], value_set=pc.unique(wanted)))
    return {group["group_id"]: group for group in table.to_pylist()}


def _answer_batch(
    batch: Sequence[tuple[PromptedQuestion, int]], answer: Answerer, model_name: str
) -> list[dict[str, Any]]:
    started = time.perf_counter()
    answers = answer([asked for asked, _ in batch])
    latency_s = (time.perf_counter() - started) / len(batch)
    if len(answers) != len(batch):
        raise ModelError(f"the model gave {len(answers)} answers to {len(batch)} questions: one is needed for each")
    return [
        {
            "qa_id": asked.question["qa_id"],
            "model": model_name,
            "sample": sample,
            "text": storable(one.text),
            "latency_s": latency_s,
            "looks": None if one.looks is None else [look_to_struct(look) for look in one.looks],
        }
        for (asked, sample), one in zip(batch, answers, strict=True)
    ]
