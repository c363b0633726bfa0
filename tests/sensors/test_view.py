from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from drive_vqa.categories import CATEGORIES
from drive_vqa.errors import ConfigError, DependencyError, LogFormatError, StoreError
from drive_vqa.geometry import SE3
from drive_vqa.schema import pose_to_struct, table_from_rows
from drive_vqa.store import Store
from sensors.view.birds_eye import BirdsEye, trails
from sensors.view.camera_panel import layout
from sensors.view.film import pictures, write_birds_eye
from sensors.view.log_view import LogView
from sensors.view.palette import CLASS_RGB, POINT_RGB, class_rgb
from sensors.view.recording import write_recording

FRAMES = 4
STEP_NS = 250_000_000
EGO_SE3_CAM = SE3(np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]), np.array([1.5, 0.0, 1.6]))
IMAGE = (320, 180)
PURE = {"car": (86, 180, 233), "pedestrian": (230, 159, 0)}


def track(frame: int, name: str, x_m: float, y_m: float, **more: Any) -> dict[str, Any]:
    row = {"log_id": "drive", "frame": frame, "timestamp_ns": frame * STEP_NS, "track_id": name, "category": "car"}
    row |= {"x_m": x_m, "y_m": y_m, "z_m": 0.8, "length_m": 4.5, "width_m": 1.9, "height_m": 1.6, "yaw_rad": 0.0}
    row |= {"vx_mps": 2.0, "vy_mps": 0.0, "cameras": [], "source": "annotated", "observed": True}
    return row | more


def make_store(
    root: Path, *, poses: bool = True, images: bool = True, tracks: list[dict[str, Any]] | None = None
) -> Store:
    """A drive of 2 m/s along the global y axis past a standing car 20 m ahead at the start."""
    source, store = root / "source", Store.create(root / "store")
    source.mkdir(parents=True)
    frames, captures = [], []
    for frame in range(FRAMES):
        pose = pose_to_struct(SE3.from_yaw(np.pi / 2, [300.0, 100.0 + 2.0 * frame, 0.0])) if poses else None
        common = {"log_id": "drive", "frame": frame, "timestamp_ns": frame * STEP_NS}
        frames.append({**common, "global_SE3_ego": pose, "speed_mps": 8.0 if poses else None})
        camera = {**common, "sensor": "CAM", "modality": "camera", "global_SE3_ego": pose}
        camera |= {
            "width": IMAGE[0],
            "height": IMAGE[1],
            "intrinsics": [250.0, 0, 160, 0, 250, 90, 0, 0, 1],
            "distortion": [],
        }
        if images and frame != 2:  # a camera that is not read in every frame
            Image.new("RGB", IMAGE, (0, 0, 60 + 40 * frame)).save(source / f"{frame}.png")
            captures.append({**camera, "path": f"{frame}.png", "ego_SE3_sensor": pose_to_struct(EGO_SE3_CAM)})
        if images and frame < 2:
            np.full((50, 5), 3.0, dtype="<f4").tofile(source / f"{frame}.bin")
            lidar = {**common, "sensor": "LIDAR", "modality": "lidar", "global_SE3_ego": pose, "path": f"{frame}.bin"}
            captures.append({**lidar, "ego_SE3_sensor": pose_to_struct(SE3.identity())})
    seen = [{"camera": "CAM", "u0_px": 100.0, "v0_px": 60.0, "u1_px": 180.0, "v1_px": 120.0, "visible_fraction": 1.0}]
    default = [track(frame, "parked-car", 20.0 - 2.0 * frame, 5.0, cameras=seen) for frame in range(FRAMES)]
    lane = {"log_id": "drive", "element_id": "1", "kind": "lane", "closed": False}
    lane |= {"x_m": [300.0, 300.0], "y_m": [90.0, 160.0], "z_m": None}
    tables = {
        "frames": frames,
        "sensor_data": captures,
        "tracks": default if tracks is None else tracks,
        "map_elements": [lane, {**lane, "element_id": "2", "x_m": [float("nan")], "y_m": [1.0]}],
        "logs": [{"log_id": "drive", "source_format": "nuscenes", "source_root": "../source"}],
    }
    for name, rows in tables.items():
        store.write(name, "drive", table_from_rows(name, rows), "x")
    return store


def where(picture: Image.Image, colour: tuple[int, int, int]) -> np.ndarray:
    """Rows (v, u) of pixels of nearly this colour."""
    return np.argwhere(np.abs(np.asarray(picture).astype(int) - colour).max(axis=2) < 12)


def test_a_box_is_drawn_where_it_is(tmp_path: Path) -> None:
    """20 m ahead and 5 m to the left: above the centre, left of it, 8 pixels a metre."""
    view = LogView.read(make_store(tmp_path), "drive")
    found = where(BirdsEye(720, 45.0, labels=False).draw(view, 0).crop((100, 100, 620, 620)), PURE["car"]) + 100
    low, high = found.min(axis=0), found.max(axis=0)
    assert (low + high) / 2 == pytest.approx([360 - 160, 360 - 40], abs=2)
    assert high - low == pytest.approx([4.5 * 8, 1.9 * 8], abs=4)


