"""Runs in a SQLite store, and what happens where there is no server, no MLflow server, or no space."""

from __future__ import annotations

import hashlib
import http.server
import json
import logging
import math
import shutil
import socket
import subprocess
import sys
import threading
import time
from types import ModuleType, SimpleNamespace

import mlflow
import pytest

from drive_vqa.errors import ConfigError
from drive_vqa.tracking import EXPERIMENT, config_digest, default_uri, delivery, mlflow_run, redacted, replay
from drive_vqa.tracking.journal import Journal
from drive_vqa.tracking.run import TrackedRun


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """An empty store, which MLflow takes seconds to make."""
    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    assert mlflow.MlflowClient(f"sqlite:///{path}").get_experiment_by_name(EXPERIMENT) is None
    return path


@pytest.fixture
def out(database, tmp_path):
    """An output folder with an empty store."""
    folder = tmp_path / "out"
    folder.mkdir()
    shutil.copy(database, folder / "mlflow.db")
    return folder


@pytest.fixture
def dead_uri(monkeypatch):
    """Where nobody listens, and with a password."""
    monkeypatch.setattr(delivery, "FAREWELL_S", 0.0)
    monkeypatch.setattr(delivery, "PAUSE_AT_THE_END_S", 0.01)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://anna:hunter2@127.0.0.1:{probe.getsockname()[1]}"


def runs_of(out):
    client = mlflow.MlflowClient(default_uri(out))
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}


def history(out, run, metric):
    found = mlflow.MlflowClient(default_uri(out)).get_metric_history(run.info.run_id, metric)
    return [(one.step, one.value) for one in found]


def test_run_is_kept_in_the_output_folder(out, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (out / "note.txt").write_text("kept")
    with mlflow_run(out, "train", params={"lr": 0.1}, tags={"digest": "d"}) as run:
        run.log_metrics({"loss": 2.0, "bad": math.nan}, step=1)
        run.log_artifact(out / "note.txt")
    with pytest.raises(RuntimeError), mlflow_run(out, "broken"):
        raise RuntimeError
    runs = runs_of(out)
    assert runs["train"].data.metrics == {"loss": 2.0}
    assert runs["train"].data.params == {"lr": "0.1"}
    assert runs["train"].data.tags["digest"] == "d"
    assert runs["train"].info.status == "FINISHED"
    assert runs["broken"].info.status == "FAILED"
    assert len(list(out.rglob("note.txt"))) == 2
    assert {path.name for path in out.iterdir()} == {"mlartifacts", "mlflow.db", "mlflow.json", "note.txt"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]  # nothing beside the output folder


RUN_AFTER_A_LINE = """
import sys
from pathlib import Path
import mlflow
from drive_vqa.tracking import mlflow_run
print("ready", flush=True)
sys.stdin.readline()
with mlflow_run(Path(sys.argv[1]), sys.argv[2], tracking_uri=sys.argv[3]):
    pass
"""


def test_two_processes_make_one_new_store(tmp_path):
    uri = f"sqlite:///{tmp_path}/new.db"
    started = []
    for name in ("one", "two"):
        command = [sys.executable, "-c", RUN_AFTER_A_LINE, str(tmp_path / name), name, uri]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(command, text=True, **pipes))
    assert [process.stdout.readline() for process in started] == ["ready\n"] * 2
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=240)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    client = mlflow.MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    assert {run.info.run_name: run.info.status for run in runs} == {"one": "FINISHED", "two": "FINISHED"}


def test_each_output_folder_has_its_own_store_and_inner_runs_share_the_outer_one(out, database):
    other = out.with_name("other")
    other.mkdir()
    shutil.copy(database, other / "mlflow.db")
    for folder in (out, other):
        with mlflow_run(folder, folder.name), mlflow_run(folder / "child", "child"):
            pass
    for folder in (out, other):
        runs = runs_of(folder)
        assert set(runs) == {folder.name, "child"}
        assert runs["child"].data.tags["mlflow.parentRunId"] == runs[folder.name].info.run_id
        assert "mlflow.parentRunId" not in runs[folder.name].data.tags


def test_tables_hold_long_text_and_say_what_they_are(out, monkeypatch):
    answers = {"question": ['"é"\n' * 30_000, "<b>"], "score": [1.5, math.inf], "right": [True, None]}
    with mlflow_run(out, "train") as run:
        run.log_table("answers", answers)
    (run,) = runs_of(out).values()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", default_uri(out))
    client = mlflow.MlflowClient()
    table = client.load_table(run.info.experiment_id, "answers.json", run_ids=[run.info.run_id])
    assert table["question"].tolist() == answers["question"]
    assert table["score"].isna().tolist() == [False, True]
    with pytest.raises(ValueError, match="shorter|longer"):
        TrackedRun(lambda _record: None).log_table("x", {"a": [1, 2], "b": [1]})


