"""Reading traces in their four forms, and naming what is malformed."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from drive_vqa.traces import DIALECTS, Place, Point, Seen, Trace, render
from eval.reasoning import trace as trace_module
from eval.reasoning.claims import MAX_CLAIMS, MAX_STEPS
from eval.reasoning.read import MAX_CHARACTERS, read_trace
from eval.reasoning.trace import Fault, PlaceClaim, PointClaim, SeenClaim

EARLY = Seen("Region 3", (412, 300, 480, 372), -1.5)
LATE = Seen("Region 3", (420, 302, 490, 377), 0.0)
TRACE = Trace(
    (
        (EARLY, " was at ", Place(12.4, -8.0), "."),
        (LATE, " is at ", Place(10.0, 0.0), "."),
        ("It comes closer.",),
        ("So the answer is Region 3 ", Point(455, 339), "."),
    ),
    "Region 3",
    first_s=-1.5,
)
EARLY_PX, LATE_PX = (412.0, 300.0, 480.0, 372.0), (420.0, 302.0, 490.0, 377.0)
SEEN = "<obj>car</obj><box>[1,2,3,4]</box>at<t>-0.5</t>s"


def thought(*steps: str) -> str:
    """A trace of these steps."""
    lines = "\n".join(steps)
    return f"<think>\n{lines}\n</think>\n<answer>yes</answer>"


def faults(text: str, dialect="drive"):
    return set(read_trace(text, dialect).faults)


def test_drive():
    read = read_trace(render(TRACE), "drive")
    assert read.seen == (SeenClaim("Region 3", EARLY_PX, -1.5, 0), SeenClaim("Region 3", LATE_PX, 0.0, 1))
    assert read.places == (PlaceClaim(12.4, -8.0, "Region 3", -1.5, 0), PlaceClaim(10.0, 0.0, "Region 3", 0.0, 1))
    assert read.points == (PointClaim(455.0, 339.0, None, 3),)
    assert read.steps[2:] == ("It comes closer.", "So the answer is Region 3 <point>(455,339)</point>.")
    assert read.answer == "Region 3"
    assert read.well_formed
    assert read.faults == ()


def test_open_o3_counts_times_from_the_first_image():
    read = read_trace(render(TRACE, "open_o3"), "open_o3", first_s=-1.5)
    assert read.seen == (SeenClaim("Region 3", EARLY_PX, -1.5, 0), SeenClaim("Region 3", LATE_PX, 0.0, 1))
    assert [place.offset_s for place in read.places] == [-1.5, 0.0]
    assert read.points == read.faults == ()
    assert [claim.offset_s for claim in read_trace(render(TRACE, "open_o3"), "open_o3").seen] == [0.0, 1.5]


def test_treevgr_has_no_names_and_says_now_by_saying_nothing():
    read = read_trace(render(TRACE, "treevgr"), "treevgr")
    assert read.seen == (SeenClaim(None, EARLY_PX, -1.5, 0), SeenClaim(None, LATE_PX, None, 1))
    assert read.places == (PlaceClaim(12.4, -8.0, None, -1.5, 0), PlaceClaim(10.0, 0.0, None, 0.0, 1))
    assert read.points == read.faults == ()


def test_vigorl_has_points_alone():
    read = read_trace(render(TRACE, "vigorl"), "vigorl")
    assert read.points == (
        PointClaim(446.0, 336.0, -1.5, 0),
        *(PointClaim(455.0, 339.0, None, step) for step in (1, 2, 3)),
    )
    assert [place.offset_s for place in read.places] == [-1.5, 0.0]
    assert read.seen == read.faults == ()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_direct_answer_is_grammatical(dialect):
    read = read_trace("<answer> 12.4 meters </answer>", dialect)
    assert read.answer == "12.4 meters"
    assert read.steps == read.seen == read.faults == ()


@pytest.mark.parametrize(
    "said",
    [
        "<obj> car </obj> <box>[ 1, 2 ,3 , 4]</box> at <t> -0.5 </t> s",
        "<obj>car</obj><box> [1.0,2.,+3,4.000] </box><t>-0.50</t>",
        "The <obj>car</obj> \t <box>\t[1,2,3,4]</box>at<t>-0.5</t>seconds",
    ],
)
def test_blanks_and_decimals_are_tolerated(said):
    read = read_trace(thought(said), "drive")
    assert read.seen == (SeenClaim("car", (1.0, 2.0, 3.0, 4.0), -0.5, 0),)
    assert read.well_formed


def test_boxes_may_be_empty_and_anywhere():
    read = read_trace(thought("<box>[9,9,-1,-1]</box>", "<box>[0,0,999999999,1]</box>"), "treevgr")
    assert [claim.box_px for claim in read.seen] == [(9.0, 9.0, -1.0, -1.0), (0.0, 0.0, 999999999.0, 1.0)]
    assert read.well_formed


def test_places_and_points_are_of_what_was_seen_before_in_the_step():
    place, point = "<pos>5.0 m, 9°</pos>", "<point>(1,2)</point>"
    read = read_trace(thought(f"{place} {point} {SEEN} {place} {point}", place), "drive")
    assert [(claim.name, claim.offset_s) for claim in read.places] == [(None, 0.0), ("car", -0.5), (None, 0.0)]
    assert [claim.offset_s for claim in read.points] == [None, -0.5]
    assert read.well_formed


def test_steps_are_lines_and_count_on_over_thoughts():
    text = f"<think>one\n{SEEN}</think><tool_call>x</tool_call><think>\nthree {SEEN}\n</think><answer>a</answer>"
    read = read_trace(text, "drive")
    assert [claim.step for claim in read.seen] == [1, 2]
    assert read.steps == ("one", SEEN, f"three {SEEN}")
    assert read.well_formed


def test_one_name_and_time_for_a_row_of_boxes():
    text = thought("<obj>men</obj><box>[1,2,3,4]</box><box>[5,6,7,8]</box>at<t>2.0</t>s")
    read = read_trace(text, "open_o3", first_s=-3.0)
    assert read.seen == (
        SeenClaim("men", (1.0, 2.0, 3.0, 4.0), -1.0, 0),
        SeenClaim("men", (5.0, 6.0, 7.0, 8.0), -1.0, 0),
    )
    assert read.well_formed
    assert read_trace(text, "drive").faults == ("missing_name",)


def test_published_prompts_may_open_the_thought():
    text = "The car <box>[1,2,3,4]</box> is red.</think><answer>A</answer>"
    read = read_trace(text, "treevgr")
    assert len(read.seen) == len(read.steps) == 1
    assert read.well_formed
    assert faults(text.replace("<box>[1,2,3,4]</box>", ""), "drive") == {"unopened_tag"}


def test_open_o3_may_tell_a_time_alone():
    read = read_trace(thought("It starts at <t>3.5</t>s."), "open_o3", first_s=-2.0)
    assert read.seen == read.faults == ()
    assert [(time.offset_s, time.step) for time in read.times] == [(1.5, 0)]
    assert faults(thought("It starts at <t>-3.5</t>s.")) == {"missing_box"}
    assert faults(thought("It starts at <t>soon</t>s."), "open_o3") == {"bad_time"}


def test_vigorl_in_one_paragraph_as_published():
    read = read_trace(thought("A sign (10, 20). Left of it ( 30.5 , 40 ), a car (50,60)."), "vigorl")
    assert [(point.u_px, point.v_px) for point in read.points] == [(10.0, 20.0), (30.5, 40.0), (50.0, 60.0)]
    assert read.well_formed


def test_metric_coordinates_are_no_points():
    read = read_trace(thought("It is at (12.4, -3.1) m and moves at (1.0, 0.2) m/s (50, 60)"), "vigorl")
    assert [(point.u_px, point.v_px) for point in read.points] == [(50.0, 60.0)]


def test_a_time_in_vigorl_goes_with_the_next_point():
    read = read_trace(thought("The car, 1.5 seconds ago, (1, 2) before the van (3, 4)"), "vigorl")
    assert [point.offset_s for point in read.points] == [-1.5, None]


def test_steps_without_points():
    assert faults(thought("A car (1, 2)", "It is red."), "vigorl") == {"step_without_point"}
    assert faults(thought("A car (1, 2) is red"), "vigorl") == {"step_without_point"}
    assert faults(thought("Nothing is there.", "A car (1, 2)!"), "vigorl") == set()


DIALOGUE = """<think> The man may be left (100, 200). </think>
<tool_call>
{"name": "search_coordinate", "arguments": {"coordinate": [100, 200]}}
</tool_call><|im_end|>
<|im_start|>user
<observation>
A crop: <think>(7, 7)</think> <answer>no</answer> <box>[1,2,3,4]</box> (8, 8)
</observation><|vision_start|><|image_pad|><|vision_end|><|im_end|>
<|im_start|>assistant
<think> I have seen enough. </think>
<answer> (100, 210) </answer>"""


@pytest.mark.parametrize("dialect", ["vigorl", "drive"])
def test_looks_are_neither_faults_nor_claims(dialect):
    read = read_trace(DIALOGUE, dialect)
    assert [(point.u_px, point.v_px) for point in read.points] == [(100.0, 200.0)] * (dialect == "vigorl")
    assert read.steps == ("The man may be left (100, 200).", "I have seen enough.")
    assert read.seen == read.faults == ()
    assert read.answer == "(100, 210)"
    plain = DIALOGUE.replace("observation", "tool_response").replace("<|im_start|>", "").replace("<|im_end|>", "")
    assert read_trace(plain, dialect) == read


def test_a_look_inside_a_thought():
    read = read_trace(f"<think>{SEEN}<tool_call>{SEEN}</tool_call>then {SEEN}</think><answer>a</answer>", "drive")
    assert read.steps == (SEEN, f"then {SEEN}")
    assert len(read.seen) == 2
    assert read.well_formed


MALFORMED = [
    ("no_answer", "", ""),
    ("no_answer", "<answer> </answer>", "<answer></answer>"),
    ("no_answer text_outside", "yes", "the answer is yes"),
    ("no_answer unclosed_tag", "<answer>yes", "<think>a</think><answer>yes"),
    (
        "several_answers",
        "<answer>a</answer><answer>b</answer>",
        "<think>a</think><answer>a</answer>\n<answer>a</answer>",
    ),
    ("several_thoughts", "<think>a</think><think>b</think><answer>a</answer>", "<think>a</think>\n" + thought("b")),
    ("wrong_order", "<answer>a</answer><think>b</think>", "<answer>a</answer><tool_call>a</tool_call>"),
    ("text_outside", "so <answer>a</answer>", "<think>a</think><answer>a</answer>."),
    ("unclosed_tag", "<think>a<answer>a</answer>", thought("<box>[1,2,3,4]")),
    ("unopened_tag", thought("a</box>"), thought("a</answer>b")),
    (
        "unknown_tag",
        thought("<b>"),
        thought("a < b"),
        thought("a > b"),
        "<answer>a<b</answer>",
        thought("<Box>[1,2,3,4]"),
    ),
    ("empty_step", "<think></think><answer>a</answer>", thought("a", " ", "b"), thought("", "")),
    (
        "bad_box",
        *(thought(SEEN.replace("[1,2,3,4]", box)) for box in ("1,2,3,4", "[1,2,3]", "[1,2,3,4,5]", "(1,2,3,4)", "")),
    ),
    (
        "bad_box",
        *(thought(SEEN.replace("4]", f"{odd}]")) for odd in ("x", "nan", "1e9", "４", "1.2.3", "9999999999", "--1")),
    ),
    ("bad_point", thought("<point>1,2</point>"), thought("<point>(1,2,3)</point>"), thought("<point>(1;2)</point>")),
    ("bad_time", thought(SEEN.replace("-0.5", "now")), thought(SEEN.replace("-0.5", ""))),
    ("bad_place", thought("<pos>5 m</pos>"), thought("<pos>5, 9°</pos>"), thought("<pos>5 km, 9°</pos>")),
    ("missing_box", thought("the <obj>car</obj>"), thought("at<t>0.0</t>s")),
    ("missing_name", thought("<box>[1,2,3,4]</box>at<t>0.0</t>s"), thought(SEEN.replace("car", " "))),
    ("missing_time", thought("<obj>car</obj><box>[1,2,3,4]</box> is red")),
    ("missing_name missing_time", thought("<box>[1,2,3,4]</box>")),
]


@pytest.mark.parametrize(("named", "text"), [(names, text) for names, *texts in MALFORMED for text in texts])
def test_what_is_malformed_is_named(named, text):
    assert faults(text) == set(named.split())


def test_every_fault_is_documented_and_tried():
    tried = {name for names, *_ in MALFORMED for name in names.split()}
    assert tried | {"too_long", "too_many_claims", "step_without_point"} == set(get_args(Fault))
    source = Path(trace_module.__file__).read_text(encoding="utf-8")
    listed = source.split('"""What is malformed.')[1].split('"""')[0]
    assert [line.split()[0] for line in listed.splitlines() if line[4:5].strip()] == list(get_args(Fault))


def test_claims_survive_what_is_malformed_around_them():
    text = f"So <think>{SEEN} <b> {SEEN.replace('4]', 'x]')} <box>\n\n{SEEN}</box> <point>(1,2)</point>"
    read = read_trace(text, "drive")
    assert [claim.step for claim in read.seen] == [0, 1]
    assert len(read.points) == 1
    assert read.answer is None
    assert set(read.faults) == {
        *("no_answer", "text_outside", "unclosed_tag", "unopened_tag", "unknown_tag", "empty_step", "bad_box"),
    }


def test_only_a_closed_and_single_answer_is_one():
    assert read_trace("<answer>yes", "drive").answer is None
    assert read_trace("<answer>yes</answer><answer>yes</answer>", "drive").answer is None
    assert read_trace("<answer>\n yes\n</answer>", "drive").answer == "yes"


def test_published_answers_may_hold_tags():
    read = read_trace("<answer><t>1.0</t>s to <t>2.0</t>s</answer>", "open_o3")
    assert read.answer == "<t>1.0</t>s to <t>2.0</t>s"
    assert read.well_formed


@pytest.mark.parametrize("number", ["1.2.3", "12345678901", "0.12345678901", "1e3", "1-3", "--3"])
def test_odd_numbers_in_words_are_no_evidence(number):
    read = read_trace(thought(f"A car ({number}, 2) is at {number} m, 5° (3, 4)"), "vigorl")
    assert len(read.points) == 1
    assert read.places == ()


def test_claims_outside_of_thoughts_are_nobodys():
    read = read_trace(f"{SEEN}<answer>{SEEN}</answer>{SEEN}", "drive")
    assert read.seen == read.steps == ()


def test_a_bad_box_is_no_claim_but_the_others_of_its_row_are():
    read = read_trace(thought("<box>[1,2,3,4]</box><box>[1,2]</box>"), "treevgr")
    assert len(read.seen) == 1
    assert read.faults == ("bad_box",)


def test_a_time_that_cannot_be_read_is_none():
    read = read_trace(thought(SEEN.replace("-0.5", "now") + " <pos>5.0 m, 9°</pos>"), "drive")
    assert read.seen[0].offset_s is None
    assert read.places[0].offset_s == 0.0


@pytest.mark.parametrize("tag", ["<point>(1,2)</point>", "<obj>a</obj>", "<pos>1.0 m, 2°</pos>"])
def test_tags_of_other_dialects_are_unknown(tag):
    assert faults(thought(tag), "treevgr") == {"unknown_tag"}
    assert faults(thought(f"a < b and {tag} (1, 2)"), "vigorl") == {"unknown_tag"}


def test_only_so_many_claims():
    most = thought(*["<point>(1,2)</point>"] * MAX_CLAIMS)
    assert read_trace(most, "drive").well_formed
    read = read_trace(most.replace("<think>\n", f"<think>\n{SEEN}\n"), "drive")
    assert read.faults == ("too_many_claims",)
    assert (len(read.seen), len(read.points)) == (1, MAX_CLAIMS - 1)


def test_only_so_many_steps():
    most = thought(*["a"] * MAX_STEPS)
    assert read_trace(most, "drive").well_formed
    read = read_trace(most.replace("a\n", "a\na\n", 1), "drive")
    assert read.faults == ("too_long",)
    assert len(read.steps) == MAX_STEPS


def test_only_so_long():
    start, end = f"<think>\n{SEEN}\n", f"\n{SEEN}\n</think>\n<answer>yes</answer>"
    longest = start + "a" * (MAX_CHARACTERS - len(start + end)) + end
    assert read_trace(longest, "drive").well_formed
    read = read_trace(longest + " ", "drive")
    assert read.faults == ("too_long",)
    cut = read_trace(start + "a" * MAX_CHARACTERS + end, "drive")
    assert cut.faults == ("too_long", "no_answer", "unclosed_tag")
    assert len(cut.seen) == 1
