import pickle
import zlib

import pytest

from drive_vqa.traces import DIALECTS, Place, Seen, Trace, render
from drive_vqa.vlm.coordinates import Scale
from finetune.zoom.calls import Call, read_call
from finetune.zoom.cold_start import ZoomAnswers, turns_in, with_looks
from finetune.zoom.crops import CropPreset, look_rectangle
from finetune.zoom.dialogue import calls_in, one_trace

PRESET = CropPreset(side_px=100, shown_px=112, looks=3)
SMALL, LARGE, HERE = (400, 300, 440, 320), (500, 200, 900, 500), (420, 310, 480, 340)
SCALES = (Scale((1600, 900), (1600, 900)),) * 2
LAST = ("So the answer is 12.3 meters.",)


def region(context, box):
    return {"context": context, **dict(zip(("u0_px", "v0_px", "u1_px", "v1_px"), map(float, box), strict=True))}


GROUP = {
    "group_id": "g",
    "log_id": "log",
    "context": [{"offset_s": -0.5, "width": 1600, "height": 900}, {"offset_s": 0.0, "width": 1600, "height": 900}],
    "marks": [
        {"mark": 1, "regions": [region(0, SMALL), region(1, HERE)]},
        {"mark": 2, "regions": [region(1, LARGE)]},
    ],
}
EVIDENCE = [{"mark": 1, "context": 0}, {"mark": 1, "context": 1}, {"mark": 2, "context": 1}]


def question(qa_id, evidence=EVIDENCE):
    return {"qa_id": qa_id, "evidence": evidence, "answer": "12.3 meters"}


def with_count(count):
    """A question whose id gives it so many looks."""
    return question(next(f"q{n}" for n in range(99) if 1 + zlib.crc32(f"q{n}".encode()) % PRESET.looks == count))


def trace(dialect="drive"):
    claims = [("Region 1", SMALL, -0.5), ("Region 1", HERE, 0.0), ("Region 2", LARGE, 0.0)]
    steps = tuple((Seen(*claim), " is at ", Place(12.3, -4), ".") for claim in claims)
    return render(Trace((*steps, LAST), "12.3 meters", -0.5), dialect)


def calls_of(dialogue):
    return [read_call(call, SCALES) for turn in turns_in(dialogue) for call in calls_in(turn)]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_it_looks_where_a_step_has_spoken_of_the_box_and_says_the_whole_trace_in_the_end(dialect):
    for count in (1, 2):
        dialogue = with_looks(trace(dialect), with_count(count), GROUP, PRESET)
        turns = turns_in(dialogue)
        assert len(turns) == count + 1
        assert one_trace(turns) == trace(dialect)
        assert [len(calls_in(turn)) for turn in turns] == [1] * count + [0]
        assert "Region 1" in turns[0]
        assert "Region 2" not in turns[0]


def test_every_look_goes_to_a_box_that_the_answer_rests_on_and_shows_all_of_it():
    found = set()
    for number in range(30):
        for call in calls_of(with_looks(trace(), question(f"q{number}"), GROUP, PRESET)):
            assert isinstance(call, Call)
            u0, v0, u1, v1 = look_rectangle((1600, 900), call.target_px, PRESET)
            shown = [
                box
                for box, context in ((SMALL, 0), (HERE, 1), (LARGE, 1))
                if context == call.context and u0 <= box[0] and v0 <= box[1] and u1 >= box[2] and v1 >= box[3]
            ]
            assert shown
            found.update(shown)
    assert found == {SMALL, HERE, LARGE}


def test_a_point_for_what_fits_a_points_square_and_a_box_for_what_is_larger():
    by_context = {len(call.target_px): call for call in calls_of(with_looks(trace(), with_count(3), GROUP, PRESET))}
    assert by_context[4].target_px == tuple(map(float, LARGE))
    assert len(by_context[2].target_px) == 2


def test_smallest_boxes_first_where_there_are_more_than_looks():
    (call,) = calls_of(with_looks(trace(), with_count(1), GROUP, PRESET))
    assert call == Call(0, (420.0, 310.0))


def test_after_the_last_look_the_answer_stands_alone_as_it_will_be_forced():
    turns = turns_in(with_looks(trace(), with_count(3), GROUP, PRESET))
    assert turns[-1] == "<answer>12.3 meters</answer>"
    assert "So the answer" not in "".join(turns)


def test_direct_answers_look_without_a_word():
    direct = "<answer>12.3 meters</answer>"
    turns = turns_in(with_looks(direct, with_count(1), GROUP, PRESET))
    assert turns[0].startswith("<tool_call>")
    assert turns[1] == direct


@pytest.mark.parametrize("evidence", [[], None, [{"mark": 9, "context": 0}], [{"mark": 2, "context": 0}]])
def test_where_no_image_shows_anything_the_trace_stays(evidence):
    assert with_looks(trace(), question("q", evidence), GROUP, PRESET) == trace()
    assert turns_in(trace()) == [trace()]


def test_two_marks_at_one_place_get_one_look():
    near = {**GROUP, "marks": [*GROUP["marks"], {"mark": 3, "regions": [region(0, (402, 303, 442, 323))]}]}
    both = question("q", [{"mark": 1, "context": 0}, {"mark": 3, "context": 0}])
    assert len(calls_of(with_looks(trace(), both, near, PRESET))) == 1


def test_the_writer_is_picklable_and_says_the_same_every_time(store):
    writer = pickle.loads(pickle.dumps(ZoomAnswers(_traces, PRESET)))
    once, again = (writer(store, "log", GROUP, with_count(2)) for _ in range(2))
    assert once == again == with_looks(trace(), with_count(2), GROUP, PRESET)
    assert ZoomAnswers(_no_traces, PRESET)(store, "log", GROUP, with_count(2)) is None


def _traces(store, log_id, group, question):
    return trace()


def _no_traces(store, log_id, group, question):
    return None
