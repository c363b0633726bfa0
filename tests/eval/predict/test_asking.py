"""Asking that is broken off and gone on with: every question ends answered once or listed as failed."""

from __future__ import annotations

import json
import logging
from itertools import islice

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drive_vqa.errors import ConfigError, ModelError
from drive_vqa.looks import TracedLook
from drive_vqa.store import read_table
from eval.predict import Answer, Prices, Selection, Unanswered, ask_questions, asked_ids, in_batches
from eval.predict.run import ASKED_KEY, MOST_FAILURES_IN_A_ROW
from eval.predict.selection import left_out_of, selection_of

LOOK = TracedLook(0, (0.0, 4.0, 32.0, 24.0), (3.5, 16.25), 1)
PEOPLE = Selection("test", types=("people", "clock"))
"""45 questions."""


class Model:
    """Answers each question by its id and sample; fails where it is told to, and is killed after so many."""

    def __init__(self, fails=(), killed_after=None):
        self.fails, self.killed_after = set(fails), killed_after
        self.seen = []

    def __call__(self, questions):
        for place, asked in enumerate(questions):
            qa_id = asked.question["qa_id"]
            self.seen.append((qa_id, asked.sample))
            if place == self.killed_after:
                raise KeyboardInterrupt
            if qa_id in self.fails:
                yield asked, Unanswered(f"no idea about {qa_id}")
            else:
                yield asked, Answer(f"{qa_id} {asked.sample}", (LOOK,), 0.25, 10, 2)


def ask(world, out, model, selection=PEOPLE, **options):
    return ask_questions(world, selection, model, out, **{"model_name": "m", **options})


def errors(out):
    return [json.loads(line) for line in out.with_suffix(".errors.jsonl").read_text().splitlines()]


def told(out):
    return json.loads(pq.read_schema(out).metadata[ASKED_KEY])


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_one_go(world, tmp_path):
    out, model = tmp_path / "p.parquet", Model()
    outcome = ask(world, out, model, samples=2, prices=Prices(3.0, 50.0), settings={"seed": 4})
    ids = asked_ids(world, PEOPLE).to_pylist()
    assert [(row["qa_id"], row["sample"]) for row in read_table(out, "predictions").to_pylist()] == model.seen
    assert model.seen == [(qa_id, sample) for qa_id in ids for sample in (0, 1)]
    assert (outcome.answered, outcome.resumed, outcome.failed, outcome.exit_status) == (90, 0, 0, 0)
    assert (outcome.prompt_tokens, outcome.completion_tokens) == (900, 180)
    assert outcome.cost == pytest.approx(900 * 3e-6 + 180 * 50e-6)
    assert outcome.sentence() == (
        "90 answers, 0 of them from before, 0 questions failed; 900 tokens sent, 180 received, cost 0.0117"
    )
    kept = told(out)
    assert len(kept.pop("store")) == 64
    assert kept == {
        **{"model": "m", "samples": 2, "settings": {"seed": 4}, "questions": 45, "answered": 90, "failed": 0},
        **{"prompt_tokens": 900, "completion_tokens": 180, "cost": outcome.cost},
    }
    assert names(tmp_path) == ["p.parquet"]
    assert (selection_of(out), left_out_of(out)) == (PEOPLE, [])


@pytest.mark.parametrize("killed_after", [1, 14, 15, 44])
def test_a_broken_off_run_is_gone_on_with_to_the_same_bytes(world, tmp_path, killed_after):
    whole, out = tmp_path / "whole.parquet", tmp_path / "p.parquet"
    ask(world, whole, Model())
    first, second = Model(killed_after=killed_after), Model()
    with pytest.raises(KeyboardInterrupt):
        ask(world, out, first)
    assert names(tmp_path) == ["p.partial.jsonl", "whole.parquet"]
    outcome = ask(world, out, second)
    assert (outcome.resumed, outcome.answered) == (killed_after, 45)
    assert not set(first.seen[:-1]) & set(second.seen)
    assert out.read_bytes() == whole.read_bytes()
    assert names(tmp_path) == ["p.parquet", "whole.parquet"]