def test_resume_goes_on_in_the_same_run_without_telling_a_step_twice(out):
    with pytest.raises(RuntimeError), mlflow_run(out, "train", params={"steps": 4, "lr": 1}) as run:
        for step in range(4):
            run.log_metrics({"loss": 10.0 - step}, step=step)
        raise RuntimeError
    with mlflow_run(out, "train", params={"steps": 6, "lr": 1}, resume=True) as run:
        for step in range(2, 6):
            run.log_metrics({"loss": 10.0 - step, "new": 0.0}, step=step)
    (run,) = runs_of(out).values()
    assert run.info.status == "FINISHED"
    assert history(out, run, "loss") == [(step, 10.0 - step) for step in range(6)]
    assert [step for step, _ in history(out, run, "new")] == [2, 3, 4, 5]
    assert run.data.params == {"steps": "4", "lr": "1"}
    assert run.data.tags["resumed.steps"] == "6"
    assert "resumed.lr" not in run.data.tags


def test_resume_where_the_store_has_lost_the_run_begins_a_new_one_and_says_so(out, database, caplog):
    with mlflow_run(out, "train") as run:
        run.log_metrics({"loss": 1.0}, step=0)
    shutil.copy(database, out / "fresh.db")
    with mlflow_run(out, "train", tracking_uri=f"sqlite:///{out}/fresh.db", resume=True) as run:
        run.log_metrics({"loss": 2.0}, step=0)
    assert "is not in sqlite" in caplog.text
    client = mlflow.MlflowClient(f"sqlite:///{out}/fresh.db")
    (run,) = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    assert run.data.metrics == {"loss": 2.0}


def test_a_server_that_is_dead_from_the_start_costs_nothing_and_all_is_sent_later(out, dead_uri, caplog, capsys):
    (out / "adapter").mkdir()
    (out / "adapter" / "weights").write_text("w")
    begun = time.monotonic()
    with mlflow_run(out, "train", tracking_uri=dead_uri, params={"lr": 1}, system_metrics=True) as run:
        for step in range(50):
            run.log_metrics({"loss": float(step)}, step=step)
        run.log_model("adapter", out / "adapter", metrics={"eval/loss": 0.5}, step=49)
    assert time.monotonic() - begun < 20
    (left,) = out.glob("mlflow-*.jsonl")
    assert caplog.text.count("does not answer") == 1
    assert f"drive_vqa.tracking.replay {left}" in caplog.text
    for text in (caplog.text, left.read_text(), (out / "mlflow.json").read_text()):
        assert "hunter2" not in text
        assert "anna" not in text
    shutil.copy(left, out / "again.jsonl")
    for file in (left, out / "again.jsonl"):  # the second time does no harm
        assert replay.main([str(file), "--tracking-uri", default_uri(out)]) == 0
        assert not file.exists()
    (run,) = runs_of(out).values()
    assert run.info.run_id in capsys.readouterr().out
    assert history(out, run, "loss") == [(step, float(step)) for step in range(50)]
    assert run.data.metrics["system/system_memory_usage_megabytes"] > 0
    assert (run.info.status, run.data.params) == ("FINISHED", {"lr": "1"})
    assert len(run.outputs.model_outputs) == 1


def test_resume_sends_what_a_dead_server_did_not_take(out, dead_uri):
    with mlflow_run(out, "train", tracking_uri=dead_uri) as run:
        run.log_metrics({"loss": 1.0}, step=1)
    (left,) = out.glob("mlflow-*.jsonl")
    with left.open("a") as file:
        file.write('{"kind": "metrics", "metr')  # killed while it wrote
    with mlflow_run(out, "train", tracking_uri=default_uri(out), resume=True) as run:
        run.log_metrics({"loss": 1.0}, step=1)
        run.log_metrics({"loss": 2.0}, step=2)
    (run,) = runs_of(out).values()
    assert history(out, run, "loss") == [(1, 1.0), (2, 2.0)]
    assert not list(out.glob("mlflow-*.jsonl"))


def test_what_mlflow_never_takes_is_left_out_and_the_rest_arrives(out, caplog):
    with mlflow_run(out, "train") as run:
        run.log_metrics({"loss": 1.0}, step=1)
        run.log_metrics({"no%name": 1.0}, step=1)
        run.log_artifact(out / "missing.txt")
        run.log_metrics({"loss": 2.0}, step=2)
    (run,) = runs_of(out).values()
    assert history(out, run, "loss") == [(1, 1.0), (2, 2.0)]
    assert "metrics no%name" in caplog.text
    assert "missing.txt" in caplog.text


