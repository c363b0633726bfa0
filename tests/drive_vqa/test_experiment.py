"""The experiment: its command lines are ones that the command line knows, and what is done is not done again."""

from __future__ import annotations

import fcntl
import json
import logging
import re
import shlex
import stat
from pathlib import Path

import pytest

from drive_vqa.cli import bench, experiment
from drive_vqa.cli.arguments import parse
from drive_vqa.cli.experiment import Job, Places, finished, jobs_of, listed, make, printed, write_page
from drive_vqa.cli.experiment_rows import ROWS, Row
from drive_vqa.errors import ConfigError, DriveVqaError, StoreError

PLACES = Places(Path("bench"), Path("out"), Path("data"))
COMMANDS = [(row, command) for row in ROWS for command in row.commands]
BY_NAME = {row.name: row for row in ROWS}


def parsed(command):
    return parse(PLACES.words(command, 3))


def before(name):
    """All rows that a row is made from, however far back."""
    return {name}.union(*(before(one) for one in BY_NAME[name].after))


@pytest.mark.parametrize(("row", "command"), COMMANDS, ids=[f"{row.name}: {line[:40]}" for row, line in COMMANDS])
def test_every_command_line_is_one_of_ours(row, command):
    assert parsed(command).command == command.split()[0]
    assert parse(shlex.split(printed(command).replace("SEED", "3"))[1:]).command == command.split()[0]


def test_every_recipe_takes_its_settings():
    from finetune.config import load_recipe
    from finetune.refine.config import load_recipe as load_refinement

    loaders = {"finetune": load_recipe, "refine": load_refinement}
    read = [parsed(command) for _, command in COMMANDS if command.split()[0] in loaders]
    assert {loaders[one.command](one.recipe, one.overrides).seed for one in read} == {0, 3}


def test_every_row_names_what_it_is_made_from():
    for row in ROWS:
        text = " ".join(row.commands).replace("{train}", "{out}/train")
        read = set(re.findall(r"\{out\}/([a-z_0-9]+)", text))
        assert read - {row.name} <= before(row.name), row.name
        assert before(row.name) <= {one.name for one in ROWS[: ROWS.index(row) + 1]}
        assert row.has_seeds == ("{seed}" in text), row.name
        assert row.needs_real or not any(BY_NAME[one].needs_real for one in row.after)


def test_nobody_is_trained_on_the_bench():
    drawn = [parsed(command) for _, command in COMMANDS if command.startswith("synth")]
    assert len(drawn) == 12
    for one in drawn:
        assert one.town != bench.DRIVES["town"]
        assert one.seed not in (bench.DRIVES["seed"], 1, 2, 3)
        assert one.first + one.scenes <= bench.DRIVES["first_scene"]
        assert one.first >= 2300


def test_controls_are_known_by_name():
    from eval.controls.by_name import NAMES

    asked = {parsed(command).control for _, command in COMMANDS if command.startswith("predict")} - {None}
    assert (
        {"blank", "shuffled", "hide_evidence", "hide_region", "hide_random", "boxes_as_text", "without_reasoning"}
        <= asked
        <= set(NAMES)
    )


FAKE = (
    Row("data", "data", "Data", ("doctor", "doctor --json")),
    Row("sft", "model", "SFT", ("report {out}/sft-{seed} --out r", "gate {bench} --gate g"), ("data",), has_seeds=True),
    Row("rl", "model", "RL", ("gate {out}/sft-{seed} --gate g",), ("sft",), has_seeds=True),
    Row("extra", "control", "Extra", ("gate {out}/sft-0 --gate g",), ("sft",)),
    Row("photos", "real", "Photos", ("gate {real} --gate g",), ("data",), needs_real=True),
)


@pytest.fixture
def places(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "ROWS", FAKE)
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench/bench.json").write_text("{}")
    return Places(tmp_path / "bench", tmp_path / "out")


