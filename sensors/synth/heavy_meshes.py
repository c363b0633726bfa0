"""Truck and bus: tall boxes on wheels with windows, doors and lamps. Built in metres like the cars."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from sensors.synth.car_meshes import wheel_pair
from sensors.synth.materials import Material
from sensors.synth.meshes import Loft, Mesh, box_mesh, merge, tube_mesh


def bus_mesh() -> Mesh:
    """A 12 m city bus; its paint takes the actor's colour."""
    length, width, height = 12.0, 2.55, 3.1
    parts = [_shell(length, width, 0.28, height, Material.PAINT)]
    parts.append(box_mesh((0, 0, 0.34), (length - 0.3, width + 0.008, 0.12), Material.PLASTIC))
    for side in (-1.0, 1.0):
        parts += _side_windows(side, width, np.linspace(-5.7, 4.1, 8), 1.35, 2.55)
        parts.append(box_mesh((0.0, side * width / 2, 2.72), (length - 0.6, 0.012, 0.10), Material.WHITE))
    for x_m in (5.0, -0.6):
        parts += _door(x_m, -width / 2 - 0.004)
    parts.append(box_mesh((length / 2, 0, 1.75), (0.03, width - 0.24, 1.55), Material.GLASS))
    parts.append(box_mesh((length / 2, 0, 2.78), (0.03, 1.7, 0.24), Material.SEAM))
    parts.append(box_mesh((-length / 2, 0, 2.1), (0.03, width - 0.5, 0.8), Material.GLASS))
    parts.append(box_mesh((-length / 2, 0, 0.95), (0.03, 1.5, 0.7), Material.PLASTIC))
    parts += _heavy_lamps(length / 2, -length / 2, width, 0.72)
    for axle_x_m in (-3.4, 3.4):
        parts += wheel_pair(axle_x_m, width / 2, 0.48, 0.3)
    return merge(parts)


def truck_mesh() -> Mesh:
    """A box truck: a cab in the actor's colour in front of a pale cargo box."""
    length, width = 8.4, 2.5
    half = length / 2
    cab = _cab(half, width)
    parts = [cab, box_mesh((-0.95, 0, 2.15), (6.4, width, 2.5), Material.CARGO)]
    parts += [box_mesh((-0.95, side * width / 2, 0.86), (6.4, 0.05, 0.08), Material.RED_STRIPE) for side in (-1, 1)]
    parts.append(box_mesh((-0.4, 0, 0.72), (length - 1.2, 0.9, 0.32), Material.PLASTIC))
    parts += [box_mesh((-0.2, side * (width / 2 - 0.1), 0.62), (2.6, 0.08, 0.4), Material.PLASTIC) for side in (-1, 1)]
    parts.append(box_mesh((-half + 0.03, 0, 2.1), (0.02, 0.03, 2.3), Material.SEAM))
    parts.append(box_mesh((-half + 0.08, 0, 0.55), (0.12, width - 0.1, 0.14), Material.PLASTIC))
    parts += _heavy_lamps(half, -half, width, 0.78)
    for axle_x_m in (-2.5, 2.75):
        parts += wheel_pair(axle_x_m, width / 2 - 0.02, 0.47, 0.32)
    return merge(parts)


def trailer_mesh() -> Mesh:
    """A box trailer with three axles at its rear; legs hold its front."""
    length, width = 12.0, 2.55
    parts = [box_mesh((0, 0, 2.35), (length, width, 2.7), Material.CARGO)]
    parts.append(box_mesh((0, 0, 0.9), (length - 0.1, 1.1, 0.24), Material.PLASTIC))
    parts += [box_mesh((0, side * width / 2, 1.06), (length, 0.05, 0.1), Material.PAINT) for side in (-1, 1)]
    parts += [box_mesh((3.6, side * 0.8, 0.42), (0.16, 0.16, 0.84), Material.METAL) for side in (-1, 1)]
    parts.append(box_mesh((-length / 2, 0, 2.3), (0.02, 0.03, 2.5), Material.SEAM))
    parts += [box_mesh((-length / 2, side * 0.95, 0.84), (0.05, 0.3, 0.16), Material.TAILLIGHT) for side in (-1, 1)]
    for axle_x_m in (-4.9, -3.7, -2.5):
        parts += wheel_pair(axle_x_m, width / 2 - 0.02, 0.47, 0.32)
    return merge(parts)


def digger_mesh() -> Mesh:
    """An excavator on tracks, its arm folded to the front."""
    parts = [box_mesh((-0.6, side * 1.05, 0.45), (3.9, 0.5, 0.9), Material.TIRE) for side in (-1, 1)]
    parts.append(box_mesh((-0.6, 0, 0.75), (1.8, 1.7, 0.5), Material.PLASTIC))
    parts.append(box_mesh((-1.0, 0, 1.55), (3.3, 2.5, 1.1), Material.PAINT))
    parts.append(box_mesh((-2.35, 0, 1.65), (0.7, 2.55, 1.25), Material.PLASTIC))
    parts.append(box_mesh((0.05, 0.75, 2.15), (1.5, 1.0, 1.7), Material.PAINT))
    parts.append(box_mesh((0.1, 0.75, 2.4), (1.52, 1.02, 0.95), Material.GLASS))
    for start, end, radius in (
        ((0.4, -0.2, 1.6), (2.1, -0.2, 3.1), 0.24),
        ((2.1, -0.2, 3.1), (3.3, -0.2, 1.3), 0.18),
    ):
        parts.append(tube_mesh(start, end, radius, 0.8 * radius, Material.PAINT, 6))
    parts.append(box_mesh((3.05, -0.2, 0.85), (0.7, 1.1, 0.8), Material.SEAM))
    return merge(parts)


