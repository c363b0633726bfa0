"""Bad input through the command line: one clear sentence with file and mend, nothing half-written, others go on."""

import gzip
import json
import os
import pickle
import shutil
from pathlib import Path

import pytest

from drive_vqa.cli import main
from sensors.synth.synthesize import synthesize


@pytest.fixture(scope="module")
def drives(tmp_path_factory):
    """Two small drives; tests change copies."""
    out = tmp_path_factory.mktemp("drives") / "drives"
    synthesize(out, scenes=2, seed=3, duration_s=1.5, workers=2, width_px=160, height_px=90, azimuths=120)
    return out


@pytest.fixture
def copy(drives, tmp_path):
    return Path(shutil.copytree(drives, tmp_path / "drives"))


def _rewrite(file, change):
    records = json.loads(file.read_text())
    change(records)
    file.write_text(json.dumps(records))


def _refused(capsys, *argv, said, status=1):
    assert main([str(argument) for argument in argv]) == status
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("drive-vqa")]
    assert len(lines) == 1
    assert all(word in lines[0] for word in said), lines[0]


def test_missing_folder(tmp_path, capsys):
    _refused(
        capsys, "ingest", tmp_path / "gone", "--format", "nuscenes", "--out", tmp_path / "store", said=["gone", "give"]
    )
    assert not (tmp_path / "store").exists()


def test_truncated_table(copy, tmp_path, capsys):
    file = copy / "v1.0-mini" / "sample_annotation.json"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    main(["ingest", str(copy), "--format", "nuscenes", "--out", str(tmp_path / "store")])
    told = capsys.readouterr().err + "".join(path.read_text() for path in tmp_path.glob("store/errors-*.jsonl"))
    assert "sample_annotation.json" in told
    assert not list(tmp_path.glob("store/*/*.parquet"))


def test_nan_pose_breaks_its_own_log_only(copy, tmp_path, caplog):
    tables = copy / "v1.0-mini"
    scene = json.loads((tables / "scene.json").read_text())[0]
    samples = {
        s["token"] for s in json.loads((tables / "sample.json").read_text()) if s["scene_token"] == scene["token"]
    }
    data = json.loads((tables / "sample_data.json").read_text())
    pose = next(d["ego_pose_token"] for d in data if d["sample_token"] in samples)

    def spoil(records):
        next(record for record in records if record["token"] == pose)["translation"][0] = float("nan")

    _rewrite(tables / "ego_pose.json", spoil)
    store = tmp_path / "store"
    assert main(["ingest", str(copy), "--format", "nuscenes", "--out", str(store), "--workers", "1"]) == 1
    (record,) = [json.loads(line) for line in (store / "errors-ingest.jsonl").read_text().splitlines()]
    assert record["log_id"] == scene["name"]
    assert "ego_pose.json" in record["message"]
    assert record["trace"] == ""
    assert [path.stem for path in (store / "logs").iterdir()] != [scene["name"]]
    assert len(list((store / "logs").iterdir())) == 1


def test_an_image_that_is_not_one(copy, tmp_path, capsys):
    store, run = tmp_path / "store", tmp_path / "run"
    assert main(["ingest", str(copy), "--format", "nuscenes", "--out", str(store)]) == 0
    assert main(["fuse", str(store)]) == 0
    assert main(["generate", str(store), "--families", "ego", "min_box_px=3"]) == 0
    for image in (copy / "samples" / "CAM_FRONT").iterdir():
        image.write_text("not an image")
    capsys.readouterr()
    argv = [
        "finetune",
        store,
        "--model",
        "tiny",
        "--out",
        run,
        "max_steps=1",
        "image_size_px=[56,56]",
        "types=[]",
        "kinds=[]",
        "curriculum=[]",
    ]
    _refused(capsys, *argv, said=["CAM_FRONT", "not a readable image"])
    assert not (run / "adapter").exists()


class Exploit:
    def __reduce__(self):
        return os.system, ("touch was-here",)


