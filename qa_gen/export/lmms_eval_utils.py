"""What lmms-eval calls for the task that stands beside this file: images, prompt, target and score of a question.

Written into the task folder as `utils.py`, so it needs nothing but Python and Pillow.

How an answer is judged (1 or 0), by `answer_type`:

    choice                     the letter of the right option, or its text and no other option's
    bool                       the first yes or no
    undetermined               says so anywhere: cannot, not possible, unable, unknown, not visible …
    distance                   within 25 %
    speed                      within 20 %, or 0.1 m/s below 0.5 m/s
    bearing, turn              within 10 degrees, around the circle
    time                       within 0.5 s
    lateral, longitudinal      within 25 %, or 1 m
    localization, motion       distance within 25 % and angle within 10 degrees
    position                   both within 25 %, or 1 m
    clock, count               the first number (or number word), exact
    ranking                    the very order of the regions
    regions                    the very set of regions; "none" for none
    interval                   intersection over union of at least 0.5
    box                        intersection over union of at least 0.5
    interval_box               both

These are simple rules on the last `<answer>` of a reply, or what follows its last "answer", or else all of it; the project's
own evaluation parses units and long replies with more care. Seconds "ago" count backwards.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

Doc = dict[str, Any]
FOLDER = Path(__file__).resolve().parent
NUMBER = re.compile(r"[-+−]?\d+(?:\.\d+)?")
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
CANNOT = re.compile(
    r"can ?not|can't|could not|couldn't|not (?:be )?(?:possible|able|known|visible|shown)|unable|impossible"
    r"|un(?:known|clear|determined)"
)
OVERLAP = 0.5


def doc_to_visual(doc: Doc) -> list[Any]:
    """The images of a question, oldest first."""
    from PIL import Image

    images = []
    for name in doc["images"]:
        with Image.open(FOLDER / name) as image:
            images.append(image.convert("RGB"))
    return images


def doc_to_text(doc: Doc, lmms_eval_specific_kwargs: dict[str, str] | None = None) -> str:
    """What is asked where the images come first."""
    words = lmms_eval_specific_kwargs or {}
    return f"{words.get('pre_prompt', '')}{doc['prompt']}{words.get('post_prompt', '')}"


def doc_to_messages(doc: Doc, lmms_eval_specific_kwargs: dict[str, str] | None = None) -> list[Doc]:
    """What is asked with each image after its caption."""
    words = lmms_eval_specific_kwargs or {}
    content: list[Doc] = []
    for caption, image in zip(doc["captions"], doc_to_visual(doc), strict=True):
        content += [{"type": "text", "text": f"{caption}:"}] if caption else []
        content.append({"type": "image", "url": image})
    text = f"{words.get('pre_prompt', '')}{doc['text']}{words.get('post_prompt', '')}"
    return [{"role": "user", "content": [*content, {"type": "text", "text": text}]}]


def doc_to_target(doc: Doc) -> str:
    """The right answer, as text."""
    return str(doc["answer"])


def process_results(doc: Doc, results: list[str]) -> dict[str, Doc]:
    """The judgement of a reply, for the metric of all questions and that of the question's family."""
    reply = results[0] if results else ""
    judged = {"qa_id": doc["qa_id"], "type": doc["type"], "score": float(is_right(doc, reply))}
    return {"accuracy": judged, f"accuracy_{doc['family']}": judged}


def aggregate(results: list[Doc]) -> float:
    """The mean score."""
    return sum(result["score"] for result in results) / len(results) if results else 0.0


def is_right(doc: Doc, reply: str) -> bool:
    """Whether a reply is right, see the top of this file."""
    rule = RULES.get(doc["answer_type"])
    judged = reply if doc["answer_type"] == "undetermined" else said(reply)
    return rule is not None and rule(doc, judged)


def said(reply: str) -> str:
    """The part of a reply that is judged: the last `<answer>`, else what follows the last "answer", else all but `<think>`."""
    text = re.sub(r"(?is)<think>.*?</think>", "", reply.replace("−", "-")).strip()
    tagged = re.findall(r"(?is)<answer>(.*?)</answer>", text)
    tail = tagged[-1] if tagged else re.split(r"(?i)\banswer\b\s*(?:is|:)?", text)[-1]
    return tail.strip(" *:\n") or text


def _choice(doc: Doc, text: str) -> bool:
    options = [str(option) for option in doc["options"]]
    right = options.index(doc["answer"])
    letters = f"[A-{chr(ord('A') + len(options) - 1)}]"
    lettered = re.match(rf"\(?\**({letters})\**(?:[).:,]|\s*$)", text) or re.search(rf"\(({letters})\)", text)
    if lettered:
        return bool(lettered[1] == chr(ord("A") + right))
    named = {option for option in options if _has(text, option)}
    named -= {short for short in named for long in named if short != long and _has(long, short)}
    return named == {options[right]}


def _has(text: str, phrase: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(phrase.lower())}(?![\w])", text.lower()) is not None


