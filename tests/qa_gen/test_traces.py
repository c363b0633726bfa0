"""Traces of all types of questions about random traffic, read back with a grammar of the test's own."""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np
import pytest

from drive_vqa.errors import StoreError
from drive_vqa.store import Store
from qa_gen.ask import ask
from qa_gen.catalogue import TYPES
from qa_gen.config import GenerateConfig
from qa_gen.drive import read_drive
from qa_gen.tracing import reasons_ego, reasons_future, reasons_object, reasons_time
from qa_gen.tracing.scene import read_states
from qa_gen.tracing.write import style_of, write_trace
from tests.qa_gen.oracle.world import CAMERAS, Looks, make_traffic, write_traffic

EACH = 2
"""Questions of each type and form that are looked at."""

SEEN = re.compile(r"<obj>Region (\d)</obj><box>\[(\d+),(\d+),(\d+),(\d+)\]</box>at<t>(-?\d+\.\d)</t>s")
PLACE = re.compile(r"<pos>(\d+\.\d) m, (-?\d+)°</pos>")
POINT = re.compile(r"<point>\((\d+),(\d+)\)</point>")
TRACE = re.compile(r"(?:<think>\n((?:.+\n)+)</think>\n)?<answer>([^<>\n]+)</answer>")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(frozen=True, eq=False)
class Case:
    """A question with what its trace must agree with."""

    question: dict
    group: dict
    states: object
    places: dict
    """(frame, track) → x, y of the track table."""
    known: dict = field(default_factory=dict)

    def trace(self, style="chain", **options):
        key = (style, *options.items())
        if key not in self.known:
            self.known[key] = self.written(style, **options)
        return self.known[key]

    def written(self, style="chain", **options):
        return write_trace(self.question, self.group, self.states, style=style, **options)

    @property
    def id(self):
        return f"{self.question['type']}-{self.question['form']}"

    def boxes(self, mark):
        """(nominal time, box) of a mark in each image that shows it."""
        found = []
        for region in next(entry["regions"] for entry in self.group["marks"] if entry["mark"] == mark):
            box = tuple(int(np.rint(region[name])) for name in ("u0_px", "v0_px", "u1_px", "v1_px"))
            found.append((f"{self.group['context'][region['context']]['offset_s'] + 0.0:.1f}", box, region["context"]))
        return found

    def place(self, mark, offset):
        """Distance and bearing as text."""
        track = next(entry["track_id"] for entry in self.group["marks"] if entry["mark"] == mark)
        frame = next(view["frame"] for view in self.group["context"] if f"{view['offset_s'] + 0.0:.1f}" == offset)
        place = complex(*self.places[frame, track])
        bearing = f"{np.rint(np.degrees(np.angle(place))) + 0.0:.0f}"
        return f"{np.rint(10 * abs(place)) / 10:.1f}", "180" if bearing == "-180" else bearing


def _read(text):
    """Steps and answer; fails where the text is not of the grammar."""
    match = TRACE.fullmatch(text)
    assert match, text
    steps = (match[1] or "").splitlines()
    for step in steps:
        words = POINT.sub("", PLACE.sub("", SEEN.sub("", step)))
        assert not re.search("[<>]", words), step
        assert step.strip()
    return steps, match[2]


def _cases(store, log_id, counts, **config):
    groups, questions = ask(read_drive(store, log_id), ["test"], GenerateConfig(**config), bench_groups=2)
    groups = {row["group_id"]: row for row in groups.to_pylist()}
    tracks = store.read("tracks", log_id, ["frame", "track_id", "x_m", "y_m"]).to_pylist()
    places = {(row["frame"], row["track_id"]): (row["x_m"], row["y_m"]) for row in tracks}
    states, taken = read_states(store, log_id), []
    for row in sorted(questions.to_pylist(), key=lambda row: row["qa_id"]):
        counts[row["type"], row["form"]] += 1
        if counts[row["type"], row["form"]] <= EACH:
            taken.append(Case(row, groups[row["group_id"]], states, places))
    return taken


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """Two logs with six cameras."""
    store = Store.create(tmp_path_factory.mktemp("traces") / "store")
    found, counts = [], Counter()
    for seed in (1, 4):
        write_traffic(store, f"log{seed}", make_traffic(seed, seconds=14.0), Looks(tuple(CAMERAS)))
        found += _cases(store, f"log{seed}", counts)
    return found


