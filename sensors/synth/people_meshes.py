"""Walking people, riders on two wheels, and what workers leave on the road: cones and barriers.

A walk has `WALK_PHASES` poses; the same size in all of them, so that a person does not pulse.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from sensors.synth.materials import Material
from sensors.synth.meshes import Mesh, blob_mesh, box_mesh, merge, tube_mesh

WALK_PHASES = 8
Point = tuple[float, float, float]


def pedestrian_mesh(phase: int) -> Mesh:
    """A person of 1.75 m who walks towards +x; phase 0 stands, 1 to `WALK_PHASES` are one stride."""
    swing = 0.0 if phase == 0 else np.sin(2 * np.pi * (phase - 1) / WALK_PHASES)
    parts = [*_head((0.02, 0.0, 1.62)), *_trunk((0.0, 0.0, 0.92), (0.01, 0.0, 1.44))]
    for side in (-1.0, 1.0):
        parts += _leg((0.0, 0.09 * side, 0.92), 0.48 * swing * side, phase)
        parts += _arm((0.0, 0.20 * side, 1.40), -0.45 * swing * side)
    return merge(parts)


def _head(centre: Point) -> list[Mesh]:
    x, y, z = centre
    return [
        blob_mesh((x, y, z), (0.095, 0.075, 0.125), Material.SKIN, 9, 12),
        blob_mesh((x - 0.018, y, z + 0.035), (0.098, 0.084, 0.105), Material.HAIR, 9, 12),
        blob_mesh((x + 0.095, y, z - 0.01), (0.022, 0.014, 0.022), Material.SKIN, 5, 6),
        tube_mesh((x - 0.02, y, z - 0.2), (x - 0.01, y, z - 0.08), 0.055, 0.05, Material.SKIN, 10),
    ]


def _trunk(hip: Point, neck: Point) -> list[Mesh]:
    hips, necks = np.array(hip), np.array(neck)
    chest = hips + 0.72 * (necks - hips)
    waist = hips + 0.30 * (necks - hips)
    return [
        blob_mesh(tuple(chest), (0.125, 0.20, 0.20), Material.CLOTH, 9, 14),
        blob_mesh(tuple(waist), (0.115, 0.165, 0.21), Material.CLOTH, 9, 14),
        blob_mesh(tuple(hips), (0.12, 0.165, 0.13), Material.TROUSERS, 8, 14),
    ]


def _leg(hip: Point, angle: float, phase: int) -> list[Mesh]:
    """Thigh, shin bent a little when behind, and shoe."""
    bend = 0.12 + max(0.0, -angle) * 0.9 if phase else 0.0
    knee = (hip[0] + 0.43 * np.sin(angle + 0.4 * bend), hip[1], hip[2] - 0.43 * np.cos(angle + 0.4 * bend))
    shin = angle - 0.6 * bend
    ankle_z = max(knee[2] - 0.42 * np.cos(shin), 0.07)
    ankle = (knee[0] + 0.42 * np.sin(shin), hip[1], ankle_z)
    return [
        tube_mesh(hip, knee, 0.088, 0.062, Material.TROUSERS, 10),
        tube_mesh(knee, ankle, 0.064, 0.046, Material.TROUSERS, 10),
        blob_mesh((ankle[0] + 0.055, hip[1], ankle_z - 0.025), (0.13, 0.048, 0.045), Material.SEAM, 6, 10),
    ]


def _arm(shoulder: Point, angle: float) -> list[Mesh]:
    elbow = (shoulder[0] + 0.29 * np.sin(angle), shoulder[1] * 1.12, shoulder[2] - 0.29 * np.cos(angle))
    fore = angle + 0.35
    hand = (elbow[0] + 0.26 * np.sin(fore), elbow[1] * 1.02, elbow[2] - 0.26 * np.cos(fore))
    return [
        blob_mesh(shoulder, (0.062, 0.058, 0.065), Material.CLOTH, 6, 8),
        tube_mesh(shoulder, elbow, 0.054, 0.042, Material.CLOTH, 8),
        tube_mesh(elbow, hand, 0.042, 0.034, Material.CLOTH, 8),
        blob_mesh(hand, (0.04, 0.028, 0.05), Material.SKIN, 6, 8),
    ]


def bicycle_mesh(ridden: bool = True) -> Mesh:
    """A city bicycle, with its rider or without; the rider's jacket takes the actor's colour."""
    saddle, bars, crank = (-0.22, 0.0, 0.95), (0.40, 0.0, 1.05), (-0.05, 0.0, 0.30)
    front, rear = (0.52, 0.0, 0.34), (-0.52, 0.0, 0.34)
    parts = [*_spoked_wheel(front, 0.34, 0.022), *_spoked_wheel(rear, 0.34, 0.022)]
    head = (0.36, 0.0, 0.78)
    frame = [(rear, crank), (crank, head), (crank, saddle), (saddle, head), (rear, saddle), (front, head), (head, bars)]
    parts += [_bar(a, b, 0.018, Material.METAL) for a, b in frame]
    parts.append(_bar((bars[0], -0.28, 1.05), (bars[0], 0.28, 1.05), 0.015, Material.SEAM))
    parts.append(blob_mesh((-0.24, 0.0, 0.97), (0.14, 0.08, 0.04), Material.SEAM, 6, 8))
    if ridden:
        parts += _rider((-0.22, 0.0, 1.02), (0.06, 0.0, 1.50), (0.38, 0.25, 1.07), (0.02, 0.10, 0.18), helmet=False)
    return merge(parts)


def motorcycle_mesh(ridden: bool = True) -> Mesh:
    """A motorcycle, with its rider or without; tank and fairing take the actor's colour."""
    front, rear = (0.72, 0.0, 0.31), (-0.70, 0.0, 0.31)
    parts = [*_spoked_wheel(front, 0.31, 0.06), *_spoked_wheel(rear, 0.31, 0.07)]
    parts.append(_bar(front, (0.42, 0.0, 0.92), 0.045, Material.METAL))
    parts.append(blob_mesh((0.16, 0.0, 0.82), (0.32, 0.17, 0.16), Material.PAINT, 8, 12))
    parts.append(blob_mesh((0.0, 0.0, 0.48), (0.36, 0.18, 0.22), Material.PLASTIC, 8, 12))
    parts.append(blob_mesh((-0.42, 0.0, 0.80), (0.46, 0.15, 0.09), Material.SEAM, 8, 12))
    parts.append(blob_mesh((-0.72, 0.0, 0.76), (0.24, 0.11, 0.10), Material.PAINT, 8, 12))
    parts.append(blob_mesh((0.56, 0.0, 0.90), (0.15, 0.16, 0.17), Material.PAINT, 8, 12))
    parts.append(blob_mesh((0.68, 0.0, 0.90), (0.06, 0.10, 0.09), Material.HEADLIGHT, 6, 10))
    parts.append(box_mesh((-0.96, 0.0, 0.76), (0.03, 0.16, 0.07), Material.TAILLIGHT))
    parts.append(box_mesh((-0.95, 0.0, 0.58), (0.02, 0.2, 0.14), Material.PLATE))
    parts.append(_bar((0.44, -0.34, 1.04), (0.44, 0.34, 1.04), 0.018, Material.SEAM))
    parts.append(_bar((-0.1, -0.17, 0.36), (-0.85, -0.2, 0.40), 0.05, Material.RIM))
    if ridden:
        parts += _rider((-0.22, 0.0, 0.92), (0.0, 0.0, 1.40), (0.42, 0.30, 1.06), (-0.05, 0.19, 0.42), helmet=True)
    return merge(parts)


