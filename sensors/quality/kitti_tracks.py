"""Label and result files of the KITTI tracking benchmark as columns.

One row is one box: `frame track_id type truncated occluded alpha left top right bottom h w l x y z rotation_y [score]`, with
the position at the bottom centre of the box in the rectified camera frame (x right, y down, z forward), metres and radians.
Source: the benchmark's development kit.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from drive_vqa.errors import LogFormatError

DONT_CARE = "DontCare"
NUMBERS = ("h_m", "w_m", "l_m", "x_m", "y_m", "z_m", "rotation_y_rad")
COLUMNS = ("frame", "track_id", "type", "truncated", "occluded", "alpha_rad", "u0", "v0", "u1", "v1", *NUMBERS)
MAX_BYTES = 1 << 29
MAX_FRAME = 1 << 20
MAX_ID = 1 << 31


@dataclass(frozen=True)
class KittiSequence:
    """The boxes of one sequence, in any order, one entry a box in every column.

    Attributes:
        frame: from 0.
        track_id: -1 for `DontCare` areas.
        type: `Car`, `Van`, `Pedestrian`, `Cyclist`, `DontCare`, ….
        truncated: 0 whole, 1 partly, 2 largely out of the image; -1 unknown.
        occluded: 0 visible, 1 partly, 2 largely hidden, 3 unknown; -1 for areas.
        alpha_rad: observation angle.
        box2d_px: left, top, right, bottom in the image.
        h_m: height (w_m width, l_m length).
        x_m: bottom centre of the box in the rectified camera frame (with y_m, z_m).
        rotation_y_rad: about the camera's y axis, 0 along its x axis.
        score: confidence on any scale, NaN where the file has none.

    Raises:
        LogFormatError: columns differ in length, or a frame or number is not usable.
    """

    frame: Int[np.ndarray, "n"]
    track_id: Int[np.ndarray, "n"]
    type: np.ndarray
    truncated: Int[np.ndarray, "n"]
    occluded: Int[np.ndarray, "n"]
    alpha_rad: Float[np.ndarray, "n"]
    box2d_px: Float[np.ndarray, "n 4"]
    h_m: Float[np.ndarray, "n"]
    w_m: Float[np.ndarray, "n"]
    l_m: Float[np.ndarray, "n"]
    x_m: Float[np.ndarray, "n"]
    y_m: Float[np.ndarray, "n"]
    z_m: Float[np.ndarray, "n"]
    rotation_y_rad: Float[np.ndarray, "n"]
    score: Float[np.ndarray, "n"]

    def __post_init__(self) -> None:
        for column in fields(self):
            if len(getattr(self, column.name)) != len(self.frame):
                raise LogFormatError(f"column {column.name!r} has not one entry a box: give every column its length")
        finite = np.isfinite(np.stack([getattr(self, name) for name in NUMBERS])).all(0)
        finite &= np.isfinite(self.box2d_px).all(-1) & ~np.isinf(self.score)
        sized = (self.type == DONT_CARE) | ((self.h_m > 0) & (self.w_m > 0) & (self.l_m > 0))
        framed = (self.frame >= 0) & (self.frame < MAX_FRAME) & (np.abs(self.track_id) < MAX_ID)
        usable = finite & sized & framed
        if not usable.all():
            raise LogFormatError(
                f"box {int(np.argmin(usable))} has a number that is not finite, a size of 0 or less, or a frame or"
                " track id out of range: mend that record"
            )

    def __len__(self) -> int:
        return len(self.frame)

    def only(self, keep: Bool[np.ndarray, "n"] | Int[np.ndarray, "m"]) -> KittiSequence:
        """The boxes where `keep` is true, or those of these places in this order."""
        return replace(self, **{column.name: getattr(self, column.name)[keep] for column in fields(self)})


def read_kitti_tracks(path: Path) -> KittiSequence:
    """Read a label file (17 columns) or a result file (18: a score at the end); an empty file is no boxes.

    Raises:
        LogFormatError: the file is missing or does not follow the format.
    """
    frame = _parse(path)
    numbers = frame.drop(columns="type").to_numpy(dtype=np.float64)
    bad = ~np.isfinite(numbers).all(-1)
    if bad.any():
        raise LogFormatError(f"{path}: line {int(np.argmax(bad)) + 1} has a number that is not finite: mend it")
    column = dict(zip(frame.columns.drop("type"), numbers.T, strict=True))
    whole = {name: _whole(column[name], name, path) for name in ("frame", "track_id", "truncated", "occluded")}
    try:
        return KittiSequence(
            **whole,
            type=frame["type"].to_numpy(dtype=np.str_),
            alpha_rad=column["alpha_rad"],
            box2d_px=np.stack([column[name] for name in ("u0", "v0", "u1", "v1")], axis=-1),
            **{name: column[name] for name in NUMBERS},
            score=column.get("score", np.full(len(frame), np.nan)),
        )
    except LogFormatError as error:
        raise LogFormatError(f"{path}: {error}") from error


def read_kitti_folder(folder: Path) -> dict[str, KittiSequence]:
    """Every `NNNN.txt` of a folder by its name without the ending, in order.

    Raises:
        LogFormatError: there is none, or one does not follow the format.
    """
    paths = sorted(folder.glob("*.txt"))
    if not paths:
        raise LogFormatError(f"{folder} holds no NNNN.txt: name a folder of KITTI tracking files")
    return {path.stem: read_kitti_tracks(path) for path in paths}


def _parse(path: Path) -> pd.DataFrame:
    names = [*COLUMNS, "score"]
    dtypes = {name: "str" if name == "type" else "float64" for name in names}
    try:
        if path.stat().st_size > MAX_BYTES:
            raise LogFormatError(f"{path} is larger than {MAX_BYTES} bytes: it is no KITTI tracking file")
        with path.open("rb") as file:
            width = len(file.readline(1 << 16).split())
        if width == 0 and path.stat().st_size == 0:
            return pd.DataFrame({name: pd.Series([], dtype=dtypes[name]) for name in names})
        if width not in (len(COLUMNS), len(names)):
            raise LogFormatError(f"{path}: line 1 has {width} columns, not 17 (labels) or 18 (results): mend it")
        return pd.read_csv(
            path, sep=r"\s+", header=None, names=names[:width], dtype=dtypes, index_col=False, keep_default_na=False
        )
    except (OSError, ValueError, UnicodeError, OverflowError) as error:  # pandas' parser errors are ValueErrors
        reason = " ".join(str(error).split())[:200]
        raise LogFormatError(f"{path} is not a KITTI tracking file ({reason}): mend it") from error


def _whole(values: Float[np.ndarray, "n"], name: str, path: Path) -> Int[np.ndarray, "n"]:
    """Truncated towards 0; the truncation of some label files is written as a fraction."""
    if np.abs(values).max(initial=0.0) >= MAX_ID:
        raise LogFormatError(f"{path}: {name} of line {int(np.abs(values).argmax()) + 1} is out of range: mend it")
    return values.astype(np.int64)
