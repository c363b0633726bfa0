"""Where the numbers of marks go: each on a plate beside its box, none over another, all inside the picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

Box = tuple[int, int, int, int]
"""(u0, v0, u1, v1) in pixels; u1 and v1 lie just outside."""

Size = tuple[int, int]
"""Width and height in pixels."""

PLACE_COST = 0.04
OWN_COST = 0.5
"""A place costs 1 for hiding another box (in shares of it), half as much for its own, and a little more the later its turn."""


def place_plates(boxes: Mapping[int, Box], sizes: Mapping[int, Size], picture: Size) -> dict[int, Box]:
    """A plate for each box: above it, else below, inside or beside it, else the free place nearest to it.

    Small boxes choose first: their plates would hide most of a neighbour, and large boxes have places enough.

    Args:
        boxes: number → box inside the picture.
        sizes: number → size of its plate, at most that of the picture.
        picture: size of the picture.

    Returns:
        Number → plate. Plates lie inside the picture; they share no pixel unless the picture has no room for all of them.
    """
    placed: dict[int, Box] = {}
    for number in sorted(boxes, key=lambda number: (_area(boxes[number]), number)):
        others = [box for other, box in boxes.items() if other != number]
        placed[number] = _place(boxes[number], sizes[number], picture, list(placed.values()), others)
    return placed


def _place(box: Box, size: Size, picture: Size, taken: Sequence[Box], others: Sequence[Box]) -> Box:
    beside = _distinct(_moved_inside(corner, size, picture) for corner in _beside(box, size))
    free = [plate for plate in beside if not any(_shared(plate, other) for other in taken)]
    if free:
        return min(enumerate(free), key=lambda entry: _cost(entry[1], entry[0], box, others))[1]
    return min(_anywhere(size, picture), key=lambda plate: (_hidden(plate, taken), _distance2(plate, beside[0]), plate))


def _cost(plate: Box, rank: int, own: Box, others: Sequence[Box]) -> float:
    """How much the plate hides of its own box and of others, and how unusual its place is."""
    hidden = sum(_shared(plate, other) / min(_area(plate), _area(other)) for other in others)
    return hidden + OWN_COST * _shared(plate, own) / _area(own) + PLACE_COST * rank


def _beside(box: Box, size: Size) -> list[tuple[int, int]]:
    """Upper left corners of the usual places, best first: above, below, right, left, and inside at the top."""
    (u0, v0, u1, v1), (width, height) = box, size
    above = [(u0, v0 - height), (u1 - width, v0 - height), ((u0 + u1 - width) // 2, v0 - height)]
    below = [(u0, v1), (u1 - width, v1), ((u0 + u1 - width) // 2, v1)]
    sides = [(u1, v0), (u0 - width, v0), (u1, v1 - height), (u0 - width, v1 - height)]
    return [*above, *below, *sides, (u0, v0), (u1 - width, v0), (u0, v1 - height), (u1 - width, v1 - height)]


def _anywhere(size: Size, picture: Size) -> Iterator[Box]:
    """Plates over the whole picture, half a plate apart."""
    for v in range(0, picture[1] - size[1] + 1, max(size[1] // 2, 1)):
        for u in range(0, picture[0] - size[0] + 1, max(size[0] // 2, 1)):
            yield u, v, u + size[0], v + size[1]


def _moved_inside(corner: tuple[int, int], size: Size, picture: Size) -> Box:
    u = max(min(corner[0], picture[0] - size[0]), 0)
    v = max(min(corner[1], picture[1] - size[1]), 0)
    return u, v, u + size[0], v + size[1]


def _distinct(plates: Iterator[Box]) -> list[Box]:
    return list(dict.fromkeys(plates))


def _hidden(plate: Box, taken: Sequence[Box]) -> int:
    return sum(_shared(plate, other) for other in taken)


def _shared(a: Box, b: Box) -> int:
    """Pixels that lie in both."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _distance2(a: Box, b: Box) -> int:
    return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2
