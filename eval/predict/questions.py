"""Reads the questions that a selection names, log by log: a store may hold millions.

They come sorted by log, moment, group and id, so that whoever answers can show a group's frames for all its questions and decode
them once.

A limit takes whole groups, one of each log in turn, until there are enough; the last one may be cut. Which group of a log comes
first is drawn, and follows from its name alone: every model is asked the same questions, and a greater limit asks those and
others. Whole groups keep together what is scored together, such as a target at 0, 1, 2 and 3 s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from drive_vqa.errors import StoreError
from drive_vqa.region_forms import NAME, RegionForm, in_form
from drive_vqa.store import Store
from eval.predict.asked import SHOWN_COLUMNS, PromptedQuestion
from eval.predict.selection import Selection

TURNED_BY = ("family", "form", "answer", "truth")
"""What else decides whether a question can be asked without marks; not shown."""

ORDER = ("frame", "group_id", "qa_id")
"""Within a log."""


def questions_to_ask(store: Store, split: str, regions: RegionForm = "marks") -> list[PromptedQuestion]:
    """All questions of a split that can be asked in a form, as `select` gives them."""
    return list(select(store, Selection(split, regions=regions)))


def select(store: Store, selection: Selection) -> Iterator[PromptedQuestion]:
    """The selected questions in order, no more than a log of them in memory.

    Raises:
        ConfigError: a name in the selection is unknown.
        StoreError: a question names a group that the store does not have.
    """
    for log_id, ids in ids_by_log(store, selection).items():
        yield from read_prompted(store, log_id, ids, selection.regions)


def asked_ids(store: Store, selection: Selection) -> pa.StringArray:
    """The `qa_id` of all selected questions, in order; errors as for `select`."""
    return pa.concat_arrays([pa.array([], pa.string()), *ids_by_log(store, selection).values()])


def ids_by_log(store: Store, selection: Selection) -> dict[str, pa.StringArray]:
    """The `qa_id` of the selected questions of each log that has some, in order; errors as for `select`."""
    selection.check_names(store)
    tables = {log_id: _of_log(store, log_id, selection) for log_id in store.log_ids("questions")}
    found = {log_id: table for log_id, table in tables.items() if table.num_rows}
    if selection.limit is not None:
        found = _drawn(found, selection.limit)
    return {log_id: table["qa_id"].combine_chunks() for log_id, table in found.items()}


def read_prompted(
    store: Store, log_id: str, ids: pa.StringArray, regions: RegionForm = "marks"
) -> Iterator[PromptedQuestion]:
    """Some questions of a log with their groups, in order.

    Args:
        store: with questions.
        log_id: the log.
        ids: `qa_id` of its questions; those that cannot be asked in the form are left out.
        regions: how they name regions.

    Raises:
        StoreError: a question names a group that the store does not have.
    """
    columns = (*SHOWN_COLUMNS, "evidence", *(() if regions == "marks" else TURNED_BY))
    table = store.read("questions", log_id, columns)
    table = table.filter(pc.is_in(table["qa_id"], value_set=ids)).sort_by([(name, "ascending") for name in ORDER])
    groups = _groups(store, log_id, table["group_id"])
    for question in table.to_pylist():
        group = groups[question["group_id"]]
        shown = _as_shown(question, group, regions)
        if shown is not None:
            evidence = tuple(sorted({fact["mark"] for fact in question["evidence"] or () if fact["mark"] is not None}))
            yield PromptedQuestion(store, group, shown, evidence)


def _of_log(store: Store, log_id: str, selection: Selection) -> pa.Table:
    """`qa_id` and `group_id` of the selected questions of a log, but for the limit, in order."""
    table = store.read("questions", log_id, [*ORDER, "split", "family", "type", "form"])
    chosen = pc.equal(table["split"], selection.split)
    for column, names in (("family", selection.families), ("type", selection.types), ("form", selection.forms)):
        if names:
            chosen = pc.and_(chosen, pc.is_in(table[column], value_set=pa.array(names)))
    table = table.filter(chosen)
    if selection.kinds and table.num_rows:
        groups = store.read("groups", log_id, ["group_id", "kind"])
        of_kind = groups.filter(pc.is_in(groups["kind"], value_set=pa.array(selection.kinds)))["group_id"]
        table = table.filter(pc.is_in(table["group_id"], value_set=of_kind.combine_chunks()))
    if selection.regions != "marks" and table.num_rows:
        ids = table["qa_id"].combine_chunks()
        can = [asked.question["qa_id"] for asked in read_prompted(store, log_id, ids, selection.regions)]
        table = table.filter(pc.is_in(table["qa_id"], value_set=pa.array(can, pa.string())))
    return table.sort_by([(name, "ascending") for name in ORDER]).select(["qa_id", "group_id"])


def _drawn(tables: Mapping[str, pa.Table], limit: int) -> dict[str, pa.Table]:
    """So many rows at most: whole groups of all logs in turn, see above."""
    groups = pd.concat(
        [
            pd.DataFrame(table.group_by("group_id").aggregate([("qa_id", "count")]).to_pydict()).assign(log_id=log_id)
            for log_id, table in tables.items()
        ]
    )
    groups["draw"] = [_draw(*names) for names in zip(groups["log_id"], groups["group_id"], strict=True)]
    groups["turn"] = groups.groupby("log_id")["draw"].rank(method="first")
    groups = groups.sort_values(["turn", "draw"], kind="stable")
    before = groups["qa_id_count"].cumsum() - groups["qa_id_count"]
    groups["kept"] = np.minimum(groups["qa_id_count"], limit - before)
    groups = groups[groups["kept"] > 0]
    kept = {
        log_id: dict(zip(of_log["group_id"], of_log["kept"], strict=True))
        for log_id, of_log in groups.groupby("log_id")
    }
    return {log_id: _first_of_groups(tables[log_id], kept[log_id]) for log_id in tables if log_id in kept}


def _first_of_groups(table: pa.Table, kept: Mapping[str, int]) -> pa.Table:
    """So many first rows of each group, and none of other groups."""
    group_ids = table["group_id"].to_pandas()
    place = group_ids.groupby(group_ids).cumcount()
    return table.filter(pa.array((place < group_ids.map(kept).fillna(0)).to_numpy(dtype=bool)))


def _draw(log_id: str, group_id: str) -> int:
    """As good as at random, and the same on every machine."""
    return int.from_bytes(hashlib.sha256(f"{log_id} {group_id}".encode()).digest()[:7], "big")


def _as_shown(question: dict[str, Any], group: Mapping[str, Any], regions: RegionForm) -> dict[str, Any] | None:
    """The question as it is asked, and nothing of its truth; None where it cannot be.

    Without marks an answer or option that names a region is left out: it is scored by a number that the model never sees.
    """
    turned = in_form(question, group, regions)
    names = [] if regions == "marks" else [*(question["options"] or ()), question["answer"]]
    if turned is None or any(NAME.search(text) for text in names):
        return None
    return {name: turned[name] for name in SHOWN_COLUMNS}


def _groups(store: Store, log_id: str, wanted: pa.ChunkedArray) -> dict[str, dict[str, Any]]:
    """The rows of the wanted groups by name."""
    table = store.read("groups", log_id)
    wanted = pc.unique(wanted)
    groups = {
        group["group_id"]: group for group in table.filter(pc.is_in(table["group_id"], value_set=wanted)).to_pylist()
    }
    for name in wanted.to_pylist():
        if name not in groups:
            raise StoreError(f"log {log_id} of {store.root} has no group {name}: run `drive-vqa generate STORE` again")
    return groups