def _rider(hip: Point, neck: Point, hand: Point, foot: Point, helmet: bool) -> list[Mesh]:
    """A seated person: trunk, arms to the bars, bent legs to the pedals."""
    head = (neck[0] + 0.06, 0.0, neck[2] + 0.17)
    parts = [*_head(head), *_trunk(hip, neck)]
    if helmet:
        parts.append(blob_mesh((head[0] - 0.005, 0.0, head[2] + 0.02), (0.145, 0.125, 0.15), Material.PAINT, 9, 12))
        parts.append(blob_mesh((head[0] + 0.05, 0.0, head[2] + 0.01), (0.105, 0.10, 0.06), Material.GLASS, 7, 10))
    for side in (-1.0, 1.0):
        shoulder = (neck[0], 0.19 * side, neck[2] - 0.05)
        wrist = (hand[0], hand[1] * side, hand[2])
        elbow = tuple(0.5 * (np.array(shoulder) + wrist) + [-0.03, 0.05 * side, -0.06])
        parts += [_bar(shoulder, elbow, 0.05, Material.CLOTH), _bar(elbow, wrist, 0.042, Material.CLOTH)]
        parts.append(blob_mesh(wrist, (0.05, 0.04, 0.04), Material.SKIN, 6, 8))
        ankle = (foot[0], foot[1] * side, foot[2] + (0.17 if side > 0 and not helmet else 0.0))
        knee = (0.5 * (hip[0] + ankle[0]) + 0.26, 0.13 * side, 0.5 * (hip[2] + ankle[2]) + 0.08)
        parts += [
            _bar((hip[0], 0.09 * side, hip[2]), knee, 0.08, Material.TROUSERS),
            _bar(knee, ankle, 0.055, Material.TROUSERS),
        ]
        parts.append(blob_mesh((ankle[0] + 0.06, ankle[1], ankle[2] - 0.03), (0.13, 0.05, 0.045), Material.SEAM, 6, 8))
    return parts


