"""What, when and where: a clip of front images, and when something happened to a marked agent and where it was then.

Times are those of the frames shown, relative to now: an event lies between two of them. A frame counts only where the agent is
tracked with a speed; between 0.3 and 1 m/s an agent neither stands nor moves, and nothing is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from qa_gen.asked import Asked
from qa_gen.question_type import QuestionType, Truth

MOVING_MPS = 1.0
"""Above this speed over ground an agent moves."""

STANDING_MPS = 0.3
"""Below this speed over ground an agent stands."""

CLOSEST_MARGIN_M = 0.2
"""By so much the agent must be farther away in the frames before and after the closest one."""

OVERLAP_IN_TIME = "overlap in time 0.5"
OVERLAP_IN_IMAGE = "overlap in the image 0.5"


@dataclass(frozen=True)
class Event:
    """When something happened: at a frame, found between the frame before and a later one.

    Attributes:
        start_s: time of the frame before it; NaN where nothing of the kind happened once and clearly.
        end_s: time of the first frame after it; NaN likewise.
        context: the frame in which its place is asked for; 0 where it did not happen.
    """

    start_s: Float[np.ndarray, "n"]
    end_s: Float[np.ndarray, "n"]
    context: Int[np.ndarray, "n"]


def moving(asked: Asked) -> Bool[np.ndarray, "n c"]:
    """In which frames the agent moves; never where its speed is not known."""
    return _speeds_mps(asked) > MOVING_MPS


def standing(asked: Asked) -> Bool[np.ndarray, "n c"]:
    """In which frames the agent stands; never where its speed is not known."""
    return _speeds_mps(asked) < STANDING_MPS


def marked(asked: Asked) -> Bool[np.ndarray, "n c"]:
    """In which frames the agent is seen well enough to be marked."""
    return np.asarray(np.isfinite(_regions(asked)[..., 4]))


def starts(asked: Asked) -> Event:
    """The change from standing to moving, where it is the only one and all frames are clear."""
    return _only_change(asked, standing(asked), moving(asked))


def stops(asked: Asked) -> Event:
    """The change from moving to standing, where it is the only one and all frames are clear."""
    return _only_change(asked, moving(asked), standing(asked))


def appears(asked: Asked) -> Event:
    """The first frame that shows it, where no earlier one and all later ones do."""
    seen = marked(asked)
    return _only_change(asked, ~seen, seen)


def closest(asked: Asked) -> Event:
    """The frame of least distance, where it is neither the first nor the last and stands out from its neighbors."""
    distance_m = np.stack([asked.in_context(k).distance_m for k in range(len(asked.groups.offsets_s))], axis=-1)
    last = distance_m.shape[1] - 1
    context = np.argmin(distance_m, axis=1) if last >= 2 else np.zeros(len(distance_m), dtype=np.int64)
    inner = np.isfinite(distance_m).all(axis=1) & (context > 0) & (context < last)
    context = np.where(inner, context, 0)
    before, after = np.where(inner, context - 1, 0), np.where(inner, context + 1, 0)
    least_m = _at(distance_m, context) + CLOSEST_MARGIN_M
    stands_out = inner & (_at(distance_m, before) >= least_m) & (_at(distance_m, after) >= least_m)
    return _event(asked, stands_out, before, after, context)


def _when_moving(asked: Asked) -> Truth:
    return _one_run(asked, moving(asked), standing(asked))


def _when_standing(asked: Asked) -> Truth:
    return _one_run(asked, standing(asked), moving(asked))


def _when_visible(asked: Asked) -> Truth:
    seen = marked(asked)
    return _one_run(asked, seen, ~seen)


def _one_run(asked: Asked, inside: Bool[np.ndarray, "n c"], outside: Bool[np.ndarray, "n c"]) -> Truth:
    """First and last frame inside, where those inside stand together, all others are clearly outside, and there are both."""
    last_frame = inside.shape[1] - 1
    first, last = np.argmax(inside, axis=1), last_frame - np.argmax(inside[:, ::-1], axis=1)
    together = inside.sum(axis=1) == last - first + 1
    ask = (inside ^ outside).all(axis=1) & inside.any(axis=1) & outside.any(axis=1) & together
    event = _event(asked, ask, first, last, first)
    return {"start_s": event.start_s, "end_s": event.end_s}


def _only_change(asked: Asked, before: Bool[np.ndarray, "n c"], after: Bool[np.ndarray, "n c"]) -> Event:
    """Frames `before` up to a frame, then frames `after` to the end, and none that is neither."""
    context = np.argmax(after, axis=1)
    frames = np.arange(after.shape[1])
    changed = np.where(frames < context[:, None], before, after).all(axis=1) & (context > 0)
    context = np.where(changed, context, 0)
    return _event(asked, changed, np.maximum(context - 1, 0), context, context)


def _event(asked: Asked, happened: np.ndarray, start: np.ndarray, end: np.ndarray, context: np.ndarray) -> Event:
    offsets_s = np.asarray(asked.groups.offsets_s, dtype=np.float64)
    start_s, end_s = (np.where(happened, offsets_s[index], np.nan) for index in (start, end))
    return Event(start_s, end_s, np.where(happened, context, 0))


def _when(find: Callable[[Asked], Event]) -> Callable[[Asked], Truth]:
    def truth(asked: Asked) -> Truth:
        event = find(asked)
        return {"start_s": event.start_s, "end_s": event.end_s}

    return truth


def _where(find: Callable[[Asked], Event]) -> Callable[[Asked], Truth]:
    def truth(asked: Asked) -> Truth:
        return _box(asked, find(asked))

    return truth


def _when_and_where(find: Callable[[Asked], Event]) -> Callable[[Asked], Truth]:
    def truth(asked: Asked) -> Truth:
        event = find(asked)
        return {"start_s": event.start_s, "end_s": event.end_s, **_box(asked, event)}

    return truth


def _box(asked: Asked, event: Event) -> Truth:
    """What the event's frame shows of the agent, in whole pixels; NaN where nothing happened or it is not marked there."""
    region = np.take_along_axis(_regions(asked), event.context[:, None, None], axis=1)[:, 0, :4]
    box_px = np.where(np.isfinite(event.start_s)[:, None], np.round(region), np.nan)
    return {name: box_px[:, side] for side, name in enumerate(("u0_px", "v0_px", "u1_px", "v1_px"))}


