"""Rows of the `questions` table from chunks of questions: gathered, joined and hashed as columns, never one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from drive_vqa.schema import QUESTIONS, TRUTH
from qa_gen.answers import answer_texts, truth_column
from qa_gen.asked import Asked
from qa_gen.balance import MOST_OFFERS
from qa_gen.catalogue import TYPES
from qa_gen.config import FORMS, KINDS
from qa_gen.drive import Drive
from qa_gen.forms import Chunk
from qa_gen.group_table import group_ids, list_column
from qa_gen.groups import NUMBERS, SPLITS, Groups
from qa_gen.hashing import below, hexadecimal, mix, text_hash
from qa_gen.phrasebook import ROLES, Phrasebook, claim_wordings, phrasebook
from qa_gen.question_type import FIELD, QuestionType
from qa_gen.slices import Slices, slice_column

TYPE_CODES = {name: code for code, name in enumerate(TYPES)}
TYPE_HASHES = np.array([text_hash(f"{kind.name} {kind.version}") for kind in TYPES.values()], dtype=np.uint64)
NUMBER_FIELDS = tuple(
    field.name for field in TRUTH if field.name not in ("choice", "marks") and not pa.types.is_list(field.type)
)
MOST_OPTIONS = 13
"""As many as the longest list of choices has (checked when options are stored)."""

MOST_WORDS = max(max(len(kind.choices), len(kind.thresholds), len(kind.parameters), 1) for kind in TYPES.values())

ANSWER_TYPES = tuple(dict.fromkeys([*(kind.answer_type for kind in TYPES.values()), "bool", "choice"]))
_EVIDENCE = QUESTIONS.field("evidence").type


@dataclass(frozen=True, eq=False)
class GroupsOfLog:
    """The groups of one kind with what is known of their marks."""

    groups: Groups
    slices: Slices


def question_table(drive: Drive, parts: Mapping[str, GroupsOfLog], chunks: Sequence[Chunk]) -> pa.Table:
    """All questions as rows of the `questions` table, ordered by kind of group, log, group, type, form and subject.

    Args:
        drive: the logs.
        parts: their groups by kind, in the order of the `groups` table.
        chunks: their questions.
    """
    chunks = [chunk for chunk in chunks if len(chunk)]
    if not chunks:
        return QUESTIONS.empty_table()
    book = phrasebook()
    rows, place = _rows(parts, chunks)
    columns = _columns(drive, rows, chunks, place, book)
    values = _values(chunks, place, columns["form"], book)
    table = _texts(columns, values, book) | _references(drive, parts, columns)
    return pa.table([table[name] for name in QUESTIONS.names], schema=QUESTIONS)


@dataclass(frozen=True, eq=False)
class Rows:
    """The questions in their final order: what each is about, and the chunk that it is from.

    Attributes:
        subjects: facts about all subjects, by name.
        subject: of each question, an index into these.
        chunk: index of its chunk.
        claim: see `Chunk`.
        parameter: see `Chunk`.
    """

    subjects: Mapping[str, np.ndarray]
    subject: Int[np.ndarray, "n"]
    chunk: Int[np.ndarray, "n"]
    claim: Int[np.ndarray, "n"]
    parameter: Int[np.ndarray, "n"]


def _rows(parts: Mapping[str, GroupsOfLog], chunks: Sequence[Chunk]) -> tuple[Rows, Int[np.ndarray, "n"]]:
    """The rows, and where each question of the chunks, one after the other, has its place."""
    first_group = dict(
        zip(parts, np.cumsum([0, *(len(part.groups) for part in parts.values())]).tolist(), strict=False)
    )
    everyone = {id(chunk.asked): chunk.asked for chunk in chunks}
    subjects = _concatenated([_facts(asked, first_group[asked.groups.kind]) for asked in everyone.values()])
    first = dict(zip(everyone, np.cumsum([0, *map(len, everyone.values())]).tolist(), strict=False))
    subject = np.concatenate([chunk.subject + first[id(chunk.asked)] for chunk in chunks])
    number = np.repeat(np.arange(len(chunks)), [len(chunk) for chunk in chunks])
    rank = np.array([TYPE_CODES[chunk.kind.name] * len(FORMS) + FORMS.index(chunk.form) for chunk in chunks])
    order = np.argsort(subjects["group"][subject] * (len(TYPES) * len(FORMS)) + rank[number], kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    claim, parameter = (np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in ("claim", "parameter"))
    return Rows(subjects, subject[order], number[order], claim[order], parameter[order]), place


def _concatenated(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _facts(asked: Asked, first_group: int) -> dict[str, np.ndarray]:
    """What is the same in all questions about a subject; -1 in empty roles."""
    return {
        "kind": np.full(len(asked), KINDS.index(asked.groups.kind)),
        "group": first_group + asked.group,
        "group_of_kind": asked.group,
        "frame": asked.frame,
        "split": asked.groups.split[asked.group],
        "numbers": _widened(asked.numbers),
        "tracks": _widened(asked.tracks),
        "slots": _widened(asked.slots),
        "hash": asked.subject_hash,
    }


def _widened(columns: np.ndarray) -> np.ndarray:
    wide = np.full((len(columns), len(ROLES)), -1, dtype=np.int64)
    wide[:, : columns.shape[1]] = columns
    return wide


def _columns(
    drive: Drive, rows: Rows, chunks: Sequence[Chunk], place: np.ndarray, book: Phrasebook
) -> dict[str, np.ndarray]:
    """What each question is, as whole numbers."""
    constants = _concatenated([_constants(chunk, book) for chunk in chunks])
    columns = {name: values[rows.subject] for name, values in rows.subjects.items()}
    columns |= {name: constants[name][rows.chunk] for name in ("type", "form", "about_all")}
    _name_absent(columns["numbers"], chunks, place)
    about = np.where(rows.claim >= 0, rows.claim, rows.parameter)
    wordings = constants["wordings"][rows.chunk]
    draws = mix(text_hash("wording"), columns["hash"], constants["salt"][rows.chunk], rows.claim + 1)
    wording = below(draws, wordings)
    return columns | {
        "truth_frame": _truth_frames(drive, rows, chunks, columns["frame"]),
        "template": constants["first"][rows.chunk] + about * wordings + wording,
        "wording": wording,
        "parameter": _named(constants["words"][rows.chunk, about], columns["numbers"]),
        "draws": draws,
    }


def _constants(chunk: Chunk, book: Phrasebook) -> dict[str, np.ndarray]:
    """What is the same for all questions of a chunk."""
    kind, code = chunk.kind, TYPE_CODES[chunk.kind.name]
    claimed = bool((chunk.claim >= 0).any())
    words = np.full((1, MOST_WORDS), NUMBERS)
    own = book.claim_words(kind) if claimed else book.parameter_words(kind)
    words[0, : len(own)] = own
    constants = {
        "type": code,
        "form": FORMS.index(chunk.form),
        "about_all": _about_all(kind),
        "wordings": claim_wordings(kind) if claimed else len(kind.wordings),
        "first": book.claims[code] if claimed else book.own[code],
        "salt": text_hash(f"{kind.name} {chunk.form}") >> 1,
    }
    return {name: np.array([value]) for name, value in constants.items()} | {"words": words}


def _name_absent(numbers: np.ndarray, chunks: Sequence[Chunk], place: np.ndarray) -> None:
    """Put in the numbers of marks that are not there."""
    start = 0
    for chunk in chunks:
        end = start + len(chunk)
        if "numbers" in chunk.truth:
            numbers[place[start:end]] = _widened(chunk.truth["numbers"])
        start = end


def _truth_frames(drive: Drive, rows: Rows, chunks: Sequence[Chunk], frame: np.ndarray) -> np.ndarray:
    """Index of the frame where each truth was read; the present where the log has none so far ahead."""
    horizons_s, which = np.unique([chunk.kind.horizon_s for chunk in chunks], return_inverse=True)
    frames, tolerance_s = np.arange(len(drive.time_ns)), chunks[0].asked.config.time_tolerance_s
    then = np.stack([drive.frame_after(frames, horizon_s, tolerance_s) for horizon_s in horizons_s.tolist()])
    found = then[which[rows.chunk], frame]
    return np.where(found >= 0, found, frame)


def _about_all(kind: QuestionType) -> bool:
    """Whether the answer rests on all marks of the group."""
    by_marks = kind.answer_type == "choice" and not kind.choices
    return by_marks or kind.answer_type in ("count", "ranking", "regions")


def _named(words: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Words; negative ones stand for the name of a role, -2 for a."""
    role = np.where(words <= -2, -2 - words, 0)
    own = np.take_along_axis(numbers, role.reshape(len(numbers), -1), axis=1).reshape(words.shape)
    return np.where(words <= -2, own, words)