def _bar(start: Sequence[float], end: Sequence[float], radius_m: float, material: Material) -> Mesh:
    return tube_mesh(start, end, radius_m, 0.85 * radius_m, material, 8)


def _spoked_wheel(hub: Point, radius_m: float, tire_m: float) -> list[Mesh]:
    """A tire ring of short bars and crossing spokes, seen through between them."""
    angle = np.linspace(0.0, 2 * np.pi, 19)
    rim = radius_m - tire_m
    points = [(hub[0] + rim * np.cos(a), hub[1], hub[2] + rim * np.sin(a)) for a in angle]
    parts = [tube_mesh(a, b, tire_m, tire_m, Material.TIRE, 7) for a, b in pairwise(points)]
    parts += [tube_mesh(points[k], points[k + 9], 0.006, 0.006, Material.RIM, 4) for k in range(0, 9, 1)]
    side = 0.04
    parts.append(
        tube_mesh(
            (hub[0], hub[1] - side, hub[2]),
            (hub[0], hub[1] + side, hub[2]),
            0.05 + tire_m,
            0.05 + tire_m,
            Material.METAL,
            10,
        )
    )
    return parts


def animal_mesh() -> Mesh:
    """A dog that stands."""
    parts = [blob_mesh((0.0, 0.0, 0.46), (0.36, 0.12, 0.14), Material.CLOTH, 8, 12)]
    parts.append(blob_mesh((0.40, 0.0, 0.64), (0.15, 0.07, 0.08), Material.CLOTH, 7, 10))
    parts.append(_bar((0.26, 0.0, 0.5), (0.36, 0.0, 0.64), 0.08, Material.CLOTH))
    parts.append(_bar((-0.34, 0.0, 0.5), (-0.5, 0.0, 0.66), 0.03, Material.CLOTH))
    for x_m in (-0.24, 0.24):
        parts += [_bar((x_m, side * 0.08, 0.42), (x_m, side * 0.08, 0.0), 0.04, Material.CLOTH) for side in (-1, 1)]
    return merge(parts)


def crate_mesh() -> Mesh:
    """A box of boards: whatever lies or is pushed around."""
    parts = [box_mesh((0, 0, 0.5), (0.94, 0.94, 0.94), Material.WOOD)]
    for z_m in (0.05, 0.5, 0.95):
        parts.append(box_mesh((0, 0, z_m), (1.0, 1.0, 0.1), Material.CARGO))
    return merge(parts)


def cone_mesh() -> Mesh:
    """A traffic cone of 0.75 m: black foot, orange body, two white rings."""
    radius = [0.15, 0.115, 0.095, 0.07, 0.055, 0.03]
    height = [0.04, 0.27, 0.40, 0.52, 0.62, 0.75]
    colours = [Material.ORANGE, Material.WHITE, Material.ORANGE, Material.WHITE, Material.ORANGE]
    parts = [box_mesh((0, 0, 0.02), (0.40, 0.40, 0.04), Material.PLASTIC)]
    for i, colour in enumerate(colours):
        parts.append(tube_mesh((0, 0, height[i]), (0, 0, height[i + 1]), radius[i], radius[i + 1], colour, 14))
    return merge(parts)


def barrier_mesh() -> Mesh:
    """A concrete barrier 2.5 m wide (y) with red and white boards facing the traffic (x)."""
    width = 2.5
    profile = np.array([[0.25, 0.0], [0.25, 0.12], [0.13, 0.32], [0.09, 0.80]])
    parts = []
    for (x0, z0), (x1, z1) in pairwise(profile):
        parts.append(_wedge(x0, x1, z0, z1, width))
    parts.append(box_mesh((0, 0, 0.88), (0.05, width, 0.22), Material.WHITE))
    for k in range(5):
        parts.append(box_mesh((0, -1.0 + 0.5 * k, 0.88), (0.058, 0.25, 0.222), Material.RED_STRIPE))
    return merge(parts)


def _wedge(x0_m: float, x1_m: float, z0_m: float, z1_m: float, width_m: float) -> Mesh:
    """A trapezoid bar along y."""
    solid = box_mesh((0, 0, 0.5 * (z0_m + z1_m)), (2.0, width_m, z1_m - z0_m), Material.CONCRETE)
    half_depth = np.where(solid.vertices_m[:, 2] > 0.5 * (z0_m + z1_m), x1_m, x0_m)
    return Mesh(
        solid.vertices_m * np.stack([half_depth, np.ones_like(half_depth), np.ones_like(half_depth)], -1),
        solid.triangles,
        solid.material,
    )
