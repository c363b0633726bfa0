"""V-STaR: what happens in a video, when, and where, asked in two chains (arXiv 2503.11495).

    vqa.accuracy                    A: share of right answers to "what"
    chain1.tiou, .viou, .am, .lgm   T, S and their means with A (`eval.evidence.chains`); chain 1 asks when, then where
    chain2.…                        chain 2 asks where, then when
    mam, mlgm                       means over both chains, not in hundredths
    slice.domain.VALUE.mam, .mlgm; slice.duration.short|medium|long.mam, .mlgm    (under 1 min, under 3 min, from 3 min)

Data: `V_STaR_test.json`, a list of records with `vid`, `domain`, `fps`, `frame_count`, `question`, `answer`,
`temporal_question`, `timestamps` (start and end, seconds), `spatial_question`, `spatial_question_2` and `bboxes` (each with
`timestamp`, a second, and `xmin`, `ymin`, `xmax`, `ymax` in pixels of the video). They have no ids: a question's id is the
place of its record, from 0, and what is asked, by the names of the published results: `0.vqa`, `0.temporal`, `0.spatial` (chain
1), `0.spatial_2`, `0.temporal_2`.

Published accuracy is the judgement of a language model, at least 2 of 3. Give such ratings as `0.rating` to have them count;
without any, an answer is right where the true one stands in it, word for word, and A is not to be compared with published ones.
An interval may lack its unit, seconds: the published questions do not ask for it. Boxes are `{"3": [left, top, right, bottom],
…}` by second, in pixels of the video, not of a resized one. A missing answer counts 0; published code leaves records without an
answer to "what" out of T and S. Several boxes in one second are assigned one to one (`eval.evidence.times`); published code
takes the best.

Source: https://github.com/V-STaR-Bench/V-STaR (`data/README.md`, `eval.py`, `inference_demo.py`); the published file was not at
hand.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from eval.answers import Parsed, ParseFailure
from eval.benchmarks.records import Record, read_json
from eval.benchmarks.scored import Metrics, Scored, reading
from eval.benchmarks.tasks import Task, checked
from eval.evidence.chains import arithmetic_mean, log_geometric_mean
from eval.evidence.times import visual_iou
from eval.panel.answered import share_of
from eval.parse import parse
from eval.plaintext import MAX_CHARACTERS, answer_part, plain
from eval.reasoning.read import MAX_CHARACTERS as MOST_OF_BOXES
from eval.scoring import LEAST_IOU, LEAST_TIOU, interval_iou
from eval.statistics import estimate_of_means

ASKED = {
    "vqa": ("question", "words"),
    "temporal": ("temporal_question", "interval"),
    "spatial": ("spatial_question", "boxes"),
    "temporal_2": ("temporal_question", "interval"),
    "spatial_2": ("spatial_question_2", "boxes"),
    "rating": ("question", "rating"),
}
"""What is asked of each record: where its words stand, and how it is answered."""

WHAT, TEMPORAL, SPATIAL, TEMPORAL_2, SPATIAL_2, RATED = range(len(ASKED))
CHAINS = {"chain1": (TEMPORAL, SPATIAL), "chain2": (TEMPORAL_2, SPATIAL_2)}
CORNERS = ("xmin", "ymin", "xmax", "ymax")
LEAST_RATING = 2
Judged = tuple[Parsed | ParseFailure, float]
"""What was said, and the share that it gets: 1 or 0 for "what", the IoU for "when" and "where"."""

SHORT_S, MEDIUM_S = 60.0, 180.0
_WORD = re.compile(r"\w+")
_N = r"([-+]?[0-9]{1,9}+(?:\.[0-9]{0,9}+)?+)"
_BOX = ",".join([rf"\s*+{_N}\s*+"] * len(CORNERS))
_BOX_OR_SECOND = re.compile(rf"\[{_BOX}\]|(?<![\w.]){_N}[\"']?+\s*+:")


def read(path: Path) -> list[Task]:
    """The questions of the file: five a record, and its rating.

    Raises:
        RecordError: the file cannot be read or does not have the layout.
    """
    return checked([task for number, record in enumerate(read_json(path)) for task in _tasks(record, number)], path)


def judge(task: Task, text: str) -> tuple[Parsed | ParseFailure, bool]:
    """What was said, and whether it is right; intervals and boxes from half an overlap on."""
    answer, share = _JUDGES[task.answer_type](task, text)
    return answer, share >= _ENOUGH[task.answer_type]


def metrics(scored: Scored) -> Metrics:
    """The chains and their summaries, over all records and by category."""
    rows = scored.rows.reshape(-1, len(ASKED))
    rated = bool(scored.present[rows[:, RATED]].any())
    yield from reading(scored, (rows if rated else rows[:, :RATED]).ravel())
    shares = _shares(scored)[rows]
    what, first = shares[:, RATED if rated else WHAT], rows[:, WHAT]
    yield "vqa.accuracy", share_of(what, first)
    chains = {
        name: np.stack([what, shares[:, when], shares[:, where]], axis=1) for name, (when, where) in CHAINS.items()
    }
    for name, parts in chains.items():
        yield f"{name}.tiou", share_of(parts[:, 1], first)
        yield f"{name}.viou", share_of(parts[:, 2], first)
        yield from _summaries(f"{name}.", scored, parts, first)
    both = np.concatenate(list(chains.values()), axis=1)
    yield from _summaries("m", scored, both, first)
    for dimension in ("domain", "duration"):
        for value, chosen in scored.parts(dimension).take(first):
            yield from _summaries(f"slice.{dimension}.{value}.m", scored, both[chosen], first[chosen])


def _shares(scored: Scored) -> Float[np.ndarray, "n"]:
    return np.array(
        [
            0.0 if text is None else _JUDGES[task.answer_type](task, text)[1]
            for task, text in zip(scored.tasks, scored.texts, strict=True)
        ]
    )


def boxes_by_second(text: str) -> dict[float, np.ndarray]:
    """The boxes that a text gives for each second; what stands before any second is left out."""
    said = answer_part(text[:MOST_OF_BOXES])
    found: dict[float, list[list[float]]] = defaultdict(list)
    second: float | None = None
    for match in _BOX_OR_SECOND.finditer(said):
        if match[5] is not None:
            second = float(match[5])
        elif second is not None:
            found[second].append([float(number) for number in match.groups()[:4]])
    return {second: np.array(boxes) for second, boxes in found.items()}


def _tasks(record: Record, number: int) -> list[Task]:
    boxes, truths = record.inners("bboxes"), _truths(record)
    if not boxes:
        raise record.error("'bboxes' is empty")
    with record.making():
        return [
            Task(
                f"{number}.{asked}",
                record.text(words),
                answer_type,
                truths.get(answer_type, Parsed()),
                record.text("vid"),
                slices={"domain": record.text("domain"), "duration": _duration(record)},
                boxes_px=tuple(box.box(CORNERS) for box in boxes),
                boxes_s=tuple(box.number("timestamp") for box in boxes),
            )
            for asked, (words, answer_type) in ASKED.items()
        ]


def _truths(record: Record) -> dict[str, Parsed]:
    """True answers by how they are answered; boxes are the question's own."""
    start_s, end_s = record.numbers("timestamps", 2)
    if start_s > end_s:
        raise record.error("'timestamps' ends before it starts")
    answer = record.text("answer")
    if len(answer) > MAX_CHARACTERS or not _words(answer):
        raise record.error("'answer' is empty or too long")
    return {"words": Parsed(choice=answer), "interval": Parsed(start_s=start_s, end_s=end_s)}


