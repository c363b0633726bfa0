"""Visible fractions in a recorded keyframe, where walls, bushes and poles have no boxes."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from drive_vqa.geometry import SE3
from sensors.camera import OrientedBoxes, PinholeCamera, image_boxes, may_be_in_view
from sensors.visibility import visible_fractions

DATA = Path(os.environ.get("DRIVE_VQA_REAL_DATA", Path(__file__).parents[3] / "shared" / "data")) / "nuscenes_keyframe"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded driving at {DATA} (set DRIVE_VQA_REAL_DATA)")

BY_EYE = {
    ("CAM_BACK", 26): 0.45,  # a van, its lower half behind a bush
    ("CAM_FRONT_RIGHT", 3): 0.6,  # a walker between two poles
    ("CAM_FRONT", 40): 0.4,  # a parked car over the edge of a road barrier
    ("CAM_BACK", 34): 0.75,  # two walkers whose boxes stand one before the other
    ("CAM_BACK", 11): 0.75,
    ("CAM_BACK_LEFT", 27): 0.6,  # a walker beside another
}
"""Share that a person sees in the images, to a tenth or so."""

ALLOWED = {("numpy", "dtype"), ("numpy.core.multiarray", "scalar"), ("_codecs", "encode")}


class DataUnpickler(pickle.Unpickler):
    """Reads plain data, and no code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not plain data")
        return super().find_class(module, name)


def rigid(matrix: Any) -> SE3:
    """A float32 matrix of the data as an exact rotation."""
    values = np.array(matrix, dtype=np.float64)
    left, _, right = np.linalg.svd(values[:3, :3])
    return SE3(left @ right, values[:3, 3])


@pytest.fixture(scope="module")
def fractions() -> dict[tuple[str, int], tuple[float, float, int]]:
    """Visible fraction by boxes, with lidar, and the number of lidar points, of each box in each image."""
    with (DATA / "n015-2018-07-24-11-22-45+0800.pkl").open("rb") as file:
        instances = DataUnpickler(file, encoding="latin1").load()["data_list"][0]["instances"]
    rows = np.array([instance["bbox_3d"] for instance in instances], dtype=np.float64)
    turns = Rotation.from_rotvec(np.outer(rows[:, 6], [0.0, 0.0, 1.0])).as_matrix()
    boxes = OrientedBoxes(rows[:, :3], turns, 0.5 * rows[:, 3:6])
    (sweep,) = DATA.glob("*.pcd.bin")
    points_m = np.fromfile(sweep, dtype="<f4").reshape(-1, 5)[:, :3].astype(np.float64)
    found = {}
    for row in json.loads((DATA / "calibration.json").read_text())["cameras"]:
        size = (row["width"], row["height"])
        camera = PinholeCamera(row["name"], np.array(row["intrinsics"]), *size, rigid(row["ego_SE3_cam"]))
        cam_SE3_lidar = rigid(row["cam_SE3_lidar"])
        cam_boxes = boxes.moved(cam_SE3_lidar)
        index = np.flatnonzero(may_be_in_view(camera, cam_boxes))
        cam_boxes = cam_boxes.take(index)
        boxes_px = image_boxes(camera, cam_boxes)
        plain = visible_fractions(camera, cam_boxes, boxes_px)
        better = visible_fractions(camera, cam_boxes, boxes_px, cam_SE3_lidar @ points_m)
        for place, box in enumerate(index.tolist()):
            if np.isfinite(boxes_px[place]).all():
                hits = instances[box]["num_lidar_pts"]
                found[camera.name, box] = (float(plain[place]), float(better[place]), int(hits))
    return found


def test_lidar_agrees_better_with_what_one_sees(fractions: dict[tuple[str, int], tuple[float, float, int]]) -> None:
    errors = np.array([np.array(fractions[key][:2]) - share for key, share in BY_EYE.items()])
    by_boxes, with_lidar = np.abs(errors).mean(axis=0)
    assert by_boxes > 0.3
    assert with_lidar < 0.15


def test_what_lidar_hits_often_is_not_hidden(fractions: dict[tuple[str, int], tuple[float, float, int]]) -> None:
    """The lidar stands close to the cameras: where it has hit an object ten times, something of it shows."""
    hit = [better for plain, better, hits in fractions.values() if hits >= 10 and plain > 0.05]
    assert len(hit) > 10
    assert min(hit) > 0.1
    assert all(0.0 <= better <= 1.0 for _, better, _ in fractions.values())
