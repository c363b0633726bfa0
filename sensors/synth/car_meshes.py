"""Passenger cars and vans: a lofted body, a lofted cabin with windows, wheels, lamps, seams, plates.

Built in metres, x forward, z up, wheels on z = 0, centred in x and y.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from sensors.synth.materials import Material
from sensors.synth.meshes import Loft, Mesh, box_mesh, fan_mesh, merge, tube_mesh


@dataclass(frozen=True)
class CarShape:
    """The measures that tell one kind of car from another.

    Attributes:
        length_m, width_m, height_m: outer size.
        hood_m, belt_m, deck_m: heights of the bonnet's front, of the window line and of the boot's end.
        cowl_x_m, roof_front_x_m, roof_rear_x_m, deck_x_m: feet and heads of the windscreen and of the rear window.
        pillars_x_m: posts between side windows; every one but the first is the rear edge of a door.
        wheel_radius_m: rolling radius.
        axle_x_m: rear and front axle.
        blind_rear: no side windows behind the first post (a delivery van).
    """

    length_m: float
    width_m: float
    height_m: float
    hood_m: float
    belt_m: float
    deck_m: float
    cowl_x_m: float
    roof_front_x_m: float
    roof_rear_x_m: float
    deck_x_m: float
    pillars_x_m: tuple[float, ...]
    wheel_radius_m: float
    axle_x_m: tuple[float, float]
    blind_rear: bool = False


CAR_SHAPES: dict[str, CarShape] = {
    "sedan": CarShape(
        4.70, 1.85, 1.45, 0.72, 0.94, 0.98, 1.00, 0.28, -0.95, -1.72, (-0.18, -1.10), 0.33, (-1.40, 1.40)
    ),
    "hatchback": CarShape(
        4.10, 1.76, 1.48, 0.74, 0.94, 0.96, 0.98, 0.30, -1.40, -1.92, (-0.22, -1.12), 0.31, (-1.28, 1.26)
    ),
    "suv": CarShape(4.70, 1.95, 1.72, 0.90, 1.08, 1.12, 1.02, 0.42, -1.75, -2.16, (-0.15, -1.12), 0.38, (-1.42, 1.40)),
    "van": CarShape(
        5.40, 2.05, 2.30, 1.02, 1.22, 1.24, 1.95, 1.22, -2.50, -2.64, (0.45, -0.9), 0.35, (-1.70, 1.75), blind_rear=True
    ),
}


def car_mesh(shape: CarShape) -> Mesh:
    """One car; its paint takes the actor's colour."""
    body, cabin = _body(shape), _cabin(shape)
    parts = [body.skin(Material.PAINT), cabin.skin(Material.PAINT), *_windows(shape, cabin), *_ends(shape)]
    parts += [*_seams(shape, body), *_lamps(shape, body), *_mirrors(shape)]
    for axle_x_m in shape.axle_x_m:
        parts += wheel_pair(axle_x_m, shape.width_m / 2, shape.wheel_radius_m)
    return merge(parts)


def _body(shape: CarShape) -> Loft:
    """Bumper to bumper below the window line."""
    half = shape.length_m / 2
    hood, belt, deck = shape.hood_m, shape.belt_m, shape.deck_m
    stations = [
        (-half, 0.83, 0.34, deck - 0.14),
        (-half + 0.04, 0.92, 0.28, deck - 0.04),
        (-half + 0.16, 0.97, 0.24, deck),
        (-half + 0.55, 1.0, 0.22, deck + 0.01),
        (shape.deck_x_m + 0.5, 1.0, 0.20, belt + 0.01),
        (0.0, 1.0, 0.20, belt - 0.01),
        (shape.cowl_x_m - 0.1, 1.0, 0.20, belt - 0.02),
        (shape.cowl_x_m + 0.1, 1.0, 0.20, belt - 0.03),
        (half - 0.5, 0.985, 0.21, hood + 0.09),
        (half - 0.17, 0.955, 0.23, hood + 0.02),
        (half - 0.05, 0.90, 0.26, hood - 0.04),
        (half, 0.83, 0.31, hood - 0.11),
    ]
    stations.sort()
    rings = [_body_ring(0.5 * shape.width_m * width, low, high) for _, width, low, high in stations]
    return Loft(np.array([station[0] for station in stations]), np.stack(rings))


def _body_ring(half_width_m: float, low_m: float, high_m: float) -> Float[np.ndarray, "13 2"]:
    """Sill, flank, shoulder line, and a slightly arched top."""
    rise = high_m - low_m
    right = [
        (-0.90 * half_width_m, low_m),
        (-0.965 * half_width_m, low_m + 0.10 * rise),
        (-1.00 * half_width_m, low_m + 0.45 * rise),
        (-0.985 * half_width_m, low_m + 0.80 * rise),
        (-0.93 * half_width_m, low_m + 0.97 * rise),
        (-0.60 * half_width_m, high_m + 0.012),
    ]
    left = [(-y, z) for y, z in reversed(right)]
    return np.array([*right, (0.0, high_m + 0.02), *left])


