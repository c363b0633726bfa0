"""The page: choose questions, draw their moments once each, fill the template, write the file in one step."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup

from drive_vqa.errors import StoreError
from drive_vqa.store import Store, replacing
from qa_gen.preview.birds_eye import birds_eye
from qa_gen.preview.card import Card, make_card
from qa_gen.preview.choose import choose
from qa_gen.preview.moment import around
from qa_gen.preview.pictures import Frame, pictures

Row = Mapping[str, Any]
Tracer = Callable[[Row, Row], str]
"""Writes the reasoning of a question from itself and its group."""

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Shown:
    """A group with its pictures and those of its questions that are shown."""

    group_id: str
    log_id: str
    kind: str
    facts: tuple[str, ...]
    marks: tuple[str, ...]
    frames: tuple[Frame, ...]
    above: Markup
    cards: tuple[Card, ...]


def write_preview(
    store: Store, out: Path, *, per_type: int, seed: int = 0, tracer: Callable[[Store, str], Tracer] | None = None
) -> Path:
    """Write some questions of every type as one HTML file that needs nothing else.

    The same store and seed give the same bytes. Missing images are said in their place.

    Args:
        store: with groups, questions, frames and tracks.
        out: the HTML file; its folder is made where absent.
        per_type: how many questions of each type.
        seed: another seed shows others.
        tracer: gives the writer of a log's traces, such as `qa_gen.preview.tracing.tracer`; None shows none.

    Returns:
        `out`.

    Raises:
        StoreError: there are no questions, or a table is missing or damaged.
        ValueError: `per_type` is not positive.
    """
    if per_type < 1:
        raise ValueError(f"per_type must be at least 1, got {per_type}")
    html = _render(_shown(store, choose(store, per_type, seed), tracer), store, per_type, seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as temporary:
        temporary.write_text(html, encoding="utf-8", errors="backslashreplace")
    return out


def _shown(store: Store, rows: Mapping[str, list[int]], tracer: Callable[[Store, str], Tracer] | None) -> list[Shown]:
    """Groups in the order of logs, frames and kinds.

    Raises:
        StoreError: no question is there.
    """
    if not rows:
        raise StoreError(f"{store.root} holds no questions: run `drive-vqa generate {store.root}` first")
    found = [
        entry
        for log_id, chosen in rows.items()
        for entry in _of_log(store, log_id, chosen, tracer(store, log_id) if tracer else None)
    ]
    drawn = pictures(store, [group for group, _, _ in found])
    return [_moment(group, above, cards, frames) for (group, above, cards), frames in zip(found, drawn, strict=True)]


def _of_log(
    store: Store, log_id: str, rows: list[int], trace: Tracer | None
) -> Iterator[tuple[Row, Markup, tuple[Card, ...]]]:
    questions = store.read("questions", log_id).take(rows).to_pylist()
    wanted = {question["group_id"] for question in questions}
    table = store.read("groups", log_id)
    groups = table.filter(pc.is_in(table["group_id"], pa.array(sorted(wanted), pa.string()))).to_pylist()
    missing = wanted - {group["group_id"] for group in groups}
    if missing:
        raise StoreError(
            f"log {log_id} of {store.root} has questions about group {sorted(missing)[0]}, which is not there: "
            "run `drive-vqa generate` again"
        )
    frames = store.read("frames", log_id, ["frame", "timestamp_ns", "global_SE3_ego"])
    tracks = store.read(
        "tracks", log_id, ["frame", "track_id", "category", "x_m", "y_m", "length_m", "width_m", "yaw_rad"]
    )
    for group in sorted(groups, key=lambda group: (group["frame"], group["kind"] or "", group["group_id"])):
        mine = [question for question in questions if question["group_id"] == group["group_id"]]
        order = sorted(mine, key=lambda question: (question["family"] or "", question["type"] or "", question["qa_id"]))
        scene = around(group, frames, tracks)
        title = f"{group['group_id']} from above: ego, {len(scene.agents)} agents, {len(group['marks'])} of them marked"
        yield (
            group,
            birds_eye(scene, title),
            tuple(make_card(question, group, trace(question, group) if trace else "") for question in order),
        )


def _moment(group: Row, above: Markup, cards: tuple[Card, ...], frames: tuple[Frame, ...]) -> Shown:
    speed = group["ego_speed_mps"]
    facts = [f"log {group['log_id']}", f"frame {group['frame']}", f"{group['split']} split"]
    facts += [] if speed is None else [f"ego at {speed:.1f} m/s"]
    marks = [
        f"{mark['mark']}: {mark['category']}" + (f", {mark['description']}" if mark["description"] else "")
        for mark in group["marks"]
    ]
    return Shown(
        group["group_id"], group["log_id"], group["kind"] or "", tuple(facts), tuple(marks), frames, above, cards
    )


def _render(shown: list[Shown], store: Store, per_type: int, seed: int) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # Whatever comes from data is escaped by the template; only our own CSS, JS and SVG are trusted.
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style = Markup((HERE / "style.css").read_text(encoding="utf-8"))  # noqa: S704
    script = Markup((HERE / "page.js").read_text(encoding="utf-8"))  # noqa: S704
    cards = [card for moment in shown for card in moment.cards]
    return environment.get_template("template.html").render(
        style=style,
        script=script,
        script_sha256=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        moments=shown,
        name=store.root.name,
        per_type=per_type,
        seed=seed,
        questions=len(cards),
        logs=len({moment.log_id for moment in shown}),
        families=list(dict.fromkeys(sorted(card.family for card in cards))),
        types=_types(cards),
        forms=list(dict.fromkeys(sorted(card.form for card in cards))),
        counts=Counter(card.type for card in cards),
    )


def _types(cards: list[Card]) -> dict[str, list[str]]:
    """Types by family."""
    families = sorted({card.family for card in cards})
    return {family: sorted({card.type for card in cards if card.family == family}) for family in families}
