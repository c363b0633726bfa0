"""What a text mentions besides its answer: numbers that are names or places in a list, and words of refusal."""

from __future__ import annotations

import re

from eval.units import Quantity

_NAMED_BY_NUMBER = re.compile(
    r"(?:\b(?:regions?|objects?|marks?|box(?:es)?|targets?|frames?|images?|tracks?|options?|ids?|labels?|cameras?|steps?|lanes?)"
    r" ?(?:id |number |no\.? |nr\.? )?(?:# ?|\[|<|\()?|\b(?:t|time) ?[=+-]? ?|#)$"
)
_LIST_ITEM_AFTER = re.compile(r"[.)] ")
_ALSO_NAMED = re.compile(r"[\])>]?(?: ?,? ?(?:and|or|&)|,) ?(?:# ?|\[|<|\()?")
_NOT_SHOWN = (
    r"(?:shown|seen|present|marked|labell?ed|given|there\b|in view|"
    r"in (?:the|this|these|any)(?: of the)? (?:image|frame|picture|scene|view)s?)"
)
_REFUSAL = re.compile(
    r"\b(?:cannot|can ?not|can't|cant|could not|couldn't|unable|impossible|"
    r"not (?:be )?(?:possible|able|enough|sure|certain|clear|visible|known|available|determined|determinable|answerable)|"
    r"(?:do not|don't|dont) (?:know|have|see)|unknown|unclear|uncertain|unsure|unanswerable|insufficient|"
    r"undetermined|undeterminable|indeterminate|indeterminable|"
    r"no (?:way|idea|information)|sorry|apologi[sz]e|i (?:won't|will not|refuse|decline)|isn't (?:possible|clear|visible)|"
    r"hard to (?:say|tell)|difficult to (?:say|tell|determine)|as an ai|n/a|not applicable|"
    rf"(?:not|isn't|aren't|never) (?:be )?{_NOT_SHOWN}|isn't (?:a|any) |no such|"
    r"no (?:region|mark|object|target)s? (?:(?:is|with|the|id|number|no\.?|labell?ed|marked|numbered|called) |#)*[0-9]|"
    r"isn't enough|see no|absent|hidden from view|"
    r"(?:does not|doesn't|do not|don't) (?:exist|appear in))"
)
"""Also what says that the thing asked about is not there."""

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
    if _NAMED_BY_NUMBER.search(before):
        return True
    if quantity.dimension is not None:
        return False
    if since_label is not None and _ALSO_NAMED.fullmatch(since_label):
        return True
    starts_line = quantity.start == 0 or said[quantity.start - 1] == "\n"
    return starts_line and bool(_LIST_ITEM_AFTER.match(said, quantity.end)) and len(said) > quantity.end + 2


def is_refusal(said: str) -> bool:
    """Whether the text says that it cannot answer."""
    return bool(_REFUSAL.search(said))
