"""Real traffic gets pixels: a nuScenes-mini scene of ScenarioNet, replayed through the real calibration."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from nuscenes import NuScenes

from drive_vqa.schema import pose_from_struct
from sensors.readers.scenarionet import list_logs, read_log

DATA = Path(os.environ.get("DRIVE_VQA_REAL_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
CALIBRATION = DATA / "nuscenes_keyframe" / "calibration.json"
SCENE = "scene-0757"

pytestmark = pytest.mark.skipif(
    not (CALIBRATION.is_file() and (DATA / "scenarionet").is_dir()),
    reason=f"no real ScenarioNet scenes and calibration under {DATA}",
)

SCRIPT = """
import sys
from pathlib import Path
import pyarrow.compute as pc
from dataclasses import replace as changed
from sensors.readers.scenarionet import list_logs, read_log
from sensors.synth.replay import replay
def start(named):
    log = read_log(named)
    frames, annotations = (table.filter(pc.less_equal(table["frame"], 20)) for table in (log.frames, log.annotations))
    return changed(log, frames=frames, annotations=annotations)
if __name__ == "__main__":
    logs = [log for log in list_logs(Path(sys.argv[2])) if log.log_id == sys.argv[4]]
    replay(Path(sys.argv[1]), logs, read_log=start, calibration=Path(sys.argv[3]), workers=1, width_px=160, azimuths=90)
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("replay") / "set"
    command = [sys.executable, "-c", SCRIPT, str(out), str(DATA / "scenarionet"), str(CALIBRATION), SCENE]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2], timeout=400)
    return out


@pytest.mark.timeout(420)
def test_a_real_scene_keeps_its_boxes_and_gets_the_real_cameras(root: Path) -> None:
    nusc = NuScenes("v1.0-mini", dataroot=str(root), verbose=False)
    (named,) = [log for log in list_logs(DATA / "scenarionet") if log.log_id == SCENE]
    log = read_log(named)
    ego = {row["frame"]: pose_from_struct(row["global_SE3_ego"]) for row in log.frames.to_pylist()}
    truth = {
        (row["frame"], row["track_id"]): row for row in log.annotations.to_pylist() if row["frame"] in range(0, 21, 5)
    }
    assert [scene["name"] for scene in nusc.scene] == [SCENE]
    assert len(nusc.sample) == 5
    found = 0
    for frame, sample in enumerate(sorted(nusc.sample, key=lambda sample: sample["timestamp"])):
        for token in sample["anns"]:
            annotation = nusc.get("sample_annotation", token)
            row = truth[5 * frame, annotation["instance_token"]]
            assert annotation["category_name"] == row["source_category"]
            pose = ego[5 * frame] @ pose_from_struct(row["ego_SE3_box"])
            box = nusc.get_box(token)
            np.testing.assert_allclose(box.center, pose.translation_m, atol=1e-6)
            np.testing.assert_allclose(box.rotation_matrix, pose.rotation, atol=1e-6)
            assert box.wlh.tolist() == [row["width_m"], row["length_m"], row["height_m"]]
            found += 1
    assert found == len(truth)


@pytest.mark.timeout(420)
def test_objects_show_where_the_real_cameras_would_see_them(root: Path) -> None:
    nusc = NuScenes("v1.0-mini", dataroot=str(root), verbose=False)
    real = {camera["name"]: camera for camera in json.loads(CALIBRATION.read_text())["cameras"]}
    for calibration in nusc.calibrated_sensor:
        channel = nusc.get("sensor", calibration["sensor_token"])["channel"]
        if channel in real:
            scaled = np.diag([0.1, 0.1, 1.0]) @ np.array(real[channel]["intrinsics"])
            np.testing.assert_allclose(calibration["camera_intrinsic"], scaled)
            np.testing.assert_allclose(calibration["translation"], np.array(real[channel]["ego_SE3_cam"])[:3, 3])
    rows = json.loads((root / "v1.0-mini" / "synth_object_ann.json").read_text())
    shown = {row["instance_token"] for row in rows if row["visible_fraction"] > 0.3}
    assert len(shown) >= 0.7 * len(nusc.instance)
