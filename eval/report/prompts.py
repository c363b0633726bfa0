"""The prompt of a question as the model got it, in plain text: `[image]` stands where an image was shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from drive_vqa.prompt import Message, build_messages
from drive_vqa.region_forms import FORMS, RegionForm, in_form
from eval.report.inputs import Evaluation

IMAGE = "[image]"
ASKED = ("qa_id", "question", "options", "type", "family", "form")


def prompts(evaluation: Evaluation, answers: pd.DataFrame) -> dict[str, str]:
    """The prompt of each question by qa_id; none where its group is gone."""
    found = {}
    regions = _regions(evaluation)
    for log_id, rows in answers.groupby("log_id"):
        groups = _groups(evaluation, str(log_id), rows["group_id"].unique().tolist())
        columns = (rows[name].tolist() for name in ASKED)
        for values in zip(rows["group_id"], *columns, strict=True):
            group, asked = groups.get(values[0]), dict(zip(ASKED, values[1:], strict=True))
            if group is not None and in_form(asked, group, regions) is not None:
                found[asked["qa_id"]] = prompt_text(build_messages(group, asked, regions=regions))
    return found


def _regions(evaluation: Evaluation) -> RegionForm:
    """How questions named regions when they were asked."""
    selection = evaluation.config.get("selection")
    told = selection.get("regions") if isinstance(selection, dict) else None
    return next((form for form in FORMS if form == told), "marks")


def _groups(evaluation: Evaluation, log_id: str, group_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    if log_id not in evaluation.store.log_ids("groups"):
        return {}
    table = evaluation.store.read("groups", log_id, ["group_id", "context", "marks"])
    chosen = table.filter(pc.is_in(table["group_id"], value_set=pa.array(group_ids, pa.string())))
    return {row["group_id"]: row for row in chosen.to_pylist()}


def prompt_text(messages: Sequence[Message]) -> str:
    """Chat messages as a person reads them: text line by line, `[image]` for each image."""
    parts = [part for message in messages for part in message["content"]]
    return "\n".join(part["text"] if part["type"] == "text" else IMAGE for part in parts)
