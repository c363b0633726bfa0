"""What is written is read back: traces of all types of questions, and any trace at all, in every dialect."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_vqa.store import Store
from drive_vqa.traces import DIALECTS, Place, Point, Seen, Trace, decimal, render, whole
from eval.reasoning.read import read_trace
from eval.reasoning.trace import PlaceClaim, PointClaim, ReadTrace, SeenClaim
from qa_gen.ask import ask
from qa_gen.catalogue import TYPES
from qa_gen.config import GenerateConfig
from qa_gen.drive import read_drive
from qa_gen.tracing import write
from qa_gen.tracing.scene import read_states
from tests.qa_gen.oracle.world import CAMERAS, Looks, make_traffic, write_traffic


def _time(offset_s: float) -> float:
    """As written, to a tenth of a second."""
    return float(decimal(offset_s))


def _box(seen: Seen) -> tuple[float, ...]:
    return tuple(map(float, seen.box_px))


def _expected_drive(trace: Trace) -> ReadTrace:
    seen, points, places = [], [], []
    for index, step in enumerate(trace.steps):
        name, offset_s = None, None
        for piece in step:
            if isinstance(piece, Seen):
                name, offset_s = piece.name.strip(), _time(piece.offset_s)
                seen.append(SeenClaim(name, _box(piece), offset_s, index))
            elif isinstance(piece, Point):
                points.append(PointClaim(float(piece.u_px), float(piece.v_px), offset_s, index))
            elif isinstance(piece, Place):
                told = float(decimal(piece.distance_m)), float(whole(piece.bearing_deg))
                places.append(PlaceClaim(*told, name, offset_s or 0.0, index))
    lines = tuple(line.strip() for line in render(trace).splitlines()[1:-2])
    return ReadTrace(lines, tuple(seen), tuple(points), tuple(places), trace.answer.strip(), ())


def _pieces(trace: Trace, kind: type) -> list:
    return [piece for step in trace.steps for piece in step if isinstance(piece, kind)]


def _assert_carried(trace: Trace, dialect) -> None:
    """That nothing of what a dialect can carry is lost, and nothing is added."""
    read = read_trace(render(trace, dialect), dialect, first_s=trace.first_s)
    if dialect == "drive":
        assert read == _expected_drive(trace)
        return
    assert read.faults == ("empty_step",) * (bool(trace.steps) and not read.steps)
    assert read.answer == trace.answer.strip()
    places = [(float(decimal(place.distance_m)), float(whole(place.bearing_deg))) for place in _pieces(trace, Place)]
    assert [(place.distance_m, place.bearing_deg) for place in read.places] == places
    if dialect == "vigorl":
        _assert_points(trace, read)
        return
    seen = _pieces(trace, Seen)
    assert [claim.box_px for claim in read.seen] == list(map(_box, seen))
    assert read.points == ()
    if dialect == "open_o3":
        assert [claim.name for claim in read.seen] == [one.name.strip() for one in seen]
        assert [claim.offset_s for claim in read.seen] == pytest.approx([one.offset_s for one in seen], abs=0.051)
    else:
        told = [_time(one.offset_s) if one.offset_s else None for one in seen]
        assert [claim.offset_s for claim in read.seen] == told


def _assert_points(trace: Trace, read: ReadTrace) -> None:
    """Each piece that is somewhere in an image once, in its step; steps without one end in the last."""
    last, expected = None, []
    for index, step in enumerate(trace.steps):
        own = [piece for piece in step if isinstance(piece, Seen | Point)]
        last = own[-1] if own else last
        for piece in own or [last] * (last is not None):
            u_px, v_px = piece.centre_px if isinstance(piece, Seen) else (piece.u_px, piece.v_px)
            past = isinstance(piece, Seen) and bool(own) and piece.offset_s
            expected.append(PointClaim(float(u_px), float(v_px), _time(piece.offset_s) if past else None, index))
    assert list(read.points) == expected
    assert read.seen == ()


def _written(monkeypatch) -> list[Trace]:
    """Where traces come to lie before they are text."""
    traces: list[Trace] = []
    monkeypatch.setattr(write, "render", lambda trace, dialect: traces.append(trace) or render(trace, dialect))
    return traces


@pytest.fixture(scope="module")
def traces(tmp_path_factory):
    """By type and style: a chain of every type, a corrected one of most; of types that did not occur by another's question."""
    store = Store.create(tmp_path_factory.mktemp("round-trip") / "store")
    found: dict[tuple[str, str], Trace] = {}
    rows: dict[str, tuple] = {}
    with pytest.MonkeyPatch.context() as monkeypatch:
        traces = _written(monkeypatch)
        for seed in (1, 4):
            write_traffic(store, f"log{seed}", make_traffic(seed, seconds=14.0), Looks(tuple(CAMERAS)))
            groups, questions = ask(read_drive(store, f"log{seed}"), ["test"], GenerateConfig(), bench_groups=2)
            groups = {row["group_id"]: row for row in groups.to_pylist()}
            states = read_states(store, f"log{seed}")
            for row in questions.to_pylist():
                rows.setdefault(row["type"], (row, groups[row["group_id"]], states))
        for kind in TYPES.values():
            row, group, states = rows.get(kind.name) or _like(kind, rows)
            row = {**row, "type": kind.name, "horizon_s": kind.horizon_s}
            for style in ("chain", "corrected"):
                write.write_trace(row, group, states, style=style)
                found[kind.name, style] = traces.pop()
    return found