@pytest.fixture(scope="module")
def blind(tmp_path_factory):
    """A log without cameras."""
    store = Store.create(tmp_path_factory.mktemp("traces-blind") / "store")
    write_traffic(store, "log", make_traffic(6, seconds=10.0), Looks((), images=False))
    return _cases(store, "log", Counter(), need_images=False)


def test_nearly_all_types_occur(cases):
    assert len({case.question["type"] for case in cases}) >= 110


def test_every_type_has_its_own_reason():
    tables = {
        "object": reasons_object.OBJECT_REASONS,
        "ego": reasons_ego.EGO_REASONS,
        "future": reasons_future.FUTURE_REASONS,
        "when_where": reasons_time.TIME_REASONS,
        "unanswerable": reasons_time.TIME_REASONS,
    }
    named = defaultdict(set)
    for kind in TYPES.values():
        own = tables[kind.family]
        name = kind.name if kind.name in own else re.sub(r"_t\d$", "", kind.name)
        assert name in own, kind.name
        named[kind.family].add(name)
    for family in ("object", "ego", "future"):
        assert set(tables[family]) == named[family], "a reason for a type that is no longer there"


def test_types_that_did_not_occur_can_be_written(cases):
    """A question of the same family and number of marks, under the name of each type that is missing."""
    missing = set(TYPES) - {case.question["type"] for case in cases}
    for kind in (TYPES[name] for name in missing):
        like = next(
            case
            for case in cases
            if case.question["family"] == kind.family
            and len(case.question["marks"]) == kind.roles
            and case.group["kind"] in kind.group_kinds
            and all(case.question["track_ids"])
        )
        forged = {**like.question, "type": kind.name, "horizon_s": kind.horizon_s}
        steps, answer = _read(write_trace(forged, like.group, like.states, style="chain"))
        assert answer == like.question["answer"]
        assert len(steps) >= 2


def test_answers_are_those_of_the_questions(cases):
    for case in cases:
        steps, answer = _read(case.trace())
        assert answer == case.question["answer"]
        assert len(steps) >= 2, case.id
        assert _read(case.trace("direct")) == ([], answer)


def test_boxes_are_the_evidence_and_nothing_else(cases):
    shown = 0
    for case in cases:
        said = Counter()
        for mark, *box, offset in SEEN.findall(case.trace()):
            said[int(mark), offset, tuple(map(int, box))] += 1
        evidence = {(entry["mark"], entry["context"]) for entry in case.question["evidence"]}
        expected = Counter(
            (mark, offset, box)
            for mark in {mark for mark, _ in evidence}
            for offset, box, context in case.boxes(mark)
            if (mark, context) in evidence
        )
        assert said == expected, case.id
        shown += len(said)
    assert shown > 500


def test_places_are_those_of_the_tracks(cases):
    told = 0
    for case in cases:
        for step in _read(case.trace())[0]:
            places = PLACE.findall(step)
            seen = SEEN.findall(step)
            assert len(places) == len(seen) <= 1, step
            if seen:
                assert places[0] == case.place(int(seen[0][0]), seen[0][-1]), (case.id, step)
                told += 1
    assert told > 500


def test_a_region_that_is_the_answer_is_pointed_at(cases):
    pointed = 0
    for case in cases:
        points = POINT.findall(case.trace())
        named = re.fullmatch(r"Region (\d)", case.question["answer"])
        assert len(points) == bool(named)
        if named:
            u, v = map(int, points[0])
            assert any(box[0] <= u <= box[2] and box[1] <= v <= box[3] for _, box, _ in case.boxes(int(named[1])))
            pointed += 1
    assert pointed > 15


