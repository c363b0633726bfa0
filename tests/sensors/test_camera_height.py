"""Drives differ in how high their cameras are and in their weather, as they are asked to."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drive_vqa.cli import main
from drive_vqa.errors import ConfigError
from sensors.synth.rig import make_rig
from sensors.synth.synthesize import Settings, synthesize
from sensors.synth.traffic import simulate_scene
from sensors.synth.weather import WEATHER_SHARES, draw_weather

SMALL: dict[str, Any] = {
    "duration_s": 1.0,
    "workers": 1,
    "rig": "front",
    "width_px": 48,
    "height_px": 32,
    "azimuths": 8,
}
HEIGHTS_M = (1.4, 1.9)


def heights_m(root: Path) -> list[float]:
    """Of the front camera over the ground, in each drive."""
    tables = {
        name: json.loads((root / "v1.0-mini" / f"{name}.json").read_text()) for name in ("sensor", "calibrated_sensor")
    }
    (camera,) = (row["token"] for row in tables["sensor"] if row["channel"] == "CAM_FRONT")
    return [row["translation"][2] for row in tables["calibrated_sensor"] if row["sensor_token"] == camera]


def drawn_by(seed: int) -> Settings:
    return Settings(seed, "oldtown", 1.0, 48, 32, 8, False, "front", HEIGHTS_M)


def test_heights_are_written_as_they_were_drawn(tmp_path: Path) -> None:
    synthesize(tmp_path / "set", scenes=2, seed=3, first_scene=5, camera_height_m=HEIGHTS_M, **SMALL)
    written_m = heights_m(tmp_path / "set")
    drawn_m = [drawn_by(3).rig_of(scene).cameras[0].ego_SE3_cam.translation_m[2] for scene in (5, 6)]
    assert written_m == pytest.approx(drawn_m)
    assert written_m[0] != written_m[1]


def test_heights_fill_the_range_and_hang_on_seed_and_drive_alone() -> None:
    drawn_m = [drawn_by(3).rig_of(scene).cameras[0].ego_SE3_cam.translation_m[2] for scene in range(200)]
    assert HEIGHTS_M[0] <= min(drawn_m) < 1.42 < 1.88 < max(drawn_m) <= HEIGHTS_M[1]
    assert drawn_m[7] == drawn_by(3).rig_of(7).cameras[0].ego_SE3_cam.translation_m[2]
    assert drawn_m[7] != drawn_by(4).rig_of(7).cameras[0].ego_SE3_cam.translation_m[2]


def test_all_cameras_move_together_and_nothing_else_does() -> None:
    usual = make_rig(48, 32, 8)
    raised = usual.with_cameras_at(2.0)
    for camera, before in zip(raised.cameras, usual.cameras, strict=True):
        moved_m = camera.ego_SE3_cam.translation_m - before.ego_SE3_cam.translation_m
        np.testing.assert_allclose(moved_m, [0.0, 0.0, 2.0 - 1.51])
        np.testing.assert_array_equal(camera.ego_SE3_cam.rotation, before.ego_SE3_cam.rotation)
    assert (raised.lidar, raised.radars) == (usual.lidar, usual.radars)


def test_weather_comes_as_often_as_its_share() -> None:
    rng = np.random.default_rng(0)
    drawn = Counter(draw_weather(rng, {"fog": 0.25, "night": 0.75, "sun": 0.0}).name for _ in range(2_000))
    assert drawn.keys() == {"fog", "night"}
    assert abs(drawn["fog"] / 2_000 - 0.25) < 0.04


def test_a_drive_has_the_weather_that_it_is_given() -> None:
    assert simulate_scene("parkside", 0, 5, 1.0, {"fog": 1.0}).weather.name == "fog"


def test_the_usual_shares_are_those_of_before_they_could_be_set() -> None:
    assert dict(WEATHER_SHARES) == {"sun": 0.55, "dusk": 0.17, "night": 0.14, "fog": 0.14}


@pytest.mark.parametrize("heights", [(1.9, 1.4), (0.2, 1.0), (1.0, 9.0), (float("nan"), 1.0)])
def test_heights_out_of_range_are_named(tmp_path: Path, heights: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match=f"camera_height_m.*got {heights[0]:g} and {heights[1]:g}"):
        synthesize(tmp_path / "set", scenes=1, seed=0, camera_height_m=heights)
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("shares", [{"rain": 1.0}, {}, {"sun": 0.5}, {"sun": 1.5, "fog": -0.5}, {"sun": float("nan")}])
def test_shares_that_are_none_are_named(tmp_path: Path, shares: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="weather_shares: give sun, dusk, night, fog shares"):
        synthesize(tmp_path / "set", scenes=1, seed=0, weather_shares=shares)
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    "option",
    [("--weather", "sun"), ("--weather", "sun=0"), ("--weather", "sun=1,sun=2"), ("--camera-height", "low", "high")],
)
def test_words_that_say_nothing_are_wrong_use(tmp_path: Path, option: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["synth", "--out", str(tmp_path / "set"), *option])
    assert stop.value.code == 2


@pytest.mark.parametrize(
    ("option", "says"), [(("--weather", "rain=1"), "'rain': 1.0"), (("--camera-height", "2", "1"), "got 2 and 1")]
)
def test_settings_that_cannot_be_are_wrong_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: tuple[str, ...], says: str
) -> None:
    assert main(["synth", "--out", str(tmp_path / "set"), *option]) == 2
    assert says in capsys.readouterr().err


def test_shares_on_the_command_line_are_scaled_to_one(tmp_path: Path) -> None:
    common = ["synth", "--rig", "front", "--scenes", "1", "--duration", "1", "--workers", "1"]
    options = ["--weather", "dusk=3,fog=1", "--camera-height", "1.4", "1.9"]
    assert main([*common, "--out", str(tmp_path / "set"), *options]) == 0
    noted = json.loads((tmp_path / "set" / ".synth-work" / "settings.json").read_text())
    assert (noted["weather_shares"], noted["camera_height_m"]) == ({"dusk": 0.75, "fog": 0.25}, [1.4, 1.9])