def _cabin(shape: CarShape) -> Loft:
    """Window line to roof."""
    low, high = shape.belt_m - 0.05, shape.height_m - 0.025
    base, top = 0.445 * shape.width_m, 0.36 * shape.width_m if not shape.blind_rear else 0.41 * shape.width_m
    mid_front = shape.roof_front_x_m + 0.12 * (shape.cowl_x_m - shape.roof_front_x_m)
    mid_rear = shape.roof_rear_x_m + 0.12 * (shape.deck_x_m - shape.roof_rear_x_m)
    stations = [
        (shape.deck_x_m, 0.96 * base, 0.90 * base, low + 0.04),
        (mid_rear, base, 1.02 * top, low + 0.90 * (high - low)),
        (shape.roof_rear_x_m - 0.0, base, top, high - 0.03),
        (shape.roof_rear_x_m + 0.35, base, top, high),
        (0.5 * (shape.roof_rear_x_m + shape.roof_front_x_m), base, top, high),
        (shape.roof_front_x_m - 0.25, base, top, high - 0.01),
        (shape.roof_front_x_m, base, top, high - 0.04),
        (mid_front, base, 1.01 * top, low + 0.90 * (high - low)),
        (shape.cowl_x_m, 0.98 * base, 0.88 * base, low + 0.03),
    ]
    rings = [_cabin_ring(*station[1:3], low, station[3]) for station in stations]
    return Loft(np.array([station[0] for station in stations]), np.stack(rings))


def _cabin_ring(base_m: float, top_m: float, low_m: float, high_m: float) -> Float[np.ndarray, "11 2"]:
    """Side glass leaning in, a rounded edge and an arched roof."""
    rise = high_m - low_m
    right = [
        (-base_m, low_m),
        (-0.5 * (base_m + top_m) - 0.012, low_m + 0.48 * rise),
        (-top_m, low_m + 0.88 * rise),
        (-0.90 * top_m, low_m + 0.985 * rise),
        (-0.5 * top_m, high_m + 0.018),
    ]
    left = [(-y, z) for y, z in reversed(right)]
    return np.array([*right, (0.0, high_m + 0.025), *left])


def _windows(shape: CarShape, cabin: Loft) -> list[Mesh]:
    """Windscreen, rear window and side windows."""
    cowl, front, rear, deck = shape.cowl_x_m, shape.roof_front_x_m, shape.roof_rear_x_m, shape.deck_x_m
    panes = [cabin.patch((front + 0.02, cowl - 0.03), (0.27, 0.73), Material.GLASS)]
    panes.append(cabin.patch((deck + 0.1 * (rear - deck), rear - 0.03), (0.28, 0.72), Material.GLASS))
    edges = [cowl - 0.22, *shape.pillars_x_m, 0.35 * rear + 0.65 * deck]
    for i, (ahead, behind) in enumerate(pairwise(edges)):
        if shape.blind_rear and i > 0:
            break
        for low, high in ((0.055, 0.178), (0.945, 0.822)):
            panes.append(cabin.patch((behind + 0.045, ahead - 0.035), (low, high), Material.GLASS))
    return panes


def _seams(shape: CarShape, body: Loft) -> list[Mesh]:
    """Door gaps, sills and handles on both flanks, and the bonnet's edges."""
    parts: list[Mesh] = []
    gaps = [shape.cowl_x_m - 0.15, *shape.pillars_x_m]
    for side in (0, 1):
        low, high = (1.2 / 12, 3.9 / 12) if side == 0 else (1 - 1.2 / 12, 1 - 3.9 / 12)
        parts += [body.patch((x - 0.011, x + 0.011), (low, high), Material.SEAM, 0.004) for x in gaps]
        sill = (0.02, 1.1 / 12) if side == 0 else (0.98, 1 - 1.1 / 12)
        parts.append(body.patch((shape.axle_x_m[0] + 0.45, shape.axle_x_m[1] - 0.45), sill, Material.PLASTIC, 0.005))
        grip = (3.05 / 12, 3.2 / 12) if side == 0 else (1 - 3.05 / 12, 1 - 3.2 / 12)
        parts += [body.patch((x + 0.06, x + 0.24), grip, Material.RIM, 0.02) for x in shape.pillars_x_m]
    return parts


