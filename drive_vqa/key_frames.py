"""Records of grounded reasoning in the layout of Open-o3 Video (arXiv 2510.20579): key frames, and what they show where.

    {"id": "…", "task": "temporal-spatial free-form QA", "question": "…", "answer": "…",
     "reasoning_process": "<obj>Region 3</obj><box>[412,300,480,372]</box>at<t>1.5</t>s is at …",
     "key_frames": [{"idx": 3, "time": 1.5}],                   seconds from the first image
     "key_items": {"3": {"Region 3": [[412, 300, 480, 372]]}},  by the idx of a key frame: object, boxes
     "images": ["…"], "times": [0.0, 0.5, 1.0, 1.5], "image_size": [1600, 900]}

`id`, `images`, `times` and `image_size` are ours and may be missing. With `times` an `idx` is a place in them, without them any
number. Boxes are left, top, right, bottom: pixels of an image of `image_size`, or shares of its width and height where no corner
of a record is above 1, as in the released data. Every object, box and time between tags in the reasoning must be among the key
items; a time alone, as in reasoning about spans, must be that of a key frame if there are any.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

Box = tuple[float, float, float, float]
KeyItems = Mapping[int, Mapping[str, tuple[Box, ...]]]
"""By the index of a key frame: object, boxes."""

MOST = 1e9
"""No number of a record is larger."""

_KEPT_DECIMALS = 6
_CLAIM = re.compile(r"<obj>([^<>]*)</obj>((?:<box>[^<>]*</box>)++)at<t>([^<>]*)</t>s")
_BOX = re.compile(r"<box>([^<>]*)</box>")
_TIME = re.compile(r"<t>([^<>]*)</t>")
_TAG = re.compile(r"</?(?:obj|box|t)>")


@dataclass(frozen=True)
class KeyFrame:
    """An image that shows something the answer rests on.

    Attributes:
        idx: its number.
        time_s: from the first image.
    """

    idx: int
    time_s: float


@dataclass(frozen=True)
class KeyFrameRecord:
    """A question with its reasoning and evidence.

    Attributes:
        record_id: what it is called.
        task: kind of question.
        question: what is asked.
        answer: what is judged.
        reasoning: how it is reasoned out, in the form of Open-o3.
        key_frames: in order of time.
        key_items: what they show.
        images: paths, oldest first; may be empty.
        times_s: of the images, from the first; may be empty.
        size_px: width and height of the images.

    Raises:
        ValueError: the parts contradict each other; the message says which.
    """

    record_id: str
    task: str
    question: str
    answer: str
    reasoning: str
    key_frames: tuple[KeyFrame, ...]
    key_items: KeyItems
    images: tuple[str, ...] = ()
    times_s: tuple[float, ...] = ()
    size_px: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        _check_frames(self)
        _check_items(self)
        _check_reasoning(self)

    @property
    def in_shares(self) -> bool:
        """Whether boxes are shares of width and height, not pixels."""
        corners = [corner for _, _, box in self.boxes() for corner in box]
        return bool(corners) and all(0 <= corner <= 1 for corner in corners)

    def boxes(self) -> Iterator[tuple[KeyFrame, str, Box]]:
        """Every box with its key frame and object, in order of time."""
        for frame in self.key_frames:
            for name, boxes in self.key_items.get(frame.idx, {}).items():
                yield from ((frame, name, box) for box in boxes)

    def as_json(self) -> dict[str, Any]:
        """Plain data, see above; what is not known is left out."""
        content: dict[str, Any] = {"id": self.record_id, "task": self.task, "question": self.question}
        content |= {"answer": self.answer, "reasoning_process": self.reasoning}
        content["key_frames"] = [{"idx": frame.idx, "time": frame.time_s} for frame in self.key_frames]
        content["key_items"] = {
            str(idx): {name: [list(box) for box in boxes] for name, boxes in items.items()}
            for idx, items in self.key_items.items()
        }
        known = {"images": list(self.images), "times": list(self.times_s), "image_size": list(self.size_px or ())}
        return content | {name: value for name, value in known.items() if value}


def record_from_json(content: Any, usual_id: str) -> KeyFrameRecord:
    """A record from plain data of any kind.

    Args:
        content: what was read; keys that are not known are passed over.
        usual_id: name of a record that has none.

    Raises:
        ValueError: it is not a record, or contradicts itself; the message says what is wrong where.
    """
    if not isinstance(content, dict):
        raise ValueError("is not an object")
    size = [_number(side, "image_size") for side in _list(content.get("image_size", []), "image_size")]
    if size and (len(size) != 2 or not all(side >= 1 and side == int(side) for side in size)):
        raise ValueError("image_size must be two whole numbers above 0")
    return KeyFrameRecord(
        record_id=_name(content.get("id", usual_id)),
        task=_text(content.get("task"), "task"),
        question=_text(content.get("question"), "question"),
        answer=_text(content.get("answer"), "answer"),
        reasoning=_text(content.get("reasoning_process"), "reasoning_process"),
        key_frames=tuple(sorted(map(_frame, _list(content.get("key_frames", []), "key_frames")), key=_time_of)),
        key_items=_items(content.get("key_items", {})),
        images=tuple(_text(path, "images") for path in _list(content.get("images", []), "images")),
        times_s=tuple(_number(time_s, "times") for time_s in _list(content.get("times", []), "times")),
        size_px=(int(size[0]), int(size[1])) if size else None,
    )


def _check_frames(record: KeyFrameRecord) -> None:
    """Key frames differ and agree with the images."""
    frames, times_s = record.key_frames, record.times_s
    for values, what in (([frame.idx for frame in frames], "idx"), ([frame.time_s for frame in frames], "time")):
        if len(set(values)) < len(values):
            raise ValueError(f"two key_frames have the same {what}")
    if any(later <= earlier for earlier, later in pairwise(times_s)):
        raise ValueError("times must rise from image to image")
    if record.images and len(times_s) != len(record.images):
        raise ValueError(f"there are {len(record.images)} images and {len(times_s)} times")
    for frame in frames if times_s else ():
        if frame.idx >= len(times_s) or _rounded([times_s[frame.idx]]) != _rounded([frame.time_s]):
            raise ValueError(f"the key frame with idx {frame.idx} is not at {frame.time_s} s by times")


def _check_items(record: KeyFrameRecord) -> None:
    """Items belong to key frames, objects have names, boxes have areas."""
    lost = sorted(set(record.key_items) - {frame.idx for frame in record.key_frames})
    if lost:
        raise ValueError(f"key_items has {lost[0]!r}, which is the idx of no key frame")
    for frame, name, (u0, v0, u1, v1) in record.boxes():
        if not name.strip() or set(name) & set("<>"):
            raise ValueError(f"the object {name[:40]!r} of key frame {frame.idx} needs a name without < and >")
        if u1 <= u0 or v1 <= v0:
            raise ValueError(f"the box {[u0, v0, u1, v1]} of {name[:40]!r} in key frame {frame.idx} has no area")


def _check_reasoning(record: KeyFrameRecord) -> None:
    """All that is told between tags is among the key items."""
    shown = {(name.strip(), _rounded([frame.time_s]), _rounded(box)) for frame, name, box in record.boxes()}
    for name, boxes, time in _CLAIM.findall(record.reasoning):
        for box in _BOX.findall(boxes):
            if (name.strip(), _told(time), _told(box.strip().removeprefix("[").removesuffix("]"))) not in shown:
                raise ValueError(
                    f"reasoning_process tells of {name[:40]!r} in {box[:60]} at {time[:20]} s: not in key_items"
                )
    rest = _CLAIM.sub(" ", record.reasoning)
    times = {_rounded([frame.time_s]) for frame in record.key_frames}
    lost = next((time for time in _TIME.findall(rest) if times and _told(time) not in times), None)
    if lost is not None:
        raise ValueError(f"reasoning_process tells of {lost[:20]} s: not in key_frames")
    if tag := _TAG.search(_TIME.sub(" ", rest)):
        raise ValueError(f"reasoning_process has a {tag[0]} outside of <obj>…</obj><box>…</box>at<t>…</t>s")


def _told(text: str) -> tuple[float, ...]:
    """Numbers between commas, so that they can be found among true ones."""
    try:
        return _rounded([float(number) for number in text.split(",")])
    except ValueError:
        raise ValueError(f"reasoning_process has {text[:60]!r} where numbers must be") from None


def _rounded(numbers: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(number, _KEPT_DECIMALS) for number in numbers)


def _frame(content: Any) -> KeyFrame:
    if not isinstance(content, dict):
        raise ValueError("key_frames must be a list of objects")
    idx, time_s = _number(content.get("idx"), "idx of key_frames"), _number(content.get("time"), "time of key_frames")
    if idx != int(idx) or idx < 0 or time_s < 0:
        raise ValueError("idx of key_frames must be a whole number and time a number, neither below 0")
    return KeyFrame(int(idx), time_s)


def _time_of(frame: KeyFrame) -> float:
    return frame.time_s


def _items(content: Any) -> dict[int, dict[str, tuple[Box, ...]]]:
    if not isinstance(content, dict) or not all(isinstance(items, dict) for items in content.values()):
        raise ValueError("key_items must be an object of objects: idx, object, boxes")
    return {
        _index(idx): {_text(name, "key_items"): _boxes(boxes) for name, boxes in items.items()}
        for idx, items in content.items()
    }


def _index(text: str) -> int:
    if not re.fullmatch(r"0|[1-9][0-9]{0,8}", text):
        raise ValueError(f"key_items has {text[:40]!r} where the idx of a key frame must be")
    return int(text)


def _boxes(content: Any) -> tuple[Box, ...]:
    found = []
    for entry in _list(content, "key_items"):
        corners = [_number(corner, "key_items") for corner in _list(entry, "key_items")]
        if len(corners) != 4:
            raise ValueError(f"key_items has a box of {len(corners)} numbers: it must be four")
        found.append((corners[0], corners[1], corners[2], corners[3]))
    return tuple(found)


def _list(content: Any, where: str) -> list[Any]:
    if not isinstance(content, list):
        raise ValueError(f"{where} must be a list, is {type(content).__name__}")
    return content


def _number(content: Any, where: str) -> float:
    """Compared before it is converted: a number may have a thousand digits."""
    if isinstance(content, bool) or not isinstance(content, int | float) or not -MOST <= content <= MOST:
        raise ValueError(f"{where} must be a number of at most {MOST:g}, is {str(content)[:40]}")
    return float(content)


def _name(content: Any) -> str:
    """Records are named or numbered."""
    numbered = isinstance(content, int) and not isinstance(content, bool)
    return str(_number(content, "id")).removesuffix(".0") if numbered else _text(content, "id")


def _text(content: Any, where: str) -> str:
    if not isinstance(content, str):
        raise ValueError(f"{where} must be text, is {type(content).__name__}")
    if any("\ud800" <= character <= "\udfff" for character in content):
        raise ValueError(f"{where} has half a character, which cannot be stored")
    return content