VALUE_LAST = (
    *("pair_distance", "pair_gap", "pair_bearing", "pair_lateral", "pair_longitudinal", "height", "width", "length"),
    *("distance", "gap", "bearing", "heading", "ego_speed", "target_speed", "relative_speed", "ego_turn"),
    *("ego_displacement", "time_to_collision", "closest_distance"),
)
"""Types whose last step before the verdict tells the value that is asked for."""


def _base(name):
    return re.sub(r"_t\d$", "", name)


def test_numbers_found_are_those_of_the_answer(cases):
    checked = 0
    for case in cases:
        question = case.question
        if _base(question["type"]) not in VALUE_LAST or question["form"] == "yes_no":
            continue
        steps, answer = _read(case.trace())
        value, said = NUMBER.search(answer)[0], NUMBER.findall(steps[-2])
        if question["form"] == "open":
            assert value in said, (case.id, steps, answer)
        else:  # options are rounded twice
            assert min(abs(float(value) - float(number)) for number in said) < 0.11, (case.id, steps, answer)
        checked += 1
    assert checked > 80


VALUE_AT_END = (
    "pair_distance",
    "pair_gap",
    "pair_lateral",
    "pair_longitudinal",
    "distance",
    "gap",
    "bearing",
    "ego_speed",
    "target_speed",
)


def test_claims_are_judged_by_the_numbers_found(cases):
    checked = 0
    for case in cases:
        question = case.question
        if (
            _base(question["type"]) not in VALUE_AT_END
            or question["form"] != "yes_no"
            or question["type"].startswith("distance_t")
        ):
            continue
        steps, answer = _read(case.trace())
        found = [float(value) for value in NUMBER.findall(re.sub(r"Region \d", "", steps[-2]))][-1]
        limit = float(NUMBER.search(question["parameter"])[0])
        if found == 180:  # or a little over -180
            continue
        assert (found > limit) == (answer == "yes"), (case.id, steps)
        assert f"more than {question['parameter']}" in steps[-1]
        assert ("does not hold" in steps[-1]) == (answer == "no")
        checked += 1
    assert checked > 15


WORDS = {
    "same way": "the same way",
    "opposite way": "the opposite way",
    "closing": "closer",
    "receding": "farther",
    "keeping its distance": "less than half",
    "speeding up": "faster by",
    "slowing down": "slower by",
    "keeping its speed": "about the same",
    "keeping my speed": "about the same",
    "moving": "is moving",
    "stopped": "at another time it drives",
    "parked": "nothing suggests",
}
"""What the last step before the verdict says where this is the answer."""

VERDICTS = (
    *(
        "left_right",
        "closer",
        "farther_ahead",
        "front_behind",
        "left_right_own",
        "above_below",
        "taller",
        "wider",
        "longer",
    ),
    *(
        "bigger",
        "pair_heading",
        "nearest_to",
        "farthest_from",
        "closer_to",
        "category",
        "side",
        "ahead_behind",
        "facing",
    ),
    *("nearest_of_class", "nearest_mark", "approach", "speed_change", "ego_speed_change", "motion_state", "faster"),
)


def test_findings_are_those_of_the_answer(cases):
    checked = Counter()
    for case in cases:
        question = case.question
        if _base(question["type"]) not in VERDICTS or (question["form"] == "yes_no" and question["answer"] == "no"):
            continue
        steps, answer = _read(case.trace())
        finding = answer if question["form"] == "choice" else question["parameter"]
        assert WORDS.get(finding, finding) in steps[-2].rpartition(":")[2], (case.id, steps)
        checked[_base(question["type"])] += 1
    assert len(checked) >= 20


