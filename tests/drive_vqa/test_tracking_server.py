"""A run against a real `mlflow server` that is killed in the middle and comes back on the same database."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import mlflow
import pytest

from drive_vqa.tracking import mlflow_run

BOOT_S = 120


class Server:
    """An `mlflow server` process on loopback."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder = folder
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        store, artifacts = f"sqlite:///{self.folder}/server.db", str(self.folder / "artifacts")
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--backend-store-uri", store, "--artifacts-destination", artifacts]
        environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        self._wait()

    def kill(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def _wait(self) -> None:
        end = time.monotonic() + BOOT_S
        while time.monotonic() < end:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
                    assert answer.status == 200
                    return
            except OSError:
                assert self.process is not None
                assert self.process.poll() is None, (self.folder / "server.log").read_text()
                time.sleep(0.2)
        pytest.fail(f"no answer in {BOOT_S} s: {(self.folder / 'server.log').read_text()[-2000:]}")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    made = Server(tmp_path_factory.mktemp("server"))
    made.start()
    yield made
    made.kill()


def test_nothing_is_lost_when_the_server_dies_and_comes_back(server, tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)  # of the reading end
    out, adapter = tmp_path / "out", tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "weights.bin").write_bytes(bytes(range(256)))
    slowest_s = 0.0
    with mlflow_run(out, "train", tracking_uri=server.uri, params={"rank": 8}, tags={"base": "tiny"}) as run:
        run.log_input("store", "d" * 64, "../store")
        run.log_artifact(adapter)
        for step in range(30):
            if step == 10:
                _wait_until(lambda: len(_history(server.uri, "train")) == 10)
                server.kill()
            if step == 20:
                _wait_until(lambda: "does not answer" in caplog.text)
                server.start()
            begun = time.monotonic()
            run.log_metrics({"loss": 30.0 - step}, step=step)
            slowest_s = max(slowest_s, time.monotonic() - begun)
        run.log_table("answers", {"question": ["é " * 50_000, "b"], "score": [1.5, None]})
        run.log_model("adapter", adapter, metrics={"eval/loss": 0.25}, step=30)
        with mlflow_run(out / "child", "child") as child:
            child.log_metrics({"loss": 1.0})
    assert slowest_s < 2.0  # MLflow by itself would block for minutes
    assert caplog.text.count("does not answer") == caplog.text.count("answers again") == 1
    assert not list(out.rglob("*.jsonl"))

    history = _history(server.uri, "train")
    assert [(one.step, one.value) for one in history] == [(step, 30.0 - step) for step in range(30)]
    assert [one.timestamp for one in history] == sorted(one.timestamp for one in history)
    client = mlflow.MlflowClient(server.uri)
    trained, nested = _run(server.uri, "train"), _run(server.uri, "child")
    assert trained.info.status == "FINISHED"
    assert trained.data.params == {"rank": "8"}
    assert nested.data.tags["mlflow.parentRunId"] == trained.info.run_id
    (dataset,) = trained.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("store", "d" * 36)
    table = mlflow.artifacts.load_dict(f"{trained.info.artifact_uri}/answers.json")
    assert table == {"columns": ["question", "score"], "data": [["é " * 50_000, 1.5], ["b", None]]}
    (output,) = trained.outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    assert (model.name, str(model.status)) == ("adapter", "READY")
    assert [(one.key, one.value, one.step) for one in model.metrics] == [("eval/loss", 0.25, 30)]
    for artifact in (f"runs:/{trained.info.run_id}/adapter", f"models:/{model.model_id}"):
        copied = mlflow.artifacts.download_artifacts(artifact, dst_path=str(tmp_path / "copy"))
        assert (Path(copied) / "weights.bin").read_bytes() == bytes(range(256))


def _wait_until(condition) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def _run(uri, name):
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("drive-vqa")
    (run,) = client.search_runs([experiment.experiment_id], f"attributes.run_name = '{name}'")
    return run


def _history(uri, name):
    return mlflow.MlflowClient(uri).get_metric_history(_run(uri, name).info.run_id, "loss")
