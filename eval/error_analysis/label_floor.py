"""What the labels allow at most: the annotated places, scored as if a model had told them.

Answers of a store come from its tracks. Where those are fused from measurements they are off the annotations, and a perfect eye
would be called wrong there. Each asked track is paired with the annotation of its class whose centre is nearest to it in the
frame that is asked about, within 2 m. Annotations and answers are both polar in the ego frame of that frame's time.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from drive_vqa.geometry import bearing_deg
from drive_vqa.store import Store
from eval.cases import no_answers
from eval.error_analysis.target_answers import PLACE
from eval.fused_state import SAME_OBJECT_M
from eval.judged import judge_typed
from eval.panel import Answered

ASKED = ["log_id", "truth_frame", "track_id"]


def tracks_are_annotations(store: Store) -> bool:
    """Whether the tracks were made from annotations, so that both tell the same places."""
    return bool(store.manifest().get("steps", {}).get("fuse", {}).get("source") == "annotations")


def annotated_answers(store: Store, cases: pd.DataFrame) -> Answered:
    """The places of the annotations as answers to localization questions; none where no annotation is near.

    Args:
        store: with tracks and annotations.
        cases: see `eval.cases.read_cases`; index 0 … n-1.
    """
    asked = cases[ASKED].drop_duplicates()
    annotated = set(store.log_ids("annotations"))
    parts = [_of_log(store, str(log_id), objects) for log_id, objects in asked.groupby("log_id") if log_id in annotated]
    places = (
        pd.concat([pd.DataFrame(columns=[*ASKED, *PLACE]), *parts]) if parts else asked.assign(**dict.fromkeys(PLACE))
    )
    found = cases[ASKED].merge(places, on=ASKED, how="left")[list(PLACE)].astype(np.float64)
    answers = no_answers(len(cases)).assign(**found)
    return judge_typed(cases, answers.assign(answered=found.notna().all(axis=1)))


def _of_log(store: Store, log_id: str, asked: pd.DataFrame) -> pd.DataFrame:
    """Distance and bearing of the annotation that belongs to each asked track of a log; only those that have one."""
    objects = asked.rename(columns={"truth_frame": "frame"})
    frames = objects["frame"].unique().tolist()
    tracks = _rows(store, "tracks", log_id, ("frame", "track_id", "category", "x_m", "y_m"), frames)
    pairs = objects.merge(tracks.drop_duplicates(["frame", "track_id"]), on=["frame", "track_id"])
    pairs = pairs.merge(_centres(store, log_id, frames), on=["frame", "category"], suffixes=("", "_true"))
    apart_m = np.hypot(pairs["x_m"] - pairs["x_m_true"], pairs["y_m"] - pairs["y_m_true"])
    near = pairs.assign(apart_m=apart_m)[apart_m <= SAME_OBJECT_M].sort_values("apart_m", kind="stable")
    nearest = near.drop_duplicates(["frame", "track_id"]).rename(columns={"frame": "truth_frame"})
    x_m, y_m = (nearest[name].to_numpy(dtype=np.float64) for name in ("x_m_true", "y_m_true"))
    return nearest[ASKED].assign(distance_m=np.hypot(x_m, y_m), bearing_deg=bearing_deg(x_m, y_m))


def _centres(store: Store, log_id: str, frames: list[int]) -> pd.DataFrame:
    boxes = _rows(store, "annotations", log_id, ("frame", "category", "ego_SE3_box"), frames)
    centres = pd.DataFrame(boxes["ego_SE3_box"].tolist(), columns=["tx_m", "ty_m"], index=boxes.index)
    return boxes[["frame", "category"]].assign(x_m=centres["tx_m"], y_m=centres["ty_m"])


def _rows(store: Store, table: str, log_id: str, columns: tuple[str, ...], frames: list[int]) -> pd.DataFrame:
    """Some frames of a table of a log."""
    rows: pd.DataFrame = store.read(table, log_id, columns).filter(pc.field("frame").isin(frames)).to_pandas()
    return rows