def test_a_moving_ego_leaves_trails_over_ground_not_of_a_standing_car(tmp_path: Path) -> None:
    view = LogView.read(make_store(tmp_path / "a"), "drive")
    np.testing.assert_allclose(np.ptp(trails(view, 3, ["parked-car"], 3.0)["parked-car"], axis=0), 0.0, atol=1e-9)
    poseless = LogView.read(make_store(tmp_path / "b", poses=False), "drive")
    np.testing.assert_allclose(trails(poseless, 3, ["parked-car"], 3.0)["parked-car"][:, 0], [20, 18, 16, 14])
    assert trails(view, 3, ["parked-car"], 0.3)["parked-car"].shape == (2, 3)
    assert trails(view, 0, ["parked-car"], 3.0) == {}


def test_lidar_points_are_drawn_and_stay_where_they_are_when_the_ego_drives_on(tmp_path: Path) -> None:
    """The sweeps of frames 0 and 1 hit (3, 3); frame 2 has none and shows the last one, 2 m further back."""
    view = LogView.read(make_store(tmp_path / "a", tracks=[]), "drive")
    shown = [[has_point(view, index, ahead_m) for ahead_m in (3, 1)] for index in range(3)]
    assert shown == [[True, False], [True, False], [False, True]]
    poseless = LogView.read(make_store(tmp_path / "b", poses=False, tracks=[]), "drive")
    assert [has_point(poseless, index, 3) for index in range(3)] == [True, True, False]
    assert not has_point(poseless, 2, 1)


def has_point(view: LogView, index: int, ahead_m: float) -> bool:
    """Whether a lidar point is drawn 3 m to the left."""
    u_px, v_px = 360 - 8 * 3, 360 - 8 * ahead_m
    picture = BirdsEye(720, 45.0).draw(view, index)
    return len(where(picture.crop((u_px - 2, v_px - 2, u_px + 3, v_px + 3)), POINT_RGB)) > 0


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
@pytest.mark.parametrize(("poses", "images"), [(True, True), (False, False)])
def test_films_play_in_real_time(tmp_path: Path, suffix: str, poses: bool, images: bool) -> None:
    store, out = make_store(tmp_path, poses=poses, images=images), tmp_path / "out" / f"film{suffix}"
    assert write_birds_eye(store, "drive", out, size_px=180) == FRAMES
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    width = 180 + (192 if images else 0)
    if suffix == ".gif":
        with Image.open(out) as film:
            assert (film.n_frames, film.info["duration"], film.size) == (FRAMES, 250, (width, 180))
    else:
        cv2 = pytest.importorskip("cv2")
        film = cv2.VideoCapture(str(out))
        found = [film.get(key) for key in (cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_WIDTH)]
        assert found == pytest.approx([FRAMES, 4.0, width])