@pytest.fixture
def ran(monkeypatch):
    """Words of the commands that were run; `ran.fails` are those that do not end well."""

    class Ran(list):
        def __init__(self):
            super().__init__()
            self.fails = {}

    calls = Ran()

    def run(words, log, lock):
        calls.append(shlex.join(words))
        outcome = next((what for part, what in calls.fails.items() if part in calls[-1]), 0)
        if isinstance(outcome, type):
            raise outcome
        return outcome

    monkeypatch.setattr(experiment, "_run", run)
    return calls


def names(jobs):
    return [job.name for job in jobs]


def test_a_row_brings_what_it_is_made_from(places):
    assert names(jobs_of(["rl"], [1], has_real=False)) == ["data", "sft-1", "rl-1"]
    assert names(jobs_of(["extra"], [1, 2], has_real=False)) == ["data", "sft-0", "extra"]
    assert names(jobs_of([], [0, 2], has_real=False)) == ["data", "sft-0", "sft-2", "rl-0", "rl-2", "extra"]
    assert names(jobs_of([], [2], has_real=True)) == ["data", "sft-0", "sft-2", "rl-2", "extra", "photos"]


def test_wrong_use_is_told(places, tmp_path):
    with pytest.raises(ConfigError, match="there is no row 'sfd': choose from data, sft, rl"):
        experiment.experiment(places, ["sfd"], [0])
    with pytest.raises(ConfigError, match="row photos needs recorded driving: give its folder as --real"):
        experiment.experiment(places, ["photos"], [0])
    with pytest.raises(ConfigError, match="holds no bench: run `drive-vqa bench"):
        experiment.experiment(Places(tmp_path, tmp_path), ["data"], [0])


def test_what_is_done_is_not_done_again(places, ran):
    assert experiment.experiment(places, ["sft"], [0, 1]) == 0
    out = places.out
    sft = [[f"report {out}/sft-{seed} --out r", f"gate {places.bench} --gate g"] for seed in (0, 1)]
    assert ran == ["doctor", "doctor --json", *sft[0], *sft[1]]
    assert experiment.experiment(places, ["sft"], [0, 1, 2]) == 0
    assert ran[6:] == [f"report {out}/sft-2 --out r", f"gate {places.bench} --gate g"]
    assert [one["command"] for one in finished(Job(FAKE[1], 0), places)] == sft[0]


def test_a_kill_loses_no_more_than_one_command(places, ran):
    ran.fails = {"--json": KeyboardInterrupt}
    with pytest.raises(KeyboardInterrupt):
        experiment.experiment(places, ["data"], [0])
    assert [one["command"] for one in finished(Job(FAKE[0], 0), places)] == ["doctor"]
    ran.fails = {}
    assert experiment.experiment(places, ["data"], [0]) == 0
    assert ran == ["doctor", "doctor --json", "doctor --json"]


def test_a_command_that_differs_is_run_again_with_all_behind_it(places, ran, tmp_path):
    experiment.experiment(places, ["sft"], [0])
    (tmp_path / "other").mkdir()
    (tmp_path / "other/bench.json").write_text("{}")
    del ran[:]
    experiment.experiment(Places(tmp_path / "other", places.out), ["sft"], [0])
    assert ran == [f"gate {tmp_path}/other --gate g"]


def test_a_deleted_folder_is_made_anew(places, ran):
    experiment.experiment(places, ["sft"], [0])
    (places.out / "sft-0" / experiment.DONE).unlink()
    del ran[:]
    experiment.experiment(places, ["sft"], [0])
    assert len(ran) == 2


def test_a_row_that_fails_stops_those_after_it_alone(places, ran, caplog):
    ran.fails = {"sft-1": 2}
    with caplog.at_level(logging.INFO):
        assert experiment.experiment(places, ["rl"], [0, 1]) == 1
    assert f"gate {places.out}/sft-0 --gate g" in ran
    assert f"gate {places.out}/sft-1 --gate g" not in ran
    told = caplog.text
    assert f"sft-1: `drive-vqa report {places.out}/sft-1 --out r` ended with status 2" in told
    assert f"what it said is in {places.out}/sft-1/log.txt" in told
    assert "rl-1 needs sft-1, which failed" in told
    assert "3 rows made, 2 failed" in told
    assert not (places.out / "rl-1").exists()