@dataclass(frozen=True, eq=False)
class Values:
    """Typed truths and options, in the order of the questions; NaN and -1 where a question has no such value.

    Attributes:
        fields: by field of `Truth`.
        choice: rows of the multiple-choice questions; the others have an entry for each of these.
        options: words on offer.
        offers: or numbers on offer.
        answer: word of the right one.
        number: or its number.
    """

    fields: dict[str, np.ndarray]
    choice: Int[np.ndarray, "m"]
    options: Int[np.ndarray, "m options"]
    offers: Float[np.ndarray, "m offers"]
    answer: Int[np.ndarray, "m"]
    number: Float[np.ndarray, "m"]

    def at(self, rows: Int[np.ndarray, "k"]) -> _Gathered:
        """The fields of some questions."""
        return _Gathered(self.fields, rows)


class _Gathered(dict[str, np.ndarray]):
    """Some rows of columns, gathered when they are asked for."""

    def __init__(self, columns: Mapping[str, np.ndarray], rows: np.ndarray) -> None:
        super().__init__()
        self._columns, self._rows = columns, rows

    def __missing__(self, name: str) -> np.ndarray:
        self[name] = self._columns[name][self._rows]
        return self[name]


def _values(chunks: Sequence[Chunk], place: Int[np.ndarray, "n"], form: np.ndarray, book: Phrasebook) -> Values:
    choice = np.flatnonzero(form == FORMS.index("choice"))
    among = np.empty(len(place), dtype=np.int64)
    among[choice] = np.arange(len(choice))
    m = len(choice)
    values = Values(
        {},
        choice,
        np.full((m, MOST_OPTIONS), -1),
        np.full((m, MOST_OFFERS), np.nan),
        np.full(m, -1),
        np.full(m, np.nan),
    )
    start = 0
    for chunk in chunks:
        rows = place[start : start + len(chunk)]
        start += len(chunk)
        if chunk.form == "choice":
            _store_choice(values, chunk, among[rows], book)
        else:
            for name, column in chunk.truth.items():
                _store(values.fields, name, column, rows, len(place))
    return values