def test_a_run_that_did_not_answer_leaves_nothing(world, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        ask(world, tmp_path / "p.parquet", Model(killed_after=0))
    assert names(tmp_path) == []


def test_what_failed_is_listed_and_asked_alone_the_next_time(world, tmp_path):
    out, ids = tmp_path / "p.parquet", asked_ids(world, PEOPLE).to_pylist()
    wrong = ids[3::10]
    outcome = ask(world, out, Model(wrong))
    assert (outcome.answered, outcome.failed, outcome.exit_status) == (40, 5, 1)
    assert [row["qa_id"] for row in errors(out)] == wrong
    assert errors(out)[0] == {"qa_id": wrong[0], "sample": 0, "error": f"no idea about {wrong[0]}"}
    assert [row["qa_id"] for row in read_table(out, "predictions").to_pylist()] == [i for i in ids if i not in wrong]
    assert (selection_of(out), left_out_of(out)) == (PEOPLE, [])
    assert told(out)["failed"] == 5
    again = Model(wrong[:1])
    assert ask(world, out, again).exit_status == 1
    assert [qa_id for qa_id, _ in again.seen] == wrong
    assert [row["qa_id"] for row in errors(out)] == wrong[:1]
    last = Model()
    assert ask(world, out, last).exit_status == 0
    assert last.seen == [(wrong[0], 0)]
    whole = tmp_path / "whole.parquet"
    ask(world, whole, Model())
    assert out.read_bytes() == whole.read_bytes()
    assert names(tmp_path) == ["p.parquet", "whole.parquet"]


def test_a_model_that_is_gone_is_not_asked_on(world, tmp_path):
    out, ids = tmp_path / "p.parquet", asked_ids(world, PEOPLE).to_pylist()
    gone = Model(ids[5:])
    with pytest.raises(
        ModelError, match=f"16 questions failed one after the other, the last one so: no idea about {ids[20]}"
    ):
        ask(world, out, gone)
    assert len(gone.seen) == 5 + MOST_FAILURES_IN_A_ROW
    assert len(errors(out)) == MOST_FAILURES_IN_A_ROW
    assert ask(world, out, Model()).resumed == 5
    assert names(tmp_path) == ["p.parquet"]


def test_nothing_is_written_where_nothing_was_answered(world, tmp_path):
    out, chosen = tmp_path / "p.parquet", Selection("test", types=("people",))
    outcome = ask(world, out, Model(asked_ids(world, chosen).to_pylist()), chosen)
    assert (outcome.answered, outcome.failed, outcome.exit_status) == (0, 9, 1)
    assert names(tmp_path) == ["p.errors.jsonl"]


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"model_name": "n"}, "model"),
        ({"settings": {"seed": 1}}, "seed"),
        ({"samples": 2}, "samples"),
        ({"selection": Selection("test")}, "types"),
    ],
)
def test_answers_of_other_settings_are_not_mixed(world, tmp_path, other, named):
    out = tmp_path / "p.parquet"
    with pytest.raises(KeyboardInterrupt):
        ask(world, out, Model(killed_after=3))
    with pytest.raises(ConfigError, match=rf"p\.partial\.jsonl holds answers for other settings \({named} was"):
        ask(world, out, Model(), **other)


def test_answers_to_questions_that_were_made_anew_are_not_mixed(tmp_path, write_store):
    store, out = write_store(tmp_path / "store", {"a": "test"}), tmp_path / "p.parquet"
    with pytest.raises(KeyboardInterrupt):
        ask(store, out, Model(killed_after=3))
    store.write("groups", "a", store.read("groups", "a"), "made anew")
    with pytest.raises(ConfigError, match="other settings \\(the store holds other questions now\\)"):
        ask(store, out, Model())


@pytest.fixture
def finished(world, tmp_path):
    """The file of an earlier call."""
    out = tmp_path / "p.parquet"
    ask(world, out, Model(), settings={"seed": 4}, prices=Prices(3.0, 50.0))
    return out


def test_a_finished_file_is_not_asked_again(world, finished, caplog):
    before, model = finished.read_bytes(), Model()
    with caplog.at_level(logging.INFO):
        outcome = ask(world, finished, model, settings={"seed": 4})
    assert (model.seen, finished.read_bytes(), names(finished.parent)) == ([], before, ["p.parquet"])
    assert (outcome.answered, outcome.resumed, outcome.failed, outcome.exit_status) == (45, 45, 0, 0)
    assert (outcome.prompt_tokens, outcome.completion_tokens) == (450, 90)
    assert outcome.cost == pytest.approx(450 * 3e-6 + 90 * 50e-6)
    assert f"{finished} is up to date" in caplog.messages


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"selection": Selection("test", types=("people", "clock"), limit=4)}, "limit was none, now 4"),
        ({"settings": {"seed": 3}}, "seed was 4, now 3"),
        ({"settings": {"seed": 4, "control": "blank"}}, 'control was none, now "blank"'),
        ({"model_name": "n", "samples": 2}, 'model was "m", now "n"; samples was 1, now 2'),
    ],
)
def test_a_file_of_another_call_is_not_written_over(world, finished, other, said):
    before, model = finished.read_bytes(), Model()
    with pytest.raises(ConfigError, match=r"p\.parquet holds answers of another call \(") as told:
        ask(world, finished, model, **{"settings": {"seed": 4}, **other})
    assert f"({said}): give another --out, or delete it" in str(told.value)
    assert (model.seen, finished.read_bytes(), names(finished.parent)) == ([], before, ["p.parquet"])


def test_a_file_about_questions_that_were_made_anew_is_not_written_over(tmp_path, write_store):
    store, out = write_store(tmp_path / "store", {"a": "test"}), tmp_path / "p.parquet"
    ask(store, out, Model())
    store.write("groups", "a", store.read("groups", "a"), "made anew")
    with pytest.raises(ConfigError, match="another call \\(the store holds other questions now\\)"):
        ask(store, out, Model())