def _bool(doc: Doc, text: str) -> bool:
    found = re.search(r"(?i)\b(yes|no)\b", text)
    return found is not None and (found[1].lower() == "yes") == doc["truth"]["bool"]


def _undetermined(_: Doc, text: str) -> bool:
    return CANNOT.search(text.lower()) is not None


def _near(value: float, truth: float, share: float, least: float = 0.0) -> bool:
    return abs(value - truth) <= max(share * abs(truth), least) + 1e-9


def _angle(value: float, truth: float) -> bool:
    return abs((value - truth + 180.0) % 360.0 - 180.0) <= 10.0 + 1e-9


def _distance(value: float, truth: float) -> bool:
    return _near(value, truth, 0.25)


def _speed(value: float, truth: float) -> bool:
    return _near(value, truth, 0.2, 0.1 if truth < 0.5 else 0.0)


def _offset(value: float, truth: float) -> bool:
    return _near(value, truth, 0.25, 1.0)


def _time(value: float, truth: float) -> bool:
    return _near(value, truth, 0.0, 0.5)


def _numbers(*checks: tuple[str, Callable[[float, float], bool]]) -> Callable[[Doc, str], bool]:
    """A rule for as many numbers as there are checks, in order, of (field of the truth, test)."""

    def rule(doc: Doc, text: str) -> bool:
        values = [float(number) for number in NUMBER.findall(_without_regions(text))]
        enough = len(values) >= len(checks)
        return enough and all(
            near(value, doc["truth"][name]) for value, (name, near) in zip(values, checks, strict=False)
        )

    return rule


def _without_regions(text: str) -> str:
    """A region's number is no answer."""
    return re.sub(r"(?i)\bregions?\s+\d+", "", text)


def _whole(name: str) -> Callable[[Doc, str], bool]:
    def rule(doc: Doc, text: str) -> bool:
        plain = _without_regions(text).lower()
        for number, word in enumerate(WORDS):
            plain = re.sub(rf"\b{word}\b", str(number), plain)
        found = NUMBER.search(plain)
        return found is not None and float(found[0]) == float(doc["truth"][name])

    return rule


def _regions_said(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def _ranking(doc: Doc, text: str) -> bool:
    return _regions_said(text) == list(doc["truth"]["marks"])


def _regions(doc: Doc, text: str) -> bool:
    truth, found = set(doc["truth"]["marks"]), _regions_said(text)
    return set(found) == truth if truth or found else re.search(r"(?i)\b(none|no)\b", text) is not None


def _interval(doc: Doc, text: str) -> bool:
    found = NUMBER.findall(text.partition("[")[0])
    if len(found) < 2:
        return False
    start, end = (float(number) for number in found[:2])
    if "ago" in text:
        start, end = -abs(start), -abs(end)
    truth = doc["truth"]
    shared = min(end, truth["end_s"]) - max(start, truth["start_s"])
    joined = max(end, truth["end_s"]) - min(start, truth["start_s"])
    return shared >= OVERLAP * joined and start <= end


def _box(doc: Doc, text: str) -> bool:
    inside = re.search(r"\[([^\]]*)\]", text)
    found = NUMBER.findall(inside[1] if inside else text)
    if len(found) != 4:
        return False
    u0, v0, u1, v1 = (float(number) for number in found)
    t0, s0, t1, s1 = (doc["truth"][name] for name in ("u0_px", "v0_px", "u1_px", "v1_px"))
    shared = max(min(u1, t1) - max(u0, t0), 0.0) * max(min(v1, s1) - max(v0, s0), 0.0)
    joined = max(u1 - u0, 0.0) * max(v1 - v0, 0.0) + (t1 - t0) * (s1 - s0) - shared
    return bool(joined > 0 and shared >= OVERLAP * joined)


def _interval_box(doc: Doc, text: str) -> bool:
    return _interval(doc, text) and _box(doc, text)


RULES: dict[str, Callable[[Doc, str], bool]] = {
    "choice": _choice,
    "bool": _bool,
    "undetermined": _undetermined,
    "distance": _numbers(("distance_m", _distance)),
    "speed": _numbers(("speed_mps", _speed)),
    "bearing": _numbers(("bearing_deg", _angle)),
    "turn": _numbers(("yaw_deg", _angle)),
    "time": _numbers(("time_s", _time)),
    "lateral": _numbers(("y_m", _offset)),
    "longitudinal": _numbers(("x_m", _offset)),
    "localization": _numbers(("distance_m", _distance), ("bearing_deg", _angle)),
    "motion": _numbers(("distance_m", _distance), ("yaw_deg", _angle)),
    "position": _numbers(("x_m", _offset), ("y_m", _offset)),
    "clock": _whole("clock_hour"),
    "count": _whole("count"),
    "ranking": _ranking,
    "regions": _regions,
    "interval": _interval,
    "box": _box,
    "interval_box": _interval_box,
}
"""How each answer type is judged."""