def _store_choice(values: Values, chunk: Chunk, rows: np.ndarray, book: Phrasebook) -> None:
    if chunk.kind.answer_type != "choice":
        values.offers[rows] = _options(chunk)
        values.number[rows] = chunk.truth[FIELD[chunk.kind.answer_type]]
    else:
        answer, options = _choice_words(chunk, book)
        values.answer[rows] = answer
        values.options[rows, : options.shape[1]] = options


def _options(chunk: Chunk) -> np.ndarray:
    if chunk.options is None:
        raise ValueError(f"multiple choice of type {chunk.kind.name} without options")
    return chunk.options


def _store(fields: dict[str, np.ndarray], name: str, column: np.ndarray, rows: np.ndarray, total: int) -> None:
    if name == "numbers":
        return
    if name not in fields:
        shape = (total, NUMBERS) if name == "marks" else (total,)
        floating = column.dtype.kind == "f"
        fields[name] = np.full(shape, np.nan if floating else -1, dtype=np.float64 if floating else np.int64)
    if name == "marks":
        fields[name][rows, : column.shape[1]] = column
    else:
        fields[name][rows] = column


def _choice_words(chunk: Chunk, book: Phrasebook) -> tuple[np.ndarray, np.ndarray]:
    """Word of the answer and of the options."""
    options = _options(chunk)
    if "mark" in chunk.truth:
        return chunk.truth["mark"], options
    words, numbers = book.choice_words(chunk.kind), _widened(chunk.asked.numbers[chunk.subject])
    answer = _named(words[chunk.truth["choice"]], numbers)
    offered = _named(np.where(options >= 0, words[options], -1), numbers)
    return answer, offered


