"""A moment from above as inline SVG: ahead is up, left is left; user units are metres.

The ego with the strip that counts as its path, range rings, marked agents with number and heading, others grey. For groups that
span time: where marked agents and ego were (dots) and will be (dashes, with a dot for each second).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from markupsafe import Markup

from drive_vqa.boxes import footprint
from drive_vqa.marks import mark_color, text_color
from qa_gen.preview.moment import Agent, Around, Path

EGO_BOX = (1.4, 0.0, 4.6, 1.9, 0.0)
PATH_M = (60.0, 1.8)
"""Length and half width of the strip ahead of the ego that questions call my path."""

LEAST_SPAN_M, GREATEST_SPAN_M, MARGIN_M = 36.0, 170.0, 6.0
RING_STEPS_M = (5.0, 10.0, 20.0, 40.0)
RINGS = 5

Bounds = tuple[float, float, float, float]
"""(left, top, right, bottom) in the picture: right of the ego is positive, ahead of it negative."""


def birds_eye(around: Around, title: str) -> Markup:
    """The picture; `title` is what a screen reader says."""
    bounds = _bounds(around)
    letter_m = (bounds[3] - bounds[1] + bounds[2] - bounds[0]) / 44
    view_box = " ".join(_number(value) for value in (*bounds[:2], bounds[2] - bounds[0], bounds[3] - bounds[1]))
    parts = [*_ground(bounds, letter_m)]
    for path in around.paths:
        parts += _path(path, letter_m)
    agents = sorted(around.agents, key=lambda agent: (agent.mark is not None, agent.mark or 0, agent.box))
    for agent in agents:
        parts += _agent(agent)
    parts += _polygon(EGO_BOX, 'class="ego"')
    parts += _numbers(around, letter_m)
    head = Markup('<svg viewBox="{}" role="img" class="above"><title>{}</title>').format(view_box, title)
    return head + Markup("".join(parts) + "</svg>")  # noqa: S704 - numbers and our own words alone


def _bounds(around: Around) -> Bounds:
    """Around ego, marks and their paths; other agents only fall into it."""
    points = [(-12.0, 0.0), (24.0, 0.0)]
    marked = [agent for agent in around.agents if agent.mark is not None]
    points += [(x_m, y_m) for agent in marked for x_m, y_m in footprint(np.array(agent.box)).tolist()]
    points += [(x_m, y_m) for path in around.paths for _, x_m, y_m in path.points]
    seen = np.clip(np.array(points), -GREATEST_SPAN_M, GREATEST_SPAN_M)
    low, high = seen.min(axis=0) - MARGIN_M, seen.max(axis=0) + MARGIN_M
    middle, span = 0.5 * (low + high), np.maximum(high - low, LEAST_SPAN_M)
    span = np.maximum(span, 0.62 * span.max())
    low, high = middle - 0.5 * span, middle + 0.5 * span
    return float(-high[1]), float(-high[0]), float(-low[1]), float(-low[0])


def _ground(bounds: Bounds, letter_m: float) -> Iterator[str]:
    """Path strip, rings with their radius, and the line straight ahead."""
    yield (f'<rect class="strip" x="{-PATH_M[1]}" y="{-PATH_M[0]}" width="{2 * PATH_M[1]}" height="{PATH_M[0]}"/>')
    reach_m = max(abs(value) for value in bounds)
    step_m = next((step for step in RING_STEPS_M if reach_m / step <= RINGS), RING_STEPS_M[-1])
    for radius_m in np.arange(step_m, 1.5 * reach_m, step_m).tolist():
        yield f'<circle class="ring" r="{_number(radius_m)}"/>'
        if -bounds[1] > radius_m > 0:
            at = f'x="{_number(0.3 * letter_m)}" y="{_number(-radius_m + 0.95 * letter_m)}"'
            yield f'<text class="metres" {at} font-size="{_number(0.85 * letter_m)}">{radius_m:.0f} m</text>'


def _path(path: Path, letter_m: float) -> Iterator[str]:
    color = "var(--ink)" if path.mark is None else _css(mark_color(path.mark))
    for name, part in (
        ("past", [p for p in path.points if p[0] <= 0]),
        ("future", [p for p in path.points if p[0] >= 0]),
    ):
        if len(part) > 1:
            points = " ".join(f"{_number(-y_m)},{_number(-x_m)}" for _, x_m, y_m in part)
            yield f'<polyline class="{name}" points="{points}" stroke="{color}"/>'
    for second in (1, 2, 3):
        near = min(path.points, key=lambda point: abs(point[0] - second))
        if abs(near[0] - second) < 0.15:
            yield (
                f'<circle class="second" cx="{_number(-near[2])}" cy="{_number(-near[1])}" r="{_number(0.28 * letter_m)}" '
                f'stroke="{color}"/>'
            )


def _agent(agent: Agent) -> Iterator[str]:
    color = "" if agent.mark is None else f' style="--tone:{_css(mark_color(agent.mark))}"'
    yield from _polygon(agent.box, f'class="{"other" if agent.mark is None else "marked"}"{color}')
    x_m, y_m, length_m, _, yaw_rad = agent.box
    tip = (x_m + (0.5 * length_m + 0.8) * np.cos(yaw_rad), y_m + (0.5 * length_m + 0.8) * np.sin(yaw_rad))
    kind = "other" if agent.mark is None else "marked"
    yield (
        f'<line class="nose {kind}"{color} x1="{_number(-y_m)}" y1="{_number(-x_m)}" x2="{_number(-tip[1])}" '
        f'y2="{_number(-tip[0])}"/>'
    )


def _polygon(box: tuple[float, float, float, float, float], attributes: str) -> Iterator[str]:
    points = " ".join(f"{_number(-y_m)},{_number(-x_m)}" for x_m, y_m in footprint(np.array(box)).tolist())
    yield f'<polygon {attributes} points="{points}"/>'


def _numbers(around: Around, letter_m: float) -> Iterator[str]:
    """Plates beside the marked agents, moved apart where agents stand close; tied to them by a line."""
    placed: list[tuple[float, float]] = []
    marked = [agent for agent in around.agents if agent.mark is not None]
    for agent in sorted(marked, key=lambda agent: agent.mark or 0):
        u, v = -agent.box[1], -agent.box[0]
        at = _free(u, v, 0.5 * max(agent.box[2], agent.box[3]) + 0.9 * letter_m, 1.35 * letter_m, placed)
        placed.append(at)
        yield from _plate(agent.mark or 0, (u, v), at, letter_m)


def _free(u: float, v: float, away_m: float, apart_m: float, placed: list[tuple[float, float]]) -> tuple[float, float]:
    """The first place around an agent that is apart from all others."""
    for reach_m in away_m + apart_m * np.arange(6):
        for angle in np.radians([0, 180, 45, 135, -45, -135, 90, -90]):
            place = (u + reach_m * float(np.cos(angle)), v - reach_m * float(np.sin(angle)))
            if all(np.hypot(place[0] - other[0], place[1] - other[1]) >= apart_m for other in placed):
                return place
    return u, v


def _plate(mark: int, agent: tuple[float, float], at: tuple[float, float], letter_m: float) -> Iterator[str]:
    color, half_m = mark_color(mark), 0.62 * letter_m
    yield (
        f'<line class="tie" x1="{_number(agent[0])}" y1="{_number(agent[1])}" x2="{_number(at[0])}" y2="{_number(at[1])}" '
        f'stroke="{_css(color)}"/>'
        f'<rect x="{_number(at[0] - half_m)}" y="{_number(at[1] - half_m)}" width="{_number(2 * half_m)}" '
        f'height="{_number(2 * half_m)}" fill="{_css(color)}"/>'
        f'<text class="number" x="{_number(at[0])}" y="{_number(at[1] + 0.36 * letter_m)}" '
        f'font-size="{_number(letter_m)}" fill="{_css(text_color(color))}">{mark}</text>'
    )


def _css(color: tuple[int, int, int]) -> str:
    return f"#{color[0]:02x}{color[1]:02x}{color[2]:02x}"


def _number(value: float) -> str:
    """Two decimals: a centimetre, and short."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
