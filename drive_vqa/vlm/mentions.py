"""Which image of a group a box or a point in a text lies in, told by the words around it.

    … at [412, 300, 480, 372] in image 4           the image by its number
    <box>…</box>at<t>-0.5</t>s                     the image of that time; in the dialect open_o3 counted from the first one
    <box>…</box>, 0.5 seconds ago,                 likewise
    In the image of my front left camera, …        the image of that camera
    Region 3 <point>…</point>, Region 3 (…)        the last image that shows the region

Where nothing is said, the last image; a group of one image has no other. Only words decide, and never the numbers of a box, so
that the same image is found in a text in the original's pixels and in the same text in a model's units.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from drive_vqa.prompt import camera_words

NUMBER_AFTER = re.compile(r" in image (\d+)\b")
TIME_AFTER = re.compile(r"at ?<t>(-?\d+(?:\.\d+)?)</t>")
AGO_AFTER = re.compile(r", (\d+(?:\.\d+)?) seconds? ago\b")
TIMES_BEFORE = re.compile(r"<t>(-?\d+(?:\.\d+)?)</t>|\b(\d+(?:\.\d+)?) seconds? ago\b")
CAMERA_BEFORE = re.compile(r"\bimage of ((?:my [^,<]+?camera)|camera \d+)\b", re.IGNORECASE)
REGION_BEFORE = re.compile(r"\bRegion (\d+)\W{0,3}\Z")
COUNTED_FROM_FIRST = re.compile(r"<t>0*(?:[1-9]\d*(?:\.\d+)?|0\.0*[1-9]\d*)</t>")
"""A time after the first image; from now none lies ahead."""


def image_of_box(group: Mapping[str, Any], text: str, start: int, end: int) -> int:
    """The place in `group["context"]` of the image that the box at text[start:end] lies in, tags included."""
    context = group["context"]
    numbered = NUMBER_AFTER.match(text, end)
    if numbered and 1 <= int(numbered[1]) <= len(context):
        return int(numbered[1]) - 1
    tagged, ago = TIME_AFTER.match(text, end), AGO_AFTER.match(text, end)
    offset_s = 0.0
    if tagged:
        offset_s = _from_now_s(float(tagged[1]), group, text)
    elif ago:
        offset_s = -float(ago[1])
    return _nearest(context, offset_s, _line_before(text, start))


def image_of_point(group: Mapping[str, Any], text: str, start: int) -> int:
    """The place in `group["context"]` of the image that the point at text[start:] lies in."""
    before = _line_before(text, start)
    region = REGION_BEFORE.search(before)
    shown = [] if region is None else _contexts_of(group, int(region[1]))
    if shown:
        return max(shown)
    times = list(TIMES_BEFORE.finditer(before))
    if not times:
        return _nearest(group["context"], 0.0, before)
    tagged, ago = times[-1].groups()
    offset_s = -float(ago) if tagged is None else _from_now_s(float(tagged), group, text)
    return _nearest(group["context"], offset_s, before)


def _nearest(context: Sequence[Mapping[str, Any]], offset_s: float, before: str) -> int:
    """The image nearest in time, of the camera that was named last; of several that are alike the last."""
    cameras = CAMERA_BEFORE.findall(before)
    places = range(len(context))
    of_camera = [place for place in places if cameras and _camera_name(context, place) == cameras[-1].lower()]
    return min(of_camera or places, key=lambda place: (abs(context[place]["offset_s"] - offset_s), -place))


def _camera_name(context: Sequence[Mapping[str, Any]], place: int) -> str:
    camera = context[place]["camera"]
    return f"my {camera_words(camera)}" if camera else f"camera {place + 1}"


def _contexts_of(group: Mapping[str, Any], number: int) -> list[int]:
    return [region["context"] for mark in group["marks"] if mark["mark"] == number for region in mark["regions"]]


def _from_now_s(told_s: float, group: Mapping[str, Any], text: str) -> float:
    from_first = COUNTED_FROM_FIRST.search(text) is not None
    return told_s + (float(group["context"][0]["offset_s"]) if from_first else 0.0)


def _line_before(text: str, start: int) -> str:
    return text[text.rfind("\n", 0, start) + 1 : start]