def _texts(columns: Mapping[str, np.ndarray], values: Values, book: Phrasebook) -> dict[str, pa.Array]:
    """Question, options, answer and typed truth."""
    length = len(columns["type"])
    native = np.array([ANSWER_TYPES.index(kind.answer_type) for kind in TYPES.values()])[columns["type"]]
    yes_no, choice = (columns["form"] == FORMS.index(name) for name in ("yes_no", "choice"))
    answer_type = np.where(yes_no, ANSWER_TYPES.index("bool"), np.where(choice, ANSWER_TYPES.index("choice"), native))
    words, options, chosen = _offered_words(values, native[values.choice], book)
    texts, rows = [], []
    for code in np.flatnonzero(np.bincount(answer_type)).tolist():
        here = np.flatnonzero(answer_type == code)
        name = ANSWER_TYPES[code]
        texts.append(words.take(pa.array(chosen)) if name == "choice" else answer_texts(name, values.at(here)))
        rows.append(here)
    place = np.empty(length, dtype=np.int64)
    place[np.concatenate(rows)] = np.arange(length)
    answer = pa.concat_arrays(texts).take(pa.array(place))
    offered = _shuffled(options, columns["draws"][values.choice])
    offered_counts = np.zeros(length, dtype=np.int64)
    offered_counts[values.choice] = (offered >= 0).sum(axis=-1)
    right = np.full(length, -1)
    right[values.choice] = chosen
    parameter = columns["parameter"]
    fields = {name: values.fields[name] for name in NUMBER_FIELDS if name in values.fields}
    fields["choice"] = words.take(pa.array(right, mask=right < 0))
    fields["marks"] = _mark_lists(values.fields.get("marks"), answer_type, length)
    return {
        "type": _words(list(TYPES), columns["type"]),
        "family": _words([kind.family for kind in TYPES.values()], columns["type"]),
        "form": _words(FORMS, columns["form"]),
        "template": pa.array(columns["wording"], pa.int32()),
        "template_version": pa.array([kind.version for kind in TYPES.values()], pa.int32()).take(
            pa.array(columns["type"])
        ),
        "answer_type": _words(ANSWER_TYPES, answer_type),
        "horizon_s": pa.array([kind.horizon_s for kind in TYPES.values()], pa.float64()).take(
            pa.array(columns["type"])
        ),
        "parameter": book.vocabulary.take(pa.array(parameter, mask=parameter == NUMBERS)),
        "question": book.join(columns["template"], columns["numbers"]),
        "options": list_column(words.take(pa.array(offered[offered >= 0])), offered_counts, pa.list_(pa.string())),
        "answer": answer,
        "truth": truth_column(fields, length),
    }


def _offered_words(
    values: Values, native: Int[np.ndarray, "m"], book: Phrasebook
) -> tuple[pa.StringArray, Int[np.ndarray, "m options"], Int[np.ndarray, "m"]]:
    """The vocabulary with the texts of numbers on offer behind it, the words of all options, and that of the right one."""
    words, options, chosen = [book.vocabulary], values.options, values.answer
    next_word = len(book.vocabulary)
    there = np.isfinite(values.offers)
    numeric = there.any(axis=-1)
    for code in np.unique(native[numeric]).tolist():
        here = np.flatnonzero(numeric & (native == code))
        field, filled = FIELD[ANSWER_TYPES[code]], there[here]
        flat = np.cumsum(filled).reshape(filled.shape) - 1
        options[here, :MOST_OFFERS] = np.where(filled, next_word + flat, -1)
        right = np.argmax(values.offers[here] == values.number[here, None], axis=-1)
        chosen[here] = options[here, right]
        text = answer_texts(ANSWER_TYPES[code], {field: values.offers[here][filled]})
        words.append(text)
        next_word += len(text)
    return pa.concat_arrays(words), options, chosen