def test_films_have_the_same_bytes_each_time(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    for name in ("a.gif", "b.gif"):
        write_birds_eye(store, "drive", tmp_path / name, size_px=120)
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()


def test_a_camera_keeps_its_last_image_and_shows_boxes(tmp_path: Path) -> None:
    view = LogView.read(make_store(tmp_path), "drive")
    films = list(pictures(view, BirdsEye(360, 45.0)))
    panels = [np.asarray(film)[:, 360:] for film in films]
    np.testing.assert_array_equal(panels[1], panels[2])
    assert (panels[0] != panels[1]).any()
    scale = 384 / IMAGE[0]
    frame = where(Image.fromarray(panels[0]), PURE["car"])
    top = (360 - round(180 * scale)) // 2
    assert frame.min(axis=0)[1] == pytest.approx(100 * scale, abs=2)
    assert frame.max(axis=0) == pytest.approx([top + 120 * scale, 180 * scale], abs=2)


def test_missing_and_broken_images_do_not_stop_a_film(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    (tmp_path / "source" / "0.png").unlink()
    (tmp_path / "source" / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    assert write_birds_eye(store, "drive", tmp_path / "film.gif", size_px=120) == FRAMES


def test_unusable_boxes_are_left_out(tmp_path: Path) -> None:
    bad = [track(0, "a", float("nan"), 0.0), track(0, "b", 1e300, 0.0), track(0, "c", 5.0, 0.0, length_m=None)]
    odd = [track(0, "d", 9.0, 0.0, vx_mps=None, category="other"), track(1, "e", 9.0, 0.0, vx_mps=float("nan"))]
    fast = [track(1, "f", 8.0, 1.0, vx_mps=1e12, observed=False)]
    store = make_store(tmp_path, tracks=bad + odd + fast)
    view = LogView.read(store, "drive")
    assert {frame: [row["track_id"] for row in rows] for frame, rows in view.tracks.items()} == {
        0: ["d"],
        1: ["e", "f"],
    }
    assert write_birds_eye(store, "drive", tmp_path / "film.gif", size_px=120) == FRAMES


def test_a_log_without_tracks_in_any_frame(tmp_path: Path) -> None:
    assert write_birds_eye(make_store(tmp_path, tracks=[]), "drive", tmp_path / "film.gif", size_px=120) == FRAMES


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    with pytest.raises(ConfigError, match="gif"):
        write_birds_eye(store, "drive", tmp_path / "film.avi")
    with pytest.raises(ConfigError, match="reaches"):
        write_birds_eye(store, "drive", tmp_path / "film.gif", reach_m=float("nan"))
    with pytest.raises(StoreError, match="no table"):
        write_birds_eye(store, "other", tmp_path / "film.gif")
    store.write("frames", "drive", table_from_rows("frames", []), "x")
    with pytest.raises(LogFormatError, match="no frame"):
        write_birds_eye(store, "drive", tmp_path / "film.gif")
    assert not list(tmp_path.glob("*film*"))


def test_absent_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, plain = make_store(tmp_path), builtins.__import__

    def lacking(name: str, *rest: Any, **more: Any) -> Any:
        if name in ("cv2", "rerun"):
            raise ImportError(name)
        return plain(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", lacking)
    with pytest.raises(DependencyError, match="opencv-python-headless"):
        write_birds_eye(store, "drive", tmp_path / "film.mp4", size_px=120)
    with pytest.raises(DependencyError, match="view"):
        write_recording(store, "drive", tmp_path / "log.rrd")
    assert not list(tmp_path.glob("*film*"))


def test_six_cameras_are_laid_out_as_they_look() -> None:
    angles = {"F": 0.0, "FL": 55.0, "FR": -55.0, "BL": 110.0, "BR": -110.0, "B": 180.0}
    places = {place.camera: place for place in layout(angles, 768, 720)}
    assert (places["F"].width, places["F"].height) == (768, 432)
    assert places["FL"].left < places["FR"].left
    assert places["FL"].top == places["FR"].top < places["B"].top
    assert places["BL"].left < places["B"].left < places["BR"].left
    assert layout({}, 768, 720) == ()
    assert layout({"only": 170.0}, 768, 720)[0].height == 720


@pytest.mark.parametrize("count", range(2, 14))
def test_places_do_not_overlap_or_stick_out(count: int) -> None:
    places = layout({f"c{index}": (360.0 * index / count + 180.0) % 360.0 - 180.0 for index in range(count)}, 640, 600)
    area = np.zeros((600, 640), dtype=int)
    for place in places:
        assert place.left >= 0
        assert place.left + place.width <= 640
        assert place.top + place.height <= 600
        area[place.top : place.top + place.height, place.left : place.left + place.width] += 1
    assert len(places) == count
    assert area.max() == 1


def test_every_class_has_a_colour_that_stands_out() -> None:
    assert set(CLASS_RGB) == set(CATEGORIES)
    assert min(max(colour) for colour in CLASS_RGB.values()) > 150
    assert class_rgb(None) == class_rgb("a class of tomorrow") == CLASS_RGB["other"]


@pytest.mark.parametrize("poses", [True, False])
def test_a_recording_reads_back(tmp_path: Path, poses: bool) -> None:
    rerun = pytest.importorskip("rerun", reason="rerun-sdk is not installed (extra `view`)")
    store, out = make_store(tmp_path, poses=poses), tmp_path / "out" / "log.rrd"
    assert write_recording(store, "drive", out) == FRAMES
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    recording = rerun.dataframe.load_recording(out)
    columns = recording.schema().component_columns()
    expected = {"/world", "/world/ego/boxes", "/world/ego/velocities", "/world/ego/trails", "/world/ego/lidar/LIDAR"}
    expected |= {"/world/ego/cameras/CAM", "/world/ego/cameras/CAM/boxes"}
    expected |= {"/world/ego", "/world/ego_path", "/world/map/lane"} if poses else set()
    assert {column.entity_path for column in columns if "properties" not in column.entity_path} == expected
    rows = recording.view(index="frame", contents="/world/ego/boxes").select().read_all().to_pydict()
    centre = next(values for name, values in rows.items() if "Translation3D" in name or "centers" in name)
    assert [round(frame[0][0], 3) for frame in centre] == [20.0, 18.0, 16.0, 14.0]


def test_a_recording_without_images_or_with_a_broken_sweep(tmp_path: Path) -> None:
    rerun = pytest.importorskip("rerun", reason="rerun-sdk is not installed (extra `view`)")
    store = make_store(tmp_path)
    (tmp_path / "source" / "0.bin").write_bytes(b"123")
    (tmp_path / "source" / "0.png").unlink()
    assert write_recording(store, "drive", tmp_path / "log.rrd") == FRAMES
    paths = {
        column.entity_path
        for column in rerun.dataframe.load_recording(tmp_path / "log.rrd").schema().component_columns()
    }
    assert "/world/ego/lidar/LIDAR" in paths
    bare = make_store(tmp_path / "bare", images=False)
    assert write_recording(bare, "drive", tmp_path / "bare.rrd") == FRAMES