def _lamps(shape: CarShape, body: Loft) -> list[Mesh]:
    """Head and tail lamps that wrap around the corners."""
    half = shape.length_m / 2
    parts = []
    for low, high in ((2.55 / 12, 4.1 / 12), (1 - 2.55 / 12, 1 - 4.1 / 12)):
        parts.append(body.patch((half - 0.34, half - 0.004), (low, high), Material.HEADLIGHT, 0.008))
        parts.append(
            body.patch(
                (-half + 0.004, -half + 0.20), (low - np.sign(0.5 - low) * 0.02, high), Material.TAILLIGHT, 0.008
            )
        )
    front, rear = shape.hood_m - 0.11, shape.deck_m - 0.14
    lamp_y = 0.31 * shape.width_m
    for side in (-1, 1):
        parts.append(
            box_mesh((half, side * lamp_y, front - 0.075), (0.02, 0.16 * shape.width_m, 0.11), Material.HEADLIGHT)
        )
        parts.append(
            box_mesh((-half, side * lamp_y, rear - 0.08), (0.02, 0.15 * shape.width_m, 0.14), Material.TAILLIGHT)
        )
    return parts


def _ends(shape: CarShape) -> list[Mesh]:
    """Grille, bumper strips and number plates."""
    half, width = shape.length_m / 2, shape.width_m
    front, rear = shape.hood_m - 0.11, shape.deck_m - 0.14
    parts = [
        box_mesh((half, 0, front - 0.07), (0.016, 0.40 * width, 0.09), Material.PLASTIC),
        box_mesh((half + 0.004, 0, front - 0.035), (0.016, 0.42 * width, 0.015), Material.RIM),
        box_mesh((half, 0, 0.40), (0.012, 0.70 * width, 0.10), Material.PLASTIC),
        box_mesh((half + 0.008, 0, 0.44), (0.02, 0.50, 0.11), Material.PLATE),
        box_mesh((-half, 0, 0.40), (0.012, 0.74 * width, 0.12), Material.PLASTIC),
        box_mesh((-half - 0.006, 0, 0.5 * (0.46 + rear)), (0.02, 0.50, 0.11), Material.PLATE),
    ]
    if shape.blind_rear:
        parts.append(box_mesh((-half, 0, 0.5 * (0.4 + rear)), (0.03, 0.02, rear - 0.45), Material.SEAM))
    return parts


def _mirrors(shape: CarShape) -> list[Mesh]:
    """Two door mirrors within the outer width."""
    x_m, z_m = shape.cowl_x_m - 0.38, shape.belt_m + 0.06
    return [
        box_mesh((x_m, side * (0.5 * shape.width_m - 0.03), z_m), (0.12, 0.20, 0.13), Material.PAINT)
        for side in (-1, 1)
    ]


def wheel_pair(axle_x_m: float, half_width_m: float, radius_m: float, tread_m: float = 0.22) -> list[Mesh]:
    """Both wheels of an axle with dark arches over them; the outer faces stand just outside the flank."""
    parts: list[Mesh] = []
    angle = np.radians(np.linspace(-12.0, 192.0, 18))
    for side in (-1.0, 1.0):
        outer = side * (half_width_m + 0.004)
        arch = np.stack(
            [
                axle_x_m + 1.2 * radius_m * np.cos(angle),
                np.full_like(angle, outer),
                radius_m + 1.2 * radius_m * np.sin(angle),
            ],
            -1,
        )
        parts.append(fan_mesh(arch if side < 0 else arch[::-1], Material.SEAM))
        hub, face = (axle_x_m, outer - side * tread_m, radius_m), (axle_x_m, outer + side * 0.010, radius_m)
        parts.append(tube_mesh(hub, face, radius_m, radius_m, Material.TIRE, sides=20))
        parts += _rim(axle_x_m, outer + side * 0.012, radius_m, side)
    return parts


def _rim(axle_x_m: float, face_y_m: float, radius_m: float, side: float) -> list[Mesh]:
    """A dark dish with five bright spokes and a ring."""
    dish = tube_mesh(
        (axle_x_m, face_y_m - side * 0.02, radius_m),
        (axle_x_m, face_y_m, radius_m),
        0.68 * radius_m,
        0.66 * radius_m,
        Material.RIM,
        20,
    )
    parts = [dish]
    for k in range(5):
        angle = np.radians(90 + 72 * k + 36)
        hole = (axle_x_m + 0.42 * radius_m * np.cos(angle), radius_m + 0.42 * radius_m * np.sin(angle))
        start, end = (hole[0], face_y_m, hole[1]), (hole[0], face_y_m + side * 0.003, hole[1])
        parts.append(tube_mesh(start, end, 0.17 * radius_m, 0.17 * radius_m, Material.SEAM, sides=7))
    return parts