def test_orders_and_counts_are_those_of_the_answer(cases):
    checked = Counter()
    for case in cases:
        kind, (steps, answer) = case.question["type"], _read(case.trace())
        if kind in ("order_from", "rank_by_distance"):
            named = re.findall(r"to (Region \d)", steps[-2])
            assert ", ".join(named) == answer
        elif kind == "marks_within":
            assert sorted(re.findall(r"Region \d", steps[-2])) == re.findall(r"Region \d", answer)
        elif kind.startswith("count_"):
            assert steps[-2].endswith(f": {answer}.")
            assert len(re.findall(r"Region \d", steps[-2])) == int(answer)
        else:
            continue
        checked[kind] += 1
    assert len(checked) >= 6


def test_times_found_are_those_of_the_answer(cases):
    checked = Counter()
    for case in cases:
        if case.question["answer_type"] not in ("interval", "interval_box"):
            continue
        steps, answer = _read(case.trace())
        said = re.findall(r"(\d\.\d) s ago|now", steps[-2])
        said = [float(time or 0) for time in said]
        start, end = map(float, re.match(r"from (\d\.\d) to (\d\.\d) seconds ago", answer).groups())
        kind = case.question["type"]
        if kind in ("when_moving", "when_standing", "when_visible"):
            assert said == [start, end], steps
        elif "closest" in kind:
            assert said[1:] == [start, end], steps
            assert end < said[0] < start
        else:
            assert said == [end, start], steps
        checked[kind] += 1
    assert len(checked) >= 6


def test_corrected_traces_mend_one_mistake(cases):
    reasons = Counter()
    for case in cases[::2]:
        chain, corrected = _read(case.trace())[0], _read(case.trace("corrected"))[0]
        if not SEEN.search(case.trace()):
            assert corrected == chain
            continue
        assert len(corrected) == len(chain) + 1, case.id
        at = next(index for index, step in enumerate(corrected) if step.startswith("Wait, "))
        assert [*corrected[: at - 1], *corrected[at + 1 :]] == [*chain[: at - 1], *chain[at:]]
        wrong, right = SEEN.findall(corrected[at - 1]), SEEN.findall(corrected[at])
        assert len(wrong) == len(right) == 1
        mark, *box, offset = wrong[0]
        true = {(when, place) for when, place, _ in case.boxes(int(mark))}
        assert (offset, tuple(map(int, box))) not in true, "the wrong claim must be wrong"
        assert corrected[at].endswith(chain[at - 1])
        assert not PLACE.search(corrected[at - 1])
        reasons[re.sub(r"\d(\.\d)?", "n", corrected[at].partition(". ")[0])] += 1
    assert len(reasons) >= 5, reasons


def test_what_went_wrong_is_told_truly(cases):
    for case in cases[::2]:
        text = case.trace("corrected")
        other = re.search(r"<box>\[([\d,]+)\]</box>at<t>(\S+)</t>s\.\nWait, that is the box of Region (\d), not", text)
        if other:
            box = tuple(map(int, other[1].split(",")))
            assert (other[2], box) in {(when, place) for when, place, _ in case.boxes(int(other[3]))}
        earlier = re.search(
            r"<obj>Region (\d)</obj><box>\[([\d,]+)\]</box>\S+\.\n"
            r"Wait, that (?:box is from|is where \S+ \d is in) the image of (\S+)",
            text,
        )
        if earlier:
            when = "0.0" if earlier[3].startswith("now") else f"-{earlier[3]}"
            box = tuple(map(int, earlier[2].split(",")))
            assert (when, box) in {(time, place) for time, place, _ in case.boxes(int(earlier[1]))}


def test_a_trace_depends_on_its_question_and_seed_alone(cases):
    some = [case for case in cases if SEEN.search(case.trace())][::14]
    assert [case.written("corrected") for case in some] == [case.trace("corrected") for case in some]
    changed = sum(case.trace("corrected") != case.trace("corrected", seed=1) for case in some)
    assert changed > 0.3 * len(some)
    assert all(case.trace() == case.trace(seed=1) for case in some)


