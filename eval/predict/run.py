"""Ask the questions of a selection and write the answers as a predictions file.

    PRED.parquet           table `predictions`; its metadata say which questions were asked, how, and what it cost
    PRED.errors.jsonl      questions without an answer: qa_id, sample, error; absent where there are none
    PRED.partial.jsonl     the journal, see `eval.predict.journal`; gone when every question has its answer

The same call again goes on with what the journal lacks, and asks nothing where the file is whole; a file of another call is
left alone. Every question ends answered once or listed as failed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from drive_vqa.config import to_dict
from drive_vqa.errors import ConfigError, ModelError
from drive_vqa.looks import look_to_struct
from drive_vqa.progress import track
from drive_vqa.region_forms import RegionForm
from drive_vqa.schema import PREDICTIONS, SCHEMA_VERSION, table_from_rows
from drive_vqa.store import VERSION_KEY, Store, replacing
from eval.predict.asked import Answer, Answerer, Answering, PromptedQuestion, Unanswered
from eval.predict.batches import in_batches
from eval.predict.binding import STORE
from eval.predict.finished import read_finished
from eval.predict.journal import Journal, open_journal
from eval.predict.outcome import Outcome, Prices
from eval.predict.questions import ids_by_log, read_prompted
from eval.predict.selection import ASKED_KEY, LEFT_OUT_KEY, SELECTION_KEY, Selection
from eval.predictions import storable

logger = logging.getLogger(__name__)

ERRORS = ".errors.jsonl"

MOST_FAILURES_IN_A_ROW = 16
"""With so many the model is gone rather than the questions bad."""

ORDER = ("log_id", "frame", "group_id", "qa_id")
"""In which questions are asked."""

Failed = tuple[PromptedQuestion, Unanswered]

Plan = Mapping[str, pa.StringArray]
"""Log → `qa_id` of its questions, in the order of asking."""


def predict(
    store: Store,
    split: str,
    answer: Answerer,
    out: Path,
    *,
    model_name: str,
    batch_size: int,
    types: tuple[str, ...] = (),
    kinds: tuple[str, ...] = (),
    limit: int | None = None,
    regions: RegionForm = "marks",
    samples: int = 1,
) -> Path:
    """Write the answers to questions of a split: `ask_questions` in batches.

    Args:
        store: with questions.
        split: train, val, test or bench.
        answer: gives one answer to each question of a batch.
        out: see `ask_questions`.
        model_name: see `ask_questions`; the same name must mean the same model.
        batch_size: answers asked for at once.
        types: see `Selection`.
        kinds: see `Selection`.
        limit: see `Selection`.
        regions: see `Selection`.
        samples: see `ask_questions`.

    Returns:
        `out`; errors as for `ask_questions` and `in_batches`.
    """
    selection = Selection(split, types=types, kinds=kinds, limit=limit, regions=regions)
    ask_questions(store, selection, in_batches(answer, batch_size), out, model_name=model_name, samples=samples)
    return out


def ask_questions(
    store: Store,
    selection: Selection,
    answering: Answering,
    out: Path,
    *,
    model_name: str,
    settings: Mapping[str, Any] | None = None,
    samples: int = 1,
    prices: Prices | None = None,
    can_ask: Callable[[PromptedQuestion], bool] = lambda _: True,
) -> Outcome:
    """Write the answers to the questions of a selection; those that are journaled or written are not asked again.

    Args:
        store: with questions.
        selection: which of them.
        answering: who answers.
        out: Parquet file with the schema of table `predictions`, written in one step; where questions failed it holds the others.
        model_name: written beside every answer.
        settings: what else the answers depend on, as JSON can hold it: which weights, how answers are drawn. What is journaled is
            gone on with under equal settings only.
        samples: answers to each question, asked for one after another; above 1 for who draws them.
        prices: of tokens.
        can_ask: tells which of the selected questions are asked; that the others were left out is kept beside the answers.

    Raises:
        ConfigError: nothing is selected or can be asked, `out` is not a .parquet file, it was begun with other settings or holds
            something else, or another process is at work on it.
        ModelError: one question fails after the other, or the model cannot be asked at all; what is done is kept.
        PredictionError: the journal is damaged.
    """
    if out.suffix != ".parquet":
        raise ConfigError(f"{out} must end in .parquet: predictions are written as Parquet")
    plan = ids_by_log(store, selection)
    if not plan:
        raise ConfigError(_nothing(store, selection))
    questions = sum(map(len, plan.values()))
    regions = "" if selection.regions == "marks" else f", regions named by {selection.regions}"
    logger.info("%d questions%s", questions, regions)
    model_name = storable(model_name)
    told = {"model": model_name, "samples": samples, "settings": _storable(settings or {}), STORE: _digest(store, plan)}
    binding = {"selection": to_dict(selection), **told}
    left_out: dict[str, None] = {}
    with open_journal(out, binding) as journal:
        before, resumed = read_finished(out, binding), len(journal.places)
        if before is not None and not (resumed or before.failed):
            logger.info("%s is up to date", out)
            return before
        missing = _that_can(_missing(store, plan, selection.regions, samples, journal), can_ask, left_out)
        failed = _ask(answering, missing, questions * samples, journal, out.with_suffix(ERRORS))
        outcome = _outcome(out, journal, resumed, failed, prices)
        if not (outcome.answered or failed):
            raise ConfigError(f"none of the {questions} questions can be asked so: select others")
        if outcome.answered:
            asked = {**told, "questions": questions, **outcome.as_told()}
            _write(out, plan, samples, model_name, journal, _metadata(selection, left_out, asked))
        if not failed:
            journal.remove()
    return outcome


def _storable(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: storable(value) if isinstance(value, str) else value for name, value in settings.items()}


def _metadata(selection: Selection, left_out: Iterable[str], asked: Mapping[str, Any]) -> dict[bytes, str]:
    """What is kept beside the answers."""
    return {
        SELECTION_KEY: selection.as_json(),
        LEFT_OUT_KEY: json.dumps(list(left_out)),
        ASKED_KEY: json.dumps(asked, sort_keys=True),
    }


def _outcome(out: Path, journal: Journal, resumed: int, failed: int, prices: Prices | None) -> Outcome:
    tokens = {"prompt_tokens": journal.prompt_tokens, "completion_tokens": journal.completion_tokens}
    cost = None if prices is None else prices.cost(**tokens)
    return Outcome(out, len(journal.places), resumed, failed, **tokens, cost=cost)


def _ask(answering: Answering, missing: Iterator[PromptedQuestion], total: int, journal: Journal, errors: Path) -> int:
    """Journal what is answered and list what is not, also where asking is broken off; how many have no answer."""
    failed: list[Failed] = []
    in_a_row = 0
    try:
        with closing(answering(missing)) as answers:
            counted = chain(repeat(None, len(journal.places)), answers)  # what was done before counts as progress
            for one in track(counted, total=total, description="predict"):
                if one is None:
                    continue
                asked, said = one
                if isinstance(said, Answer):
                    journal.add(_journaled(asked, said))
                    in_a_row = 0
                    continue
                failed.append((asked, said))
                in_a_row += 1
                if in_a_row >= MOST_FAILURES_IN_A_ROW:
                    raise ModelError(f"{in_a_row} questions failed one after the other, the last one so: {said.reason}")
    finally:
        _write_failures(errors, failed)
    return len(failed)


def _missing(
    store: Store, plan: Plan, regions: RegionForm, samples: int, journal: Journal
) -> Iterator[PromptedQuestion]:
    """What the journal lacks, in the order of asking, a log at a time."""
    for log_id, ids in plan.items():
        lacking = {
            qa_id: lacks
            for qa_id in ids.to_pylist()
            if (lacks := [sample for sample in range(samples) if (qa_id, sample) not in journal.places])
        }
        for asked in read_prompted(store, log_id, pa.array(lacking, pa.string()), regions) if lacking else ():
            for sample in lacking[asked.question["qa_id"]]:
                yield replace(asked, sample=sample)


def _that_can(
    questions: Iterator[PromptedQuestion], can_ask: Callable[[PromptedQuestion], bool], left_out: dict[str, None]
) -> Iterator[PromptedQuestion]:
    """Those that can be asked; the ids of the others, in order, become keys of `left_out`."""
    for asked in questions:
        if can_ask(asked):
            yield asked
        else:
            left_out[asked.question["qa_id"]] = None


def _journaled(asked: PromptedQuestion, said: Answer) -> dict[str, Any]:
    return {
        "qa_id": asked.question["qa_id"],
        "sample": asked.sample,
        "text": storable(said.text),
        "looks": None if said.looks is None else [look_to_struct(look) for look in said.looks],
        "latency_s": said.latency_s,
        "prompt_tokens": said.prompt_tokens,
        "completion_tokens": said.completion_tokens,
    }


def _write(
    out: Path, plan: Plan, samples: int, model_name: str, journal: Journal, metadata: Mapping[bytes, str]
) -> None:
    """All answers in the order of asking, a log at a time."""
    schema = PREDICTIONS.with_metadata({VERSION_KEY: SCHEMA_VERSION, **metadata})
    with replacing(out) as temporary:
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for ids in plan.values():
                keys = ((qa_id, sample) for qa_id in ids.to_pylist() for sample in range(samples))
                rows = [_row(answer, model_name) for answer in journal.read(keys)]
                writer.write_table(table_from_rows("predictions", rows))
        with temporary.open("rb") as file:
            os.fsync(file.fileno())  # the journal is removed next


def _row(answer: Mapping[str, Any], model_name: str) -> dict[str, Any]:
    """An answer of the journal as a row of `predictions`."""
    return {name: model_name if name == "model" else answer[name] for name in PREDICTIONS.names}


def _write_failures(path: Path, failed: Sequence[Failed]) -> None:
    """One line a question that failed, in the order of asking; no file where none did."""
    if not failed:
        path.unlink(missing_ok=True)
        return
    ordered = sorted(failed, key=lambda one: (*(one[0].question[name] for name in ORDER), one[0].sample))
    rows = [
        {"qa_id": asked.question["qa_id"], "sample": asked.sample, "error": storable(why.reason)}
        for asked, why in ordered
    ]
    with replacing(path) as temporary:
        temporary.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")


def _digest(store: Store, plan: Plan) -> str:
    """Of all questions and groups that are asked from."""
    digests = [[log_id, store.digest("questions", log_id), store.digest("groups", log_id)] for log_id in plan]
    return hashlib.sha256(json.dumps(digests).encode()).hexdigest()


def _nothing(store: Store, selection: Selection) -> str:
    """Why there is nothing to ask."""
    splits = sorted(set(store.read_all("questions", ["split"])["split"].to_pylist()))
    if selection.split in splits and selection != Selection(selection.split, regions=selection.regions):
        return f"no question of split {selection.split!r} of {store.root} is in the selection {selection.as_json()}: ask for more"
    found = ", ".join(splits) or "none"
    return f"split {selection.split!r} of {store.root} has no questions to ask; splits with questions: {found}"
