"""The written data set is a nuScenes v1.0 data set, the same bytes for any number of workers, and survives being killed."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from nuscenes import NuScenes
from nuscenes.utils.data_classes import LidarPointCloud, RadarPointCloud
from nuscenes.utils.geometry_utils import points_in_box

from drive_vqa.errors import ConfigError
from sensors.synth.synthesize import synthesize

SMALL = {"town": "harbour", "duration_s": 1.0, "width_px": 160, "height_px": 90, "azimuths": 270}
SCRIPT = """
import sys
from pathlib import Path
from sensors.synth.synthesize import synthesize
if __name__ == "__main__":
    small = {"town": "harbour", "duration_s": 1.0, "width_px": 160, "height_px": 90, "azimuths": 270}
    synthesize(Path(sys.argv[1]), scenes=2, seed=5, workers=1, **small)
"""


def digest(root: Path) -> dict[str, str]:
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synth") / "set"
    synthesize(out, scenes=2, seed=5, workers=2, **SMALL)
    return out


@pytest.fixture(scope="module")
def nusc(root: Path) -> NuScenes:
    return NuScenes("v1.0-mini", dataroot=str(root), verbose=False)


def test_the_devkit_opens_it(nusc: NuScenes, capsys: pytest.CaptureFixture[str]) -> None:
    assert [len(nusc.scene), len(nusc.sample), len(nusc.sample_data)] == [2, 4, 4 * 12]
    nusc.list_sample(nusc.sample[0]["token"])
    assert "CAM_BACK_LEFT" in capsys.readouterr().out
    for scene in nusc.scene:
        token, seen = scene["first_sample_token"], []
        while token:
            seen.append(token)
            token = nusc.get("sample", token)["next"]
        assert len(seen) == scene["nbr_samples"] == 2
        assert seen[-1] == scene["last_sample_token"]


def test_every_scene_is_a_recording_of_its_own(nusc: NuScenes) -> None:
    recordings = [nusc.get("log", scene["log_token"])["logfile"] for scene in nusc.scene]
    assert len(set(recordings)) == len(recordings) == 2


def test_lidar_and_radar_counts_are_true(nusc: NuScenes) -> None:
    boxes_with_points = 0
    for sample in nusc.sample:
        path, boxes, _ = nusc.get_sample_data(sample["data"]["LIDAR_TOP"])
        points = LidarPointCloud.from_file(path).points[:3]
        clouds = [radar_in_global(nusc, sample["data"][name]) for name in sample["data"] if name.startswith("RADAR")]
        for box in boxes:
            annotation = nusc.get("sample_annotation", box.token)
            assert points_in_box(box, points).sum() == annotation["num_lidar_pts"]
            still = nusc.get_box(box.token)
            assert sum(points_in_box(still, cloud).sum() for cloud in clouds) == annotation["num_radar_pts"]
            boxes_with_points += annotation["num_lidar_pts"] > 0
    assert boxes_with_points > 20


def radar_in_global(nusc: NuScenes, token: str) -> np.ndarray:
    data = nusc.get("sample_data", token)
    cloud = RadarPointCloud.from_file(nusc.get_sample_data_path(token))
    matrix = np.eye(4)
    for table, key in (("ego_pose", "ego_pose_token"), ("calibrated_sensor", "calibrated_sensor_token")):
        row = nusc.get(table, data[key])
        matrix = matrix @ transform(row["rotation"], row["translation"])
    return (matrix @ np.vstack([cloud.points[:3], np.ones(cloud.nbr_points())]))[:3]


def transform(wxyz: list[float], xyz: list[float]) -> np.ndarray:
    w, x, y, z = wxyz
    out = np.eye(4)
    out[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    out[:3, 3] = xyz
    return out


def test_cameras_fire_before_the_lidar_from_their_own_ego_pose(nusc: NuScenes) -> None:
    for sample in nusc.sample:
        for channel, token in sample["data"].items():
            data = nusc.get("sample_data", token)
            assert 0 <= sample["timestamp"] - data["timestamp"] <= 45_000, channel
            assert nusc.get("ego_pose", data["ego_pose_token"])["timestamp"] == data["timestamp"]
            assert (Path(nusc.dataroot) / data["filename"]).stat().st_size > 100


def test_annotations_are_linked_and_described(nusc: NuScenes) -> None:
    for instance in nusc.instance:
        token, count = instance["first_annotation_token"], 0
        while token:
            row = nusc.get("sample_annotation", token)
            assert row["instance_token"] == instance["token"]
            token, last, count = row["next"], token, count + 1
        assert last == instance["last_annotation_token"]
        assert count == instance["nbr_annotations"]
    for row in nusc.sample_annotation:
        names = [nusc.get("attribute", token)["name"] for token in row["attribute_tokens"]]
        assert len(names) == (0 if row["category_name"].startswith(("movable", "static", "animal")) else 1)
        speed = np.linalg.norm(nusc.box_velocity(row["token"])[:2])
        if names == ["vehicle.parked"]:
            assert not speed > 0.1
        if names == ["vehicle.moving"] and np.isfinite(speed):
            assert speed > 0.05


def test_the_ego_drives_on_the_map(nusc: NuScenes) -> None:
    mask = nusc.map[0]["mask"]
    for sample in nusc.sample:
        x, y, _ = nusc.get("ego_pose", sample["data"]["LIDAR_TOP"])["translation"]
        assert mask.is_on_mask(x, y)[0]
        assert not mask.is_on_mask(x + 2000.0, y)[0]


def test_exact_boxes_lie_in_the_image_and_around_the_projected_centre(root: Path, nusc: NuScenes) -> None:
    rows = json.loads((root / "v1.0-mini" / "synth_object_ann.json").read_text())
    assert len(rows) > 10
    by_instance = {(row["sample_token"], row["instance_token"]) for row in nusc.sample_annotation}
    for row in rows:
        x0, y0, x1, y1 = row["bbox"]
        assert 0 <= x0 < x1 <= 160
        assert 0 <= y0 < y1 <= 90
        assert 0 < row["visible_fraction"] <= 1
        assert (nusc.get("sample_data", row["sample_data_token"])["sample_token"], row["instance_token"]) in by_instance


@pytest.mark.filterwarnings("ignore")
def test_render_sample_draws(nusc: NuScenes, tmp_path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    nusc.render_sample(nusc.sample[0]["token"], out_path=str(tmp_path / "sample.png"), verbose=False)
    assert (tmp_path / "sample.png").stat().st_size > 10_000


def test_one_worker_and_a_second_run_write_the_same_bytes(root: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path / "one")], check=True)
    assert digest(tmp_path / "one") == digest(root)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    synthesize(root, scenes=2, seed=5, workers=1, **SMALL)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_a_killed_run_leaves_no_version_folder_and_is_taken_up(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    with subprocess.Popen([sys.executable, "-c", SCRIPT, str(out)]) as run:
        deadline = time.monotonic() + 120
        while not (out / ".synth-work" / "scene-0000.json").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(run.pid, signal.SIGKILL)
    assert (out / ".synth-work" / "scene-0000.json").exists()
    assert not (out / "v1.0-mini").exists()
    finished = (out / ".synth-work" / "scene-0000.json").stat().st_mtime_ns
    (out / "samples" / ".half.jpg.1.tmp").write_bytes(b"half")
    synthesize(out, scenes=2, seed=5, workers=1, **SMALL)
    assert (out / ".synth-work" / "scene-0000.json").stat().st_mtime_ns == finished
    assert digest(out) == digest(root)


def test_other_settings_in_the_same_folder_are_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="other settings"):
        synthesize(root, scenes=2, seed=6, workers=1, **SMALL)
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(ConfigError, match="not empty"):
        synthesize(tmp_path, scenes=1, seed=6, **SMALL)
    with pytest.raises(ConfigError, match="no town"):
        synthesize(tmp_path / "a", scenes=1, seed=6, **{**SMALL, "town": "atlantis"})