def _shuffled(options: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Options in random order, empty places last."""
    rank = mix(text_hash("options"), draws[:, None], np.arange(options.shape[1])[None]) >> np.uint64(1)
    order = np.argsort(np.where(options >= 0, rank, np.uint64(2**63)), axis=-1, kind="stable")
    return np.asarray(np.take_along_axis(options, order, -1))


def _mark_lists(marks: np.ndarray | None, answer_type: np.ndarray, length: int) -> pa.Array:
    """Marks that are an answer; null where a question does not ask for any."""
    kind = TRUTH.field("marks").type
    if marks is None:
        return pa.nulls(length, kind)
    asked = np.isin(answer_type, [ANSWER_TYPES.index(name) for name in ("ranking", "regions") if name in ANSWER_TYPES])
    there = (marks >= 0) & asked[:, None]
    offsets = pa.array(np.append(0, np.cumsum(there.sum(axis=-1))), pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.array(marks[there], pa.int32()), type=kind, mask=pa.array(~asked))


def _words(words: Sequence[str], codes: np.ndarray) -> pa.Array:
    return pa.array(words, pa.string()).take(pa.array(codes))


def _references(
    drive: Drive, parts: Mapping[str, GroupsOfLog], columns: Mapping[str, np.ndarray]
) -> dict[str, pa.Array]:
    """Where a question belongs: names, frames, marks, evidence and slices."""
    numbers, tracks = columns["numbers"], columns["tracks"]
    named = numbers >= 0
    ids = [name for part in parts.values() for name in group_ids(drive, part.groups)]
    own_tracks = tracks[named]
    evidence, slices = _of_groups(drive, parts, columns)
    return {
        "qa_id": hexadecimal(_keys(drive, columns)),
        "group_id": _words(ids, columns["group"]),
        "log_id": _words(drive.log_ids, drive.log[columns["frame"]]),
        "frame": pa.array(drive.frame[columns["frame"]], pa.int32()),
        "truth_frame": pa.array(drive.frame[columns["truth_frame"]], pa.int32()),
        "marks": list_column(pa.array(numbers[named]), named.sum(axis=-1), pa.list_(pa.int32())),
        "track_ids": list_column(
            pa.array(drive.track_ids, pa.string()).take(pa.array(own_tracks, mask=own_tracks < 0)),
            named.sum(axis=-1),
            pa.list_(pa.string()),
        ),
        "evidence": evidence,
        "split": _words(SPLITS, columns["split"]),
        "slices": slices,
    }


def _keys(drive: Drive, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """A hash of what is asked about whom, when and how: the same in every store."""
    return mix(
        text_hash("question"), drive.moment_hash[columns["frame"]], columns["kind"], TYPE_HASHES[columns["type"]],
        columns["form"] + 4 * (columns["template"] - phrasebook().own[columns["type"]]),
        *drive.track_hash[columns["tracks"]].T, *columns["numbers"].T,
    )  # fmt: skip


def _of_groups(
    drive: Drive, parts: Mapping[str, GroupsOfLog], columns: Mapping[str, np.ndarray]
) -> tuple[pa.Array, pa.Array]:
    """Evidence and slices, kind of group after kind of group: the questions are in that order."""
    evidence, slices = [], []
    end = 0
    for kind, part in parts.items():
        start, end = end, end + int((columns["kind"] == KINDS.index(kind)).sum())
        if end > start:
            names = ("group_of_kind", "slots", "tracks", "truth_frame", "about_all")
            own = {name: columns[name][start:end] for name in names}
            in_view = _in_view(drive, part.groups, own)
            evidence.append(_evidence(part.groups, own))
            slices.append(slice_column(part.slices, own["group_of_kind"], own["slots"][:, 0], in_view))
    return pa.concat_arrays(evidence), pa.concat_arrays(slices)


def _evidence(groups: Groups, columns: Mapping[str, np.ndarray]) -> pa.ListArray:
    """Each mark that the answer rests on, in each context image that shows it; marks by number, images by time."""
    group, slot, context = np.nonzero(np.isfinite(groups.regions[..., 0]))
    count = np.isfinite(groups.regions[..., 0]).sum(axis=-1)
    first = np.cumsum(count).reshape(count.shape) - count
    rows, slots = columns["group_of_kind"], np.sort(columns["slots"], axis=-1)  # marks of a group stand by number
    begin = np.where(slots >= 0, first[rows[:, None], slots], 0)
    length = np.where(slots >= 0, count[rows[:, None], slots], 0)
    everything = columns["about_all"]
    begin[everything, 0], begin[everything, 1:] = first[rows[everything], 0], 0
    length[everything, 0], length[everything, 1:] = count[rows[everything]].sum(axis=-1), 0
    entry = _ranges(begin.ravel(), length.ravel())
    fields = list(_EVIDENCE.value_type)
    flat = {"mark": groups.numbers[group, slot][entry], "context": context[entry]}
    values = pa.StructArray.from_arrays([pa.array(flat[field.name], field.type) for field in fields], fields=fields)
    return list_column(values, length.sum(axis=-1), _EVIDENCE)


def _ranges(begin: Int[np.ndarray, "n"], length: Int[np.ndarray, "n"]) -> Int[np.ndarray, "total"]:
    """The whole numbers of some ranges, one after the other."""
    ends = np.cumsum(length)
    return np.asarray(np.arange(ends[-1]) + np.repeat(begin - ends + length, length))


def _in_view(drive: Drive, groups: Groups, columns: Mapping[str, np.ndarray]) -> Int[np.ndarray, "n"]:
    """Whether the front camera, or now any camera that is shown, sees the first mark when the truth is read."""
    if groups.front is None:
        return np.full(len(columns["tracks"]), -1)
    rows = drive.row_of(columns["truth_frame"], columns["tracks"][:, 0])
    cameras = {camera for camera in groups.context_cameras if camera is not None}
    seen = np.stack([np.isfinite(drive.regions[camera][rows][:, 0]) for camera in sorted(cameras)])
    return np.asarray(seen.any(axis=0).astype(np.int64))