def _cab(front_x_m: float, width_m: float) -> Mesh:
    """Windscreen, side windows, grille and mirrors in front of the cargo box."""
    rear = front_x_m - 1.85
    half = width_m / 2 - 0.05
    stations = [
        (rear, 0.98, 2.75),
        (rear + 0.9, 1.0, 2.8),
        (front_x_m - 0.45, 1.0, 2.72),
        (front_x_m - 0.08, 0.97, 1.5),
        (front_x_m, 0.93, 1.35),
    ]
    rings = [_box_ring(half * wide, 0.42, high) for _, wide, high in stations]
    loft = Loft(np.array([station[0] for station in stations]), np.stack(rings))
    parts = [
        loft.skin(Material.PAINT),
        loft.patch((front_x_m - 0.44, front_x_m - 0.09), (0.34, 0.66), Material.GLASS, 0.012),
    ]
    for side in (-1.0, 1.0):
        parts.append(box_mesh((front_x_m - 1.0, side * half, 2.02), (0.95, 0.03, 0.72), Material.GLASS))
        parts.append(box_mesh((front_x_m - 1.55, side * half, 1.5), (0.02, 0.02, 1.7), Material.SEAM))
        parts.append(box_mesh((front_x_m - 0.25, side * (half + 0.03), 1.95), (0.12, 0.14, 0.5), Material.PLASTIC))
    parts.append(box_mesh((front_x_m, 0, 1.02), (0.03, width_m * 0.6, 0.36), Material.PLASTIC))
    parts.append(box_mesh((front_x_m, 0, 0.55), (0.04, width_m * 0.86, 0.22), Material.PLASTIC))
    return merge(parts)


def _shell(length_m: float, width_m: float, low_m: float, high_m: float, material: Material) -> Mesh:
    """A long box with rounded edges."""
    half = length_m / 2
    stations = [
        (-half, 0.94, high_m - 0.12),
        (-half + 0.12, 1.0, high_m),
        (half - 0.2, 1.0, high_m),
        (half, 0.93, high_m - 0.16),
    ]
    rings = [_box_ring(width_m / 2 * wide, low_m, high) for _, wide, high in stations]
    return Loft(np.array([station[0] for station in stations]), np.stack(rings)).skin(material)


def _box_ring(half_width_m: float, low_m: float, high_m: float) -> np.ndarray:
    """An upright cross section with rounded upper edges."""
    right = [
        (-half_width_m, low_m),
        (-half_width_m, 0.5 * (low_m + high_m)),
        (-half_width_m, high_m - 0.22),
        (-half_width_m + 0.07, high_m - 0.06),
        (-half_width_m + 0.24, high_m),
    ]
    return np.array([*right, *[(-y, z) for y, z in reversed(right)]])


def _side_windows(side: float, width_m: float, edges_x_m: np.ndarray, low_m: float, high_m: float) -> list[Mesh]:
    return [
        box_mesh(
            (0.5 * (start + end), side * width_m / 2, 0.5 * (low_m + high_m)),
            (end - start - 0.09, 0.016, high_m - low_m),
            Material.GLASS,
        )
        for start, end in pairwise(edges_x_m)
    ]


def _door(x_m: float, y_m: float) -> list[Mesh]:
    """A glazed double door with dark gaps."""
    frame = box_mesh((x_m, y_m, 1.45), (1.3, 0.02, 2.2), Material.SEAM)
    panes = [box_mesh((x_m + shift, y_m - 0.004, 1.5), (0.54, 0.02, 2.0), Material.GLASS) for shift in (-0.31, 0.31)]
    return [frame, *panes]


def _heavy_lamps(front_x_m: float, rear_x_m: float, width_m: float, z_m: float) -> list[Mesh]:
    parts = [box_mesh((front_x_m + 0.012, 0, z_m - 0.22), (0.02, 0.5, 0.11), Material.PLATE)]
    parts.append(box_mesh((rear_x_m - 0.012, 0, z_m - 0.22), (0.02, 0.5, 0.11), Material.PLATE))
    for side in (-1, 1):
        y_m = side * (width_m / 2 - 0.32)
        parts.append(box_mesh((front_x_m + 0.01, y_m, z_m), (0.03, 0.32, 0.2), Material.HEADLIGHT))
        parts.append(box_mesh((rear_x_m, y_m, z_m), (0.05, 0.30, 0.24), Material.TAILLIGHT))
    return parts
