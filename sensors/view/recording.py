"""`write_recording`: a log as a Rerun recording, to look at in 3D with `rerun FILE.rrd`.

    world/ego                        moves with the ego; world begins where the log does (it is the ego frame without poses)
    world/ego/boxes, velocities      tracks: oriented boxes with id, class colour; the way of one second
    world/ego/trails                 where they were in the last seconds
    world/ego/lidar/SENSOR           points, in the ego frame of their frame
    world/ego/cameras/CAMERA         pinhole and image; .../boxes its 2D boxes
    world/ego_path, world/map/KIND   for all times

Rerun is an optional package; it is imported when a recording is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from drive_vqa.errors import DependencyError, DriveVqaError, StoreError
from drive_vqa.schema import pose_from_struct
from drive_vqa.store import Store, replacing
from sensors.view.birds_eye import TRAIL_S, short_id, trails
from sensors.view.log_view import LogView, Row
from sensors.view.palette import EGO_RGB, MAP_RGB, RING_RGB, class_rgb

if TYPE_CHECKING:
    import rerun

APPLICATION = "drive-vqa"
TIMELINE = "time"
NEAR_RGB, FAR_RGB, FAR_M = np.array([255, 230, 90]), np.array([60, 70, 160]), 60.0
"""Lidar points are coloured by their distance."""


def write_recording(store: Store, log_id: str, out: Path) -> int:
    """Write a log as a Rerun recording with cameras, lidar, boxes, tracks, ego path and map, whatever of them it has.

    Where an image or a sweep is missing or damaged, a line of text says so in its place.

    Args:
        store: with the tracks of the log.
        log_id: its name.
        out: the `.rrd` file.

    Returns:
        The number of frames.

    Raises:
        DependencyError: rerun-sdk is absent.
        StoreError: the log has no tracks.
    """
    rr = _rerun()
    view = LogView.read(store, log_id)
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as temporary:
        stream = rr.RecordingStream(APPLICATION, recording_id=f"{APPLICATION}-{log_id}")
        stream.save(temporary)
        Recorder(rr, stream, view).record()
        stream.flush()
        stream.disconnect()
    return len(view.frames)


def _rerun() -> Any:
    try:
        import rerun
    except ImportError as error:
        raise DependencyError(
            "a recording needs Rerun: run `pip install 'drive-vqa[view]'`, or write a film (.gif or .mp4) instead"
        ) from error
    return rerun


class Recorder:
    """Logs one `LogView` to a stream."""

    def __init__(self, rr: Any, stream: rerun.RecordingStream, view: LogView) -> None:
        self.rr, self.stream, self.view = rr, stream, view
        self.swept: set[str] = set()
        poses = view.global_SE3_ego
        self.origin_m = np.zeros(3) if poses is None else poses[int(view.frames[0])].translation_m

    def record(self) -> None:
        """Everything."""
        self._static()
        for index in range(len(self.view.frames)):
            time_s = (int(self.view.timestamps_ns[index]) - int(self.view.timestamps_ns[0])) * 1e-9
            self.stream.set_time(TIMELINE, duration=time_s)
            self.stream.set_time("frame", sequence=int(self.view.frames[index]))
            self._ego(index)
            self._tracks(index)
            frame = int(self.view.frames[index])
            for row in self.view.files(frame, "camera"):
                self._camera(row)
            sweeps = self.view.files(frame, "lidar")
            for row in sweeps:
                self._lidar(row)
            self._clear_lidar({row["sensor"] for row in sweeps})

    def _clear_lidar(self, here: set[str]) -> None:
        """Rerun shows the newest value: the points of a frame gone by would drive along with the ego."""
        for sensor in sorted(self.swept - here):
            self.stream.log(f"world/ego/lidar/{sensor}", self.rr.Clear(recursive=False))
        self.swept = here

    def _static(self) -> None:
        """The ego's path and the map, around the first ego position: large coordinates do not fit 32-bit floats."""
        rr, poses = self.rr, self.view.global_SE3_ego
        self.stream.log("world", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
        if poses is None:
            return
        path_m = np.stack([poses[int(frame)].translation_m for frame in self.view.frames]) - self.origin_m
        self.stream.log("world/ego_path", rr.LineStrips3D([path_m], colors=[EGO_RGB]), static=True)
        for kind in sorted({line.kind for line in self.view.map_lines}):
            lines = [line for line in self.view.map_lines if line.kind == kind]
            strips = [_strip(line.global_xyz_m - self.origin_m, closed=line.closed) for line in lines]
            colours = [MAP_RGB.get(kind, RING_RGB)]
            self.stream.log(f"world/map/{kind}", rr.LineStrips3D(strips, colors=colours), static=True)

    def _ego(self, index: int) -> None:
        if self.view.global_SE3_ego is not None:
            pose = self.view.global_SE3_ego[int(self.view.frames[index])]
            at_m = pose.translation_m - self.origin_m
            self.stream.log("world/ego", self.rr.Transform3D(translation=at_m, mat3x3=pose.rotation))

    def _tracks(self, index: int) -> None:
        rr, rows = self.rr, self.view.tracks.get(int(self.view.frames[index]), [])
        centres_m, sizes_m = _columns(rows, "x_m y_m z_m"), _columns(rows, "length_m width_m height_m")
        half_rad = 0.5 * _columns(rows, "yaw_rad")[:, 0]
        zeros = np.zeros_like(half_rad)
        colours = [class_rgb(row["category"]) for row in rows]
        boxes = rr.Boxes3D(
            centers=centres_m,
            half_sizes=0.5 * sizes_m,
            quaternions=np.stack([zeros, zeros, np.sin(half_rad), np.cos(half_rad)], axis=1),
            colors=colours,
            labels=[f"{row['category']} {short_id(row['track_id'])}" for row in rows],
            show_labels=False,
        )
        self.stream.log("world/ego/boxes", boxes)
        moving = np.nan_to_num(
            np.array([[row["vx_mps"], row["vy_mps"], 0.0] for row in rows], dtype=float).reshape(-1, 3)
        )
        self.stream.log("world/ego/velocities", rr.Arrows3D(vectors=moving, origins=centres_m, colors=colours))
        by_id = {row["track_id"]: class_rgb(row["category"]) for row in rows}
        found = trails(self.view, index, by_id, TRAIL_S)
        self.stream.log("world/ego/trails", rr.LineStrips3D(list(found.values()), colors=[by_id[key] for key in found]))

    def _camera(self, row: Row) -> None:
        rr, name = self.rr, f"world/ego/cameras/{row['sensor']}"
        ego_SE3_cam = self.view.ego_from_capture(row) @ pose_from_struct(row["ego_SE3_sensor"])
        self.stream.log(name, rr.Transform3D(translation=ego_SE3_cam.translation_m, mat3x3=ego_SE3_cam.rotation))
        if row["intrinsics"] and row["width"] and row["height"]:
            matrix = np.array(row["intrinsics"]).reshape(3, 3)
            size = (row["width"], row["height"])
            lens = rr.Pinhole(image_from_camera=matrix, resolution=size, camera_xyz=rr.ViewCoordinates.RDF)
            self.stream.log(name, lens)
        try:
            self.stream.log(name, rr.EncodedImage(path=self.view.store.media_path(self.view.log_id, row["path"])))
        except StoreError as error:  # a recording of the rest is worth more than none
            self.stream.log(name, rr.TextLog(str(error)))
        pairs = [
            (track, seen)
            for track in self.view.tracks.get(row["frame"], [])
            for seen in track["cameras"] or ()
            if seen["camera"] == row["sensor"]
        ]
        boxes = rr.Boxes2D(
            array=_columns([seen for _, seen in pairs], "u0_px v0_px u1_px v1_px"),
            array_format=rr.Box2DFormat.XYXY,
            colors=[class_rgb(track["category"]) for track, _ in pairs],
            labels=[short_id(track["track_id"]) for track, _ in pairs],
        )
        self.stream.log(f"{name}/boxes", boxes)

    def _lidar(self, row: Row) -> None:
        name = f"world/ego/lidar/{row['sensor']}"
        try:
            ego_xyz_m = self.view.sweep(row)
        except DriveVqaError as error:
            self.stream.log(name, self.rr.TextLog(str(error)))
            return
        share = np.clip(np.linalg.norm(ego_xyz_m[:, :2], axis=1) / FAR_M, 0.0, 1.0)[:, None]
        colours = ((1.0 - share) * NEAR_RGB + share * FAR_RGB).astype(np.uint8)
        self.stream.log(name, self.rr.Points3D(ego_xyz_m.astype(np.float32), colors=colours, radii=[0.03]))


def _strip(xyz_m: Float[np.ndarray, "n 3"], *, closed: bool) -> Float[np.ndarray, "m 3"]:
    return np.concatenate([xyz_m, xyz_m[:1]]) if closed else xyz_m


def _columns(rows: Sequence[Row], names: str) -> Float[np.ndarray, "n k"]:
    keys = names.split()
    return np.array([[row[key] for key in keys] for row in rows], dtype=np.float64).reshape(-1, len(keys))
