import json

import pytest

from drive_vqa.cli import main
from drive_vqa.cli.arguments import build_parser, parse


def test_every_command_is_carried_out_by_something():
    from drive_vqa.cli.steps import COMMANDS

    parser = build_parser()
    commands = next(action.choices for action in parser._actions if action.dest == "command")
    assert set(commands) == set(COMMANDS)


@pytest.mark.parametrize(
    "argv", [["fly"], ["synth"], ["ingest", "x", "--format", "vhs", "--out", "y"], ["synth", "--scenes", "0"]]
)
def test_wrong_use_exits_with_2(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["fuse", "generate"])
def test_a_folder_that_is_no_store_is_said_in_one_line(tmp_path, capsys, command):
    assert main([command, str(tmp_path)]) == 1
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0
    assert str(tmp_path) in said
    assert list(tmp_path.iterdir()) == []


def test_doctor_as_json(capsys):
    status = main(["doctor", "--json"])
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    assert checks["torch"]["works"]
    assert {"gpu", "open3d", "nuscenes-devkit", "mlflow"} <= set(checks)
    assert status == (0 if all(check["works"] or not check["needed"] for check in checks.values()) else 1)


def test_settings_may_stand_anywhere():
    arguments = parse(["finetune", "STORE", "--model", "tiny", "a.b=1", "--out", "RUN", "c=[1, 2]"])
    assert arguments.overrides == ["a.b=1", "c=[1, 2]"]
    assert parse(["generate", "STORE"]).overrides == []


@pytest.mark.parametrize("words", [["a.b"], ["--lora.rank=3"], ["report", "a=1"]])
def test_other_words_are_wrong_use(words, capsys):
    argv = (
        ["report", "EVAL", "--out", "R", "a=1"]
        if words[0] == "report"
        else ["finetune", "S", "--model", "tiny", "--out", "R", *words]
    )
    with pytest.raises(SystemExit) as stop:
        parse(argv)
    assert stop.value.code == 2
    assert "unrecognized" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["--town", "harbour"], ["--scenes", "4"], ["--camera-height", "1.3", "1.8"], ["--first", "0"]]
)
def test_what_is_drawn_as_recorded_takes_no_settings_of_made_up_traffic(words, tmp_path, capsys):
    """A setting that would change nothing is refused, also where it is the usual one."""
    assert main(["synth", "--replay", str(tmp_path), "--out", str(tmp_path / "out"), *words]) == 2
    assert "not for --replay" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