def test_a_pickle_that_calls_os_system(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sequence = tmp_path / "pandaset" / "001"
    for folder in ("annotations/cuboids", "lidar", "camera"):
        (sequence / folder).mkdir(parents=True)
    pose = {"position": dict.fromkeys("xyz", 0.0), "heading": {"w": 1.0, "x": 0.0, "y": 0.0, "z": 0.0}}
    (sequence / "lidar" / "poses.json").write_text(json.dumps([pose]))
    (sequence / "lidar" / "timestamps.json").write_text("[1557539956.5]")
    (sequence / "annotations" / "cuboids" / "00.pkl.gz").write_bytes(gzip.compress(pickle.dumps(Exploit())))
    store = tmp_path / "store"
    assert main(["ingest", str(sequence.parent), "--format", "pandaset", "--out", str(store)]) == 1
    told = (store / "errors-ingest.jsonl").read_text()
    assert "00.pkl.gz" in told
    assert "system" in told
    assert not (tmp_path / "was-here").exists()
    assert not list(store.glob("*/*.parquet"))


def test_unknown_config_keys(copy, tmp_path, capsys):
    assert main(["ingest", str(copy), "--format", "nuscenes", "--out", str(tmp_path / "store")]) == 0
    capsys.readouterr()
    argv = ["generate", tmp_path / "store", "colour=red"]
    _refused(capsys, *argv, said=["colour", "allowed here"], status=2)
    argv = ["finetune", tmp_path / "store", "--model", "tiny", "--out", tmp_path / "run", "lora.rnk=3"]
    _refused(capsys, *argv, said=["lora.rnk", "allowed here"], status=2)
    assert not (tmp_path / "run").exists()


def test_a_model_that_is_not_one(copy, tmp_path, capsys):
    assert main(["ingest", str(copy), "--format", "nuscenes", "--out", str(tmp_path / "store")]) == 0
    capsys.readouterr()
    argv = ["predict", tmp_path / "store", "--model", tmp_path, "--out", tmp_path / "p.parquet"]
    _refused(capsys, *argv, said=[str(tmp_path), "config.json"])
    argv[argv.index("--model") + 1] = "tyni"
    _refused(capsys, *argv, said=["tyni does not exist", "give"], status=2)
    assert not (tmp_path / "p.parquet").exists()


def test_a_lone_surrogate_breaks_its_own_log_only(copy, tmp_path):
    def spoil(records):
        records[0]["filename"] = "samples/\ud800.jpg"

    _rewrite(copy / "v1.0-mini" / "sample_data.json", spoil)
    store = tmp_path / "store"
    assert main(["ingest", str(copy), "--format", "nuscenes", "--out", str(store), "--workers", "1"]) == 1
    (record,) = [json.loads(line) for line in (store / "errors-ingest.jsonl").read_text().splitlines()]
    assert "sample_data.json" in record["message"]
    assert "filename must be text" in record["message"]
    assert record["trace"] == ""
    assert len(list((store / "logs").iterdir())) == 1


def test_no_scene_at_all(copy, tmp_path, capsys):
    (copy / "v1.0-mini" / "scene.json").write_text("[]")
    argv = ["ingest", copy, "--format", "nuscenes", "--out", tmp_path / "store"]
    _refused(capsys, *argv, said=["sample.json", "is not in scene.json", "copy that table again"])
    assert not (tmp_path / "store").exists()


def test_a_folder_whose_name_is_not_text(copy, tmp_path, capsys):
    odd = copy.rename(os.fsdecode(os.fsencode(copy) + b"\xff"))
    argv = ["ingest", odd, "--format", "nuscenes", "--out", tmp_path / "store"]
    _refused(capsys, *argv, said=["rename the folder"])
    assert not (tmp_path / "store").exists()


def test_an_output_below_a_file(copy, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    argv = ["ingest", copy, "--format", "nuscenes", "--out", tmp_path / "file" / "store"]
    _refused(capsys, *argv, said=[str(tmp_path / "file"), "Not a directory", "choose a place"])


def test_a_damaged_table_and_a_foreign_manifest(copy, tmp_path, capsys):
    store = tmp_path / "store"
    assert main(["ingest", str(copy), "--format", "nuscenes", "--out", str(store), "--workers", "1"]) == 0
    assert main(["fuse", str(store), "--workers", "1"]) == 0
    broken, whole = sorted((store / "tracks").iterdir())
    broken.write_bytes(broken.read_bytes()[:500])
    capsys.readouterr()
    assert main(["generate", str(store), "--workers", "1"]) == 1
    (error,) = map(json.loads, (store / "errors-generate.jsonl").read_text().splitlines())
    assert str(broken.resolve()) in error["message"]
    assert "delete it and run the step again" in error["message"]
    assert json.loads((store / "manifest.json").read_text())["tables"]["tracks"][broken.stem]["rows"] is None
    assert [path.name for path in (store / "questions").iterdir()] == [whole.name]
    (store / "manifest.json").write_text('{"steps": []}')
    _refused(capsys, "fuse", store, said=["manifest.json", "delete it"])