def test_a_failing_command_keeps_its_words_and_its_log(places):
    with pytest.raises(DriveVqaError, match=r"ended with status 1; what it said is in \S+log\.txt"):
        make(Job(FAKE[1], 7), places)
    log = (places.out / "sft-7/log.txt").read_text()
    assert log.startswith(f"$ drive-vqa report {places.out}/sft-7 --out r\n")
    assert "drive-vqa report:" in log
    assert not (places.out / "sft-7/commands.json").exists()


def test_two_do_not_work_on_one_row(places, ran):
    folder = places.out / "data"
    folder.mkdir(parents=True)
    with (folder / experiment.LOCK).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="another process is at work in"):
            make(Job(FAKE[0], 0), places)
    assert ran == []


def test_a_command_that_outlives_the_experiment_keeps_its_row(places, tmp_path, monkeypatch):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nsleep 2 &\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(experiment.sys, "executable", str(script))
    make(Job(FAKE[0], 0), places)
    with pytest.raises(ConfigError, match="another process is at work in"):
        make(Job(FAKE[0], 0), places)


@pytest.mark.parametrize("content", ["{", "[]", '{"done": 3}', '{"done": [{}]}', "[" * 100_000])
def test_damaged_records_are_one_clear_error(places, content):
    (places.out / "data").mkdir(parents=True)
    (places.out / "data/commands.json").write_text(content)
    with pytest.raises(StoreError, match="delete it,? and run again"):
        finished(Job(FAKE[0], 0), places)


def test_the_list_tells_what_is_done_and_what_would_be_run(places, ran):
    experiment.experiment(places, ["data"], [0])
    assert listed(places, ["sft"], [5]).splitlines() == [
        "data: Data; 2 of 2 done, 0.0 min",
        "    drive-vqa doctor",
        "    drive-vqa doctor --json",
        "sft-5: SFT; 0 of 2 done, 0.0 min",
        "    drive-vqa report OUT/sft-SEED --out r",
        "    drive-vqa gate BENCH --gate g",
    ]


def test_the_page_has_the_seeds_that_are_there(places, tmp_path):
    metric = {"value": 0.5, "n": 10, "low": 0.4, "high": 0.6, "clusters": 3, "cluster_kind": "log"}
    for folder in ("sft-10", "sft-2", "sft-x", "sft-3"):
        (places.out / folder / "evaluation").mkdir(parents=True)
    for folder in ("sft-10", "sft-2"):
        path = places.out / folder / "evaluation/metrics.json"
        path.write_text(json.dumps({"localization.mlsr": metric, "localization.tlc": metric}))
    write_page(places, tmp_path / "results.md")
    page = (tmp_path / "results.md").read_text()
    assert page.index("SFT, seed 2 |") < page.index("SFT, seed 10 |")
    assert "### `sft`: SFT\n\nSeeds 2, 10.\n\n    drive-vqa report OUT/sft-SEED --out r\n" in page
    assert "### `rl`: RL\n\n**Not run.**\n" in page


def test_rows_of_another_base_or_recipe_are_not_taken_for_ones_of_this(places, ran):
    """Their command lines are the same."""
    experiment.experiment(places, ["data"], [0])
    kept = places.out / "made_with.json"
    told = json.loads(kept.read_text())
    assert set(told) == {"base", "recipe tiny", "refinement tiny", "refinement tiny_answers"}
    kept.write_text(json.dumps({**told, "recipe tiny": "0" * 64}))
    with pytest.raises(ConfigError, match="was made with another recipe tiny: give --out another folder"):
        experiment.experiment(places, ["data"], [0])
    assert ran == ["doctor", "doctor --json"]


@pytest.mark.parametrize("line", [{"command": "doctor", "wall_s": "long"}, {"command": 3, "wall_s": 1.0}])
def test_what_does_not_tell_what_is_done_is_refused(places, line):
    folder = places.out / "data"
    folder.mkdir(parents=True)
    (folder / experiment.DONE).write_text(json.dumps({"done": [line]}))
    with pytest.raises(StoreError, match="does not tell what is done"):
        listed(places, ["data"], [0])
