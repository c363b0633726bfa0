"""What a text mentions besides its answer: numbers that are names or places in a list, and words of refusal."""

from __future__ import annotations

import re

from eval.units import Quantity

_NAMED = (
    *(
        "region",
        "object",
        "mark",
        "target",
        "frame",
        "image",
        "track",
        "option",
        "id",
        "label",
        "camera",
        "step",
        "lane",
    ),
    *("regions", "objects", "marks", "targets", "frames", "images", "tracks", "options", "ids", "labels", "cameras"),
    *("steps", "lanes", "box", "boxes"),
)
_NAMED_BY_NUMBER = re.compile(
    rf"(?:\b(?:{'|'.join(_NAMED)}) ?(?:id |number |no\.? |nr\.? )?(?:# ?|\[|<|\()?|\b(?:t|time) ?[=+-]? ?|#)\Z"
)
_LABEL_ENDS = (*_NAMED, "number", "no", "no.", "nr", "nr.", "t", "time")
_LABEL_MARKS = " #[<(=+-"
_LIST_ITEM_AFTER = re.compile(r"[.)] ")
_ALSO_NAMED = re.compile(r"[\])>]?(?: ?,? ?(?:and|or|&)|,) ?(?:# ?|\[|<|\()?")
_NOT_SHOWN = (
    r"(?:shown|seen|present|marked|labell?ed|given|there\b|in view|"
    r"in (?:the|this|these|any)(?: of the)? (?:image|frame|picture|scene|view)s?)"
)
_UNKNOWING = (
    r"(?:(?:no|zero) (?:idea|clue|information|info|knowledge|estimate|guess|comment|answer)\b|no way (?:to|of)\b|"
    r"(?:no one|nobody|who) (?:knows|can (?:tell|say|know))|nothing (?:to say|is known)|none of (?:your|my) business|"
    r"no(?:ne|thing)? (?:[a-z]+ ){0,3}can be (?:determined|told|said|known|given|concluded)|beats me)"
)
REFUSAL = re.compile(
    r"\b(?:cannot|can ?not|can't|cant|could not|couldn't|unable|impossible|"
    r"not (?:be )?(?:possible|able|enough|sure|certain|clear|visible|known|available|determined|determinable|answerable)|"
    r"(?:do not|don't|dont) (?:know|have|see)|unknown|unclear|uncertain|unsure|unanswerable|insufficient|"
    r"undetermined|undeterminable|indeterminate|indeterminable|"
    rf"{_UNKNOWING}|no (?:way|idea|information)|sorry|apologi[sz]e|i (?:won't|will not|refuse|decline)|"
    r"isn't (?:possible|clear|visible)|"
    r"hard to (?:say|tell)|difficult to (?:say|tell|determine)|as an ai|n/a|not applicable|"
    rf"(?:not|isn't|aren't|never) (?:be )?{_NOT_SHOWN}|isn't (?:a|any) |no such|"
    r"no (?:region|mark|object|target)s? (?:(?:is|with|the|id|number|no\.?|labell?ed|marked|numbered|called) |#)*[0-9]|"
    r"isn't enough|see no|absent|hidden from view|"
    r"(?:does not|doesn't|do not|don't) (?:exist|appear in))"
)
"""Also what says that the thing asked about is not there."""

_UNKNOWING_WORDS = ("no", "zero", "who ", "beats ")
_IS_UNKNOWING = re.compile(rf"\b{_UNKNOWING}")
_SEES_NOTHING = re.compile(
    r"\b(?:(?:cannot|can ?not|can't|cant|could not|couldn't|do not|don't|dont) (?:see|have|find)|see no|no such|"
    rf"(?:not|isn't|aren't|never) (?:be )?{_NOT_SHOWN}|not visible|absent)"
)

_LOOK_BACK = 24


def is_label(said: str, quantity: Quantity, since_label: str | None) -> bool:
    """Whether a number names something, as in `Region 3`, `regions 1 and 2`, `t = 1`, or `2.` at the start of a line.

    Args:
        said: plain text.
        quantity: a number in it.
        since_label: what stands between the number and the label before it, if that is what it follows.
    """
    written = said[quantity.number.start : quantity.number.end]
    if not written.isdigit():
        return False
    before = said[max(quantity.start - _LOOK_BACK, 0) : quantity.start]
    if _names(before):
        return True
    if quantity.dimension is not None:
        return False
    if since_label is not None and _ALSO_NAMED.fullmatch(since_label):
        return True
    starts_line = quantity.start == 0 or said[quantity.start - 1] == "\n"
    return starts_line and bool(_LIST_ITEM_AFTER.match(said, quantity.end)) and len(said) > quantity.end + 2


def _names(before: str) -> bool:
    """Whether a number is a name after these words; most are ruled out by how they end."""
    may_name = before.endswith("#") or before.rstrip(_LABEL_MARKS).endswith(_LABEL_ENDS)
    return may_name and _NAMED_BY_NUMBER.search(before) is not None


def is_refusal(said: str) -> bool:
    """Whether the text says that it cannot answer."""
    return bool(REFUSAL.search(said))


def without_unknowing(said: str) -> str:
    """The text without words such as "no idea", whose "no" is no answer."""
    return _IS_UNKNOWING.sub(" ", said) if any(word in said for word in _UNKNOWING_WORDS) else said


def says_none(said: str) -> bool:
    """Whether "none" or its like in a text means that there is none, not that none can be told."""
    return not is_refusal(_SEES_NOTHING.sub(" ", said))
