"""What a question shows, and what is true in it: the ground of all that is drawn about how an answer was reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from drive_vqa.errors import DriveVqaError
from drive_vqa.marks import marked_frame
from drive_vqa.prompt import time_line
from drive_vqa.store import Store
from eval.evidence.truth import TrueEvidence, read_evidence
from eval.report.inputs import Evaluation

Row = Mapping[str, Any]

WIDTH_PX = 420
"""Of a frame on the page."""


@dataclass(frozen=True, eq=False)
class Shown:
    """A question's frames, all with files and of known size, and what is true in them."""

    store: Store
    group: Row
    evidence: TrueEvidence

    def when(self, context: int) -> str:
        """When a frame was taken, and by which camera where there are several."""
        views = self.group["context"]
        several = len({view["camera"] for view in views}) > 1
        return time_line(views[context]["offset_s"], views[context]["camera"] if several else None).rstrip(":")

    def size_px(self, context: int) -> tuple[int, int]:
        """Width and height of an original frame."""
        view = self.group["context"][context]
        return view["width"], view["height"]

    def image(self, context: int, width_px: int | None = None) -> Image.Image | None:
        """A frame without marks, which would hide what is drawn; of its own width by default; None where it cannot be read."""
        size_px = self.size_px(context)
        shown_px = None if width_px is None else (width_px, max(1, round(width_px * size_px[1] / size_px[0])))
        try:
            return marked_frame(self.store, self.group, context, shown_px, style="none")
        except DriveVqaError:
            return None


def shown_with(evaluation: Evaluation, rows: Sequence[Row]) -> dict[str, Shown]:
    """By question; those asked without images are left out.

    Args:
        evaluation: that was asked.
        rows: of `Evaluation.answers`, of one log.

    Raises:
        StoreError: the store lacks tracks, questions or a group.
    """
    store, log_id = evaluation.store, rows[0]["log_id"]
    evidence_of = read_evidence(store, log_id)
    table = store.read("questions", log_id, ["qa_id", "group_id", "evidence"])
    wanted = pa.array([row["qa_id"] for row in rows], pa.string())
    found = {}
    for question in table.filter(pc.is_in(table["qa_id"], value_set=wanted)).to_pylist():
        group = evaluation.group(log_id, question["group_id"])
        if group["context"] and all(view["path"] and view["width"] and view["height"] for view in group["context"]):
            found[question["qa_id"]] = Shown(store, group, evidence_of(question, group))
    return found
