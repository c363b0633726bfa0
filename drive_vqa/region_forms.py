"""How a question names its regions: by drawn marks, by boxes in the text, or by words.

A stored question says "Region 3" and nothing else; the other two forms are made from its group when it is read.

    marks         Region 3                                          numbered regions are drawn on the images
    boxes         the car at [412, 300, 480, 372] in image 4        nothing is drawn
    descriptions  the nearest car to the left                       nothing is drawn

Images count from 1, oldest first, and are named only where a group has several. Boxes are whole pixels of the original image;
who resizes images, or whose model counts in other units, turns the numbers too. A description holds among what the present shows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, get_args

from drive_vqa.categories import CATEGORIES
from drive_vqa.marks import Style

RegionForm = Literal["marks", "boxes", "descriptions"]
FORMS: tuple[RegionForm, ...] = get_args(RegionForm)

NAME = re.compile(r"\bRegion (\d+)\b")
ONLY_NAMES = re.compile(r"Region \d+(, Region \d+)*")
SENTENCE_START = re.compile(r"(?:^|[.?!]\s+|\n)\Z")
LEFT_OVER = re.compile(r"\bregions?\b|\bmark(?:s|ed)?\b", re.IGNORECASE)
"""What only drawn numbers make sense of: "which of the marked regions"."""

BOX_CONVENTION = "Boxes are [left, top, right, bottom] in pixels."
PRESENT_CONVENTION = "Objects are described as they are now."
"""Said with questions about other times, where "the nearest car" could be the nearest then."""

OTHER_TIMES = frozenset({"future", "when_where"})

ASKS_CATEGORY = frozenset(
    {
        "category",
        "same_category",
        "nearest_of_class",
        "count_class",
        "taller",
        "wider",
        "longer",
        "bigger",
        "longer_than_me",
        "width",
        "length",
        "height",
    }
)
"""Types that a category noun answers, or nearly: boxes then say "the object at", and descriptions do not go."""

ASKS_SIDE = frozenset({"left_right", "side", "lane_relation", "best_camera"})
ASKS_ORDER = frozenset(
    {"closer", "farther_ahead", "nearest_mark", "nearest_of_class", "rank_by_distance", "marks_within"}
)
"""Types that a description with "left" or with "nearest" answers."""

ASKS_IMAGE = frozenset({"best_camera", "ahead_behind", "side"})
"""Types that the image in which a box is named answers."""

HINTED_SIDE = frozenset({"bearing", "clock", "lateral", "pair_lateral"})
HINTED_ORDER = frozenset({"distance", "gap", "longitudinal", "pair_longitudinal", "closest_distance"})
"""Types of which such a description rules out options or claims, so that they go in the open form only."""

HORIZON = re.compile(r"_t\d$")
SIDE_WORDS = re.compile(r"\b(?:left|right|leftmost|rightmost)\b")
ORDER_WORDS = re.compile(r"\b(?:nearest|farthest)\b")


def style_of(form: RegionForm, drawn: Style = "fill") -> Style:
    """How images are to be drawn for a form: `drawn` with marks, else bare."""
    return drawn if form == "marks" else "none"


def refer(text: str, group: Mapping[str, Any], form: RegionForm, *, category: bool = True) -> str | None:
    """The text with every "Region N" named in another way.

    A name that starts a sentence gets a capital letter; a text of names alone, such as an option or an answer, is no sentence.

    Args:
        text: a question, an option or an answer.
        group: its row of the `groups` table.
        form: how to name regions.
        category: False says "object" in place of the category with a box.

    Returns:
        None where a region has no such name: it is not in a present image, or no description holds for it alone.
    """
    if form == "marks":
        return text
    names: dict[int, str] = {}
    for number in {int(found) for found in NAME.findall(text)}:
        name = name_of(group, number, form, category=category)
        if name is None:
            return None
        names[number] = name
    is_sentence = ONLY_NAMES.fullmatch(text) is None

    def replace(match: re.Match[str]) -> str:
        name = names[int(match[1])]
        starts = is_sentence and SENTENCE_START.search(text, 0, match.start())
        return name[0].upper() + name[1:] if starts else name

    return NAME.sub(replace, text)


def name_of(group: Mapping[str, Any], number: int, form: RegionForm, *, category: bool = True) -> str | None:
    """What a form calls a mark, starting with "the"; None where it has no name for it."""
    if form == "marks":
        return f"Region {number}"
    mark = _mark(group, number)
    context = None if mark is None else present_context(group, number)
    if mark is None or (context is None and (form == "boxes" or _has_images(group))):
        return None
    if form == "descriptions" or context is None:
        description: str | None = mark["description"]
        return description
    kind = CATEGORIES.get(mark["category"], CATEGORIES["other"])
    box = ", ".join(map(str, box_of(group, number, context) or ()))
    where = f" in image {context + 1}" if len(group["context"]) > 1 else ""
    return f"the {kind.noun if category else CATEGORIES['other'].noun} at [{box}]{where}"


def in_form(question: Mapping[str, Any], group: Mapping[str, Any], form: RegionForm) -> dict[str, Any] | None:
    """A question of the table with question, options, answer and `truth.choice` turned alike.

    Args:
        question: a row of the `questions` table; absent fields stay absent.
        group: its row of the `groups` table.
        form: how to name regions.

    Returns:
        A copy. None where the question cannot be asked so: a region has no name, the text speaks of the drawn marks as such, or
        the name would tell the answer ("the nearest car" where the nearest is asked for).
    """
    if form == "marks":
        return dict(question)
    kind = question.get("type")
    turned = dict(question)
    turned["question"] = _turn(question["question"], group, form, kind)
    turned["options"] = [_turn(option, group, form, kind) for option in question.get("options") or []]
    texts = [turned["question"], *turned["options"]]
    if question.get("answer") is not None:
        turned["answer"] = _turn(question["answer"], group, form, kind)
        texts.append(turned["answer"])
    truth = question.get("truth")
    if truth and truth.get("choice") is not None:
        turned["truth"] = {**truth, "choice": _turn(truth["choice"], group, form, kind)}
        texts.append(turned["truth"]["choice"])
    if any(text is None or LEFT_OVER.search(text) for text in texts):
        return None
    named = turned["question"] != question["question"] or turned["options"] != list(question.get("options") or [])
    if not named:
        return turned
    if form == "boxes":
        if kind in ASKS_IMAGE or _tells_box(question, group):
            return None
        turned["question"] = f"{turned['question']} {BOX_CONVENTION}"
    elif _tells(question, group, kind):
        return None
    elif question.get("family") in OTHER_TIMES:
        turned["question"] = f"{turned['question']} {PRESENT_CONVENTION}"
    return turned


def box_of(group: Mapping[str, Any], number: int, context: int) -> tuple[int, int, int, int] | None:
    """The box of a mark in one image of its group, whole pixels of the original image; None where it does not show it."""
    region = _region(group, number, context)
    if region is None:
        return None
    return round(region["u0_px"]), round(region["v0_px"]), round(region["u1_px"]), round(region["v1_px"])


def present_context(group: Mapping[str, Any], number: int) -> int | None:
    """The image of the present that shows most of a mark: greatest visible fraction, then area; None where none shows it."""
    best: tuple[float, float, int] | None = None
    for index, view in enumerate(group["context"]):
        region = _region(group, number, index) if view["offset_s"] == 0 else None
        if region is not None:
            area_px2 = (region["u1_px"] - region["u0_px"]) * (region["v1_px"] - region["v0_px"])
            best = max(best or (-1.0, 0.0, 0), (region.get("visible_fraction") or 0.0, area_px2, -index))
    return None if best is None else -best[2]


def _turn(text: str, group: Mapping[str, Any], form: RegionForm, kind: str | None) -> str | None:
    return refer(text, group, form, category=kind not in ASKS_CATEGORY)


def _tells(question: Mapping[str, Any], group: Mapping[str, Any], kind: str | None) -> bool:
    """Whether the descriptions that stand in a question or its options answer it."""
    text = " ".join([question["question"], *(question.get("options") or [])])
    names = " ".join(str(name_of(group, int(number), "descriptions")) for number in NAME.findall(text))
    base = HORIZON.sub("", kind or "")
    hinted = question.get("form") != "open"
    tells_side = (base in ASKS_SIDE or (hinted and base in HINTED_SIDE)) and SIDE_WORDS.search(names)
    tells_order = (base in ASKS_ORDER or (hinted and base in HINTED_ORDER)) and ORDER_WORDS.search(names)
    return bool(base in ASKS_CATEGORY or tells_side or tells_order)


def _tells_box(question: Mapping[str, Any], group: Mapping[str, Any]) -> bool:
    """Whether the box that is asked for is the one that names the object."""
    truth = question.get("truth") or {}
    asked = tuple(truth.get(side) for side in ("u0_px", "v0_px", "u1_px", "v1_px"))
    numbers = {int(number) for number in NAME.findall(question["question"])}
    contexts = {number: present_context(group, number) for number in numbers}
    return any(box_of(group, number, context) == asked for number, context in contexts.items() if context is not None)


def _mark(group: Mapping[str, Any], number: int) -> Mapping[str, Any] | None:
    return next((mark for mark in group["marks"] if mark["mark"] == number), None)


def _region(group: Mapping[str, Any], number: int, context: int) -> Mapping[str, Any] | None:
    mark = _mark(group, number)
    regions = () if mark is None else mark["regions"]
    return next((region for region in regions if region["context"] == context), None)


def _has_images(group: Mapping[str, Any]) -> bool:
    return any(view.get("path") is not None for view in group["context"])
