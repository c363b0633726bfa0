"""Point files: the devkit's numbers, and what hostile files do."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_vqa.errors import LogFormatError
from sensors.readers.nuscenes_points import RadarPoints, read_lidar, read_radar

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the devkit's own imports
    from nuscenes.utils.data_classes import LidarPointCloud, RadarPointCloud

FIELDS = {  # name: type and bytes
    **dict.fromkeys(("x", "y", "z"), "F4"),
    **{"dyn_prop": "I1", "id": "I2"},
    **dict.fromkeys(("rcs", "vx", "vy", "vx_comp", "vy_comp"), "F4"),
    **dict.fromkeys(
        ("is_quality_valid", "ambig_state", "x_rms", "y_rms", "invalid_state", "pdh0", "vx_rms", "vy_rms"), "I1"
    ),
}
NAMES = list(FIELDS)
KINDS = [kind[0] for kind in FIELDS.values()]
SIZES = [kind[1] for kind in FIELDS.values()]
HEADER = """# .PCD v0.7 - Point Cloud Data file format
VERSION 0.7
FIELDS {names}
SIZE {sizes}
TYPE {kinds}
COUNT {counts}
WIDTH {count}
HEIGHT 1
VIEWPOINT 0 0 0 1 0 0 0
POINTS {count}
DATA binary
"""
ROW = np.dtype([(n, f"<{k.lower()}{s}") for n, k, s in zip(NAMES, KINDS, SIZES, strict=True)])


def radar_rows(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = np.zeros(count, dtype=ROW)
    for name, kind in zip(NAMES, KINDS, strict=True):
        rows[name] = rng.normal(0, 30, count) if kind == "F" else rng.integers(0, 100, count)
    return rows


def radar_bytes(rows: np.ndarray, **changes: str) -> bytes:
    words = {
        "names": " ".join(NAMES),
        "sizes": " ".join(SIZES),
        "kinds": " ".join(KINDS),
        "counts": " ".join(["1"] * 18),
    }
    header = HEADER.format(**{**words, "count": str(len(rows)), **changes})
    return header.encode() + rows.tobytes() + b"\0"  # the devkit wants a byte more


def test_radar_is_the_devkits_without_filters(tmp_path: Path) -> None:
    file = tmp_path / "capture.pcd"
    file.write_bytes(radar_bytes(radar_rows(57)))
    states = list(range(-128, 128))
    theirs = RadarPointCloud.from_file(str(file), states, states, states).points
    ours = read_radar(file)
    assert theirs.shape == (18, 57)
    by_name = dict(zip(NAMES, theirs, strict=True))
    np.testing.assert_array_equal(ours.xyz_m.T, theirs[:3])
    np.testing.assert_array_equal(ours.velocity_mps.T, theirs[6:8])
    np.testing.assert_array_equal(ours.ground_velocity_mps.T, theirs[8:10])
    np.testing.assert_array_equal(ours.rcs_dbsm, by_name["rcs"])
    for name in ("dyn_prop", "id", "is_quality_valid", "ambig_state", "invalid_state", "pdh0"):
        np.testing.assert_array_equal(getattr(ours, name), by_name[name])


def test_a_first_point_of_nan_says_that_there_is_none(tmp_path: Path) -> None:
    rows = radar_rows(3)
    rows["x"][0] = np.nan
    (tmp_path / "capture.pcd").write_bytes(radar_bytes(rows))
    assert RadarPointCloud.from_file(str(tmp_path / "capture.pcd")).points.shape == (18, 0)
    assert read_radar(tmp_path / "capture.pcd").xyz_m.shape == (0, 3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"count": "4"}, "130 bytes for 4 points"),
        ({"count": "99999999999999999999"}, "WIDTH must hold whole numbers"),
        ({"count": "999999999"}, "at most 5000000"),
        ({"count": "-3"}, "WIDTH must hold whole numbers"),
        ({"count": "3 3"}, "WIDTH × HEIGHT must be POINTS"),
        ({"counts": " ".join(["2"] * 18)}, "do not describe single numbers"),
        ({"counts": "1"}, "do not describe single numbers"),
        ({"sizes": " ".join(["3"] * 18)}, "do not describe single numbers"),
        ({"kinds": " ".join(["O"] * 18)}, "do not describe single numbers"),
        ({"names": " ".join(["x", *NAMES[:17]])}, "absent or stands twice"),
        ({"names": " ".join(["range", *NAMES[1:]])}, "field 'x' is absent"),
        ({"kinds": " ".join(["I", *KINDS[1:]])}, "another TYPE"),
        ({"names": " ".join(NAMES) + "\nWIDTH 3"}, "a line twice"),
    ],
)
def test_hostile_headers_are_refused(tmp_path: Path, changes: dict[str, str], words: str) -> None:
    file = tmp_path / "capture.pcd"
    file.write_bytes(radar_bytes(radar_rows(3), **changes))
    with pytest.raises(LogFormatError, match=f"capture.pcd.*{words}"):
        read_radar(file)


@pytest.mark.parametrize("content", [b"", b"DATA binary\n", b"x" * 9000, HEADER.replace("binary", "ascii").encode()])
def test_other_files_are_no_radar(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "capture.pcd").write_bytes(content)
    with pytest.raises(LogFormatError, match=r"capture\.pcd"):
        read_radar(tmp_path / "capture.pcd")


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, 500), value=st.integers(0, 255), cut=st.one_of(st.none(), st.integers(0, 500)))
def test_damage_is_an_error_or_a_clean_result(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int, cut: int | None
) -> None:
    content = bytearray(radar_bytes(radar_rows(3)))
    content[place % len(content)] = value
    file = tmp_path_factory.getbasetemp() / "damaged.pcd"
    file.write_bytes(content[:cut])
    try:
        points = read_radar(file)
    except LogFormatError:
        return
    assert isinstance(points, RadarPoints)
    assert np.isfinite(points.xyz_m).all()


def test_lidar_is_the_devkits(tmp_path: Path) -> None:
    file = tmp_path / "sweep.pcd.bin"
    np.random.default_rng(1).normal(0, 30, (1000, 5)).astype("<f4").tofile(file)
    ours = read_lidar(file)
    assert ours.shape == (1000, 5)
    np.testing.assert_array_equal(ours[:, :4].T, LidarPointCloud.from_file(str(file)).points)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\0" * 21, "21 bytes"),
        (np.array([[1, 2, 3, 4, 5], [1, np.nan, 3, 4, 5]], "<f4").tobytes(), "point 1 is not finite"),
        (None, "is missing"),
    ],
)
def test_a_wrong_lidar_file_is_refused(tmp_path: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / "sweep.pcd.bin").write_bytes(content)
    with pytest.raises(LogFormatError, match=words):
        read_lidar(tmp_path / "sweep.pcd.bin")


def test_a_folder_is_no_sweep(tmp_path: Path) -> None:
    with pytest.raises(LogFormatError, match="cannot be read"):
        read_lidar(tmp_path)
