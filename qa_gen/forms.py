"""From the true answers of a type to the questions that are asked: in which forms, with which claims and options.

Balance is part of this: what is claimed or offered decides how often each answer is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int, UInt64

from qa_gen.asked import Asked
from qa_gen.balance import distinct_sets, equal_answers, flattened
from qa_gen.groups import SPLITS
from qa_gen.hashing import below, mix, text_hash
from qa_gen.question_type import FIELD, QuestionType, Truth

CLAIM_MARGIN = 0.05
"""A claim about a number is not made within this share of its threshold, …"""

CLAIM_UNITS = {
    "distance": 0.1, "lateral": 0.3, "longitudinal": 0.3, "bearing": 3.0, "turn": 2.0, "speed": 0.2, "time": 0.1,
}  # fmt: skip
"""… nor within so many of its units."""

BREAK_MARGIN_DEG = 10.0
"""No claim about an angle so near to straight behind: there "greater" jumps from 180 to -180."""

SEPARATION = {
    "distance": (0.6, 1.0), "lateral": (0.5, 2.0), "longitudinal": (0.5, 2.0), "bearing": (0.0, 20.0), "turn": (0.0, 20.0),
    "speed": (0.5, 1.0), "time": (0.5, 0.7), "clock": (0.0, 1.0), "count": (0.0, 1.0),
}  # fmt: skip
"""How far options must be apart, as a share of the value and in units: more than twice what an answer may be off."""

PERIOD = {"bearing": 360.0, "turn": 360.0, "clock": 12.0}
FLAT_BINS = {
    "distance": (5, 10, 15, 20, 30, 40, 50), "lateral": (-10, -5, -2, 0, 2, 5, 10), "longitudinal": (-20, -10, -5, 0, 5, 10, 20),
    "bearing": (-90, -45, -20, -10, -5, 0, 5, 10, 20, 45, 90), "turn": (-135, -45, -15, -5, 0, 5, 15, 45, 135),
    "speed": (0.3, 2, 4, 6, 8, 10, 13, 16, 20), "time": (0.5, 1, 1.5, 2, 3, 4, 5), "clock": tuple(range(1, 12)),
    "count": tuple(range(8)),
}  # fmt: skip
"""Edges of the bins of answers that are flattened."""

CHAINS = ("localization", "ego_speed", "target_speed")
"""Types asked at 0, 1, 2 and 3 s that count together as one consistent prediction: kept or left out together."""


@dataclass(frozen=True, eq=False)
class Chunk:
    """Questions of one type and form.

    Attributes:
        kind: the type.
        form: see `qa_gen.config.FORMS`.
        asked: all subjects.
        subject: which of them each question is about.
        claim: what a claim says: index of the threshold or of the choice; -1 where there is no claim.
        parameter: index into the type's parameters; 0 where it has none.
        truth: fields as in `Truth`; for form choice only `choice` (or `mark`, or the number's field).
        options: codes of choices, numbers of marks or values on offer; empty places are -1 or NaN. None: no options.
    """

    kind: QuestionType
    form: str
    asked: Asked
    subject: Int[np.ndarray, "n"]
    claim: Int[np.ndarray, "n"]
    parameter: Int[np.ndarray, "n"]
    truth: Truth
    options: np.ndarray | None = None

    def __len__(self) -> int:
        """How many questions there are."""
        return len(self.subject)

    def take(self, chosen: Bool[np.ndarray, "n"] | Int[np.ndarray, "k"]) -> Chunk:
        """Some of the questions."""
        return replace(
            self,
            subject=self.subject[chosen],
            claim=self.claim[chosen],
            parameter=self.parameter[chosen],
            truth={name: values[chosen] for name, values in self.truth.items()},
            options=None if self.options is None else self.options[chosen],
        )


def chunks(kind: QuestionType, asked: Asked, kept: Bool[np.ndarray, "n"] | None) -> Iterator[Chunk]:
    """The questions of a type about some subjects.

    Args:
        kind: the type.
        asked: the subjects.
        kept: subjects whose chain is kept (see CHAINS); None: no balancing at all, only open questions.
    """
    drawn = below(_draws(kind, asked, "parameter"), len(kind.parameters))
    truth = kind.truth(replace(asked, parameter=drawn) if kind.parameters else asked)
    whole = _whole(kind, asked, truth, drawn)
    if kept is None:
        yield replace(whole, form="open")
        return
    for form in kind.forms:
        if form in asked.config.forms:
            yield _open(whole, kept) if form == "open" else _MAKERS[form, _sort(kind)](whole)


def _sort(kind: QuestionType) -> str:
    """How a type is claimed and offered."""
    if kind.answer_type == "choice" and not kind.choices:
        return "marks"
    return kind.answer_type if kind.answer_type in ("choice", "bool") else "number"


def _whole(kind: QuestionType, asked: Asked, truth: Truth, drawn: np.ndarray) -> Chunk:
    """All questions that have a clear answer."""
    parameter = np.asarray(truth.get("parameter", drawn))
    clear = np.asarray(truth.get("asked", np.ones(len(asked), dtype=bool))) & (parameter >= 0)
    for name, values in truth.items():
        if name not in ("asked", "parameter", "options", "marks", "numbers"):
            clear = clear & (np.isfinite(values) if values.dtype.kind == "f" else values >= 0)
    if "start_s" in truth:
        clear = clear & (truth["end_s"] > truth["start_s"])  # what is seen in one frame alone has no length in time
    subject = np.flatnonzero(clear)
    fields = {name: values[subject] for name, values in truth.items() if name not in ("asked", "parameter", "options")}
    options = truth["options"][subject] if "options" in truth else None
    return Chunk(kind, "", asked, subject, np.full(len(subject), -1), parameter[subject], fields, options)


def _open(whole: Chunk, kept: np.ndarray) -> Chunk:
    if whole.kind.name.rpartition("_t")[0] in CHAINS:
        return replace(whole.take(kept[whole.subject]), form="open")
    answer_type = whole.kind.answer_type
    if answer_type not in FLAT_BINS:
        return replace(whole, form="open")
    bins = np.digitize(whole.truth[FIELD[answer_type]], FLAT_BINS[answer_type])
    draws = _draws(whole.kind, whole.asked, "flatten")[whole.subject]
    kept_bins = flattened(bins, _log(whole), draws, whole.asked.config.flatten)
    return replace(whole.take(kept_bins), form="open")


def _balanced_bool(whole: Chunk) -> Chunk:
    """As many yes as no for each class and parameter."""
    return _half_yes(replace(whole, form="yes_no"), whole.parameter)


def _claim_choices(whole: Chunk) -> Chunk:
    """Half of the claims are true; the others are another answer of the type."""
    answer = whole.truth["choice"]
    draws = _draws(whole.kind, whole.asked, "claim")[whole.subject]
    other = (answer + 1 + below(draws >> np.uint64(8), len(whole.kind.choices) - 1)) % len(whole.kind.choices)
    claim = np.where(draws & np.uint64(1), answer, other)
    made = replace(whole, form="yes_no", claim=claim, truth={"bool": (claim == answer).astype(np.int64)})
    return _half_yes(made, claim)


def _claim_thresholds(whole: Chunk) -> Chunk:
    """The nearest threshold below the truth, or above: hard to tell apart; never too near to tell."""
    kind, values = whole.kind, whole.truth[FIELD[whole.kind.answer_type]]
    thresholds = np.array(kind.thresholds)
    draws = _draws(kind, whole.asked, "claim")[whole.subject]
    above = np.searchsorted(thresholds, values)
    claim = np.clip(np.where(draws & np.uint64(1), above - 1, above), 0, len(thresholds) - 1)
    chosen = thresholds[claim]
    clear = np.abs(values - chosen) > np.maximum(CLAIM_MARGIN * np.abs(chosen), CLAIM_UNITS[kind.answer_type])
    if kind.answer_type in PERIOD:
        clear &= np.abs(values) < 0.5 * PERIOD[kind.answer_type] - BREAK_MARGIN_DEG
    made = replace(whole, form="yes_no", claim=claim, truth={"bool": (values > chosen).astype(np.int64)})
    return _half_yes(made.take(clear), claim[clear])


def _half_yes(chunk: Chunk, about: np.ndarray) -> Chunk:
    """As many yes as no for each split, class of the first mark, and what is asked."""
    cell = (_log_and_split(chunk) * 32 + _class(chunk)) * 64 + about
    draws = _draws(chunk.kind, chunk.asked, "balance")[chunk.subject]
    return chunk.take(equal_answers(chunk.truth["bool"], cell, draws, 2).any(axis=-1))


def _offer_choices(whole: Chunk) -> Chunk:
    cell = _log_and_split(whole)
    draws = _draws(whole.kind, whole.asked, "balance")[whole.subject]
    offered = equal_answers(whole.truth["choice"], cell, draws, len(whole.kind.choices))
    options = np.where(offered, np.arange(len(whole.kind.choices))[None], -1)
    return replace(whole, form="choice", options=options).take(offered.any(axis=-1))


def _offer_marks(whole: Chunk) -> Chunk:
    """Numbers are dealt at random, so any offer is fair."""
    return replace(whole, form="choice")


def _offer_values(whole: Chunk) -> Chunk:
    answer_type = whole.kind.answer_type
    values = whole.truth[FIELD[answer_type]].astype(np.float64)
    share, units = SEPARATION[answer_type]
    draws = _draws(whole.kind, whole.asked, "offer")[whole.subject]
    group = whole.asked.group[whole.subject]
    apart = np.maximum(share * np.abs(values), units)
    offers = distinct_sets(values, group, draws, apart, PERIOD.get(answer_type))
    made = replace(whole, form="choice", options=offers)
    return made.take(np.isfinite(offers).any(axis=-1))


def kept_chains(asked: Asked) -> Bool[np.ndarray, "n"]:
    """Which subjects' chains are asked: in training, few of what is frequent; elsewhere all.

    Marks are flattened by their distance and bearing now, groups without a mark by the ego's speed.
    """
    if asked.slots.shape[1]:
        agent = asked.now()
        ahead = np.digitize(agent.bearing_deg, FLAT_BINS["bearing"])
        bins = 12 * np.digitize(agent.distance_m, FLAT_BINS["distance"]) + ahead
    else:
        bins = np.digitize(asked.ego_speed_mps(), FLAT_BINS["speed"])
    draws = _subject_draws(asked, text_hash("chain"))
    in_training = asked.groups.split[asked.group] == 0
    return np.asarray(flattened(bins, asked.drive.log[asked.frame], draws, asked.config.flatten) | ~in_training)


def _log(chunk: Chunk) -> Int[np.ndarray, "n"]:
    return np.asarray(chunk.asked.drive.log[chunk.asked.frame[chunk.subject]])


def _log_and_split(chunk: Chunk) -> Int[np.ndarray, "n"]:
    return np.asarray(_log(chunk) * len(SPLITS) + chunk.asked.groups.split[chunk.asked.group[chunk.subject]])


def _class(chunk: Chunk) -> Int[np.ndarray, "n"]:
    """Category of the first mark; 0 where there is none."""
    asked = chunk.asked
    return (
        np.asarray(asked.now().category[chunk.subject] + 1) if asked.slots.shape[1] else np.zeros(len(chunk), np.int64)
    )


def _draws(kind: QuestionType, asked: Asked, purpose: str) -> UInt64[np.ndarray, "n"]:
    return _subject_draws(asked, text_hash(f"{kind.name} {purpose}"))


def _subject_draws(asked: Asked, salt: int) -> UInt64[np.ndarray, "n"]:
    return mix(salt, asked.subject_hash)


_MAKERS: dict[tuple[str, str], Callable[[Chunk], Chunk]] = {
    ("yes_no", "bool"): _balanced_bool,
    ("yes_no", "choice"): _claim_choices,
    ("yes_no", "number"): _claim_thresholds,
    ("choice", "choice"): _offer_choices,
    ("choice", "marks"): _offer_marks,
    ("choice", "number"): _offer_values,
}