def _without_metadata(path):
    pq.write_table(pa.table({"qa_id": ["a"], "text": ["left"]}), path)


def _with_wrong_counts(path):
    asked = {"model": "m", "samples": 1, "settings": {}, "store": "", "answered": float("inf"), "failed": 0}
    metadata = {"drive_vqa.selection": "{}", "drive_vqa.asked": json.dumps(asked)}
    pq.write_table(pa.table({"qa_id": ["a"]}).replace_schema_metadata(metadata), path)


@pytest.mark.parametrize(
    "write", [_without_metadata, _with_wrong_counts, lambda path: path.write_text("mine"), lambda path: path.mkdir()]
)
def test_a_file_of_other_origin_is_not_written_over(world, tmp_path, write):
    out, model = tmp_path / "p.parquet", Model()
    write(out)
    with pytest.raises(
        ConfigError, match=r"p\.parquet is no predictions file of `drive-vqa predict`: give another --out"
    ):
        ask(world, out, model)
    assert (model.seen, names(tmp_path)) == ([], ["p.parquet"])


def test_what_failed_is_asked_anew_where_the_journal_was_deleted(world, tmp_path):
    out, ids = tmp_path / "p.parquet", asked_ids(world, PEOPLE).to_pylist()
    ask(world, out, Model(ids[:1]))
    out.with_suffix(".partial.jsonl").unlink()
    outcome = ask(world, out, Model())
    assert (outcome.answered, outcome.resumed, outcome.failed) == (45, 0, 0)
    assert names(tmp_path) == ["p.parquet"]


def test_names_that_utf8_cannot_hold_are_kept_without_it(world, tmp_path):
    options = {"model_name": "m\ud800", "settings": {"served": "s\ud800", "size_px": [3, 4]}}
    with pytest.raises(KeyboardInterrupt):
        ask(world, tmp_path / "p.parquet", Model(killed_after=3), **options)
    assert ask(world, tmp_path / "p.parquet", Model(), **options).resumed == 3
    assert set(read_table(tmp_path / "p.parquet", "predictions")["model"].to_pylist()) == {"m?"}
    assert told(tmp_path / "p.parquet")["settings"] == {"served": "s?", "size_px": [3, 4]}
    assert ask(world, tmp_path / "p.parquet", Model(), **options).resumed == 45


def test_progress_counts_what_was_done_before(world, tmp_path, caplog):
    with pytest.raises(KeyboardInterrupt):
        ask(world, tmp_path / "p.parquet", Model(killed_after=40))
    with caplog.at_level(logging.INFO):
        ask(world, tmp_path / "p.parquet", Model())
    assert "predict 45/45" in caplog.messages
    assert "45 questions" in caplog.messages


def test_what_cannot_be_asked_so_is_left_out(world, tmp_path):
    out, ids = tmp_path / "p.parquet", asked_ids(world, PEOPLE).to_pylist()
    can = {"can_ask": lambda asked: asked.question["type"] == "people"}
    with pytest.raises(KeyboardInterrupt):
        ask(world, out, Model(killed_after=4), **can)
    outcome = ask(world, out, Model(), **can, samples=1)
    people = [qa_id for qa_id in ids if "people" in qa_id]
    assert (outcome.answered, outcome.resumed, outcome.exit_status) == (9, 4, 0)
    assert left_out_of(out) == [qa_id for qa_id in ids if qa_id not in people]
    with pytest.raises(ConfigError, match="none of the 45 questions can be asked so"):
        ask(world, tmp_path / "q.parquet", Model(), can_ask=lambda _: False)
    assert names(tmp_path) == ["p.parquet"]


def test_a_selection_of_nothing_is_told(world, tmp_path):
    with pytest.raises(ConfigError, match="no question of split 'test' .* is in the selection"):
        ask(world, tmp_path / "p.parquet", Model(), Selection("test", families=("ego",), types=("people",)))


def test_questions_are_taken_as_they_are_needed(world, tmp_path):
    """A model that ends early has read no more of the store than it was asked."""
    taken = []

    def lazy(questions):
        for asked in islice(questions, 7):
            taken.append(asked.group["log_id"])
            yield asked, Answer("left")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(world, tmp_path / "p.parquet", lazy)
    assert taken == ["a"] * 7


def test_a_batch_shares_its_time_evenly(world, tmp_path):
    out = tmp_path / "p.parquet"
    ask(world, out, in_batches(lambda batch: [Answer("left")] * len(batch), 20))
    latencies = read_table(out, "predictions")["latency_s"].to_pylist()
    assert len({*latencies[:20]}) == len({*latencies[20:40]}) == len({*latencies[40:]}) == 1
    assert min(latencies) >= 0


@pytest.mark.parametrize("wrong", [(-1.0, 0.0), (0.0, float("nan")), (float("inf"), 0.0)])
def test_prices_that_are_none(wrong):
    with pytest.raises(ConfigError, match="prices must be at least 0"):
        Prices(*wrong)
