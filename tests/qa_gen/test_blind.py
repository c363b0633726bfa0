"""Who reads only the text of a question must do no better than chance.

Two readers for each type and form, trained on half of the logs and tested on the other half: one gives the most frequent
answer, the other is a naive Bayes classifier over wording, parameter and options, the rank of an option among numbers and its
letter. "No better" is within 3 points, plus what chance itself varies by: `SIGMAS` standard deviations of a binomial with as many
tries.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from drive_vqa.store import Store
from qa_gen.config import GenerateConfig
from qa_gen.generate import generate
from tests.qa_gen.oracle.world import CAMERAS, Looks, make_traffic, write_traffic

LOGS = 20
MOST_ROWS = 1600
"""Of one type and form; spread over all logs."""

POINTS = 0.03
SIGMAS = 3.5
"""Of some 150 types and forms, none is this far from chance by chance (one in ten such tests)."""

LEAST_TRIES = 60
Row = dict[str, Any]


@dataclass
class Counts:
    """How often a feature went with a right and with a wrong choice."""

    right: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    wrong: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    rights: int = 0
    wrongs: int = 0

    def learn(self, features: Iterable[str], is_right: bool) -> None:
        counts = self.right if is_right else self.wrong
        for feature in features:
            counts[feature] += 1.0
        self.rights += is_right
        self.wrongs += not is_right

    def score(self, features: Iterable[str]) -> float:
        """Log odds of being right; add-one smoothing."""
        return sum(
            math.log((self.right.get(feature, 0.0) + 1.0) / (self.rights + 2.0))
            - math.log((self.wrong.get(feature, 0.0) + 1.0) / (self.wrongs + 2.0))
            for feature in features
        )


def _offers(row: Row) -> list[str]:
    return row["options"] if row["form"] == "choice" else ["yes", "no"]


def _rank(options: list[str], option: str) -> str:
    """Place among the numbers on offer, from both ends."""
    numbers = [re.match(r"-?\d+(\.\d+)?", text) for text in options]
    if None in numbers:
        return "no number"
    values = sorted(float(number[0]) for number in numbers)  # type: ignore[index]
    own = float(re.match(r"-?\d+(\.\d+)?", option)[0])  # type: ignore[index]
    return f"rank {values.index(own)} of {len(values)}"


def _majority_features(row: Row, option: str) -> list[str]:
    return [f"answer {option}"]


def _all_features(row: Row, option: str) -> list[str]:
    """An option by itself, its rank and letter, and each with the wording, the parameter and the other options.

    Wording and parameter make up all words of a question but the regions' numbers, which are kept as their order.
    """
    offers = _offers(row)
    number = re.match(r"(-?\d+)(\.\d+)?", option)
    own = option if number is None else f"about {5 * round(float(number[0]) / 5)}"
    rank = _rank(offers, option)
    named = [int(region) for region in re.findall(r"Region (\d+)", row["question"])][:2]
    context = [
        f"wording {row['template']}",
        f"parameter {row['parameter']}",
        f"both {row['template']} {row['parameter']}",
    ]
    context += [f"order {named == sorted(named)}"]
    if row["form"] == "choice" and number is None:
        context += [f"beside {other}" for other in offers if other != option]
    alone = [f"answer {own}", f"letter {offers.index(option)} of {len(offers)}", rank]
    return [*alone, *(f"{rank if number else own}|{feature}" for feature in context)]


READERS = {"majority": _majority_features, "naive Bayes": _all_features}


@dataclass(frozen=True)
class Score:
    """Of a reader on one type and form."""

    tries: int
    hits: int
    chance: float

    @property
    def excess(self) -> float:
        return self.hits / self.tries - self.chance

    @property
    def allowed(self) -> float:
        return POINTS + SIGMAS * math.sqrt(self.chance * (1 - self.chance) / self.tries)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    store = Store.create(tmp_path_factory.mktemp("blind") / "store")
    looks = (Looks(tuple(CAMERAS)), *(Looks(),) * 4)
    for number in range(LOGS):
        write_traffic(store, f"log-{number:02d}", make_traffic(1000 + number), looks[number % 5])
    assert not generate(store, GenerateConfig(), workers=2).failures  # other processes have no run-time type checks
    columns = ["log_id", "type", "form", "template", "parameter", "question", "options", "answer"]
    return [row for row in store.read_all("questions", columns).to_pylist() if row["form"] != "open"]


def _is_for_training(row: Row) -> bool:
    return int(row["log_id"][-2:]) % 2 == 0


def _scores(rows: list[Row], reader: str) -> dict[tuple[str, str], Score]:
    features = READERS[reader]
    by_kind: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        by_kind[row["type"], row["form"]].append(row)
    scores = {}
    for kind, own in by_kind.items():
        own = own[:: -(-len(own) // MOST_ROWS)]
        counts = Counts()
        for row in own:
            if _is_for_training(row):
                for option in _offers(row):
                    counts.learn(features(row, option), option == row["answer"])
        tested = [row for row in own if not _is_for_training(row)]
        if tested:
            hits = sum(_guess(counts, features, row) == row["answer"] for row in tested)
            chance = sum(1 / len(_offers(row)) for row in tested) / len(tested)
            scores[kind] = Score(len(tested), hits, chance)
    return scores


def _guess(counts: Counts, features: Any, row: Row) -> str:
    return max(_offers(row), key=lambda option: counts.score(features(row, option)))


@pytest.fixture(scope="module")
def scores(rows: list[Row]) -> dict[str, dict[tuple[str, str], Score]]:
    return {reader: _scores(rows, reader) for reader in READERS}


@pytest.mark.parametrize("reader", READERS)
def test_the_text_alone_does_not_tell_the_answer(scores: dict[str, dict[tuple[str, str], Score]], reader: str):
    judged = {kind: score for kind, score in scores[reader].items() if score.tries >= LEAST_TRIES}
    assert len(judged) > 80
    told = {kind: score for kind, score in judged.items() if abs(score.excess) > score.allowed}
    assert told == {}, "\n".join(f"{kind}: {score.excess:+.3f} of {score.tries}" for kind, score in told.items())


@pytest.mark.parametrize("form", ["choice", "yes_no"])
@pytest.mark.parametrize("reader", READERS)
def test_nor_on_all_types_together(scores: dict[str, dict[tuple[str, str], Score]], reader: str, form: str):
    own = [score for (_, kind), score in scores[reader].items() if kind == form]
    tries = sum(score.tries for score in own)
    excess = sum(score.excess * score.tries for score in own) / tries
    assert tries > 5000
    assert abs(excess) < POINTS


def test_a_reader_finds_out_what_a_text_gives_away(rows: list[Row]):
    """The test can fail: answers that follow a word of the question are found."""
    own = [row for row in rows if row["type"] == "side" and row["form"] == "yes_no"]
    biased = [dict(row, answer="yes" if row["template"] % 3 else "no") for row in own]
    assert _scores(biased, "naive Bayes")["side", "yes_no"].excess > 0.2