def _like(kind, rows):
    """A question of the same family with as many marks."""
    return next(
        (row, group, states)
        for row, group, states in rows.values()
        if row["family"] == kind.family
        and len(row["marks"]) == kind.roles
        and group["kind"] in kind.group_kinds
        and all(row["track_ids"])
    )


def test_all_types_are_tried(traces):
    assert len(traces) == 2 * len(TYPES) >= 256
    pieces = Counter(type(piece) for trace in traces.values() for step in trace.steps for piece in step)
    assert min(pieces[kind] for kind in (str, Seen, Place)) > 500
    assert pieces[Point] > 10


@pytest.mark.parametrize("dialect", DIALECTS)
def test_traces_of_all_types_are_read_back(traces, dialect):
    for trace in traces.values():
        _assert_carried(trace, dialect)


def test_direct_answers_of_all_types_are_read_back(traces):
    for (_, style), trace in traces.items():
        if style == "chain":
            direct = render(Trace((), trace.answer))
            assert read_trace(direct, "drive") == ReadTrace((), (), (), (), trace.answer, ())


WORDS = st.text(st.characters(exclude_characters="<>", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1)
"""Any text of a trace."""
PLAIN_WORDS = st.text(st.sampled_from("abz é漢\u202e,;:!'\"#"), min_size=1)
"""Without digits and signs, which would read as evidence where this is plain words, or make another number of it."""
EDGES = st.tuples(*[st.integers(-50, 4000)] * 2, *[st.integers(1, 4000)] * 2)
BOXES = EDGES.map(lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3]))
PIXELS = st.integers(-50, 4000)


def _steps(words):
    """Steps as lists; traces are made in the test, where checked annotations may draw lots."""
    pieces = [
        st.tuples(st.just("words"), words),
        st.tuples(st.just("seen"), words.filter(str.strip), BOXES, st.floats(-60, 0)),
        st.tuples(st.just("place"), st.floats(0, 500), st.floats(-180, 180)),
        st.tuples(st.just("point"), PIXELS, PIXELS),
    ]
    return st.lists(st.lists(st.one_of(pieces), min_size=1, max_size=4), max_size=4)


def _trace(steps, answer: str, first_s: float, *, apart: bool = False) -> Trace:
    """A trace of them; `apart`: with words on both sides of all evidence, so that no two numbers touch."""
    makers = {"words": str, "seen": Seen, "place": Place, "point": Point}
    made = [tuple(makers[kind](*told) for kind, *told in step) for step in steps]
    if apart:
        made = [tuple(part for piece in step for part in ("a ", piece, " b")) for step in made]
    says = [step for step in made if any(not isinstance(piece, str) or piece.strip() for piece in step)]
    return Trace(tuple(says), answer, first_s)


@settings(max_examples=100)
@given(_steps(WORDS), WORDS.filter(str.strip), st.floats(-90, -60))
def test_any_trace_is_read_back_exactly(steps, answer, first_s):
    _assert_carried(_trace(steps, answer, first_s), "drive")


@pytest.mark.parametrize("dialect", ["vigorl", "treevgr", "open_o3"])
@settings(max_examples=60)
@given(steps=_steps(PLAIN_WORDS), answer=PLAIN_WORDS.filter(str.strip), first_s=st.floats(-90, -60))
def test_the_published_forms_carry_what_they_can(dialect, steps, answer, first_s):
    _assert_carried(_trace(steps, answer, first_s, apart=True), dialect)