def _speeds_mps(asked: Asked) -> Float[np.ndarray, "n c"]:
    return np.stack([asked.in_context(k).speed_mps for k in range(len(asked.groups.offsets_s))], axis=-1)


def _regions(asked: Asked) -> Float[np.ndarray, "n c 5"]:
    return np.asarray(asked.groups.regions[asked.group, asked.slots[:, 0]])


def _at(values: Float[np.ndarray, "n c"], column: Int[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    return np.take_along_axis(values, column[:, None], axis=1)[:, 0]


@dataclass(frozen=True)
class Words:
    """How something that happened is put into words, in the past tense.

    Attributes:
        did: as a question: "did {a} stop".
        it_did: as a clause: "{a} stopped".
        frame: the frame in which its place is asked for, in the present tense; `{a}` has been named before.
        frame_then: the same in the past tense.
        interval: what the answer gives of time.
        note: what the words mean, a sentence.
    """

    did: str
    it_did: str
    frame: str = ""
    frame_then: str = ""
    interval: str = ""
    note: str = ""

    def wordings(self, templates: tuple[str, ...]) -> tuple[str, ...]:
        """The templates with these words filled in."""
        words = {name: value for name, value in vars(self).items() if name != "note"}
        return tuple(template.format(note=self.note, box=BOX_WORDS, **words) for template in templates)


BOX_WORDS = "as [left, top, right, bottom] in pixels of the image"
SPEED_NOTE = "Moving means faster than 1 m/s over the ground, and standing means slower than 0.3 m/s."
VIEW_NOTE = "{a} counts as in view in the frames in which its region is marked."
CLOSEST_NOTE = "Distances are measured along the ground to the center of {a}, from where I was at each time."
STEP = "the interval from the last frame before that to the first frame after it, in seconds ago"
AROUND = "the interval from the frame just before the closest one to the frame just after it, in seconds ago"

IS_MOVING = Words("was {a} moving", "{a} was moving", note=SPEED_NOTE)
IS_STANDING = Words("was {a} standing", "{a} was standing", note=SPEED_NOTE)
IS_VISIBLE = Words("was {a} in view", "{a} was in view", note=VIEW_NOTE)
STARTS = Words(
    "did {a} start to move",
    "{a} started to move",
    "the first frame in which it moves after standing",
    "the first frame in which it moved",
    STEP,
    SPEED_NOTE,
)
STOPS = Words(
    "did {a} stop",
    "{a} stopped",
    "the first frame in which it stands after moving",
    "the first frame in which it stood",
    STEP,
    SPEED_NOTE,
)
APPEARS = Words(
    "did {a} come into view",
    "{a} came into view",
    "the first frame in which it is in view",
    "the first frame in which it was in view",
    STEP,
    VIEW_NOTE,
)
CLOSEST = Words(
    "was {a} closest to me",
    "{a} was closest to me",
    "the frame in which it is closest to me",
    "the closest frame",
    AROUND,
    CLOSEST_NOTE,
)

RUN_TEMPLATES = (
    "From which time to which time, in seconds before now, {did}? Go by the frames shown. {note}",
    "In which of the frames shown {did}? Give the times of the first and the last of them in seconds ago. {note}",
    "{note} From how many to how many seconds ago, from the first such frame to the last, {did}?",
    "Name the stretch of time in which {it_did}, from its first to its last frame, in seconds ago. {note}",
    "When {did}? Answer with the times of the first and the last frame of that stretch, in seconds ago. {note}",
    "Find the first and the last frame in which {it_did}. How many seconds ago was each? {note}",
    "{note} Going by the frames shown, when did the time in which {it_did} begin and end, in seconds before now?",
    "Give the times, in seconds before now, of the first and the last frame in which {it_did}. {note}",
    "Over what time, from how many to how many seconds ago, {did}? The frames shown are what counts. {note}",
)
"""Something held in some frames that follow each other."""

STEP_TEMPLATES = (
    "Between which two successive frames {did}? Give their times in seconds ago. {note}",
    "When {did}? Answer with the times of the last frame before that and the first frame after it, in seconds ago. {note}",
    "{note} In which step from one frame to the next {did}? From how many to how many seconds ago was it?",
    "Name the two neighboring frames between which {it_did}, by their times in seconds before now. {note}",
    "At what time {did}? Give the interval from the frame before to the frame after, in seconds ago. {note}",
    "Between two successive frames, {it_did}. From how many to how many seconds ago was that? {note}",
    "{note} How long ago {did}? Answer with the interval between two successive frames, in seconds before now.",
    "From which time to which time, in seconds before now, is the step between two frames in which {it_did}? {note}",
    "Find the two successive frames between which {it_did}. How many seconds ago was each? {note}",
)
"""Something happened between two frames."""

CLOSEST_TEMPLATES = (
    "When {did}? Answer with {interval}. {note}",
    "At what time, going by the frames shown, {did}? Give {interval}. {note}",
    "{note} How long ago {did}? Answer with {interval}.",
    "Find the frame in which {it_did}. Give the times of the frames just before and just after it, in seconds ago. {note}",
    "In which frame {did}? Name the frames next to it, before and after, by their times in seconds before now. {note}",
    "Around what time {did}? Write {interval}. {note}",
    "What are the times, in seconds before now, of the frames just before and just after the one in which {it_did}? {note}",
    "{note} Pick out the frame in which {it_did}, and give {interval}.",
)
"""Something held in one frame most of all."""

BOX_TEMPLATES = (
    "Where in the image is {{a}} in {frame}? Give its box {box}. {note}",
    "Give the image box of {{a}} in {frame}, {box}. {note}",
    "{note} What is the box around {{a}}, {box}, in {frame}?",
    "Locate {{a}} in {frame} and give its box {box}. {note}",
    "Which box, {box}, holds {{a}} in {frame}? {note}",
    "At which place in the image do you see {{a}} in {frame}? Answer with a box {box}. {note}",
    "{note} Find {{a}} in {frame} and draw a box around it. Write the box {box}.",
    "What are the image coordinates of {{a}} in {frame}? Write them {box}. {note}",
    "Look for {{a}} in {frame}. What is its box there, {box}? {note}",
)

BOTH_TEMPLATES = (
    "When {did}, and where was it then? Answer with {interval}, and with its box in {frame_then}, {box}. {note}",
    "Say when {it_did} and where it was then. Give {interval}; then give its box in {frame_then}, {box}. {note}",
    "{note} When {did}? Give {interval}, and after that its box in {frame_then}, {box}.",
    "Find the moment when {it_did}. Write {interval}, and then the box around it in {frame_then}, {box}. {note}",
    "At what time {did}, and at which place in the image? Answer with {interval}, and the box that holds it in {frame_then}, "
    "{box}. {note}",
    "How long ago {did}, and where in the image was it then? State {interval}, and its box in {frame_then}, {box}. {note}",
    "{note} There was a moment when {it_did}. Name {interval}, then its box in {frame_then}, {box}.",
    "I need to know when {it_did}, and where it was. Answer with {interval}, followed by its box in {frame_then}, {box}. {note}",
)


MOVES = f"faster than {MOVING_MPS:g} m/s"
STANDS = f"slower than {STANDING_MPS:g} m/s"
RUN = "The times of the first and the last frame of the clip in which A {inside}. Asked only where {condition}."
WHEN_MOVING = RUN.format(
    inside=f"moves ({MOVES})",
    condition=f"these are two frames or more that follow each other, and A stands ({STANDS}) in all others, "
    "of which there are some",
)
WHEN_STANDING = RUN.format(
    inside=f"stands ({STANDS})",
    condition=f"these are two frames or more that follow each other, and A moves ({MOVES}) in all others, "
    "of which there are some",
)
WHEN_VISIBLE = RUN.format(
    inside="is seen well enough to be marked",
    condition="these are two frames or more that follow each other, and there are others",
)

CHANGE = "The times of the last frame before the change and of the first frame after it"
NEXT_FRAMES = "The times of the frames just before and just after the one of least distance"
BOX = "A's region in {frame}, in whole pixels of the original image"
CONDITIONS = {
    "starts": f"A stands ({STANDS}) in all frames of the clip up to one and moves ({MOVES}) in all after it",
    "stops": f"A moves ({MOVES}) in all frames of the clip up to one and stands ({STANDS}) in all after it",
    "appears": "A is seen well enough to be marked in all frames of the clip from one on, and in none before it, of which "
    "there are some",
    "closest": "A is tracked in all frames of the clip, and the frame in which its ground distance from where I was then is "
    f"least is neither the first nor the last, with distances at least {CLOSEST_MARGIN_M:g} m greater in both frames next "
    "to it",
}
"""Of the events: where they are asked about."""


def _type(
    name: str, answer_type: str, wordings: tuple[str, ...], truth: Callable[[Asked], Truth], definition: str
) -> QuestionType:
    tolerance = {
        "interval": OVERLAP_IN_TIME,
        "box": OVERLAP_IN_IMAGE,
        "interval_box": f"{OVERLAP_IN_TIME} and {OVERLAP_IN_IMAGE}",
    }[answer_type]
    return QuestionType(name, "when_where", answer_type, 1, wordings, truth, tolerance, definition)


def _event_types(event: str, words: Words, find: Callable[[Asked], Event]) -> tuple[QuestionType, ...]:
    when_templates = CLOSEST_TEMPLATES if words is CLOSEST else STEP_TEMPLATES
    times = NEXT_FRAMES if words is CLOSEST else CHANGE
    box = BOX.format(frame="the frame of least distance" if words is CLOSEST else "the first frame after the change")
    only = f"Asked only where {CONDITIONS[event]}"
    there = "" if words is APPEARS else ", and where A is marked in the frame of the box"
    when, where, both = (
        f"{times}. {only}.",
        f"{box}. {only}{there}.",
        f"{times}, and {box}. {only}{there}.",
    )
    return (
        _type(f"when_{event}", "interval", words.wordings(when_templates), _when(find), when),
        _type(f"where_{event}", "box", words.wordings(BOX_TEMPLATES), _where(find), where),
        _type(f"{event}_when_where", "interval_box", words.wordings(BOTH_TEMPLATES), _when_and_where(find), both),
    )


TYPES: tuple[QuestionType, ...] = (
    _type("when_moving", "interval", IS_MOVING.wordings(RUN_TEMPLATES), _when_moving, WHEN_MOVING),
    _type("when_standing", "interval", IS_STANDING.wordings(RUN_TEMPLATES), _when_standing, WHEN_STANDING),
    _type("when_visible", "interval", IS_VISIBLE.wordings(RUN_TEMPLATES), _when_visible, WHEN_VISIBLE),
    *_event_types("starts", STARTS, starts),
    *_event_types("stops", STOPS, stops),
    *_event_types("appears", APPEARS, appears),
    *_event_types("closest", CLOSEST, closest),
)