@pytest.mark.parametrize("uri", ["htp://host", "sqlite", "runs/here", "http://", "http://host:99999", "http://my host"])
def test_what_is_no_tracking_uri_is_refused_at_once(uri, tmp_path):
    with pytest.raises(ConfigError, match="MLflow"), mlflow_run(tmp_path, "train", tracking_uri=uri):
        pytest.fail("the block ran")
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_database_is_refused_at_once(tmp_path):
    (tmp_path / "mlflow.db").write_text("text" * 1000)
    with pytest.raises(ConfigError, match="not a database"), mlflow_run(tmp_path, "train"):
        pytest.fail("the block ran")


@pytest.mark.parametrize("status", [200, 401, 404])
def test_a_server_that_is_not_mlflow_or_refuses_is_named_without_its_password(status, tmp_path):
    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        uri = f"http://anna:hunter2@127.0.0.1:{server.server_port}"
        try:
            with pytest.raises(ConfigError) as caught, mlflow_run(tmp_path, "train", tracking_uri=uri):
                pytest.fail("the block ran")
        finally:
            server.shutdown()
            thread.join()
    assert f"http://127.0.0.1:{server.server_port} is no usable MLflow store" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_credentials_are_taken_out_of_every_uri_of_a_text():
    text = "request to https://anna:p@ss@host/x failed, mysql+pymysql://u:p@h/db?password=geheim&ssl=1, a@b.c"
    assert redacted(text) == "request to https://host/x failed, mysql+pymysql://h/db?password=***&ssl=1, a@b.c"


def test_only_the_first_process_of_a_training_records(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    with mlflow_run(tmp_path, "train", tracking_uri="sqlite:///nowhere.db", system_metrics=True) as run:
        run.log_metrics({"loss": 1.0}, step=1)
        run.log_table("t", {"a": [1]})
    assert not list(tmp_path.iterdir())


def test_short_runs_have_a_sample_of_system_metrics_with_the_gpu_and_resume_counts_on(out, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", _nvml())
    from mlflow.system_metrics.metrics import gpu_monitor

    monkeypatch.setattr(gpu_monitor, "pynvml", sys.modules["pynvml"], raising=False)
    for resume in (False, True):
        with mlflow_run(out, "train", system_metrics=True, resume=resume):
            pass
    (run,) = runs_of(out).values()
    assert history(out, run, "system/gpu_0_utilization_percentage") == [(0, 73.0), (1, 73.0)]
    assert history(out, run, "system/gpu_0_memory_usage_percentage") == [(0, 25.0), (1, 25.0)]


def _nvml():
    module = ModuleType("pynvml")
    module.NVMLError = RuntimeError
    module.nvmlInit = lambda: None
    module.nvmlDeviceGetCount = lambda: 1
    module.nvmlDeviceGetHandleByIndex = lambda index: index
    module.nvmlDeviceGetMemoryInfo = lambda _: SimpleNamespace(used=20e9, total=80e9)
    module.nvmlDeviceGetUtilizationRates = lambda _: SimpleNamespace(gpu=73)
    module.nvmlDeviceGetPowerUsage = lambda _: 350_000
    module.nvmlDeviceGetEnforcedPowerLimit = lambda _: 700_000
    return module


def test_a_full_disk_costs_a_record_and_is_said_once(tmp_path, caplog):
    journal = Journal(tmp_path / "j.jsonl")
    journal.append({"kind": "metrics", "n": 1})
    real = journal._file
    journal._file = SimpleNamespace(write=lambda line: real.write(line[:5]), fileno=real.fileno)
    with caplog.at_level(logging.WARNING):
        journal.append({"kind": "metrics", "n": 2})
        journal.append({"kind": "metrics", "n": 3})
    journal._file = real
    journal.append({"kind": "metrics", "n": 4})
    assert [record["n"] for record, _ in journal.read(0, 10)] == [1, 4]
    assert caplog.text.count("disk full") == 1
    journal.close()


@pytest.mark.parametrize("line", [b"\x00\xff", b"[]", b'{"kind": 3}', b"{}"])
def test_a_file_that_is_no_list_of_records_is_refused(line, tmp_path, capsys):
    (tmp_path / "j.jsonl").write_bytes(line + b"\n")
    assert replay.main([str(tmp_path / "j.jsonl"), "--tracking-uri", "sqlite:///x.db"]) == 2
    assert "j.jsonl" in capsys.readouterr().err


def test_the_hash_of_settings_does_not_depend_on_their_order():
    settings = {"b": [1, 2.5], "a": {"d": None, "c": "é"}}
    assert config_digest(settings) == config_digest(json.loads('{"a": {"c": "é", "d": null}, "b": [1, 2.5]}'))
    assert config_digest(settings) == hashlib.sha256('{"a":{"c":"é","d":null},"b":[1,2.5]}'.encode()).hexdigest()
    assert config_digest(settings) != config_digest({**settings, "b": [2.5, 1]})