def _duration(record: Record) -> str:
    fps = record.number("fps")
    if fps <= 0:
        raise record.error("'fps' is not above 0")
    length_s = record.number("frame_count") / fps
    return "short" if length_s < SHORT_S else "medium" if length_s < MEDIUM_S else "long"


def _summaries(prefix: str, scored: Scored, parts: Float[np.ndarray, "n k"], rows: Int[np.ndarray, "n"]) -> Metrics:
    """AM and LGM of the mean parts of k chains, averaged over the chains."""
    for name, summary in (("am", arithmetic_mean), ("lgm", log_geometric_mean)):
        yield f"{prefix}{name}", estimate_of_means(parts, scored.clusters[rows], rows, _over_chains(summary))


def _over_chains(summary: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda means: np.asarray(summary(means.reshape(*means.shape[:-1], -1, 3)).mean(axis=-1))


def _what(task: Task, text: str) -> Judged:
    said = answer_part(text)
    if len(said) > MAX_CHARACTERS:
        return ParseFailure("too_long", f"{len(said)} characters"), 0.0
    if not _words(said):
        return ParseFailure("empty"), 0.0
    stands = f" {_words(task.truth.choice or '')} " in f" {_words(said)} "
    return Parsed(choice=said), float(stands)


def _words(text: str) -> str:
    """The words of a text, parted by single blanks."""
    return " ".join(_WORD.findall(plain(text)))


def _when(task: Task, text: str) -> Judged:
    answer = parse(text, "interval")
    if isinstance(answer, ParseFailure) and answer.reason == "missing_unit" and answer.kept is not None:
        answer = answer.kept
    if isinstance(answer, ParseFailure):
        return answer, 0.0
    true_s, told_s = (np.array([[one.start_s, one.end_s]], dtype=np.float64) for one in (task.truth, answer))
    return answer, float(interval_iou(true_s, told_s)[0])


def _where(task: Task, text: str) -> Judged:
    told = boxes_by_second(text)
    if not told:
        return ParseFailure("no_answer", text[:80]), 0.0
    true = {
        second: np.array([box for box, at_s in zip(task.boxes_px, task.boxes_s, strict=True) if at_s == second])
        for second in dict.fromkeys(task.boxes_s)
    }
    return Parsed(), visual_iou(true, told)


def _rated(_task: Task, text: str) -> Judged:
    answer = parse(text, "count")
    return answer, float(isinstance(answer, Parsed) and (answer.count or 0) >= LEAST_RATING)


_JUDGES: dict[str, Callable[[Task, str], Judged]] = {
    "words": _what,
    "interval": _when,
    "boxes": _where,
    "rating": _rated,
}
_ENOUGH = {"words": 1.0, "interval": LEAST_TIOU, "boxes": LEAST_IOU, "rating": 1.0}
"""The least share of a right answer."""
