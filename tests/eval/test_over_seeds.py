"""Differences of several seeds, against what they are by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.results.over_seeds import over_seeds
from tests.eval.conftest import write_world
from tests.eval.scored_runs import scored, true_answers

LOGS = 8
MLSR = "localization.mlsr"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """`true` answers all; of the others one puts pedestrians twice as far in all logs, one in half of them."""
    root = tmp_path_factory.mktemp("runs")
    store = write_world(root / "store", {f"log{index}": "test" for index in range(LOGS)})
    told = {name: dict(true_answers(store)) for name in ("true", "all", "half")}
    for row in store.read_all("questions").to_pylist():
        if row["answer_type"] == "localization" and row["slices"]["category"] == "pedestrian":
            wrong = f"{2 * row['truth']['distance_m']:.3f} m, {row['truth']['bearing_deg']:.2f} degrees"
            told["all"][row["qa_id"]] = wrong
            if int(row["log_id"].removeprefix("log")) < LOGS // 2:
                told["half"][row["qa_id"]] = wrong
    return {name: scored(store, root / name, answers) for name, answers in told.items()}


def test_the_difference_is_the_mean_over_seeds(runs: dict[str, Path]) -> None:
    found = over_seeds([(runs["true"], runs["all"]), (runs["true"], runs["half"])], [MLSR, "localization.tlc"])
    assert found[MLSR].value == pytest.approx((-0.25 - 0.125) / 2)
    assert (found[MLSR].n, found[MLSR].clusters, found[MLSR].cluster_kind) == (2 * LOGS * 3 * 4 * 4, LOGS, "log")
    assert found[MLSR].low is not None
    assert found[MLSR].high is not None
    assert found[MLSR].low < found[MLSR].value < found[MLSR].high


def test_more_seeds_that_say_the_same_make_nothing_surer(runs: dict[str, Path]) -> None:
    """They are answers about the same drives."""
    pair = (runs["true"], runs["half"])
    once, thrice = (over_seeds([pair] * seeds, [MLSR])[MLSR] for seeds in (1, 3))
    assert thrice.low == pytest.approx(once.low)
    assert thrice.high == pytest.approx(once.high)


def test_seeds_that_err_in_other_drives_are_told_from_one_that_is_right(runs: dict[str, Path]) -> None:
    """What one seed loses in a drive another gains there: no difference, and nothing is left to chance."""
    found = over_seeds([(runs["true"], runs["half"]), (runs["half"], runs["true"])], [MLSR])[MLSR]
    assert found.value == pytest.approx(0.0)


def test_what_not_all_seeds_have_is_left_out(runs: dict[str, Path]) -> None:
    assert set(over_seeds([(runs["true"], runs["all"])], [MLSR, "grounding.miou_matched"])) == {MLSR}