def test_styles_are_dealt_in_shares():
    ids = [f"{number:016x}" for number in range(8000)]
    shares = Counter(style_of(qa_id) for qa_id in ids)
    assert 0.10 < shares["corrected"] / len(ids) < 0.15
    assert 0.10 < shares["direct"] / len(ids) < 0.15
    assert shares["chain"] + shares["corrected"] + shares["direct"] == len(ids)
    assert [style_of(qa_id) for qa_id in ids] != [style_of(qa_id, seed=1) for qa_id in ids]


def test_dialects_show_the_same_evidence(cases):
    for case in cases[::6]:
        boxes = [tuple(map(int, box)) for _, *box, _ in SEEN.findall(case.trace())]
        first_s = case.group["context"][0]["offset_s"]
        tree, o3, points = (case.trace(dialect=name) for name in ("treevgr", "open_o3", "vigorl"))
        assert [tuple(map(int, box.split(","))) for box in re.findall(r"<box>\[(.*?)\]</box>", tree)] == boxes
        times = [float(time) for time in re.findall(r"</box>at<t>(.*?)</t>s", o3)]
        assert [f"{time + first_s + 0.0:.1f}" for time in times] == [seen[-1] for seen in SEEN.findall(case.trace())]
        assert not re.search(r"<(?!/?(?:think|answer)>)", points)
        steps = _read(points)[0]
        ends = [re.search(r"\((\d+), (\d+)\)$", step) for step in steps]
        assert all(ends) or not boxes
        for step, (u0, v0, u1, v1) in zip(ends, boxes, strict=False):
            assert (int(step[1]), int(step[2])) == ((u0 + u1) // 2, (v0 + v1) // 2)


def test_a_log_without_images_has_places_alone(blind):
    assert len(blind) > 150
    for case in blind[::3]:
        text = case.trace("corrected")
        steps, answer = _read(text)
        assert answer == case.question["answer"]
        assert not re.search("<(obj|box|t|point)>", text)
        present = [
            mark for mark, track in zip(case.question["marks"], case.question["track_ids"], strict=True) if track
        ]
        assert [PLACE.findall(step)[0] for step in steps if PLACE.search(step)] == [
            case.place(mark, "0.0") for mark in present
        ]


def test_frames_are_found_as_by_the_generator(tmp_path):
    store = Store.create(tmp_path / "store")
    write_traffic(store, "log", make_traffic(3, seconds=6.0, rate_hz=10.0, straight=True))
    drive, states = read_drive(store, "log"), read_states(store, "log")
    present = np.arange(len(drive.time_ns))
    for offset_s in (-1.5, -0.05, 0.0, 0.25, 0.333, 1.0, 3.0, 99.0):
        found = [states.frame_after(int(drive.frame[index]), offset_s, 0.1) for index in present]
        expected = drive.frame[drive.frame_after(present, offset_s, 0.1)].tolist()
        assert [-1 if frame is None else frame for frame in found] == expected


def test_rows_that_do_not_belong_together(cases):
    one, other = cases[0], next(case for case in cases if case.group["group_id"] != cases[0].group["group_id"])
    with pytest.raises(StoreError, match="does not go with group"):
        write_trace(one.question, other.group, one.states, style="chain")
    later = next(case for case in cases if case.group["log_id"] != one.group["log_id"])
    with pytest.raises(StoreError, match="does not go with"):
        write_trace(one.question, one.group, later.states, style="chain")


def test_an_answer_that_would_close_the_tag(cases):
    forged = {**cases[0].question, "answer": "</answer><answer>left"}
    with pytest.raises(StoreError, match="cannot be written as a trace"):
        write_trace(forged, cases[0].group, cases[0].states, style="direct")


def test_a_track_that_is_gone(cases):
    case = next(case for case in cases if case.question["type"] == "pair_distance")
    forged = {**case.question, "track_ids": ["gone", "gone"]}
    with pytest.raises(StoreError, match="does not hold: run `drive-vqa generate` again"):
        write_trace(forged, case.group, case.states, style="chain")
